#include "models/keras_layers.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/describer.h"
#include "models/floats.h"
#include "models/leftover.h"

#define OPSET 15
#define MAX_PARTS 1024 /* of one layer's inputs */

/* A value of Keras' as it is here: an image [N,C,H,W] (rank 4), or as it is there. */
typedef struct value {
    char *name;              /* of the ONNX value; NULL: not made yet */
    char *logits;            /* in front of the softmax or sigmoid that made it; NULL: another operator did */
    const char *probability; /* that operator */
    int rank;
    int64_t channels; /* -1: not known */
    bool reordered;   /* probabilities that went through a change of shape */
} value;

typedef struct translation {
    const psal_tensor_map *checkpoint;
    const psal_description *keras;
    psal_tensor_map *map;
    psal_describer *onnx;
    value *values;            /* [value_count] */
    char *layouts;            /* [tensors] how a tensor was taken; 0: not at all */
    psal_tensor_map *endings; /* the last two parts of the tensors' names, each once */
    size_t *of_endings;       /* whose they are; SEVERAL */
    const psal_operator *o;
    bool sixths;          /* hard_sigmoid is relu6(x + 3) / 6, as from Keras 3 on */
    int constants, steps; /* names given so far: in all, for this layer */
    psal_error *err;
    psal_status status;
} translation;

/* ---- errors and attributes ---- */

__attribute__((format(printf, 3, 4))) static void fail(translation *t, psal_status status, const char *format, ...) {
    char text[600];
    va_list arguments;
    if (t->status != PSAL_OK) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    t->status = t->o ? psal_fail(t->err, status, "layer '%.100s' (%.60s): %s", t->o->name, t->o->type, text)
                     : psal_fail(t->err, status, "%s", text);
}

static bool failed(const translation *t) {
    return t->status != PSAL_OK;
}

static const psal_attribute *attribute(const translation *t, const char *name) {
    for (size_t i = 0; i < t->o->attribute_count; i++)
        if (strcmp(t->o->attributes[i].name, name) == 0) return &t->o->attributes[i];
    return NULL;
}

static double number(translation *t, const char *name, double otherwise) {
    const psal_attribute *a = attribute(t, name);
    if (!a) return otherwise;
    if (a->type == PSAL_ATTRIBUTE_INT) return (double)a->integer;
    if (a->type == PSAL_ATTRIBUTE_FLOAT && isfinite(a->number)) return a->number;
    fail(t, PSAL_ERR_UNSUPPORTED, "its %s is not a number", name);
    return otherwise;
}

static bool flag(translation *t, const char *name, bool otherwise) {
    return number(t, name, otherwise) != 0;
}

static const char *word(translation *t, const char *name, const char *otherwise) {
    const psal_attribute *a = attribute(t, name);
    if (!a) return otherwise;
    if (a->type == PSAL_ATTRIBUTE_STRING) return a->text;
    fail(t, PSAL_ERR_UNSUPPORTED, "its %s is not a word", name);
    return otherwise;
}

/* Whole numbers: one, or a list. At most `most`; returns how many, 0 where there are none. */
static int whole_numbers(translation *t, const char *name, int64_t *numbers, int most) {
    const psal_attribute *a = attribute(t, name);
    if (!a) return 0;
    if (a->type == PSAL_ATTRIBUTE_INT || (a->type == PSAL_ATTRIBUTE_FLOAT && a->number == floorf(a->number))) {
        numbers[0] = a->type == PSAL_ATTRIBUTE_INT ? a->integer : (int64_t)a->number;
        return 1;
    }
    if (a->type != PSAL_ATTRIBUTE_INTS || a->count < 1 || a->count > (size_t)most) {
        fail(t, PSAL_ERR_UNSUPPORTED, "its %s is not a list of 1 to %d whole numbers", name, most);
        return 0;
    }
    for (size_t i = 0; i < a->count; i++) numbers[i] = a->integers[i];
    return (int)a->count;
}

/* Along height and width. */
static void pair(translation *t, const char *name, int64_t otherwise, int64_t numbers[2]) {
    const int count = whole_numbers(t, name, numbers, 2);
    if (count == 0) numbers[0] = otherwise;
    if (count < 2) numbers[1] = numbers[0];
    for (int i = 0; i < 2; i++)
        if (numbers[i] < 1 || numbers[i] > 1 << 20) fail(t, PSAL_ERR_FORMAT, "%s of %" PRId64, name, numbers[i]);
}

static void want_channels_last(translation *t) {
    if (strcmp(word(t, "data_format", "channels_last"), "channels_last") != 0)
        fail(t, PSAL_ERR_UNSUPPORTED, "its data_format is not channels_last");
}

static bool pads_same(translation *t) {
    const char *padding = word(t, "padding", "valid");
    if (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0)
        fail(t, PSAL_ERR_UNSUPPORTED, "padding '%.40s': psal has valid and same", padding);
    return strcmp(padding, "same") == 0;
}

/* ---- values ---- */

static const value *input(translation *t, size_t i) {
    static const value none = {.name = NULL};
    const value *x = i < t->o->input_count && t->o->inputs[i] >= 0 ? &t->values[t->o->inputs[i]] : &none;
    if (!x->name) fail(t, PSAL_ERR_FORMAT, "it has no input");
    return x;
}

/* Its input, of that many dimensions with the batch. */
static const value *input_of_rank(translation *t, size_t i, int rank) {
    const value *x = input(t, i);
    if (x->name && x->rank != rank)
        fail(t, PSAL_ERR_UNSUPPORTED, "its input has %d dimensions: psal takes %d", x->rank, rank);
    return x;
}

static char *copy_of(translation *t, const char *text) {
    char *copy = text ? strdup(text) : NULL;
    if (!copy) fail(t, PSAL_ERR_MEMORY, "out of memory");
    return copy;
}

