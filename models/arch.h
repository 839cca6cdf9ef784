/* arch.h - the table of architectures (internal to models/).
 *
 * Each family's file describes its networks and ends with their rows. */
#ifndef PSAL_MODELS_ARCH_H
#define PSAL_MODELS_ARCH_H

#include "models/builder.h"

typedef struct net_arch {
    const char *name;       /* torchvision's: "resnet50" */
    const char *family;     /* "resnet" */
    int native_size;        /* side of the images it was published for */
    int min_size;           /* smallest side that does not shrink to nothing; with positions, a patch's */
    double bn_epsilon;      /* torchvision's; 0: no batch normalisation */
    bool has_variants;      /* "v1" beside "v1.5" */
    bool has_transform;     /* may rescale its input (net_transform_input) */
    const char *classifier; /* weight of its last layer, [classes, features] or [classes, features, 1, 1] */
    const char *auxiliary;  /* the same of an auxiliary classifier, which is only used in training; NULL: none */
    const char *positions;  /* tensor [1, positions, channels], which tells the only size of image; NULL: any size */
    const char *assumed;    /* what neither names nor shapes tell of it, for the user; NULL: nothing */
    /* Image [N,C,H,W], of C = options.channels, to logits [N,classes]; `depth` is this row's. */
    flow (*describe)(net *n, flow image, const void *depth);
    const void *depth; /* what tells the members of the family apart; the family's own type */
} net_arch;

/* A family's rows. */
typedef struct net_family {
    const net_arch *archs;
    int count;
} net_family;

extern const net_family net_resnet, net_vgg, net_densenet, net_inception, net_alexnet, net_squeezenet, net_googlenet,
    net_regnet, net_mnasnet, net_mobilenetv2, net_mobilenetv3, net_efficientnet, net_shufflenetv2, net_convnext,
    net_vit, net_resnet_timm;

int net_arch_count(void);
const net_arch *net_arch_at(int index);
const net_arch *net_arch_find(const char *name); /* NULL when unknown */

/* List (and with a graph, build) the whole network. `n` was made with net_init; returns the logits;
 * n->error tells. */
flow net_describe(net *n, const net_arch *arch, psal_node image);

#endif
