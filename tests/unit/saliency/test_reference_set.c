/* Tests saliency/reference_set.h, and the summaries of reference sets: which samples are in the statistics, what is
 * kept of the others, what does not go together. */
#include "saliency/reference_set.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "saliency/summary.h"

enum { LENGTH = 7, SAMPLES = 23 };

static const psal_reference_set SETS[] = {
    {PSAL_REFERENCE_ALL, 0}, {PSAL_REFERENCE_CORRECT, 0}, {PSAL_REFERENCE_INCORRECT, 0}, {PSAL_REFERENCE_CLASS, 2}};
enum { SET_COUNT = sizeof SETS / sizeof *SETS };

START_TEST(names_and_members) {
    static const char *const names[] = {"all", "correct", "incorrect", "class 2"};
    static const char *const words[] = {"all samples", "samples that are right", "samples that are wrong",
                                        "samples of class 2"};
    static const bool has[][3] = {{true, true, true}, {true, false, false}, {false, true, true}, {true, true, false}};
    char text[PSAL_REFERENCE_SIZE];
    for (int i = 0; i < SET_COUNT; i++) {
        psal_reference_set back;
        ck_assert_str_eq(psal_reference_format(SETS[i], text), names[i]);
        ck_assert(psal_reference_parse(text, &back));
        ck_assert_int_eq(back.kind, SETS[i].kind);
        ck_assert_int_eq(back.label, SETS[i].label);
        ck_assert_str_eq(psal_reference_describe(SETS[i], text), words[i]);
        ck_assert_int_eq(psal_reference_has(SETS[i], 2, 2), has[i][0]);
        ck_assert_int_eq(psal_reference_has(SETS[i], 2, 3), has[i][1]);
        ck_assert_int_eq(psal_reference_has(SETS[i], 3, 2), has[i][2]);
    }
    psal_reference_set set;
    ck_assert(psal_reference_parse("", &set));
    ck_assert_int_eq(set.kind, PSAL_REFERENCE_ALL);
    static const char *const none[] = {"right",  "class", "class ", "class -1", "class x", "class 99999999999",
                                       "Correct"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) ck_assert(!psal_reference_parse(none[i], &set));
}
END_TEST

static void profile_of(int sample, float *profile) {
    for (int i = 0; i < LENGTH; i++) profile[i] = (float)(1 + (sample * 7 + i * i * 3) % 11);
}

static psal_sample_result record_of(int sample) {
    return (psal_sample_result){.index = sample,
                                .status = sample == 9 ? PSAL_ERR_FORMAT : PSAL_OK,
                                .label = sample % 4,
                                .predicted = sample % 3 ? sample % 4 : 1};
}

static psal_summary *summary_of(psal_reference_set only, int first, int end) {
    psal_summary *s = psal_summary_new(LENGTH, first, end, false, NULL);
    s->only = only;
    for (int i = first; i < end; i++) {
        float profile[LENGTH];
        const psal_sample_result record = record_of(i);
        profile_of(i, profile);
        ck_assert_int_eq(psal_summary_add(s, &record, record.status == PSAL_OK ? profile : NULL, NULL, NULL), PSAL_OK);
    }
    return s;
}

/* Mean of the samples in a set, and in how many of them there are. */
static int mean_of(psal_reference_set only, double mean[LENGTH]) {
    int count = 0;
    memset(mean, 0, LENGTH * sizeof *mean);
    for (int i = 0; i < SAMPLES; i++) {
        const psal_sample_result r = record_of(i);
        float profile[LENGTH];
        if (r.status != PSAL_OK || !psal_reference_has(only, r.label, r.predicted)) continue;
        profile_of(i, profile);
        for (int k = 0; k < LENGTH; k++) mean[k] += profile[k];
        count++;
    }
    for (int k = 0; k < LENGTH; k++) mean[k] /= count;
    return count;
}

START_TEST(only_members_are_added) {
    for (int i = 0; i < SET_COUNT; i++) {
        double mean[LENGTH], right[LENGTH];
        const int count = mean_of(SETS[i], mean), correct = mean_of(SETS[1], right);
        psal_summary *s = summary_of(SETS[i], 0, SAMPLES);
        ck_assert_int_eq(psal_summary_count(s), count);
        ck_assert_int_eq(psal_summary_good(s), SAMPLES - 1);
        ck_assert_int_eq(psal_summary_correct(s), correct);
        ck_assert_int_eq(psal_summary_skipped(s), 1);
        psal_statistics *statistics = psal_statistics_new(LENGTH, NULL);
        ck_assert_int_eq(psal_summary_finish(s, statistics, NULL, NULL), PSAL_OK);
        ck_assert_int_eq(statistics->count, count);
        for (int k = 0; k < LENGTH; k++) {
            ck_assert_double_eq_tol(statistics->mean[k], mean[k], 1e-12);
            ck_assert_double_eq_tol(s->groups[PSAL_GROUP_CORRECT]->mean[k], right[k], 1e-12); /* of all samples */
        }
        psal_statistics_free(statistics);
        psal_summary_free(s);
    }
}
END_TEST

