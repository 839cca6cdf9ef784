/* permute.h - the axes of a tensor in another order. */
#ifndef PSAL_ENGINE_KERNELS_PERMUTE_H
#define PSAL_ENGINE_KERNELS_PERMUTE_H

#include <stddef.h>

#include "engine/kernels/parallel.h"
#include "engine/real.h"

/* out has the axes dim[ndim] (1 to 8), the last one being contiguous; axis d is the one of x whose neighbours are
 * stride[d] apart, exactly one of them 1. */
void psal_kernel_permute(int ndim, const size_t *dim, const size_t *stride, const psal_real *x, psal_real *out,
                         const psal_parallel *parallel);

#endif
