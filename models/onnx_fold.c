/* Operators of constants: shapes that are computed, mostly. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/onnx_internal.h"

#define MAX_UPDATES (1 << 24) /* of a ScatterND, as many as constants may have elements (onnx_run.c) */

/* ---- elements ---- */

static double number_at(const onnx_constant *c, int64_t k) {
    return c->integers ? (double)c->integers[k] : c->numbers[k];
}

/* Element `from` of c becomes element `to` of y, of the same kind. */
static void copy_element(onnx_constant *y, int64_t to, const onnx_constant *c, int64_t from) {
    if (y->integers)
        y->integers[to] = c->integers ? c->integers[from] : (int64_t)c->numbers[from];
    else
        y->numbers[to] = number_at(c, from);
}

/* Where element k of a tensor of shape `shape` lies in one of shape `x` that is repeated to it. */
static int64_t repeated(const psal_shape *shape, int64_t k, const psal_shape *x) {
    int64_t at = 0, stride = 1;
    for (int i = shape->ndim; i-- > 0; k /= shape->dim[i]) {
        const int ix = i - (shape->ndim - x->ndim);
        if (ix < 0) break;
        if (x->dim[ix] != 1) at += k % shape->dim[i] * stride;
        stride *= x->dim[ix];
    }
    return at;
}

/* ---- elementwise ---- */

static bool integer_result(const char *type, int64_t a, int64_t b, int64_t *y) {
    const uint64_t ua = (uint64_t)a, ub = (uint64_t)b; /* wraps around where int64 would overflow */
    if (strcmp(type, "Add") == 0)
        *y = (int64_t)(ua + ub);
    else if (strcmp(type, "Sub") == 0)
        *y = (int64_t)(ua - ub);
    else if (strcmp(type, "Mul") == 0)
        *y = (int64_t)(ua * ub);
    else if (strcmp(type, "Div") == 0 && b != 0)
        *y = b == -1 ? (int64_t)(0 - ua) : a / b;
    else if (strcmp(type, "Mod") == 0 && b != 0)
        *y = b == -1 ? 0 : (a % b + (a % b && (a % b < 0) != (b < 0) ? b : 0));
    else if (strcmp(type, "Min") == 0)
        *y = a < b ? a : b;
    else if (strcmp(type, "Max") == 0)
        *y = a > b ? a : b;
    else if (strcmp(type, "Equal") == 0)
        *y = a == b;
    else if (strcmp(type, "Less") == 0)
        *y = a < b;
    else if (strcmp(type, "Greater") == 0)
        *y = a > b;
    else if (strcmp(type, "And") == 0)
        *y = a && b;
    else if (strcmp(type, "Or") == 0)
        *y = a || b;
    else
        return false;
    return true;
}

static bool number_result(const char *type, double a, double b, double *y) {
    if (strcmp(type, "Add") == 0)
        *y = a + b;
    else if (strcmp(type, "Sub") == 0)
        *y = a - b;
    else if (strcmp(type, "Mul") == 0)
        *y = a * b;
    else if (strcmp(type, "Div") == 0)
        *y = a / b;
    else if (strcmp(type, "Pow") == 0)
        *y = pow(a, b);
    else if (strcmp(type, "Min") == 0)
        *y = fmin(a, b);
    else if (strcmp(type, "Max") == 0)
        *y = fmax(a, b);
    else if (strcmp(type, "Equal") == 0)
        *y = a == b;
    else if (strcmp(type, "Less") == 0)
        *y = a < b;
    else if (strcmp(type, "Greater") == 0)
        *y = a > b;
    else
        return false;
    return true;
}

