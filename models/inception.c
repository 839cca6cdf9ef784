/* Inception-v3 (Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision",
 * table 1 and figures 5 to 7), with torchvision's names. Shapes are channels x height x width at
 * width 1 and 299x299.
 *
 * The auxiliary classifier stands in torchvision's list between Mixed_6e and Mixed_7a. It is only
 * used in training: its filters are numbered with the others but never computed. */
#include "models/arch.h"

/* Convolution, normalisation, ReLU. */
static flow conv(net *n, flow x, const char *name, int channels, window w) {
    net_enter(n, "%s", name);
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, "conv", channels, w), "bn"));
    net_leave(n);
    return x;
}

#define CONCAT(n, ...) \
    net_concat(n, (const flow[]){__VA_ARGS__}, (int)(sizeof((const flow[]){__VA_ARGS__}) / sizeof(flow)))

/* Figure 5: the 5x5 of the first Inception beside two 3x3. */
static flow mixed_a(net *n, flow x, const char *name, int pool_channels) {
    net_enter(n, "%s", name);
    flow a = conv(n, x, "branch1x1", 64, same(1, 1));

    flow b = conv(n, x, "branch5x5_1", 48, same(1, 1));
    b = conv(n, b, "branch5x5_2", 64, same(5, 1));

    flow c = conv(n, x, "branch3x3dbl_1", 64, same(1, 1));
    c = conv(n, c, "branch3x3dbl_2", 96, same(3, 1));
    c = conv(n, c, "branch3x3dbl_3", 96, same(3, 1));

    flow d = net_avg_pool(n, x, same(3, 1));
    d = conv(n, d, "branch_pool", pool_channels, same(1, 1));
    x = CONCAT(n, a, b, c, d); /* 64 + 64 + 96 + pool_channels */
    net_leave(n);
    return x;
}

/* Figure 10: halves the size. */
static flow mixed_b(net *n, flow x, const char *name) {
    net_enter(n, "%s", name);
    flow a = conv(n, x, "branch3x3", 384, valid(3, 2));

    flow b = conv(n, x, "branch3x3dbl_1", 64, same(1, 1));
    b = conv(n, b, "branch3x3dbl_2", 96, same(3, 1));
    b = conv(n, b, "branch3x3dbl_3", 96, valid(3, 2));

    flow c = net_max_pool(n, x, valid(3, 2));
    x = CONCAT(n, a, b, c); /* 384 + 96 + channels */
    net_leave(n);
    return x;
}

/* Figure 6: 7x7 taken apart into 1x7 and 7x1. */
static flow mixed_c(net *n, flow x, const char *name, int channels) {
    net_enter(n, "%s", name);
    flow a = conv(n, x, "branch1x1", 192, same(1, 1));

    flow b = conv(n, x, "branch7x7_1", channels, same(1, 1));
    b = conv(n, b, "branch7x7_2", channels, oblong(1, 7));
    b = conv(n, b, "branch7x7_3", 192, oblong(7, 1));

    flow c = conv(n, x, "branch7x7dbl_1", channels, same(1, 1));
    c = conv(n, c, "branch7x7dbl_2", channels, oblong(7, 1));
    c = conv(n, c, "branch7x7dbl_3", channels, oblong(1, 7));
    c = conv(n, c, "branch7x7dbl_4", channels, oblong(7, 1));
    c = conv(n, c, "branch7x7dbl_5", 192, oblong(1, 7));

    flow d = net_avg_pool(n, x, same(3, 1));
    d = conv(n, d, "branch_pool", 192, same(1, 1));
    x = CONCAT(n, a, b, c, d); /* 4 * 192 */
    net_leave(n);
    return x;
}

/* Halves the size. */
static flow mixed_d(net *n, flow x, const char *name) {
    net_enter(n, "%s", name);
    flow a = conv(n, x, "branch3x3_1", 192, same(1, 1));
    a = conv(n, a, "branch3x3_2", 320, valid(3, 2));

    flow b = conv(n, x, "branch7x7x3_1", 192, same(1, 1));
    b = conv(n, b, "branch7x7x3_2", 192, oblong(1, 7));
    b = conv(n, b, "branch7x7x3_3", 192, oblong(7, 1));
    b = conv(n, b, "branch7x7x3_4", 192, valid(3, 2));

    flow c = net_max_pool(n, x, valid(3, 2));
    x = CONCAT(n, a, b, c); /* 320 + 192 + channels */
    net_leave(n);
    return x;
}

