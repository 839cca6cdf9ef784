/* Convolutions with filters that are signs, each filter times a number of its own: what the derivative of mean |dw| convolves with.
 *
 *   w[o, ...] = sign[o, ...] * scale[o] / (numbers in a filter)      as psal_group_sign_spread spreads them
 *
 *   y  = conv2d_signs(x, codes, scale)        in x:  conv2d_signs_dx(dy, codes, scale)
 *   dx = conv2d_signs_dx(dy, codes, scale)    in dy: conv2d_signs(g, codes, scale)
 *
 * and both in scale: <x's signs-only convolution, dy>, summed for each filter. */
#include <stdio.h>

#include "engine/op_conv2d.h"

/* ---- shared ---- */

static bool check_operands(psal_graph *graph, const psal_node_record *node, const char *what) {
    const psal_shape w = psal_conv2d_weight_shape(&node->attr.conv2d), vector = PSAL_SHAPE(w.dim[0]);
    const psal_shape *codes = psal_graph_input_shape(graph, node, 1), *scale = psal_graph_input_shape(graph, node, 2);
    char a[96], b[96];
    if (psal_shape_count(codes) != psal_sign_code_count(&w)) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s: %s are not the sign codes of %s", what,
                        psal_shape_format(codes, a, sizeof a), psal_shape_format(&w, b, sizeof b));
        return false;
    }
    char label[64];
    snprintf(label, sizeof label, "%s: scale", what);
    return psal_conv2d_same_shape(graph, label, &vector, scale);
}

static psal_conv2d_signs signs_of(const psal_op_call *c) {
    const psal_shape w = psal_conv2d_weight_shape(&c->node->attr.conv2d);
    const double filter = (double)psal_shape_count(&w) / (double)w.dim[0];
    return (psal_conv2d_signs){(const unsigned char *)c->in[1], c->in[2], (psal_real)(1 / filter)};
}

/* d/d(scale) of <conv2d_signs(x, codes, scale), y> */
static psal_node scale_gradient(psal_graph *graph, psal_node x, psal_node codes, psal_node y,
                                const psal_conv2d_shape *s) {
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    psal_node ones = psal_constant_fill(graph, 1, PSAL_SHAPE(s->out_channels));
    psal_node each = psal_conv2d_by_signs(graph, x, codes, ones, psal_conv2d_weight_shape(s), &o);
    return psal_channel_sum(graph, psal_mul(graph, y, each));
}

/* ---- y = conv2d_signs(x, codes, scale) ---- */

psal_node psal_conv2d_by_signs(psal_graph *graph, psal_node x, psal_node codes, psal_node scale,
                               psal_shape weight_shape, const psal_conv2d_options *options) {
    if (!psal_graph_has(graph, PSAL_OP_CONV2D_SIGNS, 0, x)) return PSAL_NO_NODE;
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    if (!psal_conv2d_complete(graph, "conv2d_signs", &attr.conv2d, psal_graph_shape(graph, x), &weight_shape))
        return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_SIGNS, (psal_node[]){x, codes, scale}, 3, &attr);
}

static void conv2d_signs_infer(psal_graph *graph, psal_node_record *node) {
    if (check_operands(graph, node, "conv2d_signs")) node->shape = psal_conv2d_y_shape(&node->attr.conv2d);
}

static void conv2d_signs_run(const psal_op_call *c) {
    const psal_conv2d_signs w = signs_of(c);
    psal_conv2d_signs_forward(&c->node->attr.conv2d, c->method, c->in[0], &w, c->out, &c->parallel);
}

static size_t conv2d_signs_scratch(const psal_node_record *node, psal_conv2d_method method, int threads) {
    return psal_conv2d_signs_forward_scratch(&node->attr.conv2d, method, threads);
}

static void conv2d_signs_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const psal_conv2d_shape *s = &n.attr.conv2d;
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    if (wanted[0])
        dx[0] = psal_conv2d_by_signs_input_gradient(graph, dy, n.inputs[1], n.inputs[2], psal_conv2d_weight_shape(s),
                                                    psal_conv2d_x_shape(s), &o);
    if (wanted[2]) dx[2] = scale_gradient(graph, n.inputs[0], n.inputs[1], dy, s);
}

/* Inputs: an image or what belongs to it, the numbers whose signs are meant, a number for each filter. */
static const psal_conv2d_options padded_stride2 = {.stride_height = 2,
                                                   .stride_width = 2,
                                                   .padding_height = 1,
                                                   .padding_width = 1},
                                 grouped = {.padding_height = 1, .padding_width = 1, .groups = 2};

#define SHAPE4(a, b, c, d) \
    {                      \
        4, {               \
            a, b, c, d     \
        }                  \
    }
#define VECTOR(a) \
    {             \
        1, {      \
            a     \
        }         \
    }
#define NORMAL(shape) \
    { shape, PSAL_VALUES_NORMAL, 0 }
#define NUMBERS(shape) \
    { shape, PSAL_VALUES_NONZERO, 0 }

