/* Elementwise operations: y[i] = f(x[i]) and y[i] = f(a[i], b[i]), operands of one shape. */
#include "engine/op_elementwise.h"

#include "engine/kernels/elementwise.h"

void psal_infer_same_shape(psal_graph *graph, psal_node_record *node) {
    node->shape = *psal_graph_input_shape(graph, node, 0);
    for (int i = 1; i < node->input_count; i++) {
        const psal_shape *other = psal_graph_input_shape(graph, node, i);
        if (psal_shape_equal(&node->shape, other)) continue;
        char a[96], b[96];
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s and %s: the shapes must be the same",
                        psal_op_kind_name(node->op), psal_shape_format(&node->shape, a, sizeof a),
                        psal_shape_format(other, b, sizeof b));
    }
}

/* ---- fill: a constant that needs no storage in the graph ---- */

psal_node psal_constant_fill(psal_graph *graph, psal_real value, psal_shape shape) {
    psal_attributes attr = {.result = {shape, value}};
    return psal_graph_add(graph, PSAL_OP_FILL, NULL, 0, &attr);
}

static void fill_infer(psal_graph *graph, psal_node_record *node) {
    (void)graph;
    node->shape = node->attr.result.shape;
}

static void fill_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_fill(end - begin, (psal_real)c->node->attr.result.value, c->out + begin);
}

const psal_op psal_op_fill = {.infer = fill_infer, .run_elements = fill_run, .not_differentiable = "a constant"};

/* ---- two operands ---- */

BINARY(add, ADD)

static psal_node add_same_case(psal_graph *g, const psal_node *in) {
    return psal_add(g, in[0], in[0]);
}

static void add_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    (void)graph, (void)node;
    if (wanted[0]) dx[0] = dy;
    if (wanted[1]) dx[1] = dy;
}

static const psal_op_case add_cases[] = {
    {"a + b", add_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_NORMAL)}, false},
    {"a + a", add_same_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false},
};
BINARY_ROW(add, add_cases);

BINARY(sub, SUB)

static void sub_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    (void)node;
    if (wanted[0]) dx[0] = dy;
    if (wanted[1]) dx[1] = psal_scale(graph, dy, -1);
}

static const psal_op_case sub_cases[] = {
    {"a - b", sub_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_NORMAL)}, false},
    {"constant - b", sub_case, 2, {ELEMENTS(PSAL_VALUES_FIXED), ELEMENTS(PSAL_VALUES_NORMAL)}, false},
};
BINARY_ROW(sub, sub_cases);

BINARY(mul, MUL)

static psal_node mul_same_case(psal_graph *g, const psal_node *in) {
    return psal_mul(g, in[0], in[0]);
}

static void mul_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node a = input_of(graph, node, 0), b = input_of(graph, node, 1);
    if (wanted[0]) dx[0] = psal_mul(graph, dy, b);
    if (wanted[1]) dx[1] = psal_mul(graph, dy, a);
}

static const psal_op_case mul_cases[] = {
    {"a * b", mul_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_NORMAL)}, false},
    {"a * a", mul_same_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false},
    {"a * constant", mul_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_FIXED)}, false},
};
BINARY_ROW(mul, mul_cases);

BINARY(div, DIV)

/* y = a / b: da = dy / b, db = -dy * y / b */
static void div_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node b = input_of(graph, node, 1);
    psal_node da = psal_div(graph, dy, b);
    if (wanted[0]) dx[0] = da;
    if (wanted[1]) dx[1] = psal_scale(graph, psal_mul(graph, da, node), -1);
}

static const psal_op_case div_cases[] = {
    {"a / b", div_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_POSITIVE)}, false},
};
BINARY_ROW(div, div_cases);

/* dy where y > 0: linear in dy; in y it is piecewise constant, so its derivative is zero away from y = 0. */
BINARY(relu_mask, RELU_MASK)

static void relu_mask_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_relu_mask(graph, g, input_of(graph, node, 1));
}

