/* Every row of the operation table: each case's values in float against the definition in double (op_reference.h). All
 * nodes that a case builds are compared, not only its last. A row whose operation has no reference fails. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"
#include "op_reference.h"

static const double TOLERANCE = 1e-5; /* of the largest value of the tensor, or of 1 */

static bool is_leaf(psal_op_kind kind) {
    return kind == PSAL_OP_INPUT || kind == PSAL_OP_PARAMETER || kind == PSAL_OP_CONSTANT;
}

/* A case's graph with its sampled inputs, rounded to float. */
typedef struct built {
    psal_graph *graph;
    psal_node inputs[CHECK_MAX_INPUTS];
    psal_node *all; /* every node */
    int nodes;
    case_values v;
    float *values[CHECK_MAX_INPUTS];
} built;

static built build(const psal_op_case *c, uint64_t seed) {
    built b = {.graph = psal_graph_new()};
    psal_error err = PSAL_ERROR_INIT;
    case_values_sample(&b.v, c, seed);
    for (int i = 0; i < c->input_count; i++) {
        b.inputs[i] = psal_input(b.graph, "x", c->inputs[i].shape);
        b.values[i] = malloc((size_t)b.v.count[i] * sizeof(float));
        for (int64_t k = 0; k < b.v.count[i]; k++) b.v.values[i][k] = b.values[i][k] = (float)b.v.values[i][k];
    }
    c->build(b.graph, b.inputs);
    ck_assert_msg(psal_graph_check(b.graph, &err) == PSAL_OK, "%s: %s", c->name, err.message);
    b.nodes = psal_graph_node_count(b.graph);
    b.all = malloc((size_t)b.nodes * sizeof *b.all);
    for (int n = 0; n < b.nodes; n++) b.all[n] = n;
    return b;
}

static void built_free(built *b) {
    psal_graph_free(b->graph);
    case_values_free(&b->v);
    for (int i = 0; i < CHECK_MAX_INPUTS; i++) free(b->values[i]);
    free(b->all);
}

/* Nothing may read memory that no operation of this run wrote: NaN all over arena and scratch. */
static void poison(const psal_plan *plan, const psal_workspace *ws) {
    for (int n = 0; n < psal_graph_node_count(plan->source); n++)
        if (plan->offset[psal_plan_node(plan, n)] != SIZE_MAX) {
            char *arena = (char *)(uintptr_t)psal_workspace_get(ws, n) - plan->offset[psal_plan_node(plan, n)];
            memset(arena, 0xFF, psal_plan_memory(plan));
            return;
        }
}

