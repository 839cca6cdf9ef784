#include "conv2d_shapes.h"

#include <string.h>

/* Append a convolution of a square image with a kh x kw kernel; returns the (height of the) result. */
static int add_grouped(conv_network *net, int size, int in, int out, int kh, int kw, int stride, int ph, int pw,
                       int groups) {
    psal_conv2d_shape s = {.batch = 1,
                           .in_channels = in,
                           .in_height = size,
                           .in_width = size,
                           .out_channels = out,
                           .kernel_height = kh,
                           .kernel_width = kw,
                           .stride_height = stride,
                           .stride_width = stride,
                           .padding_height = ph,
                           .padding_width = pw,
                           .dilation_height = 1,
                           .dilation_width = 1,
                           .groups = groups};
    s.out_height = (size + 2 * ph - kh) / stride + 1;
    s.out_width = (size + 2 * pw - kw) / stride + 1;
    for (int i = 0; i < net->layers; i++) {
        if (memcmp(&net->layer[i].shape, &s, sizeof s) == 0) {
            net->layer[i].times++;
            return s.out_height;
        }
    }
    net->layer[net->layers++] = (conv_layer){s, 1};
    return s.out_height;
}

static int add(conv_network *net, int size, int in, int out, int kh, int kw, int stride, int ph, int pw) {
    return add_grouped(net, size, in, out, kh, kw, stride, ph, pw, 1);
}

static int same(conv_network *net, int size, int in, int out, int kernel, int stride) {
    return add(net, size, in, out, kernel, kernel, stride, kernel / 2, kernel / 2);
}

/* He et al. 2016, table 1; stride in the 3x3 convolution */
static void resnet50(conv_network *net) {
    static const int blocks[] = {3, 4, 6, 3};
    int in = 64, size = same(net, 224, 3, 64, 7, 2) / 2;
    for (int stage = 0; stage < 4; stage++) {
        int width = 64 << stage;
        for (int b = 0; b < blocks[stage]; b++) {
            int stride = b == 0 && stage > 0 ? 2 : 1;
            if (b == 0) same(net, size, in, 4 * width, 1, stride);
            same(net, size, in, width, 1, 1);
            size = same(net, size, width, width, 3, stride);
            same(net, size, width, 4 * width, 1, 1);
            in = 4 * width;
        }
    }
}

/* Simonyan and Zisserman 2015, table 1, column E */
static void vgg19(conv_network *net) {
    static const int width[] = {64, 128, 256, 512, 512}, convs[] = {2, 2, 4, 4, 4};
    int in = 3, size = 224;
    for (int stage = 0; stage < 5; stage++, size /= 2)
        for (int i = 0; i < convs[stage]; i++, in = width[stage]) same(net, size, in, width[stage], 3, 1);
}

/* Huang et al. 2017, table 1, growth rate 32 */
static void densenet121(conv_network *net) {
    static const int layers[] = {6, 12, 24, 16};
    int in = 64, size = same(net, 224, 3, 64, 7, 2) / 2;
    for (int block = 0; block < 4; block++) {
        for (int i = 0; i < layers[block]; i++, in += 32) {
            same(net, size, in, 128, 1, 1);
            same(net, size, 128, 32, 3, 1);
        }
        if (block < 3) {
            same(net, size, in, in / 2, 1, 1);
            in /= 2;
            size /= 2;
        }
    }
}

static void inception_a(conv_network *net, int in, int pool) {
    same(net, 35, in, 64, 1, 1);
    same(net, 35, in, 48, 1, 1), same(net, 35, 48, 64, 5, 1);
    same(net, 35, in, 64, 1, 1), same(net, 35, 64, 96, 3, 1), same(net, 35, 96, 96, 3, 1);
    same(net, 35, in, pool, 1, 1);
}

static void inception_c(conv_network *net, int mid) {
    same(net, 17, 768, 192, 1, 1);
    same(net, 17, 768, mid, 1, 1), add(net, 17, mid, mid, 1, 7, 1, 0, 3), add(net, 17, mid, 192, 7, 1, 1, 3, 0);
    same(net, 17, 768, mid, 1, 1), add(net, 17, mid, mid, 7, 1, 1, 3, 0), add(net, 17, mid, mid, 1, 7, 1, 0, 3);
    add(net, 17, mid, mid, 7, 1, 1, 3, 0), add(net, 17, mid, 192, 1, 7, 1, 0, 3);
    same(net, 17, 768, 192, 1, 1);
}

