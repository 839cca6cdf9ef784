/* The rewrites (rewrite.h). Patterns are written as functions of their inputs. */
#include "engine/op_conv2d.h"
#include "engine/rewrite.h"

/* The node of `to` that has the value of n's input i. */
static psal_node input(const psal_rewriting *r, const psal_node_record *node, int i) {
    return r->made[node->inputs[i]];
}

/* ---- the mean over each filter of dw, without storing dw ----
 *
 *     group_mean_abs(conv2d_dw(x, dy))    ->    conv2d_dw_mean(x, dy)         also group_mean
 *
 * where the groups are the filters and nobody else reads the gradient. */
static psal_node filter_mean(const psal_rewriting *r, psal_node n) {
    const psal_node_record *mean = psal_rewrite_node(r, n);
    if (mean->op != PSAL_OP_GROUP_MEAN && mean->op != PSAL_OP_GROUP_MEAN_ABS) return PSAL_NO_NODE;
    const psal_node_record *dw = psal_rewrite_node(r, mean->inputs[0]);
    if (dw->op != PSAL_OP_CONV2D_DW || mean->attr.group.groups != dw->shape.dim[0] ||
        !psal_rewrite_read_once(r, mean->inputs[0]))
        return PSAL_NO_NODE;
    const psal_conv2d_options o = psal_conv2d_shape_to_options(&dw->attr.conv2d);
    const bool is_signed = mean->op == PSAL_OP_GROUP_MEAN;
    return psal_conv2d_weight_gradient_mean(r->to, input(r, dw, 0), input(r, dw, 1), dw->shape, &o, is_signed);
}

/* ---- ternary filters: -1, 0 and 1, each filter times a number ----
 *
 *     conv2d_dy(x, group_ternary_spread(codes, scale))    ->    conv2d_ternary(x, codes, scale)
 *     conv2d_dx(dy, group_ternary_spread(codes, scale))   ->    conv2d_ternary_dx(dy, codes, scale)
 *
 * where the processor has a faster algorithm for ternary filters than for any. */
static psal_node ternary_filters(const psal_rewriting *r, psal_node n) {
    const psal_node_record *conv = psal_rewrite_node(r, n);
    if (conv->op != PSAL_OP_CONV2D_DY && conv->op != PSAL_OP_CONV2D_DX) return PSAL_NO_NODE;
    const psal_node_record *spread = psal_rewrite_node(r, conv->inputs[1]);
    const psal_conv2d_shape *s = &conv->attr.conv2d;
    if (spread->op != PSAL_OP_GROUP_TERNARY_SPREAD ||
        psal_graph_shape(r->from, spread->inputs[1])->dim[0] != s->out_channels ||
        !psal_conv2d_takes_ternary(s, r->conv.processor))
        return PSAL_NO_NODE;
    const psal_conv2d_options o = psal_conv2d_shape_to_options(s);
    const psal_node of = input(r, conv, 0), codes = input(r, spread, 0), scale = input(r, spread, 1);
    if (conv->op == PSAL_OP_CONV2D_DY) return psal_conv2d_ternary(r->to, of, codes, scale, spread->shape, &o);
    return psal_conv2d_ternary_input_gradient(r->to, of, codes, scale, spread->shape, conv->shape, &o);
}

/* ---- the sum of the gradients of adjacent slices ----
 *
 *     add(unslice(a), unslice(b))    ->    unslice(concat(a, b))         concat(a, b) where they are the whole
 *
 * where b begins where a ends. So the gradients of many slices become one concatenation, two by two. */
static psal_node adjacent_parts(const psal_rewriting *r, psal_node n) {
    const psal_node_record *sum = psal_rewrite_node(r, n);
    if (sum->op != PSAL_OP_ADD) return PSAL_NO_NODE;
    psal_node_record x = *psal_graph_node(r->to, input(r, sum, 0)), y = *psal_graph_node(r->to, input(r, sum, 1));
    if (x.op != PSAL_OP_UNSLICE || y.op != PSAL_OP_UNSLICE || x.attr.slice.axis != y.attr.slice.axis)
        return PSAL_NO_NODE;
    if (x.attr.slice.offset > y.attr.slice.offset) {
        const psal_node_record later = x;
        x = y;
        y = later;
    }
    const int axis = x.attr.slice.axis;
    const int64_t offset = x.attr.slice.offset, total = x.shape.dim[axis];
    const int64_t x_length = psal_graph_shape(r->to, x.inputs[0])->dim[axis];
    const int64_t length = x_length + psal_graph_shape(r->to, y.inputs[0])->dim[axis];
    if (offset + x_length != y.attr.slice.offset) return PSAL_NO_NODE;
    psal_node joined = psal_concat(r->to, (psal_node[]){x.inputs[0], y.inputs[0]}, 2, axis);
    return length == total ? joined : psal_unslice(r->to, joined, axis, offset, total);
}

/* ---- the maximum first, then the ReLU ----
 *
 * With r = relu(x), i = max_pool2d_index(r) and y = relu(pool_gather(x, i)), where i is the index of x from now on:
 *
 *     pool_gather(r, i)                       ->    y                                    max pooling
 *     relu_mask(pool_scatter(dy, i), r)       ->    pool_scatter(relu_mask(dy, y), i)    its gradient
 *     pool_gather(relu_mask(g, r), i)         ->    relu_mask(pool_gather(g, i), y)      the gradient of that
 *
 * where all readers of r and i have these forms. The ReLU is then taken of the pooled values only, and r is not kept. A
 * window with a value above 0 has its maximum at the same place in x and in r; in others i may differ, but all three
 * give 0. */

