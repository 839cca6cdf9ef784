/* The axes of a tensor in another order, and numbers of an axis by a list of places.
 *
 *   permute     y = x with axis axes[i] as its axis i       dx = permute(dy) with the inverse order
 *   gather      y[.., i, ..] = x[.., index[i], ..]          dx = scatter(dy)
 *   scatter     y[.., index[i], ..] += x[.., i, ..]         dx = gather(dy) */
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/permute.h"
#include "engine/op.h"

#define INPUT(...) \
    { PSAL_DIMS(__VA_ARGS__), PSAL_VALUES_NORMAL, 0 }

/* ---- permute ---- */

/* Whether each of 0 .. count-1 is there once. */
static bool is_order(const int *axes, int count) {
    unsigned seen = 0;
    for (int i = 0; i < count; i++) {
        if (axes[i] < 0 || axes[i] >= count || (seen >> axes[i] & 1)) return false;
        seen |= 1u << axes[i];
    }
    return true;
}

static psal_shape permuted(const psal_shape *x, const int *axes) {
    psal_shape y = {.ndim = x->ndim};
    for (int i = 0; i < x->ndim; i++) y.dim[i] = x->dim[axes[i]];
    return y;
}

/* Where only axes of length 1 change their places, no number does. */
psal_node psal_permute(psal_graph *graph, psal_node x, const int *axes, int count) {
    if (!psal_graph_has(graph, PSAL_OP_PERMUTE, 0, x)) return PSAL_NO_NODE;
    const psal_shape *s = psal_graph_shape(graph, x);
    char text[96];
    if (count != s->ndim || !is_order(axes, count))
        return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "permute of %s: needs each of its axes once",
                               psal_shape_format(s, text, sizeof text));
    psal_attributes attr = {.permute = {{0}}};
    bool moves = false;
    for (int i = 0, before = -1; i < count; i++) {
        attr.permute.axes[i] = axes[i];
        if (s->dim[axes[i]] == 1) continue;
        moves |= axes[i] < before;
        before = axes[i];
    }
    if (!moves) return psal_reshape(graph, x, permuted(s, axes));
    return psal_graph_add(graph, PSAL_OP_PERMUTE, &x, 1, &attr);
}

static void permute_infer(psal_graph *graph, psal_node_record *node) {
    node->shape = permuted(psal_graph_input_shape(graph, node, 0), node->attr.permute.axes);
}

/* Axes of length 1 are left out, and neighbours that stay neighbours are one axis. */
static void permute_run(const psal_op_call *c) {
    const psal_shape *x = c->in_shapes[0], *y = &c->node->shape;
    size_t x_stride[PSAL_MAX_DIMS], dim[PSAL_MAX_DIMS], stride[PSAL_MAX_DIMS], step = 1;
    int ndim = 0;
    for (int d = x->ndim - 1; d >= 0; step *= (size_t)x->dim[d--]) x_stride[d] = step;
    for (int d = 0; d < y->ndim; d++) {
        const size_t length = (size_t)y->dim[d], apart = x_stride[c->node->attr.permute.axes[d]];
        if (length == 1) continue;
        if (ndim > 0 && stride[ndim - 1] == length * apart) {
            dim[ndim - 1] *= length;
            stride[ndim - 1] = apart;
        } else {
            dim[ndim] = length;
            stride[ndim++] = apart;
        }
    }
    psal_kernel_permute(ndim, dim, stride, c->in[0], c->out, &c->parallel);
}

static void permute_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    int inverse[PSAL_MAX_DIMS];
    for (int i = 0; i < n.shape.ndim; i++) inverse[n.attr.permute.axes[i]] = i;
    if (wanted[0]) dx[0] = psal_permute(graph, dy, inverse, n.shape.ndim);
}

static void permute_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                          psal_box *in) {
    (void)graph, (void)input;
    for (int d = 0; d < node->shape.ndim; d++) {
        in->first[node->attr.permute.axes[d]] = out->first[d];
        in->last[node->attr.permute.axes[d]] = out->last[d];
    }
}

