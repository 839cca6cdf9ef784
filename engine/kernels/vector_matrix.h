/* vector_matrix.h - a vector times a matrix that is as long to read as the product takes. */
#ifndef PSAL_ENGINE_KERNELS_VECTOR_MATRIX_H
#define PSAL_ENGINE_KERNELS_VECTOR_MATRIX_H

#include <stddef.h>

#include "engine/real.h"

/* y[columns] = sum over rows of x[r] * a[r * lda + column], in the order of the rows. Rows for which x is 0 are not read: behind
 * a ReLU half of a gradient's elements are, and the matrix is much larger than any cache. (So 0 times what is not a number is 0
 * here.) Runs in the calling thread. */
void psal_vector_matrix(size_t rows, size_t columns, const psal_real *x, const psal_real *a, size_t lda, psal_real *y);

/* The same with rows from elsewhere: fetch(rows_of, r, slot) gives row r, which must stay as it is until the next call with that
 * slot. Slots are 0 .. PSAL_VECTOR_MATRIX_SLOTS - 1. */
enum { PSAL_VECTOR_MATRIX_SLOTS = 4 };
typedef const psal_real *psal_fetch_row(void *rows_of, size_t row, size_t slot);
void psal_vector_matrix_of(size_t rows, size_t columns, const psal_real *x, psal_fetch_row *fetch, void *rows_of,
                           psal_real *y);

#endif
