/* welford.h - mean and variance of vectors that come one at a time, without keeping them.
 *
 * Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4 (1962);
 * joining two halves: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample
 * variances", Stanford STAN-CS-79-773 (1979). Entries do not touch each other, and everything is float64: the same
 * vectors in the same order give the same bits, with any number of threads. */
#ifndef PSAL_SALIENCY_WELFORD_H
#define PSAL_SALIENCY_WELFORD_H

#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_welford {
    int64_t length; /* entries of each vector */
    int64_t count;  /* vectors so far */
    double *mean;   /* [length] */
    double *m2;     /* [length]: sum of squared differences from the mean */
} psal_welford;

/* Nothing added yet; length >= 1. NULL when out of memory. */
psal_welford *psal_welford_new(int64_t length, psal_error *err);
void psal_welford_free(psal_welford *welford); /* NULL is fine */

void psal_welford_add(psal_welford *welford, const float *values); /* values[length], finite */

/* Add all that `other` has seen, as if it came behind. Equal to adding one by one but for rounding. Refuses another
 * length. */
psal_status psal_welford_merge(psal_welford *welford, const psal_welford *other, psal_error *err);

/* The unbiased standard deviations, sqrt(m2 / (count - 1)), into std[length]; zeros below two vectors. */
void psal_welford_std(const psal_welford *welford, double *std);

#ifdef __cplusplus
}
#endif

#endif
