#include "saliency/choose.h"

#include <stdlib.h>

#include "saliency/random.h"
#include "saliency/standardize.h"

static const char *const names[PSAL_CHOICE_COUNT] = {"salient", "random", "random-same-layers",
                                                     "least",   "naive",  "all"};

const char *psal_choice_name(psal_choice choice) {
    return names[choice];
}

bool psal_choice_is_random(psal_choice choice) {
    return choice == PSAL_CHOICE_RANDOM || choice == PSAL_CHOICE_RANDOM_SAME_LAYERS;
}

static const psal_model_parameter *parameter_of(const psal_model *model, int64_t filter) {
    return psal_model_get_parameter(model, psal_model_filter_parameter(model, (int)filter));
}

int64_t psal_choosable(const psal_model *model) {
    int64_t count = 0;
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        if (p->is_filter && p->in_graph) count += p->shape.dim[0];
    }
    return count;
}

/* What is chosen from: candidates[count] holds filter numbers, ascending. */
static void list_candidates(const psal_model *model, int64_t *candidates) {
    int64_t count = 0;
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        if (!p->is_filter || !p->in_graph) continue;
        for (int64_t f = 0; f < p->shape.dim[0]; f++) candidates[count++] = p->first_filter + f;
    }
}

/* Replace each filter by one of its layer, no filter twice: steps of one Fisher-Yates shuffle per layer, all inside
 * `order`, which starts as order[f] = f and whose first done[layer] places of each layer are used up. */
static psal_status redraw_in_layers(const psal_model *model, uint64_t seed, int64_t k, int64_t *filters,
                                    psal_error *err) {
    int64_t n = psal_model_get_info(model)->filter_count;
    int64_t *order = malloc(((size_t)n + 1) * sizeof *order);
    int64_t *done = calloc((size_t)psal_model_parameter_count(model) + 1, sizeof *done);
    psal_status status = PSAL_OK;
    if (!order || !done) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory to choose %lld filters", (long long)k);
    psal_random random = {seed};
    for (int64_t f = 0; f < n && status == PSAL_OK; f++) order[f] = f;
    for (int64_t i = 0; i < k && status == PSAL_OK; i++) {
        const psal_model_parameter *p = parameter_of(model, filters[i]);
        int64_t used = done[psal_model_filter_parameter(model, (int)filters[i])]++;
        int64_t from = p->first_filter + used;
        int64_t j = from + (int64_t)psal_random_below(&random, (uint64_t)(p->shape.dim[0] - used));
        filters[i] = order[j];
        order[j] = order[from];
        order[from] = filters[i];
    }
    free(order);
    free(done);
    return status;
}

/* The k candidates of the largest (sign 1) or smallest values, values given by filter. */
static psal_status choose_by_value(const int64_t *candidates, int64_t count, const float *naive,
                                   const double *standardized, bool largest, int64_t k, int64_t *filters,
                                   psal_error *err) {
    double *values = malloc(((size_t)count + 1) * sizeof *values);
    if (!values) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to choose from %lld filters", (long long)count);
    for (int64_t i = 0; i < count; i++)
        values[i] = standardized ? standardized[candidates[i]] : (double)naive[candidates[i]];
    psal_status status = largest ? psal_top_k(count, values, k, filters, err)
                                 : psal_bottom_k(count, values, k, filters, err);
    free(values);
    return status;
}

psal_status psal_choose(const psal_model *model, psal_choice choice, const float *naive, const double *standardized,
                        uint64_t seed, int64_t k, int64_t *filters, psal_error *err) {
    int64_t count = psal_choosable(model);
    if (k < 0 || k > count || (choice == PSAL_CHOICE_ALL && k != count))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot choose %lld filters (%s): %s has %lld", (long long)k,
                         names[choice], psal_model_get_info(model)->arch, (long long)count);
    int64_t *candidates = malloc(((size_t)count + 1) * sizeof *candidates);
    if (!candidates)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to choose from %lld filters", (long long)count);
    list_candidates(model, candidates);
    psal_status status = PSAL_OK;
    switch (choice) {
    case PSAL_CHOICE_RANDOM:
        status = psal_random_k(count, seed, k, filters, err);
        break;
    case PSAL_CHOICE_NAIVE:
        status = choose_by_value(candidates, count, naive, NULL, true, k, filters, err);
        break;
    case PSAL_CHOICE_ALL:
        for (int64_t i = 0; i < k; i++) filters[i] = i;
        break;
    default:
        status = choose_by_value(candidates, count, naive, standardized, choice != PSAL_CHOICE_LEAST, k, filters, err);
        break;
    }
    for (int64_t i = 0; i < k && status == PSAL_OK; i++) filters[i] = candidates[filters[i]];
    free(candidates);
    if (status == PSAL_OK && choice == PSAL_CHOICE_RANDOM_SAME_LAYERS)
        status = redraw_in_layers(model, seed, k, filters, err);
    return status;
}

int64_t psal_count_dead(const float *naive, const int64_t *filters, int64_t k) {
    int64_t dead = 0;
    for (int64_t i = 0; i < k; i++) dead += naive[filters[i]] == 0;
    return dead;
}
