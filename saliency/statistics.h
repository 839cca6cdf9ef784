/* statistics.h - mean and standard deviation of the naive saliency over a data set, entry by entry.
 *
 * In files they are tensors "mean" and "std" (float64 or float32, [length]) with metadata saying what they belong to:
 * those that psal-stats writes (.safetensors) as well as the original authors' (.pth, which hold nothing else). */
#ifndef PSAL_SALIENCY_STATISTICS_H
#define PSAL_SALIENCY_STATISTICS_H

#include "engine/tensor.h"
#include "saliency/computation.h"
#include "saliency/saliency.h"
#include "saliency/standardize.h"
#include "saliency/tail.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_statistics {
    int64_t length;
    double *mean, *std;           /* [length]; std unbiased (divided by count - 1) */
    psal_tail *tail;              /* NULL: the file has none, and PSAL_MODE_POT nothing to score by */
    int64_t count;                /* samples; 0 where the file does not say */
    psal_computation computation; /* what they were computed with, as far as the file says */
} psal_statistics;

/* Copy the statistics out of a file's tensors. Fails when mean or std is missing, they are not vectors of one length,
 * or hold negative deviations or values that are not finite. What the file says of itself is taken as it stands
 * there. */
psal_statistics *psal_statistics_from_tensors(const psal_tensor_map *tensors, psal_error *err);
/* The same as tensors, to be written as a file. */
psal_tensor_map *psal_statistics_to_tensors(const psal_statistics *statistics, psal_error *err);
psal_statistics *psal_statistics_new(int64_t length, psal_error *err); /* zeros */
void psal_statistics_free(psal_statistics *statistics);                /* NULL is fine */

/* Refuse statistics that do not belong to what is computed `here` (both records canonical): their length always, the
 * network, its preprocessing, aggregation, loss, sign and normalization where the file says. That the weights differ
 * (another training of the same architecture, e.g. the published statistics) is no error: a line in note[768], as where
 * the file (of the original authors, or of an earlier version) does not say something; else "". */
psal_status psal_statistics_check(const psal_statistics *statistics, const psal_computation *here, int64_t length,
                                  char note[768], psal_error *err);
/* 64 bits that tell these means, deviations and tails from others. */
uint64_t psal_statistics_fingerprint(const psal_statistics *statistics);

/* Profiles measured against a data set, in any mode; statistics may be NULL for PSAL_MODE_NAIVE. As psal_standardize,
 * psal_standardize_map and psal_rankable; PSAL_MODE_POT as psal_tail_score, psal_tail_map, for which alone the map
 * depends on the profile, and psal_tail_rankable. */
psal_status psal_statistics_standardize(const psal_statistics *statistics, psal_mode mode, int64_t n,
                                        const float *naive, double *standardized, psal_error *err);
psal_status psal_statistics_map(const psal_statistics *statistics, psal_mode mode, int64_t n, const float *naive,
                                double *shift, double *scale, psal_error *err);
void psal_statistics_rankable(const psal_statistics *statistics, psal_mode mode, int64_t n, const float *naive,
                              bool *live);

/* Names of the enumerations, as in files and on the command line. */
const char *psal_loss_name(psal_loss loss);
const char *psal_aggregation_name(psal_aggregation aggregation);
const char *psal_aggregation_plural(psal_aggregation aggregation); /* "filters": what profiles have so many of */
bool psal_aggregation_parse(const char *name, psal_aggregation *aggregation); /* false: there is none of this name */

#ifdef __cplusplus
}
#endif

#endif
