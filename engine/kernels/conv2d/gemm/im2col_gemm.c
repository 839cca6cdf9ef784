/* im2col_gemm.c - the reference convolution: im2col in tiles that stay in the L2 cache, and a product in one thread for
 * each tile: by OpenBLAS for gradients, in the forward pass by ordered_product.h, in which an element's bits do not
 * depend on its place.
 *
 * Tiles are independent and their sizes follow from the shape alone, so any number of threads gives the same bits. */
#include "engine/kernels/conv2d/gemm/im2col_gemm.h"

#include <math.h>
#include <omp.h>

#include "engine/kernels/conv2d/gather.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/ordered_product.h"

#define TILE_BYTES (512u << 10) /* gathered columns of one tile: half of a typical L2 cache */
#define MIN_COLUMNS 64u         /* narrower products waste the packing of the weights */
#define WANTED_TASKS 4u         /* split the rows of the product too when the image gives fewer tiles than this */

/* How one product (all rows x all positions) is cut. */
typedef struct tiling {
    size_t rows, columns;           /* of one tile */
    size_t row_tiles, column_tiles; /* how many */
    size_t buffer;                  /* elements one thread needs for the gathered columns */
} tiling;

/* Rows of a tile, when there are so many tasks with all of them */
static size_t rows_of_tile(size_t rows, size_t tasks) {
    const size_t tiles = psal_size_min(psal_ceil_div(WANTED_TASKS, tasks), psal_ceil_div(rows, 16));
    return psal_round_up(psal_ceil_div(rows, tasks >= WANTED_TASKS ? 1 : tiles), 8);
}

static tiling make_tiling(size_t rows, size_t depth, size_t positions, size_t images, bool gathered) {
    tiling t;
    size_t columns = TILE_BYTES / sizeof(psal_real) / psal_size_max(depth, 1);
    columns = psal_size_max(columns / 16 * 16, MIN_COLUMNS);
    t.column_tiles = psal_ceil_div(psal_size_max(positions, 1), columns);
    t.columns = psal_round_up(psal_ceil_div(psal_size_max(positions, 1), t.column_tiles), 16);
    t.column_tiles = psal_ceil_div(psal_size_max(positions, 1), t.columns);
    t.rows = rows_of_tile(rows, t.column_tiles * images);
    t.row_tiles = psal_ceil_div(rows, t.rows);
    t.buffer = gathered ? psal_round_up(depth * t.columns, 16) : 0;
    return t;
}

static size_t plane(int height, int width) {
    return (size_t)height * (size_t)width;
}

/* ---- forward: y[o, P] = w[o, (c,i,j)] * column[(c,i,j), P] ---- */

typedef struct forward_plan {
    psal_conv2d_lowered l;
    bool identity; /* the columns are the image itself */
    size_t channels, rows, depth, positions;
    tiling t;
} forward_plan;

static psal_status prepare_forward(psal_convolution *c, psal_error *err) {
    const psal_conv2d_shape *s = &c->shape;
    forward_plan p = {.l = psal_conv2d_lower_forward(s),
                      .channels = (size_t)(s->in_channels / s->groups),
                      .rows = (size_t)(s->out_channels / s->groups)};
    p.identity = psal_conv2d_lowered_is_identity(&p.l);
    p.depth = p.channels * psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    p.t = make_tiling(p.rows, p.depth, p.positions, (size_t)s->batch * (size_t)s->groups, !p.identity);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (size_t)c->threads * p.t.buffer * sizeof(psal_real), err);
}

