#include "saliency/edit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/delta.h"

typedef struct changed_row {
    int parameter;
    int64_t row;
} changed_row;

struct psal_edit {
    const psal_model *model;
    int parameters;
    float **memory;        /* [parameters]: a copy once touched; equal to the model's but for the changed rows */
    const float **values;  /* [parameters]: memory where something is changed now, else NULL */
    unsigned char **marks; /* [parameters][rows]: whether the row is in `rows` */
    changed_row *rows;
    size_t row_count, row_capacity;
};

psal_edit *psal_edit_new(const psal_model *model, psal_error *err) {
    psal_edit *edit = calloc(1, sizeof *edit);
    size_t n = (size_t)psal_model_parameter_count(model) + 1;
    if (edit) {
        edit->model = model;
        edit->parameters = (int)n - 1;
        edit->memory = calloc(n, sizeof *edit->memory);
        edit->values = calloc(n, sizeof *edit->values);
        edit->marks = calloc(n, sizeof *edit->marks);
        if (edit->memory && edit->values && edit->marks) return edit;
    }
    psal_edit_free(edit);
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an edit of %zu parameters", n - 1);
    return NULL;
}

void psal_edit_free(psal_edit *edit) {
    if (!edit) return;
    for (int i = 0; i < edit->parameters; i++) {
        if (edit->memory) free(edit->memory[i]);
        if (edit->marks) free(edit->marks[i]);
    }
    free(edit->memory);
    free(edit->values);
    free(edit->marks);
    free(edit->rows);
    free(edit);
}

void psal_edit_reset(psal_edit *edit) {
    for (size_t i = 0; i < edit->row_count; i++) {
        changed_row c = edit->rows[i];
        const psal_model_parameter *p = psal_model_get_parameter(edit->model, c.parameter);
        const psal_outputs o = psal_parameter_outputs(p);
        for (int64_t j = 0, at = c.row * o.step; j < o.length; j++, at += o.stride)
            edit->memory[c.parameter][at] = p->values[at];
        edit->marks[c.parameter][c.row] = 0;
        edit->values[c.parameter] = NULL;
    }
    edit->row_count = 0;
}

static psal_status touch_parameter(psal_edit *edit, int parameter, const psal_model_parameter *p, psal_error *err) {
    size_t bytes = (size_t)psal_shape_count(&p->shape) * sizeof(float);
    if (!edit->marks[parameter]) edit->marks[parameter] = calloc((size_t)psal_parameter_outputs(p).count, 1);
    if (!edit->memory[parameter] && (edit->memory[parameter] = malloc(bytes)))
        memcpy(edit->memory[parameter], p->values, bytes);
    if (edit->marks[parameter] && edit->memory[parameter]) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an edit of '%s'", p->name);
}

psal_status psal_edit_row(psal_edit *edit, int parameter, int64_t row, psal_edit_weights *weights, psal_error *err) {
    const psal_model_parameter *p = psal_model_get_parameter(edit->model, parameter);
    if (!p || p->shape.ndim < 1 || row < 0 || row >= psal_parameter_outputs(p).count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "no row %lld in parameter %d%s%s", (long long)row, parameter,
                         p ? ", " : "", p ? p->name : "");
    psal_status status = touch_parameter(edit, parameter, p, err);
    if (status != PSAL_OK) return status;
    if (!edit->marks[parameter][row]) {
        if (edit->row_count == edit->row_capacity) {
            size_t capacity = edit->row_capacity ? 2 * edit->row_capacity : 64;
            changed_row *rows = realloc(edit->rows, capacity * sizeof *rows);
            if (!rows) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an edit of %zu filters", capacity);
            edit->rows = rows;
            edit->row_capacity = capacity;
        }
        edit->rows[edit->row_count++] = (changed_row){parameter, row};
        edit->marks[parameter][row] = 1;
        edit->values[parameter] = edit->memory[parameter];
    }
    const psal_outputs o = psal_parameter_outputs(p);
    *weights = (psal_edit_weights){edit->memory[parameter] + row * o.step, o.length, o.stride};
    return PSAL_OK;
}

