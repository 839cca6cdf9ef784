/* Operations with one number per channel: x is [N, C, ...], s and t are [C].
 *
 * channel_mul and channel_sum are each other's rule, channel_spread is the adjoint of channel_sum. Batch normalisation
 * in evaluation mode is composed of them; its gradients never use the training formula. */
#include "engine/kernels/channel.h"
#include "engine/op.h"

static size_t positions(const psal_shape *shape) {
    size_t p = 1;
    for (int i = 2; i < shape->ndim; i++) p *= (size_t)shape->dim[i];
    return p;
}

static bool check_channels(psal_graph *graph, const psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    char a[96], b[96];
    if (x->ndim < 2) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s: needs a batch and a channel dimension",
                        psal_op_kind_name(node->op), psal_shape_format(x, a, sizeof a));
        return false;
    }
    for (int i = 1; i < node->input_count; i++) {
        const psal_shape *s = psal_graph_input_shape(graph, node, i);
        if (s->ndim == 1 && s->dim[0] == x->dim[1]) continue;
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s needs %lld numbers, one per channel, got %s",
                        psal_op_kind_name(node->op), psal_shape_format(x, a, sizeof a), (long long)x->dim[1],
                        psal_shape_format(s, b, sizeof b));
        return false;
    }
    return true;
}

static void infer_like_x(psal_graph *graph, psal_node_record *node) {
    if (check_channels(graph, node)) node->shape = *psal_graph_input_shape(graph, node, 0);
}

static void run_affine(const psal_op_call *c, size_t begin, size_t end, const psal_real *s, const psal_real *t) {
    const psal_shape *x = c->in_shapes[0];
    psal_kernel_channel_affine(begin, end, (size_t)x->dim[1], positions(x), c->in[0], s, t, c->out);
}

#define IMAGE \
    { {4, {2, 3, 2, 3}}, PSAL_VALUES_NORMAL, 0 }
#define MATRIX \
    { {2, {2, 3}}, PSAL_VALUES_NORMAL, 0 }
#define CHANNELS \
    { {1, {3}}, PSAL_VALUES_NORMAL, 0 }

/* ---- y = x * s[c] + t[c] ---- */

psal_node psal_channel_affine(psal_graph *graph, psal_node x, psal_node s, psal_node t) {
    return psal_graph_add(graph, PSAL_OP_CHANNEL_AFFINE, (psal_node[]){x, s, t}, 3, NULL);
}

static void channel_affine_run(const psal_op_call *c, size_t begin, size_t end) {
    run_affine(c, begin, end, c->in[1], c->in[2]);
}

static void channel_affine_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted,
                                    psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[0]) dx[0] = psal_channel_mul(graph, dy, n.inputs[1]);
    if (wanted[1]) dx[1] = psal_channel_sum(graph, psal_mul(graph, dy, n.inputs[0]));
    if (wanted[2]) dx[2] = psal_channel_sum(graph, dy);
}

static psal_node affine_case(psal_graph *g, const psal_node *in) {
    return psal_channel_affine(g, in[0], in[1], in[2]);
}

static const psal_op_case channel_affine_cases[] = {
    {"image", affine_case, 3, {IMAGE, CHANNELS, CHANNELS}, false},
    {"matrix", affine_case, 3, {MATRIX, CHANNELS, CHANNELS}, false},
    {"constant map",
     affine_case,
     3,
     {IMAGE, {{1, {3}}, PSAL_VALUES_FIXED, 0}, {{1, {3}}, PSAL_VALUES_FIXED, 0}},
     false},
};

const psal_op psal_op_channel_affine = {.inputs = 3,
                                        .infer = infer_like_x,
                                        .run_elements = channel_affine_run,
                                        .gradient = channel_affine_gradient,
                                        .in_place = 1,
                                        PSAL_CASES(channel_affine_cases)};

/* ---- y = x * s[c] ---- */

psal_node psal_channel_mul(psal_graph *graph, psal_node x, psal_node s) {
    return psal_graph_add(graph, PSAL_OP_CHANNEL_MUL, (psal_node[]){x, s}, 2, NULL);
}

static void channel_mul_run(const psal_op_call *c, size_t begin, size_t end) {
    run_affine(c, begin, end, c->in[1], NULL);
}

static void channel_mul_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[0]) dx[0] = psal_channel_mul(graph, dy, n.inputs[1]);
    if (wanted[1]) dx[1] = psal_channel_sum(graph, psal_mul(graph, dy, n.inputs[0]));
}

