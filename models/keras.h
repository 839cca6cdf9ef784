/* keras.h - Keras' ResNets as torchvision's (internal to models/; see rename.h). */
#ifndef PSAL_MODELS_KERAS_H
#define PSAL_MODELS_KERAS_H

#include "models/naming.h"

/* Whether only Keras' ResNets have a weight of this name. */
bool net_is_keras_name(const char *name);

/* torchvision's name, false where there is none. */
bool net_keras_name(const char *name, char text[NET_NAME]);

/* A tensor in PyTorch's layout: kernels are converted to float32 in memory that `owner` adopts, others stay as they
 * are. Fails on kernels that are not 4-D (2-D in the classifier) or not floating point. */
psal_status net_keras_layout(psal_tensor_map *owner, const char *name, psal_tensor *tensor, psal_error *err);

/* What the names, and the description of the network where there is one (io/tfjs.h), say beside the tensors. */
void net_keras_origin(const psal_tensor_map *checkpoint, net_origin *origin);

#endif
