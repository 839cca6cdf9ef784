/* kind_filters.h - the guilty filters of a kind of mistakes: more salient in its mistakes than in all others.
 *
 * Per entry of the profile, the mean standardized saliency of the kind's mistakes against that of the other mistakes
 * (single ones too), by Welch's t (Welch 1947), which lets both have variances of their own:
 *
 *   t = (m1 - m2) / sqrt(v1 / n1 + v2 / n2)      degrees of freedom by Satterthwaite (1946)
 *   p = P(T >= t) times the number of entries, at most 1 (Bonferroni's correction)
 *   d = (m1 - m2) / sqrt(((n1 - 1) v1 + (n2 - 1) v2) / (n1 + n2 - 2))      the effect's size (Cohen 1988) */
#ifndef PSAL_SALIENCY_KIND_FILTERS_H
#define PSAL_SALIENCY_KIND_FILTERS_H

#include "saliency/neighbors.h"

#define PSAL_KIND_FILTERS_LEVEL 0.05 /* of p: below, an entry counts as guilty */

typedef struct psal_kind_filter {
    int64_t entry;          /* of the profile; -1: there are no more */
    double inside, outside; /* m1, m2 */
    double t, p, d;
} psal_kind_filter;

typedef struct psal_kind_guilt {
    int64_t count;  /* entries with p below the level */
    int64_t median; /* the median of their numbers, the lower one of two: how deep they lie; -1: there are none */
} psal_kind_guilt;

/* Of samples[count] with kind[count] (0 .. kinds-1; -1: single): the `top` entries of the largest t of each kind into
 * filters[kinds][top], what there is with p below the level into guilt[kinds]. options: how profiles are compared
 * (similarity, mean, std, ranges). Not ranked: entries that do not vary, and everything where a kind, or what is not of
 * it, has fewer than two samples. Samples of a kind are read in their order, by one thread. */
psal_status psal_kind_filters(const psal_profile_source *source, const psal_neighbor_options *options,
                              const int64_t *samples, const int *kind, int64_t count, int kinds, int top,
                              psal_kind_filter *filters, psal_kind_guilt *guilt, psal_error *err);

#endif
