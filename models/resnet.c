/* ResNet (He et al. 2016, "Deep residual learning for image recognition", table 1), ResNeXt (Xie et
 * al. 2017, "Aggregated residual transformations", table 1) and Wide ResNet (Zagoruyko & Komodakis
 * 2016), with torchvision's names. Shapes are channels x height x width at width 1 and 224x224. */
#include "models/arch.h"

typedef struct resnet {
    int blocks[4];
    bool bottleneck;
    int groups;          /* ResNeXt: cardinality */
    int width_per_group; /* 64 but in ResNeXt and Wide ResNet: inner channels for 64 planes */
} resnet;

/* relu(x + F(x)) needs x as F(x)'s shape: the first block of a stage projects it. */
static flow shortcut(net *n, flow x, int channels, int stride, bool project) {
    if (!project) return x;
    flow y = net_conv(n, x, "downsample.0", channels, (window){1, 1, stride, 0, 0, 1});
    return net_batch_norm(n, y, "downsample.1");
}

/* He et al. 2016, figure 5 left: two 3x3 convolutions of `planes` channels. */
static flow basic_block(net *n, flow x, int planes, int stride, bool project) {
    flow y = net_conv(n, x, "conv1", planes, same(3, stride));
    y = net_cut(n, net_relu(n, net_batch_norm(n, y, "bn1")));
    y = net_conv(n, y, "conv2", planes, same(3, 1));
    y = net_batch_norm(n, y, "bn2");
    return net_relu(n, net_add(n, y, shortcut(n, x, planes, stride, project)));
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
    return net_relu(n, net_add(n, y, shortcut(n, x, planes * 4, stride, project)));
}

static flow stage(net *n, flow x, const resnet *r, int number, int planes, int stride) {
    for (int block = 0; block < r->blocks[number - 1]; block++) {
        const bool first = block == 0;
        net_enter(n, "layer%d.%d", number, block);
        if (r->bottleneck)
            x = bottleneck(n, x, r, planes, first ? stride : 1, first);
        else
            x = basic_block(n, x, planes, first ? stride : 1, first && stride > 1);
        net_leave(n);
        x = net_cut(n, x);
    }
    return x;
}

static flow describe(net *n, flow x, const void *depth) {
    const resnet *r = depth;
    x = net_conv(n, x, "conv1", 64, same(7, 2));           /*   64 x 112 x 112 */
    x = net_batch_norm(n, x, "bn1");                       /*   64 x 112 x 112 */
    x = net_cut(n, net_relu_max_pool(n, x, same(3, 2)));   /*   64 x  56 x  56 */
    x = stage(n, x, r, 1, 64, 1);                          /*  256 x  56 x  56 (basic:  64) */
    x = stage(n, x, r, 2, 128, 2);                         /*  512 x  28 x  28 (basic: 128) */
    x = stage(n, x, r, 3, 256, 2);                         /* 1024 x  14 x  14 (basic: 256) */
    x = stage(n, x, r, 4, 512, 2);                         /* 2048 x   7 x   7 (basic: 512) */
    x = net_pool_flatten(n, x, 1);                         /* 2048 */
    return net_linear(n, x, "fc", n->options.num_classes); /* classes */
}

#define RESNET(NAME, B1, B2, B3, B4, BOTTLENECK, GROUPS, WIDTH)                            \
    {                                                                                      \
        NAME, "resnet", 224, 1, 1e-5, BOTTLENECK, "fc.weight", describe, &(const resnet) { \
            {B1, B2, B3, B4}, BOTTLENECK, GROUPS, WIDTH                                    \
        }                                                                                  \
    }

/*          name               blocks         bottleneck  groups  width per group */
static const net_arch archs[] = {
    RESNET("resnet18", 2, 2, 2, 2, false, 1, 64),         RESNET("resnet34", 3, 4, 6, 3, false, 1, 64),
    RESNET("resnet50", 3, 4, 6, 3, true, 1, 64),          RESNET("resnet101", 3, 4, 23, 3, true, 1, 64),
    RESNET("resnet152", 3, 8, 36, 3, true, 1, 64),        RESNET("resnext50_32x4d", 3, 4, 6, 3, true, 32, 4),
    RESNET("resnext101_32x8d", 3, 4, 23, 3, true, 32, 8), RESNET("resnext101_64x4d", 3, 4, 23, 3, true, 64, 4),
    RESNET("wide_resnet50_2", 3, 4, 6, 3, true, 1, 128),  RESNET("wide_resnet101_2", 3, 4, 23, 3, true, 1, 128),
};
const net_family net_resnet = {archs, sizeof archs / sizeof *archs};
