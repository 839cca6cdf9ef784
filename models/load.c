/* From a checkpoint's tensors to a model. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file_values.h"
#include "engine/kernels/clones.h"
#include "models/model_internal.h"
#include "models/recognise.h"
#include "models/rename.h"

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
                     (double)values[at], at);
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
        psal_file_values_passed(values, (size_t)chunks[i].first * sizeof *values,
                                (size_t)chunks[i].count * sizeof *values);
    }
    psal_status status = worst < count ? name_nonfinite(model, chunks[worst], err) : PSAL_OK;
    free(chunks);
    return status;
}

static psal_status check_variances(const psal_model *model, psal_error *err) {
    static const char variance[] = "running_var";
    for (int i = 0; i < model->list.count; i++) {
        const net_tensor *tensor = &model->list.tensors[i];
        const size_t length = strlen(tensor->name), part = sizeof variance - 1;
        if (length < part || strcmp(tensor->name + length - part, variance) != 0) continue;
        for (int64_t k = 0; k < tensor->shape.dim[0]; k++)
            if (model->values[i].values[k] < 0)
                return psal_fail(err, PSAL_ERR_NUMERIC, "tensor '%s' holds the negative variance %g at index %" PRId64,
                                 tensor->name, (double)model->values[i].values[k], k);
    }
    return PSAL_OK;
}

/* ---- values ---- */

/* psal_tensor_to_f32 reads elements where they are; a file may have put them anywhere. False when
 * out of memory. */
static bool convert(const psal_tensor *tensor, float *dst) {
    const size_t size = psal_dtype_size(tensor->dtype);
    const size_t bytes = (size_t)psal_shape_count(&tensor->shape) * size;
    psal_tensor aligned = *tensor;
    void *copy = NULL;
    if (tensor->dtype != PSAL_F32 && (uintptr_t)tensor->data % size != 0) {
        copy = malloc(bytes);
        if (!copy) return false;
        aligned.data = memcpy(copy, tensor->data, bytes);
    }
    psal_tensor_to_f32(&aligned, dst);
    free(copy);
    return true;
}

/* Point every entry of the list at float32 values: the checkpoint's own where they can be used. */
static psal_status take_values(psal_model *model, psal_error *err) {
    model->values = calloc((size_t)model->list.count, sizeof *model->values);
    if (!model->values) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (int i = 0; i < model->list.count; i++) {
        const net_tensor *entry = &model->list.tensors[i];
        const psal_tensor *tensor = psal_tensor_map_get(model->tensors, entry->name);
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
            failed += !convert(psal_tensor_map_get(model->tensors, model->list.tensors[i].name), values->owned);
    }
    return failed ? psal_fail(err, PSAL_ERR_MEMORY, "out of memory") : PSAL_OK;
}

/* ---- what is in the model ---- */

static psal_status number_parameters(psal_model *model, psal_error *err) {
    const net *list = &model->list;
    const size_t entries = list->count > 0 ? (size_t)list->count : 1;
    model->parameters = calloc(entries, sizeof *model->parameters);
    model->parameter_of_entry = calloc(entries, sizeof *model->parameter_of_entry);
    model->entry_of_parameter = calloc(entries, sizeof *model->entry_of_parameter);
    if (!model->parameters || !model->parameter_of_entry || !model->entry_of_parameter)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");

    int filters = 0;
    int64_t elements = 0;
    for (int i = 0; i < list->count; i++) {
        const net_tensor *entry = &list->tensors[i];
        model->parameter_of_entry[i] = -1;
        if (entry->is_buffer) continue;
        const bool is_filter = entry->shape.ndim == 4;
        model->parameter_of_entry[i] = model->parameter_count;
        model->entry_of_parameter[model->parameter_count] = i;
        model->parameters[model->parameter_count++] = (psal_model_parameter){.name = entry->name,
                                                                             .shape = entry->shape,
                                                                             .values = model->values[i].values,
                                                                             .is_filter = is_filter,
                                                                             .in_graph = entry->in_graph,
                                                                             .first_filter = is_filter ? filters : -1,
                                                                             .first_element = elements};
        if (is_filter) filters += (int)entry->shape.dim[0];
        elements += psal_shape_count(&entry->shape);
    }
    model->info.filter_count = filters;
    model->info.parameter_elements = elements;

    model->parameter_of_filter = calloc((size_t)filters, sizeof *model->parameter_of_filter);
    if (!model->parameter_of_filter) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (int p = 0; p < model->parameter_count; p++)
        for (int k = 0; model->parameters[p].is_filter && k < model->parameters[p].shape.dim[0]; k++)
            model->parameter_of_filter[model->parameters[p].first_filter + k] = p;
    return PSAL_OK;
}

