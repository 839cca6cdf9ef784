/* Shapes that meet as in NumPy: aligned at their last axes, and repeated along axes of length 1.
 *
 *   expand   y = x repeated to a shape       dx = sum_to(dy)
 *   sum_to   y = x summed to a shape         dx = expand(dy)
 *
 * What is expanded is never kept: it is made again for each reader (plan_schedule.c), mostly piece by piece in the pass
 * of the product that reads it. */
#include "engine/kernels/broadcast.h"
#include "engine/op.h"

/* `small` has as many axes as `large`, of the same lengths or 1. */
static psal_broadcast broadcast_of(const psal_shape *large, const psal_shape *small) {
    psal_broadcast b = {.ndim = 0};
    for (int d = 0; d < large->ndim; d++) {
        if (large->dim[d] == 1) continue;
        const bool repeated = small->dim[d] == 1;
        if (b.ndim > 0 && b.repeated[b.ndim - 1] == repeated) {
            b.dim[b.ndim - 1] *= (size_t)large->dim[d];
            continue;
        }
        b.dim[b.ndim] = (size_t)large->dim[d];
        b.repeated[b.ndim++] = repeated;
    }
    if (b.ndim == 0) b.dim[b.ndim++] = 1;
    return b;
}

static void infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0), *out = &node->attr.result.shape;
    const psal_shape *large = node->op == PSAL_OP_EXPAND ? out : x, *small = node->op == PSAL_OP_EXPAND ? x : out;
    bool fits = small->ndim == large->ndim;
    for (int d = 0; d < large->ndim && fits; d++) fits = small->dim[d] == large->dim[d] || small->dim[d] == 1;
    node->shape = *out;
    if (fits) return;
    char a[96], b[96];
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s to %s: each axis of the smaller one must be as long or 1",
                    psal_op_kind_name(node->op), psal_shape_format(x, a, sizeof a),
                    psal_shape_format(out, b, sizeof b));
}

/* The same places along axes of the same length; of others, the only one or all. */
static void reach_along_axes(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                             psal_box *in) {
    const psal_shape *x = psal_graph_input_shape(graph, node, input);
    for (int d = 0; d < x->ndim; d++) {
        if (x->dim[d] != node->shape.dim[d]) continue;
        in->first[d] = out->first[d];
        in->last[d] = out->last[d];
    }
}

static psal_node add_of_shape(psal_graph *graph, psal_op_kind op, psal_node x, psal_shape shape) {
    psal_attributes attr = {.result = {.shape = shape}};
    return psal_graph_add(graph, op, &x, 1, &attr);
}

/* x with axes of length 1 in front, so that it has `ndim` */
static psal_node with_axes(psal_graph *graph, psal_node x, int ndim) {
    const psal_shape s = *psal_graph_shape(graph, x);
    psal_shape shape = {.ndim = ndim};
    if (s.ndim >= ndim) return x;
    for (int d = 0; d < ndim; d++) shape.dim[d] = d < ndim - s.ndim ? 1 : s.dim[d - (ndim - s.ndim)];
    return psal_reshape(graph, x, shape);
}

/* ---- expand ---- */

psal_node psal_expand(psal_graph *graph, psal_node x, psal_shape shape) {
    if (!psal_graph_has(graph, PSAL_OP_EXPAND, 0, x)) return PSAL_NO_NODE;
    if (psal_shape_count(&shape) > 0) x = with_axes(graph, x, shape.ndim);
    if (psal_shape_equal(psal_graph_shape(graph, x), &shape)) return x;
    return add_of_shape(graph, PSAL_OP_EXPAND, x, shape);
}

static void expand_run(const psal_op_call *c, size_t begin, size_t end) {
    const psal_broadcast b = broadcast_of(&c->node->shape, c->in_shapes[0]);
    psal_kernel_expand(begin, end, &b, c->in[0], c->out);
}

static void expand_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_sum_to(graph, dy, *psal_graph_shape(graph, x));
}

#define INPUT(...) \
    { PSAL_DIMS(__VA_ARGS__), PSAL_VALUES_NORMAL, 0 }

