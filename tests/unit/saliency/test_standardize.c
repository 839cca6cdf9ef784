/* Tests saliency/standardize.h. */
#include "saliency/standardize.h"

#include "tests/unit/models/fixtures.h"

static const double mean[] = {1, 0.5, 0, 1e-14, 2e-14, 4}, std[] = {2, 1e-14, 0, 2e-14, 1, 0.25};
static const float naive[] = {3, 0.75f, 2, 1, 1, -4};
enum { N = 6 };

START_TEST(std_subtracts_and_divides) {
    /* deviations up to 1e-14 count as 1, those above do not */
    const double expected[] = {1, 0.25, 2, (1 - 1e-14) / 2e-14, 1 - 2e-14, -32};
    double got[N];
    double shift[N], scale[N];
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_standardize(PSAL_MODE_STD, N, naive, mean, std, got, &err), PSAL_OK);
    ck_assert_int_eq(psal_standardize_map(PSAL_MODE_STD, N, mean, std, shift, scale, &err), PSAL_OK);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq_tol(got[i], expected[i], 1e-12 * (1 + fabs(expected[i])));
        ck_assert_double_eq_tol(((double)naive[i] - shift[i]) / scale[i], expected[i], 1e-12 * (1 + fabs(expected[i])));
    }
    ck_assert_double_eq(scale[1], 1);
    ck_assert_double_eq(scale[3], 2e-14);
}
END_TEST

START_TEST(norm_divides_by_the_mean) {
    const double expected[] = {3, 1.5, 2, 1, 1 / 2e-14, -1};
    double got[N];
    double shift[N], scale[N];
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_standardize(PSAL_MODE_NORM, N, naive, mean, NULL, got, &err), PSAL_OK);
    ck_assert_int_eq(psal_standardize_map(PSAL_MODE_NORM, N, mean, NULL, shift, scale, &err), PSAL_OK);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq_tol(got[i], expected[i], 1e-12 * (1 + fabs(expected[i])));
        ck_assert_double_eq(shift[i], 0);
        ck_assert_double_eq_tol((double)naive[i] / scale[i], expected[i], 1e-12 * (1 + fabs(expected[i])));
    }
}
END_TEST

START_TEST(naive_changes_nothing) {
    double got[N];
    double shift[N], scale[N];
    ck_assert_int_eq(psal_standardize(PSAL_MODE_NAIVE, N, naive, NULL, NULL, got, NULL), PSAL_OK);
    ck_assert_int_eq(psal_standardize_map(PSAL_MODE_NAIVE, N, NULL, NULL, shift, scale, NULL), PSAL_OK);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq(got[i], naive[i]);
        ck_assert_double_eq(shift[i], 0);
        ck_assert_double_eq(scale[i], 1);
    }
}
END_TEST

START_TEST(missing_statistics_are_refused) {
    double got[N];
    double shift[N], scale[N];
    const struct {
        psal_mode mode;
        const double *mean, *std;
    } cases[] = {{PSAL_MODE_STD, NULL, NULL},
                 {PSAL_MODE_STD, mean, NULL},
                 {PSAL_MODE_STD, NULL, std},
                 {PSAL_MODE_NORM, NULL, NULL},
                 {PSAL_MODE_NORM, NULL, std}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_int_eq(psal_standardize(cases[i].mode, N, naive, cases[i].mean, cases[i].std, got, &err),
                         PSAL_ERR_ARGUMENT);
        ck_assert_str_eq(err.message, "standardizing needs the statistics of a data set");
        ck_assert_int_eq(psal_standardize_map(cases[i].mode, N, cases[i].mean, cases[i].std, shift, scale, NULL),
                         PSAL_ERR_ARGUMENT);
    }
}
END_TEST

static void check_indices(const int64_t *got, const int64_t *expected, int64_t k) {
    for (int64_t i = 0; i < k; i++)
        ck_assert_msg(got[i] == expected[i], "place %d: expected %d, got %d", (int)i, (int)expected[i], (int)got[i]);
}