static const psal_op_case relu_mask_cases[] = {
    {"dy where y > 0", relu_mask_case, 2, {ELEMENTS(PSAL_VALUES_NORMAL), ELEMENTS(PSAL_VALUES_NONZERO)}, false},
};
BINARY_ROW(relu_mask, relu_mask_cases);

/* ---- one operand ---- */

/* y = sqrt(x): dx = dy / (2 y) */
UNARY(sqrt, SQRT)

static void sqrt_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_scale(graph, psal_div(graph, dy, node), 0.5);
}

static const psal_op_case sqrt_cases[] = {{"sqrt", sqrt_case, 1, {ELEMENTS(PSAL_VALUES_POSITIVE)}, false}};
UNARY_ROW(sqrt, sqrt_cases);

/* y = |x|: dx = dy * sign(x) */
UNARY(abs, ABS)

static void abs_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_mul(graph, dy, psal_sign(graph, input_of(graph, node, 0)));
}

static const psal_op_case abs_cases[] = {{"abs", abs_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, false}};
UNARY_ROW(abs, abs_cases);

UNARY(sign, SIGN)

static const psal_op_case sign_cases[] = {{"sign", sign_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, true}};
const psal_op psal_op_sign = {.inputs = 1,
                              .infer = psal_infer_same_shape,
                              .run_elements = sign_run,
                              .not_differentiable = "piecewise constant",
                              .in_place = 1,
                              PSAL_CASES(sign_cases)};

/* y = max(x, 0): dx = dy where y > 0 (at 0 the derivative is taken as 0, as PyTorch does) */
UNARY(relu, RELU)

static void relu_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_relu_mask(graph, dy, node);
}

static const psal_op_case relu_cases[] = {{"relu", relu_case, 1, {ELEMENTS(PSAL_VALUES_NONZERO)}, false}};
UNARY_ROW(relu, relu_cases);

/* ---- one operand and a number ---- */

psal_node psal_scale(psal_graph *graph, psal_node x, double factor) {
    psal_attributes attr = {.number = {factor}};
    return psal_graph_add(graph, PSAL_OP_SCALE, &x, 1, &attr);
}

static void scale_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_scale(end - begin, c->in[0] + begin, (psal_real)c->node->attr.number.value, c->out + begin);
}

static void scale_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_scale(graph, dy, psal_graph_node(graph, node)->attr.number.value);
}

static psal_node scale_case(psal_graph *g, const psal_node *in) {
    return psal_scale(g, in[0], -1.75);
}

static const psal_op_case scale_cases[] = {{"x * -1.75", scale_case, 1, {ELEMENTS(PSAL_VALUES_NORMAL)}, false}};
UNARY_ROW(scale, scale_cases);

psal_node psal_rsqrt(psal_graph *graph, psal_node x, double epsilon) {
    psal_attributes attr = {.number = {epsilon}};
    return psal_graph_add(graph, PSAL_OP_RSQRT, &x, 1, &attr);
}

static void rsqrt_run(const psal_op_call *c, size_t begin, size_t end) {
    psal_kernel_rsqrt(end - begin, c->in[0] + begin, (psal_real)c->node->attr.number.value, c->out + begin);
}

/* y = (x + e)^(-1/2): dx = -dy * y^3 / 2 */
static void rsqrt_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node cube = psal_mul(graph, psal_mul(graph, node, node), node);
    if (wanted[0]) dx[0] = psal_scale(graph, psal_mul(graph, dy, cube), -0.5);
}

static psal_node rsqrt_case(psal_graph *g, const psal_node *in) {
    return psal_rsqrt(g, in[0], 1e-3);
}

static const psal_op_case rsqrt_cases[] = {
    {"1 / sqrt(x + 0.001)", rsqrt_case, 1, {ELEMENTS(PSAL_VALUES_POSITIVE)}, false}};
UNARY_ROW(rsqrt, rsqrt_cases);
