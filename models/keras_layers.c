#include "models/keras_layers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/keras_internal.h"
#include "models/leftover.h"

#define OPSET 15
#define MAX_PARTS 1024 /* of one layer's inputs */

/* ---- activations ---- */

static keras_step gate(keras_translation *t, const char *x) {
    const keras_step g = keras_emit_plain(t, "Sigmoid", x);
    return keras_emit(t, "Mul", x, g.text, NULL, NULL, 0);
}

static keras_step clip(keras_translation *t, const char *x, double most) {
    const keras_step low = keras_constant_number(t, 0), high = keras_constant_number(t, most);
    return keras_emit(t, "Clip", x, low.text, high.text, NULL, 0);
}

/* x (1 + erf(x / sqrt(2))) / 2 */
static keras_step gelu(keras_translation *t, const char *x) {
    const keras_step root = keras_constant_number(t, sqrt(0.5)), one = keras_constant_number(t, 1),
                     half = keras_constant_number(t, 0.5);
    const keras_step scaled = keras_emit(t, "Mul", x, root.text, NULL, NULL, 0),
                     e = keras_emit_plain(t, "Erf", scaled.text);
    const keras_step shifted = keras_emit(t, "Add", e.text, one.text, NULL, NULL, 0);
    const keras_step product = keras_emit(t, "Mul", x, shifted.text, NULL, NULL, 0);
    return keras_emit(t, "Mul", product.text, half.text, NULL, NULL, 0);
}

static keras_step hard_sigmoid(keras_translation *t, const char *x) {
    const psal_attribute alpha = keras_number_attribute("alpha", t->sixths ? 1.0 / 6 : 0.2);
    return keras_emit(t, "HardSigmoid", x, NULL, NULL, &alpha, 1); /* beta is 0.5 */
}

/* Those that are an operator by themselves, with its usual attributes. */
static const char *operator_of(const char *activation) {
    static const char *const simple[][2] = {
        {"elu", "Elu"},           {"hard_silu", "HardSwish"}, {"hard_swish", "HardSwish"},
        {"relu", "Relu"},         {"selu", "Selu"},           {"sigmoid", "Sigmoid"},
        {"softplus", "Softplus"}, {"softsign", "Softsign"},   {"tanh", "Tanh"},
    };
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (strcmp(activation, simple[i][0]) == 0) return simple[i][1];
    return NULL;
}

/* The layer's output is the activation of x. */
static void activate(keras_translation *t, const char *name, const char *x, int rank, int64_t channels) {
    keras_step y = {""};
    if (keras_failed(t)) return;
    if (operator_of(name)) {
        y = keras_emit_plain(t, operator_of(name), x);
    } else if (strcmp(name, "relu6") == 0) {
        y = clip(t, x, 6);
    } else if (strcmp(name, "softmax") == 0) {
        const psal_attribute axis = keras_integer_attribute("axis", rank == 4 ? 1 : -1);
        y = keras_emit(t, "Softmax", x, NULL, NULL, &axis, 1);
    } else if (strcmp(name, "hard_sigmoid") == 0) {
        y = hard_sigmoid(t, x);
    } else if (strcmp(name, "swish") == 0 || strcmp(name, "silu") == 0) {
        y = gate(t, x);
    } else if (strcmp(name, "gelu") == 0) {
        y = gelu(t, x);
    } else if (strcmp(name, "linear") != 0) {
        keras_fail(
            t, PSAL_ERR_UNSUPPORTED,
            "psal has no activation '%.60s': it has linear, relu, relu6, elu, selu, softmax, sigmoid, hard_sigmoid, "
            "swish, hard_silu, tanh, softplus, softsign, gelu",
            name);
    }
    keras_output(t, *y.text ? y.text : x, rank, channels);
    const bool softmax = strcmp(name, "softmax") == 0;
    if (keras_failed(t) || !(softmax || strcmp(name, "sigmoid") == 0)) return;
    keras_value *made = &t->values[t->o->outputs[0]];
    made->logits = keras_copy_of(t, x);
    made->probability = softmax ? "softmax" : "sigmoid";
}

static void activate_layer(keras_translation *t, const char *x, int rank, int64_t channels) {
    activate(t, keras_word(t, "activation", "linear"), x, rank, channels);
}

