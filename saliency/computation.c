#include "saliency/computation.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const psal_field_row ROWS[PSAL_FIELD_COUNT] = {
    [PSAL_FIELD_ARCH] = {"psal.arch", "architecture", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_WEIGHTS] = {"psal.fingerprint", "weights", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_BASE] = {"psal.base_fingerprint", "weights before the edit", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_VARIANT] = {"psal.variant", "variant", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_WEIGHTS_NAME] = {"psal.weights", "file of the weights", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_DELTAS] = {"psal.deltas", "files of the deltas", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_VERSION] = {"psal.version", "version of psal", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_WIDTH] = {"psal.width", "width", PSAL_FIELD_NUMBER, true},
    [PSAL_FIELD_CLASSES] = {"psal.classes", "number of classes", PSAL_FIELD_NUMBER, true},
    [PSAL_FIELD_BN_EPSILON] = {"psal.bn_epsilon", "batch-norm epsilon", PSAL_FIELD_NUMBER, true},
    [PSAL_FIELD_TRANSFORM_INPUT] = {"psal.transform_input", "input transform", PSAL_FIELD_FLAG, true},
    [PSAL_FIELD_TRANSFORM_ASSUMED] = {"psal.transform_input_assumed", "assumed input transform", PSAL_FIELD_FLAG, true},
    [PSAL_FIELD_PREPROCESS] = {"psal.preprocess", "preprocessing", PSAL_FIELD_PREPROCESSING, false},
    [PSAL_FIELD_PREPROCESS_ASSUMED] = {"psal.preprocess_assumed", "assumed preprocessing", PSAL_FIELD_FLAG, true},
    [PSAL_FIELD_AGGREGATION] = {"psal.aggregation", "aggregation", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_LOSS] = {"psal.loss", "loss", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_SIGNED] = {"psal.signed", "--signed", PSAL_FIELD_FLAG, false},
    [PSAL_FIELD_GRADIENT_WEIGHT] = {"psal.gradient_weight", "--gradient-weight", PSAL_FIELD_FLAG, true},
    [PSAL_FIELD_NORMALIZED] = {"psal.normalized", "--normalized", PSAL_FIELD_FLAG, false},
    [PSAL_FIELD_CONV] = {"psal.conv", "--conv", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_PROCESSOR] = {"psal.processor", "--processor", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_DATASET] = {"psal.dataset", "data set", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_DATASET_NAME] = {"psal.dataset_name", "data set's name", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_SAMPLES] = {"psal.samples", "number of samples", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_ONLY] = {"psal.only", "reference set", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_SAMPLING] = {"psal.sampling", "choice of samples", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_PREDICTED] = {"psal.predicted", "--predicted", PSAL_FIELD_FLAG, false},
    [PSAL_FIELD_SHARD] = {"psal.shard", "shard", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_SHARDS] = {"psal.shards", "number of shards", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_PROFILES] = {"psal.profiles", "profile store", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_MODE] = {"psal.mode", "mode", PSAL_FIELD_TEXT, false},
    [PSAL_FIELD_STATISTICS] = {"psal.statistics_fingerprint", "statistics", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_STANDS_IN] = {"psal.stands_in", "label of images without one", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_AGAINST] = {"psal.against", "--against", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_TAIL_QUANTILE] = {"psal.tail_quantile", "tail's quantile", PSAL_FIELD_NUMBER, true},
    [PSAL_FIELD_K_SALIENT] = {"psal.k_salient", "--k-salient", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_BOOST_FACTOR] = {"psal.boost_factor", "--boost-factor", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_NOISE_ITERS] = {"psal.noise_iters", "--noise-iters", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_NOISE_PERCENT] = {"psal.noise_percent", "--noise-percent", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_NOISE_SD] = {"psal.noise_sd", "--noise-sd", PSAL_FIELD_NUMBER, true},
    [PSAL_FIELD_SEED] = {"psal.seed", "--seed", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_COMPARE_RANDOM] = {"psal.compare_random", "--compare-random", PSAL_FIELD_FLAG, false},
    [PSAL_FIELD_TOP] = {"psal.top", "--top", PSAL_FIELD_NUMBER, false},
    [PSAL_FIELD_LAYERS] = {"psal.layers", "--layers", PSAL_FIELD_TEXT, true},
    [PSAL_FIELD_FIGURES] = {"psal.figures", "--figures", PSAL_FIELD_FLAG, true},
};
_Static_assert(PSAL_FIELD_COUNT < 64, "psal_fields has a bit for every field, and PSAL_FIELDS_RUN one more");

const psal_field_row *psal_field_describe(psal_field field) {
    return &ROWS[field];
}

void psal_computation_set(psal_computation *c, psal_field field, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->value[field], sizeof c->value[field], format, arguments);
    va_end(arguments);
}

bool psal_computation_is(const psal_computation *c, psal_field field) {
    return strcmp(c->value[field], "1") == 0;
}

/* ---- comparing ---- */

static bool in(psal_fields which, int field) {
    return which >> field & 1;
}

psal_field psal_computation_difference(const psal_computation *found, const psal_computation *here, psal_fields which) {
    for (int f = 0; f < PSAL_FIELD_COUNT; f++)
        if (in(which, f) && *found->value[f] && *here->value[f] && strcmp(found->value[f], here->value[f]) != 0)
            return (psal_field)f;
    return PSAL_FIELD_COUNT;
}

psal_fields psal_computation_unsaid(const psal_computation *found, const psal_computation *here, psal_fields which,
                                    bool late) {
    psal_fields unsaid = 0;
    for (int f = 0; f < PSAL_FIELD_COUNT; f++)
        if (in(which, f) && *here->value[f] && !*found->value[f] && (late || !ROWS[f].late))
            unsaid |= PSAL_FIELD_SET(f);
    return unsaid;
}

psal_status psal_computation_check(const psal_computation *found, const psal_computation *here, psal_fields which,
                                   psal_error *err) {
    psal_field f = psal_computation_difference(found, here, which);
    if (f == PSAL_FIELD_COUNT) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "its %s is '%s', but here it is '%s'", ROWS[f].name, found->value[f],
                     here->value[f]);
}

char *psal_fields_names(psal_fields fields, char text[512]) {
    size_t used = 0;
    text[0] = '\0';
    for (int f = 0; f < PSAL_FIELD_COUNT && used < 512; f++)
        if (in(fields, f)) used += (size_t)snprintf(text + used, 512 - used, "%s%s", used ? ", " : "", ROWS[f].name);
    return text;
}

/* ---- files ---- */

psal_status psal_computation_to_metadata(const psal_computation *c, psal_tensor_map *map, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int f = 0; f < PSAL_FIELD_COUNT && status == PSAL_OK; f++)
        if (*c->value[f]) status = psal_tensor_map_set_meta(map, ROWS[f].key, c->value[f], err);
    return status;
}

psal_status psal_computation_from_metadata(psal_computation *c, const psal_tensor_map *map, psal_error *err) {
    *c = (psal_computation){0};
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        const char *value = psal_tensor_map_meta(map, ROWS[f].key);
        if (!value) continue;
        if (strlen(value) >= PSAL_FIELD_SIZE)
            return psal_fail(err, PSAL_ERR_FORMAT, "its %s takes more than %d bytes", ROWS[f].name,
                             PSAL_FIELD_SIZE - 1);
        strcpy(c->value[f], value);
    }
    return PSAL_OK;
}
