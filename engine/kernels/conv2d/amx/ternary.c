/* ternary.c - ternary filters packed for the matrix unit: a pair of bfloat16 is looked up by its two codes, so that one
 * transposition does where two numbers of three parts take more. */
#include "engine/kernels/conv2d/amx/filters.h"
#include "engine/kernels/conv2d/simd/transpose.h"

/* Lane i: the pair of first[i], or 0 for i >= firsts, and second[i], or 0 for i >= seconds */
INLINE vec ternary_pairs(const unsigned char *first, size_t firsts, const unsigned char *second, size_t seconds) {
    /* [4 * second + first]: bfloat16 of -1, 0, 1; there is no code 3 */
    const __m512i table = _mm512_setr_epi32((int)0xbf80bf80, (int)0xbf800000, (int)0xbf803f80, (int)0xbf800000,
                                            0x0000bf80, 0, 0x00003f80, 0, 0x3f80bf80, 0x3f800000, 0x3f803f80,
                                            0x3f800000, 0x0000bf80, 0, 0x00003f80, 0);
    const __m128i none = _mm_set1_epi8(1);
    const __m512i low = _mm512_cvtepu8_epi32(_mm_mask_loadu_epi8(none, vec_first(firsts), first));
    const __m512i high = _mm512_cvtepu8_epi32(_mm_mask_loadu_epi8(none, vec_first(seconds), second));
    return _mm512_castsi512_ps(_mm512_permutexvar_epi32(_mm512_or_si512(low, _mm512_slli_epi32(high, 2)), table));
}

static void pack_rows(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    for (size_t i = 0; i < block->steps; i++, to += TERNARY_STEP_FLOATS) {
        const psal_amx_step step = psal_amx_step_of_rows(f, block->step + i);
        const unsigned char *src = f->codes + block->row * f->ld + step.offset;
        for (size_t row = 0; row < block->rows; row++, src += f->ld)
            vec_store(to + row * STEP_PAIRS, ternary_pairs(src, step.firsts, src + step.second, step.seconds));
    }
}

/* pairs[j] lane c: pair c of the group, of column j (0 from `columns` on); channels are `step` apart */
INLINE void load_pairs(const unsigned char *src, size_t step, const psal_amx_group *group, size_t columns,
                       vec pairs[BLOCK]) {
    for (size_t c = 0; c < BLOCK; c++, src += step) {
        const size_t firsts = c < group->firsts ? columns : 0, seconds = c < group->seconds ? columns : 0;
        pairs[c] = ternary_pairs(src, firsts, src + group->firsts * step, seconds);
    }
    transpose_registers(pairs);
}

static void pack_transposed(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    for (size_t i = 0; i < block->steps; i++, to += TERNARY_STEP_FLOATS) {
        const psal_amx_group group = psal_amx_group_at(f->channels, block->step + i);
        const unsigned char *src = f->codes + group.start * f->ld + block->row;
        for (size_t row = 0; row < block->rows; row += BLOCK, src += BLOCK) {
            float *at = to + row / TILE_ROWS * block->steps * TERNARY_STEP_FLOATS + row % TILE_ROWS * STEP_PAIRS;
            vec pairs[BLOCK];
            load_pairs(src, f->ld, &group, block->rows - row, pairs);
#pragma GCC unroll 16
            for (size_t r = 0; r < BLOCK; r++) vec_store(at + r * STEP_PAIRS, pairs[r]);
        }
    }
}

static void pack_taps(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    float elements[MOST_KERNEL * BLOCK * BLOCK] __attribute__((aligned(64))); /* [(row, element)][channel] */
    for (size_t step = 0; step < block->steps; step += f->taps, to += f->taps * TERNARY_STEP_FLOATS) {
        const psal_amx_group group = psal_amx_group_at(f->channels, (block->step + step) / f->taps);
        for (size_t first = 0; first < block->rows; first += BLOCK) {
            const size_t rows = psal_size_min(block->rows - first, BLOCK), run = rows * f->kernel;
            const unsigned char *src = f->codes + (group.start * f->ld + block->row + first) * f->kernel;
            for (size_t j = 0; j < run; j += BLOCK) {
                vec pairs[BLOCK];
                load_pairs(src + j, f->ld * f->kernel, &group, run - j, pairs);
#pragma GCC unroll 16
                for (size_t i = 0; i < BLOCK; i++) vec_store(elements + (j + i) * BLOCK, pairs[i]);
            }
            for (size_t tap = 0; tap < f->taps; tap++) {
                const float *from = elements + psal_amx_element(f, tap) * BLOCK;
                for (size_t r = 0; r < rows; r++, from += f->kernel * BLOCK)
                    vec_store(to + tap * TERNARY_STEP_FLOATS + (first + r) * STEP_PAIRS, vec_load(from));
            }
        }
    }
}

void psal_amx_pack_ternary(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    psal_amx_pack_form(f, block, to, TERNARY_STEP_FLOATS, pack_rows, pack_transposed, pack_taps);
}
