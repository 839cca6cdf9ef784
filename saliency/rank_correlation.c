#include "saliency/rank_correlation.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct pair {
    double x, y;
    size_t index;
} pair;

static int by_x_and_y(const void *left, const void *right) {
    const pair *a = left, *b = right;
    if (a->x != b->x) return a->x < b->x ? -1 : 1;
    if (a->y != b->y) return a->y < b->y ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static psal_status check(const double *values, size_t n, psal_error *err) {
    for (size_t i = 0; i < n; i++)
        if (isnan(values[i])) return psal_fail(err, PSAL_ERR_NUMERIC, "value %zu of a ranking is not a number", i);
    return PSAL_OK;
}

/* The pairs (x, y) in ascending order; y NULL: zeros. The caller frees. */
static pair *sorted(const double *x, const double *y, size_t n, psal_error *err) {
    if (check(x, n, err) != PSAL_OK || (y && check(y, n, err) != PSAL_OK)) return NULL;
    pair *pairs = malloc((n + 1) * sizeof *pairs);
    if (!pairs) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a ranking of %zu values", n);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) pairs[i] = (pair){x[i], y ? y[i] : 0, i};
    qsort(pairs, n, sizeof *pairs, by_x_and_y);
    return pairs;
}

psal_status psal_ranks(const double *x, size_t n, double *rank, psal_error *err) {
    pair *pairs = sorted(x, NULL, n, err);
    if (!pairs) return psal_error_status(err);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && pairs[end].x == pairs[i].x;) end++;
        for (size_t j = i; j < end; j++) rank[pairs[j].index] = (double)(i + 1 + end) / 2;
    }
    free(pairs);
    return PSAL_OK;
}

/* Of ranks, whose mean is (n + 1) / 2. */
static double pearson_of_ranks(const double *a, const double *b, size_t n) {
    const double mean = ((double)n + 1) / 2;
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < n; i++) {
        aa += (a[i] - mean) * (a[i] - mean);
        bb += (b[i] - mean) * (b[i] - mean);
        ab += (a[i] - mean) * (b[i] - mean);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa) / sqrt(bb) : NAN;
}

psal_status psal_spearman(const double *x, const double *y, size_t n, double *rho, psal_error *err) {
    double *ranks = malloc((2 * n + 1) * sizeof *ranks);
    if (!ranks) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for two rankings of %zu values", n);
    psal_status status = psal_ranks(x, n, ranks, err);
    if (status == PSAL_OK) status = psal_ranks(y, n, ranks + n, err);
    if (status == PSAL_OK) *rho = pearson_of_ranks(ranks, ranks + n, n);
    free(ranks);
    return status;
}

/* Sort values[n] and count the pairs that stood in descending order. */
static uint64_t merge_sort(double *values, double *room, size_t n) {
    if (n < 2) return 0;
    const size_t half = n / 2;
    uint64_t swaps = merge_sort(values, room, half) + merge_sort(values + half, room, n - half);
    for (size_t i = 0, j = half, k = 0; k < n; k++) {
        if (j == n || (i < half && values[i] <= values[j])) {
            room[k] = values[i++];
        } else {
            swaps += half - i;
            room[k] = values[j++];
        }
    }
    for (size_t k = 0; k < n; k++) values[k] = room[k];
    return swaps;
}

static uint64_t pairs_of(uint64_t n) {
    return n ? n * (n - 1) / 2 : 0;
}

/* Pairs of equal values among the sorted values[n]. */
static uint64_t ties(const double *values, size_t n) {
    uint64_t count = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && values[end] == values[i];) end++;
        count += pairs_of(end - i);
    }
    return count;
}

psal_status psal_kendall(const double *x, const double *y, size_t n, double *tau, psal_error *err) {
    pair *pairs = sorted(x, y, n, err);
    if (!pairs) return psal_error_status(err);
    double *values = malloc((2 * n + 1) * sizeof *values);
    if (!values) {
        free(pairs);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for two rankings of %zu values", n);
    }
    uint64_t both = 0; /* pairs that are equal in x and in y */
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && pairs[end].x == pairs[i].x && pairs[end].y == pairs[i].y;) end++;
        both += pairs_of(end - i);
    }
    for (size_t i = 0; i < n; i++) values[i] = pairs[i].x;
    const uint64_t equal_x = ties(values, n);
    for (size_t i = 0; i < n; i++) values[i] = pairs[i].y;
    const uint64_t discordant = merge_sort(values, values + n, n), equal_y = ties(values, n), all = pairs_of(n);
    const double difference = (double)(all - equal_x - equal_y + both) - 2 * (double)discordant;
    *tau = equal_x < all && equal_y < all ? difference / sqrt((double)(all - equal_x)) / sqrt((double)(all - equal_y))
                                          : NAN;
    free(values);
    free(pairs);
    return PSAL_OK;
}
