/* ablate.h - do rankings of filters predict what happens when a filter is switched off?
 *
 * Filters of one sample are drawn from all heights of its ranking, each is switched off alone, and what that does is
 * compared with what the scores of the filters promise. That is how attributions to a network's components are judged
 * in Shah, Ilyas & Madry 2024 (arXiv 2404.11534), section 3. */
#ifndef PSAL_SALIENCY_ABLATE_H
#define PSAL_SALIENCY_ABLATE_H

#include "saliency/finetune.h"
#include "saliency/prune.h"
#include "saliency/variants.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of a filter before it is switched off; g = dL/dw for the cross-entropy of the true class. */
typedef enum psal_score {
    PSAL_SCORE_NAIVE,           /* mean |g| over its weights */
    PSAL_SCORE_STANDARDIZED,    /* the same, standardized */
    PSAL_SCORE_SIGNED,          /* mean g */
    PSAL_SCORE_GRADIENT_WEIGHT, /* -sum g w: the change of the loss, to first order, when all w become 0 */
    PSAL_SCORE_POT, /* peaks over threshold (tail.h): the caller's to fill in, where there are such statistics */
    PSAL_SCORE_COUNT
} psal_score;

const char *psal_score_name(psal_score score); /* "naive", "standardized", "signed", "gradient-weight", "pot" */

/* What came of it. Where only the size of a change is asked for, so is only the size of the scores that have a sign for
 * it: |signed| and |gradient-weight|. A standardized score below 0 stays what it is: few. */
typedef enum psal_effect {
    PSAL_EFFECT_LOSS,       /* change of the loss, after - before */
    PSAL_EFFECT_LOSS_SIZE,  /* its absolute value */
    PSAL_EFFECT_LOGIT,      /* change of the wrong class's logit, after - before */
    PSAL_EFFECT_LOGIT_SIZE, /* its absolute value */
    PSAL_EFFECT_COUNT
} psal_effect;

const char *psal_effect_name(psal_effect effect); /* "loss", "loss-size", "wrong-logit", "wrong-logit-size" */

/* One filter (or row). */
typedef struct psal_ablation {
    int64_t unit, rank; /* its number in the network; its place, from 1, among all that can be ranked */
    double score[PSAL_SCORE_COUNT];
    double loss, logit; /* changes */
} psal_ablation;

/* Draw n units of model's `units`, one from each of n strata of the ranking by `standardized` of those that are live
 * (naive, standardized, live: as in choose.h). Stratum i holds the ranks from i N / n to before (i + 1) N / n of the N
 * that can be chosen. ablations[n] get unit and rank, the highest first. More than N, or none, is refused. */
psal_status psal_ablate_draw(const psal_model *model, psal_units units, const bool *live, const float *naive,
                             const double *standardized, uint64_t seed, int64_t n, psal_ablation *ablations,
                             psal_error *err);

/* The scores of ablations[n] but for PSAL_SCORE_POT, whose units are set; `sample` as for pruning. */
psal_status psal_ablate_score(const psal_model *model, psal_tuner_worker *tuner, const psal_prune_sample *sample,
                              psal_ablation *ablations, int64_t n, psal_error *err);

/* Switch each of ablations[n] off alone (`how`: weights or channel) and measure what that does to the sample. The wrong
 * class is the predicted one, or the runner-up where the prediction is right. `worker` and `variants` as in
 * psal_prune_experiment: of one image at a time, and NULL where units are rows. `edit` is reset before and after. */
psal_status psal_ablate_run(const psal_model *model, psal_classifier_worker *worker, psal_variants_worker *variants,
                            psal_edit *edit, const psal_prune_sample *sample, psal_prune_how how,
                            psal_ablation *ablations, int64_t n, psal_error *err);

/* Rank correlations of a score with an effect over ablations[n]; NAN where one of them has no order. */
typedef struct psal_agreement {
    double spearman, kendall;
} psal_agreement;

psal_status psal_ablate_agreement(const psal_ablation *ablations, int64_t n, psal_score score, psal_effect effect,
                                  psal_agreement *agreement, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
