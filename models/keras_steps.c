/* What translations of single layers are written with. */
#include "models/keras_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/floats.h"

/* ---- errors and attributes ---- */

void keras_fail(keras_translation *t, psal_status status, const char *format, ...) {
    char text[600];
    va_list arguments;
    if (t->status != PSAL_OK) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    t->status = t->o ? psal_fail(t->err, status, "layer '%.100s' (%.60s): %s", t->o->name, t->o->type, text)
                     : psal_fail(t->err, status, "%s", text);
}

bool keras_failed(const keras_translation *t) {
    return t->status != PSAL_OK;
}

const psal_attribute *keras_attribute(const keras_translation *t, const char *name) {
    for (size_t i = 0; i < t->o->attribute_count; i++)
        if (strcmp(t->o->attributes[i].name, name) == 0) return &t->o->attributes[i];
    return NULL;
}

double keras_number(keras_translation *t, const char *name, double otherwise) {
    const psal_attribute *a = keras_attribute(t, name);
    if (!a) return otherwise;
    if (a->type == PSAL_ATTRIBUTE_INT) return (double)a->integer;
    if (a->type == PSAL_ATTRIBUTE_FLOAT && isfinite(a->number)) return a->number;
    keras_fail(t, PSAL_ERR_UNSUPPORTED, "its %s is not a number", name);
    return otherwise;
}

bool keras_flag(keras_translation *t, const char *name, bool otherwise) {
    return keras_number(t, name, otherwise) != 0;
}

const char *keras_word(keras_translation *t, const char *name, const char *otherwise) {
    const psal_attribute *a = keras_attribute(t, name);
    if (!a) return otherwise;
    if (a->type == PSAL_ATTRIBUTE_STRING) return a->text;
    keras_fail(t, PSAL_ERR_UNSUPPORTED, "its %s is not a word", name);
    return otherwise;
}

int keras_whole_numbers(keras_translation *t, const char *name, int64_t *numbers, int most) {
    const psal_attribute *a = keras_attribute(t, name);
    if (!a) return 0;
    if (a->type == PSAL_ATTRIBUTE_INT ||
        (a->type == PSAL_ATTRIBUTE_FLOAT && fabsf(a->number) < 1e9f && a->number == floorf(a->number))) {
        numbers[0] = a->type == PSAL_ATTRIBUTE_INT ? a->integer : (int64_t)a->number;
        return 1;
    }
    if (a->type != PSAL_ATTRIBUTE_INTS || a->count < 1 || a->count > (size_t)most) {
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "its %s is not a list of 1 to %d whole numbers", name, most);
        return 0;
    }
    for (size_t i = 0; i < a->count; i++) numbers[i] = a->integers[i];
    return (int)a->count;
}

void keras_pair(keras_translation *t, const char *name, int64_t otherwise, int64_t numbers[2]) {
    const int count = keras_whole_numbers(t, name, numbers, 2);
    if (count == 0) numbers[0] = otherwise;
    if (count < 2) numbers[1] = numbers[0];
    for (int i = 0; i < 2; i++)
        if (numbers[i] < 1 || numbers[i] > 1 << 20) keras_fail(t, PSAL_ERR_FORMAT, "%s of %" PRId64, name, numbers[i]);
}

void keras_want_channels_last(keras_translation *t) {
    if (strcmp(keras_word(t, "data_format", "channels_last"), "channels_last") != 0)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "its data_format is not channels_last");
}

bool keras_pads_same(keras_translation *t) {
    const char *padding = keras_word(t, "padding", "valid");
    if (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "padding '%.40s': psal has valid and same", padding);
    return strcmp(padding, "same") == 0;
}

/* ---- values ---- */

const keras_value *keras_input(keras_translation *t, size_t i) {
    static const keras_value none = {.name = NULL};
    const keras_value *x = i < t->o->input_count && t->o->inputs[i] >= 0 ? &t->values[t->o->inputs[i]] : &none;
    if (!x->name) keras_fail(t, PSAL_ERR_FORMAT, "it has no input");
    return x;
}

