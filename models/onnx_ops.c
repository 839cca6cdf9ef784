/* The operators, as nodes, and the table of them (onnx.ai/onnx/operators). Those that work element by element are in
 * onnx_elementwise.c, those with windows in onnx_windows.c. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/onnx_internal.h"

/* ---- normalisation ---- */

static void build_batch_norm(onnx_run *r) {
    const psal_node x = onnx_input_of(r, 0, 2, PSAL_MAX_DIMS);
    if (onnx_int(r, "training_mode", 0) || (r->d->opset < 14 && r->o->output_count > 1))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "it is in training mode: export the network after model.eval()");
    const psal_node gamma = onnx_input(r, 1), beta = onnx_input(r, 2), mean = onnx_input(r, 3),
                    variance = onnx_input(r, 4);
    if (onnx_failed(r)) return;
    onnx_output(r, 0, psal_batch_norm(r->graph, x, gamma, beta, mean, variance, onnx_float(r, "epsilon", 1e-5)));
}

/* (x - mean) / sqrt(variance + epsilon) over the axes from `axis` on, times scale, plus bias. */
static void build_layer_norm(onnx_run *r) {
    const psal_node x = onnx_input_of(r, 0, 1, PSAL_MAX_DIMS);
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x);
    const int first = onnx_axis(r, onnx_int(r, "axis", -1), s.ndim);
    if (first < 0) return;
    /* the last axes as one */
    psal_shape flat = {.ndim = first + 1}, inner = PSAL_SHAPE(1);
    for (int i = 0; i < first; i++) flat.dim[i] = s.dim[i];
    for (int i = first; i < s.ndim; i++) inner.dim[0] *= s.dim[i];
    flat.dim[first] = inner.dim[0];
    psal_graph *g = r->graph;
    psal_node gamma = onnx_input(r, 1), beta = onnx_has_input(r, 2) ? onnx_input(r, 2) : PSAL_NO_NODE;
    if (onnx_failed(r)) return;
    const bool one = first == s.ndim - 1;
    if (!one) gamma = psal_reshape(g, gamma, inner);
    if (!one && beta != PSAL_NO_NODE) beta = psal_reshape(g, beta, inner);
    psal_node y = psal_layer_norm(g, one ? x : psal_reshape(g, x, flat), gamma, beta, onnx_float(r, "epsilon", 1e-5));
    if (!one) y = psal_reshape(g, y, s);
    onnx_output(r, 0, y);
}

/* Each channel of each image by itself: (x - mean) / sqrt(variance + epsilon) scale + bias. */
static void build_instance_norm(onnx_run *r) {
    psal_graph *g = r->graph;
    const psal_node x = onnx_input_of(r, 0, 3, PSAL_MAX_DIMS), scale = onnx_input_of(r, 1, 1, 1),
                    bias = onnx_input_of(r, 2, 1, 1);
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x);
    psal_shape rows = PSAL_SHAPE(s.dim[0], s.dim[1], 1);
    for (int i = 2; i < s.ndim; i++) rows.dim[2] *= s.dim[i];
    const psal_node y = psal_row_normalize(g, psal_reshape(g, x, rows), onnx_float(r, "epsilon", 1e-5));
    onnx_output(r, 0, psal_channel_affine(g, psal_reshape(g, y, s), scale, bias));
}

/* ---- products ---- */

/* alpha a' b' + beta c */
static void build_gemm(onnx_run *r) {
    psal_graph *g = r->graph;
    const psal_node a = onnx_input_of(r, 0, 2, 2), b = onnx_input_of(r, 1, 2, 2);
    const double alpha = onnx_float(r, "alpha", 1), beta = onnx_float(r, "beta", 1);
    if (onnx_failed(r)) return;
    psal_node y = psal_matmul(g, a, onnx_int(r, "transA", 0) != 0, b, onnx_int(r, "transB", 0) != 0);
    if (alpha != 1) y = psal_scale(g, y, alpha);
    if (onnx_has_input(r, 2) && beta != 0) {
        psal_node c = onnx_input(r, 2);
        if (beta != 1) c = psal_scale(g, c, beta);
        y = onnx_add(r, y, c);
    }
    onnx_output(r, 0, y);
}

