/* tile.h - the tile of the matrix unit (Intel AMX): C[32, 32] = A[32, k] * B[k, 32] in single precision by way of three
 * bfloat16 parts (split.h).
 *
 * K goes in steps of 16 words, 32 products. Of each step an operand has PARTS x 2 tiles of 16 x 16 words, 1 KiB each:
 * [row][word] those of A, which stand one after the other, STEP_FLOATS in all,
 *
 *   A  [step][part][row / 16][row % 16][word]
 *
 * and [word][column] those of B, which stand where psal_amx_right says. */
#ifndef PSAL_ENGINE_KERNELS_AMX_TILE_H
#define PSAL_ENGINE_KERNELS_AMX_TILE_H

#include "engine/kernels/amx/filters.h"

#define TILE_WIDTH 32u /* columns of B and C */

/* Around everything that uses the unit, in every thread. */
void psal_amx_begin(void);
void psal_amx_end(void);

/* Where the tiles of B lie: those of step s and part p at first + s*step + p*part for the first 16 columns, at second + ... for
 * the others; second may be NULL. A tile is always in one piece. */
typedef struct psal_amx_right {
    const float *first, *second;
    size_t step, part;
} psal_amx_right;

/* c[32][ldc] = A * B over `steps` steps; without a second tile of B, only 16 columns.
 *
 * Every tile product is sixteen chains of fused multiply-adds of 2 x 16 bfloat16 products, whose sum is added to C. With
 * `accurate` the five small products of parts are added up first and the large one last, so that C is rounded once for 32
 * products; without, six times, which is as good as chains of fused multiply-adds and touches memory less. */
void psal_amx_multiply(bool accurate, const float *a, const psal_amx_right *b, size_t steps, float *c, size_t ldc);

#endif
