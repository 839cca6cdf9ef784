/* first_layer_dw.c - the weight gradient of a network's first layer, whose image has few channels.
 *
 *   dw[o, e] = sum over positions of dy[o, position] * x[pixel of element e at that position]
 *
 * A gathered column would be multiplied by few vectors of filters only, so nothing is gathered: vectors run over
 * filters (dy is transposed), and pixels are broadcast from a padded copy of the image. */
#include <string.h>

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/sum.h"
#include "engine/kernels/conv2d/simd/transpose.h"

enum {
    MOST_ELEMENTS = WIDTH == 16 ? 6 : 4, /* of a register tile, with MOST_VECTORS of filters: 24 or 8 sums */
    MOST_VECTORS = WIDTH == 16 ? 4 : 2,
    MOST_PARTS = 16,
    CHAIN = 256 /* positions in whole rows, at least one, of one sum before it is added to the others */
};

typedef struct dw_plan {
    size_t filters, lanes, elements;         /* lanes: filters in whole blocks; elements of a filter */
    size_t padded_height, padded_width;      /* of the image's copy */
    size_t height, width, rows;              /* of positions; rows of a chain */
    size_t tiles;                            /* of the elements */
    size_t parts;                            /* of the rows, each with sums of its own */
    size_t image, sums, transposed, results; /* floats: of the copy; of a part's sums; two buffers of a thread */
} dw_plan;

static dw_plan plan_dw(const psal_conv2d_shape *s) {
    dw_plan p = {.filters = (size_t)s->out_channels,
                 .elements = (size_t)(s->in_channels * s->kernel_height * s->kernel_width),
                 .padded_height = (size_t)(s->in_height + 2 * s->padding_height),
                 .padded_width = (size_t)(s->in_width + 2 * s->padding_width),
                 .height = (size_t)s->out_height,
                 .width = (size_t)s->out_width};
    p.lanes = psal_round_up(p.filters, BLOCK);
    p.rows = psal_size_max(CHAIN / p.width, 1);
    p.tiles = psal_ceil_div(p.elements, MOST_ELEMENTS);
    p.parts = psal_size_min(MOST_PARTS, p.height);
    p.image = psal_round_up((size_t)s->in_channels * p.padded_height * p.padded_width, BLOCK);
    p.sums = p.elements * p.lanes;
    p.transposed = p.rows * p.width * p.lanes;
    p.results = psal_round_up(p.elements, BLOCK);
    return p;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const dw_plan p = plan_dw(&c->shape);
    const size_t floats = p.image + p.parts * p.sums + (size_t)c->threads * (p.transposed + p.results);
    return psal_conv2d_keep_plan(c, &p, sizeof p, floats * sizeof(float), err);
}

/* ---- copies ---- */

/* One row of the copy */
static void copy_row(const psal_conv2d_shape *s, const dw_plan *p, const float *x, size_t number, float *copy) {
    const size_t channel = number / p->padded_height, padding = (size_t)s->padding_width;
    const int row = (int)(number % p->padded_height) - s->padding_height;
    float *to = copy + number * p->padded_width;
    memset(to, 0, p->padded_width * sizeof *to);
    if (row < 0 || row >= s->in_height) return;
    memcpy(to + padding, x + (channel * (size_t)s->in_height + (size_t)row) * (size_t)s->in_width,
           (size_t)s->in_width * sizeof *to);
}

/* transposed[position][filter] for some rows of positions, contiguous in each plane */
static void transpose_rows(const dw_plan *p, const float *dy, size_t row, size_t rows, float *transposed) {
    const size_t plane = p->height * p->width, positions = rows * p->width;
    dy += row * p->width;
    for (size_t i = 0; i < positions; i += BLOCK)
        for (size_t filter = 0; filter < p->filters; filter += BLOCK)
            transpose_block(dy + filter * plane + i, plane, psal_size_min(BLOCK, p->filters - filter),
                            psal_size_min(BLOCK, positions - i), transposed + i * p->lanes + filter, p->lanes, BLOCK);
}

/* ---- the register tile ---- */

/* sums[element][lane] += products at `count` positions of a row: pixel[element] points to the pixel of the first, those
 * of the others are `step` apart */
INLINE void tile(const int elements, const int vectors, size_t count, const float *const *pixel, size_t step,
                 const float *transposed, size_t lanes, vec sum[MOST_ELEMENTS][MOST_VECTORS]) {
    for (size_t i = 0, at = 0; i < count; i++, at += step, transposed += lanes) {
        vec y[MOST_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) y[v] = vec_load(transposed + v * WIDTH);
#pragma GCC unroll 6
        for (int e = 0; e < elements; e++) {
            const vec x = vec_broadcast(pixel[e][at]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[e][v] = vec_fma(x, y[v], sum[e][v]);
        }
    }
}

/* All positions of some rows */
INLINE void add_rows(const int elements, const int vectors, const dw_plan *p, const float *const *pixel, size_t step,
                     size_t row_step, size_t rows, const float *transposed, float *sums) {
    vec sum[MOST_ELEMENTS][MOST_VECTORS];
    const float *at[MOST_ELEMENTS];
#pragma GCC unroll 6
    for (int e = 0; e < elements; e++) {
        at[e] = pixel[e];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[e][v] = vec_zero();
    }
    for (size_t row = 0; row < rows; row++, transposed += p->width * p->lanes) {
        tile(elements, vectors, p->width, at, step, transposed, p->lanes, sum);
#pragma GCC unroll 6
        for (int e = 0; e < elements; e++) at[e] += row_step;
    }
#pragma GCC unroll 6
    for (int e = 0; e < elements; e++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            float *to = sums + (size_t)e * p->lanes + (size_t)(v * WIDTH);
            vec_store(to, vec_add(vec_load(to), sum[e][v]));
        }
}

typedef void rows_function(const dw_plan *p, const float *const *pixel, size_t step, size_t row_step, size_t rows,
                           const float *transposed, float *sums);

#define DEFINE_ROWS(elements, vectors)                                                                                 \
    static void rows_##elements##_##vectors(const dw_plan *p, const float *const *pixel, size_t step, size_t row_step, \
                                            size_t rows, const float *transposed, float *sums) {                       \
        add_rows(elements, vectors, p, pixel, step, row_step, rows, transposed, sums);                                 \
    }