static void inception_e(conv_network *net, int in) {
    same(net, 8, in, 320, 1, 1);
    same(net, 8, in, 384, 1, 1), add(net, 8, 384, 384, 1, 3, 1, 0, 1), add(net, 8, 384, 384, 3, 1, 1, 1, 0);
    same(net, 8, in, 448, 1, 1), same(net, 8, 448, 384, 3, 1);
    add(net, 8, 384, 384, 1, 3, 1, 0, 1), add(net, 8, 384, 384, 3, 1, 1, 1, 0);
    same(net, 8, in, 192, 1, 1);
}

/* Szegedy et al. 2016, as torchvision builds it, 299 x 299 */
static void inception_v3(conv_network *net) {
    add(net, 299, 3, 32, 3, 3, 2, 0, 0);
    add(net, 149, 32, 32, 3, 3, 1, 0, 0);
    same(net, 147, 32, 64, 3, 1);
    same(net, 73, 64, 80, 1, 1);
    add(net, 73, 80, 192, 3, 3, 1, 0, 0);
    inception_a(net, 192, 32), inception_a(net, 256, 64), inception_a(net, 288, 64);
    add(net, 35, 288, 384, 3, 3, 2, 0, 0);
    same(net, 35, 288, 64, 1, 1), same(net, 35, 64, 96, 3, 1), add(net, 35, 96, 96, 3, 3, 2, 0, 0);
    inception_c(net, 128), inception_c(net, 160), inception_c(net, 160), inception_c(net, 192);
    same(net, 17, 768, 192, 1, 1), add(net, 17, 192, 320, 3, 3, 2, 0, 0);
    same(net, 17, 768, 192, 1, 1), add(net, 17, 192, 192, 1, 7, 1, 0, 3), add(net, 17, 192, 192, 7, 1, 1, 3, 0);
    add(net, 17, 192, 192, 3, 3, 2, 0, 0);
    inception_e(net, 1280), inception_e(net, 2048);
}

/* A gate of one number for each channel, from their means: convolutions of an image of 1 x 1 */
static void squeeze(conv_network *net, int channels, int hidden) {
    same(net, 1, channels, hidden, 1, 1), same(net, 1, hidden, channels, 1, 1);
}

/* 1 x 1 to `wide` channels, a filter for each of them, with `squeezed` a gate, and 1 x 1 to `out` */
static int inverted_residual(conv_network *net, int size, int in, int wide, int out, int kernel, int stride,
                             int squeezed) {
    if (wide != in) same(net, size, in, wide, 1, 1);
    size = add_grouped(net, size, wide, wide, kernel, kernel, stride, kernel / 2, kernel / 2, wide);
    if (squeezed) squeeze(net, wide, squeezed);
    return same(net, size, wide, out, 1, 1);
}

