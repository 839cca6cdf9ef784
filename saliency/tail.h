/* tail.h - peaks over threshold: how improbable a saliency is, where standardizing says how many deviations it lies
 * above a mean, which means the same for every filter only if saliencies are distributed normally.
 *
 * Wang, Sato, "Understanding Parameter Saliency via Extreme Value Theory", arXiv 2310.17951. Per entry, with u the
 * q-quantile of its naive saliency s over a data set, the excesses s - u > 0 follow a generalised Pareto distribution
 * (Pickands 1975), and the score is the negative logarithm of the probability of so large a saliency:
 *
 *   s > u    P(S > s) = zeta (1 + xi (s - u) / sigma)^(-1/xi),     xi = 0: zeta exp(-(s - u) / sigma)
 *   s <= u   P(S >= s) = 1 - F(s), F linear between the quantiles 0, q/16, ..., q
 *   score    -log P: 0 at the smallest saliency of the data set and below, growing with s
 *
 * zeta is 1 - q, or the share of samples above u where that is less (many of the same value). A tail that ends
 * (xi < 0) is taken as far as the samples reach, to P = 1/samples; from there the score goes on along its tangent.
 *
 * xi and sigma are those of the largest likelihood with xi > -1/2 (Smith 1985: below it has no maximum of use). Where
 * there is none, those of probability-weighted moments (Hosking, Wallis 1987), with xi at least -1. Entries with fewer
 * than PSAL_TAIL_OWN excesses share a shape: from the mean of their L-moment ratios, weighted by the numbers of their
 * excesses, and their scale from their own mean excess (Hosking, Wallis 1997: regional frequency analysis). */
#ifndef PSAL_SALIENCY_TAIL_H
#define PSAL_SALIENCY_TAIL_H

#include <stdbool.h>

#include "engine/tensor.h"
#include "saliency/neighbors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PSAL_TAIL_KNOTS = 17, /* quantiles up to the threshold, from the smallest value on */
    PSAL_TAIL_OWN = 30,   /* excesses from which on an entry has a shape of its own */
    PSAL_TAIL_LEAST = 10  /* samples above the threshold: fewer say nothing of a tail */
};

#define PSAL_TAIL_QUANTILE 0.9 /* of the threshold, where nobody says another */

typedef struct psal_tail {
    int64_t length;
    int64_t samples;
    double quantile; /* q */
    double *knots;   /* [length][PSAL_TAIL_KNOTS], the last one the threshold u */
    double *rate;    /* [length] zeta */
    double *shape;   /* [length] xi */
    double *scale;   /* [length] sigma; 0: no sample lies above the threshold, the score is 0 and is not ranked */
    int64_t pooled;  /* entries that share their shape */
} psal_tail;

/* Fit the tails of the profiles of samples[count] (NULL: all) of a source. mean, std: [length], of the same profiles
 * (the deviation unbiased). 0.5 <= quantile < 1. The same bits for any number of threads. Refused: fewer than
 * PSAL_TAIL_LEAST samples above the threshold, profiles that are not finite. Memory: at most 256 MB of columns, or
 * one column of every thread where that is more. */
psal_tail *psal_tail_fit(const psal_profile_source *source, const int64_t *samples, int64_t count, double quantile,
                         int threads, double *mean, double *std, psal_error *err);
psal_tail *psal_tail_new(int64_t length, psal_error *err); /* zeros */
void psal_tail_free(psal_tail *tail);                      /* NULL is fine */

/* score[length] of naive[length]. */
void psal_tail_score(const psal_tail *tail, const float *naive, double *score);
/* The same of the entries first .. first+count-1, as float32: naive[count] in, scores out. */
void psal_tail_score_range(const psal_tail *tail, int64_t first, int64_t count, float *values);
/* The affine map that touches the score at this profile: score = (s - shift) / scale, to first order in s. scale is
 * infinite (and shift 0) where the score does not change, below the smallest saliency. */
void psal_tail_map(const psal_tail *tail, const float *naive, double *shift, double *scale);
/* Clear live[i] where there is no tail to score by. */
void psal_tail_rankable(const psal_tail *tail, bool *live);

/* The distribution of largest likelihood of excesses[n] > 0, n >= 2, or that of probability-weighted moments, as
 * above; sorts them. */
typedef struct psal_pareto {
    double shape, scale;
    bool moments; /* the fallback was taken */
} psal_pareto;
psal_pareto psal_pareto_fit(double *excesses, int64_t n);

/* A hash of everything that scores depend on, going on from `seed`. */
uint64_t psal_tail_fingerprint(const psal_tail *tail, uint64_t seed);
/* As tensors "tail.quantiles" [length, PSAL_TAIL_KNOTS], "tail.rate", "tail.shape", "tail.scale" [length], float64,
 * added to a file's. */
psal_status psal_tail_to_tensors(const psal_tail *tail, psal_tensor_map *map, psal_error *err);
/* *tail stays NULL where the file has none. Refuses tensors of another shape, quantiles that fall, rates that are no
 * probabilities, scales below 0 and numbers that are not finite. */
psal_status psal_tail_from_tensors(const psal_tensor_map *map, int64_t length, psal_tail **tail, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