/* What the layer makes is x, with this shape. */
static void output(translation *t, const char *x, int rank, int64_t channels) {
    value *y = &t->values[t->o->outputs[0]];
    if (failed(t)) return;
    y->name = copy_of(t, x);
    y->rank = rank;
    y->channels = channels;
}

static void output_same(translation *t, const value *x) {
    output(t, x->name, x->rank, x->channels);
    value *y = &t->values[t->o->outputs[0]];
    if (failed(t)) return;
    if (x->logits) y->logits = copy_of(t, x->logits);
    y->probability = x->probability;
    y->reordered = x->reordered;
}

/* The name of a value on the way. */
typedef struct step {
    char text[512];
} step;

static psal_attribute integer_attribute(const char *name, int64_t integer) {
    return (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_INT, .integer = integer, .text = ""};
}

static psal_attribute number_attribute(const char *name, double number) {
    return (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_FLOAT, .number = (float)number, .text = ""};
}

static psal_attribute text_attribute(const char *name, const char *text) {
    return (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_STRING, .text = text};
}

static psal_attribute list_attribute(const char *name, const int64_t *integers, size_t count) {
    return (psal_attribute){
        .name = name, .type = PSAL_ATTRIBUTE_INTS, .integers = integers, .count = count, .text = ""};
}

/* Add an operator; the value that it makes. */
static step emit_all(translation *t, const char *type, const char *const *inputs, size_t count,
                     const psal_attribute *attributes, size_t attribute_count) {
    const char *layer = t->keras->values[t->o->outputs[0]];
    step made;
    if ((size_t)snprintf(made.text, sizeof made.text, "%s/%s.%d", layer, type, ++t->steps) >= sizeof made.text)
        fail(t, PSAL_ERR_UNSUPPORTED, "its name is too long");
    const psal_operator o = {
        .name = made.text, .type = type, .domain = "", .attributes = attributes, .attribute_count = attribute_count};
    if (!failed(t)) psal_describer_operator(t->onnx, &o, inputs, count, made.text);
    return made;
}

/* Of one to three inputs. */
static step emit(translation *t, const char *type, const char *x, const char *second, const char *third,
                 const psal_attribute *attributes, size_t attribute_count) {
    const char *const inputs[] = {x, second, third};
    return emit_all(t, type, inputs, third ? 3 : second ? 2 : 1, attributes, attribute_count);
}

static step emit_plain(translation *t, const char *type, const char *x) {
    return emit(t, type, x, NULL, NULL, NULL, 0);
}

static step constant_name(translation *t) {
    step name;
    snprintf(name.text, sizeof name.text, "constant.%d", ++t->constants);
    return name;
}

static step constant_number(translation *t, double x) {
    const step name = constant_name(t);
    float *to = failed(t) ? NULL : psal_tensor_map_add(t->map, name.text, PSAL_F32, &(psal_shape){.ndim = 0}, t->err);
    if (to) *to = (float)x;
    if (!to && !failed(t)) t->status = psal_error_status(t->err);
    return name;
}

static step constant_integers(translation *t, const int64_t *values, int64_t count) {
    const step name = constant_name(t);
    const psal_shape shape = PSAL_SHAPE(count);
    int64_t *to = failed(t) ? NULL : psal_tensor_map_add(t->map, name.text, PSAL_I64, &shape, t->err);
    if (to) memcpy(to, values, (size_t)count * sizeof *to);
    if (!to && !failed(t)) t->status = psal_error_status(t->err);
    return name;
}

static step transpose(translation *t, const char *x, bool channels_last) {
    static const int64_t last[] = {0, 2, 3, 1}, first[] = {0, 3, 1, 2};
    const psal_attribute perm = list_attribute("perm", channels_last ? last : first, 4);
    return emit(t, "Transpose", x, NULL, NULL, &perm, 1);
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

static void find_endings(translation *t) {
    const size_t count = psal_tensor_map_count(t->checkpoint);
    t->endings = psal_tensor_map_new();
    t->of_endings = calloc(count + 1, sizeof *t->of_endings);
    if (!t->endings || !t->of_endings) fail(t, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count && !failed(t); i++) {
        const char *ending = ending_of(psal_tensor_map_name(t->checkpoint, i));
        const size_t before = ending ? psal_tensor_map_find(t->endings, ending) : SIZE_MAX;
        if (before != SIZE_MAX) t->of_endings[before] = SEVERAL;
        if (!ending || before != SIZE_MAX) continue;
        t->of_endings[psal_tensor_map_count(t->endings)] = i;
        t->status = psal_tensor_map_add_view(t->endings, ending, PSAL_BOOL, &(psal_shape){0}, NULL, t->err);
    }
}

/* Where a layer's weight is: under "LAYER/PART", or a name that ends in "/LAYER/PART" and is alone in that. SIZE_MAX:
 * nowhere. */
static size_t find_weight(translation *t, const char *part) {
    char wanted[512];
    const size_t length = (size_t)snprintf(wanted, sizeof wanted, "%s/%s", t->o->name, part);
    if (length >= sizeof wanted) return SIZE_MAX;
    const size_t exact = psal_tensor_map_find(t->checkpoint, wanted), ending = psal_tensor_map_find(t->endings, wanted);
    if (exact != SIZE_MAX || ending == SIZE_MAX) return exact;
    if (t->of_endings[ending] != SEVERAL) return t->of_endings[ending];
    fail(t, PSAL_ERR_FORMAT, "several weights end in '%.200s'", wanted);
    return SIZE_MAX;
}

/* How a tensor is kept, also as a mark in `layouts`. */
enum layout { PLAIN = 'p', OIHW = 'o', DEPTHWISE = 'd', TRANSPOSED = 't' };

static psal_shape shape_as(enum layout layout, const psal_shape *s) {
    const int64_t *dim = s->dim;
    return layout == OIHW         ? PSAL_SHAPE(dim[3], dim[2], dim[0], dim[1])
           : layout == DEPTHWISE  ? PSAL_SHAPE(dim[2] * dim[3], 1, dim[0], dim[1])
           : layout == TRANSPOSED ? PSAL_SHAPE(dim[1], dim[0])
                                  : *s;
}

/* [positions, inputs, outputs] to [outputs, inputs, positions] */
static void reorder(const float *from, float *to, int64_t positions, int64_t inputs, int64_t outputs) {
    for (int64_t p = 0; p < positions; p++)
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t o = 0; o < outputs; o++)
                to[(o * inputs + i) * positions + p] = from[(p * inputs + i) * outputs + o];
}