/* Values of all nodes, one buffer each. */
static float **run(const built *b, const psal_op_case *c, psal_conv2d_method method, int threads) {
    psal_error err = PSAL_ERROR_INIT;
    psal_plan_options options = {
        .outputs = {b->all}, .output_count = {b->nodes}, .stages = 1, .threads = threads, .conv = {.method = method}};
    psal_plan *plan = psal_plan_new(b->graph, &options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_msg(ws != NULL, "%s", err.message);
    for (int i = 0; i < c->input_count; i++)
        ck_assert_int_eq(psal_workspace_set(ws, b->inputs[i], b->values[i], &err), PSAL_OK);
    poison(plan, ws);
    ck_assert_msg(psal_workspace_run(ws, 0, &err) == PSAL_OK, "%s", err.message);
    float **results = malloc((size_t)b->nodes * sizeof *results);
    for (int n = 0; n < b->nodes; n++) {
        size_t bytes = (size_t)psal_shape_count(psal_graph_shape(b->graph, n)) * sizeof(float);
        results[n] = malloc(bytes);
        memcpy(results[n], psal_workspace_get(ws, n), bytes);
    }
    psal_workspace_free(ws);
    psal_plan_free(plan);
    return results;
}

static void results_free(float **results, int nodes) {
    for (int n = 0; n < nodes; n++) free(results[n]);
    free(results);
}

/* The definition's values of all nodes. */
static double **define(const built *b, const psal_op_case *c) {
    double **values = calloc((size_t)b->nodes, sizeof *values);
    for (int n = 0; n < b->nodes; n++) {
        const psal_node_record *node = psal_graph_node(b->graph, n);
        size_t count = (size_t)psal_shape_count(&node->shape);
        values[n] = malloc(count * sizeof(double));
        if (node->op == PSAL_OP_INPUT) {
            memcpy(values[n], b->v.values[n], count * sizeof(double)); /* the inputs are the first nodes */
            continue;
        }
        if (node->op == PSAL_OP_CONSTANT) {
            for (size_t i = 0; i < count; i++) values[n][i] = node->values[i];
            continue;
        }
        const double *in[8] = {0};
        const psal_shape *shapes[8] = {0};
        ck_assert_int_le(node->input_count, 8);
        for (int i = 0; i < node->input_count; i++) {
            in[i] = values[node->inputs[i]];
            shapes[i] = psal_graph_shape(b->graph, node->inputs[i]);
        }
        const char *wrong = op_reference(node, shapes, in, values[n]);
        ck_assert_msg(!wrong, "%s in case '%s': %s", psal_op_kind_name(node->op), c->name, wrong);
    }
    return values;
}

static void compare(const built *b, const psal_op_case *c, float *const *got, double *const *expected,
                    const char *what) {
    for (int n = 0; n < b->nodes; n++) {
        int64_t count = psal_shape_count(psal_graph_shape(b->graph, n));
        bool exact = psal_graph_node(b->graph, n)->op == PSAL_OP_TERNARY_CODES; /* bytes, tiny when read as numbers */
        double scale = exact ? 0 : 1;
        for (int64_t i = 0; i < count; i++)
            if (!exact && fabs(expected[n][i]) > scale) scale = fabs(expected[n][i]);
        for (int64_t i = 0; i < count; i++)
            ck_assert_msg(fabs(got[n][i] - expected[n][i]) <= TOLERANCE * scale, /* false for NaN */
                          "%s, case '%s', %s, node %d [%lld]: expected %.9g, got %.9g", psal_graph_op_name(b->graph, n),
                          c->name, what, n, (long long)i, expected[n][i], (double)got[n][i]);
    }
}

START_TEST(values_match_the_definition) {
    static const psal_conv2d_method methods[] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_GEMM, PSAL_CONV2D_DIRECT,
                                                 PSAL_CONV2D_ACCURATE};
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    for (int k = 0; k < op->case_count; k++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            const psal_op_case *c = &op->cases[k];
            built b = build(c, seed);
            double **expected = define(&b, c);
            for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
                float **one = run(&b, c, methods[m], 1), **four = run(&b, c, methods[m], 4);
                char what[64];
                snprintf(what, sizeof what, "method %d, seed %d", (int)methods[m], (int)seed);
                compare(&b, c, one, expected, what);
                for (int n = 0; n < b.nodes; n++)
                    ck_assert_msg(memcmp(one[n], four[n],
                                         (size_t)psal_shape_count(psal_graph_shape(b.graph, n)) * sizeof(float)) == 0,
                                  "%s, case '%s', %s: 1 and 4 threads give different bits",
                                  psal_graph_op_name(b.graph, n), c->name, what);
                results_free(one, b.nodes);
                results_free(four, b.nodes);
            }
            for (int n = 0; n < b.nodes; n++) free(expected[n]);
            free(expected);
            built_free(&b);
        }
    ck_assert_msg(op->case_count > 0 || is_leaf((psal_op_kind)_i) || _i == PSAL_OP_FILL, "%s has no cases",
                  psal_op_kind_name((psal_op_kind)_i));
}
END_TEST

/* A leaf in the table, but one that runs. */
static psal_node fill_case(psal_graph *g, const psal_node *in) {
    (void)in;
    return psal_constant_fill(g, -2.5f, PSAL_SHAPE(3, 5));
}

START_TEST(fill_matches_the_definition) {
    const psal_op_case c = {"fill", fill_case, 0, {{{0, {0}}, PSAL_VALUES_NORMAL, 0}}, true};
    built b = build(&c, 1);
    double **expected = define(&b, &c);
    float **got = run(&b, &c, PSAL_CONV2D_AUTO, 1);
    compare(&b, &c, got, expected, "fill");
    free(expected[0]);
    free(expected);
    results_free(got, b.nodes);
    built_free(&b);
}
END_TEST

