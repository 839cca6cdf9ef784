/* Filters switched off one at a time: which are drawn, what their scores are, and that what is measured is what the
 * edited network says. */
#include "saliency/ablate.h"

#include "tests/unit/saliency/edits.h"

enum { DRAWN = 12 };

typedef struct setup {
    small_network n;
    psal_classifier *classifier;
    psal_classifier_worker *worker;
    psal_edit *edit;
    psal_prune_sample sample;
    psal_ablation drawn[DRAWN];
} setup;

static void open_setup(setup *s) {
    psal_error err = PSAL_ERROR_INIT;
    open_small(&s->n, "resnet18", 5);
    psal_classifier_options options = {.height = SIDE, .width = SIDE, .in_parts = true};
    s->classifier = psal_classifier_new(s->n.model, &options, &err);
    ck_assert_msg(s->classifier != NULL, "%s", err.message);
    s->worker = psal_classifier_worker_new(s->classifier, &err);
    s->edit = psal_edit_new(s->n.model, &err);
    ck_assert(s->worker && s->edit);
    s->sample = (psal_prune_sample){
        .image = s->n.image, .label = 1, .naive = s->n.naive, .standardized = s->n.standardized};
    ck_assert_int_eq(
        psal_ablate_draw(s->n.model, PSAL_UNITS_FILTERS, NULL, s->n.naive, s->n.standardized, 3, DRAWN, s->drawn, &err),
        PSAL_OK);
}

static void close_setup(setup *s) {
    psal_edit_free(s->edit);
    psal_classifier_worker_free(s->worker);
    psal_classifier_free(s->classifier);
    close_small(&s->n);
}

START_TEST(test_draw) {
    setup s;
    open_setup(&s);
    bool *live = malloc((size_t)s.n.filters * sizeof *live);
    for (int64_t i = 0; i < s.n.filters; i++) live[i] = i % 3 != 0;
    const int64_t all = psal_choosable(s.n.model, PSAL_UNITS_FILTERS, live);
    psal_ablation *a = malloc((size_t)all * sizeof *a), again[DRAWN];
    for (int i = 0; i < DRAWN; i++) {
        const int64_t rank = s.drawn[i].rank - 1, n = s.n.filters;
        ck_assert(rank >= i * n / DRAWN && rank < (i + 1) * n / DRAWN);
        int64_t above = 0, equal = 0; /* dead filters are equal */
        for (int64_t j = 0; j < n; j++) {
            above += s.n.standardized[j] > s.n.standardized[s.drawn[i].unit];
            equal += s.n.standardized[j] == s.n.standardized[s.drawn[i].unit];
        }
        ck_assert(above <= rank && rank < above + equal);
    }
    ck_assert_int_eq(
        psal_ablate_draw(s.n.model, PSAL_UNITS_FILTERS, NULL, s.n.naive, s.n.standardized, 3, DRAWN, again, NULL),
        PSAL_OK);
    for (int i = 0; i < DRAWN; i++) ck_assert_int_eq(again[i].unit, s.drawn[i].unit);
    ck_assert_int_eq(
        psal_ablate_draw(s.n.model, PSAL_UNITS_FILTERS, NULL, s.n.naive, s.n.standardized, 4, DRAWN, again, NULL),
        PSAL_OK);
    int others = 0;
    for (int i = 0; i < DRAWN; i++) others += again[i].unit != s.drawn[i].unit;
    ck_assert_int_gt(others, 0);
    /* All of them: every live one once, in order of the ranking. */
    ck_assert_int_eq(
        psal_ablate_draw(s.n.model, PSAL_UNITS_FILTERS, live, s.n.naive, s.n.standardized, 1, all, a, NULL), PSAL_OK);
    for (int64_t i = 0; i < all; i++) {
        ck_assert(live[a[i].unit] && a[i].rank == i + 1);
        if (i > 0) ck_assert(s.n.standardized[a[i].unit] <= s.n.standardized[a[i - 1].unit]);
    }
    ck_assert_int_eq(
        psal_ablate_draw(s.n.model, PSAL_UNITS_FILTERS, live, s.n.naive, s.n.standardized, 1, all + 1, a, NULL),
        PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_ablate_draw(s.n.model, PSAL_UNITS_FILTERS, live, s.n.naive, s.n.standardized, 1, 0, a, NULL),
                     PSAL_ERR_ARGUMENT);
    free(live);
    free(a);
    close_setup(&s);
}
END_TEST

