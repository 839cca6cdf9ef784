/* What makes the numbers of a row - of the last axis, whatever is in front of it - comparable. With means over a row:
 *
 *   softmax          y = exp(x) / sum exp(x)                 dx = y (dy - sum(y dy))
 *   row_normalize    y = (x - mean) r                        dx = r (dy - mean(dy) - y mean(y dy))
 *   rsqrt_variance   r = 1 / sqrt(variance + epsilon)        dx = -dr r^2 y / columns
 *
 * The last two are operations of their own, as batch normalisation is one, so that differences from the mean are taken
 * and scaled in double and rounded once. */
#include "engine/kernels/rows.h"
#include "engine/op.h"

static void infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    if (x->ndim < 1) psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of a scalar", psal_op_kind_name(node->op));
    node->shape = *x;
    if (node->op == PSAL_OP_RSQRT_VARIANCE && x->ndim > 0) node->shape.dim[x->ndim - 1] = 1;
}

static size_t columns_of(const psal_op_call *c) {
    return (size_t)c->in_shapes[0]->dim[c->in_shapes[0]->ndim - 1];
}

static size_t rows_of(const psal_op_call *c) {
    return (size_t)psal_shape_count(c->in_shapes[0]) / columns_of(c);
}

/* The whole rows. */
static void reach_rows(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                       psal_box *in) {
    (void)graph, (void)input;
    for (int d = 0; d < node->shape.ndim - 1; d++) {
        in->first[d] = out->first[d];
        in->last[d] = out->last[d];
    }
}

/* v[.., 1] for every number of a row of `like` */
static psal_node along_rows(psal_graph *graph, psal_node v, psal_node like) {
    return psal_expand(graph, v, *psal_graph_shape(graph, like));
}

static psal_node row_mean(psal_graph *graph, psal_node x) {
    const int last = psal_graph_shape(graph, x)->ndim - 1;
    return along_rows(graph, psal_mean_axes(graph, x, &last, 1, true), x);
}

#define INPUT(...) \
    { PSAL_DIMS(__VA_ARGS__), PSAL_VALUES_NORMAL, 0 }

/* ---- softmax ---- */

psal_node psal_softmax(psal_graph *graph, psal_node x) {
    return psal_graph_add(graph, PSAL_OP_SOFTMAX, &x, 1, NULL);
}

static void softmax_run(const psal_op_call *c) {
    psal_kernel_softmax(rows_of(c), columns_of(c), c->in[0], c->out, &c->parallel);
}

static void softmax_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const int last = psal_graph_shape(graph, node)->ndim - 1;
    if (!wanted[0]) return;
    psal_node sum = psal_sum_axes(graph, psal_mul(graph, node, dy), &last, 1, true);
    dx[0] = psal_mul(graph, node, psal_sub(graph, dy, along_rows(graph, sum, dy)));
}

static psal_node softmax_case(psal_graph *g, const psal_node *in) {
    return psal_softmax(g, in[0]);
}
static const psal_op_case softmax_cases[] = {{"two rows", softmax_case, 1, {INPUT(2, 5)}, false},
                                             {"attention", softmax_case, 1, {INPUT(2, 2, 3, 3)}, false},
                                             {"long row", softmax_case, 1, {INPUT(19)}, false}};
const psal_op psal_op_softmax = {.inputs = 1,
                                 .infer = infer,
                                 .run = softmax_run,
                                 .gradient = softmax_gradient,
                                 .reach = reach_rows,
                                 PSAL_CASES(softmax_cases)};

/* ---- rows of mean 0 and variance 1 ---- */

psal_node psal_row_normalize(psal_graph *graph, psal_node x, double epsilon) {
    psal_attributes attr = {.number = {epsilon}};
    return psal_graph_add(graph, PSAL_OP_ROW_NORMALIZE, &x, 1, &attr);
}

static psal_node rsqrt_variance(psal_graph *graph, psal_node x, double epsilon) {
    psal_attributes attr = {.number = {epsilon}};
    return psal_graph_add(graph, PSAL_OP_RSQRT_VARIANCE, &x, 1, &attr);
}

static void row_normalize_run(const psal_op_call *c) {
    psal_kernel_row_normalize(rows_of(c), columns_of(c), c->in[0], c->node->attr.number.value, c->out, &c->parallel);
}

static void row_normalize_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (!wanted[0]) return;
    psal_node r = along_rows(graph, rsqrt_variance(graph, n.inputs[0], n.attr.number.value), dy);
    psal_node along = psal_mul(graph, node, row_mean(graph, psal_mul(graph, node, dy)));
    dx[0] = psal_mul(graph, psal_sub(graph, psal_sub(graph, dy, row_mean(graph, dy)), along), r);
}

static psal_node row_normalize_case(psal_graph *g, const psal_node *in) {
    return psal_row_normalize(g, in[0], 1e-2);
}
static psal_node layer_norm_case(psal_graph *g, const psal_node *in) {
    return psal_layer_norm(g, in[0], in[1], in[2], 1e-3);
}
static const psal_op_case row_normalize_cases[] = {
    {"matrix", row_normalize_case, 1, {INPUT(3, 5)}, false},
    {"long rows", row_normalize_case, 1, {INPUT(2, 19)}, false},
    {"layer normalisation", layer_norm_case, 3, {INPUT(2, 2, 4), INPUT(4), INPUT(4)}, false}};
const psal_op psal_op_row_normalize = {.inputs = 1,
                                       .infer = infer,
                                       .run = row_normalize_run,
                                       .gradient = row_normalize_gradient,
                                       .reach = reach_rows,
                                       PSAL_CASES(row_normalize_cases)};

static void rsqrt_variance_run(const psal_op_call *c) {
    psal_kernel_row_rsqrt_variance(rows_of(c), columns_of(c), c->in[0], c->node->attr.number.value, c->out,
                                   &c->parallel);
}

static void rsqrt_variance_gradient(psal_graph *graph, psal_node node, psal_node dr, const bool *wanted,
                                    psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (!wanted[0]) return;
    const psal_shape x = *psal_graph_shape(graph, n.inputs[0]);
    psal_node slope = psal_scale(graph, psal_mul(graph, dr, psal_mul(graph, node, node)),
                                 -1.0 / (double)x.dim[x.ndim - 1]);
    psal_node y = psal_row_normalize(graph, n.inputs[0], n.attr.number.value);
    dx[0] = psal_mul(graph, y, psal_expand(graph, slope, x));
}

static psal_node rsqrt_variance_case(psal_graph *g, const psal_node *in) {
    return rsqrt_variance(g, in[0], 1e-2);
}
static const psal_op_case rsqrt_variance_cases[] = {{"rows", rsqrt_variance_case, 1, {INPUT(2, 2, 5)}, false}};
const psal_op psal_op_rsqrt_variance = {.inputs = 1,
                                        .infer = infer,
                                        .run = rsqrt_variance_run,
                                        .gradient = rsqrt_variance_gradient,
                                        .reach = reach_rows,
                                        PSAL_CASES(rsqrt_variance_cases)};

psal_node psal_layer_norm(psal_graph *graph, psal_node x, psal_node gamma, psal_node beta, double epsilon) {
    psal_node y = psal_row_normalize(graph, x, epsilon);
    if (gamma != PSAL_NO_NODE) y = psal_broadcast_mul(graph, y, gamma);
    if (beta != PSAL_NO_NODE) y = psal_broadcast_add(graph, y, beta);
    return y;
}
