/* simd.h - the vector type of the kernels. Every .c file of this folder is compiled once for each set of vector
 * instructions that the architecture has: on x86-64 twice, for AVX2+FMA and for AVX-512, on aarch64 for NEON (see
 * engine/meson.build). Its public names get the set as a suffix: PSAL_SIMD_NAME(f) is f_avx2, f_avx512 or f_neon.
 *
 * All builds compute the same bits: every element of a result has its own accumulator, which adds products in the same
 * order with fused multiply-adds whatever the vector's width, and all blocking constants that cut sums are shared. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_SIMD_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_SIMD_H

#if defined PSAL_SIMD_NEON
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define BLOCK 16 /* floats: one cache line; packed operands come in blocks of this many, in all builds */

#if defined PSAL_SIMD_AVX512

#define PSAL_SIMD_NAME(name) name##_avx512
#define WIDTH 16
#define MAX_ROWS 14 /* of a register tile: 14 x 2 accumulators, 2 vectors of B, 1 broadcast: 31 of 32 registers */
typedef __m512 vec;
typedef __mmask16 vec_mask;

/* clang-format off */
static inline vec vec_zero(void) { return _mm512_setzero_ps(); }
static inline vec vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm512_storeu_ps(p, v); }
static inline vec vec_broadcast(float s) { return _mm512_set1_ps(s); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); } /* a*b + c, rounded once */
static inline vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec_mask vec_first(size_t n) { return (vec_mask)(n >= 16 ? 0xffff : (1u << n) - 1); }
static inline vec vec_load_masked(const float *p, vec_mask m) { return _mm512_maskz_loadu_ps(m, p); }
static inline void vec_store_masked(float *p, vec_mask m, vec v) { _mm512_mask_storeu_ps(p, m, v); }
static inline vec vec_or(vec a, vec b) { return _mm512_or_ps(a, b); }
static inline vec vec_and_not(vec a, vec b) { return _mm512_andnot_ps(a, b); } /* ~a & b */
static inline vec_mask vec_chosen(unsigned lanes) { return (vec_mask)lanes; } /* bit i: lane i */
/* the elements with even numbers of `low` and then of `high` */
static inline vec vec_even(vec low, vec high) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(low, even, high);
}

#elif defined PSAL_SIMD_AVX2

#define PSAL_SIMD_NAME(name) name##_avx2
#define WIDTH 8
#define MAX_ROWS 6 /* 6 x 2 accumulators, 2 vectors of B, 1 broadcast: 15 of 16 registers */
typedef __m256 vec;
typedef __m256i vec_mask;

static inline vec vec_zero(void) { return _mm256_setzero_ps(); }
static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm256_storeu_ps(p, v); }
static inline vec vec_broadcast(float s) { return _mm256_set1_ps(s); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec_mask vec_first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vec vec_load_masked(const float *p, vec_mask m) { return _mm256_maskload_ps(p, m); }
static inline void vec_store_masked(float *p, vec_mask m, vec v) { _mm256_maskstore_ps(p, m, v); }
static inline vec vec_or(vec a, vec b) { return _mm256_or_ps(a, b); }
static inline vec vec_and_not(vec a, vec b) { return _mm256_andnot_ps(a, b); }
static inline vec_mask vec_chosen(unsigned lanes) {
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)lanes), bits), bits);
}
static inline vec vec_even(vec low, vec high) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88)), 0xd8));
}

#elif defined PSAL_SIMD_NEON

#define PSAL_SIMD_NAME(name) name##_neon
#define WIDTH 8    /* two registers, of which there are 32: everything is cut as for AVX2 */
#define MAX_ROWS 6 /* 6 x 2 accumulators, 2 vectors of B: 28 of 32 registers, and one that is broadcast */
typedef struct vec { float32x4_t low, high; } vec;
typedef unsigned vec_mask; /* bit i: lane i */

