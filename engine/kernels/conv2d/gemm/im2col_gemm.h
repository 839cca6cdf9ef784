/* im2col_gemm.h - the reference convolution (im2col_gemm.c): every shape, on every machine, float and double. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_GEMM_IM2COL_GEMM_H
#define PSAL_ENGINE_KERNELS_CONV2D_GEMM_IM2COL_GEMM_H

#include "engine/kernels/conv2d/algorithm.h"

extern const psal_conv2d_code psal_im2col_gemm_forward, psal_im2col_gemm_dx, psal_im2col_gemm_dw;

#endif
