/* Changing a model's values: the original stays as it was in the checkpoint, the model gets a copy of its own. */
#include <stdlib.h>
#include <string.h>

#include "models/model_internal.h"

psal_status psal_model_set_parameter(psal_model *model, int index, const float *values, psal_error *err) {
    if (index < 0 || index >= model->parameter_count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "parameter %d: the model has 0 to %d", index,
                         model->parameter_count - 1);
    psal_model_parameter *parameter = &model->parameters[index];
    net_values *entry = &model->values[model->entry_of_parameter[index]];
    size_t bytes = (size_t)psal_shape_count(&parameter->shape) * sizeof(float);
    float *copy = malloc(bytes);
    if (!copy) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for '%s'", parameter->name);
    memcpy(copy, values, bytes);
    free(entry->owned);
    entry->owned = copy;
    entry->values = copy;
    entry->absent = false;
    parameter->values = copy;
    return PSAL_OK;
}
