#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/figure.h"
#include "io/json_output.h"
#include "tools/neighbors_program.h"
#include "tools/report.h"
#include "tools/report_lists.h"

enum { BINS = 10, NEAREST = 3, OWN_FILTERS = 3, STAGE_NAME = 128 };

/* ---- the store ---- */

static psal_status count_samples(psal_report *r, psal_error *err) {
    psal_profile_store store;
    char index[4300];
    snprintf(index, sizeof index, "%s.csv", r->store);
    psal_status status = psal_profile_store_open(r->store, index, &store, err);
    if (status != PSAL_OK) return status;
    for (int64_t i = 0; i < store.samples; i++) {
        const psal_profile_record *record = &store.records[i];
        r->counts.skipped += !record->valid;
        r->counts.samples += record->valid;
        r->counts.correct += record->valid && record->label == record->predicted;
        r->counts.mistakes += record->valid && record->label >= 0 && record->label != record->predicted;
    }
    psal_profile_store_close(&store);
    return PSAL_OK;
}

/* Costs and checks are of the network at hand: the store must be, too. */
static psal_status check_network(psal_report *r, psal_error *err) {
    psal_compared_store *s = &r->compared;
    psal_computation here;
    if (!s->has_session) return PSAL_OK;
    psal_session_computation(&s->session, &s->profile_options, false, &here);
    const psal_fields which = PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS) | PSAL_FIELD_SET(PSAL_FIELD_PREPROCESS);
    if (psal_computation_check(&s->computation, &here, which, err) == PSAL_OK) return PSAL_OK;
    return psal_fail(err, err->status, "%s is of another network: %s; make it anew (leave --store out)", r->store,
                     err->message);
}

static psal_status open_store(psal_report *r, psal_error *err) {
    const psal_options *o = r->options;
    psal_report_command *command = &r->kinds_command;
    const psal_program *program = &psal_neighbors_program;
    static const char *const of_pictures[] = {"data", "skip-bad", NULL};
    command->unsaid = of_pictures;
    psal_status status = psal_report_command_begin(command, program, "kinds", err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "store", r->store, err);
    if (status == PSAL_OK) status = psal_report_command_add_network(command, program, o, err);
    if (status == PSAL_OK) status = psal_report_command_add_given(command, program, o, "skip-bad", err);
    if (status == PSAL_OK && !r->made && psal_options_has(o, "data"))
        status = psal_report_command_add(command, "data", psal_options_string(o, "data"), err);
    if (status == PSAL_OK && psal_options_has(o, "kinds"))
        status = psal_report_command_add_int(command, "kinds", psal_options_int(o, "kinds"), err);
    if (status == PSAL_OK) status = psal_report_command_add_int(command, "seed", psal_options_int(o, "seed"), err);
    if (status == PSAL_OK) status = psal_report_command_add_int(command, "top", PSAL_REPORT_FILTERS, err);
    if (status == PSAL_OK) status = psal_report_command_parse(command, program, err);
    if (status != PSAL_OK) return status;
    r->compared = (psal_compared_store){.options = command->options,
                                        .program = program,
                                        .mistakes = r->counts.mistakes > 0,
                                        .name_filters = true,
                                        .shows_pictures = true,
                                        .search.similarity = PSAL_SIMILARITY_ROOTS,
                                        .session.kept = &r->notes};
    status = psal_compared_store_open(&r->compared, err);
    if (status == PSAL_OK) status = check_network(r, err);
    if (status == PSAL_OK) status = psal_report_check_classes(o, r->compared.labels, err);
    if (status == PSAL_OK) status = psal_compared_store_standardize(&r->compared, err);
    return status == PSAL_OK ? psal_sample_pictures_open(&r->pictures, &r->compared, err) : status;
}

/* ---- more of each kind than psal-neighbors tells ---- */

/* The layers that have entries, in the network's order: layers[parameters], first[i] their first entry. */
static size_t list_layers(const psal_kinds_report *report, psal_figure_layer *layers) {
    size_t count = 0;
    for (int i = 0; i < psal_model_parameter_count(report->model); i++) {
        const psal_model_parameter *parameter = psal_model_get_parameter(report->model, i);
        if (parameter->first_unit[report->units] < 0) continue;
        layers[count++] = (psal_figure_layer){.name = parameter->name,
                                              .first = parameter->first_unit[report->units],
                                              .count = psal_parameter_outputs(parameter).count};
    }
    return count;
}

