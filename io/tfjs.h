/* tfjs.h - TensorFlow.js layers models: model.json beside binary shards.
 *
 * model.json holds Keras' description of the network (modelTopology) and a list of groups (weightsManifest); a group's
 * shards, one after the other, are its weights, one after the other (tfjs-core, io/types.ts: WeightsManifestConfig).
 * Weights may be quantised: value = stored * scale + min (tfjs-core, io/io_utils.ts: decodeWeights). */
#ifndef PSAL_IO_TFJS_H
#define PSAL_IO_TFJS_H

#include "engine/tensor.h"

/* Read the model whose model.json, or whose folder with a model.json, is `path`: every weight under its Keras name
 * ("conv1/kernel") in Keras' layout (convolution kernels height, width, in, out). Unquantised weights are read-only
 * views into the mapped shards where they lie whole and aligned in one; quantised ones become float32. Shards must lie
 * in or below the model's folder and together be exactly as long as the weights.
 *
 * Metadata, where the topology tells: "format" = "tfjs-layers", "keras.model" (the model's name), "keras.class"
 * ("Model", "Functional", "Sequential"), "keras.version", "keras.layers" (name and class of each, "conv1 Conv2D\n..."),
 * "keras.strides" ("res3a_branch2a 2x2\n...", of the convolutions whose stride is not 1x1), and
 * "keras.batch_norm_epsilon" when all normalisations share one.
 *
 * The topology's layers, and who reads whom, are the map's description (tfjs_layers.h) where each of them has a class
 * and a name.
 *
 * NULL with an *err that names the file and the weight, or the layer. */
psal_tensor_map *psal_tfjs_read(const char *path, psal_error *err);

#endif
