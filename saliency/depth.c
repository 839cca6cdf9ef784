#include "saliency/depth.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* What one thread needs. */
typedef struct bench {
    float *profile;       /* [length] */
    double *standardized; /* [length] */
    int64_t *top;         /* [k] */
    bool *live;           /* [length] */
    int64_t *counts;      /* [layer_count] */
} bench;

static psal_status check(const psal_profile_source *source, const int64_t *samples, int64_t count,
                         const psal_depth_options *o, psal_error *err) {
    int64_t end = 0;
    for (int i = 0; i < o->layer_count; i++) {
        if (o->layers[i].first != end || o->layers[i].count < 1)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "layer %d begins at entry %" PRId64 ", should at %" PRId64, i,
                             o->layers[i].first, end);
        end += o->layers[i].count;
    }
    if (end != source->length || o->statistics->length != source->length)
        return psal_fail(err, PSAL_ERR_SHAPE,
                         "profiles of %" PRId64 " entries, but layers of %" PRId64 " and statistics of %" PRId64,
                         source->length, end, o->statistics->length);
    if (o->k < 1 || o->k > source->length)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "the %" PRId64 " most salient of %" PRId64 " entries", o->k,
                         source->length);
    for (int64_t i = 0; i < count; i++)
        if (samples[i] < 0 || samples[i] >= source->samples)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %" PRId64 " of %" PRId64, samples[i], source->samples);
    return PSAL_OK;
}

static int layer_of(const psal_depth_options *o, int64_t entry) {
    int low = 0, high = o->layer_count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (o->layers[middle].first <= entry)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static psal_status count_sample(const psal_profile_source *source, int64_t sample, const psal_depth_options *o,
                                bench *b) {
    int64_t n = source->length;
    source->read(source->context, sample, 0, n, b->profile);
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += (double)b->profile[i] * b->profile[i];
    if (!isfinite(squares)) return PSAL_ERR_NUMERIC;
    if (psal_computation_is(&o->statistics->computation, PSAL_FIELD_NORMALIZED) && squares > 0)
        for (int64_t i = 0; i < n; i++) b->profile[i] = (float)(b->profile[i] / sqrt(squares));
    psal_status status = psal_statistics_standardize(o->statistics, o->mode, n, b->profile, b->standardized, NULL);
    memset(b->live, true, (size_t)n * sizeof *b->live);
    psal_statistics_rankable(o->statistics, o->mode, n, b->profile, b->live);
    int64_t count = psal_live_count(n, b->live), k = o->k < count ? o->k : count;
    if (status == PSAL_OK) status = psal_top_k(n, b->standardized, b->live, k, b->top, NULL);
    for (int64_t i = 0; i < k && status == PSAL_OK; i++) b->counts[layer_of(o, b->top[i])]++;
    return status;
}

static void free_benches(bench *benches, int count) {
    for (int t = 0; benches && t < count; t++) {
        free(benches[t].profile);
        free(benches[t].standardized);
        free(benches[t].top);
        free(benches[t].live);
        free(benches[t].counts);
    }
    free(benches);
}

static bench *make_benches(const psal_profile_source *source, const psal_depth_options *o, int count) {
    bench *benches = calloc((size_t)count, sizeof *benches);
    bool good = benches != NULL;
    for (int t = 0; good && t < count; t++) {
        bench *b = &benches[t];
        b->profile = malloc((size_t)source->length * sizeof *b->profile);
        b->standardized = malloc((size_t)source->length * sizeof *b->standardized);
        b->top = malloc((size_t)o->k * sizeof *b->top);
        b->live = malloc((size_t)source->length * sizeof *b->live);
        b->counts = calloc((size_t)o->layer_count, sizeof *b->counts);
        good = b->profile && b->standardized && b->top && b->live && b->counts;
    }
    if (good) return benches;
    free_benches(benches, count);
    return NULL;
}

psal_status psal_depth_count(const psal_profile_source *source, const int64_t *samples, int64_t count,
                             const psal_depth_options *options, int64_t *counts, psal_error *err) {
    psal_status status = check(source, samples, count, options, err);
    if (status != PSAL_OK) return status;
    int threads = options->threads < 1 ? 1 : options->threads;
    bench *benches = make_benches(source, options, threads);
    if (!benches)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for profiles of %" PRId64 " entries", source->length);
    int64_t bad = INT64_MAX;
    bool short_of_memory = false;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(min : bad) reduction(|| : short_of_memory)
    for (int64_t i = 0; i < count; i++) {
        psal_status done = count_sample(source, samples[i], options, &benches[omp_get_thread_num()]);
        if (done == PSAL_ERR_MEMORY)
            short_of_memory = true;
        else if (done != PSAL_OK && samples[i] < bad)
            bad = samples[i];
        if (source->release) source->release(source->context, samples[i], 1);
    }
    memset(counts, 0, (size_t)options->layer_count * sizeof *counts);
    for (int t = 0; t < threads; t++)
        for (int l = 0; l < options->layer_count; l++) counts[l] += benches[t].counts[l];
    free_benches(benches, threads);
    if (short_of_memory)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the %" PRId64 " most salient entries", options->k);
    if (bad != INT64_MAX)
        return psal_fail(err, PSAL_ERR_NUMERIC, "the profile of sample %" PRId64 " is not finite", bad);
    return PSAL_OK;
}
