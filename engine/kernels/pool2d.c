#include "engine/kernels/pool2d.h"

#include <stdint.h>
#include <string.h>

enum { SERIAL_BELOW = 16384 };

static int use_threads(size_t elements, const psal_parallel *parallel) {
    return parallel->threads > 1 && elements >= SERIAL_BELOW ? parallel->threads : 1;
}

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

void psal_kernel_max_pool2d_index(const psal_pool2d_shape *s, const psal_real *x, psal_real *index,
                                  const psal_parallel *parallel) {
    size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    int threads = use_threads(s->planes * inputs, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++) {
        const psal_real *from = x + plane * inputs;
        psal_real *to = index + plane * outputs;
        for (int p = 0; p < s->out_height; p++) {
            window h = pool_window(p, s->in_height, s->kernel_height, s->stride_height, s->padding_height, true);
            for (int q = 0; q < s->out_width; q++) {
                window w = pool_window(q, s->in_width, s->kernel_width, s->stride_width, s->padding_width, true);
                int best = h.begin * s->in_width + w.begin;
                for (int i = h.begin; i < h.end; i++)
                    for (int j = w.begin; j < w.end; j++) {
                        int at = i * s->in_width + j;
                        if (from[at] > from[best] || from[at] != from[at]) best = at;
                    }
                *to++ = (psal_real)best;
            }
        }
    }
}

void psal_kernel_pool_gather(size_t planes, size_t inputs, size_t outputs, const psal_real *x, const psal_real *index,
                             psal_real *y, const psal_parallel *parallel) {
    int threads = use_threads(planes * outputs, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++)
        for (size_t i = 0; i < outputs; i++)
            y[plane * outputs + i] = x[plane * inputs + (size_t)index[plane * outputs + i]];
}

void psal_kernel_pool_scatter(size_t planes, size_t inputs, size_t outputs, const psal_real *dy, const psal_real *index,
                              psal_real *dx, const psal_parallel *parallel) {
    int threads = use_threads(planes * inputs, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++) {
        memset(dx + plane * inputs, 0, inputs * sizeof *dx);
        for (size_t i = 0; i < outputs; i++)
            dx[plane * inputs + (size_t)index[plane * outputs + i]] += dy[plane * outputs + i];
    }
}

/* How one axis is cut into windows: output i of the vertical or horizontal axis. */
typedef window (*window_rule)(const psal_pool2d_shape *s, bool vertical, int i);

static window pool_rule(const psal_pool2d_shape *s, bool vertical, int i) {
    return vertical ? pool_window(i, s->in_height, s->kernel_height, s->stride_height, s->padding_height, s->exclude_padding)
                    : pool_window(i, s->in_width, s->kernel_width, s->stride_width, s->padding_width, s->exclude_padding);
}

static window adaptive_rule(const psal_pool2d_shape *s, bool vertical, int i) {
    return vertical ? adaptive_window(i, s->in_height, s->out_height) : adaptive_window(i, s->in_width, s->out_width);
}

static void average(const psal_pool2d_shape *s, window_rule rule, const psal_real *x, psal_real *y,
                    const psal_parallel *parallel) {
    size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    int threads = use_threads(s->planes * inputs, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++) {
        const psal_real *from = x + plane * inputs;
        psal_real *to = y + plane * outputs;
        for (int p = 0; p < s->out_height; p++) {
            window row = rule(s, true, p);
            for (int q = 0; q < s->out_width; q++) {
                window column = rule(s, false, q);
                psal_real sum = 0;
                for (int i = row.begin; i < row.end; i++)
                    for (int j = column.begin; j < column.end; j++) sum += from[(size_t)i * s->in_width + j];
                *to++ = sum / (psal_real)(row.length * column.length);
            }
        }
    }
}

static void spread(const psal_pool2d_shape *s, window_rule rule, const psal_real *dy, psal_real *dx,
                   const psal_parallel *parallel) {
    size_t inputs = (size_t)s->in_height * s->in_width, outputs = (size_t)s->out_height * s->out_width;
    int threads = use_threads(s->planes * inputs, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < s->planes; plane++) {
        psal_real *to = dx + plane * inputs;
        memset(to, 0, inputs * sizeof *to);
        for (int p = 0; p < s->out_height; p++) {
            window row = rule(s, true, p);
            for (int q = 0; q < s->out_width; q++) {
                window column = rule(s, false, q);
                psal_real share = dy[plane * outputs + (size_t)p * s->out_width + q] /
                                  (psal_real)(row.length * column.length);
                for (int i = row.begin; i < row.end; i++)
                    for (int j = column.begin; j < column.end; j++) to[(size_t)i * s->in_width + j] += share;
            }
        }
    }
}

void psal_kernel_avg_pool2d(const psal_pool2d_shape *s, const psal_real *x, psal_real *y, const psal_parallel *parallel) {
    average(s, pool_rule, x, y, parallel);
}

void psal_kernel_avg_pool2d_spread(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx,
                                   const psal_parallel *parallel) {
    spread(s, pool_rule, dy, dx, parallel);
}

void psal_kernel_adaptive_avg_pool2d(const psal_pool2d_shape *s, const psal_real *x, psal_real *y,
                                     const psal_parallel *parallel) {
    average(s, adaptive_rule, x, y, parallel);
}

void psal_kernel_adaptive_avg_pool2d_spread(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx,
                                            const psal_parallel *parallel) {
    spread(s, adaptive_rule, dy, dx, parallel);
}
