#include "engine/kernels/conv2d/simd/winograd_transform.h"

#include <string.h>

#include "engine/kernels/conv2d/simd/sum.h"
#include "engine/kernels/conv2d/simd/winograd_tile.h"

/* f(height axis, width axis, ...) with constants for the axes of a form */
#define CASE(form, height, width, f, ...) \
    case WINOGRAD_##form:                 \
        return f(WINOGRAD_AXIS_##height, WINOGRAD_AXIS_##width, __VA_ARGS__);
#define WITH_AXES(form, ...)                         \
    switch (form) {                                  \
        WINOGRAD_FORMS(CASE, __VA_ARGS__)            \
        WINOGRAD_FORMS_WITHOUT_DW(CASE, __VA_ARGS__) \
    default:                                         \
        break;                                       \
    }
#define WITH_DW_AXES(form, ...)           \
    switch (form) {                       \
        WINOGRAD_FORMS(CASE, __VA_ARGS__) \
    default:                              \
        break;                            \
    }

/* The sizes of each transform in a direction */
#define FROM_TO(axis, given, made)                                          \
    (direction) {                                                           \
        axis, winograd_axis_size(axis).given, winograd_axis_size(axis).made \
    }
#define INPUT(axis) FROM_TO(axis, window, products)
#define GRADIENT(axis) FROM_TO(axis, results, products)
#define OUTPUT(axis) FROM_TO(axis, products, results)
#define FILTER(axis) FROM_TO(axis, taps, filters)
#define FILTER_GRADIENT(axis) FROM_TO(axis, filters, taps)

/* ---- image rows to vectors of channels, and back ---- */

size_t psal_winograd_line_floats(winograd_form form, size_t tiles) {
    const winograd_size h = winograd_height(form), w = winograd_width(form);
    const size_t source = (size_t)h.window * ((tiles - 1) * (size_t)w.step + (size_t)w.window),
                 results = (size_t)(h.results * w.results) * tiles;
    return (source > results ? source : results) * BLOCK;
}

/* One row of tiles: windows of `line` every `distance` columns, transformed. */
INLINE void transform_line(transform_1d *one, const direction h, const direction w, const int distance,
                           const float *line, size_t columns, size_t tiles, float *v, size_t step) {
    for (size_t t = 0; t < tiles; t++)
        for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
            transform_2d(one, h, w, line + t * (size_t)distance * BLOCK + lane, (ptrdiff_t)columns * BLOCK, BLOCK,
                         v + t * BLOCK + lane, w.to * (ptrdiff_t)step, (ptrdiff_t)step);
}

INLINE void input_line(const winograd_axis high, const winograd_axis wide, const float *line, size_t columns,
                       size_t tiles, float *v, size_t step) {
    transform_line(input_1d, INPUT(high), INPUT(wide), winograd_axis_size(wide).step, line, columns, tiles, v, step);
}

INLINE void gradient_line(const winograd_axis high, const winograd_axis wide, const float *line, size_t columns,
                          size_t tiles, float *v, size_t step) {
    transform_line(gradient_1d, GRADIENT(high), GRADIENT(wide), winograd_axis_size(wide).results, line, columns, tiles,
                   v, step);
}

void psal_winograd_input(const winograd_tiling *t, const float *source, winograd_tiles tiles, size_t block, float *line,
                         float *v, size_t step) {
    const size_t columns = load_windows(t, source, &tiles, block, line);
    WITH_AXES(t->form, input_line, line, columns, tiles.count, v, step)
}

void psal_winograd_gradient(const winograd_tiling *t, const float *dy, winograd_tiles tiles, size_t block, float *line,
                            float *v, size_t step) {
    const size_t columns = tiles.count * (size_t)t->width.results;
    load_lines(dy, &t->result, tiles.image, block, (int)tiles.row * t->height.results,
               (int)tiles.column * t->width.results, t->height.results, (int)columns, line);
    WITH_DW_AXES(t->form, gradient_line, line, columns, tiles.count, v, step)
}

INLINE void output_line(const winograd_axis high, const winograd_axis wide, const float *p, size_t step, size_t tiles,
                        float *line) {
    const direction h = OUTPUT(high), w = OUTPUT(wide);
    const size_t columns = tiles * (size_t)w.to;
    for (size_t t = 0; t < tiles; t++)
        for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
            transform_2d(output_1d, h, w, p + t * PANEL + lane, w.from * (ptrdiff_t)step, (ptrdiff_t)step,
                         line + t * (size_t)w.to * BLOCK + lane, (ptrdiff_t)columns * BLOCK, BLOCK);
}

static void output_tiles(winograd_form form, const float *p, size_t step, size_t tiles, float *line) {
    WITH_AXES(form, output_line, p, step, tiles, line)
}

/* Results of one block of channels, from `line` to y */
static void store_results(const winograd_tiling *t, const winograd_tiles *tiles, size_t block, const float *line,
                          float *y) {
    const winograd_planes *planes = &t->result;
    const size_t stride = (size_t)planes->width, plane = (size_t)planes->height * stride;
    const size_t row = tiles->row * (size_t)t->height.results, column = tiles->column * (size_t)t->width.results;
    const size_t columns = tiles->count * (size_t)t->width.results, width = psal_size_min(stride - column, columns);
    const size_t rows = psal_size_min((size_t)t->height.results, (size_t)planes->height - row);
    y += winograd_place(planes, tiles->image, block) + row * stride + column;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < width; j += BLOCK) {
            const size_t count = psal_size_min(width - j, BLOCK);
            transpose_block(line + (r * columns + j) * BLOCK, BLOCK, count, winograd_lanes(planes, block),
                            y + r * stride + j, plane, count);
        }
}

