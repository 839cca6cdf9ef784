#include "engine/kernels/x86/signs_plan.h"
#include "engine/kernels/x86/transpose.h"

#if defined PSAL_SIMD_AVX512

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Of 64 steps, from their codes (signs_plan.h) */
static __m512i numbers_of(__m512i a, __m512i b, __m512i c) {
    const __m512i three_b = _mm512_add_epi8(b, _mm512_add_epi8(b, b)),
                  nine_c = _mm512_add_epi8(c, _mm512_slli_epi16(c, 3));
    const __m512i n = _mm512_sub_epi8(_mm512_add_epi8(a, _mm512_add_epi8(three_b, nine_c)), _mm512_set1_epi8(13));
    return _mm512_or_si512(_mm512_abs_epi8(n), _mm512_and_si512(n, _mm512_set1_epi8((char)0x80)));
}

static __m512i load_codes(const unsigned char *codes, size_t n) {
    return _mm512_mask_loadu_epi8(_mm512_set1_epi8(1), n >= 64 ? ~0ull : (1ull << n) - 1, codes);
}

/* The numbers of n[0] <= 64 elements of three rows, `step` apart, the third of which, or the second
 * and the third, may be shorter or missing */
static inline __m512i load_numbers(const unsigned char *row, size_t step, const size_t n[PART]) {
    return numbers_of(load_codes(row, n[0]), load_codes(n[1] > 0 ? row + step : row, n[1]),
                      load_codes(n[2] > 0 ? row + 2 * step : row, n[2]));
}

/* Ask for codes that are wanted soon. They are read once, and a network comes back to them when the
 * caches have forgotten them. */
static inline void prefetch_codes(const unsigned char *codes, size_t n) {
    for (size_t i = 0; i < n; i += 64) prefetch((const float *)(const void *)(codes + i), 1);
}

