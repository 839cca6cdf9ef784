/* Tests saliency/tail.h: the fit against what the samples were drawn from and against the likelihood, scores against
 * their definition, and everything that is refused. */
#include "saliency/tail.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"
#include "saliency/statistics.h"

/* Excesses of a generalised Pareto distribution, by its inverse. */
static void draw(psal_random *random, double shape, double scale, double *y, int n) {
    for (int i = 0; i < n; i++) {
        const double exponential = -log1p(-psal_random_uniform(random));
        y[i] = scale * (shape == 0 ? exponential : expm1(shape * exponential) / shape);
    }
}

static double log_likelihood(const double *y, int n, double shape, double scale) {
    double sum = -n * log(scale);
    for (int i = 0; i < n; i++) sum -= shape == 0 ? y[i] / scale : (1 + 1 / shape) * log1p(shape * y[i] / scale);
    return sum;
}

/* Smith 1985: variances (1 + xi)^2 / n of xi and 2 sigma^2 (1 + xi) / n of sigma. Over many draws the errors must have
 * these sizes, and no bias. */
START_TEST(recovers_what_was_drawn) {
    enum { N = 2000, DRAWS = 60 };
    static const double cases[][2] = {{-0.25, 2}, {0, 1}, {0.15, 1e-9}, {0.6, 3e-5}, {1.4, 70}};
    static double y[N];
    psal_random random = {271828};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const double shape = cases[c][0], scale = cases[c][1];
        double mean[2] = {0}, square[2] = {0};
        for (int d = 0; d < DRAWS; d++) {
            draw(&random, shape, scale, y, N);
            const psal_pareto fit = psal_pareto_fit(y, N);
            ck_assert(!fit.moments);
            const double errors[] = {(fit.shape - shape) / ((1 + shape) / sqrt(N)),
                                     (fit.scale - scale) / (scale * sqrt(2 * (1 + shape) / N))};
            for (int i = 0; i < 2; i++) {
                ck_assert_double_lt(fabs(errors[i]), 4);
                mean[i] += errors[i] / DRAWS;
                square[i] += errors[i] * errors[i] / DRAWS;
            }
        }
        for (int i = 0; i < 2; i++) {
            ck_assert_double_lt(fabs(mean[i]), 3 / sqrt(DRAWS));
            ck_assert_double_eq_tol(sqrt(square[i]), 1, 3 / sqrt(2 * DRAWS));
        }
    }
}
END_TEST

START_TEST(is_the_largest_likelihood) {
    enum { N = 137 };
    double y[N];
    psal_random random = {7};
    for (int c = 0; c < 40; c++) {
        const double shape = -0.3 + 0.05 * c;
        draw(&random, shape, 0.3, y, N);
        const psal_pareto fit = psal_pareto_fit(y, N);
        for (int i = 1; i < N; i++) ck_assert_double_le(y[i - 1], y[i]);
        ck_assert_double_gt(fit.shape, -0.5);
        const double best = log_likelihood(y, N, fit.shape, fit.scale);
        for (int d = 0; d < 8; d++) {
            const double xi = fit.shape + 1e-3 * cos(d * M_PI / 4), sigma = fit.scale * (1 + 1e-3 * sin(d * M_PI / 4));
            ck_assert_double_lt(log_likelihood(y, N, xi, sigma), best);
        }
    }
}
END_TEST

/* Up to an end that the density does not fall to, likelihood grows for ever. */
START_TEST(moments_where_there_is_no_maximum) {
    enum { N = 1000 };
    static double y[N];
    for (int i = 0; i < N; i++) y[i] = 5 * (i + 0.5) / N; /* uniform: xi = -1, sigma the end */
    psal_pareto fit = psal_pareto_fit(y, N);
    ck_assert(fit.moments);
    ck_assert_double_eq_tol(fit.shape, -1, 0.01);
    ck_assert_double_eq_tol(fit.scale, 5, 0.05);
    for (int i = 0; i < N; i++) y[i] = 3; /* beyond: as far as it goes, with the same mean */
    fit = psal_pareto_fit(y, N);
    ck_assert(fit.moments);
    ck_assert_double_eq(fit.shape, -1);
    ck_assert_double_eq_tol(fit.scale, 6, 1e-12);
    y[0] = 1, y[1] = 2;
    fit = psal_pareto_fit(y, 2);
    ck_assert(isfinite(fit.shape) && fit.scale > 0);
}
END_TEST

/* ---- a data set ---- */

enum { SAMPLES = 400, LENGTH = 1100 }; /* more entries than are read at once */

