/* winograd.h - 3 x 3 convolutions at stride 1 through Winograd's transforms (Lavin and Gray 2016), m = 2 or 4. */
#ifndef PSAL_ENGINE_KERNELS_X86_WINOGRAD_H
#define PSAL_ENGINE_KERNELS_X86_WINOGRAD_H

#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/simd.h"

#define psal_winograd_conv_scratch PSAL_SIMD_NAME(psal_winograd_conv_scratch)
#define psal_winograd_conv PSAL_SIMD_NAME(psal_winograd_conv)
#define psal_winograd_dw_scratch PSAL_SIMD_NAME(psal_winograd_dw_scratch)
#define psal_winograd_dw PSAL_SIMD_NAME(psal_winograd_dw)

/* The input gradient of such a convolution is the same operation on dy with turned filters and padding 2 - padding. */
static inline bool psal_winograd_possible(const psal_conv2d_shape *s)
{
    return s->kernel_height == 3 && s->kernel_width == 3 && s->stride_height == 1 && s->stride_width == 1 &&
           s->dilation_height == 1 && s->dilation_width == 1 && s->groups == 1;
}

/* forward: result y from source x; transposed: result dx from source dy; chains: sums by PSAL_MICRO_CHAINS */
size_t psal_winograd_conv_scratch(const psal_conv2d_shape *s, bool transposed, int m, int threads);
void psal_winograd_conv(const psal_conv2d_shape *s, bool transposed, int m, bool chains, const float *source,
                        const float *w, float *result, const psal_parallel *parallel);

/* dw when it is not NULL, otherwise the filters' means of |dw| (or of dw) into mean[out_channels] */
size_t psal_winograd_dw_scratch(const psal_conv2d_shape *s, int m, int threads);
void psal_winograd_dw(const psal_conv2d_shape *s, int m, const float *x, const float *dy, float *dw, bool is_signed,
                      float *mean, const psal_parallel *parallel);

#endif
