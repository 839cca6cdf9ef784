/* Tests the products of one row and a matrix so large that its rows are shared out (op_matmul.c): equal bits for any
 * number of threads. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "case_values.h"
#include "engine/plan_internal.h"
#include "plan_helpers.h"

/* 275 MiB, nearly all of them zeros that no page is taken for */
enum { LENGTH = 32768 + 5, ROWS = 2201, VALUES_PER_ROW = 40, FIRST = 1000, END = 1400 };

/* y of a B^T with `transposed` and else of a B */
static void product(bool transposed, int threads, const float *b, const float *a, float *y) {
    psal_graph *g = psal_graph_new();
    const psal_node x = psal_input(g, "x", PSAL_SHAPE(1, transposed ? LENGTH : ROWS));
    const psal_node matrix = psal_parameter(g, "b", PSAL_SHAPE(ROWS, LENGTH));
    const psal_node result = psal_matmul(g, x, false, matrix, transposed);
    psal_plan *plan = plan_of(
        g, &(psal_plan_options){.outputs = {&result}, .output_count = {1}, .stages = 1, .threads = threads});
    psal_workspace *ws = workspace_of(plan);
    psal_plan_bind(plan, matrix, b, NULL);
    psal_workspace_set(ws, x, a, NULL);
    run(ws, 0);
    memcpy(y, psal_workspace_get(ws, result), (transposed ? ROWS : LENGTH) * sizeof *y);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}

START_TEST(large_products_do_not_depend_on_threads) {
    const bool transposed = _i % 2;
    const size_t results = transposed ? ROWS : LENGTH, inputs = transposed ? LENGTH : ROWS;
    float *b = calloc((size_t)ROWS * LENGTH, sizeof *b), *a = malloc(inputs * sizeof *a);
    float *expected = malloc(results * sizeof *expected), *y = malloc(results * sizeof *y);
    ck_assert(b && a && expected && y);
    uint64_t state = 5;
    for (size_t row = FIRST; row < END; row++)
        for (size_t i = 0; i < VALUES_PER_ROW; i++)
            b[row * LENGTH + (size_t)case_uniform(&state, 0, LENGTH - 1)] = (float)case_uniform(&state, -1, 1);
    for (size_t i = 0; i < inputs; i++) a[i] = i % 3 == 1 ? 0 : (float)case_uniform(&state, -1, 1);
    product(transposed, 1, b, a, expected);
    size_t nonzero = 0;
    for (size_t i = 0; i < results; i++) {
        nonzero += expected[i] != 0;
        double sum = 0;
        for (size_t j = 0; j < inputs && expected[i] != 0; j++)
            sum += (double)a[j] * (double)(transposed ? b[i * LENGTH + j] : b[j * LENGTH + i]);
        ck_assert_msg(fabs(expected[i] - sum) <= 1e-5, "[%zu]: %.9g, expected %.9g", i, (double)expected[i], sum);
    }
    ck_assert_uint_ge(nonzero, 300);
    for (int threads = 2; threads <= 3; threads++) {
        product(transposed, threads, b, a, y);
        ck_assert_mem_eq(y, expected, results * sizeof *y);
    }
    free(b);
    free(a);
    free(expected);
    free(y);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/matmul");
    TCase *tests = tcase_create("matmul");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, large_products_do_not_depend_on_threads, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
