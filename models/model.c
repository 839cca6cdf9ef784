/* What a model answers, and its graph. */
#include "models/model.h"

#include <stdlib.h>
#include <string.h>

#include "models/model_internal.h"

/* A batch or side beyond this is a mistake; it keeps products of sizes far from overflowing. */
#define MAX_SIDE 32768
#define MAX_BATCH 65536

void psal_model_free(psal_model *model) {
    if (!model) return;
    for (int i = 0; model->values && i < model->list.count; i++) free(model->values[i].owned);
    free(model->values);
    free(model->parameters);
    free(model->parameter_of_entry);
    free(model->entry_of_parameter);
    for (int units = 0; units < PSAL_UNITS_COUNT; units++) free(model->parameter_of_unit[units]);
    net_clear(&model->list);
    net_group_close(&model->group);
    net_onnx_free(model->onnx);
    psal_tensor_map_free(model->translated);
    free(model);
}

int psal_model_arch_count(void) {
    return net_arch_count();
}

const char *psal_model_arch_name(int index) {
    const net_arch *arch = net_arch_at(index);
    return arch ? arch->name : NULL;
}

const psal_model_info *psal_model_get_info(const psal_model *model) {
    return &model->info;
}

const char *psal_model_metadata(const psal_model *model, const char *key) {
    return psal_tensor_map_meta(model->group.tensors, key);
}

int psal_model_parameter_count(const psal_model *model) {
    return model->parameter_count;
}

const psal_model_parameter *psal_model_get_parameter(const psal_model *model, int index) {
    return index >= 0 && index < model->parameter_count ? &model->parameters[index] : NULL;
}

int psal_model_find_parameter(const psal_model *model, const char *name) {
    for (int i = 0; i < model->parameter_count; i++)
        if (strcmp(model->parameters[i].name, name) == 0) return i;
    return -1;
}

int psal_model_unit_count(const psal_model *model, psal_units units) {
    return model->unit_count[units];
}

const char *psal_units_name(psal_units units) {
    static const char *const names[PSAL_UNITS_COUNT] = {"filters", "rows"};
    return names[units];
}

int psal_model_unit_parameter(const psal_model *model, psal_units units, int64_t unit, int64_t *within) {
    if (unit < 0 || unit >= model->unit_count[units]) return -1;
    const int parameter = model->parameter_of_unit[units][unit];
    if (within) *within = unit - model->parameters[parameter].first_unit[units];
    return parameter;
}

psal_outputs psal_parameter_outputs(const psal_model_parameter *p) {
    const int64_t rows = p->shape.dim[0], length = rows ? psal_shape_count(&p->shape) / rows : 0;
    if (p->output_axis != 1) return (psal_outputs){rows, length, length, 1};
    return (psal_outputs){p->shape.dim[1], rows, 1, p->shape.dim[1]};
}

void psal_model_filter_norm(const psal_model *model, int parameter, int *scale_parameter, int *shift_parameter) {
    *scale_parameter = *shift_parameter = -1;
    if (parameter < 0 || parameter >= model->parameter_count) return;
    const net_tensor *entry = &model->list.tensors[model->entry_of_parameter[parameter]];
    if (entry->norm_scale >= 0) *scale_parameter = model->parameter_of_entry[entry->norm_scale];
    if (entry->norm_shift >= 0) *shift_parameter = model->parameter_of_entry[entry->norm_shift];
}

/* ---- the graph ---- */

static psal_status check_image(const psal_model_info *info, int batch, int height, int width, psal_error *err) {
    if (batch < 1 || batch > MAX_BATCH)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "batch of %d images, expected 1 to %d", batch, MAX_BATCH);
    if (height < info->min_size || width < info->min_size)
        return psal_fail(err, PSAL_ERR_SHAPE, "an image of %d x %d is too small for %s, which takes %d x %d and above",
                         width, height, info->arch, info->min_size, info->min_size);
    if (height > MAX_SIDE || width > MAX_SIDE)
        return psal_fail(err, PSAL_ERR_SHAPE, "an image of %d x %d is too large (%d x %d at most)", width, height,
                         MAX_SIDE, MAX_SIDE);
    return PSAL_OK;
}

