/* filters.h - the left operand A of a product, packed block by block as the tiles of tile.h want it.
 *
 * K counts channels and taps. A word holds two channels of a group of 32 (psal_amx_group) at one tap, so that what a step
 * needs lies side by side in memory. Which words make up a step depends on how A lies there:
 *
 *   ROWS         A(m, (c, tap)) = w[m * ld + c * taps + tap]: pair of channels by pair, each with all its taps
 *   TRANSPOSED   A(m, (c, tap)) = w[(c * ld + m) * kernel + the tap's place in the kernel]: group by group, and of each one
 *                tap after the other, a step each
 *
 * What lies beyond the last channel is 0. Filters that are signs (psal_conv2d_signs) are packed in the same order, but have one
 * part: -1, 0 and 1 are bfloat16. */
#ifndef PSAL_ENGINE_KERNELS_AMX_FILTERS_H
#define PSAL_ENGINE_KERNELS_AMX_FILTERS_H

#include <stdbool.h>

#include "engine/kernels/amx/split.h"
#include "engine/kernels/conv2d_lower.h"

#define TILE_ROWS 32u /* of A and C */
#define STEP_WORDS 16u
#define TILE_FLOATS (16u * STEP_WORDS)
#define PART_FLOATS (2u * TILE_FLOATS)
#define STEP_FLOATS (PARTS * PART_FLOATS)
#define SIGNS_STEP_FLOATS PART_FLOATS /* of A */
#define MOST_KERNEL 25u               /* elements of a kernel of the form TRANSPOSED */

#define GROUP (2 * STEP_WORDS) /* channels that share words: as many as a step has products */

/* Of a group of channels, start and start + firsts share a word, start + 1 and start + firsts + 1, and so on: 16 and 16, unless
 * it is the last. */
typedef struct psal_amx_group {
    size_t start, firsts, seconds;
} psal_amx_group;

static inline psal_amx_group psal_amx_group_at(size_t channels, size_t group) {
    const size_t start = group * GROUP, n = psal_size_min(channels - start, GROUP), firsts = psal_ceil_div(n, 2);
    return (psal_amx_group){start, firsts, n - firsts};
}

/* Words that hold all channels at one tap. */
static inline size_t psal_amx_pairs(size_t channels) {
    return channels / GROUP * STEP_WORDS + psal_ceil_div(channels % GROUP, 2);
}

typedef enum psal_amx_form { PSAL_AMX_ROWS, PSAL_AMX_TRANSPOSED } psal_amx_form;

typedef struct psal_amx_filters {
    psal_amx_form form;
    const float *w;
    const unsigned char *codes; /* unless NULL, in the place of w: 1 + sign */
    size_t ld;
    size_t channels, taps;
    size_t kernel; /* TRANSPOSED: elements of a filter's plane, of which the taps are used: */
    size_t kernel_width, taps_width;
    int row, row_step, column, column_step; /* tap (a, b) is element (row + a*row_step, column + b*column_step) */
} psal_amx_filters;

/* Some rows and steps of A; TRANSPOSED: whole steps of all taps. */
typedef struct psal_amx_block {
    size_t row, rows, step, steps;
} psal_amx_block;

/* ROWS: where the words of a step lie in a row: so many first elements from `offset` on, and second ones from offset + second. */
typedef struct psal_amx_step {
    size_t offset, second, firsts, seconds;
} psal_amx_step;

static inline psal_amx_step psal_amx_step_of_rows(const psal_amx_filters *f, size_t step) {
    const size_t number = psal_size_min(step / f->taps, (f->channels - 1) / GROUP);
    const psal_amx_group group = psal_amx_group_at(f->channels, number);
    const size_t word = (step - number * f->taps) * STEP_WORDS, firsts = group.firsts * f->taps,
                 seconds = group.seconds * f->taps;
    return (psal_amx_step){group.start * f->taps + word, firsts, firsts > word ? firsts - word : 0,
                           seconds > word ? seconds - word : 0};
}

/* TRANSPOSED: the place of a tap in the kernel. */
static inline size_t psal_amx_element(const psal_amx_filters *f, size_t tap) {
    const int row = f->row + (int)(tap / f->taps_width) * f->row_step;
    const int column = f->column + (int)(tap % f->taps_width) * f->column_step;
    return (size_t)row * f->kernel_width + (size_t)column;
}

/* to[row / 32][step][part][row / 16 % 2][row % 16][word] */
void psal_amx_pack(const psal_amx_filters *f, const psal_amx_block *block, float *to);

/* to[row / 32][step][row / 16 % 2][row % 16][word], from codes */
void psal_amx_pack_signs(const psal_amx_filters *f, const psal_amx_block *block, float *to);

#endif