/* Of equal numbers the first is the maximum, and large logits do not overflow: the two corners that random numbers
 * miss. */
START_TEST(corners_match_the_definition) {
    psal_graph *g = psal_graph_new();
    psal_error err = PSAL_ERROR_INIT;
    psal_pool2d_options window = {.kernel_height = 2, .kernel_width = 2};
    psal_node x = psal_constant(g, (float[]){1, 1, 2, 2, 0, 1, 3, 3, -1, -1, -2, -2, -1, -1, -2, -1},
                                PSAL_SHAPE(1, 1, 4, 4));
    psal_node index = psal_max_pool2d_index(g, x, &window);
    psal_node z = psal_constant(g, (float[]){1000, 998, -1000, -1000, -1000, -1000}, PSAL_SHAPE(2, 3));
    psal_node loss = psal_cross_entropy(g, z, psal_constant(g, (float[]){1, 2}, PSAL_SHAPE(2)));
    psal_node probability = psal_softmax(g, z);
    /* in ceil mode no window starts in the right padding: 5 pixels in steps of 2 from -1 make 3, not 4 */
    psal_pool2d_options padded = {.kernel_height = 2, .kernel_width = 2, .padding_height = 1, .padding_width = 1};
    padded.ceil_mode = true;
    psal_node pooled = psal_avg_pool2d(g, psal_constant_fill(g, 1, PSAL_SHAPE(1, 1, 5, 6)), &padded);
    ck_assert_int_eq(psal_graph_shape(g, pooled)->dim[2], 3);
    ck_assert_int_eq(psal_graph_shape(g, pooled)->dim[3], 4);
    /* and an image smaller than the window makes one window, as in PyTorch: 1 pixel by 2, not by 3 */
    padded = (psal_pool2d_options){.kernel_height = 2, .kernel_width = 2, .ceil_mode = true, .exclude_padding = true};
    pooled = psal_avg_pool2d(g, psal_constant_fill(g, 1, PSAL_SHAPE(1, 1, 1, 3)), &padded);
    ck_assert_int_eq(psal_graph_shape(g, pooled)->dim[2], 1);
    ck_assert_int_eq(psal_graph_shape(g, pooled)->dim[3], 2);
    padded.kernel_height = padded.kernel_width = 3;
    padded.stride_height = padded.stride_width = 2;
    psal_graph *other = psal_graph_new();
    psal_avg_pool2d(other, psal_constant_fill(other, 1, PSAL_SHAPE(1, 1, 1, 3)), &padded);
    ck_assert_int_eq(psal_graph_check(other, &err), PSAL_ERR_SHAPE); /* none begins within it */
    psal_graph_free(other);
    err = (psal_error)PSAL_ERROR_INIT;
    psal_node wanted[] = {index, loss, probability};
    psal_plan_options options = {.outputs = {wanted}, .output_count = {3}, .stages = 1};
    psal_plan *plan = psal_plan_new(g, &options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_int_eq(psal_workspace_run(ws, 0, &err), PSAL_OK);
    const float *at = psal_workspace_get(ws, index), *l = psal_workspace_get(ws, loss);
    const float *p = psal_workspace_get(ws, probability), places[] = {0, 6, 8, 15};
    for (int i = 0; i < 4; i++) ck_assert_float_eq(at[i], places[i]);
    ck_assert_double_eq_tol(l[0], 2 + log1p(exp(-2)), 2e-4); /* logits of 1000 are rounded at 6e-5 */
    ck_assert_double_eq_tol(l[1], log(3), 2e-4);
    ck_assert_double_eq_tol(p[0], 1 / (1 + exp(-2)), 1e-6);
    ck_assert_float_eq(p[2], 0);
    ck_assert_double_eq_tol(p[4], 1.0 / 3, 1e-6);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/op_values");
    TCase *tests = tcase_create("table");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, values_match_the_definition, 0, PSAL_OP_COUNT);
    tcase_add_test(tests, fill_matches_the_definition);
    tcase_add_test(tests, corners_match_the_definition);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
