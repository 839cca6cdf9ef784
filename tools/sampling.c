#include "tools/sampling.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "saliency/random.h"

static const char ALL[] = "all", FIRST[] = "first", DRAWN[] = "drawn, seed ";

psal_status psal_sampling_parse(psal_sampling *s, const psal_options *options, psal_error *err) {
    s->drawn = psal_options_has(options, "limit");
    const bool first = psal_options_has(options, "first");
    if (s->drawn && first) return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --limit and --first");
    s->wanted = s->drawn || first ? (size_t)psal_options_int(options, s->drawn ? "limit" : "first") : 0;
    s->seed = (uint64_t)psal_options_int(options, "seed");
    return PSAL_OK;
}

psal_status psal_sampling_choose(const psal_sampling *s, const int *classes, size_t count, size_t **chosen,
                                 size_t *chosen_count, psal_error *err) {
    const bool all = s->wanted == 0 || s->wanted >= count;
    *chosen_count = all ? count : s->wanted;
    *chosen = malloc((*chosen_count + 1) * sizeof **chosen);
    if (!*chosen) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a sample of %zu", *chosen_count);
    psal_random random = {s->seed};
    if (s->drawn && !all) return psal_random_stratified(&random, classes, count, *chosen_count, *chosen, err);
    for (size_t i = 0; i < *chosen_count; i++) (*chosen)[i] = i;
    return PSAL_OK;
}

psal_status psal_sampling_keep(const psal_sampling *s, psal_dataset *dataset, psal_error *err) {
    const size_t count = psal_dataset_count(dataset);
    size_t *chosen = NULL, chosen_count;
    int *classes = malloc((count + 1) * sizeof *classes);
    if (!classes) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) classes[i] = psal_dataset_label(dataset, i);
    psal_status status = psal_sampling_choose(s, classes, count, &chosen, &chosen_count, err);
    if (status == PSAL_OK) psal_dataset_keep(dataset, chosen, chosen_count);
    free(chosen);
    free(classes);
    return status;
}

/* ---- the record ---- */

void psal_sampling_record(const psal_sampling *s, size_t count, psal_computation *c) {
    if (s->wanted == 0 || s->wanted >= count)
        psal_computation_set(c, PSAL_FIELD_SAMPLING, "%s", ALL);
    else if (s->drawn)
        psal_computation_set(c, PSAL_FIELD_SAMPLING, "%s%" PRIu64, DRAWN, s->seed);
    else
        psal_computation_set(c, PSAL_FIELD_SAMPLING, "%s", FIRST);
}

psal_status psal_sampling_from_record(psal_sampling *s, const psal_computation *c, psal_error *err) {
    const char *text = c->value[PSAL_FIELD_SAMPLING];
    int64_t wanted = 0, seed = 0;
    *s = (psal_sampling){.drawn = strncmp(text, DRAWN, sizeof DRAWN - 1) == 0};
    if (strcmp(text, ALL) == 0) return PSAL_OK;
    bool known = s->drawn ? psal_parse_int64(text + sizeof DRAWN - 1, &seed) : !*text || strcmp(text, FIRST) == 0;
    if (!known || !psal_parse_int64(c->value[PSAL_FIELD_SAMPLES], &wanted) || wanted < 1)
        return psal_fail(err, PSAL_ERR_FORMAT, "its choice of samples is '%.60s', which is none that psal makes", text);
    s->wanted = (size_t)wanted;
    s->seed = (uint64_t)seed;
    return PSAL_OK;
}
