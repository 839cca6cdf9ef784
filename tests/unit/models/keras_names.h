/* keras_names.h - what Keras calls the weights of a ResNet. */
#ifndef PSAL_TESTS_MODELS_KERAS_NAMES_H
#define PSAL_TESTS_MODELS_KERAS_NAMES_H

#include <stdio.h>
#include <string.h>

typedef enum keras_naming { KERAS_FIRST, KERAS_LATER, KERAS_HDF5 } keras_naming;

static inline const char *part_of(const char *torch, bool norm) {
    if (strstr(torch, "running_mean")) return "moving_mean";
    if (strstr(torch, "running_var")) return "moving_variance";
    if (strstr(torch, ".weight")) return norm ? "gamma" : "kernel";
    return norm ? "beta" : "bias";
}

/* Keras' name of one of torchvision's tensors. */
static inline void keras_name(const char *torch, keras_naming how, char *text) {
    int stage, block, index;
    const bool norm = strstr(torch, "bn") || strstr(torch, "downsample.1");
    const char *part = part_of(torch, norm);
    char layer[60];
    if (strncmp(torch, "fc.", 3) == 0) {
        sprintf(layer, "%s", how == KERAS_FIRST ? "fc1000" : how == KERAS_LATER ? "predictions" : "probs");
    } else if (sscanf(torch, "layer%d.%d.", &stage, &block) == 2) {
        const char *number = strpbrk(strchr(strchr(torch, '.') + 1, '.'), "123");
        index = strstr(torch, "downsample") ? 0 : *number - '0';
        if (how == KERAS_LATER)
            sprintf(layer, "conv%d_block%d_%d_%s", stage + 1, block + 1, index, norm ? "bn" : "conv");
        else if (how == KERAS_HDF5 && block > 0)
            sprintf(layer, "%s%db%d_branch%s", norm ? "bn" : "res", stage + 1, block,
                    (const char *[]){"1", "2a", "2b", "2c"}[index]);
        else
            sprintf(layer, "%s%d%c_branch%s", norm ? "bn" : "res", stage + 1, 'a' + block,
                    (const char *[]){"1", "2a", "2b", "2c"}[index]);
    } else if (how == KERAS_LATER) {
        sprintf(layer, norm ? "conv1_bn" : "conv1_conv");
    } else {
        sprintf(layer, norm ? "bn_conv1" : "conv1");
    }
    if (how == KERAS_HDF5)
        sprintf(text, "%s/%s/%s:0", layer, layer, part);
    else
        sprintf(text, "%s/%s", layer, part);
}

#endif
