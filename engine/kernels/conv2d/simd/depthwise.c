/* depthwise.c - convolutions in which every channel has one filter of its own (groups = in_channels = out_channels).
 *
 * There is nothing to multiply as matrices; each plane is done by itself, in a copy with its padding in which every
 * tap's pixels are those of the first tap some places further on. So a plane is one long row:
 *
 *     flat[i] = sum over taps t of w[t] * copy[offset[t] + i]          i = row * line + column, to the last result
 *
 * and what lies between the end of a row of results and its `line` is computed too and left out. At a stride the copy
 * is cut into its phases, so that neighbours in it are pixels that neighbouring results see.
 *
 *   forward   one sum for each result, over the taps in their order, whatever its place
 *   dx        the same with the taps reversed, from dy with zeros between at a stride
 *   dw[t]     = sum over i of dy[i] * copy[offset[t] + i], dy in a flat copy with zeros between its rows; sixteen sums,
 *             whatever the vectors' width */
#include <math.h>
#include <string.h>

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/simd.h"
#include "engine/kernels/tasks.h"

enum {
    MOST_TAPS = 64,                 /* conv2d.c */
    STEP = 4 * BLOCK,               /* results of a loop, */
    VECTORS = STEP / WIDTH,         /* and the vectors that hold them */
    TOGETHER = WIDTH == 16 ? 8 : 4, /* taps of a loop of dw, */
    PER_BLOCK = BLOCK / WIDTH,      /* each with so many vectors */
    CHAIN = 32                      /* blocks that are added up before they meet the sum of those before them */
};

/* One axis: source pixel i is at `before` + i * spread of the padded image, and place p of that is number p / phases of
 * phase p % phases. */
typedef struct axis {
    size_t source, before, spread, phases, length; /* length: of a phase */
} axis;

typedef struct depthwise_plan {
    axis h, w;
    size_t out_height, out_width;
    size_t length; /* of the flat result */
    size_t copy;   /* floats of the copy, with what a loop's last step reads behind it, */
    size_t flat;   /* and of the flat result or dy */
    size_t taps, offset[MOST_TAPS];
} depthwise_plan;

static axis axis_of(bool dx, int in, int out, int kernel, int stride, int padding, int dilation) {
    const size_t reach = (size_t)(kernel - 1) * (size_t)dilation, step = (size_t)stride;
    if (dx) return (axis){(size_t)out, reach - (size_t)padding, step, 1, (size_t)in + reach};
    return (axis){(size_t)in, (size_t)padding, 1, step, psal_ceil_div((size_t)(out - 1) * step + reach + 1, step)};
}

static depthwise_plan plan_of(const psal_conv2d_shape *s, bool dx) {
    depthwise_plan p = {.h = axis_of(dx, s->in_height, s->out_height, s->kernel_height, s->stride_height,
                                     s->padding_height, s->dilation_height),
                        .w = axis_of(dx, s->in_width, s->out_width, s->kernel_width, s->stride_width, s->padding_width,
                                     s->dilation_width),
                        .out_height = (size_t)(dx ? s->in_height : s->out_height),
                        .out_width = (size_t)(dx ? s->in_width : s->out_width)};
    const size_t phase = p.h.length * p.w.length;
    p.length = (p.out_height - 1) * p.w.length + p.out_width;
    p.copy = psal_round_up(p.h.phases * p.w.phases * phase + STEP, BLOCK);
    p.flat = psal_round_up(p.length, STEP) + BLOCK;
    for (size_t i = 0; i < (size_t)s->kernel_height; i++)
        for (size_t j = 0; j < (size_t)s->kernel_width; j++) {
            const size_t row = (dx ? (size_t)s->kernel_height - 1 - i : i) * (size_t)s->dilation_height;
            const size_t column = (dx ? (size_t)s->kernel_width - 1 - j : j) * (size_t)s->dilation_width;
            p.offset[p.taps++] = (row % p.h.phases * p.w.phases + column % p.w.phases) * phase +
                                 row / p.h.phases * p.w.length + column / p.w.phases;
        }
    return p;
}

