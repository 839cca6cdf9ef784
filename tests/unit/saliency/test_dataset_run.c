#include "saliency/dataset_run.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/classifier.h"
#include "saliency/random.h"
#include "saliency/summary.h"

enum { CLASSES = 4, SIDE = 32, PIXELS = 3 * SIDE * SIDE };

/* A small ResNet with random weights, and samples that are noise, seeded by their numbers. */
typedef struct lab {
    psal_tensor_map *map;
    psal_model *model;
    psal_saliency *saliency;
    psal_summary *summary;
    int64_t bad; /* the sample that cannot be loaded; -1: none */
    bool skip, predicted;
    int64_t stop_at; /* pause fails there; 0: never */
    int64_t begin, paused;
    int steps;
    int ahead[100]; /* how often each sample was announced */
} lab;

static void open_lab(lab *l) {
    psal_random random = {3};
    l->map = psal_model_blank("resnet18", 0.0625, CLASSES, NULL);
    ck_assert_ptr_nonnull(l->map);
    for (size_t i = 0; i < psal_tensor_map_count(l->map); i++) {
        const psal_tensor *t = psal_tensor_map_at(l->map, i);
        if (strstr(psal_tensor_map_name(l->map, i), "running_var") || t->dtype != PSAL_F32) continue;
        for (int64_t k = 0; k < psal_shape_count(&t->shape); k++)
            ((float *)t->data)[k] = (float)(0.3 * psal_random_normal(&random) + (t->shape.ndim == 1));
    }
    l->model = psal_model_load(l->map, &(psal_model_options){0}, NULL, NULL);
    l->saliency = psal_saliency_new(l->model, &(psal_saliency_options){.height = SIDE, .width = SIDE, .threads = 1},
                                    NULL);
    ck_assert_ptr_nonnull(l->saliency);
    l->bad = -1;
}

static void close_lab(lab *l) {
    psal_summary_free(l->summary);
    psal_saliency_free(l->saliency);
    psal_model_free(l->model);
    psal_tensor_map_free(l->map);
}

static psal_status load(void *data, int64_t index, float *image, int *label, psal_error *err) {
    const lab *l = data;
    if (index < 100) ck_assert_int_eq(l->ahead[index], 1);
    if (index == l->bad) return psal_fail(err, PSAL_ERR_FORMAT, "sample %d is broken", (int)index);
    psal_random random = {(uint64_t)index};
    for (int i = 0; i < PIXELS; i++) image[i] = (float)psal_random_normal(&random);
    *label = (int)(index % CLASSES);
    return PSAL_OK;
}

static void announce(void *data, int64_t index) {
    lab *l = data;
    ck_assert(index >= l->begin && index < l->summary->end);
    if (index >= 100) return;
#pragma omp atomic
    l->ahead[index]++;
}

static psal_status take(void *data, const psal_sample_result *sample, const float *profile, const float *predicted,
                        const psal_error *why, psal_error *err) {
    lab *l = data;
    ck_assert_int_eq(sample->index, l->summary->next);
    ck_assert(!profile == (why != NULL));
    if (profile) ck_assert((predicted != NULL) == (l->predicted && sample->label != sample->predicted));
    if (!profile && !l->skip) return psal_fail(err, why->status, "stopped: %s", why->message);
    return psal_summary_add(l->summary, sample, profile, predicted, err);
}

static psal_status pause_at(void *data, int64_t next, psal_error *err) {
    lab *l = data;
    ck_assert_int_eq(next, l->summary->next);
    l->paused++;
    return l->stop_at && next >= l->stop_at ? psal_fail(err, PSAL_ERR_CANCELLED, "enough") : PSAL_OK;
}

static void step(void *data) {
#pragma omp atomic
    ((lab *)data)->steps++;
}

static psal_status go(lab *l, int threads, int64_t end, psal_error *err) {
    if (!l->summary) l->summary = psal_summary_new(psal_saliency_length(l->saliency), 0, end, false, NULL);
    memset(l->ahead, 0, sizeof l->ahead);
    l->begin = l->summary->next;
    l->paused = 0;
    psal_dataset_run run = {.first = l->summary->next,
                            .end = end,
                            .threads = threads,
                            .predicted_profiles = l->predicted,
                            .data = l,
                            .load = load,
                            .ahead = announce,
                            .take = take,
                            .pause = pause_at,
                            .step = step};
    return psal_dataset_run_all(l->saliency, l->model, &run, err);
}

