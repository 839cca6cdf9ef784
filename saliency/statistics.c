#include "saliency/statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"

const char *psal_loss_name(psal_loss loss) {
    switch (loss) {
    case PSAL_LOSS_LOGIT:
        return "logit";
    case PSAL_LOSS_LOGIT_DIFFERENCE:
        return "logit-difference";
    default:
        return "cross-entropy";
    }
}

const char *psal_aggregation_name(psal_aggregation aggregation) {
    static const char *const names[PSAL_AGGREGATION_COUNT] = {"filter", "row", "parameter", "tensor"};
    return names[aggregation];
}

const char *psal_aggregation_plural(psal_aggregation aggregation) {
    static const char *const names[PSAL_AGGREGATION_COUNT] = {"filters", "rows", "parameters", "tensors"};
    return names[aggregation];
}

bool psal_aggregation_parse(const char *name, psal_aggregation *aggregation) {
    for (int i = 0; i < PSAL_AGGREGATION_COUNT; i++) {
        *aggregation = (psal_aggregation)i;
        if (strcmp(psal_aggregation_name(*aggregation), name) == 0) return true;
    }
    return false;
}

psal_statistics *psal_statistics_new(int64_t length, psal_error *err) {
    psal_statistics *s = calloc(1, sizeof *s);
    if (s) {
        s->length = length;
        s->mean = calloc((size_t)length + 1, sizeof *s->mean);
        s->std = calloc((size_t)length + 1, sizeof *s->std);
        if (s->mean && s->std) return s;
    }
    psal_statistics_free(s);
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for statistics of %lld entries", (long long)length);
    return NULL;
}

void psal_statistics_free(psal_statistics *s) {
    if (!s) return;
    free(s->mean);
    free(s->std);
    psal_tail_free(s->tail);
    free(s);
}

static psal_status check_vector(const char *name, const psal_tensor *t, psal_error *err) {
    char text[96];
    if (!t) return psal_fail(err, PSAL_ERR_FORMAT, "holds no statistics: there is no tensor '%s'", name);
    if (t->shape.ndim != 1 || t->shape.dim[0] < 1 || (t->dtype != PSAL_F64 && t->dtype != PSAL_F32))
        return psal_fail(err, PSAL_ERR_FORMAT, "'%s' should be a vector of float32 or float64, is %s of %s", name,
                         psal_shape_format(&t->shape, text, sizeof text), psal_dtype_name(t->dtype));
    return PSAL_OK;
}

static psal_status check_values(const char *name, const double *values, int64_t n, psal_error *err,
                                bool negative_allowed) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]) || (values[i] < 0 && !negative_allowed))
            return psal_fail(err, PSAL_ERR_NUMERIC, "'%s' of entry %lld is %g", name, (long long)i,
                             isnan(values[i]) ? NAN : values[i]);
    return PSAL_OK;
}

psal_statistics *psal_statistics_from_tensors(const psal_tensor_map *tensors, psal_error *err) {
    const psal_tensor *mean = psal_tensor_map_get(tensors, "mean"), *std = psal_tensor_map_get(tensors, "std");
    if (check_vector("mean", mean, err) != PSAL_OK || check_vector("std", std, err) != PSAL_OK) return NULL;
    if (mean->shape.dim[0] != std->shape.dim[0]) {
        psal_fail(err, PSAL_ERR_FORMAT, "'mean' has %lld entries, 'std' has %lld", (long long)mean->shape.dim[0],
                  (long long)std->shape.dim[0]);
        return NULL;
    }
    psal_statistics *s = psal_statistics_new(mean->shape.dim[0], err);
    if (!s) return NULL;
    psal_tensor_to_f64(mean, s->mean);
    psal_tensor_to_f64(std, s->std);
    const char *count = psal_tensor_map_meta(tensors, "psal.count");
    if (count && (!psal_parse_int64(count, &s->count) || s->count < 0)) {
        psal_fail(err, PSAL_ERR_FORMAT, "metadata psal.count is '%.40s', expected a number of samples", count);
        psal_statistics_free(s);
        return NULL;
    }
    /* NaN deviations: a data set of one sample has none. Refused, since nothing could be standardized with them. */
    if (psal_computation_from_metadata(&s->computation, tensors, err) == PSAL_OK &&
        check_values("mean", s->mean, s->length, err, true) == PSAL_OK &&
        check_values("std", s->std, s->length, err, false) == PSAL_OK &&
        psal_tail_from_tensors(tensors, s->length, &s->tail, err) == PSAL_OK)
        return s;
    psal_statistics_free(s);
    return NULL;
}

