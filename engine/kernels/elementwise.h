/* elementwise.h - kernels that treat every element alike. All vectors hold n elements; out may be one of the inputs.
 * They run in the calling thread: whoever calls cuts the work into pieces (engine/workspace.c). */
#ifndef PSAL_ENGINE_KERNELS_ELEMENTWISE_H
#define PSAL_ENGINE_KERNELS_ELEMENTWISE_H

#include <stddef.h>

#include "engine/real.h"

void psal_kernel_fill(size_t n, psal_real value, psal_real *out);
void psal_kernel_add(size_t n, const psal_real *a, const psal_real *b, psal_real *out);
void psal_kernel_sub(size_t n, const psal_real *a, const psal_real *b, psal_real *out);
void psal_kernel_mul(size_t n, const psal_real *a, const psal_real *b, psal_real *out);
void psal_kernel_div(size_t n, const psal_real *a, const psal_real *b, psal_real *out);
void psal_kernel_scale(size_t n, const psal_real *x, psal_real factor, psal_real *out);
void psal_kernel_sqrt(size_t n, const psal_real *x, psal_real *out);
/* 1 / sqrt(x + epsilon) */
void psal_kernel_rsqrt(size_t n, const psal_real *x, psal_real epsilon, psal_real *out);
void psal_kernel_abs(size_t n, const psal_real *x, psal_real *out);
void psal_kernel_sign(size_t n, const psal_real *x, psal_real *out);
/* x where x > 0, NaN where x is NaN, else 0 */
void psal_kernel_relu(size_t n, const psal_real *x, psal_real *out);
/* dy where y > 0, else 0 */
void psal_kernel_relu_mask(size_t n, const psal_real *dy, const psal_real *y, psal_real *out);

#endif