/* The measured changes are those of the edited network, run by itself, with shared variants and without. */
START_TEST(test_changes) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    open_setup(&s);
    for (int how = PSAL_PRUNE_WEIGHTS; how <= PSAL_PRUNE_CHANNEL; how++) {
        psal_ablation shared[DRAWN];
        memcpy(shared, s.drawn, sizeof shared);
        psal_variants *variants = psal_variants_new(s.classifier, how == PSAL_PRUNE_CHANNEL, &err);
        psal_variants_worker *worker = psal_variants_worker_new(variants, s.worker, &err);
        ck_assert_msg(worker != NULL, "%s", err.message);
        ck_assert_msg(psal_ablate_run(s.n.model, s.worker, worker, s.edit, &s.sample, (psal_prune_how)how, shared,
                                      DRAWN, &err) == PSAL_OK,
                      "%s", err.message);
        ck_assert_int_eq(
            psal_ablate_run(s.n.model, s.worker, NULL, s.edit, &s.sample, (psal_prune_how)how, s.drawn, DRAWN, &err),
            PSAL_OK);
        const float *logits;
        int changed = 0;
        for (int i = 0; i < DRAWN; i++) {
            ck_assert(shared[i].loss == s.drawn[i].loss && shared[i].logit == s.drawn[i].logit);
            ck_assert_int_eq(psal_classifier_run(s.worker, s.n.image, NULL, &logits, &err), PSAL_OK);
            const int wrong = psal_predicted_class(logits, CLASSES, s.sample.label);
            const double loss = -log(psal_confidence(logits, CLASSES, s.sample.label)), logit = logits[wrong];
            psal_edit_reset(s.edit);
            psal_prune_filters(s.edit, s.n.model, PSAL_UNITS_FILTERS, (psal_prune_how)how, &s.drawn[i].unit, 1, 0, 0,
                               &err);
            ck_assert_int_eq(psal_classifier_run(s.worker, s.n.image, psal_edit_values(s.edit), &logits, &err),
                             PSAL_OK);
            ck_assert_double_eq_tol(s.drawn[i].loss, -log(psal_confidence(logits, CLASSES, s.sample.label)) - loss,
                                    1e-12);
            ck_assert_double_eq(s.drawn[i].logit, logits[wrong] - logit);
            changed += s.drawn[i].loss != 0;
        }
        ck_assert_int_gt(changed, DRAWN / 2);
        psal_variants_worker_free(worker);
        psal_variants_free(variants);
    }
    ck_assert_int_eq(
        psal_ablate_run(s.n.model, s.worker, NULL, s.edit, &s.sample, PSAL_PRUNE_NOISE, s.drawn, DRAWN, &err),
        PSAL_ERR_ARGUMENT);
    s.sample.label = CLASSES;
    ck_assert_int_eq(
        psal_ablate_run(s.n.model, s.worker, NULL, s.edit, &s.sample, PSAL_PRUNE_WEIGHTS, s.drawn, DRAWN, &err),
        PSAL_ERR_ARGUMENT);
    close_setup(&s);
}
END_TEST

