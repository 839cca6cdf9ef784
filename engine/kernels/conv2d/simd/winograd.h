/* winograd.h - convolutions at stride 1, and of 3 x 3 at stride 2, through Winograd's transforms
 * (winograd_transform.h). */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_H

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/winograd_transform.h"

/* A convolution, or with `transposed` its input gradient, in tiles of m x m results. At stride 1 the input gradient is
 * the same operation on dy with rotated filters and padding r - 1 - padding. */
typedef struct winograd_tiling {
    size_t sources, results; /* channels */
    winograd_planes source, result;
    winograd_size height, width;
    int row_offset, column_offset;   /* source corner of tile 0 */
    size_t image_rows, tile_columns; /* rows of tiles of an image, and tiles of a row */
} winograd_tiling;

/* The source coordinate at which the first tile's window begins, on one axis */
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

/* At least so many floats, and an odd number of cache lines, so that the frequencies do not map to the same cache
 * sets */
static inline size_t winograd_step(size_t floats) {
    return (psal_ceil_div(floats, BLOCK) | 1) * BLOCK;
}

#endif
