/* Concatenation, slicing, padding, reshaping: linear maps that only move numbers. slice's rule is unslice, and back. */
#include <string.h>

#include "engine/op.h"

/* A tensor seen along one axis: `outer` blocks of `length` rows of `inner` numbers. */
static size_t outer_size(const psal_shape *s, int axis) {
    size_t n = 1;
    for (int i = 0; i < axis; i++) n *= (size_t)s->dim[i];
    return n;
}

static size_t inner_size(const psal_shape *s, int axis) {
    size_t n = 1;
    for (int i = axis + 1; i < s->ndim; i++) n *= (size_t)s->dim[i];
    return n;
}

/* to[b * to_stride + i] = from[b * from_stride + i] for i < count: `blocks` runs of contiguous numbers */
static void copy_blocks(size_t blocks, size_t count, const psal_real *from, size_t from_stride, psal_real *to,
                        size_t to_stride) {
    for (size_t b = 0; b < blocks; b++) memcpy(to + b * to_stride, from + b * from_stride, count * sizeof *to);
}

static bool check_axis(psal_graph *graph, const psal_node_record *node, const psal_shape *x) {
    int axis = node->attr.slice.axis;
    char text[96];
    if (axis >= 0 && axis < x->ndim) return true;
    psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "%s of %s along axis %d", psal_op_kind_name(node->op),
                    psal_shape_format(x, text, sizeof text), axis);
    return false;
}

/* ---- concat ---- */

psal_node psal_concat(psal_graph *graph, const psal_node *parts, int count, int axis) {
    psal_attributes attr = {.slice = {.axis = axis}};
    if (psal_graph_check(graph, NULL) == PSAL_OK && count < 1)
        return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "concat of nothing");
    return psal_graph_add(graph, PSAL_OP_CONCAT, parts, count, &attr);
}

static void concat_infer(psal_graph *graph, psal_node_record *node) {
    psal_shape out = *psal_graph_input_shape(graph, node, 0);
    if (!check_axis(graph, node, &out)) return;
    int axis = node->attr.slice.axis;
    for (int i = 1; i < node->input_count; i++) {
        const psal_shape *part = psal_graph_input_shape(graph, node, i);
        psal_shape expected = out;
        if (part->ndim == out.ndim) expected.dim[axis] = part->dim[axis];
        if (!psal_shape_equal(part, &expected)) {
            char a[96], b[96];
            psal_graph_fail(graph, PSAL_ERR_SHAPE, "concat along axis %d: part %d is %s beside %s", axis, i,
                            psal_shape_format(part, a, sizeof a), psal_shape_format(&out, b, sizeof b));
            return;
        }
        out.dim[axis] += part->dim[axis];
    }
    node->shape = out;
}

static void concat_run(const psal_op_call *c) {
    int axis = c->node->attr.slice.axis;
    size_t inner = inner_size(&c->node->shape, axis), outer = outer_size(&c->node->shape, axis);
    size_t stride = (size_t)c->node->shape.dim[axis] * inner, offset = 0;
    for (int i = 0; i < c->node->input_count; i++) {
        size_t count = (size_t)c->in_shapes[i]->dim[axis] * inner;
        if (c->in[i] != c->out + offset) /* else it lies there (plan_layout.c) */
            copy_blocks(outer, count, c->in[i], count, c->out + offset, stride);
        offset += count;
    }
}

static void concat_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    int64_t offset = 0;
    for (int i = 0; i < n.input_count; i++) {
        int64_t length = psal_graph_shape(graph, n.inputs[i])->dim[n.attr.slice.axis];
        if (wanted[i]) dx[i] = psal_slice(graph, dy, n.attr.slice.axis, offset, length);
        offset += length;
    }
}

/* in's places along `axis` are out's less `offset`, as far as there are any: 0 .. length - 1. */
static void reach_moved(const psal_box *out, psal_box *in, int axis, int64_t offset, int64_t length) {
    *in = *out;
    in->first[axis] -= offset;
    in->last[axis] -= offset;
    if (in->first[axis] < 0) in->first[axis] = 0;
    if (in->last[axis] > length - 1) in->last[axis] = length - 1;
}