static float profiles[SAMPLES][LENGTH];

static void read_row(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const float(*rows)[LENGTH] = context;
    memcpy(out, rows[sample] + first, (size_t)count * sizeof *out);
}

static const psal_profile_source source = {SAMPLES, LENGTH, read_row, NULL, profiles};

/* Entry 3 is constant, entry 5 zero but for seven samples, 6 for five; 7 is uniform, the others heavy. */
static void set_up(void) {
    psal_random random = {99};
    for (int s = 0; s < SAMPLES; s++)
        for (int i = 0; i < LENGTH; i++) {
            double value;
            draw(&random, 0.1 * (i % 10), 1e-4 * (1 + i), &value, 1);
            if (i == 3) value = 0.25;
            if (i == 5 && s % 64) value = 0;
            if (i == 6 && s % 80) value = 0;
            if (i == 7) value = psal_random_uniform(&random);
            profiles[s][i] = (float)value;
        }
    ck_assert_float_eq(profiles[399][5], 0);
}

static psal_tail *fit_all(int threads, double *mean, double *std) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tail *t = psal_tail_fit(&source, NULL, 0, 0.9, threads, mean, std, &err);
    ck_assert_msg(t != NULL, "%s", err.message);
    return t;
}

static double score_at(const psal_tail *t, int entry, float s) {
    static float values[LENGTH];
    static double scores[LENGTH];
    values[entry] = s;
    psal_tail_score(t, values, scores);
    return scores[entry];
}

START_TEST(fits_a_data_set) {
    static double mean[LENGTH], std[LENGTH], m[LENGTH], d[LENGTH];
    set_up();
    psal_tail *t = fit_all(1, mean, std), *other = fit_all(3, m, d);
    ck_assert_uint_eq(psal_tail_fingerprint(t, 1), psal_tail_fingerprint(other, 1));
    ck_assert_mem_eq(mean, m, sizeof mean);
    ck_assert_mem_eq(std, d, sizeof std);
    psal_tail_free(other);
    ck_assert_int_eq(t->samples, SAMPLES);
    for (int i = 0; i < LENGTH; i++) {
        double sum = 0, squares = 0, y[SAMPLES];
        int above = 0;
        for (int s = 0; s < SAMPLES; s++) sum += profiles[s][i];
        for (int s = 0; s < SAMPLES; s++) squares += pow(profiles[s][i] - sum / SAMPLES, 2);
        ck_assert_double_eq_tol(mean[i], sum / SAMPLES, 1e-12 * fabs(mean[i]));
        ck_assert_double_eq_tol(std[i], sqrt(squares / (SAMPLES - 1)), 1e-9 * mean[i]);
        const double u = t->knots[i * PSAL_TAIL_KNOTS + PSAL_TAIL_KNOTS - 1];
        for (int s = 0; s < SAMPLES; s++)
            if (profiles[s][i] > u) y[above++] = profiles[s][i] - u;
        if (i == 3) {
            ck_assert_int_eq(above, 0);
            ck_assert_double_eq(t->scale[i], 0);
        } else if (i == 5 || i == 6) {
            ck_assert_int_eq(above, i == 5 ? 7 : 5);
            ck_assert_double_eq_tol(t->rate[i], above / (double)SAMPLES, 1e-15);
        } else {
            ck_assert_int_eq(above, 40);
            ck_assert_double_eq_tol(t->rate[i], 0.1, 1e-15);
            const psal_pareto alone = psal_pareto_fit(y, above);
            ck_assert_double_eq(t->shape[i], alone.shape);
            ck_assert_double_eq(t->scale[i], alone.scale);
        }
    }
    ck_assert_int_eq(t->pooled, 2);
    bool live[LENGTH];
    memset(live, 1, sizeof live);
    live[0] = false;
    psal_tail_rankable(t, live);
    for (int i = 0; i < LENGTH; i++) ck_assert_int_eq(live[i], i != 0 && i != 3);
    psal_tail_free(t);
}
END_TEST

