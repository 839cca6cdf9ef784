/* dataset_idx.c - data sets in MNIST's files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/dataset_readers.h"
#include "io/idx.h"

/* A side longer than this is no image of this kind, and would overflow a pixel count. */
enum { LONGEST_SIDE = 65535 };

/* Every image costs a name and an entry, some eighty bytes, and may itself be a byte of a gzipped file that a
 * thousandth of a byte stands for: fewer than PSAL_DATASET_MAX_SAMPLES, so that a small file takes less than a
 * gigabyte. */
enum { MOST_IMAGES = 10000000 };

static psal_status check_labels(const uint8_t *label, int64_t count, const char *file, const psal_labels *labels,
                                psal_error *err) {
    for (int64_t i = 0; labels && i < count; i++)
        if (label[i] >= psal_labels_count(labels))
            return psal_fail(err, PSAL_ERR_FORMAT,
                             "%s: label %d of sample %lld is out of range: "
                             "0 to %d",
                             file, label[i], (long long)i, psal_labels_count(labels) - 1);
    return PSAL_OK;
}

psal_status psal_dataset_read_idx(psal_dataset *dataset, const char *images, const char *label_file,
                                  const psal_labels *labels, psal_error *err) {
    int64_t dim[3], label_count = 0;
    uint8_t *label = NULL;
    psal_status status = psal_idx_read(images, 3, dim, &dataset->pixels, err);
    if (status) return status;
    if (dim[0] > MOST_IMAGES || dim[1] > LONGEST_SIDE || dim[2] > LONGEST_SIDE)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: %lld images of %lldx%lld: at most %d images, sides at most %d",
                         images, (long long)dim[0], (long long)dim[1], (long long)dim[2], MOST_IMAGES, LONGEST_SIDE);
    dataset->height = (int)dim[1];
    dataset->width = (int)dim[2];
    if (label_file) {
        status = psal_idx_read(label_file, 1, &label_count, &label, err);
        if (!status && label_count != dim[0])
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s has %lld labels, but %s %lld images", label_file,
                               (long long)label_count, images, (long long)dim[0]);
        if (!status) status = check_labels(label, label_count, label_file, labels, err);
    }
    const char *slash = strrchr(images, '/');
    for (int64_t i = 0; !status && i < dim[0]; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s:%lld", slash ? slash + 1 : images, (long long)i) < 0) name = NULL;
        status = psal_dataset_append(dataset, name, 0, label ? label[i] : PSAL_NO_LABEL, NULL, err);
    }
    free(label);
    return status;
}
