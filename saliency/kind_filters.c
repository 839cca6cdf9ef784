#include "saliency/kind_filters.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "saliency/neighbors_internal.h"
#include "saliency/student.h"
#include "saliency/welford.h"

/* One entry of some samples. */
typedef struct moments {
    double n, mean, m2;
} moments;

static moments of_entry(const psal_welford *w, int64_t i) {
    return (moments){(double)w->count, w->mean[i], w->m2[i]};
}

/* What is left of `all` without `part`. */
static moments without(moments all, moments part) {
    const double n = all.n - part.n, mean = (all.n * all.mean - part.n * part.mean) / n, apart = part.mean - mean;
    return (moments){n, mean, fmax(0, all.m2 - part.m2 - part.n * n / all.n * apart * apart)};
}

static psal_kind_filter compare(moments a, moments b, int64_t tests) {
    const double va = a.m2 / (a.n - 1) / a.n, vb = b.m2 / (b.n - 1) / b.n, v = va + vb;
    const double freedom = v * v / (va * va / (a.n - 1) + vb * vb / (b.n - 1));
    psal_kind_filter f = {.inside = a.mean, .outside = b.mean, .t = (a.mean - b.mean) / sqrt(v)};
    f.p = fmin(1, psal_student_tail(f.t, freedom) * (double)tests);
    f.d = (a.mean - b.mean) / sqrt((a.m2 + b.m2) / (a.n + b.n - 2));
    return f;
}

/* Keep the best, the largest t first; of equals the first entry. */
static void keep(psal_kind_filter *filters, int top, psal_kind_filter f) {
    int at = top;
    while (at > 0 && (filters[at - 1].entry < 0 || filters[at - 1].t < f.t)) at--;
    for (int i = top - 1; i > at; i--) filters[i] = filters[i - 1];
    if (at < top) filters[at] = f;
}

/* guilty[width]: room for the numbers of entries. */
static void rank(const psal_profile_space *space, const psal_welford *part, const psal_welford *all, int top,
                 int64_t *guilty, psal_kind_filter *filters, psal_kind_guilt *guilt) {
    for (int i = 0; i < top; i++) filters[i] = (psal_kind_filter){.entry = -1};
    *guilt = (psal_kind_guilt){0, -1};
    if (part->count < 2 || all->count - part->count < 2) return;
    int64_t at = 0;
    for (int64_t r = 0; r < space->range_count; r++)
        for (int64_t i = 0; i < space->ranges[r].count; i++, at++) {
            const moments inside = of_entry(part, at), outside = without(of_entry(all, at), inside);
            if (!(inside.m2 + outside.m2 > 0)) continue;
            psal_kind_filter f = compare(inside, outside, space->width);
            f.entry = space->ranges[r].first + i;
            if (f.p < PSAL_KIND_FILTERS_LEVEL) guilty[guilt->count++] = f.entry;
            keep(filters, top, f);
        }
    if (guilt->count) guilt->median = guilty[(guilt->count - 1) / 2];
}

static psal_status add_all(const psal_profile_space *space, const int64_t *samples, const int *kind, int64_t count,
                           psal_welford **parts, psal_welford *all, psal_error *err) {
    const psal_profile_source *source = space->source;
    float *scratch = malloc((size_t)source->length * sizeof *scratch);
    float *scores = malloc((size_t)space->width * sizeof *scores);
    psal_status status = PSAL_OK;
    if (!scratch || !scores)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for profiles of %" PRId64 " entries", source->length);
    for (int64_t i = 0; i < count && status == PSAL_OK; i++) {
        psal_profile_space_scores(space, samples[i], scratch, scores);
        bool finite = true;
        for (int64_t j = 0; j < space->width; j++) finite = finite && isfinite(scores[j]);
        if (!finite) {
            status = psal_profile_space_refuse(space->similarity, samples[i], err);
            break;
        }
        psal_welford_add(all, scores);
        if (kind[i] >= 0) psal_welford_add(parts[kind[i]], scores);
        if (source->release) source->release(source->context, samples[i], 1);
    }
    free(scratch);
    free(scores);
    return status;
}

psal_status psal_kind_filters(const psal_profile_source *source, const psal_neighbor_options *options,
                              const int64_t *samples, const int *kind, int64_t count, int kinds, int top,
                              psal_kind_filter *filters, psal_kind_guilt *guilt, psal_error *err) {
    psal_profile_space space;
    psal_status status = psal_profile_space_open(source, options, &space, err);
    if (status != PSAL_OK) return status;
    psal_welford **parts = calloc((size_t)kinds + 1, sizeof *parts); /* the last one of all samples */
    int64_t *guilty = malloc((size_t)space.width * sizeof *guilty);
    if (!parts || !guilty) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d kinds", kinds);
    for (int k = 0; k <= kinds && status == PSAL_OK; k++)
        if (!(parts[k] = psal_welford_new(space.width, err))) status = psal_error_status(err);
    if (status == PSAL_OK) status = add_all(&space, samples, kind, count, parts, parts[kinds], err);
    for (int k = 0; k < kinds && status == PSAL_OK; k++)
        rank(&space, parts[k], parts[kinds], top, guilty, filters + (size_t)k * (size_t)top, &guilt[k]);
    for (int k = 0; k <= kinds && parts; k++) psal_welford_free(parts[k]);
    free(parts);
    free(guilty);
    psal_profile_space_close(&space);
    return status;
}
