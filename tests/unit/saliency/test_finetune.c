/* Gradient steps on chosen filters: the gradient against the profile and central differences, the size of a step, the
 * search, the delta. */
#include "saliency/choose.h"
#include "saliency/delta.h"
#include "saliency/finetune.h"
#include "tests/unit/saliency/edits.h"

typedef struct setup {
    small_network n;
    psal_classifier *classifier;
    psal_classifier_worker *classify;
    psal_tuner *tuner;
    psal_tuner_worker *worker;
    psal_edit *edit;
} setup;

static void open_setup(setup *s, uint64_t seed) {
    psal_error err = PSAL_ERROR_INIT;
    open_small(&s->n, "resnet18", seed);
    psal_classifier_options options = {.height = SIDE, .width = SIDE};
    s->classifier = psal_classifier_new(s->n.model, &options, &err);
    s->tuner = psal_tuner_new(s->n.model, PSAL_UNITS_FILTERS, &options, &err);
    ck_assert_msg(s->classifier && s->tuner, "%s", err.message);
    s->classify = psal_classifier_worker_new(s->classifier, &err);
    s->worker = psal_tuner_worker_new(s->tuner, &err);
    s->edit = psal_edit_new(s->n.model, &err);
    ck_assert(s->classify && s->worker && s->edit);
}

static void close_setup(setup *s) {
    psal_edit_free(s->edit);
    psal_tuner_worker_free(s->worker);
    psal_tuner_free(s->tuner);
    psal_classifier_worker_free(s->classify);
    psal_classifier_free(s->classifier);
    close_small(&s->n);
}

static double loss_of(setup *s) {
    double loss;
    ck_assert_int_eq(psal_tuner_gradient(s->worker, s->n.image, 1, psal_edit_values(s->edit), &loss, NULL), PSAL_OK);
    return loss;
}

START_TEST(test_gradient) {
    setup s;
    open_setup(&s, 1);
    double loss = loss_of(&s);
    int64_t length, stride;
    for (int64_t f = 0; f < s.n.filters; f++) { /* the naive saliency is its mean magnitude */
        const float *g = psal_tuner_filter_gradient(s.worker, f, &length, &stride);
        double sum = 0;
        for (int64_t i = 0; i < length; i++) sum += fabs((double)g[i]);
        ck_assert_double_eq_tol(sum / (double)length, s.n.naive[f], 1e-5 * s.n.naive[f] + 1e-9);
    }
    ck_assert_ptr_null(psal_tuner_filter_gradient(s.worker, s.n.filters, &length, &stride));
    /* A small step against the gradient lowers the loss by rate |g|^2. */
    int64_t top[3];
    ck_assert_int_eq(
        psal_choose(s.n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_NAIVE, s.n.naive, NULL, NULL, NULL, 0, 3, top, NULL),
        PSAL_OK);
    double norm = 0, rate = 1e-3;
    for (int k = 0; k < 3; k++) {
        const float *g = psal_tuner_filter_gradient(s.worker, top[k], &length, &stride);
        for (int64_t i = 0; i < length; i++) norm += (double)g[i] * g[i];
    }
    rate = 0.005 * loss / norm;
    ck_assert_int_eq(psal_tuner_step(s.worker, s.edit, top, 3, (psal_step){false, rate}, NULL, NULL), PSAL_OK);
    double after = loss_of(&s);
    ck_assert_msg(fabs((loss - after) / (rate * norm) - 1) < 0.1, "loss %g -> %g, expected a fall by %g", loss, after,
                  rate * norm);
    close_setup(&s);
}
END_TEST

