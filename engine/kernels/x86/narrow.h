/* narrow.h - C[m, n] (+)= A[m, k] * B[k, n] for so few columns that packing A does not pay: a tile has all of them and reads each
 * element of A once, where it lies. The forms are those of micro.h, with
 *
 *   rows, chains  A(m, k) = a[m * a_step + k]
 *   columns       A(m, k) = a[k * a_step + m]
 *
 * and B and C, and every bit of the result, as there. Images of 7 x 7 have 49 columns: three vectors, and one column that costs as
 * much as a fourth of them does if its vectors run over columns, but a sixteenth if they run over rows. */
#ifndef PSAL_ENGINE_KERNELS_X86_NARROW_H
#define PSAL_ENGINE_KERNELS_X86_NARROW_H

#include "engine/kernels/x86/micro.h"

/* The most columns, by the number of registers */
#define NARROW_COLUMNS ((WIDTH == 16 ? 4 : 2) * WIDTH)

#define psal_narrow_rows PSAL_SIMD_NAME(psal_narrow_rows)
#define psal_narrow_exact PSAL_SIMD_NAME(psal_narrow_exact)
#define psal_narrow PSAL_SIMD_NAME(psal_narrow)

/* The most rows of a tile with so many columns. */
size_t psal_narrow_rows(size_t columns);

/* Whether of B nothing but its columns is read. */
bool psal_narrow_exact(size_t columns);

/* Where A is columns, rows of memory are far apart and a tile is half a line wide: one that asked only for the next tile would find it
 * there or have to wait for all of it. Of so many tiles each asks for its share of the next ones, in runs of NARROW_RUN lines. */
#define NARROW_RUN 4u
#define NARROW_GROUP (2 * NARROW_RUN)

/* rows in [1, psal_narrow_rows(columns)], columns in [1, NARROW_COLUMNS]. `next` is where A is read afterwards: of as many rows
 * as this tile's or, where it is columns, of depth / NARROW_GROUP steps from there, lines are asked for meanwhile. */
void psal_narrow(psal_micro_form form, size_t rows, size_t columns, size_t depth, const float *a, size_t a_step,
                 const float *next, const float *b, size_t b_step, size_t b_block, float *c, size_t ldc, bool accumulate);

#endif
