#include "models/builder.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void net_init(net *n, psal_graph *graph, const net_options *options) {
    *n = (net){.graph = graph, .options = *options, .multiplier = 1};
}

flow net_image(const net *n, psal_node image) {
    return (flow){image, n->options.channels, -1};
}

void net_clear(net *n) {
    for (int i = 0; i < n->count; i++) free(n->tensors[i].name);
    free(n->tensors);
    free(n->parts);
    n->tensors = NULL;
    n->parts = NULL;
    n->count = n->capacity = n->part_count = 0;
}

void net_fail(net *n, psal_status status, const char *format, ...) {
    if (n->error.status != PSAL_OK) return;
    char message[sizeof n->error.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    psal_fail(&n->error, status, "%s", message);
}

int net_eights(double channels) {
    const int rounded = (int)(channels + 4) / 8 * 8;
    if (rounded < 8) return 8;
    return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

void net_count_in_eights(net *n, double multiplier) {
    n->in_eights = true;
    n->multiplier = multiplier;
}

int net_scale(const net *n, int channels) {
    if (n->in_eights) return net_eights(channels * n->multiplier * n->options.width);
    int scaled = (int)(channels * n->options.width + 0.5);
    return scaled > 1 ? scaled : 1;
}

/* ---- names ---- */

void net_enter(net *n, const char *format, ...) {
    int before = (int)strlen(n->scope), room = (int)sizeof n->scope - before;
    if (n->depth == (int)(sizeof n->scope_length / sizeof *n->scope_length)) {
        net_fail(n, PSAL_ERR_ARGUMENT, "layers nested too deeply in %s", n->scope);
        return;
    }
    n->scope_length[n->depth++] = before;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(n->scope + before, (size_t)room, format, arguments);
    va_end(arguments);
    if (length < 0 || length + 1 >= room) {
        net_fail(n, PSAL_ERR_ARGUMENT, "layer name too long: %s", n->scope);
        n->scope[before] = '\0';
        return;
    }
    strcpy(n->scope + before + length, ".");
}

void net_leave(net *n) {
    if (n->depth > 0) n->scope[n->scope_length[--n->depth]] = '\0';
}

void net_detach(net *n) {
    n->detached++;
}

void net_attach(net *n) {
    n->detached--;
}

bool net_makes_nodes(const net *n) {
    return n->graph && n->detached == 0 && n->error.status == PSAL_OK;
}

/* Say which layer the following nodes belong to: SCOPE.name, or the scope itself for "". */
static void set_layer(net *n, const char *name) {
    if (!net_makes_nodes(n)) return;
    char layer[200];
    snprintf(layer, sizeof layer, "%s%s", n->scope, name);
    size_t length = strlen(layer);
    if (length > 0 && layer[length - 1] == '.') layer[length - 1] = '\0';
    psal_graph_set_layer(n->graph, layer);
}

/* ---- the list ---- */

/* Whether there is room for one more. */
static bool grow(net *n) {
    if (n->count < n->capacity) return true;
    int capacity = n->capacity ? n->capacity * 2 : 256;
    net_tensor *grown = reallocarray(n->tensors, (size_t)capacity, sizeof *grown);
    if (!grown) return false;
    n->tensors = grown;
    n->capacity = capacity;
    return true;
}

/* Takes the name, which is NULL when there was no memory for it. */
static int append(net *n, char *name, psal_shape shape, bool is_buffer) {
    if (!name || !grow(n))
        net_fail(n, PSAL_ERR_MEMORY, "out of memory");
    else if (n->sought && n->detached == 0 && !psal_tensor_map_get(n->sought, name))
        n->stopped = true;
    if (n->error.status != PSAL_OK || n->stopped) {
        free(name);
        return -1;
    }
    net_tensor *tensor = &n->tensors[n->count];
    *tensor = (net_tensor){.name = name,
                           .shape = shape,
                           .is_buffer = is_buffer,
                           .in_graph = n->detached == 0,
                           .output_axis = -1,
                           .norm_scale = -1,
                           .norm_shift = -1,
                           .norm_mean = -1,
                           .part = n->part_count,
                           .node = PSAL_NO_NODE};
    if (net_makes_nodes(n)) tensor->node = psal_parameter(n->graph, name, shape);
    return n->count++;
}

int net_list(net *n, const char *name, psal_shape shape, bool is_buffer) {
    return n->error.status == PSAL_OK && !n->stopped ? append(n, strdup(name), shape, is_buffer) : -1;
}

/* SCOPE.layer.part, to be freed. By hand, as recognising a network makes some ten thousand names. */
static char *full_name(const net *n, const char *layer, const char *part) {
    char *name = malloc(strlen(n->scope) + strlen(layer) + (part ? 1 + strlen(part) : 0) + 1);
    if (!name) return NULL;
    char *end = stpcpy(stpcpy(name, n->scope), layer);
    if (part) stpcpy(stpcpy(end, "."), part);
    return name;
}

/* Append SCOPE.layer.part (SCOPE.layer where there is no part); its list index, or -1 after an error. */
static int list(net *n, const char *layer, const char *part, psal_shape shape, bool is_buffer, int published) {
    if (n->error.status != PSAL_OK || n->stopped) return -1;
    const int index = append(n, full_name(n, layer, part), shape, is_buffer);
    if (index < 0) return -1;
    n->tensors[index].published = published * n->multiplier;
    n->tensors[index].in_eights = n->in_eights;
    n->tensors[index].is_filters = shape.ndim == 4;
    n->tensors[index].is_variance = part && strcmp(part, "running_var") == 0;
    return index;
}

static psal_node node_of(const net *n, int index) {
    return index < 0 ? PSAL_NO_NODE : n->tensors[index].node;
}

/* The weight of a layer whose outputs are its rows; bias: -1 for none. */
static void set_rows(net *n, int weight, int bias) {
    if (weight < 0) return;
    n->tensors[weight].output_axis = 0;
    n->tensors[weight].norm_shift = bias;
}

/* ---- layers ---- */

static flow convolve(net *n, flow x, const char *name, int channels, int published, bool biased, window w) {
    const int groups = w.groups > 1 ? w.groups : 1;
    set_layer(n, name);
    if (x.channels % groups || channels % groups)
        net_fail(n, PSAL_ERR_SHAPE, "%s%s: %d to %d channels do not divide by %d groups at width %g", n->scope, name,
                 x.channels, channels, groups, n->options.width);
    int weight = list(n, name, "weight", PSAL_SHAPE(channels, x.channels / groups, w.height, w.width), false,
                      published);
    int bias = biased ? list(n, name, "bias", PSAL_SHAPE(channels), false, 0) : -1;
    flow y = {PSAL_NO_NODE, channels, weight};
    set_rows(n, weight, bias);
    if (!net_makes_nodes(n)) return y;
    psal_conv2d_options options = {.stride_height = w.stride,
                                   .stride_width = w.stride,
                                   .padding_height = w.padding_height,
                                   .padding_width = w.padding_width,
                                   .groups = groups};
    y.node = psal_conv2d(n->graph, x.node, node_of(n, weight), &options);
    if (biased) y.node = psal_channel_add(n->graph, y.node, node_of(n, bias));
    return y;
}

flow net_conv(net *n, flow x, const char *name, int channels, window w) {
    return convolve(n, x, name, net_scale(n, channels), channels, false, w);
}

flow net_conv_exact(net *n, flow x, const char *name, int channels, window w) {
    return convolve(n, x, name, channels, 0, false, w);
}

flow net_conv_bias(net *n, flow x, const char *name, int channels, window w) {
    return convolve(n, x, name, net_scale(n, channels), channels, true, w);
}

flow net_conv_bias_exact(net *n, flow x, const char *name, int channels, window w) {
    return convolve(n, x, name, channels, 0, true, w);
}

/* With the outputs that follow from `channels`, exactly so many or by the width rule. */
static flow convolve_and_normalise(net *n, flow x, const char *name, int channels, bool exact, window w) {
    net_enter(n, "%s", name);
    x = exact ? net_conv_exact(n, x, "0", channels, w) : net_conv(n, x, "0", channels, w);
    x = net_batch_norm(n, x, "1");
    net_leave(n);
    return x;
}

flow net_conv_norm(net *n, flow x, const char *name, int channels, window w) {
    return convolve_and_normalise(n, x, name, channels, false, w);
}

flow net_conv_norm_exact(net *n, flow x, const char *name, int channels, window w) {
    return convolve_and_normalise(n, x, name, channels, true, w);
}

flow net_batch_norm(net *n, flow x, const char *name) {
    set_layer(n, name);
    const psal_shape shape = PSAL_SHAPE(x.channels);
    int gamma = list(n, name, "weight", shape, false, 0);
    int beta = list(n, name, "bias", shape, false, 0);
    int mean = list(n, name, "running_mean", shape, true, 0);
    int variance = list(n, name, "running_var", shape, true, 0);
    if (x.convolution >= 0 && beta >= 0) {
        n->tensors[x.convolution].norm_scale = gamma;
        n->tensors[x.convolution].norm_shift = beta;
        n->tensors[x.convolution].norm_mean = mean;
    }
    flow y = {PSAL_NO_NODE, x.channels, -1};
    if (net_makes_nodes(n))
        y.node = psal_batch_norm(n->graph, x.node, node_of(n, gamma), node_of(n, beta), node_of(n, mean),
                                 node_of(n, variance), n->options.bn_epsilon);
    return y;
}

flow net_apply(net *n, flow x, net_function function) {
    flow y = {PSAL_NO_NODE, x.channels, -1};
    if (net_makes_nodes(n)) y.node = function(n->graph, x.node);
    return y;
}

flow net_relu(net *n, flow x) {
    return net_apply(n, x, psal_relu);
}

flow net_add(net *n, flow a, flow b) {
    flow y = {PSAL_NO_NODE, a.channels, -1};
    set_layer(n, "");
    if (net_makes_nodes(n)) y.node = psal_add(n->graph, a.node, b.node);
    return y;
}

flow net_multiply(net *n, flow x, flow factor) {
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "");
    if (net_makes_nodes(n)) y.node = psal_broadcast_mul(n->graph, x.node, factor.node);
    return y;
}

flow net_parameter(net *n, const char *name, psal_shape shape) {
    set_layer(n, "");
    return (flow){node_of(n, list(n, name, NULL, shape, false, 0)), 0, -1};
}

flow net_squeeze_excite(net *n, flow x, const char *name, int squeezed, net_function activation, net_function gate) {
    flow y = x;
    net_enter(n, "%s", name);
    set_layer(n, "avgpool");
    if (net_makes_nodes(n)) y.node = psal_adaptive_avg_pool2d(n->graph, x.node, 1, 1);
    y = net_apply(n, net_conv_bias_exact(n, y, "fc1", squeezed, same(1, 1)), activation);
    y = net_apply(n, net_conv_bias_exact(n, y, "fc2", x.channels, same(1, 1)), gate);
    y = net_multiply(n, x, y);
    net_leave(n);
    return y;
}

flow net_channel_attention(net *n, flow x, const char *name) {
    const int whole = (int)((log2(x.channels) + 1) / 2), odd = whole + 1 - whole % 2, around = odd > 3 ? odd : 3;
    flow y = {PSAL_NO_NODE, x.channels, -1};
    net_enter(n, "%s", name);
    const int weight = list(n, "conv", "weight", PSAL_SHAPE(1, 1, around), false, 0);
    set_rows(n, weight, -1);
    set_layer(n, "conv");
    if (net_makes_nodes(n)) {
        const psal_conv2d_options options = {.padding_height = around / 2};
        const int64_t images = psal_graph_shape(n->graph, x.node)->dim[0];
        psal_node means = psal_reshape(n->graph, psal_adaptive_avg_pool2d(n->graph, x.node, 1, 1),
                                       PSAL_SHAPE(images, 1, x.channels, 1));
        psal_node filter = psal_reshape(n->graph, node_of(n, weight), PSAL_SHAPE(1, 1, around, 1));
        y.node = psal_sigmoid(n->graph, psal_conv2d(n->graph, means, filter, &options));
        y.node = psal_reshape(n->graph, y.node, PSAL_SHAPE(images, x.channels, 1, 1));
    }
    y = net_multiply(n, x, y);
    net_leave(n);
    return y;
}

flow net_layer_norm(net *n, flow x, const char *name, double epsilon) {
    static const int behind[4] = {0, 2, 3, 1}, back[4] = {0, 3, 1, 2};
    set_layer(n, name);
    const int gamma = list(n, name, "weight", PSAL_SHAPE(x.channels), false, 0);
    const int beta = list(n, name, "bias", PSAL_SHAPE(x.channels), false, 0);
    flow y = {PSAL_NO_NODE, x.channels, -1};
    if (!net_makes_nodes(n)) return y;
    const bool places = psal_graph_shape(n->graph, x.node)->ndim == 4;
    psal_node node = places ? psal_permute(n->graph, x.node, behind, 4) : x.node;
    node = psal_layer_norm(n->graph, node, node_of(n, gamma), node_of(n, beta), epsilon);
    y.node = places ? psal_permute(n->graph, node, back, 4) : node;
    return y;
}

flow net_channel_linear(net *n, flow x, const char *name, int outputs) {
    set_layer(n, name);
    const int weight = list(n, name, "weight", PSAL_SHAPE(outputs, x.channels), false, 0);
    const int bias = list(n, name, "bias", PSAL_SHAPE(outputs), false, 0);
    flow y = {PSAL_NO_NODE, outputs, -1};
    set_rows(n, weight, bias);
    if (!net_makes_nodes(n)) return y;
    psal_node filters = psal_reshape(n->graph, node_of(n, weight), PSAL_SHAPE(outputs, x.channels, 1, 1));
    y.node = psal_channel_add(n->graph, psal_conv2d(n->graph, x.node, filters, NULL), node_of(n, bias));
    return y;
}

flow net_channels(net *n, flow x, int first, int count) {
    flow y = {PSAL_NO_NODE, count, -1};
    set_layer(n, "");
    if (net_makes_nodes(n)) y.node = psal_slice(n->graph, x.node, 1, first, count);
    return y;
}

flow net_shuffle(net *n, flow x, int groups) {
    static const int exchanged[4] = {0, 2, 1, 3};
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "");
    if (!net_makes_nodes(n)) return y;
    const psal_shape shape = *psal_graph_shape(n->graph, x.node);
    const int64_t pixels = shape.dim[2] * shape.dim[3];
    psal_node parts = psal_reshape(n->graph, x.node, PSAL_SHAPE(shape.dim[0], groups, x.channels / groups, pixels));
    y.node = psal_reshape(n->graph, psal_permute(n->graph, parts, exchanged, 4), shape);
    return y;
}

