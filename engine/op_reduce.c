/* Sums, means and their adjoints, over everything and over filters ("groups"); over the rows of a matrix: op_rows.c.
 *
 * sum and spread, group_mean and group_spread are each other's rule. The filter saliency
 * group_mean_abs has the derivative sign(x) * g / n, whose sign is piecewise constant: group_ternary_spread and
 * group_ternary_mean are each other's rule in their last argument, and zero in x. */
#include "engine/kernels/rows.h"
#include "engine/op.h"

static size_t elements(const psal_shape *s) {
    return (size_t)psal_shape_count(s);
}

#define VECTOR(n) \
    { {1, {n}}, PSAL_VALUES_NORMAL, 0 }
#define MATRIX \
    { {2, {3, 4}}, PSAL_VALUES_NORMAL, 0 }
#define NONZERO \
    { {4, {3, 2, 3, 3}}, PSAL_VALUES_NONZERO, 0 }
#define WEIGHT \
    { {4, {3, 2, 3, 3}}, PSAL_VALUES_NORMAL, 0 }

/* ---- everything ---- */

psal_node psal_sum(psal_graph *graph, psal_node x) {
    return psal_graph_add(graph, PSAL_OP_SUM, &x, 1, NULL);
}

static void sum_infer(psal_graph *graph, psal_node_record *node) {
    (void)graph;
    node->shape = (psal_shape){.ndim = 0};
}

static void sum_run(const psal_op_call *c) {
    psal_kernel_row_sum(1, elements(c->in_shapes[0]), c->in[0], c->out, &c->parallel);
}

static void sum_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_spread(graph, dy, *psal_graph_shape(graph, x));
}

static psal_node sum_case(psal_graph *g, const psal_node *in) {
    return psal_sum(g, in[0]);
}
static psal_node cosine_case(psal_graph *g, const psal_node *in) {
    return psal_cosine(g, in[0], in[1]);
}
static const psal_op_case sum_cases[] = {{"matrix", sum_case, 1, {MATRIX}, false},
                                         {"cosine of two vectors", cosine_case, 2, {VECTOR(7), VECTOR(7)}, false}};

const psal_op psal_op_sum = {
    .inputs = 1, .infer = sum_infer, .run = sum_run, .gradient = sum_gradient, PSAL_CASES(sum_cases)};

psal_node psal_spread(psal_graph *graph, psal_node scalar, psal_shape shape) {
    psal_attributes attr = {.result = {.shape = shape}};
    return psal_graph_add(graph, PSAL_OP_SPREAD, &scalar, 1, &attr);
}

static void spread_infer(psal_graph *graph, psal_node_record *node) {
    char text[96];
    const psal_shape *scalar = psal_graph_input_shape(graph, node, 0);
    if (scalar->ndim != 0)
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "spread of %s: needs a scalar",
                        psal_shape_format(scalar, text, sizeof text));
    node->shape = node->attr.result.shape;
}

static void spread_run(const psal_op_call *c) {
    psal_kernel_row_spread(1, elements(&c->node->shape), c->in[0], 1, c->out, &c->parallel);
}

static void spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    (void)node;
    if (wanted[0]) dx[0] = psal_sum(graph, g);
}

static psal_node spread_case(psal_graph *g, const psal_node *in) {
    return psal_spread(g, in[0], PSAL_SHAPE(2, 3));
}
static const psal_op_case spread_cases[] = {
    {"to a matrix", spread_case, 1, {{{0, {0}}, PSAL_VALUES_NORMAL, 0}}, false}};

const psal_op psal_op_spread = {
    .inputs = 1, .infer = spread_infer, .run = spread_run, .gradient = spread_gradient, PSAL_CASES(spread_cases)};

