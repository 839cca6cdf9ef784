#include "saliency/statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    switch (aggregation) {
    case PSAL_AGGREGATION_PARAMETER:
        return "parameter";
    case PSAL_AGGREGATION_TENSOR:
        return "tensor";
    default:
        return "filter";
    }
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
            return psal_fail(err, PSAL_ERR_NUMERIC, "'%s' of entry %lld is %g", name, (long long)i, values[i]);
    return PSAL_OK;
}

static void copy_meta(const psal_tensor_map *tensors, const char *key, char *out, size_t size) {
    const char *value = psal_tensor_map_meta(tensors, key);
    snprintf(out, size, "%s", value ? value : "");
}

static bool meta_is(const psal_tensor_map *tensors, const char *key, const char *expected) {
    const char *value = psal_tensor_map_meta(tensors, key);
    return value && strcmp(value, expected) == 0;
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
    const char *fingerprint = psal_tensor_map_meta(tensors, "psal.fingerprint");
    if (count) s->count = strtoll(count, NULL, 10);
    if (fingerprint) s->fingerprint = strtoull(fingerprint, NULL, 16);
    copy_meta(tensors, "psal.arch", s->arch, sizeof s->arch);
    copy_meta(tensors, "psal.preprocess", s->preprocess, sizeof s->preprocess);
    copy_meta(tensors, "psal.aggregation", s->aggregation, sizeof s->aggregation);
    copy_meta(tensors, "psal.loss", s->loss, sizeof s->loss);
    s->is_signed = meta_is(tensors, "psal.signed", "1");
    s->normalized = meta_is(tensors, "psal.normalized", "1");
    /* NaN deviations: a data set of one sample has none. Refused, since nothing could be standardized with them. */
    if (check_values("mean", s->mean, s->length, err, true) == PSAL_OK &&
        check_values("std", s->std, s->length, err, false) == PSAL_OK)
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
    psal_tensor *mean = psal_tensor_map_add(map, "mean", PSAL_F64, &shape, err);
    if (mean) memcpy(mean->data, s->mean, (size_t)s->length * sizeof(double));
    psal_tensor *std = mean ? psal_tensor_map_add(map, "std", PSAL_F64, &shape, err) : NULL;
    if (std) memcpy(std->data, s->std, (size_t)s->length * sizeof(double));
    char count[32], fingerprint[32];
    snprintf(count, sizeof count, "%" PRId64, s->count);
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, s->fingerprint);
    const char *const meta[][2] = {{"psal.format", "statistics"},
                                   {"psal.arch", s->arch},
                                   {"psal.count", count},
                                   {"psal.fingerprint", fingerprint},
                                   {"psal.preprocess", s->preprocess},
                                   {"psal.aggregation", s->aggregation},
                                   {"psal.loss", s->loss},
                                   {"psal.signed", s->is_signed ? "1" : "0"},
                                   {"psal.normalized", s->normalized ? "1" : "0"}};
    bool good = std != NULL;
    for (size_t i = 0; i < sizeof meta / sizeof meta[0] && good; i++)
        good = psal_tensor_map_set_meta(map, meta[i][0], meta[i][1], err) == PSAL_OK;
    if (good) return map;
    psal_tensor_map_free(map);
    return NULL;
}

psal_status psal_statistics_check(const psal_statistics *s, const psal_model *model,
                                  const psal_saliency_options *options, int64_t length, char warning[256],
                                  psal_error *err) {
    const psal_model_info *info = psal_model_get_info(model);
    const char *aggregation = psal_aggregation_name(options->aggregation), *loss = psal_loss_name(options->loss);
    warning[0] = '\0';
    if (*s->arch && strcmp(s->arch, info->arch) != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "statistics of %s, but the network is %s", s->arch, info->arch);
    if (*s->aggregation && strcmp(s->aggregation, aggregation) != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "statistics of the aggregation '%s', but '%s' was asked for",
                         s->aggregation, aggregation);
    if (*s->loss && strcmp(s->loss, loss) != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "statistics of the loss '%s', but '%s' was asked for", s->loss, loss);
    if (*s->loss && s->is_signed != options->is_signed)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "statistics of %s saliency, but %s was asked for",
                         s->is_signed ? "signed" : "unsigned", options->is_signed ? "signed" : "unsigned");
    if (s->length != length)
        return psal_fail(err, PSAL_ERR_SHAPE, "statistics of %lld entries, but the profile of %s has %lld",
                         (long long)s->length, info->arch, (long long)length);
    if (s->fingerprint && s->fingerprint != psal_model_fingerprint(model))
        snprintf(warning, 256, "the statistics were computed with other weights of %s", info->arch);
    return PSAL_OK;
}