void psal_winograd_output(const winograd_tiling *t, const float *p, size_t step, size_t first, size_t end, size_t panel,
                          float *line, float *y) {
    for (winograd_tiles tiles; first < end; first += tiles.count, p += tiles.count * PANEL) {
        tiles = winograd_tiles_at(t, first, end, t->tile_columns);
        for (size_t block = panel * 2; block < panel * 2 + 2 && winograd_lanes(&t->result, block) > 0; block++) {
            output_tiles(t->form, p + block % 2 * BLOCK, step, tiles.count, line);
            store_results(t, &tiles, block, line, y);
        }
    }
}

/* ---- filters ---- */

void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, size_t taps,
                                float *to) {
    for (size_t i = 0; i < channels * taps; i += BLOCK)
        transpose_block(w + i, lane_step, lanes, channels * taps - i < BLOCK ? channels * taps - i : BLOCK,
                        to + i * BLOCK, BLOCK, BLOCK);
}

INLINE void filter(const winograd_axis high, const winograd_axis wide, const float *taps, float *u, size_t step) {
    const direction h = FILTER(high), w = FILTER(wide);
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
        transform_2d(filter_1d, h, w, taps + lane, w.from * BLOCK, BLOCK, u + lane, w.to * (ptrdiff_t)step,
                     (ptrdiff_t)step);
}

void psal_winograd_filter(winograd_form form, const float *taps, float *u,
                          size_t step){WITH_AXES(form, filter, taps, u, step)}

INLINE void rotated_filter(const winograd_axis high, const winograd_axis wide, const float *filters, size_t lanes,
                           float *u, size_t step) {
    const direction h = FILTER(high), w = FILTER(wide);
    const size_t count = (size_t)(h.from * w.from);
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH) {
        float taps[WINOGRAD_MOST_TAPS * WIDTH];
        load_taps(filters + lane * count, lanes > lane ? lanes - lane : 0, count, taps);
        transform_2d(filter_1d, h, w, taps + (count - 1) * WIDTH, -w.from * WIDTH, -WIDTH, u + lane,
                     w.to * (ptrdiff_t)step, (ptrdiff_t)step);
    }
}

void psal_winograd_rotated_filter(winograd_form form, const float *w, size_t lanes, float *u,
                                  size_t step){WITH_AXES(form, rotated_filter, w, lanes, u, step)}

INLINE double filter_gradient(const winograd_axis high, const winograd_axis wide, const float *u, size_t step,
                              size_t lanes, float *dw, bool is_signed) {
    const direction h = FILTER_GRADIENT(high), w = FILTER_GRADIENT(wide);
    const size_t count = (size_t)(h.to * w.to);
    float taps[WINOGRAD_MOST_TAPS * BLOCK];
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
        transform_2d(filter_gradient_1d, h, w, u + lane, w.from * (ptrdiff_t)step, (ptrdiff_t)step, taps + lane,
                     w.to * BLOCK, BLOCK);
    if (!dw) return sum_values(taps, count * BLOCK, is_signed);
    for (size_t first = 0; first < count; first += BLOCK) {
        const size_t some = count - first < BLOCK ? count - first : BLOCK;
        float transposed[BLOCK * BLOCK];
        transpose_block(taps + first * BLOCK, BLOCK, some, lanes, transposed, BLOCK, BLOCK);
        for (size_t i = 0; i < lanes; i++) memcpy(dw + i * count + first, transposed + i * BLOCK, some * sizeof *dw);
    }
    return 0;
}

double psal_winograd_filter_gradient(winograd_form form, const float *u, size_t step, size_t lanes, float *dw,
                                     bool is_signed) {
    WITH_DW_AXES(form, filter_gradient, u, step, lanes, dw, is_signed)
    return 0;
}
