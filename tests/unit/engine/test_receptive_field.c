/* What operations say they read (psal_op.reach), against what their results change with. Nobody lists operations here.
 */
#include "engine/receptive_field.h"

#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/op.h"
#include "plan_helpers.h"

/* The place of number `at` of a tensor, along each axis. */
static void place_of(const psal_shape *shape, int64_t at, int64_t *place) {
    for (int d = shape->ndim - 1; d >= 0; at /= shape->dim[d--]) place[d] = at % shape->dim[d];
}

static psal_box box_at(const psal_shape *shape, int64_t at) {
    psal_box box = {.first = {0}};
    place_of(shape, at, box.first);
    memcpy(box.last, box.first, sizeof box.last);
    return box;
}

static psal_box field_of(const psal_graph *g, psal_node node, int64_t at, psal_node source) {
    psal_error err = PSAL_ERROR_INIT;
    const psal_box of = box_at(psal_graph_shape(g, node), at);
    psal_box field;
    ck_assert_msg(psal_receptive_field(g, node, &of, source, &field, &err) == PSAL_OK, "%s", err.message);
    return field;
}

static bool holds(const psal_box *box, const psal_shape *shape, int64_t at) {
    const psal_box place = box_at(shape, at);
    psal_box both = *box;
    psal_box_join(&both, &place, shape->ndim);
    return !psal_box_is_empty(box, shape->ndim) && memcmp(&both, box, sizeof both) == 0;
}

/* A case's graph with one number changed after the other. */
typedef struct probe {
    psal_graph *graph;
    psal_node inputs[CHECK_MAX_INPUTS], all[200];
    int nodes;
    case_values v;
    float *values[CHECK_MAX_INPUTS];
    float *before[200];  /* of the nodes */
    psal_box *seen[200]; /* of each number of a node: around what it changed with, of one input */
    psal_workspace *ws;
    psal_plan *plan;
} probe;

static int64_t count_of(const probe *p, psal_node node) {
    return psal_shape_count(psal_graph_shape(p->graph, node));
}

static void open_probe(probe *p, const psal_op_case *c) {
    *p = (probe){.graph = psal_graph_new()};
    case_values_sample(&p->v, c, 1);
    for (int i = 0; i < c->input_count; i++) {
        p->inputs[i] = psal_input(p->graph, "x", c->inputs[i].shape);
        p->values[i] = malloc((size_t)p->v.count[i] * sizeof(float));
        for (int64_t k = 0; k < p->v.count[i]; k++) p->values[i][k] = (float)p->v.values[i][k];
    }
    c->build(p->graph, p->inputs);
    p->nodes = psal_graph_node_count(p->graph);
    ck_assert_int_le(p->nodes, 200);
    for (int n = 0; n < p->nodes; n++) p->all[n] = n;
    p->plan = plan_of(p->graph, &(psal_plan_options){.outputs = {p->all},
                                                     .output_count = {p->nodes},
                                                     .stages = 1,
                                                     .without_rewrites = PSAL_REWRITE_ALL});
    p->ws = workspace_of(p->plan);
    for (int i = 0; i < c->input_count; i++)
        ck_assert_int_eq(psal_workspace_set(p->ws, p->inputs[i], p->values[i], NULL), PSAL_OK);
    run(p->ws, 0);
    for (int n = 0; n < p->nodes; n++) {
        const size_t size = (size_t)count_of(p, n) * sizeof(float);
        p->before[n] = malloc(size);
        memcpy(p->before[n], psal_workspace_get(p->ws, n), size);
        p->seen[n] = malloc((size_t)count_of(p, n) * sizeof *p->seen[n]);
    }
}

static void close_probe(probe *p) {
    for (int n = 0; n < p->nodes; n++) {
        free(p->before[n]);
        free(p->seen[n]);
    }
    for (int i = 0; i < CHECK_MAX_INPUTS; i++) free(p->values[i]);
    case_values_free(&p->v);
    psal_workspace_free(p->ws);
    psal_plan_free(p->plan);
    psal_graph_free(p->graph);
}

/* Around which numbers of input i does every number of every node change? Each becomes much larger, so that it is a
 * maximum afterwards, or another class. */
static void change_input(probe *p, const psal_op_case *c, int i) {
    const psal_shape *shape = &c->inputs[i].shape;
    for (int n = 0; n < p->nodes; n++)
        for (int64_t k = 0; k < count_of(p, n); k++) p->seen[n][k] = (psal_box){.first = {1}, .last = {0}};
    for (int64_t at = 0; at < p->v.count[i]; at++) {
        const float old = p->values[i][at];
        const int class = (int)old + 1;
        p->values[i][at] = c->inputs[i].values == PSAL_VALUES_CLASSES ? (float)(class % c->inputs[i].limit) : old + 20;
        run(p->ws, 0);
        for (int n = 0; n < p->nodes; n++) {
            const float *now = psal_workspace_get(p->ws, n);
            const psal_box place = box_at(shape, at);
            for (int64_t k = 0; k < count_of(p, n); k++)
                if (memcmp(&now[k], &p->before[n][k], sizeof *now) != 0)
                    psal_box_join(&p->seen[n][k], &place, shape->ndim);
        }
        p->values[i][at] = old; /* only now: views are the same memory */
    }
}

