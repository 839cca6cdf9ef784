/* ShuffleNetV2 (Ma et al. 2018, "ShuffleNet V2: practical guidelines for efficient CNN architecture design", table 5),
 * with torchvision's names. Shapes are channels x height x width of 1.0x at width 1 and 224x224. */
#include "models/arch.h"

typedef struct shufflenetv2 {
    int channels[3]; /* of the stages */
    int last;
} shufflenetv2;

/* Figure 3d's left branch: 3x3 of each channel by itself, 1x1. */
static flow branch1(net *n, flow x, int channels) {
    net_enter(n, "branch1");
    x = net_batch_norm(n, net_conv_exact(n, x, "0", x.channels, depthwise(x, 3, 2)), "1");
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, "2", channels, same(1, 1)), "3"));
    net_leave(n);
    return x;
}

/* The right one: 1x1, 3x3 of each channel by itself, 1x1. */
static flow branch2(net *n, flow x, int channels, int stride) {
    net_enter(n, "branch2");
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, "0", channels, same(1, 1)), "1"));
    x = net_batch_norm(n, net_conv_exact(n, x, "3", x.channels, depthwise(x, 3, stride)), "4");
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, "5", channels, same(1, 1)), "6"));
    net_leave(n);
    return x;
}

/* Figure 3c: half of the channels pass. */
static flow block(net *n, flow x, int channels) {
    const int half = x.channels / 2;
    flow a = net_channels(n, x, 0, half), b = net_channels(n, x, half, half);
    return net_shuffle(n, net_concat(n, (const flow[]){a, branch2(n, b, channels / 2, 1)}, 2), 2);
}

/* Figure 3d: half the size. */
static flow down_block(net *n, flow x, int channels) {
    flow a = branch1(n, x, channels / 2), b = branch2(n, x, channels / 2, 2);
    return net_shuffle(n, net_concat(n, (const flow[]){a, b}, 2), 2);
}

static flow stage(net *n, flow x, int number, int blocks, int channels) {
    for (int i = 0; i < blocks; i++) {
        net_enter(n, "stage%d.%d", number, i);
        x = net_cut(n, i == 0 ? down_block(n, x, channels) : block(n, x, channels));
        net_leave(n);
    }
    return x;
}

static flow describe(net *n, flow x, const void *depth) {
    const shufflenetv2 *s = depth;
    x = net_relu(n, net_conv_norm(n, x, "conv1", 24, same(3, 2)));      /*   24 x 112 x 112 */
    x = net_cut(n, net_max_pool(n, x, same(3, 2)));                     /*   24 x  56 x  56 */
    x = stage(n, x, 2, 4, s->channels[0]);                              /*  116 x  28 x  28 */
    x = stage(n, x, 3, 8, s->channels[1]);                              /*  232 x  14 x  14 */
    x = stage(n, x, 4, 4, s->channels[2]);                              /*  464 x   7 x   7 */
    x = net_relu(n, net_conv_norm(n, x, "conv5", s->last, same(1, 1))); /* 1024 x   7 x   7 */
    x = net_pool_flatten(n, x, 1);                                      /* 1024 */
    return net_linear(n, x, "fc", n->options.num_classes);              /* classes */
}

#define SHUFFLENETV2(NAME, ...)                                                                        \
    {                                                                                                  \
        .name = NAME, .family = "shufflenetv2", .native_size = 224, .min_size = 1, .bn_epsilon = 1e-5, \
        .classifier = "fc.weight", .describe = describe, .depth = &(const shufflenetv2) {              \
            __VA_ARGS__                                                                                \
        }                                                                                              \
    }

static const net_arch archs[] = {
    SHUFFLENETV2("shufflenet_v2_x0_5", {48, 96, 192}, 1024),
    SHUFFLENETV2("shufflenet_v2_x1_0", {116, 232, 464}, 1024),
    SHUFFLENETV2("shufflenet_v2_x1_5", {176, 352, 704}, 1024),
    SHUFFLENETV2("shufflenet_v2_x2_0", {244, 488, 976}, 2048),
};
const net_family net_shufflenetv2 = {archs, sizeof archs / sizeof *archs};
