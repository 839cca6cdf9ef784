/* memory.h - how much memory a program may take, when nobody says. */
#ifndef PSAL_TOOLS_MEMORY_H
#define PSAL_TOOLS_MEMORY_H

#include <stddef.h>

#include "engine/error.h"

/* What OpenBLAS maps for each thread that it has, when it is loaded, and for each that calls it (its BUFFER_SIZE, on
 * x86-64; less elsewhere). */
#define PSAL_BLAS_BUFFER ((size_t)128 << 20)

/* A checkpoint names the size of its images, and with that the memory of a run: 16384 pixels are 60 GiB. *limit gets
 * the bytes that the plans of all threads may take together: `given` (--memory-limit), or, when that is 0, three
 * quarters of what this process may have at all, which is the least of the machine's memory, its control group's limit,
 * and the address space (ulimit -v). Of the latter, what is mapped already and what the threads will take besides, for
 * stacks and for OpenBLAS' buffers, is no more to be had: fails when nothing is left, since OpenBLAS would wait for it
 * for ever. */
psal_status psal_memory_limit(int threads, size_t given, size_t *limit, psal_error *err);

/* Add to the message of a plan that exceeded the limit what the limit was, and how to set another. */
void psal_memory_explain(psal_error *err);

#endif
