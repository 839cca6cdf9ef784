/* mapped_file.h - a whole file as read-only memory. */
#ifndef PSAL_IO_MAPPED_FILE_H
#define PSAL_IO_MAPPED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_mapped_file {
    const uint8_t *data; /* read-only pages; writing to them ends the process */
    size_t size;         /* at least 1 */
} psal_mapped_file;

/* Whether there is anything called `path`: false when it is missing, and only then. What cannot be looked at (an
 * unreadable folder, a failing disk) is an error that names it, so that nobody takes it for missing and begins anew. */
psal_status psal_file_exists(const char *path, bool *exists, psal_error *err);

/* Map the regular file `path`. Missing, unreadable and empty files, folders and devices are errors that name `path`.
 * Reading what another process has cut off meanwhile, or what the disk cannot give, ends the process with SIGBUS, as
 * with any mapping: see psal_mapped_name. */
psal_status psal_map_file(const char *path, psal_mapped_file *file, psal_error *err);

/* The file mapped at `address`, for the handler of SIGBUS of a program (the library installs none): false, and an empty
 * name[size], when there is none. May be called in that handler, because SIGBUS comes to a thread that reads a mapping,
 * and it holds no lock then. */
bool psal_mapped_name(const void *address, char *name, size_t size);

/* Fails, naming the file, when one that is mapped has been changed in place since: what was computed from it may be
 * partly of the old and partly of the new one. A file that was replaced by a rename, or removed, is still mapped as it
 * was. */
psal_status psal_mapped_unchanged(psal_error *err);

/* Unmap; fine on one that is zeroed or was unmapped already. */
void psal_unmap_file(psal_mapped_file *file);

/* psal_unmap_file in the form psal_tensor_map_adopt wants: the map then owns the mapping. */
void psal_mapped_release(void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
