/* floats.h - the numbers of a checkpoint's tensor, however they are stored (internal to models/). */
#ifndef PSAL_MODELS_FLOATS_H
#define PSAL_MODELS_FLOATS_H

#include "engine/tensor.h"

/* Whether weights may be stored so: of the floating-point types (psal_tensor_is_float) those that psal can compute
 * with. */
static inline bool net_is_weight(const psal_tensor *tensor) {
    return tensor->dtype <= PSAL_BF16;
}
psal_status net_refuse_type(const char *name, const psal_tensor *tensor, psal_error *err);

/* All elements, wherever the file put them, in memory for the caller to free; NULL when out of memory. */
float *net_floats(const psal_tensor *tensor);
double *net_doubles(const psal_tensor *tensor);
/* The same into memory of that many floats; false when out of memory. */
bool net_floats_to(const psal_tensor *tensor, float *values);
/* Whether all elements are `value`; false when out of memory. */
bool net_all_equal(const psal_tensor *tensor, double value);

#endif