static psal_node mul_case(psal_graph *g, const psal_node *in) {
    return psal_channel_mul(g, in[0], in[1]);
}

static const psal_op_case channel_mul_cases[] = {{"image", mul_case, 2, {IMAGE, CHANNELS}, false},
                                                 {"matrix", mul_case, 2, {MATRIX, CHANNELS}, false}};

const psal_op psal_op_channel_mul = {.inputs = 2,
                                     .infer = infer_like_x,
                                     .run_elements = channel_mul_run,
                                     .gradient = channel_mul_gradient,
                                     .in_place = 1,
                                     PSAL_CASES(channel_mul_cases)};

/* ---- y = x + t[c] ---- */

psal_node psal_channel_add(psal_graph *graph, psal_node x, psal_node t) {
    return psal_graph_add(graph, PSAL_OP_CHANNEL_ADD, (psal_node[]){x, t}, 2, NULL);
}

static void channel_add_run(const psal_op_call *c, size_t begin, size_t end) {
    run_affine(c, begin, end, NULL, c->in[1]);
}

static void channel_add_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    (void)node;
    if (wanted[0]) dx[0] = dy;
    if (wanted[1]) dx[1] = psal_channel_sum(graph, dy);
}

static psal_node add_case(psal_graph *g, const psal_node *in) {
    return psal_channel_add(g, in[0], in[1]);
}

static const psal_op_case channel_add_cases[] = {{"image", add_case, 2, {IMAGE, CHANNELS}, false},
                                                 {"matrix", add_case, 2, {MATRIX, CHANNELS}, false}};

const psal_op psal_op_channel_add = {.inputs = 2,
                                     .infer = infer_like_x,
                                     .run_elements = channel_add_run,
                                     .gradient = channel_add_gradient,
                                     .in_place = 1,
                                     PSAL_CASES(channel_add_cases)};

/* ---- sum over all but the channels, and its adjoint ---- */

psal_node psal_channel_sum(psal_graph *graph, psal_node x) {
    return psal_graph_add(graph, PSAL_OP_CHANNEL_SUM, &x, 1, NULL);
}

static void channel_sum_infer(psal_graph *graph, psal_node_record *node) {
    if (check_channels(graph, node)) node->shape = PSAL_SHAPE(psal_graph_input_shape(graph, node, 0)->dim[1]);
}

static void channel_sum_run(const psal_op_call *c) {
    const psal_shape *x = c->in_shapes[0];
    psal_kernel_channel_sum((size_t)x->dim[0], (size_t)x->dim[1], positions(x), c->in[0], c->out, &c->parallel);
}

static void channel_sum_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_channel_spread(graph, dy, *psal_graph_shape(graph, x));
}

static psal_node sum_case(psal_graph *g, const psal_node *in) {
    return psal_channel_sum(g, in[0]);
}

static const psal_op_case channel_sum_cases[] = {{"image", sum_case, 1, {IMAGE}, false},
                                                 {"matrix", sum_case, 1, {MATRIX}, false}};

const psal_op psal_op_channel_sum = {.inputs = 1,
                                     .infer = channel_sum_infer,
                                     .run = channel_sum_run,
                                     .gradient = channel_sum_gradient,
                                     PSAL_CASES(channel_sum_cases)};

psal_node psal_channel_spread(psal_graph *graph, psal_node v, psal_shape shape) {
    psal_attributes attr = {.result = {.shape = shape}};
    return psal_graph_add(graph, PSAL_OP_CHANNEL_SPREAD, &v, 1, &attr);
}

static void channel_spread_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *v = psal_graph_input_shape(graph, node, 0), *out = &node->attr.result.shape;
    char a[96], b[96];
    if (v->ndim != 1 || out->ndim < 2 || out->dim[1] != v->dim[0])
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "channel_spread of %s over %s", psal_shape_format(v, a, sizeof a),
                        psal_shape_format(out, b, sizeof b));
    node->shape = *out;
}

static void channel_spread_run(const psal_op_call *c) {
    const psal_shape *out = &c->node->shape;
    psal_kernel_channel_spread((size_t)out->dim[0], (size_t)out->dim[1], positions(out), c->in[0], c->out,
                               &c->parallel);
}

static void channel_spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    (void)node;
    if (wanted[0]) dx[0] = psal_channel_sum(graph, g);
}

static psal_node spread_case(psal_graph *g, const psal_node *in) {
    return psal_channel_spread(g, in[0], PSAL_SHAPE(2, 3, 2, 3));
}

