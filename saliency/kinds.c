#include "saliency/kinds.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/ward.h"

typedef struct work {
    int64_t n;
    const float *similarities; /* [n][n] */
    psal_join *joins;          /* [n - 1] */
    int *cluster;              /* [n] */
    int64_t *size;             /* [clusters] */
    double *sums;              /* [clusters] distances of one mistake from those of each cluster */
} work;

static psal_status join_all(work *w, psal_error *err) {
    const int64_t n = w->n;
    float *distances = malloc((size_t)(n * (n - 1) / 2 + 1) * sizeof *distances);
    w->joins = malloc((size_t)n * sizeof *w->joins);
    w->cluster = malloc((size_t)n * sizeof *w->cluster);
    if (!distances || !w->joins || !w->cluster) {
        free(distances);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the distances of %" PRId64 " mistakes", n);
    }
    for (int64_t i = 0, at = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) distances[at++] = fmaxf(0, 2 * (1 - w->similarities[i * n + j]));
    const psal_status status = psal_ward(n, distances, w->joins, err);
    free(distances);
    return status;
}

/* Silhouettes of the clustering; returns their mean. */
static double silhouettes(const work *w, int clusters, float *own) {
    double mean = 0;
    memset(w->size, 0, (size_t)clusters * sizeof *w->size);
    for (int64_t i = 0; i < w->n; i++) w->size[w->cluster[i]]++;
    for (int64_t i = 0; i < w->n; i++) {
        const int c = w->cluster[i];
        memset(w->sums, 0, (size_t)clusters * sizeof *w->sums);
        for (int64_t j = 0; j < w->n; j++)
            if (j != i) w->sums[w->cluster[j]] += 1 - w->similarities[i * w->n + j];
        const double a = w->size[c] > 1 ? w->sums[c] / (double)(w->size[c] - 1) : 0;
        double b = INFINITY;
        for (int k = 0; k < clusters; k++)
            if (k != c) b = fmin(b, w->sums[k] / (double)w->size[k]);
        const double larger = fmax(a, b);
        own[i] = w->size[c] > 1 && larger > 0 ? (float)((b - a) / larger) : 0;
        mean += own[i] / (double)w->n;
    }
    return mean;
}

/* Cut into the number of clusters wanted, or of the largest mean silhouette. */
static psal_status cut(work *w, int wanted, psal_kinds *kinds, psal_error *err) {
    const int most = wanted ? wanted : PSAL_KINDS_MOST, few = wanted ? wanted : 2;
    psal_status status = PSAL_OK;
    kinds->silhouette = NAN;
    for (int k = few; k <= most && k <= w->n && status == PSAL_OK; k++) {
        status = psal_ward_cut(w->n, w->joins, k, w->cluster, err);
        if (status != PSAL_OK || k < 2) continue;
        const double mean = silhouettes(w, k, kinds->own);
        if (isnan(kinds->silhouette) || mean > kinds->silhouette) {
            kinds->silhouette = mean;
            kinds->clusters = k;
        }
    }
    if (isnan(kinds->silhouette)) kinds->clusters = 1;
    if (status == PSAL_OK) status = psal_ward_cut(w->n, w->joins, kinds->clusters, w->cluster, err);
    if (status == PSAL_OK && kinds->clusters > 1) silhouettes(w, kinds->clusters, kinds->own);
    return status;
}

typedef struct order {
    int64_t key, first; /* larger keys first, then smaller `first` */
    int cluster;
} order;

static int largest_first(const void *x, const void *y) {
    const order *p = x, *q = y;
    if (p->key != q->key) return p->key < q->key ? 1 : -1;
    return (p->first > q->first) - (p->first < q->first);
}

