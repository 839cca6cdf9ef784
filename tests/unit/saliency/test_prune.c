/* Switching filters off: what changes in the weights, and that the experiment reports what a run of the edited network
 * says. */
#include "saliency/prune.h"

#include <stdio.h>

#include "tests/unit/saliency/edits.h"

typedef struct setup {
    small_network n;
    psal_classifier *classifier;
    psal_classifier_worker *worker;
    psal_edit *edit;
} setup;

static void open_setup(setup *s, uint64_t seed) {
    psal_error err = PSAL_ERROR_INIT;
    open_small(&s->n, "resnet18", seed);
    psal_classifier_options options = {.height = SIDE, .width = SIDE};
    s->classifier = psal_classifier_new(s->n.model, &options, &err);
    ck_assert_msg(s->classifier != NULL, "%s", err.message);
    s->worker = psal_classifier_worker_new(s->classifier, &err);
    s->edit = psal_edit_new(s->n.model, &err);
    ck_assert(s->worker && s->edit);
}

static void close_setup(setup *s) {
    psal_edit_free(s->edit);
    psal_classifier_worker_free(s->worker);
    psal_classifier_free(s->classifier);
    close_small(&s->n);
}

static void confidences(setup *s, const float *const *values, double *out) {
    const float *logits;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_classifier_run(s->worker, s->n.image, values, &logits, &err) == PSAL_OK, "%s", err.message);
    psal_confidences(logits, CLASSES, out);
}

static const float *filter_values(setup *s, int64_t filter, int64_t *length) {
    psal_edit_weights w;
    ck_assert_int_eq(psal_edit_unit(s->edit, PSAL_UNITS_FILTERS, filter, &w, NULL), PSAL_OK);
    ck_assert_int_eq(w.stride, 1);
    *length = w.length;
    return w.values;
}

START_TEST(test_ways) {
    setup s;
    open_setup(&s, 1);
    int64_t filters[] = {2, 17}, length;
    for (int how = 0; how < PSAL_PRUNE_COUNT; how++) {
        psal_edit_reset(s.edit);
        ck_assert_int_eq(
            psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_FILTERS, (psal_prune_how)how, filters, 2, 0.5, 9, NULL),
            PSAL_OK);
        psal_edit_size size = psal_edit_measure(s.edit);
        ck_assert_int_eq(size.rows, how == PSAL_PRUNE_CHANNEL ? 6 : 2); /* weights, scale and shift of each */
        if (how == PSAL_PRUNE_WEIGHTS || how == PSAL_PRUNE_CHANNEL) ck_assert_double_eq_tol(size.relative, 1, 1e-12);
        if (how == PSAL_PRUNE_ISOTROPIC) ck_assert_double_eq_tol(size.relative, 0.5, 1e-6); /* the scale, exactly */
        if (how == PSAL_PRUNE_NOISE) ck_assert(size.relative > 0.2 && size.relative < 0.9);
        const float *w = filter_values(&s, 17, &length);
        double sum = 0;
        for (int64_t i = 0; i < length; i++) sum += fabs((double)w[i]);
        ck_assert_int_eq(sum == 0, how <= PSAL_PRUNE_CHANNEL);
        int parameter = psal_model_unit_parameter(s.n.model, PSAL_UNITS_FILTERS, 17, NULL), scale, shift;
        const psal_model_parameter *p = psal_model_get_parameter(s.n.model, parameter);
        psal_model_filter_norm(s.n.model, parameter, &scale, &shift);
        ck_assert_int_ge(scale, 0);
        if (how == PSAL_PRUNE_CHANNEL) {
            ck_assert(psal_edit_values(s.edit)[scale][17 - p->first_unit[PSAL_UNITS_FILTERS]] == 0);
            ck_assert(psal_edit_values(s.edit)[shift][17 - p->first_unit[PSAL_UNITS_FILTERS]] == 0);
        } else {
            ck_assert_ptr_null(psal_edit_values(s.edit)[scale]);
        }
    }
    psal_edit_reset(s.edit);
    for (int i = 0; i < psal_model_parameter_count(s.n.model); i++) ck_assert_ptr_null(psal_edit_values(s.edit)[i]);
    const float *w = filter_values(&s, 17, &length); /* as if never touched */
    const psal_model_parameter *p = psal_model_get_parameter(
        s.n.model, psal_model_unit_parameter(s.n.model, PSAL_UNITS_FILTERS, 17, NULL));
    ck_assert_mem_eq(w, p->values + (17 - p->first_unit[PSAL_UNITS_FILTERS]) * length, (size_t)length * sizeof *w);
    ck_assert_int_eq(psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_FILTERS, PSAL_PRUNE_WEIGHTS,
                                        (int64_t[]){s.n.filters}, 1, 0, 0, NULL),
                     PSAL_ERR_ARGUMENT);
    close_setup(&s);
}
END_TEST

