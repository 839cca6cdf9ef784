/* 2-D convolution and its adjoints: a family closed under differentiation.
 *
 *   y  = conv2d(x, w)         in x:  conv2d_dx(dy, w)    in w:  conv2d_dw(x, dy)
 *   dx = conv2d_dx(dy, w)     in dy: conv2d_dy(g, w)     in w:  conv2d_dw(g, dy)
 *   dw = conv2d_dw(x, dy)     in x:  conv2d_dx(dy, g)    in dy: conv2d_dy(x, g)
 *
 * (the last two also with ternary filters: op_conv2d_ternary.c)
 *
 * All three are bilinear: <conv2d(x, w), dy> = <x, conv2d_dx(dy, w)> = <w, conv2d_dw(x, dy)> (Dumoulin & Visin 2016,
 * "A guide to convolution arithmetic"); each is the derivative of that one number in one of its three arguments.
 *
 * conv2d_dy is conv2d in a derivative, where no ReLU and no maximum depends on its last bit: it may go by transforms,
 * whose rounding depends on the place in the image. conv2d may not (kernels/conv2d/conv2d.h). */
#include "engine/op_conv2d.h"

#include <stddef.h>

static int extent(int size, int kernel, int stride, int padding, int dilation) {
    int64_t span = (int64_t)size + 2 * (int64_t)padding - (int64_t)dilation * (kernel - 1) - 1;
    return span < 0 ? 0 : (int)(span / stride + 1);
}

psal_conv2d_shape psal_conv2d_options_to_shape(const psal_conv2d_options *o) {
    psal_conv2d_shape s = {
        .stride_height = 1, .stride_width = 1, .dilation_height = 1, .dilation_width = 1, .groups = 1};
    if (!o) return s;
    if (o->stride_height) s.stride_height = o->stride_height;
    if (o->stride_width) s.stride_width = o->stride_width;
    if (o->dilation_height) s.dilation_height = o->dilation_height;
    if (o->dilation_width) s.dilation_width = o->dilation_width;
    if (o->groups) s.groups = o->groups;
    s.padding_height = o->padding_height;
    s.padding_width = o->padding_width;
    return s;
}

psal_conv2d_options psal_conv2d_shape_to_options(const psal_conv2d_shape *s) {
    return (psal_conv2d_options){s->stride_height,   s->stride_width,   s->padding_height, s->padding_width,
                                 s->dilation_height, s->dilation_width, s->groups};
}

psal_shape psal_conv2d_x_shape(const psal_conv2d_shape *s) {
    return PSAL_SHAPE(s->batch, s->in_channels, s->in_height, s->in_width);
}

psal_shape psal_conv2d_weight_shape(const psal_conv2d_shape *s) {
    return PSAL_SHAPE(s->out_channels, s->in_channels / s->groups, s->kernel_height, s->kernel_width);
}

psal_shape psal_conv2d_y_shape(const psal_conv2d_shape *s) {
    return PSAL_SHAPE(s->batch, s->out_channels, s->out_height, s->out_width);
}

bool psal_conv2d_complete(psal_graph *graph, const char *what, psal_conv2d_shape *s, const psal_shape *x,
                          const psal_shape *w) {
    char xs[96], ws[96];
    psal_shape_format(x, xs, sizeof xs);
    psal_shape_format(w, ws, sizeof ws);
    if (x->ndim != 4 || w->ndim != 4) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s needs an image and a weight of 4 dimensions, got %s and %s", what,
                        xs, ws);
        return false;
    }
    for (int i = 0; i < 4; i++)
        if (x->dim[i] > INT32_MAX || w->dim[i] > INT32_MAX) {
            psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s with %s: too large", what, xs, ws);
            return false;
        }
    if (s->stride_height < 1 || s->stride_width < 1 || s->dilation_height < 1 || s->dilation_width < 1 ||
        s->groups < 1 || s->padding_height < 0 || s->padding_width < 0) {
        psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "%s with stride %dx%d, padding %dx%d, dilation %dx%d, %d groups",
                        what, s->stride_height, s->stride_width, s->padding_height, s->padding_width,
                        s->dilation_height, s->dilation_width, s->groups);
        return false;
    }
    s->batch = (int)x->dim[0];
    s->in_channels = (int)x->dim[1];
    s->in_height = (int)x->dim[2];
    s->in_width = (int)x->dim[3];
    s->out_channels = (int)w->dim[0];
    s->kernel_height = (int)w->dim[2];
    s->kernel_width = (int)w->dim[3];
    if (s->in_channels % s->groups || s->out_channels % s->groups || w->dim[1] != s->in_channels / s->groups) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s with %s in %d groups: the channels do not match", what, xs, ws,
                        s->groups);
        return false;
    }
    s->out_height = extent(s->in_height, s->kernel_height, s->stride_height, s->padding_height, s->dilation_height);
    s->out_width = extent(s->in_width, s->kernel_width, s->stride_width, s->padding_width, s->dilation_width);
    if (s->out_height < 1 || s->out_width < 1) {
        psal_graph_fail(
            graph, PSAL_ERR_SHAPE, "%s: the kernel %dx%d does not fit into the image %dx%d with padding %dx%d", what,
            s->kernel_height, s->kernel_width, s->in_height, s->in_width, s->padding_height, s->padding_width);
        return false;
    }
    return true;
}

