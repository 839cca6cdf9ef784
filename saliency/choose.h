/* choose.h - which k filters to switch off or to correct: the most salient ones, and what they are compared with.
 *
 * Every choice of k filters begins with the choice of fewer (same seed), so that one call for the largest k serves all.
 * Filters that are not in the graph (Inception's auxiliary classifier) are never chosen, and those that cannot be
 * ranked (psal_saliency_live, psal_rankable) only with PSAL_CHOICE_ALL: live[psal_model_unit_count], NULL for all. What
 * is said of filters holds for rows alike (psal_units). */
#ifndef PSAL_SALIENCY_CHOOSE_H
#define PSAL_SALIENCY_CHOOSE_H

#include <stdbool.h>

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_choice {
    PSAL_CHOICE_SALIENT,            /* largest standardized saliency, the largest first */
    PSAL_CHOICE_RANDOM,             /* uniformly */
    PSAL_CHOICE_RANDOM_SAME_LAYERS, /* in each layer as many as the salient choice has there, at random */
    PSAL_CHOICE_LEAST,              /* smallest standardized saliency */
    PSAL_CHOICE_NAIVE,              /* largest naive saliency */
    PSAL_CHOICE_ALL,                /* every filter of the graph, live or not, in order; k must be all of them */
    PSAL_CHOICE_SALIENT_ABS,        /* largest magnitude of the standardized saliency, as the original code ranks */
    PSAL_CHOICE_LEAST_ABS,          /* smallest magnitude */
    PSAL_CHOICE_GRADIENT_WEIGHT,    /* without which the loss falls most, to first order: smallest `change` */
    PSAL_CHOICE_COUNT
} psal_choice;

const char *psal_choice_name(psal_choice choice); /* "salient", "random-same-layers", ... */
bool psal_choice_is_random(psal_choice choice);   /* whether `seed` matters */

/* How many filters, or rows, can be chosen. */
int64_t psal_choosable(const psal_model *model, psal_units units, const bool *live);

/* Choose k filters (or rows: `units`) into filters[k]. naive[psal_model_unit_count], standardized[the same] and
 * change[the same] (psal_saliency_options.gradient_weight, signed): NULL is fine for those that the choice does not go
 * by; `seed` for the random choices. Fails when k is larger than
 * psal_choosable, naming both. */
psal_status psal_choose(const psal_model *model, psal_units units, psal_choice choice, const float *naive,
                        const double *standardized, const float *change, const bool *live, uint64_t seed, int64_t k,
                        int64_t *filters, psal_error *err);

/* How many of the filters have exactly zero saliency: dead for this sample (their gradient is zero everywhere), so that
 * no gradient step changes them. */
int64_t psal_count_dead(const float *naive, const int64_t *filters, int64_t k);

#ifdef __cplusplus
}
#endif

#endif
