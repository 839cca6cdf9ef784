/* What operators ask and answer while they are built. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/onnx_internal.h"

/* Constants are shapes, masks and tables of positions: SwinV2's masks, with what they are made of, have some four
 * million numbers. */
#define MAX_ELEMENTS ((size_t)1 << 24)

/* ---- errors ---- */

void onnx_title(const psal_operator *o, char text[300]) {
    snprintf(text, 300, "node '%.200s' (%s%s%.60s)", *o->name ? o->name : "without a name", o->domain,
             *o->domain ? "." : "", o->type);
}

bool onnx_failed(const onnx_run *r) {
    return r->n->error.status != PSAL_OK;
}

bool onnx_is(const onnx_run *r, const char *type) {
    return strcmp(r->o->type, type) == 0;
}

void onnx_fail(onnx_run *r, psal_status status, const char *format, ...) {
    char message[600], title[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    onnx_title(r->o, title);
    net_fail(r->n, status, "%s: %s", title, message);
}

/* ---- attributes ---- */

const psal_attribute *onnx_attribute(const psal_operator *o, const char *name) {
    for (size_t i = 0; i < o->attribute_count; i++)
        if (strcmp(o->attributes[i].name, name) == 0) return &o->attributes[i];
    return NULL;
}

static const psal_attribute *typed(onnx_run *r, const char *name, psal_attribute_type type) {
    const psal_attribute *a = onnx_attribute(r->o, name);
    if (a && a->type != type) {
        onnx_fail(r, PSAL_ERR_FORMAT, "attribute '%s' is of another type than it should be", name);
        return NULL;
    }
    return a;
}

int64_t onnx_int(onnx_run *r, const char *name, int64_t otherwise) {
    const psal_attribute *a = typed(r, name, PSAL_ATTRIBUTE_INT);
    return a ? a->integer : otherwise;
}

/* Exporters round a double to a float: of the doubles that round so, the one with the fewest digits is meant, 1e-05
 * rather than 9.99999974737875e-06. */
double onnx_float(onnx_run *r, const char *name, double otherwise) {
    const psal_attribute *a = typed(r, name, PSAL_ATTRIBUTE_FLOAT);
    char text[40];
    for (int digits = 1; a && digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)a->number);
        const double value = strtod(text, NULL);
        if ((float)value == a->number) return value;
    }
    return a ? (double)a->number : otherwise;
}

void onnx_ints(onnx_run *r, const char *name, int64_t *values, int count, int64_t otherwise) {
    const psal_attribute *a = typed(r, name, PSAL_ATTRIBUTE_INTS);
    if (a && a->count != (size_t)count)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute '%s' has %zu numbers, expected %d", name, a->count, count);
    for (int i = 0; i < count; i++) values[i] = a && a->count == (size_t)count ? a->integers[i] : otherwise;
}

/* ---- inputs ---- */

bool onnx_has_input(const onnx_run *r, size_t i) {
    return i < r->o->input_count && r->o->inputs[i] != PSAL_NO_VALUE;
}

psal_node onnx_input_of(onnx_run *r, size_t i, int fewest, int most) {
    const psal_node x = onnx_input(r, i);
    char text[96];
    if (onnx_failed(r)) return PSAL_NO_NODE;
    const psal_shape *shape = onnx_shape(r, x);
    if (x != PSAL_NO_NODE && shape->ndim >= fewest && shape->ndim <= most) return x;
    onnx_fail(r, PSAL_ERR_UNSUPPORTED, "input %zu has shape %s, of %d dimensions: psal takes %d%s", i,
              psal_shape_format(shape, text, sizeof text), shape->ndim, fewest, fewest == most ? "" : " and more");
    return PSAL_NO_NODE;
}

const psal_shape *onnx_shape(const onnx_run *r, psal_node node) {
    return psal_graph_shape(r->graph, node);
}

const onnx_constant *onnx_constant_input(const onnx_run *r, size_t i) {
    return onnx_has_input(r, i) ? r->values[r->o->inputs[i]].constant : NULL;
}

