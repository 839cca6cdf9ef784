/* Variants in lanes: the bits of each variant run by itself with its weights at zero, whatever they share. */
#include "saliency/variants.h"

#include "saliency/prune.h"
#include "tests/unit/saliency/edits.h"

static const char *const archs[] = {"resnet18", "resnet50", "vgg11", "vgg11_bn", "densenet121", "squeezenet1_1"};
enum { ARCHS = sizeof archs / sizeof archs[0], VARIANTS = 23, MOST = 12 };

typedef struct answers {
    float logits[VARIANTS][CLASSES];
    int times[VARIANTS];
} answers;

static void keep(void *data, size_t i, const float *logits) {
    answers *a = data;
    ck_assert_uint_lt(i, VARIANTS);
    memcpy(a->logits[i], logits, sizeof a->logits[i]);
    a->times[i]++;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_filters(const void *a, const void *b) {
    const psal_variant *x = a, *y = b;
    int64_t filter = psal_variant_difference(x, y);
    if (filter == INT64_MAX) return 0;
    for (int64_t i = 0; i < x->count; i++)
        if (x->filters[i] == filter) return 1; /* who has the smaller filter, later */
    return -1;
}

/* Lists of all kinds: none, single filters, lists that begin alike, equal ones. */
static void make_variants(psal_variant *list, int64_t filters[VARIANTS][MOST], int64_t total, psal_random *random) {
    for (int i = 0; i < VARIANTS; i++) {
        int64_t count = i % (MOST + 1), kept = i % 3 == 0 || i == 0 ? 0 : count / 2;
        if (i % 7 == 6) kept = count = list[i - 1].count;
        for (int64_t f = 0; f < count; f++) {
            filters[i][f] = f < kept && f < list[i - 1].count ? filters[i - 1][f]
                                                              : (int64_t)(psal_random_bits(random) % (uint64_t)total);
            for (int64_t g = 0; g < f; g++)
                if (filters[i][g] == filters[i][f]) f--, g = f; /* drawn before: once more */
        }
        qsort(filters[i], (size_t)count, sizeof filters[i][0], ascending);
        list[i] = (psal_variant){filters[i], count};
    }
}

static void check_variants(const small_network *n, psal_classifier_worker *base, psal_edit *edit,
                           const psal_variant *list, bool whole_channel, const float *image) {
    psal_error err = PSAL_ERROR_INIT;
    answers a = {.times = {0}};
    const float *logits;
    psal_variants *variants = psal_variants_new(psal_classifier_of(base), whole_channel, &err);
    psal_variants_worker *worker = variants ? psal_variants_worker_new(variants, base, &err) : NULL;
    ck_assert_msg(worker != NULL, "%s", err.message);
    ck_assert_int_eq(psal_classifier_run(base, image, NULL, &logits, &err), PSAL_OK);
    for (int again = 1; again <= 2; again++) { /* the base is left as it was */
        ck_assert_msg(psal_variants_run(worker, list, VARIANTS, keep, &a, &err) == PSAL_OK, "%s", err.message);
        for (int i = 0; i < VARIANTS; i++) ck_assert_int_eq(a.times[i], again);
    }
    int differ = 0;
    for (int i = 0; i < VARIANTS; i++) {
        psal_edit_reset(edit);
        const psal_prune_how how = whole_channel ? PSAL_PRUNE_CHANNEL : PSAL_PRUNE_WEIGHTS;
        ck_assert_int_eq(
            psal_prune_filters(edit, n->model, PSAL_UNITS_FILTERS, how, list[i].filters, list[i].count, 0, 0, &err),
            PSAL_OK);
        ck_assert_int_eq(psal_classifier_run(base, image, psal_edit_values(edit), &logits, &err), PSAL_OK);
        ck_assert_mem_eq(a.logits[i], logits, sizeof a.logits[i]);
        differ += i > 0 && memcmp(a.logits[i], a.logits[i - 1], sizeof a.logits[i]) != 0;
    }
    ck_assert_int_ge(differ, VARIANTS / 3);
    psal_edit_reset(edit);
    psal_variants_worker_free(worker);
    psal_variants_free(variants);
}

START_TEST(test_bits) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, archs[_i], 11);
    psal_random random = {(uint64_t)_i + 3};
    psal_variant list[VARIANTS];
    int64_t filters[VARIANTS][MOST];
    make_variants(list, filters, n.filters, &random);
    psal_edit *edit = psal_edit_new(n.model, &err);
    for (int threads = 1; threads <= 2; threads++) {
        psal_classifier_options options = {.height = SIDE, .width = SIDE, .in_parts = true, .threads = threads};
        psal_classifier *classifier = psal_classifier_new(n.model, &options, &err);
        psal_classifier_worker *base = classifier ? psal_classifier_worker_new(classifier, &err) : NULL;
        ck_assert_msg(base && edit, "%s", err.message);
        check_variants(&n, base, edit, list, threads == 2, n.image);
        qsort(list, VARIANTS, sizeof list[0], by_filters); /* as psal-prune sorts them: most is shared */
        check_variants(&n, base, edit, list, threads == 1, n.image);
        psal_classifier_worker_free(base);
        psal_classifier_free(classifier);
    }
    psal_edit_free(edit);
    close_small(&n);
}
END_TEST