static void build_matmul(onnx_run *r) {
    const psal_node a = onnx_input_of(r, 0, 2, PSAL_MAX_DIMS), b = onnx_input_of(r, 1, 2, PSAL_MAX_DIMS);
    if (!onnx_failed(r)) onnx_output(r, 0, psal_matmul(r->graph, a, false, b, false));
}

/* ---- shapes ---- */

static void build_concat(onnx_run *r) {
    psal_node *parts = calloc(r->o->input_count + 1, sizeof *parts);
    if (!parts) onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < r->o->input_count && !onnx_failed(r); i++) parts[i] = onnx_input(r, i);
    if (r->o->input_count < 1 || r->o->input_count > 10000)
        onnx_fail(r, PSAL_ERR_FORMAT, "%zu parts", r->o->input_count);
    const int axis = onnx_failed(r) ? -1 : onnx_axis(r, onnx_int(r, "axis", 1), onnx_shape(r, parts[0])->ndim);
    if (axis >= 0) onnx_output(r, 0, psal_concat(r->graph, parts, (int)r->o->input_count, axis));
    free(parts);
}

static void build_flatten(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    if (onnx_failed(r)) return;
    const psal_shape *s = onnx_shape(r, x);
    const int64_t axis = onnx_int(r, "axis", 1);
    const int first = axis == s->ndim ? s->ndim : onnx_axis(r, axis, s->ndim);
    psal_shape shape = PSAL_SHAPE(1, 1);
    for (int i = 0; i < s->ndim; i++) shape.dim[i >= first] *= s->dim[i];
    if (!onnx_failed(r)) onnx_output(r, 0, psal_reshape(r->graph, x, shape));
}

static void build_reshape(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    psal_shape shape;
    if (!onnx_failed(r) && onnx_reshaped(r, onnx_shape(r, x), &shape))
        onnx_output(r, 0, psal_reshape(r->graph, x, shape));
}

static void build_squeeze(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    psal_shape shape;
    if (!onnx_failed(r) && onnx_squeezed(r, onnx_shape(r, x), onnx_is(r, "Unsqueeze"), &shape))
        onnx_output(r, 0, psal_reshape(r->graph, x, shape));
}

static void build_transpose(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    int axes[PSAL_MAX_DIMS];
    if (onnx_failed(r)) return;
    const int ndim = onnx_shape(r, x)->ndim;
    if (onnx_permutation(r, ndim, axes)) onnx_output(r, 0, psal_permute(r->graph, x, axes, ndim));
}

static void build_slice(onnx_run *r) {
    psal_node x = onnx_input(r, 0);
    int64_t starts[PSAL_MAX_DIMS], lengths[PSAL_MAX_DIMS], steps[PSAL_MAX_DIMS];
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x);
    if (!onnx_slices(r, &s, starts, lengths, steps)) return;
    for (int i = 0; i < s.ndim && !onnx_failed(r); i++) {
        if (lengths[i] < 1)
            onnx_fail(r, PSAL_ERR_SHAPE, "nothing is left of axis %d", i);
        else if (steps[i] == 1 && lengths[i] != s.dim[i])
            x = psal_slice(r->graph, x, i, starts[i], lengths[i]);
        if (steps[i] == 1 || onnx_failed(r)) continue;
        int64_t *index = malloc((size_t)lengths[i] * sizeof *index);
        if (!index) onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
        for (int64_t k = 0; index && k < lengths[i]; k++) index[k] = starts[i] + k * steps[i];
        if (index) x = psal_gather(r->graph, x, i, index, lengths[i]);
        free(index);
    }
    if (!onnx_failed(r)) onnx_output(r, 0, x);
}