static void fresh(lab *l) {
    psal_summary_free(l->summary);
    l->summary = NULL;
    l->steps = 0;
}

/* Everything in two summaries, bit for bit. */
static void check_same(const psal_summary *a, const psal_summary *b) {
    ck_assert_int_eq(a->next, b->next);
    ck_assert_int_eq(psal_summary_correct(a), psal_summary_correct(b));
    for (int g = 0; g < PSAL_GROUP_COUNT; g++) {
        ck_assert_int_eq(a->groups[g]->count, b->groups[g]->count);
        ck_assert_int_eq(memcmp(a->groups[g]->mean, b->groups[g]->mean, (size_t)a->length * sizeof(double)), 0);
        ck_assert_int_eq(memcmp(a->groups[g]->m2, b->groups[g]->m2, (size_t)a->length * sizeof(double)), 0);
    }
    for (int64_t i = 0; i < a->next; i++) {
        ck_assert_int_eq(a->records[i].index, b->records[i].index);
        ck_assert_int_eq(a->records[i].status, b->records[i].status);
        ck_assert_int_eq(a->records[i].predicted, b->records[i].predicted);
        ck_assert(a->records[i].loss == b->records[i].loss && a->records[i].largest == b->records[i].largest &&
                  a->records[i].label_confidence == b->records[i].label_confidence &&
                  a->records[i].predicted_confidence == b->records[i].predicted_confidence);
    }
}

START_TEST(profiles_are_those_of_a_single_worker) {
    lab l = {0};
    open_lab(&l);
    ck_assert_int_eq(go(&l, 2, 5, NULL), PSAL_OK);
    ck_assert_int_eq(l.steps, 5);
    psal_saliency_worker *worker = psal_saliency_worker_new(l.saliency, NULL);
    psal_welford *expected = psal_welford_new(psal_saliency_length(l.saliency), NULL);
    float *image = malloc(PIXELS * sizeof *image), *profile = malloc((size_t)expected->length * sizeof *profile);
    for (int i = 0; i < 5; i++) {
        int label;
        load(&l, i, image, &label, NULL);
        ck_assert_int_eq(psal_saliency_profile(worker, image, label, 0, profile, NULL), PSAL_OK);
        psal_welford_add(expected, profile);
        const psal_sample_result *r = &l.summary->records[i];
        ck_assert_int_eq(r->label, label);
        ck_assert_float_eq(r->loss, psal_saliency_loss(worker));
        ck_assert_double_eq_tol((double)r->label_confidence, exp(-(double)r->loss), 1e-5);
        ck_assert(r->predicted_confidence >= r->label_confidence &&
                  (r->predicted == label) == (r->predicted_confidence == r->label_confidence));
    }
    const psal_welford *all = l.summary->groups[PSAL_GROUP_ALL];
    ck_assert_int_eq(memcmp(all->mean, expected->mean, (size_t)all->length * sizeof(double)), 0);
    ck_assert_int_eq(memcmp(all->m2, expected->m2, (size_t)all->length * sizeof(double)), 0);
    psal_welford_free(expected);
    psal_saliency_worker_free(worker);
    free(image);
    free(profile);
    close_lab(&l);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads_or_pauses) {
    lab one = {.predicted = true}, many = {.predicted = true};
    open_lab(&one);
    open_lab(&many);
    ck_assert_int_eq(go(&one, 1, 75, NULL), PSAL_OK);
    ck_assert_int_gt(psal_summary_correct(one.summary), 0);
    ck_assert_int_gt(one.summary->groups[PSAL_GROUP_PREDICTED]->count, 0);
    for (int threads = 2; threads <= 4; threads++) {
        fresh(&many);
        ck_assert_int_eq(go(&many, threads, 75, NULL), PSAL_OK);
        check_same(one.summary, many.summary);
    }
    /* Stopped, saved as tensors, gone on with. */
    psal_error err = PSAL_ERROR_INIT;
    fresh(&many);
    many.stop_at = 1;
    ck_assert_int_eq(go(&many, 2, 75, &err), PSAL_ERR_CANCELLED);
    ck_assert_str_eq(err.message, "enough");
    ck_assert(many.summary->next > 0 && many.summary->next < 75);
    psal_tensor_map *saved = psal_tensor_map_new();
    ck_assert_int_eq(psal_summary_to_tensors(many.summary, saved, NULL), PSAL_OK);
    fresh(&many);
    many.stop_at = 0;
    many.summary = psal_summary_from_tensors(saved, &err);
    ck_assert_msg(many.summary != NULL, "%s", err.message);
    ck_assert_int_eq(go(&many, 3, 75, NULL), PSAL_OK);
    check_same(one.summary, many.summary);
    psal_tensor_map_free(saved);
    close_lab(&one);
    close_lab(&many);
}
END_TEST

