/* Einsum: sums over products whose axes are named by letters (onnx.ai/onnx/operators, NumPy's einsum). */
#include <inttypes.h>
#include <string.h>

#include "models/onnx_internal.h"

/* Labels of axes: letters, and what an ellipsis stands for, counted from the last axis. */
enum { ELLIPSIS = 128, LABELS = ELLIPSIS + PSAL_MAX_DIMS };

typedef struct axis_list {
    int count;
    int label[PSAL_MAX_DIMS];
} axis_list;

static bool has(const axis_list *l, int label) {
    for (int i = 0; i < l->count; i++)
        if (l->label[i] == label) return true;
    return false;
}

static void append(onnx_run *r, axis_list *l, int label) {
    if (has(l, label))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "an axis twice in one term of its equation: psal takes no diagonals");
    else if (l->count == PSAL_MAX_DIMS)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "more than %d dimensions", PSAL_MAX_DIMS);
    else
        l->label[l->count++] = label;
}

/* The term text[length]; an ellipsis in it stands for `hidden` axes. */
static void read_term(onnx_run *r, const char *text, size_t length, int hidden, axis_list *l) {
    l->count = 0;
    for (size_t i = 0; i < length && !onnx_failed(r); i++) {
        const char c = text[i];
        if (c == ' ') continue;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            append(r, l, c);
        } else if (length - i >= 3 && strncmp(text + i, "...", 3) == 0) {
            for (int k = hidden; k-- > 0;) append(r, l, ELLIPSIS + k);
            i += 2;
        } else {
            onnx_fail(r, PSAL_ERR_FORMAT, "its equation has a '%c'", c > ' ' && c < 127 ? c : '?');
        }
    }
}

static int count_letters(const char *text, size_t length) {
    int letters = 0;
    for (size_t i = 0; i < length && letters <= PSAL_MAX_DIMS; i++) letters += text[i] != ' ' && text[i] != '.';
    return letters;
}

/* Without an arrow: the ellipsis' axes, then the letters that occur once, in the order of the alphabet. */
static void implied(onnx_run *r, const axis_list terms[2], int count, int hidden, axis_list *l) {
    l->count = 0;
    for (int k = hidden; k-- > 0;) append(r, l, ELLIPSIS + k);
    for (int c = 'A'; c <= 'z'; c++)
        if (has(&terms[0], c) != (count > 1 && has(&terms[1], c))) append(r, l, c);
}

/* Terms of the inputs and of the output. */
static bool read_equation(onnx_run *r, const psal_shape shapes[2], int count, axis_list terms[2], axis_list *output) {
    const psal_attribute *a = onnx_attribute(r->o, "equation");
    if (!a || a->type != PSAL_ATTRIBUTE_STRING) {
        onnx_fail(r, PSAL_ERR_FORMAT, "it has no equation");
        return false;
    }
    const char *at = a->text, *arrow = strstr(a->text, "->");
    int hidden = 0;
    for (int i = 0; i < count && !onnx_failed(r); i++) {
        const char *end = arrow ? arrow : at + strlen(at), *comma = memchr(at, ',', (size_t)(end - at));
        if ((i + 1 < count) != (comma != NULL)) {
            onnx_fail(r, PSAL_ERR_FORMAT, "its equation '%.100s' is not of %d inputs", a->text, count);
            return false;
        }
        const size_t length = (size_t)((comma ? comma : end) - at);
        const int rest = shapes[i].ndim - count_letters(at, length);
        read_term(r, at, length, rest, &terms[i]);
        if (!onnx_failed(r) && terms[i].count != shapes[i].ndim)
            onnx_fail(r, PSAL_ERR_SHAPE, "its equation '%.100s' does not fit input %d of %d dimensions", a->text, i,
                      shapes[i].ndim);
        if (rest > hidden) hidden = rest;
        at = comma ? comma + 1 : end;
    }
    if (onnx_failed(r)) return false;
    if (arrow)
        read_term(r, arrow + 2, strlen(arrow + 2), hidden, output);
    else
        implied(r, terms, count, hidden, output);
    for (int i = 0; i < output->count && !onnx_failed(r); i++)
        if (!has(&terms[0], output->label[i]) && !(count > 1 && has(&terms[1], output->label[i])))
            onnx_fail(r, PSAL_ERR_FORMAT, "its equation '%.100s' asks for an axis that no input has", a->text);
    return !onnx_failed(r);
}