/* pool_gather(r, i) */
static bool is_pooled(const psal_rewriting *rw, psal_node n, psal_node r, psal_node i) {
    const psal_node_record *node = psal_rewrite_node(rw, n);
    return node->op == PSAL_OP_POOL_GATHER && node->inputs[0] == r && node->inputs[1] == i;
}

/* relu_mask(pool_scatter(dy, i), r) */
static bool is_masked_scatter(const psal_rewriting *rw, psal_node n, psal_node r, psal_node i) {
    const psal_node_record *mask = psal_rewrite_node(rw, n);
    if (mask->op != PSAL_OP_RELU_MASK || mask->inputs[1] != r) return false;
    const psal_node_record *scatter = psal_rewrite_node(rw, mask->inputs[0]);
    return scatter->op == PSAL_OP_POOL_SCATTER && scatter->inputs[1] == i;
}

/* pool_gather(relu_mask(g, r), i) */
static bool is_gathered_mask(const psal_rewriting *rw, psal_node n, psal_node r, psal_node i) {
    const psal_node_record *gather = psal_rewrite_node(rw, n);
    if (gather->op != PSAL_OP_POOL_GATHER || gather->inputs[1] != i) return false;
    const psal_node_record *mask = psal_rewrite_node(rw, gather->inputs[0]);
    return mask->op == PSAL_OP_RELU_MASK && mask->inputs[1] == r;
}

static psal_node only_reader(const psal_rewriting *rw, psal_node n) {
    return psal_rewrite_read_once(rw, n) ? rw->readers.list[rw->readers.begin[n]] : PSAL_NO_NODE;
}

/* Whether all readers of r and i have these forms, and the values between are read by them alone; *pooled: the first
 * pool_gather(r, i) */
static bool pools_first(const psal_rewriting *rw, psal_node r, psal_node i, psal_node *pooled) {
    const psal_readers *readers = &rw->readers;
    const psal_node_record *index = psal_rewrite_node(rw, i);
    if (psal_rewrite_node(rw, r)->op != PSAL_OP_RELU || index->op != PSAL_OP_MAX_POOL2D_INDEX ||
        index->inputs[0] != r || rw->is_output[r] || rw->is_output[i] || readers->begin[i] == readers->begin[i + 1])
        return false;
    *pooled = readers->list[readers->begin[i]];
    if (!is_pooled(rw, *pooled, r, i)) return false;
    for (int k = readers->begin[i]; k < readers->begin[i + 1]; k++) {
        const psal_node n = readers->list[k], after = only_reader(rw, n);
        if (!is_pooled(rw, n, r, i) && !is_gathered_mask(rw, n, r, i) &&
            (after == PSAL_NO_NODE || !is_masked_scatter(rw, after, r, i)))
            return false;
    }
    for (int k = readers->begin[r]; k < readers->begin[r + 1]; k++) {
        const psal_node n = readers->list[k], after = only_reader(rw, n);
        if (n != i && !is_pooled(rw, n, r, i) && !is_masked_scatter(rw, n, r, i) &&
            (after == PSAL_NO_NODE || !is_gathered_mask(rw, after, r, i)))
            return false;
    }
    return true;
}

static psal_node maximum_before_relu(const psal_rewriting *rw, psal_node n) {
    const psal_node_record *node = psal_rewrite_node(rw, n);
    psal_node pooled;
    if (node->op == PSAL_OP_MAX_POOL2D_INDEX) {
        const psal_node r = node->inputs[0];
        if (!pools_first(rw, r, n, &pooled)) return PSAL_NO_NODE;
        return psal_graph_add(rw->to, node->op, (psal_node[]){input(rw, psal_rewrite_node(rw, r), 0)}, 1, &node->attr);
    }
    if (node->op == PSAL_OP_POOL_GATHER) {
        const psal_node_record *index = psal_rewrite_node(rw, node->inputs[1]);
        if (index->op != PSAL_OP_MAX_POOL2D_INDEX || !pools_first(rw, index->inputs[0], node->inputs[1], &pooled))
            return PSAL_NO_NODE;
        const psal_node_record *before = psal_rewrite_node(rw, node->inputs[0]); /* r, or relu_mask(g, r) */
        const psal_node gathered = psal_pool_gather(rw->to, input(rw, before, 0), input(rw, node, 1));
        return before->op == PSAL_OP_RELU ? psal_relu(rw->to, gathered)
                                          : psal_relu_mask(rw->to, gathered, rw->made[pooled]);
    }
    if (node->op == PSAL_OP_RELU_MASK) {
        const psal_node_record *scatter = psal_rewrite_node(rw, node->inputs[0]);
        if (scatter->op != PSAL_OP_POOL_SCATTER || !pools_first(rw, node->inputs[1], scatter->inputs[1], &pooled) ||
            !is_masked_scatter(rw, n, node->inputs[1], scatter->inputs[1]))
            return PSAL_NO_NODE;
        psal_graph_share_layer(rw->to, scatter->layer);
        const psal_node masked = psal_relu_mask(rw->to, input(rw, scatter, 0), rw->made[pooled]);
        return psal_pool_scatter(rw->to, masked, input(rw, scatter, 1), scatter->shape);
    }
    return PSAL_NO_NODE;
}

const struct psal_rewrite_rule psal_rewrite_rules[] = {
    {PSAL_REWRITE_MAXIMUM_BEFORE_RELU, maximum_before_relu},
    {PSAL_REWRITE_ADJACENT_PARTS, adjacent_parts},
    {PSAL_REWRITE_FILTER_MEAN, filter_mean},
    {PSAL_REWRITE_TERNARY_FILTERS, ternary_filters},
};
const int psal_rewrite_rule_count = sizeof psal_rewrite_rules / sizeof *psal_rewrite_rules;
