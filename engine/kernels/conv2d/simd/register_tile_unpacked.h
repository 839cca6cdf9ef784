/* register_tile_unpacked.h - the register tile of register_tile.h with an A that is not packed: C[m, n] (+)= A[m, k] *
 * B[k, n] with
 *
 *   ROWS, CHAINS  A(m, k) = a[m * a_step + k]
 *   COLUMNS       A(m, k) = a[k * a_step + m]
 *
 * B, C and every bit of the result are as there. It has fewer rows and more columns than the packed one, so that a
 * broadcast of A is multiplied by up to four vectors. Images of 7 x 7 have 49 columns: three vectors and a single
 * column, for which vectors run over the rows: one multiplication for all rows instead of one for each. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_REGISTER_TILE_UNPACKED_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_REGISTER_TILE_UNPACKED_H

#include "engine/kernels/conv2d/simd/register_tile.h"

/* The most columns, by the number of registers */
#define UNPACKED_COLUMNS ((WIDTH == 16 ? 4 : 2) * WIDTH)

#define psal_tile_rows PSAL_SIMD_NAME(psal_tile_rows)
#define psal_tile_reads_exactly PSAL_SIMD_NAME(psal_tile_reads_exactly)
#define psal_register_tile_unpacked PSAL_SIMD_NAME(psal_register_tile_unpacked)

/* The most rows of a tile with so many columns. */
size_t psal_tile_rows(size_t columns);

/* Whether no element of B beyond its columns is read */
bool psal_tile_reads_exactly(size_t columns);

/* COLUMNS: rows of memory are far apart, and a tile is half a cache line wide. So the lines of the next UNPACKED_GROUP
 * tiles are prefetched by as many tiles, each a share of the steps, in runs of UNPACKED_RUN lines. */
#define UNPACKED_RUN 4u
#define UNPACKED_GROUP (2 * UNPACKED_RUN)

/* rows in [1, psal_tile_rows(columns)], columns in [1, UNPACKED_COLUMNS]. `next`: where to prefetch A for later tiles,
 * as many rows as this tile has or, with COLUMNS, depth / UNPACKED_GROUP steps. */
void psal_register_tile_unpacked(psal_tile_form form, size_t rows, size_t columns, size_t depth, const float *a,
                                 size_t a_step, const float *next, const float *b, size_t b_step, size_t b_block,
                                 float *c, size_t ldc, bool accumulate);

#endif
