/* parallel.h - what a kernel gets besides its operands: how many threads, and scratch memory.
 *
 * Kernels never allocate and never decide how many threads there are. Results must be bit-identical for any number of
 * threads: split work into tiles whose sizes follow from the shapes alone, and never add across threads in an order
 * that depends on their number. Which thread takes which of them is tasks.h's matter, or that of OpenMP's static
 * schedule. */
#ifndef PSAL_ENGINE_KERNELS_PARALLEL_H
#define PSAL_ENGINE_KERNELS_PARALLEL_H

#include <stddef.h>

typedef struct psal_parallel {
    int threads;   /* OpenMP threads to use; 1 means: run in the calling thread, which may itself be one of many */
    void *scratch; /* aligned to 64 bytes; as many as the operation asked for (psal_prepared); contents undefined */
} psal_parallel;

/* All of them, or one where there is too little to do */
static inline int psal_parallel_threads(const psal_parallel *parallel, size_t elements, size_t serial_below) {
    return parallel->threads > 1 && elements >= serial_below ? parallel->threads : 1;
}

#endif
