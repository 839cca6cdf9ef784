/* standardize.h - from naive to standardized saliency, ranking, and the boosted target profile. */
#ifndef PSAL_SALIENCY_STANDARDIZE_H
#define PSAL_SALIENCY_STANDARDIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_mode {
    PSAL_MODE_STD,   /* (s - mean) / std, std <= 1e-14 replaced by 1 */
    PSAL_MODE_NORM,  /* s / mean, mean <= 1e-14 replaced by 1 */
    PSAL_MODE_NAIVE, /* s */
    PSAL_MODE_POT    /* peaks over threshold (tail.h): no affine map, and not for the functions here, but for those of
                        statistics.h, which have all modes */
} psal_mode;
const char *psal_mode_name(psal_mode mode); /* "std", "norm", "naive", "pot" */

/* The affine map of a mode: standardized = (s - shift) / scale. mean and std [n] may be NULL for PSAL_MODE_NAIVE (and
 * std for PSAL_MODE_NORM). */
psal_status psal_standardize_map(psal_mode mode, int64_t n, const double *mean, const double *std, double *shift,
                                 double *scale, psal_error *err);
/* standardized[n], computed in double from the float32 profile. */
psal_status psal_standardize(psal_mode mode, int64_t n, const float *naive, const double *mean, const double *std,
                             double *standardized, psal_error *err);

/* Ranking leaves out the entries that nothing can be said of, although they have a value: clear live[i] (it stays as it
 * is otherwise) where the mode had nothing to divide by (std <= 1e-14 or mean <= 1e-14), or, for PSAL_MODE_NAIVE, where
 * naive[i] is exactly 0; naive is not read in the other modes. Filters that never get a gradient would else lie above
 * every filter of an image that is right with confidence, since their value is 0 and those are negative. */
void psal_rankable(psal_mode mode, int64_t n, const float *naive, const double *mean, const double *std, bool *live);
int64_t psal_live_count(int64_t n, const bool *live); /* live NULL: all n */

/* Indices of the k largest (or smallest) of the live ones of values[n] (live NULL: all), best first; equal values by
 * index. More than there are is refused. */
psal_status psal_top_k(int64_t n, const double *values, const bool *live, int64_t k, int64_t *indices, psal_error *err);
psal_status psal_bottom_k(int64_t n, const double *values, const bool *live, int64_t k, int64_t *indices,
                          psal_error *err);
/* k different live indices below n, in random order: from a seeded generator, the same on every machine. */
psal_status psal_random_k(int64_t n, uint64_t seed, const bool *live, int64_t k, int64_t *indices, psal_error *err);

/* target = standardized, with the entries indices[k] multiplied by boost. */
void psal_boost(int64_t n, const double *standardized, const int64_t *indices, int64_t k, double boost, double *target);

#ifdef __cplusplus
}
#endif

#endif
