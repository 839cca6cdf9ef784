#include "tools/sample_pictures.h"

#include <string.h>

#include "io/thumbnail.h"

/* The sample that the store calls `path`: usually number `sample` of the data set it was made from. */
static psal_status find_in_dataset(const psal_dataset *dataset, int64_t sample, const char *path, size_t *index,
                                   psal_error *err) {
    size_t count = psal_dataset_count(dataset);
    for (size_t i = 0; i <= count; i++) {
        size_t at = i == 0 ? (size_t)sample : i - 1;
        const char *file = at < count ? psal_dataset_path(dataset, at) : NULL;
        if (at < count && (strcmp(psal_dataset_name(dataset, at), path) == 0 || (file && strcmp(file, path) == 0))) {
            *index = at;
            return PSAL_OK;
        }
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "no sample of the data set is called %s, as the store's table says", path);
}

/* It must be the picture that the store's profile is of. */
static psal_status load(const psal_sample_pictures *pictures, int64_t sample, const char *path, int longest,
                        psal_image *image, psal_error *err) {
    const psal_dataset *dataset = pictures->dataset;
    size_t index = 0;
    psal_status status;
    if (dataset && sample >= 0) {
        const uint64_t *hash = &pictures->store->store.records[sample].image_hash;
        status = find_in_dataset(dataset, sample, path, &index, err);
        if (status == PSAL_OK) status = psal_dataset_check_images(dataset, index, 1, hash, 0, err);
        if (status == PSAL_OK) status = psal_dataset_load(dataset, index, image, err);
    } else {
        status = psal_image_load(path, 0, image, err);
    }
    return status == PSAL_OK && longest > 0 ? psal_image_shrink(image, longest, err) : status;
}

/* Remember a picture that cannot be read; a sample may be the neighbour of many. */
static psal_status skip_picture(psal_skipped *skipped, const char *name, const psal_error *why, psal_error *err) {
    for (size_t i = 0; i < skipped->count; i++)
        if (strcmp(skipped->at[i].name, name) == 0) return PSAL_OK;
    return psal_skipped_add(skipped, name, why, err);
}

psal_status psal_sample_pictures_open(psal_sample_pictures *pictures, psal_compared_store *store, psal_error *err) {
    const char *spec = psal_compared_store_pictures(store);
    *pictures = (psal_sample_pictures){.store = store};
    if (spec && !(pictures->dataset = psal_open_list(spec, store->labels, store->skip_bad, NULL, err)))
        return psal_error_status(err);
    return PSAL_OK;
}

void psal_sample_pictures_close(psal_sample_pictures *pictures) {
    psal_dataset_free(pictures->dataset);
    *pictures = (psal_sample_pictures){0};
}

psal_status psal_sample_pictures_load(psal_sample_pictures *pictures, int64_t sample, const char *path, int longest,
                                      psal_image *image, bool *readable, psal_error *err) {
    psal_compared_store *store = pictures->store;
    psal_error bad = PSAL_ERROR_INIT;
    psal_status status = load(pictures, sample, path, longest, image, &bad);
    *readable = status == PSAL_OK;
    if (*readable) return PSAL_OK;
    psal_image_free(image);
    psal_skipped_error(&bad, path, !store->skip_bad);
    if (!store->skip_bad || !psal_skippable(&bad)) {
        if (err) *err = bad;
        return status;
    }
    return skip_picture(&store->skipped, path, &bad, err);
}

const char *psal_sample_pictures_file(const psal_sample_pictures *pictures, int64_t sample, const char *path) {
    size_t index;
    if (!pictures->dataset) return path;
    return find_in_dataset(pictures->dataset, sample, path, &index, NULL) == PSAL_OK
               ? psal_dataset_path(pictures->dataset, index)
               : NULL;
}

psal_status psal_sample_pictures_index(const psal_sample_pictures *pictures, int64_t sample, const char *path,
                                       size_t *index, psal_error *err) {
    if (!pictures->dataset) return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: of no data set", path);
    return find_in_dataset(pictures->dataset, sample, path, index, err);
}
