/* codes.h - the algorithms of this folder. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_CODES_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_CODES_H

#include "engine/kernels/conv2d/algorithm.h"

extern const psal_conv2d_code psal_amx_forward, psal_amx_col2im, psal_amx_phases, psal_amx_dw, psal_amx_winograd;

#endif
