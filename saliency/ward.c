#include "saliency/ward.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

typedef struct clustering {
    int64_t n;
    float *distances;
    int64_t *size; /* [n] of the group whose name this point is; 0: it has been joined to another */
} clustering;

static float *distance(const clustering *g, int64_t i, int64_t j) {
    return &g->distances[i < j ? psal_pair(g->n, i, j) : psal_pair(g->n, j, i)];
}

/* The group nearest to i: `before` (-1: none), unless another one is nearer, so that the chain comes to an end. */
static int64_t nearest(const clustering *g, int64_t i, int64_t before) {
    int64_t best = before;
    float least = before < 0 ? INFINITY : *distance(g, i, before);
    for (int64_t k = 0; k < g->n; k++)
        if (g->size[k] && k != i && (best < 0 || *distance(g, i, k) < least)) {
            best = k;
            least = *distance(g, i, k);
        }
    return best;
}

/* Join b to a. */
static void join(clustering *g, int64_t a, int64_t b) {
    const double between = *distance(g, a, b), na = (double)g->size[a], nb = (double)g->size[b];
    for (int64_t k = 0; k < g->n; k++) {
        if (!g->size[k] || k == a || k == b) continue;
        const double nk = (double)g->size[k];
        float *to_a = distance(g, a, k);
        *to_a = (float)(((na + nk) * *to_a + (nb + nk) * *distance(g, b, k) - nk * between) / (na + nb + nk));
    }
    g->size[a] += g->size[b];
    g->size[b] = 0;
}

static int by_distance(const void *x, const void *y) {
    const psal_join *p = x, *q = y;
    if (p->distance != q->distance) return p->distance < q->distance ? -1 : 1;
    return (p->step > q->step) - (p->step < q->step);
}

psal_status psal_ward(int64_t n, float *distances, psal_join *joins, psal_error *err) {
    clustering g = {n, distances, malloc((size_t)n * sizeof *g.size)};
    int64_t *chain = malloc((size_t)n * sizeof *chain), length = 0;
    if (!g.size || !chain) {
        free(g.size);
        free(chain);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " points", n);
    }
    for (int64_t i = 0; i < n; i++) g.size[i] = 1;
    for (int64_t made = 0, first = 0; made < n - 1;) {
        while (length == 0 && !g.size[first]) first++;
        if (length == 0) chain[length++] = first;
        const int64_t last = chain[length - 1], before = length > 1 ? chain[length - 2] : -1;
        const int64_t next = nearest(&g, last, before);
        if (next != before) {
            chain[length++] = next;
            continue;
        }
        /* each the nearest of the other */
        const int64_t a = last < next ? last : next, b = last < next ? next : last;
        joins[made] = (psal_join){a, b, made, *distance(&g, a, b)};
        made++;
        join(&g, a, b);
        length -= 2;
    }
    free(g.size);
    free(chain);
    qsort(joins, (size_t)(n - 1), sizeof *joins, by_distance);
    return PSAL_OK;
}

static int64_t root(int64_t *parent, int64_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

psal_status psal_ward_cut(int64_t n, const psal_join *joins, int64_t groups, int *group, psal_error *err) {
    int64_t *parent = malloc((size_t)n * sizeof *parent);
    if (!parent) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " points", n);
    for (int64_t i = 0; i < n; i++) parent[i] = i;
    for (int64_t j = 0; j < n - groups; j++) {
        const int64_t a = root(parent, joins[j].a), b = root(parent, joins[j].b);
        parent[a < b ? b : a] = a < b ? a : b;
    }
    int count = 0;
    for (int64_t i = 0; i < n; i++) { /* a root is the first point of its group */
        const int64_t r = root(parent, i);
        group[i] = r == i ? count++ : group[r];
    }
    free(parent);
    return PSAL_OK;
}
