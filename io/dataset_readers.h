/* dataset_readers.h - one reader per kind of data set; dataset_open.c chooses between them. Private to io/. */
#ifndef PSAL_IO_DATASET_READERS_H
#define PSAL_IO_DATASET_READERS_H

#include "io/dataset_internal.h"

/* What every reader is told; see psal_dataset_open. */
typedef struct psal_dataset_context {
    const psal_labels *labels; /* or NULL */
    bool keep_bad;
    psal_notes *notes; /* or NULL */
} psal_dataset_context;

/* Each fills an empty one. */
psal_status psal_dataset_read_folder(psal_dataset *dataset, const char *folder, const psal_dataset_context *context,
                                     psal_error *err);
psal_status psal_dataset_read_flat(psal_dataset *dataset, const char *folder, psal_error *err);
/* `folder` is where relative paths start. */
psal_status psal_dataset_read_csv(psal_dataset *dataset, const char *file, const char *folder,
                                  const psal_dataset_context *context, psal_error *err);
/* Lines "name label" (`labelled`), or what the first line shows: paths, a table or "name label". */
psal_status psal_dataset_read_lines(psal_dataset *dataset, const char *file, const char *folder, bool labelled,
                                    const psal_dataset_context *context, psal_error *err);
psal_status psal_dataset_read_idx(psal_dataset *dataset, const char *images, const char *label_file,
                                  const psal_labels *labels, psal_error *err);

#endif
