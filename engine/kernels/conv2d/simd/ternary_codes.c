#include "engine/kernels/conv2d/simd/ternary_plan.h"
#include "engine/kernels/conv2d/simd/transpose.h"

#include <string.h>

/* The indices of 64 steps from their codes a, b and c (ternary_plan.h) */
static __m512i indices_of(__m512i a, __m512i b, __m512i c) {
    const __m512i three_b = _mm512_add_epi8(b, _mm512_add_epi8(b, b)),
                  nine_c = _mm512_add_epi8(c, _mm512_slli_epi16(c, 3));
    const __m512i n = _mm512_sub_epi8(_mm512_add_epi8(a, _mm512_add_epi8(three_b, nine_c)), _mm512_set1_epi8(13));
    return _mm512_or_si512(_mm512_abs_epi8(n), _mm512_and_si512(n, _mm512_set1_epi8((char)0x80)));
}

static __m512i load_codes(const unsigned char *codes, size_t n) {
    return _mm512_mask_loadu_epi8(_mm512_set1_epi8(1), n >= 64 ? ~0ull : (1ull << n) - 1, codes);
}

/* The indices of n[0] <= 64 elements of three rows, `step` apart; the second and the third row have n[1] and n[2]
 * elements, or none */
static inline __m512i load_indices(const unsigned char *row, size_t step, const size_t n[TRIPLE]) {
    return indices_of(load_codes(row, n[0]), load_codes(n[1] > 0 ? row + step : row, n[1]),
                      load_codes(n[2] > 0 ? row + 2 * step : row, n[2]));
}

/* Prefetch n codes. */
static inline void prefetch_codes(const unsigned char *codes, size_t n) {
    for (size_t i = 0; i < n; i += 64) prefetch((const float *)(const void *)(codes + i), 1);
}

/* Forward: codes[o][(c, tap)], where the elements of a filter have the order of the steps */
static void pack_rows(const psal_ternary_plan *plan, const unsigned char *codes, size_t vector, __m512i *indices) {
    const psal_ternary_phase *p = &plan->phase[0];
    const size_t filter = plan->channels * plan->kernel, part = plan->triples * plan->kernel;
    const size_t lanes = psal_size_min(BLOCK, plan->results - vector * BLOCK);
    codes += vector * BLOCK * filter;
    indices += vector * p->words;
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t start = block * p->triples * plan->kernel;
        const size_t end = psal_size_min(start + p->triples * plan->kernel, part);
        for (size_t j = start; j < end; j += 64) {
            size_t n[TRIPLE];
            for (size_t i = 0; i < TRIPLE; i++) {
                const size_t there = j + i * part < filter ? filter - i * part - j : 0;
                n[i] = psal_size_min(psal_size_min(there, end - j), 64);
            }
            vec rows[BLOCK];
            const unsigned char *row = codes + j;
            for (size_t r = 0; r < BLOCK; r++, row += filter) {
                for (size_t i = 0; i < TRIPLE; i++)
                    prefetch_codes(row + BLOCK * filter + i * part, 1); /* of the next vector */
                rows[r] = r < lanes ? _mm512_castsi512_ps(load_indices(row, part, n)) : vec_zero();
            }
            transpose_registers(rows);
            const size_t words = psal_ceil_div(n[0], WORD_STEPS);
            for (size_t q = 0; q < words; q++) *indices++ = _mm512_castps_si512(rows[q]);
        }
    }
}

