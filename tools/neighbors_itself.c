#include "tools/neighbors_itself.h"

#include <inttypes.h>
#include <stdlib.h>

#include "io/image.h"
#include "tools/print.h"

psal_status psal_neighbors_leave_out_itself(psal_compared_store *store, const char *photo, int64_t **itself,
                                            int64_t *count, psal_error *err) {
    const int64_t candidates = store->search.candidate_count;
    uint64_t hash;
    int64_t kept = 0;
    *count = 0;
    psal_status status = psal_image_fingerprint(photo, &hash, err);
    if (status != PSAL_OK) return status;
    if (!(*itself = malloc((size_t)(candidates + 1) * sizeof **itself)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " samples", candidates);
    for (int64_t i = 0; i < candidates; i++) {
        const int64_t sample = store->candidates[i];
        if (store->store.records[sample].image_hash == hash)
            (*itself)[(*count)++] = sample;
        else
            store->candidates[kept++] = sample;
    }
    store->search.candidate_count = kept;
    for (int64_t i = 0; i < *count && !psal_options_flag(store->options, "quiet"); i++)
        psal_print(stderr, "%s: note: sample %" PRId64 " of the store is this picture: left out\n",
                   store->program->name, (*itself)[i]);
    return PSAL_OK;
}
