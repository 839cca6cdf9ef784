/* mapped_file.h - a whole file as read-only memory. */
#ifndef PSAL_IO_MAPPED_FILE_H
#define PSAL_IO_MAPPED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

typedef struct psal_mapped_file {
    const uint8_t *data; /* read-only pages; writing to them ends the process */
    size_t size;         /* at least 1 */
} psal_mapped_file;

/* Map the regular file `path`, and make it known to engine/file_values.h. Missing, unreadable and empty files, folders and devices are errors
 * that name `path`. A file that another process shortens while it is mapped is not protected
 * against (nor is it by any mmap). */
psal_status psal_map_file(const char *path, psal_mapped_file *file, psal_error *err);

/* Unmap; fine on one that is zeroed or was unmapped already. */
void psal_unmap_file(psal_mapped_file *file);

/* psal_unmap_file in the form psal_tensor_map_adopt wants: the map then owns the mapping. */
void psal_mapped_release(void *data, size_t size);

#endif