/* The info's strings live in the architecture's row and in the tensors' metadata. */
static psal_status fill_info(psal_model *model, const net_origin *origin, psal_error *err) {
    const net_arch *arch = model->arch;
    psal_model_info *info = &model->info;
    psal_status status = net_write_metadata(model->tensors, arch, &model->options, err);
    if (status == PSAL_OK && origin->preprocess && !psal_tensor_map_meta(model->tensors, "psal.preprocess"))
        status = psal_tensor_map_set_meta(model->tensors, "psal.preprocess", origin->preprocess, err);
    if (status != PSAL_OK) return status;

    const char *preprocess = psal_tensor_map_meta(model->tensors, "psal.preprocess");
    info->arch = arch->name;
    info->family = arch->family;
    info->variant = !arch->has_variants ? "" : model->options.stride_in_1x1 ? "v1" : "v1.5";
    info->width = model->options.width;
    info->bn_epsilon = model->options.bn_epsilon;
    info->transform_input = model->options.transform_input;
    info->preprocess = preprocess ? preprocess : "";
    info->num_classes = model->options.num_classes;
    info->native_size = arch->native_size;
    info->min_size = arch->min_size;
    return PSAL_OK;
}

/* ---- notes ---- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), part = strlen(end);
    return length >= part && strcmp(text + length - part, end) == 0;
}

__attribute__((format(printf, 2, 3))) static void note(char notes[1024], const char *format, ...) {
    const size_t used = strlen(notes);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(notes + used, 1024 - used, format, arguments);
    va_end(arguments);
    for (char *c = notes + used; *c; c++) /* a hostile name must not reach the terminal */
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
}

/* PyTorch's counters are in every checkpoint and told in passing; other tensors by name. */
static void write_notes(const psal_model *model, char notes[1024]) {
    const psal_tensor_map *tensors = model->tensors;
    const size_t total = psal_tensor_map_count(tensors);
    int64_t used = 0, counters = 0, filters = 0;
    for (int i = 0; i < model->list.count; i++) {
        const net_tensor *entry = &model->list.tensors[i];
        if (!model->values[i].absent)
            used++;
        else if (entry->shape.ndim == 4)
            filters += entry->shape.dim[0];
    }
    for (size_t i = 0; i < total; i++) counters += ends_with(psal_tensor_map_name(tensors, i), "num_batches_tracked");
    const int64_t others = (int64_t)total - used - counters;

    if (filters > 0)
        note(notes, "the checkpoint has no auxiliary classifier: its %" PRId64 " filters are zero", filters);
    if (counters + others == 0) return;
    note(notes, "%signored ", *notes ? "; " : "");
    if (counters > 0) note(notes, "%" PRId64 " num_batches_tracked", counters);
    if (others == 0) return;
    note(notes, "%s%" PRId64 " tensor%s the network does not use (", counters ? " and " : "", others,
         others > 1 ? "s" : "");
    int named = 0;
    for (size_t i = 0; i < total && named < 4; i++) {
        const char *name = psal_tensor_map_name(tensors, i);
        bool known = ends_with(name, "num_batches_tracked");
        for (int k = 0; k < model->list.count && !known; k++) known = strcmp(model->list.tensors[k].name, name) == 0;
        if (known) continue;
        note(notes, "%s'%.80s'", named++ ? ", " : "", name);
    }
    note(notes, "%s)", named < others ? ", ..." : "");
}

psal_model *psal_model_load(const psal_tensor_map *checkpoint, const psal_model_options *options, char notes[1024],
                            psal_error *err) {
    net_origin origin;
    net_recognised found;
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local; /* the steps below pass their status through it */
    if (notes) *notes = '\0';
    psal_tensor_map *tensors = net_rename(checkpoint, &origin, err);
    if (!tensors) return NULL;
    if (net_recognise(tensors, options, &origin, &found, err) != PSAL_OK) {
        psal_tensor_map_free(tensors);
        return NULL;
    }
    psal_model *model = calloc(1, sizeof *model);
    if (!model) {
        net_clear(&found.list);
        psal_tensor_map_free(tensors);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    model->arch = found.arch;
    model->options = found.options;
    model->list = found.list;
    model->tensors = tensors;
    if (take_values(model, err) == PSAL_OK && check_finite(model, err) == PSAL_OK &&
        check_variances(model, err) == PSAL_OK && number_parameters(model, err) == PSAL_OK &&
        fill_info(model, &origin, err) == PSAL_OK) {
        if (notes) write_notes(model, notes);
        return model;
    }
    psal_model_free(model);
    return NULL;
}
