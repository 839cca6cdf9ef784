#include "saliency/delta.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FILTERS[] = ".filters", VALUES[] = ".values";

psal_shape psal_delta_shape(const psal_model_parameter *parameter, int64_t count) {
    if (parameter->output_axis == 1) return PSAL_SHAPE(count, parameter->shape.dim[0]);
    psal_shape shape = parameter->shape;
    shape.dim[0] = count;
    return shape;
}

/* Write the edited values of one parameter over edited[psal_shape_count], or only check them when it is NULL. */
static psal_status edit_parameter(const psal_tensor_map *delta, const char *name, const psal_model *model,
                                  float *edited, psal_error *err) {
    char filters_name[512], values_name[512];
    snprintf(filters_name, sizeof filters_name, "%s%s", name, FILTERS);
    snprintf(values_name, sizeof values_name, "%s%s", name, VALUES);
    const psal_tensor *filters = psal_tensor_map_get(delta, filters_name),
                      *values = psal_tensor_map_get(delta, values_name);
    int index = psal_model_find_parameter(model, name);
    if (index < 0) return psal_fail(err, PSAL_ERR_SHAPE, "the network has no parameter '%s'", name);
    const psal_model_parameter *parameter = psal_model_get_parameter(model, index);
    const psal_outputs o = psal_parameter_outputs(parameter);
    if (!filters || filters->dtype != PSAL_I64 || filters->shape.ndim != 1)
        return psal_fail(err, PSAL_ERR_FORMAT, "'%s' should be a vector of int64", filters_name);
    int64_t count = filters->shape.dim[0];
    const psal_shape expected = psal_delta_shape(parameter, count);
    if (!values || values->dtype != PSAL_F32 || !psal_shape_equal(&values->shape, &expected)) {
        char text[96];
        return psal_fail(err, PSAL_ERR_SHAPE, "'%s' should be float32 %s", values_name,
                         psal_shape_format(&expected, text, sizeof text));
    }
    const int64_t *numbers = filters->data;
    const float *from = values->data;
    for (int64_t i = 0; i < count; i++)
        if (numbers[i] < 0 || numbers[i] >= o.count || (i > 0 && numbers[i] <= numbers[i - 1]))
            return psal_fail(err, PSAL_ERR_FORMAT, "'%s' should hold ascending numbers below %lld, entry %lld is %lld",
                             filters_name, (long long)o.count, (long long)i, (long long)numbers[i]);
    for (int64_t i = 0; i < count * o.length; i++)
        if (!isfinite(from[i]))
            return psal_fail(err, PSAL_ERR_NUMERIC, "'%s' holds %g", values_name,
                             isnan(from[i]) ? NAN : (double)from[i]);
    for (int64_t i = 0; i < count && edited; i++)
        for (int64_t j = 0; j < o.length; j++) edited[numbers[i] * o.step + j * o.stride] = *from++;
    return PSAL_OK;
}

static psal_status apply_parameter(const psal_tensor_map *delta, const char *name, psal_model *model, psal_error *err) {
    int index = psal_model_find_parameter(model, name);
    const psal_model_parameter *parameter = psal_model_get_parameter(model, index);
    size_t bytes = (size_t)psal_shape_count(&parameter->shape) * sizeof(float);
    float *edited = malloc(bytes);
    if (!edited) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for '%s'", name);
    memcpy(edited, parameter->values, bytes);
    psal_status status = edit_parameter(delta, name, model, edited, err);
    if (status == PSAL_OK) status = psal_model_set_parameter(model, index, edited, err);
    free(edited);
    return status;
}

/* The parameter that tensor `name` belongs to, and whether `name` is the "PARAMETER.filters" of the pair. False for
 * names that a delta does not have. */
static bool split_name(const char *name, char parameter[401], bool *is_filters) {
    size_t length = strlen(name);
    const char *const endings[] = {FILTERS, VALUES};
    for (int i = 0; i < 2; i++) {
        size_t ending = strlen(endings[i]);
        if (length <= ending || length - ending > 400 || strcmp(name + length - ending, endings[i]) != 0) continue;
        memcpy(parameter, name, length - ending);
        parameter[length - ending] = '\0';
        *is_filters = i == 0;
        return true;
    }
    return false;
}

psal_status psal_delta_apply(const psal_tensor_map *delta, psal_model *model, psal_error *err) {
    const char *format = psal_tensor_map_meta(delta, "psal.format"), *arch = psal_tensor_map_meta(delta, "psal.arch");
    const char *fingerprint = psal_tensor_map_meta(delta, "psal.fingerprint");
    const psal_model_info *info = psal_model_get_info(model);
    char parameter[401];
    bool is_filters;
    if (!format || strcmp(format, "delta") != 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "is not a delta of psal-finetune: it has no psal.format = delta");
    if (arch && strcmp(arch, info->arch) != 0)
        return psal_fail(err, PSAL_ERR_SHAPE, "a delta of %s, but the network is %s", arch, info->arch);
    if (fingerprint && strtoull(fingerprint, NULL, 16) != psal_model_fingerprint(model))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a delta made from other weights than these (fingerprint %s)",
                         fingerprint);
    for (size_t i = 0; i < psal_tensor_map_count(delta); i++) { /* everything is checked before anything changes */
        const char *name = psal_tensor_map_name(delta, i);
        if (!split_name(name, parameter, &is_filters))
            return psal_fail(err, PSAL_ERR_FORMAT, "tensor '%s' does not belong into a delta", name);
        psal_status status = edit_parameter(delta, parameter, model, NULL, err);
        if (status != PSAL_OK) return status;
    }
    for (size_t i = 0; i < psal_tensor_map_count(delta); i++) {
        if (!split_name(psal_tensor_map_name(delta, i), parameter, &is_filters) || !is_filters) continue;
        psal_status status = apply_parameter(delta, parameter, model, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}
