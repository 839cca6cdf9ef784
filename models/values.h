/* values.h - the numbers in a checkpoint's tensors as the network needs them (internal to models/). */
#ifndef PSAL_MODELS_VALUES_H
#define PSAL_MODELS_VALUES_H

#include "models/floats.h"
#include "models/model_internal.h"

/* The bias of the convolution that list entry `weight` is of, where the network has none: its name, if `tensors` has
 * such a tensor, else NULL. */
const char *net_extra_bias(const net *list, int weight, const psal_tensor_map *tensors, char name[NET_NAME]);

/* Point every entry of model->list at float32 values in model->group, which are floating point (leftover.h): the
 * checkpoint's own where they can be used as they are, else converted; zeros where there are none. Extra biases are
 * folded into the running means of the normalisations that take the convolutions' output, in copies: (x + bias) - mean
 * = x - (mean - bias). *folded: how many. */
psal_status net_take_values(psal_model *model, int *folded, psal_error *err);
/* All values are finite, and variances not negative. */
psal_status net_check_values(const psal_model *model, psal_error *err);

#endif