/* Two entries: the ratio lambda_2 / lambda_1 of each, weighted by its excesses; scales from their own means. */
START_TEST(few_excesses_share_a_shape) {
    static double mean[LENGTH], std[LENGTH];
    set_up();
    psal_tail *t = fit_all(2, mean, std);
    double weighted = 0, own[2];
    for (int e = 0; e < 2; e++) {
        double y[8], total = 0, pairs = 0;
        int n = 0;
        for (int s = 0; s < SAMPLES; s++)
            if (profiles[s][5 + e] > 0) y[n++] = profiles[s][5 + e];
        for (int a = 0; a < n; a++) {
            total += y[a];
            for (int b = 0; b < a; b++) pairs += fabs(y[a] - y[b]);
        }
        own[e] = total / n;
        const double second = pairs / (n * (n - 1)); /* half the mean difference of two */
        weighted += n * second / own[e] / 12;
    }
    const double shape = 2 - 1 / weighted;
    for (int e = 0; e < 2; e++) {
        ck_assert_double_eq_tol(t->shape[5 + e], shape, 1e-9);
        ck_assert_double_eq_tol(t->scale[5 + e], own[e] * (1 - shape), 1e-9 * own[e]);
    }
    psal_tail_free(t);
}
END_TEST

START_TEST(scores_are_as_defined) {
    static double mean[LENGTH], std[LENGTH];
    set_up();
    psal_tail *t = fit_all(2, mean, std);
    for (int i = 0; i < 40; i++) {
        if (i == 3) {
            ck_assert_double_eq(score_at(t, i, 0.3f), 0);
            continue;
        }
        const double *q = t->knots + i * PSAL_TAIL_KNOTS, u = q[PSAL_TAIL_KNOTS - 1], xi = t->shape[i];
        ck_assert_double_eq(score_at(t, i, (float)(q[0] - 1)), 0);
        ck_assert_double_eq(score_at(t, i, (float)q[0]), 0);
        double last = 0;
        for (int k = 0; k < 2000; k++) { /* it never falls */
            const float s = (float)(q[0] + (3 * u - q[0] + 1e-3) * k / 1000);
            const double score = score_at(t, i, s);
            ck_assert_double_ge(score, last);
            last = score;
            if (s > u && xi >= 0) {
                const double p = t->rate[i] * pow(1 + xi * (s - u) / t->scale[i], -1 / xi);
                ck_assert_double_eq_tol(score, -log(p), 1e-9 * score);
            }
            if (s <= u && i > 7) { /* where nothing repeats: about the share of samples as large */
                int as_large = 0;
                for (int j = 0; j < SAMPLES; j++) as_large += profiles[j][i] >= s;
                ck_assert_double_eq_tol(exp(-score), as_large / (double)SAMPLES, 0.07);
            }
        }
    }
    /* Where most are 0: not unusual at 0, as unusual as it is rare just above. */
    ck_assert_double_eq(score_at(t, 5, 0), 0);
    ck_assert_double_eq_tol(score_at(t, 5, 1e-30f), -log(7.0 / SAMPLES), 1e-6);
    psal_tail_free(t);
}
END_TEST

/* Uniform: behind the end of the samples, straight on. */
START_TEST(a_tail_that_ends_goes_on) {
    static double mean[LENGTH], std[LENGTH];
    set_up();
    psal_tail *t = fit_all(2, mean, std);
    const double u = t->knots[7 * PSAL_TAIL_KNOTS + PSAL_TAIL_KNOTS - 1], xi = t->shape[7], sigma = t->scale[7];
    ck_assert_double_lt(xi, -0.5);
    const double turn = u + sigma * (pow(40, xi) - 1) / xi, slope = 1 / (sigma * pow(40, xi)); /* 0.1 x 400 samples */
    ck_assert_double_eq_tol(score_at(t, 7, (float)turn), log(SAMPLES), 1e-4);
    const float far = 4, farther = 5;
    ck_assert_double_eq_tol(score_at(t, 7, far), log(SAMPLES) + (far - turn) * slope, 1e-6 * slope);
    ck_assert_double_eq_tol(score_at(t, 7, farther) - score_at(t, 7, far), slope, 1e-9 * slope);
    psal_tail_free(t);
}
END_TEST

