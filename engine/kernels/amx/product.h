/* product.h - forward pass and input gradient as products on the matrix unit: result[M, P] = A[M, K] * column[K, P], the columns
 * gathered from the image (columns.h).
 *
 * Two blocks of columns make a pair, the width of a tile of C. K goes in cuts. A task has some pairs: of each cut it packs the
 * panels, which stay in the second-level cache, and multiplies them with one block of 32 rows of A after the other, packed in
 * its turn. With too few pairs for the threads, tasks have the same pairs and a part of the rows. Where there are few rows, all
 * of A is packed first.
 *
 * Nothing of this changes a bit: an element of the result depends on its row, its column and the cuts, which follow from the
 * depth alone. */
#ifndef PSAL_ENGINE_KERNELS_AMX_PRODUCT_H
#define PSAL_ENGINE_KERNELS_AMX_PRODUCT_H

#include "engine/kernels/amx/columns.h"
#include "engine/kernels/amx/tile.h"

typedef struct psal_amx_product {
    psal_amx_columns columns;           /* l and channels */
    psal_amx_filters filters;           /* but for w, channels and taps */
    psal_amx_sums sums;                 /* SIGNS: the filters are codes */
    size_t rows, images;                /* M */
    size_t result_height, result_width; /* the plane of the result, in which the positions have their places */
    /* from here on, and the rest of `columns`, filled in by the plan */
    bool in_place;                        /* positions fill the result's plane in order */
    bool few_rows;                        /* all of A packed first */
    size_t steps, unit, cuts, most_steps; /* of K; cuts have whole units of steps, and at most most_steps */
    size_t group;                         /* images at a time */
    size_t pairs, tasks;                  /* of a group */
    size_t row_tasks;                     /* the same pairs, a part of the rows */
    size_t most_pairs;                    /* of a task */
    size_t row_blocks;                    /* of A packed together */
    size_t a_floats;                      /* of a step of A */
    size_t words_floats, buffer;          /* scratch: words of a group, and per thread */
} psal_amx_product;

void psal_amx_product_plan(psal_amx_product *p, int threads);
size_t psal_amx_product_scratch(const psal_amx_product *p, int threads); /* bytes */

/* What a product is made of. `scale`, of signs, belongs to the rows, or to the channels of the source when filters are
 * TRANSPOSED: both are the convolution's filters. */
typedef struct psal_amx_operands {
    const float *source;
    const float *w;
    const psal_conv2d_signs *signs; /* SIGNS, in the place of w */
} psal_amx_operands;

/* result[images][rows][plane]; without taps nothing is written */
void psal_amx_product_run(const psal_amx_product *p, const psal_amx_operands *operands, float *result, float *scratch,
                          int threads);

#endif
