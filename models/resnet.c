/* ResNet (He et al. 2016, "Deep residual learning for image recognition", table 1), ResNeXt (Xie et
 * al. 2017, "Aggregated residual transformations", table 1) and Wide ResNet (Zagoruyko & Komodakis
 * 2016), with torchvision's names. Shapes are channels x height x width at width 1 and 224x224. */
#include "models/arch.h"

typedef struct resnet {
    int blocks[4];
    bool bottleneck;
    int groups;          /* ResNeXt: cardinality */
    int width_per_group; /* 64 but in ResNeXt and Wide ResNet: inner channels for 64 planes */
    enum { PUBLISHED, SMALL, DEEP } stem;
} resnet;

/* relu(x + F(x)) needs x as F(x)'s shape: the first block of a stage projects it. With a deep stem (He et al. 2019,
 * figure 2c) pixels are averaged and not left out. */
static flow shortcut(net *n, flow x, const resnet *r, int channels, int stride, bool project) {
    if (!project) return x;
    if (r->stem == DEEP) {
        if (stride > 1) x = net_avg_pool_halves(n, x);
        return net_batch_norm(n, net_conv(n, x, "downsample.1", channels, same(1, 1)), "downsample.2");
    }
    flow y = net_conv(n, x, "downsample.0", channels, (window){1, 1, stride, 0, 0, 1});
    return net_batch_norm(n, y, "downsample.1");
}

/* He et al. 2016, figure 5 left: two 3x3 convolutions of `planes` channels. */
static flow basic_block(net *n, flow x, const resnet *r, int planes, int stride, bool project) {
    flow y = net_conv(n, x, "conv1", planes, same(3, stride));
    y = net_cut(n, net_relu(n, net_batch_norm(n, y, "bn1")));
    y = net_conv(n, y, "conv2", planes, same(3, 1));
    y = net_batch_norm(n, y, "bn2");
    return net_relu(n, net_add(n, y, shortcut(n, x, r, planes, stride, project)));
}

/* Figure 5 right: 1x1 to fewer channels, 3x3, 1x1 to four times `planes`. The stride is in the 3x3
 * (torchvision, "v1.5") or, as published, in the first 1x1 (Keras and Caffe, "v1"). */
static flow bottleneck(net *n, flow x, const resnet *r, int planes, int stride, bool project) {
    const int inner = planes * r->width_per_group / 64 * r->groups;
    const int stride_1x1 = n->options.stride_in_1x1 ? stride : 1;
    window middle = same(3, n->options.stride_in_1x1 ? 1 : stride);
    middle.groups = r->groups;

    flow y = net_conv(n, x, "conv1", inner, same(1, stride_1x1));
    y = net_cut(n, net_relu(n, net_batch_norm(n, y, "bn1")));
    y = net_conv(n, y, "conv2", inner, middle);
    y = net_cut(n, net_relu(n, net_batch_norm(n, y, "bn2")));
    y = net_conv(n, y, "conv3", planes * 4, same(1, 1));
    y = net_batch_norm(n, y, "bn3");
    return net_relu(n, net_add(n, y, shortcut(n, x, r, planes * 4, stride, project)));
}

static flow stage(net *n, flow x, const resnet *r, int number, int planes, int stride) {
    for (int block = 0; block < r->blocks[number - 1]; block++) {
        const bool first = block == 0;
        net_enter(n, "layer%d.%d", number, block);
        if (r->bottleneck)
            x = bottleneck(n, x, r, planes, first ? stride : 1, first);
        else
            x = basic_block(n, x, r, planes, first ? stride : 1, first && stride > 1);
        net_leave(n);
        x = net_cut(n, x);
    }
    return x;
}

/* The published one; that of figure 2b of He et al. 2019, "Bag of tricks for image classification" (timm's names); and
 * the one for images of 32x32 (He et al. 2016, section 4.2), which keeps their size. */
static flow stem(net *n, flow x, const resnet *r) {
    if (r->stem == DEEP) {
        net_enter(n, "conv1");
        x = net_relu(n, net_batch_norm(n, net_conv(n, x, "0", 32, same(3, 2)), "1"));
        x = net_relu(n, net_batch_norm(n, net_conv(n, x, "3", 32, same(3, 1)), "4"));
        x = net_conv(n, x, "6", 64, same(3, 1));
        net_leave(n);
    } else {
        x = net_conv(n, x, "conv1", 64, r->stem == SMALL ? same(3, 1) : same(7, 2));
    }
    x = net_relu(n, net_batch_norm(n, x, "bn1"));
    return r->stem == SMALL ? x : net_max_pool(n, x, same(3, 2));
}

