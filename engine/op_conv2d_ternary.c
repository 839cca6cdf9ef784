/* Convolutions with ternary filters (-1, 0 and 1), each filter times a number of its own: what the derivative of mean
 * |dw| convolves with.
 *
 *   w[o, ...] = t[o, ...] * scale[o] / (elements of a filter)      as psal_group_ternary_spread spreads them
 *
 *   y  = conv2d_ternary(x, codes, scale)        in x:  conv2d_ternary_dx(dy, codes, scale)
 *   dx = conv2d_ternary_dx(dy, codes, scale)    in dy: conv2d_ternary(g, codes, scale)
 *
 * and both in scale: <conv2d_ternary(x, codes, 1), dy>, summed for each filter. */
#include <stdio.h>

#include "engine/op_conv2d.h"

/* ---- shared ---- */

static bool check_operands(psal_graph *graph, const psal_node_record *node, const char *what) {
    const psal_shape w = psal_conv2d_weight_shape(&node->attr.conv2d), vector = PSAL_SHAPE(w.dim[0]);
    const psal_shape *codes = psal_graph_input_shape(graph, node, 1), *scale = psal_graph_input_shape(graph, node, 2);
    char a[96], b[96];
    if (psal_shape_count(codes) != psal_ternary_code_count(&w)) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s: %s are not the ternary codes of %s", what,
                        psal_shape_format(codes, a, sizeof a), psal_shape_format(&w, b, sizeof b));
        return false;
    }
    char label[64];
    snprintf(label, sizeof label, "%s: scale", what);
    return psal_conv2d_same_shape(graph, label, &vector, scale);
}

static psal_ternary_filters signs_of(const psal_op_call *c) {
    const psal_shape w = psal_conv2d_weight_shape(&c->node->attr.conv2d);
    const double filter = (double)psal_shape_count(&w) / (double)w.dim[0];
    return (psal_ternary_filters){(const unsigned char *)c->in[1], c->in[2], (psal_real)(1 / filter)};
}

/* d/d(scale) of <conv2d_ternary(x, codes, scale), y> */
static psal_node scale_gradient(psal_graph *graph, psal_node x, psal_node codes, psal_node y,
                                const psal_conv2d_shape *s) {
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    psal_node ones = psal_constant_fill(graph, 1, PSAL_SHAPE(s->out_channels));
    psal_node each = psal_conv2d_ternary(graph, x, codes, ones, psal_conv2d_weight_shape(s), &o);
    return psal_channel_sum(graph, psal_mul(graph, y, each));
}

/* ---- y = conv2d_ternary(x, codes, scale) ---- */

psal_node psal_conv2d_ternary(psal_graph *graph, psal_node x, psal_node codes, psal_node scale, psal_shape weight_shape,
                              const psal_conv2d_options *options) {
    if (!psal_graph_has(graph, PSAL_OP_CONV2D_TERNARY, 0, x)) return PSAL_NO_NODE;
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    if (!psal_conv2d_complete(graph, "conv2d_ternary", &attr.conv2d, psal_graph_shape(graph, x), &weight_shape))
        return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_TERNARY, (psal_node[]){x, codes, scale}, 3, &attr);
}

static void conv2d_ternary_infer(psal_graph *graph, psal_node_record *node) {
    if (check_operands(graph, node, "conv2d_ternary")) node->shape = psal_conv2d_y_shape(&node->attr.conv2d);
}

static void conv2d_ternary_run(const psal_op_call *c) {
    const psal_ternary_filters w = signs_of(c);
    psal_conv2d_run(c->convolution, &(psal_conv2d_operands){.x = c->in[0], .ternary = &w, .result = c->out},
                    c->parallel.scratch);
}

static void conv2d_ternary_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted,
                                    psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const psal_conv2d_shape *s = &n.attr.conv2d;
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    if (wanted[0])
        dx[0] = psal_conv2d_ternary_input_gradient(graph, dy, n.inputs[1], n.inputs[2], psal_conv2d_weight_shape(s),
                                                   psal_conv2d_x_shape(s), &o);
    if (wanted[2]) dx[2] = scale_gradient(graph, n.inputs[0], n.inputs[1], dy, s);
}

/* Inputs: x or dy, the numbers whose signs are the filters, a number for each filter. */
static const psal_conv2d_options padded_stride2 = {.stride_height = 2,
                                                   .stride_width = 2,
                                                   .padding_height = 1,
                                                   .padding_width = 1},
                                 grouped = {.padding_height = 1, .padding_width = 1, .groups = 2};

#define NORMAL(...) \
    { PSAL_DIMS(__VA_ARGS__), PSAL_VALUES_NORMAL, 0 }
#define NUMBERS(...) \
    { PSAL_DIMS(__VA_ARGS__), PSAL_VALUES_NONZERO, 0 }

