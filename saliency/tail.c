#include "saliency/tail.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "models/model.h"

enum { LAST = PSAL_TAIL_KNOTS - 1, MOST_COLUMNS = 1024 }; /* at once: pieces of a page and more of each sample */
static const size_t COLUMN_BYTES = (size_t)256 << 20;

psal_tail *psal_tail_new(int64_t length, psal_error *err) {
    psal_tail *t = calloc(1, sizeof *t);
    if (t) {
        const size_t n = (size_t)length;
        t->length = length;
        t->knots = calloc(n, PSAL_TAIL_KNOTS * sizeof *t->knots);
        t->rate = calloc(n, sizeof *t->rate);
        t->shape = calloc(n, sizeof *t->shape);
        t->scale = calloc(n, sizeof *t->scale);
        if (t->knots && t->rate && t->shape && t->scale) return t;
    }
    psal_tail_free(t);
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the tails of %" PRId64 " entries", length);
    return NULL;
}

void psal_tail_free(psal_tail *t) {
    if (!t) return;
    free(t->knots);
    free(t->rate);
    free(t->shape);
    free(t->scale);
    free(t);
}

/* ---- scores ---- */

/* The score and its derivative in s. */
typedef struct point {
    double score, slope;
} point;

static point below_threshold(const psal_tail *t, const double *knots, double s) {
    if (s <= knots[0]) return (point){0, 0};
    int low = 0, high = LAST; /* the interval low < s <= high: where values repeat, the lowest one */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        *(knots[middle] < s ? &low : &high) = middle;
    }
    const double step = t->quantile / LAST, density = step / (knots[high] - knots[low]);
    const double p = 1 - step * low - density * (s - knots[low]);
    return (point){-log(p), density / p};
}

static point above_threshold(const psal_tail *t, int64_t i, double excess) {
    const double xi = t->shape[i], sigma = t->scale[i], x = excess / sigma;
    /* Where a tail that ends has P = 1/samples: its score there, above the threshold's. */
    const double reach = xi < 0 ? fmax(log((double)t->samples * t->rate[i]), 0) : INFINITY;
    const double end = xi < 0 ? expm1(xi * reach) / xi : INFINITY;
    point at = {x, 1 / sigma};
    if (x > end) {
        at.slope = exp(-xi * reach) / sigma;
        at.score = reach + (x - end) * sigma * at.slope;
    } else if (xi != 0) {
        at.score = log1p(xi * x) / xi;
        at.slope = 1 / (sigma * (1 + xi * x));
    }
    at.score -= log(t->rate[i]);
    return at;
}

static point score_of(const psal_tail *t, int64_t i, double s) {
    const double *knots = t->knots + i * PSAL_TAIL_KNOTS, threshold = knots[LAST];
    if (t->scale[i] == 0) return (point){0, 0};
    if (s <= threshold) return below_threshold(t, knots, s);
    return above_threshold(t, i, s - threshold);
}

void psal_tail_score(const psal_tail *t, const float *naive, double *score) {
    for (int64_t i = 0; i < t->length; i++) score[i] = score_of(t, i, naive[i]).score;
}

void psal_tail_score_range(const psal_tail *t, int64_t first, int64_t count, float *values) {
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i])) values[i] = (float)score_of(t, first + i, values[i]).score;
}

void psal_tail_map(const psal_tail *t, const float *naive, double *shift, double *scale) {
    for (int64_t i = 0; i < t->length; i++) {
        const point at = score_of(t, i, naive[i]);
        scale[i] = 1 / at.slope;
        shift[i] = at.slope > 0 ? naive[i] - at.score / at.slope : 0;
    }
}

void psal_tail_rankable(const psal_tail *t, bool *live) {
    for (int64_t i = 0; i < t->length; i++) live[i] = live[i] && t->scale[i] > 0;
}

/* ---- one distribution ---- */

/* For theta = xi / sigma the likelihood is largest at xi = mean log(1 + theta y), and then, per excess,
 * log(theta / xi) - xi - 1 (Davison 1984; Grimshaw 1993). */
