/* naming.h - what the names of a checkpoint's tensors say (internal to models/). */
#ifndef PSAL_MODELS_NAMING_H
#define PSAL_MODELS_NAMING_H

#include "engine/tensor.h"

#define NET_NAME 512 /* longer names stay as they are, longer prefixes are not looked for */

/* What a naming says about the network beside the tensors; 0 and NULL where it says nothing. */
typedef struct net_origin {
    const char *variant; /* "v1" */
    double bn_epsilon;
    const char *preprocess; /* "caffe" */
} net_origin;

#endif