/* Samples may take seconds: what is done is handed out at once, not after a window of them. */
START_TEST(samples_are_taken_as_they_are_done) {
    lab l = {0};
    open_lab(&l);
    ck_assert_int_eq(go(&l, 1, 12, NULL), PSAL_OK);
    ck_assert_int_eq(l.paused, 12);
    fresh(&l);
    l.stop_at = 3;
    ck_assert_int_eq(go(&l, 1, 12, NULL), PSAL_ERR_CANCELLED);
    ck_assert_int_eq(l.summary->next, 3);
    ck_assert_int_eq(l.steps, 3); /* and no others are computed for nothing */
    close_lab(&l);
}
END_TEST

START_TEST(bad_samples_end_the_run_or_are_skipped) {
    lab l = {.bad = 0};
    open_lab(&l);
    l.bad = 7;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(go(&l, 2, 10, &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "stopped: sample 7 is broken");
    ck_assert_int_eq(l.summary->next, 7); /* what came before is kept */
    fresh(&l);
    l.skip = true;
    ck_assert_int_eq(go(&l, 2, 10, NULL), PSAL_OK);
    ck_assert_int_eq(psal_summary_count(l.summary), 9);
    ck_assert_int_eq(psal_summary_skipped(l.summary), 1);
    ck_assert_int_eq(l.summary->records[7].status, PSAL_ERR_FORMAT);
    close_lab(&l);
}
END_TEST

START_TEST(parts_join_and_only_neighbours_do) {
    lab whole = {0}, part = {0};
    open_lab(&whole);
    open_lab(&part);
    ck_assert_int_eq(go(&whole, 2, 20, NULL), PSAL_OK);
    psal_summary *parts[2];
    for (int i = 0; i < 2; i++) {
        part.summary = psal_summary_new(psal_saliency_length(part.saliency), i * 8, i ? 20 : 8, false, NULL);
        ck_assert_int_eq(go(&part, 2, i ? 20 : 8, NULL), PSAL_OK);
        parts[i] = part.summary;
        part.summary = NULL;
    }
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_summary_append(parts[1], parts[0], &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_summary_append(parts[0], parts[1], &err), PSAL_OK);
    ck_assert_int_eq(psal_summary_correct(parts[0]), psal_summary_correct(whole.summary));
    psal_statistics *a = psal_statistics_new(whole.summary->length, NULL),
                    *b = psal_statistics_new(whole.summary->length, NULL);
    ck_assert_int_eq(psal_summary_finish(whole.summary, a, NULL, NULL), PSAL_OK);
    ck_assert_int_eq(psal_summary_finish(parts[0], b, NULL, NULL), PSAL_OK);
    ck_assert_int_eq(b->count, 20);
    for (int64_t k = 0; k < a->length; k++) {
        ck_assert_double_eq_tol(b->mean[k], a->mean[k], 1e-12 * a->mean[k] + 1e-300);
        ck_assert_double_eq_tol(b->std[k], a->std[k], 1e-12 * a->std[k] + 1e-300);
    }
    psal_statistics_free(a);
    psal_statistics_free(b);
    psal_summary_free(parts[0]);
    psal_summary_free(parts[1]);
    close_lab(&whole);
    close_lab(&part);
}
END_TEST

/* Remove or damage each tensor and each number of a saved summary: refused, never a crash. */
START_TEST(damaged_summaries_are_refused) {
    lab l = {0};
    open_lab(&l);
    ck_assert_int_eq(go(&l, 2, 12, NULL), PSAL_OK);
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_int_eq(psal_summary_to_tensors(l.summary, map, NULL), PSAL_OK);
    size_t tensors = psal_tensor_map_count(map), metas = psal_tensor_map_meta_count(map);
    psal_tensor_map_free(map);
    static const char *const values[] = {"", "-1", "x", "99999999999999999999", "7 "};
    for (size_t i = 0; i < tensors + metas * 5; i++) {
        map = psal_tensor_map_new();
        ck_assert_int_eq(psal_summary_to_tensors(l.summary, map, NULL), PSAL_OK);
        if (i < tensors)
            psal_tensor_map_remove(map, i);
        else
            psal_tensor_map_set_meta(map, psal_tensor_map_meta_key(map, (i - tensors) / 5), values[(i - tensors) % 5],
                                     NULL);
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_msg(psal_summary_from_tensors(map, &err) == NULL, "damage %zu is not noticed", i);
        ck_assert(*err.message);
        psal_tensor_map_free(map);
    }
    close_lab(&l);
}
END_TEST

/* Three profiles of three entries: two right, one wrong. */
static psal_tensor_map *three_profiles(void) {
    psal_summary *s = psal_summary_new(3, 0, 3, false, NULL);
    for (int i = 0; i < 3; i++) {
        const float profile[] = {1, (float)i, -2.5f};
        psal_sample_result sample = {.index = i,
                                     .label = 1,
                                     .predicted = i < 2,
                                     .loss = 0.5f,
                                     .label_confidence = 0.5f,
                                     .predicted_confidence = 0.5f};
        ck_assert_int_eq(psal_summary_add(s, &sample, profile, i < 2 ? NULL : profile, NULL), PSAL_OK);
    }
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_int_eq(psal_summary_to_tensors(s, map, NULL), PSAL_OK);
    psal_summary_free(s);
    return map;
}

static void refuse_summary(psal_tensor_map *map, const char *message) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_summary_from_tensors(map, &err));
    ck_assert_str_eq(err.message, message);
    psal_tensor_map_free(map);
}

