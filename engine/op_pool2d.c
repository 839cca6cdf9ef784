/* Pooling over the last two dimensions.
 *
 * Max pooling is where-is-the-maximum (an index, not differentiable) followed by a gather; gather and scatter are each
 * other's rule. Average pooling and its spread are each other's rule; so are the adaptive ones. */
#include "engine/kernels/pool2d.h"
#include "engine/op.h"

static bool is_image(psal_graph *graph, psal_op_kind op, const psal_shape *x) {
    char text[96];
    if (x->ndim == 4 && x->dim[2] <= 32768 && x->dim[3] <= 32768) return true;
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s: needs N x C x H x W", psal_op_kind_name(op),
                    psal_shape_format(x, text, sizeof text));
    return false;
}

/* Output size of one axis (PyTorch's rule): in ceil mode the last window must start inside the image or its left
 * padding. */
static int extent(int size, int kernel, int stride, int padding, bool ceil_mode) {
    int span = size + 2 * padding - kernel + (ceil_mode ? stride - 1 : 0);
    if (span < 0) return 0;
    int count = span / stride + 1;
    if (ceil_mode && (count - 1) * stride >= size + padding) count--;
    return count;
}

static bool complete(psal_graph *graph, psal_op_kind op, psal_pool2d_shape *s, const psal_shape *x) {
    if (!is_image(graph, op, x)) return false;
    const char *what = psal_op_kind_name(op);
    if (s->kernel_height < 1 || s->kernel_width < 1 || s->stride_height < 1 || s->stride_width < 1 ||
        s->padding_height < 0 || s->padding_width < 0 || s->padding_height > s->kernel_height / 2 ||
        s->padding_width > s->kernel_width / 2) {
        psal_graph_fail(graph, PSAL_ERR_ARGUMENT,
                        "%s with kernel %dx%d, stride %dx%d, padding %dx%d: padding may be half the kernel at most",
                        what, s->kernel_height, s->kernel_width, s->stride_height, s->stride_width, s->padding_height,
                        s->padding_width);
        return false;
    }
    s->planes = (size_t)(x->dim[0] * x->dim[1]);
    s->in_height = (int)x->dim[2];
    s->in_width = (int)x->dim[3];
    s->out_height = extent(s->in_height, s->kernel_height, s->stride_height, s->padding_height, s->ceil_mode);
    s->out_width = extent(s->in_width, s->kernel_width, s->stride_width, s->padding_width, s->ceil_mode);
    if (s->out_height < 1 || s->out_width < 1) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s: the window %dx%d does not fit into the image %dx%d", what,
                        s->kernel_height, s->kernel_width, s->in_height, s->in_width);
        return false;
    }
    return true;
}

static psal_attributes attributes(const psal_pool2d_options *o) {
    psal_pool2d_shape s = {.kernel_height = o->kernel_height,
                           .kernel_width = o->kernel_width,
                           .stride_height = o->stride_height ? o->stride_height : o->kernel_height,
                           .stride_width = o->stride_width ? o->stride_width : o->kernel_width,
                           .padding_height = o->padding_height,
                           .padding_width = o->padding_width,
                           .ceil_mode = o->ceil_mode,
                           .exclude_padding = o->exclude_padding};
    return (psal_attributes){.pool2d = s};
}

static psal_pool2d_options options_of(const psal_pool2d_shape *s) {
    return (psal_pool2d_options){s->kernel_height,  s->kernel_width,  s->stride_height, s->stride_width,
                                 s->padding_height, s->padding_width, s->ceil_mode,     s->exclude_padding};
}

static void infer_pooled(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    if (complete(graph, node->op, &node->attr.pool2d, x))
        node->shape = PSAL_SHAPE(x->dim[0], x->dim[1], node->attr.pool2d.out_height, node->attr.pool2d.out_width);
}

/* dy must have the pooled shape of attr, whose sizes the builder completed from the image's shape. */
static bool check_dy(psal_graph *graph, const psal_node_record *node, const psal_shape *dy, const psal_shape *x) {
    const psal_pool2d_shape *s = &node->attr.pool2d;
    char a[96], b[96];
    if (dy->ndim == 4 && dy->dim[0] == x->dim[0] && dy->dim[1] == x->dim[1] && dy->dim[2] == s->out_height &&
        dy->dim[3] == s->out_width)
        return true;
    psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s of %s into %s", psal_op_kind_name(node->op),
                    psal_shape_format(dy, a, sizeof a), psal_shape_format(x, b, sizeof b));
    return false;
}

