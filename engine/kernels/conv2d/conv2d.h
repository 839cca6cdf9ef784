/* conv2d.h - 2-D cross-correlation and its two adjoints on plain buffers (PyTorch's conv2d, no bias).
 *
 *   y[n,o,p,q] = sum over c,i,j of w[o,c,i,j] * x[n, c, row(p,i), column(q,j)]
 *
 * with row(p,i) = p*stride_h - padding_h + i*dilation_h, column(q,j) = q*stride_w - padding_w + j*dilation_w and c
 * running over the input channels of o's group. Layouts NCHW and OIHW (I = in_channels / groups).
 *
 * A convolution is chosen once and run often: psal_conv2d_choose takes the first algorithm of one ordered list
 * (conv2d.c) that suits the shape and computes all that follows from the shape; psal_conv2d_run only runs. Every
 * algorithm overwrites its result, never writes its operands, and gives the same bits for any number of threads.
 *
 * In the forward pass, which decides ReLUs and maxima, **equal windows give equal bits**, wherever they are in the
 * image and whatever the method and the batch. Each element of y is one sum over (c, i, j), cut into chains by a rule
 * on the shape: no transforms, whose rounding depends on the place in a tile, and no special kernels for edges. So a
 * tie between equal windows stays a tie, as in exact arithmetic, and the first of them is the maximum. The other
 * directions are linear and decide nothing. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_CONV2D_H
#define PSAL_ENGINE_KERNELS_CONV2D_CONV2D_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/error.h"
#include "engine/kernels/processor.h"
#include "engine/real.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_conv2d_shape {
    int batch;
    int in_channels, in_height, in_width;
    int out_channels, out_height, out_width;
    int kernel_height, kernel_width;
    int stride_height, stride_width;
    int padding_height, padding_width; /* zeros on each side */
    int dilation_height, dilation_width;
    int groups; /* divides in_channels and out_channels */
} psal_conv2d_shape;

/* How exact. Every method does every shape, by a rule on the shape alone, never on a measurement, so that the bits stay
 * the same; AVX2, AVX-512 and NEON give the same bits too, except with ternary filters. The forward pass is the same
 * for all but GEMM. Where the processor has a matrix unit (Intel AMX), it does most of ACCURATE and AUTO, as sums of
 * bfloat16 (amx/split.h): other bits, in the forward pass errors below those of DIRECT. In double precision
 * (PSAL_REAL_DOUBLE) and without the vector instructions of simd/ all of them are GEMM. Errors of gradients are the
 * worst seen on ResNet-50's and VGG-19's layers, as a part of the largest value (single precision rounds at 6e-8; GEMM
 * itself is at 5e-7). */
typedef enum psal_conv2d_method {
    PSAL_CONV2D_AUTO,   /* the fastest: gradients at stride 1 by Winograd's transforms: 3x3 by F(4x4, 3x3), small images
                            by F(2x2), 5x5, and 3 and 7 taps in one direction (simd/winograd_transform.h); 3e-6 */
    PSAL_CONV2D_GEMM,   /* the reference: im2col, and gradients by OpenBLAS */
    PSAL_CONV2D_DIRECT, /* own kernels, every product of the definition made once; as accurate as GEMM */
    PSAL_CONV2D_ACCURATE /* as AUTO, but no more than F(2x2, 3x3); 1e-6 */
} psal_conv2d_method;

/* What is computed. */
typedef enum psal_conv2d_direction {
    PSAL_CONV2D_FORWARD,    /* y = conv(x, w) */
    PSAL_CONV2D_DY,         /* the same to rounding, in derivatives of the next two in dy: it may use transforms */
    PSAL_CONV2D_DX,         /* dx = adjoint in x: <conv(x, w), dy> = <x, dx> */
    PSAL_CONV2D_DW,         /* dw = adjoint in w: <conv(x, w), dy> = <w, dw>, summed over the batch */
    PSAL_CONV2D_DW_MEAN,    /* the mean over each filter of |dw|, or of dw: [out_channels]; dw is not stored */
    PSAL_CONV2D_TERNARY_DY, /* dy and dx with ternary filters */
    PSAL_CONV2D_TERNARY_DX,
    PSAL_CONV2D_DIRECTIONS
} psal_conv2d_direction;

/* "forward", "dy", "dx", "dw", "dw_mean", "ternary_dy", "ternary_dx" */
const char *psal_conv2d_direction_name(psal_conv2d_direction direction);

/* What is chosen besides the shape. All zero: the fastest on this machine. */
typedef struct psal_conv2d_settings {
    psal_conv2d_method method;
    psal_processor processor;
} psal_conv2d_settings;

/* Ternary filters: w[o, ...] = t[o, ...] * (scale[o] * factor) with t in {-1, 0, 1}, stored as the codes t + 1
 * (engine/kernels/rows.h). The second derivative convolves with them: d mean |dw| / d dw is sign(dw) / (elements of a
 * filter). */
typedef struct psal_ternary_filters {
    const unsigned char *codes; /* OIHW */
    const psal_real *scale;     /* [out_channels] */
    psal_real factor;
} psal_ternary_filters;

/* The operands that the direction reads, and its result */
typedef struct psal_conv2d_operands {
    const psal_real *x, *w, *dy;         /* FORWARD and DY: x and w; DX: dy and w; DW and DW_MEAN: x and dy */
    const psal_ternary_filters *ternary; /* in the place of w */
    bool is_signed;                      /* PSAL_CONV2D_DW_MEAN: of dw, not of |dw| */
    psal_real *result;
} psal_conv2d_operands;

/* A convolution with its algorithm; the same one may run in several threads at once, each with scratch memory of its
 * own. */
typedef struct psal_convolution psal_convolution;

/* The first algorithm that suits, prepared for `threads` threads; freed by psal_conv2d_free. NULL when memory is short,
 * or when this machine cannot run code for settings.processor. */
psal_convolution *psal_conv2d_choose(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                     psal_conv2d_settings settings, int threads, psal_error *err);
void psal_conv2d_free(psal_convolution *convolution); /* NULL is fine */

const char *psal_conv2d_algorithm_name(const psal_convolution *convolution); /* valid as long as the convolution */
/* Bytes that a run needs (a few MiB; VGG-19 has the most, 22). */
size_t psal_conv2d_scratch(const psal_convolution *convolution);

/* scratch: aligned to 64 bytes, contents undefined */
void psal_conv2d_run(const psal_convolution *convolution, const psal_conv2d_operands *operands, void *scratch);

/* Only the name of the algorithm, for any processor, whatever this machine has */
const char *psal_conv2d_algorithm_for(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                      psal_conv2d_settings settings);

/* Whether the processor has an algorithm of its own for ternary filters of this shape, which is faster. Otherwise they
 * are decoded at each use, and who uses them twice had better decode them once. */
bool psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor);

#ifdef __cplusplus
}
#endif

#endif