static double shape_of(const double *y, int64_t n, double theta) {
    enum { FACTORS = 8 }; /* of one logarithm: each is at most exp(MOST), below */
    double sum = 0;
    for (int64_t i = 0; i < n; i += FACTORS) {
        double product = 1;
        for (int64_t j = i; j < n && j < i + FACTORS; j++) product *= 1 + theta * y[j];
        sum += log(product);
    }
    return sum / (double)n;
}

/* The search is in v = log(1 + theta max y), which runs over all numbers; v = 0 is the exponential distribution. */
typedef struct likelihood {
    const double *y; /* [n] */
    int64_t n;
    double largest, mean; /* the mean is the scale of the exponential distribution */
} likelihood;

static double theta_of(const likelihood *l, double v) {
    return expm1(v) / l->largest;
}

/* Per excess, beside that of the exponential distribution. Below xi = -1/2 it counts as the smallest: whoever ends
 * there has found no maximum. */
static double log_likelihood(const likelihood *l, double v) {
    static const double NEAR_ZERO = 1e-5;
    if (fabs(v) < NEAR_ZERO) return 0;
    const double theta = theta_of(l, v), xi = shape_of(l->y, l->n, theta);
    return xi > -0.5 ? log(theta * l->mean / xi) - xi : -INFINITY;
}