/* The windows of a pooling of this shape. */
static void reach_windows(const psal_pool2d_shape *s, const psal_box *out, psal_box *in) {
    *in = *out;
    psal_box_windows(out, in, 2, s->in_height, s->kernel_height, s->stride_height, s->padding_height, 1);
    psal_box_windows(out, in, 3, s->in_width, s->kernel_width, s->stride_width, s->padding_width, 1);
}

static void pooled_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                         psal_box *in) {
    (void)graph, (void)input;
    reach_windows(&node->attr.pool2d, out, in);
}

static const psal_pool2d_options overlapping = {3, 3, 2, 2, 1, 1, false, false},
                                 uneven = {2, 3, 1, 2, 1, 0, false, false},
                                 rounded_up = {3, 3, 2, 2, 0, 0, true, false},
                                 padded_ceil = {3, 3, 2, 2, 1, 1, true, true};

#define IMAGE(h, w) \
    { {4, {2, 2, h, w}}, PSAL_VALUES_NORMAL, 0 }
#define DISTINCT(h, w) \
    { {4, {2, 2, h, w}}, PSAL_VALUES_DISTINCT, 0 }
#define INDEX(h, w, limit) \
    { {4, {2, 2, h, w}}, PSAL_VALUES_CLASSES, limit }

/* ---- max pooling ---- */

psal_node psal_max_pool2d(psal_graph *graph, psal_node x, const psal_pool2d_options *options) {
    return psal_pool_gather(graph, x, psal_max_pool2d_index(graph, x, options));
}

psal_node psal_max_pool2d_index(psal_graph *graph, psal_node x, const psal_pool2d_options *options) {
    psal_attributes attr = attributes(options);
    return psal_graph_add(graph, PSAL_OP_MAX_POOL2D_INDEX, &x, 1, &attr);
}

static void max_index_run(const psal_op_call *c) {
    psal_kernel_max_pool2d_index(&c->node->attr.pool2d, c->in[0], c->out, c->also, &c->parallel);
}

static psal_node index_case(psal_graph *g, const psal_node *in) {
    return psal_max_pool2d_index(g, in[0], &overlapping);
}
static psal_node index_ceil_case(psal_graph *g, const psal_node *in) {
    return psal_max_pool2d_index(g, in[0], &rounded_up);
}
static const psal_op_case max_index_cases[] = {{"3x3, stride 2, padded", index_case, 1, {DISTINCT(5, 6)}, true},
                                               {"rounded up", index_ceil_case, 1, {DISTINCT(6, 5)}, true}};

const psal_op psal_op_max_pool2d_index = {.inputs = 1,
                                          .infer = infer_pooled,
                                          .run = max_index_run,
                                          .reach = pooled_reach,
                                          .not_differentiable = "an index",
                                          PSAL_CASES(max_index_cases)};

psal_node psal_pool_gather(psal_graph *graph, psal_node x, psal_node index) {
    return psal_graph_add(graph, PSAL_OP_POOL_GATHER, (psal_node[]){x, index}, 2, NULL);
}

static void gather_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0), *index = psal_graph_input_shape(graph, node, 1);
    char a[96], b[96];
    if (!is_image(graph, node->op, x)) return;
    if (index->ndim != 4 || index->dim[0] != x->dim[0] || index->dim[1] != x->dim[1])
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "pool_gather of %s by an index of %s", psal_shape_format(x, a, sizeof a),
                        psal_shape_format(index, b, sizeof b));
    node->shape = *index;
}

static size_t planes(const psal_shape *s) {
    return (size_t)(s->dim[0] * s->dim[1]);
}

static size_t pixels(const psal_shape *s) {
    return (size_t)(s->dim[2] * s->dim[3]);
}

static void gather_run(const psal_op_call *c) {
    const psal_shape *x = c->in_shapes[0];
    psal_kernel_pool_gather(planes(x), pixels(x), pixels(&c->node->shape), c->in[0], c->in[1], c->out, &c->parallel);
}

static void gather_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    if (wanted[0]) dx[0] = psal_pool_scatter(graph, dy, n.inputs[1], *psal_graph_shape(graph, n.inputs[0]));
}

