/* few.h - the input gradient of a convolution of few channels: a network's first one, of a photo.
 *
 * As columns (direct.c) each element of them is written, read and added to its pixel once for every
 * tap, and a column is used for three rows of sums only. Here the sums of one row of pixels and all
 * channels stay in registers while the rows of dy that reach them pass by, where they lie. The
 * pixels of a row with the same remainder modulo the stride are one phase of conv2d_lower.h. */
#ifndef PSAL_ENGINE_KERNELS_X86_FEW_H
#define PSAL_ENGINE_KERNELS_X86_FEW_H

#include "engine/kernels/conv2d.h"
#include "engine/kernels/x86/simd.h"

#define psal_few_possible PSAL_SIMD_NAME(psal_few_possible)
#define psal_few_dx_scratch PSAL_SIMD_NAME(psal_few_dx_scratch)
#define psal_few_dx PSAL_SIMD_NAME(psal_few_dx)

/* One group, at most 3 channels, a filter that is not huge. */
bool psal_few_possible(const psal_conv2d_shape *s);
size_t psal_few_dx_scratch(const psal_conv2d_shape *s, int threads);
void psal_few_dx(const psal_conv2d_shape *s, const float *dy, const float *w, float *dx,
                 const psal_parallel *parallel);

#endif
