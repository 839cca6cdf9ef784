#include "tools/computation_io.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "saliency/reference_set.h"
#include "engine/numbers.h"

/* ---- one spelling ---- */

static psal_status canonical_value(char value[PSAL_FIELD_SIZE], const psal_field_row *row, psal_error *err) {
    char number[PSAL_NUMBER_SIZE];
    double parsed;
    psal_preprocess preprocess;
    switch (row->kind) {
    case PSAL_FIELD_TEXT:
        return PSAL_OK;
    case PSAL_FIELD_NUMBER:
        if (!psal_parse_double(value, &parsed) || !isfinite(parsed))
            return psal_fail(err, PSAL_ERR_FORMAT, "its %s is '%.60s', which is no number", row->name, value);
        snprintf(value, PSAL_FIELD_SIZE, "%s", psal_format_double(parsed, number));
        return PSAL_OK;
    case PSAL_FIELD_FLAG:
        if (strcmp(value, "true") == 0) strcpy(value, "1");
        if (strcmp(value, "false") == 0) strcpy(value, "0");
        if (strcmp(value, "0") == 0 || strcmp(value, "1") == 0) return PSAL_OK;
        return psal_fail(err, PSAL_ERR_FORMAT, "its %s is '%.60s', neither 0 nor 1", row->name, value);
    default:
        if (psal_preprocess_parse(value, &preprocess, err) != PSAL_OK)
            return psal_fail_prefix(err, "its %s", row->name);
        psal_preprocess_format(&preprocess, value, PSAL_FIELD_SIZE);
        return *value ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
}

/* Before there were reference sets, all samples of a data set were taken. */
static psal_status canonical_reference(psal_computation *c, psal_error *err) {
    char *value = c->value[PSAL_FIELD_ONLY];
    psal_reference_set only;
    if (!psal_reference_parse(value, &only))
        return psal_fail(err, PSAL_ERR_FORMAT, "its reference set is '%.60s', which is none", value);
    if (*value || *c->value[PSAL_FIELD_DATASET]) psal_reference_format(only, value);
    return PSAL_OK;
}

psal_status psal_computation_canonical(psal_computation *c, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int f = 0; f < PSAL_FIELD_COUNT && status == PSAL_OK; f++)
        if (*c->value[f]) status = canonical_value(c->value[f], psal_field_describe((psal_field)f), err);
    /* What earlier versions had no options for. */
    if (*c->value[PSAL_FIELD_LOSS] && !*c->value[PSAL_FIELD_GRADIENT_WEIGHT])
        psal_computation_set(c, PSAL_FIELD_GRADIENT_WEIGHT, "0");
    static const struct {
        psal_field field;
        const char *value;
    } before[] = {{PSAL_FIELD_NOISE_SD, "0"}, {PSAL_FIELD_STANDS_IN, "predicted"}, {PSAL_FIELD_AGAINST, "none"}};
    for (size_t i = 0; i < sizeof before / sizeof *before && *c->value[PSAL_FIELD_NOISE_ITERS]; i++)
        if (!*c->value[before[i].field]) psal_computation_set(c, before[i].field, "%s", before[i].value);
    return status == PSAL_OK ? canonical_reference(c, err) : status;
}

/* ---- from what is at hand ---- */

void psal_computation_set_number(psal_computation *c, psal_field field, double value) {
    char number[PSAL_NUMBER_SIZE];
    psal_computation_set(c, field, "%s", psal_format_double(value, number));
}

psal_status psal_computation_set_network(psal_computation *c, const psal_model *model,
                                         const psal_preprocess *preprocess, psal_error *err) {
    const psal_model_info *info = psal_model_get_info(model);
    uint64_t fingerprint = psal_model_fingerprint(model);
    psal_preprocess_format(preprocess, c->value[PSAL_FIELD_PREPROCESS], PSAL_FIELD_SIZE);
    if (!fingerprint || !*c->value[PSAL_FIELD_PREPROCESS]) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_computation_set(c, PSAL_FIELD_ARCH, "%s", info->arch);
    psal_computation_set(c, PSAL_FIELD_WEIGHTS, "%016" PRIx64, fingerprint);
    psal_computation_set(c, PSAL_FIELD_VARIANT, "%s", info->variant);
    psal_computation_set_number(c, PSAL_FIELD_WIDTH, info->width);
    psal_computation_set(c, PSAL_FIELD_CLASSES, "%d", info->num_classes);
    if (info->bn_epsilon > 0) psal_computation_set_number(c, PSAL_FIELD_BN_EPSILON, info->bn_epsilon);
    if (info->has_transform) psal_computation_set(c, PSAL_FIELD_TRANSFORM_INPUT, "%d", info->transform_input);
    return PSAL_OK;
}

