/* tile.h - the tile of the matrix unit (Intel AMX): C[32, 32] = A[32, k] * B[k, 32] in single precision by way of three
 * bfloat16 parts (split.h).
 *
 * K goes in steps of 16 words, 32 products. Of each step an operand has PARTS x 2 tiles of 16 x 16 words, 1 KiB each:
 * [row][word] those of A, which stand one after the other, STEP_FLOATS in all,
 *
 *   A  [step][part][row / 16][row % 16][word]      (signs have one part, SIGNS_STEP_FLOATS)
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

/* Every tile product is sixteen chains of fused multiply-adds of 2 x 16 bfloat16 products, whose sum is added to C. ACCURATE adds
 * up the five small products of parts first and the large one last, so that C is rounded once for 32 products; ONE_PASS rounds
 * it six times, which is as good as chains of fused multiply-adds and touches memory less. SIGNS: A has one part. */
typedef enum psal_amx_sums { PSAL_AMX_ACCURATE, PSAL_AMX_ONE_PASS, PSAL_AMX_SIGNS } psal_amx_sums;

/* c[32][ldc] = A * B over `steps` steps; without a second tile of B, only 16 columns. */
void psal_amx_multiply(psal_amx_sums sums, const float *a, const psal_amx_right *b, size_t steps, float *c, size_t ldc);

#endif
