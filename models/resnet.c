/* ResNet (He et al. 2016, "Deep residual learning for image recognition", table 1), ResNeXt (Xie et
 * al. 2017, "Aggregated residual transformations", table 1) and Wide ResNet (Zagoruyko & Komodakis
 * 2016), with torchvision's names; with the changes of He et al. 2019, "Bag of tricks for image classification", and
 * gates for channels (Hu et al. 2018; Wang et al. 2020), with timm's names. Shapes are channels x height x width at
 * width 1 and 224x224. */
#include "models/arch.h"

typedef struct resnet {
    enum { PUBLISHED, SMALL, DEEP, TIERED } stem;
    enum { LEFT_OUT, AVERAGED, SMOOTHED } pixels; /* at strides: averaged in shortcuts, or wherever there is a stride */
    enum { OPEN, SE, ECA } gate;
    bool bottleneck;
    int blocks[4];
    int groups;          /* ResNeXt: cardinality */
    int width_per_group; /* 64 but in ResNeXt and Wide ResNet: inner channels for 64 planes */
} resnet;

/* relu(x + F(x)) needs x as F(x)'s shape: the first block of a stage projects it. He et al. 2019, figure 2c, average
 * pixels and leave none out. */
static flow shortcut(net *n, flow x, const resnet *r, int channels, int stride, bool project) {
    if (!project) return x;
    if (r->pixels != LEFT_OUT) {
        if (stride > 1) x = net_avg_pool_halves(n, x);
        return net_batch_norm(n, net_conv(n, x, "downsample.1", channels, same(1, 1)), "downsample.2");
    }
    flow y = net_conv(n, x, "downsample.0", channels, (window){1, 1, stride, 0, 0, 1});
    return net_batch_norm(n, y, "downsample.1");
}

/* The last part of F: a factor for each channel. SE squeezes to a sixteenth, in eights (timm). */
static flow gate(net *n, flow x, const resnet *r) {
    const int sixteenth = (x.channels + 64) / 128 * 8;
    if (r->gate == SE) return net_squeeze_excite(n, x, "se", sixteenth > 8 ? sixteenth : 8, psal_relu, psal_sigmoid);
    return r->gate == ECA ? net_channel_attention(n, x, "se") : x;
}

/* A 3x3 convolution's relu; smoothed, the stride is an average behind it. */
static flow convolve(net *n, flow x, const resnet *r, const char *conv, const char *norm, int channels, window w) {
    const bool smooth = r->pixels == SMOOTHED && w.stride > 1;
    if (smooth) w.stride = 1;
    x = net_relu(n, net_batch_norm(n, net_conv(n, x, conv, channels, w), norm));
    return net_cut(n, smooth ? net_avg_pool(n, x, valid(2, 2)) : x);
}