bool psal_conv2d_same_shape(psal_graph *graph, const char *what, const psal_shape *expected, const psal_shape *got) {
    if (psal_shape_equal(expected, got)) return true;
    char a[96], b[96];
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s should have the shape %s, got %s", what,
                    psal_shape_format(expected, a, sizeof a), psal_shape_format(got, b, sizeof b));
    return false;
}

double psal_conv2d_flops(const psal_node_record *node) {
    const psal_conv2d_shape *s = &node->attr.conv2d;
    return 2.0 * s->batch * s->out_channels * s->out_height * s->out_width * (s->in_channels / s->groups) *
           s->kernel_height * s->kernel_width;
}

/* Every convolution has its shape at the beginning of its attributes. */
_Static_assert(offsetof(psal_attributes, conv2d) == offsetof(psal_attributes, conv2d_mean.conv2d), "one shape for all");

psal_status psal_conv2d_prepare(const psal_node_record *node, psal_conv2d_settings conv, int threads,
                                psal_prepared *prepared, psal_error *err) {
    const psal_conv2d_direction direction = node->op == PSAL_OP_CONV2D           ? PSAL_CONV2D_FORWARD
                                            : node->op == PSAL_OP_CONV2D_DY      ? PSAL_CONV2D_DY
                                            : node->op == PSAL_OP_CONV2D_DX      ? PSAL_CONV2D_DX
                                            : node->op == PSAL_OP_CONV2D_DW      ? PSAL_CONV2D_DW
                                            : node->op == PSAL_OP_CONV2D_DW_MEAN ? PSAL_CONV2D_DW_MEAN
                                            : node->op == PSAL_OP_CONV2D_TERNARY ? PSAL_CONV2D_TERNARY_DY
                                                                                 : PSAL_CONV2D_TERNARY_DX;
    psal_error reason = PSAL_ERROR_INIT;
    prepared->convolution = psal_conv2d_choose(&node->attr.conv2d, direction, conv, threads, &reason);
    if (!prepared->convolution) return psal_fail(err, reason.status, "%s", reason.message);
    prepared->scratch = psal_conv2d_scratch(prepared->convolution);
    return PSAL_OK;
}

/* ---- y = conv2d(x, w) ---- */

psal_node psal_conv2d(psal_graph *graph, psal_node x, psal_node weight, const psal_conv2d_options *options) {
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    return psal_graph_add(graph, PSAL_OP_CONV2D, (psal_node[]){x, weight}, 2, &attr);
}

static void conv2d_infer(psal_graph *graph, psal_node_record *node) {
    if (psal_conv2d_complete(graph, "conv2d", &node->attr.conv2d, psal_graph_input_shape(graph, node, 0),
                             psal_graph_input_shape(graph, node, 1)))
        node->shape = psal_conv2d_y_shape(&node->attr.conv2d);
}

static void conv2d_run(const psal_op_call *c) {
    psal_conv2d_run(c->convolution, &(psal_conv2d_operands){.x = c->in[0], .w = c->in[1], .result = c->out},
                    c->parallel.scratch);
}