const keras_value *keras_input_of_rank(keras_translation *t, size_t i, int rank) {
    const keras_value *x = keras_input(t, i);
    if (x->name && x->rank != rank)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "its input has %d dimensions: psal takes %d", x->rank, rank);
    return x;
}

char *keras_copy_of(keras_translation *t, const char *text) {
    char *copy = text ? strdup(text) : NULL;
    if (!copy) keras_fail(t, PSAL_ERR_MEMORY, "out of memory");
    return copy;
}

void keras_output(keras_translation *t, const char *x, int rank, int64_t channels) {
    keras_value *y = &t->values[t->o->outputs[0]];
    if (keras_failed(t)) return;
    y->name = keras_copy_of(t, x);
    y->rank = rank;
    y->channels = channels;
}

void keras_output_same(keras_translation *t, const keras_value *x) {
    keras_output(t, x->name, x->rank, x->channels);
    keras_value *y = &t->values[t->o->outputs[0]];
    if (keras_failed(t)) return;
    if (x->logits) y->logits = keras_copy_of(t, x->logits);
    y->probability = x->probability;
    y->hidden = x->hidden;
}

psal_attribute keras_integer_attribute(const char *name, int64_t integer) {
    return (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_INT, .integer = integer, .text = ""};
}

psal_attribute keras_number_attribute(const char *name, double number) {
    return (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_FLOAT, .number = (float)number, .text = ""};
}

psal_attribute keras_text_attribute(const char *name, const char *text) {
    return (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_STRING, .text = text};
}

psal_attribute keras_list_attribute(const char *name, const int64_t *integers, size_t count) {
    return (psal_attribute){
        .name = name, .type = PSAL_ATTRIBUTE_INTS, .integers = integers, .count = count, .text = ""};
}

keras_step keras_emit_all(keras_translation *t, const char *type, const char *const *inputs, size_t count,
                          const psal_attribute *attributes, size_t attribute_count) {
    const char *layer = t->keras->values[t->o->outputs[0]];
    keras_step made;
    if ((size_t)snprintf(made.text, sizeof made.text, "%s/%s.%d", layer, type, ++t->steps) >= sizeof made.text)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "its name is too long");
    const psal_operator o = {
        .name = made.text, .type = type, .domain = "", .attributes = attributes, .attribute_count = attribute_count};
    if (!keras_failed(t)) psal_describer_operator(t->onnx, &o, inputs, count, made.text);
    return made;
}

keras_step keras_emit(keras_translation *t, const char *type, const char *x, const char *second, const char *third,
                      const psal_attribute *attributes, size_t attribute_count) {
    const char *const inputs[] = {x, second, third};
    return keras_emit_all(t, type, inputs, third ? 3 : second ? 2 : 1, attributes, attribute_count);
}

keras_step keras_emit_plain(keras_translation *t, const char *type, const char *x) {
    return keras_emit(t, type, x, NULL, NULL, NULL, 0);
}

static keras_step constant_name(keras_translation *t) {
    keras_step name;
    snprintf(name.text, sizeof name.text, "constant.%d", ++t->constants);
    return name;
}

keras_step keras_constant_number(keras_translation *t, double x) {
    const keras_step name = constant_name(t);
    float *to = keras_failed(t) ? NULL
                                : psal_tensor_map_add(t->map, name.text, PSAL_F32, &(psal_shape){.ndim = 0}, t->err);
    if (to) *to = (float)x;
    if (!to && !keras_failed(t)) t->status = psal_error_status(t->err);
    return name;
}

keras_step keras_constant_integers(keras_translation *t, const int64_t *values, int64_t count) {
    const keras_step name = constant_name(t);
    const psal_shape shape = PSAL_SHAPE(count);
    int64_t *to = keras_failed(t) ? NULL : psal_tensor_map_add(t->map, name.text, PSAL_I64, &shape, t->err);
    if (to) memcpy(to, values, (size_t)count * sizeof *to);
    if (!to && !keras_failed(t)) t->status = psal_error_status(t->err);
    return name;
}

