/* MNASNet-B1 (Tan et al. 2019, "MnasNet: platform-aware neural architecture search for mobile", their code's b1), with
 * torchvision's names: layers.N counts the first convolutions, their normalisations and ReLUs, and stacks of blocks.
 * Its members differ by a multiplier of the channels. Shapes are channels x height x width of MNASNet 1.0 at width 1
 * and 224x224. */
#include <stdio.h>

#include "models/arch.h"

/* Sandler et al. 2018, figure 3b: 1x1 to `expansion` times as many channels, each by itself, 1x1 without ReLU. */
static flow inverted_residual(net *n, flow x, int channels, int size, int stride, int expansion) {
    net_enter(n, "layers");
    flow y = net_conv_exact(n, x, "0", x.channels * expansion, same(1, 1));
    y = net_relu(n, net_batch_norm(n, y, "1"));
    y = net_conv_exact(n, y, "3", y.channels, depthwise(y, size, stride));
    y = net_relu(n, net_batch_norm(n, y, "4"));
    y = net_batch_norm(n, net_conv(n, y, "6", channels, same(1, 1)), "7");
    net_leave(n);
    return y;
}

/* The first block changes the channels or the size, the others have shortcuts. */
static flow stack(net *n, flow x, int number, int channels, int size, int stride, int expansion, int blocks) {
    for (int i = 0; i < blocks; i++) {
        net_enter(n, "%d.%d", number, i);
        flow y = inverted_residual(n, x, channels, size, i == 0 ? stride : 1, expansion);
        const bool shortcut = y.channels == x.channels && (i > 0 || stride == 1);
        x = net_cut(n, shortcut ? net_add(n, y, x) : y);
        net_leave(n);
    }
    return x;
}

static flow describe(net *n, flow x, const void *depth) {
    net_count_in_eights(n, *(const double *)depth);
    net_enter(n, "layers");
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, "0", 32, same(3, 2)), "1")); /*  32 x 112 x 112 */
    x = net_conv_exact(n, x, "3", x.channels, depthwise(x, 3, 1));
    x = net_relu(n, net_batch_norm(n, x, "4"));                                             /*  32 x 112 x 112 */
    x = net_cut(n, net_batch_norm(n, net_conv(n, x, "6", 16, same(1, 1)), "7"));            /*  16 x 112 x 112 */
    x = stack(n, x, 8, 24, 3, 2, 3, 3);                                                     /*  24 x  56 x  56 */
    x = stack(n, x, 9, 40, 5, 2, 3, 3);                                                     /*  40 x  28 x  28 */
    x = stack(n, x, 10, 80, 5, 2, 6, 3);                                                    /*  80 x  14 x  14 */
    x = stack(n, x, 11, 96, 3, 1, 6, 2);                                                    /*  96 x  14 x  14 */
    x = stack(n, x, 12, 192, 5, 2, 6, 4);                                                   /* 192 x   7 x   7 */
    x = stack(n, x, 13, 320, 3, 1, 6, 1);                                                   /* 320 x   7 x   7 */
    x = net_relu(n, net_batch_norm(n, net_conv_exact(n, x, "14", 1280, same(1, 1)), "15")); /* 1280 x 7 x  7 */
    net_leave(n);
    x = net_pool_flatten(n, x, 1);                                   /* 1280 */
    return net_linear(n, x, "classifier.1", n->options.num_classes); /* classes; classifier.0 is dropout */
}

#define MNASNET(NAME, MULTIPLIER)                                                                 \
    {                                                                                             \
        .name = NAME, .family = "mnasnet", .native_size = 224, .min_size = 1, .bn_epsilon = 1e-5, \
        .classifier = "classifier.1.weight", .describe = describe, .depth = &(const double) {     \
            MULTIPLIER                                                                            \
        }                                                                                         \
    }

/* Any other width is taken for one of the first. */
static const net_arch archs[] = {
    MNASNET("mnasnet1_0", 1.0),
    MNASNET("mnasnet0_5", 0.5),
    MNASNET("mnasnet0_75", 0.75),
    MNASNET("mnasnet1_3", 1.3),
};
const net_family net_mnasnet = {archs, sizeof archs / sizeof *archs};