#define NAME(elements, vectors) rows_##elements##_##vectors,
#if WIDTH == 16
#define FOR_EACH_VECTORS(f, elements) f(elements, 1) f(elements, 2) f(elements, 3) f(elements, 4)
#define FOR_EACH_TILE(f)                      \
    {f(1)}, {f(2)}, {f(3)}, {f(4)}, {f(5)}, { \
        f(6)                                  \
    }
#else
#define FOR_EACH_VECTORS(f, elements) f(elements, 1) f(elements, 2)
#define FOR_EACH_TILE(f)      \
    {f(1)}, {f(2)}, {f(3)}, { \
        f(4)                  \
    }
#endif
#define NAMES(elements) FOR_EACH_VECTORS(NAME, elements)

FOR_EACH_VECTORS(DEFINE_ROWS, 1)
FOR_EACH_VECTORS(DEFINE_ROWS, 2)
FOR_EACH_VECTORS(DEFINE_ROWS, 3)
FOR_EACH_VECTORS(DEFINE_ROWS, 4)
#if WIDTH == 16
FOR_EACH_VECTORS(DEFINE_ROWS, 5)
FOR_EACH_VECTORS(DEFINE_ROWS, 6)
#endif

static rows_function *const rows_functions[MOST_ELEMENTS][MOST_VECTORS] = {FOR_EACH_TILE(NAMES)};

/* ---- a part of the rows ---- */

/* sums[element][filter] += products at some rows of positions, whose dy is `transposed` */
static void add_block(const psal_conv2d_shape *s, const dw_plan *p, size_t row, size_t rows, const float *copy,
                      const float *transposed, float *sums) {
    const size_t row_step = (size_t)s->stride_height * p->padded_width, vectors = p->lanes / WIDTH;
    const size_t width = (size_t)s->kernel_width, kernel = (size_t)s->kernel_height * width;
    for (size_t t = 0; t < p->tiles; t++) {
        const size_t first = psal_tasks_part(p->elements, p->tiles, t),
                     count = psal_tasks_part(p->elements, p->tiles, t + 1) - first;
        const float *pixel[MOST_ELEMENTS];
        for (size_t e = 0; e < count; e++) {
            const size_t channel = (first + e) / kernel, i = (first + e) % kernel / width, j = (first + e) % width;
            pixel[e] = copy + (channel * p->padded_height + i * (size_t)s->dilation_height) * p->padded_width +
                       j * (size_t)s->dilation_width + row * row_step;
        }
        for (size_t v = 0; v < vectors; v += MOST_VECTORS)
            rows_functions[count - 1][psal_size_min(MOST_VECTORS, vectors - v) - 1](
                p, pixel, (size_t)s->stride_width, row_step, rows, transposed + v * WIDTH,
                sums + first * p->lanes + v * WIDTH);
    }
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const dw_plan *p = c->plan;
    float *dw = c->direction == PSAL_CONV2D_DW ? o->result : NULL;
    const size_t image = (size_t)s->in_channels * (size_t)s->in_height * (size_t)s->in_width;
    float *copy = scratch, *sums = copy + p->image, *own = sums + p->parts * p->sums;
    psal_tasks tasks;
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    {
        float *transposed = own + (size_t)omp_get_thread_num() * (p->transposed + p->results),
              *results = transposed + p->transposed;
        for (size_t n = 0; n < (size_t)s->batch; n++) {
#pragma omp single nowait
            psal_tasks_init(&tasks, p->parts, c->threads);
#pragma omp for schedule(static)
            for (size_t i = 0; i < (size_t)s->in_channels * p->padded_height; i++)
                copy_row(s, p, o->x + n * image, i, copy);
            for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
                float *part = sums + t.number * p->sums;
                if (n == 0) memset(part, 0, p->sums * sizeof *part);
                const size_t end = psal_tasks_part(p->height, p->parts, t.number + 1);
                for (size_t row = psal_tasks_part(p->height, p->parts, t.number), rows; row < end; row += rows) {
                    rows = psal_size_min(p->rows, end - row);
                    transpose_rows(p, o->dy + n * p->filters * p->height * p->width, row, rows, transposed);
                    add_block(s, p, row, rows, copy, transposed, part);
                }
            }
#pragma omp barrier
        }
#pragma omp for schedule(static)
        for (size_t e = 0; e < p->elements; e++)
            for (size_t i = 1; i < p->parts; i++)
                for (size_t v = 0; v < p->lanes; v += WIDTH) {
                    float *to = sums + e * p->lanes + v;
                    vec_store(to, vec_add(vec_load(to), vec_load(to + i * p->sums)));
                }
#pragma omp for schedule(static)
        for (size_t f = 0; f < p->filters; f++) {
            float *to = dw ? dw + f * p->elements : results;
            for (size_t e = 0; e < p->elements; e++) to[e] = sums[e * p->lanes + f];
            if (!dw) o->result[f] = (float)(sum_values(to, p->elements, o->is_signed) / (double)p->elements);
        }
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_first_layer_dw) = {prepare, run};
