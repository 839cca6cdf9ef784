/* profile_writer.h - write the profiles of a data set, row by row, into a file that profile_store.h and NumPy open.
 *
 * The file lies at PATH.partial, in its full size, until it is complete; a run that was interrupted continues in it.
 * While it is open no other writer of this PATH can be (io/run_lock.h). A symbolic link at PATH is followed
 * (PATH.partial lies beside the file that it leads to); a pipe or device is refused: rows are written in any order, and
 * the file is read again. */
#ifndef PSAL_IO_PROFILE_WRITER_H
#define PSAL_IO_PROFILE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_profile_writer psal_profile_writer;

/* A matrix [samples][length] of PSAL_F16 or PSAL_F32, zeros at first, in a new file; with `resume` the one that an
 * earlier writer has left, which must be there and fit, and be an ordinary file of this user's. Symbolic links at
 * PATH.partial are refused. */
psal_profile_writer *psal_profile_writer_open(const char *path, psal_dtype dtype, int64_t samples, int64_t length,
                                              bool resume, psal_error *err);
/* Row `row` is profile[length] / psal_profile_scale(dtype, largest), largest being its largest magnitude. */
psal_status psal_profile_writer_put(psal_profile_writer *writer, int64_t row, const float *profile, float largest,
                                    psal_error *err);
/* The same from a row that is already in the file's type and scale. */
psal_status psal_profile_writer_copy(psal_profile_writer *writer, int64_t row, const void *data, psal_error *err);
/* All rows put so far are on the disk. */
psal_status psal_profile_writer_sync(psal_profile_writer *writer, psal_error *err);
/* The file gets its name; the writer is freed in any case. */
psal_status psal_profile_writer_commit(psal_profile_writer *writer, psal_error *err);
void psal_profile_writer_close(psal_profile_writer *writer);   /* leave PATH.partial behind; NULL is fine */
void psal_profile_writer_discard(psal_profile_writer *writer); /* remove it */

/* What stored rows are to be multiplied by. Naive saliency of a sample the network is sure of lies around 1e-8, below
 * what float16 can hold: the power of two that brings the largest entry to 2^14 .. 2^15. For float32 and zeros: 1. */
double psal_profile_scale(psal_dtype dtype, float largest);

#ifdef __cplusplus
}
#endif

#endif
