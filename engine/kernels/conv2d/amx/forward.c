/* forward.c - forward pass and dy as one product on the matrix unit, of float32 or ternary filters.
 *
 * The sum of an element does not depend on the rows and columns of its tile (tile.c, product.c): equal windows give
 * equal bits (conv2d.h). */
#include "engine/kernels/conv2d/amx/codes.h"
#include "engine/kernels/conv2d/amx/product.h"
#include "engine/kernels/conv2d/amx/subsampled.h"

static psal_amx_product forward_product(const psal_conv2d_shape *s, psal_amx_mode mode, int threads) {
    psal_amx_product p = {.columns.l = psal_conv2d_lower_forward(s),
                          .columns.channels = (size_t)s->in_channels,
                          .mode = mode,
                          .rows = (size_t)s->out_channels,
                          .images = (size_t)s->batch,
                          .result_height = (size_t)s->out_height,
                          .result_width = (size_t)s->out_width};
    p.filters.form = PSAL_AMX_ROWS;
    p.filters.ld = p.columns.channels * psal_conv2d_taps(&p.columns.l);
    psal_amx_product_plan(&p, threads);
    return p;
}

typedef struct plan {
    psal_amx_subsampled subsampled;
    psal_amx_product product;
} plan;

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_amx_mode mode = c->direction == PSAL_CONV2D_FORWARD ? PSAL_AMX_TWO_PASSES
                               : c->direction == PSAL_CONV2D_DY    ? PSAL_AMX_ONE_PASS
                                                                   : PSAL_AMX_TERNARY;
    plan p = {.subsampled = psal_amx_subsampled_of(&c->shape)};
    p.product = forward_product(&p.subsampled.shape, mode, c->threads);
    const size_t scratch = p.subsampled.floats * sizeof(float) + psal_amx_product_scratch(&p.product, c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, scratch, err);
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const plan *p = c->plan;
    float *subsampled = scratch;
    psal_amx_operands operands = {.source = o->x, .w = o->w, .ternary = o->ternary};
    if (p->subsampled.skips) {
        psal_amx_subsample(&c->shape, o->x, subsampled, c->threads);
        operands.source = subsampled;
    }
    psal_amx_product_run(&p->product, &operands, o->result, subsampled + p->subsampled.floats, c->threads);
}

const psal_conv2d_code psal_amx_forward = {prepare, run};
