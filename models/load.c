/* From a checkpoint's tensors to a model. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/description.h"
#include "models/group.h"
#include "models/keras.h"
#include "models/keras_layers.h"
#include "models/leftover.h"
#include "models/model_internal.h"
#include "models/recognise.h"
#include "models/values.h"

/* ---- what is in the model ---- */

static psal_status number_units(psal_model *model, psal_units units, psal_error *err) {
    int count = 0;
    for (int i = 0; i < model->parameter_count; i++) {
        psal_model_parameter *p = &model->parameters[i];
        const bool has_units = units == PSAL_UNITS_FILTERS ? p->is_filter : p->output_axis >= 0;
        p->first_unit[units] = has_units ? count : -1;
        if (has_units) count += (int)psal_parameter_outputs(p).count;
    }
    model->unit_count[units] = count;
    int *parameter = model->parameter_of_unit[units] = calloc((size_t)count + 1, sizeof *parameter);
    if (!parameter) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (int i = 0; i < model->parameter_count; i++) {
        const psal_model_parameter *p = &model->parameters[i];
        for (int64_t k = 0; p->first_unit[units] >= 0 && k < psal_parameter_outputs(p).count; k++) *parameter++ = i;
    }
    return PSAL_OK;
}

static psal_status number_parameters(psal_model *model, psal_error *err) {
    const net *list = &model->list;
    const size_t entries = list->count > 0 ? (size_t)list->count : 1;
    model->parameters = calloc(entries, sizeof *model->parameters);
    model->parameter_of_entry = calloc(entries, sizeof *model->parameter_of_entry);
    model->entry_of_parameter = calloc(entries, sizeof *model->entry_of_parameter);
    if (!model->parameters || !model->parameter_of_entry || !model->entry_of_parameter)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");

    int64_t elements = 0;
    for (int i = 0; i < list->count; i++) {
        const net_tensor *entry = &list->tensors[i];
        model->parameter_of_entry[i] = -1;
        if (entry->is_buffer) continue;
        model->parameter_of_entry[i] = model->parameter_count;
        model->entry_of_parameter[model->parameter_count] = i;
        model->parameters[model->parameter_count++] = (psal_model_parameter){.name = entry->name,
                                                                             .shape = entry->shape,
                                                                             .values = model->values[i].values,
                                                                             .is_filter = entry->is_filters,
                                                                             .output_axis = entry->output_axis,
                                                                             .in_graph = entry->in_graph,
                                                                             .first_element = elements};
        elements += psal_shape_count(&entry->shape);
    }
    model->info.parameter_elements = elements;
    psal_status status = number_units(model, PSAL_UNITS_FILTERS, err);
    if (status == PSAL_OK) status = number_units(model, PSAL_UNITS_ROWS, err);
    model->info.filter_count = model->unit_count[PSAL_UNITS_FILTERS];
    return status;
}

/* The info's strings live in the architecture's row and in the tensors' metadata. */
static psal_status fill_info(psal_model *model, psal_error *err) {
    const net_arch *arch = model->arch;
    psal_tensor_map *tensors = model->group.tensors;
    psal_model_info *info = &model->info;
    psal_status status = net_write_metadata(tensors, arch, &model->options, err);
    if (status == PSAL_OK && model->group.origin.preprocess && !psal_tensor_map_meta(tensors, "psal.preprocess"))
        status = psal_tensor_map_set_meta(tensors, "psal.preprocess", model->group.origin.preprocess, err);
    if (status != PSAL_OK) return status;

    const char *preprocess = psal_tensor_map_meta(tensors, "psal.preprocess"),
               *ignored = psal_tensor_map_meta(tensors, "psal.ignored");
    info->arch = arch->name;
    info->family = arch->family;
    info->variant = !arch->has_variants ? "" : model->options.stride_in_1x1 ? "v1" : "v1.5";
    info->width = model->options.width;
    info->bn_epsilon = model->options.bn_epsilon;
    info->has_transform = arch->has_transform;
    info->transform_input = model->options.transform_input;
    info->variant_assumed = model->options.variant_assumed;
    info->bn_epsilon_assumed = model->options.bn_epsilon_assumed;
    info->transform_input_assumed = model->options.transform_input_assumed;
    info->preprocess = preprocess ? preprocess : "";
    info->prefix = model->group.prefix;
    info->ignored = ignored ? ignored : "";
    info->channels = model->options.channels;
    info->num_classes = model->options.num_classes;
    info->native_size = arch->native_size;
    info->min_size = arch->min_size;
    info->norm_folded = model->onnx && net_onnx_is_folded(model->onnx);
    if (model->options.positions) /* that one and no other */
        info->native_size = info->min_size = arch->min_size * (int)(sqrt(model->options.positions - 1) + 0.5);
    return PSAL_OK;
}

/* ---- what the caller leaves out ---- */

static bool names(const char *pattern, const char *name) {
    const size_t length = strlen(pattern);
    return length > 0 && pattern[length - 1] == '.' ? strncmp(name, pattern, length) == 0 : strcmp(name, pattern) == 0;
}

