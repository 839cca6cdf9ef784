#include "saliency/standardize.h"

#include <stdlib.h>

#include "saliency/random.h"

const char *psal_mode_name(psal_mode mode) {
    static const char *const names[] = {"std", "norm", "naive", "pot"};
    return names[mode];
}

static const double NEGLIGIBLE = 1e-14;

static double or_one(double value) {
    return value <= NEGLIGIBLE ? 1 : value;
}

static psal_status need(psal_mode mode, const double *mean, const double *std, psal_error *err) {
    if (mode == PSAL_MODE_NAIVE) return PSAL_OK;
    if (mode == PSAL_MODE_POT)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "peaks over threshold are scored by tails, not by means");
    if (mean && (std || mode == PSAL_MODE_NORM)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "standardizing needs the statistics of a data set");
}

psal_status psal_standardize_map(psal_mode mode, int64_t n, const double *mean, const double *std, double *shift,
                                 double *scale, psal_error *err) {
    psal_status status = need(mode, mean, std, err);
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) {
        shift[i] = mode == PSAL_MODE_STD ? mean[i] : 0;
        scale[i] = mode == PSAL_MODE_STD ? or_one(std[i]) : mode == PSAL_MODE_NORM ? or_one(mean[i]) : 1;
    }
    return status;
}

psal_status psal_standardize(psal_mode mode, int64_t n, const float *naive, const double *mean, const double *std,
                             double *standardized, psal_error *err) {
    psal_status status = need(mode, mean, std, err);
    for (int64_t i = 0; i < n && status == PSAL_OK; i++)
        standardized[i] = mode == PSAL_MODE_STD    ? (naive[i] - mean[i]) / or_one(std[i])
                          : mode == PSAL_MODE_NORM ? naive[i] / or_one(mean[i])
                                                   : naive[i];
    return status;
}

void psal_rankable(psal_mode mode, int64_t n, const float *naive, const double *mean, const double *std, bool *live) {
    for (int64_t i = 0; i < n; i++)
        live[i] = live[i] && (mode == PSAL_MODE_STD    ? std[i] > NEGLIGIBLE
                              : mode == PSAL_MODE_NORM ? mean[i] > NEGLIGIBLE
                                                       : naive[i] != 0);
}

int64_t psal_live_count(int64_t n, const bool *live) {
    int64_t count = live ? 0 : n;
    for (int64_t i = 0; i < n && live; i++) count += live[i];
    return count;
}

static psal_status check_k(int64_t n, const bool *live, int64_t k, psal_error *err) {
    int64_t count = psal_live_count(n, live);
    if (k >= 0 && k <= count) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot choose %lld of %lld", (long long)k, (long long)count);
}

typedef struct entry {
    double key; /* larger is better */
    int64_t index;
} entry;

static bool better(const entry *a, const entry *b) {
    return a->key > b->key || (a->key == b->key && a->index < b->index);
}

static int best_first(const void *a, const void *b) {
    return better(a, b) ? -1 : 1;
}

/* Restore the heap (the worst entry on top) below `i`. */
static void sift_down(entry *heap, int64_t size, int64_t i) {
    for (;;) {
        int64_t worst = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < size; child++)
            if (better(&heap[worst], &heap[child])) worst = child;
        if (worst == i) return;
        entry swap = heap[i];
        heap[i] = heap[worst];
        heap[worst] = swap;
        i = worst;
    }
}

/* Keep the best k in a heap of size k: 25 million parameters need no full sort. */
static psal_status select_k(int64_t n, const double *values, double sign, const bool *live, int64_t k, int64_t *indices,
                            psal_error *err) {
    psal_status status = check_k(n, live, k, err);
    if (status != PSAL_OK || k == 0) return status;
    entry *heap = malloc((size_t)k * sizeof *heap);
    if (!heap) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld indices", (long long)k);
    int64_t size = 0;
    for (int64_t i = 0; i < n; i++) {
        entry candidate = {sign * values[i], i};
        if (live && !live[i]) continue;
        if (size < k) {
            heap[size++] = candidate;
            for (int64_t j = k / 2; size == k && j-- > 0;) sift_down(heap, k, j);
        } else if (better(&candidate, &heap[0])) {
            heap[0] = candidate;
            sift_down(heap, k, 0);
        }
    }
    qsort(heap, (size_t)k, sizeof *heap, best_first);
    for (int64_t i = 0; i < k; i++) indices[i] = heap[i].index;
    free(heap);
    return PSAL_OK;
}

psal_status psal_top_k(int64_t n, const double *values, const bool *live, int64_t k, int64_t *indices,
                       psal_error *err) {
    return select_k(n, values, 1, live, k, indices, err);
}

psal_status psal_bottom_k(int64_t n, const double *values, const bool *live, int64_t k, int64_t *indices,
                          psal_error *err) {
    return select_k(n, values, -1, live, k, indices, err);
}

psal_status psal_random_k(int64_t n, uint64_t seed, const bool *live, int64_t k, int64_t *indices, psal_error *err) {
    psal_status status = check_k(n, live, k, err);
    if (status != PSAL_OK) return status;
    int64_t *all = malloc(((size_t)n + 1) * sizeof *all), count = 0;
    if (!all) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld indices", (long long)n);
    psal_random random = {seed};
    for (int64_t i = 0; i < n; i++)
        if (!live || live[i]) all[count++] = i;
    for (int64_t i = 0; i < k; i++) { /* the first k steps of a Fisher-Yates shuffle */
        int64_t j = i + (int64_t)psal_random_below(&random, (uint64_t)(count - i));
        int64_t swap = all[i];
        all[i] = all[j];
        all[j] = swap;
        indices[i] = all[i];
    }
    free(all);
    return PSAL_OK;
}

void psal_boost(int64_t n, const double *standardized, const int64_t *indices, int64_t k, double boost,
                double *target) {
    for (int64_t i = 0; i < n; i++) target[i] = standardized[i];
    for (int64_t i = 0; i < k; i++) target[indices[i]] = standardized[indices[i]] * boost;
}
