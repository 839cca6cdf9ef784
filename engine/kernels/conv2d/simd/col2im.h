/* col2im.h - elements of columns added to their pixels. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_COL2IM_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_COL2IM_H

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/simd.h"

/* Of one image and group: dx[channel] = sum over taps of columns[(channel, tap), P] at their places */
#define psal_col2im_image PSAL_SIMD_NAME(psal_col2im_image)
void psal_col2im_image(const psal_conv2d_shape *s, const float *columns, float *dx, int threads);

#endif