static void concat_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                         psal_box *in) {
    const int axis = node->attr.slice.axis;
    int64_t offset = 0;
    for (int i = 0; i < input; i++) offset += psal_graph_input_shape(graph, node, i)->dim[axis];
    reach_moved(out, in, axis, offset, psal_graph_input_shape(graph, node, input)->dim[axis]);
}

#define IMAGE(c) \
    { {4, {2, c, 2, 3}}, PSAL_VALUES_NORMAL, 0 }
#define VECTOR(n) \
    { {1, {n}}, PSAL_VALUES_NORMAL, 0 }

static psal_node concat_channels_case(psal_graph *g, const psal_node *in) {
    return psal_concat(g, in, 3, 1);
}
static psal_node concat_twice_case(psal_graph *g, const psal_node *in) {
    return psal_concat(g, (psal_node[]){in[0], in[1], in[0]}, 3, 0);
}
static const psal_op_case concat_cases[] = {
    {"channels", concat_channels_case, 3, {IMAGE(2), IMAGE(1), IMAGE(3)}, false},
    {"beside a constant",
     concat_channels_case,
     3,
     {{{4, {2, 2, 2, 3}}, PSAL_VALUES_FIXED, 0}, IMAGE(1), IMAGE(3)},
     false},
    {"vectors, one of them twice", concat_twice_case, 2, {VECTOR(3), VECTOR(2)}, false},
};

const psal_op psal_op_concat = {.inputs = PSAL_VARIADIC,
                                .infer = concat_infer,
                                .run = concat_run,
                                .gradient = concat_gradient,
                                .reach = concat_reach,
                                PSAL_CASES(concat_cases)};

/* ---- slice ---- */

psal_node psal_slice(psal_graph *graph, psal_node x, int axis, int64_t offset, int64_t length) {
    psal_attributes attr = {.slice = {.axis = axis, .offset = offset, .total = length}};
    return psal_graph_add(graph, PSAL_OP_SLICE, &x, 1, &attr);
}

static void slice_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    if (!check_axis(graph, node, x)) return;
    int axis = node->attr.slice.axis;
    int64_t offset = node->attr.slice.offset, length = node->attr.slice.total, have = x->dim[axis];
    if (offset < 0 || length < 1 || offset > have || length > have - offset) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "slice of length %lld at %lld of an axis of length %lld",
                        (long long)length, (long long)offset, (long long)have);
        return;
    }
    node->shape = *x;
    node->shape.dim[axis] = length;
}

static void slice_run(const psal_op_call *c) {
    int axis = c->node->attr.slice.axis;
    size_t inner = inner_size(&c->node->shape, axis), count = (size_t)c->node->shape.dim[axis] * inner;
    const psal_real *from = c->in[0] + (size_t)c->node->attr.slice.offset * inner;
    if (c->out == from) return; /* it lies there (plan_layout.c) */
    copy_blocks(outer_size(&c->node->shape, axis), count, from, (size_t)c->in_shapes[0]->dim[axis] * inner, c->out,
                count);
}

static void slice_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    int axis = n.attr.slice.axis;
    int64_t total = psal_graph_shape(graph, n.inputs[0])->dim[axis];
    if (wanted[0]) dx[0] = psal_unslice(graph, dy, axis, n.attr.slice.offset, total);
}

static void slice_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                        psal_box *in) {
    const int axis = node->attr.slice.axis;
    reach_moved(out, in, axis, -node->attr.slice.offset, psal_graph_input_shape(graph, node, input)->dim[axis]);
}

