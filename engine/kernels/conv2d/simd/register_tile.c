#include "engine/kernels/conv2d/simd/register_tile.h"

/* One tile of constant size: inlined, the loops over m and v are unrolled and acc stays in registers. Each accumulator
 * adds its products in the order of k, so a result depends only on its row of A and its column of B. */
INLINE void tile(const int rows, const int vectors, const psal_tile_form form, size_t depth, const float *a,
                 size_t a_step, const float *b, size_t b_step, size_t b_block, float *c, size_t ldc, size_t columns,
                 bool accumulate) {
    const bool by_rows = form != PSAL_TILE_COLUMNS;
    vec acc[MAX_ROWS][2];
    const size_t second = WIDTH == BLOCK ? b_block : WIDTH; /* offset of the second vector */
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) acc[m][v] = vec_zero();

    for (size_t k0 = 0; k0 < depth; k0 += BLOCK) {
        const size_t steps = depth - k0 < BLOCK ? depth - k0 : BLOCK;
        const float *step_a = a;
#pragma GCC unroll 2
        for (size_t k = 0; k < steps; k++) {
            vec b0 = vec_load(b), b1 = vectors > 1 ? vec_load(b + second) : b0;
#pragma GCC unroll 16
            for (int m = 0; m < rows; m++) {
                vec s = vec_broadcast(step_a[by_rows ? m * BLOCK : m]);
                acc[m][0] = vec_fma(s, b0, acc[m][0]);
                if (vectors > 1) acc[m][1] = vec_fma(s, b1, acc[m][1]);
            }
            step_a += by_rows ? 1 : a_step;
            b += b_step;
        }
        a = by_rows ? a + a_step : step_a;
    }

    const vec_mask last = vec_first(columns - (size_t)(vectors - 1) * WIDTH);
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++) {
        float *dst = c + (size_t)m * ldc;
        if (vectors > 1) {
            vec_store(dst, accumulate ? vec_add(vec_load(dst), acc[m][0]) : acc[m][0]);
            dst += WIDTH;
        }
        vec sum = acc[m][vectors - 1];
        if (accumulate) sum = vec_add(vec_load_masked(dst, last), sum);
        vec_store_masked(dst, last, sum);
    }
}

typedef void tile_function(size_t depth, const float *a, size_t a_step, const float *b, size_t b_step, size_t b_block,
                           float *c, size_t ldc, size_t columns, bool accumulate);

#define DEFINE_TILE(form, rows, vectors)                                                                              \
    static void tile_##form##_##rows##_##vectors(size_t depth, const float *a, size_t a_step, const float *b,         \
                                                 size_t b_step, size_t b_block, float *c, size_t ldc, size_t columns, \
                                                 bool accumulate) {                                                   \
        tile(rows, vectors, form, depth, a, a_step, b, b_step, b_block, c, ldc, columns, accumulate);                 \
    }
#define DEFINE_TILES(rows)                  \
    DEFINE_TILE(PSAL_TILE_ROWS, rows, 1)    \
    DEFINE_TILE(PSAL_TILE_ROWS, rows, 2)    \
    DEFINE_TILE(PSAL_TILE_COLUMNS, rows, 1) \
    DEFINE_TILE(PSAL_TILE_COLUMNS, rows, 2)

#define NAMED(rows)                                                    \
    {{tile_PSAL_TILE_ROWS_##rows##_1, tile_PSAL_TILE_ROWS_##rows##_2}, \
     {tile_PSAL_TILE_COLUMNS_##rows##_1, tile_PSAL_TILE_COLUMNS_##rows##_2}},

#if MAX_ROWS == 14
#define FOR_EACH_ROWS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
#else
#define FOR_EACH_ROWS(f) f(1) f(2) f(3) f(4) f(5) f(6)
#endif

FOR_EACH_ROWS(DEFINE_TILES)

static tile_function *const tiles[MAX_ROWS][2][2] = {FOR_EACH_ROWS(NAMED)};

#if WIDTH == 16

INLINE void half_tile(const int rows, const psal_tile_form form, size_t depth, const float *a, size_t a_step,
                      const float *b, size_t b_step, float *c, size_t ldc, size_t columns, bool accumulate) {
    const bool by_rows = form != PSAL_TILE_COLUMNS;
    __m256 acc[MAX_ROWS];
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++) acc[m] = _mm256_setzero_ps();
    for (size_t k0 = 0; k0 < depth; k0 += BLOCK) {
        const size_t steps = depth - k0 < BLOCK ? depth - k0 : BLOCK;
        const float *step_a = a;
        for (size_t k = 0; k < steps; k++, b += b_step, step_a += by_rows ? 1 : a_step) {
            __m256 b0 = _mm256_loadu_ps(b);
#pragma GCC unroll 16
            for (int m = 0; m < rows; m++)
                acc[m] = _mm256_fmadd_ps(_mm256_set1_ps(step_a[by_rows ? m * BLOCK : m]), b0, acc[m]);
        }
        a = by_rows ? a + a_step : step_a;
    }
    const __mmask8 last = (__mmask8)((1u << columns) - 1);
#pragma GCC unroll 16
    for (int m = 0; m < rows; m++) {
        float *dst = c + (size_t)m * ldc;
        if (accumulate) acc[m] = _mm256_add_ps(_mm256_maskz_loadu_ps(last, dst), acc[m]);
        _mm256_mask_storeu_ps(dst, last, acc[m]);
    }
}

typedef void half_tile_function(size_t depth, const float *a, size_t a_step, const float *b, size_t b_step, float *c,
                                size_t ldc, size_t columns, bool accumulate);

#define DEFINE_HALF(form, rows)                                                                                  \
    static void half_##form##_##rows(size_t depth, const float *a, size_t a_step, const float *b, size_t b_step, \
                                     float *c, size_t ldc, size_t columns, bool accumulate) {                    \
        half_tile(rows, form, depth, a, a_step, b, b_step, c, ldc, columns, accumulate);                         \
    }
#define DEFINE_HALVES(rows) DEFINE_HALF(PSAL_TILE_ROWS, rows) DEFINE_HALF(PSAL_TILE_COLUMNS, rows)
#define NAMED_HALF(rows) {half_PSAL_TILE_ROWS_##rows, half_PSAL_TILE_COLUMNS_##rows},

FOR_EACH_ROWS(DEFINE_HALVES)

static half_tile_function *const half_tiles[MAX_ROWS][2] = {FOR_EACH_ROWS(NAMED_HALF)};

#endif

void psal_register_tile(psal_tile_form form, size_t rows, size_t columns, size_t depth, const float *a, size_t a_step,
                        const float *b, size_t b_step, size_t b_block, float *c, size_t ldc, bool accumulate) {
#if WIDTH == 16
    /* A last vector of at most 8 columns takes half the time in 256-bit registers. */
    if (columns % WIDTH > 0 && columns % WIDTH <= 8) {
        const size_t whole = columns - columns % WIDTH;
        if (whole > 0) tiles[rows - 1][form][0](depth, a, a_step, b, b_step, b_block, c, ldc, whole, accumulate);
        half_tiles[rows - 1][form](depth, a, a_step, b + (whole > 0 ? b_block : 0), b_step, c + whole, ldc,
                                   columns - whole, accumulate);
        return;
    }
#endif
    tiles[rows - 1][form][columns > WIDTH](depth, a, a_step, b, b_step, b_block, c, ldc, columns, accumulate);
}
