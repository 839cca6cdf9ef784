#include "tools/report_lists.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/fnv.h"
#include "tools/class_output.h"
#include "tools/outputs.h"
#include "tools/sampling.h"

/* The pixels as a file of the report's folder: images/17.png, as its list names it. */
static psal_status write_image(const psal_report *r, int64_t sample, const psal_image *image, char name[64],
                               psal_error *err) {
    char path[4300];
    snprintf(path, sizeof path, "%s/images", r->folder);
    psal_status status = psal_make_directory(path, err);
    snprintf(name, 64, "images/%" PRId64 ".png", sample);
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    return status == PSAL_OK ? psal_image_write_png(path, image, NULL, err) : status;
}

static uint64_t hash_of(const psal_image *image) {
    const uint64_t hash = psal_fnv_add(PSAL_FNV_INIT, &image->width, sizeof image->width);
    return psal_fnv_add(hash, image->rgb, (size_t)3 * (size_t)image->width * (size_t)image->height);
}

/* What the list calls one sample, which the caller frees; NULL, and no error: it is left out. */
static psal_status name_sample(psal_report *r, int64_t sample, uint64_t *hashes, int64_t known, char **called,
                               psal_error *err) {
    const psal_profile_record *record = &r->compared.store.records[sample];
    psal_image image = PSAL_IMAGE_INIT;
    char name[64], whole[PATH_MAX];
    bool taken;
    psal_status status = psal_sample_pictures_load(&r->pictures, sample, record->path, 0, &image, &taken, err);
    if (status != PSAL_OK || !taken) return status;
    hashes[known] = hash_of(&image);
    for (int64_t i = 0; i < known; i++) taken = taken && hashes[i] != hashes[known];
    const char *file = psal_sample_pictures_file(&r->pictures, sample, record->path);
    if (taken && !file) status = write_image(r, sample, &image, name, err);
    psal_image_free(&image);
    if (status != PSAL_OK || !taken) return status;
    if (file && !realpath(file, whole)) return psal_fail(err, PSAL_ERR_IO, "%s: cannot be looked at", file);
    *called = strdup(file ? whole : name);
    return *called ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list");
}

static psal_status write_list(const char *path, char *const *names, const int *labels, int64_t count,
                              const psal_labels *classes, psal_error *err) {
    static const char *const header[] = {"path", "label"};
    char number[16];
    for (int64_t i = 0; i < count; i++)
        if (!psal_class_text(classes, labels[i], number))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: class %d cannot be named", path, labels[i]);
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    psal_csv_record(csv, 2, header);
    for (int64_t i = 0; i < count; i++) {
        psal_csv_text(csv, names[i]);
        psal_csv_text(csv, psal_class_text(classes, labels[i], number));
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

psal_status psal_report_list(psal_report *r, const char *name, const int64_t *samples, int64_t count, char path[4200],
                             int64_t *written, uint64_t *hash, psal_error *err) {
    snprintf(path, 4200, "%.4095s/%.64s", r->folder, name);
    *written = 0;
    uint64_t *hashes = malloc(((size_t)count + 1) * sizeof *hashes);
    char **names = calloc((size_t)count + 1, sizeof *names);
    int *labels = malloc(((size_t)count + 1) * sizeof *labels);
    psal_status status = hashes && names && labels ? PSAL_OK
                                                   : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list");
    for (int64_t i = 0; i < count && status == PSAL_OK; i++) {
        status = name_sample(r, samples[i], hashes, *written, &names[*written], err);
        if (status == PSAL_OK && names[*written]) labels[(*written)++] = r->compared.store.records[samples[i]].label;
    }
    if (status == PSAL_OK && hash) {
        *hash = psal_fnv_add(PSAL_FNV_INIT, hashes, (size_t)*written * sizeof *hashes);
        *hash = psal_fnv_add(*hash, labels, (size_t)*written * sizeof *labels);
    }
    if (status == PSAL_OK && *written > 0) status = psal_check_output_file(r->program, r->options, path, err);
    if (status == PSAL_OK && *written > 0) status = write_list(path, names, labels, *written, r->compared.labels, err);
    for (int64_t i = 0; i < count && names; i++) free(names[i]);
    free(names);
    free(labels);
    free(hashes);
    return status;
}

psal_status psal_report_draw_right(const psal_report *r, int64_t wanted, int64_t *samples, int64_t *count,
                                   psal_error *err) {
    const psal_profile_store *store = &r->compared.store;
    const size_t all = (size_t)store->samples;
    const psal_sampling sampling = {
        .wanted = (size_t)wanted, .drawn = true, .seed = (uint64_t)psal_options_int(r->options, "seed")};
    int64_t *right = malloc(all * sizeof *right);
    int *classes = malloc(all * sizeof *classes);
    size_t *chosen = NULL, found = 0, n = 0;
    psal_status status = right && classes ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list");
    for (int64_t i = 0; i < store->samples && status == PSAL_OK; i++) {
        if (!store->records[i].valid || store->records[i].label != store->records[i].predicted) continue;
        right[n] = i;
        classes[n++] = store->records[i].label;
    }
    *count = 0;
    if (status == PSAL_OK && n > 0 && wanted > 0)
        status = psal_sampling_choose(&sampling, classes, n, &chosen, &found, err);
    for (size_t i = 0; i < found && status == PSAL_OK; i++) samples[(*count)++] = right[chosen[i]];
    free(chosen);
    free(classes);
    free(right);
    return status;
}

psal_status psal_report_check_classes(const psal_options *options, const psal_labels *labels, psal_error *err) {
    char number[16];
    if (psal_options_int(options, "costs") + psal_options_int(options, "checks") + psal_options_int(options, "maps") ==
        0)
        return PSAL_OK; /* there are no lists */
    for (int c = 0; c < psal_labels_count(labels); c++)
        if (!psal_class_text(labels, c, number))
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "the lists of a report cannot name class %d, \"%.100s\": as a number and as a name these "
                             "mean other classes; give names that are no numbers with --labels, or leave out what "
                             "needs lists with --costs 0 --checks 0 --maps 0",
                             c, psal_labels_name(labels, c));
    return PSAL_OK;
}
