#include "engine/kernels/x86/winograd_transform.h"

#include <string.h>

#include "engine/kernels/x86/direct.h"
#include "engine/kernels/x86/winograd_tile.h"

/* ---- image rows to vectors of channels, and back ---- */

size_t psal_winograd_line_floats(int m, size_t tiles)
{
    return (size_t)(m + 2) * (tiles * (size_t)m + 2) * BLOCK;
}

/* One row of tiles: `size` x `size` windows of `line` every m columns, transformed to n x n. */
INLINE void transform_line(transform_1d *one, const int m, const int size, const float *line, size_t columns,
                           size_t tiles, float *v, size_t step)
{
    const int n = m + 2;
    for (size_t t = 0; t < tiles; t++)
        for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
            transform_2d(one, m, size, n, line + t * (size_t)m * BLOCK + lane, (ptrdiff_t)columns * BLOCK, BLOCK,
                         v + t * BLOCK + lane, n * (ptrdiff_t)step, (ptrdiff_t)step);
}

void psal_winograd_input(int m, const float *x, const winograd_planes *planes, int row, int column, size_t tiles,
                         float *line, float *v, size_t step)
{
    const size_t columns = tiles * (size_t)m + 2;
    load_lines(x, planes, row, column, m + 2, (int)columns, line);
    if (m == 2)
        transform_line(input_1d, 2, 4, line, columns, tiles, v, step);
    else
        transform_line(input_1d, 4, 6, line, columns, tiles, v, step);
}

void psal_winograd_gradient(int m, const float *dy, const winograd_planes *planes, int row, size_t tiles, float *line,
                            float *v, size_t step)
{
    const size_t columns = tiles * (size_t)m;
    load_lines(dy, planes, row, 0, m, (int)columns, line);
    if (m == 2)
        transform_line(gradient_1d, 2, 2, line, columns, tiles, v, step);
    else
        transform_line(gradient_1d, 4, 4, line, columns, tiles, v, step);
}

INLINE void output_line(const int m, const float *p, size_t step, size_t tile_step, size_t tiles, float *line)
{
    const int n = m + 2;
    const size_t columns = tiles * (size_t)m;
    for (size_t t = 0; t < tiles; t++)
        for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
            transform_2d(output_1d, m, n, m, p + t * tile_step + lane, n * (ptrdiff_t)step, (ptrdiff_t)step,
                         line + t * (size_t)m * BLOCK + lane, (ptrdiff_t)columns * BLOCK, BLOCK);
}

void psal_winograd_output(int m, const float *p, size_t step, size_t tile_step, size_t tiles, float *line, float *y,
                          const winograd_planes *planes, int row, int column)
{
    const size_t stride = (size_t)planes->width, plane = (size_t)planes->height * stride, columns = tiles * (size_t)m;
    const size_t rest = stride - (size_t)column, width = rest < columns ? rest : columns;
    if (m == 2)
        output_line(2, p, step, tile_step, tiles, line);
    else
        output_line(4, p, step, tile_step, tiles, line);
    for (int r = 0; r < m && row + r < planes->height; r++) {
        for (size_t j = 0; j < width; j += BLOCK) {
            const size_t count = width - j < BLOCK ? width - j : BLOCK;
            transpose_block(line + ((size_t)r * columns + j) * BLOCK, BLOCK, count, planes->lanes,
                            y + (size_t)(row + r) * stride + (size_t)column + j, plane, count);
        }
    }
}

/* ---- filters ---- */

void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, float *taps)
{
    for (size_t i = 0; i < channels * 9; i += BLOCK)
        transpose_block(w + i, lane_step, lanes, channels * 9 - i < BLOCK ? channels * 9 - i : BLOCK, taps + i * BLOCK,
                        BLOCK, BLOCK);
}

INLINE void filter(const int m, const float *taps, float *u, size_t step)
{
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
        transform_2d(filter_1d, m, 3, m + 2, taps + lane, 3 * BLOCK, BLOCK, u + lane, (m + 2) * (ptrdiff_t)step,
                     (ptrdiff_t)step);
}

void psal_winograd_filter(int m, const float *taps, float *u, size_t step)
{
    m == 2 ? filter(2, taps, u, step) : filter(4, taps, u, step);
}

INLINE void turned_filter(const int m, const float *w, size_t lanes, float *u, size_t step)
{
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH) {
        float taps[9 * WIDTH];
        load_taps(w + lane * 9, lanes > lane ? lanes - lane : 0, taps);
        transform_2d(filter_1d, m, 3, m + 2, taps + 8 * WIDTH, -3 * WIDTH, -WIDTH, u + lane, (m + 2) * (ptrdiff_t)step,
                     (ptrdiff_t)step);
    }
}

void psal_winograd_turned_filter(int m, const float *w, size_t lanes, float *u, size_t step)
{
    m == 2 ? turned_filter(2, w, lanes, u, step) : turned_filter(4, w, lanes, u, step);
}

INLINE double filter_gradient(const int m, const float *u, size_t step, size_t lanes, float *dw, bool is_signed)
{
    const int n = m + 2;
    float taps[9 * BLOCK];
    for (size_t lane = 0; lane < BLOCK; lane += WIDTH)
        transform_2d(filter_gradient_1d, m, n, 3, u + lane, n * (ptrdiff_t)step, (ptrdiff_t)step, taps + lane, 3 * BLOCK,
                     BLOCK);
    if (!dw) return sum_values(taps, 9 * BLOCK, is_signed);
    float turned[BLOCK * BLOCK];
    transpose_block(taps, BLOCK, 9, lanes, turned, BLOCK, BLOCK);
    for (size_t i = 0; i < lanes; i++) memcpy(dw + i * 9, turned + i * BLOCK, 9 * sizeof *dw);
    return 0;
}

double psal_winograd_filter_gradient(int m, const float *u, size_t step, size_t lanes, float *dw, bool is_signed)
{
    return m == 2 ? filter_gradient(2, u, step, lanes, dw, is_signed) : filter_gradient(4, u, step, lanes, dw, is_signed);
}