/* Of the entries marked, how many lie in each stage of the network. */
static json_t *stages_json(const psal_kinds_report *report, const bool *guilty, psal_error *err) {
    if (!report->model) return json_array();
    psal_figure_layer *layers = calloc((size_t)psal_model_parameter_count(report->model) + 1, sizeof *layers);
    if (!layers) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the layers");
        return NULL;
    }
    const size_t count = list_layers(report, layers);
    json_t *list = json_array();
    for (size_t i = 0; i < count;) {
        char stage[STAGE_NAME], next[STAGE_NAME];
        int64_t filters = 0, marked = 0;
        psal_figure_layer_group(layers, count, i, stage, sizeof stage);
        do {
            filters += layers[i].count;
            for (int64_t e = 0; e < layers[i].count; e++) marked += guilty[layers[i].first + e];
            if (++i < count) psal_figure_layer_group(layers, count, i, next, sizeof next);
        } while (i < count && strcmp(stage, next) == 0);
        json_array_append_new(list, json_pack("{s:o, s:I, s:I}", "stage", psal_json_string(stage), "filters",
                                              (json_int_t)filters, "guilty", (json_int_t)marked));
    }
    free(layers);
    return list;
}

static json_t *bins_json(const psal_report *r, int k) {
    const psal_kinds *kinds = r->found.kinds;
    json_int_t bins[BINS] = {0};
    for (int64_t m = kinds->first[k]; m < kinds->first[k + 1]; m++) {
        const double confidence = r->compared.store.records[r->compared.candidates[kinds->members[m]]].confidence;
        const double bin = floor(confidence * BINS);
        if (bin >= 0) bins[bin < BINS ? (int)bin : BINS - 1]++;
    }
    json_t *list = json_array();
    for (int b = 0; b < BINS; b++) json_array_append_new(list, json_integer(bins[b]));
    return list;
}

/* Where all guilty filters of each kind lie, not only the first ones. */
static psal_status add_details(psal_report *r, psal_error *err) {
    const psal_compared_store *s = &r->compared;
    const psal_kinds *kinds = r->found.kinds;
    const size_t length = (size_t)s->store.length, count = (size_t)kinds->kinds;
    psal_kind_filter *all = malloc((count * length + 1) * sizeof *all);
    psal_kind_guilt *guilt = malloc((count + 1) * sizeof *guilt);
    bool *guilty = malloc(length);
    json_t *list = json_array();
    psal_status status = all && guilt && guilty ? PSAL_OK
                                                : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu kinds", count);
    if (status == PSAL_OK)
        status = psal_kind_filters(&s->source, &s->search, s->candidates, kinds->kind, kinds->count, kinds->kinds,
                                   (int)length, all, guilt, err);
    for (size_t k = 0; k < count && status == PSAL_OK; k++) {
        memset(guilty, 0, length);
        for (size_t f = 0; f < length && all[k * length + f].entry >= 0; f++)
            if (all[k * length + f].p < PSAL_KIND_FILTERS_LEVEL) guilty[all[k * length + f].entry] = true;
        json_t *stages = stages_json(&r->found.report, guilty, err);
        if (!stages) status = psal_error_status(err);
        json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "kind", (int)k + 1, "stages", stages,
                                              "confidence_bins", bins_json(r, (int)k)));
    }
    free(all);
    free(guilt);
    free(guilty);
    json_object_set_new(r->root, "details", list);
    return status;
}

/* ---- the mistakes that are shown ---- */

/* So many pictures: as many of each kind as there are of the smaller ones, the most central first; then single ones.
 * shown[kinds + 1]: how many of each kind, and of single ones. */
static void share_pictures(const psal_kinds *kinds, int64_t pictures, int64_t *shown) {
    memset(shown, 0, ((size_t)kinds->kinds + 1) * sizeof *shown);
    for (bool more = true; more && pictures > 0;) {
        more = false;
        for (int k = 0; k < kinds->kinds && pictures > 0; k++) {
            if (shown[k] == kinds->first[k + 1] - kinds->first[k]) continue;
            shown[k]++;
            pictures--;
            more = true;
        }
    }
    const int64_t single = kinds->count - kinds->first[kinds->kinds];
    shown[kinds->kinds] = single < pictures ? single : pictures;
}

/* What stands out in one mistake: its profile against all samples. */
typedef struct standard {
    double *mean, *std, *values; /* [length] */
    float *naive;
    bool *live;
} standard;

static psal_status open_standard(const psal_compared_store *s, standard *all, psal_error *err) {
    const size_t n = (size_t)s->store.length;
    *all = (standard){malloc(n * sizeof(double)), malloc(n * sizeof(double)), malloc(n * sizeof(double)),
                      malloc(n * sizeof(float)), malloc(n)};
    int64_t *samples = malloc((size_t)s->store.samples * sizeof *samples), count = 0;
    psal_status status = all->mean && all->std && all->values && all->naive && all->live && samples
                             ? PSAL_OK
                             : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %zu entries", n);
    for (int64_t i = 0; i < s->store.samples && status == PSAL_OK; i++)
        if (s->store.records[i].valid) samples[count++] = i;
    if (status == PSAL_OK)
        status = psal_neighbors_statistics(&s->source, samples, count, PSAL_SIMILARITY_PEARSON, s->search.threads,
                                           all->mean, all->std, err);
    if (status == PSAL_OK) {
        memset(all->live, true, n);
        psal_rankable(PSAL_MODE_STD, s->store.length, NULL, NULL, all->std, all->live);
    }
    free(samples);
    return status;
}