/* The maximum in v uphill from 0; false where it lies at the border. */
static bool climb(const likelihood *l, double *v) {
    static const double FIRST = 0.05, WIDER = 1.7, GOLDEN = 0.6180339887498949, MOST = 60, PRECISION = 1e-7;
    double left = log_likelihood(l, -FIRST), right = log_likelihood(l, FIRST);
    double sign = right > left ? 1 : -1, a = -sign * FIRST, b = 0, c = sign * FIRST;
    double at_b = 0, at_c = sign > 0 ? right : left;
    while (at_c > at_b && fabs(c) < MOST) {
        const double step = WIDER * (c - b);
        a = b;
        b = c;
        at_b = at_c;
        c += step;
        at_c = log_likelihood(l, c);
    }
    if (at_c > at_b) return false;
    /* Golden section of a .. c. */
    double x = c - GOLDEN * (c - a), y = a + GOLDEN * (c - a);
    double at_x = log_likelihood(l, x), at_y = log_likelihood(l, y);
    while (fabs(c - a) > PRECISION) {
        if (at_x >= at_y) {
            c = y;
            y = x;
            at_y = at_x;
            x = c - GOLDEN * (c - a);
            at_x = log_likelihood(l, x);
        } else {
            a = x;
            x = y;
            at_x = at_y;
            y = a + GOLDEN * (c - a);
            at_y = log_likelihood(l, y);
        }
    }
    *v = (a + c) / 2;
    return log_likelihood(l, *v - 1e-4) > -INFINITY;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Mean and second L-moment, sample values unbiased: lambda_1 = a_0, lambda_2 = a_0 - 2 a_1 with a_1 the mean of
 * X (1 - F(X)). y[n] ascending. */
static void l_moments(const double *y, int64_t n, double *first, double *second) {
    double a0 = 0, a1 = 0;
    for (int64_t i = 0; i < n; i++) {
        a0 += y[i];
        if (n > 1) a1 += y[i] * (double)(n - 1 - i) / (double)(n - 1);
    }
    *first = a0 / (double)n;
    *second = (a0 - 2 * a1) / (double)n;
}

psal_pareto psal_pareto_fit(double *y, int64_t n) {
    qsort(y, (size_t)n, sizeof *y, ascending);
    double mean, second, v;
    l_moments(y, n, &mean, &second);
    const likelihood l = {y, n, y[n - 1], mean};
    psal_pareto fit = {0, mean, false};
    if (climb(&l, &v)) {
        const double theta = theta_of(&l, v);
        if (fabs(v) > 1e-5) {
            fit.shape = shape_of(y, n, theta);
            fit.scale = fit.shape / theta;
        }
    } else { /* xi = 2 - lambda_1 / lambda_2 */
        fit.shape = second > 0 ? fmax(2 - mean / second, -1) : -1;
        fit.scale = mean * (1 - fit.shape);
        fit.moments = true;
    }
    return fit;
}

/* ---- a data set ---- */

static int ascending_float(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile_of(const float *sorted, int64_t n, double p) {
    const double at = p * (double)(n - 1), low = floor(at);
    const int64_t i = (int64_t)low;
    if (i >= n - 1) return sorted[n - 1];
    return sorted[i] + (at - low) * ((double)sorted[i + 1] - sorted[i]);
}

/* What an entry with few excesses gives to the shape that all such entries share. */
typedef struct few {
    int64_t excesses; /* 0: it has enough, or none */
    double ratio;     /* lambda_2 / lambda_1 */
} few;

/* One entry, from its values, in any order. Returns its excesses. */
static void fit_entry(psal_tail *t, int64_t i, float *column, double *excesses, double *mean, double *std, few *share) {
    const int64_t n = t->samples;
    qsort(column, (size_t)n, sizeof *column, ascending_float);
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < n; j++) sum += column[j];
    *mean = sum / (double)n;
    for (int64_t j = 0; j < n; j++) squares += (column[j] - *mean) * (column[j] - *mean);
    *std = sqrt(squares / (double)(n - 1));
    double *knots = t->knots + i * PSAL_TAIL_KNOTS;
    for (int k = 0; k <= LAST; k++) knots[k] = quantile_of(column, n, t->quantile * k / LAST);
    int64_t count = 0;
    for (int64_t j = n; j-- > 0 && column[j] > knots[LAST];) excesses[count++] = column[j] - knots[LAST];
    t->rate[i] = fmin(1 - t->quantile, (double)count / (double)n);
    *share = (few){0};
    if (count == 0) return;
    if (count >= PSAL_TAIL_OWN) {
        const psal_pareto fit = psal_pareto_fit(excesses, count);
        t->shape[i] = fit.shape;
        t->scale[i] = fit.scale;
        return;
    }
    double second;
    qsort(excesses, (size_t)count, sizeof *excesses, ascending);
    l_moments(excesses, count, &t->scale[i], &second);
    *share = (few){count, second / t->scale[i]};
}

/* The shape that entries with few excesses share, and their scales from their mean excesses, which stand there. */
static void pool(psal_tail *t, const few *shares) {
    double weight = 0, ratio = 0;
    for (int64_t i = 0; i < t->length; i++) {
        t->pooled += shares[i].excesses > 0;
        if (shares[i].excesses < 2) continue; /* one alone has no ratio */
        weight += (double)shares[i].excesses;
        ratio += (double)shares[i].excesses * shares[i].ratio;
    }
    const double shape = weight == 0 ? 0 : ratio > 0 ? fmax(2 - weight / ratio, -1) : -1;
    for (int64_t i = 0; i < t->length; i++) {
        if (shares[i].excesses == 0) continue;
        t->shape[i] = shape;
        t->scale[i] *= 1 - shape;
    }
}

/* Read the entries first .. first+count-1 of all samples, columns[count][samples]. Returns a sample that is not finite,
 * or -1. */
static int64_t read_columns(const psal_profile_source *source, const int64_t *samples, int64_t n, int64_t first,
                            int64_t count, int threads, float *rows, float *columns) {
    int64_t bad = INT64_MAX;
#pragma omp parallel for num_threads(threads) reduction(min : bad) schedule(static)
    for (int64_t s = 0; s < n; s++) {
        const int64_t sample = samples ? samples[s] : s;
        float *row = rows + omp_get_thread_num() * count;
        source->read(source->context, sample, first, count, row);
        for (int64_t i = 0; i < count; i++) {
            columns[i * n + s] = row[i];
            if (!isfinite(row[i]) && sample < bad) bad = sample;
        }
    }
    if (source->release) source->release(source->context, 0, source->samples);
    return bad == INT64_MAX ? -1 : bad;
}

static psal_status check_size(int64_t count, double quantile, psal_error *err) {
    if (!(quantile >= 0.5 && quantile < 1))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a threshold at the %g quantile: should be 0.5 or more, and below 1",
                         quantile);
    /* Not one fewer because of the last bit of 1 - quantile. */
    const double above = (double)count * (1 - quantile) + 1e-6;
    if (above >= PSAL_TAIL_LEAST) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "%" PRId64
                     " samples leave %.0f above the %g quantile, too few for a tail: %.0f samples are needed "
                     "at least, or a lower quantile",
                     count, floor(above), quantile, ceil(PSAL_TAIL_LEAST / (1 - quantile) - 1e-6));
}