static void run_forward(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const forward_plan *p = c->plan;
    const tiling *t = &p->t;
    const size_t tiles = t->row_tiles * t->column_tiles, images = (size_t)s->batch * (size_t)s->groups;

#pragma omp parallel for schedule(dynamic) num_threads(c->threads) if (c->threads > 1)
    for (size_t task = 0; task < images * tiles; task++) {
        size_t image = task / tiles; /* (batch, group) */
        size_t row = task % t->row_tiles * t->rows, column = task / t->row_tiles % t->column_tiles * t->columns;
        size_t m = psal_size_min(t->rows, p->rows - row), n = psal_size_min(t->columns, p->positions - column);
        const psal_real *source = o->x + image * p->channels * plane(s->in_height, s->in_width);
        const psal_real *b = source + column;
        size_t ldb = p->positions;
        if (!p->identity) {
            psal_real *gathered = (psal_real *)scratch + (size_t)omp_get_thread_num() * t->buffer;
            psal_conv2d_gather(&p->l, source, (int)p->channels, column, n, gathered, n);
            b = gathered;
            ldb = n;
        }
        psal_ordered_product(m, n, p->depth, o->w + (image % (size_t)s->groups * p->rows + row) * p->depth, p->depth, b,
                             ldb, o->result + (image * p->rows + row) * p->positions + column, p->positions);
    }
}

const psal_conv2d_code psal_im2col_gemm_forward = {prepare_forward, run_forward};

/* ---- dx: for each phase, dx[c, P] = permuted[c, (o,a,b)] * column[(o,a,b), P], the columns gathered from dy ---- */

typedef struct phase_plan {
    psal_conv2d_lowered l;
    bool identity; /* the columns are dy itself */
    size_t depth, positions;
    tiling t;
} phase_plan;

typedef struct dx_plan {
    size_t weights, buffer; /* elements: the permuted filters, if not 0, and what a thread needs */
    phase_plan phase[];     /* [stride_height][stride_width] */
} dx_plan;

static phase_plan plan_phase(const psal_conv2d_shape *s, int phase) {
    phase_plan p = {.l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width)};
    const size_t rows = (size_t)(s->in_channels / s->groups);
    p.identity = psal_conv2d_lowered_is_identity(&p.l);
    p.depth = (size_t)(s->out_channels / s->groups) * psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    p.t = make_tiling(rows, p.depth, p.positions, (size_t)s->batch * (size_t)s->groups, !p.identity);
    if (!p.identity) p.t.buffer += psal_round_up(p.t.rows * p.t.columns, 16); /* the product, before place_columns */
    return p;
}

static psal_status prepare_dx(psal_convolution *c, psal_error *err) {
    const psal_conv2d_shape *s = &c->shape;
    const int phases = s->stride_height * s->stride_width;
    dx_plan *p = psal_conv2d_new_plan(c, sizeof *p + (size_t)phases * sizeof *p->phase, err);
    if (!p) return PSAL_ERR_MEMORY;
    for (int i = 0; i < phases; i++) {
        p->phase[i] = plan_phase(s, i);
        const size_t needed = s->kernel_height * s->kernel_width == 1 ? 0 : (size_t)s->in_channels * p->phase[i].depth;
        p->weights = psal_size_max(p->weights, psal_round_up(needed, 16));
        p->buffer = psal_size_max(p->buffer, p->phase[i].t.buffer);
    }
    c->scratch = (p->weights + (size_t)c->threads * p->buffer) * sizeof(psal_real);
    return PSAL_OK;
}

/* permuted[g, c, (o, a, b)] = w[g, o, c, kernel(a), kernel(b)] */
static void permute_weights(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const psal_real *w,
                            psal_real *permuted, int threads) {
    const size_t inputs = (size_t)(s->in_channels / s->groups), outputs = (size_t)(s->out_channels / s->groups);
    const size_t taps_h = (size_t)l->h.taps, taps_w = (size_t)l->w.taps;
    const size_t kernel = plane(s->kernel_height, s->kernel_width);

#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t row = 0; row < (size_t)s->groups * inputs; row++) {
        size_t g = row / inputs, c = row % inputs;
        psal_real *dst = permuted + row * outputs * taps_h * taps_w;
        for (size_t o = 0; o < outputs; o++) {
            const psal_real *filter = w + ((g * outputs + o) * inputs + c) * kernel;
            for (size_t a = 0; a < taps_h; a++)
                for (size_t b = 0; b < taps_w; b++)
                    *dst++ = filter[((size_t)l->h.kernel + a * (size_t)l->h.kernel_step) * (size_t)s->kernel_width +
                                    (size_t)l->w.kernel + b * (size_t)l->w.kernel_step];
        }
    }
}