static void build_split(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    int64_t count, at = 0;
    const int64_t *lengths = onnx_integers_of(r, "split", 1, &count), parts = (int64_t)r->o->output_count;
    if (onnx_failed(r)) return;
    const int axis = onnx_axis(r, onnx_int(r, "axis", 0), onnx_shape(r, x)->ndim);
    if (axis < 0) return;
    const int64_t total = onnx_shape(r, x)->dim[axis];
    const int64_t each = parts ? (total + parts - 1) / parts : 0; /* the last one may be smaller */
    if (parts < 1 || (lengths && count != parts)) {
        onnx_fail(r, PSAL_ERR_FORMAT, "%" PRId64 " lengths for %" PRId64 " parts", count, parts);
        return;
    }
    for (int64_t i = 0; i < parts && !onnx_failed(r); i++) {
        const int64_t length = lengths ? lengths[i] : each < total - at ? each : total - at;
        if (length < 1 || length > total - at)
            onnx_fail(r, PSAL_ERR_SHAPE, "parts of axis %d do not fit it", axis);
        else
            onnx_output(r, (size_t)i, psal_slice(r->graph, x, axis, at, length));
        at += length;
    }
}

/* By constant numbers. */
static void build_gather(onnx_run *r) {
    psal_node x = onnx_input(r, 0);
    const onnx_constant *index = onnx_constant_input(r, 1);
    if (!index || !index->integers) onnx_fail(r, PSAL_ERR_UNSUPPORTED, "its indices are not known beforehand");
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x);
    const int axis = onnx_axis(r, onnx_int(r, "axis", 0), s.ndim);
    const int64_t count = psal_shape_count(&index->shape);
    psal_shape shape;
    if (axis < 0 || !onnx_gathered(r, &s, axis, &index->shape, &shape)) return;
    if (count < 1) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "its result has no elements");
        return;
    }
    int64_t *at = malloc((size_t)count * sizeof *at);
    if (!at) onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
    for (int64_t k = 0; at && k < count; k++) at[k] = onnx_index(r, index->integers[k], s.dim[axis]);
    if (!onnx_failed(r)) {
        x = count == 1 ? psal_slice(r->graph, x, axis, at[0], 1) : psal_gather(r->graph, x, axis, at, count);
        onnx_output(r, 0, psal_reshape(r->graph, x, shape));
    }
    free(at);
}

/* What replaces is taken, with what stays, from both behind each other. */
static void build_scatter(onnx_run *r) {
    psal_graph *g = r->graph;
    const psal_node x = onnx_input(r, 0), updates = onnx_input(r, 2);
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x), us = *onnx_shape(r, updates);
    const int64_t count = psal_shape_count(&s), update_count = psal_shape_count(&us);
    const onnx_constant *from = onnx_scattered(r, &s, onnx_constant_input(r, 1), &us);
    if (!from) return;
    const psal_node both[] = {psal_reshape(g, x, PSAL_SHAPE(count)),
                              psal_reshape(g, updates, PSAL_SHAPE(update_count))};
    const psal_node y = psal_gather(g, psal_concat(g, both, 2, 0), 0, from->integers, count);
    onnx_output(r, 0, psal_reshape(g, y, s));
}

/* Where pixel `at` of a padded axis is taken from, or -1: reflect is 2 1 0 1 2 1 0, edge 0 0 0 1 2 2 2. */
static int64_t padded_from(const char *mode, int64_t at, int64_t length) {
    const int64_t last = length - 1;
    if (strcmp(mode, "edge") == 0) return at < 0 ? 0 : at > last ? last : at;
    const int64_t mirrored = at < 0 ? -at : at > last ? 2 * last - at : at;
    return mirrored < 0 || mirrored > last ? -1 : mirrored;
}

