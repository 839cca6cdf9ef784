/* sum.h - the sum of the elements of a weight gradient, for the filters' means. */
#ifndef PSAL_ENGINE_KERNELS_X86_SUM_H
#define PSAL_ENGINE_KERNELS_X86_SUM_H

#include "engine/kernels/x86/simd.h"

/* sum of |v[i]| or of v[i] over n floats, in an order that depends on n alone: 32 sums, which do not wait for each other, and then
 * halves of them added to halves */
static inline double sum_values(const float *v, size_t n, bool is_signed)
{
    const __m256 kept = _mm256_castsi256_ps(_mm256_set1_epi32(is_signed ? -1 : INT32_MAX)); /* all but the sign */
#if WIDTH == 16
    __m512d sum[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) sum[i] = _mm512_setzero_pd();
    for (; n >= 32; n -= 32, v += 32)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) sum[i] = _mm512_add_pd(sum[i], _mm512_cvtps_pd(_mm256_and_ps(_mm256_loadu_ps(v + 8 * i), kept)));
    const __m512d eight = _mm512_add_pd(_mm512_add_pd(sum[0], sum[2]), _mm512_add_pd(sum[1], sum[3]));
    const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
#else
    __m256d sum[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) sum[i] = _mm256_setzero_pd();
    for (; n >= 32; n -= 32, v += 32)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] = _mm256_add_pd(sum[i], _mm256_cvtps_pd(_mm_and_ps(_mm_loadu_ps(v + 4 * i), _mm256_castps256_ps128(kept))));
    for (int half = 4; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sum[i] = _mm256_add_pd(sum[i], sum[i + half]);
    const __m256d four = sum[0];
#endif
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    double total = _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
    for (size_t i = 0; i < n; i++) total += (double)(is_signed ? v[i] : __builtin_fabsf(v[i]));
    return total;
}

#endif
