/* recognise.h - which network a checkpoint's tensors belong to (internal to models/). */
#ifndef PSAL_MODELS_RECOGNISE_H
#define PSAL_MODELS_RECOGNISE_H

#include "models/arch.h"
#include "models/model.h"
#include "models/rename.h"

/* A network whose tensors are all in the checkpoint, in the right shapes (those out of the graph
 * may be missing). */
typedef struct net_recognised {
    const net_arch *arch;
    net_options options;
    net list; /* without graph; net_clear frees it */
} net_recognised;

/* Find architecture, width and classes of `tensors` (renamed, see rename.h); `wanted` (may be NULL)
 * is followed where set, then `tensors`' metadata, then `origin`, then torchvision's defaults. */
psal_status net_recognise(const psal_tensor_map *tensors, const psal_model_options *wanted, const net_origin *origin,
                          net_recognised *recognised, psal_error *err);

#endif
