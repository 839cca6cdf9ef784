/* Networks run in parts: the same bits as in one piece, and only what was asked for is run again. */
#include "saliency/prune.h"
#include "tests/unit/saliency/edits.h"

static const char *const archs[] = {"resnet18", "resnet50", "vgg11", "vgg11_bn", "densenet121"};
enum { ARCHS = sizeof archs / sizeof archs[0] };

typedef struct pair {
    psal_classifier *whole, *parts;
    psal_classifier_worker *run_whole, *run_parts;
} pair;

static pair open_pair(const small_network *n) {
    psal_error err = PSAL_ERROR_INIT;
    psal_classifier_options options = {.height = SIDE, .width = SIDE};
    pair p = {.whole = psal_classifier_new(n->model, &options, &err)};
    options.in_parts = true;
    p.parts = psal_classifier_new(n->model, &options, &err);
    ck_assert_msg(p.whole && p.parts, "%s", err.message);
    p.run_whole = psal_classifier_worker_new(p.whole, &err);
    p.run_parts = psal_classifier_worker_new(p.parts, &err);
    ck_assert_msg(p.run_whole && p.run_parts, "%s", err.message);
    return p;
}

static void close_pair(pair *p) {
    psal_classifier_worker_free(p->run_whole);
    psal_classifier_worker_free(p->run_parts);
    psal_classifier_free(p->whole);
    psal_classifier_free(p->parts);
}

static void keep(float out[CLASSES], psal_status status, const float *const *logits, const psal_error *err) {
    ck_assert_msg(status == PSAL_OK, "%s", err->message);
    memcpy(out, *logits, CLASSES * sizeof *out);
}

START_TEST(test_rerun) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, archs[_i], 4);
    pair p = open_pair(&n);
    psal_edit *edit = psal_edit_new(n.model, &err);
    const float *logits;
    float whole[CLASSES], parts[CLASSES], edited[CLASSES];
    ck_assert_int_eq(psal_classifier_rerun(p.run_parts, 1, NULL, &logits, NULL),
                     PSAL_ERR_ARGUMENT); /* nothing has run */
    ck_assert_int_eq(psal_classifier_rerun(p.run_parts, -1, NULL, &logits, NULL), PSAL_ERR_ARGUMENT);
    keep(whole, psal_classifier_run(p.run_whole, n.image, NULL, &logits, &err), &logits, &err);
    keep(parts, psal_classifier_run(p.run_parts, n.image, NULL, &logits, &err), &logits, &err);
    ck_assert_mem_eq(whole, parts, sizeof whole);

    int last = 0, used = 0;
    for (int i = 0; i < psal_model_parameter_count(n.model); i++) {
        int part = psal_classifier_part(p.parts, i);
        ck_assert(part == last || part == last + 1);
        ck_assert_int_eq(psal_classifier_part(p.whole, i), 0);
        last = part;
    }
    ck_assert_int_ge(last, 4);
    for (int64_t f = n.filters - 1; f >= 0; f -= n.filters / 9) { /* from the end: earlier edits do not stay */
        int part = psal_classifier_part(p.parts, psal_model_unit_parameter(n.model, PSAL_UNITS_FILTERS, f, NULL));
        psal_edit_reset(edit);
        ck_assert_int_eq(psal_prune_filters(edit, n.model, PSAL_UNITS_FILTERS, PSAL_PRUNE_CHANNEL, &f, 1, 0, 0, &err),
                         PSAL_OK);
        keep(whole, psal_classifier_run(p.run_whole, n.image, psal_edit_values(edit), &logits, &err), &logits, &err);
        keep(edited, psal_classifier_rerun(p.run_parts, part, psal_edit_values(edit), &logits, &err), &logits, &err);
        ck_assert_mem_eq(whole, edited, sizeof whole);
        keep(edited, psal_classifier_rerun(p.run_parts, 0, NULL, &logits, &err), &logits, &err);
        ck_assert_mem_eq(edited, parts, sizeof parts);
        /* The part with the filter is left out: nothing changes. */
        keep(edited, psal_classifier_rerun(p.run_parts, part + 1, psal_edit_values(edit), &logits, &err), &logits,
             &err);
        ck_assert_mem_eq(edited, parts, sizeof parts);
        used += memcmp(whole, parts, sizeof whole) != 0;
    }
    ck_assert_int_ge(used, 5);
    psal_edit_free(edit);
    close_pair(&p);
    close_small(&n);
}
END_TEST

