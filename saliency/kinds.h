/* kinds.h - what kinds of mistakes there are: mistakes whose profiles are alike.
 *
 * Ward's clustering of mistakes, with the squared distance 2 (1 - r) of two unit vectors of similarity r. A mistake's
 * silhouette (Rousseeuw 1987) says how well it lies in its kind: with a its mean distance 1 - r from the others of its
 * kind and b the least of its mean distances from other kinds, s = (b - a) / max(a, b), 0 where it is alone. The number
 * of kinds, where none is asked for, is that of the largest mean silhouette, from 2 to PSAL_KINDS_MOST (the smallest
 * of equals).
 *
 * Then mistakes that lie nearer to another kind than to their own (s < 0) are left single, and so are kinds of fewer
 * than PSAL_KIND_SMALLEST.
 *
 * Of more mistakes than can be clustered, some are drawn, and the others join the kinds of these: each that to whose
 * members it is the most similar, unless it is less similar than the least central of them. */
#ifndef PSAL_SALIENCY_KINDS_H
#define PSAL_SALIENCY_KINDS_H

#include <stdint.h>

#include "engine/error.h"

enum {
    PSAL_KINDS_MOST = 20,   /* that are tried */
    PSAL_KINDS_LIMIT = 100, /* that may be asked for */
    PSAL_KIND_SMALLEST = 3,
    PSAL_KINDS_MISTAKES = 5000 /* that may be clustered: 150 MB */
};

typedef struct psal_kinds {
    int64_t count;     /* mistakes */
    int kinds;         /* by size, the largest first; equal ones by their first mistake */
    int clusters;      /* that the mistakes were cut into, before single ones were left out */
    double silhouette; /* mean of all mistakes in that cut; NAN for fewer than two clusters */
    int *kind;         /* [count] 0 ..; -1: single */
    float *own;        /* [count] silhouette of each in that cut; NAN: it was not drawn */
    float *central;    /* [count] mean similarity to the others of its kind; NAN: single */
    int64_t *members;  /* [count] numbers of mistakes: each kind's, the most central first, then the single ones */
    int64_t *first;    /* [kinds + 1] where each kind's members begin, and the single ones */
} psal_kinds;

/* Of mistakes with similarities[count][count], symmetric, -1 to 1, at most PSAL_KINDS_MISTAKES of them. `wanted`
 * clusters, 0: as many as silhouettes say. NULL on error. */
psal_kinds *psal_kinds_find(int64_t count, const float *similarities, int wanted, psal_error *err);
/* Let others join the kinds: of `count` mistakes altogether, drawn[kinds->count] (increasing) are those that are there.
 * similarities[count - kinds->count][kinds->kinds]: the mean similarities of the others to the members of each kind
 * (psal_neighbors_of_groups). On error nothing has changed. */
psal_status psal_kinds_extend(psal_kinds *kinds, int64_t count, const int64_t *drawn, const float *similarities,
                              psal_error *err);
void psal_kinds_free(psal_kinds *kinds); /* NULL is fine */

#endif