static psal_node slice_case(psal_graph *g, const psal_node *in) {
    return psal_slice(g, in[0], 1, 1, 2);
}
static psal_node slice_vector_case(psal_graph *g, const psal_node *in) {
    return psal_slice(g, in[0], 0, 2, 3);
}
/* Slices beside each other, whose gradients a rewrite joins. */
static psal_node slices_case(psal_graph *g, const psal_node *in) {
    psal_node product = psal_mul(g, psal_slice(g, in[0], 1, 0, 2), psal_slice(g, in[0], 1, 2, 2));
    return psal_mul(g, product, psal_slice(g, in[0], 1, 4, 2));
}
static psal_node few_slices_case(psal_graph *g, const psal_node *in) {
    psal_node product = psal_mul(g, psal_slice(g, in[0], 1, 3, 1), psal_slice(g, in[0], 1, 2, 1));
    return psal_mul(g, product, psal_slice(g, in[0], 1, 0, 1));
}
static const psal_op_case slice_cases[] = {{"channels", slice_case, 1, {IMAGE(4)}, false},
                                           {"end of a vector", slice_vector_case, 1, {VECTOR(5)}, false},
                                           {"all channels in three slices", slices_case, 1, {IMAGE(6)}, false},
                                           {"some channels in three slices", few_slices_case, 1, {IMAGE(5)}, false}};

const psal_op psal_op_slice = {.inputs = 1,
                               .infer = slice_infer,
                               .run = slice_run,
                               .gradient = slice_gradient,
                               .reach = slice_reach,
                               PSAL_CASES(slice_cases)};

/* ---- unslice: zeros, with dy at [offset, offset + its length) ---- */

psal_node psal_unslice(psal_graph *graph, psal_node dy, int axis, int64_t offset, int64_t total) {
    psal_attributes attr = {.slice = {.axis = axis, .offset = offset, .total = total}};
    return psal_graph_add(graph, PSAL_OP_UNSLICE, &dy, 1, &attr);
}

static void unslice_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *dy = psal_graph_input_shape(graph, node, 0);
    if (!check_axis(graph, node, dy)) return;
    int axis = node->attr.slice.axis;
    int64_t offset = node->attr.slice.offset, total = node->attr.slice.total, length = dy->dim[axis];
    if (offset < 0 || offset > total || length > total - offset) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "unslice of length %lld at %lld into %lld", (long long)length,
                        (long long)offset, (long long)total);
        return;
    }
    node->shape = *dy;
    node->shape.dim[axis] = total;
}

static void unslice_run(const psal_op_call *c) {
    int axis = c->node->attr.slice.axis;
    size_t inner = inner_size(&c->node->shape, axis), outer = outer_size(&c->node->shape, axis);
    size_t count = (size_t)c->in_shapes[0]->dim[axis] * inner, stride = (size_t)c->node->shape.dim[axis] * inner;
    size_t before = (size_t)c->node->attr.slice.offset * inner, after = stride - before - count;
    for (size_t b = 0; b < outer; b++) {
        psal_real *to = c->out + b * stride;
        memset(to, 0, before * sizeof *to);
        memcpy(to + before, c->in[0] + b * count, count * sizeof *to);
        memset(to + before + count, 0, after * sizeof *to);
    }
}

static void unslice_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    int axis = n.attr.slice.axis;
    if (wanted[0])
        dx[0] = psal_slice(graph, g, axis, n.attr.slice.offset, psal_graph_shape(graph, n.inputs[0])->dim[axis]);
}

psal_node psal_pad(psal_graph *graph, psal_node x, const int64_t *before, const int64_t *after) {
    if (!psal_graph_has(graph, PSAL_OP_UNSLICE, 0, x)) return PSAL_NO_NODE;
    const psal_shape s = *psal_graph_shape(graph, x);
    const int64_t most = INT32_MAX;
    for (int d = 0; d < s.ndim; d++) {
        if (before[d] < -most || before[d] > most || after[d] < -most || after[d] > most || s.dim[d] > most)
            return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "padding of axis %d by %lld and %lld", d,
                                   (long long)before[d], (long long)after[d]);
        const int64_t cut = before[d] < 0 ? -before[d] : 0, cut_after = after[d] < 0 ? -after[d] : 0;
        const int64_t kept = s.dim[d] - cut - cut_after, offset = before[d] > 0 ? before[d] : 0;
        const int64_t total = s.dim[d] + before[d] + after[d];
        if (kept != s.dim[d]) x = psal_slice(graph, x, d, cut, kept);
        if (total != kept) x = psal_unslice(graph, x, d, offset, total);
    }
    return x;
}

