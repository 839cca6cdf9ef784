#include "engine/kernels/conv2d/amx/filters.h"

#include "engine/kernels/conv2d/simd/transpose.h"

/* The pairs of one row and one step */
INLINE void store_row(float *to, vec first, vec second) {
    vec part[PARTS];
    split_pairs(first, second, part);
#pragma GCC unroll 3
    for (unsigned i = 0; i < PARTS; i++) vec_store(to + i * PART_FLOATS, part[i]);
}

/* Step by step, because stores then follow each other: half the time of row by row. */
static void pack_rows(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    for (size_t i = 0; i < block->steps; i++, to += STEP_FLOATS) {
        const psal_amx_step step = psal_amx_step_of_rows(f, block->step + i);
        const vec_mask firsts = vec_first(step.firsts), seconds = vec_first(step.seconds);
        const float *src = f->w + block->row * f->ld + step.offset;
        for (size_t row = 0; row < block->rows; row++, src += f->ld)
            store_row(to + row * STEP_PAIRS, vec_load_masked(src, firsts), vec_load_masked(src + step.second, seconds));
    }
}

/* 1 x 1: blocks of 16 rows and 16 channels, along the rows, which of one channel are contiguous in memory. */
static void pack_transposed(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    for (size_t i = 0; i < block->steps; i++, to += STEP_FLOATS) {
        const psal_amx_group group = psal_amx_group_at(f->channels, block->step + i);
        const float *src = f->w + group.start * f->ld + block->row;
        for (size_t row = 0; row < block->rows; row += BLOCK, src += BLOCK) {
            const size_t rows = psal_size_min(block->rows - row, BLOCK);
            vec first[BLOCK], second[BLOCK];
            load_transposed(src, f->ld, group.firsts, rows, first);
            load_transposed(src + group.firsts * f->ld, f->ld, group.seconds, rows, second);
            float *at = to + row / TILE_ROWS * block->steps * STEP_FLOATS + row % TILE_ROWS * STEP_PAIRS;
#pragma GCC unroll 16
            for (size_t r = 0; r < BLOCK; r++) store_row(at + r * STEP_PAIRS, first[r], second[r]);
        }
    }
}

/* The kernels of 16 rows and one channel are contiguous in memory. They are transposed into vectors over channels for
 * each (row, kernel element), for the first elements of the pairs and for the second; taps are taken from there. */
static void pack_taps(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    float elements[2][MOST_KERNEL * BLOCK * BLOCK] __attribute__((aligned(64))); /* [(row, element)][channel] */
    for (size_t step = 0; step < block->steps; step += f->taps, to += f->taps * STEP_FLOATS) {
        const psal_amx_group group = psal_amx_group_at(f->channels, (block->step + step) / f->taps);
        for (size_t first = 0; first < block->rows; first += BLOCK) {
            const size_t rows = psal_size_min(block->rows - first, BLOCK), run = rows * f->kernel;
            for (size_t half = 0; half < 2; half++) {
                const size_t channel = group.start + (half ? group.firsts : 0);
                const float *src = f->w + (channel * f->ld + block->row + first) * f->kernel;
                for (size_t j = 0; j < run; j += BLOCK) {
                    vec r[BLOCK];
                    load_transposed(src + j, f->ld * f->kernel, half ? group.seconds : group.firsts, run - j, r);
#pragma GCC unroll 16
                    for (size_t i = 0; i < BLOCK; i++) vec_store(elements[half] + (j + i) * BLOCK, r[i]);
                }
            }
            for (size_t tap = 0; tap < f->taps; tap++) {
                const size_t element = psal_amx_element(f, tap) * BLOCK;
                for (size_t r = 0; r < rows; r++)
                    store_row(to + tap * STEP_FLOATS + (first + r) * STEP_PAIRS,
                              vec_load(elements[0] + r * f->kernel * BLOCK + element),
                              vec_load(elements[1] + r * f->kernel * BLOCK + element));
            }
        }
    }
}

void psal_amx_pack(const psal_amx_filters *f, const psal_amx_block *block, float *to) {
    psal_amx_pack_form(f, block, to, STEP_FLOATS, pack_rows, pack_transposed, pack_taps);
}
