/* Changed weights, in the file's terms. */
#include <stdlib.h>
#include <string.h>

#include "models/onnx_walk.h"

/* Whether the tensor has other numbers than these. */
static psal_status differs(const psal_tensor *tensor, const float *values, bool *changed, psal_error *err) {
    const size_t count = (size_t)psal_shape_count(&tensor->shape);
    if (tensor->dtype == PSAL_F32) {
        *changed = count && memcmp(tensor->data, values, count * sizeof *values) != 0;
        return PSAL_OK;
    }
    float *own = malloc((count + 1) * sizeof *own);
    if (!own) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_tensor_to_f32(tensor, own);
    *changed = count && memcmp(own, values, count * sizeof *values) != 0;
    free(own);
    return PSAL_OK;
}

typedef struct exporting {
    const net_onnx *onnx;
    const float **values; /* [value_count] what a parameter has now; NULL: it is none */
    bool *changed;        /* [value_count] */
    int *origin;          /* [value_count] the value that it is another name for, or itself */
    bool *shared;         /* [value_count] of an origin: one of its names changed */
} exporting;

static void find_origins(exporting *e) {
    const psal_description *d = e->onnx->d;
    for (int v = 0; v < d->value_count; v++) e->origin[v] = v;
    for (size_t i = 0; i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        if (strcmp(o->type, "Identity") == 0 && o->output_count == 1 && o->outputs[0] != PSAL_NO_VALUE &&
            e->onnx->tensors[o->outputs[0]])
            e->origin[o->outputs[0]] = e->origin[o->inputs[0]];
    }
}

static psal_status find_changed(exporting *e, const net *list, const float *const *values, psal_error *err) {
    const net_onnx *onnx = e->onnx;
    for (int v = 0; v < onnx->d->value_count; v++) {
        const psal_tensor *tensor = onnx->tensors[v];
        for (int i = 0; onnx->names[v] && !e->values[v] && i < list->count; i++)
            if (strcmp(list->tensors[i].name, onnx->names[v]) == 0) e->values[v] = values[i];
        if (!e->values[v]) continue;
        const psal_status status = differs(tensor, e->values[v], &e->changed[v], err);
        if (status != PSAL_OK) return status;
        if (e->changed[v] && tensor->dtype != PSAL_F32)
            return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                             "the file keeps '%.200s' as %s: changed weights can be saved where they are float32",
                             onnx->names[v], psal_tensor_type(tensor));
        e->shared[e->origin[v]] |= e->changed[v];
    }
    return PSAL_OK;
}

/* Nobody reads what changed as a constant, which in this graph did not change. */
static psal_status check_readers(const exporting *e, psal_error *err) {
    const psal_description *d = e->onnx->d;
    char title[300];
    for (size_t i = 0; i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        const onnx_operator *known = e->onnx->needed[i] ? onnx_find_operator(o) : NULL;
        for (size_t k = 0; known && k < o->input_count; k++) {
            if (o->inputs[k] == PSAL_NO_VALUE || !e->changed[o->inputs[k]] ||
                (onnx_has_role(e->onnx, known, o, k) && !(known->buffers >> k & 1)))
                continue;
            onnx_title(o, title);
            return psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s also reads '%.200s', as a constant: it cannot be changed",
                             title, d->values[o->inputs[k]]);
        }
    }
    return PSAL_OK;
}

static psal_status add_changed(const exporting *e, const psal_tensor_map *checkpoint, psal_tensor_map *map,
                               psal_error *err) {
    const psal_description *d = e->onnx->d;
    psal_status status = PSAL_OK;
    for (int v = 0; v < d->value_count && status == PSAL_OK; v++) {
        const psal_tensor *tensor = e->onnx->tensors[v];
        const bool other_name = e->origin[v] != v || !psal_tensor_map_get(checkpoint, d->values[v]);
        if (!d->file && tensor && !e->values[v]) { /* a constant of a network that is written whole */
            status = psal_tensor_map_add_view(map, d->values[v], tensor->dtype, &tensor->shape, tensor->data, err);
            continue;
        }
        if (!tensor || !(!d->file || e->changed[v] || (e->shared[e->origin[v]] && other_name))) continue;
        const void *source = e->values[v] ? (const void *)e->values[v] : tensor->data;
        float *copy = psal_tensor_map_add(map, d->values[v], PSAL_F32, &tensor->shape, err);
        if (copy)
            memcpy(copy, source, (size_t)psal_shape_count(&tensor->shape) * sizeof *copy);
        else
            status = psal_error_status(err);
    }
    return status;
}

psal_tensor_map *net_onnx_export(const net_onnx *onnx, const psal_tensor_map *checkpoint, const net *list,
                                 const float *const *values, psal_error *err) {
    const size_t count = (size_t)onnx->d->value_count + 1;
    exporting e = {onnx, calloc(count, sizeof *e.values), calloc(count, sizeof *e.changed),
                   calloc(count, sizeof *e.origin), calloc(count, sizeof *e.shared)};
    psal_tensor_map *map = psal_tensor_map_new();
    psal_status status = PSAL_OK;
    if (!e.values || !e.changed || !e.origin || !e.shared || !map)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK) {
        find_origins(&e);
        status = find_changed(&e, list, values, err);
    }
    if (status == PSAL_OK) status = check_readers(&e, err);
    if (status == PSAL_OK) status = add_changed(&e, checkpoint, map, err);
    if (status == PSAL_OK) psal_tensor_map_describe(map, onnx->d);
    free(e.values);
    free(e.changed);
    free(e.origin);
    free(e.shared);
    if (status == PSAL_OK) return map;
    psal_tensor_map_free(map);
    return NULL;
}