static void translate_activation(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    if (strcmp(keras_word(t, "activation", "linear"), "linear") == 0)
        keras_output_same(t, x);
    else
        activate_layer(t, x->name, x->rank, x->channels);
}

/* max(0, x), at most max_value, or with a slope below 0. */
static void translate_relu(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    const double most = keras_number(t, "max_value", INFINITY), slope = keras_number(t, "negative_slope", 0);
    if (keras_number(t, "threshold", 0) != 0)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "threshold %g: psal has 0", keras_number(t, "threshold", 0));
    if (slope != 0 && isfinite(most)) keras_fail(t, PSAL_ERR_UNSUPPORTED, "negative_slope and max_value together");
    if (keras_failed(t)) return;
    const psal_attribute alpha = keras_number_attribute("alpha", slope);
    const keras_step y = isfinite(most) ? clip(t, x->name, most)
                         : slope != 0   ? keras_emit(t, "LeakyRelu", x->name, NULL, NULL, &alpha, 1)
                                        : keras_emit_plain(t, "Relu", x->name);
    keras_output(t, y.text, x->rank, x->channels);
}

static void translate_leaky_relu(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    const psal_attribute alpha = keras_number_attribute(
        "alpha", keras_number(t, "alpha", keras_number(t, "negative_slope", 0.3)));
    if (keras_failed(t)) return;
    const keras_step y = keras_emit(t, "LeakyRelu", x->name, NULL, NULL, &alpha, 1);
    keras_output(t, y.text, x->rank, x->channels);
}

static void translate_elu(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    const psal_attribute alpha = keras_number_attribute("alpha", keras_number(t, "alpha", 1));
    if (keras_failed(t)) return;
    const keras_step y = keras_emit(t, "Elu", x->name, NULL, NULL, &alpha, 1);
    keras_output(t, y.text, x->rank, x->channels);
}

static void translate_softmax(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    int64_t axis = -1;
    keras_whole_numbers(t, "axis", &axis, 1);
    if (!keras_failed(t) && axis != -1 && axis != x->rank - 1)
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "axis %" PRId64 ": psal has the last", axis);
    activate(t, "softmax", x->name, x->rank, x->channels);
}

static void translate_identity(keras_translation *t) {
    keras_output_same(t, keras_input(t, 0));
}

/* ---- layers with weights ---- */

typedef struct windows {
    int64_t strides[2], dilations[2];
    bool same;
} windows;

static windows read_windows(keras_translation *t) {
    windows w;
    keras_want_channels_last(t);
    keras_pair(t, "strides", 1, w.strides);
    keras_pair(t, "dilation_rate", 1, w.dilations);
    w.same = keras_pads_same(t);
    return w;
}

/* What the configuration says of the kernel [height, width, in, out] is true. */
static void check_kernel(keras_translation *t, const char *name, const psal_shape *kernel, const char *outputs_name,
                         int64_t outputs) {
    int64_t size[2], count[1];
    char text[96];
    if (keras_failed(t)) return;
    keras_pair(t, "kernel_size", kernel->dim[0], size);
    if (!keras_attribute(t, "kernel_size")) size[1] = kernel->dim[1];
    const bool counted = keras_whole_numbers(t, outputs_name, count, 1) == 1;
    if (size[0] != kernel->dim[0] || size[1] != kernel->dim[1] || (counted && count[0] != outputs))
        keras_fail(t, PSAL_ERR_SHAPE, "'%.200s' has shape %s, which is not what its kernel_size and %s say", name,
                   psal_shape_format(kernel, text, sizeof text), outputs_name);
}

static keras_step emit_conv(keras_translation *t, const char *x, const char *kernel, const char *bias, int64_t groups,
                            const windows *w) {
    const psal_attribute attributes[] = {keras_integer_attribute("group", groups),
                                         keras_list_attribute("strides", w->strides, 2),
                                         keras_list_attribute("dilations", w->dilations, 2),
                                         keras_text_attribute("auto_pad", w->same ? "SAME_UPPER" : "VALID")};
    return keras_emit(t, "Conv", x, kernel, bias, attributes, 4);
}