flow net_concat(net *n, const flow *parts, int count) {
    psal_node nodes[8];
    flow y = {PSAL_NO_NODE, 0, -1};
    if (count > (int)(sizeof nodes / sizeof *nodes)) {
        net_fail(n, PSAL_ERR_ARGUMENT, "%s: %d parts to concatenate", n->scope, count);
        return y;
    }
    for (int i = 0; i < count; i++) {
        nodes[i] = parts[i].node;
        y.channels += parts[i].channels;
    }
    set_layer(n, "");
    if (net_makes_nodes(n)) y.node = psal_concat(n->graph, nodes, count, 1);
    return y;
}

static psal_pool2d_options pool_options(window w) {
    return (psal_pool2d_options){.kernel_height = w.height,
                                 .kernel_width = w.width,
                                 .stride_height = w.stride,
                                 .stride_width = w.stride,
                                 .padding_height = w.padding_height,
                                 .padding_width = w.padding_width};
}

static flow max_pool(net *n, flow x, window w, bool ceil_mode) {
    psal_pool2d_options options = pool_options(w);
    options.ceil_mode = ceil_mode;
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "maxpool");
    if (net_makes_nodes(n)) y.node = psal_max_pool2d(n->graph, x.node, &options);
    return y;
}

flow net_max_pool(net *n, flow x, window w) {
    return max_pool(n, x, w, false);
}

