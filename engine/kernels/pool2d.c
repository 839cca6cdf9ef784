#include "engine/kernels/pool2d.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernels/clones.h"

enum { SERIAL_BELOW = 16384 };

static int min_int(int a, int b) {
    return a < b ? a : b;
}

static int max_int(int a, int b) {
    return a > b ? a : b;
}

/* One axis of a window: the part inside the image, and the length that an average divides by. */
typedef struct window {
    int begin, end, length;
} window;

static window pool_window(int i, int size, int kernel, int stride, int padding, bool exclude_padding) {
    int begin = i * stride - padding;
    int end = min_int(begin + kernel, size + padding);
    window w = {max_int(begin, 0), min_int(end, size), end - begin};
    if (exclude_padding) w.length = w.end - w.begin;
    return w;
}

static window adaptive_window(int i, int size, int outputs) {
    window w = {(int)((int64_t)i * size / outputs), (int)(((int64_t)(i + 1) * size + outputs - 1) / outputs), 0};
    w.length = w.end - w.begin;
    return w;
}

/* The outputs first .. end-1 of one axis whose window has its tap number `tap` inside the image. */
typedef struct range {
    int first, end;
} range;

static range outputs_with_tap(int tap, int size, int outputs, int stride, int padding) {
    int before = padding - tap, behind = size + padding - tap; /* first <= q * stride - before, q * stride < behind */
    range r = {before > 0 ? (before + stride - 1) / stride : 0, behind > 0 ? (behind + stride - 1) / stride : 0};
    if (r.end > outputs) r.end = outputs;
    return r;
}

enum { PIECE = 128 }; /* outputs of a row that are worked on together, in vectors */

/* best[k] and its place at[k] against from[k * stride], which is at place + k * stride: a later value only replaces a
 * smaller one, a NaN every other. */
static inline __attribute__((always_inline)) void take_larger(int count, const psal_real *restrict from, int stride,
                                                              int place, psal_real *restrict best, int *restrict at) {
    for (int k = 0; k < count; k++) {
        psal_real value = from[k * stride];
        bool take = (value > best[k]) | (value != value);
        best[k] = take ? value : best[k];
        at[k] = take ? place + k * stride : at[k];
    }
}

/* Strides as constants make vectors. */
PSAL_CLONES static void compare_row(int count, const psal_real *restrict from, int stride, int place,
                                    psal_real *restrict best, int *restrict at) {
    if (stride == 1)
        take_larger(count, from, 1, place, best, at);
    else if (stride == 2)
        take_larger(count, from, 2, place, best, at);
    else
        take_larger(count, from, stride, place, best, at);
}

/* The maxima of `count` windows from output q on, tap by tap in reading order: best, and where they are. */
static void max_piece(const psal_pool2d_shape *s, const psal_real *from, window rows, int q, int count,
                      psal_real *index, psal_real *best) {
    int at[PIECE];
    const int stride = s->stride_width;
    for (int k = 0; k < count; k++) {
        best[k] = -INFINITY;
        at[k] = rows.begin * s->in_width + max_int((q + k) * stride - s->padding_width, 0);
    }
    for (int i = rows.begin; i < rows.end; i++) {
        for (int tap = 0; tap < s->kernel_width; tap++) {
            range r = outputs_with_tap(tap, s->in_width, s->out_width, stride, s->padding_width);
            const int first = max_int(r.first - q, 0), end = min_int(r.end - q, count);
            const int place = i * s->in_width + (q + first) * stride + tap - s->padding_width;
            if (first < end) compare_row(end - first, from + place, stride, place, best + first, at + first);
        }
    }
    for (int k = 0; k < count; k++) index[k] = (psal_real)at[k];
}

void psal_kernel_max_pool2d_index(const psal_pool2d_shape *s, const psal_real *x, psal_real *index, psal_real *y,
                                  const psal_parallel *parallel) {
    size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    int threads = psal_parallel_threads(parallel, s->planes * inputs, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++)
        for (int p = 0; p < s->out_height; p++) {
            window rows = pool_window(p, s->in_height, s->kernel_height, s->stride_height, s->padding_height, true);
            const size_t row = plane * outputs + (size_t)p * s->out_width;
            for (int q = 0; q < s->out_width; q += PIECE) {
                psal_real best[PIECE];
                max_piece(s, x + plane * inputs, rows, q, min_int(PIECE, s->out_width - q), index + row + q,
                          y ? y + row + q : best);
            }
        }
}

/* Indices are below 2^31, because a float holds them: as int, the compiler can gather with vectors. */
PSAL_CLONES static void gather_plane(size_t outputs, const psal_real *restrict x, const psal_real *restrict index,
                                     psal_real *restrict y) {
    for (size_t i = 0; i < outputs; i++) y[i] = x[(int)index[i]];
}

