/* direct.c - forward and input gradient as products on the register tile.
 *
 * forward        y[o, P] = w[o, (c,i,j)] * column[(c,i,j), P]
 * dx, 1x1        dx[c, P] = w[o, c]^T * dy[o, P]
 * dx, otherwise  column[(c,i,j), P] = w[o, (c,i,j)]^T * dy[o, P], then every element is added to its pixel, channel by channel
 *                (col2im): nothing but contiguous reads of w and dy. Only where the columns would be too large, the
 *                phases of conv2d_lower.h: each pixel gathers what it needs from dy.
 * few channels   no product at all (few.h) */
#include "engine/kernels/x86/direct.h"

#include <string.h>

#include "engine/kernels/conv2d_gather.h"
#include "engine/kernels/tasks.h"
#include "engine/kernels/x86/few.h"
#include "engine/kernels/x86/product.h"

#define MOST_COLUMNS (4u << 20) /* floats of columns that col2im may take: 16 MiB */

static psal_product forward_product(const psal_conv2d_shape *s, int threads) {
    psal_product p = {.l = psal_conv2d_lower_forward(s), .form = PSAL_A_ROWS};
    p.plain = psal_conv2d_lowered_is_plain(&p.l);
    p.rows = (size_t)(s->out_channels / s->groups);
    p.channels = (size_t)(s->in_channels / s->groups);
    p.depth = p.channels * psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    p.images = (size_t)s->batch * (size_t)s->groups;
    p.groups = (size_t)s->groups;
    p.result_height = (size_t)s->out_height;
    p.result_width = (size_t)s->out_width;
    psal_product_plan(&p, threads);
    return p;
}

size_t psal_direct_forward_scratch(const psal_conv2d_shape *s, int threads) {
    if (psal_few_forward_possible(s)) return psal_few_forward_scratch(s, threads);
    psal_product p = forward_product(s, threads);
    return (p.shared_floats + (size_t)threads * p.buffer) * sizeof(float);
}

void psal_direct_forward(const psal_conv2d_shape *s, bool chains, const float *x, const float *w, float *y,
                         const psal_parallel *parallel) {
    if (psal_few_forward_possible(s)) {
        psal_few_forward(s, chains, x, w, y, parallel);
        return;
    }
    psal_product p = forward_product(s, parallel->threads);
    p.chains = chains;
    psal_product_run(&p, x, w, y, parallel->scratch, parallel->threads);
}

/* ---- dx ---- */

static size_t kernel_size(const psal_conv2d_shape *s) {
    return (size_t)s->kernel_height * (size_t)s->kernel_width;
}

/* dy seen as it is: one tap, nothing shifted */
static psal_product plain_dx_product(const psal_conv2d_shape *s, size_t images, int threads) {
    const psal_conv2d_axis h = {.count = s->out_height,
                                .stride = 1,
                                .taps = 1,
                                .offset_step = 1,
                                .kernel_step = 1,
                                .place_step = 1,
                                .source = s->out_height};
    psal_product p = {.l = {h, h}, .form = PSAL_A_TRANSPOSED, .plain = true};
    p.l.w.count = p.l.w.source = s->out_width;
    p.rows = (size_t)(s->in_channels / s->groups) * kernel_size(s);
    p.depth = p.channels = (size_t)(s->out_channels / s->groups);
    p.positions = psal_conv2d_positions(&p.l);
    p.images = images;
    p.groups = (size_t)s->groups;
    p.result_height = (size_t)s->out_height;
    p.result_width = (size_t)s->out_width;
    psal_product_plan(&p, threads);
    return p;
}

static psal_product phase_product(const psal_conv2d_shape *s, int phase, int threads) {
    psal_product p = {.l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width),
                      .form = PSAL_A_TAPS};
    p.plain = psal_conv2d_lowered_is_plain(&p.l);
    p.rows = (size_t)(s->in_channels / s->groups);
    p.channels = (size_t)(s->out_channels / s->groups);
    p.depth = p.channels * psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    p.images = (size_t)s->batch * (size_t)s->groups;
    p.groups = (size_t)s->groups;
    p.kernel = kernel_size(s);
    p.kernel_width = (size_t)s->kernel_width;
    p.result_height = (size_t)s->in_height;
    p.result_width = (size_t)s->in_width;
    psal_product_plan(&p, threads);
    return p;
}

typedef enum { DX_PLAIN, DX_FEW, DX_COL2IM, DX_PHASES } dx_way;

static dx_way choose_dx(const psal_conv2d_shape *s) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    if (psal_conv2d_lowered_is_plain(&l)) return DX_PLAIN;
    if (psal_few_possible(s)) return DX_FEW;
    size_t columns = (size_t)(s->in_channels / s->groups) * kernel_size(s) * psal_conv2d_positions(&l);
    return columns <= MOST_COLUMNS ? DX_COL2IM : DX_PHASES;
}

