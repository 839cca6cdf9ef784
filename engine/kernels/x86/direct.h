/* direct.h - convolution as a product on the register tile, packed straight from the image: every shape, no transforms.
 * The functions are those of conv2d.h; `mean` alone or `dw` alone may be NULL in direct_dw. */
#ifndef PSAL_ENGINE_KERNELS_X86_DIRECT_H
#define PSAL_ENGINE_KERNELS_X86_DIRECT_H

#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/simd.h"

#define psal_direct_forward_scratch PSAL_SIMD_NAME(psal_direct_forward_scratch)
#define psal_direct_dx_scratch PSAL_SIMD_NAME(psal_direct_dx_scratch)
#define psal_direct_dw_scratch PSAL_SIMD_NAME(psal_direct_dw_scratch)
#define psal_direct_forward PSAL_SIMD_NAME(psal_direct_forward)
#define psal_direct_dx PSAL_SIMD_NAME(psal_direct_dx)
#define psal_direct_dw PSAL_SIMD_NAME(psal_direct_dw)

size_t psal_direct_forward_scratch(const psal_conv2d_shape *s, int threads);
size_t psal_direct_dx_scratch(const psal_conv2d_shape *s, int threads);
size_t psal_direct_dw_scratch(const psal_conv2d_shape *s, int threads); /* for dw and for the mean */
/* chains: sums by PSAL_MICRO_CHAINS, more accurate and a little slower */
void psal_direct_forward(const psal_conv2d_shape *s, bool chains, const float *x, const float *w, float *y,
                         const psal_parallel *parallel);
void psal_direct_dx(const psal_conv2d_shape *s, const float *dy, const float *w, float *dx,
                    const psal_parallel *parallel);
/* col2im of one image and group: dx[channel] = sum over taps of columns[(channel, tap), P] at their places */
#define psal_direct_col2im PSAL_SIMD_NAME(psal_direct_col2im)
void psal_direct_col2im(const psal_conv2d_shape *s, const float *columns, float *dx, int threads);

/* dw when `dw` is not NULL, otherwise the filters' means of |dw| (or of dw) into mean[out_channels] */
void psal_direct_dw(const psal_conv2d_shape *s, const float *x, const float *dy, float *dw, bool is_signed, float *mean,
                    const psal_parallel *parallel);

#endif
