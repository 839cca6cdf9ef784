/* dataset_internal.h - the data set object, shared by the files dataset*.c only. */
#ifndef PSAL_IO_DATASET_INTERNAL_H
#define PSAL_IO_DATASET_INTERNAL_H

#include "io/dataset.h"

typedef struct psal_sample {
    char *path;         /* the file; for IDX only a name to show */
    size_t name_offset; /* the name is the rest of `path` from here */
    char *group;        /* or NULL */
    int label;
} psal_sample;

struct psal_dataset {
    psal_sample *samples;
    size_t count, capacity;
    size_t unsupported;
    /* IDX only, NULL otherwise */
    uint8_t *pixels; /* [count][height][width] */
    int height, width;
};

psal_dataset *psal_dataset_begin(psal_error *err);

/* Append a sample; `path` becomes the data set's in any case, `group` (may be NULL) is copied. */
psal_status psal_dataset_append(psal_dataset *dataset, char *path, size_t name_offset, int label, const char *group,
                                psal_error *err);

/* "folder/name", or `name` alone when it is absolute or `folder` is empty; *name_offset is where
 * the name begins. The caller frees; NULL when out of memory. */
char *psal_dataset_join(const char *folder, const char *name, size_t *name_offset);

/* Fails when `path` is not an existing regular file. */
psal_status psal_dataset_check_file(const char *path, psal_error *err);

/* What torchvision takes for an image by its name, and what psal can read of these. */
typedef enum psal_extension {
    PSAL_EXTENSION_OTHER,
    PSAL_EXTENSION_READABLE,
    PSAL_EXTENSION_UNSUPPORTED
} psal_extension;
psal_extension psal_dataset_extension(const char *name);

/* The kinds of data set; each fills an empty one. */
psal_status psal_dataset_read_folder(psal_dataset *dataset, const char *folder, const psal_labels *labels,
                                     psal_error *err);
psal_status psal_dataset_read_flat(psal_dataset *dataset, const char *folder, psal_error *err);
/* `folder` is where relative paths start; `guess_extension` tries name + ".JPEG", too. */
psal_status psal_dataset_read_csv(psal_dataset *dataset, const char *file, const char *folder, bool guess_extension,
                                  const psal_labels *labels, psal_error *err);
/* Lines "name label" (labelled) or "path" (not). */
psal_status psal_dataset_read_lines(psal_dataset *dataset, const char *file, const char *folder, bool labelled,
                                    const psal_labels *labels, psal_error *err);
psal_status psal_dataset_read_idx(psal_dataset *dataset, const char *images, const char *label_file,
                                  const psal_labels *labels, psal_error *err);

#endif
