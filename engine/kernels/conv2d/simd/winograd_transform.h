/* winograd_transform.h - the transforms of Winograd's minimal filtering F(m x m, r x r) (Lavin and Gray 2016):
 *
 *   y = A^T [ sum over c of (G w G^T) * (B^T x B) ] A   * element by element; w r x r, y m x m, x n x n, n = m + r - 1
 *
 * and its adjoint in w:  dw = G^T [ sum over tiles of (A dy A^T) * (B^T x B) ] G.
 *
 * m and r may differ in height and width; where both are 1, nothing is done in that direction. At stride 2, y and the
 * input gradient have transforms of their own, in which some products share a frequency of the filter.
 *
 * The result is cut into tiles of m x m; the n x n elements of a transformed tile or filter are its "frequencies". A
 * convolution, a weight gradient and an input gradient have the same tiles and transforms (winograd_tiling), whatever
 * loops compute the sums: winograd.c, winograd_dw.c, amx/winograd.c.
 *
 * Vectors run over channels: a BLOCK of 16 channels is transformed at a time, and each frequency is a BLOCK, `step`
 * floats from the next. Planes are NCHW. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_TRANSFORM_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_TRANSFORM_H

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/simd.h"
#include "engine/kernels/conv2d/simd/winograd_form.h"

#define PANEL (2 * BLOCK) /* channels that lie side by side in a matrix of products */

/* The images of the source or of the result */
typedef struct winograd_planes {
    size_t channels;
    int height, width;
} winograd_planes;

/* A convolution, or with `transposed` its input gradient, in tiles of m x m results. At stride 1 the input gradient is
 * the same operation on dy with rotated filters and padding r - 1 - padding. */
typedef struct winograd_tiling {
    winograd_form form;
    winograd_size height, width;
    winograd_planes source, result;
    int row_offset, column_offset;   /* source corner of tile 0 */
    size_t image_rows, tile_columns; /* rows of tiles of an image, and tiles of a row */
} winograd_tiling;

/* Successive tiles of one row of tiles */
typedef struct winograd_tiles {
    size_t image, row, column, count;
} winograd_tiles;

/* The source coordinate at which the first tile's window begins, on one axis */
static inline int winograd_offset(winograd_axis axis, bool transposed, int padding) {
    if (!transposed) return -padding;
    if (axis == WINOGRAD_AXIS_STRIDE_2_DX_EVEN) return padding / 2 - 1;
    if (axis == WINOGRAD_AXIS_STRIDE_2_DX_ODD) return (padding - 1) / 2;
    return padding - (winograd_axis_size(axis).taps - 1);
}

static inline winograd_tiling winograd_tiling_of(const psal_conv2d_shape *s, bool transposed, winograd_form form) {
    const winograd_planes x = {(size_t)s->in_channels, s->in_height, s->in_width},
                          y = {(size_t)s->out_channels, s->out_height, s->out_width};
    winograd_tiling t = {.form = form,
                         .height = winograd_height(form),
                         .width = winograd_width(form),
                         .source = transposed ? y : x,
                         .result = transposed ? x : y};
    t.row_offset = winograd_offset(winograd_height_axis(form), transposed, s->padding_height);
    t.column_offset = winograd_offset(winograd_width_axis(form), transposed, s->padding_width);
    t.image_rows = psal_ceil_div((size_t)t.result.height, (size_t)t.height.results);
    t.tile_columns = psal_ceil_div((size_t)t.result.width, (size_t)t.width.results);
    return t;
}

/* Tiles are numbered across all images: those from `first` on in its row of tiles, before `end`, at most `most` */
static inline winograd_tiles winograd_tiles_at(const winograd_tiling *t, size_t first, size_t end, size_t most) {
    const size_t row = first / t->tile_columns, column = first % t->tile_columns;
    const size_t count = psal_size_min(psal_size_min(most, end - first), t->tile_columns - column);
    return (winograd_tiles){row / t->image_rows, row % t->image_rows, column, count};
}

/* At least so many floats, and an odd number of cache lines, so that the frequencies do not map to the same cache
 * sets */
static inline size_t winograd_step(size_t floats) {
    return (psal_ceil_div(floats, BLOCK) | 1) * BLOCK;
}

#define psal_winograd_line_floats PSAL_SIMD_NAME(psal_winograd_line_floats)
#define psal_winograd_input PSAL_SIMD_NAME(psal_winograd_input)
#define psal_winograd_gradient PSAL_SIMD_NAME(psal_winograd_gradient)
#define psal_winograd_output PSAL_SIMD_NAME(psal_winograd_output)
#define psal_winograd_load_filters PSAL_SIMD_NAME(psal_winograd_load_filters)
#define psal_winograd_filter PSAL_SIMD_NAME(psal_winograd_filter)
#define psal_winograd_rotated_filter PSAL_SIMD_NAME(psal_winograd_rotated_filter)
#define psal_winograd_filter_gradient PSAL_SIMD_NAME(psal_winograd_filter_gradient)

/* Floats that `line` must hold in the functions below for a row of `tiles` tiles. */
size_t psal_winograd_line_floats(winograd_form form, size_t tiles);

/* B^T x B of some tiles and channels block * BLOCK .. of the source: v[frequency * step + i * BLOCK + lane], 0 for
 * channels beyond the last one. */
void psal_winograd_input(const winograd_tiling *t, const float *source, winograd_tiles tiles, size_t block, float *line,
                         float *v, size_t step);

/* A dy A^T of tiles of the result: v as above. */
void psal_winograd_gradient(const winograd_tiling *t, const float *dy, winograd_tiles tiles, size_t block, float *line,
                            float *v, size_t step);

/* The results first .. end-1 (numbered across all images) of PANEL channels:
 * y = A^T p A from p[frequency * step + (tile - first) * PANEL + channel]; what sticks out of y is dropped. */
void psal_winograd_output(const winograd_tiling *t, const float *p, size_t step, size_t first, size_t end, size_t panel,
                          float *line, float *y);

/* to[(channel * taps + tap) * BLOCK + lane] = w[lane * lane_step + channel * taps + tap]. Several channels at once,
 * because 16 channels of 9 taps are nine full transpositions of 16 x 16. */
void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, size_t taps,
                                float *to);

/* u[frequency * step + lane] = G w G^T of the filters taps[tap * BLOCK + lane] */
void psal_winograd_filter(winograd_form form, const float *taps, float *u, size_t step);

/* The same of the filters w[lane * taps + tap], rotated by 180 degrees. */
void psal_winograd_rotated_filter(winograd_form form, const float *w, size_t lanes, float *u, size_t step);

/* G^T u G into dw[lane * taps], or, when dw is NULL, only the sum over lanes and taps of its absolute values (or of its
 * values) as the result. Lanes beyond `lanes` must be 0 in u. */
double psal_winograd_filter_gradient(winograd_form form, const float *u, size_t step, size_t lanes, float *dw,
                                     bool is_signed);

#endif
