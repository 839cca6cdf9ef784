/* unpacked.h - the register tile of micro.h on an A that is read where it lies: C[m, n] (+)= A[m, k] * B[k, n] with
 *
 *   rows, chains  A(m, k) = a[m * a_step + k]
 *   columns       A(m, k) = a[k * a_step + m]
 *
 * and B and C, and every bit of the result, as there. Fewer rows and more columns than packed: a broadcast of A serves up to four
 * vectors. Images of 7 x 7 have 49 columns: three vectors, and one column that costs as much as a fourth of them does if its vectors
 * run over columns, but a sixteenth if they run over rows. */
#ifndef PSAL_ENGINE_KERNELS_X86_UNPACKED_H
#define PSAL_ENGINE_KERNELS_X86_UNPACKED_H

#include "engine/kernels/x86/micro.h"

/* The most columns, by the number of registers */
#define UNPACKED_COLUMNS ((WIDTH == 16 ? 4 : 2) * WIDTH)

#define psal_unpacked_rows PSAL_SIMD_NAME(psal_unpacked_rows)
#define psal_unpacked_exact PSAL_SIMD_NAME(psal_unpacked_exact)
#define psal_unpacked PSAL_SIMD_NAME(psal_unpacked)

/* The most rows of a tile with so many columns. */
size_t psal_unpacked_rows(size_t columns);

/* Whether of B nothing but its columns is read. */
bool psal_unpacked_exact(size_t columns);

/* Where A is columns, rows of memory are far apart and a tile is half a line wide: one that asked only for the next tile would find it
 * there or have to wait for all of it. Of so many tiles each asks for its share of the next ones, in runs of UNPACKED_RUN lines. */
#define UNPACKED_RUN 4u
#define UNPACKED_GROUP (2 * UNPACKED_RUN)

/* rows in [1, psal_unpacked_rows(columns)], columns in [1, UNPACKED_COLUMNS]. `next` is where A is read afterwards: of as many rows
 * as this tile's or, where it is columns, of depth / UNPACKED_GROUP steps from there, lines are asked for meanwhile. */
void psal_unpacked(psal_micro_form form, size_t rows, size_t columns, size_t depth, const float *a, size_t a_step,
                   const float *next, const float *b, size_t b_step, size_t b_block, float *c, size_t ldc,
                   bool accumulate);

#endif
