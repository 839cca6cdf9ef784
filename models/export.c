/* From a model to a checkpoint. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "models/model_internal.h"

psal_status net_write_metadata(psal_tensor_map *map, const net_arch *arch, const net_options *options,
                               psal_error *err) {
    char width[PSAL_NUMBER_SIZE], epsilon[PSAL_NUMBER_SIZE], classes[16];
    psal_format_double(options->width, width);
    psal_format_double(options->bn_epsilon, epsilon);
    snprintf(classes, sizeof classes, "%d", options->num_classes);
    const struct {
        const char *key, *value;
    } entries[] = {
        {"psal.arch", arch->name},
        {"psal.variant", !arch->has_variants ? "" : options->stride_in_1x1 ? "v1" : "v1.5"},
        {"psal.width", width},
        {"psal.bn_epsilon", epsilon},
        {"psal.num_classes", classes},
        {"psal.transform_input", options->transform_input ? "1" : "0"},
    };
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        psal_status status = psal_tensor_map_set_meta(map, entries[i].key, entries[i].value, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static psal_status copy_metadata(const psal_model *model, psal_tensor_map *map, psal_error *err) {
    for (size_t i = 0; i < psal_tensor_map_meta_count(model->group.tensors); i++) {
        const char *key = psal_tensor_map_meta_key(model->group.tensors, i);
        psal_status status = psal_tensor_map_set_meta(map, key, psal_tensor_map_meta(model->group.tensors, key), err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

/* What of the ONNX file is to be replaced, and the metadata that psal wrote into it. */
static psal_tensor_map *export_onnx(const psal_model *model, const float *const *values, psal_error *err) {
    const psal_tensor_map *file = model->group.checkpoint;
    const float **now = malloc(((size_t)model->list.count + 1) * sizeof *now);
    if (!now) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    for (int i = 0; i < model->list.count; i++) {
        const int parameter = model->parameter_of_entry[i];
        now[i] = values && parameter >= 0 && values[parameter] ? values[parameter] : model->values[i].values;
    }
    psal_tensor_map *map = net_onnx_export(model->onnx, file, &model->list, now, err);
    psal_status status = map ? PSAL_OK : psal_error_status(err);
    free(now);
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_meta_count(file); i++) {
        const char *key = psal_tensor_map_meta_key(file, i);
        if (strncmp(key, "psal.", 5) == 0)
            status = psal_tensor_map_set_meta(map, key, psal_tensor_map_meta(file, key), err);
    }
    if (status == PSAL_OK) return map;
    psal_tensor_map_free(map);
    return NULL;
}

psal_tensor_map *psal_model_export(const psal_model *model, const float *const *values, psal_error *err) {
    if (model->onnx) return export_onnx(model, values, err);
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (copy_metadata(model, map, err) != PSAL_OK) goto failed;
    for (int i = 0; i < model->list.count; i++) {
        const net_tensor *entry = &model->list.tensors[i];
        const int parameter = model->parameter_of_entry[i];
        const float *source = values && parameter >= 0 ? values[parameter] : NULL;
        if (!source && model->values[i].absent) continue;
        if (!source) source = model->values[i].values;
        float *copy = psal_tensor_map_add(map, entry->name, PSAL_F32, &entry->shape, err);
        if (!copy) goto failed;
        memcpy(copy, source, (size_t)psal_shape_count(&entry->shape) * sizeof *source);
    }
    return map;
failed:
    psal_tensor_map_free(map);
    return NULL;
}

psal_tensor_map *psal_model_blank(const char *arch_name, double width, int num_classes, psal_error *err) {
    const net_arch *arch = net_arch_find(arch_name);
    if (!arch) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "unknown architecture '%.60s'", arch_name);
        return NULL;
    }
    if (!(width > 0 && width <= NET_MAX_WIDTH) || num_classes < 1 || num_classes > NET_MAX_CLASSES) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "width %g and %d classes, expected above 0 to %g and 1 to %d", width,
                  num_classes, NET_MAX_WIDTH, NET_MAX_CLASSES);
        return NULL;
    }
    const net_options options = {.width = width,
                                 .channels = 3,
                                 .bn_epsilon = arch->bn_epsilon,
                                 .num_classes = num_classes,
                                 .auxiliary_classes = num_classes};
    net list;
    net_init(&list, NULL, &options);
    net_describe(&list, arch, PSAL_NO_NODE);
    psal_tensor_map *map = psal_tensor_map_new();
    psal_status status = list.error.status;
    if (status != PSAL_OK)
        psal_fail(err, status, "%s: %s", arch_name, list.error.message);
    else if (!map)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else
        status = net_write_metadata(map, arch, &options, err);
    for (int i = 0; status == PSAL_OK && i < list.count; i++) {
        const net_tensor *entry = &list.tensors[i];
        float *added = psal_tensor_map_add(map, entry->name, PSAL_F32, &entry->shape, err);
        if (!added) status = PSAL_ERR_MEMORY;
        if (added && entry->is_variance)
            for (int64_t k = 0; k < entry->shape.dim[0]; k++) added[k] = 1;
    }
    net_clear(&list);
    if (status == PSAL_OK) return map;
    psal_tensor_map_free(map);
    return NULL;
}
