/* Kinds of mistakes and their guilty filters: planted ones are found, and every number is its definition's. */
#include "saliency/kinds.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/kind_filters.h"
#include "saliency/random.h"
#include "saliency/student.h"

enum { COUNT = 90, LENGTH = 60, GROUPS = 4, OWN = 12 };

static float profiles[COUNT][LENGTH], similarities[COUNT * COUNT];
static int planted[COUNT];
static double zeros[LENGTH], ones[LENGTH];

static void read_row(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    (void)context;
    memcpy(out, profiles[sample] + first, (size_t)count * sizeof *out);
}

static const psal_profile_source source = {COUNT, LENGTH, read_row, NULL, NULL};

static psal_neighbor_options compared(void) {
    for (int i = 0; i < LENGTH; i++) ones[i] = 1;
    return (psal_neighbor_options){.similarity = PSAL_SIMILARITY_PEARSON, .mean = zeros, .std = ones, .threads = 2};
}

/* Group g, of COUNT/2, /4, ... members, has its own OWN entries raised; the last samples are like nothing. */
static void plant(uint64_t seed, double strength) {
    psal_random random = {seed};
    psal_error err = PSAL_ERROR_INIT;
    int64_t samples[COUNT];
    for (int i = 0; i < COUNT; i++) {
        planted[i] = i % 8 < 4 ? 0 : i % 8 < 6 ? 1 : i % 8 < 7 ? 2 : 3;
        samples[i] = i;
        for (int j = 0; j < LENGTH; j++)
            profiles[i][j] = (float)(psal_random_normal(&random) + (j / OWN == planted[i] ? strength : 0));
    }
    psal_neighbor_options options = compared();
    ck_assert_int_eq(psal_neighbors_matrix(&source, &options, samples, COUNT, similarities, &err), PSAL_OK);
}

static psal_kinds *find(int64_t count, int wanted) {
    psal_error err = PSAL_ERROR_INIT;
    psal_kinds *kinds = psal_kinds_find(count, similarities, wanted, &err);
    ck_assert_msg(kinds != NULL, "%s", err.message);
    return kinds;
}

START_TEST(test_planted) {
    for (uint64_t seed = 1; seed < 6; seed++) {
        plant(seed, 3);
        psal_kinds *kinds = find(COUNT, 0);
        ck_assert_int_eq(kinds->kinds, GROUPS);
        ck_assert_int_eq(kinds->clusters, GROUPS);
        int64_t before = COUNT;
        for (int k = 0; k < GROUPS; k++) {
            const int64_t size = kinds->first[k + 1] - kinds->first[k];
            ck_assert(size <= before && size > 0);
            before = size;
            for (int64_t m = kinds->first[k]; m < kinds->first[k + 1]; m++) {
                const int64_t i = kinds->members[m];
                ck_assert_int_eq(kinds->kind[i], k);
                ck_assert_int_eq(planted[i], planted[kinds->members[kinds->first[k]]]);
                if (m > kinds->first[k]) ck_assert(kinds->central[i] <= kinds->central[kinds->members[m - 1]]);
            }
        }
        psal_kinds_free(kinds);
    }
}
END_TEST

/* Without an optimum to look for: what stands for each mistake in a given cut. */
START_TEST(test_definitions) {
    plant(9, 1.5);
    psal_kinds *kinds = find(COUNT, GROUPS);
    double mean = 0;
    int64_t single = 0;
    bool member[COUNT] = {false};
    for (int i = 0; i < COUNT; i++) {
        mean += kinds->own[i] / (double)COUNT;
        single += kinds->kind[i] < 0;
        if (kinds->own[i] < 0) ck_assert_int_eq(kinds->kind[i], -1);
        double sum = 0;
        int others = 0;
        for (int j = 0; j < COUNT; j++)
            if (j != i && kinds->kind[j] == kinds->kind[i]) {
                sum += similarities[i * COUNT + j];
                others++;
            }
        if (kinds->kind[i] < 0)
            ck_assert(isnan(kinds->central[i]));
        else
            ck_assert_double_eq_tol(kinds->central[i], sum / others, 1e-6);
    }
    ck_assert_double_eq_tol(kinds->silhouette, mean, 1e-6);
    ck_assert_int_eq(kinds->first[0], 0);
    ck_assert_int_eq(COUNT - kinds->first[kinds->kinds], single);
    for (int i = 0; i < COUNT; i++) member[kinds->members[i]] = true;
    for (int i = 0; i < COUNT; i++) ck_assert(member[i]);
    psal_kinds *again = find(COUNT, GROUPS);
    ck_assert_mem_eq(kinds->kind, again->kind, sizeof(int) * COUNT);
    psal_kinds_free(again);
    psal_kinds_free(kinds);
}
END_TEST

