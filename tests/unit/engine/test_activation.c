/* The kernels of the activation functions, number by number, against the mathematical library; and the derivatives at
 * the kinks, as PyTorch has them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/kernels/activation.h"
#include "engine/plan.h"

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static const struct {
    const char *name;
    void (*kernel)(size_t n, const float *x, float *out);
    double (*definition)(double);
    float most; /* |x| that matters */
} functions[] = {{"exp", psal_kernel_exp, exp, 88},
                 {"sigmoid", psal_kernel_sigmoid, sigmoid, 105},
                 {"tanh", psal_kernel_tanh, tanh, 12},
                 {"erf", psal_kernel_erf, erf, 5}};

static void expect_close(int f, float x, float got) {
    const float expected = (float)functions[f].definition(x);
    const float unit = nextafterf(fabsf(expected), INFINITY) - fabsf(expected);
    ck_assert_msg(fabs((double)got - functions[f].definition(x)) <= unit, "%s(%.9g): expected %.9g, got %.9g",
                  functions[f].name, (double)x, (double)expected, (double)got);
}

START_TEST(functions_are_exact_to_the_last_place) {
    enum { COUNT = 1001 };
    float x[COUNT], y[COUNT];
    for (float most = functions[_i].most; most > 1e-30f; most *= 0.1f) {
        for (int i = 0; i < COUNT; i++) x[i] = most * ((float)i / 500 - 1);
        functions[_i].kernel(COUNT, x, y);
        for (int i = 0; i < COUNT; i++) expect_close(_i, x[i], y[i]);
        functions[_i].kernel(COUNT, x, x); /* in place */
        for (int i = 0; i < COUNT; i++) ck_assert_float_eq(x[i], y[i]);
    }
}
END_TEST

START_TEST(functions_end_where_numbers_end) {
    const float x[] = {-INFINITY, INFINITY, -3e38f, 3e38f, -200, 200, 0, NAN};
    float y[8];
    functions[_i].kernel(8, x, y);
    for (int i = 0; i < 7; i++) ck_assert_float_eq(y[i], (float)functions[_i].definition(x[i]));
    ck_assert(isnan(y[7]));
    float one;
    for (int i = 0; i < 7; i++) { /* the same alone as among others */
        functions[_i].kernel(1, &x[i], &one);
        ck_assert_float_eq(one, y[i]);
    }
}
END_TEST

/* f(x) and f'(x) for each x. */
static void differentiate(psal_node (*f)(psal_graph *, psal_node), int count, const float *x, float *y, float *slope) {
    psal_error err = PSAL_ERROR_INIT;
    psal_graph *g = psal_graph_new();
    psal_node in = psal_constant(g, x, PSAL_SHAPE(count)), out[2] = {f(g, in)};
    psal_gradient(g, out[0], &in, 1, &out[1]);
    psal_plan_options options = {.outputs = {out}, .output_count = {2}, .stages = 1};
    psal_plan *plan = psal_plan_new(g, &options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_int_eq(psal_workspace_run(ws, 0, &err), PSAL_OK);
    for (int i = 0; i < count; i++) y[i] = psal_workspace_get(ws, out[0])[i];
    for (int i = 0; i < count; i++) slope[i] = psal_workspace_get(ws, out[1])[i];
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
}

static psal_node relu6(psal_graph *g, psal_node x) {
    return psal_clip(g, x, 0, 6);
}
static psal_node clamp(psal_graph *g, psal_node x) {
    return psal_clamp(g, x, 0, 6);
}

/* Values and derivatives of PyTorch 1.13's relu6, clamp, hardsigmoid and hardswish at their kinks and around them. */
START_TEST(kinks_are_those_of_pytorch) {
    const float x[] = {-4, -3, -1, 0, 1, 3, 6, 7}, nan[] = {NAN};
    static const struct {
        psal_node (*f)(psal_graph *, psal_node);
        float y[8], slope[8];
    } expected[] = {
        {relu6, {0, 0, 0, 0, 1, 3, 6, 6}, {0, 0, 0, 0, 1, 1, 0, 0}},
        {clamp, {0, 0, 0, 0, 1, 3, 6, 6}, {0, 0, 0, 1, 1, 1, 1, 0}},
        {psal_hard_sigmoid, {0, 0, 1 / 3.0f, 0.5f, 2 / 3.0f, 1, 1, 1}, {0, 0, 1 / 6.0f, 1 / 6.0f, 1 / 6.0f, 0, 0, 0}},
        {psal_hard_swish, {0, 0, -1 / 3.0f, 0, 2 / 3.0f, 3, 6, 7}, {0, -0.5f, 1 / 6.0f, 0.5f, 5 / 6.0f, 1.5f, 1, 1}},
    };
    for (size_t f = 0; f < sizeof expected / sizeof *expected; f++) {
        float y[8], slope[8];
        differentiate(expected[f].f, 8, x, y, slope);
        for (int i = 0; i < 8; i++) {
            ck_assert_float_eq_tol(y[i], expected[f].y[i], 1e-6f);
            ck_assert_float_eq_tol(slope[i], expected[f].slope[i], 1e-6f);
        }
        differentiate(expected[f].f, 1, nan, y, slope);
        ck_assert(isnan(y[0]));
    }
}
END_TEST

START_TEST(powers_of_whole_exponents_end) {
    psal_graph *g = psal_graph_new();
    psal_error err = PSAL_ERROR_INIT;
    psal_node x = psal_input(g, "x", PSAL_SHAPE(2));
    ck_assert_int_eq(psal_pow(g, x, 1), x);
    ck_assert_str_eq(psal_graph_op_name(g, psal_pow(g, x, 0)), "fill");
    ck_assert_str_eq(psal_graph_op_name(g, psal_pow(g, x, 2)), "mul");
    ck_assert_str_eq(psal_graph_op_name(g, psal_pow(g, x, 0.5)), "pow");
    ck_assert_int_eq(psal_graph_check(g, &err), PSAL_OK);
    ck_assert_int_eq(psal_clip(g, x, 1, 0), PSAL_NO_NODE);
    ck_assert_int_eq(psal_graph_check(g, &err), PSAL_ERR_ARGUMENT);
    psal_graph_free(g);
    g = psal_graph_new();
    ck_assert_int_eq(psal_clip(g, psal_input(g, "x", PSAL_SHAPE(2)), NAN, 1), PSAL_NO_NODE);
    ck_assert_int_eq(psal_graph_check(g, &err), PSAL_ERR_ARGUMENT);
    psal_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/activation");
    TCase *tests = tcase_create("activation");
    tcase_add_loop_test(tests, functions_are_exact_to_the_last_place, 0, 4);
    tcase_add_loop_test(tests, functions_end_where_numbers_end, 0, 4);
    tcase_add_test(tests, kinks_are_those_of_pytorch);
    tcase_add_test(tests, powers_of_whole_exponents_end);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