START_TEST(test_difference) {
    int64_t a[] = {1, 5, 9}, b[] = {1, 5, 7}, none[1];
    psal_variant first = {a, 3}, second = {b, 3}, start = {a, 2}, empty = {none, 0};
    ck_assert_int_eq(psal_variant_difference(&first, &second), 7);
    ck_assert_int_eq(psal_variant_difference(&second, &first), 7);
    ck_assert_int_eq(psal_variant_difference(&first, &start), 9);
    ck_assert_int_eq(psal_variant_difference(&empty, &start), 1);
    ck_assert(psal_variant_difference(&first, &first) == INT64_MAX);
    ck_assert(psal_variant_difference(&empty, &empty) == INT64_MAX);
}
END_TEST

START_TEST(test_refusals) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, "resnet18", 4);
    psal_classifier_options options = {.height = SIDE, .width = SIDE};
    psal_classifier *whole = psal_classifier_new(n.model, &options, &err);
    ck_assert_ptr_null(psal_variants_new(whole, false, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
    psal_classifier_free(whole);
    options.in_parts = true;
    psal_classifier *parts = psal_classifier_new(n.model, &options, &err);
    psal_variants *variants = psal_variants_new(parts, false, &err);
    ck_assert_ptr_nonnull(variants);
    options.memory_limit = psal_classifier_memory(parts) + psal_variants_memory(variants) - 1;
    psal_variants_free(variants);
    psal_classifier_free(parts);
    parts = psal_classifier_new(n.model, &options, &err);
    ck_assert_ptr_nonnull(parts);
    ck_assert_ptr_null(psal_variants_new(parts, false, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_MEMORY);
    psal_classifier_free(parts);
    close_small(&n);
}
END_TEST

/* A logit that is not finite is an error, not an answer. */
static void count(void *data, size_t i, const float *logits) {
    (void)i;
    (void)logits;
    ++*(int *)data;
}

START_TEST(test_not_finite) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, "resnet18", 4);
    n.image[5] = INFINITY;
    psal_classifier_options options = {.height = SIDE, .width = SIDE, .in_parts = true};
    psal_classifier *classifier = psal_classifier_new(n.model, &options, &err);
    psal_classifier_worker *base = psal_classifier_worker_new(classifier, &err);
    psal_variants *variants = psal_variants_new(classifier, false, &err);
    psal_variants_worker *worker = psal_variants_worker_new(variants, base, &err);
    const float *logits;
    int kept = 0;
    ck_assert_int_eq(psal_classifier_run(base, n.image, NULL, &logits, &err), PSAL_ERR_NUMERIC);
    ck_assert_int_eq(psal_variants_run(worker, &(psal_variant){(int64_t[]){3}, 1}, 1, count, &kept, &err),
                     PSAL_ERR_NUMERIC);
    ck_assert_int_eq(kept, 0);
    psal_variants_worker_free(worker);
    psal_variants_free(variants);
    psal_classifier_worker_free(base);
    psal_classifier_free(classifier);
    close_small(&n);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("variants");
    TCase *tests = tcase_create("variants");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, test_bits, 0, ARCHS);
    tcase_add_test(tests, test_difference);
    tcase_add_test(tests, test_refusals);
    tcase_add_test(tests, test_not_finite);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