keras_step keras_transpose(keras_translation *t, const char *x, bool channels_last) {
    static const int64_t last[] = {0, 2, 3, 1}, first[] = {0, 3, 1, 2};
    const psal_attribute perm = keras_list_attribute("perm", channels_last ? last : first, 4);
    return keras_emit(t, "Transpose", x, NULL, NULL, &perm, 1);
}

/* ---- weights ---- */

#define SEVERAL (SIZE_MAX - 1)

/* "a/LAYER/PART": "LAYER/PART"; NULL: it is not longer. */
static const char *ending_of(const char *name) {
    const char *last = strrchr(name, '/');
    while (last && last > name)
        if (*--last == '/') return last + 1;
    return NULL;
}

void keras_find_endings(keras_translation *t) {
    const size_t count = psal_tensor_map_count(t->checkpoint);
    t->endings = psal_tensor_map_new();
    t->of_endings = calloc(count + 1, sizeof *t->of_endings);
    if (!t->endings || !t->of_endings) keras_fail(t, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count && !keras_failed(t); i++) {
        const char *ending = ending_of(psal_tensor_map_name(t->checkpoint, i));
        const size_t before = ending ? psal_tensor_map_find(t->endings, ending) : SIZE_MAX;
        if (before != SIZE_MAX) t->of_endings[before] = SEVERAL;
        if (!ending || before != SIZE_MAX) continue;
        t->of_endings[psal_tensor_map_count(t->endings)] = i;
        t->status = psal_tensor_map_add_view(t->endings, ending, PSAL_BOOL, &(psal_shape){0}, NULL, t->err);
    }
}

size_t keras_find_weight(keras_translation *t, const char *part) {
    char wanted[512];
    const size_t length = (size_t)snprintf(wanted, sizeof wanted, "%s/%s", t->o->name, part);
    if (length >= sizeof wanted) return SIZE_MAX;
    const size_t exact = psal_tensor_map_find(t->checkpoint, wanted), ending = psal_tensor_map_find(t->endings, wanted);
    if (exact != SIZE_MAX || ending == SIZE_MAX) return exact;
    if (t->of_endings[ending] != SEVERAL) return t->of_endings[ending];
    keras_fail(t, PSAL_ERR_FORMAT, "several weights end in '%.200s'", wanted);
    return SIZE_MAX;
}

static psal_shape shape_as(keras_layout layout, const psal_shape *s) {
    const int64_t *dim = s->dim;
    return layout == KERAS_OIHW         ? PSAL_SHAPE(dim[3], dim[2], dim[0], dim[1])
           : layout == KERAS_DEPTHWISE  ? PSAL_SHAPE(dim[2] * dim[3], 1, dim[0], dim[1])
           : layout == KERAS_TRANSPOSED ? PSAL_SHAPE(dim[1], dim[0])
                                        : *s;
}

/* [positions, inputs, outputs] to [outputs, inputs, positions] */
static void reorder(const float *from, float *to, int64_t positions, int64_t inputs, int64_t outputs) {
    for (int64_t p = 0; p < positions; p++)
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t o = 0; o < outputs; o++)
                to[(o * inputs + i) * positions + p] = from[(p * inputs + i) * outputs + o];
}