/* That many numbers more than there are. */
static bool take_room(onnx_run *r, const psal_shape *shape) {
    const int64_t count = psal_shape_count(shape);
    char text[96];
    if (onnx_failed(r)) return false;
    if (count < 0 || (size_t)count > MAX_ELEMENTS - r->elements) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "constants of more than %zu numbers, this one of shape %s", MAX_ELEMENTS,
                  psal_shape_format(shape, text, sizeof text));
        return false;
    }
    r->elements += (size_t)count;
    return true;
}

static psal_node constant_node(onnx_run *r, const onnx_constant *c) {
    const size_t count = (size_t)psal_shape_count(&c->shape);
    if (!take_room(r, &c->shape)) return PSAL_NO_NODE;
    psal_real *values = malloc((count + 1) * sizeof *values);
    if (!values) {
        onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
        return PSAL_NO_NODE;
    }
    for (size_t k = 0; k < count; k++) values[k] = c->integers ? (psal_real)c->integers[k] : (psal_real)c->numbers[k];
    const psal_node node = psal_constant(r->graph, values, c->shape);
    free(values);
    return node;
}

psal_node onnx_input(onnx_run *r, size_t i) {
    if (onnx_failed(r)) return PSAL_NO_NODE;
    if (!onnx_has_input(r, i)) {
        onnx_fail(r, PSAL_ERR_FORMAT, "input %zu is missing", i);
        return PSAL_NO_NODE;
    }
    onnx_value *value = &r->values[r->o->inputs[i]];
    if (value->constant && value->node == PSAL_NO_NODE) value->node = constant_node(r, value->constant);
    return value->node;
}

const int64_t *onnx_integers(onnx_run *r, size_t i, int64_t *count) {
    const onnx_constant *c = onnx_constant_input(r, i);
    *count = 0;
    if (!c || !c->integers || c->shape.ndim > 1) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "input %zu%s%.100s%s must be whole numbers that do not depend on the image",
                  i, onnx_has_input(r, i) ? ", '" : "", onnx_has_input(r, i) ? r->d->values[r->o->inputs[i]] : "",
                  onnx_has_input(r, i) ? "'," : "");
        return NULL;
    }
    *count = psal_shape_count(&c->shape);
    return c->integers;
}

const int64_t *onnx_integers_of(onnx_run *r, const char *attribute, size_t i, int64_t *count) {
    *count = 0;
    if (onnx_has_input(r, i)) return onnx_integers(r, i, count);
    const psal_attribute *a = typed(r, attribute, PSAL_ATTRIBUTE_INTS);
    if (!a) return NULL;
    *count = (int64_t)a->count;
    return a->integers;
}

bool onnx_scalar(const onnx_constant *c, double *value) {
    if (!c || psal_shape_count(&c->shape) != 1) return false;
    *value = c->integers ? (double)c->integers[0] : c->numbers[0];
    return true;
}

/* ---- outputs ---- */

void onnx_output(onnx_run *r, size_t i, psal_node node) {
    if (i < r->o->output_count && r->o->outputs[i] != PSAL_NO_VALUE)
        r->values[r->o->outputs[i]] = (onnx_value){node, NULL};
}

void onnx_output_constant(onnx_run *r, size_t i, const onnx_constant *constant) {
    if (constant && i < r->o->output_count && r->o->outputs[i] != PSAL_NO_VALUE)
        r->values[r->o->outputs[i]] = (onnx_value){PSAL_NO_NODE, constant};
}

static void *keep(onnx_run *r, size_t size) {
    void **grown = r->block_count & (r->block_count - 1)
                       ? r->blocks
                       : reallocarray(r->blocks, r->block_count ? 2 * r->block_count : 1, sizeof *grown);
    if (grown) r->blocks = grown;
    void *block = grown ? calloc(1, size) : NULL;
    if (block)
        r->blocks[r->block_count++] = block;
    else
        onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
    return block;
}

onnx_constant *onnx_new_constant(onnx_run *r, bool integer, const psal_shape *shape) {
    const size_t count = (size_t)psal_shape_count(shape);
    if (!take_room(r, shape)) return NULL;
    const size_t head = (sizeof(onnx_constant) + 7) / 8 * 8;
    onnx_constant *c = keep(r, head + (count + 1) * 8);
    if (!c) return NULL;
    c->shape = *shape;
    void *values = (uint8_t *)c + head;
    if (integer)
        c->integers = values;
    else
        c->numbers = values;
    return c;
}