START_TEST(top_and_bottom_put_the_best_first_and_ties_by_index) {
    const double values[] = {2, 5, -1, 5, 2, 0, 5, -1, INFINITY, -INFINITY};
    const int64_t top[] = {8, 1, 3, 6, 0, 4, 5, 2, 7, 9}, bottom[] = {9, 2, 7, 5, 0, 4, 1, 3, 6, 8};
    for (int64_t k = 0; k <= 10; k++) {
        int64_t got[11];
        for (int i = 0; i < 11; i++) got[i] = -7;
        ck_assert_int_eq(psal_top_k(10, values, NULL, k, got, NULL), PSAL_OK);
        check_indices(got, top, k);
        ck_assert_int_eq(got[k], -7); /* not written beyond k */
        ck_assert_int_eq(psal_bottom_k(10, values, NULL, k, got, NULL), PSAL_OK);
        check_indices(got, bottom, k);
        ck_assert_int_eq(got[k], -7);
    }
}
END_TEST

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

START_TEST(top_k_agrees_with_sorting) {
    enum { MANY = 5000 };
    static double values[MANY], sorted[MANY];
    static int64_t got[MANY];
    uint32_t state = 1;
    for (int i = 0; i < MANY; i++) {
        state = state * 1664525u + 1013904223u;
        sorted[i] = values[i] = (double)(state >> 20); /* 4,096 values: many ties */
    }
    qsort(sorted, MANY, sizeof *sorted, descending);
    for (int k = 1; k <= MANY; k = k * 3 + 1) {
        ck_assert_int_eq(psal_top_k(MANY, values, NULL, k, got, NULL), PSAL_OK);
        for (int i = 0; i < k; i++) {
            ck_assert_double_eq(values[got[i]], sorted[i]);
            if (i > 0 && values[got[i]] == values[got[i - 1]]) ck_assert_int_gt(got[i], got[i - 1]);
        }
    }
}
END_TEST

START_TEST(random_k_are_different_and_reproducible) {
    enum { MANY = 100 };
    int64_t a[MANY + 1], b[MANY], c[MANY];
    ck_assert_int_eq(psal_random_k(MANY, 3, NULL, MANY, a, NULL), PSAL_OK);
    bool seen[MANY] = {false};
    for (int i = 0; i < MANY; i++) {
        ck_assert(a[i] >= 0 && a[i] < MANY && !seen[a[i]]);
        seen[a[i]] = true;
    }
    ck_assert_int_eq(psal_random_k(MANY, 3, NULL, 10, b, NULL), PSAL_OK);
    check_indices(b, a, 10); /* fewer are the beginning of more */
    ck_assert_int_eq(psal_random_k(MANY, 4, NULL, 10, c, NULL), PSAL_OK);
    ck_assert_int_ne(memcmp(b, c, 10 * sizeof *b), 0);
    a[0] = -7;
    ck_assert_int_eq(psal_random_k(MANY, 3, NULL, 0, a, NULL), PSAL_OK);
    ck_assert_int_eq(psal_random_k(0, 3, NULL, 0, a, NULL), PSAL_OK);
    ck_assert_int_eq(a[0], -7);
    int counts[5] = {0}; /* every index is as likely as another */
    for (uint64_t seed = 0; seed < 5000; seed++) {
        ck_assert_int_eq(psal_random_k(5, seed, NULL, 1, a, NULL), PSAL_OK);
        counts[a[0]]++;
    }
    for (int i = 0; i < 5; i++) ck_assert_int_lt(abs(counts[i] - 1000), 130);
}
END_TEST

START_TEST(impossible_k_are_refused) {
    const double values[] = {1, 2, 3};
    int64_t got[3];
    for (int64_t k = -1; k <= 4; k += 5) {
        psal_error err = PSAL_ERROR_INIT;
        char expected[64];
        snprintf(expected, sizeof expected, "cannot choose %d of 3", (int)k);
        ck_assert_int_eq(psal_top_k(3, values, NULL, k, got, &err), PSAL_ERR_ARGUMENT);
        ck_assert_str_eq(err.message, expected);
        ck_assert_int_eq(psal_bottom_k(3, values, NULL, k, got, NULL), PSAL_ERR_ARGUMENT);
        ck_assert_int_eq(psal_random_k(3, 1, NULL, k, got, &err), PSAL_ERR_ARGUMENT);
        ck_assert_str_eq(err.message, expected);
    }
}
END_TEST

