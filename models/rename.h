/* rename.h - other programs' names for the same tensors (internal to models/). */
#ifndef PSAL_MODELS_RENAME_H
#define PSAL_MODELS_RENAME_H

#include "engine/tensor.h"

/* What a naming says about the network beside the tensors; 0 and NULL where it says nothing. */
typedef struct net_origin {
    const char *variant; /* "v1" */
    double bn_epsilon;
    const char *preprocess; /* "caffe" */
} net_origin;

/* The tensors of `checkpoint` under torchvision's names and in PyTorch's layouts, with its "psal.*"
 * metadata, as a new map for the caller to free. Tensors are views of the checkpoint's, which must
 * outlive the map; only Keras' are converted into the map's own memory. Names that nobody knows
 * stay as they are. Understood are
 * - "module." (DataParallel), "model.", "state_dict.", "_orig_mod." and "net." in front;
 * - DenseNet before torchvision 0.3: "denselayer1.norm.1.weight" for "denselayer1.norm1.weight";
 * - timm's VGG, whose hidden layers are convolutions over 7x7 and 1x1;
 * - Keras' ResNet-50/101/152, in its first names ("res2a_branch2a/kernel") and its later ones
 *   ("conv2_block1_1_conv/kernel"): kernels HWIO, convolutions with a bias, which is folded into
 * the running mean of the normalisation that follows: (x + b) - mean = x - (mean - b). */
psal_tensor_map *net_rename(const psal_tensor_map *checkpoint, net_origin *origin, psal_error *err);

#endif