/* He et al. 2016, figure 5 left: two 3x3 convolutions of `planes` channels. */
static flow basic_block(net *n, flow x, const resnet *r, int planes, int stride, bool project) {
    flow y = convolve(n, x, r, "conv1", "bn1", planes, same(3, stride));
    y = net_conv(n, y, "conv2", planes, same(3, 1));
    y = gate(n, net_batch_norm(n, y, "bn2"), r);
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
    y = convolve(n, y, r, "conv2", "bn2", inner, middle);
    y = net_conv(n, y, "conv3", planes * 4, same(1, 1));
    y = gate(n, net_batch_norm(n, y, "bn3"), r);
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

/* The published one; that of figure 2b of He et al. 2019 (timm's names), its channels doubled step by step or not; and
 * the one for images of 32x32 (He et al. 2016, section 4.2), which keeps their size. */
static flow stem(net *n, flow x, const resnet *r) {
    if (r->stem == DEEP || r->stem == TIERED) {
        net_enter(n, "conv1");
        x = net_relu(n, net_batch_norm(n, net_conv(n, x, "0", r->stem == TIERED ? 24 : 32, same(3, 2)), "1"));
        x = net_relu(n, net_batch_norm(n, net_conv(n, x, "3", 32, same(3, 1)), "4"));
        x = net_conv(n, x, "6", 64, same(3, 1));
        net_leave(n);
    } else {
        x = net_conv(n, x, "conv1", 64, r->stem == SMALL ? same(3, 1) : same(7, 2));
    }
    x = net_relu(n, net_batch_norm(n, x, "bn1"));
    if (r->stem == SMALL) return x;
    return r->pixels == SMOOTHED ? net_avg_pool(n, x, valid(2, 2)) : net_max_pool(n, x, same(3, 2));
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

/* Averages of pixels take whole windows: 31 x 31 is 16, 8, 4, 2 and 1. */
#define ROW(NAME, SIZE, VARIANTS, ASSUMED, STEM, PIXELS, ...)                                           \
    {                                                                                                   \
        .name = NAME, .family = "resnet", .native_size = SIZE, .min_size = PIXELS == SMOOTHED ? 31 : 1, \
        .bn_epsilon = 1e-5, .has_variants = VARIANTS, .classifier = "fc.weight", .assumed = ASSUMED,    \
        .describe = describe, .depth = &(const resnet) {                                                \
            STEM, PIXELS, __VA_ARGS__                                                                   \
        }                                                                                               \
    }

/* torchvision's, those for smaller images, and timm's */
#define RESNET(NAME, VARIANTS, ...) ROW(NAME, 224, VARIANTS, NULL, PUBLISHED, LEFT_OUT, OPEN, __VA_ARGS__)
#define SMALL_RESNET(NAME, VARIANTS, ...)                                                                             \
    ROW(NAME, 32, VARIANTS, "the first convolution, of 3x3, has stride 1 and no pooling follows it", SMALL, LEFT_OUT, \
        OPEN, __VA_ARGS__)
#define TIMM(NAME, STEM, PIXELS, GATE, ...)                                                                            \
    ROW(NAME, 224, false,                                                                                              \
        "no pooling takes the place of a stride: timm's resnetaa and resnetblur have the same names and shapes", STEM, \
        PIXELS, GATE, __VA_ARGS__)

/*   name     (stem, pixels, gate)     bottleneck  blocks  groups  width per group */
static const net_arch archs[] = {
    RESNET("resnet18", false, false, {2, 2, 2, 2}, 1, 64),
    RESNET("resnet34", false, false, {3, 4, 6, 3}, 1, 64),
    RESNET("resnet50", true, true, {3, 4, 6, 3}, 1, 64),
    RESNET("resnet101", true, true, {3, 4, 23, 3}, 1, 64),
    RESNET("resnet152", true, true, {3, 8, 36, 3}, 1, 64),
    RESNET("resnext50_32x4d", true, true, {3, 4, 6, 3}, 32, 4),
    RESNET("resnext101_32x8d", true, true, {3, 4, 23, 3}, 32, 8),
    RESNET("resnext101_64x4d", true, true, {3, 4, 23, 3}, 64, 4),
    RESNET("wide_resnet50_2", true, true, {3, 4, 6, 3}, 1, 128),
    RESNET("wide_resnet101_2", true, true, {3, 4, 23, 3}, 1, 128),
    SMALL_RESNET("resnet18_cifar", false, false, {2, 2, 2, 2}, 1, 64),
    SMALL_RESNET("resnet34_cifar", false, false, {3, 4, 6, 3}, 1, 64),
    SMALL_RESNET("resnet50_cifar", true, true, {3, 4, 6, 3}, 1, 64),
    SMALL_RESNET("resnet101_cifar", true, true, {3, 4, 23, 3}, 1, 64),
    SMALL_RESNET("resnet152_cifar", true, true, {3, 8, 36, 3}, 1, 64),
};
const net_family net_resnet = {archs, sizeof archs / sizeof *archs};

static const net_arch timm[] = {
    TIMM("resnet18d", DEEP, AVERAGED, OPEN, false, {2, 2, 2, 2}, 1, 64),
    TIMM("resnet26d", DEEP, AVERAGED, OPEN, true, {2, 2, 2, 2}, 1, 64),
    TIMM("resnet34d", DEEP, AVERAGED, OPEN, false, {3, 4, 6, 3}, 1, 64),
    TIMM("resnet50d", DEEP, AVERAGED, OPEN, true, {3, 4, 6, 3}, 1, 64),
    TIMM("resnet101d", DEEP, AVERAGED, OPEN, true, {3, 4, 23, 3}, 1, 64),
    TIMM("resnet152d", DEEP, AVERAGED, OPEN, true, {3, 8, 36, 3}, 1, 64),
    TIMM("resnet200d", DEEP, AVERAGED, OPEN, true, {3, 24, 36, 3}, 1, 64),
    TIMM("resnet10t", TIERED, AVERAGED, OPEN, false, {1, 1, 1, 1}, 1, 64),
    TIMM("resnet14t", TIERED, AVERAGED, OPEN, true, {1, 1, 1, 1}, 1, 64),
    TIMM("resnet26t", TIERED, AVERAGED, OPEN, true, {2, 2, 2, 2}, 1, 64),
    TIMM("resnet50t", TIERED, AVERAGED, OPEN, true, {3, 4, 6, 3}, 1, 64),
    TIMM("seresnet18", PUBLISHED, LEFT_OUT, SE, false, {2, 2, 2, 2}, 1, 64),
    TIMM("seresnet34", PUBLISHED, LEFT_OUT, SE, false, {3, 4, 6, 3}, 1, 64),
    TIMM("seresnet50", PUBLISHED, LEFT_OUT, SE, true, {3, 4, 6, 3}, 1, 64),
    TIMM("seresnet101", PUBLISHED, LEFT_OUT, SE, true, {3, 4, 23, 3}, 1, 64),
    TIMM("seresnet152", PUBLISHED, LEFT_OUT, SE, true, {3, 8, 36, 3}, 1, 64),
    TIMM("seresnet50t", TIERED, AVERAGED, SE, true, {3, 4, 6, 3}, 1, 64),
    TIMM("seresnet152d", DEEP, AVERAGED, SE, true, {3, 8, 36, 3}, 1, 64),
    TIMM("seresnet200d", DEEP, AVERAGED, SE, true, {3, 24, 36, 3}, 1, 64),
    TIMM("seresnet269d", DEEP, AVERAGED, SE, true, {3, 30, 48, 8}, 1, 64),
    TIMM("seresnext26d_32x4d", DEEP, AVERAGED, SE, true, {2, 2, 2, 2}, 32, 4),
    TIMM("seresnext26t_32x4d", TIERED, AVERAGED, SE, true, {2, 2, 2, 2}, 32, 4),
    TIMM("seresnext50_32x4d", PUBLISHED, LEFT_OUT, SE, true, {3, 4, 6, 3}, 32, 4),
    TIMM("seresnext101_32x4d", PUBLISHED, LEFT_OUT, SE, true, {3, 4, 23, 3}, 32, 4),
    TIMM("seresnext101_32x8d", PUBLISHED, LEFT_OUT, SE, true, {3, 4, 23, 3}, 32, 8),
    TIMM("seresnext101_64x4d", PUBLISHED, LEFT_OUT, SE, true, {3, 4, 23, 3}, 64, 4),
    TIMM("seresnext101d_32x8d", DEEP, AVERAGED, SE, true, {3, 4, 23, 3}, 32, 8),
    TIMM("ecaresnet26t", TIERED, AVERAGED, ECA, true, {2, 2, 2, 2}, 1, 64),
    TIMM("ecaresnet50t", TIERED, AVERAGED, ECA, true, {3, 4, 6, 3}, 1, 64),
    TIMM("ecaresnet50d", DEEP, AVERAGED, ECA, true, {3, 4, 6, 3}, 1, 64),
    TIMM("ecaresnet101d", DEEP, AVERAGED, ECA, true, {3, 4, 23, 3}, 1, 64),
    TIMM("ecaresnet200d", DEEP, AVERAGED, ECA, true, {3, 24, 36, 3}, 1, 64),
    TIMM("ecaresnet269d", DEEP, AVERAGED, ECA, true, {3, 30, 48, 8}, 1, 64),
    TIMM("ecaresnetlight", PUBLISHED, AVERAGED, ECA, true, {1, 1, 11, 3}, 1, 64),
    TIMM("ecaresnext26t_32x4d", TIERED, AVERAGED, ECA, true, {2, 2, 2, 2}, 32, 4),
    TIMM("ecaresnext50t_32x4d", TIERED, AVERAGED, ECA, true, {3, 4, 6, 3}, 32, 4),
    TIMM("resnetaa50d", DEEP, SMOOTHED, OPEN, true, {3, 4, 6, 3}, 1, 64),
    TIMM("resnetaa101d", DEEP, SMOOTHED, OPEN, true, {3, 4, 23, 3}, 1, 64),
    TIMM("seresnetaa50d", DEEP, SMOOTHED, SE, true, {3, 4, 6, 3}, 1, 64),
    TIMM("seresnextaa101d_32x8d", DEEP, SMOOTHED, SE, true, {3, 4, 23, 3}, 32, 8),
};
const net_family net_resnet_timm = {timm, sizeof timm / sizeof *timm};