/* Sums that no float32 profiles have, counts that are not those of the records: they once merged to NaN. */
START_TEST(impossible_summaries_are_refused) {
    static const struct {
        const char *tensor;
        int entry;
        double value;
        const char *message;
    } sums[] = {
        {"all.m2", 1, -1e-300, "'all.m2' of entry 1 is -1e-300, which no profiles add up to"},
        {"all.m2", 0, 2e78, "'all.m2' of entry 0 is 2e+78, which no profiles add up to"},
        {"all.mean", 2, 1e200, "'all.mean' of entry 2 is 1e+200, which no profiles add up to"},
        {"all.mean", 0, -3.5e38, "'all.mean' of entry 0 is -3.5e+38, which no profiles add up to"},
        {"correct.mean", 0, NAN, "'correct.mean' of entry 0 is nan, which no profiles add up to"},
        {"incorrect.m2", 0, 1, "'incorrect.m2' of entry 0 is 1, which no profiles add up to"}, /* of a single one */
        {"predicted.mean", 1, INFINITY, "'predicted.mean' of entry 1 is inf, which no profiles add up to"}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        psal_tensor_map *map = three_profiles();
        ((double *)psal_tensor_map_get(map, sums[i].tensor)->data)[sums[i].entry] = sums[i].value;
        refuse_summary(map, sums[i].message);
    }
    static const struct {
        const char *key, *value, *message;
    } counts[] = {{"psal.count.all", "2", "'psal.count.all' is 2, but the records tell of 3"},
                  {"psal.count.correct", "1", "'psal.count.correct' is 1, but the records tell of 2"},
                  {"psal.count.incorrect", "0", "'psal.count.incorrect' is 0, but the records tell of 1"},
                  {"psal.count.all", "4", "'psal.count.all' is 4, of 3 samples"}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        psal_tensor_map *map = three_profiles();
        if (strcmp(counts[i].value, "1") == 0) /* of a single one: no squares */
            memset((void *)(uintptr_t)psal_tensor_map_get(map, "correct.m2")->data, 0, 3 * sizeof(double));
        ck_assert_int_eq(psal_tensor_map_set_meta(map, counts[i].key, counts[i].value, NULL), PSAL_OK);
        refuse_summary(map, counts[i].message);
    }
    psal_tensor_map *map = three_profiles();
    ((float *)psal_tensor_map_get(map, "record.loss")->data)[1] = INFINITY;
    refuse_summary(map, "the record of sample 1 is none: class 1 for 1, or numbers that are not finite");
    map = three_profiles();
    ((int32_t *)psal_tensor_map_get(map, "record.label")->data)[0] = -1;
    refuse_summary(map, "the record of sample 0 is none: class 1 for -1, or numbers that are not finite");
    psal_summary *good = psal_summary_from_tensors(map = three_profiles(), NULL);
    ck_assert_ptr_nonnull(good);
    psal_summary_free(good);
    psal_tensor_map_free(map);
}
END_TEST