/* max(|x|, epsilon), the smaller one taken below the root: its slope there is finite where |x| is 0. */
static psal_node norm_of(psal_graph *graph, psal_node x) {
    psal_node least = psal_constant_fill(graph, PSAL_COSINE_EPSILON * PSAL_COSINE_EPSILON, (psal_shape){.ndim = 0});
    psal_node squares = psal_sum(graph, psal_mul(graph, x, x));
    return psal_sqrt(graph, psal_add(graph, psal_relu(graph, psal_sub(graph, squares, least)), least));
}

psal_node psal_cosine(psal_graph *graph, psal_node a, psal_node b) {
    psal_node dot = psal_sum(graph, psal_mul(graph, a, b));
    return psal_div(graph, dot, psal_mul(graph, norm_of(graph, a), norm_of(graph, b)));
}

/* ---- filters: x as `groups` consecutive rows ---- */

static bool check_groups(psal_graph *graph, const psal_node_record *node, const psal_shape *x, int64_t groups) {
    char text[96];
    if (groups >= 1 && psal_shape_count(x) % groups == 0) return true;
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s in %lld groups", psal_op_kind_name(node->op),
                    psal_shape_format(x, text, sizeof text), (long long)groups);
    return false;
}

static void group_reduce_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    if (check_groups(graph, node, x, node->attr.group.groups)) node->shape = PSAL_SHAPE(node->attr.group.groups);
}

static size_t group_length(const psal_op_call *c) {
    return elements(c->in_shapes[0]) / (size_t)c->node->attr.group.groups;
}

/* Codes 0, 1 and 2, a byte each, for the signs -1, 0 and 1: all that the derivative of |x| needs of x, in a quarter of
 * its memory. (No four of these bytes are a NaN when they are read as a float32.) */
int64_t psal_ternary_code_count(const psal_shape *x) {
    return (psal_shape_count(x) + (int64_t)sizeof(psal_real) - 1) / (int64_t)sizeof(psal_real);
}

static const unsigned char *codes_of(const psal_op_call *c) {
    return (const unsigned char *)c->in[0];
}

static unsigned char *codes_in(psal_real *out, const psal_shape *x) {
    out[psal_ternary_code_count(x) - 1] = 0; /* the last one may not be filled wholly */
    return (unsigned char *)out;
}

psal_node psal_group_mean_abs(psal_graph *graph, psal_node x, int64_t groups) {
    psal_attributes attr = {.group = {groups}};
    return psal_graph_add(graph, PSAL_OP_GROUP_MEAN_ABS, &x, 1, &attr);
}

static void group_mean_abs_run(const psal_op_call *c) {
    psal_kernel_row_mean_abs((size_t)c->node->attr.group.groups, group_length(c), c->in[0], c->out,
                             c->also ? codes_in(c->also, c->in_shapes[0]) : NULL, &c->parallel);
}

static void group_mean_abs_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted,
                                    psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    const psal_shape shape = *psal_graph_shape(graph, x); /* a copy: appending nodes may move the records */
    if (wanted[0]) dx[0] = psal_group_ternary_spread(graph, psal_ternary_codes(graph, x), dy, shape);
}

static psal_node group_mean_abs_case(psal_graph *g, const psal_node *in) {
    return psal_group_mean_abs(g, in[0], 3);
}
static const psal_op_case group_mean_abs_cases[] = {{"three filters", group_mean_abs_case, 1, {NONZERO}, false}};

const psal_op psal_op_group_mean_abs = {.inputs = 1,
                                        .infer = group_reduce_infer,
                                        .run = group_mean_abs_run,
                                        .gradient = group_mean_abs_gradient,
                                        PSAL_CASES(group_mean_abs_cases)};

psal_node psal_group_mean(psal_graph *graph, psal_node x, int64_t groups) {
    psal_attributes attr = {.group = {groups}};
    return psal_graph_add(graph, PSAL_OP_GROUP_MEAN, &x, 1, &attr);
}

static void group_mean_run(const psal_op_call *c) {
    psal_kernel_row_mean((size_t)c->node->attr.group.groups, group_length(c), c->in[0], c->out, &c->parallel);
}