static void translate_conv(keras_translation *t) {
    const keras_value *x = keras_input_of_rank(t, 0, 4);
    const windows w = read_windows(t);
    psal_shape s;
    int64_t groups = 1;
    keras_step none;
    const char *kernel = keras_weight(t, "kernel", 4, KERAS_OIHW, &s);
    if (kernel) check_kernel(t, kernel, &s, "filters", s.dim[3]);
    keras_whole_numbers(t, "groups", &groups, 1);
    if (groups < 1 || groups > 1 << 24) keras_fail(t, PSAL_ERR_FORMAT, "%" PRId64 " groups", groups);
    const char *bias = keras_vector(t, "bias", s.dim[3], keras_flag(t, "use_bias", true), NULL, &none);
    if (keras_failed(t)) return;
    const keras_step y = emit_conv(t, x->name, kernel, bias, groups, &w);
    activate_layer(t, y.text, 4, s.dim[3]);
}

/* Filter i * multiplier + m takes channel i. */
static const char *depthwise_kernel(keras_translation *t, psal_shape *s) {
    const bool renamed = keras_find_weight(t, "depthwise_kernel") == SIZE_MAX; /* in Keras 3 */
    const char *kernel = keras_weight(
        t, renamed && strcmp(t->o->type, "DepthwiseConv2D") == 0 ? "kernel" : "depthwise_kernel", 4, KERAS_DEPTHWISE,
        s);
    if (kernel && (s->dim[2] > INT32_MAX || s->dim[3] > INT32_MAX))
        keras_fail(t, PSAL_ERR_SHAPE, "'%.200s' is too large", kernel);
    if (kernel) check_kernel(t, kernel, s, "depth_multiplier", s->dim[3]);
    return kernel;
}

static void translate_depthwise(keras_translation *t) {
    const keras_value *x = keras_input_of_rank(t, 0, 4);
    const windows w = read_windows(t);
    psal_shape s;
    keras_step none;
    const char *kernel = depthwise_kernel(t, &s);
    if (keras_failed(t)) return;
    const char *bias = keras_vector(t, "bias", s.dim[2] * s.dim[3], keras_flag(t, "use_bias", true), NULL, &none);
    const keras_step y = emit_conv(t, x->name, kernel, bias, s.dim[2], &w);
    activate_layer(t, y.text, 4, s.dim[2] * s.dim[3]);
}

static void translate_separable(keras_translation *t) {
    static const windows plain = {{1, 1}, {1, 1}, false};
    const keras_value *x = keras_input_of_rank(t, 0, 4);
    const windows w = read_windows(t);
    psal_shape s, p;
    int64_t filters;
    char text[96];
    keras_step none;
    const char *kernel = depthwise_kernel(t, &s), *pointwise = keras_weight(t, "pointwise_kernel", 4, KERAS_OIHW, &p);
    if (keras_failed(t)) return;
    if (p.dim[0] != 1 || p.dim[1] != 1 || (keras_whole_numbers(t, "filters", &filters, 1) && filters != p.dim[3]))
        keras_fail(t, PSAL_ERR_SHAPE, "'%.200s' has shape %s, which is not 1x1 or not what its filters say", pointwise,
                   psal_shape_format(&p, text, sizeof text));
    const char *bias = keras_vector(t, "bias", p.dim[3], keras_flag(t, "use_bias", true), NULL, &none);
    const keras_step middle = emit_conv(t, x->name, kernel, NULL, s.dim[2], &w);
    const keras_step y = emit_conv(t, middle.text, pointwise, bias, 1, &plain);
    activate_layer(t, y.text, 4, p.dim[3]);
}

/* Along the last axis: of vectors, or of every position of images and sequences. */
static void translate_dense(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    const bool flat = x->rank == 2;
    psal_shape s;
    int64_t units;
    keras_step none, y;
    const char *kernel = keras_weight(t, "kernel", 2, flat ? KERAS_TRANSPOSED : KERAS_PLAIN, &s);
    if (kernel && keras_whole_numbers(t, "units", &units, 1) && units != s.dim[1])
        keras_fail(t, PSAL_ERR_SHAPE, "'%.200s' has %" PRId64 " columns, its units are %" PRId64, kernel, s.dim[1],
                   units);
    const char *bias = keras_vector(t, "bias", s.dim[1], keras_flag(t, "use_bias", true), NULL, &none);
    if (keras_failed(t)) return;
    if (flat) {
        const psal_attribute transposed = keras_integer_attribute("transB", 1);
        y = keras_emit(t, "Gemm", x->name, kernel, bias, &transposed, 1);
    } else {
        if (x->rank == 4) y = keras_transpose(t, x->name, true);
        y = keras_emit(t, "MatMul", x->rank == 4 ? y.text : x->name, kernel, NULL, NULL, 0);
        if (bias) y = keras_emit(t, "Add", y.text, bias, NULL, NULL, 0);
        if (x->rank == 4) y = keras_transpose(t, y.text, false);
    }
    activate_layer(t, y.text, x->rank, s.dim[1]);
}

