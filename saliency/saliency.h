/* saliency.h - the method: parameter-space saliency profiles and input-space saliency of one sample.
 *
 * Levin, Shu, Borgnia, Huang, Goldblum, Goldstein, "Where do Models go Wrong? Parameter-Space Saliency Maps for
 * Explainability", NeurIPS 2022, arXiv 2108.01335.
 *
 *   profile           s_k = mean over the weights of filter k of |dL/dw|     (sections 3.1, 3.2: standardize.h)
 *   input saliency    d cos(s^, b) / dx for a fixed target profile b         (section 3.4)
 *
 * A psal_saliency holds the graph and the plan for one network, input size and set of options; it is read-only once
 * made. A psal_saliency_worker runs it: one for a single image with all threads inside the operations, or several, each
 * in its own thread, for a data set. */
#ifndef PSAL_SALIENCY_SALIENCY_H
#define PSAL_SALIENCY_SALIENCY_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_loss {
    PSAL_LOSS_CROSS_ENTROPY,   /* -log softmax(z)[label] */
    PSAL_LOSS_LOGIT,           /* z[label] */
    PSAL_LOSS_LOGIT_DIFFERENCE /* z[other] - z[label] */
} psal_loss;

typedef enum psal_aggregation {
    PSAL_AGGREGATION_FILTER,    /* mean over each filter of the 4-D weights: psal_model_info.filter_count entries */
    PSAL_AGGREGATION_ROW,       /* mean over the weights of each output of every convolution and linear layer: the rows
                                   of its weight (an ONNX file's matrix [inputs, outputs]: the columns) */
    PSAL_AGGREGATION_PARAMETER, /* every element of every parameter by itself */
    PSAL_AGGREGATION_TENSOR,    /* mean over each parameter tensor */
    PSAL_AGGREGATION_COUNT
} psal_aggregation;

/* What profiles of this aggregation have an entry for; of single parameters and tensors, which nobody switches off:
 * filters. */
static inline psal_units psal_aggregation_units(psal_aggregation aggregation) {
    return aggregation == PSAL_AGGREGATION_ROW ? PSAL_UNITS_ROWS : PSAL_UNITS_FILTERS;
}

typedef struct psal_saliency_options {
    int height, width; /* of the image; 0: the architecture's native size */
    psal_loss loss;
    psal_aggregation aggregation;
    bool is_signed;       /* keep the sign: mean of dL/dw instead of its magnitude */
    bool gradient_weight; /* instead |sum of w dL/dw| over each group; signed: -sum of w dL/dw, the change of the loss,
                             to first order, when all its weights become 0 */
    bool input_saliency;  /* also prepare psal_saliency_input */
    int threads;          /* inside one worker; 0 means 1 */
    size_t memory_limit;  /* bytes per worker, 0: none */
    psal_conv2d_settings conv;
    bool few_runs; /* a worker will see a few samples only (psal_plan_options) */
    bool lean;     /* less memory rather than the last percents of speed: for a worker per processor */
} psal_saliency_options;

/* Whether the loss says anything of the network: see psal_saliency_new. */
psal_status psal_loss_check(const psal_model *model, psal_loss loss, psal_error *err);

typedef struct psal_saliency psal_saliency;
typedef struct psal_saliency_worker psal_saliency_worker;

/* `model` must outlive the result. A network of one class has no cross-entropy (it is always 0) and no difference of
 * two logits: refused. */
psal_saliency *psal_saliency_new(const psal_model *model, const psal_saliency_options *options, psal_error *err);
void psal_saliency_free(psal_saliency *saliency); /* after its workers; NULL is fine */

int64_t psal_saliency_length(const psal_saliency *saliency); /* entries of a profile */
size_t psal_saliency_memory(const psal_saliency *saliency);  /* bytes that each worker allocates */
int psal_saliency_height(const psal_saliency *saliency);
int psal_saliency_width(const psal_saliency *saliency);
size_t psal_saliency_image_size(const psal_saliency *saliency); /* channels x height x width */

