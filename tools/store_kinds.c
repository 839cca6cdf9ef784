#include "tools/store_kinds.h"

#include <inttypes.h>
#include <stdlib.h>

#include "saliency/random.h"

/* As many of the mistakes as can be clustered, drawn with --seed: their places among the candidates. */
static psal_status draw(psal_store_kinds *j, psal_error *err) {
    const psal_compared_store *s = j->store;
    const int64_t all = s->search.candidate_count, seed = psal_options_int(s->options, "seed");
    j->drawn = malloc((size_t)all * sizeof *j->drawn);
    if (!j->drawn) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", all);
    psal_random random = {(uint64_t)seed};
    int64_t left = all < PSAL_KINDS_MISTAKES ? all : PSAL_KINDS_MISTAKES;
    for (int64_t i = 0; i < all; i++) /* each as likely as any other of those that are left */
        if (left == all - i || (int64_t)psal_random_below(&random, (uint64_t)(all - i)) < left) {
            j->drawn[j->count++] = i;
            left--;
        }
    j->report.clustered = j->count;
    j->report.seed = seed;
    return PSAL_OK;
}

static psal_status cluster(psal_store_kinds *j, const int64_t *samples, psal_error *err) {
    const psal_compared_store *s = j->store;
    const int wanted = psal_options_has(s->options, "kinds") ? (int)psal_options_int(s->options, "kinds") : 0;
    if (wanted > j->count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--kinds %d: there are %" PRId64 " mistakes", wanted, j->count);
    float *similarities = malloc((size_t)(j->count * j->count) * sizeof *similarities);
    if (!similarities)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the similarities of %" PRId64 " mistakes", j->count);
    psal_status status = psal_neighbors_matrix(&s->source, &s->search, samples, j->count, similarities, err);
    if (status == PSAL_OK && !(j->kinds = psal_kinds_find(j->count, similarities, wanted, err)))
        status = psal_error_status(err);
    free(similarities);
    return status;
}

/* Let the mistakes that were not drawn join the kinds. */
static psal_status extend(psal_store_kinds *j, const int64_t *samples, psal_error *err) {
    const psal_compared_store *s = j->store;
    const int64_t all = s->search.candidate_count, rest = all - j->count;
    int64_t *others = malloc((size_t)rest * sizeof *others);
    float *similarities = malloc((size_t)(rest * j->kinds->kinds + 1) * sizeof *similarities);
    psal_status status = PSAL_OK;
    if (!others || !similarities)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", all);
    for (int64_t i = 0, next = 0; i < all && status == PSAL_OK; i++) {
        if (next < j->count && j->drawn[next] == i)
            next++;
        else
            others[i - next] = s->candidates[i];
    }
    if (status == PSAL_OK)
        status = psal_neighbors_of_groups(&s->source, &s->search, samples, j->kinds->kind, j->count, j->kinds->kinds,
                                          others, rest, similarities, err);
    if (status == PSAL_OK) status = psal_kinds_extend(j->kinds, all, j->drawn, similarities, err);
    free(others);
    free(similarities);
    return status;
}

static psal_status find_kinds(psal_store_kinds *j, psal_error *err) {
    const psal_compared_store *s = j->store;
    int64_t *samples = malloc((size_t)j->count * sizeof *samples);
    if (!samples) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", j->count);
    for (int64_t i = 0; i < j->count; i++) samples[i] = s->candidates[j->drawn[i]];
    psal_status status = cluster(j, samples, err);
    if (status == PSAL_OK && j->count < s->search.candidate_count) status = extend(j, samples, err);
    free(samples);
    return status;
}

static psal_status find_filters(psal_store_kinds *j, psal_error *err) {
    const psal_compared_store *s = j->store;
    const size_t kinds = (size_t)j->kinds->kinds, top = (size_t)psal_options_int(s->options, "top");
    j->filters = malloc((kinds * top + 1) * sizeof *j->filters);
    j->guilt = malloc((kinds + 1) * sizeof *j->guilt);
    if (!j->filters || !j->guilt) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu kinds", kinds);
    return psal_kind_filters(&s->source, &s->search, s->candidates, j->kinds->kind, j->kinds->count, (int)kinds,
                             (int)top, j->filters, j->guilt, err);
}

static void fill_report(psal_store_kinds *j) {
    const psal_compared_store *s = j->store;
    const psal_aggregation aggregation = s->profile_options.aggregation;
    const psal_units units = psal_aggregation_units(aggregation);
    psal_kinds_report *r = &j->report;
    r->compared = s;
    r->units = units;
    r->model = s->has_session && (aggregation == PSAL_AGGREGATION_FILTER || aggregation == PSAL_AGGREGATION_ROW) &&
                       psal_model_unit_count(s->session.model, units) == s->store.length
                   ? s->session.model
                   : NULL;
    r->kinds = j->kinds;
    r->top = (int)psal_options_int(s->options, "top");
    r->filters = j->filters;
    r->guilt = j->guilt;
}

psal_status psal_store_kinds_find(psal_store_kinds *found, psal_compared_store *store, psal_error *err) {
    found->store = store;
    psal_status status = draw(found, err);
    if (status == PSAL_OK) status = find_kinds(found, err);
    if (status == PSAL_OK) status = find_filters(found, err);
    if (status == PSAL_OK) fill_report(found);
    return status;
}

void psal_store_kinds_free(psal_store_kinds *found) {
    free(found->drawn);
    free(found->filters);
    free(found->guilt);
    psal_kinds_free(found->kinds);
    *found = (psal_store_kinds){0};
}
