/* conv2d_methods.h - the implementations behind conv2d.h, one set of functions each; only conv2d.c calls them. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_METHODS_H
#define PSAL_ENGINE_KERNELS_CONV2D_METHODS_H

#include "engine/kernels/conv2d.h"

/* im2col and OpenBLAS: every shape, float and double (conv2d_gemm.c) */
size_t psal_conv2d_gemm_forward_scratch(const psal_conv2d_shape *s, int threads);
size_t psal_conv2d_gemm_dx_scratch(const psal_conv2d_shape *s, int threads);
size_t psal_conv2d_gemm_dw_scratch(const psal_conv2d_shape *s, int threads);
void psal_conv2d_gemm_forward(const psal_conv2d_shape *s, const psal_real *x, const psal_real *w, psal_real *y,
                              const psal_parallel *parallel);
void psal_conv2d_gemm_dx(const psal_conv2d_shape *s, const psal_real *dy, const psal_real *w, psal_real *dx,
                         const psal_parallel *parallel);
void psal_conv2d_gemm_dw(const psal_conv2d_shape *s, const psal_real *x, const psal_real *dy, psal_real *dw,
                         const psal_parallel *parallel);
size_t psal_conv2d_gemm_dw_mean_scratch(const psal_conv2d_shape *s, int threads);
void psal_conv2d_gemm_dw_mean(const psal_conv2d_shape *s, const psal_real *x, const psal_real *dy, bool is_signed,
                              psal_real *mean, const psal_parallel *parallel);

#endif