START_TEST(the_map_touches_the_score) {
    static double mean[LENGTH], std[LENGTH], score[LENGTH], shift[LENGTH], scale[LENGTH], high[LENGTH], low[LENGTH];
    static float s[LENGTH], up[LENGTH], down[LENGTH], range[LENGTH];
    set_up();
    psal_tail *t = fit_all(2, mean, std);
    psal_random random = {5};
    int outside = 0, inside = 0;
    for (int d = 0; d < 20; d++) {
        for (int i = 0; i < LENGTH; i++) {
            const double *q = t->knots + i * PSAL_TAIL_KNOTS;
            s[i] = (float)(psal_random_uniform(&random) * (d % 2 ? 1 : 4) * q[PSAL_TAIL_KNOTS - 1]);
            up[i] = s[i] * 1.0001f, down[i] = s[i] * 0.9999f;
        }
        psal_tail_score(t, s, score);
        psal_tail_map(t, s, shift, scale);
        psal_tail_score(t, up, high);
        psal_tail_score(t, down, low);
        memcpy(range, s, sizeof s);
        psal_tail_score_range(t, 0, LENGTH, range);
        for (int i = 0; i < LENGTH; i++) {
            ck_assert_float_eq(range[i], (float)score[i]);
            ck_assert_double_eq_tol((s[i] - shift[i]) / scale[i], score[i], 1e-9 * (1 + score[i]));
            const double forward = (high[i] - score[i]) / ((double)up[i] - s[i]),
                         back = (score[i] - low[i]) / ((double)s[i] - down[i]);
            if (!(fabs(forward - back) <= 1e-3 * fabs(forward + back)) || high[i] == 0) continue; /* a knot between */
            ck_assert_double_eq_tol(1 / scale[i], (forward + back) / 2, 2e-3 * (forward + back));
            *(score[i] > -log(t->rate[i]) ? &outside : &inside) += 1;
        }
    }
    ck_assert_int_gt(outside, 3000);
    ck_assert_int_gt(inside, 3000);
    psal_tail_free(t);
}
END_TEST

START_TEST(unfit_data_is_refused) {
    static double mean[LENGTH], std[LENGTH];
    psal_error err = PSAL_ERROR_INIT;
    int64_t some[99];
    set_up();
    for (int i = 0; i < 99; i++) some[i] = 2 * i;
    ck_assert_ptr_null(psal_tail_fit(&source, some, 99, 0.9, 2, mean, std, &err));
    ck_assert_str_eq(err.message, "99 samples leave 9 above the 0.9 quantile, too few for a tail: 100 samples are "
                                  "needed at least, or a lower quantile");
    psal_tail *t = psal_tail_fit(&source, some, 99, 0.8, 2, mean, std, NULL);
    ck_assert_int_eq(t->samples, 99);
    ck_assert_int_eq(t->pooled, LENGTH - 1); /* all but the constant one */
    psal_tail_free(t);
    ck_assert_ptr_null(psal_tail_fit(&source, NULL, 0, 1, 2, mean, std, &err));
    ck_assert_str_eq(err.message, "a threshold at the 1 quantile: should be 0.5 or more, and below 1");
    profiles[77][1050] = NAN;
    ck_assert_ptr_null(psal_tail_fit(&source, NULL, 0, 0.9, 2, mean, std, &err));
    ck_assert_str_eq(err.message, "the profile of sample 77 is not finite");
}
END_TEST

/* ---- statistics and files ---- */

static psal_statistics *with_tail(void) {
    psal_statistics *s = psal_statistics_new(LENGTH, NULL);
    set_up();
    s->tail = fit_all(2, s->mean, s->std);
    return s;
}

START_TEST(there_and_back) {
    static double one[LENGTH], two[LENGTH], shift[LENGTH], scale[LENGTH];
    psal_statistics *s = with_tail();
    psal_tensor_map *map = psal_statistics_to_tensors(s, NULL);
    psal_statistics *back = psal_statistics_from_tensors(map, NULL);
    ck_assert_ptr_nonnull(back);
    ck_assert_ptr_nonnull(back->tail);
    ck_assert_int_eq(back->tail->pooled, s->tail->pooled);
    ck_assert_str_eq(back->computation.value[PSAL_FIELD_TAIL_QUANTILE], "0.9");
    ck_assert_uint_eq(psal_statistics_fingerprint(back), psal_statistics_fingerprint(s));
    ck_assert_int_eq(psal_statistics_standardize(s, PSAL_MODE_POT, LENGTH, profiles[8], one, NULL), PSAL_OK);
    ck_assert_int_eq(psal_statistics_standardize(back, PSAL_MODE_POT, LENGTH, profiles[8], two, NULL), PSAL_OK);
    ck_assert_mem_eq(one, two, sizeof one);
    back->tail->shape[9] += 1e-9;
    ck_assert_uint_ne(psal_statistics_fingerprint(back), psal_statistics_fingerprint(s));
    /* Means and deviations serve the other modes. */
    ck_assert_int_eq(psal_statistics_standardize(s, PSAL_MODE_STD, LENGTH, profiles[8], one, NULL), PSAL_OK);
    ck_assert_double_eq(one[2], (profiles[8][2] - s->mean[2]) / s->std[2]);
    psal_tail_free(back->tail);
    back->tail = NULL;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_ne(psal_statistics_standardize(back, PSAL_MODE_POT, LENGTH, profiles[8], two, &err), PSAL_OK);
    ck_assert_str_eq(err.message, "peaks over threshold need the tails of a data set");
    ck_assert_int_ne(psal_statistics_map(NULL, PSAL_MODE_POT, LENGTH, profiles[8], shift, scale, NULL), PSAL_OK);
    ck_assert_int_ne(psal_standardize(PSAL_MODE_POT, LENGTH, profiles[8], s->mean, s->std, two, NULL), PSAL_OK);
    psal_statistics_free(back);
    psal_statistics_free(s);
    psal_tensor_map_free(map);
}
END_TEST