static psal_node transpose_case(psal_graph *g, const psal_node *in) {
    return psal_permute(g, in[0], (int[]){1, 0}, 2);
}
static psal_node to_channels_last_case(psal_graph *g, const psal_node *in) {
    return psal_permute(g, in[0], (int[]){0, 2, 3, 1}, 4);
}
static psal_node shuffle_case(psal_graph *g, const psal_node *in) {
    return psal_permute(g, in[0], (int[]){0, 2, 1, 3, 4}, 5);
}
static psal_node reverse_case(psal_graph *g, const psal_node *in) {
    return psal_permute(g, in[0], (int[]){4, 3, 2, 1, 0}, 5);
}
static psal_node heads_case(psal_graph *g, const psal_node *in) {
    return psal_permute(g, in[0], (int[]){2, 0, 3, 1, 4}, 5);
}
static psal_node linear_case(psal_graph *g, const psal_node *in) {
    return psal_linear(g, in[0], in[1], in[2]);
}
static const psal_op_case permute_cases[] = {
    {"transpose", transpose_case, 1, {INPUT(3, 4)}, false},
    {"transpose of more than a tile", transpose_case, 1, {INPUT(19, 3)}, false},
    {"channels last", to_channels_last_case, 1, {INPUT(2, 3, 2, 4)}, false},
    {"channel shuffle", shuffle_case, 1, {INPUT(2, 2, 3, 2, 1)}, false},
    {"reversed", reverse_case, 1, {INPUT(2, 1, 3, 2, 2)}, false},
    {"linear layer of positions", linear_case, 3, {INPUT(2, 3, 4), INPUT(5, 4), INPUT(5)}, false},
    {"attention heads", heads_case, 1, {INPUT(1, 3, 3, 2, 2)}, false},
};
const psal_op psal_op_permute = {.inputs = 1,
                                 .infer = permute_infer,
                                 .run = permute_run,
                                 .gradient = permute_gradient,
                                 .reach = permute_reach,
                                 PSAL_CASES(permute_cases)};

/* ---- gather and scatter: x is seen as `outer` blocks of rows of `inner` numbers along the axis ---- */

static psal_node add_indexed(psal_graph *graph, psal_op_kind op, psal_node x, psal_node index, int axis,
                             int64_t total) {
    psal_attributes attr = {.slice = {.axis = axis, .total = total}};
    return psal_graph_add(graph, op, (psal_node[]){x, index}, 2, &attr);
}

psal_node psal_gather(psal_graph *graph, psal_node x, int axis, const int64_t *index, int64_t count) {
    if (!psal_graph_has(graph, PSAL_OP_GATHER, 0, x)) return PSAL_NO_NODE;
    const psal_shape *s = psal_graph_shape(graph, x);
    char text[96];
    if (axis < 0 || axis >= s->ndim || count < 1)
        return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "gather of %lld from %s along axis %d", (long long)count,
                               psal_shape_format(s, text, sizeof text), axis);
    enum { MOST = 1 << 24 }; /* whole numbers that a float holds */
    if (s->dim[axis] > MOST)
        return psal_graph_fail(graph, PSAL_ERR_UNSUPPORTED, "gather along an axis of length %lld: the most is %d",
                               (long long)s->dim[axis], MOST);
    for (int64_t i = 0; i < count; i++)
        if (index[i] < 0 || index[i] >= s->dim[axis])
            return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "gather of number %lld of an axis of length %lld",
                                   (long long)index[i], (long long)s->dim[axis]);
    psal_real *places = malloc((size_t)count * sizeof *places);
    if (!places) return psal_graph_fail(graph, PSAL_ERR_MEMORY, "out of memory for %lld places", (long long)count);
    for (int64_t i = 0; i < count; i++) places[i] = (psal_real)index[i];
    psal_node list = psal_constant(graph, places, PSAL_SHAPE(count));
    free(places);
    return add_indexed(graph, PSAL_OP_GATHER, x, list, axis, 0);
}

static void indexed_infer(psal_graph *graph, psal_node_record *node) {
    const int axis = node->attr.slice.axis;
    node->shape = *psal_graph_input_shape(graph, node, 0);
    node->shape.dim[axis] = node->op == PSAL_OP_GATHER ? psal_graph_input_shape(graph, node, 1)->dim[0]
                                                       : node->attr.slice.total;
}

typedef struct blocks {
    size_t outer, inner; /* in numbers */
} blocks;

static blocks blocks_of(const psal_shape *s, int axis) {
    blocks b = {1, 1};
    for (int d = 0; d < s->ndim; d++)
        if (d != axis) *(d < axis ? &b.outer : &b.inner) *= (size_t)s->dim[d];
    return b;
}

static void gather_run(const psal_op_call *c) {
    const int axis = c->node->attr.slice.axis;
    const blocks b = blocks_of(&c->node->shape, axis);
    const size_t count = (size_t)c->node->shape.dim[axis], length = (size_t)c->in_shapes[0]->dim[axis];
    for (size_t block = 0; block < b.outer; block++)
        for (size_t i = 0; i < count; i++) {
            const psal_real *from = c->in[0] + (block * length + (size_t)c->in[1][i]) * b.inner;
            psal_real *to = c->out + (block * count + i) * b.inner;
            if (b.inner == 1)
                *to = *from;
            else
                memcpy(to, from, b.inner * sizeof *to);
        }
}

static void gather_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    const int axis = n.attr.slice.axis;
    if (wanted[0])
        dx[0] = add_indexed(graph, PSAL_OP_SCATTER, dy, n.inputs[1], axis,
                            psal_graph_shape(graph, n.inputs[0])->dim[axis]);
}