/* Figure 7: 1x3 and 3x1 side by side. */
static flow mixed_e(net *n, flow x, const char *name) {
    net_enter(n, "%s", name);
    flow a = conv(n, x, "branch1x1", 320, same(1, 1));

    flow b = conv(n, x, "branch3x3_1", 384, same(1, 1));
    flow b1 = conv(n, b, "branch3x3_2a", 384, oblong(1, 3));
    flow b2 = conv(n, b, "branch3x3_2b", 384, oblong(3, 1));
    b = CONCAT(n, b1, b2);

    flow c = conv(n, x, "branch3x3dbl_1", 448, same(1, 1));
    c = conv(n, c, "branch3x3dbl_2", 384, same(3, 1));
    flow c1 = conv(n, c, "branch3x3dbl_3a", 384, oblong(1, 3));
    flow c2 = conv(n, c, "branch3x3dbl_3b", 384, oblong(3, 1));
    c = CONCAT(n, c1, c2);

    flow d = net_avg_pool(n, x, same(3, 1));
    d = conv(n, d, "branch_pool", 192, same(1, 1));
    x = CONCAT(n, a, b, c, d); /* 320 + 2 * 384 + 2 * 384 + 192 */
    net_leave(n);
    return x;
}

static void auxiliary_classifier(net *n, flow x) {
    net_detach(n);
    net_enter(n, "AuxLogits");
    x = conv(n, x, "conv0", 128, same(1, 1));
    x = conv(n, x, "conv1", 768, valid(5, 1));
    net_linear(n, x, "fc", n->options.auxiliary_classes);
    net_leave(n);
    net_attach(n);
}

static flow describe(net *n, flow x, const void *depth) {
    (void)depth; /* there is one Inception-v3 only */
    x = net_transform_input(n, x);
    x = conv(n, x, "Conv2d_1a_3x3", 32, valid(3, 2));  /*   32 x 149 x 149 */
    x = conv(n, x, "Conv2d_2a_3x3", 32, valid(3, 1));  /*   32 x 147 x 147 */
    x = conv(n, x, "Conv2d_2b_3x3", 64, same(3, 1));   /*   64 x 147 x 147 */
    x = net_cut(n, net_max_pool(n, x, valid(3, 2)));   /*   64 x  73 x  73 */
    x = conv(n, x, "Conv2d_3b_1x1", 80, same(1, 1));   /*   80 x  73 x  73 */
    x = conv(n, x, "Conv2d_4a_3x3", 192, valid(3, 1)); /*  192 x  71 x  71 */
    x = net_cut(n, net_max_pool(n, x, valid(3, 2)));   /*  192 x  35 x  35 */
    x = net_cut(n, mixed_a(n, x, "Mixed_5b", 32));     /*  256 x  35 x  35 */
    x = net_cut(n, mixed_a(n, x, "Mixed_5c", 64));     /*  288 x  35 x  35 */
    x = net_cut(n, mixed_a(n, x, "Mixed_5d", 64));     /*  288 x  35 x  35 */
    x = net_cut(n, mixed_b(n, x, "Mixed_6a"));         /*  768 x  17 x  17 */
    x = net_cut(n, mixed_c(n, x, "Mixed_6b", 128));    /*  768 x  17 x  17 */
    x = net_cut(n, mixed_c(n, x, "Mixed_6c", 160));    /*  768 x  17 x  17 */
    x = net_cut(n, mixed_c(n, x, "Mixed_6d", 160));    /*  768 x  17 x  17 */
    x = net_cut(n, mixed_c(n, x, "Mixed_6e", 192));    /*  768 x  17 x  17 */
    auxiliary_classifier(n, x);
    x = net_cut(n, mixed_d(n, x, "Mixed_7a"));             /* 1280 x   8 x   8 */
    x = net_cut(n, mixed_e(n, x, "Mixed_7b"));             /* 2048 x   8 x   8 */
    x = net_cut(n, mixed_e(n, x, "Mixed_7c"));             /* 2048 x   8 x   8 */
    x = net_pool_flatten(n, x, 1);                         /* 2048 */
    return net_linear(n, x, "fc", n->options.num_classes); /* classes */
}

static const net_arch archs[] = {
    {.name = "inception_v3",
     .family = "inception",
     .native_size = 299,
     .min_size = 75,
     .bn_epsilon = 1e-3,
     .has_transform = true,
     .classifier = "fc.weight",
     .auxiliary = "AuxLogits.fc.weight",
     .describe = describe},
};
const net_family net_inception = {archs, sizeof archs / sizeof *archs};
