/* finetune.h - gradient steps on one sample that change only chosen filters (Levin et al. 2022, section 4).
 *
 * The network is in evaluation mode, the loss is the cross-entropy, and only weights of the chosen filters, or rows,
 * change (psal_units; no biases):
 *
 *   w <- w - rate dL/dw                      (plain SGD, as torch.optim.SGD without momentum)
 *
 * A psal_tuner is read-only once made and shared by its workers, one per thread. */
#ifndef PSAL_SALIENCY_FINETUNE_H
#define PSAL_SALIENCY_FINETUNE_H

#include "saliency/classifier.h"
#include "saliency/edit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_tuner psal_tuner;
typedef struct psal_tuner_worker psal_tuner_worker;

/* `model` must outlive the result; options->batch is ignored, it is one image. Each worker holds the gradients of all
 * filters (94 MB for ResNet-50) or rows (346 MB for ViT-B/16) beside the activations. */
psal_tuner *psal_tuner_new(const psal_model *model, psal_units units, const psal_classifier_options *options,
                           psal_error *err);
void psal_tuner_free(psal_tuner *tuner); /* after its workers; NULL is fine */
psal_tuner_worker *psal_tuner_worker_new(const psal_tuner *tuner, psal_error *err);
void psal_tuner_worker_free(psal_tuner_worker *worker); /* NULL is fine */

/* Compute dL/dw of all filters for image[channels, height, width] and its label; values as in psal_classifier_run.
 * *loss (may be NULL) gets L. The gradients stay until the next call. */
psal_status psal_tuner_gradient(psal_tuner_worker *worker, const float *image, int label, const float *const *values,
                                double *loss, psal_error *err);
/* The gradient of one filter (or row): *length numbers, each *stride behind the one before, as psal_edit_weights. NULL
 * for what is not in the graph. */
const float *psal_tuner_filter_gradient(const psal_tuner_worker *worker, int64_t filter, int64_t *length,
                                        int64_t *stride);

typedef struct psal_step {
    bool relative; /* size is the L2 norm of the change, as a fraction of the norm of the chosen filters' weights */
    double size;   /* the learning rate, or that fraction */
} psal_step;

/* One step on filters[k] (each at most once), from what `edit` holds, with the gradients computed last. *rate (may be
 * NULL) gets the learning rate: for a relative step size * |w| / |g|, and 0 (no change) when g is all zeros. Refused
 * when a value becomes NaN or infinite. */
psal_status psal_tuner_step(const psal_tuner_worker *worker, psal_edit *edit, const int64_t *filters, int64_t k,
                            psal_step step, double *rate, psal_error *err);

/* The same along gradients that the caller holds: of filters[0], then of filters[1], ... (psal_tuner_add_gradient). */
psal_status psal_tuner_step_along(const psal_tuner_worker *worker, psal_edit *edit, const int64_t *filters, int64_t k,
                                  const double *gradient, psal_step step, double *rate, psal_error *err);
/* How many numbers the gradients of filters[k] are. */
int64_t psal_tuner_lengths(const psal_tuner *tuner, const int64_t *filters, int64_t k);
/* sum[psal_tuner_lengths] += factor times the gradients computed last: for the mean over several samples. */
void psal_tuner_add_gradient(const psal_tuner_worker *worker, const int64_t *filters, int64_t k, double factor,
                             double *sum);

typedef struct psal_search_result {
    bool found;
    int64_t k;       /* filters used: the first k of those offered */
    double relative; /* size of the step */
    int tries;       /* forward passes spent */
} psal_search_result;

/* The smallest single step from the model's own weights that makes the prediction for `image` the label: few filters
 * first, then larger steps. k is doubled until the first k of filters[most] correct the sample with a relative step of
 * at most `largest` (tried at largest/128, largest/64, ... largest), then halved back between the last two; then the
 * step between the last one that fails and the first that succeeds is bisected to a sixteenth of that interval. `edit`
 * holds the result, and nothing when none is found. Needs the gradients of the model's own weights (psal_tuner_gradient
 * with NULL). */
psal_status psal_tune_until_correct(const psal_tuner_worker *worker, psal_classifier_worker *classifier,
                                    psal_edit *edit, const float *image, int label, const int64_t *filters,
                                    int64_t most, double largest, psal_search_result *result, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
