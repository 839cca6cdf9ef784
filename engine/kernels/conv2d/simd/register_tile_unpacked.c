#include "engine/kernels/conv2d/simd/register_tile_unpacked.h"

#include <assert.h>

#include "engine/kernels/conv2d/simd/transpose.h"

#define MOST_VECTORS (UNPACKED_COLUMNS / WIDTH)

/* Kinds of tiles: one to four vectors of columns, or three and a single column. Accumulators, a row of B and a
 * broadcast fit in 32 registers (with four vectors 28 + 4, and the broadcast is a memory operand) or 16. */
#if WIDTH == 16
#define MOST_ROWS 8
#define FOR_EACH_ROWS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8)
#define FOR_EACH_KIND(f, form, rows)                                                               \
    f(form, rows, 1, false) f(form, rows, 2, false) f(form, rows, 3, false) f(form, rows, 3, true) \
        f(form, rows, 4, false)
#else
#define MOST_ROWS 6
#define FOR_EACH_ROWS(f) f(1) f(2) f(3) f(4) f(5) f(6)
#define FOR_EACH_KIND(f, form, rows) f(form, rows, 1, false) f(form, rows, 2, false)
#endif
enum { THREE_AND_ONE = 3, FOUR, KINDS }; /* in the order of FOR_EACH_KIND, behind one, two and three vectors */

static int kind_of(size_t columns) {
    return columns > 3 * WIDTH + 1 ? FOUR : columns > 3 * WIDTH ? THREE_AND_ONE : (int)((columns - 1) / WIDTH);
}

size_t psal_tile_rows(size_t columns) {
    return kind_of(columns) == FOUR ? 7 : MOST_ROWS;
}

bool psal_tile_reads_exactly(size_t columns) {
    return columns % WIDTH == 0 || kind_of(columns) == THREE_AND_ONE;
}

/* Offset of vector v of a row of B: a panel of 16 columns has one or two. */
INLINE size_t place_of(const int v, size_t b_block) {
    return (size_t)(v * WIDTH / BLOCK) * b_block + (size_t)(v * WIDTH % BLOCK);
}

#if WIDTH == 16
/* Where transpose_rows() puts column k < 16 of a tile's rows */
INLINE size_t transposed_at(size_t k) {
    return k % 4 * 32 + k / 4 * 8;
}

/* Up to 16 columns of a tile's rows, each contiguous */
INLINE void transpose_rows(const float *a, size_t a_step, const int rows, size_t columns, float *transposed) {
    vec r[8];
    const vec_mask mask = vec_first(columns);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = i < rows ? vec_load_masked(a + (size_t)i * a_step, mask) : vec_zero();
    transpose_in_lanes(8, r);
    /* Now lane l of r[j] and of r[4 + j] holds column 4*l + j of rows 0 .. 3 and 4 .. 7. */
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512d first = _mm512_castps_pd(r[j]), second = _mm512_castps_pd(r[4 + j]);
        vec_store(transposed + j * 32, _mm512_castpd_ps(_mm512_permutex2var_pd(first, low, second)));
        vec_store(transposed + j * 32 + 16, _mm512_castpd_ps(_mm512_permutex2var_pd(first, high, second)));
    }
}
#else
INLINE size_t transposed_at(size_t k) {
    return k * BLOCK;
}

INLINE void transpose_rows(const float *a, size_t a_step, const int rows, size_t columns, float *transposed) {
    transpose_block(a, a_step, (size_t)rows, columns, transposed, BLOCK, BLOCK);
}
#endif

/* One tile of constant size. `single`: and one column more, the first of the next panel of B; the lanes of its
 * accumulator are the rows. */
