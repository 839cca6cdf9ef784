/* filters.h - the left operand A of a product, packed block by block as the tiles of tile.h want it.
 *
 * K is (channel, tap). A pair of bfloat16 is two channels of a group of 32 (psal_amx_group) at one tap, so that a step
 * reads two contiguous runs of memory. The order of the pairs in K depends on how A lies in memory:
 *
 *   ROWS         A(m, (c, tap)) = w[m * ld + c * taps + tap]: (pair of channels, tap)
 *   TRANSPOSED   A(m, (c, tap)) = w[(c * ld + m) * kernel + the tap's place in the kernel]: (group, tap, pair of
 *                channels), a step for each group and tap
 *
 * What lies beyond the last channel is 0. Ternary filters are packed in the same order, but have one part: -1, 0 and 1
 * are bfloat16. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_FILTERS_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_FILTERS_H

#include <stdbool.h>

#include "engine/kernels/conv2d/amx/split.h"
#include "engine/kernels/conv2d/lowered.h"

#define TILE_ROWS 32u /* of A and C */
#define STEP_PAIRS 16u
#define TILE_FLOATS (16u * STEP_PAIRS)
#define PART_FLOATS (2u * TILE_FLOATS)
#define STEP_FLOATS (PARTS * PART_FLOATS)
#define TERNARY_STEP_FLOATS PART_FLOATS /* of A */
#define MOST_KERNEL 25u                 /* elements of a kernel of the form TRANSPOSED */

#define GROUP (2 * STEP_PAIRS) /* channels of a step's pairs */

/* The pairs of a group of channels are (start + i, start + firsts + i), i < firsts; the last group may have fewer than
 * 32 channels, and one second fewer than firsts. */
typedef struct psal_amx_group {
    size_t start, firsts, seconds;
} psal_amx_group;

static inline psal_amx_group psal_amx_group_at(size_t channels, size_t group) {
    const size_t start = group * GROUP, n = psal_size_min(channels - start, GROUP), firsts = psal_ceil_div(n, 2);
    return (psal_amx_group){start, firsts, n - firsts};
}

/* Pairs of all channels at one tap */
static inline size_t psal_amx_pairs(size_t channels) {
    return channels / GROUP * STEP_PAIRS + psal_ceil_div(channels % GROUP, 2);
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

/* Some rows and steps of A; TRANSPOSED: steps of all taps of a group */
typedef struct psal_amx_block {
    size_t row, rows, step, steps;
} psal_amx_block;

/* ROWS: the pairs of a step in a row: first elements at `offset`, second ones at offset + second, so many of each */
typedef struct psal_amx_step {
    size_t offset, second, firsts, seconds;
} psal_amx_step;

static inline psal_amx_step psal_amx_step_of_rows(const psal_amx_filters *f, size_t step) {
    const size_t number = psal_size_min(step / f->taps, (f->channels - 1) / GROUP);
    const psal_amx_group group = psal_amx_group_at(f->channels, number);
    const size_t pair = (step - number * f->taps) * STEP_PAIRS, firsts = group.firsts * f->taps,
                 seconds = group.seconds * f->taps;
    return (psal_amx_step){group.start * f->taps + pair, firsts, firsts > pair ? firsts - pair : 0,
                           seconds > pair ? seconds - pair : 0};
}

/* TRANSPOSED: the element of the kernel that is a tap */
static inline size_t psal_amx_element(const psal_amx_filters *f, size_t tap) {
    const int row = f->row + (int)(tap / f->taps_width) * f->row_step;
    const int column = f->column + (int)(tap % f->taps_width) * f->column_step;
    return (size_t)row * f->kernel_width + (size_t)column;
}

typedef void psal_amx_pack_function(const psal_amx_filters *f, const psal_amx_block *block, float *to);

/* Pack a block in its form, with a function for each: 1 x 1 kernels TRANSPOSED of all rows, the others of at most
 * 32. */
INLINE void psal_amx_pack_form(const psal_amx_filters *f, const psal_amx_block *block, float *to, size_t step_floats,
                               psal_amx_pack_function *rows, psal_amx_pack_function *transposed,
                               psal_amx_pack_function *taps) {
    if (f->form == PSAL_AMX_TRANSPOSED && f->kernel == 1) {
        transposed(f, block, to);
        return;
    }
    for (size_t row = 0; row < block->rows; row += TILE_ROWS, to += block->steps * step_floats) {
        const psal_amx_block part = {block->row + row, psal_size_min(TILE_ROWS, block->rows - row), block->step,
                                     block->steps};
        if (f->form == PSAL_AMX_ROWS)
            rows(f, &part, to);
        else
            taps(f, &part, to);
    }
}

/* to[row / 32][step][part][row / 16 % 2][row % 16][pair] */
void psal_amx_pack(const psal_amx_filters *f, const psal_amx_block *block, float *to);

/* to[row / 32][step][row / 16 % 2][row % 16][pair], from codes */
void psal_amx_pack_ternary(const psal_amx_filters *f, const psal_amx_block *block, float *to);

#endif