/* An entry without a deviation has a value, but no rank. */
START_TEST(what_the_mode_cannot_divide_does_not_rank) {
    const bool expected[][N] = {{true, false, false, true, true, true},
                                {true, true, false, false, true, true},
                                {true, true, true, true, true, true}};
    const float some[N] = {3, 0, 2, -0.0f, 1, -4};
    for (int mode = 0; mode < 3; mode++) {
        bool live[N];
        memset(live, true, sizeof live);
        psal_rankable((psal_mode)mode, N, naive, mean, std, live);
        ck_assert_mem_eq(live, expected[mode], sizeof live);
    }
    bool live[N] = {true, true, false, true, true, true};
    psal_rankable(PSAL_MODE_NAIVE, N, some, NULL, NULL, live);
    ck_assert(live[0] && !live[1] && !live[2] && !live[3] && live[4] && live[5]);
    ck_assert_int_eq(psal_live_count(N, live), 3);
    ck_assert_int_eq(psal_live_count(N, NULL), N);
}
END_TEST

START_TEST(only_live_ones_are_ranked) {
    /* all live ones lie below the dead ones' 0 */
    const double values[] = {-3, 0, -1, 0, -2, -7, 0};
    const bool live[] = {true, false, true, false, true, true, false};
    int64_t got[7];
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_top_k(7, values, live, 4, got, &err), PSAL_OK);
    ck_assert(got[0] == 2 && got[1] == 4 && got[2] == 0 && got[3] == 5);
    ck_assert_int_eq(psal_top_k(7, values, live, 2, got, &err), PSAL_OK);
    ck_assert(got[0] == 2 && got[1] == 4);
    ck_assert_int_eq(psal_bottom_k(7, values, live, 3, got, &err), PSAL_OK);
    ck_assert(got[0] == 5 && got[1] == 0 && got[2] == 4);
    for (uint64_t seed = 0; seed < 50; seed++) {
        ck_assert_int_eq(psal_random_k(7, seed, live, 3, got, &err), PSAL_OK);
        ck_assert(live[got[0]] && live[got[1]] && live[got[2]] && got[0] != got[1] && got[1] != got[2] &&
                  got[0] != got[2]);
    }
    const bool none[7] = {false};
    ck_assert_int_eq(psal_top_k(7, values, none, 0, got, &err), PSAL_OK);
    ck_assert_int_eq(psal_top_k(7, values, live, 5, got, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "cannot choose 5 of 4");
    ck_assert_int_eq(psal_random_k(7, 1, none, 1, got, &err), PSAL_ERR_ARGUMENT);
}
END_TEST

START_TEST(boost_multiplies_the_chosen) {
    const double values[] = {1, -2, 3, 4};
    const int64_t chosen[] = {3, 1};
    double target[4];
    psal_boost(4, values, chosen, 2, 100, target);
    ck_assert_double_eq(target[0], 1);
    ck_assert_double_eq(target[1], -200);
    ck_assert_double_eq(target[2], 3);
    ck_assert_double_eq(target[3], 400);
    psal_boost(4, values, NULL, 0, 100, target);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(target[i], values[i]);
}
END_TEST

RUN_TESTS("saliency/standardize", std_subtracts_and_divides, norm_divides_by_the_mean, naive_changes_nothing,
          missing_statistics_are_refused, top_and_bottom_put_the_best_first_and_ties_by_index,
          top_k_agrees_with_sorting, random_k_are_different_and_reproducible, impossible_k_are_refused,
          what_the_mode_cannot_divide_does_not_rank, only_live_ones_are_ranked, boost_multiplies_the_chosen)