flow net_max_pool_ceil(net *n, flow x, window w) {
    return max_pool(n, x, w, true);
}

flow net_avg_pool(net *n, flow x, window w) {
    const psal_pool2d_options options = pool_options(w);
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "avgpool");
    if (net_makes_nodes(n)) y.node = psal_avg_pool2d(n->graph, x.node, &options);
    return y;
}

flow net_avg_pool_halves(net *n, flow x) {
    const psal_pool2d_options options = {
        .kernel_height = 2, .kernel_width = 2, .ceil_mode = true, .exclude_padding = true};
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "avgpool");
    if (net_makes_nodes(n)) y.node = psal_avg_pool2d(n->graph, x.node, &options);
    return y;
}

flow net_pool_flatten(net *n, flow x, int side) {
    flow y = {PSAL_NO_NODE, x.channels * side * side, -1};
    set_layer(n, "avgpool");
    if (net_makes_nodes(n)) y.node = psal_flatten(n->graph, psal_adaptive_avg_pool2d(n->graph, x.node, side, side));
    return y;
}

static flow connect(net *n, flow x, int weight, int bias, int outputs) {
    flow y = {PSAL_NO_NODE, outputs, -1};
    set_rows(n, weight, bias);
    if (net_makes_nodes(n)) y.node = psal_linear(n->graph, x.node, node_of(n, weight), node_of(n, bias));
    return y;
}

