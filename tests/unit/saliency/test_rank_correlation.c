/* Rank correlations: against their definitions, pair by pair, with and without equal values. */
#include "saliency/rank_correlation.h"

#include <check.h>
#include <math.h>

#include "saliency/random.h"

enum { MOST = 60 };

/* tau-b by its definition. */
static double all_pairs(const double *x, const double *y, int n) {
    double difference = 0, in_x = 0, in_y = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            const int a = (x[i] > x[j]) - (x[i] < x[j]), b = (y[i] > y[j]) - (y[i] < y[j]);
            difference += a * b;
            in_x += a != 0;
            in_y += b != 0;
        }
    return difference / sqrt(in_x) / sqrt(in_y);
}

/* Pearson's correlation of ranks that are counted: smaller ones, and half of the equal others. */
static double counted_ranks(const double *x, const double *y, int n) {
    double r[2][MOST], sum[2] = {0}, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        r[0][i] = r[1][i] = 0;
        for (int j = 0; j < n; j++) {
            r[0][i] += x[j] < x[i] ? 1 : x[j] == x[i] ? 0.5 : 0;
            r[1][i] += y[j] < y[i] ? 1 : y[j] == y[i] ? 0.5 : 0;
        }
        sum[0] += r[0][i];
        sum[1] += r[1][i];
    }
    for (int i = 0; i < n; i++) {
        const double a = r[0][i] - sum[0] / n, b = r[1][i] - sum[1] / n;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xy / sqrt(xx * yy);
}

static void correlate(const double *x, const double *y, size_t n, double *rho, double *tau) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_spearman(x, y, n, rho, &err) == PSAL_OK, "%s", err.message);
    ck_assert_msg(psal_kendall(x, y, n, tau, &err) == PSAL_OK, "%s", err.message);
}

START_TEST(test_definitions) {
    psal_random random = {7};
    int with_ties = 0;
    for (int trial = 0; trial < 400; trial++) {
        double x[MOST], y[MOST], rho, tau;
        const int n = 2 + (int)psal_random_below(&random, MOST - 1), values = 2 + (int)psal_random_below(&random, 40);
        for (int i = 0; i < n; i++) {
            x[i] = (double)psal_random_below(&random, (uint64_t)values) - 3;
            y[i] = trial % 2 ? psal_random_normal(&random)
                             : x[i] + (double)psal_random_below(&random, (uint64_t)values);
        }
        const double expected_tau = all_pairs(x, y, n), expected_rho = counted_ranks(x, y, n);
        correlate(x, y, (size_t)n, &rho, &tau);
        if (isnan(expected_tau)) { /* all equal */
            ck_assert(isnan(tau) && isnan(rho));
            continue;
        }
        with_ties += values < n;
        ck_assert_double_eq_tol(tau, expected_tau, 1e-12);
        ck_assert_double_eq_tol(rho, expected_rho, 1e-12);
    }
    ck_assert_int_gt(with_ties, 50);
}
END_TEST

START_TEST(test_ends) {
    const double up[] = {1, 2, 30, 400}, down[] = {9, 8, 7, -1e300}, same[] = {5, 5, 5, 5}, nan[] = {1, NAN, 2, 3};
    double rho, tau;
    correlate(up, up, 4, &rho, &tau);
    ck_assert_double_eq_tol(rho, 1, 1e-15);
    ck_assert_double_eq_tol(tau, 1, 1e-15);
    correlate(up, down, 4, &rho, &tau);
    ck_assert_double_eq_tol(rho, -1, 1e-15);
    ck_assert_double_eq_tol(tau, -1, 1e-15);
    correlate(up, same, 4, &rho, &tau);
    ck_assert(isnan(rho) && isnan(tau));
    for (size_t n = 0; n < 2; n++) {
        correlate(up, down, n, &rho, &tau);
        ck_assert(isnan(rho) && isnan(tau));
    }
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_spearman(up, nan, 4, &rho, &err), PSAL_ERR_NUMERIC);
    ck_assert_str_eq(err.message, "value 1 of a ranking is not a number");
    ck_assert_int_eq(psal_kendall(nan, up, 4, &tau, &err), PSAL_ERR_NUMERIC);
}
END_TEST

START_TEST(test_ranks) {
    const double x[] = {3, -1, 3, 0, 3};
    double rank[5];
    ck_assert_int_eq(psal_ranks(x, 5, rank, NULL), PSAL_OK);
    const double expected[] = {4, 1, 4, 2, 4};
    for (int i = 0; i < 5; i++) ck_assert_double_eq(rank[i], expected[i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rank_correlation");
    TCase *tcase = tcase_create("rank_correlation");
    tcase_add_test(tcase, test_definitions);
    tcase_add_test(tcase, test_ends);
    tcase_add_test(tcase, test_ranks);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