/* From clusters to kinds: without those that lie elsewhere, without small ones, numbered by size. */
static psal_status number(const work *w, psal_kinds *kinds, psal_error *err) {
    order *orders = calloc((size_t)kinds->clusters, sizeof *orders);
    int *new = malloc((size_t)kinds->clusters * sizeof *new);
    if (!orders || !new) {
        free(orders);
        free(new);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    for (int c = 0; c < kinds->clusters; c++) orders[c] = (order){0, -1, c};
    for (int64_t i = 0; i < w->n; i++) {
        order *o = &orders[w->cluster[i]];
        if (kinds->own[i] < 0) continue;
        o->key++;
        if (o->first < 0) o->first = i;
    }
    qsort(orders, (size_t)kinds->clusters, sizeof *orders, largest_first);
    for (int c = 0; c < kinds->clusters; c++) {
        const bool kept = orders[c].key >= PSAL_KIND_SMALLEST;
        new[orders[c].cluster] = kept ? kinds->kinds++ : -1;
    }
    for (int64_t i = 0; i < w->n; i++) kinds->kind[i] = kinds->own[i] < 0 ? -1 : new[w->cluster[i]];
    free(orders);
    free(new);
    return PSAL_OK;
}

/* The mean similarity of each to the others of its kind. */
static void measure_centrality(const work *w, psal_kinds *kinds) {
    for (int64_t i = 0; i < w->n; i++) {
        double sum = 0;
        int64_t others = 0;
        for (int64_t j = 0; j < w->n; j++)
            if (j != i && kinds->kind[j] == kinds->kind[i]) {
                sum += w->similarities[i * w->n + j];
                others++;
            }
        kinds->central[i] = kinds->kind[i] >= 0 ? (float)(sum / (double)others) : NAN;
    }
}

typedef struct ranked {
    float central;
    int64_t mistake;
} ranked;

static int most_central_first(const void *x, const void *y) {
    const ranked *p = x, *q = y;
    if (p->central != q->central) return p->central < q->central ? 1 : -1;
    return (p->mistake > q->mistake) - (p->mistake < q->mistake);
}

static psal_status list_members(psal_kinds *kinds, psal_error *err) {
    ranked *list = malloc((size_t)kinds->count * sizeof *list);
    if (!list) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    int64_t at = 0;
    for (int k = 0; k <= kinds->kinds; k++) {
        const bool single = k == kinds->kinds;
        int64_t count = 0;
        kinds->first[k] = at;
        for (int64_t i = 0; i < kinds->count; i++)
            if (kinds->kind[i] == (single ? -1 : k)) list[count++] = (ranked){single ? 0 : kinds->central[i], i};
        qsort(list, (size_t)count, sizeof *list, most_central_first);
        for (int64_t i = 0; i < count; i++) kinds->members[at++] = list[i].mistake;
    }
    free(list);
    return PSAL_OK;
}

static psal_kinds *new_kinds(int64_t count, size_t most, psal_error *err) {
    const size_t n = (size_t)count;
    psal_kinds *kinds = calloc(1, sizeof *kinds);
    if (kinds) {
        kinds->count = count;
        kinds->kind = malloc(n * sizeof *kinds->kind);
        kinds->own = calloc(n, sizeof *kinds->own);
        kinds->central = malloc(n * sizeof *kinds->central);
        kinds->members = malloc(n * sizeof *kinds->members);
        kinds->first = malloc((most + 1) * sizeof *kinds->first);
        if (kinds->kind && kinds->own && kinds->central && kinds->members && kinds->first) return kinds;
    }
    psal_kinds_free(kinds);
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the kinds of %" PRId64 " mistakes", count);
    return NULL;
}

psal_kinds *psal_kinds_find(int64_t count, const float *similarities, int wanted, psal_error *err) {
    if (count < 1 || count > PSAL_KINDS_MISTAKES || wanted < 0 || wanted > PSAL_KINDS_LIMIT || wanted > count) {
        psal_fail(err, PSAL_ERR_ARGUMENT,
                  "%d kinds of %" PRId64
                  " mistakes: at most %d mistakes can be clustered, into at most %d kinds and no "
                  "more than there are mistakes",
                  wanted, count, PSAL_KINDS_MISTAKES, PSAL_KINDS_LIMIT);
        return NULL;
    }
    const size_t most = (size_t)(wanted > PSAL_KINDS_MOST ? wanted : PSAL_KINDS_MOST);
    psal_kinds *kinds = new_kinds(count, most, err);
    if (!kinds) return NULL;
    work w = {.n = count, .similarities = similarities};
    w.size = malloc(most * sizeof *w.size);
    w.sums = malloc(most * sizeof *w.sums);
    psal_status status = PSAL_OK;
    if (!w.size || !w.sums) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK) status = join_all(&w, err);
    if (status == PSAL_OK) status = cut(&w, wanted, kinds, err);
    if (status == PSAL_OK) status = number(&w, kinds, err);
    if (status == PSAL_OK) {
        measure_centrality(&w, kinds);
        status = list_members(kinds, err);
    }
    free(w.joins);
    free(w.cluster);
    free(w.size);
    free(w.sums);
    if (status == PSAL_OK) return kinds;
    psal_kinds_free(kinds);
    return NULL;
}

/* The kind that a newcomer joins. */
static int most_similar(const psal_kinds *kinds, const float *similarities) {
    int best = -1;
    for (int k = 0; k < kinds->kinds; k++)
        if (best < 0 || similarities[k] > similarities[best]) best = k;
    if (best < 0) return -1;
    const float least = kinds->central[kinds->members[kinds->first[best + 1] - 1]];
    return similarities[best] >= least ? best : -1;
}

psal_status psal_kinds_extend(psal_kinds *kinds, int64_t count, const int64_t *drawn, const float *similarities,
                              psal_error *err) {
    psal_kinds *all = new_kinds(count, (size_t)kinds->kinds, err);
    if (!all) return psal_error_status(err);
    all->kinds = kinds->kinds;
    all->clusters = kinds->clusters;
    all->silhouette = kinds->silhouette;
    for (int64_t i = 0, next = 0; i < count; i++) {
        if (next < kinds->count && drawn[next] == i) {
            all->kind[i] = kinds->kind[next];
            all->own[i] = kinds->own[next];
            all->central[i] = kinds->central[next++];
            continue;
        }
        const float *row = similarities + (i - next) * kinds->kinds;
        all->kind[i] = most_similar(kinds, row);
        all->own[i] = NAN;
        all->central[i] = all->kind[i] < 0 ? NAN : row[all->kind[i]];
    }
    const psal_status status = list_members(all, err);
    if (status == PSAL_OK) {
        const psal_kinds old = *kinds;
        *kinds = *all;
        *all = old;
    }
    psal_kinds_free(all);
    return status;
}

void psal_kinds_free(psal_kinds *kinds) {
    if (!kinds) return;
    free(kinds->kind);
    free(kinds->own);
    free(kinds->central);
    free(kinds->members);
    free(kinds->first);
    free(kinds);
}
