/* depth.h - saliency by depth: in which layers the most salient filters of many samples lie (Levin et al. 2022,
 * appendix: the samples are mistakes there, each standardized by the statistics of the whole data set). */
#ifndef PSAL_SALIENCY_DEPTH_H
#define PSAL_SALIENCY_DEPTH_H

#include "saliency/neighbors.h"
#include "saliency/saliency.h"
#include "saliency/standardize.h"
#include "saliency/statistics.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_depth_options {
    /* as long as the profiles; with `normalized`, each profile is divided by its L2 norm first */
    const psal_statistics *statistics;
    psal_mode mode;
    int64_t k;                        /* the most salient entries of each sample, at least 1 */
    const psal_profile_layer *layers; /* covering all entries, in order */
    int layer_count;
    int threads; /* 0 means 1 */
} psal_depth_options;

/* counts[layer_count]: of the k most salient entries of each of the samples[count] (numbers in the source), how many
 * lie in each layer; together k times count, less where fewer than k entries can be ranked (psal_rankable). Fails with
 * PSAL_ERR_NUMERIC naming the sample when a profile is not finite. Memory: a profile per thread. */
psal_status psal_depth_count(const psal_profile_source *source, const int64_t *samples, int64_t count,
                             const psal_depth_options *options, int64_t *counts, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
