/* run_lock.h - one run at a time for one output.
 *
 * The lock is a file PATH.lock that holds the process and the host, locked with flock: a run that was killed leaves the
 * file but not the lock, and the next one takes both over. Where the file system knows no locks there is none. */
#ifndef PSAL_IO_RUN_LOCK_H
#define PSAL_IO_RUN_LOCK_H

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_run_lock psal_run_lock;

/* NULL with *err naming the path and whose run it is when another one holds it, or PATH.lock when that cannot be made
 * or is no ordinary file (links are not followed). The file is in the table of io/temporary_files.h. */
psal_run_lock *psal_run_lock_take(const char *path, psal_error *err);

/* Remove the file; NULL is fine. */
void psal_run_lock_release(psal_run_lock *lock);

#ifdef __cplusplus
}
#endif

#endif