static psal_status place(translation *t, const char *name, const psal_tensor *tensor, enum layout layout) {
    const psal_shape *s = &tensor->shape, shape = shape_as(layout, s);
    if (!net_is_weight(tensor)) return net_refuse_type(name, tensor, t->err);
    float *to = psal_tensor_map_add(t->map, name, PSAL_F32, &shape, t->err);
    if (!to) return psal_error_status(t->err);
    const size_t count = (size_t)psal_shape_count(s);
    float *numbers = net_floats(tensor);
    if (!numbers) return psal_fail(t->err, PSAL_ERR_MEMORY, "out of memory");
    if (layout == PLAIN)
        memcpy(to, numbers, count * sizeof *to);
    else if (layout == TRANSPOSED)
        reorder(numbers, to, 1, s->dim[0], s->dim[1]);
    else if (layout == OIHW)
        reorder(numbers, to, s->dim[0] * s->dim[1], s->dim[2], s->dim[3]);
    else
        reorder(numbers, to, s->dim[0] * s->dim[1], 1, s->dim[2] * s->dim[3]);
    free(numbers);
    return PSAL_OK;
}

/* The layer's weight of so many dimensions, none of length 0, put into the map; its name there and (in the file's
 * layout) its shape. NULL after an error. */
static const char *weight(translation *t, const char *part, int ndim, enum layout layout, psal_shape *shape) {
    *shape = (psal_shape){.ndim = ndim};
    if (failed(t)) return NULL;
    const size_t i = find_weight(t, part);
    char text[96];
    if (i == SIZE_MAX) {
        fail(t, PSAL_ERR_FORMAT, "the weights have no '%.100s/%s'", t->o->name, part);
        return NULL;
    }
    const char *name = psal_tensor_map_name(t->checkpoint, i);
    const psal_tensor *tensor = psal_tensor_map_at(t->checkpoint, i);
    *shape = tensor->shape;
    if (shape->ndim != ndim || psal_shape_count(shape) < 1) {
        fail(t, PSAL_ERR_SHAPE, "'%.200s' has shape %s, expected %d dimensions", name,
             psal_shape_format(shape, text, sizeof text), ndim);
        return NULL;
    }
    if (t->layouts[i] && t->layouts[i] != (char)layout)
        fail(t, PSAL_ERR_UNSUPPORTED, "'%.200s' is used in two ways", name);
    else if (!t->layouts[i])
        t->status = place(t, name, tensor, layout);
    t->layouts[i] = (char)layout;
    return failed(t) ? NULL : name;
}

/* A vector of that length; where the layer has none of it (`there` is false), of `otherwise`, or without it NULL. */
static const char *vector(translation *t, const char *part, int64_t length, bool there, const double *otherwise,
                          step *made) {
    psal_shape shape;
    if (there) {
        const char *name = weight(t, part, 1, PLAIN, &shape);
        if (name && shape.dim[0] != length)
            fail(t, PSAL_ERR_SHAPE, "'%.200s' has %" PRId64 " numbers, expected %" PRId64, name, shape.dim[0], length);
        return name;
    }
    if (!otherwise || failed(t)) return NULL;
    if ((size_t)snprintf(made->text, sizeof made->text, "%s/%s", t->o->name, part) >= sizeof made->text)
        fail(t, PSAL_ERR_UNSUPPORTED, "its name is too long");
    const psal_tensor *before = psal_tensor_map_get(t->map, made->text); /* an earlier call of the layer */
    if (before || failed(t)) return made->text;
    shape = PSAL_SHAPE(length);
    float *to = psal_tensor_map_add(t->map, made->text, PSAL_F32, &shape, t->err);
    for (int64_t i = 0; to && i < length; i++) to[i] = (float)*otherwise;
    if (!to) t->status = psal_error_status(t->err);
    return made->text;
}

/* ---- activations ---- */

static step gate(translation *t, const char *x, const char *type, const psal_attribute *attributes, size_t count) {
    const step g = emit(t, type, x, NULL, NULL, attributes, count);
    return emit(t, "Mul", x, g.text, NULL, NULL, 0);
}

static step clip(translation *t, const char *x, double most) {
    const step low = constant_number(t, 0), high = constant_number(t, most);
    return emit(t, "Clip", x, low.text, high.text, NULL, 0);
}

/* x (1 + erf(x / sqrt(2))) / 2 */
static step gelu(translation *t, const char *x) {
    const step root = constant_number(t, sqrt(0.5)), one = constant_number(t, 1), half = constant_number(t, 0.5);
    const step scaled = emit(t, "Mul", x, root.text, NULL, NULL, 0), e = emit_plain(t, "Erf", scaled.text);
    const step shifted = emit(t, "Add", e.text, one.text, NULL, NULL, 0);
    const step product = emit(t, "Mul", x, shifted.text, NULL, NULL, 0);
    return emit(t, "Mul", product.text, half.text, NULL, NULL, 0);
}