/* One entry group of the profile per parameter tensor that takes part: where it starts and how many entries it has. */
typedef struct psal_profile_layer {
    int parameter; /* index for psal_model_get_parameter */
    int64_t first;
    int64_t count;
} psal_profile_layer;

int psal_saliency_layer_count(const psal_saliency *saliency);
const psal_profile_layer *psal_saliency_layers(const psal_saliency *saliency);

/* Which entries ever get a gradient: live[psal_saliency_length] is false for filters that are not in the graph
 * (Inception's auxiliary classifier) and for those whose normalisation has the scale 0 for them (a tensor: for all of
 * its filters). */
void psal_saliency_live(const psal_saliency *saliency, bool *live);

psal_saliency_worker *psal_saliency_worker_new(const psal_saliency *saliency, psal_error *err);
void psal_saliency_worker_free(psal_saliency_worker *worker); /* NULL is fine */

/* From now on run with other values of some parameters: values[i] stands in for parameter i where it is not NULL, and
 * stays where it is while it is used. NULL: the model's own again. What psal_saliency_live says is of these. */
psal_status psal_saliency_set_values(psal_saliency_worker *worker, const float *const *values, psal_error *err);

/* Run the network forward only: logits[num_classes] are readable with psal_saliency_logits afterwards. For callers that
 * choose the label by the prediction, and go on with psal_saliency_profile_forwarded. */
psal_status psal_saliency_forward(psal_saliency_worker *worker, const float *image, psal_error *err);
const float *psal_saliency_logits(const psal_saliency_worker *worker); /* [num_classes], until the next run */

/* The profile of one sample: image[channels, height, width] preprocessed, kept by the caller until psal_saliency_input
 * is done; label 0 .. num_classes-1 (`other` only for the logit difference); profile[psal_saliency_length] is written.
 * Refused when a logit or a saliency is not finite. */
psal_status psal_saliency_profile(psal_saliency_worker *worker, const float *image, int label, int other,
                                  float *profile, psal_error *err);
/* The same for the image of the psal_saliency_forward just before, which is not run again. Refused when the worker's
 * last run was another one: each forward pass serves one profile, whose memory takes its place. */
psal_status psal_saliency_profile_forwarded(psal_saliency_worker *worker, int label, int other, float *profile,
                                            psal_error *err);
float psal_saliency_loss(const psal_saliency_worker *worker); /* L of the last profile */

/* Input-space saliency of the sample just profiled: gradient[channels, height, width] = d cos(s^, target) / dx with
 * s^ = (s - shift) / scale, entry by entry; target, shift and scale have psal_saliency_length entries (shift NULL:
 * zeros, scale NULL: ones). Once per profile. PSAL_ERR_NUMERIC, saying why, where there is no such map: the profile or
 * the target is all zeros, the target points where the profile does (the cosine is 1 whatever the pixels are, or -1),
 * or its gradient is 0 at every pixel or not finite. Norms are taken in double, so that no epsilon is needed beside
 * them. */
psal_status psal_saliency_input(psal_saliency_worker *worker, const double *shift, const double *scale,
                                const double *target, float *gradient, float *cosine, psal_error *err);

/* The two halves of psal_saliency_input, for profiles that are put together of several: across[n] = dm/ds^ of m =
 * cos(s^, target), refused as above; it may take the place of standardized[n]. And gradient[channels, height, width] =
 * d <direction, s> / dx of the sample just profiled, direction[psal_saliency_length] held fixed, once per profile. */
psal_status psal_saliency_cosine(int64_t n, const double *standardized, const double *target, double *across,
                                 double *cosine, psal_error *err);
psal_status psal_saliency_along(psal_saliency_worker *worker, const double *direction, float *gradient,
                                psal_error *err);

/* Where the time went (plan.h), for --profile-ops. */
psal_workspace *psal_saliency_workspace(psal_saliency_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
