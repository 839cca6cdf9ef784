#include "saliency/choose.h"

#include <math.h>
#include <stdlib.h>

#include "saliency/random.h"
#include "saliency/standardize.h"

static const char *const names[PSAL_CHOICE_COUNT] = {
    "salient", "random", "random-same-layers", "least", "naive", "all", "salient-abs", "least-abs", "gradient-weight"};

const char *psal_choice_name(psal_choice choice) {
    return names[choice];
}

bool psal_choice_is_random(psal_choice choice) {
    return choice == PSAL_CHOICE_RANDOM || choice == PSAL_CHOICE_RANDOM_SAME_LAYERS;
}

/* What is chosen from: candidates[count] (may be NULL) gets filter numbers, ascending. */
static int64_t list_candidates(const psal_model *model, psal_units units, const bool *live, int64_t *candidates) {
    int64_t count = 0;
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        const int64_t first = p->first_unit[units];
        if (first < 0 || !p->in_graph) continue;
        for (int64_t f = first; f < first + psal_parameter_outputs(p).count; f++) {
            if (live && !live[f]) continue;
            if (candidates) candidates[count] = f;
            count++;
        }
    }
    return count;
}

int64_t psal_choosable(const psal_model *model, psal_units units, const bool *live) {
    return list_candidates(model, units, live, NULL);
}

/* Replace each filter by one of its layer, no filter twice: steps of one Fisher-Yates shuffle per layer, all inside
 * order[count], the candidates, whose places of each layer from next[layer] to before end[layer] are not used up. */
static psal_status redraw_in_layers(const psal_model *model, psal_units units, int64_t *order, int64_t count,
                                    uint64_t seed, int64_t k, int64_t *filters, psal_error *err) {
    size_t layers = (size_t)psal_model_parameter_count(model) + 1;
    int64_t *next = calloc(2 * layers, sizeof *next), *end = next + layers;
    if (!next) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to choose %lld filters", (long long)k);
    psal_random random = {seed};
    for (int64_t i = count; i-- > 0;) next[psal_model_unit_parameter(model, units, order[i], NULL)] = i;
    for (int64_t i = 0; i < count; i++) end[psal_model_unit_parameter(model, units, order[i], NULL)] = i + 1;
    for (int64_t i = 0; i < k; i++) {
        int layer = psal_model_unit_parameter(model, units, filters[i], NULL);
        int64_t from = next[layer]++, j = from + (int64_t)psal_random_below(&random, (uint64_t)(end[layer] - from));
        filters[i] = order[j];
        order[j] = order[from];
        order[from] = filters[i];
    }
    free(next);
    return PSAL_OK;
}

/* What ranks filter i: of the profiles only the one that the choice goes by is read. */
static double value_of(psal_choice choice, const float *naive, const double *standardized, const float *change,
                       int64_t i) {
    switch (choice) {
    case PSAL_CHOICE_NAIVE:
        return naive[i];
    case PSAL_CHOICE_GRADIENT_WEIGHT:
        return -(double)change[i];
    case PSAL_CHOICE_SALIENT_ABS:
    case PSAL_CHOICE_LEAST_ABS:
        return fabs(standardized[i]);
    default:
        return standardized[i];
    }
}

/* The k candidates of the largest or smallest values, values given by filter. */
static psal_status choose_by_value(psal_choice choice, const int64_t *candidates, int64_t count, const float *naive,
                                   const double *standardized, const float *change, int64_t k, int64_t *filters,
                                   psal_error *err) {
    const bool largest = choice != PSAL_CHOICE_LEAST && choice != PSAL_CHOICE_LEAST_ABS;
    double *values = malloc(((size_t)count + 1) * sizeof *values);
    if (!values) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to choose from %lld filters", (long long)count);
    for (int64_t i = 0; i < count; i++) values[i] = value_of(choice, naive, standardized, change, candidates[i]);
    psal_status status = largest ? psal_top_k(count, values, NULL, k, filters, err)
                                 : psal_bottom_k(count, values, NULL, k, filters, err);
    free(values);
    return status;
}

psal_status psal_choose(const psal_model *model, psal_units units, psal_choice choice, const float *naive,
                        const double *standardized, const float *change, const bool *live, uint64_t seed, int64_t k,
                        int64_t *filters, psal_error *err) {
    if (choice == PSAL_CHOICE_ALL) live = NULL;
    int64_t count = psal_choosable(model, units, live);
    if (k < 0 || k > count || (choice == PSAL_CHOICE_ALL && k != count))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot choose %lld %s (%s): %s has %lld that can be", (long long)k,
                         psal_units_name(units), names[choice], psal_model_get_info(model)->arch, (long long)count);
    int64_t *candidates = malloc(((size_t)count + 1) * sizeof *candidates);
    if (!candidates)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to choose from %lld filters", (long long)count);
    list_candidates(model, units, live, candidates);
    psal_status status = PSAL_OK;
    switch (choice) {
    case PSAL_CHOICE_RANDOM:
        status = psal_random_k(count, seed, NULL, k, filters, err);
        break;
    case PSAL_CHOICE_ALL:
        for (int64_t i = 0; i < k; i++) filters[i] = i;
        break;
    default:
        status = choose_by_value(choice, candidates, count, naive, standardized, change, k, filters, err);
        break;
    }
    for (int64_t i = 0; i < k && status == PSAL_OK; i++) filters[i] = candidates[filters[i]];
    if (status == PSAL_OK && choice == PSAL_CHOICE_RANDOM_SAME_LAYERS)
        status = redraw_in_layers(model, units, candidates, count, seed, k, filters, err);
    free(candidates);
    return status;
}

int64_t psal_count_dead(const float *naive, const int64_t *filters, int64_t k) {
    int64_t dead = 0;
    for (int64_t i = 0; i < k; i++) dead += naive[filters[i]] == 0;
    return dead;
}
