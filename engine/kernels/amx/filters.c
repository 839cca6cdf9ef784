#include "engine/kernels/amx/filters.h"

#include "engine/kernels/x86/transpose.h"

/* How many of the `n` elements from `start` on lie before `end`. */
static size_t valid(size_t start, size_t n, size_t end)
{
    return start >= end ? 0 : psal_size_min(end - start, n);
}

/* Words of one row and one step. */
static inline __attribute__((always_inline)) void store_row(float *to, vec first, vec second)
{
    vec part[PARTS];
    split_words(first, second, part);
#pragma GCC unroll 3
    for (unsigned i = 0; i < PARTS; i++) vec_store(to + i * PART_FLOATS, part[i]);
}

static void pack_rows(const psal_amx_filters *f, const psal_amx_block *block, float *to)
{
    const size_t word = block->step * STEP_WORDS, second = f->second;
    const float *src = f->w + block->row * f->ld + word;
    const size_t whole = valid(word, block->steps * STEP_WORDS, f->second_words) / STEP_WORDS;
    for (size_t row = 0; row < block->rows; row++, src += f->ld, to += STEP_WORDS) {
        for (size_t i = 0; i < whole; i++)
            store_row(to + i * STEP_FLOATS, vec_load(src + i * STEP_WORDS), vec_load(src + i * STEP_WORDS + second));
        for (size_t i = whole; i < block->steps; i++) {
            const float *at = src + i * STEP_WORDS;
            const size_t firsts = valid(word + i * STEP_WORDS, STEP_WORDS, f->words);
            const size_t seconds = valid(word + i * STEP_WORDS, STEP_WORDS, f->second_words);
            store_row(to + i * STEP_FLOATS, firsts ? vec_load_masked(at, vec_first(firsts)) : vec_zero(),
                      seconds ? vec_load_masked(at + second, vec_first(seconds)) : vec_zero());
        }
    }
}

/* One element a kernel: 16 values of m and of o. */
static void pack_transposed(const psal_amx_filters *f, const psal_amx_block *block, float *to)
{
    for (size_t step = 0; step < block->steps; step++, to += STEP_FLOATS) {
        const size_t o = (block->step + step) * STEP_WORDS;
        for (size_t group = 0; group < block->rows; group += BLOCK) {
            const size_t rows = psal_size_min(block->rows - group, BLOCK);
            const float *src = f->w + o * f->ld + block->row + group;
            vec first[BLOCK], second[BLOCK];
            load_transposed(src, f->ld, valid(o, STEP_WORDS, f->words), rows, first);
            load_transposed(src + f->second * f->ld, f->ld, valid(o, STEP_WORDS, f->second_words), rows, second);
#pragma GCC unroll 16
            for (size_t r = 0; r < BLOCK; r++) store_row(to + (group + r) * STEP_WORDS, first[r], second[r]);
        }
    }
}

/* In memory the kernels of 16 values of m follow each other, for each o. These runs are transposed into vectors over o for each
 * (m, kernel element), for the first elements of the words and for the second; taps are taken from there. */
static void pack_taps(const psal_amx_filters *f, const psal_amx_block *block, float *to)
{
    float elements[2][MOST_KERNEL * BLOCK * BLOCK] __attribute__((aligned(64))); /* [(m, element)][o] */
    for (size_t step = 0; step < block->steps; step += f->taps, to += f->taps * STEP_FLOATS) {
        const size_t o = (block->step + step) / f->taps * STEP_WORDS;
        for (size_t group = 0; group < block->rows; group += BLOCK) {
            const size_t rows = psal_size_min(block->rows - group, BLOCK), run = rows * f->kernel;
            for (size_t half = 0; half < 2; half++) {
                const size_t count = valid(o, STEP_WORDS, half ? f->second_words : f->words);
                const float *src = f->w + ((o + (half ? f->second : 0)) * f->ld + block->row + group) * f->kernel;
                for (size_t j = 0; j < run; j += BLOCK) {
                    vec r[BLOCK];
                    load_transposed(src + j, f->ld * f->kernel, count, run - j, r);
#pragma GCC unroll 16
                    for (size_t i = 0; i < BLOCK; i++) vec_store(elements[half] + (j + i) * BLOCK, r[i]);
                }
            }
            for (size_t tap = 0; tap < f->taps; tap++) {
                const size_t row = (size_t)(f->row + (int)(tap / f->taps_width) * f->row_step);
                const size_t column = (size_t)(f->column + (int)(tap % f->taps_width) * f->column_step);
                const size_t element = (row * f->kernel_width + column) * BLOCK;
                for (size_t r = 0; r < rows; r++)
                    store_row(to + tap * STEP_FLOATS + (group + r) * STEP_WORDS,
                              vec_load(elements[0] + r * f->kernel * BLOCK + element),
                              vec_load(elements[1] + r * f->kernel * BLOCK + element));
            }
        }
    }
}

void psal_amx_pack(const psal_amx_filters *f, const psal_amx_block *block, float *to)
{
    if (f->form == PSAL_AMX_ROWS)
        pack_rows(f, block, to);
    else if (f->kernel == 1)
        pack_transposed(f, block, to);
    else
        pack_taps(f, block, to);
}
