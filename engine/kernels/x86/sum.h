/* sum.h - the sum of the elements of a weight gradient, for the filters' means. */
#ifndef PSAL_ENGINE_KERNELS_X86_SUM_H
#define PSAL_ENGINE_KERNELS_X86_SUM_H

#include "engine/kernels/x86/simd.h"

/* Sixteen sums; WIDTH / 2 doubles are a vector. */
#define SUM_PARTS (2 * BLOCK / WIDTH)
#if WIDTH == 16
typedef __m512d sum_part;
static inline sum_part sum_zero(void) {
    return _mm512_setzero_pd();
}
static inline sum_part sum_add(sum_part a, sum_part b) {
    return _mm512_add_pd(a, b);
}
static inline sum_part sum_low(vec v) {
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}
static inline sum_part sum_high(vec v) {
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}
static inline __m256d sum_four(const sum_part *sum) {
    const __m512d eight = sum_add(sum[0], sum[1]);
    return _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
}
#else
typedef __m256d sum_part;
static inline sum_part sum_zero(void) {
    return _mm256_setzero_pd();
}
static inline sum_part sum_add(sum_part a, sum_part b) {
    return _mm256_add_pd(a, b);
}
static inline sum_part sum_low(vec v) {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}
static inline sum_part sum_high(vec v) {
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}
static inline __m256d sum_four(const sum_part *sum) {
    return sum_add(sum_add(sum[0], sum[2]), sum_add(sum[1], sum[3]));
}
#endif

/* sum of |v[i]| or of v[i] over n floats, in an order that depends on n alone: four that are 16 apart as floats, which rounds them no
 * more than they are already, then sixteen sums of doubles, and at last halves of those added to halves */
static inline double sum_values(const float *v, size_t n, bool is_signed) {
    const vec sign = vec_broadcast(is_signed ? 0.0f : -0.0f); /* what is taken off */
    sum_part sum[SUM_PARTS];
#pragma GCC unroll 4
    for (int i = 0; i < SUM_PARTS; i++) sum[i] = sum_zero();
    for (size_t together; n >= BLOCK; n -= together * BLOCK, v += together * BLOCK) {
        together = n >= 4 * BLOCK ? 4 : 1;
#pragma GCC unroll 2
        for (int i = 0; i < SUM_PARTS / 2; i++) {
            const float *from = v + i * WIDTH;
            vec one = vec_and_not(sign, vec_load(from));
            if (together == 4) {
                const vec second = vec_and_not(sign, vec_load(from + BLOCK)),
                          third = vec_and_not(sign, vec_load(from + 2 * BLOCK));
                one = vec_add(vec_add(one, second), vec_add(third, vec_and_not(sign, vec_load(from + 3 * BLOCK))));
            }
            sum[2 * i] = sum_add(sum[2 * i], sum_low(one));
            sum[2 * i + 1] = sum_add(sum[2 * i + 1], sum_high(one));
        }
    }
    const __m256d four = sum_four(sum);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    double total = _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
    for (size_t i = 0; i < n; i++) total += (double)(is_signed ? v[i] : __builtin_fabsf(v[i]));
    return total;
}

#endif
