/* winograd_tile.h - the transforms of one tile or filter (winograd_transform.h) on vectors of channels. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_TILE_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_TILE_H

#include <string.h>

#include "engine/kernels/conv2d/simd/transpose.h"
#include "engine/kernels/conv2d/simd/winograd_transform.h"

#define MOST_TILE 8 /* n of F(2, 7) */

INLINE vec scaled(float s, vec v) {
    return vec_mul(vec_broadcast(s), v);
}
INLINE vec plus_scaled(vec a, float s, vec b) {
    return vec_fma(vec_broadcast(s), b, a);
} /* a + s*b */

/* ---- the one-dimensional transforms; elements of i are i_step apart, those of o o_step ----
 *
 * Lavin and Gray 2016. The interpolation points are 0, 1, -1 and infinity for m = 2. For m = 4 Lavin and Gray take 0,
 * +-1, +-2 and infinity; here they are 0, +-a, +-b and infinity with a = sqrt(1/2), b = sqrt(2), which make the largest
 * error four times smaller (measured over a and b; Barabasz et al. 2020, "Error analysis and improving the accuracy of
 * Winograd convolution for deep neural networks"). As ab = 1, no more operations are needed. For r = 7 and m = 2 the
 * points are 0, +-1, +-2, +-1/2 and infinity; others had larger errors. m = r = 1 is the identity. */

#define POINT_A 0.70710678118654752f
#define POINT_B 1.41421356237309505f

/* ---- r = 3, m = 2 or 4 ---- */

/* B^T, m+2 -> m+2. m = 2: rows (1 0 -1 0), (0 1 1 0), (0 -1 1 0), (0 1 0 -1).
 * m = 4: rows (1 0 -5/2 0 1 0), (0 -+2a -2 +-a 1 0), (0 -+b/2 -1/2 +-b 1 0), (0 1 0 -5/2 0 1). */