static void conv2d_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_conv2d_options o = psal_conv2d_shape_to_options(&n.attr.conv2d);
    if (wanted[1])
        dx[1] = psal_conv2d_weight_gradient(graph, n.inputs[0], dy, psal_conv2d_weight_shape(&n.attr.conv2d), &o);
    if (wanted[0]) dx[0] = psal_conv2d_input_gradient(graph, dy, n.inputs[1], psal_conv2d_x_shape(&n.attr.conv2d), &o);
}

/* The cases are shared by the family: image, weight, and what the options below make of them. */
static const psal_conv2d_options plain = {0},
                                 padded_stride2 = {.stride_height = 2,
                                                   .stride_width = 2,
                                                   .padding_height = 1,
                                                   .padding_width = 1},
                                 uneven = {.stride_height = 2,
                                           .stride_width = 1,
                                           .padding_height = 0,
                                           .padding_width = 2,
                                           .dilation_height = 1,
                                           .dilation_width = 2},
                                 grouped = {.padding_height = 1, .padding_width = 1, .groups = 2},
                                 stride2 = {.stride_height = 2, .stride_width = 2};

#define NORMAL(...) \
    { PSAL_DIMS(__VA_ARGS__), PSAL_VALUES_NORMAL, 0 }

static psal_node case_plain(psal_graph *g, const psal_node *in) {
    return psal_conv2d(g, in[0], in[1], &plain);
}
static psal_node case_padded(psal_graph *g, const psal_node *in) {
    return psal_conv2d(g, in[0], in[1], &padded_stride2);
}
static psal_node case_uneven(psal_graph *g, const psal_node *in) {
    return psal_conv2d(g, in[0], in[1], &uneven);
}
static psal_node case_grouped(psal_graph *g, const psal_node *in) {
    return psal_conv2d(g, in[0], in[1], &grouped);
}
static psal_node case_pointwise_stride2(psal_graph *g, const psal_node *in) {
    return psal_conv2d(g, in[0], in[1], &stride2);
}
static const psal_op_case conv2d_cases[] = {
    {"3x3 without padding", case_plain, 2, {NORMAL(2, 3, 5, 6), NORMAL(4, 3, 3, 3)}, false},
    {"3x3 padded, stride 2", case_padded, 2, {NORMAL(1, 2, 6, 7), NORMAL(3, 2, 3, 3)}, false},
    {"2x3, uneven stride, padding, dilation", case_uneven, 2, {NORMAL(1, 2, 5, 4), NORMAL(2, 2, 2, 3)}, false},
    {"two groups", case_grouped, 2, {NORMAL(1, 4, 4, 3), NORMAL(6, 2, 3, 3)}, false},
    {"1x1, stride 2", case_pointwise_stride2, 2, {NORMAL(1, 3, 5, 6), NORMAL(2, 3, 1, 1)}, false},
    {"weight only", case_padded, 2, {{PSAL_DIMS(1, 2, 6, 7), PSAL_VALUES_FIXED, 0}, NORMAL(3, 2, 3, 3)}, false},
};

/* Of the image, the filters' windows, in the channels of their groups; of the weights, these filters. */
static void conv2d_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                         psal_box *in) {
    (void)graph;
    const psal_conv2d_shape *s = &node->attr.conv2d;
    if (input == 1) {
        in->first[0] = out->first[1];
        in->last[0] = out->last[1];
        return;
    }
    const int64_t filters = s->out_channels / s->groups, channels = s->in_channels / s->groups;
    in->first[0] = out->first[0];
    in->last[0] = out->last[0];
    in->first[1] = out->first[1] / filters * channels;
    in->last[1] = (out->last[1] / filters + 1) * channels - 1;
    psal_box_windows(out, in, 2, s->in_height, s->kernel_height, s->stride_height, s->padding_height,
                     s->dilation_height);
    psal_box_windows(out, in, 3, s->in_width, s->kernel_width, s->stride_width, s->padding_width, s->dilation_width);
}

const psal_op psal_op_conv2d = {.inputs = 2,
                                .infer = conv2d_infer,
                                .run = conv2d_run,
                                .prepare = psal_conv2d_prepare,
                                .gradient = conv2d_gradient,
                                .flops = psal_conv2d_flops,
                                .reach = conv2d_reach,
                                PSAL_CASES(conv2d_cases)};

/* ---- y = conv2d_dy(x, w): the same in a derivative ---- */