/* gradient-weight is the slope of the loss along switching off: d/dt of L(w (1 - t)) at 0. */
START_TEST(test_scores) {
    setup s;
    psal_error err = PSAL_ERROR_INIT;
    open_setup(&s);
    psal_classifier_options options = {.height = SIDE, .width = SIDE};
    psal_tuner *tuner = psal_tuner_new(s.n.model, PSAL_UNITS_FILTERS, &options, &err);
    psal_tuner_worker *worker = tuner ? psal_tuner_worker_new(tuner, &err) : NULL;
    ck_assert_msg(worker != NULL, "%s", err.message);
    ck_assert_int_eq(psal_ablate_score(s.n.model, worker, &s.sample, s.drawn, DRAWN, &err), PSAL_OK);
    for (int i = 0; i < DRAWN; i++) {
        const psal_ablation *a = &s.drawn[i];
        ck_assert_double_eq(a->score[PSAL_SCORE_NAIVE], s.n.naive[a->unit]);
        ck_assert_double_eq(a->score[PSAL_SCORE_STANDARDIZED], s.n.standardized[a->unit]);
        ck_assert_double_le(fabs(a->score[PSAL_SCORE_SIGNED]), a->score[PSAL_SCORE_NAIVE] * (1 + 1e-5));
        double loss[2];
        const double step = 1e-3;
        for (int side = 0; side < 2; side++) {
            psal_edit_weights w;
            const float *logits;
            psal_edit_reset(s.edit);
            ck_assert_int_eq(psal_edit_unit(s.edit, PSAL_UNITS_FILTERS, a->unit, &w, &err), PSAL_OK);
            for (int64_t j = 0; j < w.length; j++) w.values[j * w.stride] *= (float)(1 + (side ? -step : step));
            ck_assert_int_eq(psal_classifier_run(s.worker, s.n.image, psal_edit_values(s.edit), &logits, &err),
                             PSAL_OK);
            loss[side] = psal_cross_entropy_loss(logits, CLASSES, s.sample.label);
        }
        const double slope = (loss[1] - loss[0]) / (2 * step), size = fabs(slope) > 1e-2 ? fabs(slope) : 1e-2;
        ck_assert_double_eq_tol(a->score[PSAL_SCORE_GRADIENT_WEIGHT], slope, 0.05 * size);
    }
    psal_tuner_worker_free(worker);
    psal_tuner_free(tuner);
    close_setup(&s);
}
END_TEST

static void expect(const psal_agreement *g, double value) {
    ck_assert_double_eq_tol(g->spearman, value, 1e-12);
    ck_assert_double_eq_tol(g->kendall, value, 1e-12);
}

/* Scores with a sign are compared with sizes by their sizes. */
START_TEST(test_agreement) {
    psal_ablation a[5];
    for (int i = 0; i < 5; i++) {
        const double signed_value = i % 2 ? -i : i;
        a[i] = (psal_ablation){.loss = signed_value, .logit = -signed_value};
        for (int score = 0; score < PSAL_SCORE_COUNT; score++) a[i].score[score] = signed_value;
        a[i].score[PSAL_SCORE_NAIVE] = i;
    }
    psal_agreement g;
    ck_assert_int_eq(psal_ablate_agreement(a, 5, PSAL_SCORE_GRADIENT_WEIGHT, PSAL_EFFECT_LOSS, &g, NULL), PSAL_OK);
    expect(&g, 1);
    psal_ablate_agreement(a, 5, PSAL_SCORE_GRADIENT_WEIGHT, PSAL_EFFECT_LOGIT, &g, NULL);
    expect(&g, -1);
    psal_ablate_agreement(a, 5, PSAL_SCORE_GRADIENT_WEIGHT, PSAL_EFFECT_LOGIT_SIZE, &g, NULL);
    expect(&g, 1);
    psal_ablate_agreement(a, 5, PSAL_SCORE_NAIVE, PSAL_EFFECT_LOSS_SIZE, &g, NULL);
    expect(&g, 1);
    psal_ablate_agreement(a, 5, PSAL_SCORE_STANDARDIZED, PSAL_EFFECT_LOSS_SIZE, &g, NULL);
    ck_assert(fabs(g.spearman) < 0.5);
    for (int i = 0; i < 5; i++) a[i].logit = 7;
    psal_ablate_agreement(a, 5, PSAL_SCORE_NAIVE, PSAL_EFFECT_LOGIT, &g, NULL);
    ck_assert(isnan(g.spearman) && isnan(g.kendall));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ablate");
    TCase *tcase = tcase_create("ablate");
    tcase_add_test(tcase, test_draw);
    tcase_add_test(tcase, test_changes);
    tcase_add_test(tcase, test_scores);
    tcase_add_test(tcase, test_agreement);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
