/* few.h - a convolution of few channels: a network's first one, of a photo.
 *
 * Forward: few_forward.c.
 *
 * dx: as columns (direct.c) each element of them is written, read and added to its pixel once for
 * every tap, and a column is used for three rows of sums only. Here the sums of one row of pixels
 * and all channels stay in registers while the rows of dy that reach them pass by, where they lie.
 * The pixels of a row with the same remainder modulo the stride are one phase of conv2d_lower.h.
 *
 * dw, or the mean over each filter of |dw| or dw: few_dw.c. */
#ifndef PSAL_ENGINE_KERNELS_X86_FEW_H
#define PSAL_ENGINE_KERNELS_X86_FEW_H

#include "engine/kernels/conv2d.h"
#include "engine/kernels/x86/simd.h"

#define psal_few_possible PSAL_SIMD_NAME(psal_few_possible)
#define psal_few_forward_possible PSAL_SIMD_NAME(psal_few_forward_possible)
#define psal_few_forward_scratch PSAL_SIMD_NAME(psal_few_forward_scratch)
#define psal_few_forward PSAL_SIMD_NAME(psal_few_forward)
#define psal_few_dx_scratch PSAL_SIMD_NAME(psal_few_dx_scratch)
#define psal_few_dx PSAL_SIMD_NAME(psal_few_dx)
#define psal_few_dw_possible PSAL_SIMD_NAME(psal_few_dw_possible)
#define psal_few_dw_scratch PSAL_SIMD_NAME(psal_few_dw_scratch)
#define psal_few_dw PSAL_SIMD_NAME(psal_few_dw)

/* One group, at most 3 channels, a filter and a stride that are not huge. */
bool psal_few_possible(const psal_conv2d_shape *s);
size_t psal_few_dx_scratch(const psal_conv2d_shape *s, int threads);
void psal_few_dx(const psal_conv2d_shape *s, const float *dy, const float *w, float *dx, const psal_parallel *parallel);

/* The same, 16 filters and results in a row. chains: sums by PSAL_MICRO_CHAINS (micro.h) */
bool psal_few_forward_possible(const psal_conv2d_shape *s);
size_t psal_few_forward_scratch(const psal_conv2d_shape *s, int threads);
void psal_few_forward(const psal_conv2d_shape *s, bool chains, const float *x, const float *w, float *y,
                      const psal_parallel *parallel);

/* The same and 16 filters. dw, or its filters' means if it is NULL, as psal_direct_dw makes them */
bool psal_few_dw_possible(const psal_conv2d_shape *s);
size_t psal_few_dw_scratch(const psal_conv2d_shape *s, int threads);
void psal_few_dw(const psal_conv2d_shape *s, const float *x, const float *dy, float *dw, bool is_signed, float *mean,
                 const psal_parallel *parallel);

#endif
