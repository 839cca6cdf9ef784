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
    int min_size;           /* smallest side that does not shrink to nothing */
    double bn_epsilon;      /* torchvision's; 0: no batch normalisation */
    bool has_variants;      /* "v1" beside "v1.5" */
    const char *classifier; /* weight of its last layer, [classes, features] */
    /* Image [N,3,H,W] to logits [N,classes]; `depth` is this row's. */
    flow (*describe)(net *n, flow image, const void *depth);
    const void *depth; /* what tells the members of the family apart; the family's own type */
} net_arch;

/* A family's rows. */
typedef struct net_family {
    const net_arch *archs;
    int count;
} net_family;

extern const net_family net_resnet, net_vgg, net_densenet, net_inception;

int net_arch_count(void);
const net_arch *net_arch_at(int index);
const net_arch *net_arch_find(const char *name); /* NULL when unknown */

/* List (and with a graph, build) the whole network. `n` was made with net_init; returns the logits;
 * n->error tells. */
flow net_describe(net *n, const net_arch *arch, flow image);

#endif
