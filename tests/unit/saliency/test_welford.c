#include "saliency/welford.h"

#include <check.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

enum { LENGTH = 37, COUNT = 101 };

static float samples[COUNT][LENGTH];

/* Values of very different sizes, and one entry far from zero that a sum of squares would lose. */
static void setup(void) {
    psal_random random = {7};
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < LENGTH; k++)
            samples[i][k] = (float)(psal_random_normal(&random) * pow(10, k % 9 - 6) + (k == 5 ? 1e4 : 0));
}

static psal_welford *over(int first, int end) {
    psal_welford *w = psal_welford_new(LENGTH, NULL);
    ck_assert_ptr_nonnull(w);
    for (int i = first; i < end; i++) psal_welford_add(w, samples[i]);
    return w;
}

static void check_against_definition(const psal_welford *w, int first, int end) {
    double std[LENGTH];
    psal_welford_std(w, std);
    ck_assert_int_eq(w->count, end - first);
    for (int k = 0; k < LENGTH; k++) {
        long double mean = 0, squares = 0;
        for (int i = first; i < end; i++) mean += (long double)samples[i][k] / (end - first);
        for (int i = first; i < end; i++)
            squares += ((long double)samples[i][k] - mean) * ((long double)samples[i][k] - mean);
        double expected = (double)sqrtl(squares / (end - first - 1));
        ck_assert_double_eq_tol(w->mean[k], (double)mean, 1e-12 * (fabs((double)mean) + expected));
        ck_assert_double_eq_tol(std[k], expected, 1e-11 * expected);
    }
}

START_TEST(adds_as_the_definition_says) {
    psal_welford *w = over(0, COUNT);
    check_against_definition(w, 0, COUNT);
    psal_welford_free(w);
}
END_TEST

START_TEST(merges_as_if_added_one_by_one) {
    static const int cuts[] = {0, 1, 2, 50, 100, COUNT};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        psal_welford *a = over(0, cuts[i]), *b = over(cuts[i], COUNT);
        ck_assert_int_eq(psal_welford_merge(a, b, NULL), PSAL_OK);
        check_against_definition(a, 0, COUNT);
        psal_welford_free(a);
        psal_welford_free(b);
    }
}
END_TEST

START_TEST(has_no_deviation_below_two_samples) {
    double std[LENGTH];
    for (int n = 0; n < 2; n++) {
        psal_welford *w = over(0, n);
        memset(std, 255, sizeof std);
        psal_welford_std(w, std);
        for (int k = 0; k < LENGTH; k++) ck_assert_double_eq(std[k], 0);
        psal_welford_free(w);
    }
}
END_TEST

START_TEST(refuses_another_length) {
    psal_welford *a = psal_welford_new(3, NULL), *b = psal_welford_new(4, NULL);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_welford_merge(a, b, &err), PSAL_ERR_SHAPE);
    ck_assert_str_eq(err.message, "means of 3 entries cannot be joined with means of 4");
    psal_welford_free(a);
    psal_welford_free(b);
    ck_assert_ptr_null(psal_welford_new(0, &err));
    ck_assert_ptr_null(psal_welford_new(INT64_MAX / 8, &err));
}
END_TEST

START_TEST(has_the_same_bits_for_any_number_of_threads) {
    const int64_t length = 300001; /* enough that the threads are used */
    float *values = malloc((size_t)length * sizeof *values);
    psal_welford *w[2];
    for (int t = 0; t < 2; t++) {
        omp_set_num_threads(t ? 3 : 1);
        w[t] = psal_welford_new(length, NULL);
        psal_random random = {1};
        for (int i = 0; i < 3; i++) {
            for (int64_t k = 0; k < length; k++) values[k] = (float)psal_random_uniform(&random);
            psal_welford_add(w[t], values);
        }
    }
    ck_assert_int_eq(memcmp(w[0]->mean, w[1]->mean, (size_t)length * sizeof(double)), 0);
    ck_assert_int_eq(memcmp(w[0]->m2, w[1]->m2, (size_t)length * sizeof(double)), 0);
    psal_welford_free(w[0]);
    psal_welford_free(w[1]);
    free(values);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("welford");
    TCase *tests = tcase_create("welford");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, adds_as_the_definition_says);
    tcase_add_test(tests, merges_as_if_added_one_by_one);
    tcase_add_test(tests, has_no_deviation_below_two_samples);
    tcase_add_test(tests, refuses_another_length);
    tcase_add_test(tests, has_the_same_bits_for_any_number_of_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* OpenMP's threads do not survive a fork */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
