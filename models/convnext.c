/* ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s", section 2 and table 9), with torchvision's names. Shapes are
 * channels x height x width of the tiny one at width 1 and 224x224. */
#include "models/arch.h"

typedef struct convnext {
    int channels[4], blocks[4];
} convnext;

#define EPSILON 1e-6 /* of every layer normalisation */

/* Figure 4: 7x7 of each channel by itself, then at each place a perceptron of one hidden layer; times a scale,
 * plus x. */
static flow block(net *n, flow x) {
    flow scale = net_parameter(n, "layer_scale", PSAL_SHAPE(x.channels, 1, 1));
    net_enter(n, "block");
    flow y = net_conv_bias_exact(n, x, "0", x.channels, depthwise(x, 7, 1));
    y = net_layer_norm(n, y, "2", EPSILON);
    y = net_apply(n, net_channel_linear(n, y, "3", 4 * x.channels), psal_gelu);
    y = net_channel_linear(n, y, "5", x.channels);
    net_leave(n);
    return net_add(n, net_multiply(n, y, scale), x);
}

static flow describe(net *n, flow x, const void *depth) {
    const convnext *c = depth;
    net_enter(n, "features");
    x = net_conv_bias(n, x, "0.0", c->channels[0], valid(4, 4)); /*  96 x 56 x 56 */
    x = net_cut(n, net_layer_norm(n, x, "0.1", EPSILON));
    for (int stage = 0; stage < 4; stage++) { /* 768 x 7 x 7 in the end */
        if (stage > 0) {
            net_enter(n, "%d", 2 * stage);
            x = net_layer_norm(n, x, "0", EPSILON);
            x = net_cut(n, net_conv_bias(n, x, "1", c->channels[stage], valid(2, 2)));
            net_leave(n);
        }
        for (int i = 0; i < c->blocks[stage]; i++) {
            net_enter(n, "%d.%d", 2 * stage + 1, i);
            x = net_cut(n, block(n, x));
            net_leave(n);
        }
    }
    net_leave(n);
    x = net_pool_flatten(n, x, 1); /* 768 */
    x = net_layer_norm(n, x, "classifier.0", EPSILON);
    return net_linear(n, x, "classifier.2", n->options.num_classes); /* classes */
}

#define CONVNEXT(NAME, ...)                                                                                          \
    {                                                                                                                \
        .name = NAME, .family = "convnext", .native_size = 224, .min_size = 32, .classifier = "classifier.2.weight", \
        .describe = describe, .depth = &(const convnext) {                                                           \
            __VA_ARGS__                                                                                              \
        }                                                                                                            \
    }

static const net_arch archs[] = {
    CONVNEXT("convnext_tiny", {96, 192, 384, 768}, {3, 3, 9, 3}),
    CONVNEXT("convnext_small", {96, 192, 384, 768}, {3, 3, 27, 3}),
    CONVNEXT("convnext_base", {128, 256, 512, 1024}, {3, 3, 27, 3}),
    CONVNEXT("convnext_large", {192, 384, 768, 1536}, {3, 3, 27, 3}),
};
const net_family net_convnext = {archs, sizeof archs / sizeof *archs};