/* Padding with what is there: each axis gathers its pixels. */
static psal_node pad_with_pixels(onnx_run *r, psal_node x, const char *mode, const int64_t *before,
                                 const int64_t *after) {
    const psal_shape s = *onnx_shape(r, x);
    for (int axis = 0; axis < s.ndim && !onnx_failed(r); axis++) {
        const int64_t length = s.dim[axis], padded = before[axis] + length + after[axis];
        /* What negative pads leave of the axis: runtimes differ where padding comes from what was cut away. */
        const int64_t first = before[axis] < 0 ? -before[axis] : 0, end = length + (after[axis] < 0 ? after[axis] : 0);
        bool good = padded > 0 && padded <= INT32_MAX;
        if (before[axis] == 0 && after[axis] == 0) continue;
        int64_t *from = good ? calloc((size_t)padded, sizeof *from) : NULL;
        if (good && !from) onnx_fail(r, PSAL_ERR_MEMORY, "no memory for %" PRId64 " pixels in a row", padded);
        for (int64_t i = 0; from && i < padded && good; i++) {
            from[i] = padded_from(mode, i - before[axis], length);
            good = from[i] >= first && from[i] < end;
        }
        if (!good)
            onnx_fail(r, PSAL_ERR_UNSUPPORTED, "%s by %" PRId64 " and %" PRId64 " of a length of %" PRId64, mode,
                      before[axis], after[axis], length);
        if (!onnx_failed(r)) x = psal_gather(r->graph, x, axis, from, padded);
        free(from);
    }
    return x;
}

/* Whether element i of a padded tensor is one of x's. */
static bool stands_inside(const psal_shape *x, const psal_shape *padded, const int64_t *before, int64_t i) {
    for (int axis = x->ndim; axis-- > 0; i /= padded->dim[axis]) {
        const int64_t at = i % padded->dim[axis] - before[axis];
        if (at < 0 || at >= x->dim[axis]) return false;
    }
    return true;
}

/* Constant: zeros around x, plus the number there and 0 inside. So x keeps its digits beside any number: -1e9 and -inf
 * are what stands in front of max pooling. */
static psal_node pad_with_number(onnx_run *r, psal_node x, double value, const int64_t *before, const int64_t *after) {
    const psal_node y = psal_pad(r->graph, x, before, after);
    if (value == 0 || onnx_failed(r)) return y;
    const psal_shape padded = *onnx_shape(r, y);
    const int64_t count = psal_shape_count(&padded);
    psal_real *border = calloc((size_t)count, sizeof *border);
    if (!border) onnx_fail(r, PSAL_ERR_MEMORY, "no memory for %" PRId64 " pixels", count);
    if (!border) return PSAL_NO_NODE;
    for (int64_t i = 0; i < count; i++)
        if (!stands_inside(onnx_shape(r, x), &padded, before, i)) border[i] = (psal_real)value;
    const psal_node sum = psal_add(r->graph, y, psal_constant(r->graph, border, padded));
    free(border);
    return sum;
}

static void build_pad(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    const psal_attribute *a = onnx_attribute(r->o, "mode");
    const char *mode = a ? a->text : "constant";
    const bool number = strcmp(mode, "constant") == 0;
    double value = onnx_float(r, "value", 0);
    int64_t count, axis_count, before[PSAL_MAX_DIMS] = {0}, after[PSAL_MAX_DIMS] = {0};
    bool taken[PSAL_MAX_DIMS] = {false};
    const int64_t *pads = onnx_integers_of(r, "pads", 1, &count);
    const int64_t *axes = onnx_has_input(r, 3) ? onnx_integers(r, 3, &axis_count) : NULL;
    if (!number && strcmp(mode, "reflect") != 0 && strcmp(mode, "edge") != 0)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute mode '%.40s': psal has constant, reflect and edge", mode);
    if (onnx_has_input(r, 2) && !onnx_scalar(onnx_constant_input(r, 2), &value))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "its value is not known beforehand");
    if (onnx_failed(r)) return;
    const int ndim = onnx_shape(r, x)->ndim;
    const int64_t padded = axes ? axis_count : ndim;
    if (!pads || padded > ndim || count != 2 * padded) {
        onnx_fail(r, PSAL_ERR_FORMAT, "%" PRId64 " pads for %d dimensions", count, ndim);
        return;
    }
    for (int64_t i = 0; i < padded; i++) {
        const int axis = axes ? onnx_axis(r, axes[i], ndim) : (int)i;
        if (axis >= 0 && taken[axis]) onnx_fail(r, PSAL_ERR_FORMAT, "pads of axis %d twice", axis);
        if (axis < 0 || taken[axis]) return;
        taken[axis] = true;
        before[axis] = pads[i];
        after[axis] = pads[padded + i];
    }
    const psal_node y = number ? pad_with_number(r, x, value, before, after)
                               : pad_with_pixels(r, x, mode, before, after);
    if (!onnx_failed(r)) onnx_output(r, 0, y);
}