static void group_mean_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_group_spread(graph, dy, *psal_graph_shape(graph, x));
}

static psal_node group_mean_case(psal_graph *g, const psal_node *in) {
    return psal_group_mean(g, in[0], 3);
}
static const psal_op_case group_mean_cases[] = {{"three filters", group_mean_case, 1, {WEIGHT}, false}};

const psal_op psal_op_group_mean = {.inputs = 1,
                                    .infer = group_reduce_infer,
                                    .run = group_mean_run,
                                    .gradient = group_mean_gradient,
                                    PSAL_CASES(group_mean_cases)};

psal_node psal_group_spread(psal_graph *graph, psal_node v, psal_shape shape) {
    psal_attributes attr = {.result = {.shape = shape}};
    return psal_graph_add(graph, PSAL_OP_GROUP_SPREAD, &v, 1, &attr);
}

static bool check_vector(psal_graph *graph, const psal_node_record *node, const psal_shape *v, const psal_shape *x) {
    char text[96];
    if (v->ndim == 1) return check_groups(graph, node, x, v->dim[0]);
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s: needs one number per group, got %s", psal_op_kind_name(node->op),
                    psal_shape_format(v, text, sizeof text));
    return false;
}

static void group_spread_infer(psal_graph *graph, psal_node_record *node) {
    if (check_vector(graph, node, psal_graph_input_shape(graph, node, 0), &node->attr.result.shape))
        node->shape = node->attr.result.shape;
}

static void group_spread_run(const psal_op_call *c) {
    size_t groups = (size_t)c->in_shapes[0]->dim[0], length = elements(&c->node->shape) / groups;
    psal_kernel_row_spread(groups, length, c->in[0], (psal_real)(1.0 / (double)length), c->out, &c->parallel);
}

static void group_spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    psal_node v = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_group_mean(graph, g, psal_graph_shape(graph, v)->dim[0]);
}

static psal_node group_spread_case(psal_graph *g, const psal_node *in) {
    return psal_group_spread(g, in[0], PSAL_SHAPE(3, 2, 3, 3));
}
static const psal_op_case group_spread_cases[] = {{"three filters", group_spread_case, 1, {VECTOR(3)}, false}};

const psal_op psal_op_group_spread = {.inputs = 1,
                                      .infer = group_spread_infer,
                                      .run = group_spread_run,
                                      .gradient = group_spread_gradient,
                                      PSAL_CASES(group_spread_cases)};

static bool check_codes(psal_graph *graph, const psal_node_record *node, const psal_shape *of) {
    const psal_shape *codes = psal_graph_input_shape(graph, node, 0);
    char text[96], of_text[96];
    if (psal_shape_count(codes) == psal_ternary_code_count(of)) return true;
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s: %s are not the ternary codes of %s", psal_op_kind_name(node->op),
                    psal_shape_format(codes, text, sizeof text), psal_shape_format(of, of_text, sizeof of_text));
    return false;
}

psal_node psal_ternary_codes(psal_graph *graph, psal_node x) {
    return psal_graph_add(graph, PSAL_OP_TERNARY_CODES, &x, 1, NULL);
}

static void ternary_codes_infer(psal_graph *graph, psal_node_record *node) {
    node->shape = PSAL_SHAPE(psal_ternary_code_count(psal_graph_input_shape(graph, node, 0)));
}

static void ternary_codes_run(const psal_op_call *c) {
    const psal_shape *x = c->in_shapes[0];
    psal_kernel_ternary_codes(elements(x), c->in[0], codes_in(c->out, x), &c->parallel);
}

static psal_node ternary_codes_case(psal_graph *g, const psal_node *in) {
    const psal_shape shape = *psal_graph_shape(g, in[0]);
    return psal_group_ternary_spread(g, psal_ternary_codes(g, in[0]), psal_constant_fill(g, 1, PSAL_SHAPE(1)), shape);
}
static const psal_op_case ternary_codes_cases[] = {{"read back", ternary_codes_case, 1, {NONZERO}, true}};

