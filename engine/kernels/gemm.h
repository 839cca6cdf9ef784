/* gemm.h - dense matrix products: the one place that calls BLAS.
 *
 * Every call runs in the calling thread alone, because OpenBLAS' own threading gives other bits for other thread
 * counts; kernels spread calls over OpenMP threads themselves. Matrices are row-major. */
#ifndef PSAL_ENGINE_KERNELS_GEMM_H
#define PSAL_ENGINE_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/real.h"

/* c[m,n] = op(a)[m,k] * op(b)[k,n] + (accumulate ? c : 0), where op(a) is a, or its transpose when transpose_a is set
 * (a is then stored [k,m]); likewise b. lda, ldb, ldc are the distances between stored rows, in elements. Without
 * `accumulate` c is never read, so it may hold NaN. m, n >= 0; k = 0 gives zeros (or leaves c alone). */
void psal_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const psal_real *a, size_t lda,
               const psal_real *b, size_t ldb, bool accumulate, psal_real *c, size_t ldc);

/* The processor that BLAS took its kernels for: "SkylakeX", say. It does not know processors newer than itself, and for
 * these may choose slow ones ("Prescott"). */
const char *psal_gemm_kernels(void);

#endif
