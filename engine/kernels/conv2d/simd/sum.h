/* sum.h - the sum of the elements of a weight gradient, for the filters' means. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_SUM_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_SUM_H

#include "engine/kernels/conv2d/simd/simd.h"

/* Sixteen sums; WIDTH / 2 doubles are a vector. */
#define SUM_PARTS (2 * BLOCK / WIDTH)

#if !defined PSAL_SIMD_NEON
static inline double sum_of_four(__m256d four) {
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
#endif

#if WIDTH == 16
typedef __m512d sum_part;
/* clang-format off */
static inline sum_part sum_zero(void) { return _mm512_setzero_pd(); }
static inline sum_part sum_add(sum_part a, sum_part b) { return _mm512_add_pd(a, b); }
static inline sum_part sum_low(vec v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
static inline sum_part sum_high(vec v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }
/* clang-format on */
static inline double sum_all(const sum_part *sum) {
    const __m512d eight = sum_add(sum[0], sum[1]);
    return sum_of_four(_mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1)));
}
#elif defined PSAL_SIMD_NEON
typedef struct sum_part {
    float64x2_t low, high;
} sum_part;
/* clang-format off */
static inline sum_part sum_zero(void) { return (sum_part){vdupq_n_f64(0), vdupq_n_f64(0)}; }
static inline sum_part sum_add(sum_part a, sum_part b) {
    return (sum_part){vaddq_f64(a.low, b.low), vaddq_f64(a.high, b.high)};
}
static inline sum_part sum_half(float32x4_t v) {
    return (sum_part){vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v)};
}
static inline sum_part sum_low(vec v) { return sum_half(v.low); }
static inline sum_part sum_high(vec v) { return sum_half(v.high); }
static inline double sum_all(const sum_part *sum) {
    const sum_part four = sum_add(sum_add(sum[0], sum[2]), sum_add(sum[1], sum[3]));
    return vaddvq_f64(vaddq_f64(four.low, four.high));
}
/* clang-format on */
#else
typedef __m256d sum_part;
/* clang-format off */
static inline sum_part sum_zero(void) { return _mm256_setzero_pd(); }
static inline sum_part sum_add(sum_part a, sum_part b) { return _mm256_add_pd(a, b); }
static inline sum_part sum_low(vec v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
static inline sum_part sum_high(vec v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
static inline double sum_all(const sum_part *sum) {
    return sum_of_four(sum_add(sum_add(sum[0], sum[2]), sum_add(sum[1], sum[3])));
}
/* clang-format on */
#endif

/* Sum of |v[i]| or of v[i] over n floats, in an order that depends on n alone: v[i] + v[i+16] + v[i+32] + v[i+48] in
 * float, these in sixteen sums of doubles, and the sixteen pairwise. */
static inline double sum_values(const float *v, size_t n, bool is_signed) {
    const vec sign = vec_broadcast(is_signed ? 0.0f : -0.0f); /* the bits to clear */
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
    double total = sum_all(sum);
    for (size_t i = 0; i < n; i++) total += (double)(is_signed ? v[i] : __builtin_fabsf(v[i]));
    return total;
}

/* mean[filter] = the sum of partial[filter][part] over the parts, in their order, by the elements of a filter */
static inline void mean_of_partial_sums(const double *partial, size_t filters, size_t parts, size_t elements,
                                        float *mean) {
    for (size_t filter = 0; filter < filters; filter++) {
        double sum = 0;
        for (size_t i = 0; i < parts; i++) sum += partial[filter * parts + i];
        mean[filter] = (float)(sum / (double)elements);
    }
}

#endif