/* What stands in one place of one tensor, and what is said of it. */
START_TEST(damaged_tails_are_refused) {
    static const struct {
        const char *tensor;
        int at;
        double value;
        const char *said;
    } cases[] = {{"tail.scale", 4, -1, "damaged: the tail of entry 4 is none"},
                 {"tail.shape", 9, NAN, "damaged: the tail of entry 9 is none"},
                 {"tail.rate", 1, 0.2, "damaged: the tail of entry 1 is none"},
                 {"tail.rate", 1, 0, "damaged: the tail of entry 1 is none"},
                 {"tail.quantiles", 2 * PSAL_TAIL_KNOTS + 5, -1, "damaged: the tail of entry 2 is none"},
                 {"tail.quantiles", PSAL_TAIL_KNOTS, INFINITY, "damaged: the tail of entry 1 is none"}};
    psal_statistics *s = with_tail();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = psal_statistics_to_tensors(s, NULL);
        double *values = (double *)(uintptr_t)psal_tensor_map_get(map, cases[c].tensor)->data;
        values[cases[c].at] = cases[c].value;
        ck_assert_ptr_null(psal_statistics_from_tensors(map, &err));
        ck_assert_msg(strncmp(err.message, cases[c].said, strlen(cases[c].said)) == 0, "%s", err.message);
        psal_tensor_map_free(map);
    }
    static const char *const texts[] = {"0.3", "1", "nan", ""};
    for (size_t c = 0; c < sizeof texts / sizeof *texts; c++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = psal_statistics_to_tensors(s, NULL);
        psal_tensor_map_set_meta(map, "psal.tail_quantile", texts[c], NULL);
        ck_assert_ptr_null(psal_statistics_from_tensors(map, &err));
        ck_assert_ptr_nonnull(strstr(err.message, "damaged: metadata psal.tail_quantile"));
        psal_tensor_map_free(map);
    }
    psal_tensor_map *map = psal_tensor_map_new();
    const psal_shape shape = PSAL_SHAPE(LENGTH), other = PSAL_SHAPE(LENGTH, 3);
    double *mean = psal_tensor_map_add(map, "mean", PSAL_F64, &shape, NULL);
    double *std = psal_tensor_map_add(map, "std", PSAL_F64, &shape, NULL);
    memset(mean, 0, LENGTH * sizeof *mean);
    memset(std, 0, LENGTH * sizeof *std);
    memset(psal_tensor_map_add(map, "tail.quantiles", PSAL_F64, &other, NULL), 0, 3 * LENGTH * sizeof *mean);
    psal_tensor_map_set_meta(map, "psal.tail_quantile", "0.9", NULL);
    psal_tensor_map_set_meta(map, "psal.tail_samples", "400", NULL);
    psal_tensor_map_set_meta(map, "psal.tail_pooled", "0", NULL);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_statistics_from_tensors(map, &err));
    ck_assert_str_eq(err.message, "'tail.quantiles' should be 1100x17 of float64, is 1100x3 of float64");
    psal_tensor_map_free(map);
    psal_statistics_free(s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tail");
    TCase *tests = tcase_create("tail");
    tcase_add_test(tests, recovers_what_was_drawn);
    tcase_add_test(tests, is_the_largest_likelihood);
    tcase_add_test(tests, moments_where_there_is_no_maximum);
    tcase_add_test(tests, fits_a_data_set);
    tcase_add_test(tests, few_excesses_share_a_shape);
    tcase_add_test(tests, scores_are_as_defined);
    tcase_add_test(tests, a_tail_that_ends_goes_on);
    tcase_add_test(tests, the_map_touches_the_score);
    tcase_add_test(tests, unfit_data_is_refused);
    tcase_add_test(tests, there_and_back);
    tcase_add_test(tests, damaged_tails_are_refused);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
