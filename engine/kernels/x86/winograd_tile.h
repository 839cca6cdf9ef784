/* winograd_tile.h - the transforms of one tile or filter (winograd_transform.h) on vectors of channels, for the files that build on
 * them: what they read and where they write differs. */
#ifndef PSAL_ENGINE_KERNELS_X86_WINOGRAD_TILE_H
#define PSAL_ENGINE_KERNELS_X86_WINOGRAD_TILE_H

#include <string.h>

#include "engine/kernels/x86/transpose.h"
#include "engine/kernels/x86/winograd_transform.h"

#define INLINE static inline __attribute__((always_inline))
#define MOST_TILE 6 /* n of F(4 x 4, 3 x 3) */

INLINE vec scaled(float s, vec v) { return vec_mul(vec_broadcast(s), v); }
INLINE vec plus_scaled(vec a, float s, vec b) { return vec_fma(vec_broadcast(s), b, a); } /* a + s*b */

/* ---- the one-dimensional transforms; elements of i are i_step apart, those of o o_step ----
 *
 * Lavin and Gray 2016, from the interpolation at 0, 1, -1 and infinity for m = 2. For m = 4 they take 0, +-1, +-2 and
 * infinity; here it is 0, +-a, +-b and infinity with a = sqrt(1/2), b = sqrt(2), whose worst error is four times
 * smaller (measured over a, b; that the points matter so much: Barabasz et al. 2020, "Error analysis and improving the
 * accuracy of Winograd convolution for deep neural networks"). Since ab = 1 the transforms stay as short. */

#define POINT_A 0.70710678118654752f
#define POINT_B 1.41421356237309505f

/* B^T, m+2 -> m+2. m = 2: rows (1 0 -1 0), (0 1 1 0), (0 -1 1 0), (0 1 0 -1).
 * m = 4: rows (1 0 -5/2 0 1 0), (0 -+2a -2 +-a 1 0), (0 -+b/2 -1/2 +-b 1 0), (0 1 0 -5/2 0 1). */
INLINE void input_1d(const int m, const vec *i, const int i_step, vec *o, const int o_step)
{
    const vec d0 = i[0], d1 = i[i_step], d2 = i[2 * i_step], d3 = i[3 * i_step];
    if (m == 2) {
        o[0] = vec_sub(d0, d2);
        o[o_step] = vec_add(d1, d2);
        o[2 * o_step] = vec_sub(d2, d1);
        o[3 * o_step] = vec_sub(d1, d3);
    } else {
        const vec d4 = i[4 * i_step], d5 = i[5 * i_step];
        const vec even_a = plus_scaled(d4, -2, d2), odd_a = plus_scaled(d3, -2, d1);
        const vec even_b = plus_scaled(d4, -0.5f, d2), odd_b = plus_scaled(d3, -0.5f, d1);
        o[0] = plus_scaled(vec_add(d0, d4), -2.5f, d2);
        o[o_step] = plus_scaled(even_a, POINT_A, odd_a);
        o[2 * o_step] = plus_scaled(even_a, -POINT_A, odd_a);
        o[3 * o_step] = plus_scaled(even_b, POINT_B, odd_b);
        o[4 * o_step] = plus_scaled(even_b, -POINT_B, odd_b);
        o[5 * o_step] = plus_scaled(vec_add(d1, d5), -2.5f, d3);
    }
}

/* A^T, m+2 -> m. m = 2: rows (1 1 1 0), (0 1 -1 -1).
 * m = 4: rows (1 1 1 1 1 0), (0 a -a b -b 0), (0 1/2 1/2 2 2 0), (0 a/2 -a/2 2b -2b 1). */
