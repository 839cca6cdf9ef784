/* neighbors.h - nearest neighbours in saliency space: which other samples go wrong for the same reason?
 *
 * Samples are compared by the cosine of their standardized profiles s^ = (s - mean) / std (Levin et al. 2022, section
 * 4.3):
 *
 *   cosine      cos(s^_a, s^_b), as in the paper
 *   pearson     each s^ minus its own mean over the compared entries, then the cosine: Pearson's correlation
 *   normalized  each naive profile divided by its L2 norm (over all entries) before it is standardized, with statistics
 *               of profiles divided like that; then the cosine. The size of the loss no longer counts.
 *   roots       Pearson's correlation of the square roots of naive profiles, standardized with statistics of such
 *               roots. Naive saliencies are positive with a long upper tail, and a few entries many deviations above
 *               their means decide a correlation of s^; roots have short tails. Not for signed profiles.
 *
 * The search is exact: every candidate is compared in float32 by a matrix product, and the best of them again in double
 * precision, so many that no other candidate can belong to the answer. Samples of equal similarity come in the order of
 * their numbers. A profile of length zero has similarity 0 to everything. Results have the same bits for any number of
 * threads. Profiles come from a source in blocks; memory is about 100 MB for ResNet-50 whatever the number of
 * samples. */
#ifndef PSAL_SALIENCY_NEIGHBORS_H
#define PSAL_SALIENCY_NEIGHBORS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the naive profiles come from: a file (io/profile_store.h), or memory. */
typedef struct psal_profile_source {
    int64_t samples, length;
    /* Entries first .. first+count-1 of a sample's naive profile. Called by several threads at once. */
    void (*read)(const void *context, int64_t sample, int64_t first, int64_t count, float *out);
    /* Samples first .. first+count-1 are not needed for now; may be NULL. */
    void (*release)(const void *context, int64_t first, int64_t count);
    const void *context;
} psal_profile_source;

typedef enum psal_similarity {
    PSAL_SIMILARITY_COSINE,
    PSAL_SIMILARITY_PEARSON,
    PSAL_SIMILARITY_NORMALIZED,
    PSAL_SIMILARITY_ROOTS
} psal_similarity;

const char *psal_similarity_name(psal_similarity similarity); /* "cosine", "pearson", "normalized",
                                                                      "roots" */

typedef struct psal_entry_range {
    int64_t first, count;
} psal_entry_range;

typedef struct psal_neighbor_options {
    psal_similarity similarity;
    /* [length], of the naive profiles, for `normalized` of the normalized ones, for `roots` of the roots; std at or
     * below 1e-14 counts as 1 */
    const double *mean, *std;
    const psal_entry_range *ranges; /* compare these entries only (increasing, not overlapping); NULL: all */
    int64_t range_count;
    const int64_t *candidates; /* samples that may be neighbours, increasing; NULL: all */
    int64_t candidate_count;
    int64_t top;                               /* neighbours per query, at least 1 */
    int threads;                               /* 0 means 1 */
    void (*step)(void *data, int64_t queries); /* so many queries more are answered, for progress meters; may be NULL */
    void *step_data;
} psal_neighbor_options;

typedef struct psal_neighbor {
    int64_t sample;    /* -1 behind the last one, where there are fewer candidates than options->top */
    double similarity; /* -1 .. 1 */
} psal_neighbor;

/* The neighbours of samples of the source, each without the sample itself: neighbors[query_count][options->top], best
 * first. Fails with PSAL_ERR_NUMERIC naming the sample when a profile is not finite. */
psal_status psal_neighbors_of_samples(const psal_profile_source *source, const psal_neighbor_options *options,
                                      const int64_t *queries, int64_t query_count, psal_neighbor *neighbors,
                                      psal_error *err);

/* The neighbours of a naive profile[length] that need not be in the source: neighbors[options->top]. */
psal_status psal_neighbors_of_profile(const psal_profile_source *source, const psal_neighbor_options *options,
                                      const float *profile, psal_neighbor *neighbors, psal_error *err);

/* Mean and unbiased standard deviation, entry by entry, of the profiles of the samples listed (NULL: all), as they are
 * standardized for this similarity: each divided by its L2 norm for `normalized` (profiles of length zero stay), their
 * roots for `roots`. mean, std: [length]. At least two samples. Two passes over the source; the same bits for any
 * number of threads. */
psal_status psal_neighbors_statistics(const psal_profile_source *source, const int64_t *samples, int64_t count,
                                      psal_similarity similarity, int threads, double *mean, double *std,
                                      psal_error *err);

/* All similarities of samples[count] to each other: similarities[count][count], in float32 (error below 2e-6 for 26,560
 * entries), symmetric. options->candidates and top are not used. The same bits for any number of threads. */
psal_status psal_neighbors_matrix(const psal_profile_source *source, const psal_neighbor_options *options,
                                  const int64_t *samples, int64_t count, float *similarities, psal_error *err);

/* Mean similarities of others[other_count] to the members of each group, samples[count] with group[count] (0 ..
 * groups-1; negative: of none): similarities[other_count][groups], in float32. A group without members has 0. The same
 * bits for any number of threads. */
psal_status psal_neighbors_of_groups(const psal_profile_source *source, const psal_neighbor_options *options,
                                     const int64_t *samples, const int *group, int64_t count, int groups,
                                     const int64_t *others, int64_t other_count, float *similarities, psal_error *err);

/* How often each sample is among the neighbours: counts[samples]. Returns the sample named most often (the first of
 * them),
 * -1 when there is none. A sample among the nearest of very many others is a hub, near everything and of no use. */
int64_t psal_neighbors_hubs(const psal_neighbor *neighbors, int64_t count, int64_t samples, int64_t *counts);

#ifdef __cplusplus
}
#endif

#endif
