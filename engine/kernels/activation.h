/* activation.h - kernels of the activation functions that networks apply to every number. All vectors hold n elements;
 * out may be one of the inputs. They run in the calling thread. Each number is within one unit in the last place of its
 * true value, on every processor the same; NaN gives NaN. */
#ifndef PSAL_ENGINE_KERNELS_ACTIVATION_H
#define PSAL_ENGINE_KERNELS_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/real.h"

void psal_kernel_exp(size_t n, const psal_real *x, psal_real *out);
void psal_kernel_log(size_t n, const psal_real *x, psal_real *out);
void psal_kernel_pow(size_t n, const psal_real *x, double exponent, psal_real *out);
void psal_kernel_sigmoid(size_t n, const psal_real *x, psal_real *out); /* 1 / (1 + exp(-x)) */
void psal_kernel_tanh(size_t n, const psal_real *x, psal_real *out);
void psal_kernel_erf(size_t n, const psal_real *x, psal_real *out); /* 2 / sqrt(pi) integral from 0 to x of exp(-t^2) */
void psal_kernel_shift(size_t n, const psal_real *x, psal_real offset, psal_real *out); /* x + offset */
/* low where x < low, high where x > high, else x */
void psal_kernel_clip(size_t n, const psal_real *x, psal_real low, psal_real high, psal_real *out);
/* dy where low < x < high (`closed`: low <= x <= high), else 0 */
void psal_kernel_clip_mask(size_t n, const psal_real *dy, const psal_real *x, psal_real low, psal_real high,
                           bool closed, psal_real *out);

#endif