static flow describe(net *n, flow x, const void *depth) {
    const resnet *r = depth;
    x = net_cut(n, stem(n, x, r));                         /*   64 x  56 x  56 (small: 224 x 224) */
    x = stage(n, x, r, 1, 64, 1);                          /*  256 x  56 x  56 (basic:  64) */
    x = stage(n, x, r, 2, 128, 2);                         /*  512 x  28 x  28 (basic: 128) */
    x = stage(n, x, r, 3, 256, 2);                         /* 1024 x  14 x  14 (basic: 256) */
    x = stage(n, x, r, 4, 512, 2);                         /* 2048 x   7 x   7 (basic: 512) */
    x = net_pool_flatten(n, x, 1);                         /* 2048 */
    return net_linear(n, x, "fc", n->options.num_classes); /* classes */
}

#define ROW(NAME, SIZE, VARIANTS, ASSUMED, B1, B2, B3, B4, BOTTLENECK, GROUPS, WIDTH, STEM)            \
    {                                                                                                  \
        .name = NAME, .family = "resnet", .native_size = SIZE, .min_size = 1, .bn_epsilon = 1e-5,      \
        .has_variants = VARIANTS, .classifier = "fc.weight", .assumed = ASSUMED, .describe = describe, \
        .depth = &(const resnet) {                                                                     \
            {B1, B2, B3, B4}, BOTTLENECK, GROUPS, WIDTH, STEM                                          \
        }                                                                                              \
    }
#define RESNET(NAME, B1, B2, B3, B4, BOTTLENECK, GROUPS, WIDTH) \
    ROW(NAME, 224, BOTTLENECK, NULL, B1, B2, B3, B4, BOTTLENECK, GROUPS, WIDTH, PUBLISHED)
#define SMALL_RESNET(NAME, B1, B2, B3, B4, BOTTLENECK)                                                                 \
    ROW(NAME, 32, BOTTLENECK, "the first convolution, of 3x3, has stride 1 and no pooling follows it", B1, B2, B3, B4, \
        BOTTLENECK, 1, 64, SMALL)
#define DEEP_RESNET(NAME, B1, B2, B3, B4, BOTTLENECK) \
    ROW(NAME, 224, false, NULL, B1, B2, B3, B4, BOTTLENECK, 1, 64, DEEP)

/*          name               blocks         bottleneck  groups  width per group */
static const net_arch archs[] = {
    RESNET("resnet18", 2, 2, 2, 2, false, 1, 64),         RESNET("resnet34", 3, 4, 6, 3, false, 1, 64),
    RESNET("resnet50", 3, 4, 6, 3, true, 1, 64),          RESNET("resnet101", 3, 4, 23, 3, true, 1, 64),
    RESNET("resnet152", 3, 8, 36, 3, true, 1, 64),        RESNET("resnext50_32x4d", 3, 4, 6, 3, true, 32, 4),
    RESNET("resnext101_32x8d", 3, 4, 23, 3, true, 32, 8), RESNET("resnext101_64x4d", 3, 4, 23, 3, true, 64, 4),
    RESNET("wide_resnet50_2", 3, 4, 6, 3, true, 1, 128),  RESNET("wide_resnet101_2", 3, 4, 23, 3, true, 1, 128),
    SMALL_RESNET("resnet18_cifar", 2, 2, 2, 2, false),    SMALL_RESNET("resnet34_cifar", 3, 4, 6, 3, false),
    SMALL_RESNET("resnet50_cifar", 3, 4, 6, 3, true),     SMALL_RESNET("resnet101_cifar", 3, 4, 23, 3, true),
    SMALL_RESNET("resnet152_cifar", 3, 8, 36, 3, true),   DEEP_RESNET("resnet18d", 2, 2, 2, 2, false),
    DEEP_RESNET("resnet26d", 2, 2, 2, 2, true),           DEEP_RESNET("resnet34d", 3, 4, 6, 3, false),
    DEEP_RESNET("resnet50d", 3, 4, 6, 3, true),           DEEP_RESNET("resnet101d", 3, 4, 23, 3, true),
    DEEP_RESNET("resnet152d", 3, 8, 36, 3, true),         DEEP_RESNET("resnet200d", 3, 24, 36, 3, true),
};
const net_family net_resnet = {archs, sizeof archs / sizeof *archs};
