/* MobileNetV3 (Howard et al. 2019, "Searching for MobileNetV3", tables 1 and 2), with torchvision's names. Its width
 * multiplier counts in eights. Shapes are channels x height x width of the large one at width 1 and 224x224. */
#include <stdio.h>

#include "models/arch.h"

/* A line of the tables: the window's side, expansion, outputs, squeeze and excitation, hard-swish (or ReLU), stride. */
typedef struct bneck {
    int size, expanded, channels;
    bool gate, swish;
    int stride;
} bneck;

typedef struct mobilenetv3 {
    int count;
    bneck bnecks[15];
    int last; /* outputs of the hidden layer */
} mobilenetv3;

static const mobilenetv3 large = {15,
                                  {{3, 16, 16, false, false, 1}, /*  16 x 112 x 112 */
                                   {3, 64, 24, false, false, 2}, /*  24 x  56 x  56 */
                                   {3, 72, 24, false, false, 1},
                                   {5, 72, 40, true, false, 2}, /*  40 x  28 x  28 */
                                   {5, 120, 40, true, false, 1},
                                   {5, 120, 40, true, false, 1},
                                   {3, 240, 80, false, true, 2}, /*  80 x  14 x  14 */
                                   {3, 200, 80, false, true, 1},
                                   {3, 184, 80, false, true, 1},
                                   {3, 184, 80, false, true, 1},
                                   {3, 480, 112, true, true, 1}, /* 112 x  14 x  14 */
                                   {3, 672, 112, true, true, 1},
                                   {5, 672, 160, true, true, 2}, /* 160 x   7 x   7 */
                                   {5, 960, 160, true, true, 1},
                                   {5, 960, 160, true, true, 1}},
                                  1280};
static const mobilenetv3 small = {11,
                                  {{3, 16, 16, true, false, 2},
                                   {3, 72, 24, false, false, 2},
                                   {3, 88, 24, false, false, 1},
                                   {5, 96, 40, true, true, 2},
                                   {5, 240, 40, true, true, 1},
                                   {5, 240, 40, true, true, 1},
                                   {5, 120, 48, true, true, 1},
                                   {5, 144, 48, true, true, 1},
                                   {5, 288, 96, true, true, 2},
                                   {5, 576, 96, true, true, 1},
                                   {5, 576, 96, true, true, 1}},
                                  1024};

/* Figure 4: an inverted residual with a gate behind its 3x3 or 5x5. */
static flow block(net *n, flow x, const bneck *b) {
    const net_function activation = b->swish ? psal_hard_swish : psal_relu;
    char name[12];
    int number = 0;
    flow y = x;
    net_enter(n, "block");
    if (net_scale(n, b->expanded) != x.channels) {
        y = net_apply(n, net_conv_norm(n, y, "0", b->expanded, same(1, 1)), activation);
        number++;
    }
    snprintf(name, sizeof name, "%d", number++);
    y = net_apply(n, net_conv_norm_exact(n, y, name, y.channels, depthwise(y, b->size, b->stride)), activation);
    snprintf(name, sizeof name, "%d", number);
    if (b->gate) {
        y = net_squeeze_excite(n, y, name, net_eights(y.channels / 4), psal_relu, psal_hard_sigmoid);
        snprintf(name, sizeof name, "%d", ++number);
    }
    y = net_conv_norm(n, y, name, b->channels, same(1, 1));
    net_leave(n);
    return b->stride == 1 && y.channels == x.channels ? net_add(n, y, x) : y;
}

static flow describe(net *n, flow x, const void *depth) {
    const mobilenetv3 *m = depth;
    char name[12];
    net_count_in_eights(n, 1);
    net_enter(n, "features");
    x = net_apply(n, net_conv_norm(n, x, "0", 16, same(3, 2)), psal_hard_swish); /* 16 x 112 x 112 */
    for (int i = 0; i < m->count; i++) {
        net_enter(n, "%d", i + 1);
        x = net_cut(n, block(n, x, &m->bnecks[i]));
        net_leave(n);
    }
    snprintf(name, sizeof name, "%d", m->count + 1);
    x = net_apply(n, net_conv_norm_exact(n, x, name, 6 * x.channels, same(1, 1)), psal_hard_swish); /* 960 x 7 x 7 */
    net_leave(n);
    x = net_pool_flatten(n, x, 1);                                                       /*  960 */
    x = net_apply(n, net_linear_hidden(n, x, "classifier.0", m->last), psal_hard_swish); /* 1280 */
    return net_linear(n, x, "classifier.3", n->options.num_classes); /* classes; classifier.2 is dropout */
}

#define MOBILENETV3(NAME, DEPTH)                                                                      \
    {                                                                                                 \
        .name = NAME, .family = "mobilenetv3", .native_size = 224, .min_size = 1, .bn_epsilon = 1e-3, \
        .classifier = "classifier.3.weight", .describe = describe, .depth = &(DEPTH)                  \
    }

static const net_arch archs[] = {
    MOBILENETV3("mobilenet_v3_large", large),
    MOBILENETV3("mobilenet_v3_small", small),
};
const net_family net_mobilenetv3 = {archs, sizeof archs / sizeof *archs};
