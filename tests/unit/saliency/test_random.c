/* Tests saliency/random.h against the published numbers of splitmix64 and against what the distributions must be. */
#include "saliency/random.h"

#include <math.h>

#include "tests/unit/models/fixtures.h"

START_TEST(bits_are_those_of_splitmix64) {
    psal_random zero = {0}, other = {1234567};
    ck_assert_uint_eq(psal_random_bits(&zero), 0xE220A8397B1DCDAFu);
    ck_assert_uint_eq(psal_random_bits(&zero), 0x6E789E6AA1B965F4u);
    ck_assert_uint_eq(psal_random_bits(&zero), 0x06C45D188009454Fu);
    ck_assert_uint_eq(psal_random_bits(&other), 6457827717110365317u);
    ck_assert_uint_eq(psal_random_bits(&other), 3203168211198807973u);
}
END_TEST

START_TEST(below_stays_below_without_bias) {
    psal_random random = {5};
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t v = psal_random_below(&random, 7);
        ck_assert_uint_lt(v, 7);
        counts[v]++;
    }
    for (int i = 0; i < 7; i++) ck_assert_int_lt(abs(counts[i] - 10000), 400); /* four standard deviations */
    for (int i = 0; i < 100; i++) ck_assert_uint_eq(psal_random_below(&random, 1), 0);
    /* 3/4 of 2^64: a plain remainder would give the lower third twice as often */
    uint64_t limit = 3ull << 62;
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t v = psal_random_below(&random, limit);
        ck_assert_uint_lt(v, limit);
        low += v < limit / 3;
    }
    ck_assert_int_lt(abs(low - 10000), 400);
    for (int i = 0; i < 100; i++) ck_assert_uint_lt(psal_random_below(&random, UINT64_MAX), UINT64_MAX);
}
END_TEST

START_TEST(uniform_and_normal_have_their_moments) {
    psal_random random = {9};
    enum { N = 200000 };
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        double u = psal_random_uniform(&random);
        ck_assert(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    ck_assert_double_eq_tol(sum / N, 0.5, 3e-3);
    ck_assert_double_eq_tol(squares / N, 1.0 / 3, 3e-3);
    double moment[5] = {0};
    for (int i = 0; i < N; i++) {
        double z = psal_random_normal(&random);
        ck_assert(isfinite(z));
        for (int p = 1; p < 5; p++) moment[p] += pow(z, p) / N;
    }
    ck_assert_double_eq_tol(moment[1], 0, 0.01);
    ck_assert_double_eq_tol(moment[2], 1, 0.015);
    ck_assert_double_eq_tol(moment[3], 0, 0.04);
    ck_assert_double_eq_tol(moment[4], 3, 0.1);
}
END_TEST

START_TEST(a_stratified_sample_has_each_class_its_share) {
    enum { N = 97, WANTED = 20, DRAWS = 4000 };
    int classes[N], total[3] = {0}, times[N] = {0};
    for (int i = 0; i < N; i++) total[classes[i] = i % 5 < 3 ? 0 : i % 5 - 2]++;
    psal_error err = PSAL_ERROR_INIT;
    for (int draw = 0; draw < DRAWS; draw++) {
        psal_random random = {(uint64_t)draw};
        size_t chosen[WANTED];
        int found[3] = {0};
        ck_assert_int_eq(psal_random_stratified(&random, classes, N, WANTED, chosen, &err), PSAL_OK);
        for (int i = 0; i < WANTED; i++) {
            ck_assert(chosen[i] < N && (i == 0 || chosen[i] > chosen[i - 1]));
            found[classes[chosen[i]]]++;
            times[chosen[i]]++;
        }
        for (int c = 0; c < 3; c++) ck_assert(fabs(found[c] - (double)WANTED * total[c] / N) < 1);
    }
    const double expected = (double)DRAWS * WANTED / N; /* five deviations of a binomial */
    for (int i = 0; i < N; i++) ck_assert(fabs(times[i] - expected) < 5 * sqrt(expected));
    size_t all[N];
    psal_random random = {1};
    ck_assert_int_eq(psal_random_stratified(&random, classes, N, N, all, &err), PSAL_OK);
    for (size_t i = 0; i < N; i++) ck_assert_uint_eq(all[i], i);
    ck_assert_int_eq(psal_random_stratified(&random, classes, 0, 0, all, &err), PSAL_OK);
}
END_TEST

RUN_TESTS("saliency/random", bits_are_those_of_splitmix64, below_stays_below_without_bias,
          uniform_and_normal_have_their_moments, a_stratified_sample_has_each_class_its_share)
