/* implicit_gemm.h - the driver of the register tile: result[M, P] = A[M, K] * column[K, P], blocked as in Goto and van
 * de Geijn 2008, the columns packed straight from the image (lowered.h).
 *
 * A task computes some rows of the result for some positions of one image, or for all positions of a few small images.
 * The outer loop is over K blocks, the next over strips of positions: a strip of B, the gathered columns, stays in the
 * L1 cache while it is multiplied by all rows of A. A is not packed (register_tile_unpacked.h), unless the elements of
 * a row are not contiguous; nor is B where the columns are the source itself (1 x 1 at stride 1). Vectors run over
 * positions, so the result is NCHW without a transposition. Where an image has few positions, or there are fewer tasks
 * than threads, tasks compute a part of the rows and share packed columns. How the work is divided changes no bits: an
 * element of the result depends on its row, its column and the K blocks, which follow from the shape alone. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_IMPLICIT_GEMM_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_IMPLICIT_GEMM_H

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/simd.h"

/* How A lies in memory, for one group. */
typedef enum psal_gemm_form {
    PSAL_A_ROWS,       /* A(m, k) = w[m * depth + k]: the filters as they are */
    PSAL_A_TRANSPOSED, /* A(m, k) = w[k * rows + m] */
    PSAL_A_TAPS        /* A(c, (o,a,b)) = w[o, c, kernel(a), kernel(b)]: of an input gradient */
} psal_gemm_form;

typedef struct psal_implicit_gemm {
    psal_conv2d_lowered l;
    psal_gemm_form form;
    bool identity;                            /* the columns are the source itself */
    size_t rows, channels, depth, positions;  /* M, channels of the source, K = channels * taps, P */
    size_t images, groups;                    /* source, result: [images]; A: image i uses group i % groups */
    size_t kernel, kernel_width;              /* elements of a filter's plane and of its row: PSAL_A_TAPS only */
    size_t result_height, result_width;       /* the plane of the result, in which place() puts the positions */
    bool chains;                              /* sums by psal_tile_chains: PSAL_A_ROWS only */
    bool in_place;                            /* positions fill that plane in order */
    size_t row_tasks, column_tasks, k_blocks; /* how rows, positions and K are divided */
    size_t task_images;                       /* images of a task */
    size_t strip;                             /* columns of a tile */
    bool in_source;                           /* B is not packed, except the last columns */
    bool shared;                              /* columns packed beforehand */
    size_t columns, packed_columns; /* the most positions of a task and image, in whole blocks; those it packs */
    size_t shared_floats, buffer;   /* scratch: in front, and per thread */
} psal_implicit_gemm;

#define psal_gemm_scratch PSAL_SIMD_NAME(psal_gemm_scratch)
#define psal_gemm_of_dy PSAL_SIMD_NAME(psal_gemm_of_dy)
#define psal_gemm_run PSAL_SIMD_NAME(psal_gemm_run)

/* column[(c,i,j), P] = w[o, (c,i,j)]^T * dy[o, P] of some images */
psal_implicit_gemm psal_gemm_of_dy(const psal_conv2d_shape *s, size_t images, int threads);

size_t psal_gemm_scratch(const psal_implicit_gemm *p, int threads); /* bytes */

/* result[images][rows][plane] */
void psal_gemm_run(const psal_implicit_gemm *p, const float *source, const float *w, float *result, float *scratch,
                   int threads);

#endif
