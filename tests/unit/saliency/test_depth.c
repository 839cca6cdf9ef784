/* Saliency by depth against the definition: standardize, sort, look where the first k lie. */
#include "saliency/depth.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 60, LENGTH = 41, LAYERS = 4 };

static float profiles[SAMPLES][LENGTH];
static double mean[LENGTH], std[LENGTH];
static const psal_profile_layer LAYER[LAYERS] = {{0, 0, 1}, {1, 1, 20}, {2, 21, 3}, {3, 24, 17}};
static int released;

static void read_row(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const float(*rows)[LENGTH] = context;
    memcpy(out, rows[sample] + first, (size_t)count * sizeof *out);
}

static void release_rows(const void *context, int64_t first, int64_t count) {
    (void)context, (void)first;
#pragma omp atomic
    released += (int)count;
}

static const psal_profile_source source = {SAMPLES, LENGTH, read_row, release_rows, profiles};
static psal_statistics statistics = {.length = LENGTH, .mean = mean, .std = std};

static double noise(void) {
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void set_up(void) {
    for (int j = 0; j < LENGTH; j++) {
        mean[j] = noise();
        std[j] = j == 7 ? 0 : 0.1 + noise(); /* 0 never ranks */
    }
    for (int i = 0; i < SAMPLES; i++) {
        double size = exp(6 * noise() - 3);
        for (int j = 0; j < LENGTH; j++) profiles[i][j] = (float)(size * noise());
    }
    psal_computation_set(&statistics.computation, PSAL_FIELD_NORMALIZED, "0");
    released = 0;
}

static psal_depth_options options_with(psal_mode mode, int64_t k) {
    return (psal_depth_options){&statistics, mode, k, LAYER, LAYERS, 3};
}

/* The definition. Random values have no ties. */
static void define(const int64_t *samples, int count, psal_mode mode, int k, int64_t counts[LAYERS]) {
    memset(counts, 0, LAYERS * sizeof *counts);
    for (int i = 0; i < count; i++) {
        const float *s = profiles[samples[i]];
        double value[LENGTH], norm = 0;
        for (int j = 0; j < LENGTH; j++) norm += (double)s[j] * s[j];
        norm = psal_computation_is(&statistics.computation, PSAL_FIELD_NORMALIZED) ? sqrt(norm) : 1;
        for (int j = 0; j < LENGTH; j++) {
            double v = (float)(s[j] / norm);
            value[j] = mode == PSAL_MODE_NAIVE ? v : (v - mean[j]) / (std[j] > 0 ? std[j] : 1);
        }
        for (int j = 0; j < LENGTH; j++) {
            int above = 0, layer = LAYERS - 1, dead = mode == PSAL_MODE_STD ? 7 : -1;
            for (int other = 0; other < LENGTH; other++) above += other != dead && value[other] > value[j];
            while (LAYER[layer].first > j) layer--;
            if (above < k && j != dead) counts[layer]++;
        }
    }
}

START_TEST(test_counts_are_those_of_the_definition) {
    const int64_t samples[] = {3, 0, 59, 17, 17, 40};
    set_up();
    for (int normalized = 0; normalized < 2; normalized++)
        for (int mode = 0; mode < 2; mode++)
            for (int k = 1; k <= LENGTH; k += 10) {
                int64_t counts[LAYERS], expected[LAYERS], total = 0;
                psal_computation_set(&statistics.computation, PSAL_FIELD_NORMALIZED, "%d", normalized);
                psal_depth_options options = options_with(mode ? PSAL_MODE_NAIVE : PSAL_MODE_STD, k);
                psal_error err = PSAL_ERROR_INIT;
                ck_assert_msg(psal_depth_count(&source, samples, 6, &options, counts, &err) == PSAL_OK, "%s",
                              err.message);
                define(samples, 6, options.mode, k, expected);
                for (int l = 0; l < LAYERS; l++) {
                    ck_assert_msg(counts[l] == expected[l], "k %d, layer %d: %d, not %d", k, l, (int)counts[l],
                                  (int)expected[l]);
                    total += counts[l];
                }
                ck_assert_int_eq(total, 6 * (mode == 0 && k == LENGTH ? k - 1 : k)); /* one of them never ranks */
            }
    ck_assert_int_eq(released, 6 * 2 * 2 * 5);
}
END_TEST

START_TEST(test_threads_do_not_matter) {
    int64_t samples[SAMPLES], first[LAYERS], counts[LAYERS];
    set_up();
    for (int i = 0; i < SAMPLES; i++) samples[i] = i;
    psal_depth_options options = options_with(PSAL_MODE_STD, 5);
    for (options.threads = 0; options.threads < 6; options.threads++) {
        ck_assert_int_eq(psal_depth_count(&source, samples, SAMPLES, &options, counts, NULL), PSAL_OK);
        if (options.threads == 0) memcpy(first, counts, sizeof first);
        ck_assert_int_eq(memcmp(first, counts, sizeof first), 0);
    }
    ck_assert_int_eq(psal_depth_count(&source, samples, 0, &options, counts, NULL), PSAL_OK);
    for (int l = 0; l < LAYERS; l++) ck_assert_int_eq(counts[l], 0);
}
END_TEST

static void refused(const psal_depth_options *options, int64_t sample, psal_status status, const char *words) {
    int64_t counts[LAYERS];
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_depth_count(&source, &sample, 1, options, counts, &err), status);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
}

START_TEST(test_what_is_refused) {
    set_up();
    psal_depth_options options = options_with(PSAL_MODE_STD, 5);
    refused(&options, SAMPLES, PSAL_ERR_ARGUMENT, "sample 60 of 60");
    refused(&options, -1, PSAL_ERR_ARGUMENT, "sample -1");
    profiles[9][40] = NAN;
    refused(&options, 9, PSAL_ERR_NUMERIC, "sample 9");
    profiles[9][40] = INFINITY;
    refused(&options, 9, PSAL_ERR_NUMERIC, "sample 9");
    options.layer_count = 3;
    refused(&options, 1, PSAL_ERR_SHAPE, "layers of 24");
    options = options_with(PSAL_MODE_STD, 0);
    refused(&options, 1, PSAL_ERR_ARGUMENT, "the 0 most salient");
    options.k = LENGTH + 1;
    refused(&options, 1, PSAL_ERR_ARGUMENT, "of 41");
    options = options_with(PSAL_MODE_STD, 5);
    options.layers = LAYER + 1;
    refused(&options, 1, PSAL_ERR_ARGUMENT, "layer 0 begins at entry 1");
    statistics.length = 40;
    options = options_with(PSAL_MODE_STD, 5);
    refused(&options, 1, PSAL_ERR_SHAPE, "statistics of 40");
    statistics.length = LENGTH;
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("depth");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_counts_are_those_of_the_definition);
    tcase_add_test(tests, test_threads_do_not_matter);
    tcase_add_test(tests, test_what_is_refused);
    Suite *suite = suite_create("depth");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
