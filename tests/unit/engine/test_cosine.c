/* psal_cosine where a norm is 0 or below the epsilon: values, first and second derivatives against the formula in
 * double, and against what PyTorch 1.13 gives (torch.nn.functional.cosine_similarity in float64, stored). */
#include <math.h>

#include "engine/graph.h"
#include "plan_helpers.h"

enum { N = 3 };

typedef struct answer {
    double value, first[N], second[N]; /* second: the gradient of <first, v> */
} answer;

static const float V[N] = {0.5f, -1, 2};

static answer ask(const float *a, const float *b) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "a", PSAL_SHAPE(N)), y = psal_input(g, "b", PSAL_SHAPE(N)),
              v = psal_input(g, "v", PSAL_SHAPE(N));
    psal_node outputs[3] = {psal_cosine(g, x, y)};
    psal_gradient(g, outputs[0], &x, 1, &outputs[1]);
    psal_gradient(g, psal_sum(g, psal_mul(g, outputs[1], v)), &x, 1, &outputs[2]);
    const psal_plan_options options = {.outputs = {outputs}, .output_count = {3}, .stages = 1};
    psal_plan *plan = plan_of(g, &options);
    psal_workspace *ws = workspace_of(plan);
    ck_assert_int_eq(psal_workspace_set(ws, x, a, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(ws, y, b, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_set(ws, v, V, NULL), PSAL_OK);
    run(ws, 0);
    answer out = {.value = *psal_workspace_get(ws, outputs[0])};
    for (int i = 0; i < N; i++) {
        out.first[i] = psal_workspace_get(ws, outputs[1])[i];
        out.second[i] = psal_workspace_get(ws, outputs[2])[i];
    }
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_graph_free(g);
    return out;
}

/* c = <a, b> / (m n), m = max(|a|, e), n = max(|b|, e). */
static answer define(const float *a, const float *b) {
    double aa = 0, bb = 0, ab = 0, av = 0, bv = 0;
    for (int i = 0; i < N; i++)
        aa += (double)a[i] * a[i], bb += (double)b[i] * b[i], ab += (double)a[i] * b[i], av += (double)a[i] * V[i],
            bv += (double)b[i] * V[i];
    double m = fmax(sqrt(aa), PSAL_COSINE_EPSILON), n = fmax(sqrt(bb), PSAL_COSINE_EPSILON);
    bool free_norm = sqrt(aa) > PSAL_COSINE_EPSILON;
    answer out = {.value = ab / (m * n)};
    for (int i = 0; i < N; i++) {
        out.first[i] = b[i] / (m * n) - (free_norm ? ab * a[i] / (m * m * m * n) : 0);
        out.second[i] = free_norm ? (-b[i] * av - bv * a[i] - ab * V[i]) / (m * m * m * n) +
                                        3 * ab * av * a[i] / (pow(m, 5) * n)
                                  : 0;
    }
    return out;
}

static void same(const char *what, const double *got, const double *expected, int count) {
    double scale = 1e-30;
    for (int i = 0; i < count; i++) scale = fmax(scale, fabs(expected[i]));
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - expected[i]) <= 2e-5 * scale, "%s %d: %g, not %g", what, i, got[i], expected[i]);
}

START_TEST(norms_below_the_epsilon) {
    static const float cases[][2][N] = {{{0, 0, 0}, {1, 2, -1}},
                                        {{0, 0, 0}, {0, 0, 0}},
                                        {{1, 2, 3}, {0, 0, 0}},
                                        {{1e-9f, 0, 0}, {1, 1, 0}},
                                        {{1e-9f, 2e-9f, 0}, {1e-9f, 0, 0}},
                                        {{3e-9f, 0, 1e-9f}, {1e3f, 5, 7}},
                                        {{1e-20f, 0, 0}, {1e10f, 1, 1}},
                                        {{1e-5f, 2e-5f, 0}, {1e-5f, 0, 1e-5f}},
                                        {{1, -2, 0.5f}, {3, 1, 1}},
                                        {{2e-8f, 0, 0}, {0, 1e-4f, 1e-4f}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer got = ask(cases[i][0], cases[i][1]), expected = define(cases[i][0], cases[i][1]);
        ck_assert_msg(fabs(got.value - expected.value) <= 1e-6, "case %zu: %g, not %g", i, got.value, expected.value);
        same("first", got.first, expected.first, N);
        same("second", got.second, expected.second, N);
    }
}
END_TEST

/* a, b: cosine_similarity(a, b), its gradient with respect to a. */
START_TEST(pytorch_says_the_same) {
    static const struct {
        float a[N], b[N];
        double value, first[N];
    } stored[] = {{{0, 0, 0}, {1, 0, 0}, 0, {1e8, 0, 0}},
                  {{0, 0, 0}, {0, 3, 4}, 0, {0, 6e7, 8e7}},
                  {{0, 0, 0}, {0, 0, 0}, 0, {0, 0, 0}},
                  {{1, 2, 2}, {0, 0, 0}, 0, {0, 0, 0}},
                  {{1e-5f, 0, 0}, {1e-5f, 0, 0}, 1, {0, 0, 0}}};
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
        answer got = ask(stored[i].a, stored[i].b);
        ck_assert_double_eq_tol(got.value, stored[i].value, 1e-6);
        for (int j = 0; j < N; j++)
            ck_assert_double_eq_tol(got.first[j], stored[i].first[j], 100 + 1e-5 * fabs(stored[i].first[j]));
    }
    /* below the epsilon the value only: PyTorch's 1.13 gradient is 9.9e7 there, not the slope of its own value */
    ck_assert_double_eq_tol(ask((float[N]){1e-9f, 0, 0}, (float[N]){1, 0, 0}).value, 0.1, 1e-6);
    ck_assert_double_eq_tol(ask((float[N]){1e-9f, 0, 0}, (float[N]){1e-9f, 0, 0}).value, 0.01, 1e-6);
    ck_assert_double_eq_tol(ask((float[N]){1e-9f, 0, 0}, (float[N]){1e3f, 0, 0}).value, 0.1, 1e-6);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cosine");
    TCase *tests = tcase_create("cosine");
    tcase_add_test(tests, norms_below_the_epsilon);
    tcase_add_test(tests, pytorch_says_the_same);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
