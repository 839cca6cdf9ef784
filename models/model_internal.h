/* model_internal.h - what a psal_model holds (internal to models/). */
#ifndef PSAL_MODELS_MODEL_INTERNAL_H
#define PSAL_MODELS_MODEL_INTERNAL_H

#include "models/arch.h"
#include "models/model.h"
#include "models/onnx.h"
#include "models/rename.h"

/* The values of one entry of the list. */
typedef struct net_values {
    const float *values; /* in the tensors' map, or `owned` */
    float *owned;        /* converted, or zeros; NULL: none */
    bool absent;         /* the checkpoint does not have it */
} net_values;

struct psal_model {
    psal_model_info info;
    net_onnx *onnx;              /* whose architecture it is; NULL: one of the table */
    psal_tensor_map *translated; /* what that is made of, where the file describes Keras' layers; NULL: the file */
    const net_arch *arch;
    net_options options;
    net_group group;    /* the checkpoint's tensors under torchvision's names */
    net list;           /* parameters and running statistics, in the order of state_dict() */
    net_values *values; /* of list entry i */

    psal_model_parameter *parameters;
    int parameter_count;
    int *parameter_of_entry; /* of list entry i, -1: a running statistic */
    int *entry_of_parameter;
    int *parameter_of_unit[PSAL_UNITS_COUNT];
    int unit_count[PSAL_UNITS_COUNT];
};

/* The metadata that lets psal_model_load recognise a network of this kind. */
psal_status net_write_metadata(psal_tensor_map *map, const net_arch *arch, const net_options *options, psal_error *err);

#endif