/* The places that the list names; where it is computed itself, all of them. */
static void gather_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                         psal_box *in) {
    const int axis = node->attr.slice.axis;
    if (input == 1) {
        in->first[0] = out->first[axis];
        in->last[0] = out->last[axis];
        return;
    }
    const psal_real *index = psal_graph_node(graph, node->inputs[1])->values;
    const psal_box all = *in;
    *in = *out;
    in->first[axis] = all.first[axis];
    in->last[axis] = all.last[axis];
    if (!index) return;
    in->first[axis] = in->last[axis] = (int64_t)index[out->first[axis]];
    for (int64_t i = out->first[axis]; i <= out->last[axis]; i++) {
        if ((int64_t)index[i] < in->first[axis]) in->first[axis] = (int64_t)index[i];
        if ((int64_t)index[i] > in->last[axis]) in->last[axis] = (int64_t)index[i];
    }
}

static psal_node gather_rows_case(psal_graph *g, const psal_node *in) {
    return psal_gather(g, in[0], 0, (int64_t[]){2, 0, 2, 1, 2}, 5);
}
static psal_node gather_columns_case(psal_graph *g, const psal_node *in) {
    return psal_gather(g, in[0], 1, (int64_t[]){3, 1}, 2);
}
static psal_node resize_case(psal_graph *g, const psal_node *in) {
    return psal_resize_nearest(g, in[0], 5, 4);
}
static const psal_op_case gather_cases[] = {{"rows, some twice", gather_rows_case, 1, {INPUT(3, 2, 2)}, false},
                                            {"columns", gather_columns_case, 1, {INPUT(2, 4)}, false},
                                            {"resized", resize_case, 1, {INPUT(1, 2, 2, 3)}, false}};
const psal_op psal_op_gather = {.inputs = 2,
                                .infer = indexed_infer,
                                .run = gather_run,
                                .gradient = gather_gradient,
                                .reach = gather_reach,
                                PSAL_CASES(gather_cases)};

static void scatter_run(const psal_op_call *c) {
    const int axis = c->node->attr.slice.axis;
    const blocks b = blocks_of(&c->node->shape, axis);
    const size_t length = (size_t)c->node->shape.dim[axis], count = (size_t)c->in_shapes[0]->dim[axis];
    memset(c->out, 0, b.outer * length * b.inner * sizeof *c->out);
    for (size_t block = 0; block < b.outer; block++)
        for (size_t i = 0; i < count; i++) {
            const psal_real *from = c->in[0] + (block * count + i) * b.inner;
            psal_real *to = c->out + (block * length + (size_t)c->in[1][i]) * b.inner;
            for (size_t k = 0; k < b.inner; k++) to[k] += from[k];
        }
}

static void scatter_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[0]) dx[0] = add_indexed(graph, PSAL_OP_GATHER, g, n.inputs[1], n.attr.slice.axis, 0);
}

static psal_node scatter_case(psal_graph *g, const psal_node *in) {
    const psal_real places[] = {3, 0, 3};
    return add_indexed(g, PSAL_OP_SCATTER, in[0], psal_constant(g, places, PSAL_SHAPE(3)), 1, 5);
}
static const psal_op_case scatter_cases[] = {{"one place twice", scatter_case, 1, {INPUT(2, 3, 2)}, false}};
const psal_op psal_op_scatter = {
    .inputs = 2, .infer = indexed_infer, .run = scatter_run, .gradient = scatter_gradient, PSAL_CASES(scatter_cases)};

/* ---- what is composed ---- */

/* The pixel of which every new one has the middle's left upper part: PyTorch's mode="nearest". */
static psal_node resize_axis(psal_graph *graph, psal_node x, int axis, int64_t length) {
    if (!psal_graph_has(graph, PSAL_OP_GATHER, 0, x)) return PSAL_NO_NODE;
    const int64_t have = psal_graph_shape(graph, x)->dim[axis];
    if (length == have) return x;
    if (length < 1 || length > INT32_MAX || have > INT32_MAX)
        return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "resize of an axis to the length %lld", (long long)length);
    int64_t *index = malloc((size_t)length * sizeof *index);
    if (!index) return psal_graph_fail(graph, PSAL_ERR_MEMORY, "out of memory for %lld places", (long long)length);
    for (int64_t i = 0; i < length; i++) index[i] = i * have / length;
    x = psal_gather(graph, x, axis, index, length);
    free(index);
    return x;
}

psal_node psal_resize_nearest(psal_graph *graph, psal_node x, int64_t out_height, int64_t out_width) {
    if (!psal_graph_has(graph, PSAL_OP_GATHER, 0, x)) return PSAL_NO_NODE;
    const psal_shape *s = psal_graph_shape(graph, x);
    char text[96];
    if (s->ndim != 4)
        return psal_graph_fail(graph, PSAL_ERR_SHAPE, "resize of %s: needs N,C,H,W",
                               psal_shape_format(s, text, sizeof text));
    return resize_axis(graph, resize_axis(graph, x, 2, out_height), 3, out_width);
}