/* ---- shapes ---- */

int onnx_axis(onnx_run *r, int64_t axis, int ndim) {
    if (axis >= -ndim && axis < ndim) return (int)(axis < 0 ? axis + ndim : axis);
    onnx_fail(r, PSAL_ERR_SHAPE, "axis %" PRId64 " of %d dimensions", axis, ndim);
    return -1;
}

int64_t onnx_index(onnx_run *r, int64_t index, int64_t length) {
    if (index >= -length && index < length) return index < 0 ? index + length : index;
    onnx_fail(r, PSAL_ERR_SHAPE, "index %" PRId64 " of %" PRId64, index, length);
    return -1;
}

/* The shape that input 1 is; NULL after an error. */
static const int64_t *wanted_shape(onnx_run *r, int64_t *count) {
    const int64_t *wanted = onnx_integers(r, 1, count);
    if (*count <= PSAL_MAX_DIMS) return wanted;
    onnx_fail(r, PSAL_ERR_UNSUPPORTED, "a shape of %" PRId64 " dimensions", *count);
    return NULL;
}

static bool not_made(onnx_run *r, const psal_shape *x, const psal_shape *shape) {
    onnx_fail(r, PSAL_ERR_SHAPE, "%s does not become %s", psal_shape_format(x, (char[96]){""}, 96),
              psal_shape_format(shape, (char[96]){""}, 96));
    return false;
}

bool onnx_expanded(onnx_run *r, const psal_shape *x, psal_shape *shape) {
    int64_t count;
    const int64_t *wanted = wanted_shape(r, &count);
    if (!wanted) return false;
    const psal_shape to = psal_shape_make((int)count, wanted);
    return psal_shape_broadcast(x, &to, shape) || not_made(r, x, &to);
}

bool onnx_reshaped(onnx_run *r, const psal_shape *x, psal_shape *shape) {
    int64_t count;
    const int64_t *wanted = wanted_shape(r, &count), total = psal_shape_count(x);
    const bool allow_zero = onnx_int(r, "allowzero", 0) != 0;
    int rest = -1;
    if (!wanted) return false;
    *shape = (psal_shape){.ndim = (int)count};
    for (int i = 0; i < shape->ndim; i++) {
        shape->dim[i] = wanted[i] == 0 && !allow_zero && i < x->ndim ? x->dim[i] : wanted[i];
        if (wanted[i] == -1 && rest < 0) {
            rest = i;
            shape->dim[i] = 1;
        }
    }
    /* The file's number of images at a time is written into its shapes. */
    if (r->file_batch > 0 && r->batch > 0 && count > 0 && wanted[0] == r->file_batch && x->ndim > 0 &&
        x->dim[0] == r->batch)
        shape->dim[0] = r->batch;
    const int64_t others = psal_shape_count(shape);
    if (rest >= 0 && others > 0 && total % others == 0) shape->dim[rest] = total / others;
    return (psal_shape_count(shape) == total && total >= 0) || not_made(r, x, shape);
}

bool onnx_permutation(onnx_run *r, int ndim, int *axes) {
    const bool given = onnx_attribute(r->o, "perm") != NULL;
    int64_t wanted[PSAL_MAX_DIMS];
    unsigned seen = 0;
    if (given) onnx_ints(r, "perm", wanted, ndim, 0);
    for (int i = 0; i < ndim; i++) {
        axes[i] = given ? onnx_axis(r, wanted[i], ndim) : ndim - 1 - i;
        if (axes[i] < 0) return false;
        if (seen >> axes[i] & 1) onnx_fail(r, PSAL_ERR_FORMAT, "its axes are no order of %d axes", ndim);
        seen |= 1u << axes[i];
    }
    return !onnx_failed(r);
}

