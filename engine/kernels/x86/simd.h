/* simd.h - the vector type of the x86 kernels. Every .c file of this folder is compiled twice, for AVX2+FMA and for AVX-512
 * (see engine/meson.build), and its public names get the instruction set as a suffix: PSAL_SIMD_NAME(f) is f_avx2 or
 * f_avx512.
 *
 * Both builds compute the same bits: every element of a result has its own accumulator, which adds products in the same
 * order with fused multiply-adds whatever the vector's width, and all blocking constants that cut sums are shared. */
#ifndef PSAL_ENGINE_KERNELS_X86_SIMD_H
#define PSAL_ENGINE_KERNELS_X86_SIMD_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK 16 /* floats: one cache line; packed operands come in blocks of this many, in both builds */

#if defined PSAL_SIMD_AVX512

#define PSAL_SIMD_NAME(name) name##_avx512
#define WIDTH 16
#define MAX_ROWS 14 /* of a register tile: 14 x 2 accumulators, 2 vectors of B, 1 broadcast: 31 of 32 registers */
typedef __m512 vec;
typedef __mmask16 vec_mask;

static inline vec vec_zero(void) {
    return _mm512_setzero_ps();
}
static inline vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}
static inline void vec_store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}
static inline vec vec_broadcast(float s) {
    return _mm512_set1_ps(s);
}
static inline vec vec_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
} /* a*b + c, rounded once */
static inline vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}
static inline vec_mask vec_first(size_t n) {
    return (vec_mask)(n >= 16 ? 0xffff : (1u << n) - 1);
}
static inline vec vec_load_masked(const float *p, vec_mask m) {
    return _mm512_maskz_loadu_ps(m, p);
}
static inline void vec_store_masked(float *p, vec_mask m, vec v) {
    _mm512_mask_storeu_ps(p, m, v);
}
static inline vec vec_or(vec a, vec b) {
    return _mm512_or_ps(a, b);
}
static inline vec vec_and_not(vec a, vec b) {
    return _mm512_andnot_ps(a, b);
} /* ~a & b */
static inline vec_mask vec_chosen(unsigned lanes) {
    return (vec_mask)lanes;
} /* bit i: lane i; higher bits do not count */
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

static inline vec vec_zero(void) {
    return _mm256_setzero_ps();
}
static inline vec vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}
static inline void vec_store(float *p, vec v) {
    _mm256_storeu_ps(p, v);
}
static inline vec vec_broadcast(float s) {
    return _mm256_set1_ps(s);
}
static inline vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}
static inline vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}
static inline vec_mask vec_first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vec vec_load_masked(const float *p, vec_mask m) {
    return _mm256_maskload_ps(p, m);
}
static inline void vec_store_masked(float *p, vec_mask m, vec v) {
    _mm256_maskstore_ps(p, m, v);
}
static inline vec vec_or(vec a, vec b) {
    return _mm256_or_ps(a, b);
}
static inline vec vec_and_not(vec a, vec b) {
    return _mm256_andnot_ps(a, b);
}
static inline vec_mask vec_chosen(unsigned lanes) {
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)lanes), bits), bits);
}
static inline vec vec_even(vec low, vec high) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88)), 0xd8));
}

#else
#error "compile with -DPSAL_SIMD_AVX2 or -DPSAL_SIMD_AVX512"
#endif

#define TILE_COLUMNS (2 * WIDTH) /* of a register tile */

/* Ask for n floats that are wanted soon: the weights of a network are read once a pass and lie far from the processor. As
 * assembly because GCC (12) takes a function that does nothing but prefetch for one without effect, and drops its calls. */
static inline void prefetch(const float *p, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) __asm__ volatile("prefetcht0 %0" : : "m"(p[i]));
}

/* The same into the second-level cache only: for rows of memory that share few places in the first. */
static inline void prefetch_later(const float *p, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) __asm__ volatile("prefetcht1 %0" : : "m"(p[i]));
}

/* Ask for the lines of n floats that are written soon, for this processor alone: another one may have written them last. (Processors
 * that do not know the instruction pass over it.) */
static inline void prefetch_to_write(const float *p, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) __asm__ volatile("prefetchw %0" : : "m"(p[i]));
}

/* n <= BLOCK floats from src, the rest of dst's block zero; nothing behind src[n-1] is read. */
static inline void block_copy(float *dst, const float *src, size_t n) {
    for (size_t i = 0; i < BLOCK; i += WIDTH)
        vec_store(dst + i, n >= i + WIDTH ? vec_load(src + i)
                           : n > i        ? vec_load_masked(src + i, vec_first(n - i))
                                          : vec_zero());
}

/* For vec_load_strided: bit i of `lanes`, lane i, becomes bit 2i when the stride is 2. */
static inline unsigned strided_lanes(int stride, unsigned lanes) {
    for (int n = 8; stride == 2 && n > 0; n /= 2) lanes = (lanes | lanes << n) & ~0u / ((1u << n) + 1);
    return lanes;
}

/* Lane i = src[i * stride] if lane first + i is among those chosen, otherwise 0; nothing else is read. */
static inline __attribute__((always_inline)) vec vec_load_strided(const float *src, int stride, unsigned chosen,
                                                                  unsigned first) {
    if (stride == 1) return vec_load_masked(src, vec_chosen(chosen >> first));
    if (stride == 2)
        return vec_even(vec_load_masked(src, vec_chosen(chosen >> 2 * first)),
                        vec_load_masked(src + WIDTH, vec_chosen(chosen >> (2 * first + WIDTH))));
    float elements[WIDTH] = {0};
    for (unsigned i = 0; i < WIDTH; i++)
        if (chosen >> (first + i) & 1) elements[i] = src[i * (size_t)stride];
    return vec_load(elements);
}

/* n floats, `stride` apart in src, to dst; up to 15 floats behind dst[n-1] may be overwritten, nothing behind the last element
 * of src is read. */
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