/* Of 90 mistakes 60 are drawn: the others join as their mean similarities say. */
START_TEST(test_extension) {
    enum { DRAWN = 60, REST = COUNT - DRAWN };
    int64_t drawn[DRAWN], others[REST];
    float some[DRAWN * DRAWN], to_kinds[REST * GROUPS];
    psal_error err = PSAL_ERROR_INIT;
    plant(4, 2);
    for (int i = 0; i < COUNT; i++) *(i % 3 < 2 ? &drawn[i / 3 * 2 + i % 3] : &others[i / 3]) = i;
    for (int i = 0; i < DRAWN * DRAWN; i++) some[i] = similarities[drawn[i / DRAWN] * COUNT + drawn[i % DRAWN]];
    psal_kinds *kinds = psal_kinds_find(DRAWN, some, GROUPS, &err);
    ck_assert_int_eq(kinds->kinds, GROUPS);
    psal_neighbor_options options = compared();
    ck_assert_int_eq(
        psal_neighbors_of_groups(&source, &options, drawn, kinds->kind, DRAWN, GROUPS, others, REST, to_kinds, &err),
        PSAL_OK);
    float least[GROUPS];
    int before[DRAWN], joined = 0;
    memcpy(before, kinds->kind, sizeof before);
    for (int k = 0; k < GROUPS; k++) {
        least[k] = 2;
        for (int i = 0; i < DRAWN; i++)
            if (kinds->kind[i] == k) least[k] = fminf(least[k], kinds->central[i]);
    }
    ck_assert_int_eq(psal_kinds_extend(kinds, COUNT, drawn, to_kinds, &err), PSAL_OK);
    ck_assert_int_eq(kinds->count, COUNT);
    ck_assert_int_eq(kinds->first[0], 0);
    for (int i = 0; i < DRAWN; i++) ck_assert_int_eq(kinds->kind[drawn[i]], before[i]);
    for (int i = 0; i < REST; i++) {
        int best = 0;
        for (int k = 0; k < GROUPS; k++) {
            double mean = 0;
            int members = 0;
            for (int d = 0; d < DRAWN; d++)
                if (before[d] == k) {
                    mean += similarities[others[i] * COUNT + drawn[d]];
                    members++;
                }
            ck_assert_double_eq_tol(to_kinds[i * GROUPS + k], mean / members, 1e-6);
            if (to_kinds[i * GROUPS + k] > to_kinds[i * GROUPS + best]) best = k;
        }
        const bool near = to_kinds[i * GROUPS + best] >= least[best];
        ck_assert_int_eq(kinds->kind[others[i]], near ? best : -1);
        ck_assert(isnan(kinds->own[others[i]]));
        joined += near;
    }
    ck_assert_int_gt(joined, REST / 2);
    psal_kinds_free(kinds);
}
END_TEST

/* Two tight pairs of triples and a point between: its silhouette by hand. */
START_TEST(test_silhouette_by_hand) {
    static const double angle[7] = {0, 0.02, 0.04, 1.5, 1.52, 1.54, 0.7};
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++) similarities[i * 7 + j] = (float)cos(angle[i] - angle[j]);
    psal_kinds *kinds = find(7, 2);
    double near = 0, far = 0;
    for (int i = 0; i < 3; i++) {
        near += (1 - cos(angle[6] - angle[i])) / 3;
        far += (1 - cos(angle[6] - angle[i + 3])) / 3;
    }
    ck_assert_double_eq_tol(kinds->own[6], (far - near) / far, 1e-5);
    ck_assert_int_eq(kinds->kind[6], kinds->kind[0]);
    ck_assert_int_eq(kinds->kinds, 2);
    psal_kinds_free(kinds);
}
END_TEST