INLINE void input_three(const int m, const vec *i, const int i_step, vec *o, const int o_step) {
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
INLINE void output_three(const int m, const vec *i, const int i_step, vec *o, const int o_step) {
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
INLINE void gradient_three(const int m, const vec *i, const int i_step, vec *o, const int o_step) {
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
INLINE void filter_three(const int m, const vec *i, const int i_step, vec *o, const int o_step) {
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
INLINE void filter_gradient_three(const int m, const vec *i, const int i_step, vec *o, const int o_step) {
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

/* ---- r = 5, m = 2: n = 6 and the points are those of r = 3, m = 4, and so is B^T ---- */

INLINE void input_five(const vec *i, const int i_step, vec *o, const int o_step) {
    input_three(4, i, i_step, o, o_step);
}

/* A^T, 6 -> 2: rows (1 1 1 1 1 0), (0 a -a b -b 1) */
INLINE void output_five(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec p1 = i[i_step], p2 = i[2 * i_step], p3 = i[3 * i_step], p4 = i[4 * i_step];
    o[0] = vec_add(vec_add(i[0], vec_add(p1, p2)), vec_add(p3, p4));
    o[o_step] = plus_scaled(plus_scaled(i[5 * i_step], POINT_A, vec_sub(p1, p2)), POINT_B, vec_sub(p3, p4));
}

/* A, 2 -> 6 */
INLINE void gradient_five(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec y0 = i[0], y1 = i[i_step];
    o[0] = y0;
    o[o_step] = plus_scaled(y0, POINT_A, y1);
    o[2 * o_step] = plus_scaled(y0, -POINT_A, y1);
    o[3 * o_step] = plus_scaled(y0, POINT_B, y1);
    o[4 * o_step] = plus_scaled(y0, -POINT_B, y1);
    o[5 * o_step] = y1;
}

/* G, 5 -> 6: rows (1 0 0 0 0), -(1 +-a 1/2 +-a/2 1/4) 2/3, (1 +-b 2 +-2b 4)/6, (0 0 0 0 1) */
INLINE void filter_five(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec g0 = i[0], g1 = i[i_step], g2 = i[2 * i_step], g3 = i[3 * i_step], g4 = i[4 * i_step];
    const vec even_a = plus_scaled(plus_scaled(g0, 0.5f, g2), 0.25f, g4), odd_a = plus_scaled(g1, 0.5f, g3);
    const vec even_b = plus_scaled(plus_scaled(g0, 2, g2), 4, g4), odd_b = plus_scaled(g1, 2, g3);
    o[0] = g0;
    o[o_step] = scaled(-2.0f / 3, plus_scaled(even_a, POINT_A, odd_a));
    o[2 * o_step] = scaled(-2.0f / 3, plus_scaled(even_a, -POINT_A, odd_a));
    o[3 * o_step] = scaled(1.0f / 6, plus_scaled(even_b, POINT_B, odd_b));
    o[4 * o_step] = scaled(1.0f / 6, plus_scaled(even_b, -POINT_B, odd_b));
    o[5 * o_step] = g4;
}

/* G^T, 6 -> 5 */
INLINE void filter_gradient_five(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec u1 = i[i_step], u2 = i[2 * i_step], u3 = i[3 * i_step], u4 = i[4 * i_step];
    const vec even_a = scaled(-2.0f / 3, vec_add(u1, u2)), odd_a = scaled(-2.0f / 3 * POINT_A, vec_sub(u1, u2));
    const vec even_b = scaled(1.0f / 6, vec_add(u3, u4)), odd_b = scaled(POINT_B / 6, vec_sub(u3, u4));
    o[0] = vec_add(i[0], vec_add(even_a, even_b));
    o[o_step] = vec_add(odd_a, odd_b);
    o[2 * o_step] = plus_scaled(scaled(0.5f, even_a), 2, even_b);
    o[3 * o_step] = plus_scaled(scaled(0.5f, odd_a), 2, odd_b);
    o[4 * o_step] = plus_scaled(plus_scaled(i[5 * i_step], 0.25f, even_a), 4, even_b);
}

/* ---- r = 7, m = 2 ---- */

#define SCALE_1 (-2.0f / 9)
#define SCALE_2 (1.0f / 90)
#define SCALE_HALF (32.0f / 45)

/* B^T, 8 -> 8: rows (1 0 -21/4 0 21/4 0 -1 0), (0 +-1 1 -+17/4 -17/4 +-1 1 0), (0 +-1/2 1/4 -+5/2 -5/4 +-2 1 0),
 * (0 +-2 4 -+5/2 -5 +-1/2 1 0), (0 -1 0 21/4 0 -21/4 0 1) */
INLINE void input_seven(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec d1 = i[i_step], d2 = i[2 * i_step], d3 = i[3 * i_step], d4 = i[4 * i_step], d5 = i[5 * i_step],
              d6 = i[6 * i_step];
    const vec even_1 = plus_scaled(vec_add(d2, d6), -4.25f, d4), odd_1 = plus_scaled(vec_add(d1, d5), -4.25f, d3);
    const vec even_2 = plus_scaled(plus_scaled(d6, 0.25f, d2), -1.25f, d4);
    const vec odd_2 = plus_scaled(plus_scaled(scaled(2, d5), 0.5f, d1), -2.5f, d3);
    const vec even_half = plus_scaled(plus_scaled(d6, 4, d2), -5, d4);
    const vec odd_half = plus_scaled(plus_scaled(scaled(0.5f, d5), 2, d1), -2.5f, d3);
    o[0] = plus_scaled(vec_sub(i[0], d6), 5.25f, vec_sub(d4, d2));
    o[o_step] = vec_add(even_1, odd_1);
    o[2 * o_step] = vec_sub(even_1, odd_1);
    o[3 * o_step] = vec_add(even_2, odd_2);
    o[4 * o_step] = vec_sub(even_2, odd_2);
    o[5 * o_step] = vec_add(even_half, odd_half);
    o[6 * o_step] = vec_sub(even_half, odd_half);
    o[7 * o_step] = plus_scaled(vec_sub(i[7 * i_step], d1), 5.25f, vec_sub(d3, d5));
}

/* A^T, 8 -> 2: rows (1 1 1 1 1 1 1 0), (0 1 -1 2 -2 1/2 -1/2 1) */
INLINE void output_seven(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec p1 = i[i_step], p2 = i[2 * i_step], p3 = i[3 * i_step], p4 = i[4 * i_step], p5 = i[5 * i_step],
              p6 = i[6 * i_step];
    o[0] = vec_add(vec_add(i[0], vec_add(p1, p2)), vec_add(vec_add(p3, p4), vec_add(p5, p6)));
    o[o_step] = vec_add(plus_scaled(plus_scaled(vec_sub(p1, p2), 2, vec_sub(p3, p4)), 0.5f, vec_sub(p5, p6)),
                        i[7 * i_step]);
}

/* A, 2 -> 8 */
INLINE void gradient_seven(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec y0 = i[0], y1 = i[i_step];
    o[0] = y0;
    o[o_step] = vec_add(y0, y1);
    o[2 * o_step] = vec_sub(y0, y1);
    o[3 * o_step] = plus_scaled(y0, 2, y1);
    o[4 * o_step] = plus_scaled(y0, -2, y1);
    o[5 * o_step] = plus_scaled(y0, 0.5f, y1);
    o[6 * o_step] = plus_scaled(y0, -0.5f, y1);
    o[7 * o_step] = y1;
}

/* g0 + s g1 + s^2 g2 + s^3 g3 */
INLINE vec cubic(vec g0, vec g1, vec g2, vec g3, float s) {
    return plus_scaled(g0, s, plus_scaled(g1, s, plus_scaled(g2, s, g3)));
}

/* G, 7 -> 8: rows (1 0 0 0 0 0 0), -(1 +-1 1 +-1 1 +-1 1) 2/9, (1 +-2 4 +-8 16 +-32 64)/90, (1 +-1/2 .. 1/64) 32/45,
 * (0 0 0 0 0 0 1) */
INLINE void filter_seven(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec g0 = i[0], g1 = i[i_step], g2 = i[2 * i_step], g3 = i[3 * i_step], g4 = i[4 * i_step], g5 = i[5 * i_step];
    const vec g6 = i[6 * i_step];
    const float points[3] = {1, 2, 0.5f}, scales[3] = {SCALE_1, SCALE_2, SCALE_HALF};
    o[0] = g0;
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) {
        const float square = points[k] * points[k];
        const vec even = scaled(scales[k], cubic(g0, g2, g4, g6, square));
        const vec odd = scaled(scales[k] * points[k], plus_scaled(g1, square, plus_scaled(g3, square, g5)));
        o[(2 * k + 1) * o_step] = vec_add(even, odd);
        o[(2 * k + 2) * o_step] = vec_sub(even, odd);
    }
    o[7 * o_step] = g6;
}

/* G^T, 8 -> 7 */
INLINE void filter_gradient_seven(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec u1 = i[i_step], u2 = i[2 * i_step], u3 = i[3 * i_step], u4 = i[4 * i_step], u5 = i[5 * i_step],
              u6 = i[6 * i_step];
    const vec even_1 = scaled(SCALE_1, vec_add(u1, u2)), odd_1 = scaled(SCALE_1, vec_sub(u1, u2));
    const vec even_2 = scaled(SCALE_2, vec_add(u3, u4)), odd_2 = scaled(2 * SCALE_2, vec_sub(u3, u4));
    const vec even_half = scaled(SCALE_HALF, vec_add(u5, u6)), odd_half = scaled(0.5f * SCALE_HALF, vec_sub(u5, u6));
    o[0] = vec_add(i[0], vec_add(even_1, vec_add(even_2, even_half)));
    o[o_step] = vec_add(odd_1, vec_add(odd_2, odd_half));
    o[2 * o_step] = plus_scaled(plus_scaled(even_1, 4, even_2), 0.25f, even_half);
    o[3 * o_step] = plus_scaled(plus_scaled(odd_1, 4, odd_2), 0.25f, odd_half);
    o[4 * o_step] = plus_scaled(plus_scaled(even_1, 16, even_2), 0.0625f, even_half);
    o[5 * o_step] = plus_scaled(plus_scaled(odd_1, 16, odd_2), 0.0625f, odd_half);
    o[6 * o_step] = vec_add(i[7 * i_step], plus_scaled(plus_scaled(even_1, 64, even_2), 0.015625f, even_half));
}

/* ---- r = 3 at stride 2 ----
 *
 * Elements at even places are multiplied by the first and the last tap, which is F(2, 2): three products instead of
 * four. Those at odd places are multiplied by the tap between. So two results take five products instead of six, with
 * four values of the filter: its taps and the sum of the first and the last. The input gradient likewise. */

/* B^T, 5 -> 5: rows (1 0 -1 0 0), (0 0 1 0 0), (0 0 -1 0 1), (0 1 0 0 0), (0 0 0 1 0) */
INLINE void input_stride_2(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec d2 = i[2 * i_step];
    o[0] = vec_sub(i[0], d2);
    o[o_step] = d2;
    o[2 * o_step] = vec_sub(i[4 * i_step], d2);
    o[3 * o_step] = i[i_step];
    o[4 * o_step] = i[3 * i_step];
}

/* A^T, 5 -> 2: rows (1 1 0 1 0), (0 1 1 0 1) */
INLINE void output_stride_2(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec p1 = i[i_step];
    o[0] = vec_add(vec_add(i[0], p1), i[3 * i_step]);
    o[o_step] = vec_add(vec_add(p1, i[2 * i_step]), i[4 * i_step]);
}

/* A, 2 -> 5 */
INLINE void gradient_stride_2(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec y0 = i[0], y1 = i[i_step];
    o[0] = o[3 * o_step] = y0;
    o[o_step] = vec_add(y0, y1);
    o[2 * o_step] = o[4 * o_step] = y1;
}

/* B^T of the input gradient, 3 -> 5: rows (1 -1 0), (0 1 0), (0 -1 1), and (0 1 0), (0 0 1), or odd (1 0 0), (0 1 0) */
INLINE void input_stride_2_dx(const bool odd, const vec *i, const int i_step, vec *o, const int o_step) {
    const vec c0 = i[0], c1 = i[i_step], c2 = i[2 * i_step];
    o[0] = vec_sub(c0, c1);
    o[o_step] = c1;
    o[2 * o_step] = vec_sub(c2, c1);
    o[3 * o_step] = odd ? c0 : c1;
    o[4 * o_step] = odd ? c1 : c2;
}

/* A^T of the input gradient, 5 -> 4: rows (1 1 0 0 0), (0 0 0 1 0), (0 1 1 0 0), (0 0 0 0 1); odd: the second, first,
 * fourth, third */
INLINE void output_stride_2_dx(const bool odd, const vec *i, const int i_step, vec *o, const int o_step) {
    const vec p1 = i[i_step];
    const int first = odd;
    o[first * o_step] = vec_add(i[0], p1);
    o[(1 - first) * o_step] = i[3 * i_step];
    o[(2 + first) * o_step] = vec_add(p1, i[2 * i_step]);
    o[(3 - first) * o_step] = i[4 * i_step];
}

/* G, 3 -> 4: rows (1 0 0), (1 0 1), (0 0 1), (0 1 0) */
INLINE void filter_stride_2(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec g0 = i[0], g2 = i[2 * i_step];
    o[0] = g0;
    o[o_step] = vec_add(g0, g2);
    o[2 * o_step] = g2;
    o[3 * o_step] = i[i_step];
}

/* G^T, 4 -> 3 */
INLINE void filter_gradient_stride_2(const vec *i, const int i_step, vec *o, const int o_step) {
    const vec u1 = i[i_step];
    o[0] = vec_add(i[0], u1);
    o[o_step] = i[3 * i_step];
    o[2 * o_step] = vec_add(u1, i[2 * i_step]);
}

/* ---- all of them ---- */

#define ELEMENTS i, i_step, o, o_step
#define TRANSFORM_1D(name, dx_even, dx_odd)                                                                     \
    INLINE void name##_1d(const winograd_axis axis, const vec *i, const int i_step, vec *o, const int o_step) { \
        switch (axis) {                                                                                         \
        case WINOGRAD_AXIS_2_3:                                                                                 \
            name##_three(2, ELEMENTS);                                                                          \
            return;                                                                                             \
        case WINOGRAD_AXIS_4_3:                                                                                 \
            name##_three(4, ELEMENTS);                                                                          \
            return;                                                                                             \
        case WINOGRAD_AXIS_2_5:                                                                                 \
            name##_five(ELEMENTS);                                                                              \
            return;                                                                                             \
        case WINOGRAD_AXIS_2_7:                                                                                 \
            name##_seven(ELEMENTS);                                                                             \
            return;                                                                                             \
        case WINOGRAD_AXIS_STRIDE_2:                                                                            \
            name##_stride_2(ELEMENTS);                                                                          \
            return;                                                                                             \
        case WINOGRAD_AXIS_STRIDE_2_DX_EVEN:                                                                    \
            dx_even;                                                                                            \
            return;                                                                                             \
        case WINOGRAD_AXIS_STRIDE_2_DX_ODD:                                                                     \
            dx_odd;                                                                                             \
            return;                                                                                             \
        case WINOGRAD_AXIS_NONE:                                                                                \
            o[0] = i[0];                                                                                        \
        }                                                                                                       \
    }
TRANSFORM_1D(input, input_stride_2_dx(false, ELEMENTS), input_stride_2_dx(true, ELEMENTS))
TRANSFORM_1D(output, output_stride_2_dx(false, ELEMENTS), output_stride_2_dx(true, ELEMENTS))
TRANSFORM_1D(filter, filter_stride_2(ELEMENTS), filter_stride_2(ELEMENTS))
/* an input gradient has no weight gradient */
TRANSFORM_1D(gradient, (void)0, (void)0)
TRANSFORM_1D(filter_gradient, (void)0, (void)0)

typedef void transform_1d(const winograd_axis axis, const vec *i, const int i_step, vec *o, const int o_step);

/* The transform in a direction, and how many elements it takes and gives */
typedef struct direction {
    winograd_axis axis;
    int from, to;
} direction;

/* Apply a one-dimensional transform to the columns and then to the rows of in[h.from][w.from]: out[h.to][w.to].
 * Elements are read and written one column and row at a time, because all of them do not fit in the registers. */
INLINE void transform_2d(transform_1d *one, const direction h, const direction w, const float *in, ptrdiff_t in_row,
                         ptrdiff_t in_step, float *out, ptrdiff_t out_row, ptrdiff_t out_step) {
    vec middle[MOST_TILE * MOST_TILE]; /* [h.to][w.from] */
#pragma GCC unroll 8
    for (int j = 0; j < w.from; j++) {
        vec column[MOST_TILE];
#pragma GCC unroll 8
        for (int i = 0; i < h.from; i++) column[i] = vec_load(in + i * in_row + j * in_step);
        one(h.axis, column, 1, middle + j, w.from);
    }
#pragma GCC unroll 8
    for (int i = 0; i < h.to; i++, out += out_row) {
        vec row[MOST_TILE];
        one(w.axis, middle + i * w.from, 1, row, 1);
#pragma GCC unroll 8
        for (int j = 0; j < w.to; j++) vec_store(out + j * out_step, row[j]);
    }
}

/* How many of the 16 channels of a block there are, and where the first one's plane begins */
static inline size_t winograd_lanes(const winograd_planes *p, size_t block) {
    return block * BLOCK < p->channels ? psal_size_min(BLOCK, p->channels - block * BLOCK) : 0;
}
static inline size_t winograd_place(const winograd_planes *p, size_t image, size_t block) {
    return (image * p->channels + block * BLOCK) * (size_t)p->height * (size_t)p->width;
}

/* line[r][j][lane] = x[image, block * BLOCK + lane, row + r, column + j], zero outside, for r < rows and
 * j < columns. */
static inline void load_lines(const float *x, const winograd_planes *p, size_t image, size_t block, int row, int column,
                              int rows, int columns, float *line) {
    const size_t plane = (size_t)p->height * (size_t)p->width, line_step = (size_t)columns * BLOCK;
    const size_t lanes = winograd_lanes(p, block);
    int first = column < 0 ? -column : 0, end = p->width - column < columns ? p->width - column : columns;
    if (first > columns || lanes == 0) first = columns;
    if (end < first) end = first;
    x += lanes > 0 ? winograd_place(p, image, block) : 0;
    for (int r = 0; r < rows; r++, line += line_step) {
        if (row + r < 0 || row + r >= p->height || first == end) {
            memset(line, 0, line_step * sizeof *line);
            continue;
        }
        memset(line, 0, (size_t)first * BLOCK * sizeof *line);
        memset(line + (size_t)end * BLOCK, 0, (size_t)(columns - end) * BLOCK * sizeof *line);
        const float *src = x + (size_t)(row + r) * (size_t)p->width + (size_t)(column + first);
        for (int j = first; j < end; j += BLOCK)
            transpose_block(src + (j - first), plane, lanes, end - j < BLOCK ? (size_t)(end - j) : BLOCK,
                            line + (size_t)j * BLOCK, BLOCK, BLOCK);
    }
}

/* The windows that some tiles read of a block of channels, as one line; its columns */
static inline size_t load_windows(const winograd_tiling *t, const float *source, const winograd_tiles *tiles,
                                  size_t block, float *line) {
    const int columns = ((int)tiles->count - 1) * t->width.step + t->width.window;
    load_lines(source, &t->source, tiles->image, block, (int)tiles->row * t->height.step + t->row_offset,
               (int)tiles->column * t->width.step + t->column_offset, t->height.window, columns, line);
    return (size_t)columns;
}

#if WIDTH == 16
/* to[t * 16 + i] = w[i * 9 + t]: eight taps of filters i and i + 8 are a row of two 8 x 8 transpositions; of the ninth
 * taps no two have the same place modulo 16. */
INLINE void load_nine_taps(const float *w, float *to) {
    vec r[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        r[i] = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(w + i * 9)), _mm256_loadu_ps(w + (i + 8) * 9),
                                  1);
    transpose_in_lanes(8, r);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13),
                  second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512d low = _mm512_castps_pd(r[j]), high = _mm512_castps_pd(r[j + 4]);
        vec_store(to + j * BLOCK, _mm512_castpd_ps(_mm512_permutex2var_pd(low, first, high)));
        vec_store(to + (j + 4) * BLOCK, _mm512_castpd_ps(_mm512_permutex2var_pd(low, second, high)));
    }
    vec ninth = vec_load_masked(w, vec_chosen(1u << 8));
#define WITH_NINTH(line, places) ninth = _mm512_mask_loadu_ps(ninth, places, w + line * BLOCK);
    WITH_NINTH(1, 1u << 1 | 1u << 10)
    WITH_NINTH(2, 1u << 3 | 1u << 12)
    WITH_NINTH(3, 1u << 5 | 1u << 14)
    WITH_NINTH(4, 1u << 7)
    WITH_NINTH(5, 1u << 0 | 1u << 9)
    WITH_NINTH(6, 1u << 2 | 1u << 11)
    WITH_NINTH(7, 1u << 4 | 1u << 13)
    WITH_NINTH(8, 1u << 6 | 1u << 15)
#undef WITH_NINTH
    const __m512i places = _mm512_setr_epi32(8, 1, 10, 3, 12, 5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15);
    vec_store(to + 8 * BLOCK, _mm512_permutexvar_ps(places, ninth));
}
#endif

/* to[t * WIDTH + i] = w[i * taps + t] for WIDTH lanes, of which only the first `lanes` exist; the others are 0. */
INLINE void load_taps(const float *w, size_t lanes, const size_t taps, float *to) {
#if WIDTH == 16
    if (taps == 9 && lanes >= WIDTH) {
        load_nine_taps(w, to);
        return;
    }
#endif
    for (size_t first = 0; first < taps; first += WIDTH) {
        const size_t some = taps - first < WIDTH ? taps - first : WIDTH;
        if (some == 1) { /* the ninth of 3 x 3: not worth a transposition */
            for (size_t i = 0; i < WIDTH; i++) to[first * WIDTH + i] = i < lanes ? w[i * taps + first] : 0;
            return;
        }
        vec r[WIDTH];
        const vec_mask mask = vec_first(some);
#pragma GCC unroll 16
        for (size_t i = 0; i < WIDTH; i++) r[i] = i < lanes ? vec_load_masked(w + i * taps + first, mask) : vec_zero();
        transpose_registers(r);
#pragma GCC unroll 16
        for (size_t t = 0; t < WIDTH; t++)
            if (t < some) vec_store(to + (first + t) * WIDTH, r[t]);
    }
}

#endif