/* [tensors of the checkpoint] whether options->ignore_extra names it, for the caller to free. Each must name
 * something. */
static bool *hide(const psal_tensor_map *checkpoint, const psal_model_options *options, psal_error *err) {
    bool *hidden = calloc(psal_tensor_map_count(checkpoint) + 1, sizeof *hidden);
    if (!hidden) psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (int k = 0; hidden && k < options->ignore_extra_count; k++) {
        bool found = false;
        for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++)
            if (names(options->ignore_extra[k], psal_tensor_map_name(checkpoint, i))) found = hidden[i] = true;
        if (found) continue;
        psal_fail(err, PSAL_ERR_ARGUMENT, "there is no tensor '%.200s' to be left out%s", options->ignore_extra[k],
                  strchr(options->ignore_extra[k], '.') ? "" : " (the beginning of names ends in a '.')");
        free(hidden);
        hidden = NULL;
    }
    return hidden;
}

/* The record of it, which stays with the weights. */
static psal_status record_hidden(psal_model *model, const bool *hidden, psal_error *err) {
    const psal_tensor_map *checkpoint = model->group.checkpoint;
    const size_t count = psal_tensor_map_count(checkpoint);
    bool *shown = calloc(count + 1, sizeof *shown);
    char text[600];
    if (!shown) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) shown[i] = !hidden[i];
    net_name_tensors(checkpoint, shown, text, sizeof text);
    free(shown);
    return *text ? psal_tensor_map_set_meta(model->group.tensors, "psal.ignored", text, err) : PSAL_OK;
}

/* ---- notes ---- */

__attribute__((format(printf, 2, 3))) static void note(char notes[1024], const char *format, ...) {
    const size_t used = strlen(notes);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(notes + used, 1024 - used, format, arguments);
    va_end(arguments);
    for (char *c = notes + used; *c; c++) /* a hostile name must not reach the terminal */
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
}

static const char *separator(const char *notes) {
    return *notes ? "; " : "";
}

/* By name, but for PyTorch's counters, which are in every checkpoint. */
static void note_unused(const psal_model *model, bool *used, char notes[1024]) {
    const psal_tensor_map *checkpoint = model->group.checkpoint;
    static const char counter[] = "num_batches_tracked";
    int64_t others = 0;
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
        const char *name = psal_tensor_map_name(checkpoint, i);
        const size_t length = strlen(name), part = sizeof counter - 1;
        if (used[i]) continue;
        used[i] = length >= part && strcmp(name + length - part, counter) == 0;
        others += !used[i];
    }
    char text[600];
    net_name_tensors(checkpoint, used, text, sizeof text);
    if (others > 0)
        note(notes, "%signored %" PRId64 " tensor%s the network does not use: %s", separator(notes), others,
             others > 1 ? "s" : "", text);
}

/* Whether others have the same names and shapes, and neither the caller nor the file says which it is. */
static bool is_assumed(const psal_model *model, const psal_model_options *options) {
    const char *recorded = psal_tensor_map_meta(model->group.checkpoint, "psal.arch");
    return model->arch->assumed && !(options->arch && *options->arch) &&
           !(recorded && strcmp(recorded, model->arch->name) == 0);
}

static psal_status write_notes(const psal_model *model, const char *remarks, int folded, const bool *hidden,
                               char notes[1024], psal_error *err) {
    if (model->onnx) { /* other tensors of the file are the constants of its operators */
        note(notes, "%s%s", remarks, *remarks && model->info.norm_folded ? "; " : "");
        if (model->info.norm_folded)
            note(notes,
                 "the exporter has folded batch normalisation into the convolutions: naive profiles and statistics "
                 "are not those of the original network; torch.onnx.export(..., " NET_ONNX_KEPT
                 ") after model.eval() keeps it");
        return PSAL_OK;
    }
    int64_t filters = 0;
    for (int i = 0; i < model->list.count; i++)
        if (model->values[i].absent && model->list.tensors[i].is_filters)
            filters += model->list.tensors[i].shape.dim[0];
    bool *used = net_used(&model->group, &model->list);
    if (!used) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (*model->info.ignored) {
        bool now = false;
        for (size_t i = 0; !now && i < psal_tensor_map_count(model->group.checkpoint); i++) now = hidden[i];
        note(notes, "%s: %s", now ? "left out as asked" : "tensors were left out when this file was made",
             model->info.ignored);
    }
    if (*remarks) note(notes, "%s%s", separator(notes), remarks);
    if (model->info.arch_assumed)
        note(notes, "%sassumed that %s (%s)", separator(notes), model->arch->assumed, model->arch->name);
    if (folded > 0)
        note(notes, "%sfolded the bias%s of %d convolution%s into the running mean%s of the normalisation%s behind",
             separator(notes), folded > 1 ? "es" : "", folded, folded > 1 ? "s" : "", folded > 1 ? "s" : "",
             folded > 1 ? "s" : "");
    if (filters > 0)
        note(notes, "%sthe checkpoint has no auxiliary classifier: its %" PRId64 " filters are zero", separator(notes),
             filters);
    note_unused(model, used, notes);
    free(used);
    return PSAL_OK;
}

