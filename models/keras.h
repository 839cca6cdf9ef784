/* keras.h - Keras' ResNets as torchvision's (internal to models/; see rename.h). */
#ifndef PSAL_MODELS_KERAS_H
#define PSAL_MODELS_KERAS_H

#include "models/rename.h"

bool net_is_keras_resnet(const psal_tensor_map *checkpoint);

/* Append the converted tensors to `map`, unknown ones as views under their own names. Fails on
 * kernels that are not 4-D (2-D in the classifier) and biases that do not fit their normalisation.
 */
psal_status net_rename_keras_resnet(const psal_tensor_map *checkpoint, psal_tensor_map *map, net_origin *origin,
                                    psal_error *err);

#endif