/* A row of the last layer, with its bias or without. */
START_TEST(test_rows) {
    setup s;
    open_setup(&s, 1);
    const int rows = psal_model_unit_count(s.n.model, PSAL_UNITS_ROWS);
    ck_assert_int_eq(rows, s.n.filters + CLASSES);
    int64_t last = rows - 1, within;
    const int fc = psal_model_unit_parameter(s.n.model, PSAL_UNITS_ROWS, last, &within);
    ck_assert_str_eq(psal_model_get_parameter(s.n.model, fc)->name, "fc.weight");
    ck_assert_int_eq(within, CLASSES - 1);
    for (int how = PSAL_PRUNE_WEIGHTS; how <= PSAL_PRUNE_CHANNEL; how++) {
        const float *logits;
        psal_error err = PSAL_ERROR_INIT;
        psal_edit_reset(s.edit);
        ck_assert_int_eq(
            psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_ROWS, (psal_prune_how)how, &last, 1, 0, 0, &err), PSAL_OK);
        ck_assert_int_eq(psal_classifier_run(s.worker, s.n.image, psal_edit_values(s.edit), &logits, &err), PSAL_OK);
        const float bias = psal_model_get_parameter(s.n.model, fc + 1)->values[CLASSES - 1];
        ck_assert_float_ne(bias, 0);
        ck_assert_float_eq(logits[CLASSES - 1], how == PSAL_PRUNE_CHANNEL ? 0 : bias);
        ck_assert_float_ne(logits[0], 0);
    }
    last = rows;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_ROWS, PSAL_PRUNE_WEIGHTS, &last, 1, 0, 0, &err),
                     PSAL_ERR_ARGUMENT);
    char expected[100];
    snprintf(expected, sizeof expected, "row %d: the network has rows 0 to %d", rows, rows - 1);
    ck_assert_str_eq(err.message, expected);
    close_setup(&s);
}
END_TEST

/* The edited network run by overrides equals the exported checkpoint, loaded anew. */
START_TEST(test_export) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    open_setup(&s, 2);
    int64_t filters[] = {0, 30, 31};
    double edited[CLASSES], plain[CLASSES];
    confidences(&s, NULL, plain);
    ck_assert_int_eq(
        psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_FILTERS, PSAL_PRUNE_CHANNEL, filters, 3, 0, 0, &err), PSAL_OK);
    confidences(&s, psal_edit_values(s.edit), edited);
    ck_assert(fabs(edited[0] - plain[0]) > 1e-6);
    psal_tensor_map *map = psal_model_export(s.n.model, psal_edit_values(s.edit), &err);
    psal_model *model = map ? psal_model_load(map, NULL, NULL, &err) : NULL;
    ck_assert_msg(model != NULL, "%s", err.message);
    psal_classifier_options options = {.height = SIDE, .width = SIDE};
    psal_classifier *classifier = psal_classifier_new(model, &options, &err);
    psal_classifier_worker *worker = psal_classifier_worker_new(classifier, &err);
    const float *logits;
    double again[CLASSES];
    ck_assert_int_eq(psal_classifier_run(worker, s.n.image, NULL, &logits, &err), PSAL_OK);
    psal_confidences(logits, CLASSES, again);
    ck_assert_mem_eq(again, edited, sizeof again);
    psal_classifier_worker_free(worker);
    psal_classifier_free(classifier);
    psal_model_free(model);
    psal_tensor_map_free(map);
    double back[CLASSES];
    confidences(&s, NULL, back);
    ck_assert_mem_eq(back, plain, sizeof back);
    close_setup(&s);
}
END_TEST

