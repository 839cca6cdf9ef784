/* Neighbours against the definition, written as plain loops in double. */
#include "saliency/neighbors.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 300
#define LENGTH 137

static float profiles[SAMPLES][LENGTH];
static double mean[LENGTH], std[LENGTH];

static void read_row(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const float(*rows)[LENGTH] = context;
    memcpy(out, rows[sample] + first, (size_t)count * sizeof *out);
}

static const psal_profile_source source = {SAMPLES, LENGTH, read_row, NULL, profiles};

static double noise(void) {
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* Losses of very different size, as real samples have. */
static void make_profiles(void) {
    for (int i = 0; i < SAMPLES; i++) {
        double size = exp(12 * noise() - 10);
        for (int j = 0; j < LENGTH; j++) profiles[i][j] = (float)(size * noise() * (1 + j % 7));
    }
}

#define EXPECT(status, expected, text)                                                              \
    do {                                                                                            \
        ck_assert_int_eq(status, expected);                                                         \
        ck_assert_msg(strstr(err.message, text) != NULL, "\"%s\" lacks \"%s\"", err.message, text); \
    } while (0)

/* ---- the definition ---- */

static void unit_vector(int i, psal_similarity similarity, const psal_entry_range *ranges, int count, double *out,
                        int *width) {
    double norm = 0, sum = 0, squares = 0;
    for (int j = 0; j < LENGTH; j++) norm += (double)profiles[i][j] * profiles[i][j];
    norm = similarity == PSAL_SIMILARITY_NORMALIZED && norm > 0 ? sqrt(norm) : 1;
    *width = 0;
    for (int r = 0; r < count; r++)
        for (int64_t j = ranges[r].first; j < ranges[r].first + ranges[r].count; j++) {
            const double s = similarity == PSAL_SIMILARITY_ROOTS ? sqrt(profiles[i][j]) : profiles[i][j] / norm;
            const double v = (s - mean[j]) / (std[j] <= 1e-14 ? 1 : std[j]);
            out[(*width)++] = v;
            sum += v;
        }
    for (int j = 0; j < *width; j++) {
        if (similarity == PSAL_SIMILARITY_PEARSON || similarity == PSAL_SIMILARITY_ROOTS) out[j] -= sum / *width;
        squares += out[j] * out[j];
    }
    for (int j = 0; j < *width; j++) out[j] = squares > 0 ? out[j] / sqrt(squares) : 0;
}

static void check(const psal_neighbor_options *options, int query, const psal_neighbor *found) {
    static const psal_entry_range all = {0, LENGTH};
    const psal_entry_range *ranges = options->ranges ? options->ranges : &all;
    int range_count = options->ranges ? (int)options->range_count : 1, width;
    double similarity[SAMPLES], q[LENGTH], v[LENGTH];
    bool open[SAMPLES];
    unit_vector(query, options->similarity, ranges, range_count, q, &width);
    for (int i = 0; i < SAMPLES; i++) {
        open[i] = !options->candidates && i != query;
        unit_vector(i, options->similarity, ranges, range_count, v, &width);
        similarity[i] = 0;
        for (int j = 0; j < width; j++) similarity[i] += q[j] * v[j];
    }
    for (int64_t i = 0; options->candidates && i < options->candidate_count; i++)
        open[options->candidates[i]] = options->candidates[i] != query;
    for (int64_t k = 0; k < options->top; k++) {
        int best = -1;
        for (int i = 0; i < SAMPLES; i++)
            if (open[i] && (best < 0 || similarity[i] > similarity[best])) best = i;
        ck_assert_msg(found[k].sample == best, "query %d, neighbour %d: %d, not %d", query, (int)k,
                      (int)found[k].sample, best);
        if (best < 0) continue;
        ck_assert_double_eq_tol(found[k].similarity, similarity[best], 1e-12);
        open[best] = false;
    }
}

static psal_neighbor found[SAMPLES * SAMPLES];

static void check_all(const psal_neighbor_options *options) {
    int64_t queries[SAMPLES];
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < SAMPLES; i++) queries[i] = i;
    ck_assert_msg(psal_neighbors_of_samples(&source, options, queries, SAMPLES, found, &err) == PSAL_OK, "%s",
                  err.message);
    for (int i = 0; i < SAMPLES; i++) check(options, i, found + i * options->top);
}

static void statistics(psal_similarity similarity) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_neighbors_statistics(&source, NULL, 0, similarity, 3, mean, std, &err), PSAL_OK);
}

