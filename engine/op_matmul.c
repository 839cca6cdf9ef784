/* Matrix product y = op(a) op(b), op being the identity or the transpose: its gradients are matrix products.
 *
 *   y = a b:  da = dy b^T, db = a^T dy, with the transposes moved to wherever a and b are stored transposed.
 *
 * Matrices with further axes in front, such as the heads of an attention, are as many products of OpenBLAS.
 *
 * The linear layer of a network, y = x w^T, is part of its forward pass: an element is one sum in an order that depends
 * neither on its place nor on how many rows x has (kernels/ordered_product.h), so that an image has the same logits in
 * every batch. */
#include <string.h>

#include "engine/kernels/gemm.h"
#include "engine/kernels/ordered_product.h"
#include "engine/kernels/vector_matrix.h"
#include "engine/op.h"

/* Columns of y that one task computes: follows from the shape alone, so that bits do not depend on threads. */
enum { COLUMNS_PER_TASK = 256, ROWS_TOGETHER = 4, VECTOR_TASKS = 8, MIN_VECTOR_COLUMNS = 1024 };
#define LARGE_MATRIX ((size_t)192 << 20) /* bytes */

/* out[m,n] = a[m,k] b[n,k]^T: some rows of b at a time meet all of a while they are in the cache. */
static void multiply_ordered(const psal_op_call *c, size_t m, size_t k, size_t n) {
    const size_t tasks = (n + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
    const int threads = n > COLUMNS_PER_TASK ? c->parallel.threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) if (threads > 1)
    for (size_t task = 0; task < tasks; task++) {
        const size_t first = task * ROWS_TOGETHER, count = n - first < ROWS_TOGETHER ? n - first : ROWS_TOGETHER;
        for (size_t row = 0; row < m; row++)
            psal_ordered_dots(count, k, c->in[1] + first * k, k, c->in[0] + row * k, c->out + row * n + first);
    }
}

/* One row: every element of b is used once, so that all is reading b. As it is stored that wants long runs of its rows:
 * 26 GB/s by 512 columns, 30 by 1024, 35 by 3136, which is what that machine's memory gives. */
static void multiply_vector(const psal_op_call *c, size_t k, size_t n) {
    const size_t step = n > VECTOR_TASKS * MIN_VECTOR_COLUMNS ? (n + VECTOR_TASKS - 1) / VECTOR_TASKS
                                                              : MIN_VECTOR_COLUMNS;
    size_t tasks = (n + step - 1) / step;
    int threads = tasks > 1 ? c->parallel.threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (size_t task = 0; task < tasks; task++) {
        size_t first = task * step, count = n - first < step ? n - first : step;
        psal_vector_matrix(k, count, c->in[0], c->in[1] + first, n, c->out + first);
    }
}

/* One row, and a matrix that is so large that it lies in a mapped file as a rule (VGG-19's first: 392 MiB): each task
 * takes some of its rows, one run of the file, and the tasks' sums are added up in their order. */
static bool takes_rows(const psal_node_record *node) {
    const psal_attributes *attr = &node->attr;
    return node->shape.ndim == 2 && attr->matmul.rows == 1 && !attr->matmul.transpose_b &&
           (double)attr->matmul.inner * (double)attr->matmul.columns * sizeof(psal_real) > (double)LARGE_MATRIX;
}

static void multiply_vector_by_rows(const psal_op_call *c, size_t k, size_t n) {
    const int threads = c->parallel.threads;
    psal_real *const sums = c->parallel.scratch; /* [VECTOR_TASKS][n] */
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (size_t task = 0; task < VECTOR_TASKS; task++) {
        const size_t first = task * k / VECTOR_TASKS, end = (task + 1) * k / VECTOR_TASKS;
        psal_vector_matrix(end - first, n, c->in[0] + first, c->in[1] + first * n, n, sums + task * n);
    }
    memcpy(c->out, sums, n * sizeof *sums);
    for (size_t task = 1; task < VECTOR_TASKS; task++)
        for (size_t i = 0; i < n; i++) c->out[i] += sums[task * n + i];
}

static psal_node add_matmul(psal_graph *graph, psal_node a, bool transpose_a, psal_node b, bool transpose_b) {
    psal_attributes attr = {.matmul = {.transpose_a = transpose_a, .transpose_b = transpose_b}};
    return psal_graph_add(graph, PSAL_OP_MATMUL, (psal_node[]){a, b}, 2, &attr);
}

/* x repeated to the axes `front` and its own last two */
static psal_node behind(psal_graph *graph, psal_node x, const psal_shape *front) {
    const psal_shape *s = psal_graph_shape(graph, x);
    psal_shape shape = *front;
    for (int i = 0; i < 2; i++) shape.dim[shape.ndim++] = s->dim[s->ndim - 2 + i];
    return psal_expand(graph, x, shape);
}

