/* dx.c - input gradient on the matrix unit: phase by phase (lowered.h), or at larger strides as columns = w^T dy and
 * col2im, which packs w once. Of float32 or ternary filters. */
#include <string.h>

#include "engine/kernels/conv2d/amx/codes.h"
#include "engine/kernels/conv2d/amx/product.h"
#include "engine/kernels/conv2d/amx/subsampled.h"
#include "engine/kernels/conv2d/simd/col2im.h"

static size_t kernel_size(const psal_conv2d_shape *s) {
    return (size_t)s->kernel_height * (size_t)s->kernel_width;
}

static int phases(const psal_conv2d_shape *s) {
    return s->stride_height * s->stride_width;
}

/* w[o, m, kernel elements] as A(m, (o, tap)) */
static void transposed_filters(psal_amx_product *p, size_t kernel, size_t kernel_width, int threads) {
    const psal_conv2d_axis *h = &p->columns.l.h, *w = &p->columns.l.w;
    p->filters = (psal_amx_filters){.form = PSAL_AMX_TRANSPOSED,
                                    .ld = p->rows,
                                    .kernel = kernel,
                                    .kernel_width = kernel_width,
                                    .taps_width = (size_t)w->taps,
                                    .row = h->kernel,
                                    .row_step = h->kernel_step,
                                    .column = w->kernel,
                                    .column_step = w->kernel_step};
    psal_amx_product_plan(p, threads);
}

static psal_amx_product phase_product(const psal_conv2d_shape *s, psal_amx_mode mode, int phase, int threads) {
    psal_amx_product p = {.mode = mode,
                          .columns.l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width),
                          .columns.channels = (size_t)s->out_channels,
                          .rows = (size_t)s->in_channels,
                          .images = (size_t)s->batch,
                          .result_height = (size_t)s->in_height,
                          .result_width = (size_t)s->in_width};
    transposed_filters(&p, kernel_size(s), (size_t)s->kernel_width, threads);
    return p;
}

/* columns[(c,i,j), P] of one image: a row for every kernel element */
static psal_amx_product columns_product(const psal_conv2d_shape *s, psal_amx_mode mode, int threads) {
    const psal_conv2d_axis axis = {.stride = 1, .taps = 1, .offset_step = 1, .kernel_step = 1, .place_step = 1};
    psal_amx_product p = {.mode = mode,
                          .columns.l = {axis, axis},
                          .columns.channels = (size_t)s->out_channels,
                          .rows = (size_t)s->in_channels * kernel_size(s),
                          .images = 1,
                          .result_height = (size_t)s->out_height,
                          .result_width = (size_t)s->out_width};
    p.columns.l.h.count = p.columns.l.h.source = s->out_height;
    p.columns.l.w.count = p.columns.l.w.source = s->out_width;
    transposed_filters(&p, 1, 1, threads);
    return p;
}

static psal_amx_mode mode_of(const psal_convolution *c) {
    return c->direction == PSAL_CONV2D_DX ? PSAL_AMX_ONE_PASS : PSAL_AMX_TERNARY;
}

/* ---- col2im ---- */

static size_t column_floats(const psal_conv2d_shape *s) {
    return psal_round_up((size_t)s->in_channels * kernel_size(s) * (size_t)s->out_height * (size_t)s->out_width, 16);
}

static psal_status prepare_col2im(psal_convolution *c, psal_error *err) {
    const psal_amx_product p = columns_product(&c->shape, mode_of(c), c->threads);
    const size_t scratch = column_floats(&c->shape) * sizeof(float) + psal_amx_product_scratch(&p, c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, scratch, err);
}

static void run_col2im(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const size_t image = (size_t)s->in_channels * (size_t)s->in_height * (size_t)s->in_width;
    const size_t source = (size_t)s->out_channels * (size_t)s->out_height * (size_t)s->out_width;
    psal_amx_operands operands = {.source = o->dy, .w = o->w, .ternary = o->ternary};
    float *columns = scratch;
    for (size_t n = 0; n < (size_t)s->batch; n++, operands.source += source) {
        psal_amx_product_run(c->plan, &operands, columns, columns + column_floats(s), c->threads);
        psal_col2im_image(s, columns, o->result + n * image, c->threads);
    }
}

const psal_conv2d_code psal_amx_col2im = {prepare_col2im, run_col2im};

/* ---- phases ---- */

typedef struct phases_plan {
    psal_amx_subsampled subsampled;
    bool all; /* whether every pixel of the image takes part */
    int count;
    psal_amx_product phase[];
} phases_plan;

static psal_status prepare_phases(psal_convolution *c, psal_error *err) {
    const psal_amx_subsampled subsampled = psal_amx_subsampled_of(&c->shape);
    const int count = phases(&subsampled.shape);
    phases_plan *p = psal_conv2d_new_plan(c, sizeof *p + (size_t)count * sizeof *p->phase, err);
    if (!p) return PSAL_ERR_MEMORY;
    p->subsampled = subsampled;
    p->all = true;
    p->count = count;
    for (int i = 0; i < count; i++) {
        p->phase[i] = phase_product(&subsampled.shape, mode_of(c), i, c->threads);
        p->all = p->all && p->phase[i].columns.taps > 0;
        c->scratch = psal_size_max(c->scratch, psal_amx_product_scratch(&p->phase[i], c->threads));
    }
    c->scratch += subsampled.floats * sizeof(float);
    return PSAL_OK;
}

static void run_phases(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const phases_plan *p = c->plan;
    const psal_conv2d_shape *s = &p->subsampled.shape;
    const psal_amx_operands operands = {.source = o->dy, .w = o->w, .ternary = o->ternary};
    float *result = p->subsampled.skips ? scratch : o->result, *rest = (float *)scratch + p->subsampled.floats;
    if (!p->all) {
#pragma omp parallel for schedule(static) num_threads(c->threads) if (c->threads > 1)
        for (size_t plane = 0; plane < (size_t)s->batch * (size_t)s->in_channels; plane++)
            memset(result + plane * (size_t)s->in_height * (size_t)s->in_width, 0,
                   (size_t)s->in_height * (size_t)s->in_width * sizeof *result);
    }
    for (int i = 0; i < p->count; i++) psal_amx_product_run(&p->phase[i], &operands, result, rest, c->threads);
    if (p->subsampled.skips) psal_amx_subsample_adjoint(&c->shape, result, o->result, c->threads);
}

const psal_conv2d_code psal_amx_phases = {prepare_phases, run_phases};
