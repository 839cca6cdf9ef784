#include "models/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void net_init(net *n, psal_graph *graph, const net_options *options) {
    *n = (net){.graph = graph, .options = *options};
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

int net_scale(const net *n, int channels) {
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

static bool makes_nodes(const net *n) {
    return n->graph && n->detached == 0 && n->error.status == PSAL_OK;
}

/* Say which layer the following nodes belong to: SCOPE.name, or the scope itself for "". */
static void set_layer(net *n, const char *name) {
    if (!makes_nodes(n)) return;
    char layer[200];
    snprintf(layer, sizeof layer, "%s%s", n->scope, name);
    size_t length = strlen(layer);
    if (length > 0 && layer[length - 1] == '.') layer[length - 1] = '\0';
    psal_graph_set_layer(n->graph, layer);
}

/* ---- the list ---- */

/* Append SCOPE.layer.part; its list index, or -1 after an error. */
static int list(net *n, const char *layer, const char *part, psal_shape shape, bool is_buffer, int published) {
    if (n->error.status != PSAL_OK) return -1;
    if (n->count == n->capacity) {
        int capacity = n->capacity ? n->capacity * 2 : 256;
        net_tensor *grown = reallocarray(n->tensors, (size_t)capacity, sizeof *grown);
        if (!grown) {
            net_fail(n, PSAL_ERR_MEMORY, "out of memory");
            return -1;
        }
        n->tensors = grown;
        n->capacity = capacity;
    }
    char *name;
    if (asprintf(&name, "%s%s.%s", n->scope, layer, part) < 0) {
        net_fail(n, PSAL_ERR_MEMORY, "out of memory");
        return -1;
    }
    net_tensor *tensor = &n->tensors[n->count];
    *tensor = (net_tensor){.name = name,
                           .shape = shape,
                           .is_buffer = is_buffer,
                           .in_graph = n->detached == 0,
                           .published = published,
                           .norm_scale = -1,
                           .norm_shift = -1,
                           .part = n->part_count,
                           .node = PSAL_NO_NODE};
    if (makes_nodes(n)) tensor->node = psal_parameter(n->graph, name, shape);
    return n->count++;
}

static psal_node node_of(const net *n, int index) {
    return index < 0 ? PSAL_NO_NODE : n->tensors[index].node;
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
    if (weight >= 0) n->tensors[weight].norm_shift = bias;
    if (!makes_nodes(n)) return y;
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
    }
    flow y = {PSAL_NO_NODE, x.channels, -1};
    if (makes_nodes(n))
        y.node = psal_batch_norm(n->graph, x.node, node_of(n, gamma), node_of(n, beta), node_of(n, mean),
                                 node_of(n, variance), n->options.bn_epsilon);
    return y;
}

flow net_relu(net *n, flow x) {
    flow y = {PSAL_NO_NODE, x.channels, -1};
    if (makes_nodes(n)) y.node = psal_relu(n->graph, x.node);
    return y;
}

flow net_add(net *n, flow a, flow b) {
    flow y = {PSAL_NO_NODE, a.channels, -1};
    set_layer(n, "");
    if (makes_nodes(n)) y.node = psal_add(n->graph, a.node, b.node);
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
    if (makes_nodes(n)) y.node = psal_concat(n->graph, nodes, count, 1);
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

flow net_max_pool(net *n, flow x, window w) {
    const psal_pool2d_options options = pool_options(w);
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "maxpool");
    if (makes_nodes(n)) y.node = psal_max_pool2d(n->graph, x.node, &options);
    return y;
}

flow net_relu_max_pool(net *n, flow x, window w) {
    return net_relu(n, net_max_pool(n, x, w));
}

flow net_avg_pool(net *n, flow x, window w) {
    const psal_pool2d_options options = pool_options(w);
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "avgpool");
    if (makes_nodes(n)) y.node = psal_avg_pool2d(n->graph, x.node, &options);
    return y;
}

flow net_pool_flatten(net *n, flow x, int side) {
    flow y = {PSAL_NO_NODE, x.channels * side * side, -1};
    set_layer(n, "avgpool");
    if (makes_nodes(n)) y.node = psal_flatten(n->graph, psal_adaptive_avg_pool2d(n->graph, x.node, side, side));
    return y;
}

static flow connect(net *n, flow x, const char *name, int outputs, int published) {
    set_layer(n, name);
    int weight = list(n, name, "weight", PSAL_SHAPE(outputs, x.channels), false, published);
    int bias = list(n, name, "bias", PSAL_SHAPE(outputs), false, 0);
    flow y = {PSAL_NO_NODE, outputs, -1};
    if (makes_nodes(n)) y.node = psal_linear(n->graph, x.node, node_of(n, weight), node_of(n, bias));
    return y;
}

flow net_linear_hidden(net *n, flow x, const char *name, int outputs) {
    return connect(n, x, name, net_scale(n, outputs), outputs);
}

flow net_linear(net *n, flow x, const char *name, int outputs) {
    return connect(n, x, name, outputs, 0);
}

flow net_rescale(net *n, flow x, const float scale[3], const float shift[3]) {
    flow y = {PSAL_NO_NODE, x.channels, -1};
    set_layer(n, "rescale");
    if (!makes_nodes(n)) return y;
    psal_real s[3], t[3];
    for (int c = 0; c < 3; c++) {
        s[c] = scale[c];
        t[c] = shift[c];
    }
    y.node = psal_channel_affine(n->graph, x.node, psal_constant(n->graph, s, PSAL_SHAPE(3)),
                                 psal_constant(n->graph, t, PSAL_SHAPE(3)));
    return y;
}

flow net_cut(net *n, flow x) {
    if (!n->in_parts || !makes_nodes(n)) return x;
    psal_network_part *grown = reallocarray(n->parts, (size_t)n->part_count + 1, sizeof *n->parts);
    if (!grown) {
        net_fail(n, PSAL_ERR_MEMORY, "out of memory");
        return x;
    }
    n->parts = grown;
    char name[32];
    snprintf(name, sizeof name, "part %d", n->part_count);
    flow y = x;
    const psal_shape *shape = psal_graph_shape(n->graph, x.node);
    if (shape) y.node = psal_input(n->graph, name, *shape);
    n->parts[n->part_count++] = (psal_network_part){x.node, y.node};
    return y;
}