/* Many matrices times one are one matrix times one; else each side is repeated to as many as the other has. */
psal_node psal_matmul(psal_graph *graph, psal_node a, bool transpose_a, psal_node b, bool transpose_b) {
    if (!psal_graph_has(graph, PSAL_OP_MATMUL, 0, a) || !psal_graph_has(graph, PSAL_OP_MATMUL, 1, b))
        return PSAL_NO_NODE;
    const psal_shape x = *psal_graph_shape(graph, a), y = *psal_graph_shape(graph, b);
    if (x.ndim < 2 || y.ndim < 2 || (x.ndim == 2 && y.ndim == 2))
        return add_matmul(graph, a, transpose_a, b, transpose_b);
    const int64_t inner = x.dim[x.ndim - 1];
    if (y.ndim == 2 && !transpose_a && inner == y.dim[transpose_b ? 1 : 0]) {
        psal_shape out = x;
        out.dim[out.ndim - 1] = y.dim[transpose_b ? 0 : 1];
        psal_node flat = psal_reshape(graph, a, PSAL_SHAPE(psal_shape_count(&x) / inner, inner));
        return psal_reshape(graph, add_matmul(graph, flat, false, b, transpose_b), out);
    }
    psal_shape x_front = x, y_front = y, front;
    x_front.ndim -= 2;
    y_front.ndim -= 2;
    if (psal_shape_broadcast(&x_front, &y_front, &front)) {
        a = behind(graph, a, &front);
        b = behind(graph, b, &front);
    }
    return add_matmul(graph, a, transpose_a, b, transpose_b); /* which refuses those that do not fit */
}

/* Rows of more than one axis, as the tokens of a transformer: a convolution with filters of one pixel, whose sums do
 * not depend on the place either and which is faster than row by row. */
static psal_node linear_of_positions(psal_graph *graph, psal_node x, psal_node weight, psal_node bias) {
    const psal_shape s = *psal_graph_shape(graph, x), w = *psal_graph_shape(graph, weight);
    const int64_t features = s.dim[s.ndim - 1], rows = s.dim[s.ndim - 2], outputs = w.dim[0];
    const int64_t images = psal_shape_count(&s) / (rows * features);
    const int swapped[] = {0, 2, 1};
    psal_shape out = s;
    out.dim[s.ndim - 1] = outputs;
    x = psal_permute(graph, psal_reshape(graph, x, PSAL_SHAPE(images, rows, features)), swapped, 3);
    psal_node y = psal_conv2d(graph, psal_reshape(graph, x, PSAL_SHAPE(images, features, 1, rows)),
                              psal_reshape(graph, weight, PSAL_SHAPE(outputs, features, 1, 1)), NULL);
    if (bias != PSAL_NO_NODE) y = psal_channel_add(graph, y, bias);
    y = psal_permute(graph, psal_reshape(graph, y, PSAL_SHAPE(images, outputs, rows)), swapped, 3);
    return psal_reshape(graph, y, out);
}

psal_node psal_linear(psal_graph *graph, psal_node x, psal_node weight, psal_node bias) {
    const psal_shape *s = psal_graph_shape(graph, x), *w = psal_graph_shape(graph, weight);
    if (s->ndim > 2 && w->ndim == 2 && s->dim[s->ndim - 1] == w->dim[1])
        return linear_of_positions(graph, x, weight, bias);
    psal_node y = psal_matmul(graph, x, false, weight, true);
    return bias == PSAL_NO_NODE ? y : psal_channel_add(graph, y, bias);
}

static void matmul_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *a = psal_graph_input_shape(graph, node, 0), *b = psal_graph_input_shape(graph, node, 1);
    bool ta = node->attr.matmul.transpose_a, tb = node->attr.matmul.transpose_b;
    const int front = a->ndim - 2;
    bool fits = front >= 0 && a->ndim == b->ndim && a->dim[front + !ta] == b->dim[front + tb];
    int64_t batch = 1;
    for (int d = 0; d < front && fits; d++) {
        fits = a->dim[d] == b->dim[d];
        batch *= a->dim[d];
    }
    char as[96], bs[96];
    if (!fits) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "matmul of %s%s and %s%s", psal_shape_format(a, as, sizeof as),
                        ta ? " transposed" : "", psal_shape_format(b, bs, sizeof bs), tb ? " transposed" : "");
        return;
    }
    node->attr.matmul.batch = batch;
    node->attr.matmul.rows = a->dim[front + ta];
    node->attr.matmul.inner = a->dim[front + !ta];
    node->attr.matmul.columns = b->dim[front + !tb];
    node->shape = *a;
    node->shape.dim[front] = node->attr.matmul.rows;
    node->shape.dim[front + 1] = node->attr.matmul.columns;
}

