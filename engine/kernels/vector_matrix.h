/* vector_matrix.h - a vector times a matrix: the time is that of reading the matrix. */
#ifndef PSAL_ENGINE_KERNELS_VECTOR_MATRIX_H
#define PSAL_ENGINE_KERNELS_VECTOR_MATRIX_H

#include <stddef.h>

#include "engine/real.h"

/* y[columns] = sum over rows of x[r] * a[r * lda + column], in the order of the rows. Rows for which x is 0 are not
 * read: behind a ReLU half of a gradient's elements are, and the matrix is much larger than any cache. (So 0 times what
 * is not a number is 0 here.) Runs in the calling thread. */
void psal_vector_matrix(size_t rows, size_t columns, const psal_real *x, const psal_real *a, size_t lda, psal_real *y);

#endif
