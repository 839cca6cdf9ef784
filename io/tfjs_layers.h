/* tfjs_layers.h - the layers of Keras' description of a network, and who reads whom. Internal to io/. */
#ifndef PSAL_IO_TFJS_LAYERS_H
#define PSAL_IO_TFJS_LAYERS_H

#include <jansson.h>

#include "engine/tensor.h"

/* Hang a description (engine/description.h, PSAL_DESCRIPTION_KERAS) on the map where the topology lists layers; of what
 * the layers mean nothing is known here. A value is called as the layer that makes it, "LAYER:1" from its second call
 * on, and inside of a network that is a layer itself "NETWORK/LAYER". What is no layer is one without class or without
 * inputs, for whoever reads the description to refuse. Fails on connections that cannot be: names twice, circles,
 * layers that do not exist. */
psal_status psal_tfjs_read_layers(json_t *topology, psal_tensor_map *map, psal_error *err);

#endif