/* A row, cut into phase 0, 1, ... of the copy, or spread out */
static void copy_row(const axis *w, const float *from, size_t phase_floats, float *row) {
    if (w->phases == 1 && w->spread == 1) {
        memcpy(row + w->before, from, psal_size_min(w->source, w->length - w->before) * sizeof *row);
        return;
    }
    for (size_t phase = 0; phase < w->phases && w->spread == 1; phase++) {
        const size_t first = (phase + w->phases - w->before % w->phases) % w->phases; /* source pixel in this phase */
        const size_t place = (w->before + first) / w->phases;
        if (first >= w->source || place >= w->length) continue;
        const size_t count = psal_size_min(psal_ceil_div(w->source - first, w->phases), w->length - place);
        float *to = row + phase * phase_floats + place;
        if (w->phases == 2) /* of which the compiler makes vectors */
            for (size_t i = 0; i < count; i++) to[i] = from[first + 2 * i];
        else
            for (size_t i = 0; i < count; i++) to[i] = from[first + w->phases * i];
    }
    for (size_t i = 0; i < w->source && w->spread > 1; i++) row[w->before + i * w->spread] = from[i];
}

static void copy_plane(const depthwise_plan *p, const float *plane, float *copy) {
    const size_t phase = p->h.length * p->w.length;
    memset(copy, 0, p->copy * sizeof *copy);
    for (size_t i = 0; i < p->h.source; i++) {
        const size_t place = p->h.before + i * p->h.spread;
        if (place / p->h.phases >= p->h.length) break;
        copy_row(&p->w, plane + i * p->w.source, phase,
                 copy + place % p->h.phases * p->w.phases * phase + place / p->h.phases * p->w.length);
    }
}

static void correlate(const depthwise_plan *p, const float *w, const float *copy, float *flat) {
    for (size_t i = 0; i < p->length; i += STEP) {
        vec acc[VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) acc[v] = vec_zero();
        for (size_t t = 0; t < p->taps; t++) {
            const vec weight = vec_broadcast(w[t]);
            const float *from = copy + p->offset[t] + i;
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) acc[v] = vec_fma(weight, vec_load(from + v * WIDTH), acc[v]);
        }
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) vec_store(flat + i + v * WIDTH, acc[v]);
    }
}

static size_t plane_of(const axis *h, const axis *w) {
    return h->source * w->source;
}

static void run_planes(const psal_convolution *c, const float *source, const psal_conv2d_operands *o, float *scratch) {
    const depthwise_plan *p = c->plan;
    const size_t channels = (size_t)c->shape.groups, result = p->out_height * p->out_width;
    psal_tasks tasks;
    psal_tasks_init(&tasks, (size_t)c->shape.batch * channels, c->threads);
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        float *copy = scratch + (size_t)omp_get_thread_num() * (p->copy + p->flat), *flat = copy + p->copy;
        copy_plane(p, source + t.number * plane_of(&p->h, &p->w), copy);
        correlate(p, o->w + t.number % channels * p->taps, copy, flat);
        for (size_t row = 0; row < p->out_height; row++)
            memcpy(o->result + t.number * result + row * p->out_width, flat + row * p->w.length,
                   p->out_width * sizeof *flat);
    }
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const depthwise_plan p = plan_of(&c->shape, c->direction == PSAL_CONV2D_DX);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (size_t)c->threads * (p.copy + p.flat) * sizeof(float), err);
}

static void run_forward(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    run_planes(c, o->x, o, scratch);
}

static void run_dx(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    run_planes(c, o->dy, o, scratch);
}

/* ---- dw ---- */