static step hard_sigmoid(translation *t, const char *x) {
    const psal_attribute alpha = number_attribute("alpha", t->sixths ? 1.0 / 6 : 0.2);
    return emit(t, "HardSigmoid", x, NULL, NULL, &alpha, 1); /* beta is 0.5 */
}

/* The layer's output is the activation of x. */
static void activate(translation *t, const char *name, const char *x, int rank, int64_t channels) {
    step y = {""};
    const char *made = y.text, *probability = NULL;
    if (failed(t)) return;
    if (strcmp(name, "linear") == 0) {
        made = x;
    } else if (strcmp(name, "relu") == 0) {
        y = emit_plain(t, "Relu", x);
    } else if (strcmp(name, "relu6") == 0) {
        y = clip(t, x, 6);
    } else if (strcmp(name, "softmax") == 0) {
        const psal_attribute axis = integer_attribute("axis", rank == 4 ? 1 : -1);
        y = emit(t, "Softmax", x, NULL, NULL, &axis, 1);
        probability = "softmax";
    } else if (strcmp(name, "sigmoid") == 0) {
        y = emit_plain(t, "Sigmoid", x);
        probability = "sigmoid";
    } else if (strcmp(name, "hard_sigmoid") == 0) {
        y = hard_sigmoid(t, x);
    } else if (strcmp(name, "swish") == 0 || strcmp(name, "silu") == 0) {
        y = gate(t, x, "Sigmoid", NULL, 0);
    } else if (strcmp(name, "hard_silu") == 0 || strcmp(name, "hard_swish") == 0) {
        y = emit_plain(t, "HardSwish", x);
    } else if (strcmp(name, "tanh") == 0) {
        y = emit_plain(t, "Tanh", x);
    } else if (strcmp(name, "gelu") == 0) {
        y = gelu(t, x);
    } else {
        fail(t, PSAL_ERR_UNSUPPORTED,
             "psal has no activation '%.60s': it has linear, relu, relu6, softmax, sigmoid, hard_sigmoid, swish, "
             "hard_silu, tanh, gelu",
             name);
    }
    output(t, made, rank, channels);
    if (!probability || failed(t)) return;
    value *y_value = &t->values[t->o->outputs[0]];
    y_value->logits = copy_of(t, x);
    y_value->probability = probability;
}

static void activate_layer(translation *t, const char *x, int rank, int64_t channels) {
    activate(t, word(t, "activation", "linear"), x, rank, channels);
}

static void translate_activation(translation *t) {
    const value *x = input(t, 0);
    activate_layer(t, x->name, x->rank, x->channels);
}

/* max(0, x), at most max_value, or with a slope below 0. */
static void translate_relu(translation *t) {
    const value *x = input(t, 0);
    const double most = number(t, "max_value", INFINITY), slope = number(t, "negative_slope", 0);
    if (number(t, "threshold", 0) != 0)
        fail(t, PSAL_ERR_UNSUPPORTED, "threshold %g: psal has 0", number(t, "threshold", 0));
    if (slope != 0 && isfinite(most)) fail(t, PSAL_ERR_UNSUPPORTED, "negative_slope and max_value together");
    if (failed(t)) return;
    const psal_attribute alpha = number_attribute("alpha", slope);
    const step y = isfinite(most) ? clip(t, x->name, most)
                   : slope != 0   ? emit(t, "LeakyRelu", x->name, NULL, NULL, &alpha, 1)
                                  : emit_plain(t, "Relu", x->name);
    output(t, y.text, x->rank, x->channels);
}

static void translate_leaky_relu(translation *t) {
    const value *x = input(t, 0);
    const psal_attribute alpha = number_attribute("alpha", number(t, "alpha", number(t, "negative_slope", 0.3)));
    if (failed(t)) return;
    const step y = emit(t, "LeakyRelu", x->name, NULL, NULL, &alpha, 1);
    output(t, y.text, x->rank, x->channels);
}

static void translate_softmax(translation *t) {
    const value *x = input(t, 0);
    int64_t axis = -1;
    whole_numbers(t, "axis", &axis, 1);
    if (!failed(t) && axis != -1 && axis != x->rank - 1)
        fail(t, PSAL_ERR_UNSUPPORTED, "axis %" PRId64 ": psal has the last", axis);
    activate(t, "softmax", x->name, x->rank, x->channels);
}

static void translate_identity(translation *t) {
    output_same(t, input(t, 0));
}

/* ---- layers with weights ---- */

typedef struct windows {
    int64_t strides[2], dilations[2];
    bool same;
} windows;

static windows read_windows(translation *t) {
    windows w;
    want_channels_last(t);
    pair(t, "strides", 1, w.strides);
    pair(t, "dilation_rate", 1, w.dilations);
    w.same = pads_same(t);
    return w;
}

/* What the configuration says of the kernel [height, width, in, out] is true. */
static void check_kernel(translation *t, const char *name, const psal_shape *kernel, const char *outputs_name,
                         int64_t outputs) {
    int64_t size[2], count[1];
    char text[96];
    if (failed(t)) return;
    pair(t, "kernel_size", kernel->dim[0], size);
    if (!attribute(t, "kernel_size")) size[1] = kernel->dim[1];
    const bool counted = whole_numbers(t, outputs_name, count, 1) == 1;
    if (size[0] != kernel->dim[0] || size[1] != kernel->dim[1] || (counted && count[0] != outputs))
        fail(t, PSAL_ERR_SHAPE, "'%.200s' has shape %s, which is not what its kernel_size and %s say", name,
             psal_shape_format(kernel, text, sizeof text), outputs_name);
}

