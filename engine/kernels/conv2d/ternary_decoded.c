/* ternary_decoded.c - ternary filters are decoded to float32, at the start of the scratch memory, for the algorithm
 * that takes such filters of this shape. */
#include <stdio.h>

#include "engine/kernels/conv2d/algorithm.h"
#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/rows.h"

static size_t filter_size(const psal_conv2d_shape *s) {
    return (size_t)(s->in_channels / s->groups) * (size_t)s->kernel_height * (size_t)s->kernel_width;
}

static size_t number_bytes(const psal_conv2d_shape *s) {
    return psal_round_up((size_t)s->out_channels * filter_size(s) * sizeof(psal_real), 64);
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_conv2d_direction direction = c->direction == PSAL_CONV2D_TERNARY_DY ? PSAL_CONV2D_DY : PSAL_CONV2D_DX;
    c->inner = psal_conv2d_choose(&c->shape, direction, c->settings, c->threads, err);
    if (!c->inner) return PSAL_ERR_MEMORY;
    snprintf(c->name, sizeof c->name, "decoded, %s", psal_conv2d_algorithm_name(c->inner));
    c->scratch = number_bytes(&c->shape) + psal_conv2d_scratch(c->inner);
    return PSAL_OK;
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const psal_parallel parallel = {.threads = c->threads};
    psal_real *w = scratch;
    psal_kernel_row_ternary_spread((size_t)s->out_channels, filter_size(s), o->ternary->codes, o->ternary->scale,
                                   o->ternary->factor, w, &parallel);
    psal_conv2d_run(c->inner, &(psal_conv2d_operands){.x = o->x, .w = w, .dy = o->dy, .result = o->result},
                    (char *)scratch + number_bytes(s));
}

const psal_conv2d_code psal_ternary_decoded = {prepare, run};