START_TEST(test_all_pairs_are_those_of_the_definition) {
    make_profiles();
    for (int similarity = 0; similarity <= PSAL_SIMILARITY_ROOTS; similarity++) {
        statistics((psal_similarity)similarity);
        for (int threads = 1; threads <= 3; threads++)
            check_all(&(psal_neighbor_options){
                .similarity = (psal_similarity)similarity, .mean = mean, .std = std, .top = 7, .threads = threads});
    }
}
END_TEST

START_TEST(test_matrix) {
    enum { COUNT = 150 };
    static float matrix[2][COUNT * COUNT];
    static double vectors[COUNT][LENGTH];
    static const psal_entry_range ranges[] = {{3, 10}, {40, 1}, {60, 70}};
    int64_t samples[COUNT];
    psal_error err = PSAL_ERROR_INIT;
    make_profiles();
    memset(profiles[6], 0, sizeof profiles[6]);
    for (int i = 0; i < COUNT; i++) samples[i] = 2 * ((i * 7) % COUNT);
    for (int s = 0; s <= PSAL_SIMILARITY_ROOTS; s++) {
        const psal_similarity similarity = (psal_similarity)s;
        int width;
        statistics(similarity);
        psal_neighbor_options options = {
            .similarity = similarity, .mean = mean, .std = std, .ranges = ranges, .range_count = 3};
        for (int threads = 1; threads <= 2; threads++) {
            options.threads = threads;
            ck_assert_int_eq(psal_neighbors_matrix(&source, &options, samples, COUNT, matrix[threads - 1], &err),
                             PSAL_OK);
        }
        ck_assert_mem_eq(matrix[0], matrix[1], sizeof matrix[0]);
        for (int i = 0; i < COUNT; i++) unit_vector((int)samples[i], similarity, ranges, 3, vectors[i], &width);
        double error = 0;
        bool symmetric = true;
        for (int i = 0; i < COUNT; i++)
            for (int j = 0; j < COUNT; j++) {
                double dot = 0;
                for (int l = 0; l < width; l++) dot += vectors[i][l] * vectors[j][l];
                error = fmax(error, fabs(matrix[0][i * COUNT + j] - dot));
                symmetric = symmetric && matrix[0][i * COUNT + j] == matrix[0][j * COUNT + i];
            }
        ck_assert_double_le(error, 2e-6);
        ck_assert(symmetric);
    }
    psal_neighbor_options options = {.similarity = PSAL_SIMILARITY_ROOTS, .mean = mean, .std = std, .threads = 2};
    profiles[samples[70]][5] = -1;
    EXPECT(psal_neighbors_matrix(&source, &options, samples, COUNT, matrix[0], &err), PSAL_ERR_NUMERIC, "not finite");
    samples[3] = SAMPLES;
    EXPECT(psal_neighbors_matrix(&source, &options, samples, COUNT, matrix[0], &err), PSAL_ERR_ARGUMENT, "0 to 299");
}
END_TEST

START_TEST(test_single_queries_ranges_and_candidates) {
    make_profiles();
    static const psal_entry_range ranges[] = {{3, 10}, {40, 1}, {100, 37}};
    int64_t candidates[SAMPLES / 3];
    for (int i = 0; i < SAMPLES / 3; i++) candidates[i] = 3 * i;
    for (int similarity = 0; similarity <= PSAL_SIMILARITY_ROOTS; similarity++) {
        statistics((psal_similarity)similarity);
        psal_neighbor_options options = {.similarity = (psal_similarity)similarity,
                                         .mean = mean,
                                         .std = std,
                                         .top = 5,
                                         .threads = 2,
                                         .ranges = ranges,
                                         .range_count = 3,
                                         .candidates = candidates,
                                         .candidate_count = SAMPLES / 3};
        check_all(&options);
        psal_error err = PSAL_ERROR_INIT;
        psal_neighbor one[5], same[6];
        for (int64_t query = 0; query < 20; query++) {
            ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, &query, 1, one, &err), PSAL_OK);
            check(&options, (int)query, one);
            /* The same profile from outside finds the sample itself first, when that is a candidate. */
            options.top = 6;
            ck_assert_int_eq(psal_neighbors_of_profile(&source, &options, profiles[query], same, &err), PSAL_OK);
            options.top = 5;
            int skip = query % 3 == 0;
            if (skip) {
                ck_assert_int_eq(same[0].sample, query);
                ck_assert_double_eq_tol(same[0].similarity, 1, 1e-12);
            }
            for (int k = 0; k < 5; k++) {
                ck_assert_int_eq(one[k].sample, same[k + skip].sample);
                ck_assert(one[k].similarity == same[k + skip].similarity);
            }
        }
    }
}
END_TEST

