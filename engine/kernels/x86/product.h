/* product.h - the driver of the register tile: result[M, P] = A[M, K] * column[K, P], blocked as in Goto and van de Geijn
 * 2008, the columns packed straight from the image (conv2d_lower.h).
 *
 * A task computes some rows of the result for some positions of one image, or for all positions of a few small ones. It walks over
 * K in blocks of at most DEPTH, and in each over strips of positions: of B, the gathered columns, one stays in the nearest
 * cache while A passes by, which is read where it lies (unpacked.h); only where a row's elements lie apart in memory are some tiles of it
 * packed at a time. Columns that are the source itself (1 x 1 at stride 1) are read where they lie too. Positions are the direction of the
 * vectors, so the result is NCHW as it falls out of the registers. Where an image has few positions, or there are fewer tasks than
 * threads, tasks take a part of the rows and share columns packed beforehand. How the work is divided changes no bit: an element of the
 * result depends on its row, its column and the blocks of K, which follow from the shape alone. */
#ifndef PSAL_ENGINE_KERNELS_X86_PRODUCT_H
#define PSAL_ENGINE_KERNELS_X86_PRODUCT_H

#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/simd.h"

/* How A lies in memory, for one group. */
typedef enum psal_product_form {
    PSAL_A_ROWS,       /* A(m, k) = w[m * depth + k]: the filters as they are */
    PSAL_A_TRANSPOSED, /* A(m, k) = w[k * rows + m] */
    PSAL_A_TAPS        /* A(c, (o,a,b)) = w[o, c, kernel(a), kernel(b)]: the filters seen from the input */
} psal_product_form;

typedef struct psal_product {
    psal_conv2d_lowered l;
    psal_product_form form;
    bool plain;                              /* the columns are the source itself */
    size_t rows, channels, depth, positions; /* M, channels of the source, K = channels * taps, P */
    size_t images, groups;                   /* source, result: [images]; A: image i uses group i % groups */
    size_t kernel, kernel_width;             /* elements of a filter's plane and of its row: PSAL_A_TAPS only */
    size_t result_height, result_width;      /* the plane of the result, in which place() puts the positions */
    bool chains;                             /* sums by PSAL_MICRO_CHAINS: PSAL_A_ROWS only */
    bool in_place;                           /* positions fill that plane in order */
    size_t row_tasks, column_tasks, cuts;    /* how rows, positions and K are divided */
    size_t together;                         /* images of a task */
    size_t strip;                            /* columns of a tile */
    bool in_source;                          /* B is read where it lies, but for the last columns */
    bool shared;                             /* columns packed beforehand */
    size_t columns, own_columns;  /* the most positions of a task and image, in whole blocks; those it packs */
    size_t shared_floats, buffer; /* scratch: in front, and per thread */
} psal_product;

#define psal_product_plan PSAL_SIMD_NAME(psal_product_plan)
#define psal_product_run PSAL_SIMD_NAME(psal_product_run)

/* Fill in everything from `in_place` on. */
void psal_product_plan(psal_product *p, int threads);

/* result[images][rows][plane]; scratch: shared_floats + threads * buffer floats */
void psal_product_run(const psal_product *p, const float *source, const float *w, float *result, float *scratch,
                      int threads);

#endif