/* The index of a maximum lies in its window; any other may lie anywhere in its plane. */
static void gather_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                         psal_box *in) {
    const psal_node_record *index = psal_graph_node(graph, node->inputs[1]);
    const psal_box plane = *in;
    *in = *out;
    if (input == 1) return;
    if (index->op == PSAL_OP_MAX_POOL2D_INDEX) {
        reach_windows(&index->attr.pool2d, out, in);
        return;
    }
    for (int d = 2; d < 4; d++) {
        in->first[d] = plane.first[d];
        in->last[d] = plane.last[d];
    }
}

static psal_node gather_case(psal_graph *g, const psal_node *in) {
    return psal_pool_gather(g, in[0], in[1]);
}
static psal_node max_case(psal_graph *g, const psal_node *in) {
    return psal_max_pool2d(g, in[0], &overlapping);
}
static psal_node max_uneven_case(psal_graph *g, const psal_node *in) {
    return psal_max_pool2d(g, in[0], &uneven);
}
static const psal_op_case gather_cases[] = {
    {"by index", gather_case, 2, {IMAGE(3, 4), INDEX(2, 3, 12)}, false},
    {"max pooling 3x3, stride 2, padded", max_case, 1, {DISTINCT(5, 6)}, false},
    {"max pooling 2x3, uneven", max_uneven_case, 1, {DISTINCT(4, 7)}, false},
};

const psal_op psal_op_pool_gather = {.inputs = 2,
                                     .infer = gather_infer,
                                     .run = gather_run,
                                     .gradient = gather_gradient,
                                     .reach = gather_reach,
                                     PSAL_CASES(gather_cases)};

psal_node psal_pool_scatter(psal_graph *graph, psal_node dy, psal_node index, psal_shape x_shape) {
    psal_attributes attr = {.result = {.shape = x_shape}};
    return psal_graph_add(graph, PSAL_OP_POOL_SCATTER, (psal_node[]){dy, index}, 2, &attr);
}

static void scatter_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *dy = psal_graph_input_shape(graph, node, 0), *index = psal_graph_input_shape(graph, node, 1);
    const psal_shape *x = &node->attr.result.shape;
    char a[96], b[96];
    if (!is_image(graph, node->op, x)) return;
    if (!psal_shape_equal(dy, index) || dy->ndim != 4 || dy->dim[0] != x->dim[0] || dy->dim[1] != x->dim[1])
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "pool_scatter of %s into %s", psal_shape_format(dy, a, sizeof a),
                        psal_shape_format(x, b, sizeof b));
    node->shape = *x;
}

static void scatter_run(const psal_op_call *c) {
    const psal_shape *x = &c->node->shape;
    psal_kernel_pool_scatter(planes(x), pixels(x), pixels(c->in_shapes[0]), c->in[0], c->in[1], c->out, &c->parallel);
}

static void scatter_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    psal_node index = psal_graph_node(graph, node)->inputs[1];
    if (wanted[0]) dx[0] = psal_pool_gather(graph, g, index);
}

static psal_node scatter_case(psal_graph *g, const psal_node *in) {
    return psal_pool_scatter(g, in[0], in[1], PSAL_SHAPE(2, 2, 3, 4));
}
static const psal_op_case scatter_cases[] = {
    {"windows that share places", scatter_case, 2, {IMAGE(3, 3), INDEX(3, 3, 12)}, false}};

const psal_op psal_op_pool_scatter = {
    .inputs = 2, .infer = scatter_infer, .run = scatter_run, .gradient = scatter_gradient, PSAL_CASES(scatter_cases)};

/* ---- average pooling ---- */

psal_node psal_avg_pool2d(psal_graph *graph, psal_node x, const psal_pool2d_options *options) {
    psal_attributes attr = attributes(options);
    return psal_graph_add(graph, PSAL_OP_AVG_POOL2D, &x, 1, &attr);
}

static void avg_run(const psal_op_call *c) {
    psal_kernel_avg_pool2d(&c->node->attr.pool2d, c->in[0], c->out, &c->parallel);
}

static void avg_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_pool2d_options o = options_of(&n.attr.pool2d);
    if (wanted[0]) dx[0] = psal_avg_pool2d_spread(graph, dy, *psal_graph_shape(graph, n.inputs[0]), &o);
}

