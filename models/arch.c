#include "models/arch.h"

#include <string.h>

static const net_family *const families[] = {&net_resnet,       &net_vgg,         &net_densenet,    &net_inception,
                                             &net_alexnet,      &net_squeezenet,  &net_googlenet,   &net_regnet,
                                             &net_mnasnet,      &net_mobilenetv2, &net_mobilenetv3, &net_efficientnet,
                                             &net_shufflenetv2, &net_convnext,    &net_vit,         &net_resnet_timm};
#define FAMILIES ((int)(sizeof families / sizeof *families))

int net_arch_count(void) {
    int count = 0;
    for (int i = 0; i < FAMILIES; i++) count += families[i]->count;
    return count;
}

const net_arch *net_arch_at(int index) {
    for (int i = 0; i < FAMILIES; i++) {
        if (index >= 0 && index < families[i]->count) return &families[i]->archs[index];
        index -= families[i]->count;
    }
    return NULL;
}

const net_arch *net_arch_find(const char *name) {
    for (int i = 0; i < net_arch_count(); i++)
        if (strcmp(net_arch_at(i)->name, name) == 0) return net_arch_at(i);
    return NULL;
}

flow net_describe(net *n, const net_arch *arch, psal_node image) {
    return arch->describe(n, net_image(n, image), arch->depth);
}
