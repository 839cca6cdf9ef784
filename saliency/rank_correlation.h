/* rank_correlation.h - how alike two rankings of the same things are.
 *
 *   Spearman   Pearson's correlation of the ranks, equal values having the mean of their ranks (Spearman 1904)
 *   Kendall    tau-b = (C - D) / sqrt((P - X) (P - Y)) with C concordant, D discordant and P all pairs, X and Y those
 *              that are equal in x and in y (Kendall 1945); in n log n steps (Knight 1966)
 *
 * Both are 1 for the same order, -1 for the opposite one and about 0 for none. NAN where one of the two has no order at
 * all: fewer than two values, or all of them equal. */
#ifndef PSAL_SALIENCY_RANK_CORRELATION_H
#define PSAL_SALIENCY_RANK_CORRELATION_H

#include <stddef.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of x[n] and y[n]; refused, naming the place, where one of them is NaN. */
psal_status psal_spearman(const double *x, const double *y, size_t n, double *rho, psal_error *err);
psal_status psal_kendall(const double *x, const double *y, size_t n, double *tau, psal_error *err);

/* rank[n], from 1 for the smallest of x[n]; equal values have the mean of their ranks. */
psal_status psal_ranks(const double *x, size_t n, double *rank, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