static step emit_conv(translation *t, const char *x, const char *kernel, const char *bias, int64_t groups,
                      const windows *w) {
    const psal_attribute attributes[] = {integer_attribute("group", groups), list_attribute("strides", w->strides, 2),
                                         list_attribute("dilations", w->dilations, 2),
                                         text_attribute("auto_pad", w->same ? "SAME_UPPER" : "VALID")};
    return emit(t, "Conv", x, kernel, bias, attributes, 4);
}

static void translate_conv(translation *t) {
    const value *x = input_of_rank(t, 0, 4);
    const windows w = read_windows(t);
    psal_shape s;
    int64_t groups = 1;
    step none;
    const char *kernel = weight(t, "kernel", 4, OIHW, &s);
    if (kernel) check_kernel(t, kernel, &s, "filters", s.dim[3]);
    whole_numbers(t, "groups", &groups, 1);
    if (groups < 1 || groups > 1 << 24) fail(t, PSAL_ERR_FORMAT, "%" PRId64 " groups", groups);
    const char *bias = vector(t, "bias", s.dim[3], flag(t, "use_bias", true), NULL, &none);
    if (failed(t)) return;
    const step y = emit_conv(t, x->name, kernel, bias, groups, &w);
    activate_layer(t, y.text, 4, s.dim[3]);
}

/* Filter i * multiplier + m takes channel i. */
static const char *depthwise_kernel(translation *t, psal_shape *s) {
    const bool renamed = find_weight(t, "depthwise_kernel") == SIZE_MAX; /* in Keras 3 */
    const char *kernel = weight(
        t, renamed && strcmp(t->o->type, "DepthwiseConv2D") == 0 ? "kernel" : "depthwise_kernel", 4, DEPTHWISE, s);
    if (kernel && (s->dim[2] > INT32_MAX || s->dim[3] > INT32_MAX))
        fail(t, PSAL_ERR_SHAPE, "'%.200s' is too large", kernel);
    if (kernel) check_kernel(t, kernel, s, "depth_multiplier", s->dim[3]);
    return kernel;
}

static void translate_depthwise(translation *t) {
    const value *x = input_of_rank(t, 0, 4);
    const windows w = read_windows(t);
    psal_shape s;
    step none;
    const char *kernel = depthwise_kernel(t, &s);
    if (failed(t)) return;
    const char *bias = vector(t, "bias", s.dim[2] * s.dim[3], flag(t, "use_bias", true), NULL, &none);
    const step y = emit_conv(t, x->name, kernel, bias, s.dim[2], &w);
    activate_layer(t, y.text, 4, s.dim[2] * s.dim[3]);
}

static void translate_separable(translation *t) {
    static const windows plain = {{1, 1}, {1, 1}, false};
    const value *x = input_of_rank(t, 0, 4);
    const windows w = read_windows(t);
    psal_shape s, p;
    int64_t filters;
    char text[96];
    step none;
    const char *kernel = depthwise_kernel(t, &s), *pointwise = weight(t, "pointwise_kernel", 4, OIHW, &p);
    if (failed(t)) return;
    if (p.dim[0] != 1 || p.dim[1] != 1 || (whole_numbers(t, "filters", &filters, 1) && filters != p.dim[3]))
        fail(t, PSAL_ERR_SHAPE, "'%.200s' has shape %s, which is not 1x1 or not what its filters say", pointwise,
             psal_shape_format(&p, text, sizeof text));
    const char *bias = vector(t, "bias", p.dim[3], flag(t, "use_bias", true), NULL, &none);
    const step middle = emit_conv(t, x->name, kernel, NULL, s.dim[2], &w);
    const step y = emit_conv(t, middle.text, pointwise, bias, 1, &plain);
    activate_layer(t, y.text, 4, p.dim[3]);
}

/* Along the last axis: of vectors, or of every position of images and sequences. */
static void translate_dense(translation *t) {
    const value *x = input(t, 0);
    const bool flat = x->rank == 2;
    psal_shape s;
    int64_t units;
    step none, y;
    const char *kernel = weight(t, "kernel", 2, flat ? TRANSPOSED : PLAIN, &s);
    if (kernel && whole_numbers(t, "units", &units, 1) && units != s.dim[1])
        fail(t, PSAL_ERR_SHAPE, "'%.200s' has %" PRId64 " columns, its units are %" PRId64, kernel, s.dim[1], units);
    const char *bias = vector(t, "bias", s.dim[1], flag(t, "use_bias", true), NULL, &none);
    if (failed(t)) return;
    if (flat) {
        const psal_attribute transposed = integer_attribute("transB", 1);
        y = emit(t, "Gemm", x->name, kernel, bias, &transposed, 1);
    } else {
        if (x->rank == 4) y = transpose(t, x->name, true);
        y = emit(t, "MatMul", x->rank == 4 ? y.text : x->name, kernel, NULL, NULL, 0);
        if (bias) y = emit(t, "Add", y.text, bias, NULL, NULL, 0);
        if (x->rank == 4) y = transpose(t, y.text, false);
    }
    activate_layer(t, y.text, x->rank, s.dim[1]);
}

static void translate_batch_norm(translation *t) {
    static const double zero = 0, one = 1;
    const value *x = input(t, 0);
    int64_t axis = -1;
    psal_shape s;
    step made_gamma, made_beta;
    const char *mean = weight(t, "moving_mean", 1, PLAIN, &s);
    whole_numbers(t, "axis", &axis, 1);
    if (!failed(t) && ((x->rank != 4 && x->rank != 2) || (axis != -1 && axis != x->rank - 1)))
        fail(t, PSAL_ERR_UNSUPPORTED, "axis %" PRId64 " of %d dimensions: psal has the last of 4 or 2", axis, x->rank);
    const char *variance = vector(t, "moving_variance", s.dim[0], true, NULL, &made_beta);
    const char *gamma = vector(t, "gamma", s.dim[0], flag(t, "scale", true), &one, &made_gamma);
    const char *beta = vector(t, "beta", s.dim[0], flag(t, "center", true), &zero, &made_beta);
    const psal_attribute epsilon = number_attribute("epsilon", number(t, "epsilon", 1e-3));
    if (failed(t)) return;
    const char *const inputs[] = {x->name, gamma, beta, mean, variance};
    const step y = emit_all(t, "BatchNormalization", inputs, 5, &epsilon, 1);
    output(t, y.text, x->rank, x->channels);
}