/* Fill *network from what was built. One block of nodes: the parameters', then the statistics'. */
static psal_status keep_nodes(const psal_model *model, const net *n, psal_node logits, psal_network *network,
                              psal_error *err) {
    psal_node *nodes = malloc((size_t)n->count * sizeof *nodes);
    psal_network_part *parts = malloc(((size_t)n->part_count + 1) * sizeof *parts);
    int *parameter_part = malloc(((size_t)model->parameter_count + 1) * sizeof *parameter_part);
    network->parameters = nodes;
    network->parts = parts;
    network->parameter_part = parameter_part;
    if (!nodes || !parts || !parameter_part) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_node *statistics = nodes + model->parameter_count;
    for (int i = 0; i < n->count; i++) {
        if (n->tensors[i].is_buffer) {
            *statistics++ = n->tensors[i].node;
        } else {
            *parameter_part++ = n->tensors[i].part;
            *nodes++ = n->tensors[i].node;
        }
    }
    for (int i = 0; i < n->part_count; i++) parts[i] = n->parts[i];
    parts[n->part_count] = (psal_network_part){logits, PSAL_NO_NODE};
    network->part_count = n->part_count + 1;
    network->logits = logits;
    network->statistics = network->parameters + model->parameter_count;
    network->statistics_count = n->count - model->parameter_count;
    return PSAL_OK;
}

static psal_status build(const psal_model *model, psal_graph *graph, int batch, int height, int width, bool in_parts,
                         psal_network *network, psal_error *err) {
    *network = (psal_network){.image = PSAL_NO_NODE, .logits = PSAL_NO_NODE};
    psal_status status = check_image(&model->info, batch, height, width, err);
    if (status != PSAL_OK) return status;
    net n;
    net_init(&n, graph, &model->options);
    n.in_parts = in_parts;
    network->image = psal_input(graph, "image", PSAL_SHAPE(batch, model->options.channels, height, width));
    flow logits = net_describe(&n, model->arch, network->image);
    status = psal_graph_check(graph, err);
    if (status == PSAL_OK && n.error.status != PSAL_OK)
        status = psal_fail(err, n.error.status, "%s: %s", model->info.arch, n.error.message);
    if (status == PSAL_OK) status = keep_nodes(model, &n, logits.node, network, err);
    net_clear(&n);
    if (status != PSAL_OK) psal_network_free(network);
    return status;
}

psal_status psal_model_build(const psal_model *model, psal_graph *graph, int batch, int height, int width,
                             psal_network *network, psal_error *err) {
    return build(model, graph, batch, height, width, false, network, err);
}

psal_status psal_model_build_in_parts(const psal_model *model, psal_graph *graph, int batch, int height, int width,
                                      psal_network *network, psal_error *err) {
    return build(model, graph, batch, height, width, true, network, err);
}

void psal_network_free(psal_network *network) {
    if (!network) return;
    free((void *)(uintptr_t)network->parameters); /* the statistics' are in the same block */
    free((void *)(uintptr_t)network->parts);
    free((void *)(uintptr_t)network->parameter_part);
    *network = (psal_network){.image = PSAL_NO_NODE, .logits = PSAL_NO_NODE};
}

psal_status psal_model_bind(const psal_model *model, const psal_network *network, psal_plan *plan, psal_error *err) {
    const psal_node *parameters = network->parameters, *statistics = network->statistics;
    for (int i = 0; i < model->list.count; i++) {
        psal_node node = model->list.tensors[i].is_buffer ? *statistics++ : *parameters++;
        if (node == PSAL_NO_NODE) continue;
        psal_status status = psal_plan_bind(plan, node, model->values[i].values, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}
