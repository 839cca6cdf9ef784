/* atomic_file.h - output files that appear whole or not at all.
 *
 * The bytes go to a temporary name in the folder of the final file; only psal_atomic_file_commit
 * gives them their name. A program that fails or dies in between leaves the old file (or none)
 * behind, never half of a new one; the temporary name is in the table of io/temporary_files.h. */
#ifndef PSAL_IO_ATOMIC_FILE_H
#define PSAL_IO_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_atomic_file {
    FILE *stream;    /* write here; write errors are found at the latest by commit, so they need no
                        checks between */
    char *path;      /* the final name, symbolic links followed */
    char *temporary; /* the name until commit; NULL when `path` is a device or pipe, which is
                        written directly */
    int entry;       /* of that name in io/temporary_files.h */
} psal_atomic_file;

/* Begin the file `path`. One that exists is replaced on commit, by one with its permissions; of a symbolic link the
 * file that it leads to, there already or not. Pipes and devices are written directly, as is what this process has open
 * as /dev/stdout, /dev/fd/N or /proc/self/fd/N. NULL with *err naming the file when its folder does not exist or cannot
 * be written, its name is too long, or `path` is a folder. End it with exactly one of commit and abort. */
psal_atomic_file *psal_atomic_file_open(const char *path, psal_error *err);

/* Whether what is written to `path` goes to a pipe, a device or an open descriptor, which stays what it is, rather than
 * into a file. */
bool psal_atomic_file_is_direct(const char *path);

/* The name of the ordinary file, there already or not, that `path` leads to, for who writes it himself: symbolic links
 * followed. The caller frees. NULL with *err for pipes, devices and open descriptors, and where it cannot be told. */
char *psal_atomic_file_regular(const char *path, psal_error *err);

/* Whether psal_atomic_file_open will succeed, tried and undone: better known before hours of work. */
psal_status psal_atomic_file_check(const char *path, psal_error *err);

/* Flush, fsync, rename, fsync the folder. Frees `file` in any case; on failure (full disk) the temporary file is gone,
 * an old file of that name untouched, and *err names the file and the reason. (Only when the folder's fsync fails is
 * the new file there, whole, but not sure to outlive a power failure.) Also fails when a file that it may have been
 * made from was changed meanwhile: psal_mapped_unchanged. */
psal_status psal_atomic_file_commit(psal_atomic_file *file, psal_error *err);

/* Remove the temporary file and free `file`; NULL is fine. */
void psal_atomic_file_abort(psal_atomic_file *file);

/* Open, write `size` bytes, commit. */
psal_status psal_atomic_file_write(const char *path, const void *data, size_t size, psal_error *err);

/* Create the folder `path` and those above it, as mkdir -p; an existing folder is fine. */
psal_status psal_make_directory(const char *path, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