/* 128 bits i of r[j] become 128 bits j of r[i]. */
INLINE void transpose_quarters(__m512i r[4]) {
    const __m512i a = _mm512_shuffle_i32x4(r[0], r[1], 0x44), b = _mm512_shuffle_i32x4(r[0], r[1], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(r[2], r[3], 0x44), d = _mm512_shuffle_i32x4(r[2], r[3], 0xee);
    r[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    r[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    r[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    r[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

/* Byte i of the bytes of dwords, moved to byte `place`, in each lane */
INLINE __m512i byte_of(const __m512i *dwords, size_t i, size_t place) {
    const __m512i high = _mm512_sll_epi32(dwords[i / WORD_STEPS],
                                          _mm_cvtsi32_si128(8 * (int)(WORD_STEPS - 1 - i % WORD_STEPS)));
    const __m512i byte = _mm512_and_si512(high, _mm512_set1_epi32((int)0xff000000));
    return _mm512_srl_epi32(byte, _mm_cvtsi32_si128(8 * (int)(WORD_STEPS - 1 - place)));
}

/* Write the indices of one triple into the words that have them. Lane m of dwords[i]: channel m, elements 4i to 4i +
 * 3 */
static void place_indices(const psal_ternary_plan *plan, const psal_ternary_phase *p, const unsigned char *element,
                          size_t triple, const __m512i *dwords, __m512i *indices) {
    const size_t full = p->taps / WORD_STEPS, rest = p->taps % WORD_STEPS, block = triple / p->triples,
                 place = triple % p->triples;
    const size_t triples = psal_size_min(p->triples, plan->triples - block * p->triples);
    indices += block * psal_ternary_words(plan, p, p->triples);
    for (size_t q = 0; q < full; q++) {
        const unsigned char *e = element + q * WORD_STEPS;
        __m512i word = dwords[q];
        if (p->taps < plan->kernel)
            word = _mm512_or_si512(_mm512_or_si512(byte_of(dwords, e[0], 0), byte_of(dwords, e[1], 1)),
                                   _mm512_or_si512(byte_of(dwords, e[2], 2), byte_of(dwords, e[3], 3)));
        indices[place * full + q] = word;
    }
    indices += triples * full + place / WORD_STEPS * rest;
    for (size_t r = 0; r < rest; r++) {
        const __m512i index = byte_of(dwords, element[full * WORD_STEPS + r], place % WORD_STEPS);
        indices[r] = place % WORD_STEPS == 0 ? index : _mm512_or_si512(indices[r], index);
    }
}

/* dx: codes[o][(c, element)]. First the indices of 64 channels of some triples, then for each vector those of its
 * channels, aligned to 16 bytes and transposed. Some triples at a time, because a load of 16 bytes that crosses stores
 * of 64 bytes, or of 64 bytes over stores of 16, waits until these have reached the cache. */
static void pack_taps(const psal_ternary_plan *plan, const unsigned char *codes, size_t vector, size_t vectors,
                      __m512i *indices) {
    enum { TRIPLES = 16, ROOM = WORD_STEPS * BLOCK * MOST_TAPS + 64 };
    const size_t row_size = plan->results * plan->kernel, first = vector * BLOCK * plan->kernel;
    const size_t size = psal_size_min(vectors * BLOCK, plan->results - vector * BLOCK) * plan->kernel;
    const __m512i columns = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    unsigned char element[MOST_PHASES][MOST_TAPS];
    unsigned char row_indices[TRIPLES][ROOM] __attribute__((aligned(64))),
        apart[TRIPLES][MOST_TAPS / 16][BLOCK / 4][64] __attribute__((aligned(64)));
    for (size_t i = 0; i < plan->phases; i++) {
        const psal_conv2d_axis *h = &plan->phase[i].l.h, *w = &plan->phase[i].l.w;
        for (int tap = 0; tap < h->taps * w->taps; tap++)
            element[i][tap] = (unsigned char)((h->kernel + tap / w->taps * h->kernel_step) * plan->s->kernel_width +
                                              w->kernel + tap % w->taps * w->kernel_step);
    }
    for (size_t start = 0; start < plan->triples; start += TRIPLES) {
        const size_t triples = psal_size_min(TRIPLES, plan->triples - start);
        for (size_t k = 0; k < triples; k++) {
            for (size_t i = 0; i < TRIPLE; i++)
                prefetch_codes(codes + (start + TRIPLES + k + i * plan->triples) * row_size + first, size);
            for (size_t j = 0; j < size; j += 64) {
                size_t n[TRIPLE];
                for (size_t i = 0; i < TRIPLE; i++)
                    n[i] = start + k + i * plan->triples < plan->channels ? psal_size_min(size - j, 64) : 0;
                _mm512_store_si512(row_indices[k] + j, load_indices(codes + (start + k) * row_size + first + j,
                                                                    plan->triples * row_size, n));
            }
            memset(row_indices[k] + size, 0, vectors * BLOCK * plan->kernel - size);
        }
        for (size_t v = 0; v < vectors; v++) {
            for (size_t k = 0; k < triples; k++)
                for (size_t m = 0; m < BLOCK; m++)
                    for (size_t e = 0; e < plan->kernel; e += 16)
                        _mm_store_si128(
                            (__m128i *)&apart[k][e / 16][m / 4][m % 4 * 16],
                            _mm_loadu_si128((const __m128i *)&row_indices[k][(v * BLOCK + m) * plan->kernel + e]));
            for (size_t k = 0; k < triples; k++) {
                __m512i dwords[MOST_TAPS / WORD_STEPS];
                for (size_t e = 0; e < plan->kernel; e += 16) {
                    for (int i = 0; i < 4; i++)
                        dwords[e / WORD_STEPS + i] = _mm512_permutexvar_epi32(columns,
                                                                              _mm512_load_si512(apart[k][e / 16][i]));
                    transpose_quarters(dwords + e / WORD_STEPS);
                }
                for (size_t i = 0; i < plan->phases; i++) {
                    const psal_ternary_phase *p = &plan->phase[i];
                    if (p->words > 0)
                        place_indices(plan, p, element[i], start + k, dwords,
                                      indices + p->indices + (vector + v) * p->words);
                }
            }
        }
    }
}

/* dx, one tap: codes[o][c]. Words of `vectors` <= 4 vectors, 64 channels, from the indices of four triples. */
static void pack_columns(const psal_ternary_plan *plan, const psal_ternary_phase *p, const unsigned char *codes,
                         size_t vector, size_t vectors, __m512i *indices) {
    enum { AHEAD = 4 * WORD_STEPS }; /* triples ahead to prefetch */
    const size_t first = vector * BLOCK, size = psal_size_min(vectors * BLOCK, plan->results - first);
    indices += p->indices + vector * p->words;
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t end = psal_size_min((block + 1) * p->triples, plan->triples);
        for (size_t start = block * p->triples; start < end; start += WORD_STEPS, indices++) {
            __m512i index[WORD_STEPS], pair[WORD_STEPS], word[WORD_STEPS];
            for (size_t k = 0; k < WORD_STEPS; k++) {
                size_t n[TRIPLE];
                for (size_t i = 0; i < TRIPLE; i++)
                    n[i] = start + k < end && start + k + i * plan->triples < plan->channels ? size : 0;
                for (size_t i = 0; i < TRIPLE; i++)
                    prefetch_codes(codes + (start + AHEAD + k + i * plan->triples) * plan->results + first, 1);
                const unsigned char *row = codes + (n[0] > 0 ? (start + k) * plan->results + first : 0);
                index[k] = load_indices(row, plan->triples * plan->results, n);
            }
            pair[0] = _mm512_unpacklo_epi8(index[0], index[1]);
            pair[1] = _mm512_unpackhi_epi8(index[0], index[1]);
            pair[2] = _mm512_unpacklo_epi8(index[2], index[3]);
            pair[3] = _mm512_unpackhi_epi8(index[2], index[3]);
            /* 128 bits l of word[k]: channels 16l + 4k to 16l + 4k + 3 */
            for (int i = 0; i < 2; i++) {
                word[2 * i] = _mm512_unpacklo_epi16(pair[i], pair[i + 2]);
                word[2 * i + 1] = _mm512_unpackhi_epi16(pair[i], pair[i + 2]);
            }
            transpose_quarters(word);
            for (size_t v = 0; v < vectors; v++) indices[v * p->words] = word[v];
        }
    }
}

size_t psal_ternary_pack_tasks(const psal_ternary_plan *plan) {
    return psal_ceil_div(plan->vectors, WORD_STEPS);
}

void psal_ternary_pack(const psal_ternary_plan *plan, const unsigned char *codes, size_t task, __m512i *indices) {
    const size_t first = task * WORD_STEPS, end = psal_size_min(first + WORD_STEPS, plan->vectors);
    if (!plan->dx)
        for (size_t v = first; v < end; v++) pack_rows(plan, codes, v, indices);
    else if (plan->kernel == 1)
        for (size_t i = 0; i < plan->phases; i++)
            pack_columns(plan, &plan->phase[i], codes, first, end - first, indices);
    else
        pack_taps(plan, codes, first, end - first, indices);
}
