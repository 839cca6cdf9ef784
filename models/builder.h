/* builder.h - layers that know which parameters they have (internal to models/).
 *
 * A network is described once, by a function that sends an image through the helpers below. Run
 * without a graph, the description lists the network's parameters and running statistics with their
 * shapes, in the order of PyTorch's state_dict(); run with one, it makes the same list and the
 * nodes.
 *
 * Errors are sticky, as in the graph: the first one is kept in net.error, later calls do nothing.
 */
#ifndef PSAL_MODELS_BUILDER_H
#define PSAL_MODELS_BUILDER_H

#include "engine/graph.h"
#include "engine/tensor.h"
#include "models/model.h"

/* Bounds that keep every channel count an int. */
#define NET_MAX_WIDTH 64.0
#define NET_MAX_CLASSES 10000000

/* What one network has of its own beside its architecture. */
typedef struct net_options {
    double width;      /* channel multiplier, above 0 */
    double bn_epsilon; /* of every batch normalisation */
    int num_classes;
    int auxiliary_classes; /* Inception-v3: outputs of the auxiliary classifier */
    bool stride_in_1x1;    /* ResNet bottlenecks: variant "v1" */
    bool transform_input;  /* Inception-v3 */
} net_options;

/* A parameter or a running statistic. */
typedef struct net_tensor {
    char *name; /* "layer1.0.conv1.weight" */
    psal_shape shape;
    bool is_buffer; /* running_mean, running_var */
    bool in_graph;  /* false: listed only, never computed */
    int published;  /* outputs the published layer has, where they follow the width; else 0 */
    int norm_scale; /* a convolution's weight: list index of the scale of the normalisation that */
    int norm_shift; /* takes its output directly, and of its shift (or the bias); -1: none */
    int part;       /* how many cuts came before it */
    psal_node node; /* PSAL_NO_NODE without a graph */
} net_tensor;

typedef struct net {
    psal_graph *graph; /* NULL: list only */
    net_options options;
    net_tensor *tensors;
    int count, capacity;
    int detached;             /* above 0: list only, although there is a graph */
    bool in_parts;            /* make cuts */
    psal_network_part *parts; /* [part_count] made so far: with cuts, all but the last */
    int part_count;
    char scope[128];
    int scope_length[8]; /* of the enclosing scopes */
    int depth;
    psal_error error;
} net;

/* What flows between layers: N,C,H,W, or N,C after net_flatten. */
typedef struct flow {
    psal_node node;
    int channels;
    int convolution; /* list index of the weight whose convolution made it; -1: something else did
                      */
} flow;

void net_init(net *n, psal_graph *graph, const net_options *options);
void net_clear(net *n); /* frees the lists */

/* Record an error (kept only if it is the first). */
void net_fail(net *n, psal_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The width rule: max(1, floor(channels * width + 1/2)). */
int net_scale(const net *n, int channels);

/* Layers named inside are "NAME.layer", nested. */
void net_enter(net *n, const char *format, ...) __attribute__((format(printf, 2, 3)));
void net_leave(net *n);

/* Where convolution and pooling windows are put. */
typedef struct window {
    int height, width;
    int stride;
    int padding_height, padding_width;
    int groups; /* 0: 1 */
} window;

/* size x size, stride, padded so that stride 1 keeps the image's size. */
static inline window same(int size, int stride) {
    return (window){size, size, stride, size / 2, size / 2, 1};
}
/* height x width, stride 1, padded so that the size stays. */
static inline window oblong(int height, int width) {
    return (window){height, width, 1, height / 2, width / 2, 1};
}
/* size x size, stride, inside the image only. */
static inline window valid(int size, int stride) {
    return (window){size, size, stride, 0, 0, 1};
}

/* Convolution without bias. `channels`: outputs of the published network, to which the width rule
 * is applied. Parameter: NAME.weight. */
flow net_conv(net *n, flow x, const char *name, int channels, window w);
/* The same with as many outputs as it says: for layers whose outputs follow from other layers. */
flow net_conv_exact(net *n, flow x, const char *name, int channels, window w);
/* NAME.weight, NAME.bias */
flow net_conv_bias(net *n, flow x, const char *name, int channels, window w);
/* Evaluation mode. NAME.weight, NAME.bias, and the statistics NAME.running_mean, NAME.running_var.
 */
flow net_batch_norm(net *n, flow x, const char *name);
flow net_relu(net *n, flow x);
flow net_add(net *n, flow a, flow b);
flow net_concat(net *n, const flow *parts, int count); /* along the channels */
flow net_max_pool(net *n, flow x, window w);
/* Max pooling of relu(x), done as relu of max pooling: the same values and the same gradients (where a window has nothing above 0,
 * whichever element is its largest gets none), without the mask and the memory of a relu before it is pooled. */
flow net_relu_max_pool(net *n, flow x, window w);
flow net_avg_pool(net *n, flow x, window w); /* padding counts as zeros, as PyTorch does by default */
/* Adaptive average to side x side, then flattened: channels * side * side features. */
flow net_pool_flatten(net *n, flow x, int side);
/* Fully connected: NAME.weight [outputs, features], NAME.bias. The hidden layers' outputs follow
 * the width rule, the classifier's do not. */
flow net_linear_hidden(net *n, flow x, const char *name, int outputs);
flow net_linear(net *n, flow x, const char *name, int outputs);
/* x * scale[c] + shift[c] with fixed numbers. */
flow net_rescale(net *n, flow x, const float scale[3], const float shift[3]);

/* Where the network may be cut in parts (psal_model_build_in_parts): what flows on is an input that
 * stands for x. A no-op otherwise. Layers between two cuts may read what an earlier cut returned. */
flow net_cut(net *n, flow x);

/* Between these, layers are listed but not computed (nodes are PSAL_NO_NODE). */
void net_detach(net *n);
void net_attach(net *n);

#endif