size_t psal_direct_dx_scratch(const psal_conv2d_shape *s, int threads) {
    const dx_way way = choose_dx(s);
    if (way == DX_FEW) return psal_few_dx_scratch(s, threads);
    size_t most = 0;
    if (way == DX_PHASES) {
        for (int phase = 0; phase < s->stride_height * s->stride_width; phase++) {
            psal_product p = phase_product(s, phase, threads);
            most = psal_size_max(most, p.shared_floats + (size_t)threads * p.buffer);
        }
    } else {
        psal_product p = plain_dx_product(s, way == DX_PLAIN ? (size_t)s->batch * (size_t)s->groups : 1, threads);
        most = p.shared_floats + (size_t)threads * p.buffer;
        if (way == DX_COL2IM) most += psal_round_up(p.rows * p.positions, BLOCK);
    }
    return most * sizeof(float);
}

/* plane[in_height, in_width] = sum over taps of columns[(i,j), P] at their places */
static void col2im(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const float *columns, float *plane) {
    const size_t positions = psal_conv2d_positions(l), width = (size_t)s->in_width;
    memset(plane, 0, (size_t)s->in_height * width * sizeof *plane);
    for (int i = 0; i < l->h.taps; i++) {
        int p_lo, p_hi;
        psal_conv2d_inside(&l->h, i, &p_lo, &p_hi);
        for (int j = 0; j < l->w.taps; j++, columns += positions) {
            int q_lo, q_hi;
            psal_conv2d_inside(&l->w, j, &q_lo, &q_hi);
            const long first = (long)q_lo * l->w.stride + l->w.offset + (long)j * l->w.offset_step;
            for (int p = p_lo; p < p_hi; p++) {
                const float *src = columns + (size_t)p * (size_t)l->w.count + (size_t)q_lo;
                const long row = (long)p * l->h.stride + l->h.offset + (long)i * l->h.offset_step;
                float *dst = plane + (size_t)row * width + (size_t)(q_lo < q_hi ? first : 0);
                const size_t n = (size_t)(q_hi - q_lo), step = (size_t)l->w.stride;
                if (step == 1)
                    for (size_t q = 0; q < n; q++) dst[q] += src[q];
                else
                    for (size_t q = 0; q < n; q++) dst[q * step] += src[q];
            }
        }
    }
}

void psal_direct_col2im(const psal_conv2d_shape *s, const float *columns, float *dx, int threads) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    const size_t channels = (size_t)(s->in_channels / s->groups), channel = kernel_size(s) * psal_conv2d_positions(&l);
    const size_t plane = (size_t)s->in_height * (size_t)s->in_width;
    psal_tasks tasks;
    psal_tasks_init(&tasks, channels, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
        col2im(s, &l, columns + t.number * channel, dx + t.number * plane);
}

static void dx_col2im(const psal_conv2d_shape *s, const float *dy, const float *w, float *dx,
                      const psal_parallel *parallel) {
    const psal_product p = plain_dx_product(s, 1, parallel->threads);
    const size_t channels = (size_t)(s->in_channels / s->groups);
    const size_t plane = (size_t)s->in_height * (size_t)s->in_width;
    float *columns = parallel->scratch, *rest = columns + psal_round_up(p.rows * p.positions, BLOCK);
    for (size_t image = 0; image < (size_t)s->batch * (size_t)s->groups; image++) {
        psal_product_run(&p, dy + image * p.channels * p.positions, w + image % (size_t)s->groups * p.rows * p.depth,
                         columns, rest, parallel->threads);
        psal_direct_col2im(s, columns, dx + image * channels * plane, parallel->threads);
    }
}

void psal_direct_dx(const psal_conv2d_shape *s, const float *dy, const float *w, float *dx,
                    const psal_parallel *parallel) {
    switch (choose_dx(s)) {
    case DX_FEW:
        psal_few_dx(s, dy, w, dx, parallel);
        break;
    case DX_COL2IM:
        dx_col2im(s, dy, w, dx, parallel);
        break;
    case DX_PLAIN: {
        const psal_product p = plain_dx_product(s, (size_t)s->batch * (size_t)s->groups, parallel->threads);
        psal_product_run(&p, dy, w, dx, parallel->scratch, parallel->threads);
        break;
    }
    case DX_PHASES:
        for (int phase = 0; phase < s->stride_height * s->stride_width; phase++) {
            const psal_product p = phase_product(s, phase, parallel->threads);
            psal_product_run(&p, dy, w, dx, parallel->scratch, parallel->threads);
        }
    }
}