bool onnx_fold_binary(onnx_run *r) {
    const char *type = r->o->type;
    const onnx_constant *a = onnx_constant_input(r, 0), *b = onnx_constant_input(r, 1);
    psal_shape shape;
    if (!a || !b || r->o->input_count != 2) return false;
    if (onnx_int(r, "fmod", 0))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute fmod 1: psal has remainders of floor division");
    if (onnx_failed(r)) return false;
    if (!psal_shape_broadcast(&a->shape, &b->shape, &shape)) {
        onnx_fail(r, PSAL_ERR_SHAPE, "its constants do not fit each other");
        return false;
    }
    const bool compares = strcmp(type, "Equal") == 0 || strcmp(type, "Less") == 0 || strcmp(type, "Greater") == 0;
    const bool integers = a->integers && b->integers && strcmp(type, "Pow") != 0;
    /* a power has the type of its base */
    onnx_constant *y = onnx_new_constant(r, integers || compares || (a->integers && strcmp(type, "Pow") == 0), &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) {
        const int64_t ka = repeated(&shape, k, &a->shape), kb = repeated(&shape, k, &b->shape);
        double number = 0;
        const bool good = integers ? integer_result(type, a->integers[ka], b->integers[kb], &y->integers[k])
                                   : number_result(type, number_at(a, ka), number_at(b, kb), &number);
        if (!good || !(integers || y->numbers || fabs(number) < 9e18)) {
            onnx_fail(r, PSAL_ERR_NUMERIC, "this is not defined for its constants");
            return false;
        }
        if (!integers && y->integers) y->integers[k] = (int64_t)number;
        if (!integers && y->numbers) y->numbers[k] = number;
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_unary(onnx_run *r) {
    const char *type = r->o->type;
    const onnx_constant *x = onnx_constant_input(r, 0);
    onnx_constant *y = x ? onnx_new_constant(r, x->integers != NULL, &x->shape) : NULL;
    for (int64_t k = 0; y && k < psal_shape_count(&x->shape); k++) {
        if (x->integers) {
            const int64_t v = x->integers[k];
            const bool negate = strcmp(type, "Neg") == 0 || (strcmp(type, "Abs") == 0 && v < 0);
            if (!negate && strcmp(type, "Abs") != 0 && strcmp(type, "Not") != 0) return false;
            y->integers[k] = strcmp(type, "Not") == 0 ? !v : negate ? (int64_t)(0 - (uint64_t)v) : v;
        } else {
            const double v = x->numbers[k];
            if (strcmp(type, "Sqrt") == 0)
                y->numbers[k] = sqrt(v);
            else if (strcmp(type, "Neg") == 0)
                y->numbers[k] = -v;
            else if (strcmp(type, "Abs") == 0)
                y->numbers[k] = fabs(v);
            else if (strcmp(type, "Floor") == 0)
                y->numbers[k] = floor(v);
            else if (strcmp(type, "Ceil") == 0)
                y->numbers[k] = ceil(v);
            else if (strcmp(type, "Reciprocal") == 0)
                y->numbers[k] = 1 / v;
            else if (strcmp(type, "Exp") == 0)
                y->numbers[k] = exp(v);
            else if (strcmp(type, "Log") == 0)
                y->numbers[k] = log(v);
            else
                return false;
        }
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

/* TensorProto.DataType: FLOAT 1, FLOAT16 10, DOUBLE 11, BFLOAT16 16; BOOL 9. */
bool onnx_fold_cast(onnx_run *r) {
    const onnx_constant *x = onnx_constant_input(r, 0);
    const int64_t to = onnx_int(r, "to", 0);
    onnx_constant *y = x ? onnx_new_constant(r, !(to == 1 || to == 10 || to == 11 || to == 16), &x->shape) : NULL;
    for (int64_t k = 0; y && k < psal_shape_count(&x->shape); k++) {
        if (y->integers && x->numbers && !(fabs(x->numbers[k]) < 9e18)) {
            onnx_fail(r, PSAL_ERR_NUMERIC, "%g is no whole number", x->numbers[k]);
            return false;
        }
        copy_element(y, k, x, k);
        if (to == 9) y->integers[k] = number_at(x, k) != 0;
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_where(onnx_run *r) {
    const onnx_constant *c = onnx_constant_input(r, 0), *a = onnx_constant_input(r, 1), *b = onnx_constant_input(r, 2);
    psal_shape both, shape;
    if (!c || !a || !b) return false;
    if (!c->integers || !psal_shape_broadcast(&a->shape, &b->shape, &both) ||
        !psal_shape_broadcast(&c->shape, &both, &shape)) {
        onnx_fail(r, PSAL_ERR_SHAPE, "its constants do not fit each other");
        return false;
    }
    onnx_constant *y = onnx_new_constant(r, a->integers && b->integers, &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) {
        const onnx_constant *x = c->integers[repeated(&shape, k, &c->shape)] ? a : b;
        copy_element(y, k, x, repeated(&shape, k, &x->shape));
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

/* ---- moving elements ---- */

static int64_t count_before(const psal_shape *s, int axis) {
    int64_t count = 1;
    for (int i = 0; i < axis; i++) count *= s->dim[i];
    return count;
}

static int64_t count_behind(const psal_shape *s, int axis) {
    int64_t count = 1;
    for (int i = axis + 1; i < s->ndim; i++) count *= s->dim[i];
    return count;
}

bool onnx_fold_concat(onnx_run *r) {
    const onnx_constant *first = onnx_constant_input(r, 0);
    const int axis = first ? onnx_axis(r, onnx_int(r, "axis", 0), first->shape.ndim) : -1;
    if (axis < 0) return false;
    psal_shape shape = first->shape;
    bool integers = true;
    shape.dim[axis] = 0;
    for (size_t i = 0; i < r->o->input_count; i++) {
        const onnx_constant *x = onnx_constant_input(r, i);
        bool fits = x && x->shape.ndim == shape.ndim;
        for (int k = 0; fits && k < shape.ndim; k++) fits = k == axis || x->shape.dim[k] == shape.dim[k];
        if (!fits || __builtin_add_overflow(shape.dim[axis], x->shape.dim[axis], &shape.dim[axis])) {
            onnx_fail(r, PSAL_ERR_SHAPE, "its constants do not fit each other");
            return false;
        }
        integers &= x->integers != NULL;
    }
    onnx_constant *y = onnx_new_constant(r, integers, &shape);
    if (!y) return false;
    const int64_t before = count_before(&shape, axis), behind = count_behind(&shape, axis);
    for (int64_t b = 0, to = 0; b < before; b++)
        for (size_t i = 0; i < r->o->input_count; i++) {
            const onnx_constant *x = onnx_constant_input(r, i);
            const int64_t run = x->shape.dim[axis] * behind;
            for (int64_t k = 0; k < run; k++) copy_element(y, to++, x, b * run + k);
        }
    onnx_output_constant(r, 0, y);
    return true;
}

bool onnx_fold_gather(onnx_run *r) {
    const onnx_constant *x = onnx_constant_input(r, 0), *index = onnx_constant_input(r, 1);
    const int axis = x && index && index->integers ? onnx_axis(r, onnx_int(r, "axis", 0), x->shape.ndim) : -1;
    if (axis < 0) return false;
    psal_shape shape;
    if (!onnx_gathered(r, &x->shape, axis, &index->shape, &shape)) return false;
    onnx_constant *y = onnx_new_constant(r, x->integers != NULL, &shape);
    if (!y) return false;
    const int64_t before = count_before(&x->shape, axis), behind = count_behind(&x->shape, axis);
    const int64_t length = x->shape.dim[axis], chosen = psal_shape_count(&index->shape);
    for (int64_t b = 0, to = 0; b < before; b++)
        for (int64_t k = 0; k < chosen; k++) {
            const int64_t at = onnx_index(r, index->integers[k], length);
            if (at < 0) return false;
            for (int64_t j = 0; j < behind; j++) copy_element(y, to++, x, (b * length + at) * behind + j);
        }
    onnx_output_constant(r, 0, y);
    return true;
}

const onnx_constant *onnx_scattered(onnx_run *r, const psal_shape *shape, const onnx_constant *indices,
                                    const psal_shape *updates) {
    const psal_attribute *reduction = onnx_attribute(r->o, "reduction");
    const psal_shape *s = indices ? &indices->shape : NULL;
    const int64_t depth = s && s->ndim > 0 ? s->dim[s->ndim - 1] : -1; /* how many axes an index chooses on */
    if (!indices || !indices->integers) onnx_fail(r, PSAL_ERR_UNSUPPORTED, "its indices are not known beforehand");
    if (reduction && strcmp(reduction->text, "none") != 0)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute reduction '%.40s': psal has none", reduction->text);
    if (psal_shape_count(updates) > MAX_UPDATES)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "more than %d updates", MAX_UPDATES);
    bool fits = depth > 0 && depth <= shape->ndim && updates->ndim == s->ndim - 1 + shape->ndim - (int)depth;
    for (int i = 0; fits && i < updates->ndim; i++)
        fits = updates->dim[i] == (i < s->ndim - 1 ? s->dim[i] : shape->dim[i - (s->ndim - 1) + depth]);
    if (!fits) onnx_fail(r, PSAL_ERR_SHAPE, "its indices and updates do not fit each other");
    onnx_constant *from = onnx_new_constant(r, true, shape);
    if (!from) return NULL;
    const int64_t total = psal_shape_count(shape), run = count_behind(shape, (int)depth - 1);
    for (int64_t k = 0; k < total; k++) from->integers[k] = k;
    for (int64_t u = 0; u < psal_shape_count(updates) / (run ? run : 1); u++) {
        int64_t at = 0;
        for (int64_t i = 0; i < depth; i++) {
            const int64_t length = shape->dim[i], said = indices->integers[u * depth + i];
            const int64_t index = said < 0 && said >= -length ? said + length : said;
            if (index < 0 || index >= length) {
                onnx_fail(r, PSAL_ERR_SHAPE, "index %" PRId64 " of %" PRId64, said, length);
                return NULL;
            }
            at = at * length + index;
        }
        for (int64_t k = 0; k < run; k++) from->integers[at * run + k] = total + u * run + k;
    }
    return from;
}

bool onnx_fold_scatter(onnx_run *r) {
    const onnx_constant *x = onnx_constant_input(r, 0), *updates = onnx_constant_input(r, 2);
    if (!x || !updates) return false;
    const onnx_constant *from = onnx_scattered(r, &x->shape, onnx_constant_input(r, 1), &updates->shape);
    onnx_constant *y = from ? onnx_new_constant(r, x->integers != NULL, &x->shape) : NULL;
    const int64_t total = psal_shape_count(&x->shape);
    for (int64_t k = 0; y && k < total; k++) {
        const int64_t at = from->integers[k];
        copy_element(y, k, at < total ? x : updates, at < total ? at : at - total);
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

/* The same elements in another shape. */
bool onnx_fold_shape_change(onnx_run *r) {
    const char *type = r->o->type;
    const onnx_constant *x = onnx_constant_input(r, 0);
    psal_shape shape;
    if (!x) return false;
    shape = x->shape;
    if (strcmp(type, "Reshape") == 0) {
        if (!onnx_reshaped(r, &x->shape, &shape)) return false;
    } else if (strcmp(type, "Squeeze") == 0 || strcmp(type, "Unsqueeze") == 0) {
        if (!onnx_squeezed(r, &x->shape, *type == 'U', &shape)) return false;
    } else if (strcmp(type, "Identity") != 0) {
        return false;
    }
    onnx_constant *y = onnx_new_constant(r, x->integers != NULL, &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) copy_element(y, k, x, k);
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_slice(onnx_run *r) {
    const onnx_constant *x = onnx_constant_input(r, 0);
    int64_t starts[PSAL_MAX_DIMS], lengths[PSAL_MAX_DIMS], steps[PSAL_MAX_DIMS];
    if (!x || !onnx_slices(r, &x->shape, starts, lengths, steps)) return false;
    const psal_shape shape = psal_shape_make(x->shape.ndim, lengths);
    onnx_constant *y = onnx_new_constant(r, x->integers != NULL, &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) {
        int64_t rest = k, at = 0, stride = 1;
        for (int i = shape.ndim; i-- > 0; rest /= shape.dim[i]) {
            at += (starts[i] + rest % shape.dim[i] * steps[i]) * stride;
            stride *= x->shape.dim[i];
        }
        copy_element(y, k, x, at);
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_transpose(onnx_run *r) {
    const onnx_constant *x = onnx_constant_input(r, 0);
    int axes[PSAL_MAX_DIMS];
    if (!x || !onnx_permutation(r, x->shape.ndim, axes)) return false;
    const int ndim = x->shape.ndim;
    psal_shape shape = {.ndim = ndim};
    for (int i = 0; i < ndim; i++) shape.dim[i] = x->shape.dim[axes[i]];
    onnx_constant *y = onnx_new_constant(r, x->integers != NULL, &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) {
        int64_t rest = k, at = 0;
        for (int i = ndim; i-- > 0; rest /= shape.dim[i]) at += rest % shape.dim[i] * count_behind(&x->shape, axes[i]);
        copy_element(y, k, x, at);
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_expand(onnx_run *r) {
    const onnx_constant *x = onnx_constant_input(r, 0);
    psal_shape shape;
    if (!x || !onnx_expanded(r, &x->shape, &shape)) return false;
    onnx_constant *y = onnx_new_constant(r, x->integers != NULL, &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) copy_element(y, k, x, repeated(&shape, k, &x->shape));
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_range(onnx_run *r) {
    double start, limit, delta;
    if (!onnx_scalar(onnx_constant_input(r, 0), &start) || !onnx_scalar(onnx_constant_input(r, 1), &limit) ||
        !onnx_scalar(onnx_constant_input(r, 2), &delta))
        return false;
    const double count = ceil((limit - start) / delta);
    if (!(count < 1e9)) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "from %g to %g by %g", start, limit, delta);
        return false;
    }
    const psal_shape shape = PSAL_SHAPE(count > 0 ? (int64_t)count : 0);
    onnx_constant *y = onnx_new_constant(r, onnx_constant_input(r, 0)->integers != NULL, &shape);
    for (int64_t k = 0; y && k < shape.dim[0]; k++) {
        if (y->integers)
            y->integers[k] = (int64_t)(start + (double)k * delta);
        else
            y->numbers[k] = start + (double)k * delta;
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

bool onnx_fold_fill(onnx_run *r) {
    int64_t count;
    const int64_t *wanted = onnx_integers(r, 0, &count);
    const psal_attribute *value = onnx_attribute(r->o, "value");
    double number = 0;
    if (!wanted) return false;
    if (count > PSAL_MAX_DIMS || (value && (value->type != PSAL_ATTRIBUTE_TENSOR || value->tensor.dtype == PSAL_OTHER ||
                                            psal_shape_count(&value->tensor.shape) != 1))) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "its value is not one number");
        return false;
    }
    if (value) psal_tensor_to_f64(&value->tensor, &number);
    const psal_shape shape = psal_shape_make((int)count, wanted);
    onnx_constant *y = onnx_new_constant(r, value && !psal_tensor_is_float(&value->tensor), &shape);
    for (int64_t k = 0; y && k < psal_shape_count(&shape); k++) {
        if (y->integers)
            y->integers[k] = (int64_t)number;
        else
            y->numbers[k] = number;
    }
    onnx_output_constant(r, 0, y);
    return y != NULL;
}

/* Over all axes. */
bool onnx_fold_reduce(onnx_run *r) {
    const char *type = r->o->type;
    const onnx_constant *x = onnx_constant_input(r, 0);
    int64_t axis_count;
    const int64_t *axes = onnx_integers_of(r, "axes", 1, &axis_count);
    if (!x || onnx_failed(r) || (axes && axis_count != x->shape.ndim) || x->shape.ndim > 1) return false;
    const int64_t count = psal_shape_count(&x->shape);
    psal_shape shape = {.ndim = onnx_int(r, "keepdims", 1) ? x->shape.ndim : 0, .dim = {1}};
    onnx_constant *y = count ? onnx_new_constant(r, x->integers != NULL, &shape) : NULL;
    if (!y) return false;
    const char *each = strcmp(type, "ReduceProd") == 0  ? "Mul"
                       : strcmp(type, "ReduceMax") == 0 ? "Max"
                       : strcmp(type, "ReduceMin") == 0 ? "Min"
                                                        : "Add";
    copy_element(y, 0, x, 0);
    for (int64_t k = 1; k < count; k++) {
        if (y->integers)
            integer_result(each, y->integers[0], x->integers[k], y->integers);
        else
            number_result(each, y->numbers[0], x->numbers[k], y->numbers);
    }
    if (strcmp(type, "ReduceMean") == 0) {
        if (y->integers) return false;
        y->numbers[0] /= (double)count;
    }
    onnx_output_constant(r, 0, y);
    return true;
}