/* x, whose axes are `from`, with the axes `to`: the same in another order. */
static psal_node order(onnx_run *r, psal_node x, const axis_list *from, const axis_list *to) {
    int axes[PSAL_MAX_DIMS];
    bool same = true;
    for (int i = 0; i < to->count; i++) {
        for (int k = 0; k < from->count; k++)
            if (from->label[k] == to->label[i]) axes[i] = k;
        same &= axes[i] == i;
    }
    return same ? x : psal_permute(r->graph, x, axes, to->count);
}

/* x summed over the axes that neither `a` nor `b` (NULL: nobody) has. */
static psal_node sum_alone(onnx_run *r, psal_node x, axis_list *l, const axis_list *a, const axis_list *b) {
    axis_list kept = {.count = 0};
    int axes[PSAL_MAX_DIMS], count = 0;
    for (int i = 0; i < l->count; i++) {
        if (has(a, l->label[i]) || (b && has(b, l->label[i])))
            kept.label[kept.count++] = l->label[i];
        else
            axes[count++] = i;
    }
    *l = kept;
    return count ? psal_sum_axes(r->graph, x, axes, count, false) : x;
}

/* The axes of `l` that `a` and `b` have or not, behind those of `to`; their lengths' product. */
static int64_t choose(const axis_list *l, const axis_list *a, bool in_a, const axis_list *b, bool in_b,
                      const int64_t *lengths, axis_list *to) {
    int64_t product = 1;
    for (int i = 0; i < l->count; i++) {
        if (has(a, l->label[i]) != in_a || has(b, l->label[i]) != in_b) continue;
        to->label[to->count++] = l->label[i];
        product *= lengths[l->label[i]];
    }
    return product;
}

/* As matrix products: [both and output][first only, summed] times [both and output][summed, second only]. */
static psal_node product(onnx_run *r, psal_node x[2], const axis_list terms[2], const axis_list *output,
                         const int64_t *lengths) {
    psal_graph *g = r->graph;
    const axis_list *a = &terms[0], *b = &terms[1];
    axis_list left = {.count = 0}, right = {.count = 0}, result = {.count = 0};
    const int64_t batch = choose(a, b, true, output, true, lengths, &left);
    right = result = left;
    const int64_t rows = choose(a, b, false, output, true, lengths, &left);
    choose(a, b, false, output, true, lengths, &result);
    const int64_t inner = choose(a, b, true, output, false, lengths, &left);
    choose(a, b, true, output, false, lengths, &right);
    const int64_t columns = choose(b, a, false, output, true, lengths, &right);
    choose(b, a, false, output, true, lengths, &result);
    psal_shape shape = {.ndim = result.count};
    for (int i = 0; i < result.count; i++) shape.dim[i] = lengths[result.label[i]];
    const psal_node first = psal_reshape(g, order(r, x[0], a, &left), PSAL_SHAPE(batch, rows, inner)),
                    second = psal_reshape(g, order(r, x[1], b, &right), PSAL_SHAPE(batch, inner, columns));
    const psal_node y = psal_reshape(g, psal_matmul(g, first, false, second, false), shape);
    return order(r, y, &result, output);
}

void onnx_build_einsum(onnx_run *r) {
    const int count = (int)r->o->input_count;
    if (r->o->input_count < 1 || r->o->input_count > 2) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "of %zu inputs: psal takes one or two", r->o->input_count);
        return;
    }
    psal_node x[2];
    psal_shape shapes[2];
    axis_list terms[2], output;
    int64_t lengths[LABELS] = {0};
    for (int i = 0; i < count; i++) {
        x[i] = onnx_input(r, (size_t)i);
        if (onnx_failed(r)) return;
        shapes[i] = *onnx_shape(r, x[i]);
    }
    if (!read_equation(r, shapes, count, terms, &output)) return;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < terms[i].count; k++) {
            int64_t *length = &lengths[terms[i].label[k]];
            if (*length && *length != shapes[i].dim[k]) {
                onnx_fail(r, PSAL_ERR_SHAPE, "an axis of its equation is both %" PRId64 " and %" PRId64 " long",
                          *length, shapes[i].dim[k]);
                return;
            }
            *length = shapes[i].dim[k];
        }
    for (int i = 0; i < count; i++) x[i] = sum_alone(r, x[i], &terms[i], &output, count > 1 ? &terms[1 - i] : NULL);
    onnx_output(r, 0, count == 1 ? order(r, x[0], &terms[0], &output) : product(r, x, terms, &output, lengths));
}
