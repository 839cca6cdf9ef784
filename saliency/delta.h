/* delta.h - edited weights: a set of changed filters, to be kept, applied, or exported as a whole checkpoint.
 *
 * As tensors, a delta holds for every changed parameter P: "P.filters" (int64 [n], filter numbers within P, ascending)
 * and "P.values" (float32 [n, ...]: the new values of those filters, replacing the old ones), and metadata
 * "psal.format" = "delta", "psal.arch", "psal.fingerprint" (of the weights it was made from), and what else its maker
 * writes of what was computed (computation.h). The filters of other parameters are the outputs of a linear layer (of a
 * matrix [inputs, outputs] the columns, values are [n, inputs]), and the elements of a vector. */
#ifndef PSAL_SALIENCY_DELTA_H
#define PSAL_SALIENCY_DELTA_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The shape of a delta's values for `count` filters of the parameter. */
psal_shape psal_delta_shape(const psal_model_parameter *parameter, int64_t count);

/* Replace the values of the model's filters by the delta's, in a copy that the model owns. Refuses a delta that was
 * made from other weights or another architecture, that names unknown parameters, that holds other tensors besides, or
 * that has wrong shapes or values; the model is then unchanged. */
psal_status psal_delta_apply(const psal_tensor_map *delta, psal_model *model, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
