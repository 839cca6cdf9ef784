/* Ward's clustering: each join against its definition, over all pairs of groups of points. */
#include "saliency/ward.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

enum { MOST = 40, DIMENSIONS = 3 };

typedef struct points {
    int n, group[MOST], groups; /* group numbers: the first point of each */
    double x[MOST][DIMENSIONS];
} points;

static double squared(const double *a, const double *b) {
    double sum = 0;
    for (int d = 0; d < DIMENSIONS; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

static double spread(const points *p, int a, int b) { /* of the points of groups a and b together */
    double mean[DIMENSIONS] = {0}, sum = 0;
    int count = 0;
    for (int i = 0; i < p->n; i++)
        if (p->group[i] == a || p->group[i] == b) {
            for (int d = 0; d < DIMENSIONS; d++) mean[d] += p->x[i][d];
            count++;
        }
    for (int d = 0; d < DIMENSIONS; d++) mean[d] /= count;
    for (int i = 0; i < p->n; i++)
        if (p->group[i] == a || p->group[i] == b) sum += squared(p->x[i], mean);
    return sum;
}

/* The join that lets the spread grow least. */
static double best_join(const points *p, int *best_a, int *best_b) {
    double least = INFINITY;
    for (int a = 0; a < p->n; a++)
        for (int b = a + 1; b < p->n; b++) {
            if (p->group[a] != a || p->group[b] != b) continue;
            const double growth = 2 * (spread(p, a, b) - spread(p, a, a) - spread(p, b, b));
            if (growth < least) {
                least = growth;
                *best_a = a;
                *best_b = b;
            }
        }
    return least;
}

START_TEST(test_definition) {
    psal_random random = {11};
    psal_error err = PSAL_ERROR_INIT;
    for (int trial = 0; trial < 60; trial++) {
        points p = {.n = 1 + (int)psal_random_below(&random, MOST)};
        float distances[MOST * MOST];
        psal_join joins[MOST];
        int cut[MOST];
        for (int i = 0; i < p.n; i++) {
            p.group[i] = i;
            for (int d = 0; d < DIMENSIONS; d++) p.x[i][d] = psal_random_normal(&random);
        }
        for (int i = 0; i < p.n; i++)
            for (int j = i + 1; j < p.n; j++) distances[psal_pair(p.n, i, j)] = (float)squared(p.x[i], p.x[j]);
        ck_assert_int_eq(psal_ward(p.n, distances, joins, &err), PSAL_OK);
        for (int step = 0; step < p.n; step++) {
            ck_assert_int_eq(psal_ward_cut(p.n, joins, p.n - step, cut, &err), PSAL_OK);
            for (int i = 0, count = 0; i < p.n; i++) /* the same groups, in the order of their first points */
                ck_assert_int_eq(cut[i], p.group[i] == i ? count++ : cut[p.group[i]]);
            if (step == p.n - 1) break;
            int a = 0, b = 0;
            const double least = best_join(&p, &a, &b);
            ck_assert_double_eq_tol(joins[step].distance, least, 1e-4 * least);
            for (int i = 0; i < p.n; i++)
                if (p.group[i] == b) p.group[i] = a;
        }
    }
}
END_TEST

START_TEST(test_equal_points) {
    enum { N = 12 };
    float distances[N * N] = {0};
    psal_join joins[N];
    psal_error err = PSAL_ERROR_INIT;
    int cut[N];
    ck_assert_int_eq(psal_ward(N, distances, joins, &err), PSAL_OK);
    for (int groups = 1; groups <= N; groups++) {
        bool seen[N] = {false};
        ck_assert_int_eq(psal_ward_cut(N, joins, groups, cut, &err), PSAL_OK);
        for (int i = 0; i < N; i++) seen[cut[i]] = true;
        for (int g = 0; g < N; g++) ck_assert_int_eq(seen[g], g < groups);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("saliency/ward");
    TCase *tests = tcase_create("ward");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_definition);
    tcase_add_test(tests, test_equal_points);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
