/* Rows of a matrix x[N, columns].
 *
 *   row sum      y[i] = sum over j of x[i, j]     dx = row_spread(dy)
 *   row spread   y[i, j] = v[i]                   dv = row_sum(dy)
 *   one hot      y[i, j] = (j == target[i])
 *   selection    z[target] = <z, one_hot(target)> per row */
#include "engine/kernels/rows.h"
#include "engine/op.h"

#define MATRIX \
    { {2, {3, 4}}, PSAL_VALUES_NORMAL, 0 }
#define VECTOR(n) \
    { {1, {n}}, PSAL_VALUES_NORMAL, 0 }
#define TARGETS \
    { {1, {2}}, PSAL_VALUES_CLASSES, 5 }

psal_node psal_row_sum(psal_graph *graph, psal_node x) {
    return psal_graph_add(graph, PSAL_OP_ROW_SUM, &x, 1, NULL);
}

static void row_sum_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    char text[96];
    if (x->ndim != 2)
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "row_sum of %s: needs a matrix",
                        psal_shape_format(x, text, sizeof text));
    node->shape = PSAL_SHAPE(x->dim[0]);
}

static void row_sum_run(const psal_op_call *c) {
    psal_kernel_row_sum((size_t)c->in_shapes[0]->dim[0], (size_t)c->in_shapes[0]->dim[1], c->in[0], c->out,
                        &c->parallel);
}

static void row_sum_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_row_spread(graph, dy, psal_graph_shape(graph, x)->dim[1]);
}

static psal_node row_sum_case(psal_graph *g, const psal_node *in) {
    return psal_row_sum(g, in[0]);
}
static psal_node select_case(psal_graph *g, const psal_node *in) {
    return psal_select(g, in[0], in[1]);
}
static const psal_op_case row_sum_cases[] = {
    {"matrix", row_sum_case, 1, {MATRIX}, false},
    {"selected logits", select_case, 2, {MATRIX, {{1, {3}}, PSAL_VALUES_CLASSES, 4}}, false}};

const psal_op psal_op_row_sum = {
    .inputs = 1, .infer = row_sum_infer, .run = row_sum_run, .gradient = row_sum_gradient, PSAL_CASES(row_sum_cases)};

psal_node psal_row_spread(psal_graph *graph, psal_node v, int64_t columns) {
    psal_attributes attr = {.result = {.shape = PSAL_SHAPE(0, columns)}};
    return psal_graph_add(graph, PSAL_OP_ROW_SPREAD, &v, 1, &attr);
}

static void row_spread_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *v = psal_graph_input_shape(graph, node, 0);
    char text[96];
    if (v->ndim != 1)
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "row_spread of %s: needs a vector",
                        psal_shape_format(v, text, sizeof text));
    node->shape = PSAL_SHAPE(v->dim[0], node->attr.result.shape.dim[1]);
}

static void row_spread_run(const psal_op_call *c) {
    psal_kernel_row_spread((size_t)c->node->shape.dim[0], (size_t)c->node->shape.dim[1], c->in[0], 1, c->out,
                           &c->parallel);
}

static void row_spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    (void)node;
    if (wanted[0]) dx[0] = psal_row_sum(graph, g);
}

static psal_node row_spread_case(psal_graph *g, const psal_node *in) {
    return psal_row_spread(g, in[0], 4);
}
static const psal_op_case row_spread_cases[] = {{"vector", row_spread_case, 1, {VECTOR(3)}, false}};

const psal_op psal_op_row_spread = {.inputs = 1,
                                    .infer = row_spread_infer,
                                    .run = row_spread_run,
                                    .gradient = row_spread_gradient,
                                    PSAL_CASES(row_spread_cases)};

psal_node psal_one_hot(psal_graph *graph, psal_node target, int classes) {
    psal_attributes attr = {.one_hot = {classes}};
    return psal_graph_add(graph, PSAL_OP_ONE_HOT, &target, 1, &attr);
}

static void one_hot_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *target = psal_graph_input_shape(graph, node, 0);
    char text[96];
    if (target->ndim != 1 || node->attr.one_hot.classes < 1)
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "one_hot of %s over %d classes",
                        psal_shape_format(target, text, sizeof text), node->attr.one_hot.classes);
    node->shape = PSAL_SHAPE(target->dim[0], node->attr.one_hot.classes);
}

static void one_hot_run(const psal_op_call *c) {
    psal_kernel_one_hot((size_t)c->node->shape.dim[0], (size_t)c->node->shape.dim[1], c->in[0], c->out);
}

static psal_node one_hot_case(psal_graph *g, const psal_node *in) {
    return psal_one_hot(g, in[0], 5);
}
static const psal_op_case one_hot_cases[] = {{"two rows", one_hot_case, 1, {TARGETS}, true}};

const psal_op psal_op_one_hot = {.inputs = 1,
                                 .infer = one_hot_infer,
                                 .run = one_hot_run,
                                 .not_differentiable = "takes class numbers",
                                 PSAL_CASES(one_hot_cases)};

psal_node psal_select(psal_graph *graph, psal_node z, psal_node target) {
    if (!psal_graph_has(graph, PSAL_OP_MUL, 0, z)) return PSAL_NO_NODE;
    const psal_shape *s = psal_graph_shape(graph, z);
    int classes = s->ndim == 2 ? (int)s->dim[1] : 1;
    return psal_row_sum(graph, psal_mul(graph, z, psal_one_hot(graph, target, classes)));
}