void psal_kernel_pool_gather(size_t planes, size_t inputs, size_t outputs, const psal_real *x, const psal_real *index,
                             psal_real *y, const psal_parallel *parallel) {
    int threads = psal_parallel_threads(parallel, planes * outputs, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++)
        gather_plane(outputs, x + plane * inputs, index + plane * outputs, y + plane * outputs);
}

void psal_kernel_pool_scatter(size_t planes, size_t inputs, size_t outputs, const psal_real *dy, const psal_real *index,
                              psal_real *dx, const psal_parallel *parallel) {
    int threads = psal_parallel_threads(parallel, planes * inputs, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++) {
        memset(dx + plane * inputs, 0, inputs * sizeof *dx);
        for (size_t i = 0; i < outputs; i++)
            dx[plane * inputs + (size_t)index[plane * outputs + i]] += dy[plane * outputs + i];
    }
}

/* ---- averages over windows at a stride: tap by tap along the row, so that outputs beside each other make vectors
 * ---- */

/* share[k] = value / number of elements of window q + k, for `count` windows */
static void divide_piece(const psal_pool2d_shape *s, window rows, int q, int count, const psal_real *value,
                         psal_real *share) {
    for (int k = 0; k < count; k++) {
        window columns = pool_window(q + k, s->in_width, s->kernel_width, s->stride_width, s->padding_width,
                                     s->exclude_padding);
        share[k] = value[k] / (psal_real)(rows.length * columns.length);
    }
}

static void average_piece(const psal_pool2d_shape *s, const psal_real *from, window rows, int q, int count,
                          psal_real *to) {
    psal_real sum[PIECE] = {0};
    const int stride = s->stride_width;
    for (int i = rows.begin; i < rows.end; i++)
        for (int tap = 0; tap < s->kernel_width; tap++) {
            range r = outputs_with_tap(tap, s->in_width, s->out_width, stride, s->padding_width);
            int first = max_int(r.first - q, 0), end = min_int(r.end - q, count);
            const int offset = i * s->in_width + q * stride + tap - s->padding_width;
            for (int k = first; k < end; k++) sum[k] += from[offset + k * stride];
        }
    divide_piece(s, rows, q, count, sum, to);
}

static void spread_piece(const psal_pool2d_shape *s, const psal_real *dy, window rows, int q, int count,
                         psal_real *to) {
    psal_real share[PIECE];
    const int stride = s->stride_width;
    divide_piece(s, rows, q, count, dy, share);
    for (int i = rows.begin; i < rows.end; i++)
        for (int tap = 0; tap < s->kernel_width; tap++) {
            range r = outputs_with_tap(tap, s->in_width, s->out_width, stride, s->padding_width);
            int first = max_int(r.first - q, 0), end = min_int(r.end - q, count);
            const int offset = i * s->in_width + q * stride + tap - s->padding_width;
            for (int k = first; k < end; k++) to[offset + k * stride] += share[k];
        }
}

/* The same at stride 1, where all windows have the same divisor and a padded plane is small: the plane is copied with
 * its padding, so that one tap of all windows is one long row. Sums have the same order. */
enum { PLANE_ROOM = 4096 };

static bool is_dense(const psal_pool2d_shape *s) {
    const size_t height = (size_t)s->in_height + 2 * (size_t)s->kernel_height;
    const size_t width = (size_t)s->in_width + 2 * (size_t)s->kernel_width;
    return s->stride_height == 1 && s->stride_width == 1 && height * width <= PLANE_ROOM &&
           (!s->exclude_padding || (s->padding_height == 0 && s->padding_width == 0));
}

static inline void add_row(int count, const psal_real *restrict from, psal_real *restrict sum) {
    for (int k = 0; k < count; k++) sum[k] += from[k];
}

/* to[out_height, out_width] = sums over kernel_height x kernel_width of from[height, width] / divide_first, padded with
 * zeros; of the taps in a row the last one first when `backwards`. */
PSAL_CLONES static void window_sums(const psal_real *from, int height, int width, int pad_height, int pad_width,
                                    int kernel_height, int kernel_width, psal_real divide_first, bool backwards,
                                    psal_real divide, psal_real *to) {
    psal_real padded[PLANE_ROOM], sum[PLANE_ROOM];
    const int row = width + 2 * pad_width, rows = height + 2 * pad_height;
    const int out_height = rows - kernel_height + 1, out_width = row - kernel_width + 1;
    const int count = (out_height - 1) * row + out_width;
    memset(padded, 0, (size_t)rows * (size_t)row * sizeof *padded);
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++)
            padded[(i + pad_height) * row + pad_width + j] = from[i * width + j] / divide_first;
    for (int i = 0; i < kernel_height; i++)
        for (int tap = 0; tap < kernel_width; tap++)
            add_row(count, padded + i * row + (backwards ? kernel_width - 1 - tap : tap), sum);
    for (int p = 0; p < out_height; p++)
        for (int q = 0; q < out_width; q++) to[p * out_width + q] = sum[p * row + q] / divide;
}