static void translate_batch_norm(keras_translation *t) {
    static const double zero = 0, one = 1;
    const keras_value *x = keras_input(t, 0);
    int64_t axis = -1;
    psal_shape s;
    keras_step made_gamma, made_beta;
    const char *mean = keras_weight(t, "moving_mean", 1, KERAS_PLAIN, &s);
    keras_whole_numbers(t, "axis", &axis, 1);
    if (!keras_failed(t) && ((x->rank != 4 && x->rank != 2) || (axis != -1 && axis != x->rank - 1)))
        keras_fail(t, PSAL_ERR_UNSUPPORTED, "axis %" PRId64 " of %d dimensions: psal has the last of 4 or 2", axis,
                   x->rank);
    const char *variance = keras_vector(t, "moving_variance", s.dim[0], true, NULL, &made_beta);
    const char *gamma = keras_vector(t, "gamma", s.dim[0], keras_flag(t, "scale", true), &one, &made_gamma);
    const char *beta = keras_vector(t, "beta", s.dim[0], keras_flag(t, "center", true), &zero, &made_beta);
    const psal_attribute epsilon = keras_number_attribute("epsilon", keras_number(t, "epsilon", 1e-3));
    if (keras_failed(t)) return;
    const char *const inputs[] = {x->name, gamma, beta, mean, variance};
    const keras_step y = keras_emit_all(t, "BatchNormalization", inputs, 5, &epsilon, 1);
    keras_output(t, y.text, x->rank, x->channels);
}

/* ---- pooling and shapes ---- */

/* What changes the order or the shape of probabilities hides the logits, and so do means of them, over positions or of
 * an ensemble, and other arithmetic among them. Probabilities times something else are a gate, and no probabilities. */
static void mark_hidden(keras_translation *t) {
    keras_value *y = &t->values[t->o->outputs[0]];
    for (size_t i = 0; i < t->o->input_count && !keras_failed(t); i++)
        if (!keras_input(t, i)->probability) return;
    if (keras_failed(t)) return;
    y->probability = keras_input(t, 0)->probability;
    y->hidden = true;
}

static void translate_pool(keras_translation *t) {
    const keras_value *x = keras_input_of_rank(t, 0, 4);
    int64_t size[2], strides[2];
    keras_want_channels_last(t);
    keras_pair(t, "pool_size", 2, size);
    if (keras_attribute(t, "strides"))
        keras_pair(t, "strides", 1, strides);
    else
        memcpy(strides, size, sizeof strides);
    const psal_attribute attributes[] = {keras_list_attribute("kernel_shape", size, 2),
                                         keras_list_attribute("strides", strides, 2),
                                         keras_text_attribute("auto_pad", keras_pads_same(t) ? "SAME_UPPER" : "VALID")};
    if (keras_failed(t)) return;
    const bool maximum = strcmp(t->o->type, "MaxPooling2D") == 0;
    const keras_step y = keras_emit(t, maximum ? "MaxPool" : "AveragePool", x->name, NULL, NULL, attributes, 3);
    keras_output(t, y.text, 4, x->channels);
    mark_hidden(t);
}

static void translate_global_pool(keras_translation *t) {
    const keras_value *x = keras_input_of_rank(t, 0, 4);
    const bool keep = keras_flag(t, "keepdims", false), maximum = strcmp(t->o->type, "GlobalMaxPooling2D") == 0;
    keras_want_channels_last(t);
    if (keras_failed(t)) return;
    const keras_step y = keras_emit_plain(t, maximum ? "GlobalMaxPool" : "GlobalAveragePool", x->name);
    const keras_step flat = keep ? y : keras_emit_plain(t, "Flatten", y.text);
    keras_output(t, flat.text, keep ? 4 : 2, x->channels);
    mark_hidden(t);
}