psal_node psal_conv2d_output_gradient(psal_graph *graph, psal_node x, psal_node weight,
                                      const psal_conv2d_options *options) {
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    return psal_graph_add(graph, PSAL_OP_CONV2D_DY, (psal_node[]){x, weight}, 2, &attr);
}

static psal_node case_dy_padded(psal_graph *g, const psal_node *in) {
    return psal_conv2d_output_gradient(g, in[0], in[1], &padded_stride2);
}
static psal_node case_dy_grouped(psal_graph *g, const psal_node *in) {
    return psal_conv2d_output_gradient(g, in[0], in[1], &grouped);
}
static const psal_op_case conv2d_dy_cases[] = {
    {"3x3 padded, stride 2", case_dy_padded, 2, {NORMAL(1, 2, 6, 7), NORMAL(3, 2, 3, 3)}, false},
    {"two groups", case_dy_grouped, 2, {NORMAL(1, 4, 4, 3), NORMAL(6, 2, 3, 3)}, false},
};

const psal_op psal_op_conv2d_dy = {.inputs = 2,
                                   .infer = conv2d_infer,
                                   .run = conv2d_run,
                                   .prepare = psal_conv2d_prepare,
                                   .gradient = conv2d_gradient,
                                   .flops = psal_conv2d_flops,
                                   PSAL_CASES(conv2d_dy_cases)};

/* ---- dx = conv2d_dx(dy, w) ---- */

psal_node psal_conv2d_input_gradient(psal_graph *graph, psal_node dy, psal_node weight, psal_shape x_shape,
                                     const psal_conv2d_options *options) {
    if (!psal_graph_has(graph, PSAL_OP_CONV2D_DX, 1, weight)) return PSAL_NO_NODE;
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    if (!psal_conv2d_complete(graph, "conv2d_dx", &attr.conv2d, &x_shape, psal_graph_shape(graph, weight)))
        return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_DX, (psal_node[]){dy, weight}, 2, &attr);
}

static void conv2d_dx_infer(psal_graph *graph, psal_node_record *node) {
    psal_shape y = psal_conv2d_y_shape(&node->attr.conv2d);
    if (psal_conv2d_same_shape(graph, "conv2d_dx: dy", &y, psal_graph_input_shape(graph, node, 0)))
        node->shape = psal_conv2d_x_shape(&node->attr.conv2d);
}

static void conv2d_dx_run(const psal_op_call *c) {
    psal_conv2d_run(c->convolution, &(psal_conv2d_operands){.dy = c->in[0], .w = c->in[1], .result = c->out},
                    c->parallel.scratch);
}

static void conv2d_dx_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_conv2d_options o = psal_conv2d_shape_to_options(&n.attr.conv2d);
    if (wanted[1])
        dx[1] = psal_conv2d_weight_gradient(graph, g, n.inputs[0], psal_conv2d_weight_shape(&n.attr.conv2d), &o);
    if (wanted[0]) dx[0] = psal_conv2d_output_gradient(graph, g, n.inputs[1], &o);
}

static psal_node case_dx_plain(psal_graph *g, const psal_node *in) {
    return psal_conv2d_input_gradient(g, in[0], in[1], PSAL_SHAPE(2, 3, 5, 6), &plain);
}
static psal_node case_dx_padded(psal_graph *g, const psal_node *in) {
    return psal_conv2d_input_gradient(g, in[0], in[1], PSAL_SHAPE(1, 2, 6, 7), &padded_stride2);
}
static psal_node case_dx_uneven(psal_graph *g, const psal_node *in) {
    return psal_conv2d_input_gradient(g, in[0], in[1], PSAL_SHAPE(1, 2, 5, 4), &uneven);
}
static psal_node case_dx_grouped(psal_graph *g, const psal_node *in) {
    return psal_conv2d_input_gradient(g, in[0], in[1], PSAL_SHAPE(1, 4, 4, 3), &grouped);
}
static psal_node case_dx_pointwise_stride2(psal_graph *g, const psal_node *in) {
    return psal_conv2d_input_gradient(g, in[0], in[1], PSAL_SHAPE(1, 3, 5, 6), &stride2);
}
static const psal_op_case conv2d_dx_cases[] = {
    {"3x3 without padding", case_dx_plain, 2, {NORMAL(2, 4, 3, 4), NORMAL(4, 3, 3, 3)}, false},
    {"3x3 padded, stride 2", case_dx_padded, 2, {NORMAL(1, 3, 3, 4), NORMAL(3, 2, 3, 3)}, false},
    {"2x3, uneven stride, padding, dilation", case_dx_uneven, 2, {NORMAL(1, 2, 2, 4), NORMAL(2, 2, 2, 3)}, false},
    {"two groups", case_dx_grouped, 2, {NORMAL(1, 6, 4, 3), NORMAL(6, 2, 3, 3)}, false},
    {"1x1, stride 2", case_dx_pointwise_stride2, 2, {NORMAL(1, 2, 3, 3), NORMAL(2, 3, 1, 1)}, false},
};

