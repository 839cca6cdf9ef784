/* Choosing filters: order, prefixes, layers, what cannot be chosen. */
#include "saliency/choose.h"
#include "tests/unit/saliency/edits.h"

enum { K = 40 };

static void choose(const small_network *n, psal_choice choice, uint64_t seed, int64_t k, int64_t *filters) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_choose(n->model, PSAL_UNITS_FILTERS, choice, n->naive, n->standardized, n->naive, NULL, seed, k,
                              filters, &err) == PSAL_OK,
                  "%s", err.message);
}

START_TEST(test_order) {
    small_network n;
    int64_t f[K];
    open_small(&n, "resnet18", 1);
    for (int c = 0; c < PSAL_CHOICE_ALL; c++) {
        choose(&n, (psal_choice)c, 3, K, f);
        for (int i = 0; i < K; i++) {
            ck_assert(f[i] >= 0 && f[i] < n.filters);
            for (int j = 0; j < i; j++) ck_assert_msg(f[i] != f[j], "choice %d takes %d twice", c, (int)f[i]);
            if (i == 0) continue;
            if (c == PSAL_CHOICE_SALIENT) ck_assert(n.standardized[f[i - 1]] >= n.standardized[f[i]]);
            if (c == PSAL_CHOICE_LEAST) ck_assert(n.standardized[f[i - 1]] <= n.standardized[f[i]]);
            if (c == PSAL_CHOICE_NAIVE) ck_assert(n.naive[f[i - 1]] >= n.naive[f[i]]);
        }
    }
    choose(&n, PSAL_CHOICE_SALIENT, 0, K, f);
    int64_t above = 0;
    for (int64_t i = 0; i < n.filters; i++) above += n.standardized[i] > n.standardized[f[K - 1]];
    ck_assert_int_eq(above, K - 1);
    close_small(&n);
}
END_TEST

/* By magnitude: negative values count as much. */
START_TEST(test_magnitudes) {
    small_network n;
    int64_t f[K], least[K];
    open_small(&n, "resnet18", 1);
    for (int64_t i = 0; i < n.filters; i += 3) n.standardized[i] *= -1;
    choose(&n, PSAL_CHOICE_SALIENT_ABS, 3, K, f);
    choose(&n, PSAL_CHOICE_LEAST_ABS, 3, K, least);
    int negative = 0;
    for (int i = 0; i < K; i++) {
        int64_t above = 0, below = 0;
        for (int64_t j = 0; j < n.filters; j++) {
            above += fabs(n.standardized[j]) > fabs(n.standardized[f[i]]);
            below += fabs(n.standardized[j]) < fabs(n.standardized[least[i]]);
        }
        ck_assert_int_le(above, i); /* less where some are equal */
        ck_assert_int_le(below, i);
        negative += n.standardized[f[i]] < 0;
    }
    ck_assert(negative > 0 && negative < K);
    ck_assert_str_eq(psal_choice_name(PSAL_CHOICE_SALIENT_ABS), "salient-abs");
    ck_assert_str_eq(psal_choice_name(PSAL_CHOICE_LEAST_ABS), "least-abs");
    close_small(&n);
}
END_TEST

/* Without which the loss falls most: the smallest change (here of any numbers) first, negative ones before 0. */
START_TEST(test_first_order) {
    small_network n;
    int64_t f[K];
    open_small(&n, "resnet18", 1);
    for (int64_t i = 0; i < n.filters; i += 3) n.naive[i] *= -1;
    choose(&n, PSAL_CHOICE_GRADIENT_WEIGHT, 3, K, f);
    for (int i = 0; i < K; i++) {
        int64_t below = 0;
        for (int64_t j = 0; j < n.filters; j++) below += n.naive[j] < n.naive[f[i]];
        ck_assert_int_le(below, i);
    }
    ck_assert(n.naive[f[0]] < 0);
    ck_assert_str_eq(psal_choice_name(PSAL_CHOICE_GRADIENT_WEIGHT), "gradient-weight");
    close_small(&n);
}
END_TEST

START_TEST(test_prefixes_and_seeds) {
    small_network n;
    int64_t many[K], few[K], other[K];
    open_small(&n, "resnet18", 2);
    for (int c = 0; c < PSAL_CHOICE_ALL; c++) {
        choose(&n, (psal_choice)c, 7, K, many);
        choose(&n, (psal_choice)c, 7, 9, few);
        ck_assert_mem_eq(many, few, 9 * sizeof *few);
        choose(&n, (psal_choice)c, 8, K, other);
        ck_assert_int_eq(memcmp(many, other, sizeof many) != 0, psal_choice_is_random((psal_choice)c));
    }
    close_small(&n);
}
END_TEST

