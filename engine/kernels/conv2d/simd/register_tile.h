/* register_tile.h - the register tile: C[m, n] (+)= A[m, k] * B[k, n] with at most MAX_ROWS rows and TILE_COLUMNS
 * columns.
 *
 * After Goto and van de Geijn 2008: the accumulators stay in registers for the whole depth; each step loads one row of
 * B and multiplies it by one broadcast element of A per row. A is packed in one of two forms:
 *
 *   ROWS      A(m, k) = a[(k / BLOCK) * a_step + m * BLOCK + k % BLOCK]
 *   COLUMNS   A(m, k) = a[k * a_step + m]
 *
 * B(k, n) = b[(n / BLOCK) * b_block + k * b_step + n % BLOCK]: panels of one BLOCK of columns (columns beyond `columns`
 * are read up to the next BLOCK boundary, but never used), fastest when aligned to 64 bytes. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_REGISTER_TILE_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_REGISTER_TILE_H

#include "engine/kernels/conv2d/simd/simd.h"

/* CHAINS (register_tile_unpacked.h only) is the form ROWS with sums cut into chains of BLOCK products, or 2 * BLOCK,
 * which are added up. The error of a sum of n products is about sqrt(n / 2) roundings, from chains of length c sqrt(c /
 * 2 + n / 2c), least at c = sqrt(n); from 512 products on the long ones are as good, and cost half. They are for the
 * forward pass: a ReLU that is decided the other way changes every gradient behind it. */
typedef enum psal_tile_form {
    PSAL_TILE_ROWS,
    PSAL_TILE_COLUMNS,
    PSAL_TILE_CHAINS,
    PSAL_TILE_LONG_CHAINS
} psal_tile_form;

/* The chains for sums of n products */
static inline psal_tile_form psal_tile_chains(size_t n) {
    return n < 512 ? PSAL_TILE_CHAINS : PSAL_TILE_LONG_CHAINS;
}

/* Whether a chain, but not the last one, ends before step k, a multiple of BLOCK */
static inline bool psal_tile_chain_ends(psal_tile_form form, size_t k, size_t depth) {
    return k < depth && (form == PSAL_TILE_CHAINS || k % (2 * BLOCK) == 0);
}

/* At its end: add acc[rows][wide], of which `vectors` are used, to sums, and set it to 0. Inlined into a register tile
 * of constant size, whose acc stays in registers. */
INLINE void psal_tile_end_chains(const int rows, const int vectors, const int wide, vec *acc, vec *sums) {
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
#define psal_register_tile PSAL_SIMD_NAME(psal_register_tile)
void psal_register_tile(psal_tile_form form, size_t rows, size_t columns, size_t depth, const float *a, size_t a_step,
                        const float *b, size_t b_step, size_t b_block, float *c, size_t ldc, bool accumulate);

#endif