/* Write product[rows, n] (columns column .. column+n-1 of the phase), or zeros, to their places in dx[rows, in_height,
 * in_width]. */
static void place_columns(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const psal_real *product,
                          size_t rows, size_t column, size_t n, psal_real *dx) {
    for (size_t r = 0; r < rows; r++) {
        psal_real *dst = dx + r * plane(s->in_height, s->in_width);
        size_t p = column / (size_t)l->w.count, q = column % (size_t)l->w.count;
        for (size_t i = 0; i < n; i++) {
            size_t y = (size_t)l->h.place + p * (size_t)l->h.place_step;
            size_t x = (size_t)l->w.place + q * (size_t)l->w.place_step;
            dst[y * (size_t)s->in_width + x] = product ? product[r * n + i] : 0;
            if (++q == (size_t)l->w.count) {
                q = 0;
                p++;
            }
        }
    }
}

static void run_phase(const psal_convolution *c, const phase_plan *p, const psal_real *dy, const psal_real *w,
                      psal_real *dx, psal_real *buffers, size_t buffer, bool permuted) {
    const psal_conv2d_shape *s = &c->shape;
    const tiling *t = &p->t;
    const size_t rows = (size_t)(s->in_channels / s->groups), channels = (size_t)(s->out_channels / s->groups);
    const size_t depth = p->depth, positions = p->positions;
    const size_t tiles = t->row_tiles * t->column_tiles, images = (size_t)s->batch * (size_t)s->groups;
    if (positions == 0) return;

#pragma omp parallel for schedule(dynamic) num_threads(c->threads) if (c->threads > 1)
    for (size_t task = 0; task < images * tiles; task++) {
        size_t image = task / tiles;
        size_t row = task % t->row_tiles * t->rows, column = task / t->row_tiles % t->column_tiles * t->columns;
        size_t m = psal_size_min(t->rows, rows - row), n = psal_size_min(t->columns, positions - column);
        const psal_real *source = dy + image * channels * plane(s->out_height, s->out_width);
        psal_real *result = dx + (image * rows + row) * plane(s->in_height, s->in_width);
        const psal_real *weights = w + image % (size_t)s->groups * rows * depth;
        const psal_real *a = permuted ? weights + row * depth : weights + row; /* else stored [o, c] */
        size_t lda = permuted ? depth : rows;
        if (p->identity) {
            psal_gemm(!permuted, false, m, n, depth, a, lda, source + column, positions, false, result + column,
                      positions);
        } else if (depth == 0) {
            place_columns(s, &p->l, NULL, m, column, n, result);
        } else {
            psal_real *gathered = buffers + (size_t)omp_get_thread_num() * buffer;
            psal_real *product = gathered + psal_round_up(depth * t->columns, 16);
            psal_conv2d_gather(&p->l, source, (int)channels, column, n, gathered, n);
            psal_gemm(!permuted, false, m, n, depth, a, lda, gathered, n, false, product, n);
            place_columns(s, &p->l, product, m, column, n, result);
        }
    }
}

static void run_dx(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const dx_plan *p = c->plan;
    psal_real *permuted = scratch, *buffers = permuted + p->weights;
    for (int i = 0; i < s->stride_height * s->stride_width; i++) {
        if (p->weights > 0) permute_weights(s, &p->phase[i].l, o->w, permuted, c->threads);
        run_phase(c, &p->phase[i], o->dy, p->weights > 0 ? permuted : o->w, o->result, buffers, p->buffer,
                  p->weights > 0);
    }
}

const psal_conv2d_code psal_im2col_gemm_dx = {prepare_dx, run_dx};

/* ---- dw: dw[o, (c,i,j)] = sum over images and chunks of positions of dy[o, P] * column[(c,i,j), P]^T ---- */

typedef struct dw_plan {
    psal_conv2d_lowered l;
    bool identity; /* the columns are the image itself */
    size_t inputs, outputs, taps, positions;
    size_t channels, channel_tiles, rows, row_tiles; /* input channels and filters of one task */
    size_t chunk;                                    /* positions gathered at a time */
    size_t buffer;                                   /* elements of a thread */
    size_t dw;                                       /* and before the threads' buffers: dw, for its means */
} dw_plan;