static psal_node expand_planes_case(psal_graph *g, const psal_node *in) {
    return psal_expand(g, in[0], PSAL_SHAPE(2, 3, 2, 4));
}
static psal_node expand_vector_case(psal_graph *g, const psal_node *in) {
    return psal_expand(g, in[0], PSAL_SHAPE(2, 1, 3, 4));
}
static psal_node outer_product_case(psal_graph *g, const psal_node *in) {
    return psal_broadcast_mul(g, in[0], in[1]);
}
static psal_node broadcast_quotient_case(psal_graph *g, const psal_node *in) {
    return psal_broadcast_div(g, psal_broadcast_sub(g, in[0], in[1]), psal_broadcast_add(g, in[2], in[2]));
}
static psal_node extremes_case(psal_graph *g, const psal_node *in) {
    return psal_maximum(g, psal_minimum(g, in[0], in[1]), in[2]);
}
static const psal_op_case expand_cases[] = {
    {"planes", expand_planes_case, 1, {INPUT(2, 3, 1, 1)}, false},
    {"batch and rows", expand_planes_case, 1, {INPUT(1, 3, 1, 4)}, false},
    {"channels and columns", expand_planes_case, 1, {INPUT(2, 1, 2, 1)}, false},
    {"vector along the last axis", expand_vector_case, 1, {INPUT(4)}, false},
    {"one number", expand_vector_case, 1, {INPUT(1)}, false},
    {"outer product", outer_product_case, 2, {INPUT(3, 1), INPUT(4)}, false},
    {"gate", outer_product_case, 2, {INPUT(2, 3, 2, 2), INPUT(2, 3, 1, 1)}, false},
    {"all four", broadcast_quotient_case, 3, {INPUT(2, 3), INPUT(2, 1), {{1, {3}}, PSAL_VALUES_POSITIVE, 0}}, false},
    {"maxima and minima", extremes_case, 3, {INPUT(2, 3), INPUT(2, 1), INPUT(3)}, false},
};
const psal_op psal_op_expand = {.inputs = 1,
                                .infer = infer,
                                .run_elements = expand_run,
                                .gradient = expand_gradient,
                                .reach = reach_along_axes,
                                PSAL_CASES(expand_cases)};

/* ---- sum_to ---- */

psal_node psal_sum_to(psal_graph *graph, psal_node x, psal_shape shape) {
    if (!psal_graph_has(graph, PSAL_OP_SUM_TO, 0, x)) return PSAL_NO_NODE;
    if (psal_shape_equal(psal_graph_shape(graph, x), &shape)) return x;
    return add_of_shape(graph, PSAL_OP_SUM_TO, x, shape);
}

static void sum_to_run(const psal_op_call *c) {
    const psal_broadcast b = broadcast_of(c->in_shapes[0], &c->node->shape);
    psal_kernel_sum_to(&b, c->in[0], c->out, &c->parallel);
}

static void sum_to_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_expand(graph, dy, *psal_graph_shape(graph, x));
}

static psal_node sum_planes_case(psal_graph *g, const psal_node *in) {
    return psal_sum_to(g, in[0], PSAL_SHAPE(2, 3, 1, 1));
}
static psal_node sum_channels_case(psal_graph *g, const psal_node *in) {
    return psal_sum_to(g, in[0], PSAL_SHAPE(2, 1, 2, 3));
}
static psal_node sum_alternate_case(psal_graph *g, const psal_node *in) {
    return psal_sum_to(g, in[0], PSAL_SHAPE(1, 3, 1, 3));
}
static psal_node mean_case(psal_graph *g, const psal_node *in) {
    return psal_mean_axes(g, in[0], (int[]){1, 3}, 2, false);
}
static psal_node long_rows_case(psal_graph *g, const psal_node *in) {
    return psal_sum_axes(g, in[0], (int[]){1}, 1, true);
}
static psal_node long_columns_case(psal_graph *g, const psal_node *in) {
    return psal_sum_axes(g, in[0], (int[]){0}, 1, false);
}
#define IMAGE INPUT(2, 3, 2, 3)
static const psal_op_case sum_to_cases[] = {
    {"planes", sum_planes_case, 1, {IMAGE}, false},
    {"channels", sum_channels_case, 1, {IMAGE}, false},
    {"every other axis", sum_alternate_case, 1, {IMAGE}, false},
    {"mean over two axes", mean_case, 1, {IMAGE}, false},
    {"long rows", long_rows_case, 1, {INPUT(2, 67)}, false},
    {"long columns", long_columns_case, 1, {INPUT(3, 67)}, false},
};
const psal_op psal_op_sum_to = {.inputs = 1,
                                .infer = infer,
                                .run = sum_to_run,
                                .gradient = sum_to_gradient,
                                .reach = reach_along_axes,
                                PSAL_CASES(sum_to_cases)};