START_TEST(test_step_changes_chosen_filters_only) {
    setup s;
    open_setup(&s, 2);
    int64_t filters[] = {4, 60}, length, stride;
    double rate;
    loss_of(&s);
    ck_assert_int_eq(psal_tuner_step(s.worker, s.edit, filters, 2, (psal_step){true, 0.25}, &rate, NULL), PSAL_OK);
    psal_edit_size size = psal_edit_measure(s.edit);
    ck_assert_int_eq(size.rows, 2);
    ck_assert_double_eq_tol(size.relative, 0.25, 1e-5);
    ck_assert(rate > 0);
    const psal_model_parameter *p = psal_model_get_parameter(
        s.n.model, psal_model_unit_parameter(s.n.model, PSAL_UNITS_FILTERS, 60, NULL));
    int64_t row = 60 - p->first_unit[PSAL_UNITS_FILTERS];
    const float *g = psal_tuner_filter_gradient(s.worker, 60, &length, &stride);
    const float *w = psal_edit_values(s.edit)[psal_model_unit_parameter(s.n.model, PSAL_UNITS_FILTERS, 60, NULL)];
    for (int64_t i = 0; i < psal_shape_count(&p->shape); i++) {
        double expected = p->values[i] - (i / length == row ? rate * g[i - row * length] : 0);
        ck_assert_double_eq_tol(w[i], expected, 1e-6 * fabs(expected) + 1e-12);
    }
    /* A rate so large that values overflow is refused. */
    ck_assert_int_eq(psal_tuner_step(s.worker, s.edit, filters, 2, (psal_step){false, 1e300}, NULL, NULL),
                     PSAL_ERR_NUMERIC);
    ck_assert_int_eq(psal_tuner_gradient(s.worker, s.n.image, CLASSES, NULL, NULL, NULL), PSAL_ERR_ARGUMENT);
    close_setup(&s);
}
END_TEST

/* Along the mean of two samples' gradients; along one's it is the step that uses it. */
START_TEST(test_step_along) {
    setup s;
    open_setup(&s, 3);
    const int64_t filters[] = {61, 4};
    const int64_t length = psal_tuner_lengths(s.tuner, filters, 2);
    double *one = calloc((size_t)length, sizeof *one), *both = calloc((size_t)length, sizeof *both), rate, expected;
    psal_edit_weights w[2];
    psal_edit *other = psal_edit_new(s.n.model, NULL);
    ck_assert(one && both && other);
    for (int label = 0; label < 2; label++) {
        ck_assert_int_eq(psal_tuner_gradient(s.worker, s.n.image, label, NULL, NULL, NULL), PSAL_OK);
        if (label == 1) psal_tuner_add_gradient(s.worker, filters, 2, 1, one);
        psal_tuner_add_gradient(s.worker, filters, 2, 0.5, both);
    }
    const psal_step steps[] = {{true, 0.25}, {false, 0.5}};
    for (int i = 0; i < 2; i++) {
        psal_edit_reset(s.edit);
        psal_edit_reset(other);
        ck_assert_int_eq(psal_tuner_step(s.worker, s.edit, filters, 2, steps[i], &expected, NULL), PSAL_OK);
        ck_assert_int_eq(psal_tuner_step_along(s.worker, other, filters, 2, one, steps[i], &rate, NULL), PSAL_OK);
        ck_assert_double_eq(rate, expected);
        for (int f = 0; f < 2; f++) {
            ck_assert_int_eq(psal_edit_unit(s.edit, PSAL_UNITS_FILTERS, filters[f], &w[0], NULL), PSAL_OK);
            ck_assert_int_eq(psal_edit_unit(other, PSAL_UNITS_FILTERS, filters[f], &w[1], NULL), PSAL_OK);
            for (int64_t j = 0; j < w[0].length; j++)
                ck_assert_float_eq(w[0].values[j * w[0].stride], w[1].values[j * w[1].stride]);
        }
    }
    psal_edit_reset(other);
    ck_assert_int_eq(psal_edit_unit(other, PSAL_UNITS_FILTERS, filters[1], &w[0], NULL), PSAL_OK);
    const float before = w[0].values[2 * w[0].stride];
    const double slope = both[psal_tuner_lengths(s.tuner, filters, 1) + 2];
    ck_assert_int_eq(psal_tuner_step_along(s.worker, other, filters, 2, both, steps[1], NULL, NULL), PSAL_OK);
    ck_assert_double_ne(slope, one[psal_tuner_lengths(s.tuner, filters, 1) + 2]);
    ck_assert_double_eq_tol(w[0].values[2 * w[0].stride], before - 0.5 * slope, 1e-6 * fabs(before));
    psal_edit_free(other);
    free(one);
    free(both);
    close_setup(&s);
}
END_TEST

