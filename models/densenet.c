/* DenseNet-BC (Huang et al. 2017, "Densely connected convolutional networks", table 1), with
 * torchvision's names. Normalisation and ReLU come before the convolution here. Shapes are channels
 * x height x width of DenseNet-121 at width 1 and 224x224.
 *
 * The width rule scales the growth rate and the first convolution; all else follows from these. */
#include "models/arch.h"

typedef struct densenet {
    int growth;    /* k: channels each layer adds */
    int initial;   /* channels of the first convolution */
    int layers[4]; /* of each dense block */
} densenet;

/* H(x): 1x1 to 4k channels, 3x3 to k, and x itself beside them. */
static flow dense_layer(net *n, flow x, int published_growth) {
    const int growth = net_scale(n, published_growth);
    flow y = net_relu(n, net_batch_norm(n, x, "norm1"));
    y = net_conv_exact(n, y, "conv1", 4 * growth, same(1, 1));
    y = net_relu(n, net_batch_norm(n, y, "norm2"));
    y = net_conv(n, y, "conv2", published_growth, same(3, 1));
    return net_concat(n, (const flow[]){x, y}, 2);
}

static flow dense_block(net *n, flow x, const densenet *d, int number) {
    for (int layer = 1; layer <= d->layers[number - 1]; layer++) {
        net_enter(n, "denseblock%d.denselayer%d", number, layer);
        x = dense_layer(n, x, d->growth);
        net_leave(n);
        x = net_cut(n, x);
    }
    return x;
}

/* Half the channels, half the size. */
static flow transition(net *n, flow x, int number) {
    net_enter(n, "transition%d", number);
    x = net_relu(n, net_batch_norm(n, x, "norm"));
    x = net_conv_exact(n, x, "conv", x.channels / 2, same(1, 1));
    x = net_avg_pool(n, x, valid(2, 2));
    net_leave(n);
    return net_cut(n, x);
}

static flow describe(net *n, flow x, const void *depth) {
    const densenet *d = depth;
    net_enter(n, "features");
    x = net_conv(n, x, "conv0", d->initial, same(7, 2)); /*   64 x 112 x 112 */
    x = net_relu(n, net_batch_norm(n, x, "norm0"));      /*   64 x 112 x 112 */
    x = net_cut(n, net_max_pool(n, x, same(3, 2)));      /*   64 x  56 x  56 */
    x = dense_block(n, x, d, 1);                         /*  256 x  56 x  56 */
    x = transition(n, x, 1);                             /*  128 x  28 x  28 */
    x = dense_block(n, x, d, 2);                         /*  512 x  28 x  28 */
    x = transition(n, x, 2);                             /*  256 x  14 x  14 */
    x = dense_block(n, x, d, 3);                         /* 1024 x  14 x  14 */
    x = transition(n, x, 3);                             /*  512 x   7 x   7 */
    x = dense_block(n, x, d, 4);                         /* 1024 x   7 x   7 */
    x = net_relu(n, net_batch_norm(n, x, "norm5"));      /* 1024 x   7 x   7 */
    net_leave(n);
    x = net_pool_flatten(n, x, 1);                                 /* 1024 */
    return net_linear(n, x, "classifier", n->options.num_classes); /* classes */
}

#define DENSENET(NAME, GROWTH, INITIAL, ...)                                                        \
    {                                                                                               \
        .name = NAME, .family = "densenet", .native_size = 224, .min_size = 29, .bn_epsilon = 1e-5, \
        .classifier = "classifier.weight", .describe = describe, .depth = &(const densenet) {       \
            GROWTH, INITIAL, {                                                                      \
                __VA_ARGS__                                                                         \
            }                                                                                       \
        }                                                                                           \
    }

static const net_arch archs[] = {
    DENSENET("densenet121", 32, 64, 6, 12, 24, 16),
    DENSENET("densenet161", 48, 96, 6, 12, 36, 24),
    DENSENET("densenet169", 32, 64, 6, 12, 32, 32),
    DENSENET("densenet201", 32, 64, 6, 12, 48, 32),
};
const net_family net_densenet = {archs, sizeof archs / sizeof *archs};