void psal_computation_set_profile(psal_computation *c, const psal_saliency_options *options, bool normalized) {
    psal_computation_set(c, PSAL_FIELD_AGGREGATION, "%s", psal_aggregation_name(options->aggregation));
    psal_computation_set(c, PSAL_FIELD_LOSS, "%s", psal_loss_name(options->loss));
    psal_computation_set(c, PSAL_FIELD_SIGNED, "%d", options->is_signed);
    psal_computation_set(c, PSAL_FIELD_GRADIENT_WEIGHT, "%d", options->gradient_weight);
    psal_computation_set(c, PSAL_FIELD_NORMALIZED, "%d", normalized);
}

void psal_computation_set_statistics(psal_computation *c, const psal_statistics *statistics) {
    static const psal_field fields[] = {PSAL_FIELD_DATASET, PSAL_FIELD_DATASET_NAME, PSAL_FIELD_ONLY,
                                        PSAL_FIELD_SAMPLING};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        memcpy(c->value[fields[i]], statistics->computation.value[fields[i]], PSAL_FIELD_SIZE);
    psal_computation_set(c, PSAL_FIELD_STATISTICS, "%016" PRIx64, psal_statistics_fingerprint(statistics));
    if (statistics->count > 0) psal_computation_set(c, PSAL_FIELD_SAMPLES, "%" PRId64, statistics->count);
}

void psal_computation_set_tail(psal_computation *c, const psal_tail *tail) {
    psal_computation_set_number(c, PSAL_FIELD_TAIL_QUANTILE, tail->quantile);
}

psal_status psal_computation_read(psal_computation *c, const psal_tensor_map *map, psal_error *err) {
    psal_status status = psal_computation_from_metadata(c, map, err);
    return status == PSAL_OK ? psal_computation_canonical(c, err) : status;
}

bool psal_was_assumed(const psal_tensor_map *checkpoint, psal_field field) {
    const char *value = psal_tensor_map_meta(checkpoint, psal_field_describe(field)->key);
    return value && strcmp(value, "1") == 0;
}

static psal_status record_assumption(psal_tensor_map *checkpoint, psal_field field, bool assumed, psal_error *err) {
    if (assumed == psal_was_assumed(checkpoint, field)) return PSAL_OK;
    return psal_tensor_map_set_meta(checkpoint, psal_field_describe(field)->key, assumed ? "1" : "0", err);
}

psal_status psal_record_assumptions(psal_tensor_map *checkpoint, const char *preprocess, bool preprocess_assumed,
                                    bool transform_assumed, psal_error *err) {
    psal_status status = psal_tensor_map_set_meta(checkpoint, "psal.preprocess", preprocess, err);
    if (status == PSAL_OK)
        status = record_assumption(checkpoint, PSAL_FIELD_PREPROCESS_ASSUMED, preprocess_assumed, err);
    return status == PSAL_OK ? record_assumption(checkpoint, PSAL_FIELD_TRANSFORM_ASSUMED, transform_assumed, err)
                             : status;
}

/* ---- JSON ---- */

const char *psal_computation_field_key(psal_field field) {
    return psal_field_describe(field)->key + strlen("psal.");
}

json_t *psal_computation_field_json(const psal_computation *c, psal_field field) {
    const char *value = c->value[field];
    int64_t integer;
    double number;
    if (!*value) return json_null();
    switch (psal_field_describe(field)->kind) {
    case PSAL_FIELD_FLAG:
        return json_boolean(psal_computation_is(c, field));
    case PSAL_FIELD_NUMBER:
        if (psal_parse_int64(value, &integer)) return json_integer(integer);
        if (psal_parse_double(value, &number)) return psal_json_double(number);
        return psal_json_string(value);
    default:
        return psal_json_string(value);
    }
}