/* ---- all of it ---- */

static psal_model *make(net_found *found, net_onnx *onnx, const psal_model_options *options, const bool *hidden,
                        char notes[1024], psal_error *err) {
    int folded;
    psal_model *model = calloc(1, sizeof *model);
    if (!model) {
        net_clear(&found->candidate.list);
        net_group_close(&found->group);
        net_onnx_free(onnx);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    model->onnx = onnx;
    model->group = found->group;
    model->arch = found->candidate.arch;
    model->options = found->candidate.options;
    model->list = found->candidate.list;
    model->info.one_of_several = found->one_of_several;
    model->info.doubtful = found->doubtful || found->group.doubtful;
    model->info.arch_assumed = is_assumed(model, options);
    if (net_take_values(model, &folded, err) == PSAL_OK && net_check_values(model, err) == PSAL_OK &&
        number_parameters(model, err) == PSAL_OK && record_hidden(model, hidden, err) == PSAL_OK &&
        fill_info(model, err) == PSAL_OK &&
        (!notes || write_notes(model, found->remarks, folded, hidden, notes, err) == PSAL_OK)) {
        model->group.hidden = NULL; /* it ends with loading */
        return model;
    }
    psal_model_free(model);
    return NULL;
}

/* A network that the checkpoint describes in ONNX's operators. */
static psal_model *load_onnx(const psal_tensor_map *checkpoint, const psal_model_options *options, const char *remarks,
                             net_found *found, char notes[1024], psal_error *err) {
    bool *hidden = hide(checkpoint, options, err);
    net_onnx *onnx = hidden ? net_onnx_open(checkpoint, options, found, err) : NULL;
    psal_model *model = NULL;
    if (onnx) {
        const size_t used = strlen(found->remarks);
        snprintf(found->remarks + used, sizeof found->remarks - used, "%s%s", used && *remarks ? "; " : "", remarks);
        model = make(found, onnx, options, hidden, notes, err);
    }
    free(hidden);
    return model;
}

/* A network of one of the table's architectures, known by its tensors' names. */
static psal_model *load_named(const psal_tensor_map *checkpoint, const psal_model_options *options, net_found *found,
                              char notes[1024], psal_error *err) {
    bool *hidden = hide(checkpoint, options, err);
    psal_model *model = NULL;
    if (hidden && net_find(checkpoint, hidden, options, found, err) == PSAL_OK)
        model = make(found, NULL, options, hidden, notes, err);
    free(hidden);
    return model;
}

/* Keras' ResNets are known by their names and become torchvision's; other networks are what their layers say. */
static psal_model *load_keras(const psal_tensor_map *checkpoint, const psal_model_options *options, net_found *found,
                              char notes[1024], psal_error *err) {
    bool has_names = false;
    for (size_t i = 0; !has_names && i < psal_tensor_map_count(checkpoint); i++)
        has_names = net_is_keras_name(psal_tensor_map_name(checkpoint, i));
    const bool wishes = options->arch || options->variant || options->bn_epsilon != 0 || options->transform_input > 0 ||
                        options->ignore_extra_count;
    psal_error why = PSAL_ERROR_INIT;
    if (wishes || (has_names && net_keras_may_be_resnet(checkpoint))) {
        psal_model *model = load_named(checkpoint, options, found, notes, wishes ? err : &why);
        if (model || wishes || why.status == PSAL_ERR_MEMORY) {
            if (!model && !wishes) psal_fail(err, why.status, "%s", why.message);
            return model;
        }
    }
    char remarks[300];
    psal_tensor_map *translated = net_keras_translate(checkpoint, remarks, err);
    if (!translated) return NULL;
    psal_model *model = load_onnx(translated, options, remarks, found, notes, err);
    if (model)
        model->translated = translated;
    else
        psal_tensor_map_free(translated);
    return model;
}

psal_model *psal_model_load(const psal_tensor_map *checkpoint, const psal_model_options *options, char notes[1024],
                            psal_error *err) {
    static const psal_model_options nothing_wanted = {0};
    const psal_description *description = psal_tensor_map_description(checkpoint);
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local; /* the steps below pass their status through it */
    if (!options) options = &nothing_wanted;
    if (notes) *notes = '\0';
    if (psal_tensor_map_count(checkpoint) == 0 && !description) {
        psal_fail(err, PSAL_ERR_FORMAT, "the checkpoint holds no tensors");
        return NULL;
    }
    net_found *found = malloc(sizeof *found);
    if (!found) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    psal_model *model = !description ? load_named(checkpoint, options, found, notes, err)
                        : description->form == PSAL_DESCRIPTION_KERAS
                            ? load_keras(checkpoint, options, found, notes, err)
                            : load_onnx(checkpoint, options, "", found, notes, err);
    free(found);
    return model;
}