static psal_node avg_case(psal_graph *g, const psal_node *in) {
    return psal_avg_pool2d(g, in[0], &overlapping);
}
static psal_node avg_uneven_case(psal_graph *g, const psal_node *in) {
    return psal_avg_pool2d(g, in[0], &uneven);
}
static psal_node avg_ceil_case(psal_graph *g, const psal_node *in) {
    return psal_avg_pool2d(g, in[0], &padded_ceil);
}
static const psal_op_case avg_cases[] = {{"3x3, stride 2, padded", avg_case, 1, {IMAGE(5, 6)}, false},
                                         {"2x3, uneven", avg_uneven_case, 1, {IMAGE(4, 7)}, false},
                                         {"rounded up, padding excluded", avg_ceil_case, 1, {IMAGE(6, 4)}, false}};

const psal_op psal_op_avg_pool2d = {.inputs = 1,
                                    .infer = infer_pooled,
                                    .run = avg_run,
                                    .gradient = avg_gradient,
                                    .reach = pooled_reach,
                                    PSAL_CASES(avg_cases)};

psal_node psal_avg_pool2d_spread(psal_graph *graph, psal_node dy, psal_shape x_shape,
                                 const psal_pool2d_options *options) {
    psal_attributes attr = attributes(options);
    if (psal_graph_check(graph, NULL) != PSAL_OK) return PSAL_NO_NODE;
    if (!complete(graph, PSAL_OP_AVG_POOL2D_SPREAD, &attr.pool2d, &x_shape)) return PSAL_NO_NODE;
    return psal_graph_add(graph, PSAL_OP_AVG_POOL2D_SPREAD, &dy, 1, &attr);
}

static void infer_spread(psal_graph *graph, psal_node_record *node) {
    const psal_shape *dy = psal_graph_input_shape(graph, node, 0);
    const psal_pool2d_shape *s = &node->attr.pool2d;
    if (!is_image(graph, node->op, dy)) return;
    psal_shape x = PSAL_SHAPE(dy->dim[0], dy->dim[1], s->in_height, s->in_width);
    if (check_dy(graph, node, dy, &x)) node->shape = x;
}

static void avg_spread_run(const psal_op_call *c) {
    psal_kernel_avg_pool2d_spread(&c->node->attr.pool2d, c->in[0], c->out, &c->parallel);
}

static void avg_spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted, psal_node *dx) {
    psal_pool2d_options o = options_of(&psal_graph_node(graph, node)->attr.pool2d);
    if (wanted[0]) dx[0] = psal_avg_pool2d(graph, g, &o);
}

static psal_node avg_spread_case(psal_graph *g, const psal_node *in) {
    return psal_avg_pool2d_spread(g, in[0], PSAL_SHAPE(2, 2, 5, 6), &overlapping);
}
static psal_node avg_spread_ceil_case(psal_graph *g, const psal_node *in) {
    return psal_avg_pool2d_spread(g, in[0], PSAL_SHAPE(2, 2, 6, 4), &padded_ceil);
}
static const psal_op_case avg_spread_cases[] = {
    {"3x3, stride 2, padded", avg_spread_case, 1, {IMAGE(3, 3)}, false},
    {"rounded up, padding excluded", avg_spread_ceil_case, 1, {IMAGE(4, 3)}, false}};

const psal_op psal_op_avg_pool2d_spread = {.inputs = 1,
                                           .infer = infer_spread,
                                           .run = avg_spread_run,
                                           .gradient = avg_spread_gradient,
                                           PSAL_CASES(avg_spread_cases)};

/* ---- adaptive average pooling: the output size is given, windows follow ---- */

psal_node psal_adaptive_avg_pool2d(psal_graph *graph, psal_node x, int out_height, int out_width) {
    psal_attributes attr = {.pool2d = {.out_height = out_height, .out_width = out_width}};
    return psal_graph_add(graph, PSAL_OP_ADAPTIVE_AVG_POOL2D, &x, 1, &attr);
}

static void adaptive_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *x = psal_graph_input_shape(graph, node, 0);
    psal_pool2d_shape *s = &node->attr.pool2d;
    if (!is_image(graph, node->op, x)) return;
    s->planes = (size_t)(x->dim[0] * x->dim[1]);
    s->in_height = (int)x->dim[2];
    s->in_width = (int)x->dim[3];
    node->shape = PSAL_SHAPE(x->dim[0], x->dim[1], s->out_height, s->out_width);
}

