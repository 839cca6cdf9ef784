/* product.h - forward pass and input gradient as products on the matrix unit: result[M, P] = A[M, K] * column[K, P],
 * the columns gathered from the image (columns.h).
 *
 * Two blocks of columns are a panel, the width of a tile of C. K is cut into blocks. A task computes some panels: of
 * each K block it packs them, so that they stay in the L2 cache, and multiplies them by 32 rows of A at a time, packed
 * just before. With fewer panels than threads, tasks compute a part of the rows. Where there are few rows, all of A is
 * packed first.
 *
 * The division into tasks changes no bits: an element of the result depends on its row, its column and the K blocks,
 * which follow from the depth alone. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_PRODUCT_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_PRODUCT_H

#include "engine/kernels/conv2d/amx/columns.h"
#include "engine/kernels/conv2d/amx/tile.h"

typedef struct psal_amx_product {
    psal_amx_columns columns;           /* l and channels */
    psal_amx_filters filters;           /* except w, channels and taps */
    psal_amx_mode mode;                 /* TERNARY: the filters are codes */
    size_t rows, images;                /* M */
    size_t result_height, result_width; /* the plane of the result, in which the positions have their places */
    /* from here on, and the rest of `columns`, filled in by the plan */
    bool in_place;                            /* positions fill the result's plane in order */
    bool packs_all;                           /* all of A packed first */
    size_t steps, unit, k_blocks, most_steps; /* of K; K blocks are whole units of steps, at most most_steps */
    size_t group;                             /* images at a time */
    size_t panels, tasks;                     /* of a group */
    size_t row_tasks;                         /* parts of the rows, of the same panels */
    size_t most_panels;                       /* of a task */
    size_t row_blocks;                        /* of A packed together */
    size_t a_floats;                          /* of a step of A */
    size_t split_floats, buffer;              /* scratch: the split images of a group, and per thread */
} psal_amx_product;

void psal_amx_product_plan(psal_amx_product *p, int threads);
size_t psal_amx_product_scratch(const psal_amx_product *p, int threads); /* bytes */

/* A ternary filter is a row of A, or a channel of the source when A is TRANSPOSED: there its scale is multiplied. */
typedef struct psal_amx_operands {
    const float *source;
    const float *w;
    const psal_ternary_filters *ternary; /* TERNARY, in the place of w */
} psal_amx_operands;

/* result[images][rows][plane]; without taps nothing is written */
void psal_amx_product_run(const psal_amx_product *p, const psal_amx_operands *operands, float *result, float *scratch,
                          int threads);

#endif
