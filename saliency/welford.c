#include "saliency/welford.h"

#include <math.h>
#include <stdlib.h>

/* From this length on (every parameter by itself) the loops are memory-bound enough to be worth waking the threads. */
static const int64_t PARALLEL_LENGTH = 1 << 18;

psal_welford *psal_welford_new(int64_t length, psal_error *err) {
    psal_welford *w = length >= 1 && length <= INT64_MAX / 16 ? calloc(1, sizeof *w) : NULL;
    if (w) {
        w->length = length;
        w->mean = calloc((size_t)length, sizeof *w->mean);
        w->m2 = calloc((size_t)length, sizeof *w->m2);
        if (w->mean && w->m2) return w;
    }
    psal_welford_free(w);
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the mean of %lld entries", (long long)length);
    return NULL;
}

void psal_welford_free(psal_welford *w) {
    if (!w) return;
    free(w->mean);
    free(w->m2);
    free(w);
}

void psal_welford_add(psal_welford *w, const float *values) {
    double count = (double)++w->count;
    double *mean = w->mean, *m2 = w->m2;
    int64_t length = w->length;
#pragma omp parallel for if (length >= PARALLEL_LENGTH)
    for (int64_t i = 0; i < length; i++) {
        double value = (double)values[i], delta = value - mean[i];
        mean[i] += delta / count;
        m2[i] += delta * (value - mean[i]);
    }
}

psal_status psal_welford_merge(psal_welford *w, const psal_welford *other, psal_error *err) {
    if (w->length != other->length)
        return psal_fail(err, PSAL_ERR_SHAPE, "means of %lld entries cannot be joined with means of %lld",
                         (long long)w->length, (long long)other->length);
    if (other->count == 0) return PSAL_OK;
    double a = (double)w->count, b = (double)other->count, n = a + b;
    for (int64_t i = 0; i < w->length; i++) {
        double delta = other->mean[i] - w->mean[i];
        w->mean[i] += delta * (b / n);
        w->m2[i] += other->m2[i] + delta * delta * (a * b / n);
    }
    w->count += other->count;
    return PSAL_OK;
}

void psal_welford_std(const psal_welford *w, double *std) {
    double freedom = (double)(w->count - 1);
    for (int64_t i = 0; i < w->length; i++) std[i] = w->count > 1 ? sqrt(w->m2[i] / freedom) : 0;
}