/* ---- what is composed of them ---- */

/* The shape of both together, or false (and an error in the graph). */
static bool meet(psal_graph *graph, psal_op_kind op, psal_node a, psal_node b, psal_shape *shape) {
    if (!psal_graph_has(graph, op, 0, a) || !psal_graph_has(graph, op, 1, b)) return false;
    const psal_shape *x = psal_graph_shape(graph, a), *y = psal_graph_shape(graph, b);
    if (psal_shape_broadcast(x, y, shape)) return true;
    char s[96], t[96];
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s and %s: the shapes do not fit together", psal_op_kind_name(op),
                    psal_shape_format(x, s, sizeof s), psal_shape_format(y, t, sizeof t));
    return false;
}

#define BROADCAST(name, KIND)                                                                  \
    psal_node psal_broadcast_##name(psal_graph *graph, psal_node a, psal_node b) {             \
        psal_shape shape;                                                                      \
        if (!meet(graph, PSAL_OP_##KIND, a, b, &shape)) return PSAL_NO_NODE;                   \
        return psal_##name(graph, psal_expand(graph, a, shape), psal_expand(graph, b, shape)); \
    }

BROADCAST(add, ADD)
BROADCAST(sub, SUB)
BROADCAST(mul, MUL)
BROADCAST(div, DIV)

/* a where a - b has `sign`, b where it has the other one, and their mean where it is 0 */
static psal_node choose(psal_graph *graph, psal_node a, psal_node b, double sign) {
    psal_shape shape;
    if (!meet(graph, PSAL_OP_SUB, a, b, &shape)) return PSAL_NO_NODE;
    a = psal_expand(graph, a, shape);
    b = psal_expand(graph, b, shape);
    const psal_node which = psal_sign(graph, psal_sub(graph, a, b));
    const psal_node of_a = psal_shift(graph, psal_scale(graph, which, sign / 2), 0.5),
                    of_b = psal_shift(graph, psal_scale(graph, which, -sign / 2), 0.5);
    return psal_add(graph, psal_mul(graph, a, of_a), psal_mul(graph, b, of_b));
}

psal_node psal_maximum(psal_graph *graph, psal_node a, psal_node b) {
    return choose(graph, a, b, 1);
}

psal_node psal_minimum(psal_graph *graph, psal_node a, psal_node b) {
    return choose(graph, a, b, -1);
}

psal_node psal_sum_axes(psal_graph *graph, psal_node x, const int *axes, int count, bool keep) {
    if (!psal_graph_has(graph, PSAL_OP_SUM_TO, 0, x)) return PSAL_NO_NODE;
    psal_shape summed = *psal_graph_shape(graph, x), kept = {.ndim = 0};
    bool gone[PSAL_MAX_DIMS] = {false};
    for (int i = 0; i < count; i++) {
        char text[96];
        if (axes[i] < 0 || axes[i] >= summed.ndim)
            return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "sum of %s over axis %d",
                                   psal_shape_format(psal_graph_shape(graph, x), text, sizeof text), axes[i]);
        summed.dim[axes[i]] = 1;
        gone[axes[i]] = true;
    }
    for (int d = 0; d < summed.ndim; d++)
        if (!gone[d]) kept.dim[kept.ndim++] = summed.dim[d];
    psal_node y = psal_sum_to(graph, x, summed);
    return keep ? y : psal_reshape(graph, y, kept);
}

psal_node psal_mean_axes(psal_graph *graph, psal_node x, const int *axes, int count, bool keep) {
    psal_node y = psal_sum_axes(graph, x, axes, count, keep);
    if (y == PSAL_NO_NODE) return y;
    const int64_t n = psal_shape_count(psal_graph_shape(graph, x)), m = psal_shape_count(psal_graph_shape(graph, y));
    return psal_scale(graph, y, (double)m / (double)n);
}