INLINE void output_1d(const int m, const vec *i, const int i_step, vec *o, const int o_step)
{
    const vec p0 = i[0], p1 = i[i_step], p2 = i[2 * i_step], p3 = i[3 * i_step];
    const vec sum = vec_add(p1, p2), difference = vec_sub(p1, p2);
    if (m == 2) {
        o[0] = vec_add(p0, sum);
        o[o_step] = vec_sub(difference, p3);
    } else {
        const vec p4 = i[4 * i_step], sum_b = vec_add(p3, p4);
        const vec odd_a = scaled(POINT_A, difference), odd_b = scaled(POINT_B, vec_sub(p3, p4));
        o[0] = vec_add(vec_add(p0, sum), sum_b);
        o[o_step] = vec_add(odd_a, odd_b);
        o[2 * o_step] = plus_scaled(scaled(0.5f, sum), 2, sum_b);
        o[3 * o_step] = plus_scaled(plus_scaled(i[5 * i_step], 0.5f, odd_a), 2, odd_b);
    }
}

/* A, m -> m+2 */
INLINE void gradient_1d(const int m, const vec *i, const int i_step, vec *o, const int o_step)
{
    const vec y0 = i[0], y1 = i[i_step];
    o[0] = y0;
    if (m == 2) {
        o[o_step] = vec_add(y0, y1);
        o[2 * o_step] = vec_sub(y0, y1);
        o[3 * o_step] = vec_sub(vec_zero(), y1);
    } else {
        const vec y2 = i[2 * i_step], y3 = i[3 * i_step];
        const vec even_a = plus_scaled(y0, 0.5f, y2), odd_a = plus_scaled(y1, 0.5f, y3);
        const vec even_b = plus_scaled(y0, 2, y2), odd_b = plus_scaled(y1, 2, y3);
        o[o_step] = plus_scaled(even_a, POINT_A, odd_a);
        o[2 * o_step] = plus_scaled(even_a, -POINT_A, odd_a);
        o[3 * o_step] = plus_scaled(even_b, POINT_B, odd_b);
        o[4 * o_step] = plus_scaled(even_b, -POINT_B, odd_b);
        o[5 * o_step] = y3;
    }
}

/* G, 3 -> m+2. m = 2: rows (1 0 0), (1 1 1)/2, (1 -1 1)/2, (0 0 1).
 * m = 4: rows (1 0 0), -(1 +-a 1/2) 2/3, (1 +-b 2)/6, (0 0 1). */
INLINE void filter_1d(const int m, const vec *i, const int i_step, vec *o, const int o_step)
{
    const vec g0 = i[0], g1 = i[i_step], g2 = i[2 * i_step];
    if (m == 2) {
        const vec sum = vec_add(g0, g2);
        o[0] = g0;
        o[o_step] = scaled(0.5f, vec_add(sum, g1));
        o[2 * o_step] = scaled(0.5f, vec_sub(sum, g1));
        o[3 * o_step] = g2;
    } else {
        const vec even_a = plus_scaled(g0, 0.5f, g2), even_b = plus_scaled(g0, 2, g2);
        o[0] = g0;
        o[o_step] = scaled(-2.0f / 3, plus_scaled(even_a, POINT_A, g1));
        o[2 * o_step] = scaled(-2.0f / 3, plus_scaled(even_a, -POINT_A, g1));
        o[3 * o_step] = scaled(1.0f / 6, plus_scaled(even_b, POINT_B, g1));
        o[4 * o_step] = scaled(1.0f / 6, plus_scaled(even_b, -POINT_B, g1));
        o[5 * o_step] = g2;
    }
}

