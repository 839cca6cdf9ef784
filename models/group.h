/* group.h - which of a checkpoint's tensors are the network that is meant (internal to models/). */
#ifndef PSAL_MODELS_GROUP_H
#define PSAL_MODELS_GROUP_H

#include "models/recognise.h"

/* A group of tensors that is a network. */
typedef struct net_found {
    net_group group;
    net_candidate candidate;
    char remarks[1000];  /* on prefixes and other networks, for the user */
    bool one_of_several; /* there are others, with other numbers, and nobody chose */
    bool doubtful;       /* the remarks tell of something that decides the answer */
} net_found;

/* A network is built from one group: the tensors whose names share a prefix, any prefix, found from the names. The
 * names as they are come first. Fails, and says what is missing and left over, when no group is a network; when several
 * are (unless the others are averages of the chosen one by their names, or wanted->prefix chooses); and when something
 * beside the chosen one may be part of it (leftover.h). */
psal_status net_find(const psal_tensor_map *checkpoint, const bool *hidden, const psal_model_options *wanted,
                     net_found *found, psal_error *err);

#endif
