/* transpose.h - 16 x 16 transposition in registers.
 *
 * Log-step scheme: after stage s, rows whose numbers differ in bit s have exchanged the halves of their 2^(s+1)-groups
 * of columns. The first two stages work inside 128-bit lanes (unpack), the others move whole lanes. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_TRANSPOSE_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_TRANSPOSE_H

#include "engine/kernels/conv2d/simd/simd.h"

#if defined PSAL_SIMD_AVX512

/* In each 128-bit lane, of four rows each: element j of r[4*k + i] becomes element i of r[4*k + j]. */
INLINE void transpose_in_lanes(const int rows, vec *r) {
    vec t[16];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i += 4) {
        for (int j = 0; j < 2; j++) {
            __m512d low = _mm512_castps_pd(t[i + j]), high = _mm512_castps_pd(t[i + j + 2]);
            r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    }
}

/* r[i] element j becomes r[j] element i */
INLINE void transpose_registers(vec r[16]) {
    vec t[16];
    transpose_in_lanes(16, r);
    /* Now lane l of r[4*i + j] holds column 4*l + j of rows 4*i .. 4*i+3: transpose the 4 x 4 lanes. */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        vec a = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x44), b = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xee);
        vec c = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x44), d = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xee);
        t[j] = _mm512_shuffle_f32x4(a, c, 0x88);
        t[4 + j] = _mm512_shuffle_f32x4(a, c, 0xdd);
        t[8 + j] = _mm512_shuffle_f32x4(b, d, 0x88);
        t[12 + j] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) r[i] = t[i];
}

/* r[j] lane i = src[i * step + j] for i < rows, j < columns, and 0 beyond; nothing else is read. */
INLINE void load_transposed(const float *src, size_t step, size_t rows, size_t columns, vec r[16]) {
    const vec_mask mask = vec_first(columns);
    if (rows == 16)
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) r[i] = vec_load_masked(src + i * step, mask);
    else
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) r[i] = i < rows ? vec_load_masked(src + i * step, mask) : vec_zero();
    transpose_registers(r);
}

/* dst[j * dst_step + i] = src[i * src_step + j] for i < rows, j < columns (both <= 16), and 0 for rows <= i < stored,
 * where stored is rows or 16: nothing else is read or written. */
static inline void transpose_block(const float *src, size_t src_step, size_t rows, size_t columns, float *dst,
                                   size_t dst_step, size_t stored) {
    vec r[16];
    if (rows == 16 && columns == 16) {
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) r[i] = vec_load(src + i * src_step);
    } else {
        vec_mask mask = vec_first(columns);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) r[i] = i < rows ? vec_load_masked(src + i * src_step, mask) : vec_zero();
    }
    transpose_registers(r);
    if (columns == 16 && stored == 16) {
#pragma GCC unroll 16
        for (size_t j = 0; j < 16; j++) vec_store(dst + j * dst_step, r[j]);
    } else {
        const vec_mask mask = vec_first(stored);
#pragma GCC unroll 16
        for (size_t j = 0; j < 16; j++)
            if (j < columns) vec_store_masked(dst + j * dst_step, mask, r[j]);
    }
}

#else
#if defined PSAL_SIMD_NEON

static inline float32x4_t halves(float64x2_t pairs) {
    return vreinterpretq_f32_f64(pairs);
}

/* Element j of r[i] becomes element i of r[j]. */
INLINE void transpose_four(float32x4_t *r0, float32x4_t *r1, float32x4_t *r2, float32x4_t *r3) {
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(*r0, *r1)), b = vreinterpretq_f64_f32(vtrn2q_f32(*r0, *r1));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(*r2, *r3)), d = vreinterpretq_f64_f32(vtrn2q_f32(*r2, *r3));
    *r0 = halves(vtrn1q_f64(a, c));
    *r1 = halves(vtrn1q_f64(b, d));
    *r2 = halves(vtrn2q_f64(a, c));
    *r3 = halves(vtrn2q_f64(b, d));
}

INLINE void transpose_registers(vec r[8]) {
    transpose_four(&r[0].low, &r[1].low, &r[2].low, &r[3].low);
    transpose_four(&r[0].high, &r[1].high, &r[2].high, &r[3].high);
    transpose_four(&r[4].low, &r[5].low, &r[6].low, &r[7].low);
    transpose_four(&r[4].high, &r[5].high, &r[6].high, &r[7].high);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const float32x4_t corner = r[i].high;
        r[i].high = r[4 + i].low;
        r[4 + i].low = corner;
    }
}

#else

INLINE void transpose_registers(vec r[8]) {
    vec t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; j++) {
            __m256d low = _mm256_castps_pd(t[i + j]), high = _mm256_castps_pd(t[i + j + 2]);
            r[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
            r[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
        }
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        t[j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
        t[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = t[i];
}

#endif

static inline void transpose_block(const float *src, size_t src_step, size_t rows, size_t columns, float *dst,
                                   size_t dst_step, size_t stored) {
    for (size_t i0 = 0; i0 < stored; i0 += 8) {
        const vec_mask kept = vec_first(stored - i0);
        for (size_t j0 = 0; j0 < columns; j0 += 8) {
            vec r[8];
            if (i0 + 8 <= rows && j0 + 8 <= columns) {
#pragma GCC unroll 8
                for (size_t i = 0; i < 8; i++) r[i] = vec_load(src + (i0 + i) * src_step + j0);
            } else {
                const vec_mask mask = vec_first(columns - j0);
#pragma GCC unroll 8
                for (size_t i = 0; i < 8; i++)
                    r[i] = i0 + i < rows ? vec_load_masked(src + (i0 + i) * src_step + j0, mask) : vec_zero();
            }
            transpose_registers(r);
            if (i0 + 8 <= stored && j0 + 8 <= columns) { /* masked stores are slow */
#pragma GCC unroll 8
                for (size_t j = 0; j < 8; j++) vec_store(dst + (j0 + j) * dst_step + i0, r[j]);
            } else {
#pragma GCC unroll 8
                for (size_t j = 0; j < 8; j++)
                    if (j0 + j < columns) vec_store_masked(dst + (j0 + j) * dst_step + i0, kept, r[j]);
            }
        }
    }
}

#endif
#endif