static void close_standard(standard *all) {
    free(all->mean);
    free(all->std);
    free(all->values);
    free(all->naive);
    free(all->live);
}

static json_t *own_filters(const psal_report *r, standard *all, int64_t sample, psal_error *err) {
    const psal_compared_store *s = &r->compared;
    const int64_t n = s->store.length, live = psal_live_count(n, all->live);
    const int64_t wanted = live < OWN_FILTERS ? live : OWN_FILTERS;
    int64_t top[OWN_FILTERS];
    psal_profile_store_read(&s->store, sample, 0, n, all->naive);
    psal_status status = psal_standardize(PSAL_MODE_STD, n, all->naive, all->mean, all->std, all->values, err);
    if (status == PSAL_OK && wanted > 0) status = psal_top_k(n, all->values, all->live, wanted, top, err);
    if (status != PSAL_OK) return NULL;
    json_t *list = json_array();
    for (int64_t i = 0; i < wanted; i++) {
        char name[512];
        json_array_append_new(list, json_pack("{s:I, s:o, s:o}", "entry", (json_int_t)top[i], "name",
                                              psal_json_string(psal_kinds_entry_name(&r->found.report, top[i], name)),
                                              "saliency", psal_json_double(all->values[top[i]])));
    }
    return list;
}

static json_t *nearest_json(const psal_neighbor *nearest) {
    json_t *list = json_array();
    for (int i = 0; i < NEAREST && nearest[i].sample >= 0; i++)
        json_array_append_new(list, json_pack("{s:I, s:o}", "sample", (json_int_t)nearest[i].sample, "similarity",
                                              psal_json_double(nearest[i].similarity)));
    return list;
}

static psal_status add_shown(psal_report *r, psal_error *err) {
    psal_compared_store *s = &r->compared;
    const psal_kinds *kinds = r->found.kinds;
    int64_t *shown = malloc(((size_t)kinds->kinds + 1) * sizeof *shown), count = 0;
    int64_t *queries = malloc(((size_t)kinds->count + 1) * sizeof *queries);
    psal_neighbor *nearest = NULL;
    standard all = {0};
    json_t *list = json_array();
    psal_status status = shown && queries ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for mistakes");
    if (status == PSAL_OK) {
        share_pictures(kinds, psal_options_int(r->options, "pictures"), shown);
        for (int k = 0; k <= kinds->kinds; k++)
            for (int64_t m = 0; m < shown[k]; m++)
                queries[count++] = s->candidates[kinds->members[kinds->first[k] + m]];
        nearest = malloc(((size_t)count + 1) * NEAREST * sizeof *nearest);
        if (!nearest) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for neighbours");
        status = status == PSAL_OK ? open_standard(s, &all, err) : status;
    }
    if (status == PSAL_OK && count > 0) {
        psal_neighbor_options search = s->search;
        search.top = NEAREST;
        status = psal_neighbors_of_samples(&s->source, &search, queries, count, nearest, err);
    }
    for (int64_t i = 0, k = 0, m = 0; i < count && status == PSAL_OK; i++, m++) {
        while (m == shown[k]) k++, m = 0;
        json_t *filters = own_filters(r, &all, queries[i], err);
        if (!filters) status = psal_error_status(err);
        json_array_append_new(list, json_pack("{s:I, s:o, s:o, s:o}", "sample", (json_int_t)queries[i], "kind",
                                              k < kinds->kinds ? json_integer(k + 1) : json_null(), "filters", filters,
                                              "nearest", nearest_json(nearest + i * NEAREST)));
    }
    close_standard(&all);
    free(nearest);
    free(queries);
    free(shown);
    json_object_set_new(r->root, "shown", list);
    return status;
}

/* ---- */

psal_status psal_report_find_kinds(psal_report *r, psal_error *err) {
    psal_status status = count_samples(r, err);
    if (status == PSAL_OK) status = open_store(r, err);
    if (status == PSAL_OK) status = psal_report_count(r, err);
    if (status != PSAL_OK || r->counts.mistakes == 0) return status;
    psal_report_stage(r, "kinds of mistakes");
    char *text = psal_report_command_text(&r->kinds_command);
    if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    json_array_append_new(json_object_get(r->root, "commands"), psal_json_string(text));
    free(text);
    status = psal_store_kinds_find(&r->found, &r->compared, err);
    json_t *kinds = status == PSAL_OK ? psal_kinds_json(&r->found.report, err) : NULL;
    if (status == PSAL_OK && !kinds) status = psal_error_status(err);
    if (status != PSAL_OK) return status;
    json_object_set_new(r->root, "kinds", kinds);
    status = add_details(r, err);
    return status == PSAL_OK ? add_shown(r, err) : status;
}