START_TEST(nothing_else_changes_a_result) {
    const char *name = psal_op_kind_name((psal_op_kind)_i);
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    for (int k = 0; k < op->case_count; k++) {
        const psal_op_case *c = &op->cases[k];
        probe p;
        open_probe(&p, c);
        for (int i = 0; i < c->input_count; i++) {
            change_input(&p, c, i);
            for (int n = 0; n < p.nodes; n++)
                for (int64_t at = 0; at < count_of(&p, n); at++) {
                    psal_box field = field_of(p.graph, n, at, p.inputs[i]), both = field;
                    psal_box_join(&both, &p.seen[n][at], c->inputs[i].shape.ndim);
                    ck_assert_msg(memcmp(&both, &field, sizeof both) == 0,
                                  "%s, case '%s': number %lld of node %d (%s) changes with more of input %d", name,
                                  c->name, (long long)at, n, psal_graph_op_name(p.graph, n), i);
                }
        }
        close_probe(&p);
    }
}
END_TEST

/* Where the operation itself is the only one between input and result, its box is as small as it can be, but for
 * pooling by an index that comes from elsewhere. */
START_TEST(boxes_are_tight) {
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    const char *name = psal_op_kind_name((psal_op_kind)_i);
    for (int k = 0; k < op->case_count && op->reach; k++) {
        const psal_op_case *c = &op->cases[k];
        probe p;
        open_probe(&p, c);
        for (int i = 0; i < c->input_count; i++) {
            change_input(&p, c, i);
            for (int n = 0; n < p.nodes; n++) {
                const psal_node_record *record = psal_graph_node(p.graph, n);
                if (record->op != (psal_op_kind)_i || record->inputs[0] != p.inputs[i]) continue;
                if (record->op == PSAL_OP_POOL_GATHER && record->inputs[1] == p.inputs[1]) continue;
                for (int64_t at = 0; at < count_of(&p, n); at++) {
                    const psal_box field = field_of(p.graph, n, at, p.inputs[i]);
                    ck_assert_msg(
                        memcmp(&field, &p.seen[n][at], sizeof field) == 0,
                        "%s, case '%s': number %lld of node %d does not change with all of its box of input %d", name,
                        c->name, (long long)at, n, i);
                }
            }
        }
        close_probe(&p);
    }
}
END_TEST

static void check_axis(const psal_box *field, int axis, int64_t first, int64_t last) {
    ck_assert_int_eq(field->first[axis], first);
    ck_assert_int_eq(field->last[axis], last);
}

/* By hand. */
START_TEST(windows_and_borders) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 2, 12, 20)), w = psal_parameter(g, "w", PSAL_SHAPE(2, 1, 3, 3));
    psal_conv2d_options dilated = {2, 3, 2, 3, 2, 3, 2};
    psal_node a = psal_conv2d(g, x, w, &dilated); /* rows 2p - 2, 2p, 2p + 2; columns 3q - 3, 3q, 3q + 3 */
    psal_pool2d_options pool = {2, 2, 2, 2, 0, 0, false, false};
    psal_node b = psal_max_pool2d(g, psal_relu(g, a), &pool);
    psal_node shuffled = psal_reshape(g, psal_permute(g, b, (int[]){0, 2, 3, 1}, 4), PSAL_SHAPE(3, 3, 2));
    ck_assert_int_eq(psal_graph_check(g, NULL), PSAL_OK);
    ck_assert_int_eq(psal_graph_shape(g, a)->dim[2] * 100 + psal_graph_shape(g, a)->dim[3], 607);
    psal_box field = field_of(g, a, 0, x); /* channel 0, row 0, column 0 */
    check_axis(&field, 1, 0, 0);
    check_axis(&field, 2, 0, 2);
    check_axis(&field, 3, 0, 3);
    field = field_of(g, b, 9 + 3 + 2, x); /* channel 1, row 1, column 2: of a the rows 2, 3 and the columns 4, 5 */
    check_axis(&field, 1, 1, 1);
    check_axis(&field, 2, 2, 8);
    check_axis(&field, 3, 9, 18);
    ck_assert(holds(&field, psal_graph_shape(g, x), 240 + 20 * 2 + 9));
    ck_assert(!holds(&field, psal_graph_shape(g, x), 240 + 20 * 2 + 19));
    ck_assert(!holds(&field, psal_graph_shape(g, x), 20 * 2 + 9)); /* of the other group */
    const psal_box through_axes = field_of(g, shuffled, (3 + 2) * 2 + 1, x);
    ck_assert_int_eq(memcmp(&through_axes, &field, sizeof field), 0);
    field = field_of(g, w, 0, x); /* made before, and does not depend on it */
    ck_assert(psal_box_is_empty(&field, 4));
    field = field_of(g, x, 21, x);
    check_axis(&field, 2, 1, 1);
    check_axis(&field, 3, 1, 1);
    field = field_of(g, psal_sum(g, b), 0, x);
    check_axis(&field, 2, 0, 10); /* all of b, which reads every other row */
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_receptive_field(g, 1000, &field, x, &field, &err), PSAL_ERR_ARGUMENT);
    psal_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/receptive_field");
    TCase *tests = tcase_create("receptive_field");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, nothing_else_changes_a_result, 0, PSAL_OP_COUNT);
    tcase_add_loop_test(tests, boxes_are_tight, 0, PSAL_OP_COUNT);
    tcase_add_test(tests, windows_and_borders);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
