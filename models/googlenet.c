/* GoogLeNet with batch normalisation (Szegedy et al. 2015, "Going deeper with convolutions", table 1), with
 * torchvision's names and its 3x3 where the paper has 5x5. Shapes are channels x height x width at width 1 and 224x224.
 * The auxiliary classifiers stand at the end of torchvision's list of layers, in front of the last one. They are only
 * used in training: their filters are numbered with the others but never computed. */
#include "models/arch.h"

/* Convolution, normalisation, ReLU. */
static flow conv(net *n, flow x, const char *name, int channels, window w) {
    net_enter(n, "%s", name);
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, "conv", channels, w), "bn"));
    net_leave(n);
    return x;
}

/* Figure 2b; the numbers are a row of table 1. */
static flow inception(net *n, flow x, const char *name, int one, int three_reduce, int three, int five_reduce, int five,
                      int pool) {
    net_enter(n, "inception%s", name);
    flow a = conv(n, x, "branch1", one, same(1, 1));
    flow b = conv(n, x, "branch2.0", three_reduce, same(1, 1));
    b = conv(n, b, "branch2.1", three, same(3, 1));
    flow c = conv(n, x, "branch3.0", five_reduce, same(1, 1));
    c = conv(n, c, "branch3.1", five, same(3, 1));
    flow d = net_max_pool_ceil(n, x, same(3, 1));
    d = conv(n, d, "branch4.1", pool, same(1, 1));
    x = net_concat(n, (const flow[]){a, b, c, d}, 4);
    net_leave(n);
    return net_cut(n, x);
}

static void auxiliary_classifier(net *n, flow x, const char *name) {
    net_detach(n);
    net_enter(n, "%s", name);
    x = conv(n, x, "conv", 128, same(1, 1));
    x = net_pool_flatten(n, x, 4); /* in front of the 1x1 convolution in fact: the same */
    x = net_linear_hidden(n, x, "fc1", 1024);
    net_linear(n, x, "fc2", n->options.auxiliary_classes);
    net_leave(n);
    net_attach(n);
}

static flow describe(net *n, flow x, const void *depth) {
    (void)depth; /* there is one GoogLeNet only */
    x = net_transform_input(n, x);
    x = conv(n, x, "conv1", 64, same(7, 2));                   /*   64 x 112 x 112 */
    x = net_cut(n, net_max_pool_ceil(n, x, valid(3, 2)));      /*   64 x  56 x  56 */
    x = conv(n, x, "conv2", 64, same(1, 1));                   /*   64 x  56 x  56 */
    x = conv(n, x, "conv3", 192, same(3, 1));                  /*  192 x  56 x  56 */
    x = net_cut(n, net_max_pool_ceil(n, x, valid(3, 2)));      /*  192 x  28 x  28 */
    x = inception(n, x, "3a", 64, 96, 128, 16, 32, 32);        /*  256 x  28 x  28 */
    x = inception(n, x, "3b", 128, 128, 192, 32, 96, 64);      /*  480 x  28 x  28 */
    x = net_cut(n, net_max_pool_ceil(n, x, valid(3, 2)));      /*  480 x  14 x  14 */
    flow a = inception(n, x, "4a", 192, 96, 208, 16, 48, 64);  /*  512 x  14 x  14 */
    x = inception(n, a, "4b", 160, 112, 224, 24, 64, 64);      /*  512 x  14 x  14 */
    x = inception(n, x, "4c", 128, 128, 256, 24, 64, 64);      /*  512 x  14 x  14 */
    flow d = inception(n, x, "4d", 112, 144, 288, 32, 64, 64); /*  528 x  14 x  14 */
    x = inception(n, d, "4e", 256, 160, 320, 32, 128, 128);    /*  832 x  14 x  14 */
    x = net_cut(n, net_max_pool_ceil(n, x, valid(2, 2)));      /*  832 x   7 x   7 */
    x = inception(n, x, "5a", 256, 160, 320, 32, 128, 128);    /*  832 x   7 x   7 */
    x = inception(n, x, "5b", 384, 192, 384, 48, 128, 128);    /* 1024 x   7 x   7 */
    auxiliary_classifier(n, a, "aux1");
    auxiliary_classifier(n, d, "aux2");
    x = net_pool_flatten(n, x, 1);                         /* 1024 */
    return net_linear(n, x, "fc", n->options.num_classes); /* classes */
}

static const net_arch archs[] = {
    {.name = "googlenet",
     .family = "googlenet",
     .native_size = 224,
     .min_size = 15,
     .bn_epsilon = 1e-3,
     .has_transform = true,
     .classifier = "fc.weight",
     .auxiliary = "aux1.fc2.weight",
     .describe = describe},
};
const net_family net_googlenet = {archs, sizeof archs / sizeof *archs};
