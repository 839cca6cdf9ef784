/* implicit_gemm_forward.c - convolutions that are one product:
 *
 *   forward       y[o, P] = w[o, (c,i,j)] * column[(c,i,j), P]
 *   dx, pointwise dx[c, P] = w[o, c]^T * dy[o, P] */
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/implicit_gemm.h"

static psal_implicit_gemm forward_product(const psal_conv2d_shape *s, int threads, bool chains) {
    psal_implicit_gemm p = {.l = psal_conv2d_lower_forward(s), .form = PSAL_A_ROWS};
    p.rows = (size_t)(s->out_channels / s->groups);
    p.channels = (size_t)(s->in_channels / s->groups);
    p.images = (size_t)s->batch * (size_t)s->groups;
    p.groups = (size_t)s->groups;
    p.result_height = (size_t)s->out_height;
    p.result_width = (size_t)s->out_width;
    p.chains = chains;
    psal_gemm_plan(&p, threads);
    return p;
}

/* The forward pass, which decides ReLUs and maxima, sums in chains. */
static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_implicit_gemm p = forward_product(&c->shape, c->threads, c->direction == PSAL_CONV2D_FORWARD);
    return psal_conv2d_keep_plan(c, &p, sizeof p, psal_gemm_scratch(&p, c->threads), err);
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    psal_gemm_run(c->plan, o->x, o->w, o->result, scratch, c->threads);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_forward) = {prepare, run};

static psal_status prepare_dx(psal_convolution *c, psal_error *err) {
    const psal_implicit_gemm p = psal_gemm_of_dy(&c->shape, (size_t)c->shape.batch * (size_t)c->shape.groups,
                                                 c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, psal_gemm_scratch(&p, c->threads), err);
}

static void run_dx(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    psal_gemm_run(c->plan, o->dy, o->w, o->result, scratch, c->threads);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_pointwise_dx) = {prepare_dx, run_dx};