/* ---- pooling and shapes ---- */

static void translate_pool(translation *t) {
    const value *x = input_of_rank(t, 0, 4);
    int64_t size[2], strides[2];
    want_channels_last(t);
    pair(t, "pool_size", 2, size);
    if (attribute(t, "strides"))
        pair(t, "strides", 1, strides);
    else
        memcpy(strides, size, sizeof strides);
    const psal_attribute attributes[] = {list_attribute("kernel_shape", size, 2), list_attribute("strides", strides, 2),
                                         text_attribute("auto_pad", pads_same(t) ? "SAME_UPPER" : "VALID")};
    if (failed(t)) return;
    const bool maximum = strcmp(t->o->type, "MaxPooling2D") == 0;
    const step y = emit(t, maximum ? "MaxPool" : "AveragePool", x->name, NULL, NULL, attributes, 3);
    output(t, y.text, 4, x->channels);
}

static void translate_global_pool(translation *t) {
    const value *x = input_of_rank(t, 0, 4);
    const bool keep = flag(t, "keepdims", false), maximum = strcmp(t->o->type, "GlobalMaxPooling2D") == 0;
    want_channels_last(t);
    if (failed(t)) return;
    const step y = emit_plain(t, maximum ? "GlobalMaxPool" : "GlobalAveragePool", x->name);
    const step flat = keep ? y : emit_plain(t, "Flatten", y.text);
    output(t, flat.text, keep ? 4 : 2, x->channels);
}

static void translate_padding(translation *t) {
    const value *x = input_of_rank(t, 0, 4);
    int64_t p[4] = {1, 1, 1, 1}; /* top, bottom, left, right */
    want_channels_last(t);
    const int count = whole_numbers(t, "padding", p, 4);
    if (count == 1) p[1] = p[2] = p[3] = p[0];
    if (count == 2) {
        p[2] = p[3] = p[1];
        p[1] = p[0];
    }
    for (int i = 0; i < 4; i++)
        if (count == 3 || p[i] < 0 || p[i] > 1 << 20) fail(t, PSAL_ERR_FORMAT, "a padding that cannot be");
    if (failed(t)) return;
    const int64_t pads[] = {0, 0, p[0], p[2], 0, 0, p[1], p[3]};
    const step constant = constant_integers(t, pads, 8), y = emit(t, "Pad", x->name, constant.text, NULL, NULL, 0);
    output(t, y.text, 4, x->channels);
}

/* What changes the order or the shape of probabilities hides the logits. */
static void mark_reordered(translation *t, const value *x) {
    value *y = &t->values[t->o->outputs[0]];
    if (failed(t) || !x->probability) return;
    y->probability = x->probability;
    y->reordered = true;
}

static void translate_flatten(translation *t) {
    const value *x = input(t, 0);
    want_channels_last(t);
    if (failed(t)) return;
    const step last = x->rank == 4 ? transpose(t, x->name, true) : (step){""};
    const step y = emit_plain(t, "Flatten", x->rank == 4 ? last.text : x->name);
    output(t, y.text, 2, x->rank == 2 ? x->channels : -1);
    mark_reordered(t, x);
}

/* Every image's numbers in Keras' order. */
static void translate_reshape(translation *t) {
    const value *x = input(t, 0);
    int64_t target[PSAL_MAX_DIMS] = {0};
    const int count = whole_numbers(t, "target_shape", target + 1, PSAL_MAX_DIMS - 1);
    for (int i = 1; i <= count; i++)
        if (target[i] == 0 || target[i] < -1) fail(t, PSAL_ERR_FORMAT, "a length of %" PRId64, target[i]);
    if (!count) fail(t, PSAL_ERR_FORMAT, "it has no target_shape");
    if (failed(t)) return;
    /* A softmax of all there is commutes with it: the logits are changed, and the softmax is last. */
    const bool commutes = x->logits && !x->reordered && count == 1 && target[1] == x->channels;
    const char *from = commutes ? x->logits : x->name;
    const step last = x->rank == 4 ? transpose(t, from, true) : (step){""};
    const step shape = constant_integers(t, target, count + 1);
    step y = emit(t, "Reshape", x->rank == 4 ? last.text : from, shape.text, NULL, NULL, 0);
    if (count == 3) y = transpose(t, y.text, false);
    if (commutes)
        activate(t, x->probability, y.text, 2, target[1]);
    else
        output(t, y.text, count + 1, target[count] > 0 ? target[count] : -1);
    if (!commutes) mark_reordered(t, x);
}

/* ---- several inputs ---- */

/* All inputs, of one rank; NULL after an error. */
static const char **inputs_of_one_rank(translation *t, const value **first) {
    const size_t count = t->o->input_count;
    const char **names = calloc(count + 1, sizeof *names);
    if (!names) fail(t, PSAL_ERR_MEMORY, "out of memory");
    *first = input(t, 0);
    if (count < 2 || count > MAX_PARTS) fail(t, PSAL_ERR_FORMAT, "%zu inputs", count);
    for (size_t i = 0; i < count && !failed(t); i++) {
        names[i] = input(t, i)->name;
        if (input(t, i)->rank != (*first)->rank) fail(t, PSAL_ERR_UNSUPPORTED, "its inputs have different dimensions");
    }
    if (!failed(t)) return names;
    free(names);
    return NULL;
}

