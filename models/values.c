#include "models/values.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/clones.h"

/* ---- a convolution's bias ---- */

const char *net_extra_bias(const net *list, int weight, const psal_tensor_map *tensors, char name[NET_NAME]) {
    const net_tensor *convolution = &list->tensors[weight];
    if (convolution->shape.ndim != 4 || strlen(convolution->name) >= NET_NAME) return NULL;
    strcpy(name, convolution->name);
    strcpy(strrchr(name, '.') + 1, "bias"); /* shorter than "weight" */
    if (weight + 1 < list->count && strcmp(list->tensors[weight + 1].name, name) == 0) return NULL;
    return psal_tensor_map_get(tensors, name) ? name : NULL;
}

/* mean -= bias, for the normalisation that takes the output of convolution `weight` */
static psal_status fold_bias(psal_model *model, int weight, const char *name, psal_error *err) {
    const psal_tensor *bias = psal_tensor_map_get(model->group.tensors, name);
    const char *original = net_original_name(&model->group, name);
    const int mean = model->list.tensors[weight].norm_mean;
    if (mean < 0)
        return psal_fail(
            err, PSAL_ERR_UNSUPPORTED,
            "tensor '%s' is not zero, and no normalisation takes the output of this convolution alone: the bias "
            "cannot be folded into one",
            original);
    const net_tensor *entry = &model->list.tensors[mean];
    const size_t count = (size_t)psal_shape_count(&entry->shape);
    double *values = net_doubles(bias), *means = net_doubles(psal_tensor_map_get(model->group.tensors, entry->name));
    net_values *own = &model->values[mean];
    if (!own->owned) own->values = own->owned = malloc(count * sizeof(float));
    const bool good = values && means && own->owned;
    for (size_t k = 0; good && k < count; k++) own->owned[k] = (float)(means[k] - values[k]);
    free(values);
    free(means);
    return good ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "tensor '%s': out of memory", original);
}

static psal_status fold_biases(psal_model *model, int *folded, psal_error *err) {
    char name[NET_NAME];
    for (int i = 0; i < model->list.count; i++) {
        if (!net_extra_bias(&model->list, i, model->group.tensors, name)) continue;
        const psal_tensor *bias = psal_tensor_map_get(model->group.tensors, name);
        const net_tensor *convolution = &model->list.tensors[i];
        char text[96];
        if (bias->shape.ndim != 1 || bias->shape.dim[0] != convolution->shape.dim[0])
            return psal_fail(err, PSAL_ERR_SHAPE, "tensor '%s' has shape %s, but '%s' has %d outputs",
                             net_original_name(&model->group, name), psal_shape_format(&bias->shape, text, sizeof text),
                             net_original_name(&model->group, convolution->name), (int)convolution->shape.dim[0]);
        if (!net_is_weight(bias)) return net_refuse_type(net_original_name(&model->group, name), bias, err);
        if (net_all_equal(bias, 0)) continue;
        psal_status status = fold_bias(model, i, name, err);
        if (status != PSAL_OK) return status;
        ++*folded;
    }
    return PSAL_OK;
}

/* ---- all entries ---- */

psal_status net_take_values(psal_model *model, int *folded, psal_error *err) {
    model->values = calloc((size_t)model->list.count, sizeof *model->values);
    if (!model->values) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (int i = 0; i < model->list.count; i++) {
        const net_tensor *entry = &model->list.tensors[i];
        const psal_tensor *tensor = psal_tensor_map_get(model->group.tensors, entry->name);
        net_values *values = &model->values[i];
        if (tensor && tensor->dtype == PSAL_F32 && (uintptr_t)tensor->data % sizeof(float) == 0) {
            values->values = tensor->data;
            continue;
        }
        const int64_t count = psal_shape_count(&entry->shape);
        values->values = values->owned = calloc((size_t)count, sizeof(float));
        values->absent = !tensor;
        if (!values->owned)
            return psal_fail(err, PSAL_ERR_MEMORY, "tensor '%s': out of memory (%" PRId64 " floats)", entry->name,
                             count);
    }
    int failed = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : failed)
    for (int i = 0; i < model->list.count; i++) {
        const net_values *values = &model->values[i];
        if (values->owned && !values->absent)
            failed += !net_floats_to(psal_tensor_map_get(model->group.tensors, model->list.tensors[i].name),
                                     values->owned);
    }
    if (failed) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    *folded = 0;
    return model->onnx ? PSAL_OK : fold_biases(model, folded, err);
}

/* ---- NaN and infinity ---- */

/* Floats checked at a time by one thread; small enough to be shared out evenly. */
#define CHUNK ((int64_t)1 << 18)

/* Exponent bits all set: infinity or NaN (IEEE 754), the largest of all bit patterns but for the
 * sign. Without branches, for the vectoriser. */
PSAL_CLONES static bool any_nonfinite(const float *values, int64_t count) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    return largest >= 0x7f800000u;
}

typedef struct chunk {
    int entry;
    int64_t first, count;
} chunk;

/* All values in chunks, for the caller to free. */
static chunk *cut(const psal_model *model, int64_t *count) {
    *count = 0;
    for (int i = 0; i < model->list.count; i++) *count += psal_shape_count(&model->list.tensors[i].shape) / CHUNK + 1;
    chunk *chunks = calloc((size_t)*count, sizeof *chunks);
    int64_t at = 0;
    for (int i = 0; chunks && i < model->list.count; i++) {
        const int64_t total = psal_shape_count(&model->list.tensors[i].shape);
        for (int64_t first = 0; first <= total; first += CHUNK, at++)
            chunks[at] = (chunk){i, first, total - first < CHUNK ? total - first : CHUNK};
    }
    return chunks;
}

static psal_status name_nonfinite(const psal_model *model, chunk c, psal_error *err) {
    const float *values = model->values[c.entry].values;
    int64_t at = c.first;
    while (!any_nonfinite(&values[at], 1)) at++;
    return psal_fail(err, PSAL_ERR_NUMERIC, "tensor '%s' holds %f at index %" PRId64, model->list.tensors[c.entry].name,
                     isnan(values[at]) ? NAN : (double)values[at], at); /* never "-nan" */
}

static psal_status check_finite(const psal_model *model, psal_error *err) {
    int64_t count;
    chunk *chunks = cut(model, &count);
    if (!chunks) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    int64_t worst = count; /* the first bad chunk, so that the message does not depend on threads */
#pragma omp parallel for schedule(dynamic, 4) reduction(min : worst)
    for (int64_t i = 0; i < count; i++) {
        const float *values = model->values[chunks[i].entry].values;
        if (i < worst && any_nonfinite(values + chunks[i].first, chunks[i].count)) worst = i;
    }
    psal_status status = worst < count ? name_nonfinite(model, chunks[worst], err) : PSAL_OK;
    free(chunks);
    return status;
}

static psal_status check_variances(const psal_model *model, psal_error *err) {
    for (int i = 0; i < model->list.count; i++) {
        const net_tensor *tensor = &model->list.tensors[i];
        if (!tensor->is_variance) continue;
        for (int64_t k = 0; k < tensor->shape.dim[0]; k++)
            if (model->values[i].values[k] < 0)
                return psal_fail(err, PSAL_ERR_NUMERIC, "tensor '%s' holds the negative variance %g at index %" PRId64,
                                 tensor->name, (double)model->values[i].values[k], k);
    }
    return PSAL_OK;
}

psal_status net_check_values(const psal_model *model, psal_error *err) {
    psal_status status = check_finite(model, err);
    return status == PSAL_OK ? check_variances(model, err) : status;
}