const psal_op psal_op_ternary_codes = {
    .inputs = 1,
    .infer = ternary_codes_infer,
    .run = ternary_codes_run,
    .not_differentiable = "codes are not numbers; signs are constant almost everywhere",
    PSAL_CASES(ternary_codes_cases)};

psal_node psal_group_ternary_spread(psal_graph *graph, psal_node codes, psal_node v, psal_shape shape) {
    psal_attributes attr = {.result = {.shape = shape}};
    return psal_graph_add(graph, PSAL_OP_GROUP_TERNARY_SPREAD, (psal_node[]){codes, v}, 2, &attr);
}

static void group_ternary_spread_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *shape = &node->attr.result.shape;
    if (check_codes(graph, node, shape) && check_vector(graph, node, psal_graph_input_shape(graph, node, 1), shape))
        node->shape = *shape;
}

static void group_ternary_spread_run(const psal_op_call *c) {
    size_t groups = (size_t)c->in_shapes[1]->dim[0], length = elements(&c->node->shape) / groups;
    psal_kernel_row_ternary_spread(groups, length, codes_of(c), c->in[1], (psal_real)(1.0 / (double)length), c->out,
                                   &c->parallel);
}

static void group_ternary_spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted,
                                          psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[1]) dx[1] = psal_group_ternary_mean(graph, n.inputs[0], g, psal_graph_shape(graph, n.inputs[1])->dim[0]);
}

static psal_node group_ternary_spread_case(psal_graph *g, const psal_node *in) {
    const psal_shape shape = *psal_graph_shape(g, in[0]);
    return psal_group_ternary_spread(g, psal_ternary_codes(g, in[0]), in[1], shape);
}
static const psal_op_case group_ternary_spread_cases[] = {
    {"three filters", group_ternary_spread_case, 2, {NONZERO, VECTOR(3)}, false}};

const psal_op psal_op_group_ternary_spread = {.inputs = 2,
                                              .infer = group_ternary_spread_infer,
                                              .run = group_ternary_spread_run,
                                              .gradient = group_ternary_spread_gradient,
                                              PSAL_CASES(group_ternary_spread_cases)};

psal_node psal_group_ternary_mean(psal_graph *graph, psal_node codes, psal_node a, int64_t groups) {
    psal_attributes attr = {.group = {groups}};
    return psal_graph_add(graph, PSAL_OP_GROUP_TERNARY_MEAN, (psal_node[]){codes, a}, 2, &attr);
}

static void group_ternary_mean_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *a = psal_graph_input_shape(graph, node, 1);
    if (check_codes(graph, node, a) && check_groups(graph, node, a, node->attr.group.groups))
        node->shape = PSAL_SHAPE(node->attr.group.groups);
}

static void group_ternary_mean_run(const psal_op_call *c) {
    size_t groups = (size_t)c->node->attr.group.groups;
    psal_kernel_row_ternary_mean(groups, elements(c->in_shapes[1]) / groups, codes_of(c), c->in[1], c->out,
                                 &c->parallel);
}

static void group_ternary_mean_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted,
                                        psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[1]) dx[1] = psal_group_ternary_spread(graph, n.inputs[0], g, *psal_graph_shape(graph, n.inputs[1]));
}

static psal_node group_ternary_mean_case(psal_graph *g, const psal_node *in) {
    return psal_group_ternary_mean(g, psal_ternary_codes(g, in[0]), in[1], 3);
}
static const psal_op_case group_ternary_mean_cases[] = {
    {"three filters", group_ternary_mean_case, 2, {NONZERO, WEIGHT}, false}};

const psal_op psal_op_group_ternary_mean = {.inputs = 2,
                                            .infer = group_ternary_mean_infer,
                                            .run = group_ternary_mean_run,
                                            .gradient = group_ternary_mean_gradient,
                                            PSAL_CASES(group_ternary_mean_cases)};