INLINE void tile(const int rows, const int vectors, const bool single, const psal_tile_form form, size_t depth,
                 const float *a, size_t a_step, const float *next, const float *b, size_t b_step, size_t b_block,
                 float *c, size_t ldc, size_t columns, bool accumulate) {
    const bool by_rows = form != PSAL_TILE_COLUMNS, chains = form >= PSAL_TILE_CHAINS;
    const vec_mask all = vec_first((size_t)rows);
    vec acc[MOST_ROWS][MOST_VECTORS], sums[MOST_ROWS][MOST_VECTORS];
    vec last = vec_zero(), last_sum = last;
    float transposed[BLOCK * BLOCK] __attribute__((aligned(64)));
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) acc[m][v] = sums[m][v] = vec_zero();

    size_t line = 0; /* of the run that is prefetched */
    for (size_t k0 = 0; k0 < depth; k0 += BLOCK) {
        const size_t steps = depth - k0 < BLOCK ? depth - k0 : BLOCK;
        if (by_rows) {
#pragma GCC unroll 8
            for (int m = 0; m < rows; m++) prefetch(next + (size_t)m * a_step + k0, 1);
            if (single) transpose_rows(a, a_step, rows, steps, transposed);
        }
        for (size_t k = 0; k < steps; k++, b += b_step) {
            vec row[MOST_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) row[v] = vec_load(b + place_of(v, b_block));
#pragma GCC unroll 8
            for (int m = 0; m < rows; m++) {
                const vec s = vec_broadcast(by_rows ? a[(size_t)m * a_step] : a[m]);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) acc[m][v] = vec_fma(s, row[v], acc[m][v]);
            }
            if (single) {
                const vec column = by_rows ? vec_load(transposed + transposed_at(k)) : vec_load_masked(a, all);
                last = vec_fma(column, vec_broadcast(b[place_of(vectors, b_block)]), last);
            }
            if (!by_rows && k % 2 == 0) {
                prefetch(next + line * BLOCK, 1);
                line = (line + 1) % UNPACKED_RUN;
                if (line == 0) next += a_step;
            }
            a += by_rows ? 1 : a_step;
        }
        if (chains && psal_tile_chain_ends(form, k0 + BLOCK, depth)) {
            psal_tile_end_chains(rows, vectors, MOST_VECTORS, &acc[0][0], &sums[0][0]);
            last_sum = vec_add(last_sum, last);
            last = vec_zero();
        }
    }

    float single_results[WIDTH];
    if (single) vec_store(single_results, chains ? vec_add(last_sum, last) : last);
    const vec_mask end = single ? vec_first(WIDTH) : vec_first(columns - (size_t)(vectors - 1) * WIDTH);
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++) {
        float *dst = c + (size_t)m * ldc;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++, dst += WIDTH) {
            const vec_mask mask = v < vectors - 1 ? vec_first(WIDTH) : end;
            vec sum = chains ? vec_add(sums[m][v], acc[m][v]) : acc[m][v];
            if (accumulate) sum = vec_add(vec_load_masked(dst, mask), sum);
            vec_store_masked(dst, mask, sum);
        }
        if (single) *dst = accumulate ? *dst + single_results[m] : single_results[m];
    }
}

typedef void tile_function(size_t depth, const float *a, size_t a_step, const float *next, const float *b,
                           size_t b_step, size_t b_block, float *c, size_t ldc, size_t columns, bool accumulate);

#define DEFINE_TILE(form, rows, vectors, single)                                                                       \
    static void tile_##form##_##rows##_##vectors##_##single(                                                           \
        size_t depth, const float *a, size_t a_step, const float *next, const float *b, size_t b_step, size_t b_block, \
        float *c, size_t ldc, size_t columns, bool accumulate) {                                                       \
        tile(rows, vectors, single, form, depth, a, a_step, next, b, b_step, b_block, c, ldc, columns, accumulate);    \
    }
#define DEFINE_TILES(rows)                              \
    FOR_EACH_KIND(DEFINE_TILE, PSAL_TILE_ROWS, rows)    \
    FOR_EACH_KIND(DEFINE_TILE, PSAL_TILE_COLUMNS, rows) \
    FOR_EACH_KIND(DEFINE_TILE, PSAL_TILE_CHAINS, rows)  \
    FOR_EACH_KIND(DEFINE_TILE, PSAL_TILE_LONG_CHAINS, rows)
#define NAME(form, rows, vectors, single) tile_##form##_##rows##_##vectors##_##single,
#define NAMES(rows)                                  \
    {{FOR_EACH_KIND(NAME, PSAL_TILE_ROWS, rows)},    \
     {FOR_EACH_KIND(NAME, PSAL_TILE_COLUMNS, rows)}, \
     {FOR_EACH_KIND(NAME, PSAL_TILE_CHAINS, rows)},  \
     {FOR_EACH_KIND(NAME, PSAL_TILE_LONG_CHAINS, rows)}},

FOR_EACH_ROWS(DEFINE_TILES)

static tile_function *const tiles[MOST_ROWS][4][KINDS] = {FOR_EACH_ROWS(NAMES)};

void psal_register_tile_unpacked(psal_tile_form form, size_t rows, size_t columns, size_t depth, const float *a,
                                 size_t a_step, const float *next, const float *b, size_t b_step, size_t b_block,
                                 float *c, size_t ldc, bool accumulate) {
    assert(rows > 0 && rows <= psal_tile_rows(columns) && columns > 0 && columns <= UNPACKED_COLUMNS);
    tiles[rows - 1][form][kind_of(columns)](depth, a, a_step, next, b, b_step, b_block, c, ldc, columns, accumulate);
}
