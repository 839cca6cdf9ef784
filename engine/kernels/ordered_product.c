#include "engine/kernels/ordered_product.h"

#include <stdbool.h>

#include "engine/kernels/clones.h"

/* COLUMNS: their sums and rows of b stay in the L1 cache. Chains as in conv2d/simd/register_tile.h */
enum { COLUMNS = 128, CHAIN = 32, LONG_CHAIN = 64, LONG = 2048, TOGETHER = 4 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* One chain of two rows of a: sums[row][column] = sum over k of a[row][k] * b[k][column], in the order of k */
static inline __attribute__((always_inline)) void add_chain(size_t n, size_t k, const psal_real *a0,
                                                            const psal_real *a1, const psal_real *b, size_t ldb,
                                                            psal_real *restrict sum0, psal_real *restrict sum1) {
    for (size_t j = 0; j < n; j++) sum0[j] = sum1[j] = 0;
    size_t i = 0;
    for (; i + TOGETHER <= k; i += TOGETHER) {
        const psal_real *b0 = b + i * ldb, *b1 = b0 + ldb, *b2 = b1 + ldb, *b3 = b2 + ldb;
        for (size_t j = 0; j < n; j++) {
            sum0[j] = sum0[j] + a0[i] * b0[j] + a0[i + 1] * b1[j] + a0[i + 2] * b2[j] + a0[i + 3] * b3[j];
            sum1[j] = sum1[j] + a1[i] * b0[j] + a1[i + 1] * b1[j] + a1[i + 2] * b2[j] + a1[i + 3] * b3[j];
        }
    }
    for (; i < k; i++)
        for (size_t j = 0; j < n; j++) {
            sum0[j] += a0[i] * b[i * ldb + j];
            sum1[j] += a1[i] * b[i * ldb + j];
        }
}

static inline __attribute__((always_inline)) void end_chain(size_t n, const psal_real *sum, bool first,
                                                            psal_real *restrict c) {
    if (first)
        for (size_t j = 0; j < n; j++) c[j] = sum[j];
    else
        for (size_t j = 0; j < n; j++) c[j] += sum[j];
}

/* Some columns. Two rows at a time; the last of an odd number of rows is computed twice. */
PSAL_CLONES static void multiply_columns(size_t m, size_t n, size_t k, const psal_real *a, size_t lda,
                                         const psal_real *b, size_t ldb, psal_real *c, size_t ldc) {
    psal_real sum[2][COLUMNS];
    const size_t chain = k < LONG ? CHAIN : LONG_CHAIN;
    for (size_t start = 0; start < k || start == 0; start += chain)
        for (size_t row = 0; row < m; row += 2) {
            const psal_real *a0 = a + row * lda + start, *a1 = row + 1 < m ? a0 + lda : a0;
            add_chain(n, smaller(chain, k - start), a0, a1, b + start * ldb, ldb, sum[0], sum[1]);
            end_chain(n, sum[0], start == 0, c + row * ldc);
            if (row + 1 < m) end_chain(n, sum[1], start == 0, c + (row + 1) * ldc);
        }
}

void psal_ordered_product(size_t m, size_t n, size_t k, const psal_real *a, size_t lda, const psal_real *b, size_t ldb,
                          psal_real *c, size_t ldc) {
    for (size_t j = 0; j < n; j += COLUMNS)
        multiply_columns(m, smaller(COLUMNS, n - j), k, a, lda, b + j, ldb, c + j, ldc);
}

/* ---- dots: independent sums, which are vectors, over a run of columns, and those of the runs added up in double
 * ---- */

enum { LANES = 32, RUN = 64 * LANES };

static inline __attribute__((always_inline)) psal_real add_lanes(psal_real *lanes) {
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

PSAL_CLONES void psal_ordered_dots(size_t rows, size_t columns, const psal_real *a, size_t lda, const psal_real *x,
                                   psal_real *y) {
    for (size_t r = 0; r < rows; r++, a += lda) {
        double total = 0;
        for (size_t start = 0; start < columns; start += RUN) {
            psal_real lanes[LANES] = {0};
            const size_t end = smaller(start + RUN, columns), whole = start + (end - start) / LANES * LANES;
            for (size_t i = start; i < whole; i += LANES)
                for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += a[i + lane] * x[i + lane];
            for (size_t i = whole; i < end; i++) lanes[i - whole] += a[i] * x[i];
            total += add_lanes(lanes);
        }
        y[r] = (psal_real)total;
    }
}
