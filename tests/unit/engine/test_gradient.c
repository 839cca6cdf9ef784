/* Every row of the operation table, to first and second order; nobody lists operations here. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gradient_checker.h"

static bool is_leaf(psal_op_kind kind) {
    return kind == PSAL_OP_INPUT || kind == PSAL_OP_PARAMETER || kind == PSAL_OP_CONSTANT || kind == PSAL_OP_FILL;
}

START_TEST(every_row_is_complete) {
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    const char *name = psal_op_kind_name((psal_op_kind)_i);
    ck_assert_msg(op->infer != NULL, "%s has no shape rule", name);
    ck_assert_msg((op->gradient == NULL) == (op->not_differentiable != NULL),
                  "%s must have a gradient rule or say why not", name);
    ck_assert_msg(is_leaf((psal_op_kind)_i) || op->case_count > 0, "%s has no check cases", name);
    ck_assert_msg(op->run || op->run_elements || op->is_view || is_leaf((psal_op_kind)_i), "%s cannot be run", name);
}
END_TEST

START_TEST(derivatives_match_central_differences) {
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    for (int c = 0; c < op->case_count; c++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            char message[512];
            bool spoilt, good = check_case(&op->cases[c], seed, BROKEN_NOT, &spoilt, message);
            ck_assert_msg(good, "%s, case '%s', seed %d: %s", psal_op_kind_name((psal_op_kind)_i), op->cases[c].name,
                          (int)seed, message);
        }
}
END_TEST

/* The case builds the operation it stands in the row of. */
START_TEST(cases_exercise_their_operation) {
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    for (int c = 0; c < op->case_count; c++) {
        psal_graph *g = psal_graph_new();
        psal_node in[CHECK_MAX_INPUTS];
        for (int i = 0; i < op->cases[c].input_count; i++) in[i] = psal_input(g, "x", op->cases[c].inputs[i].shape);
        op->cases[c].build(g, in);
        bool found = false;
        for (psal_node n = 0; n < psal_graph_node_count(g); n++) found |= psal_graph_node(g, n)->op == (psal_op_kind)_i;
        ck_assert_msg(found, "case '%s' has no %s", op->cases[c].name, psal_op_kind_name((psal_op_kind)_i));
        psal_graph_free(g);
    }
}
END_TEST

/* The checker must catch broken rules of every kind. */
START_TEST(checker_catches_broken_rules) {
    const psal_op *op = psal_op_get((psal_op_kind)_i);
    for (int c = 0; c < op->case_count; c++) {
        if (op->cases[c].zero_gradient) continue;
        for (broken_rule rule = BROKEN_SIGN; rule <= BROKEN_ZERO; rule++) {
            char message[512];
            bool spoilt, passed = check_case(&op->cases[c], 1, rule, &spoilt, message);
            ck_assert_msg(passed != spoilt, "%s, case '%s': broken rule %d was not noticed",
                          psal_op_kind_name((psal_op_kind)_i), op->cases[c].name, rule);
            ck_assert_msg(spoilt || rule == BROKEN_INDEX, "%s, case '%s': rule %d cannot be broken",
                          psal_op_kind_name((psal_op_kind)_i), op->cases[c].name, rule);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/gradient");
    TCase *tests = tcase_create("table");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_row_is_complete, 0, PSAL_OP_COUNT);
    tcase_add_loop_test(tests, cases_exercise_their_operation, 0, PSAL_OP_COUNT);
    tcase_add_loop_test(tests, derivatives_match_central_differences, 0, PSAL_OP_COUNT);
    tcase_add_loop_test(tests, checker_catches_broken_rules, 0, PSAL_OP_COUNT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