START_TEST(test_experiment) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    open_setup(&s, 3);
    double plain[CLASSES], before[CLASSES], after[CLASSES];
    confidences(&s, NULL, plain);
    int label = 1, wrong = label;
    for (int c = 0; c < CLASSES; c++)
        if (c != label && (wrong == label || plain[c] > plain[wrong])) wrong = c;
    psal_choice choices[] = {PSAL_CHOICE_SALIENT, PSAL_CHOICE_RANDOM, PSAL_CHOICE_LEAST};
    int64_t k[] = {1, 20};
    const float *right[] = {s.n.image};
    int best = 0;
    for (int c = 1; c < CLASSES; c++)
        if (plain[c] > plain[best]) best = c;
    psal_prune_options options = {.choices = choices,
                                  .choice_count = 3,
                                  .k = k,
                                  .k_count = 2,
                                  .draws = 2,
                                  .right = right,
                                  .right_labels = &best,
                                  .right_count = 1};
    psal_prune_sample sample = {s.n.image, label, s.n.naive, s.n.standardized, NULL, 5, NULL, PSAL_UNITS_FILTERS};
    psal_prune_result results[6];
    ck_assert_msg(psal_prune_experiment(s.n.model, s.worker, NULL, s.edit, &sample, &options, before, results, &err) ==
                      PSAL_OK,
                  "%s", err.message);
    ck_assert_mem_eq(before, plain, sizeof before);
    int64_t filters[20];
    ck_assert_int_eq(psal_choose(s.n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_SALIENT, s.n.naive, s.n.standardized, NULL,
                                 NULL, 0, 20, filters, &err),
                     PSAL_OK);
    ck_assert_int_eq(
        psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_FILTERS, PSAL_PRUNE_WEIGHTS, filters, 20, 0, 0, &err),
        PSAL_OK);
    confidences(&s, psal_edit_values(s.edit), after);
    ck_assert_double_eq_tol(results[1].wrong, after[wrong] - before[wrong], 1e-12);
    ck_assert_double_eq_tol(results[1].truth, after[label] - before[label], 1e-12);
    for (int i = 0; i < 6; i++) ck_assert_double_eq_tol(results[i].broken, results[i].changed, 1e-12);
    options.k = (int64_t[]){20, 1};
    ck_assert_int_eq(psal_prune_experiment(s.n.model, s.worker, NULL, s.edit, &sample, &options, NULL, results, NULL),
                     PSAL_ERR_ARGUMENT);
    options.k = (int64_t[]){1, s.n.filters + 1};
    ck_assert_int_eq(psal_prune_experiment(s.n.model, s.worker, NULL, s.edit, &sample, &options, NULL, results, NULL),
                     PSAL_ERR_ARGUMENT);
    options.k = k;
    sample.label = CLASSES;
    ck_assert_int_eq(psal_prune_experiment(s.n.model, s.worker, NULL, s.edit, &sample, &options, NULL, results, NULL),
                     PSAL_ERR_ARGUMENT);
    close_setup(&s);
}
END_TEST

/* The edit of a draw, exported and loaded anew, gives what the experiment reports of that draw: for every choice and
 * way. */
