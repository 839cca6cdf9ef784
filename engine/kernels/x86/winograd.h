/* winograd.h - convolutions at stride 1, and of 3 x 3 at stride 2, through Winograd's transforms (winograd_transform.h). */
#ifndef PSAL_ENGINE_KERNELS_X86_WINOGRAD_H
#define PSAL_ENGINE_KERNELS_X86_WINOGRAD_H

#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/winograd_transform.h"

#define psal_winograd_conv_scratch PSAL_SIMD_NAME(psal_winograd_conv_scratch)
#define psal_winograd_conv PSAL_SIMD_NAME(psal_winograd_conv)
#define psal_winograd_dw_scratch PSAL_SIMD_NAME(psal_winograd_dw_scratch)
#define psal_winograd_dw PSAL_SIMD_NAME(psal_winograd_dw)

/* The input gradient of such a convolution is the same operation on dy with turned filters and padding r - 1 - padding. */
static inline bool winograd_possible(const psal_conv2d_shape *s) {
    return s->stride_height == 1 && s->stride_width == 1 && s->dilation_height == 1 && s->dilation_width == 1 &&
           s->groups == 1;
}

static inline bool winograd_three_by_three(const psal_conv2d_shape *s) {
    return winograd_possible(s) && s->kernel_height == 3 && s->kernel_width == 3;
}

/* 3 x 3 at stride 2 */
static inline bool winograd_strided(const psal_conv2d_shape *s) {
    return s->stride_height == 2 && s->stride_width == 2 && s->dilation_height == 1 && s->dilation_width == 1 &&
           s->groups == 1 && s->kernel_height == 3 && s->kernel_width == 3 &&
           s->padding_height % 2 == s->padding_width % 2;
}

/* A convolution, or with `transposed` its input gradient, in tiles of m x m results. */
typedef struct winograd_tiling {
    size_t sources, results; /* channels */
    winograd_planes source, result;
    winograd_size height, width;
    int row_offset, column_offset;   /* source corner of tile 0 */
    size_t image_rows, tile_columns; /* rows of tiles of an image, and tiles of a row */
} winograd_tiling;

/* Where the source has the first element that the first tile of an axis reads */
static inline int winograd_offset(winograd_axis axis, bool transposed, int padding) {
    if (!transposed) return -padding;
    if (axis == WINOGRAD_AXIS_STRIDE_2_DX_EVEN) return padding / 2 - 1;
    if (axis == WINOGRAD_AXIS_STRIDE_2_DX_ODD) return (padding - 1) / 2;
    return padding - (winograd_axis_size(axis).taps - 1);
}

static inline winograd_tiling winograd_tiling_of(const psal_conv2d_shape *s, bool transposed, winograd_form form) {
    const winograd_planes x = {s->in_height, s->in_width, BLOCK}, y = {s->out_height, s->out_width, BLOCK};
    winograd_tiling t = {.sources = (size_t)(transposed ? s->out_channels : s->in_channels),
                         .results = (size_t)(transposed ? s->in_channels : s->out_channels),
                         .source = transposed ? y : x,
                         .result = transposed ? x : y,
                         .height = winograd_height(form),
                         .width = winograd_width(form)};
    t.row_offset = winograd_offset(winograd_height_axis(form), transposed, s->padding_height);
    t.column_offset = winograd_offset(winograd_width_axis(form), transposed, s->padding_width);
    t.image_rows = psal_ceil_div((size_t)t.result.height, (size_t)t.height.results);
    t.tile_columns = psal_ceil_div((size_t)t.result.width, (size_t)t.width.results);
    return t;
}

/* At least so many floats, an odd number of cache lines: frequencies that far apart do not share places in a cache. */
static inline size_t winograd_step(size_t floats) {
    return (psal_ceil_div(floats, BLOCK) | 1) * BLOCK;
}

/* forward: result y from source x; transposed: result dx from source dy; chains: sums by PSAL_MICRO_CHAINS */
size_t psal_winograd_conv_scratch(const psal_conv2d_shape *s, bool transposed, winograd_form form, int threads);
void psal_winograd_conv(const psal_conv2d_shape *s, bool transposed, winograd_form form, bool chains,
                        const float *source, const float *w, float *result, const psal_parallel *parallel);

/* dw when it is not NULL, otherwise the filters' means of |dw| (or of dw) into mean[out_channels] */
size_t psal_winograd_dw_scratch(const psal_conv2d_shape *s, winograd_form form, int threads);
void psal_winograd_dw(const psal_conv2d_shape *s, winograd_form form, const float *x, const float *dy, float *dw,
                      bool is_signed, float *mean, const psal_parallel *parallel);

#endif
