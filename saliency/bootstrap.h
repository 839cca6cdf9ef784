/* bootstrap.h - how far a mean over samples can be trusted. */
#ifndef PSAL_SALIENCY_BOOTSTRAP_H
#define PSAL_SALIENCY_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A mean and the interval that holds 95 % of the means of resampled values. */
typedef struct psal_interval {
    double mean, low, high; /* NAN: of no values; low and high also of a single one */
    size_t count;           /* values that are numbers: the others are left out */
} psal_interval;

enum { PSAL_BOOTSTRAP_RESAMPLES = 2000 };

/* The percentile interval (Efron 1979): of values[0], values[stride], ... as many are drawn with replacement, 2000
 * times; the interval reaches from the 2.5th to the 97.5th percentile (linear between two) of their means. */
psal_status psal_bootstrap_mean(const double *values, size_t count, size_t stride, uint64_t seed,
                                psal_interval *interval, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