psal_status psal_edit_unit(psal_edit *edit, psal_units units, int64_t unit, psal_edit_weights *weights,
                           psal_error *err) {
    int64_t row;
    const int parameter = psal_model_unit_parameter(edit->model, units, unit, &row);
    if (parameter >= 0) return psal_edit_row(edit, parameter, row, weights, err);
    const char *name = psal_units_name(units);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%.*s %lld: the network has %s 0 to %d", (int)strlen(name) - 1, name,
                     (long long)unit, name, psal_model_unit_count(edit->model, units) - 1);
}

const float *const *psal_edit_values(const psal_edit *edit) {
    return edit->values;
}

psal_edit_size psal_edit_measure(const psal_edit *edit) {
    psal_edit_size size = {.rows = (int64_t)edit->row_count};
    double change = 0, before = 0;
    for (size_t i = 0; i < edit->row_count; i++) {
        changed_row c = edit->rows[i];
        const psal_model_parameter *p = psal_model_get_parameter(edit->model, c.parameter);
        const psal_outputs o = psal_parameter_outputs(p);
        for (int64_t j = 0, at = c.row * o.step; j < o.length; j++, at += o.stride) {
            double old = p->values[at], difference = (double)edit->memory[c.parameter][at] - old;
            change += difference * difference;
            before += old * old;
        }
        size.elements += o.length;
    }
    size.change = sqrt(change);
    size.relative = change > 0 ? sqrt(change / before) : 0;
    return size;
}

psal_status psal_edit_check(const psal_edit *edit, psal_error *err) {
    for (size_t i = 0; i < edit->row_count; i++) {
        changed_row c = edit->rows[i];
        const psal_model_parameter *p = psal_model_get_parameter(edit->model, c.parameter);
        const psal_outputs o = psal_parameter_outputs(p);
        for (int64_t j = 0; j < o.length; j++)
            if (!isfinite(edit->memory[c.parameter][c.row * o.step + j * o.stride]))
                return psal_fail(err, PSAL_ERR_NUMERIC, "%s %lld of '%s' is no longer finite",
                                 p->is_filter ? "filter" : "row", (long long)c.row, p->name);
    }
    return PSAL_OK;
}

/* "P.filters" and "P.values" of one parameter. */
static psal_status add_parameter(const psal_edit *edit, int parameter, psal_tensor_map *delta, psal_error *err) {
    const psal_model_parameter *p = psal_model_get_parameter(edit->model, parameter);
    const psal_outputs o = psal_parameter_outputs(p);
    int64_t count = 0;
    for (int64_t row = 0; row < o.count; row++) count += edit->marks[parameter][row];
    char name[1024];
    snprintf(name, sizeof name, "%s.filters", p->name);
    psal_shape shape = PSAL_SHAPE(count);
    int64_t *numbers = psal_tensor_map_add(delta, name, PSAL_I64, &shape, err);
    if (!numbers) return psal_error_status(err);
    snprintf(name, sizeof name, "%s.values", p->name);
    shape = psal_delta_shape(p, count);
    float *to = psal_tensor_map_add(delta, name, PSAL_F32, &shape, err);
    if (!to) return psal_error_status(err);
    for (int64_t row = 0; row < o.count; row++) {
        if (!edit->marks[parameter][row]) continue;
        *numbers++ = row;
        for (int64_t j = 0; j < o.length; j++) *to++ = edit->memory[parameter][row * o.step + j * o.stride];
    }
    return PSAL_OK;
}

psal_tensor_map *psal_edit_delta(const psal_edit *edit, psal_error *err) {
    psal_tensor_map *delta = psal_tensor_map_new();
    if (!delta) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a delta");
        return NULL;
    }
    char fingerprint[32];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_model_fingerprint(edit->model));
    psal_status status = psal_tensor_map_set_meta(delta, "psal.format", "delta", err);
    if (status == PSAL_OK)
        status = psal_tensor_map_set_meta(delta, "psal.arch", psal_model_get_info(edit->model)->arch, err);
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(delta, "psal.fingerprint", fingerprint, err);
    for (int i = 0; i < edit->parameters && status == PSAL_OK; i++)
        if (edit->values[i]) status = add_parameter(edit, i, delta, err);
    if (status == PSAL_OK) return delta;
    psal_tensor_map_free(delta);
    return NULL;
}