/* Results are finite, or there are none. */
START_TEST(infinite_results_are_refused) {
    psal_summary *s = psal_summary_new(3, 0, 3, false, NULL);
    psal_statistics *statistics = psal_statistics_new(3, NULL);
    psal_error err = PSAL_ERROR_INIT;
    s->groups[PSAL_GROUP_ALL]->count = 2;
    s->groups[PSAL_GROUP_ALL]->mean[1] = INFINITY;
    ck_assert_int_eq(psal_summary_finish(s, statistics, NULL, &err), PSAL_ERR_NUMERIC);
    ck_assert_str_eq(err.message, "the mean of entry 1 is not finite");
    s->groups[PSAL_GROUP_ALL]->mean[1] = 0;
    s->groups[PSAL_GROUP_ALL]->m2[2] = INFINITY;
    ck_assert_int_eq(psal_summary_finish(s, statistics, NULL, &err), PSAL_ERR_NUMERIC);
    ck_assert_str_eq(err.message, "the deviation of entry 2 is not finite");
    psal_statistics_free(statistics);
    psal_summary_free(s);
}
END_TEST

/* The numbers in the metadata may say anything: nothing is allocated because of them. */
START_TEST(small_files_that_claim_much_take_no_memory) {
    psal_error err = PSAL_ERROR_INIT;
    psal_summary *s = psal_summary_new(3, 0, 10, false, &err);
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_int_eq(psal_summary_to_tensors(s, map, &err), PSAL_OK);
    psal_summary_free(s);
    psal_tensor_map_set_meta(map, "psal.end", "2000000000", &err); /* 80 GB of records */
    s = psal_summary_from_tensors(map, &err);
    ck_assert_msg(s != NULL, "%s", err.message);
    ck_assert_int_eq(s->record_capacity, 0);
    psal_summary_free(s);
    psal_tensor_map_set_meta(map, "psal.length", "2000000000", &err);
    ck_assert_ptr_null(psal_summary_from_tensors(map, &err));
    ck_assert_str_eq(err.message, "not a saved summary: there is no tensor 'all.mean'");
    psal_tensor_map_free(map);
}
END_TEST

/* A long profile's state can be read before anything was added. */
START_TEST(long_summaries_begin_empty) {
    psal_error err = PSAL_ERROR_INIT;
    psal_summary *s = psal_summary_new(PSAL_SUMMARY_GROUPS + 1, 0, 10, false, &err);
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_int_eq(psal_summary_to_tensors(s, map, &err), PSAL_OK);
    psal_summary_free(s);
    s = psal_summary_from_tensors(map, &err);
    ck_assert_msg(s != NULL, "%s", err.message);
    ck_assert_int_eq(s->length, PSAL_SUMMARY_GROUPS + 1);
    psal_summary_free(s);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(refuses_what_is_no_run) {
    lab l = {0};
    open_lab(&l);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(go(&l, 0, 3, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_summary_finish(l.summary, NULL, NULL, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "no sample was left to make statistics of");
    fresh(&l);
    ck_assert_int_eq(go(&l, 2, 0, &err), PSAL_OK);
    close_lab(&l);
}
END_TEST

START_TEST(computes_confidences) {
    static const float logits[] = {1, 3, 3, -2};
    ck_assert_int_eq(psal_predicted_class(logits, 4, -1), 1);
    ck_assert_int_eq(psal_predicted_class(logits, 4, 1), 2);
    ck_assert_int_eq(psal_predicted_class(logits, 4, 2), 1);
    double sum = exp(1) + 2 * exp(3) + exp(-2);
    ck_assert_double_eq_tol((double)psal_confidence(logits, 4, 3), exp(-2) / sum, 1e-8);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dataset_run");
    TCase *tests = tcase_create("dataset_run");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, profiles_are_those_of_a_single_worker);
    tcase_add_test(tests, bits_do_not_depend_on_threads_or_pauses);
    tcase_add_test(tests, samples_are_taken_as_they_are_done);
    tcase_add_test(tests, bad_samples_end_the_run_or_are_skipped);
    tcase_add_test(tests, parts_join_and_only_neighbours_do);
    tcase_add_test(tests, impossible_summaries_are_refused);
    tcase_add_test(tests, infinite_results_are_refused);
    tcase_add_test(tests, damaged_summaries_are_refused);
    tcase_add_test(tests, small_files_that_claim_much_take_no_memory);
    tcase_add_test(tests, long_summaries_begin_empty);
    tcase_add_test(tests, refuses_what_is_no_run);
    tcase_add_test(tests, computes_confidences);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* OpenMP's threads do not survive a fork */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
