/* sample_pictures.h - the pictures of a store's samples, from the data set that the store was made of. */
#ifndef PSAL_TOOLS_SAMPLE_PICTURES_H
#define PSAL_TOOLS_SAMPLE_PICTURES_H

#include "io/dataset.h"
#include "tools/compared_store.h"

typedef struct psal_sample_pictures {
    psal_compared_store *store;
    psal_dataset *dataset; /* NULL: the paths in the store's table are opened */
} psal_sample_pictures;

/* Pictures come from psal_compared_store_pictures. The store outlives them. */
psal_status psal_sample_pictures_open(psal_sample_pictures *pictures, psal_compared_store *store, psal_error *err);
void psal_sample_pictures_close(psal_sample_pictures *pictures); /* zeroed is fine */

/* The picture of a sample of the store, which its table calls `path`, or (-1) of that file; its longer side at most
 * `longest` pixels (0: in its own size). With --skip-bad one that cannot be read is added to store->skipped, once, and
 * not *readable, *image empty; otherwise it is an error. */
psal_status psal_sample_pictures_load(psal_sample_pictures *pictures, int64_t sample, const char *path, int longest,
                                      psal_image *image, bool *readable, psal_error *err);
/* The sample's number in the data set that has the pictures; an error where there is none. */
psal_status psal_sample_pictures_index(const psal_sample_pictures *pictures, int64_t sample, const char *path,
                                       size_t *index, psal_error *err);
/* The sample's own file, NULL where it is none (IDX) or the data set does not have it. */
const char *psal_sample_pictures_file(const psal_sample_pictures *pictures, int64_t sample, const char *path);

#endif
