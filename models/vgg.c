/* VGG (Simonyan & Zisserman 2015, "Very deep convolutional networks", table 1: columns A, B, D, E),
 * with torchvision's names: features.N counts convolutions, normalisations, ReLUs and poolings.
 * Shapes are channels x height x width at width 1 and 224x224. */
#include <stdio.h>

#include "models/arch.h"

typedef struct vgg {
    int layers[5]; /* convolutions of each block */
    bool batch_norm;
} vgg;

static const char *numbered(char text[12], int number) {
    snprintf(text, 12, "%d", number);
    return text;
}

/* `layers` 3x3 convolutions, then the image is halved. */
static flow block(net *n, flow x, const vgg *v, int layers, int channels, int *number) {
    char name[12];
    for (int layer = 0; layer < layers; layer++) {
        if (layer > 0) x = net_cut(n, x);
        x = net_conv_bias(n, x, numbered(name, (*number)++), channels, same(3, 1));
        if (v->batch_norm) x = net_batch_norm(n, x, numbered(name, (*number)++));
        (*number)++;
        x = net_relu(n, x);
    }
    (*number)++;
    return net_cut(n, net_max_pool(n, x, valid(2, 2)));
}

static flow describe(net *n, flow x, const void *depth) {
    const vgg *v = depth;
    int number = 0;
    net_enter(n, "features");
    x = block(n, x, v, v->layers[0], 64, &number);  /*  64 x 112 x 112 */
    x = block(n, x, v, v->layers[1], 128, &number); /* 128 x  56 x  56 */
    x = block(n, x, v, v->layers[2], 256, &number); /* 256 x  28 x  28 */
    x = block(n, x, v, v->layers[3], 512, &number); /* 512 x  14 x  14 */
    x = block(n, x, v, v->layers[4], 512, &number); /* 512 x   7 x   7 */
    net_leave(n);
    x = net_pool_flatten(n, x, 7); /* 512 * 7 * 7 = 25088; other image sizes are averaged to 7x7 */
    net_enter(n, "classifier");    /* 2 and 5 are dropout, which evaluation mode leaves out */
    x = net_relu(n, net_linear_hidden(n, x, "0", 4096)); /* 4096 */
    x = net_relu(n, net_linear_hidden(n, x, "3", 4096)); /* 4096 */
    x = net_linear(n, x, "6", n->options.num_classes);   /* classes */
    net_leave(n);
    return x;
}

#define VGG(NAME, EPSILON, BATCH_NORM, ...)                                                       \
    {                                                                                             \
        .name = NAME, .family = "vgg", .native_size = 224, .min_size = 32, .bn_epsilon = EPSILON, \
        .classifier = "classifier.6.weight", .describe = describe, .depth = &(const vgg) {        \
            {__VA_ARGS__}, BATCH_NORM                                                             \
        }                                                                                         \
    }

static const net_arch archs[] = {
    VGG("vgg11", 0, false, 1, 1, 2, 2, 2), VGG("vgg11_bn", 1e-5, true, 1, 1, 2, 2, 2),
    VGG("vgg13", 0, false, 2, 2, 2, 2, 2), VGG("vgg13_bn", 1e-5, true, 2, 2, 2, 2, 2),
    VGG("vgg16", 0, false, 2, 2, 3, 3, 3), VGG("vgg16_bn", 1e-5, true, 2, 2, 3, 3, 3),
    VGG("vgg19", 0, false, 2, 2, 4, 4, 4), VGG("vgg19_bn", 1e-5, true, 2, 2, 4, 4, 4),
};
const net_family net_vgg = {archs, sizeof archs / sizeof *archs};