static flow connect_layer(net *n, flow x, const char *name, int outputs, int published) {
    set_layer(n, name);
    int weight = list(n, name, "weight", PSAL_SHAPE(outputs, x.channels), false, published);
    return connect(n, x, weight, list(n, name, "bias", PSAL_SHAPE(outputs), false, 0), outputs);
}

flow net_linear_hidden(net *n, flow x, const char *name, int outputs) {
    return connect_layer(n, x, name, net_scale(n, outputs), outputs);
}

flow net_linear(net *n, flow x, const char *name, int outputs) {
    return connect_layer(n, x, name, outputs, 0);
}

flow net_linear_named(net *n, flow x, const char *weight, const char *bias, int outputs) {
    set_layer(n, "");
    const int rows = list(n, weight, NULL, PSAL_SHAPE(outputs, x.channels), false, 0);
    return connect(n, x, rows, list(n, bias, NULL, PSAL_SHAPE(outputs), false, 0), outputs);
}

flow net_transform_input(net *n, flow image) {
    static const psal_real scale[3] = {(float)(0.229 / 0.5), (float)(0.224 / 0.5), (float)(0.225 / 0.5)};
    static const psal_real shift[3] = {(float)((0.485 - 0.5) / 0.5), (float)((0.456 - 0.5) / 0.5),
                                       (float)((0.406 - 0.5) / 0.5)};
    if (!n->options.transform_input) return image;
    flow y = {PSAL_NO_NODE, image.channels, -1};
    set_layer(n, "rescale");
    if (net_makes_nodes(n))
        y.node = psal_channel_affine(n->graph, image.node, psal_constant(n->graph, scale, PSAL_SHAPE(3)),
                                     psal_constant(n->graph, shift, PSAL_SHAPE(3)));
    return y;
}

flow net_cut(net *n, flow x) {
    if (!n->in_parts || !net_makes_nodes(n)) return x;
    psal_network_part *grown = reallocarray(n->parts, (size_t)n->part_count + 1, sizeof *n->parts);
    if (!grown) {
        net_fail(n, PSAL_ERR_MEMORY, "out of memory");
        return x;
    }
    n->parts = grown;
    char name[32];
    snprintf(name, sizeof name, "part %d", n->part_count);
    flow y = x;
    y.node = psal_input(n->graph, name, *psal_graph_shape(n->graph, x.node));
    n->parts[n->part_count++] = (psal_network_part){x.node, y.node};
    return y;
}
