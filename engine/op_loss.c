/* Losses on logits z[N, classes] with class numbers target[N]; p = exp(z) / sum exp(z), J = diag(p) - p p^T, per row.
 *
 *   residual       r = p - one_hot(target)           dz = J dr
 *   jacobian       y = J g                           dg = J dy,  dz = J (dy * g - dy <g, p> - g <dy, p>)
 *   cross entropy  L = log sum exp(z) - z[target]    dz = dL * r
 *
 * Residual and Jacobian are operations of their own because of numbers, not of algebra: their kernels form the
 * differences in double, and a sample classified rightly with p = 0.99999 keeps all digits of its tiny gradient. */
#include "engine/kernels/rows.h"
#include "engine/op.h"

#define LOGITS \
    { {2, {2, 5}}, PSAL_VALUES_NORMAL, 0 }
#define TARGETS \
    { {1, {2}}, PSAL_VALUES_CLASSES, 5 }

static bool is_matrix(psal_graph *graph, const psal_node_record *node) {
    const psal_shape *z = psal_graph_input_shape(graph, node, 0);
    char text[96];
    if (z->ndim == 2) return true;
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s: needs batch x classes", psal_op_kind_name(node->op),
                    psal_shape_format(z, text, sizeof text));
    return false;
}

/* ---- softmax(z) - one_hot(target) ---- */

static void infer_logits_and_targets(psal_graph *graph, psal_node_record *node) {
    if (!is_matrix(graph, node)) return;
    const psal_shape *z = psal_graph_input_shape(graph, node, 0), *target = psal_graph_input_shape(graph, node, 1);
    char text[96];
    if (target->ndim != 1 || target->dim[0] != z->dim[0])
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s: needs %lld targets, got %s", psal_op_kind_name(node->op),
                        (long long)z->dim[0], psal_shape_format(target, text, sizeof text));
    node->shape = node->op == PSAL_OP_CROSS_ENTROPY ? PSAL_SHAPE(z->dim[0]) : *z;
}

psal_node psal_softmax_residual(psal_graph *graph, psal_node z, psal_node target) {
    return psal_graph_add(graph, PSAL_OP_SOFTMAX_RESIDUAL, (psal_node[]){z, target}, 2, NULL);
}

static void residual_run(const psal_op_call *c) {
    psal_kernel_softmax_residual((size_t)c->node->shape.dim[0], (size_t)c->node->shape.dim[1], c->in[0], c->in[1],
                                 c->out);
}

static void residual_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    if (wanted[0]) dx[0] = psal_softmax_jacobian(graph, psal_graph_node(graph, node)->inputs[0], dy);
}

static psal_node residual_case(psal_graph *g, const psal_node *in) {
    return psal_softmax_residual(g, in[0], in[1]);
}
static const psal_op_case residual_cases[] = {{"two rows", residual_case, 2, {LOGITS, TARGETS}, false}};

const psal_op psal_op_softmax_residual = {.inputs = 2,
                                          .infer = infer_logits_and_targets,
                                          .run = residual_run,
                                          .gradient = residual_gradient,
                                          PSAL_CASES(residual_cases)};

/* ---- J g ---- */

psal_node psal_softmax_jacobian(psal_graph *graph, psal_node z, psal_node g) {
    return psal_graph_add(graph, PSAL_OP_SOFTMAX_JACOBIAN, (psal_node[]){z, g}, 2, NULL);
}

static void jacobian_infer(psal_graph *graph, psal_node_record *node) {
    if (!is_matrix(graph, node)) return;
    const psal_shape *z = psal_graph_input_shape(graph, node, 0), *g = psal_graph_input_shape(graph, node, 1);
    char a[96], b[96];
    if (!psal_shape_equal(z, g))
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "softmax_jacobian of %s and %s: the shapes must be the same",
                        psal_shape_format(z, a, sizeof a), psal_shape_format(g, b, sizeof b));
    node->shape = *z;
}

static void jacobian_run(const psal_op_call *c) {
    psal_kernel_softmax_jacobian((size_t)c->node->shape.dim[0], (size_t)c->node->shape.dim[1], c->in[0], c->in[1],
                                 c->out);
}

/* a * <b, p>, the product per row */
static psal_node times_row_product(psal_graph *graph, psal_node a, psal_node b, psal_node p) {
    int64_t classes = psal_graph_check(graph, NULL) == PSAL_OK ? psal_graph_shape(graph, p)->dim[1] : 1;
    return psal_mul(graph, a, psal_row_spread(graph, psal_row_sum(graph, psal_mul(graph, b, p)), classes));
}

static void jacobian_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_node z = n.inputs[0], g = n.inputs[1];
    if (wanted[1]) dx[1] = psal_softmax_jacobian(graph, z, dy);
    if (!wanted[0]) return;
    psal_node p = psal_softmax(graph, z);
    psal_node v = psal_sub(graph, psal_mul(graph, dy, g), times_row_product(graph, dy, g, p));
    dx[0] = psal_softmax_jacobian(graph, z, psal_sub(graph, v, times_row_product(graph, g, dy, p)));
}

static psal_node jacobian_case(psal_graph *g, const psal_node *in) {
    return psal_softmax_jacobian(g, in[0], in[1]);
}
static const psal_op_case jacobian_cases[] = {{"two rows", jacobian_case, 2, {LOGITS, LOGITS}, false}};

const psal_op psal_op_softmax_jacobian = {.inputs = 2,
                                          .infer = jacobian_infer,
                                          .run = jacobian_run,
                                          .gradient = jacobian_gradient,
                                          PSAL_CASES(jacobian_cases)};

/* ---- cross entropy ---- */

psal_node psal_cross_entropy(psal_graph *graph, psal_node z, psal_node target) {
    return psal_graph_add(graph, PSAL_OP_CROSS_ENTROPY, (psal_node[]){z, target}, 2, NULL);
}

static void cross_entropy_run(const psal_op_call *c) {
    psal_kernel_cross_entropy((size_t)c->in_shapes[0]->dim[0], (size_t)c->in_shapes[0]->dim[1], c->in[0], c->in[1],
                              c->out);
}

static void cross_entropy_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    int64_t classes = psal_graph_shape(graph, n.inputs[0])->dim[1];
    psal_node residual = psal_softmax_residual(graph, n.inputs[0], n.inputs[1]);
    if (wanted[0]) dx[0] = psal_mul(graph, residual, psal_row_spread(graph, dy, classes));
}

static psal_node cross_entropy_case(psal_graph *g, const psal_node *in) {
    return psal_cross_entropy(g, in[0], in[1]);
}
static const psal_op_case cross_entropy_cases[] = {{"two rows", cross_entropy_case, 2, {LOGITS, TARGETS}, false}};

const psal_op psal_op_cross_entropy = {.inputs = 2,
                                       .infer = infer_logits_and_targets,
                                       .run = cross_entropy_run,
                                       .gradient = cross_entropy_gradient,
                                       PSAL_CASES(cross_entropy_cases)};