static void translate_merge(translation *t) {
    const value *x;
    const char **inputs = inputs_of_one_rank(t, &x), *type = t->o->type;
    if (!inputs) return;
    const size_t count = t->o->input_count;
    step y = {""};
    if (strcmp(type, "Subtract") == 0 && count != 2) fail(t, PSAL_ERR_FORMAT, "%zu inputs", count);
    const char *operator= strcmp(type, "Multiply") == 0 ? "Mul" : strcmp(type, "Subtract") == 0 ? "Sub" : "Add";
    for (size_t i = 1; i < count; i++) y = emit(t, operator, i == 1 ? inputs[0] : y.text, inputs[i], NULL, NULL, 0);
    if (strcmp(type, "Average") == 0) {
        const step share = constant_number(t, 1.0 / (double)count);
        y = emit(t, "Mul", y.text, share.text, NULL, NULL, 0);
    }
    int64_t channels = x->channels; /* 1 may be repeated to all of another's */
    for (size_t i = 1; i < count; i++)
        if (input(t, i)->channels != channels) channels = -1;
    output(t, y.text, x->rank, channels);
    free(inputs);
}

static void translate_concatenate(translation *t) {
    const value *x;
    const char **inputs = inputs_of_one_rank(t, &x);
    if (!inputs) return;
    int64_t axis = -1, channels = 0;
    whole_numbers(t, "axis", &axis, 1);
    if (axis < 0) axis += x->rank;
    if (axis < 1 || axis >= x->rank) fail(t, PSAL_ERR_FORMAT, "axis %" PRId64, axis);
    const bool along_channels = axis == x->rank - 1;
    for (size_t i = 0; i < t->o->input_count; i++) {
        const int64_t more = input(t, i)->channels;
        channels = more < 0 || channels < 0 ? -1 : channels + more;
    }
    const psal_attribute along = integer_attribute("axis", x->rank != 4 ? axis : along_channels ? 1 : axis + 1);
    if (!failed(t)) {
        const step y = emit_all(t, "Concat", inputs, t->o->input_count, &along, 1);
        output(t, y.text, x->rank, along_channels ? channels : x->channels);
    }
    free(inputs);
}

/* scale x + offset */
static void translate_rescaling(translation *t) {
    const value *x = input(t, 0);
    const double scale = number(t, "scale", 1), offset = number(t, "offset", 0);
    if (failed(t)) return;
    const step factor = constant_number(t, scale), shift = constant_number(t, offset);
    step y = emit(t, "Mul", x->name, factor.text, NULL, NULL, 0);
    if (offset != 0) y = emit(t, "Add", y.text, shift.text, NULL, NULL, 0);
    output(t, y.text, x->rank, x->channels);
}

/* ---- the table ---- */

/* What psal knows of a class: attributes between blanks, beside those of all layers. */
typedef struct layer_class {
    const char *name, *attributes;
    void (*translate)(translation *t);
} layer_class;

#define CONV " activation data_format dilation_rate groups kernel_size padding strides use_bias "
#define POOL " data_format padding pool_size strides "

static const layer_class classes[] = {
    {"Activation", " activation ", translate_activation},
    {"ActivityRegularization", " l1 l2 ", translate_identity},
    {"Add", " ", translate_merge},
    {"AlphaDropout", " noise_shape rate seed ", translate_identity},
    {"Average", " ", translate_merge},
    {"AveragePooling2D", POOL, translate_pool},
    {"BatchNormalization", " axis center epsilon momentum scale ", translate_batch_norm},
    {"Concatenate", " axis ", translate_concatenate},
    {"Conv2D", CONV "filters ", translate_conv},
    {"Dense", " activation units use_bias ", translate_dense},
    {"DepthwiseConv2D", CONV "depth_multiplier ", translate_depthwise},
    {"Dropout", " noise_shape rate seed ", translate_identity},
    {"Flatten", " data_format ", translate_flatten},
    {"GaussianDropout", " rate seed ", translate_identity},
    {"GaussianNoise", " seed stddev ", translate_identity},
    {"GlobalAveragePooling2D", " data_format keepdims ", translate_global_pool},
    {"GlobalMaxPooling2D", " data_format keepdims ", translate_global_pool},
    {"Identity", " ", translate_identity},
    {"LeakyReLU", " alpha negative_slope ", translate_leaky_relu},
    {"MaxPooling2D", POOL, translate_pool},
    {"Multiply", " ", translate_merge},
    {"ReLU", " max_value negative_slope threshold ", translate_relu},
    {"Rescaling", " offset scale ", translate_rescaling},
    {"Reshape", " target_shape ", translate_reshape},
    {"SeparableConv2D", CONV "depth_multiplier filters ", translate_separable},
    {"Softmax", " axis ", translate_softmax},
    {"SpatialDropout2D", " data_format noise_shape rate seed ", translate_identity},
    {"Subtract", " ", translate_merge},
    {"ZeroPadding2D", " data_format padding ", translate_padding},
};

static bool stands_in(const char *list, const char *word) {
    char between[104];
    return strlen(word) <= 100 && snprintf(between, sizeof between, " %s ", word) > 0 && strstr(list, between);
}