const psal_op psal_op_conv2d_dx = {.inputs = 2,
                                   .infer = conv2d_dx_infer,
                                   .run = conv2d_dx_run,
                                   .prepare = psal_conv2d_prepare,
                                   .gradient = conv2d_dx_gradient,
                                   .flops = psal_conv2d_flops,
                                   PSAL_CASES(conv2d_dx_cases)};

/* ---- dw = conv2d_dw(x, dy) ---- */

psal_node psal_conv2d_weight_gradient(psal_graph *graph, psal_node x, psal_node dy, psal_shape weight_shape,
                                      const psal_conv2d_options *options) {
    if (!psal_graph_has(graph, PSAL_OP_CONV2D_DW, 0, x)) return PSAL_NO_NODE;
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    if (!psal_conv2d_complete(graph, "conv2d_dw", &attr.conv2d, psal_graph_shape(graph, x), &weight_shape))
        return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_DW, (psal_node[]){x, dy}, 2, &attr);
}

static void conv2d_dw_infer(psal_graph *graph, psal_node_record *node) {
    psal_shape y = psal_conv2d_y_shape(&node->attr.conv2d);
    if (psal_conv2d_same_shape(graph, "conv2d_dw: dy", &y, psal_graph_input_shape(graph, node, 1)))
        node->shape = psal_conv2d_weight_shape(&node->attr.conv2d);
}

static void conv2d_dw_run(const psal_op_call *c) {
    psal_conv2d_run(c->convolution, &(psal_conv2d_operands){.x = c->in[0], .dy = c->in[1], .result = c->out},
                    c->parallel.scratch);
}

static void conv2d_dw_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_conv2d_options o = psal_conv2d_shape_to_options(&n.attr.conv2d);
    if (wanted[0]) dx[0] = psal_conv2d_input_gradient(graph, n.inputs[1], g, psal_conv2d_x_shape(&n.attr.conv2d), &o);
    if (wanted[1]) dx[1] = psal_conv2d_output_gradient(graph, n.inputs[0], g, &o);
}

static psal_node case_dw_plain(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient(g, in[0], in[1], PSAL_SHAPE(4, 3, 3, 3), &plain);
}
static psal_node case_dw_padded(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient(g, in[0], in[1], PSAL_SHAPE(3, 2, 3, 3), &padded_stride2);
}
static psal_node case_dw_uneven(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient(g, in[0], in[1], PSAL_SHAPE(2, 2, 2, 3), &uneven);
}
static psal_node case_dw_grouped(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient(g, in[0], in[1], PSAL_SHAPE(6, 2, 3, 3), &grouped);
}
static psal_node case_dw_pointwise_stride2(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient(g, in[0], in[1], PSAL_SHAPE(2, 3, 1, 1), &stride2);
}
static const psal_op_case conv2d_dw_cases[] = {
    {"3x3 without padding", case_dw_plain, 2, {NORMAL(2, 3, 5, 6), NORMAL(2, 4, 3, 4)}, false},
    {"3x3 padded, stride 2", case_dw_padded, 2, {NORMAL(1, 2, 6, 7), NORMAL(1, 3, 3, 4)}, false},
    {"2x3, uneven stride, padding, dilation", case_dw_uneven, 2, {NORMAL(1, 2, 5, 4), NORMAL(1, 2, 2, 4)}, false},
    {"two groups", case_dw_grouped, 2, {NORMAL(1, 4, 4, 3), NORMAL(1, 6, 4, 3)}, false},
    {"1x1, stride 2", case_dw_pointwise_stride2, 2, {NORMAL(1, 3, 5, 6), NORMAL(1, 2, 3, 3)}, false},
};