/* More candidates of one similarity than are kept at first: the search has to widen, and order them by number. */
START_TEST(test_equal_samples_come_by_number) {
    make_profiles();
    for (int i = 0; i < SAMPLES; i++) memcpy(profiles[i], profiles[i % 2], sizeof profiles[i]);
    statistics(PSAL_SIMILARITY_COSINE);
    psal_neighbor_options options = {.mean = mean, .std = std, .top = 3, .threads = 2};
    int64_t queries[] = {4, 5, 6, 7, 8, 1};
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, queries, 6, found, &err), PSAL_OK);
    int64_t expected[6][3] = {{0, 2, 6}, {1, 3, 7}, {0, 2, 4}, {1, 3, 5}, {0, 2, 4}, {3, 5, 7}};
    for (int q = 0; q < 6; q++)
        for (int k = 0; k < 3; k++) ck_assert_int_eq(found[q * 3 + k].sample, expected[q][k]);
}
END_TEST

/* Entries that hardly vary, far from zero: s - mean must not be rounded away in float32. */
START_TEST(test_small_deviations_count) {
    make_profiles();
    for (int i = 0; i < SAMPLES; i++)
        for (int j = 0; j < LENGTH; j++) profiles[i][j] = 1 + (float)(i * 31 % 97 * (j * 7 % 11) % 13) * 1.1920929e-07f;
    statistics(PSAL_SIMILARITY_COSINE);
    psal_neighbor_options options = {.mean = mean, .std = std, .top = 1, .threads = 1};
    psal_error err = PSAL_ERROR_INIT;
    for (int64_t query = 0; query < 50; query++) {
        psal_neighbor best;
        ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, &query, 1, &best, &err), PSAL_OK);
        ck_assert_double_eq_tol(best.similarity, 1, 1e-12); /* sample query + 97 is the same, others may be, too */
        ck_assert_mem_eq(profiles[best.sample], profiles[query], sizeof profiles[0]);
        ck_assert_int_ne(best.sample, query);
    }
}
END_TEST

START_TEST(test_statistics_are_those_of_two_passes) {
    make_profiles();
    memset(profiles[17], 0, sizeof profiles[17]); /* of no length */
    int64_t samples[100];
    for (int i = 0; i < 100; i++) samples[i] = 2 * i + 1;
    psal_error err = PSAL_ERROR_INIT;
    double mean1[LENGTH], std1[LENGTH];
    for (int s = PSAL_SIMILARITY_PEARSON; s <= PSAL_SIMILARITY_ROOTS; s++) {
        const psal_similarity similarity = (psal_similarity)s;
        ck_assert_int_eq(psal_neighbors_statistics(&source, samples, 100, similarity, 1, mean, std, &err), PSAL_OK);
        ck_assert_int_eq(psal_neighbors_statistics(&source, samples, 100, similarity, 3, mean1, std1, &err), PSAL_OK);
        ck_assert_mem_eq(mean, mean1, sizeof mean);
        ck_assert_mem_eq(std, std1, sizeof std);
        for (int j = 0; j < LENGTH; j++) {
            double value[100], sum = 0, squares = 0;
            for (int i = 0; i < 100; i++) {
                double norm = 0;
                for (int l = 0; l < LENGTH; l++) norm += (double)profiles[2 * i + 1][l] * profiles[2 * i + 1][l];
                const double naive = profiles[2 * i + 1][j];
                value[i] = similarity == PSAL_SIMILARITY_ROOTS                    ? sqrt(naive)
                           : similarity == PSAL_SIMILARITY_NORMALIZED && norm > 0 ? naive / sqrt(norm)
                                                                                  : naive;
                sum += value[i];
            }
            for (int i = 0; i < 100; i++) squares += (value[i] - sum / 100) * (value[i] - sum / 100);
            ck_assert_double_eq_tol(mean[j], sum / 100, 1e-7 * sum / 100);
            ck_assert_double_eq_tol(std[j], sqrt(squares / 99), 1e-6 * sqrt(squares / 99));
        }
    }
}
END_TEST

START_TEST(test_profiles_without_direction) {
    make_profiles();
    statistics(PSAL_SIMILARITY_COSINE);
    for (int j = 0; j < LENGTH; j++) std[j] = 1, mean[j] = 0, profiles[3][j] = 0, profiles[5][j] = 0.3f;
    psal_neighbor_options options = {.mean = mean, .std = std, .top = 4, .threads = 1};
    psal_error err = PSAL_ERROR_INIT;
    int64_t query = 3;
    ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_OK);
    for (int k = 0; k < 4; k++) ck_assert(found[k].similarity == 0 && found[k].sample == k + (k >= 3));
    options.similarity = PSAL_SIMILARITY_PEARSON; /* a constant has no direction once it is centred */
    query = 5;
    ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_OK);
    for (int k = 0; k < 4; k++) ck_assert(found[k].similarity == 0 && found[k].sample == k);
}
END_TEST

