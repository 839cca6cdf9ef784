/* broadcast.h - kernels between a tensor and a smaller one that is the same along some of its axes: repeating the
 * smaller one, and summing the larger one. */
#ifndef PSAL_ENGINE_KERNELS_BROADCAST_H
#define PSAL_ENGINE_KERNELS_BROADCAST_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/parallel.h"
#include "engine/real.h"

enum { PSAL_BROADCAST_AXES = 8 };

/* The axes of the larger tensor; the smaller one has length 1 where `repeated`. Neighbouring axes may be joined. */
typedef struct psal_broadcast {
    int ndim; /* 1 and more */
    size_t dim[PSAL_BROADCAST_AXES];
    bool repeated[PSAL_BROADCAST_AXES];
} psal_broadcast;

/* Elements [begin, end) of out, the larger one, from x, the smaller one; in the calling thread */
void psal_kernel_expand(size_t begin, size_t end, const psal_broadcast *b, const psal_real *x, psal_real *out);
/* out, the smaller one, from x, the larger one: sums in double, in an order that depends on the shape alone */
void psal_kernel_sum_to(const psal_broadcast *b, const psal_real *x, psal_real *out, const psal_parallel *parallel);

#endif