static psal_node case_of(psal_graph *g, const psal_node *in, const psal_conv2d_options *o) {
    const psal_shape w = *psal_graph_shape(g, in[1]);
    return psal_conv2d_ternary(g, in[0], psal_ternary_codes(g, in[1]), in[2], w, o);
}
static psal_node case_plain(psal_graph *g, const psal_node *in) {
    return case_of(g, in, NULL);
}
static psal_node case_padded(psal_graph *g, const psal_node *in) {
    return case_of(g, in, &padded_stride2);
}
static psal_node case_grouped(psal_graph *g, const psal_node *in) {
    return case_of(g, in, &grouped);
}
static const psal_op_case conv2d_ternary_cases[] = {
    {"3x3 without padding", case_plain, 3, {NORMAL(2, 3, 5, 6), NUMBERS(4, 3, 3, 3), NORMAL(4)}, false},
    {"3x3 padded, stride 2", case_padded, 3, {NORMAL(1, 2, 6, 7), NUMBERS(3, 2, 3, 3), NORMAL(3)}, false},
    {"two groups", case_grouped, 3, {NORMAL(1, 4, 4, 3), NUMBERS(6, 2, 3, 3), NORMAL(6)}, false},
    {"1x1, enough for whole tiles", case_plain, 3, {NORMAL(1, 40, 5, 4), NUMBERS(19, 40, 1, 1), NORMAL(19)}, false},
};

const psal_op psal_op_conv2d_ternary = {.inputs = 3,
                                        .infer = conv2d_ternary_infer,
                                        .run = conv2d_ternary_run,
                                        .prepare = psal_conv2d_prepare,
                                        .gradient = conv2d_ternary_gradient,
                                        .flops = psal_conv2d_flops,
                                        PSAL_CASES(conv2d_ternary_cases)};

/* ---- dx = conv2d_ternary_dx(dy, codes, scale) ---- */

psal_node psal_conv2d_ternary_input_gradient(psal_graph *graph, psal_node dy, psal_node codes, psal_node scale,
                                             psal_shape weight_shape, psal_shape x_shape,
                                             const psal_conv2d_options *options) {
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    if (!psal_conv2d_complete(graph, "conv2d_ternary_dx", &attr.conv2d, &x_shape, &weight_shape)) return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_TERNARY_DX, (psal_node[]){dy, codes, scale}, 3, &attr);
}

static void conv2d_ternary_dx_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape y = psal_conv2d_y_shape(&node->attr.conv2d);
    if (psal_conv2d_same_shape(graph, "conv2d_ternary_dx: dy", &y, psal_graph_input_shape(graph, node, 0)) &&
        check_operands(graph, node, "conv2d_ternary_dx"))
        node->shape = psal_conv2d_x_shape(&node->attr.conv2d);
}

static void conv2d_ternary_dx_run(const psal_op_call *c) {
    const psal_ternary_filters w = signs_of(c);
    psal_conv2d_run(c->convolution, &(psal_conv2d_operands){.dy = c->in[0], .ternary = &w, .result = c->out},
                    c->parallel.scratch);
}

static void conv2d_ternary_dx_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted,
                                       psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const psal_conv2d_shape *s = &n.attr.conv2d;
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    if (wanted[0]) dx[0] = psal_conv2d_ternary(graph, g, n.inputs[1], n.inputs[2], psal_conv2d_weight_shape(s), &o);
    if (wanted[2]) dx[2] = scale_gradient(graph, g, n.inputs[1], n.inputs[0], s);
}

static psal_node dx_case_of(psal_graph *g, const psal_node *in, psal_shape x, const psal_conv2d_options *o) {
    const psal_shape w = *psal_graph_shape(g, in[1]);
    return psal_conv2d_ternary_input_gradient(g, in[0], psal_ternary_codes(g, in[1]), in[2], w, x, o);
}
static psal_node case_dx_plain(psal_graph *g, const psal_node *in) {
    return dx_case_of(g, in, PSAL_SHAPE(2, 3, 5, 6), NULL);
}
static psal_node case_dx_padded(psal_graph *g, const psal_node *in) {
    return dx_case_of(g, in, PSAL_SHAPE(1, 2, 6, 7), &padded_stride2);
}
static psal_node case_dx_grouped(psal_graph *g, const psal_node *in) {
    return dx_case_of(g, in, PSAL_SHAPE(1, 4, 4, 3), &grouped);
}
static const psal_op_case conv2d_ternary_dx_cases[] = {
    {"3x3 without padding", case_dx_plain, 3, {NORMAL(2, 4, 3, 4), NUMBERS(4, 3, 3, 3), NORMAL(4)}, false},
    {"3x3 padded, stride 2", case_dx_padded, 3, {NORMAL(1, 3, 3, 4), NUMBERS(3, 2, 3, 3), NORMAL(3)}, false},
    {"two groups", case_dx_grouped, 3, {NORMAL(1, 6, 4, 3), NUMBERS(6, 2, 3, 3), NORMAL(6)}, false},
};

const psal_op psal_op_conv2d_ternary_dx = {.inputs = 3,
                                           .infer = conv2d_ternary_dx_infer,
                                           .run = conv2d_ternary_dx_run,
                                           .prepare = psal_conv2d_prepare,
                                           .gradient = conv2d_ternary_dx_gradient,
                                           .flops = psal_conv2d_flops,
                                           PSAL_CASES(conv2d_ternary_dx_cases)};
