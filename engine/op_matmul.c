/* Matrix product y = op(a) op(b), op being the identity or the transpose: its gradients are matrix products.
 *
 *   y = a b:  da = dy b^T, db = a^T dy, with the transposes moved to wherever a and b are stored transposed. */
#include <omp.h>
#include <string.h>

#include "engine/file_values.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/vector_matrix.h"
#include "engine/op.h"

/* Columns (or rows) of y that one task computes: follows from the shape alone, so that bits do not depend on threads. */
enum { COLUMNS_PER_TASK = 256, VECTOR_TASKS = 8, MIN_VECTOR_COLUMNS = 1024 };

/* ---- one row, and a matrix too large to be held: b, as it is stored, row by row; those behind the resident ones from its file ---- */

enum {
    ROWS_TOGETHER = PSAL_VECTOR_MATRIX_SLOTS,
    LONGEST_ROW = 1 << 20 /* bytes: so many rows together are in a thread's cache, nearly */
};

typedef struct large_matrix {
    const psal_real *b;
    size_t rows, length; /* stored */
    size_t resident;     /* bytes that are read where they are */
    size_t first;        /* fetch_row counts from here */
    psal_real *buffer;   /* ROWS_TOGETHER rows of this thread */
} large_matrix;

static bool is_large(size_t rows, size_t length) {
    const size_t row = length * sizeof(psal_real);
    return row <= LONGEST_ROW && row > 0 && rows > PSAL_FILE_RESIDENT_BYTES / row;
}

/* `count` rows from `row` on, read into the buffer's row `slot` or where they are */
static const psal_real *rows_of(const large_matrix *m, size_t row, size_t count, size_t slot) {
    const psal_real *there = m->b + row * m->length;
    psal_real *here = m->buffer + slot * m->length;
    const size_t bytes = m->length * sizeof *here;
    return row * bytes >= m->resident && psal_file_values_read(there, count * bytes, here) ? here : there;
}

static const psal_real *fetch_row(void *matrix, size_t row, size_t slot) {
    const large_matrix *m = matrix;
    return rows_of(m, m->first + row, 1, slot);
}

/* In the scratch: the buffer of every thread, then sums */
static psal_real *buffer_at(const psal_op_call *c, const large_matrix *m, int thread) {
    return (psal_real *)c->parallel.scratch + (size_t)thread * ROWS_TOGETHER * m->length;
}

static size_t large_scratch(size_t rows, size_t length, int threads) {
    return is_large(rows, length) ? ((size_t)threads * ROWS_TOGETHER + VECTOR_TASKS) * length * sizeof(psal_real) : 0;
}

/* out[rows] = B a[length]; the same sums whether rows come from the file or not */
static void multiply_large(const psal_op_call *c, large_matrix m) {
    const int threads = c->parallel.threads;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) firstprivate(m) if (threads > 1)
    for (size_t row = 0; row < m.rows; row += ROWS_TOGETHER) {
        const size_t count = m.rows - row < ROWS_TOGETHER ? m.rows - row : ROWS_TOGETHER;
        m.buffer = buffer_at(c, &m, omp_get_thread_num());
        psal_gemv(count, m.length, rows_of(&m, row, count, 0), m.length, c->in[0], c->out + row);
    }
}

/* out[length] = a[rows] B: sums over parts of the rows, added up in their order */
static void multiply_large_transposed(const psal_op_call *c, large_matrix m) {
    const int threads = c->parallel.threads;
    psal_real *const sums = buffer_at(c, &m, threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic) firstprivate(m) if (threads > 1)
    for (size_t part = 0; part < VECTOR_TASKS; part++) {
        const size_t end = (part + 1) * m.rows / VECTOR_TASKS;
        m.first = part * m.rows / VECTOR_TASKS;
        m.buffer = buffer_at(c, &m, omp_get_thread_num());
        psal_vector_matrix_of(end - m.first, m.length, c->in[0] + m.first, fetch_row, &m, sums + part * m.length);
    }
    memcpy(c->out, sums, m.length * sizeof *sums);
    for (size_t part = 1; part < VECTOR_TASKS; part++)
        for (size_t i = 0; i < m.length; i++) c->out[i] += sums[part * m.length + i];
}

/* One row: every element of b is used once, so that all is reading b. As it is stored that wants long runs of its rows: 26 GB/s
 * by 512 columns, 30 by 1024, 35 by 3136, which is what that machine's memory gives. */
static void multiply_vector(const psal_op_call *c, bool tb, size_t k, size_t n) {
    size_t step = COLUMNS_PER_TASK;
    if (!tb) step = n > VECTOR_TASKS * MIN_VECTOR_COLUMNS ? (n + VECTOR_TASKS - 1) / VECTOR_TASKS : MIN_VECTOR_COLUMNS;
    size_t tasks = (n + step - 1) / step;
    int threads = tasks > 1 ? c->parallel.threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (size_t task = 0; task < tasks; task++) {
        size_t first = task * step, count = n - first < step ? n - first : step;
        if (tb)
            psal_gemv(count, k, c->in[1] + first * k, k, c->in[0], c->out + first);
        else
            psal_vector_matrix(k, count, c->in[0], c->in[1] + first, n, c->out + first);
    }
}

