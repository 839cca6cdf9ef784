/* recognise.h - which network a checkpoint's tensors belong to (internal to models/). */
#ifndef PSAL_MODELS_RECOGNISE_H
#define PSAL_MODELS_RECOGNISE_H

#include "models/arch.h"
#include "models/model.h"
#include "models/rename.h"

/* An architecture held against the tensors at hand. */
typedef struct net_candidate {
    const net_arch *arch;
    net_options options;
    net list; /* without graph; net_clear frees it */
    /* tensors of the list: there in the right shape, and so on; those out of the graph may be missing */
    int right, missing, wrong;
    int first_missing, first_wrong; /* list indices; -1: none */
} net_candidate;

bool net_fits(const net_candidate *candidate);
/* Right tensors count for, all else against. */
int net_score(const net_candidate *candidate);

/* Find the architecture, width and classes that explain most of `tensors` (renamed, see rename.h): one that fits, else
 * the one that comes closest. `wanted` is followed where set, then `tensors`' metadata. Fails on what these say that
 * cannot be. */
psal_status net_recognise(const psal_tensor_map *tensors, const psal_model_options *wanted, net_candidate *best,
                          psal_error *err);

/* What shapes do not tell, where it fits: `wanted`, then the metadata, then `origin`, then torchvision's defaults. */
psal_status net_choose(net_candidate *candidate, const net_group *group, const psal_model_options *wanted,
                       psal_error *err);

/* Why the closest does not fit. `left_over` names tensors it does not use, or is "". */
psal_status net_does_not_fit(const net_candidate *best, const net_group *group, const psal_model_options *wanted,
                             const char *left_over, psal_error *err);

/* What torch.onnx.export must be told to keep the network's normalisations. */
#define NET_ONNX_KEPT "do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE"
/* Fails with the message that *err has, and the way out behind it: a network that psal does not know becomes an ONNX
 * file. */
psal_status net_point_to_onnx(psal_status status, psal_error *err);

/* A set of all names that the architectures' tensors have; NULL when out of memory. */
psal_tensor_map *net_known_names(void);
/* The list's names, for the caller to free; NULL when out of memory. */
psal_tensor_map *net_list_names(const net *list);

#endif