/* Sandler et al. 2018, table 2 */
static void mobilenet_v2(conv_network *net) {
    static const int table[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                   {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    int in = 32, size = same(net, 224, 3, 32, 3, 2);
    for (size_t row = 0; row < sizeof table / sizeof *table; row++)
        for (int i = 0; i < table[row][2]; i++, in = table[row][1])
            size = inverted_residual(net, size, in, in * table[row][0], table[row][1], 3, i == 0 ? table[row][3] : 1,
                                     0);
    same(net, size, in, 1280, 1, 1);
}

/* Howard et al. 2019, table 1; the gates' sizes as in torchvision */
static void mobilenet_v3_large(conv_network *net) {
    static const int table[][5] = {{3, 16, 16, 1, 0},     {3, 64, 24, 2, 0},     {3, 72, 24, 1, 0},
                                   {5, 72, 40, 2, 24},    {5, 120, 40, 1, 32},   {5, 120, 40, 1, 32},
                                   {3, 240, 80, 2, 0},    {3, 200, 80, 1, 0},    {3, 184, 80, 1, 0},
                                   {3, 184, 80, 1, 0},    {3, 480, 112, 1, 120}, {3, 672, 112, 1, 168},
                                   {5, 672, 160, 2, 168}, {5, 960, 160, 1, 240}, {5, 960, 160, 1, 240}};
    int in = 16, size = same(net, 224, 3, 16, 3, 2);
    for (size_t row = 0; row < sizeof table / sizeof *table; row++, in = table[row - 1][2])
        size = inverted_residual(net, size, in, table[row][1], table[row][2], table[row][0], table[row][3],
                                 table[row][4]);
    same(net, size, in, 960, 1, 1);
}

/* Tan and Le 2019, table 1 */
static void efficientnet_b0(conv_network *net) {
    static const int table[][5] = {{1, 16, 1, 1, 3},  {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5}, {6, 80, 3, 2, 3},
                                   {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5}, {6, 320, 1, 1, 3}};
    int in = 32, size = same(net, 224, 3, 32, 3, 2);
    for (size_t row = 0; row < sizeof table / sizeof *table; row++)
        for (int i = 0; i < table[row][2]; i++, in = table[row][1])
            size = inverted_residual(net, size, in, in * table[row][0], table[row][1], table[row][4],
                                     i == 0 ? table[row][3] : 1, in / 4);
    same(net, size, in, 1280, 1, 1);
}

/* Ma et al. 2018, table 5, 1x: half of the channels pass each unit as they are */
static void shufflenet_v2(conv_network *net) {
    static const int repeats[] = {4, 8, 4}, widths[] = {116, 232, 464};
    int in = 24, size = same(net, 224, 3, 24, 3, 2) / 2;
    for (int stage = 0; stage < 3; stage++) {
        const int half = widths[stage] / 2;
        same(net, add_grouped(net, size, in, in, 3, 3, 2, 1, 1, in), in, half, 1, 1);
        same(net, size, in, half, 1, 1);
        size = add_grouped(net, size, half, half, 3, 3, 2, 1, 1, half);
        same(net, size, half, half, 1, 1);
        for (int i = 1; i < repeats[stage]; i++) inverted_residual(net, size, half, half, half, 3, 1, 0);
        in = widths[stage];
    }
    same(net, size, in, 1024, 1, 1);
}

/* Radosavovic et al. 2020, RegNetY-800MF: convolutions in groups of 16 channels */
static void regnet_y_800mf(conv_network *net) {
    static const int depths[] = {1, 3, 8, 2}, widths[] = {64, 144, 320, 784};
    int in = 32, size = same(net, 224, 3, 32, 3, 2);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < depths[stage]; i++, in = widths[stage]) {
            const int width = widths[stage], stride = i == 0 ? 2 : 1;
            if (i == 0) same(net, size, in, width, 1, stride);
            same(net, size, in, width, 1, 1);
            size = add_grouped(net, size, width, width, 3, 3, stride, 1, 1, width / 16);
            squeeze(net, width, in / 4);
            same(net, size, width, width, 1, 1);
        }
}

/* Liu et al. 2022, ConvNeXt-T; its 1 x 1 are linear layers */
static void convnext_tiny(conv_network *net) {
    int size = add(net, 224, 3, 96, 4, 4, 4, 0, 0);
    for (int width = 96; width <= 768; width *= 2) {
        add_grouped(net, size, width, width, 7, 7, 1, 3, 3, width);
        if (width < 768) size = add(net, size, width, 2 * width, 2, 2, 2, 0, 0);
    }
}

/* Xie et al. 2017, table 1, 32x4d: what ResNet-50 has not, which is convolutions in 32 groups of 4, 8, 16 and 32 */
static void resnext50(conv_network *net) {
    for (int stage = 0, size = 56, width = 128; stage < 4; stage++, width *= 2) {
        if (stage > 0) size = add_grouped(net, size, width, width, 3, 3, 2, 1, 1, 32);
        add_grouped(net, size, width, width, 3, 3, 1, 1, 1, 32);
    }
}

void conv_network_make(int index, conv_network *network) {
    static const struct {
        const char *name;
        void (*make)(conv_network *);
    } networks[CONV_NETWORKS] = {{"resnet50", resnet50},
                                 {"vgg19", vgg19},
                                 {"densenet121", densenet121},
                                 {"inception_v3", inception_v3},
                                 {"mobilenet_v2", mobilenet_v2},
                                 {"resnext50", resnext50},
                                 {"mobilenet_v3_large", mobilenet_v3_large},
                                 {"efficientnet_b0", efficientnet_b0},
                                 {"shufflenet_v2", shufflenet_v2},
                                 {"regnet_y_800mf", regnet_y_800mf},
                                 {"convnext_tiny", convnext_tiny}};
    memset(network, 0, sizeof *network);
    network->name = networks[index].name;
    networks[index].make(network);
}
