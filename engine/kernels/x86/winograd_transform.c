#include "engine/kernels/x86/winograd_transform.h"

#include <string.h>

#include "engine/kernels/x86/direct.h"
#include "engine/kernels/x86/winograd_tile.h"

/* f(h, w, ...) with constant sizes in both directions, which are named by m and r: r of 1 is the identity. */
#define WITH_SIZES(form, f, ...)                                                                                       \
    switch (form) {                                                                                                    \
    case WINOGRAD_2X2_3X3: return f(2, 3, 2, 3, __VA_ARGS__);                                                          \
    case WINOGRAD_4X4_3X3: return f(4, 3, 4, 3, __VA_ARGS__);                                                          \
    case WINOGRAD_2X2_5X5: return f(2, 5, 2, 5, __VA_ARGS__);                                                          \
    case WINOGRAD_1X4_1X3: return f(1, 1, 4, 3, __VA_ARGS__);                                                          \
    case WINOGRAD_4X1_3X1: return f(4, 3, 1, 1, __VA_ARGS__);                                                          \
    case WINOGRAD_1X2_1X7: return f(1, 1, 2, 7, __VA_ARGS__);                                                          \
    case WINOGRAD_2X1_7X1: return f(2, 7, 1, 1, __VA_ARGS__);                                                          \
    default: break;                                                                                                    \
    }
/* What a transform takes and gives in a direction */
#define INPUT(m, r) (direction){m, r, m + r - 1, m + r - 1}
#define GRADIENT(m, r) (direction){m, r, m, m + r - 1}
#define OUTPUT(m, r) (direction){m, r, m + r - 1, m}
#define FILTER(m, r) (direction){m, r, r, m + r - 1}
#define FILTER_GRADIENT(m, r) (direction){m, r, m + r - 1, r}

/* ---- image rows to vectors of channels, and back ---- */

static size_t line_columns(winograd_form form, size_t tiles)
{
    const winograd_size w = winograd_width(form);
    return tiles * (size_t)w.results + (size_t)w.taps - 1;
}

size_t psal_winograd_line_floats(winograd_form form, size_t tiles)
{
    return (size_t)winograd_height(form).window * line_columns(form, tiles) * BLOCK;
}

/* One row of tiles: windows of `line` every w.m columns, transformed. */
INLINE void transform_line(transform_1d *one, const direction h, const direction w, const float *line, size_t columns, size_t tiles,
                           float *v, size_t step)
{
    for (size_t t = 0; t < tiles; t++)
        for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
            transform_2d(one, h, w, line + t * (size_t)w.m * BLOCK + lane, (ptrdiff_t)columns * BLOCK, BLOCK, v + t * BLOCK + lane,
                         w.to * (ptrdiff_t)step, (ptrdiff_t)step);
}

INLINE void input_line(const int mh, const int rh, const int mw, const int rw, const float *line, size_t columns, size_t tiles,
                       float *v, size_t step)
{
    transform_line(input_1d, INPUT(mh, rh), INPUT(mw, rw), line, columns, tiles, v, step);
}

INLINE void gradient_line(const int mh, const int rh, const int mw, const int rw, const float *line, size_t columns, size_t tiles,
                          float *v, size_t step)
{
    transform_line(gradient_1d, GRADIENT(mh, rh), GRADIENT(mw, rw), line, columns, tiles, v, step);
}

void psal_winograd_input(winograd_form form, const float *x, const winograd_planes *planes, int row, int column, size_t tiles,
                         float *line, float *v, size_t step)
{
    const size_t columns = line_columns(form, tiles);
    load_lines(x, planes, row, column, winograd_height(form).window, (int)columns, line);
    WITH_SIZES(form, input_line, line, columns, tiles, v, step)
}

void psal_winograd_gradient(winograd_form form, const float *dy, const winograd_planes *planes, int row, int column, size_t tiles,
                            float *line, float *v, size_t step)
{
    const size_t columns = tiles * (size_t)winograd_width(form).results;
    load_lines(dy, planes, row, column, winograd_height(form).results, (int)columns, line);
    WITH_SIZES(form, gradient_line, line, columns, tiles, v, step)
}

INLINE void output_line(const int mh, const int rh, const int mw, const int rw, const float *p, size_t step, size_t tile_step,
                        size_t tiles, float *line)
{
    const direction h = OUTPUT(mh, rh), w = OUTPUT(mw, rw);
    const size_t columns = tiles * (size_t)mw;
    for (size_t t = 0; t < tiles; t++)
        for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
            transform_2d(output_1d, h, w, p + t * tile_step + lane, w.from * (ptrdiff_t)step, (ptrdiff_t)step,
                         line + t * (size_t)mw * BLOCK + lane, (ptrdiff_t)columns * BLOCK, BLOCK);
}

