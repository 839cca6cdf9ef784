/* conv2d.h - 2-D cross-correlation and its two adjoints on plain buffers (PyTorch's conv2d, no bias).
 *
 *   y[n,o,p,q] = sum over c,i,j of x[n, c, p*stride_h - padding_h + i*dilation_h, q*stride_w - padding_w + j*dilation_w] * w[o,c,i,j]
 *
 * with c running over the input channels of o's group. Layouts NCHW and OIHW (I = in_channels / groups). All
 * operations overwrite their output (no accumulation), never write their inputs, and give the same bits for any number of
 * threads. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_H
#define PSAL_ENGINE_KERNELS_CONV2D_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/parallel.h"
#include "engine/real.h"

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

/* Which implementation. Every method does every shape, by a rule on the shape alone, never on a measurement, so that the bits
 * stay the same; AVX2 and AVX-512 give the same bits too, but for filters that are signs. Where the processor has a matrix unit (Intel AMX), it does most of
 * ACCURATE and AUTO, as sums of bfloat16 (amx/split.h): other bits, errors below those of DIRECT in the forward pass of ACCURATE.
 * In double precision (PSAL_REAL_DOUBLE) and on processors without AVX2 all of them are GEMM. Errors are the worst seen on ResNet-50's
 * and VGG-19's layers, as a part of the largest value (single precision rounds at 6e-8; GEMM itself is at 5e-7). */
typedef enum psal_conv2d_method {
    PSAL_CONV2D_AUTO, /* the fastest: at stride 1 Winograd's transforms: 3x3 by F(4x4, 3x3), small images by F(2x2), 5x5, and 3
                          * and 7 taps in one direction (x86/winograd_transform.h); 3e-6 */
    PSAL_CONV2D_GEMM,   /* the reference: im2col and OpenBLAS */
    PSAL_CONV2D_DIRECT, /* own kernels, every product of the definition made once; as accurate as GEMM */
    PSAL_CONV2D_ACCURATE /* as AUTO, but no more than F(2x2, 3x3) and in large forward passes F(2x4), and the forward pass adds up
                          * short chains of products, which halves its error; 1e-6 */
} psal_conv2d_method;

/* The method of a forward pass whose gradient is taken by `method`. It decides which ReLUs let through, and one decided the other
 * way shows in every gradient behind it; what follows is linear, where F(4x4)'s rounding stays as small as it is. */
static inline psal_conv2d_method psal_conv2d_forward_method(psal_conv2d_method method) {
    return method == PSAL_CONV2D_AUTO ? PSAL_CONV2D_ACCURATE : method;
}

/* Bytes of scratch that each operation needs with `threads` threads (a few MiB; VGG-19 has the largest, 22). */
size_t psal_conv2d_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
size_t psal_conv2d_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
size_t psal_conv2d_dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);

/* y = conv(x, w) */
void psal_conv2d_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *w,
                         psal_real *y, const psal_parallel *parallel);
/* dx = adjoint in x: <conv(x, w), dy> = <x, dx> */
void psal_conv2d_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *dy, const psal_real *w,
                    psal_real *dx, const psal_parallel *parallel);
/* dw = adjoint in w: <conv(x, w), dy> = <w, dw>, summed over the batch */
void psal_conv2d_dw(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *dy,
                    psal_real *dw, const psal_parallel *parallel);

/* The same with w[o, ...] = (codes[o, ...] - 1) * (scale[o] * factor), codes 0, 1 and 2: signs of filters as engine/kernels/rows.h
 * makes them, each filter with a factor of its own. */
typedef struct psal_conv2d_signs {
    const unsigned char *codes; /* OIHW */
    const psal_real *scale;     /* [out_channels] */
    psal_real factor;
} psal_conv2d_signs;

/* Whether signs of this shape are taken as they are, which is faster. Otherwise they become numbers at each use, and who uses
 * them twice had better make these once. */
bool psal_conv2d_takes_signs(const psal_conv2d_shape *s);
size_t psal_conv2d_signs_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
size_t psal_conv2d_signs_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
void psal_conv2d_signs_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x,
                               const psal_conv2d_signs *w, psal_real *y, const psal_parallel *parallel);
void psal_conv2d_signs_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *dy,
                          const psal_conv2d_signs *w, psal_real *dx, const psal_parallel *parallel);

/* mean over each filter (in_channels / groups x kernel) of |dw|, or of dw when is_signed: mean[out_channels]; dw is not stored */
size_t psal_conv2d_dw_mean_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
void psal_conv2d_dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *dy,
                         bool is_signed, psal_real *mean, const psal_parallel *parallel);

#endif