static void build_expand(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    psal_shape shape;
    if (!onnx_failed(r) && onnx_expanded(r, onnx_shape(r, x), &shape))
        onnx_output(r, 0, psal_expand(r->graph, x, shape));
}

/* Of input 0, which is known whether it is constant or not. */
static const psal_shape *shape_of_input(onnx_run *r) {
    const onnx_constant *c = onnx_constant_input(r, 0);
    return c ? &c->shape : onnx_shape(r, onnx_input(r, 0));
}

/* From operator set 15 on, a part of it. */
static void build_shape(onnx_run *r) {
    const psal_shape *s = shape_of_input(r);
    if (onnx_failed(r)) return;
    int64_t start = onnx_int(r, "start", 0), end = onnx_int(r, "end", s->ndim);
    start = start < 0 ? start + s->ndim : start;
    end = end < 0 ? end + s->ndim : end;
    start = start < 0 ? 0 : start > s->ndim ? s->ndim : start;
    end = end < start ? start : end > s->ndim ? s->ndim : end;
    const psal_shape part = PSAL_SHAPE(end - start);
    onnx_constant *y = onnx_new_constant(r, true, &part);
    for (int64_t i = start; y && i < end; i++) y->integers[i - start] = s->dim[i];
    onnx_output_constant(r, 0, y);
}

static void build_size(onnx_run *r) {
    const int64_t count = psal_shape_count(shape_of_input(r));
    onnx_constant *y = onnx_new_constant(r, true, &(psal_shape){.ndim = 0});
    if (y) y->integers[0] = count;
    onnx_output_constant(r, 0, y);
}

/* Constants that are no tensors: value_int, value_float, value_ints, value_floats. */
static bool fold_constant(onnx_run *r) {
    const psal_attribute *a = r->o->attribute_count == 1 ? &r->o->attributes[0] : NULL;
    if (!a || (a->type != PSAL_ATTRIBUTE_INT && a->type != PSAL_ATTRIBUTE_FLOAT && a->type != PSAL_ATTRIBUTE_INTS &&
               a->type != PSAL_ATTRIBUTE_FLOATS)) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "a constant that is neither a tensor nor numbers");
        return false;
    }
    const bool list = a->type == PSAL_ATTRIBUTE_INTS || a->type == PSAL_ATTRIBUTE_FLOATS,
               integer = a->type == PSAL_ATTRIBUTE_INT || a->type == PSAL_ATTRIBUTE_INTS;
    const psal_shape shape = list ? PSAL_SHAPE((int64_t)a->count) : (psal_shape){.ndim = 0};
    onnx_constant *y = onnx_new_constant(r, integer, &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) {
        if (integer)
            y->integers[k] = list ? a->integers[k] : a->integer;
        else
            y->numbers[k] = list ? (double)a->numbers[k] : (double)a->number;
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

/* Along one axis, or (before operator set 13) over all axes from it on. */
static void build_softmax(onnx_run *r) {
    psal_node x = onnx_input(r, 0);
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x);
    const int axis = onnx_axis(r, onnx_int(r, "axis", r->d->opset < 13 ? 1 : -1), s.ndim);
    if (axis < 0) return;
    if (r->d->opset < 13) {
        psal_shape flat = PSAL_SHAPE(1, 1);
        for (int i = 0; i < s.ndim; i++) flat.dim[i >= axis] *= s.dim[i];
        onnx_output(r, 0, psal_reshape(r->graph, psal_softmax(r->graph, psal_reshape(r->graph, x, flat)), s));
        return;
    }
    int swapped[PSAL_MAX_DIMS];
    for (int i = 0; i < s.ndim; i++) swapped[i] = i == axis ? s.ndim - 1 : i == s.ndim - 1 ? axis : i;
    const bool last = axis == s.ndim - 1;
    if (!last) x = psal_permute(r->graph, x, swapped, s.ndim);
    x = psal_softmax(r->graph, x);
    onnx_output(r, 0, last ? x : psal_permute(r->graph, x, swapped, s.ndim));
}

