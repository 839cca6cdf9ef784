/* tile.h - the tile of the matrix unit (Intel AMX): C[32, 32] = A[32, k] * B[k, 32] in single precision by way of three
 * bfloat16 parts (split.h).
 *
 * A step is 16 pairs of bfloat16 (split.h), 32 products. Of each step an operand has PARTS x 2 tiles of 16 x 16 pairs,
 * 1 KiB each: [row][pair] in A, contiguous, STEP_FLOATS in all,
 *
 *   A  [step][part][row / 16][row % 16][pair]      (ternary filters have one part, TERNARY_STEP_FLOATS)
 *
 * and [pair][column] in B, where psal_amx_b_tiles says. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_TILE_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_TILE_H

#include "engine/kernels/conv2d/amx/filters.h"

#define TILE_WIDTH 32u /* columns of B and C */

/* Before and after all use of the unit, in every thread */
void psal_amx_begin(void);
void psal_amx_end(void);

/* Where the tiles of B lie: step s and part p of the first 16 columns at first + s*step + p*part, of the others at
 * second + s*step + p*part, or second is NULL. A tile is contiguous. */
typedef struct psal_amx_b_tiles {
    const float *first, *second;
    size_t step, part;
} psal_amx_b_tiles;

/* The instruction adds 32 products of bfloat16 to each element of C. TWO_PASSES adds the five small products of parts
 * in all steps before the large one, so that C is rounded once for 32 products; ONE_PASS adds all six in each step and
 * rounds six times, which is as exact as a chain of fused multiply-adds and reads memory once. TERNARY: A has one
 * part. */
typedef enum psal_amx_mode { PSAL_AMX_TWO_PASSES, PSAL_AMX_ONE_PASS, PSAL_AMX_TERNARY } psal_amx_mode;

/* c[32][ldc] = A * B over `steps` steps; without a second tile of B, only 16 columns. */
void psal_amx_multiply(psal_amx_mode mode, const float *a, const psal_amx_b_tiles *b, size_t steps, float *c,
                       size_t ldc);

#endif
