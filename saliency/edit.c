#include "saliency/edit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Elements of one row of a parameter. */
static int64_t row_length(const psal_model_parameter *p) {
    return psal_shape_count(&p->shape) / p->shape.dim[0];
}

void psal_edit_reset(psal_edit *edit) {
    for (size_t i = 0; i < edit->row_count; i++) {
        changed_row c = edit->rows[i];
        const psal_model_parameter *p = psal_model_get_parameter(edit->model, c.parameter);
        int64_t length = row_length(p);
        memcpy(edit->memory[c.parameter] + c.row * length, p->values + c.row * length, (size_t)length * sizeof(float));
        edit->marks[c.parameter][c.row] = 0;
        edit->values[c.parameter] = NULL;
    }
    edit->row_count = 0;
}

static psal_status touch_parameter(psal_edit *edit, int parameter, const psal_model_parameter *p, psal_error *err) {
    size_t bytes = (size_t)psal_shape_count(&p->shape) * sizeof(float);
    if (!edit->marks[parameter]) edit->marks[parameter] = calloc((size_t)p->shape.dim[0], 1);
    if (!edit->memory[parameter] && (edit->memory[parameter] = malloc(bytes)))
        memcpy(edit->memory[parameter], p->values, bytes);
    if (edit->marks[parameter] && edit->memory[parameter]) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an edit of '%s'", p->name);
}

float *psal_edit_row(psal_edit *edit, int parameter, int64_t row, int64_t *length, psal_error *err) {
    const psal_model_parameter *p = psal_model_get_parameter(edit->model, parameter);
    if (!p || p->shape.ndim < 1 || row < 0 || row >= p->shape.dim[0]) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "no row %lld in parameter %d%s%s", (long long)row, parameter, p ? ", " : "",
                  p ? p->name : "");
        return NULL;
    }
    if (touch_parameter(edit, parameter, p, err) != PSAL_OK) return NULL;
    if (!edit->marks[parameter][row]) {
        if (edit->row_count == edit->row_capacity) {
            size_t capacity = edit->row_capacity ? 2 * edit->row_capacity : 64;
            changed_row *rows = realloc(edit->rows, capacity * sizeof *rows);
            if (!rows) {
                psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an edit of %zu filters", capacity);
                return NULL;
            }
            edit->rows = rows;
            edit->row_capacity = capacity;
        }
        edit->rows[edit->row_count++] = (changed_row){parameter, row};
        edit->marks[parameter][row] = 1;
        edit->values[parameter] = edit->memory[parameter];
    }
    if (length) *length = row_length(p);
    return edit->memory[parameter] + row * row_length(p);
}

float *psal_edit_filter(psal_edit *edit, int64_t filter, int64_t *length, psal_error *err) {
    int filters = psal_model_get_info(edit->model)->filter_count;
    if (filter < 0 || filter >= filters) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "filter %lld: the network has filters 0 to %d", (long long)filter,
                  filters - 1);
        return NULL;
    }
    int parameter = psal_model_filter_parameter(edit->model, (int)filter);
    return psal_edit_row(edit, parameter, filter - psal_model_get_parameter(edit->model, parameter)->first_filter,
                         length, err);
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
        int64_t length = row_length(p), first = c.row * length;
        for (int64_t j = first; j < first + length; j++) {
            double old = p->values[j], difference = (double)edit->memory[c.parameter][j] - old;
            change += difference * difference;
            before += old * old;
        }
        size.elements += length;
    }
    size.change = sqrt(change);
    size.relative = change > 0 ? sqrt(change / before) : 0;
    return size;
}

psal_status psal_edit_check(const psal_edit *edit, psal_error *err) {
    for (size_t i = 0; i < edit->row_count; i++) {
        changed_row c = edit->rows[i];
        const psal_model_parameter *p = psal_model_get_parameter(edit->model, c.parameter);
        int64_t length = row_length(p), first = c.row * length;
        for (int64_t j = first; j < first + length; j++) {
            double value = edit->memory[c.parameter][j];
            if (!isfinite(value))
                return psal_fail(err, PSAL_ERR_NUMERIC, "filter %lld of '%s' is no longer finite", (long long)c.row,
                                 p->name);
        }
    }
    return PSAL_OK;
}

/* "P.filters" and "P.values" of one parameter. */
static psal_status add_parameter(const psal_edit *edit, int parameter, psal_tensor_map *delta, psal_error *err) {
    const psal_model_parameter *p = psal_model_get_parameter(edit->model, parameter);
    int64_t count = 0, length = row_length(p);
    for (int64_t row = 0; row < p->shape.dim[0]; row++) count += edit->marks[parameter][row];
    char name[1024];
    snprintf(name, sizeof name, "%s.filters", p->name);
    psal_shape shape = PSAL_SHAPE(count);
    int64_t *numbers = psal_tensor_map_add(delta, name, PSAL_I64, &shape, err);
    if (!numbers) return psal_error_status(err);
    snprintf(name, sizeof name, "%s.values", p->name);
    shape = p->shape;
    shape.dim[0] = count;
    float *to = psal_tensor_map_add(delta, name, PSAL_F32, &shape, err);
    if (!to) return psal_error_status(err);
    for (int64_t row = 0, i = 0; row < p->shape.dim[0]; row++) {
        if (!edit->marks[parameter][row]) continue;
        numbers[i] = row;
        memcpy(to + i++ * length, edit->memory[parameter] + row * length, (size_t)length * sizeof *to);
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
