/* conv2d_shapes.h - the convolutions of torchvision's networks, written as the loops of their papers. Equal shapes are
 * counted, not repeated. Auxiliary classifiers are left out: they do not run in evaluation mode. */
#ifndef PSAL_BENCH_CONV2D_SHAPES_H
#define PSAL_BENCH_CONV2D_SHAPES_H

#include "engine/kernels/conv2d/conv2d.h"

typedef struct conv_layer {
    psal_conv2d_shape shape;
    int times; /* how often the network has this shape */
} conv_layer;

typedef struct conv_network {
    const char *name;
    conv_layer layer[128];
    int layers;
} conv_network;

enum { CONV_NETWORKS = 11 };
/* resnet50, vgg19, densenet121, inception_v3, mobilenet_v2, the grouped ones of resnext50, mobilenet_v3_large,
 * efficientnet_b0, shufflenet_v2, regnet_y_800mf, convnext_tiny */
void conv_network_make(int index, conv_network *network);

#endif
