/* The softmax kernels where float32 alone would lose every digit, a target classified rightly and surely; and means
 * with their signs. */
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
    ck_assert_msg(fabs(got - expected) <= 1e-6 * fabs(expected), "%s, lead %g, [%d]: got %.9g, expected %.9g", what,
                  lead, i, got, expected);
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

START_TEST(means_come_with_their_signs) {
    enum { MOST = 40000 };
    static const size_t sizes[][2] = {{1, 1},    {1, MOST},  {3, 1},    {MOST, 1}, {7, 13},
                                      {500, 64}, {3000, 13}, {5, 4097}, {2, 20000}};
    static float x[MOST], mean[MOST], again[MOST];
    static unsigned char codes[MOST + 1];
    const size_t rows = sizes[_i][0], columns = sizes[_i][1], n = rows * columns;
    for (size_t i = 0; i < n; i++) x[i] = i % 11 == 3 ? (i % 2 ? 0.0F : -0.0F) : (float)sin((double)i * i + 1);
    if (n > 50) x[47] = NAN;
    for (int threads = 1; threads <= 3; threads++) {
        const psal_parallel parallel = {threads, NULL};
        codes[n] = 77;
        psal_kernel_row_mean_abs(rows, columns, x, mean, codes, &parallel);
        psal_kernel_row_mean_abs(rows, columns, x, again, NULL, &parallel);
        ck_assert_mem_eq(mean, again, rows * sizeof *mean);
        ck_assert_uint_eq(codes[n], 77);
        for (size_t i = 0; i < n; i++) ck_assert_uint_eq(codes[i], x[i] > 0 ? 2 : x[i] < 0 ? 0 : 1);
        for (size_t r = 0; r < rows; r++) {
            double sum = 0;
            for (size_t i = 0; i < columns; i++) sum += fabs((double)x[r * columns + i]);
            if (isnan(sum))
                ck_assert(isnan(mean[r]));
            else
                ck_assert_double_eq_tol(mean[r], sum / (double)columns, 1e-7 * (sum / (double)columns) + 1e-30);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/rows");
    TCase *tests = tcase_create("rows");
    tcase_add_loop_test(tests, sure_predictions_keep_their_digits, 0, 6);
    tcase_add_loop_test(tests, targets_that_are_no_class_give_nan, 0, 3);
    tcase_add_loop_test(tests, means_come_with_their_signs, 0, 9);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