static psal_node case_of(psal_graph *g, const psal_node *in, const psal_conv2d_options *o) {
    const psal_shape w = *psal_graph_shape(g, in[1]);
    return psal_conv2d_by_signs(g, in[0], psal_sign_codes(g, in[1]), in[2], w, o);
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
static const psal_op_case conv2d_signs_cases[] = {
    {"3x3 without padding",
     case_plain,
     3,
     {NORMAL(SHAPE4(2, 3, 5, 6)), NUMBERS(SHAPE4(4, 3, 3, 3)), NORMAL(VECTOR(4))},
     false},
    {"3x3 padded, stride 2",
     case_padded,
     3,
     {NORMAL(SHAPE4(1, 2, 6, 7)), NUMBERS(SHAPE4(3, 2, 3, 3)), NORMAL(VECTOR(3))},
     false},
    {"two groups",
     case_grouped,
     3,
     {NORMAL(SHAPE4(1, 4, 4, 3)), NUMBERS(SHAPE4(6, 2, 3, 3)), NORMAL(VECTOR(6))},
     false},
    {"1x1, enough for whole tiles",
     case_plain,
     3,
     {NORMAL(SHAPE4(1, 40, 5, 4)), NUMBERS(SHAPE4(19, 40, 1, 1)), NORMAL(VECTOR(19))},
     false},
};

const psal_op psal_op_conv2d_signs = {.inputs = 3,
                                      .infer = conv2d_signs_infer,
                                      .run = conv2d_signs_run,
                                      .scratch = conv2d_signs_scratch,
                                      .gradient = conv2d_signs_gradient,
                                      .flops = psal_conv2d_flops,
                                      PSAL_CASES(conv2d_signs_cases)};

/* ---- dx = conv2d_signs_dx(dy, codes, scale) ---- */

psal_node psal_conv2d_by_signs_input_gradient(psal_graph *graph, psal_node dy, psal_node codes, psal_node scale,
                                              psal_shape weight_shape, psal_shape x_shape,
                                              const psal_conv2d_options *options) {
    psal_attributes attr = {.conv2d = psal_conv2d_options_to_shape(options)};
    if (!psal_conv2d_complete(graph, "conv2d_signs_dx", &attr.conv2d, &x_shape, &weight_shape)) return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_CONV2D_SIGNS_DX, (psal_node[]){dy, codes, scale}, 3, &attr);
}

static void conv2d_signs_dx_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape y = psal_conv2d_y_shape(&node->attr.conv2d);
    if (psal_conv2d_same_shape(graph, "conv2d_signs_dx: dy", &y, psal_graph_input_shape(graph, node, 0)) &&
        check_operands(graph, node, "conv2d_signs_dx"))
        node->shape = psal_conv2d_x_shape(&node->attr.conv2d);
}

static void conv2d_signs_dx_run(const psal_op_call *c) {
    const psal_conv2d_signs w = signs_of(c);
    psal_conv2d_signs_dx(&c->node->attr.conv2d, c->method, c->in[0], &w, c->out, &c->parallel);
}

static size_t conv2d_signs_dx_scratch(const psal_node_record *node, psal_conv2d_method method, int threads) {
    return psal_conv2d_signs_dx_scratch(&node->attr.conv2d, method, threads);
}

static void conv2d_signs_dx_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted,
                                     psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const psal_conv2d_shape *s = &n.attr.conv2d;
    psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    if (wanted[0]) dx[0] = psal_conv2d_by_signs(graph, g, n.inputs[1], n.inputs[2], psal_conv2d_weight_shape(s), &o);
    if (wanted[2]) dx[2] = scale_gradient(graph, g, n.inputs[1], n.inputs[0], s);
}

static psal_node dx_case_of(psal_graph *g, const psal_node *in, psal_shape x, const psal_conv2d_options *o) {
    const psal_shape w = *psal_graph_shape(g, in[1]);
    return psal_conv2d_by_signs_input_gradient(g, in[0], psal_sign_codes(g, in[1]), in[2], w, x, o);
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
static const psal_op_case conv2d_signs_dx_cases[] = {
    {"3x3 without padding",
     case_dx_plain,
     3,
     {NORMAL(SHAPE4(2, 4, 3, 4)), NUMBERS(SHAPE4(4, 3, 3, 3)), NORMAL(VECTOR(4))},
     false},
    {"3x3 padded, stride 2",
     case_dx_padded,
     3,
     {NORMAL(SHAPE4(1, 3, 3, 4)), NUMBERS(SHAPE4(3, 2, 3, 3)), NORMAL(VECTOR(3))},
     false},
    {"two groups",
     case_dx_grouped,
     3,
     {NORMAL(SHAPE4(1, 6, 4, 3)), NUMBERS(SHAPE4(6, 2, 3, 3)), NORMAL(VECTOR(6))},
     false},
};

const psal_op psal_op_conv2d_signs_dx = {.inputs = 3,
                                         .infer = conv2d_signs_dx_infer,
                                         .run = conv2d_signs_dx_run,
                                         .scratch = conv2d_signs_dx_scratch,
                                         .gradient = conv2d_signs_dx_gradient,
                                         .flops = psal_conv2d_flops,
                                         PSAL_CASES(conv2d_signs_dx_cases)};
