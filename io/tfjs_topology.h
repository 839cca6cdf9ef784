/* tfjs_topology.h - what Keras' description of a network says beside its weights. Internal to io/.
 */
#ifndef PSAL_IO_TFJS_TOPOLOGY_H
#define PSAL_IO_TFJS_TOPOLOGY_H

#include <jansson.h>

#include "engine/tensor.h"

/* Put the "keras..." metadata that psal_tfjs_read promises into `map`. A topology that is absent or
 * strange yields less of them, never an error; only too little memory does. */
psal_status psal_tfjs_describe(json_t *topology, psal_tensor_map *map, psal_error *err);

#endif