static void translate_padding(keras_translation *t) {
    const keras_value *x = keras_input_of_rank(t, 0, 4);
    int64_t p[4] = {1, 1, 1, 1}; /* top, bottom, left, right */
    keras_want_channels_last(t);
    const int count = keras_whole_numbers(t, "padding", p, 4);
    if (count == 1) p[1] = p[2] = p[3] = p[0];
    if (count == 2) {
        p[2] = p[3] = p[1];
        p[1] = p[0];
    }
    for (int i = 0; i < 4; i++)
        if (count == 3 || p[i] < 0 || p[i] > 1 << 20) keras_fail(t, PSAL_ERR_FORMAT, "a padding that cannot be");
    if (keras_failed(t)) return;
    const int64_t pads[] = {0, 0, p[0], p[2], 0, 0, p[1], p[3]};
    const keras_step constant = keras_constant_integers(t, pads, 8),
                     y = keras_emit(t, "Pad", x->name, constant.text, NULL, NULL, 0);
    keras_output(t, y.text, 4, x->channels);
}

static void translate_flatten(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    keras_want_channels_last(t);
    if (keras_failed(t)) return;
    const keras_step last = x->rank == 4 ? keras_transpose(t, x->name, true) : (keras_step){""};
    const keras_step y = keras_emit_plain(t, "Flatten", x->rank == 4 ? last.text : x->name);
    keras_output(t, y.text, 2, x->rank == 2 ? x->channels : -1);
    mark_hidden(t);
}

/* Every image's numbers in Keras' order. */
static void translate_reshape(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    int64_t target[PSAL_MAX_DIMS] = {0};
    const int count = keras_whole_numbers(t, "target_shape", target + 1, PSAL_MAX_DIMS - 1);
    for (int i = 1; i <= count; i++)
        if (target[i] == 0 || target[i] < -1) keras_fail(t, PSAL_ERR_FORMAT, "a length of %" PRId64, target[i]);
    if (!count) keras_fail(t, PSAL_ERR_FORMAT, "it has no target_shape");
    if (keras_failed(t)) return;
    /* A softmax of all there is commutes with it: the logits are changed, and the softmax is last. */
    const bool commutes = x->logits && !x->hidden && count == 1 && target[1] == x->channels;
    const char *from = commutes ? x->logits : x->name;
    const keras_step last = x->rank == 4 ? keras_transpose(t, from, true) : (keras_step){""};
    const keras_step shape = keras_constant_integers(t, target, count + 1);
    keras_step y = keras_emit(t, "Reshape", x->rank == 4 ? last.text : from, shape.text, NULL, NULL, 0);
    if (count == 3) y = keras_transpose(t, y.text, false);
    if (commutes)
        activate(t, x->probability, y.text, 2, target[1]);
    else
        keras_output(t, y.text, count + 1, target[count] > 0 ? target[count] : -1);
    if (!commutes) mark_hidden(t);
}

/* ---- several inputs ---- */

/* All inputs, of one rank; NULL after an error. */
static const char **inputs_of_one_rank(keras_translation *t, const keras_value **first) {
    const size_t count = t->o->input_count;
    const char **names = calloc(count + 1, sizeof *names);
    if (!names) keras_fail(t, PSAL_ERR_MEMORY, "out of memory");
    *first = keras_input(t, 0);
    if (count < 2 || count > MAX_PARTS) keras_fail(t, PSAL_ERR_FORMAT, "%zu inputs", count);
    for (size_t i = 0; i < count && !keras_failed(t); i++) {
        names[i] = keras_input(t, i)->name;
        if (keras_input(t, i)->rank != (*first)->rank)
            keras_fail(t, PSAL_ERR_UNSUPPORTED, "its inputs have different dimensions");
    }
    if (!keras_failed(t)) return names;
    free(names);
    return NULL;
}