bool onnx_gathered(onnx_run *r, const psal_shape *x, int axis, const psal_shape *index, psal_shape *shape) {
    *shape = (psal_shape){.ndim = 0};
    if (x->ndim - 1 + index->ndim > PSAL_MAX_DIMS) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "more than %d dimensions", PSAL_MAX_DIMS);
        return false;
    }
    for (int i = 0; i < axis; i++) shape->dim[shape->ndim++] = x->dim[i];
    for (int i = 0; i < index->ndim; i++) shape->dim[shape->ndim++] = index->dim[i];
    for (int i = axis + 1; i < x->ndim; i++) shape->dim[shape->ndim++] = x->dim[i];
    return true;
}

bool onnx_squeezed(onnx_run *r, const psal_shape *x, bool insert, psal_shape *shape) {
    int64_t count;
    const int64_t *axes = onnx_integers_of(r, "axes", 1, &count);
    bool chosen[PSAL_MAX_DIMS] = {false};
    const int ndim = insert ? x->ndim + (int)(count <= PSAL_MAX_DIMS ? count : PSAL_MAX_DIMS) : x->ndim;
    if (onnx_failed(r)) return false;
    if (ndim > PSAL_MAX_DIMS || count > PSAL_MAX_DIMS) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "more than %d dimensions", PSAL_MAX_DIMS);
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int axis = onnx_axis(r, axes[i], ndim);
        if (axis < 0) return false;
        if (chosen[axis] || (!insert && x->dim[axis] != 1)) {
            onnx_fail(r, PSAL_ERR_SHAPE, "axis %d cannot be %s", axis, insert ? "inserted twice" : "left out");
            return false;
        }
        chosen[axis] = true;
    }
    for (int i = 0; !axes && !insert && i < ndim; i++) chosen[i] = x->dim[i] == 1;
    *shape = (psal_shape){.ndim = insert ? ndim : 0};
    for (int i = 0, from = 0; i < ndim; i++) {
        if (insert)
            shape->dim[i] = chosen[i] ? 1 : x->dim[from++];
        else if (!chosen[i])
            shape->dim[shape->ndim++] = x->dim[i];
    }
    return true;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

bool onnx_slices(onnx_run *r, const psal_shape *x, int64_t *starts, int64_t *lengths, int64_t *steps) {
    int64_t start_count, end_count, axis_count = 0, step_count = 0;
    const int64_t *from = onnx_integers_of(r, "starts", 1, &start_count),
                  *to = onnx_integers_of(r, "ends", 2, &end_count);
    const int64_t *axes = onnx_integers_of(r, "axes", 3, &axis_count);
    const int64_t *by = onnx_has_input(r, 4) ? onnx_integers(r, 4, &step_count) : NULL;
    for (int i = 0; i < x->ndim; i++) {
        starts[i] = 0;
        lengths[i] = x->dim[i];
        steps[i] = 1;
    }
    if (onnx_failed(r)) return false;
    if (!from || !to || start_count != end_count || (axes && axis_count != start_count) ||
        (by && step_count != start_count) || (!axes && start_count > x->ndim)) {
        onnx_fail(r, PSAL_ERR_FORMAT, "as many starts, ends, axes and steps are expected");
        return false;
    }
    for (int64_t i = 0; i < start_count; i++) {
        const int axis = onnx_axis(r, axes ? axes[i] : i, x->ndim);
        if (axis < 0) return false;
        const int64_t n = x->dim[axis], step = by ? by[i] : 1;
        const int64_t first = from[i] < 0 ? clamp(from[i], -n - 1, 0) + n : from[i];
        const int64_t last = to[i] < 0 ? clamp(to[i], -n - 1, 0) + n : to[i];
        if (step == 0 || step < -n - 1) {
            onnx_fail(r, PSAL_ERR_UNSUPPORTED, "a step of %" PRId64, step);
            return false;
        }
        if (step > 0) {
            const int64_t begin = clamp(first, 0, n), end = clamp(last, 0, n);
            starts[axis] = begin;
            lengths[axis] = end > begin ? (end - begin - 1) / step + 1 : 0;
        } else {
            const int64_t begin = clamp(first, 0, n - 1), end = clamp(last, -1, n - 1);
            starts[axis] = begin;
            lengths[axis] = begin > end ? (begin - end - 1) / -step + 1 : 0;
        }
        if (n == 0) lengths[axis] = 0;
        steps[axis] = step;
    }
    return true;
}
