/* AlexNet, the version of one tower (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
 * networks"), with torchvision's names: features.N counts convolutions, ReLUs and poolings. Shapes are channels x
 * height x width at width 1 and 224x224. */
#include "models/arch.h"

static flow conv(net *n, flow x, const char *name, int channels, window w) {
    return net_relu(n, net_conv_bias(n, x, name, channels, w));
}

static flow describe(net *n, flow x, const void *depth) {
    (void)depth; /* there is one AlexNet only */
    net_enter(n, "features");
    x = conv(n, x, "0", 64, (window){11, 11, 4, 2, 2, 1}); /*  64 x 55 x 55 */
    x = net_cut(n, net_max_pool(n, x, valid(3, 2)));       /*  64 x 27 x 27 */
    x = conv(n, x, "3", 192, same(5, 1));                  /* 192 x 27 x 27 */
    x = net_cut(n, net_max_pool(n, x, valid(3, 2)));       /* 192 x 13 x 13 */
    x = net_cut(n, conv(n, x, "6", 384, same(3, 1)));      /* 384 x 13 x 13 */
    x = net_cut(n, conv(n, x, "8", 256, same(3, 1)));      /* 256 x 13 x 13 */
    x = conv(n, x, "10", 256, same(3, 1));                 /* 256 x 13 x 13 */
    x = net_cut(n, net_max_pool(n, x, valid(3, 2)));       /* 256 x  6 x  6 */
    net_leave(n);
    x = net_pool_flatten(n, x, 6);                       /* 256 * 6 * 6 = 9216; other image sizes are averaged to 6x6 */
    net_enter(n, "classifier");                          /* 0 and 3 are dropout, which evaluation mode leaves out */
    x = net_relu(n, net_linear_hidden(n, x, "1", 4096)); /* 4096 */
    x = net_relu(n, net_linear_hidden(n, x, "4", 4096)); /* 4096 */
    x = net_linear(n, x, "6", n->options.num_classes);   /* classes */
    net_leave(n);
    return x;
}

static const net_arch archs[] = {
    {.name = "alexnet",
     .family = "alexnet",
     .native_size = 224,
     .min_size = 63,
     .classifier = "classifier.6.weight",
     .describe = describe},
};
const net_family net_alexnet = {archs, sizeof archs / sizeof *archs};