/* G^T, m+2 -> 3 */
INLINE void filter_gradient_1d(const int m, const vec *i, const int i_step, vec *o, const int o_step)
{
    const vec u0 = i[0], u1 = i[i_step], u2 = i[2 * i_step], u3 = i[3 * i_step];
    const vec sum = vec_add(u1, u2), difference = vec_sub(u1, u2);
    if (m == 2) {
        o[0] = plus_scaled(u0, 0.5f, sum);
        o[o_step] = scaled(0.5f, difference);
        o[2 * o_step] = plus_scaled(u3, 0.5f, sum);
    } else {
        const vec u4 = i[4 * i_step], u5 = i[5 * i_step], sum_b = vec_add(u3, u4), difference_b = vec_sub(u3, u4);
        o[0] = plus_scaled(plus_scaled(u0, -2.0f / 3, sum), 1.0f / 6, sum_b);
        o[o_step] = plus_scaled(scaled(POINT_B / 6, difference_b), -2.0f / 3 * POINT_A, difference);
        o[2 * o_step] = plus_scaled(u5, 1.0f / 3, vec_sub(sum_b, sum));
    }
}

typedef void transform_1d(const int m, const vec *i, const int i_step, vec *o, const int o_step);

/* Apply a one-dimensional transform to the columns and then to the rows of in[from][from]: out[to][to]. Elements are read
 * when they are wanted and written when they are ready, since up to 36 of each would not fit in the registers. */
INLINE void transform_2d(transform_1d *one, const int m, const int from, const int to, const float *in, ptrdiff_t in_row,
                         ptrdiff_t in_step, float *out, ptrdiff_t out_row, ptrdiff_t out_step)
{
    vec middle[MOST_TILE * MOST_TILE]; /* [to][from] */
#pragma GCC unroll 6
    for (int j = 0; j < from; j++) {
        vec column[MOST_TILE];
#pragma GCC unroll 6
        for (int i = 0; i < from; i++) column[i] = vec_load(in + i * in_row + j * in_step);
        one(m, column, 1, middle + j, from);
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; i++, out += out_row) {
        vec row[MOST_TILE];
        one(m, middle + i * from, 1, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < to; j++) vec_store(out + j * out_step, row[j]);
    }
}

/* line[r][j][lane] = x[lane, row + r, column + j], zero outside, for r < rows and j < columns. */
static inline void load_lines(const float *x, const winograd_planes *p, int row, int column, int rows, int columns, float *line)
{
    const size_t plane = (size_t)p->height * (size_t)p->width, line_step = (size_t)columns * BLOCK;
    int first = column < 0 ? -column : 0, end = p->width - column < columns ? p->width - column : columns;
    if (first > columns) first = columns;
    if (end < first) end = first;
    for (int r = 0; r < rows; r++, line += line_step) {
        if (row + r < 0 || row + r >= p->height || first == end) {
            memset(line, 0, line_step * sizeof *line);
            continue;
        }
        memset(line, 0, (size_t)first * BLOCK * sizeof *line);
        memset(line + (size_t)end * BLOCK, 0, (size_t)(columns - end) * BLOCK * sizeof *line);
        const float *src = x + (size_t)(row + r) * (size_t)p->width + (size_t)(column + first);
        for (int j = first; j < end; j += BLOCK)
            transpose_block(src + (j - first), plane, p->lanes, end - j < BLOCK ? (size_t)(end - j) : BLOCK,
                            line + (size_t)j * BLOCK, BLOCK, BLOCK);
    }
}

/* taps[t * WIDTH + i] = w[i * 9 + t], t < 9, for WIDTH lanes, of which only the first `lanes` exist; the others are 0. */
INLINE void load_taps(const float *w, size_t lanes, float *taps)
{
    vec r[16];
#if WIDTH == 16
    const vec_mask nine = vec_first(9);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) r[i] = i < lanes ? vec_load_masked(w + i * 9, nine) : vec_zero();
    transpose_registers(r);
#else
    float last[8];
    for (size_t i = 0; i < 8; i++) {
        r[i] = i < lanes ? vec_load(w + i * 9) : vec_zero();
        last[i] = i < lanes ? w[i * 9 + 8] : 0;
    }
    transpose_registers(r);
    r[8] = vec_load(last);
#endif
#pragma GCC unroll 9
    for (int t = 0; t < 9; t++) vec_store(taps + t * WIDTH, r[t]);
}

#endif