static inline vec vec_broadcast(float s) { return (vec){vdupq_n_f32(s), vdupq_n_f32(s)}; }
static inline vec vec_zero(void) { return vec_broadcast(0); }
static inline vec vec_load(const float *p) { return (vec){vld1q_f32(p), vld1q_f32(p + 4)}; }
static inline void vec_store(float *p, vec v) { vst1q_f32(p, v.low); vst1q_f32(p + 4, v.high); }
static inline vec vec_fma(vec a, vec b, vec c) {
    return (vec){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
static inline vec vec_add(vec a, vec b) { return (vec){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
static inline vec vec_sub(vec a, vec b) { return (vec){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
static inline vec vec_mul(vec a, vec b) { return (vec){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
static inline vec_mask vec_first(size_t n) { return n >= 8 ? 0xff : (1u << n) - 1; }
static inline vec_mask vec_chosen(unsigned lanes) { return lanes & 0xff; }
static inline vec vec_load_masked(const float *p, vec_mask m) {
    if (m == 0xff) return vec_load(p);
    float lane[8] = {0};
    for (int i = 0; i < 8; i++) if (m >> i & 1) lane[i] = p[i];
    return vec_load(lane);
}
static inline void vec_store_masked(float *p, vec_mask m, vec v) {
    float lane[8];
    vec_store(lane, v);
    for (int i = 0; i < 8; i++) if (m >> i & 1) p[i] = lane[i];
}
static inline float32x4_t or_bits(float32x4_t a, float32x4_t b) {
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
static inline float32x4_t clear_bits(float32x4_t a, float32x4_t b) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
static inline vec vec_or(vec a, vec b) { return (vec){or_bits(a.low, b.low), or_bits(a.high, b.high)}; }
static inline vec vec_and_not(vec a, vec b) { return (vec){clear_bits(b.low, a.low), clear_bits(b.high, a.high)}; }
static inline vec vec_even(vec low, vec high) {
    return (vec){vuzp1q_f32(low.low, low.high), vuzp1q_f32(high.low, high.high)};
}

/* clang-format on */
#else
#error "compile with -DPSAL_SIMD_AVX2, -DPSAL_SIMD_AVX512 or -DPSAL_SIMD_NEON"
#endif

/* v, in a register from here on: the compiler does not load it again where it is used. */
static inline vec vec_in_register(vec v) {
#if defined PSAL_SIMD_NEON
    __asm__("" : "+w"(v.low), "+w"(v.high));
#else
    __asm__("" : "+v"(v));
#endif
    return v;
}

#define TILE_COLUMNS (2 * WIDTH) /* of a register tile */

#if defined PSAL_SIMD_NEON
#define PREFETCH(x86, arm, value) __asm__ volatile("prfm " arm ", %0" : : "Q"(value))
#else
#define PREFETCH(x86, arm, value) __asm__ volatile(x86 " %0" : : "m"(value))
#endif

/* Prefetch n floats. As assembly, because GCC (12) drops calls of a function that does nothing but prefetch. */
static inline void prefetch(const float *p, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) PREFETCH("prefetcht0", "pldl1keep", p[i]);
}

/* The same into the L2 cache only: for rows of memory that map to few sets of the L1 cache */
static inline void prefetch_later(const float *p, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) PREFETCH("prefetcht1", "pldl2keep", p[i]);
}

/* Prefetch n floats to be written: takes their lines from other cores' caches. (Processors without the instruction
 * ignore it.) */
static inline void prefetch_to_write(const float *p, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) PREFETCH("prefetchw", "pstl1keep", p[i]);
}

/* n <= BLOCK floats from src, the rest of dst's block zero; nothing behind src[n-1] is read. */
static inline void block_copy(float *dst, const float *src, size_t n) {
    for (size_t i = 0; i < BLOCK; i += WIDTH)
        vec_store(dst + i, n >= i + WIDTH ? vec_load(src + i)
                           : n > i        ? vec_load_masked(src + i, vec_first(n - i))
                                          : vec_zero());
}

/* `lanes` as vec_load_strided takes them: bit i for lane i, or with stride 2 bit 2i */
static inline unsigned strided_lanes(int stride, unsigned lanes) {
    for (int n = 8; stride == 2 && n > 0; n /= 2) lanes = (lanes | lanes << n) & ~0u / ((1u << n) + 1);
    return lanes;
}

/* Lane i = src[i * stride] if lane first + i is chosen (strided_lanes), otherwise 0; nothing else is read. */
INLINE vec vec_load_strided(const float *src, int stride, unsigned chosen, unsigned first) {
    if (stride == 1) return vec_load_masked(src, vec_chosen(chosen >> first));
    if (stride == 2)
        return vec_even(vec_load_masked(src, vec_chosen(chosen >> 2 * first)),
                        vec_load_masked(src + WIDTH, vec_chosen(chosen >> (2 * first + WIDTH))));
    float elements[WIDTH] = {0};
    for (unsigned i = 0; i < WIDTH; i++)
        if (chosen >> (first + i) & 1) elements[i] = src[i * (size_t)stride];
    return vec_load(elements);
}

/* n floats, `stride` apart in src, to dst; up to 15 floats behind dst[n-1] may be overwritten, nothing behind the last
 * element of src is read. */
static inline void strided_copy(float *dst, const float *src, int n, int stride) {
    if (stride == 1) {
        for (; n >= WIDTH; n -= WIDTH, dst += WIDTH, src += WIDTH) vec_store(dst, vec_load(src));
        if (n > 0) vec_store(dst, vec_load_masked(src, vec_first((size_t)n)));
        return;
    }
#if WIDTH == 16
    if (stride == 2) {
        for (; n > 0; n -= 16, dst += 16, src += 32) {
            const int reach = n >= 16 ? 31 : 2 * n - 1; /* elements of src that this step may read */
            vec low = vec_load_masked(src, vec_first((size_t)reach));
            vec high = reach > 16 ? vec_load_masked(src + 16, vec_first((size_t)reach - 16)) : vec_zero();
            vec_store(dst, vec_even(low, high));
        }
        return;
    }
#endif
    for (int i = 0; i < n; i++) dst[i] = src[(size_t)i * (size_t)stride];
}

#endif
