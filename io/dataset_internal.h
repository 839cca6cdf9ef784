/* dataset_internal.h - the data set object, shared by the files dataset*.c only. */
#ifndef PSAL_IO_DATASET_INTERNAL_H
#define PSAL_IO_DATASET_INTERNAL_H

#include "io/dataset.h"

typedef struct psal_dataset_sample {
    char *path;         /* the file; for IDX only a name to show */
    size_t name_offset; /* the name is the rest of `path` from here */
    char *group;        /* or NULL */
    char *problem;      /* why it cannot be loaded, known from the list already; or NULL */
    psal_status status; /* of the problem */
    int label;
} psal_dataset_sample;

struct psal_dataset {
    psal_dataset_sample *samples;
    size_t count, capacity;
    /* IDX only, NULL otherwise */
    uint8_t *pixels; /* [count][height][width] */
    int height, width;
};

psal_dataset *psal_dataset_begin(psal_error *err);

/* Append a sample; `path` becomes the data set's in any case, `group` (may be NULL) is copied. */
psal_status psal_dataset_append(psal_dataset *dataset, char *path, size_t name_offset, int label, const char *group,
                                psal_error *err);
/* The same for a sample that cannot be loaded, as `problem` says. */
psal_status psal_dataset_append_bad(psal_dataset *dataset, char *path, size_t name_offset, const char *group,
                                    const psal_error *problem, psal_error *err);

/* "folder/name", or `name` alone when it is absolute or `folder` is empty; *name_offset is where
 * the name begins. The caller frees; NULL when out of memory. */
char *psal_dataset_join(const char *folder, const char *name, size_t *name_offset);

/* Fails when `path` is not an existing regular file. */
psal_status psal_dataset_check_file(const char *path, psal_error *err);

bool psal_dataset_ends_with(const char *text, const char *end); /* in any case */

/* What torchvision takes for an image by its name, and what psal can read of these. */
typedef enum psal_extension {
    PSAL_EXTENSION_OTHER,
    PSAL_EXTENSION_READABLE,
    PSAL_EXTENSION_UNSUPPORTED
} psal_extension;
psal_extension psal_dataset_extension(const char *name);

#endif