static bool ends_in(const char *text, const char *end) {
    const size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

/* What has no part in what a trained layer computes: names, types, how it was begun and trained. */
static bool is_idle(const psal_attribute *a) {
    static const char *const ends[] = {"_initializer", "_regularizer", "_constraint"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_in(a->name, ends[i])) return true;
    return stands_in(" name trainable dtype batch_input_shape batch_shape input_shape input_dtype ", a->name) ||
           (a->type == PSAL_ATTRIBUTE_INT && a->integer == 0); /* a switch that is off */
}

static void translate_layer(translation *t) {
    const layer_class *known = NULL;
    t->steps = 0;
    for (size_t i = 0; !known && i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].name, t->o->type) == 0) known = &classes[i];
    if (!known) fail(t, PSAL_ERR_UNSUPPORTED, "psal has no such layer of Keras'");
    for (size_t i = 0; known && i < t->o->attribute_count; i++)
        if (!is_idle(&t->o->attributes[i]) && !stands_in(known->attributes, t->o->attributes[i].name))
            fail(t, PSAL_ERR_UNSUPPORTED, "psal does not know its attribute '%.60s'", t->o->attributes[i].name);
    if (!failed(t)) known->translate(t);
}

/* ---- all of it ---- */

static void translate_input(translation *t, const psal_port *port) {
    const int64_t *dim = port->dim;
    const int64_t image[] = {dim[0], dim[3], dim[1], dim[2]};
    const bool is_image = port->ndim == 4;
    value *x = &t->values[port->value];
    psal_describer_input(t->onnx, t->keras->values[port->value], port->ndim, is_image ? image : dim);
    x->name = copy_of(t, t->keras->values[port->value]);
    x->rank = port->ndim < 0 ? 4 : port->ndim;
    x->channels = port->ndim > 0 ? dim[port->ndim - 1] : -1;
}

static void translate_output(translation *t, const psal_port *port) {
    const value *y = &t->values[port->value];
    if (y->reordered)
        fail(t, PSAL_ERR_UNSUPPORTED,
             "the output '%.100s' are probabilities that went through a change of shape behind the %s",
             t->keras->values[port->value], y->probability);
    if (!failed(t)) psal_describer_output(t->onnx, y->name);
}

static void tell_unused(translation *t, char remarks[300]) {
    char names[200];
    const size_t all = psal_tensor_map_count(t->checkpoint);
    size_t count = 0;
    bool *taken = calloc(all + 1, sizeof *taken);
    if (!taken) fail(t, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; taken && i < all; i++) count += !(taken[i] = t->layouts[i] != 0);
    if (!count) {
        free(taken);
        return;
    }
    net_name_tensors(t->checkpoint, taken, names, sizeof names);
    free(taken);
    snprintf(remarks, 300, "ignored %zu tensor%s that no layer takes: %s", count, count > 1 ? "s" : "", names);
}

static void translate_all(translation *t, char remarks[300]) {
    const psal_description *k = t->keras;
    for (size_t i = 0; i < k->input_count && !failed(t); i++) translate_input(t, &k->inputs[i]);
    for (size_t i = 0; i < k->operator_count && !failed(t); i++) {
        t->o = &k->operators[i];
        translate_layer(t);
    }
    t->o = NULL;
    for (size_t i = 0; i < k->output_count && !failed(t); i++) translate_output(t, &k->outputs[i]);
    if (!failed(t)) tell_unused(t, remarks);
}

psal_tensor_map *net_keras_translate(const psal_tensor_map *checkpoint, char remarks[300], psal_error *err) {
    const psal_description *keras = psal_tensor_map_description(checkpoint);
    translation t = {.checkpoint = checkpoint, .keras = keras, .err = err, .sixths = keras->producer[0] == '3'};
    char producer[100];
    t.values = calloc((size_t)keras->value_count + 1, sizeof *t.values);
    t.layouts = calloc(psal_tensor_map_count(checkpoint) + 1, sizeof *t.layouts);
    t.map = psal_tensor_map_new();
    t.onnx = t.map ? psal_describer_new(t.map, err) : NULL;
    if (!t.values || !t.layouts || !t.onnx)
        fail(&t, PSAL_ERR_MEMORY, "out of memory");
    else
        find_endings(&t);
    *remarks = '\0';
    if (!failed(&t)) translate_all(&t, remarks);
    snprintf(producer, sizeof producer, "keras %.80s", keras->producer);
    const psal_description header = {
        .form = PSAL_DESCRIPTION_ONNX, .name = keras->name, .producer = producer, .opset = OPSET};
    psal_error why = PSAL_ERROR_INIT;
    const psal_status status = psal_describer_finish(t.onnx, &header, &why);
    if (!failed(&t) && status != PSAL_OK) fail(&t, status, "%s", why.message);
    for (int v = 0; t.values && v < keras->value_count; v++) {
        free(t.values[v].name);
        free(t.values[v].logits);
    }
    free(t.values);
    free(t.layouts);
    free(t.of_endings);
    psal_tensor_map_free(t.endings);
    if (!failed(&t)) return t.map;
    psal_tensor_map_free(t.map);
    return NULL;
}

bool net_keras_may_be_resnet(const psal_tensor_map *checkpoint) {
    static const char in_resnets[] = " Activation Add AveragePooling2D BatchNormalization Conv2D Dense Dropout Flatten "
                                     "GlobalAveragePooling2D Identity MaxPooling2D ReLU Softmax ZeroPadding2D ";
    const psal_description *keras = psal_tensor_map_description(checkpoint);
    for (size_t i = 0; keras && i < keras->operator_count; i++) {
        translation t = {.o = &keras->operators[i]};
        const psal_attribute *activation = attribute(&t, "activation"), *dilation = attribute(&t, "dilation_rate"),
                             *most = attribute(&t, "max_value");
        if (!stands_in(in_resnets, t.o->type) || most) return false;
        if (activation &&
            (activation->type != PSAL_ATTRIBUTE_STRING || !stands_in(" linear relu softmax ", activation->text)))
            return false;
        if (dilation && dilation->type == PSAL_ATTRIBUTE_INT && dilation->integer != 1) return false;
        for (size_t d = 0; dilation && dilation->type == PSAL_ATTRIBUTE_INTS && d < dilation->count; d++)
            if (dilation->integers[d] != 1) return false;
    }
    return true;
}