psal_tail *psal_tail_fit(const psal_profile_source *source, const int64_t *samples, int64_t count, double quantile,
                         int threads, double *mean, double *std, psal_error *err) {
    if (!samples) count = source->samples;
    if (threads < 1) threads = 1;
    if (check_size(count, quantile, err) != PSAL_OK) return NULL;
    const size_t n = (size_t)count;
    int64_t width = (int64_t)(COLUMN_BYTES / (n * sizeof(float)));
    if (width > MOST_COLUMNS) width = MOST_COLUMNS;
    if (width < threads) width = threads;
    if (width > source->length) width = source->length;
    psal_tail *t = psal_tail_new(source->length, err);
    if (!t) return NULL;
    t->samples = count;
    t->quantile = quantile;
    few *shares = calloc((size_t)source->length, sizeof *shares);
    float *columns = malloc((size_t)width * n * sizeof *columns);
    float *rows = malloc((size_t)threads * (size_t)width * sizeof *rows);
    double *excesses = malloc((size_t)threads * n * sizeof *excesses);
    psal_status status = PSAL_OK;
    if (!shares || !columns || !rows || !excesses)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the profiles of %" PRId64 " samples", count);
    for (int64_t first = 0; first < t->length && status == PSAL_OK; first += width) {
        const int64_t block = t->length - first < width ? t->length - first : width;
        const int64_t bad = read_columns(source, samples, count, first, block, threads, rows, columns);
        if (bad >= 0) status = psal_fail(err, PSAL_ERR_NUMERIC, "the profile of sample %" PRId64 " is not finite", bad);
        if (status != PSAL_OK) break;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
        for (int64_t i = 0; i < block; i++)
            fit_entry(t, first + i, columns + i * count, excesses + omp_get_thread_num() * count, &mean[first + i],
                      &std[first + i], &shares[first + i]);
    }
    if (status == PSAL_OK) pool(t, shares);
    free(shares);
    free(columns);
    free(rows);
    free(excesses);
    if (status == PSAL_OK) return t;
    psal_tail_free(t);
    return NULL;
}

/* ---- files ---- */

static const char SAMPLES[] = "psal.tail_samples", QUANTILE[] = "psal.tail_quantile", POOLED[] = "psal.tail_pooled";

/* The tensors, and where their values are. */
enum { TENSORS = 4 };
static const char *const names[TENSORS] = {"tail.quantiles", "tail.rate", "tail.shape", "tail.scale"};

static double *values_of(const psal_tail *t, int which) {
    double *const all[TENSORS] = {t->knots, t->rate, t->shape, t->scale};
    return all[which];
}

static psal_shape shape_of_tensor(const psal_tail *t, int which) {
    return which == 0 ? PSAL_SHAPE(t->length, PSAL_TAIL_KNOTS) : PSAL_SHAPE(t->length);
}

uint64_t psal_tail_fingerprint(const psal_tail *t, uint64_t seed) {
    uint64_t hash = psal_bytes_fingerprint(&t->quantile, sizeof t->quantile, seed);
    hash = psal_bytes_fingerprint(&t->samples, sizeof t->samples, hash);
    for (int k = 0; k < TENSORS; k++) {
        const psal_shape shape = shape_of_tensor(t, k);
        hash = psal_bytes_fingerprint(values_of(t, k), (size_t)psal_shape_count(&shape) * sizeof(double), hash);
    }
    return hash;
}

