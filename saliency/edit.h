/* edit.h - a set of changed filters over a model that itself stays as it is.
 *
 * Pruning and fine-tuning write into an edit; a classifier or tuner runs the network with its values in the place of
 * the model's; psal_model_export and psal_edit_delta turn it into files. One edit belongs to one thread, the model is
 * shared. */
#ifndef PSAL_SALIENCY_EDIT_H
#define PSAL_SALIENCY_EDIT_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_edit psal_edit;

/* An edit that changes nothing. `model` must outlive it. */
psal_edit *psal_edit_new(const psal_model *model, psal_error *err);
void psal_edit_free(psal_edit *edit); /* NULL is fine */

/* Undo everything; the memory is kept for the next changes. */
void psal_edit_reset(psal_edit *edit);

/* The weights of one output of a layer: values[j * stride] for j from 0 to length-1. */
typedef struct psal_edit_weights {
    float *values;
    int64_t length, stride;
} psal_edit_weights;

/* The weights of output `row` (psal_parameter_outputs) of parameter `parameter`, to be changed in place: they hold the
 * model's values or what was written before. Valid until the edit is freed. The first row of a parameter copies that
 * whole parameter. */
psal_status psal_edit_row(psal_edit *edit, int parameter, int64_t row, psal_edit_weights *weights, psal_error *err);
/* The same for filter, or row, number `unit` of the network. */
psal_status psal_edit_unit(psal_edit *edit, psal_units units, int64_t unit, psal_edit_weights *weights,
                           psal_error *err);

/* Values of each parameter [psal_model_parameter_count]: NULL where nothing was changed. For psal_model_export and
 * psal_classifier_run; follows later changes. */
const float *const *psal_edit_values(const psal_edit *edit);

typedef struct psal_edit_size {
    int64_t rows;     /* filters and vector elements asked for with psal_edit_row */
    int64_t elements; /* numbers in them */
    double change;    /* L2 norm of the difference from the model */
    double relative;  /* the same divided by the norm that these rows have in the model; 0 when both are 0 */
} psal_edit_size;

psal_edit_size psal_edit_measure(const psal_edit *edit);

/* PSAL_ERR_NUMERIC naming the parameter when an edited value is NaN or infinite. */
psal_status psal_edit_check(const psal_edit *edit, psal_error *err);

/* The edit as the tensors and metadata of delta.h. */
psal_tensor_map *psal_edit_delta(const psal_edit *edit, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