psal_node psal_matmul(psal_graph *graph, psal_node a, bool transpose_a, psal_node b, bool transpose_b) {
    psal_attributes attr = {.matmul = {.transpose_a = transpose_a, .transpose_b = transpose_b}};
    return psal_graph_add(graph, PSAL_OP_MATMUL, (psal_node[]){a, b}, 2, &attr);
}

psal_node psal_linear(psal_graph *graph, psal_node x, psal_node weight, psal_node bias) {
    psal_node y = psal_matmul(graph, x, false, weight, true);
    return bias == PSAL_NO_NODE ? y : psal_channel_add(graph, y, bias);
}

static void matmul_infer(psal_graph *graph, psal_node_record *node) {
    const psal_shape *a = psal_graph_input_shape(graph, node, 0), *b = psal_graph_input_shape(graph, node, 1);
    bool ta = node->attr.matmul.transpose_a, tb = node->attr.matmul.transpose_b;
    char as[96], bs[96];
    if (a->ndim != 2 || b->ndim != 2 || a->dim[ta ? 0 : 1] != b->dim[tb ? 1 : 0]) {
        psal_graph_fail(graph, PSAL_ERR_SHAPE, "matmul of %s%s and %s%s", psal_shape_format(a, as, sizeof as),
                        ta ? " transposed" : "", psal_shape_format(b, bs, sizeof bs), tb ? " transposed" : "");
        return;
    }
    node->attr.matmul.rows = a->dim[ta ? 1 : 0];
    node->attr.matmul.inner = a->dim[ta ? 0 : 1];
    node->attr.matmul.columns = b->dim[tb ? 0 : 1];
    node->shape = PSAL_SHAPE(node->attr.matmul.rows, node->attr.matmul.columns);
}

static void matmul_run(const psal_op_call *c) {
    const psal_attributes *attr = &c->node->attr;
    bool ta = attr->matmul.transpose_a, tb = attr->matmul.transpose_b;
    size_t m = (size_t)attr->matmul.rows, k = (size_t)attr->matmul.inner, n = (size_t)attr->matmul.columns;
    if (m == 1) {
        /* inside a parallel region other passes run at the same time */
        const large_matrix b = {.b = c->in[1],
                                .rows = tb ? n : k,
                                .length = tb ? k : n,
                                .resident = omp_in_parallel() ? PSAL_FILE_RESIDENT_BYTES : PSAL_FILE_RESIDENT_ALONE};
        if (!is_large(b.rows, b.length))
            multiply_vector(c, tb, k, n);
        else if (tb)
            multiply_large(c, b);
        else
            multiply_large_transposed(c, b);
        return;
    }
    size_t lda = ta ? m : k, ldb = tb ? k : n, tasks = (n + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK;
    int threads = tasks > 1 ? c->parallel.threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
    for (size_t task = 0; task < tasks; task++) {
        size_t first = task * COLUMNS_PER_TASK, count = n - first < COLUMNS_PER_TASK ? n - first : COLUMNS_PER_TASK;
        psal_gemm(ta, tb, m, count, k, c->in[0], lda, c->in[1] + (tb ? first * k : first), ldb, false, c->out + first,
                  n);
    }
}

static size_t matmul_scratch(const psal_node_record *node, psal_conv2d_method method, int threads) {
    const psal_attributes *attr = &node->attr;
    const size_t k = (size_t)attr->matmul.inner, n = (size_t)attr->matmul.columns;
    const bool tb = attr->matmul.transpose_b;
    (void)method;
    return attr->matmul.rows == 1 ? large_scratch(tb ? n : k, tb ? k : n, threads) : 0;
}

static void matmul_gradient(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx) {
    const psal_node_record n = *psal_graph_node(graph, node);
    psal_node a = n.inputs[0], b = n.inputs[1];
    bool ta = n.attr.matmul.transpose_a, tb = n.attr.matmul.transpose_b;
    if (wanted[0]) dx[0] = ta ? psal_matmul(graph, b, tb, dy, true) : psal_matmul(graph, dy, false, b, !tb);
    if (wanted[1]) dx[1] = tb ? psal_matmul(graph, dy, true, a, ta) : psal_matmul(graph, a, !ta, dy, false);
}

static double matmul_flops(const psal_node_record *node) {
    return 2.0 * (double)node->attr.matmul.rows * (double)node->attr.matmul.inner * (double)node->attr.matmul.columns;
}

#define MATRIX(rows, columns) \
    { {2, {rows, columns}}, PSAL_VALUES_NORMAL, 0 }

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
    {"linear layer", case_linear, 3, {MATRIX(2, 3), MATRIX(4, 3), {{1, {4}}, PSAL_VALUES_NORMAL, 0}}, false},
};

const psal_op psal_op_matmul = {.inputs = 2,
                                .infer = matmul_infer,
                                .run = matmul_run,
                                .scratch = matmul_scratch,
                                .gradient = matmul_gradient,
                                .flops = matmul_flops,
                                PSAL_CASES(matmul_cases)};
