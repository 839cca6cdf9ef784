/* keras_layers.h - Keras' layers as ONNX's operators (internal to models/).
 *
 * What Keras computes with channels last is computed with channels first: kernels are transposed once, and where the
 * order of the numbers matters (Flatten, Reshape) images are brought into Keras' order and back. Facts about the layers
 * are those of Keras' documentation (keras.io/api/layers); 'same' padding is TensorFlow's, of which the smaller half
 * is in front, and average pooling leaves padding out. */
#ifndef PSAL_MODELS_KERAS_LAYERS_H
#define PSAL_MODELS_KERAS_LAYERS_H

#include "engine/tensor.h"

/* The network that the checkpoint describes (PSAL_DESCRIPTION_KERAS), as a map of tensors with a description of ONNX
 * operators, for net_onnx_open. Parameters keep their names ("conv1/kernel") and are float32 in PyTorch's layout;
 * where a normalisation has no scale or no centre, ones and zeros stand for it, under the names they would have had.
 * Numbers are copied, so that the checkpoint may go. `remarks` tells of tensors that no layer takes, or is "".
 *
 * NULL with *err, which names layer and class, where a layer, or an attribute of it, is not among those psal has. */
psal_tensor_map *net_keras_translate(const psal_tensor_map *checkpoint, char remarks[300], psal_error *err);

/* Whether the layers are those of Keras' ResNets, as far as the tensors do not tell. */
bool net_keras_may_be_resnet(const psal_tensor_map *checkpoint);

#endif