static size_t filter_size(const psal_conv2d_shape *s) {
    return (size_t)(s->in_channels / s->groups) * plane(s->kernel_height, s->kernel_width);
}

static psal_status prepare_dw(psal_convolution *c, psal_error *err) {
    const psal_conv2d_shape *s = &c->shape;
    dw_plan p = {.l = psal_conv2d_lower_forward(s),
                 .inputs = (size_t)(s->in_channels / s->groups),
                 .outputs = (size_t)(s->out_channels / s->groups)};
    p.identity = psal_conv2d_lowered_is_identity(&p.l);
    p.taps = psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    p.channels = psal_size_min(psal_size_max(128 / p.taps, 1), p.inputs);
    p.channel_tiles = psal_ceil_div(p.inputs, p.channels);
    p.rows = rows_of_tile(p.outputs, p.channel_tiles * (size_t)s->groups);
    p.row_tiles = psal_ceil_div(p.outputs, p.rows);
    p.chunk = psal_size_max(TILE_BYTES / sizeof(psal_real) / (p.channels * p.taps) / 16 * 16, MIN_COLUMNS);
    p.chunk = psal_size_min(p.chunk, p.positions);
    p.buffer = p.identity ? 0 : psal_round_up(p.channels * p.taps * p.chunk, 16);
    p.dw = c->direction == PSAL_CONV2D_DW ? 0 : psal_round_up((size_t)s->out_channels * filter_size(s), 16);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (p.dw + (size_t)c->threads * p.buffer) * sizeof(psal_real), err);
}

/* mean[filter] of |dw|, or of dw */
static void take_means(const psal_conv2d_shape *s, const psal_real *dw, bool is_signed, psal_real *mean) {
    const size_t size = filter_size(s);
    for (size_t filter = 0; filter < (size_t)s->out_channels; filter++) {
        double sum = 0;
        for (size_t i = 0; i < size; i++) {
            double value = dw[filter * size + i];
            sum += is_signed ? value : fabs(value);
        }
        mean[filter] = (psal_real)(sum / (double)size);
    }
}

static void run_dw(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const dw_plan *p = c->plan;
    const size_t groups = (size_t)s->groups, tiles = p->row_tiles * p->channel_tiles, positions = p->positions;
    psal_real *dw = p->dw > 0 ? scratch : o->result, *buffers = (psal_real *)scratch + p->dw;

#pragma omp parallel for schedule(dynamic) num_threads(c->threads) if (c->threads > 1)
    for (size_t task = 0; task < groups * tiles; task++) {
        size_t g = task / tiles;
        size_t row = task % p->row_tiles * p->rows, channel = task / p->row_tiles % p->channel_tiles * p->channels;
        size_t m = psal_size_min(p->rows, p->outputs - row), channels = psal_size_min(p->channels, p->inputs - channel);
        psal_real *result = dw + ((g * p->outputs + row) * p->inputs + channel) * p->taps;
        bool first = true;
        for (size_t n = 0; n < (size_t)s->batch; n++) {
            const psal_real *source = o->x +
                                      ((n * groups + g) * p->inputs + channel) * plane(s->in_height, s->in_width);
            const psal_real *a = o->dy + ((n * groups + g) * p->outputs + row) * positions;
            for (size_t column = 0; column < positions; column += p->chunk) {
                size_t count = psal_size_min(p->chunk, positions - column);
                const psal_real *b = source + column;
                if (!p->identity) {
                    psal_real *gathered = buffers + (size_t)omp_get_thread_num() * p->buffer;
                    psal_conv2d_gather(&p->l, source, (int)channels, column, count, gathered, count);
                    b = gathered;
                }
                psal_gemm(false, true, m, channels * p->taps, count, a + column, positions, b,
                          p->identity ? positions : count, !first, result, p->inputs * p->taps);
                first = false;
            }
        }
    }
    if (p->dw > 0) take_means(s, dw, o->is_signed, o->result);
}

const psal_conv2d_code psal_im2col_gemm_dw = {prepare_dw, run_dw};
