#include "tools/neighbors_itself.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/print.h"
#include "tools/sample_pictures.h"

/* The network's answer to the same image differs by no more, whatever convolutions made the store. */
static const double ALIKE = 1e-4;

static bool answered_alike(const psal_profile_record *a, const psal_profile_record *b) {
    return a->predicted == b->predicted && fabs(a->confidence - b->confidence) <= ALIKE;
}

/* Whether the sample's picture is prepared to the same input[size]; `other` is scratch. */
static bool is_same(psal_sample_pictures *pictures, int64_t sample, const float *input, float *other, size_t size) {
    const psal_compared_store *store = pictures->store;
    psal_error unused = PSAL_ERROR_INIT;
    psal_image image = PSAL_IMAGE_INIT;
    bool same = psal_sample_pictures_read(pictures, sample, store->store.records[sample].path, 0, &image, &unused) ==
                    PSAL_OK &&
                psal_session_prepare(&store->session, &image, NULL, other, &unused) == PSAL_OK;
    same = same && memcmp(input, other, size * sizeof *input) == 0;
    psal_image_free(&image);
    return same;
}

psal_status psal_neighbors_leave_out_itself(psal_compared_store *store, const psal_image *photo,
                                            const psal_profile_record *record, int64_t **itself, int64_t *count,
                                            psal_error *err) {
    const size_t size = psal_session_image_size(&store->session);
    const bool quiet = psal_options_flag(store->options, "quiet");
    const int64_t candidates = store->search.candidate_count;
    float *input = malloc(size * sizeof *input), *other = malloc(size * sizeof *other);
    int64_t alike = 0, kept = 0;
    for (int64_t i = 0; i < candidates; i++)
        alike += answered_alike(&store->store.records[store->candidates[i]], record);
    *count = 0;
    *itself = malloc((size_t)(alike + 1) * sizeof **itself);
    psal_sample_pictures pictures = {0};
    psal_error unused = PSAL_ERROR_INIT;
    psal_status status = input && other && *itself ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK) status = psal_session_prepare(&store->session, photo, NULL, input, err);
    if (status == PSAL_OK && alike > 0 && psal_sample_pictures_open(&pictures, store, &unused) == PSAL_OK) {
        for (int64_t i = 0; i < candidates; i++) {
            const int64_t sample = store->candidates[i];
            if (answered_alike(&store->store.records[sample], record) && is_same(&pictures, sample, input, other, size))
                (*itself)[(*count)++] = sample;
            else
                store->candidates[kept++] = sample;
        }
        store->search.candidate_count = kept;
    }
    psal_sample_pictures_close(&pictures);
    free(input);
    free(other);
    for (int64_t i = 0; i < *count && !quiet; i++)
        psal_print(stderr, "%s: note: sample %" PRId64 " of the store is this picture: left out\n",
                   store->program->name, (*itself)[i]);
    return status;
}
