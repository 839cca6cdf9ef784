/* Activation functions, element by element, and what they are made of. Their derivatives are written in their own
 * values where that is possible, so that the argument need not be kept:
 *
 *   exp y, log dy / x, x^p dy p x^(p-1), sigmoid dy y (1 - y), tanh dy - dy y^2, erf dy 2 / sqrt(pi) exp(-x^2)
 *
 * Clipping has the derivative 1 between its bounds and 0 outside of them. At a bound PyTorch takes 0 for ReLU6,
 * hardtanh and hardsigmoid, and 1 for clamp and hardswish: psal_clip and psal_clamp. */
#include <math.h>

#include "engine/kernels/activation.h"
#include "engine/op_elementwise.h"

/* ---- functions of one number ---- */

UNARY(exp, EXP)

static void exp_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_mul(graph, dy, node);
}

static const psal_op_case exp_cases[] = {{"exp", exp_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(exp, exp_cases);

UNARY(log, LOG)

static void log_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_div(graph, dy, input_of(graph, node, 0));
}

static const psal_op_case log_cases[] = {{"log", log_case, 1, {ELEMENTS(PSAL_VALUES_POSITIVE)}, false}};
UNARY_ROW(log, log_cases);

UNARY(sigmoid, SIGMOID)

static void sigmoid_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node slope = psal_mul(graph, node, psal_shift(graph, psal_scale(graph, node, -1), 1));
    if (wanted[0]) dx[0] = psal_mul(graph, dy, slope);
}

static psal_node silu_case(psal_graph *g, const psal_node *in) {
    return psal_silu(g, in[0]);
}
static const psal_op_case sigmoid_cases[] = {{"sigmoid", sigmoid_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false},
                                             {"SiLU", silu_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(sigmoid, sigmoid_cases);

UNARY(tanh, TANH)

static void tanh_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node square = psal_mul(graph, node, node);
    if (wanted[0]) dx[0] = psal_sub(graph, dy, psal_mul(graph, dy, square));
}

static const psal_op_case tanh_cases[] = {{"tanh", tanh_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(tanh, tanh_cases);

UNARY(erf, ERF)

static void erf_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = input_of(graph, node, 0), square = psal_mul(graph, x, x);
    psal_node slope = psal_scale(graph, psal_exp(graph, psal_scale(graph, square, -1)), M_2_SQRTPI);
    if (wanted[0]) dx[0] = psal_mul(graph, dy, slope);
}

static psal_node gelu_case(psal_graph *g, const psal_node *in) {
    return psal_gelu(g, in[0]);
}
static const psal_op_case erf_cases[] = {{"erf", erf_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false},
                                         {"GELU", gelu_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(erf, erf_cases);

/* ---- and of a constant ---- */

psal_node psal_shift(psal_graph *graph, psal_node x, double offset) {
    psal_attributes attr = {.number = {offset}};
    return psal_graph_add(graph, PSAL_OP_SHIFT, &x, 1, &attr);
}

static void shift_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_shift(end - begin, c->in[0] + begin, (psal_real)c->node->attr.number.value, c->out + begin);
}

static void shift_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    (void)graph, (void)node;
    if (wanted[0]) dx[0] = dy;
}

static psal_node shift_case(psal_graph *g, const psal_node *in) {
    return psal_shift(g, in[0], -0.75);
}
static const psal_op_case shift_cases[] = {{"x - 0.75", shift_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(shift, shift_cases);

/* Whole exponents come down to 0, where the derivative ends. */
psal_node psal_pow(psal_graph *graph, psal_node x, double exponent) {
    if (!psal_graph_has(graph, PSAL_OP_POW, 0, x)) return PSAL_NO_NODE;
    if (exponent == 0) return psal_constant_fill(graph, 1, *psal_graph_shape(graph, x));
    if (exponent == 1) return x;
    if (exponent == 2) return psal_mul(graph, x, x);
    psal_attributes attr = {.number = {exponent}};
    return psal_graph_add(graph, PSAL_OP_POW, &x, 1, &attr);
}

static void pow_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_pow(end - begin, c->in[0] + begin, c->node->attr.number.value, c->out + begin);
}

static void pow_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const double exponent = psal_graph_node(graph, node)->attr.number.value;
    psal_node slope = psal_scale(graph, psal_pow(graph, input_of(graph, node, 0), exponent - 1), exponent);
    if (wanted[0]) dx[0] = psal_mul(graph, dy, slope);
}

static psal_node pow_case(psal_graph *g, const psal_node *in) {
    return psal_pow(g, in[0], -1.5);
}
static psal_node cube_case(psal_graph *g, const psal_node *in) {
    return psal_pow(g, in[0], 3);
}
static const psal_op_case pow_cases[] = {{"x^-1.5", pow_case, 1, {ELEMENTS(PSAL_VALUES_POSITIVE)}, false},
                                         {"x^3", cube_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(pow, pow_cases);

/* ---- clipping ---- */

static psal_node add_clip(psal_graph *graph, psal_op_kind op, const psal_node *inputs, int count, double low,
                          double high, bool closed) {
    psal_attributes attr = {.clip = {low, high, closed}};
    return psal_graph_add(graph, op, inputs, count, &attr);
}

psal_node psal_clip(psal_graph *graph, psal_node x, double low, double high) {
    return add_clip(graph, PSAL_OP_CLIP, &x, 1, low, high, false);
}

psal_node psal_clamp(psal_graph *graph, psal_node x, double low, double high) {
    return add_clip(graph, PSAL_OP_CLIP, &x, 1, low, high, true);
}

static void clip_infer(psal_graph *graph, psal_node_record *node) {
    if (!(node->attr.clip.low <= node->attr.clip.high))
        psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "clip to %g and more, %g and less: nothing is both",
                        node->attr.clip.low, node->attr.clip.high);
    psal_infer_same_shape(graph, node);
}

static void clip_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_clip(end - begin, c->in[0] + begin, (psal_real)c->node->attr.clip.low,
                     (psal_real)c->node->attr.clip.high, c->out + begin);
}

/* Whether a bound was reached is seen in y as well, whether it was passed only in x. */
static void clip_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const bool closed = n.attr.clip.closed;
    if (wanted[0])
        dx[0] = add_clip(graph, PSAL_OP_CLIP_MASK, (psal_node[]){dy, closed ? n.inputs[0] : node}, 2, n.attr.clip.low,
                         n.attr.clip.high, closed);
}

static psal_node clip_case(psal_graph *g, const psal_node *in) {
    return psal_clip(g, in[0], -0.25, 0.25);
}
static psal_node relu6_case(psal_graph *g, const psal_node *in) {
    return psal_clip(g, psal_scale(g, in[0], 5), 0, 6);
}
static psal_node clip_below_case(psal_graph *g, const psal_node *in) {
    return psal_clamp(g, in[0], -INFINITY, 0.1);
}
static psal_node hard_swish_case(psal_graph *g, const psal_node *in) {
    return psal_hard_swish(g, psal_scale(g, in[0], 3));
}
#define SPREAD_OUT \
    { {2, {3, 4}}, PSAL_VALUES_DISTINCT, 0 }
static psal_node clip_spread_case(psal_graph *g, const psal_node *in) { /* -1.5 + 0.013 i: no bound is one of them */
    return psal_clip(g, in[0], -1.4675, -1.4);
}
static const psal_op_case clip_cases[] = {
    {"both bounds", clip_spread_case, 1, {SPREAD_OUT}, false},
    {"ReLU6", relu6_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, false},
    {"one bound", clip_below_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, false},
    {"hard-swish", hard_swish_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, false},
    {"everything beyond the bounds", clip_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, true},
};
const psal_op psal_op_clip = {.inputs = 1,
                              .infer = clip_infer,
                              .run_elements = clip_run,
                              .gradient = clip_gradient,
                              .in_place = 1,
                              PSAL_CASES(clip_cases)};

/* dy where x is between the bounds: linear in dy, piecewise constant in x */
static void clip_mask_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_clip_mask(end - begin, c->in[0] + begin, c->in[1] + begin, (psal_real)c->node->attr.clip.low,
                          (psal_real)c->node->attr.clip.high, c->node->attr.clip.closed, c->out + begin);
}