/* sums[taps][BLOCK] += the products of some taps over one plane */
INLINE void add_products(const int taps, size_t length, const float *dy, const float *copy, const size_t *offset,
                         float *sums) {
    for (size_t first = 0; first < length; first += CHAIN * BLOCK) {
        const size_t end = psal_size_min(first + CHAIN * BLOCK, length);
        vec acc[TOGETHER][PER_BLOCK];
#pragma GCC unroll 8
        for (int t = 0; t < taps; t++)
#pragma GCC unroll 2
            for (int v = 0; v < PER_BLOCK; v++) acc[t][v] = vec_zero();
        for (size_t i = first; i < end; i += BLOCK)
#pragma GCC unroll 2
            for (int v = 0; v < PER_BLOCK; v++) {
                const vec gradient = vec_load(dy + i + v * WIDTH);
#pragma GCC unroll 8
                for (int t = 0; t < taps; t++)
                    acc[t][v] = vec_fma(gradient, vec_load(copy + offset[t] + i + v * WIDTH), acc[t][v]);
            }
#pragma GCC unroll 8
        for (int t = 0; t < taps; t++)
#pragma GCC unroll 2
            for (int v = 0; v < PER_BLOCK; v++) {
                float *to = sums + t * BLOCK + v * WIDTH;
                vec_store(to, vec_add(vec_load(to), acc[t][v]));
            }
    }
}

static void add_plane(const depthwise_plan *p, const float *dy, const float *copy, float *sums) {
    size_t t = 0;
    for (; t + TOGETHER <= p->taps; t += TOGETHER)
        add_products(TOGETHER, p->length, dy, copy, p->offset + t, sums + t * BLOCK);
    for (; t < p->taps; t++) add_products(1, p->length, dy, copy, p->offset + t, sums + t * BLOCK);
}

static float add_block(const float *sums) {
    double sum[BLOCK / 2];
    for (int i = 0; i < BLOCK / 2; i++) sum[i] = (double)sums[i] + (double)sums[i + BLOCK / 2];
    for (int n = BLOCK / 4; n > 0; n /= 2)
        for (int i = 0; i < n; i++) sum[i] += sum[i + n];
    return (float)sum[0];
}

static void run_dw(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const depthwise_plan *p = c->plan;
    const size_t channels = (size_t)c->shape.groups, result = p->out_height * p->out_width;
    psal_tasks tasks;
    psal_tasks_init(&tasks, channels, c->threads);
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    for (psal_task task = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &task);) {
        float *copy = (float *)scratch + (size_t)omp_get_thread_num() * (p->copy + p->flat), *dy = copy + p->copy;
        float sums[MOST_TAPS * BLOCK] = {0}, dw[MOST_TAPS];
        memset(dy, 0, p->flat * sizeof *dy);
        for (size_t n = 0; n < (size_t)c->shape.batch; n++) {
            const size_t plane = n * channels + task.number;
            copy_plane(p, o->x + plane * plane_of(&p->h, &p->w), copy);
            for (size_t row = 0; row < p->out_height; row++)
                memcpy(dy + row * p->w.length, o->dy + plane * result + row * p->out_width, p->out_width * sizeof *dy);
            add_plane(p, dy, copy, sums);
        }
        double mean = 0;
        for (size_t t = 0; t < p->taps; t++) {
            dw[t] = add_block(sums + t * BLOCK);
            mean += o->is_signed ? (double)dw[t] : fabs((double)dw[t]);
        }
        if (c->direction == PSAL_CONV2D_DW)
            memcpy(o->result + task.number * p->taps, dw, p->taps * sizeof *dw);
        else
            o->result[task.number] = (float)(mean / (double)p->taps);
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_depthwise_forward) = {prepare, run_forward};
const psal_conv2d_code PSAL_SIMD_NAME(psal_depthwise_dx) = {prepare, run_dx};
const psal_conv2d_code PSAL_SIMD_NAME(psal_depthwise_dw) = {prepare, run_dw};