static psal_status place(keras_translation *t, const char *name, const psal_tensor *tensor, keras_layout layout) {
    const psal_shape *s = &tensor->shape, shape = shape_as(layout, s);
    if (!net_is_weight(tensor)) return net_refuse_type(name, tensor, t->err);
    float *to = psal_tensor_map_add(t->map, name, PSAL_F32, &shape, t->err);
    if (!to) return psal_error_status(t->err);
    const size_t count = (size_t)psal_shape_count(s);
    float *numbers = net_floats(tensor);
    if (!numbers) return psal_fail(t->err, PSAL_ERR_MEMORY, "out of memory");
    if (layout == KERAS_PLAIN)
        memcpy(to, numbers, count * sizeof *to);
    else if (layout == KERAS_TRANSPOSED)
        reorder(numbers, to, 1, s->dim[0], s->dim[1]);
    else if (layout == KERAS_OIHW)
        reorder(numbers, to, s->dim[0] * s->dim[1], s->dim[2], s->dim[3]);
    else
        reorder(numbers, to, s->dim[0] * s->dim[1], 1, s->dim[2] * s->dim[3]);
    free(numbers);
    return PSAL_OK;
}

/* Whether two values are calls of one layer: "net/x" and "net/x:1". */
static bool of_one_layer(const char *a, const char *b) {
    const char *const ends[] = {strrchr(a, ':'), strrchr(b, ':')};
    const size_t length = ends[0] ? (size_t)(ends[0] - a) : strlen(a);
    return length == (ends[1] ? (size_t)(ends[1] - b) : strlen(b)) && strncmp(a, b, length) == 0;
}

const char *keras_weight(keras_translation *t, const char *part, int ndim, keras_layout layout, psal_shape *shape) {
    *shape = (psal_shape){.ndim = ndim};
    if (keras_failed(t)) return NULL;
    const size_t i = keras_find_weight(t, part);
    char text[96];
    if (i == SIZE_MAX) {
        keras_fail(t, PSAL_ERR_FORMAT, "the weights have no '%.100s/%s'", t->o->name, part);
        return NULL;
    }
    const char *name = psal_tensor_map_name(t->checkpoint, i), *owner = t->keras->values[t->o->outputs[0]];
    const psal_tensor *tensor = psal_tensor_map_at(t->checkpoint, i);
    *shape = tensor->shape;
    if (shape->ndim != ndim || psal_shape_count(shape) < 1) {
        keras_fail(t, PSAL_ERR_SHAPE, "'%.200s' has shape %s, expected %d dimensions", name,
                   psal_shape_format(shape, text, sizeof text), ndim);
        return NULL;
    }
    if (t->layouts[i] && t->layouts[i] != (char)layout)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "'%.200s' is used in two ways", name);
    else if (t->layouts[i] && !of_one_layer(t->owners[i], owner)) /* of one name, in two networks */
        keras_fail(t, PSAL_ERR_FORMAT, "'%.200s' is the weight of '%.100s', too", name, t->owners[i]);
    else if (!t->layouts[i])
        t->status = place(t, name, tensor, layout);
    t->layouts[i] = (char)layout;
    t->owners[i] = owner;
    return keras_failed(t) ? NULL : name;
}

const char *keras_vector(keras_translation *t, const char *part, int64_t length, bool there, const double *otherwise,
                         keras_step *made) {
    psal_shape shape;
    if (there) {
        const char *name = keras_weight(t, part, 1, KERAS_PLAIN, &shape);
        if (name && shape.dim[0] != length)
            keras_fail(t, PSAL_ERR_SHAPE, "'%.200s' has %" PRId64 " numbers, expected %" PRId64, name, shape.dim[0],
                       length);
        return name;
    }
    if (!otherwise || keras_failed(t)) return NULL;
    if ((size_t)snprintf(made->text, sizeof made->text, "%s/%s", t->o->name, part) >= sizeof made->text)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "its name is too long");
    const psal_tensor *before = psal_tensor_map_get(t->map, made->text); /* an earlier call of the layer */
    if (before || keras_failed(t)) return made->text;
    shape = PSAL_SHAPE(length);
    float *to = psal_tensor_map_add(t->map, made->text, PSAL_F32, &shape, t->err);
    for (int64_t i = 0; to && i < length; i++) to[i] = (float)*otherwise;
    if (!to) t->status = psal_error_status(t->err);
    return made->text;
}
