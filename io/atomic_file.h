/* atomic_file.h - output files that appear whole or not at all.
 *
 * The bytes go to a temporary name in the folder of the final file; only psal_atomic_file_commit
 * gives them their name. A program that fails or dies in between leaves the old file (or none)
 * behind, never half of a new one. */
#ifndef PSAL_IO_ATOMIC_FILE_H
#define PSAL_IO_ATOMIC_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "engine/error.h"

typedef struct psal_atomic_file {
    FILE *stream;    /* write here; write errors are found at the latest by commit, so they need no
                        checks between */
    char *path;      /* the final name, symbolic links followed */
    char *temporary; /* the name until commit; NULL when `path` is a device or pipe, which is
                        written directly */
} psal_atomic_file;

/* Begin the file `path` (replaced on commit when it exists). NULL with *err naming the file when
 * its folder does not exist or cannot be written, or `path` is a folder. End it with exactly one of
 * commit and abort. */
psal_atomic_file *psal_atomic_file_open(const char *path, psal_error *err);

/* Flush, fsync, rename. Frees `file` in any case; on failure (full disk) the temporary file is
 * gone, an old file of that name untouched, and *err names the file and the reason. */
psal_status psal_atomic_file_commit(psal_atomic_file *file, psal_error *err);

/* Remove the temporary file and free `file`; NULL is fine. */
void psal_atomic_file_abort(psal_atomic_file *file);

/* Open, write `size` bytes, commit. */
psal_status psal_atomic_file_write(const char *path, const void *data, size_t size, psal_error *err);

/* Create the folder `path` and those above it, as mkdir -p; an existing folder is fine. */
psal_status psal_make_directory(const char *path, psal_error *err);

#endif