START_TEST(test_limit) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, "resnet18", 4);
    psal_classifier_options options = {.height = SIDE, .width = SIDE, .in_parts = true};
    psal_classifier *c = psal_classifier_new(n.model, &options, &err);
    ck_assert_msg(c != NULL, "%s", err.message);
    options.memory_limit = psal_classifier_memory(c);
    psal_classifier_free(c);
    c = psal_classifier_new(n.model, &options, &err);
    ck_assert_msg(c != NULL, "%s", err.message);
    psal_classifier_free(c);
    options.memory_limit--;
    ck_assert_ptr_null(psal_classifier_new(n.model, &options, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.message, "MiB of working memory"));
    close_small(&n);
}
END_TEST

/* A whole experiment, every way of switching off: equal to the last bit. */
START_TEST(test_experiment) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, _i % 2 ? "resnet18" : "densenet121", 6);
    pair p = open_pair(&n);
    psal_edit *edit = psal_edit_new(n.model, &err);
    float second[3 * SIDE * SIDE];
    psal_random random = {8};
    for (size_t i = 0; i < sizeof second / sizeof second[0]; i++) second[i] = (float)psal_random_normal(&random);
    psal_choice choices[] = {PSAL_CHOICE_SALIENT, PSAL_CHOICE_RANDOM, PSAL_CHOICE_RANDOM_SAME_LAYERS, PSAL_CHOICE_LEAST,
                             PSAL_CHOICE_NAIVE};
    enum { CHOICES = sizeof choices / sizeof choices[0], KS = 4 };
    const float *right[] = {second, n.image};
    psal_prune_options options = {.how = (psal_prune_how)(_i / 2),
                                  .choices = choices,
                                  .choice_count = CHOICES,
                                  .k = (int64_t[KS]){1, 2, 9, 40},
                                  .k_count = KS,
                                  .draws = 3,
                                  .scale = 0.5,
                                  .right = right,
                                  .right_labels = (int[]){0, 2},
                                  .right_count = 2};
    psal_prune_sample sample = {n.image, 1, n.naive, n.standardized, NULL, 5, NULL, PSAL_UNITS_FILTERS};
    psal_prune_result whole[CHOICES * KS], parts[CHOICES * KS], together[CHOICES * KS];
    psal_variants *variants = psal_variants_new(p.parts, options.how == PSAL_PRUNE_CHANNEL, &err);
    psal_variants_worker *run_variants = variants ? psal_variants_worker_new(variants, p.run_parts, &err) : NULL;
    ck_assert_msg(run_variants != NULL, "%s", err.message);
    ck_assert_msg(!psal_prune_experiment(n.model, p.run_whole, NULL, edit, &sample, &options, NULL, whole, &err), "%s",
                  err.message);
    ck_assert_msg(!psal_prune_experiment(n.model, p.run_parts, NULL, edit, &sample, &options, NULL, parts, &err), "%s",
                  err.message);
    ck_assert_mem_eq(whole, parts, sizeof whole);
    ck_assert_msg(
        !psal_prune_experiment(n.model, p.run_parts, run_variants, edit, &sample, &options, NULL, together, &err), "%s",
        err.message);
    ck_assert_mem_eq(whole, together, sizeof whole);
    int differ = 0;
    for (int i = 1; i < CHOICES * KS; i++) differ += whole[i].wrong != whole[i - 1].wrong;
    ck_assert_int_ge(differ, 2);
    psal_variants_worker_free(run_variants);
    psal_variants_free(variants);
    psal_edit_free(edit);
    close_pair(&p);
    close_small(&n);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("classifier");
    TCase *tests = tcase_create("classifier");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, test_rerun, 0, ARCHS);
    tcase_add_test(tests, test_limit);
    tcase_add_loop_test(tests, test_experiment, 0, 2 * PSAL_PRUNE_COUNT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
