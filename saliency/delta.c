#include "saliency/delta.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FILTERS[] = ".filters";

/* Replace the filters of one parameter. */
static psal_status apply_parameter(const psal_tensor_map *delta, const char *name, const psal_tensor *filters,
                                   psal_model *model, psal_error *err) {
    char values_name[1024];
    snprintf(values_name, sizeof values_name, "%s.values", name);
    const psal_tensor *values = psal_tensor_map_get(delta, values_name);
    int index = psal_model_find_parameter(model, name);
    if (index < 0) return psal_fail(err, PSAL_ERR_SHAPE, "the network has no parameter '%s'", name);
    const psal_model_parameter *parameter = psal_model_get_parameter(model, index);
    psal_shape expected = parameter->shape;
    int64_t rows = expected.dim[0], row = psal_shape_count(&expected) / rows;
    if (filters->dtype != PSAL_I64 || filters->shape.ndim != 1)
        return psal_fail(err, PSAL_ERR_FORMAT, "'%s%s' should be a vector of int64", name, FILTERS);
    int64_t count = filters->shape.dim[0];
    expected.dim[0] = count;
    if (!values || values->dtype != PSAL_F32 || !psal_shape_equal(&values->shape, &expected)) {
        char text[96];
        return psal_fail(err, PSAL_ERR_SHAPE, "'%s' should be float32 %s", values_name,
                         psal_shape_format(&expected, text, sizeof text));
    }
    float *edited = malloc((size_t)psal_shape_count(&parameter->shape) * sizeof *edited);
    if (!edited) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for '%s'", name);
    memcpy(edited, parameter->values, (size_t)psal_shape_count(&parameter->shape) * sizeof *edited);
    psal_status status = PSAL_OK;
    const int64_t *numbers = filters->data;
    const float *from = values->data;
    for (int64_t i = 0; i < count * row && status == PSAL_OK; i++)
        if (!isfinite(from[i])) status = psal_fail(err, PSAL_ERR_NUMERIC, "'%s' holds %g", values_name, (double)from[i]);
    for (int64_t i = 0; i < count && status == PSAL_OK; i++) {
        if (numbers[i] < 0 || numbers[i] >= rows || (i > 0 && numbers[i] <= numbers[i - 1]))
            status = psal_fail(err, PSAL_ERR_FORMAT, "'%s%s' should hold ascending numbers below %lld, entry %lld is %lld", name,
                               FILTERS, (long long)rows, (long long)i, (long long)numbers[i]);
        else
            memcpy(edited + numbers[i] * row, from + i * row, (size_t)row * sizeof *edited);
    }
    if (status == PSAL_OK) status = psal_model_set_parameter(model, index, edited, err);
    free(edited);
    return status;
}

psal_status psal_delta_apply(const psal_tensor_map *delta, psal_model *model, psal_error *err) {
    const char *format = psal_tensor_map_meta(delta, "psal.format"), *arch = psal_tensor_map_meta(delta, "psal.arch");
    const char *fingerprint = psal_tensor_map_meta(delta, "psal.fingerprint");
    const psal_model_info *info = psal_model_get_info(model);
    if (!format || strcmp(format, "delta") != 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "is not a delta of psal-finetune: it has no psal.format = delta");
    if (arch && strcmp(arch, info->arch) != 0)
        return psal_fail(err, PSAL_ERR_SHAPE, "a delta of %s, but the network is %s", arch, info->arch);
    if (fingerprint && strtoull(fingerprint, NULL, 16) != psal_model_fingerprint(model))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a delta made from other weights than these (fingerprint %s)", fingerprint);
    for (size_t i = 0; i < psal_tensor_map_count(delta); i++) {
        const char *name = psal_tensor_map_name(delta, i);
        size_t length = strlen(name), ending = sizeof FILTERS - 1;
        if (length <= ending || length - ending > 400 || strcmp(name + length - ending, FILTERS) != 0) continue;
        char parameter[512];
        snprintf(parameter, sizeof parameter, "%.*s", (int)(length - ending), name);
        psal_status status = apply_parameter(delta, parameter, psal_tensor_map_at(delta, i), model, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}