START_TEST(parts_and_files) {
    for (int i = 0; i < SET_COUNT; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_summary *whole = summary_of(SETS[i], 0, SAMPLES), *front = summary_of(SETS[i], 0, 8);
        psal_summary *back = summary_of(SETS[i], 8, SAMPLES),
                     *other = summary_of(SETS[(i + 1) % SET_COUNT], 8, SAMPLES);
        ck_assert_int_eq(psal_summary_append(front, other, &err), PSAL_ERR_ARGUMENT);
        ck_assert_str_eq(err.message, "statistics of different reference sets cannot be joined");
        ck_assert_int_eq(psal_summary_append(front, back, NULL), PSAL_OK);
        psal_tensor_map *map = psal_tensor_map_new();
        ck_assert_int_eq(psal_summary_to_tensors(front, map, NULL), PSAL_OK);
        psal_summary *read = psal_summary_from_tensors(map, &err);
        ck_assert_msg(read != NULL, "%s", err.message);
        ck_assert_int_eq(read->only.kind, SETS[i].kind);
        ck_assert_int_eq(psal_summary_count(read), psal_summary_count(whole));
        for (int k = 0; k < LENGTH; k++)
            ck_assert_double_eq_tol(read->groups[0]->mean[k], whole->groups[0]->mean[k], 1e-12);
        psal_summary_free(read);
        /* The records tell how many there must be. */
        psal_tensor_map_set_meta(map, "psal.only", SETS[i].kind == PSAL_REFERENCE_ALL ? "incorrect" : "all", NULL);
        ck_assert_ptr_null(psal_summary_from_tensors(map, &err));
        ck_assert_ptr_nonnull(strstr(err.message, "'psal.count.all' is"));
        psal_tensor_map_set_meta(map, "psal.only", "most", NULL);
        ck_assert_ptr_null(psal_summary_from_tensors(map, &err));
        ck_assert_str_eq(err.message, "not a saved summary: 'psal.only' is most");
        psal_tensor_map_free(map);
        psal_summary_free(whole);
        psal_summary_free(front);
        psal_summary_free(back);
        psal_summary_free(other);
    }
}
END_TEST

START_TEST(distance_of_right_and_wrong) {
    double right[LENGTH], wrong[LENGTH], dot = 0, a = 0, b = 0;
    mean_of(SETS[1], right);
    mean_of(SETS[2], wrong);
    for (int k = 0; k < LENGTH; k++) dot += right[k] * wrong[k], a += right[k] * right[k], b += wrong[k] * wrong[k];
    psal_summary *s = summary_of(SETS[3], 0, SAMPLES);
    ck_assert_double_eq_tol(psal_summary_distance(s, PSAL_GROUP_INCORRECT), 1 - dot / sqrt(a * b), 1e-12);
    ck_assert_double_gt(psal_summary_distance(s, PSAL_GROUP_INCORRECT), 1e-4);
    ck_assert(isnan(psal_summary_distance(s, PSAL_GROUP_PREDICTED)));
    psal_summary_free(s);
    psal_summary *one = summary_of(SETS[0], 1, 3); /* both are right */
    ck_assert(isnan(psal_summary_distance(one, PSAL_GROUP_INCORRECT)));
    psal_summary_free(one);
}
END_TEST

START_TEST(empty_sets_are_refused) {
    psal_error err = PSAL_ERROR_INIT;
    psal_summary *s = summary_of((psal_reference_set){PSAL_REFERENCE_CLASS, 77}, 0, SAMPLES);
    ck_assert_int_eq(psal_summary_suffices(s, true, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message,
                     "no sample was left to make statistics of: of the samples of class 77 there are none");
    psal_summary_free(s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reference_set");
    TCase *tests = tcase_create("reference_set");
    tcase_add_test(tests, names_and_members);
    tcase_add_test(tests, only_members_are_added);
    tcase_add_test(tests, parts_and_files);
    tcase_add_test(tests, distance_of_right_and_wrong);
    tcase_add_test(tests, empty_sets_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