json_t *psal_computation_json(const psal_computation *c) {
    json_t *object = json_object();
    for (int f = 0; object && f < PSAL_FIELD_COUNT; f++) {
        if (!*c->value[f]) continue;
        json_t *value = psal_computation_field_json(c, (psal_field)f);
        if (value && json_object_set_new(object, psal_computation_field_key((psal_field)f), value) == 0) continue;
        json_decref(object);
        object = NULL;
    }
    return object;
}

char *psal_computation_text(const psal_computation *c) {
    json_t *object = psal_computation_json(c);
    char *text = psal_json_check(object, NULL) == PSAL_OK ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text && psal_json_check(object, NULL) != PSAL_OK) { /* cut where memory was missing */
        free(text);
        text = NULL;
    }
    json_decref(object);
    return text;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void psal_computation_line(const psal_computation *c, char text[512]) {
    const char *samples = *c->value[PSAL_FIELD_STATISTICS] ? c->value[PSAL_FIELD_SAMPLES] : "";
    const char *loss = c->value[PSAL_FIELD_LOSS], *deltas = c->value[PSAL_FIELD_DELTAS],
               *only = strcmp(c->value[PSAL_FIELD_ONLY], "all") ? c->value[PSAL_FIELD_ONLY] : "";
    const char *against = c->value[PSAL_FIELD_AGAINST];
    const bool less = *against && strcmp(against, "none") != 0;
    const bool other_loss = *loss && strcmp(loss, psal_loss_name(PSAL_LOSS_CROSS_ENTROPY)) != 0;
    char statistics[120] = "", noise[96] = "";
    double percent = 0, sd = 0;
    if (*samples)
        snprintf(statistics, sizeof statistics, ", statistics of %.20s samples%s%.30s%s", samples, *only ? " (" : "",
                 only, *only ? ")" : "");
    psal_parse_double(c->value[PSAL_FIELD_NOISE_PERCENT], &percent);
    psal_parse_double(c->value[PSAL_FIELD_NOISE_SD], &sd);
    if (percent > 0 || sd > 0)
        snprintf(noise, sizeof noise, ", mean of %.20s noisy copies (%g%s)", c->value[PSAL_FIELD_NOISE_ITERS],
                 percent > 0 ? 100 * percent : sd, percent > 0 ? " %" : " of 255");
    snprintf(text, 512, "%.100s%s%.100s%s%s%.40s%s%s%s%.20s%s", last_part(c->value[PSAL_FIELD_WEIGHTS_NAME]),
             *deltas                      ? " + "
             : *c->value[PSAL_FIELD_BASE] ? " (edited)"
                                          : "",
             last_part(deltas), statistics, other_loss ? ", loss " : "", other_loss ? loss : "",
             psal_computation_is(c, PSAL_FIELD_GRADIENT_WEIGHT) ? ", gradient x weight" : "",
             psal_computation_is(c, PSAL_FIELD_SIGNED) ? ", signed" : "", less ? ", against class " : "",
             less ? against : "", noise);
}

psal_status psal_computation_from_json(psal_computation *c, const json_t *object, psal_error *err) {
    *c = (psal_computation){0};
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        const psal_field_row *row = psal_field_describe((psal_field)f);
        const json_t *value = json_object_get(object, psal_computation_field_key((psal_field)f));
        if (json_is_string(value) && json_string_length(value) < PSAL_FIELD_SIZE &&
            strlen(json_string_value(value)) == json_string_length(value))
            strcpy(c->value[f], json_string_value(value));
        else if (json_is_boolean(value))
            psal_computation_set(c, (psal_field)f, "%d", json_is_true(value));
        else if (json_is_integer(value))
            psal_computation_set(c, (psal_field)f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_real(value))
            psal_computation_set_number(c, (psal_field)f, json_real_value(value));
        else if (value && !json_is_null(value))
            return psal_fail(err, PSAL_ERR_FORMAT, "its %s is no value", row->name);
    }
    return psal_computation_canonical(c, err);
}
