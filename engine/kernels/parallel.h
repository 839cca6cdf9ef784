/* parallel.h - what a kernel gets besides its operands: how many threads, and scratch memory.
 *
 * Kernels never allocate and never decide how many threads there are. Results must be bit-identical for any number of
 * threads: split work into tiles whose sizes follow from the shapes alone, and never add across threads in an order that
 * depends on their number. Which thread takes which of them is tasks.h's matter, or that of OpenMP's static schedule. */
#ifndef PSAL_ENGINE_KERNELS_PARALLEL_H
#define PSAL_ENGINE_KERNELS_PARALLEL_H

#include <stddef.h>

typedef struct psal_parallel {
    int threads; /* OpenMP threads to use; 1 means: run in the calling thread, which may itself be one of many */
    void *
        scratch; /* 64-byte aligned; as many bytes as the kernel's ..._scratch function asked for; contents undefined */
} psal_parallel;

#endif
