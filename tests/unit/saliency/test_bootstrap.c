/* Intervals of means: as wide as the theory says, and the same for equal seeds. */
#include "saliency/bootstrap.h"

#include <check.h>
#include <math.h>

#include "saliency/random.h"

START_TEST(test_normal) {
    enum { COUNT = 400, STRIDE = 3 };
    double values[COUNT * STRIDE];
    psal_random random = {3};
    for (int i = 0; i < COUNT * STRIDE; i++) values[i] = 10 + 2 * psal_random_normal(&random);
    double mean = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) mean += values[i * STRIDE] / COUNT;
    for (int i = 0; i < COUNT; i++) squares += pow(values[i * STRIDE] - mean, 2) / COUNT;
    const double error = sqrt(squares / COUNT);
    psal_interval a, b, other;
    ck_assert_int_eq(psal_bootstrap_mean(values, COUNT, STRIDE, 1, &a, NULL), PSAL_OK);
    ck_assert_int_eq(psal_bootstrap_mean(values, COUNT, STRIDE, 1, &b, NULL), PSAL_OK);
    ck_assert_int_eq(psal_bootstrap_mean(values, COUNT, STRIDE, 2, &other, NULL), PSAL_OK);
    ck_assert_double_eq_tol(a.mean, mean, 1e-12);
    ck_assert_uint_eq(a.count, COUNT);
    /* 1.96 standard errors to either side; 2000 draws know the percentiles to about a tenth of one. */
    ck_assert_double_eq_tol(a.low, mean - 1.96 * error, 0.25 * error);
    ck_assert_double_eq_tol(a.high, mean + 1.96 * error, 0.25 * error);
    ck_assert(a.low == b.low && a.high == b.high);
    ck_assert(a.low != other.low && a.mean == other.mean);
}
END_TEST

START_TEST(test_few) {
    const double values[] = {NAN, 4, NAN, 6};
    psal_interval i;
    ck_assert_int_eq(psal_bootstrap_mean(values, 1, 1, 1, &i, NULL), PSAL_OK);
    ck_assert(isnan(i.mean) && isnan(i.low) && isnan(i.high) && i.count == 0);
    ck_assert_int_eq(psal_bootstrap_mean(values, 2, 1, 1, &i, NULL), PSAL_OK);
    ck_assert(i.mean == 4 && isnan(i.low) && isnan(i.high) && i.count == 1);
    ck_assert_int_eq(psal_bootstrap_mean(values, 4, 1, 1, &i, NULL), PSAL_OK);
    ck_assert(i.mean == 5 && i.low == 4 && i.high == 6 && i.count == 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bootstrap");
    TCase *tcase = tcase_create("bootstrap");
    tcase_add_test(tcase, test_normal);
    tcase_add_test(tcase, test_few);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
