/* prune.h - switching filters off, and what that does to a mistake (Levin et al. 2022, section 4: "turning off"). */
#ifndef PSAL_SALIENCY_PRUNE_H
#define PSAL_SALIENCY_PRUNE_H

#include "saliency/choose.h"
#include "saliency/classifier.h"
#include "saliency/edit.h"
#include "saliency/variants.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_prune_how {
    PSAL_PRUNE_WEIGHTS,   /* the filter's weights become 0; its normalisation still adds a constant */
    PSAL_PRUNE_CHANNEL,   /* the normalisation's scale and shift of the channel too, so that the channel is exactly 0
                           (where a normalisation belongs to it: psal_model_filter_norm); without one, its bias */
    PSAL_PRUNE_NOISE,     /* w <- w (1 + scale N(0,1)): in proportion to the weights */
    PSAL_PRUNE_NORMAL,    /* w <- w + scale N(0,1) */
    PSAL_PRUNE_ISOTROPIC, /* w <- w + scale |w| e / |e|, e of N(0,1): the original code's, any direction alike */
    PSAL_PRUNE_COUNT
} psal_prune_how;

const char *psal_prune_name(psal_prune_how how); /* "weights", "channel", "noise", "normal", "isotropic" */
bool psal_prune_is_noisy(psal_prune_how how);    /* whether weights are disturbed, not switched off */

/* Switch filters[k] (or rows: `units`) off in `edit` (on top of what it holds). scale and seed are for the noise only;
 * each filter has its own random numbers, which depend on the seed and the filter alone. */
psal_status psal_prune_filters(psal_edit *edit, const psal_model *model, psal_units units, psal_prune_how how,
                               const int64_t *filters, int64_t k, double scale, uint64_t seed, psal_error *err);

/* One sample, ready to be experimented on. */
typedef struct psal_prune_sample {
    const float *image;         /* [channels, height, width] */
    int label;                  /* the true class */
    const float *naive;         /* [psal_model_unit_count] */
    const double *standardized; /* [the same] */
    const float *change;        /* [the same] for PSAL_CHOICE_GRADIENT_WEIGHT (choose.h), else NULL is fine */
    uint64_t seed;              /* of its random choices; make it differ from sample to sample */
    const bool *live;           /* [the same], what may be chosen (choose.h); NULL: everything */
    psal_units units;           /* what its profile, and what is switched off, consists of */
} psal_prune_sample;

typedef struct psal_prune_options {
    psal_prune_how how;
    const psal_choice *choices;
    int choice_count;
    const int64_t *k; /* ascending */
    int k_count;
    int draws;                 /* of the random choices and of the noise; 0 means 1 */
    double scale;              /* of the noise */
    const float *const *right; /* images that are classified right by the whole network; may be NULL */
    const int *right_labels;
    int right_count;
    void (*step)(void *data); /* one variant more run on one image, for progress meters; may be NULL */
    void *step_data;
} psal_prune_options;

/* How many steps one experiment has: choices, k and draws, on the sample and on each right one. */
int64_t psal_prune_steps(const psal_prune_options *options);

/* What switching off did: averages over the draws. */
typedef struct psal_prune_result {
    double wrong;   /* change in the confidence of the class that was predicted (the runner-up for a right sample) */
    double truth;   /* change in the confidence of the true class */
    double correct; /* share of draws after which the prediction is the true class */
    double changed; /* share after which the prediction is another one */
    double dead;    /* filters among the k whose saliency is exactly zero */
    double broken;  /* share of the right samples that became wrong; 0 when there are none */
} psal_prune_result;

/* Switch off in `edit` (on top of what it holds) what draw number `draw` of the experiment below switches off for
 * options->choices[c] and options->k[i]: the network that is measured, to be saved. */
psal_status psal_prune_draw(psal_edit *edit, const psal_model *model, const psal_prune_sample *sample,
                            const psal_prune_options *options, int c, int i, int draw, psal_error *err);

/* Try every choice and k on one sample: results[choice_count][k_count]. before[num_classes] (may be NULL) gets the
 * confidences of the whole network. `worker` is of a classifier of one image at a time, best in parts, and `variants`
 * (may be NULL) belongs to it and to options->how: both give the same results, much sooner. Noise has no use for
 * `variants`, and rows none either. `edit` is reset before and after. */
psal_status psal_prune_experiment(const psal_model *model, psal_classifier_worker *worker,
                                  psal_variants_worker *variants, psal_edit *edit, const psal_prune_sample *sample,
                                  const psal_prune_options *options, double *before, psal_prune_result *results,
                                  psal_error *err);

typedef struct psal_mean {
    double mean, error; /* standard error: deviation (n - 1) / sqrt(n); NAN of a single value; both NAN of none */
} psal_mean;

/* Of values[0], values[stride], ... */
psal_mean psal_mean_error(const double *values, size_t count, size_t stride);

#ifdef __cplusplus
}
#endif

#endif
