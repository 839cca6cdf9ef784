/* dw.h - weight gradient on the matrix unit: dw[o, (c,i,j)] = sum over P of dy[o, P] * column[(c,i,j), P], P over images and
 * positions. */
#ifndef PSAL_ENGINE_KERNELS_AMX_DW_H
#define PSAL_ENGINE_KERNELS_AMX_DW_H

#include "engine/kernels/conv2d.h"

size_t psal_amx_dw_scratch(const psal_conv2d_shape *s, int threads); /* bytes; groups must be 1 */

/* dw when it is not NULL, otherwise the filters' means of |dw| (or of dw) into mean[out_channels] */
void psal_amx_dw(const psal_conv2d_shape *s, const float *x, const float *dy, float *dw, bool is_signed, float *mean,
                 const psal_parallel *parallel);

#endif