static void translate_merge(keras_translation *t) {
    const keras_value *x;
    const char **inputs = inputs_of_one_rank(t, &x), *type = t->o->type;
    if (!inputs) return;
    const size_t count = t->o->input_count;
    keras_step y = {""};
    if (strcmp(type, "Subtract") == 0 && count != 2) keras_fail(t, PSAL_ERR_FORMAT, "%zu inputs", count);
    const char *operator= strcmp(type, "Multiply") == 0 ? "Mul" : strcmp(type, "Subtract") == 0 ? "Sub" : "Add";
    for (size_t i = 1; i < count; i++)
        y = keras_emit(t, operator, i == 1 ? inputs[0] : y.text, inputs[i], NULL, NULL, 0);
    if (strcmp(type, "Average") == 0) {
        const keras_step share = keras_constant_number(t, 1.0 / (double)count);
        y = keras_emit(t, "Mul", y.text, share.text, NULL, NULL, 0);
    }
    int64_t channels = x->channels; /* 1 may be repeated to all of another's */
    for (size_t i = 1; i < count; i++)
        if (keras_input(t, i)->channels != channels) channels = -1;
    keras_output(t, y.text, x->rank, channels);
    mark_hidden(t);
    free(inputs);
}

static void translate_concatenate(keras_translation *t) {
    const keras_value *x;
    const char **inputs = inputs_of_one_rank(t, &x);
    if (!inputs) return;
    int64_t axis = -1, channels = 0;
    keras_whole_numbers(t, "axis", &axis, 1);
    if (axis < 0) axis += x->rank;
    if (axis < 1 || axis >= x->rank) keras_fail(t, PSAL_ERR_FORMAT, "axis %" PRId64, axis);
    const bool along_channels = axis == x->rank - 1;
    for (size_t i = 0; i < t->o->input_count; i++) {
        const int64_t more = keras_input(t, i)->channels;
        channels = more < 0 || channels < 0 ? -1 : channels + more;
    }
    const psal_attribute along = keras_integer_attribute("axis", x->rank != 4 ? axis : along_channels ? 1 : axis + 1);
    if (!keras_failed(t)) {
        const keras_step y = keras_emit_all(t, "Concat", inputs, t->o->input_count, &along, 1);
        keras_output(t, y.text, x->rank, along_channels ? channels : x->channels);
        mark_hidden(t);
    }
    free(inputs);
}

/* scale x + offset */
static void translate_rescaling(keras_translation *t) {
    const keras_value *x = keras_input(t, 0);
    const double scale = keras_number(t, "scale", 1), offset = keras_number(t, "offset", 0);
    if (keras_failed(t)) return;
    const keras_step factor = keras_constant_number(t, scale), shift = keras_constant_number(t, offset);
    keras_step y = keras_emit(t, "Mul", x->name, factor.text, NULL, NULL, 0);
    if (offset != 0) y = keras_emit(t, "Add", y.text, shift.text, NULL, NULL, 0);
    keras_output(t, y.text, x->rank, x->channels);
    mark_hidden(t);
}

/* ---- the table ---- */

/* What psal knows of a class: attributes between blanks, beside those of all layers. */
typedef struct layer_class {
    const char *name, *attributes;
    void (*translate)(keras_translation *t);
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
    {"ELU", " alpha ", translate_elu},
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

static void translate_layer(keras_translation *t) {
    const layer_class *known = NULL;
    t->steps = 0;
    for (size_t i = 0; !known && i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].name, t->o->type) == 0) known = &classes[i];
    if (!known) keras_fail(t, PSAL_ERR_UNSUPPORTED, "psal has no such layer of Keras'");
    for (size_t i = 0; known && i < t->o->attribute_count; i++)
        if (!is_idle(&t->o->attributes[i]) && !stands_in(known->attributes, t->o->attributes[i].name))
            keras_fail(t, PSAL_ERR_UNSUPPORTED, "psal does not know its attribute '%.60s'", t->o->attributes[i].name);
    if (!keras_failed(t)) known->translate(t);
}

/* ---- all of it ---- */

static void translate_input(keras_translation *t, const psal_port *port) {
    const int64_t *dim = port->dim;
    const int64_t image[] = {dim[0], dim[3], dim[1], dim[2]};
    const bool is_image = port->ndim == 4;
    keras_value *x = &t->values[port->value];
    psal_describer_input(t->onnx, t->keras->values[port->value], port->ndim, is_image ? image : dim);
    x->name = keras_copy_of(t, t->keras->values[port->value]);
    x->rank = port->ndim < 0 ? 4 : port->ndim;
    x->channels = port->ndim > 0 ? dim[port->ndim - 1] : -1;
}

