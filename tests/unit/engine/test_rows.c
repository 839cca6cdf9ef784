/* The softmax kernels where float32 alone would lose every digit: a target classified rightly and surely. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/kernels/rows.h"

enum { CLASSES = 1000 };

/* One logit stands out by `lead`, the others spread a little. */
static void logits(float *z, double lead, int top) {
    for (int i = 0; i < CLASSES; i++) z[i] = (float)(0.3 * sin(i));
    z[top] = (float)lead;
}

static void expect(double got, double expected, const char *what, double lead, int i) {
    ck_assert_msg(fabs(got - expected) <= 1e-6 * fabs(expected), "%s, lead %g, [%d]: got %.9g, expected %.9g", what, lead, i, got,
                  expected);
}

START_TEST(sure_predictions_keep_their_digits) {
    static const double leads[] = {0, 5, 12, 20, 40, 80};
    double lead = leads[_i];
    float z[CLASSES], r[CLASSES], g[CLASSES], y[CLASSES], target = 17;
    long double p[CLASSES], sum = 0, others = 0;
    logits(z, lead, 17);
    for (int i = 0; i < CLASSES; i++) sum += expl((long double)z[i]);
    for (int i = 0; i < CLASSES; i++) p[i] = expl((long double)z[i]) / sum;
    for (int i = 0; i < CLASSES; i++) others += i == 17 ? 0 : p[i];
    psal_kernel_softmax_residual(1, CLASSES, z, &target, r);
    for (int i = 0; i < CLASSES; i++) expect(r[i], (double)(i == 17 ? -others : p[i]), "residual", lead, i);

    for (int i = 0; i < CLASSES; i++) g[i] = (float)(2 + cos(3 * i));
    psal_kernel_softmax_jacobian(1, CLASSES, z, g, y);
    for (int i = 0; i < CLASSES; i += 17) {
        long double expected = 0; /* p_i sum_j p_j (g_i - g_j): no cancellation with 1 */
        for (int j = 0; j < CLASSES; j++) expected += p[i] * p[j] * ((long double)g[i] - (long double)g[j]);
        ck_assert_msg(fabsl(y[i] - expected) <= 1e-6L * p[i] * others + 1e-6L * fabsl(expected),
                      "jacobian, lead %g, [%d]: got %.9g, expected %.9Lg", lead, i, (double)y[i], expected);
    }
}
END_TEST

START_TEST(targets_that_are_no_class_give_nan) {
    static const float targets[] = {-1, CLASSES, NAN};
    float z[CLASSES], r[CLASSES];
    logits(z, 3, 5);
    psal_kernel_softmax_residual(1, CLASSES, z, &targets[_i], r);
    for (int i = 0; i < CLASSES; i++) ck_assert(isnan(r[i]));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/rows");
    TCase *tests = tcase_create("softmax");
    tcase_add_loop_test(tests, sure_predictions_keep_their_digits, 0, 6);
    tcase_add_loop_test(tests, targets_that_are_no_class_give_nan, 0, 3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
