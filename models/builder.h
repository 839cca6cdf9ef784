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
#define NET_MAX_POSITIONS 1000000
#define NET_MAX_CHANNELS 4096

/* What one network has of its own beside its architecture. */
typedef struct net_options {
    double width;      /* channel multiplier, above 0 */
    double bn_epsilon; /* of every batch normalisation */
    int channels;      /* of the image */
    int num_classes;
    int auxiliary_classes; /* outputs of the auxiliary classifiers */
    int positions;         /* vision transformers: of the patches and the class token; 0: as published */
    bool stride_in_1x1;    /* ResNet bottlenecks: variant "v1" */
    bool transform_input;  /* Inception-v3, GoogLeNet */
    bool variant_assumed, bn_epsilon_assumed, transform_input_assumed; /* model.h */
} net_options;

/* A parameter or a running statistic. */
typedef struct net_tensor {
    char *name; /* "layer1.0.conv1.weight" */
    psal_shape shape;
    bool is_buffer;   /* running_mean, running_var */
    bool in_graph;    /* false: listed only, never computed */
    bool is_filters;  /* a convolution's weight, [outputs, inputs, height, width] */
    int output_axis;  /* of a convolution's or linear layer's weight: along which its outputs lie; -1: it is none */
    bool is_variance; /* a running statistic that must not be negative */
    double published; /* what the width rule multiplies for its outputs, where they follow it; else 0 */
    bool in_eights;   /* by the rule of the MobileNets */
    int norm_scale;   /* such a weight: list index of the scale of the normalisation that */
    int norm_shift;   /* takes its output directly, of its shift (or the bias), and of its running */
    int norm_mean;    /* mean; -1: none */
    int part;         /* how many cuts came before it */
    psal_node node;   /* PSAL_NO_NODE without a graph */
} net_tensor;

typedef struct net {
    psal_graph *graph; /* NULL: list only */
    net_options options;
    net_tensor *tensors;
    int count, capacity;
    int detached;      /* above 0: list only, although there is a graph */
    double multiplier; /* the family's own, in front of the width: 1 but after net_count_in_eights */
    bool in_eights;
    bool in_parts;            /* make cuts */
    psal_network_part *parts; /* [part_count] made so far: with cuts, all but the last */
    int part_count;
    const psal_tensor_map *sought; /* list no further than the first one in the graph that is not there; NULL: all */
    bool stopped;                  /* there was one */
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
/* Where a description begins: `image` is [N, options.channels, H, W], or PSAL_NO_NODE without a graph. */
flow net_image(const net *n, psal_node image);

/* Append a parameter or statistic of this name, as layers do; its list index, or -1 after an error. */
int net_list(net *n, const char *name, psal_shape shape, bool is_buffer);

/* Record an error (kept only if it is the first). */
void net_fail(net *n, psal_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The width rule: max(1, floor(channels * width + 1/2)); after net_count_in_eights the one of the MobileNets. */
int net_scale(const net *n, int channels);
/* From here on layers have net_eights(channels * multiplier * width) outputs. */
void net_count_in_eights(net *n, double multiplier);
/* The multiple of 8 nearest to `channels`, at least 8, and not more than a tenth below (Sandler et al. 2018, their
 * code). */
int net_eights(double channels);

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
/* size x size, padded as `same`, for each channel by itself. */
static inline window depthwise(flow x, int size, int stride) {
    return (window){size, size, stride, size / 2, size / 2, x.channels};
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
flow net_conv_bias_exact(net *n, flow x, const char *name, int channels, window w);
/* NAME.0, a convolution, and NAME.1, its normalisation: torchvision's Conv2dNormActivation, without the activation. */
flow net_conv_norm(net *n, flow x, const char *name, int channels, window w);
flow net_conv_norm_exact(net *n, flow x, const char *name, int channels, window w);
/* Evaluation mode. NAME.weight, NAME.bias, and the statistics NAME.running_mean, NAME.running_var.
 */
flow net_batch_norm(net *n, flow x, const char *name);
flow net_relu(net *n, flow x);
/* An elementwise function of the graph: psal_silu, psal_hard_swish, ... */
typedef psal_node (*net_function)(psal_graph *graph, psal_node x);
flow net_apply(net *n, flow x, net_function function);
flow net_add(net *n, flow a, flow b);
flow net_multiply(net *n, flow x, flow factor); /* repeated along what it lacks or has once (psal_broadcast_mul) */
/* Whether nodes are to be made, or parameters to be listed only. */
bool net_makes_nodes(const net *n);
/* A parameter by itself, called NAME. */
flow net_parameter(net *n, const char *name, psal_shape shape);
/* Hu et al. 2018, "Squeeze-and-excitation networks", figure 2: x times a gate for each channel, made of the channels'
 * means by NAME.fc1, a 1x1 convolution to `squeezed` channels, `activation`, NAME.fc2 back, and `gate`. Both have
 * biases. */
flow net_squeeze_excite(net *n, flow x, const char *name, int squeezed, net_function activation, net_function gate);
/* Wang et al. 2020, "ECA-Net", figure 2: x times a sigmoid for each channel, of the means of the channels around it,
 * weighted by NAME.conv [1, 1, k]; k follows from the channels (its equation 12, and at least 3), and beyond the first
 * and the last there are zeros. */
flow net_channel_attention(net *n, flow x, const char *name);
/* Over the channels at each place (Ba et al. 2016). NAME.weight, NAME.bias. */
flow net_layer_norm(net *n, flow x, const char *name, double epsilon);
/* A fully connected layer for the channels at each place: NAME.weight [outputs, channels], NAME.bias. */
flow net_channel_linear(net *n, flow x, const char *name, int outputs);
flow net_channels(net *n, flow x, int first, int count); /* so many of x's channels */
/* Channels in `groups` groups: the first of each, the second of each, and so on (Zhang et al. 2018, figure 1c). */
flow net_shuffle(net *n, flow x, int groups);
flow net_concat(net *n, const flow *parts, int count); /* along the channels */
flow net_max_pool(net *n, flow x, window w);
flow net_max_pool_ceil(net *n, flow x, window w); /* the size is rounded up */
/* 2x2, stride 2; at an odd image's edge what there is. */
flow net_avg_pool_halves(net *n, flow x);
flow net_avg_pool(net *n, flow x, window w); /* padding counts as zeros, as PyTorch does by default */
/* Adaptive average to side x side, then flattened: channels * side * side features. */
flow net_pool_flatten(net *n, flow x, int side);
/* Fully connected: NAME.weight [outputs, features], NAME.bias. The hidden layers' outputs follow
 * the width rule, the classifier's do not. */
flow net_linear_hidden(net *n, flow x, const char *name, int outputs);
flow net_linear(net *n, flow x, const char *name, int outputs);
/* The same with exactly these outputs and the parameters WEIGHT and BIAS, for the channels of [N, ..., channels]. */
flow net_linear_named(net *n, flow x, const char *weight, const char *bias, int outputs);
/* Where net_options says so: from ImageNet's mean and deviation (0.485, 0.229; 0.456, 0.224; 0.406, 0.225) to 0.5 and
 * 0.5, which TensorFlow trained the Inception networks with. */
flow net_transform_input(net *n, flow image);

/* Where the network may be cut in parts (psal_model_build_in_parts): what flows on is an input that
 * stands for x. A no-op otherwise. Layers between two cuts may read what an earlier cut returned. */
flow net_cut(net *n, flow x);

/* Between these, layers are listed but not computed (nodes are PSAL_NO_NODE). */
void net_detach(net *n);
void net_attach(net *n);

#endif
