/* SqueezeNet (Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", table 1) and its
 * version 1.1, with torchvision's names: features.N counts the first convolution, its ReLU, poolings and Fire modules.
 * The last layer is a convolution, whose ReLU is averaged. Shapes are channels x height x width of version 1.0 at width
 * 1 and 224x224. */
#include <stdio.h>

#include "models/arch.h"

typedef struct squeezenet {
    int first, size; /* outputs and side of the first convolution */
    int pools[2];    /* the numbers of the second and third pooling */
} squeezenet;

/* Figure 2: 1x1 to few channels, from these 1x1 and 3x3 side by side. */
static flow fire(net *n, flow x, int number, int squeeze, int expand) {
    net_enter(n, "%d", number);
    x = net_relu(n, net_conv_bias(n, x, "squeeze", squeeze, same(1, 1)));
    flow a = net_relu(n, net_conv_bias(n, x, "expand1x1", expand, same(1, 1)));
    flow b = net_relu(n, net_conv_bias(n, x, "expand3x3", expand, same(3, 1)));
    x = net_concat(n, (const flow[]){a, b}, 2);
    net_leave(n);
    return net_cut(n, x);
}

static flow describe(net *n, flow x, const void *depth) {
    static const int squeeze[] = {16, 16, 32, 32, 48, 48, 64, 64}, expand[] = {64, 64, 128, 128, 192, 192, 256, 256};
    const squeezenet *s = depth;
    net_enter(n, "features");
    x = net_relu(n, net_conv_bias(n, x, "0", s->first, valid(s->size, 2))); /*  96 x 109 x 109 */
    x = net_max_pool_ceil(n, x, valid(3, 2));                               /*  96 x  54 x  54 */
    for (int module = 0, number = 3; module < 8; module++, number++) {      /* 512 x  13 x  13 in the end */
        if (number == s->pools[0] || number == s->pools[1]) {
            x = net_max_pool_ceil(n, x, valid(3, 2));
            number++;
        }
        x = fire(n, x, number, squeeze[module], expand[module]);
    }
    net_leave(n);
    net_enter(n, "classifier"); /* 0 is dropout, which evaluation mode leaves out */
    x = net_relu(n, net_conv_bias_exact(n, x, "1", n->options.num_classes, same(1, 1))); /* classes x 13 x 13 */
    net_leave(n);
    return net_pool_flatten(n, x, 1); /* classes */
}

#define SQUEEZENET(NAME, MIN_SIZE, ...)                                                           \
    {                                                                                             \
        .name = NAME, .family = "squeezenet", .native_size = 224, .min_size = MIN_SIZE,           \
        .classifier = "classifier.1.weight", .describe = describe, .depth = &(const squeezenet) { \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }

static const net_arch archs[] = {
    SQUEEZENET("squeezenet1_0", 21, 96, 7, {6, 11}),
    SQUEEZENET("squeezenet1_1", 17, 64, 3, {5, 8}),
};
const net_family net_squeezenet = {archs, sizeof archs / sizeof *archs};
