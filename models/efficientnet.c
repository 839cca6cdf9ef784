/* EfficientNet (Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table 1, and
 * the multipliers of their code) and EfficientNetV2 (Tan & Le 2021, "EfficientNetV2: smaller models and faster
 * training", table 4), with torchvision's names. Channels are counted in eights. Shapes are channels x height x width
 * of B0 at width 1 and 224x224. */
#include <math.h>
#include <stdio.h>

#include "models/arch.h"

/* A line of the tables. */
typedef struct stage {
    bool fused; /* one convolution in place of the first 1x1 and the one of each channel by itself */
    int expansion, size, stride, channels, blocks;
} stage;

typedef struct efficientnet {
    double width, depth; /* multipliers */
    int first;           /* outputs of the first convolution */
    const stage *stages;
    int count;
    int last; /* outputs of the last convolution; 0: four times its inputs */
} efficientnet;

static const stage b[] = {
    {false, 1, 3, 1, 16, 1},  /*  16 x 112 x 112 */
    {false, 6, 3, 2, 24, 2},  /*  24 x  56 x  56 */
    {false, 6, 5, 2, 40, 2},  /*  40 x  28 x  28 */
    {false, 6, 3, 2, 80, 3},  /*  80 x  14 x  14 */
    {false, 6, 5, 1, 112, 3}, /* 112 x  14 x  14 */
    {false, 6, 5, 2, 192, 4}, /* 192 x   7 x   7 */
    {false, 6, 3, 1, 320, 1}, /* 320 x   7 x   7 */
};
static const stage v2_s[] = {
    {true, 1, 3, 1, 24, 2},   {true, 4, 3, 2, 48, 4},   {true, 4, 3, 2, 64, 4},
    {false, 4, 3, 2, 128, 6}, {false, 6, 3, 1, 160, 9}, {false, 6, 3, 2, 256, 15},
};
static const stage v2_m[] = {
    {true, 1, 3, 1, 24, 3},    {true, 4, 3, 2, 48, 5},    {true, 4, 3, 2, 80, 5},   {false, 4, 3, 2, 160, 7},
    {false, 6, 3, 1, 176, 14}, {false, 6, 3, 2, 304, 18}, {false, 6, 3, 1, 512, 5},
};
static const stage v2_l[] = {
    {true, 1, 3, 1, 32, 4},    {true, 4, 3, 2, 64, 7},    {true, 4, 3, 2, 96, 7},   {false, 4, 3, 2, 192, 10},
    {false, 6, 3, 1, 224, 19}, {false, 6, 3, 2, 384, 25}, {false, 6, 3, 1, 640, 7},
};

static const char *numbered(char text[12], int number) {
    snprintf(text, 12, "%d", number);
    return text;
}

/* V2's figure 2: MBConv, an inverted residual with a gate, or its fused form without one. */
static flow block(net *n, flow x, const stage *s, int stride) {
    const int expanded = net_eights((double)x.channels * s->expansion);
    char name[12];
    int number = 0;
    flow y = x;
    net_enter(n, "block");
    if (s->fused) {
        const bool expands = expanded != x.channels;
        y = expands ? net_conv_norm_exact(n, y, "0", expanded, same(s->size, stride))
                    : net_conv_norm(n, y, "0", s->channels, same(s->size, stride));
        y = net_apply(n, y, psal_silu);
        if (expands) y = net_conv_norm(n, y, "1", s->channels, same(1, 1));
    } else {
        if (expanded != x.channels)
            y = net_apply(n, net_conv_norm_exact(n, y, numbered(name, number++), expanded, same(1, 1)), psal_silu);
        y = net_conv_norm_exact(n, y, numbered(name, number++), y.channels, depthwise(y, s->size, stride));
        y = net_apply(n, y, psal_silu);
        y = net_squeeze_excite(n, y, numbered(name, number++), x.channels / 4, psal_silu, psal_sigmoid);
        y = net_conv_norm(n, y, numbered(name, number), s->channels, same(1, 1));
    }
    net_leave(n);
    return stride == 1 && y.channels == x.channels ? net_add(n, y, x) : y;
}

static flow describe(net *n, flow x, const void *depth) {
    const efficientnet *e = depth;
    char name[12];
    net_count_in_eights(n, e->width);
    net_enter(n, "features");
    x = net_apply(n, net_conv_norm(n, x, "0", e->first, same(3, 2)), psal_silu); /* 32 x 112 x 112 */
    for (int i = 0; i < e->count; i++) {
        const int blocks = (int)ceil(e->stages[i].blocks * e->depth);
        for (int k = 0; k < blocks; k++) {
            net_enter(n, "%d.%d", i + 1, k);
            x = net_cut(n, block(n, x, &e->stages[i], k == 0 ? e->stages[i].stride : 1));
            net_leave(n);
        }
    }
    const int last = e->last ? e->last : 4 * x.channels;
    x = net_apply(n, net_conv_norm_exact(n, x, numbered(name, e->count + 1), last, same(1, 1)),
                  psal_silu); /* 1280 x 7 x 7 */
    net_leave(n);
    x = net_pool_flatten(n, x, 1);                                   /* 1280 */
    return net_linear(n, x, "classifier.1", n->options.num_classes); /* classes; classifier.0 is dropout */
}

#define EFFICIENTNET(NAME, SIZE, EPSILON, ...)                                                             \
    {                                                                                                      \
        .name = NAME, .family = "efficientnet", .native_size = SIZE, .min_size = 1, .bn_epsilon = EPSILON, \
        .classifier = "classifier.1.weight", .describe = describe, .depth = &(const efficientnet) {        \
            __VA_ARGS__                                                                                    \
        }                                                                                                  \
    }
#define B(NAME, SIZE, EPSILON, WIDTH, DEPTH) EFFICIENTNET(NAME, SIZE, EPSILON, WIDTH, DEPTH, 32, b, 7, 0)

static const net_arch archs[] = {
    B("efficientnet_b0", 224, 1e-5, 1.0, 1.0),
    B("efficientnet_b1", 240, 1e-5, 1.0, 1.1),
    B("efficientnet_b2", 288, 1e-5, 1.1, 1.2),
    B("efficientnet_b3", 300, 1e-5, 1.2, 1.4),
    B("efficientnet_b4", 380, 1e-5, 1.4, 1.8),
    B("efficientnet_b5", 456, 1e-3, 1.6, 2.2),
    B("efficientnet_b6", 528, 1e-3, 1.8, 2.6),
    B("efficientnet_b7", 600, 1e-3, 2.0, 3.1),
    EFFICIENTNET("efficientnet_v2_s", 384, 1e-3, 1, 1, 24, v2_s, 6, 1280),
    EFFICIENTNET("efficientnet_v2_m", 480, 1e-3, 1, 1, 24, v2_m, 7, 1280),
    EFFICIENTNET("efficientnet_v2_l", 480, 1e-3, 1, 1, 32, v2_l, 7, 1280),
};
const net_family net_efficientnet = {archs, sizeof archs / sizeof *archs};