static const psal_op_case channel_spread_cases[] = {{"image", spread_case, 1, {CHANNELS}, false}};

const psal_op psal_op_channel_spread = {.inputs = 1,
                                        .infer = channel_spread_infer,
                                        .run = channel_spread_run,
                                        .gradient = channel_spread_gradient,
                                        PSAL_CASES(channel_spread_cases)};

/* ---- batch normalisation, evaluation mode: y = (x - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c] ----
 *
 * One operation rather than channel_affine of a scale and a shift made before: those would be rounded, and their
 * rounding, the same in a whole plane, adds up from layer to layer. */

enum { X, GAMMA, BETA, MEAN, VARIANCE };

psal_node psal_batch_norm(psal_graph *graph, psal_node x, psal_node gamma, psal_node beta, psal_node mean,
                          psal_node variance, double epsilon) {
    psal_attributes attr = {.number = {.value = epsilon}};
    return psal_graph_add(graph, PSAL_OP_BATCH_NORM, (psal_node[]){x, gamma, beta, mean, variance}, 5, &attr);
}

static void batch_norm_run(const psal_op_call *c, size_t begin, size_t end) {
    const psal_shape *x = c->in_shapes[X];
    psal_kernel_batch_norm(begin, end, (size_t)x->dim[1], positions(x), c->in[X], c->in[GAMMA], c->in[BETA],
                           c->in[MEAN], c->in[VARIANCE], c->node->attr.number.value, c->out);
}

/* With r = 1 / sqrt(variance + epsilon) and s = gamma r: dx = s dy, dbeta = sum dy, dmean = -s sum dy,
 * dgamma = r e and dvariance = -s r^2 / 2 e, where e = sum dy (x - mean) over all but the channels. */
static void batch_norm_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const psal_node *in = n.inputs;
    psal_node r = PSAL_NO_NODE, s = PSAL_NO_NODE, total = PSAL_NO_NODE, e = PSAL_NO_NODE;
    if (wanted[X] || wanted[GAMMA] || wanted[MEAN] || wanted[VARIANCE])
        r = psal_rsqrt(graph, in[VARIANCE], n.attr.number.value);
    if (wanted[X] || wanted[MEAN] || wanted[VARIANCE]) s = psal_mul(graph, in[GAMMA], r);
    if (wanted[GAMMA] || wanted[BETA] || wanted[MEAN] || wanted[VARIANCE]) total = psal_channel_sum(graph, dy);
    if (wanted[GAMMA] || wanted[VARIANCE])
        e = psal_sub(graph, psal_channel_sum(graph, psal_mul(graph, dy, in[X])), psal_mul(graph, in[MEAN], total));
    if (wanted[X]) dx[X] = psal_channel_mul(graph, dy, s);
    if (wanted[GAMMA]) dx[GAMMA] = psal_mul(graph, r, e);
    if (wanted[BETA]) dx[BETA] = total;
    if (wanted[MEAN]) dx[MEAN] = psal_scale(graph, psal_mul(graph, s, total), -1);
    if (wanted[VARIANCE])
        dx[VARIANCE] = psal_scale(graph, psal_mul(graph, psal_mul(graph, s, psal_mul(graph, r, r)), e), -0.5);
}

/* All five inputs at once are too many for a case: mean at beta's values. */
static psal_node batch_norm_case(psal_graph *g, const psal_node *in) {
    return psal_batch_norm(g, in[0], in[1], in[2], in[2], in[3], 1e-3);
}
static psal_node batch_norm_moments_case(psal_graph *g, const psal_node *in) {
    return psal_batch_norm(g, in[0], in[1], in[1], in[2], in[3], 1e-3);
}

#define VARIANCES \
    { {1, {3}}, PSAL_VALUES_POSITIVE, 0 }

static const psal_op_case batch_norm_cases[] = {
    {"image", batch_norm_case, 4, {IMAGE, CHANNELS, CHANNELS, VARIANCES}, false},
    {"matrix", batch_norm_case, 4, {MATRIX, CHANNELS, CHANNELS, VARIANCES}, false},
    {"mean and variance", batch_norm_moments_case, 4, {IMAGE, CHANNELS, CHANNELS, VARIANCES}, false},
};

const psal_op psal_op_batch_norm = {.inputs = 5,
                                    .infer = infer_like_x,
                                    .run_elements = batch_norm_run,
                                    .gradient = batch_norm_gradient,
                                    .in_place = 1,
                                    PSAL_CASES(batch_norm_cases)};