static void average_plane(const psal_pool2d_shape *s, const psal_real *x, psal_real *y) {
    window_sums(x, s->in_height, s->in_width, s->padding_height, s->padding_width, s->kernel_height, s->kernel_width, 1,
                false, (psal_real)(s->kernel_height * s->kernel_width), y);
}

/* The sum over a pixel's windows, beginning with the one of which it is the last tap */
static void spread_plane(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx) {
    window_sums(dy, s->out_height, s->out_width, s->kernel_height - 1 - s->padding_height,
                s->kernel_width - 1 - s->padding_width, s->kernel_height, s->kernel_width,
                (psal_real)(s->kernel_height * s->kernel_width), true, 1, dx);
}

/* The averages of windows or, with `spread`, the adjoint, in the sizes of s: from and to are x and y, or dy and dx. */
static void average(const psal_pool2d_shape *s, bool spread, const psal_real *from, psal_real *to,
                    const psal_parallel *parallel) {
    const size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    const bool dense = is_dense(s);
    int threads = psal_parallel_threads(parallel, s->planes * inputs, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++) {
        const psal_real *source = from + plane * (spread ? outputs : inputs);
        psal_real *result = to + plane * (spread ? inputs : outputs);
        if (dense) {
            (spread ? spread_plane : average_plane)(s, source, result);
            continue;
        }
        if (spread) memset(result, 0, inputs * sizeof *result);
        for (int p = 0; p < s->out_height; p++) {
            window rows = pool_window(p, s->in_height, s->kernel_height, s->stride_height, s->padding_height,
                                      s->exclude_padding);
            for (int q = 0; q < s->out_width; q += PIECE) {
                const size_t output = (size_t)p * s->out_width + (size_t)q;
                const int count = min_int(PIECE, s->out_width - q);
                if (spread)
                    spread_piece(s, source + output, rows, q, count, result);
                else
                    average_piece(s, source, rows, q, count, result + output);
            }
        }
    }
}

void psal_kernel_avg_pool2d(const psal_pool2d_shape *s, const psal_real *x, psal_real *y,
                            const psal_parallel *parallel) {
    average(s, false, x, y, parallel);
}

void psal_kernel_avg_pool2d_spread(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx,
                                   const psal_parallel *parallel) {
    average(s, true, dy, dx, parallel);
}

/* ---- adaptive averages: windows of different sizes ---- */

void psal_kernel_adaptive_avg_pool2d(const psal_pool2d_shape *s, const psal_real *x, psal_real *y,
                                     const psal_parallel *parallel) {
    size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    int threads = psal_parallel_threads(parallel, s->planes * inputs, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++) {
        const psal_real *from = x + plane * inputs;
        psal_real *to = y + plane * outputs;
        for (int p = 0; p < s->out_height; p++) {
            window rows = adaptive_window(p, s->in_height, s->out_height);
            for (int q = 0; q < s->out_width; q++) {
                window columns = adaptive_window(q, s->in_width, s->out_width);
                psal_real sum = 0;
                for (int i = rows.begin; i < rows.end; i++)
                    for (int j = columns.begin; j < columns.end; j++) sum += from[(size_t)i * s->in_width + j];
                *to++ = sum / (psal_real)(rows.length * columns.length);
            }
        }
    }
}

void psal_kernel_adaptive_avg_pool2d_spread(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx,
                                            const psal_parallel *parallel) {
    size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    int threads = psal_parallel_threads(parallel, s->planes * inputs, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++) {
        psal_real *to = dx + plane * inputs;
        memset(to, 0, inputs * sizeof *to);
        for (int p = 0; p < s->out_height; p++) {
            window rows = adaptive_window(p, s->in_height, s->out_height);
            for (int q = 0; q < s->out_width; q++) {
                window columns = adaptive_window(q, s->in_width, s->out_width);
                psal_real share = dy[plane * outputs + (size_t)p * s->out_width + q] /
                                  (psal_real)(rows.length * columns.length);
                for (int i = rows.begin; i < rows.end; i++)
                    for (int j = columns.begin; j < columns.end; j++) to[(size_t)i * s->in_width + j] += share;
            }
        }
    }
}