START_TEST(test_same_layers) {
    small_network n;
    int64_t salient[K], random[K];
    open_small(&n, "densenet121", 3);
    choose(&n, PSAL_CHOICE_SALIENT, 5, K, salient);
    choose(&n, PSAL_CHOICE_RANDOM_SAME_LAYERS, 5, K, random);
    int differ = 0;
    for (int i = 0; i < K; i++) {
        ck_assert_int_eq(psal_model_unit_parameter(n.model, PSAL_UNITS_FILTERS, salient[i], NULL),
                         psal_model_unit_parameter(n.model, PSAL_UNITS_FILTERS, random[i], NULL));
        differ += salient[i] != random[i];
    }
    ck_assert_int_gt(differ, 0);
    close_small(&n);
}
END_TEST

START_TEST(test_all_and_too_many) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, "resnet18", 4);
    int64_t count = psal_choosable(n.model, PSAL_UNITS_FILTERS, NULL), *f = malloc(((size_t)count + 1) * sizeof *f);
    ck_assert_int_eq(count, n.filters);
    choose(&n, PSAL_CHOICE_ALL, 0, count, f);
    for (int64_t i = 0; i < count; i++) ck_assert_int_eq(f[i], i);
    ck_assert_int_eq(psal_choose(n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_RANDOM, n.naive, n.standardized, NULL, NULL,
                                 1, count + 1, f, &err),
                     PSAL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.message, "resnet18 has"));
    ck_assert_int_eq(
        psal_choose(n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_ALL, n.naive, n.standardized, NULL, NULL, 1, 3, f, NULL),
        PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_choose(n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_SALIENT, n.naive, n.standardized, NULL, NULL,
                                 1, -1, f, NULL),
                     PSAL_ERR_ARGUMENT);
    n.naive[3] = n.naive[5] = 0;
    n.naive[4] = 1;
    ck_assert_int_eq(psal_count_dead(n.naive, (int64_t[]){3, 4, 5}, 3), 2);
    free(f);
    close_small(&n);
}
END_TEST

/* What cannot be ranked is chosen by nobody, and the random choices inside layers stay inside what is left of them. */
START_TEST(test_only_live_ones) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, _i ? "densenet121" : "resnet18", 5);
    bool *live = calloc((size_t)n.filters, sizeof *live);
    int64_t count = 0, *f = malloc((size_t)n.filters * sizeof *f);
    for (int64_t i = 0; i < n.filters; i++) {
        live[i] = i % 3 != 1;
        count += live[i];
        if (!live[i]) n.standardized[i] = n.naive[i] = i % 2 ? 1e6f : -1e6f; /* they would be first, or last */
    }
    ck_assert_int_eq(psal_choosable(n.model, PSAL_UNITS_FILTERS, live), count);
    for (int c = 0; c < PSAL_CHOICE_COUNT; c++)
        for (int64_t k = 7; k <= count && c != PSAL_CHOICE_ALL; k += count - 7) {
            ck_assert_int_eq(psal_choose(n.model, PSAL_UNITS_FILTERS, (psal_choice)c, n.naive, n.standardized, n.naive,
                                         live, 9, k, f, &err),
                             PSAL_OK);
            bool *seen = calloc((size_t)n.filters, sizeof *seen);
            for (int64_t i = 0; i < k; i++) {
                ck_assert_msg(live[f[i]] && !seen[f[i]], "choice %d took %d", c, (int)f[i]);
                seen[f[i]] = true;
            }
            free(seen);
        }
    ck_assert_int_eq(psal_choose(n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_LEAST, n.naive, n.standardized, NULL, live, 9,
                                 count + 1, f, &err),
                     PSAL_ERR_ARGUMENT);
    free(live);
    free(f);
    close_small(&n);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("choose");
    TCase *tests = tcase_create("choose");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_order);
    tcase_add_test(tests, test_magnitudes);
    tcase_add_test(tests, test_first_order);
    tcase_add_test(tests, test_prefixes_and_seeds);
    tcase_add_test(tests, test_same_layers);
    tcase_add_test(tests, test_all_and_too_many);
    tcase_add_loop_test(tests, test_only_live_ones, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
