/* micro.h - the register tile: C[m, n] (+)= A[m, k] * B[k, n] with at most MAX_ROWS rows and TILE_COLUMNS columns.
 *
 * After Goto and van de Geijn 2008: the accumulators stay in registers for the whole depth; each step loads one row of B
 * and multiplies it with one broadcast element of A per row. A is packed so that all its elements of a step lie at constant
 * distances, in one of two ways:
 *
 *   rows      A(m, k) = a[(k / BLOCK) * a_step + m * BLOCK + k % BLOCK]   packed by copying, when k is contiguous in memory
 *   columns   A(m, k) = a[k * a_step + m]                                  when m is contiguous in memory
 *
 * B(k, n) = b[(n / BLOCK) * b_block + k * b_step + n % BLOCK]: panels of one BLOCK of columns (columns beyond `columns` are
 * read up to the next BLOCK boundary, but never used). Panels at least 16-float aligned run fastest. */
#ifndef PSAL_ENGINE_KERNELS_X86_MICRO_H
#define PSAL_ENGINE_KERNELS_X86_MICRO_H

#include "engine/kernels/x86/simd.h"

/* PSAL_MICRO_CHAINS is the form rows with sums cut into chains of BLOCK products, which are added to one another when each is
 * complete. A sum of n products made one after the other is wrong by about sqrt(n / 2) roundings, from chains of length c by
 * sqrt(c / 2 + n / 2c), least at c = sqrt(n); from 512 products on chains twice as long are as good, and cost half. It is for the
 * forward pass: there every rounding counts (psal_conv2d_forward_method). */
typedef enum psal_micro_form { PSAL_MICRO_ROWS, PSAL_MICRO_COLUMNS, PSAL_MICRO_CHAINS } psal_micro_form;

/* Whether a chain, but not the last one, ends with step k, a multiple of BLOCK. */
static inline bool psal_micro_chain_ends(size_t k, size_t depth) {
    return k < depth && k % (depth < 512 ? BLOCK : 2 * BLOCK) == 0;
}

/* One does: rows x vectors of acc, `wide` of which are a row of its array, are added to sums and begin again. Inlined into a register
 * tile of constant size, whose acc stays in registers. */
static inline __attribute__((always_inline)) void psal_micro_end_chains(const int rows, const int vectors,
                                                                        const int wide, vec *acc, vec *sums) {
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            sums[m * wide + v] = vec_add(sums[m * wide + v], acc[m * wide + v]);
            acc[m * wide + v] = vec_zero();
        }
}

/* rows in [1, MAX_ROWS], columns in [1, TILE_COLUMNS]; with `accumulate` the product is added to c, otherwise c is only
 * written. */
#define psal_micro PSAL_SIMD_NAME(psal_micro)
void psal_micro(psal_micro_form form, size_t rows, size_t columns, size_t depth, const float *a, size_t a_step,
                const float *b, size_t b_step, size_t b_block, float *c, size_t ldc, bool accumulate);

/* How `total` rows are best cut into tiles: the size of tile `index` of `tiles`, as even as possible. */
static inline size_t even_share(size_t total, size_t tiles, size_t index) {
    return total / tiles + (index < total % tiles);
}
static inline size_t even_start(size_t total, size_t tiles, size_t index) {
    return index * (total / tiles) + (index < total % tiles ? index : total % tiles);
}

#endif
