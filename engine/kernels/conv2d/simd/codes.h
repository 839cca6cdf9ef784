/* codes.h - the algorithms of this folder, once for each instruction set (simd.h). */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_CODES_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_CODES_H

#include "engine/kernels/conv2d/algorithm.h"

#define PSAL_DECLARE_CODES(set)                                                                                \
    extern const psal_conv2d_code psal_winograd_##set, psal_winograd_dw_##set, psal_first_layer_forward_##set, \
        psal_first_layer_dx_##set, psal_first_layer_dw_##set, psal_implicit_gemm_forward_##set,                \
        psal_implicit_gemm_pointwise_dx_##set, psal_implicit_gemm_dw_##set, psal_col2im_##set,                 \
        psal_implicit_gemm_phases_##set, psal_depthwise_forward_##set, psal_depthwise_dx_##set,                \
        psal_depthwise_dw_##set;
PSAL_DECLARE_CODES(avx2)
PSAL_DECLARE_CODES(avx512)
PSAL_DECLARE_CODES(neon)
extern const psal_conv2d_code psal_ternary_table_avx512;

#endif