START_TEST(test_a_draw_is_what_is_measured) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    psal_choice choice = (psal_choice)_i;
    open_setup(&s, 4);
    int64_t k = choice == PSAL_CHOICE_ALL ? psal_choosable(s.n.model, PSAL_UNITS_FILTERS, NULL) : 12;
    int label = 1;
    for (int how = 0; how < PSAL_PRUNE_COUNT; how++) {
        psal_prune_options options = {
            .how = (psal_prune_how)how, .choices = &choice, .choice_count = 1, .k = &k, .k_count = 1, .scale = 0.7};
        psal_prune_sample sample = {s.n.image, label, s.n.naive, s.n.standardized,
                                    s.n.naive, 77,    NULL,      PSAL_UNITS_FILTERS};
        psal_prune_result one, mean;
        double before[CLASSES], after[CLASSES], sum = 0;
        ck_assert_int_eq(
            psal_prune_experiment(s.n.model, s.worker, NULL, s.edit, &sample, &options, before, &one, &err), PSAL_OK);
        options.draws = 3;
        ck_assert_int_eq(
            psal_prune_experiment(s.n.model, s.worker, NULL, s.edit, &sample, &options, before, &mean, &err), PSAL_OK);
        bool random = psal_choice_is_random(choice) || how == PSAL_PRUNE_NOISE || how == PSAL_PRUNE_NORMAL ||
                      how == PSAL_PRUNE_ISOTROPIC;
        for (int draw = 0; draw < 3; draw++) {
            psal_edit_reset(s.edit);
            ck_assert_int_eq(psal_prune_draw(s.edit, s.n.model, &sample, &options, 0, 0, random ? draw : 0, &err),
                             PSAL_OK);
            psal_tensor_map *map = psal_model_export(s.n.model, psal_edit_values(s.edit), &err);
            psal_model *model = map ? psal_model_load(map, NULL, NULL, &err) : NULL;
            ck_assert_msg(model != NULL, "%s", err.message);
            psal_classifier_options forward = {.height = SIDE, .width = SIDE};
            psal_classifier *classifier = psal_classifier_new(model, &forward, &err);
            psal_classifier_worker *worker = psal_classifier_worker_new(classifier, &err);
            const float *logits;
            ck_assert_int_eq(psal_classifier_run(worker, s.n.image, NULL, &logits, &err), PSAL_OK);
            psal_confidences(logits, CLASSES, after);
            if (draw == 0) ck_assert_double_eq_tol(one.truth, after[label] - before[label], 1e-9);
            sum += (after[label] - before[label]) / 3;
            psal_classifier_worker_free(worker);
            psal_classifier_free(classifier);
            psal_model_free(model);
            psal_tensor_map_free(map);
        }
        ck_assert_msg(fabs(mean.truth - sum) <= 1e-9, "choice %d, how %d: %g, not %g", _i, how, mean.truth, sum);
    }
    close_setup(&s);
}
END_TEST

START_TEST(test_mean) {
    double values[] = {1, 9, 2, 9, 4, 9};
    psal_mean m = psal_mean_error(values, 3, 2);
    ck_assert_double_eq_tol(m.mean, 7.0 / 3, 1e-15);
    ck_assert_double_eq_tol(m.error, sqrt(7.0 / 9), 1e-15); /* variance 7/3, n = 3 */
    m = psal_mean_error(values, 1, 1);                      /* one value says nothing of others, */
    ck_assert(m.mean == 1 && isnan(m.error));
    m = psal_mean_error(values, 0, 1); /* and none nothing at all */
    ck_assert(isnan(m.mean) && isnan(m.error));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("prune");
    TCase *tests = tcase_create("prune");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_a_draw_is_what_is_measured, 0, PSAL_CHOICE_COUNT);
    tcase_add_test(tests, test_ways);
    tcase_add_test(tests, test_rows);
    tcase_add_test(tests, test_export);
    tcase_add_test(tests, test_experiment);
    tcase_add_test(tests, test_mean);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