psal_tensor_map *psal_statistics_to_tensors(const psal_statistics *s, psal_error *err) {
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for statistics");
        return NULL;
    }
    psal_shape shape = PSAL_SHAPE(s->length);
    double *mean = psal_tensor_map_add(map, "mean", PSAL_F64, &shape, err);
    if (mean) memcpy(mean, s->mean, (size_t)s->length * sizeof(double));
    double *std = mean ? psal_tensor_map_add(map, "std", PSAL_F64, &shape, err) : NULL;
    if (std) memcpy(std, s->std, (size_t)s->length * sizeof(double));
    char count[32];
    snprintf(count, sizeof count, "%" PRId64, s->count);
    bool good = std && psal_tensor_map_set_meta(map, "psal.format", "statistics", err) == PSAL_OK &&
                psal_tensor_map_set_meta(map, "psal.count", count, err) == PSAL_OK &&
                psal_computation_to_metadata(&s->computation, map, err) == PSAL_OK &&
                (!s->tail || psal_tail_to_tensors(s->tail, map, err) == PSAL_OK);
    if (good) return map;
    psal_tensor_map_free(map);
    return NULL;
}

psal_status psal_statistics_check(const psal_statistics *s, const psal_computation *here, int64_t length,
                                  char note[768], psal_error *err) {
    char names[512];
    const psal_computation *there = &s->computation;
    note[0] = '\0';
    psal_status status = psal_computation_check(there, here, PSAL_FIELDS_PROFILE, err);
    if (s->length != length)
        return psal_fail(err, PSAL_ERR_SHAPE, "%s%sstatistics of %lld entries, but the profiles here have %lld",
                         status != PSAL_OK && err ? err->message : "", status != PSAL_OK && err ? "; " : "",
                         (long long)s->length, (long long)length);
    if (status != PSAL_OK) return status;
    const psal_fields weights = PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS);
    bool other = psal_computation_difference(there, here, weights) != PSAL_FIELD_COUNT;
    const char *base = here->value[PSAL_FIELD_BASE];
    const bool before = other && *base && strcmp(there->value[PSAL_FIELD_WEIGHTS], base) == 0;
    psal_fields unsaid = psal_computation_unsaid(there, here, PSAL_FIELDS_PROFILE | weights, true);
    int used = snprintf(
        note, 768, "%s%s",
        before && *here->value[PSAL_FIELD_DELTAS]
            ? "the statistics are those of the weights without the delta, whose filters stand out for that alone"
        : before ? "the statistics are those of the weights before they were edited"
        : other  ? "the statistics were computed with other weights of "
                 : "",
        other && !before ? here->value[PSAL_FIELD_ARCH] : "");
    if (unsaid)
        snprintf(note + used, 768 - (size_t)used, "%sit does not say its %s: taken to be as here", other ? "; " : "",
                 psal_fields_names(unsaid, names));
    return PSAL_OK;
}

uint64_t psal_statistics_fingerprint(const psal_statistics *s) {
    size_t bytes = (size_t)s->length * sizeof(double);
    uint64_t hash = psal_bytes_fingerprint(s->std, bytes, psal_bytes_fingerprint(s->mean, bytes, 3));
    return s->tail ? psal_tail_fingerprint(s->tail, hash) : hash;
}

/* ---- every mode ---- */

static psal_status need_tail(const psal_statistics *s, psal_error *err) {
    if (s && s->tail) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "peaks over threshold need the tails of a data set");
}

psal_status psal_statistics_standardize(const psal_statistics *s, psal_mode mode, int64_t n, const float *naive,
                                        double *standardized, psal_error *err) {
    if (mode != PSAL_MODE_POT)
        return psal_standardize(mode, n, naive, s ? s->mean : NULL, s ? s->std : NULL, standardized, err);
    psal_status status = need_tail(s, err);
    if (status == PSAL_OK) psal_tail_score(s->tail, naive, standardized);
    return status;
}

psal_status psal_statistics_map(const psal_statistics *s, psal_mode mode, int64_t n, const float *naive, double *shift,
                                double *scale, psal_error *err) {
    if (mode != PSAL_MODE_POT)
        return psal_standardize_map(mode, n, s ? s->mean : NULL, s ? s->std : NULL, shift, scale, err);
    psal_status status = need_tail(s, err);
    if (status == PSAL_OK) psal_tail_map(s->tail, naive, shift, scale);
    return status;
}

void psal_statistics_rankable(const psal_statistics *s, psal_mode mode, int64_t n, const float *naive, bool *live) {
    if (mode == PSAL_MODE_POT)
        psal_tail_rankable(s->tail, live);
    else
        psal_rankable(mode, n, naive, s ? s->mean : NULL, s ? s->std : NULL, live);
}