static void unslice_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                          psal_box *in) {
    const int axis = node->attr.slice.axis;
    reach_moved(out, in, axis, node->attr.slice.offset, psal_graph_input_shape(graph, node, input)->dim[axis]);
}

static psal_node unslice_case(psal_graph *g, const psal_node *in) {
    return psal_unslice(g, in[0], 1, 1, 4);
}
static psal_node pad_case(psal_graph *g, const psal_node *in) {
    return psal_pad(g, in[0], (int64_t[]){0, 0, 1, -1}, (int64_t[]){0, 0, 0, 2});
}
static const psal_op_case unslice_cases[] = {{"channels", unslice_case, 1, {IMAGE(2)}, false},
                                             {"padded and cut", pad_case, 1, {IMAGE(2)}, false}};

const psal_op psal_op_unslice = {.inputs = 1,
                                 .infer = unslice_infer,
                                 .run = unslice_run,
                                 .gradient = unslice_gradient,
                                 .reach = unslice_reach,
                                 PSAL_CASES(unslice_cases)};

/* ---- reshape ---- */

psal_node psal_reshape(psal_graph *graph, psal_node x, psal_shape shape) {
    psal_attributes attr = {.result = {.shape = shape}};
    return psal_graph_add(graph, PSAL_OP_RESHAPE, &x, 1, &attr);
}

psal_node psal_flatten(psal_graph *graph, psal_node x) {
    if (!psal_graph_has(graph, PSAL_OP_RESHAPE, 0, x)) return PSAL_NO_NODE;
    const psal_shape *s = psal_graph_shape(graph, x);
    if (s->ndim < 1) return psal_graph_fail(graph, PSAL_ERR_SHAPE, "flatten of a scalar");
    return psal_reshape(graph, x, PSAL_SHAPE(s->dim[0], psal_shape_count(s) / s->dim[0]));
}

static void reshape_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0), *out = &node->attr.result.shape;
    if (psal_shape_count(x) != psal_shape_count(out)) {
        char a[96], b[96];
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "reshape of %s to %s", psal_shape_format(x, a, sizeof a),
                        psal_shape_format(out, b, sizeof b));
    }
    node->shape = *out;
}

static void reshape_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_reshape(graph, dy, *psal_graph_shape(graph, x));
}

/* Axes of both shapes meet in groups of as many numbers: one and one as a rule, several where axes are joined or split.
 * In a group, from the first to the last number: the leading axes that both have in common are exact, the rest is
 * all. */
static void reshape_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                          psal_box *in) {
    const psal_shape *x = psal_graph_input_shape(graph, node, input), *y = &node->shape;
    for (int i = 0, j = 0; i < x->ndim && j < y->ndim;) {
        const int x_first = i, y_first = j;
        int64_t numbers = x->dim[i++], others = y->dim[j++], first = 0, last = 0;
        while (numbers != others)
            if (numbers < others)
                numbers *= x->dim[i++];
            else
                others *= y->dim[j++];
        for (int d = y_first; d < j; d++) {
            first = first * y->dim[d] + out->first[d];
            last = last * y->dim[d] + out->last[d];
        }
        for (int d = x_first; d < i; d++) {
            numbers /= x->dim[d];
            in->first[d] = first / numbers;
            in->last[d] = last / numbers;
            if (in->first[d] != in->last[d]) break;
            first %= numbers;
            last %= numbers;
        }
    }
}

static psal_node reshape_case(psal_graph *g, const psal_node *in) {
    return psal_flatten(g, in[0]);
}
static const psal_op_case reshape_cases[] = {{"flatten", reshape_case, 1, {IMAGE(2)}, false}};

const psal_op psal_op_reshape = {.inputs = 1,
                                 .infer = reshape_infer,
                                 .gradient = reshape_gradient,
                                 .reach = reshape_reach,
                                 .is_view = true,
                                 PSAL_CASES(reshape_cases)};
