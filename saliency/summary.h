/* summary.h - what a data set's profiles add up to: statistics, means of groups, and a record of every sample.
 *
 * A summary covers the samples first .. end-1 of a data set and has taken those below `next`; it is what is saved to go
 * on later, what parts computed elsewhere are joined as, and what the statistics file is made from. */
#ifndef PSAL_SALIENCY_SUMMARY_H
#define PSAL_SALIENCY_SUMMARY_H

#include "saliency/dataset_run.h"
#include "saliency/reference_set.h"
#include "saliency/statistics.h"
#include "saliency/welford.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_group {
    PSAL_GROUP_ALL,       /* of the reference set */
    PSAL_GROUP_CORRECT,   /* classified as labelled */
    PSAL_GROUP_INCORRECT, /* not; profiles for the true label */
    PSAL_GROUP_PREDICTED, /* the same samples; profiles for the predicted label, where computed */
    PSAL_GROUP_COUNT
} psal_group;

/* Longer profiles (every parameter by itself) have no means of groups: they would take gigabytes. */
#define PSAL_SUMMARY_GROUPS (1 << 20)

typedef struct psal_summary {
    int64_t length; /* of a profile */
    int64_t first, next, end;
    bool normalized; /* profiles are divided by their L2 norm before they are added */
    /* what the statistics are made of, to be set before samples are taken; the other groups have all samples */
    psal_reference_set only;
    /* only that of all samples (others NULL) when length > PSAL_SUMMARY_GROUPS */
    psal_welford *groups[PSAL_GROUP_COUNT];
    psal_sample_result *records; /* of the samples first .. next-1 */
    int64_t record_capacity;     /* as many fit; grows with the samples taken, since `end` may come from a file */
    float *scratch;              /* [length] */
} psal_summary;

psal_summary *psal_summary_new(int64_t length, int64_t first, int64_t end, bool normalized, psal_error *err);
void psal_summary_free(psal_summary *summary); /* NULL is fine */

/* Take sample number `next`: as from psal_dataset_run.take; profile NULL for a skipped one. */
psal_status psal_summary_add(psal_summary *summary, const psal_sample_result *sample, const float *profile,
                             const float *predicted, psal_error *err);
/* Append a complete summary of the same reference set that begins where this one, also complete, ends. */
psal_status psal_summary_append(psal_summary *summary, const psal_summary *behind, psal_error *err);

int64_t psal_summary_count(const psal_summary *summary);   /* profiles in the statistics: of the reference set */
int64_t psal_summary_good(const psal_summary *summary);    /* profiles, in the reference set or not */
int64_t psal_summary_correct(const psal_summary *summary); /* of these, classified as labelled */
int64_t psal_summary_skipped(const psal_summary *summary); /* samples without a profile */

/* 1 - cosine of the mean profiles of right samples and of the group, PSAL_GROUP_INCORRECT or PSAL_GROUP_PREDICTED; NaN
 * where there is none of either. */
double psal_summary_distance(const psal_summary *summary, psal_group group);

/* The whole state as tensors ("all.mean", "all.m2", ..., "record.label", ...), exact. */
psal_status psal_summary_to_tensors(const psal_summary *summary, psal_tensor_map *map, psal_error *err);
/* Fails when something is missing, or is nothing that psal_summary_to_tensors writes: sums that no float32 profiles
 * have, counts that are not those of the records. */
psal_summary *psal_summary_from_tensors(const psal_tensor_map *map, psal_error *err);

/* Whether statistics can be made: of two samples at least, of one where no deviations are asked for. */
psal_status psal_summary_suffices(const psal_summary *summary, bool deviations, psal_error *err);
/* Put mean and deviation of all samples into statistics->mean, std and count; the group means that have samples into
 * `map` as tensors "mean.correct", "mean.incorrect", "mean.predicted" (float64 [length]) with their numbers as metadata
 * ("psal.correct", "psal.incorrect", "psal.skipped"), "psal.accuracy" and, where there are both groups,
 * "psal.distance.incorrect" and "psal.distance.predicted" (psal_summary_distance).
 * Either may be NULL. Fails where the samples do not suffice and when a number is not finite. Of
 * statistics->computation, sets that they are normalized. */
psal_status psal_summary_finish(const psal_summary *summary, psal_statistics *statistics, psal_tensor_map *map,
                                psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