const psal_op psal_op_conv2d_dw = {.inputs = 2,
                                   .infer = conv2d_dw_infer,
                                   .run = conv2d_dw_run,
                                   .prepare = psal_conv2d_prepare,
                                   .gradient = conv2d_dw_gradient,
                                   .flops = psal_conv2d_flops,
                                   PSAL_CASES(conv2d_dw_cases)};

/* ---- mean over each filter of |dw|, or of dw: what the filter saliency needs, without storing dw ---- */

psal_node psal_conv2d_weight_gradient_mean(psal_graph *graph, psal_node x, psal_node dy, psal_shape weight_shape,
                                           const psal_conv2d_options *options, bool is_signed) {
    if (!psal_graph_has(graph, PSAL_OP_CONV2D_DW_MEAN, 0, x)) return PSAL_NO_NODE;
    psal_attributes attr = {.conv2d_mean = {.conv2d = psal_conv2d_options_to_shape(options), .is_signed = is_signed}};
    if (!psal_conv2d_complete(graph, "conv2d_dw_mean", &attr.conv2d_mean.conv2d, psal_graph_shape(graph, x),
                              &weight_shape))
        return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_DW_MEAN, (psal_node[]){x, dy}, 2, &attr);
}

static void dw_mean_infer(psal_graph *graph, psal_node_record *node) {
    psal_shape y = psal_conv2d_y_shape(&node->attr.conv2d_mean.conv2d);
    if (psal_conv2d_same_shape(graph, "conv2d_dw_mean: dy", &y, psal_graph_input_shape(graph, node, 1)))
        node->shape = PSAL_SHAPE(node->attr.conv2d_mean.conv2d.out_channels);
}

static void dw_mean_run(const psal_op_call *c) {
    const psal_conv2d_operands operands = {
        .x = c->in[0], .dy = c->in[1], .is_signed = c->node->attr.conv2d_mean.is_signed, .result = c->out};
    psal_conv2d_run(c->convolution, &operands, c->parallel.scratch);
}

/* d/d(dw) of the mean spreads g (times the sign of dw) over each filter; for the signs, dw is needed after all. */
static void dw_mean_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const psal_conv2d_shape *s = &n.attr.conv2d_mean.conv2d;
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    const psal_shape w = psal_conv2d_weight_shape(s), x = psal_conv2d_x_shape(s);
    psal_node v;
    if (n.attr.conv2d_mean.is_signed) {
        v = psal_group_spread(graph, g, w);
    } else {
        psal_node dw = psal_conv2d_weight_gradient(graph, n.inputs[0], n.inputs[1], w, &o);
        v = psal_group_ternary_spread(graph, psal_ternary_codes(graph, dw), g, w);
    }
    if (wanted[0]) dx[0] = psal_conv2d_input_gradient(graph, n.inputs[1], v, x, &o);
    if (wanted[1]) dx[1] = psal_conv2d_output_gradient(graph, n.inputs[0], v, &o);
}

static psal_node case_mean_abs(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient_mean(g, in[0], in[1], PSAL_SHAPE(3, 2, 3, 3), &padded_stride2, false);
}
static psal_node case_mean_signed(psal_graph *g, const psal_node *in) {
    return psal_conv2d_weight_gradient_mean(g, in[0], in[1], PSAL_SHAPE(6, 2, 3, 3), &grouped, true);
}
static const psal_op_case dw_mean_cases[] = {
    {"mean of |dw|", case_mean_abs, 2, {NORMAL(1, 2, 6, 7), NORMAL(1, 3, 3, 4)}, false},
    {"mean of dw, two groups", case_mean_signed, 2, {NORMAL(1, 4, 4, 3), NORMAL(1, 6, 4, 3)}, false},
};

static double dw_mean_flops(const psal_node_record *node) {
    psal_node_record conv = *node;
    conv.attr.conv2d = node->attr.conv2d_mean.conv2d;
    return psal_conv2d_flops(&conv);
}

const psal_op psal_op_conv2d_dw_mean = {.inputs = 2,
                                        .infer = dw_mean_infer,
                                        .run = dw_mean_run,
                                        .prepare = psal_conv2d_prepare,
                                        .gradient = dw_mean_gradient,
                                        .flops = dw_mean_flops,
                                        PSAL_CASES(dw_mean_cases)};