/* Forward: codes[o][(c, tap)]. The elements of a row come in the order of the steps. */
static void pack_rows(const psal_signs_plan *plan, const unsigned char *codes, size_t vector, __m512i *words) {
    const psal_signs_phase *p = &plan->phase[0];
    const size_t filter = plan->channels * plan->kernel, part = plan->threes * plan->kernel;
    const size_t lanes = psal_size_min(BLOCK, plan->results - vector * BLOCK);
    codes += vector * BLOCK * filter;
    words += vector * p->quads;
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t start = block * p->threes * plan->kernel;
        const size_t end = psal_size_min(start + p->threes * plan->kernel, part);
        for (size_t j = start; j < end; j += 64) {
            size_t n[PART];
            for (size_t i = 0; i < PART; i++) {
                const size_t there = j + i * part < filter ? filter - i * part - j : 0;
                n[i] = psal_size_min(psal_size_min(there, end - j), 64);
            }
            vec rows[BLOCK];
            const unsigned char *row = codes + j;
            for (size_t r = 0; r < BLOCK; r++, row += filter) {
                for (size_t i = 0; i < PART; i++)
                    prefetch_codes(row + BLOCK * filter + i * part, 1); /* of the next vector */
                rows[r] = r < lanes ? _mm512_castsi512_ps(load_numbers(row, part, n)) : vec_zero();
            }
            transpose_registers(rows);
            const size_t quads = psal_ceil_div(n[0], QUAD);
            for (size_t q = 0; q < quads; q++) *words++ = _mm512_castps_si512(rows[q]);
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

/* byte i of 4 * dwords, moved to byte `place` */
INLINE __m512i byte_of(const __m512i *dwords, size_t i, size_t place) {
    const __m512i high = _mm512_sll_epi32(dwords[i / QUAD], _mm_cvtsi32_si128(8 * (int)(QUAD - 1 - i % QUAD)));
    const __m512i byte = _mm512_and_si512(high, _mm512_set1_epi32((int)0xff000000));
    return _mm512_srl_epi32(byte, _mm_cvtsi32_si128(8 * (int)(QUAD - 1 - place)));
}

/* The words that one three has part in, from dwords with its numbers: lane m of dwords[i] is
 * channel m, elements 4i to 4i + 3 */
static void place_numbers(const psal_signs_plan *plan, const psal_signs_phase *p, const unsigned char *element,
                          size_t three, const __m512i *dwords, __m512i *words) {
    const size_t full = p->taps / QUAD, rest = p->taps % QUAD, block = three / p->threes, place = three % p->threes;
    const size_t threes = psal_size_min(p->threes, plan->threes - block * p->threes);
    words += block * psal_signs_quads(plan, p, p->threes);
    for (size_t q = 0; q < full; q++) {
        const unsigned char *e = element + q * QUAD;
        __m512i word = dwords[q];
        if (p->taps < plan->kernel)
            word = _mm512_or_si512(_mm512_or_si512(byte_of(dwords, e[0], 0), byte_of(dwords, e[1], 1)),
                                   _mm512_or_si512(byte_of(dwords, e[2], 2), byte_of(dwords, e[3], 3)));
        words[place * full + q] = word;
    }
    words += threes * full + place / QUAD * rest;
    for (size_t r = 0; r < rest; r++) {
        const __m512i number = byte_of(dwords, element[full * QUAD + r], place % QUAD);
        words[r] = place % QUAD == 0 ? number : _mm512_or_si512(words[r], number);
    }
}

/* dx: codes[o][(c, element)]. The numbers of 64 channels of some threes, and then, vector by
 * vector, those of a channel apart and transposed. Some threes at a time because what was just
 * stored in 64 bytes can not be loaded in 16 that lie across, nor the other way round, before it
 * has reached the cache. */
static void pack_taps(const psal_signs_plan *plan, const unsigned char *codes, size_t vector, size_t vectors,
                      __m512i *words) {
    enum { THREES = 16, ROOM = QUAD * BLOCK * MOST_TAPS + 64 };
    const size_t row_size = plan->results * plan->kernel, first = vector * BLOCK * plan->kernel;
    const size_t size = psal_size_min(vectors * BLOCK, plan->results - vector * BLOCK) * plan->kernel;
    const __m512i columns = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    unsigned char element[MOST_PHASES][MOST_TAPS];
    unsigned char numbers[THREES][ROOM] __attribute__((aligned(64))),
        apart[THREES][MOST_TAPS / 16][BLOCK / 4][64] __attribute__((aligned(64)));
    for (size_t i = 0; i < plan->phases; i++) {
        const psal_conv2d_axis *h = &plan->phase[i].l.h, *w = &plan->phase[i].l.w;
        for (int tap = 0; tap < h->taps * w->taps; tap++)
            element[i][tap] = (unsigned char)((h->kernel + tap / w->taps * h->kernel_step) * plan->s->kernel_width +
                                              w->kernel + tap % w->taps * w->kernel_step);
    }
    for (size_t start = 0; start < plan->threes; start += THREES) {
        const size_t threes = psal_size_min(THREES, plan->threes - start);
        for (size_t k = 0; k < threes; k++) {
            for (size_t i = 0; i < PART; i++)
                prefetch_codes(codes + (start + THREES + k + i * plan->threes) * row_size + first, size);
            for (size_t j = 0; j < size; j += 64) {
                size_t n[PART];
                for (size_t i = 0; i < PART; i++)
                    n[i] = start + k + i * plan->threes < plan->channels ? psal_size_min(size - j, 64) : 0;
                _mm512_store_si512(numbers[k] + j, load_numbers(codes + (start + k) * row_size + first + j,
                                                                plan->threes * row_size, n));
            }
            memset(numbers[k] + size, 0, vectors * BLOCK * plan->kernel - size);
        }
        for (size_t v = 0; v < vectors; v++) {
            for (size_t k = 0; k < threes; k++)
                for (size_t m = 0; m < BLOCK; m++)
                    for (size_t e = 0; e < plan->kernel; e += 16)
                        _mm_store_si128(
                            (__m128i *)&apart[k][e / 16][m / 4][m % 4 * 16],
                            _mm_loadu_si128((const __m128i *)&numbers[k][(v * BLOCK + m) * plan->kernel + e]));
            for (size_t k = 0; k < threes; k++) {
                __m512i dwords[MOST_TAPS / QUAD];
                for (size_t e = 0; e < plan->kernel; e += 16) {
                    for (int i = 0; i < 4; i++)
                        dwords[e / QUAD + i] = _mm512_permutexvar_epi32(columns,
                                                                        _mm512_load_si512(apart[k][e / 16][i]));
                    transpose_quarters(dwords + e / QUAD);
                }
                for (size_t i = 0; i < plan->phases; i++) {
                    const psal_signs_phase *p = &plan->phase[i];
                    if (p->quads > 0)
                        place_numbers(plan, p, element[i], start + k, dwords,
                                      words + p->words + (vector + v) * p->quads);
                }
            }
        }
    }
}

/* dx, one tap: codes[o][c]. The numbers of 64 channels for each of four threes, byte by byte:
 * `vectors` <= 4 of them. */
static void pack_columns(const psal_signs_plan *plan, const psal_signs_phase *p, const unsigned char *codes,
                         size_t vector, size_t vectors, __m512i *words) {
    enum { AHEAD = 4 * QUAD }; /* threes that are asked for meanwhile */
    const size_t first = vector * BLOCK, size = psal_size_min(vectors * BLOCK, plan->results - first);
    words += p->words + vector * p->quads;
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t end = psal_size_min((block + 1) * p->threes, plan->threes);
        for (size_t start = block * p->threes; start < end; start += QUAD, words++) {
            __m512i number[QUAD], pair[QUAD], word[QUAD];
            for (size_t k = 0; k < QUAD; k++) {
                size_t n[PART];
                for (size_t i = 0; i < PART; i++)
                    n[i] = start + k < end && start + k + i * plan->threes < plan->channels ? size : 0;
                for (size_t i = 0; i < PART; i++)
                    prefetch_codes(codes + (start + AHEAD + k + i * plan->threes) * plan->results + first, 1);
                const unsigned char *row = codes + (n[0] > 0 ? (start + k) * plan->results + first : 0);
                number[k] = load_numbers(row, plan->threes * plan->results, n);
            }
            pair[0] = _mm512_unpacklo_epi8(number[0], number[1]);
            pair[1] = _mm512_unpackhi_epi8(number[0], number[1]);
            pair[2] = _mm512_unpacklo_epi8(number[2], number[3]);
            pair[3] = _mm512_unpackhi_epi8(number[2], number[3]);
            /* 128 bits l of word[k]: channels 16l + 4k to 16l + 4k + 3 */
            for (int i = 0; i < 2; i++) {
                word[2 * i] = _mm512_unpacklo_epi16(pair[i], pair[i + 2]);
                word[2 * i + 1] = _mm512_unpackhi_epi16(pair[i], pair[i + 2]);
            }
            transpose_quarters(word);
            for (size_t v = 0; v < vectors; v++) words[v * p->quads] = word[v];
        }
    }
}

size_t psal_signs_pack_tasks(const psal_signs_plan *plan) {
    return psal_ceil_div(plan->vectors, QUAD);
}

void psal_signs_pack(const psal_signs_plan *plan, const unsigned char *codes, size_t task, __m512i *words) {
    const size_t first = task * QUAD, end = psal_size_min(first + QUAD, plan->vectors);
    if (!plan->dx)
        for (size_t v = first; v < end; v++) pack_rows(plan, codes, v, words);
    else if (plan->kernel == 1)
        for (size_t i = 0; i < plan->phases; i++) pack_columns(plan, &plan->phase[i], codes, first, end - first, words);
    else
        pack_taps(plan, codes, first, end - first, words);
}

#endif