static void translate_output(keras_translation *t, const psal_port *port) {
    const keras_value *y = &t->values[port->value];
    if (y->hidden)
        keras_fail(
            t, PSAL_ERR_UNSUPPORTED,
            "the output '%.100s' is made of probabilities, by a change of shape or arithmetic behind the %s: psal "
            "needs the logits",
            t->keras->values[port->value], y->probability);
    if (!keras_failed(t)) psal_describer_output(t->onnx, y->name);
}

static void tell_unused(keras_translation *t, char remarks[300]) {
    char names[200];
    const size_t all = psal_tensor_map_count(t->checkpoint);
    size_t count = 0;
    bool *taken = calloc(all + 1, sizeof *taken);
    if (!taken) keras_fail(t, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; taken && i < all; i++) count += !(taken[i] = t->layouts[i] != 0);
    if (!count) {
        free(taken);
        return;
    }
    net_name_tensors(t->checkpoint, taken, names, sizeof names);
    free(taken);
    snprintf(remarks, 300, "ignored %zu tensor%s that no layer takes: %s", count, count > 1 ? "s" : "", names);
}

static void translate_all(keras_translation *t, char remarks[300]) {
    const psal_description *k = t->keras;
    for (size_t i = 0; i < k->input_count && !keras_failed(t); i++) translate_input(t, &k->inputs[i]);
    for (size_t i = 0; i < k->operator_count && !keras_failed(t); i++) {
        t->o = &k->operators[i];
        translate_layer(t);
    }
    t->o = NULL;
    for (size_t i = 0; i < k->output_count && !keras_failed(t); i++) translate_output(t, &k->outputs[i]);
    if (!keras_failed(t)) tell_unused(t, remarks);
}

psal_tensor_map *net_keras_translate(const psal_tensor_map *checkpoint, char remarks[300], psal_error *err) {
    const psal_description *keras = psal_tensor_map_description(checkpoint);
    keras_translation t = {.checkpoint = checkpoint, .keras = keras, .err = err, .sixths = keras->producer[0] == '3'};
    char producer[100];
    t.values = calloc((size_t)keras->value_count + 1, sizeof *t.values);
    t.layouts = calloc(psal_tensor_map_count(checkpoint) + 1, sizeof *t.layouts);
    t.owners = calloc(psal_tensor_map_count(checkpoint) + 1, sizeof *t.owners);
    t.map = psal_tensor_map_new();
    t.onnx = t.map ? psal_describer_new(t.map, err) : NULL;
    if (!t.values || !t.layouts || !t.owners || !t.onnx)
        keras_fail(&t, PSAL_ERR_MEMORY, "out of memory");
    else
        keras_find_endings(&t);
    *remarks = '\0';
    if (!keras_failed(&t)) translate_all(&t, remarks);
    snprintf(producer, sizeof producer, "keras %.80s", keras->producer);
    const psal_description header = {
        .form = PSAL_DESCRIPTION_ONNX, .name = keras->name, .producer = producer, .opset = OPSET};
    psal_error why = PSAL_ERROR_INIT;
    const psal_status status = psal_describer_finish(t.onnx, &header, &why);
    if (!keras_failed(&t) && status != PSAL_OK) keras_fail(&t, status, "%s", why.message);
    for (int v = 0; t.values && v < keras->value_count; v++) {
        free(t.values[v].name);
        free(t.values[v].logits);
    }
    free(t.values);
    free(t.layouts);
    free(t.owners);
    free(t.of_endings);
    psal_tensor_map_free(t.endings);
    if (!keras_failed(&t)) return t.map;
    psal_tensor_map_free(t.map);
    return NULL;
}

bool net_keras_may_be_resnet(const psal_tensor_map *checkpoint) {
    static const char in_resnets[] = " Activation Add AveragePooling2D BatchNormalization Conv2D Dense Dropout Flatten "
                                     "GlobalAveragePooling2D Identity MaxPooling2D ReLU Softmax ZeroPadding2D ";
    const psal_description *keras = psal_tensor_map_description(checkpoint);
    for (size_t i = 0; keras && i < keras->operator_count; i++) {
        keras_translation t = {.o = &keras->operators[i]};
        const psal_attribute *activation = keras_attribute(&t, "activation"),
                             *dilation = keras_attribute(&t, "dilation_rate"), *most = keras_attribute(&t, "max_value");
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
