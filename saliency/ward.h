/* ward.h - Ward's hierarchical clustering: which groups to join so that their spread grows least.
 *
 * Joining groups of n and m points whose means lie d apart adds n m / (n + m) d^2 to the sum of squared distances of
 * points from the means of their groups (Ward 1963). Twice that is the distance of two groups here, which for two
 * points is their squared distance. It follows from the distances before by Lance and Williams' recurrence:
 *
 *   d(k, i+j) = ((n_i + n_k) d(i, k) + (n_j + n_k) d(j, k) - n_k d(i, j)) / (n_i + n_j + n_k)
 *
 * The chain of nearest neighbours (Murtagh 1983) finds the joins in n^2 steps. */
#ifndef PSAL_SALIENCY_WARD_H
#define PSAL_SALIENCY_WARD_H

#include <stdint.h>

#include "engine/error.h"

typedef struct psal_join {
    int64_t a, b; /* a point of each of the two groups */
    int64_t step; /* when it was found */
    double distance;
} psal_join;

/* Where the pair i < j of n points stands in distances[n (n-1) / 2]: row after row. */
static inline int64_t psal_pair(int64_t n, int64_t i, int64_t j) {
    return i * n - i * (i + 1) / 2 + j - i - 1;
}

/* joins[n-1], the least distant first, from the squared distances of n >= 1 points, which are overwritten. Of two
 * groups at the same distance, that of the smaller first point is the nearer one. */
psal_status psal_ward(int64_t n, float *distances, psal_join *joins, psal_error *err);

/* Do all but the last groups-1 joins: group[n], numbered from 0 in the order of their first points. 1 <= groups
 * <= n. */
psal_status psal_ward_cut(int64_t n, const psal_join *joins, int64_t groups, int *group, psal_error *err);

#endif