static void output_tiles(winograd_form form, const float *p, size_t step, size_t tile_step, size_t tiles, float *line)
{
    WITH_SIZES(form, output_line, p, step, tile_step, tiles, line)
}

void psal_winograd_output(winograd_form form, const float *p, size_t step, size_t tile_step, size_t tiles, float *line, float *y,
                          const winograd_planes *planes, int row, int column)
{
    const size_t stride = (size_t)planes->width, plane = (size_t)planes->height * stride;
    const size_t columns = tiles * (size_t)winograd_width(form).results;
    const size_t rest = stride - (size_t)column, width = rest < columns ? rest : columns;
    output_tiles(form, p, step, tile_step, tiles, line);
    for (int r = 0; r < winograd_height(form).results && row + r < planes->height; r++) {
        for (size_t j = 0; j < width; j += BLOCK) {
            const size_t count = width - j < BLOCK ? width - j : BLOCK;
            transpose_block(line + ((size_t)r * columns + j) * BLOCK, BLOCK, count, planes->lanes,
                            y + (size_t)(row + r) * stride + (size_t)column + j, plane, count);
        }
    }
}

/* ---- filters ---- */

void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, size_t taps, float *to)
{
    for (size_t i = 0; i < channels * taps; i += BLOCK)
        transpose_block(w + i, lane_step, lanes, channels * taps - i < BLOCK ? channels * taps - i : BLOCK, to + i * BLOCK, BLOCK,
                        BLOCK);
}

INLINE void filter(const int mh, const int rh, const int mw, const int rw, const float *taps, float *u, size_t step)
{
    const direction h = FILTER(mh, rh), w = FILTER(mw, rw);
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
        transform_2d(filter_1d, h, w, taps + lane, rw * BLOCK, BLOCK, u + lane, w.to * (ptrdiff_t)step, (ptrdiff_t)step);
}

void psal_winograd_filter(winograd_form form, const float *taps, float *u, size_t step)
{
    WITH_SIZES(form, filter, taps, u, step)
}

INLINE void turned_filter(const int mh, const int rh, const int mw, const int rw, const float *filters, size_t lanes, float *u,
                          size_t step)
{
    const direction h = FILTER(mh, rh), w = FILTER(mw, rw);
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH) {
        float taps[WINOGRAD_MOST_TAPS * WIDTH];
        load_taps(filters + lane * (size_t)(rh * rw), lanes > lane ? lanes - lane : 0, (size_t)(rh * rw), taps);
        transform_2d(filter_1d, h, w, taps + (rh * rw - 1) * WIDTH, -rw * WIDTH, -WIDTH, u + lane, w.to * (ptrdiff_t)step,
                     (ptrdiff_t)step);
    }
}

void psal_winograd_turned_filter(winograd_form form, const float *w, size_t lanes, float *u, size_t step)
{
    WITH_SIZES(form, turned_filter, w, lanes, u, step)
}

INLINE double filter_gradient(const int mh, const int rh, const int mw, const int rw, const float *u, size_t step, size_t lanes,
                              float *dw, bool is_signed)
{
    const direction h = FILTER_GRADIENT(mh, rh), w = FILTER_GRADIENT(mw, rw);
    const size_t count = (size_t)(rh * rw);
    float taps[WINOGRAD_MOST_TAPS * BLOCK];
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
        transform_2d(filter_gradient_1d, h, w, u + lane, w.from * (ptrdiff_t)step, (ptrdiff_t)step, taps + lane, rw * BLOCK, BLOCK);
    if (!dw) return sum_values(taps, count * BLOCK, is_signed);
    for (size_t first = 0; first < count; first += BLOCK) {
        const size_t some = count - first < BLOCK ? count - first : BLOCK;
        float turned[BLOCK * BLOCK];
        transpose_block(taps + first * BLOCK, BLOCK, some, lanes, turned, BLOCK, BLOCK);
        for (size_t i = 0; i < lanes; i++) memcpy(dw + i * count + first, turned + i * BLOCK, some * sizeof *dw);
    }
    return 0;
}

double psal_winograd_filter_gradient(winograd_form form, const float *u, size_t step, size_t lanes, float *dw, bool is_signed)
{
    WITH_SIZES(form, filter_gradient, u, step, lanes, dw, is_signed)
    return 0;
}