psal_status psal_tail_to_tensors(const psal_tail *t, psal_tensor_map *map, psal_error *err) {
    char text[PSAL_NUMBER_SIZE];
    for (int k = 0; k < TENSORS; k++) {
        const psal_shape shape = shape_of_tensor(t, k);
        double *data = psal_tensor_map_add(map, names[k], PSAL_F64, &shape, err);
        if (!data) return psal_error_status(err);
        memcpy(data, values_of(t, k), (size_t)psal_shape_count(&shape) * sizeof *data);
    }
    psal_status status = psal_tensor_map_set_meta(map, QUANTILE, psal_format_double(t->quantile, text), err);
    snprintf(text, sizeof text, "%" PRId64, t->samples);
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(map, SAMPLES, text, err);
    snprintf(text, sizeof text, "%" PRId64, t->pooled);
    return status == PSAL_OK ? psal_tensor_map_set_meta(map, POOLED, text, err) : status;
}

static psal_status check_entry(const psal_tail *t, int64_t i, psal_error *err) {
    const double *knots = t->knots + i * PSAL_TAIL_KNOTS;
    bool good = isfinite(knots[0]) && isfinite(t->shape[i]) && isfinite(t->scale[i]) && t->scale[i] >= 0 &&
                t->rate[i] >= 0 && t->rate[i] <= 1 - t->quantile && (t->scale[i] == 0 || t->rate[i] > 0);
    for (int k = 1; k <= LAST; k++) good = good && isfinite(knots[k]) && knots[k] >= knots[k - 1];
    if (good) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_NUMERIC,
                     "damaged: the tail of entry %" PRId64 " is none (rate %g, shape %g, scale %g, threshold %g)", i,
                     t->rate[i], t->shape[i], t->scale[i], knots[LAST]);
}

static psal_status read_numbers(const psal_tensor_map *map, psal_tail *t, psal_error *err) {
    const char *quantile = psal_tensor_map_meta(map, QUANTILE), *samples = psal_tensor_map_meta(map, SAMPLES),
               *pooled = psal_tensor_map_meta(map, POOLED);
    if (quantile && samples && pooled && psal_parse_double(quantile, &t->quantile) && t->quantile >= 0.5 &&
        t->quantile < 1 && psal_parse_int64(samples, &t->samples) && t->samples > 0 &&
        psal_parse_int64(pooled, &t->pooled))
        return PSAL_OK;
    return psal_fail(err, PSAL_ERR_FORMAT, "damaged: metadata %s, %s and %s are '%.40s', '%.40s' and '%.40s'", QUANTILE,
                     SAMPLES, POOLED, quantile ? quantile : "", samples ? samples : "", pooled ? pooled : "");
}

psal_status psal_tail_from_tensors(const psal_tensor_map *map, int64_t length, psal_tail **tail, psal_error *err) {
    *tail = NULL;
    bool any = false;
    for (int k = 0; k < TENSORS; k++) any = any || psal_tensor_map_get(map, names[k]);
    if (!any) return PSAL_OK;
    psal_tail *t = psal_tail_new(length, err);
    psal_status status = t ? read_numbers(map, t, err) : psal_error_status(err);
    for (int k = 0; k < TENSORS && status == PSAL_OK; k++) {
        const psal_tensor *tensor = psal_tensor_map_get(map, names[k]);
        const psal_shape shape = shape_of_tensor(t, k);
        char found[96], expected[96];
        if (tensor && tensor->dtype == PSAL_F64 && psal_shape_equal(&tensor->shape, &shape)) {
            psal_tensor_to_f64(tensor, values_of(t, k));
            continue;
        }
        status = psal_fail(err, PSAL_ERR_FORMAT, "'%s' should be %s of float64, is %s of %s", names[k],
                           psal_shape_format(&shape, expected, sizeof expected),
                           tensor ? psal_shape_format(&tensor->shape, found, sizeof found) : "missing",
                           tensor ? psal_dtype_name(tensor->dtype) : "nothing");
    }
    for (int64_t i = 0; i < length && status == PSAL_OK; i++) status = check_entry(t, i, err);
    if (status == PSAL_OK) {
        *tail = t;
        return PSAL_OK;
    }
    psal_tail_free(t);
    return status;
}
