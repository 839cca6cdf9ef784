/* filters.h - the left operand A of a product, packed block by block as the tiles of tile.h want it.
 *
 * Word j of row m holds the elements A(m, k) and A(m, k') of two values of K, which depend on how A lies in memory:
 *
 *   ROWS         A(m, k) = w[m * ld + k]: word j holds k = j and k = second + j
 *   TRANSPOSED   A(m, (o, tap)) = w[(o * ld + m) * kernel + the tap's place in the kernel]: word
 *                (o / 16 * taps + tap) * 16 + o % 16 holds o and second + o, so that a step has one tap
 *
 * Words beyond `words`, and second elements beyond `second_words`, are 0. */
#ifndef PSAL_ENGINE_KERNELS_AMX_FILTERS_H
#define PSAL_ENGINE_KERNELS_AMX_FILTERS_H

#include <stdbool.h>

#include "engine/kernels/amx/split.h"
#include "engine/kernels/conv2d_lower.h"

#define STEP_WORDS 16u
#define TILE_FLOATS (16u * STEP_WORDS)
#define PART_FLOATS (2u * TILE_FLOATS)
#define STEP_FLOATS (PARTS * PART_FLOATS)
#define MOST_KERNEL 25u /* elements of a kernel of the form TRANSPOSED */

typedef enum psal_amx_form { PSAL_AMX_ROWS, PSAL_AMX_TRANSPOSED } psal_amx_form;

typedef struct psal_amx_filters {
    psal_amx_form form;
    const float *w;
    size_t ld;
    size_t second;                          /* in values of K: ROWS; of o: TRANSPOSED */
    size_t words, second_words;             /* TRANSPOSED: of one tap */
    size_t kernel, taps;                    /* TRANSPOSED: elements of a filter's plane, and how many of them are used: */
    size_t kernel_width, taps_width;
    int row, row_step, column, column_step; /* tap (a, b) is element (row + a*row_step, column + b*column_step) */
} psal_amx_filters;

/* At most 32 rows and some steps of A; TRANSPOSED: whole steps of all taps. */
typedef struct psal_amx_block {
    size_t row, rows, step, steps;
} psal_amx_block;

/* to[step][part][row / 16][row % 16][word] */
void psal_amx_pack(const psal_amx_filters *f, const psal_amx_block *block, float *to);

#endif
