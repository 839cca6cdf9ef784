/* rename.h - the tensors of one network, out of a checkpoint that may hold more, under torchvision's names (internal to
 * models/). */
#ifndef PSAL_MODELS_RENAME_H
#define PSAL_MODELS_RENAME_H

#include "engine/tensor.h"
#include "models/naming.h"

/* The tensors of a checkpoint whose names share a prefix, without it, under torchvision's names, in PyTorch's
 * layouts. */
typedef struct net_group {
    const psal_tensor_map *checkpoint;
    const bool *hidden;    /* [tensors of the checkpoint] what the caller leaves out; not ours */
    char prefix[NET_NAME]; /* "" or ends in '.' */
    /* views of the checkpoint's, which must outlive them; only Keras' kernels are converted */
    psal_tensor_map *tensors;
    size_t *source; /* of entry i of `tensors`: which of the checkpoint's it is; SIZE_MAX: made here */
    bool is_keras;
    net_origin origin;
    char remarks[400]; /* on the last layers' names, for the user */
    bool doubtful;     /* and they tell of something that decides the answer */
} net_group;

/* Gather the tensors in front of whose names `prefix` stands (and which are not hidden), and the checkpoint's "psal.*"
 * metadata. Where two come to the same name the first stands (net_torch_name tells). Names that nobody knows stay as
 * they are. Understood are
 * - wrappers inside of names ("features.module.0.weight", "layer1._orig_mod.0.conv1.weight");
 * - DenseNet before torchvision 0.3: "denselayer1.norm.1.weight" for "denselayer1.norm1.weight";
 * - CIFAR ResNets' "shortcut" for "downsample";
 * - torchvision's transformers before 0.14: "mlp.linear_1" for "mlp.0";
 * - timm's VGG, whose hidden layers are convolutions over 7x7 and 1x1;
 * - Keras' ResNet-50/101/152, in its first names ("res2a_branch2a/kernel") and its later ones
 *   ("conv2_block1_1_conv/kernel"): kernels HWIO. */
psal_status net_group_open(net_group *group, const psal_tensor_map *checkpoint, const bool *hidden, const char *prefix,
                           psal_error *err);
void net_group_close(net_group *group); /* zeroed is fine */

/* Add one more, a view of the checkpoint's tensor `source` or of memory that outlives the group. */
psal_status net_group_add(net_group *group, const char *name, const psal_tensor *tensor, size_t source,
                          psal_error *err);

/* torchvision's name of a tensor called `name` in front of which no prefix stands any more: `name` itself, or written
 * to `text`. `shape` (may be NULL) is changed where the layouts differ. */
const char *net_torch_name(const char *name, bool is_keras, char text[NET_NAME], psal_shape *shape);

/* What the checkpoint calls entry `name` of the group: for messages. */
const char *net_original_name(const net_group *group, const char *name);

/* What of a name follows the components that it shares with a group's prefix. */
const char *net_behind_shared(const char *name, const char *prefix);

#endif