START_TEST(test_few) {
    psal_error err = PSAL_ERROR_INIT;
    plant(3, 3);
    for (int64_t n = 1; n < 4; n++) { /* too few to be cut into kinds of three */
        float some[9];
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) some[i * n + j] = similarities[i * COUNT + j];
        psal_kinds *kinds = psal_kinds_find(n, some, 0, &err);
        ck_assert_msg(kinds != NULL, "%s", err.message);
        ck_assert_int_eq(kinds->kinds, 0);
        ck_assert_int_eq(kinds->first[0], 0);
        psal_kinds_free(kinds);
    }
    psal_kinds *one = find(COUNT, 1);
    ck_assert_int_eq(one->kinds, 1);
    ck_assert_int_eq(one->first[1], COUNT);
    ck_assert(isnan(one->silhouette));
    psal_kinds_free(one);
    for (int i = 0; i < COUNT * COUNT; i++) similarities[i] = 1; /* all equal */
    psal_kinds *equal = find(COUNT, 0);
    ck_assert_int_eq(equal->members[0], 0);
    psal_kinds_free(equal);
    ck_assert_ptr_null(psal_kinds_find(0, similarities, 0, &err));
    ck_assert_ptr_null(psal_kinds_find(5, similarities, 6, &err));
    ck_assert_ptr_null(psal_kinds_find(PSAL_KINDS_MISTAKES + 1, similarities, 0, &err));
    ck_assert_ptr_null(psal_kinds_find(COUNT, similarities, -1, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
}
END_TEST

START_TEST(test_guilty_filters) {
    plant(5, 2);
    static psal_kind_filter filters[GROUPS][LENGTH];
    int64_t samples[COUNT];
    psal_kind_guilt guilt[GROUPS];
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < COUNT; i++) {
        samples[i] = i;
        profiles[i][LENGTH - 1] = 1; /* never varies */
    }
    planted[0] = -1; /* single: one of the others of every kind */
    psal_neighbor_options options = compared();
    ck_assert_int_eq(
        psal_kind_filters(&source, &options, samples, planted, COUNT, GROUPS, LENGTH, filters[0], guilt, &err),
        PSAL_OK);
    for (int k = 0; k < GROUPS; k++) {
        int64_t below = 0, before_median = 0;
        bool seen[LENGTH] = {false};
        for (int f = 0; f < LENGTH - 1; f++) {
            const psal_kind_filter *filter = &filters[k][f];
            const int64_t e = filter->entry;
            ck_assert(e >= 0 && e < LENGTH - 1 && !seen[e]);
            seen[e] = true;
            double n[2] = {0}, mean[2] = {0}, v[2] = {0};
            for (int i = 0; i < COUNT; i++) {
                n[planted[i] == k]++;
                mean[planted[i] == k] += profiles[i][e];
            }
            for (int s = 0; s < 2; s++) mean[s] /= n[s];
            for (int i = 0; i < COUNT; i++) {
                const int s = planted[i] == k;
                v[s] += (profiles[i][e] - mean[s]) * (profiles[i][e] - mean[s]) / (n[s] - 1);
            }
            const double a = v[1] / n[1], b = v[0] / n[0], t = (mean[1] - mean[0]) / sqrt(a + b);
            const double freedom = (a + b) * (a + b) / (a * a / (n[1] - 1) + b * b / (n[0] - 1));
            const double pooled = ((n[1] - 1) * v[1] + (n[0] - 1) * v[0]) / (n[0] + n[1] - 2);
            ck_assert_double_eq_tol(filter->inside, mean[1], 1e-6);
            ck_assert_double_eq_tol(filter->outside, mean[0], 1e-6);
            ck_assert_double_eq_tol(filter->t, t, 1e-5 * fabs(t) + 1e-6);
            ck_assert_double_eq_tol(filter->p, fmin(1, LENGTH * psal_student_tail(t, freedom)), 1e-4);
            ck_assert_double_eq_tol(filter->d, (mean[1] - mean[0]) / sqrt(pooled), 1e-5);
            if (f) ck_assert(filter->t <= filters[k][f - 1].t);
            if (f < OWN) ck_assert_int_eq(e / OWN, k);
            if (filter->p >= PSAL_KIND_FILTERS_LEVEL) continue;
            below++;
            before_median += e < guilt[k].median;
        }
        ck_assert_int_eq(filters[k][LENGTH - 1].entry, -1);
        ck_assert_int_eq(guilt[k].count, below);
        ck_assert_int_ge(below, OWN / 2);
        ck_assert_int_eq(before_median, (below - 1) / 2);
    }
    int alone[COUNT] = {0}; /* one kind of all: nothing to compare with */
    ck_assert_int_eq(psal_kind_filters(&source, &options, samples, alone, COUNT, 1, 2, filters[0], guilt, &err),
                     PSAL_OK);
    ck_assert_int_eq(filters[0][0].entry, -1);
    profiles[17][3] = NAN;
    ck_assert_int_eq(psal_kind_filters(&source, &options, samples, planted, COUNT, GROUPS, 2, filters[0], guilt, &err),
                     PSAL_ERR_NUMERIC);
    ck_assert_msg(strstr(err.message, "sample 17") != NULL, "%s", err.message);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("saliency/kinds");
    TCase *tests = tcase_create("kinds");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_planted);
    tcase_add_test(tests, test_definitions);
    tcase_add_test(tests, test_extension);
    tcase_add_test(tests, test_silhouette_by_hand);
    tcase_add_test(tests, test_few);
    tcase_add_test(tests, test_guilty_filters);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