static void matmul_run(const psal_op_call *c) {
    const psal_attributes *attr = &c->node->attr;
    const bool one = c->node->shape.ndim == 2;
    bool ta = attr->matmul.transpose_a, tb = attr->matmul.transpose_b;
    size_t m = (size_t)attr->matmul.rows, k = (size_t)attr->matmul.inner, n = (size_t)attr->matmul.columns;
    if (takes_rows(c->node)) {
        multiply_vector_by_rows(c, k, n);
        return;
    }
    if (one && m == 1 && !tb) {
        multiply_vector(c, k, n);
        return;
    }
    if (one && tb && (m == 1 || !ta)) {
        multiply_ordered(c, m, k, n);
        return;
    }
    const size_t lda = ta ? m : k, ldb = tb ? k : n, blocks = (n + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK;
    const size_t tasks = (size_t)attr->matmul.batch * blocks;
    int threads = tasks > 1 ? c->parallel.threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (size_t task = 0; task < tasks; task++) {
        const size_t first = task % blocks * COLUMNS_PER_TASK, product = task / blocks;
        const size_t count = n - first < COLUMNS_PER_TASK ? n - first : COLUMNS_PER_TASK;
        psal_gemm(ta, tb, m, count, k, c->in[0] + product * m * k, lda,
                  c->in[1] + product * k * n + (tb ? first * k : first), ldb, false, c->out + product * m * n + first,
                  n);
    }
}

static psal_status matmul_prepare(const psal_node_record *node, psal_conv2d_settings conv, int threads,
                                  psal_prepared *prepared, psal_error *err) {
    (void)conv, (void)threads, (void)err;
    if (takes_rows(node)) prepared->scratch = VECTOR_TASKS * (size_t)node->attr.matmul.columns * sizeof(psal_real);
    return PSAL_OK;
}

static void matmul_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_node a = n.inputs[0], b = n.inputs[1];
    bool ta = n.attr.matmul.transpose_a, tb = n.attr.matmul.transpose_b;
    if (wanted[0]) dx[0] = ta ? psal_matmul(graph, b, tb, dy, true) : psal_matmul(graph, dy, false, b, !tb);
    if (wanted[1]) dx[1] = tb ? psal_matmul(graph, dy, true, a, ta) : psal_matmul(graph, a, !ta, dy, false);
}

static double matmul_flops(const psal_node_record *node) {
    return 2.0 * (double)psal_shape_count(&node->shape) * (double)node->attr.matmul.inner;
}

#define MATRIX(rows, columns) \
    { {2, {rows, columns}}, PSAL_VALUES_NORMAL, 0 }

#define BATCH(batch, rows, columns) \
    { {3, {batch, rows, columns}}, PSAL_VALUES_NORMAL, 0 }

static psal_node case_nn(psal_graph *g, const psal_node *in) {
    return psal_matmul(g, in[0], false, in[1], false);
}
static psal_node case_nt(psal_graph *g, const psal_node *in) {
    return psal_matmul(g, in[0], false, in[1], true);
}
static psal_node case_tn(psal_graph *g, const psal_node *in) {
    return psal_matmul(g, in[0], true, in[1], false);
}
static psal_node case_tt(psal_graph *g, const psal_node *in) {
    return psal_matmul(g, in[0], true, in[1], true);
}
static psal_node case_linear(psal_graph *g, const psal_node *in) {
    return psal_linear(g, in[0], in[1], in[2]);
}
static const psal_op_case matmul_cases[] = {
    {"a b", case_nn, 2, {MATRIX(2, 3), MATRIX(3, 4)}, false},
    {"a b^T", case_nt, 2, {MATRIX(2, 3), MATRIX(4, 3)}, false},
    {"a^T b", case_tn, 2, {MATRIX(3, 2), MATRIX(3, 4)}, false},
    {"a^T b^T", case_tt, 2, {MATRIX(3, 2), MATRIX(4, 3)}, false},
    {"heads", case_nt, 2, {BATCH(2, 3, 4), BATCH(2, 2, 4)}, false},
    {"heads transposed", case_tn, 2, {BATCH(2, 3, 2), BATCH(2, 3, 4)}, false},
    {"many times one", case_nn, 2, {BATCH(2, 2, 3), MATRIX(3, 2)}, false},
    {"one times many", case_tt, 2, {MATRIX(3, 2), {{4, {2, 1, 2, 3}}, PSAL_VALUES_NORMAL, 0}}, false},
    {"each with each", case_nn, 2, {BATCH(2, 2, 3), {{4, {2, 1, 3, 1}}, PSAL_VALUES_NORMAL, 0}}, false},
    {"linear layer", case_linear, 3, {MATRIX(2, 3), MATRIX(4, 3), {{1, {4}}, PSAL_VALUES_NORMAL, 0}}, false},
};

/* Of a the rows, of b the columns, and of both the same matrices. */
static void matmul_reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out,
                         psal_box *in) {
    (void)graph;
    const int front = node->shape.ndim - 2;
    for (int d = 0; d < front; d++) {
        in->first[d] = out->first[d];
        in->last[d] = out->last[d];
    }
    const bool transposed = input == 0 ? node->attr.matmul.transpose_a : node->attr.matmul.transpose_b;
    const int axis = front + (input ^ (int)transposed);
    in->first[axis] = out->first[front + input];
    in->last[axis] = out->last[front + input];
}

const psal_op psal_op_matmul = {.inputs = 2,
                                .infer = matmul_infer,
                                .run = matmul_run,
                                .prepare = matmul_prepare,
                                .gradient = matmul_gradient,
                                .flops = matmul_flops,
                                .reach = matmul_reach,
                                PSAL_CASES(matmul_cases)};