START_TEST(test_fewer_candidates_than_wanted) {
    make_profiles();
    statistics(PSAL_SIMILARITY_COSINE);
    int64_t candidates[] = {2, 9}, query = 9;
    psal_neighbor_options options = {
        .mean = mean, .std = std, .top = 3, .candidates = candidates, .candidate_count = 2};
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_OK);
    ck_assert_int_eq(found[0].sample, 2);
    ck_assert_int_eq(found[1].sample, -1);
    ck_assert_int_eq(found[2].sample, -1);
    options.candidate_count = 0;
    ck_assert_int_eq(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_OK);
    ck_assert_int_eq(found[0].sample, -1);
}
END_TEST

START_TEST(test_what_is_refused) {
    make_profiles();
    statistics(PSAL_SIMILARITY_COSINE);
    psal_error err = PSAL_ERROR_INIT;
    int64_t query = 0, candidates[] = {4, 4};
    psal_neighbor_options good = {.mean = mean, .std = std, .top = 3, .threads = 2}, options = good;
    options.top = 0;
    EXPECT(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_ERR_ARGUMENT, "0 neighbours");
    query = SAMPLES;
    EXPECT(psal_neighbors_of_samples(&source, &good, &query, 1, found, &err), PSAL_ERR_ARGUMENT, "0 to 299");
    query = 0;
    options = good;
    options.candidates = candidates, options.candidate_count = 2;
    EXPECT(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_ERR_ARGUMENT, "candidate 4");
    options = good;
    psal_entry_range ranges[] = {{5, 10}, {14, 2}, {130, 8}};
    options.ranges = ranges, options.range_count = 2;
    EXPECT(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_ERR_ARGUMENT, "14 to 15");
    options.ranges = ranges + 2, options.range_count = 1;
    EXPECT(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_ERR_ARGUMENT, "137 entries");
    options.range_count = 0;
    EXPECT(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_ERR_ARGUMENT, "no entries");
    for (int similarity = 0; similarity <= PSAL_SIMILARITY_ROOTS; similarity++) {
        options = good;
        options.similarity = (psal_similarity)similarity;
        float nan_profile[LENGTH] = {[50] = NAN};
        EXPECT(psal_neighbors_of_profile(&source, &options, nan_profile, found, &err), PSAL_ERR_NUMERIC,
               "compare with");
        float kept = profiles[123][50];
        profiles[123][50] = similarity ? NAN : INFINITY;
        EXPECT(psal_neighbors_of_samples(&source, &options, &query, 1, found, &err), PSAL_ERR_NUMERIC, "sample 123");
        EXPECT(psal_neighbors_statistics(&source, NULL, 0, (psal_similarity)similarity, 2, mean, std, &err),
               PSAL_ERR_NUMERIC, "sample 123");
        profiles[123][50] = kept;
        statistics(PSAL_SIMILARITY_COSINE);
    }
    EXPECT(psal_neighbors_statistics(&source, &query, 1, PSAL_SIMILARITY_COSINE, 2, mean, std, &err), PSAL_ERR_ARGUMENT,
           "at least two");
}
END_TEST

START_TEST(test_hubs) {
    psal_neighbor list[] = {{1, 1}, {2, 1}, {2, 0.5}, {-1, 0}, {0, 1}, {1, 1}, {3, 0}};
    int64_t counts[4];
    ck_assert_int_eq(psal_neighbors_hubs(list, 7, 4, counts), 1);
    ck_assert(counts[0] == 1 && counts[1] == 2 && counts[2] == 2 && counts[3] == 1);
    ck_assert_int_eq(psal_neighbors_hubs(list, 0, 4, counts), -1);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("neighbors");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_all_pairs_are_those_of_the_definition);
    tcase_add_test(tests, test_matrix);
    tcase_add_test(tests, test_single_queries_ranges_and_candidates);
    tcase_add_test(tests, test_equal_samples_come_by_number);
    tcase_add_test(tests, test_small_deviations_count);
    tcase_add_test(tests, test_statistics_are_those_of_two_passes);
    tcase_add_test(tests, test_profiles_without_direction);
    tcase_add_test(tests, test_fewer_candidates_than_wanted);
    tcase_add_test(tests, test_what_is_refused);
    tcase_add_test(tests, test_hubs);
    Suite *suite = suite_create("neighbors");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
