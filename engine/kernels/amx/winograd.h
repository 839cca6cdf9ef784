/* winograd.h - 3 x 3 convolutions at stride 1 through Winograd's transforms (x86/winograd_transform.h) on the matrix unit. */
#ifndef PSAL_ENGINE_KERNELS_AMX_WINOGRAD_H
#define PSAL_ENGINE_KERNELS_AMX_WINOGRAD_H

#include "engine/kernels/amx/tile.h"
#include "engine/kernels/conv2d.h"

/* Of shapes that psal_winograd_possible. forward: result y from source x; transposed: result dx from source dy. m = 2 or 4; sums
 * over channels go by `sums`, which are not SIGNS. Scratch in bytes. */
size_t psal_amx_winograd_scratch(const psal_conv2d_shape *s, bool transposed, int m, int threads);
void psal_amx_winograd(const psal_conv2d_shape *s, bool transposed, int m, psal_amx_sums sums, const float *source,
                       const float *w, float *result, const psal_parallel *parallel);

#endif