/* What exists of constants only. */
static void build_never(onnx_run *r) {
    onnx_fail(r, PSAL_ERR_UNSUPPORTED, "psal has it of constants and shapes only, not of what depends on the image");
}

/* ---- the table ---- */

#define WINDOW " auto_pad dilations kernel_shape pads strides "

/* In strcmp's order. The three numbers are bits: inputs that are weights, operands, statistics. */
static const onnx_operator operators[] = {
    {"Abs", " ", 0, 1, 0, onnx_build_unary, onnx_fold_unary},
    {"Add", " ", 0, 3, 0, onnx_build_binary, onnx_fold_binary},
    {"And", " ", 0, 0, 0, build_never, onnx_fold_binary},
    {"AveragePool", WINDOW "ceil_mode count_include_pad ", 0, 0, 0, onnx_build_pool, NULL},
    {"BatchNormalization", " epsilon momentum spatial training_mode ", 6, 0, 24, build_batch_norm, NULL},
    {"Cast", " to ", 0, 1, 0, onnx_build_cast, onnx_fold_cast},
    {"Ceil", " ", 0, 0, 0, build_never, onnx_fold_unary},
    {"Celu", " alpha ", 0, 0, 0, onnx_build_unary, NULL},
    {"Clip", " max min ", 0, 0, 0, onnx_build_clip, NULL},
    {"Concat", " axis ", 0, ~0u, 0, build_concat, onnx_fold_concat},
    {"Constant", " value value_float value_floats value_int value_ints ", 0, 0, 0, build_never, fold_constant},
    {"ConstantOfShape", " value ", 0, 0, 0, build_never, onnx_fold_fill},
    {"Conv", WINDOW "group ", 6, 0, 0, onnx_build_conv, NULL},
    {"Div", " ", 0, 3, 0, onnx_build_binary, onnx_fold_binary},
    {"Dropout", " ratio seed ", 0, 0, 0, onnx_build_dropout, NULL},
    {"Einsum", " equation ", 3, 0, 0, onnx_build_einsum, NULL},
    {"Elu", " alpha ", 0, 0, 0, onnx_build_unary, NULL},
    {"Equal", " ", 0, 0, 0, build_never, onnx_fold_binary},
    {"Erf", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Exp", " ", 0, 1, 0, onnx_build_unary, onnx_fold_unary},
    {"Expand", " ", 0, 1, 0, build_expand, onnx_fold_expand},
    {"Flatten", " axis ", 0, 1, 0, build_flatten, NULL},
    {"Floor", " ", 0, 0, 0, build_never, onnx_fold_unary},
    {"Gather", " axis ", 0, 1, 0, build_gather, onnx_fold_gather},
    {"Gelu", " approximate ", 0, 0, 0, onnx_build_unary, NULL},
    {"Gemm", " alpha beta transA transB ", 6, 0, 0, build_gemm, NULL},
    {"GlobalAveragePool", " ", 0, 0, 0, onnx_build_global_pool, NULL},
    {"GlobalMaxPool", " ", 0, 0, 0, onnx_build_global_pool, NULL},
    {"Greater", " ", 0, 0, 0, build_never, onnx_fold_binary},
    {"HardSigmoid", " alpha beta ", 0, 0, 0, onnx_build_unary, NULL},
    {"HardSwish", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Identity", " ", 0, 1, 0, onnx_build_unary, onnx_fold_shape_change},
    {"InstanceNormalization", " epsilon ", 6, 0, 0, build_instance_norm, NULL},
    {"LayerNormalization", " axis epsilon stash_type ", 6, 0, 0, build_layer_norm, NULL},
    {"LeakyRelu", " alpha ", 0, 0, 0, onnx_build_unary, NULL},
    {"Less", " ", 0, 0, 0, build_never, onnx_fold_binary},
    {"Log", " ", 0, 1, 0, onnx_build_unary, onnx_fold_unary},
    {"MatMul", " ", 3, 0, 0, build_matmul, NULL},
    {"Max", " ", 0, 0, 0, onnx_build_binary, onnx_fold_binary},
    {"MaxPool", WINDOW "ceil_mode storage_order ", 0, 0, 0, onnx_build_pool, NULL},
    {"Min", " ", 0, 0, 0, onnx_build_binary, onnx_fold_binary},
    {"Mish", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Mod", " fmod ", 0, 0, 0, build_never, onnx_fold_binary},
    {"Mul", " ", 0, 3, 0, onnx_build_binary, onnx_fold_binary},
    {"Neg", " ", 0, 1, 0, onnx_build_unary, onnx_fold_unary},
    {"Not", " ", 0, 0, 0, build_never, onnx_fold_unary},
    {"Or", " ", 0, 0, 0, build_never, onnx_fold_binary},
    {"PRelu", " ", 2, 0, 0, onnx_build_prelu, NULL},
    {"Pad", " mode pads value ", 0, 1, 0, build_pad, NULL},
    {"Pow", " ", 0, 1, 0, onnx_build_binary, onnx_fold_binary},
    {"Range", " ", 0, 0, 0, build_never, onnx_fold_range},
    {"Reciprocal", " ", 0, 1, 0, onnx_build_unary, onnx_fold_unary},
    {"ReduceL2", " axes keepdims ", 0, 1, 0, onnx_build_reduce, NULL},
    {"ReduceMax", " axes keepdims noop_with_empty_axes ", 0, 1, 0, onnx_build_reduce, onnx_fold_reduce},
    {"ReduceMean", " axes keepdims noop_with_empty_axes ", 0, 1, 0, onnx_build_reduce, onnx_fold_reduce},
    {"ReduceMin", " axes keepdims noop_with_empty_axes ", 0, 1, 0, onnx_build_reduce, onnx_fold_reduce},
    {"ReduceProd", " axes keepdims ", 0, 0, 0, build_never, onnx_fold_reduce},
    {"ReduceSum", " axes keepdims noop_with_empty_axes ", 0, 1, 0, onnx_build_reduce, onnx_fold_reduce},
    {"Relu", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Reshape", " allowzero ", 0, 1, 0, build_reshape, onnx_fold_shape_change},
    {"Resize",
     " antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "
     "keep_aspect_ratio_policy mode nearest_mode ",
     0, 1, 0, onnx_build_resize, NULL},
    {"ScatterND", " reduction ", 0, 5, 0, build_scatter, onnx_fold_scatter},
    {"Selu", " alpha gamma ", 0, 0, 0, onnx_build_unary, NULL},
    {"Shape", " end start ", 0, 0, 0, build_shape, NULL},
    {"Sigmoid", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Size", " ", 0, 0, 0, build_size, NULL},
    {"Slice", " axes ends starts ", 0, 1, 0, build_slice, onnx_fold_slice},
    {"Softmax", " axis ", 0, 0, 0, build_softmax, NULL},
    {"Softplus", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Softsign", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Split", " axis num_outputs split ", 0, 1, 0, build_split, NULL},
    {"Sqrt", " ", 0, 1, 0, onnx_build_unary, onnx_fold_unary},
    {"Squeeze", " axes ", 0, 1, 0, build_squeeze, onnx_fold_shape_change},
    {"Sub", " ", 0, 3, 0, onnx_build_binary, onnx_fold_binary},
    {"Sum", " ", 0, ~0u, 0, onnx_build_binary, NULL},
    {"Tanh", " ", 0, 0, 0, onnx_build_unary, NULL},
    {"Transpose", " perm ", 0, 1, 0, build_transpose, onnx_fold_transpose},
    {"Unsqueeze", " axes ", 0, 1, 0, build_squeeze, onnx_fold_shape_change},
    {"Upsample", " mode ", 0, 1, 0, onnx_build_resize, NULL},
    {"Where", " ", 0, 0, 0, build_never, onnx_fold_where},
};

static int compare(const void *type, const void *operator) {
    return strcmp(type, ((const onnx_operator *)operator)->type);
}

const onnx_operator *onnx_find_operator(const psal_operator *o) {
    if (*o->domain) return NULL;
    return bsearch(o->type, operators, sizeof operators / sizeof *operators, sizeof *operators, compare);
}