static void clip_mask_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[0])
        dx[0] = add_clip(graph, PSAL_OP_CLIP_MASK, (psal_node[]){g, n.inputs[1]}, 2, n.attr.clip.low, n.attr.clip.high,
                         n.attr.clip.closed);
}

static psal_node clip_mask_case(psal_graph *g, const psal_node *in) {
    return add_clip(g, PSAL_OP_CLIP_MASK, in, 2, -0.1, INFINITY, false);
}
static psal_node clamp_mask_case(psal_graph *g, const psal_node *in) {
    return add_clip(g, PSAL_OP_CLIP_MASK, in, 2, -2, 0.1, true);
}
static const psal_op_case clip_mask_cases[] = {
    {"above", clip_mask_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_NONZERO)}, false},
    {"between", clamp_mask_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_NONZERO)}, false}};
const psal_op psal_op_clip_mask = {.inputs = 2,
                                   .infer = clip_infer,
                                   .run_elements = clip_mask_run,
                                   .gradient = clip_mask_gradient,
                                   .in_place = 3,
                                   PSAL_CASES(clip_mask_cases)};

/* ---- what is composed of them ---- */

psal_node psal_silu(psal_graph *graph, psal_node x) {
    return psal_mul(graph, x, psal_sigmoid(graph, x));
}

psal_node psal_hard_sigmoid(psal_graph *graph, psal_node x) {
    return psal_scale(graph, psal_clip(graph, psal_shift(graph, x, 3), 0, 6), 1.0 / 6);
}

psal_node psal_hard_swish(psal_graph *graph, psal_node x) {
    psal_node gate = psal_scale(graph, psal_clamp(graph, psal_shift(graph, x, 3), 0, 6), 1.0 / 6);
    return psal_mul(graph, x, gate);
}

psal_node psal_gelu(psal_graph *graph, psal_node x) {
    psal_node half = psal_scale(graph, x, 0.5);
    return psal_add(graph, half, psal_mul(graph, half, psal_erf(graph, psal_scale(graph, x, M_SQRT1_2))));
}