START_TEST(test_until_correct) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    open_setup(&s, 3);
    const float *logits;
    ck_assert_int_eq(psal_classifier_run(s.classify, s.n.image, NULL, &logits, &err), PSAL_OK);
    int wrong = psal_predicted_class(logits, CLASSES, -1), label = psal_predicted_class(logits, CLASSES, wrong);
    int64_t filters[64];
    ck_assert_int_eq(psal_choose(s.n.model, PSAL_UNITS_FILTERS, PSAL_CHOICE_NAIVE, s.n.naive, NULL, NULL, NULL, 0, 64,
                                 filters, &err),
                     PSAL_OK);
    ck_assert_int_eq(psal_tuner_gradient(s.worker, s.n.image, label, NULL, NULL, &err), PSAL_OK);
    psal_search_result r;
    ck_assert_msg(psal_tune_until_correct(s.worker, s.classify, s.edit, s.n.image, label, filters, 64, 0.5, &r, &err) ==
                      PSAL_OK,
                  "%s", err.message);
    ck_assert(r.found);
    ck_assert_int_eq(psal_classifier_run(s.classify, s.n.image, psal_edit_values(s.edit), &logits, &err), PSAL_OK);
    ck_assert_int_eq(psal_predicted_class(logits, CLASSES, -1), label);
    ck_assert_double_eq_tol(psal_edit_measure(s.edit).relative, r.relative, 1e-3 * r.relative);
    ck_assert_int_eq(psal_edit_measure(s.edit).rows, r.k);
    /* The same from the first changed part of the network on. */
    psal_classifier_options options = {.height = SIDE, .width = SIDE, .in_parts = true};
    psal_classifier *classifier = psal_classifier_new(s.n.model, &options, &err);
    psal_classifier_worker *parts = psal_classifier_worker_new(classifier, &err);
    psal_search_result again;
    ck_assert_int_eq(psal_tune_until_correct(s.worker, parts, s.edit, s.n.image, label, filters, 64, 0.5, &again, &err),
                     PSAL_OK);
    ck_assert(again.found && again.k == r.k && again.relative == r.relative && again.tries == r.tries);
    psal_classifier_worker_free(parts);
    psal_classifier_free(classifier);
    /* Far too small a step finds nothing and leaves nothing. */
    ck_assert_int_eq(
        psal_tune_until_correct(s.worker, s.classify, s.edit, s.n.image, label, filters, 2, 1e-9, &r, &err), PSAL_OK);
    ck_assert(!r.found);
    ck_assert_int_eq(psal_edit_measure(s.edit).rows, 0);
    close_setup(&s);
}
END_TEST

/* The delta applied to the model equals the whole edited checkpoint, bit for bit. */
START_TEST(test_delta) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    open_setup(&s, 4);
    int64_t filters[] = {9, 3, 61, 62};
    loss_of(&s);
    ck_assert_int_eq(psal_tuner_step(s.worker, s.edit, filters, 4, (psal_step){true, 0.1}, NULL, &err), PSAL_OK);
    psal_tensor_map *full = psal_model_export(s.n.model, psal_edit_values(s.edit), &err);
    psal_tensor_map *delta = psal_edit_delta(s.edit, &err);
    psal_model *edited = full ? psal_model_load(full, NULL, NULL, &err) : NULL;
    psal_model *patched = psal_model_load(s.n.map, NULL, NULL, &err);
    ck_assert_msg(delta && edited && patched, "%s", err.message);
    ck_assert_msg(psal_delta_apply(delta, patched, &err) == PSAL_OK, "%s", err.message);
    int differ = 0;
    for (int i = 0; i < psal_model_parameter_count(edited); i++) {
        const psal_model_parameter *a = psal_model_get_parameter(edited, i), *b = psal_model_get_parameter(patched, i);
        size_t bytes = (size_t)psal_shape_count(&a->shape) * sizeof(float);
        ck_assert_mem_eq(a->values, b->values, bytes);
        differ += memcmp(a->values, psal_model_get_parameter(s.n.model, i)->values, bytes) != 0;
    }
    ck_assert_int_gt(differ, 0);
    ck_assert_int_eq(psal_delta_apply(delta, patched, &err), PSAL_ERR_ARGUMENT); /* other weights now */
    psal_model_free(patched);
    psal_model_free(edited);
    psal_tensor_map_free(delta);
    psal_tensor_map_free(full);
    close_setup(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("finetune");
    TCase *tests = tcase_create("finetune");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_gradient);
    tcase_add_test(tests, test_step_changes_chosen_filters_only);
    tcase_add_test(tests, test_step_along);
    tcase_add_test(tests, test_until_correct);
    tcase_add_test(tests, test_delta);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