static void adaptive_run(const psal_op_call *c) {
    psal_kernel_adaptive_avg_pool2d(&c->node->attr.pool2d, c->in[0], c->out, &c->parallel);
}

static void adaptive_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    psal_node x = psal_graph_node(graph, node)->inputs[0];
    if (wanted[0]) dx[0] = psal_adaptive_avg_pool2d_spread(graph, dy, *psal_graph_shape(graph, x));
}

static void adaptive_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                           psal_box *in) {
    (void)graph, (void)input;
    const psal_pool2d_shape *s = &node->attr.pool2d;
    const int64_t from[] = {s->in_height, s->in_width}, to[] = {s->out_height, s->out_width};
    *in = *out;
    for (int i = 0; i < 2; i++) {
        in->first[2 + i] = out->first[2 + i] * from[i] / to[i];
        in->last[2 + i] = ((out->last[2 + i] + 1) * from[i] + to[i] - 1) / to[i] - 1;
    }
}

static psal_node adaptive_one_case(psal_graph *g, const psal_node *in) {
    return psal_adaptive_avg_pool2d(g, in[0], 1, 1);
}
static psal_node adaptive_uneven_case(psal_graph *g, const psal_node *in) {
    return psal_adaptive_avg_pool2d(g, in[0], 3, 2);
}
static psal_node adaptive_up_case(psal_graph *g, const psal_node *in) {
    return psal_adaptive_avg_pool2d(g, in[0], 3, 7);
}
static const psal_op_case adaptive_cases[] = {{"to one pixel", adaptive_one_case, 1, {IMAGE(3, 4)}, false},
                                              {"5x7 to 3x2", adaptive_uneven_case, 1, {IMAGE(5, 7)}, false},
                                              {"2x3 up to 3x7", adaptive_up_case, 1, {IMAGE(2, 3)}, false}};

const psal_op psal_op_adaptive_avg_pool2d = {.inputs = 1,
                                             .infer = adaptive_infer,
                                             .run = adaptive_run,
                                             .gradient = adaptive_gradient,
                                             .reach = adaptive_reach,
                                             PSAL_CASES(adaptive_cases)};

psal_node psal_adaptive_avg_pool2d_spread(psal_graph *graph, psal_node dy, psal_shape x_shape) {
    if (!psal_graph_has(graph, PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD, 0, dy) ||
        !is_image(graph, PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD, &x_shape) ||
        !is_image(graph, PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD, psal_graph_shape(graph, dy)))
        return PSAL_NO_NODE;
    const psal_shape *out = psal_graph_shape(graph, dy);
    psal_attributes attr = {.pool2d = {.planes = planes(&x_shape),
                                       .in_height = (int)x_shape.dim[2],
                                       .in_width = (int)x_shape.dim[3],
                                       .out_height = (int)out->dim[2],
                                       .out_width = (int)out->dim[3]}};
    return psal_graph_add(graph, PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD, &dy, 1, &attr);
}

static void adaptive_spread_run(const psal_op_call *c) {
    psal_kernel_adaptive_avg_pool2d_spread(&c->node->attr.pool2d, c->in[0], c->out, &c->parallel);
}

static void adaptive_spread_gradient(psal_graph *graph, psal_node node, psal_node g, const bool *wanted,
                                     psal_node *dx) {
    const psal_pool2d_shape s = psal_graph_node(graph, node)->attr.pool2d;
    if (wanted[0]) dx[0] = psal_adaptive_avg_pool2d(graph, g, s.out_height, s.out_width);
}

static psal_node adaptive_spread_case(psal_graph *g, const psal_node *in) {
    return psal_adaptive_avg_pool2d_spread(g, in[0], PSAL_SHAPE(2, 2, 5, 7));
}
static const psal_op_case adaptive_spread_cases[] = {{"3x2 over 5x7", adaptive_spread_case, 1, {IMAGE(3, 2)}, false}};

const psal_op psal_op_adaptive_avg_pool2d_spread = {.inputs = 1,
                                                    .infer = infer_spread,
                                                    .run = adaptive_spread_run,
                                                    .gradient = adaptive_spread_gradient,
                                                    PSAL_CASES(adaptive_spread_cases)};
