/* ordered_product.h - matrix products for forward passes: equal operands give equal bits, wherever they lie.
 *
 * A BLAS has kernels for whole tiles and others for what is left at the edges, which add up in another order: the bits
 * of an element then depend on its place, and ties of maxima and signs of ReLUs with them. Here an element is one sum
 * in an order that follows from its length alone, cut into short chains (as exact as longer vectors of sums would be).
 * Run in the calling thread. Matrices are row-major. */
#ifndef PSAL_ENGINE_KERNELS_ORDERED_PRODUCT_H
#define PSAL_ENGINE_KERNELS_ORDERED_PRODUCT_H

#include <stddef.h>

#include "engine/real.h"

/* c[m,n] = a[m,k] * b[k,n]; lda, ldb, ldc are the distances between rows, in elements. c is only written; k = 0 gives
 * zeros. */
void psal_ordered_product(size_t m, size_t n, size_t k, const psal_real *a, size_t lda, const psal_real *b, size_t ldb,
                          psal_real *c, size_t ldc);

/* y[rows] = A x[columns]: A is rows x columns with row length lda. */
void psal_ordered_dots(size_t rows, size_t columns, const psal_real *a, size_t lda, const psal_real *x, psal_real *y);

#endif
