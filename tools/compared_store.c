#include "tools/compared_store.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/json_input.h"
#include "io/json_output.h"
#include "saliency/reference_set.h"
#include "tools/layers.h"

static void read_profile(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    psal_profile_store_read(context, sample, first, count, out);
}

static void release_profiles(const void *context, int64_t first, int64_t count) {
    psal_profile_store_release(context, first, count);
}

/* Peaks over threshold: the scores of a sample. */
static void read_scores(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const psal_compared_store *s = context;
    psal_profile_store_read(&s->store, sample, first, count, out);
    psal_tail_score_range(s->statistics->tail, first, count, out);
}

static void release_scores(const void *context, int64_t first, int64_t count) {
    psal_profile_store_release(&((const psal_compared_store *)context)->store, first, count);
}

static psal_status out_of_memory(psal_error *err) {
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

/* ---- names ---- */

/* The network that the command line names or, where it names none, the store's own; with the store's class names. */
static psal_status open_network(psal_compared_store *s, psal_error *err) {
    const psal_options *o = s->options;
    const bool recorded = psal_store_source_serves(s->made_from, o);
    psal_status status = recorded ? psal_store_source_options(s->made_from, s->program, o, &s->recorded, err) : PSAL_OK;
    if (status == PSAL_OK) status = psal_session_open(&s->session, recorded ? s->recorded.options : o, err);
    if (status != PSAL_OK && recorded)
        psal_fail_prefix(err, "the network that %s names (--weights says where it is now)", s->index);
    if (status == PSAL_OK && !psal_options_has(o, "labels") && psal_store_source_has_labels(s->made_from)) {
        psal_labels *labels = psal_store_source_labels(s->made_from, 0, err);
        if (!labels) return psal_fail_prefix(err, "%s: the column psal_source", s->index);
        const bool fit = psal_labels_count(labels) == s->session.info->num_classes;
        psal_labels_free(fit ? s->session.labels : labels);
        if (fit) s->session.labels = labels;
    }
    s->labels = s->session.labels;
    return status;
}

/* The network is opened only when something asks for it; without it, classes have the names of --labels, or numbers. */
static psal_status open_names(psal_compared_store *s, psal_error *err) {
    const psal_options *o = s->options;
    s->has_session = psal_options_given(o, "image-path") || psal_options_given(o, "layers") ||
                     psal_options_given(o, "weights") || psal_options_given(o, "model") ||
                     (s->name_filters && (psal_options_has(o, "weights") || psal_store_source_serves(s->made_from, o)));
    if (s->has_session) return open_network(s, err);
    s->session.quiet = psal_options_flag(o, "quiet");
    int classes = 1;
    for (int64_t i = 0; i < s->store.samples; i++) {
        const psal_profile_record *record = &s->store.records[i];
        if (record->label >= classes) classes = record->label + 1;
        if (record->predicted >= classes) classes = record->predicted + 1;
    }
    if (classes > PSAL_MAX_CLASSES)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: class %d; at most %d classes", s->index, classes - 1,
                         PSAL_MAX_CLASSES);
    const char *set = psal_options_string(o, "labels");
    const bool recorded = !set && psal_store_source_has_labels(s->made_from);
    int64_t told; /* the names of another number of classes are those of another data set */
    if (!psal_parse_int64(s->computation.value[PSAL_FIELD_CLASSES], &told) || told < classes || told > PSAL_MAX_CLASSES)
        told = 0;
    s->numbers = set        ? psal_labels_open(set, (int)told, err)
                 : recorded ? psal_store_source_labels(s->made_from, (int)told, err)
                            : psal_labels_numbered(classes, err);
    if (!s->numbers)
        return set        ? psal_fail_prefix(err, "--labels")
               : recorded ? psal_fail_prefix(err, "%s: the column psal_source", s->index)
                          : psal_error_status(err);
    s->labels = s->numbers;
    if (psal_labels_count(s->numbers) < classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s %s: %d classes, but the store's table has class %d",
                         set ? "--labels" : "the labels in", set ? set : s->index, psal_labels_count(s->numbers),
                         classes - 1);
    return PSAL_OK;
}

/* ---- what the profiles are ---- */

static psal_status read_settings(psal_compared_store *s, psal_error *err) {
    if (s->store.source && !(s->made_from = psal_store_source_read(s->store.source, err)))
        return psal_fail_prefix(err, "%s: the column psal_source", s->index);
    if (!s->store.settings) return PSAL_OK;
    json_t *object = psal_json_parse_object(s->store.settings, strlen(s->store.settings), err);
    psal_status status = object ? psal_computation_from_json(&s->computation, object, err) : psal_error_status(err);
    json_decref(object);
    s->known = true;
    const char *aggregation = s->computation.value[PSAL_FIELD_AGGREGATION];
    if (status == PSAL_OK && *aggregation && !psal_aggregation_parse(aggregation, &s->profile_options.aggregation))
        status = psal_fail(err, PSAL_ERR_FORMAT, "its aggregation '%.60s' is none that psal has", aggregation);
    return status == PSAL_OK ? status : psal_fail_prefix(err, "%s: the column psal_settings", s->index);
}

/* Whether the network is the one that the store was made with: its layers and classes, and with a photo everything. */
static psal_status check_network(psal_compared_store *s, psal_error *err) {
    bool image = psal_options_given(s->options, "image-path");
    psal_computation here;
    if (!s->has_session) return PSAL_OK;
    if (image && !s->known)
        psal_note(&s->session.notes,
                  "%s does not say what the store's profiles were computed with: taken to be as here", s->index);
    psal_session_computation(&s->session, &s->profile_options, false, &here);
    psal_fields which = image ? PSAL_FIELDS_PROFILE | PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS)
                              : PSAL_FIELD_SET(PSAL_FIELD_ARCH) | PSAL_FIELD_SET(PSAL_FIELD_CLASSES);
    if (psal_computation_check(&s->computation, &here, which, err) == PSAL_OK) return PSAL_OK;
    return psal_fail(err, err->status,
                     "%s: the store was made with something else: %s; make a store with the settings of this run "
                     "(psal-stats --profiles), or give the settings it was made with",
                     s->index, err->message);
}

/* ---- which samples and entries ---- */

static psal_status choose_candidates(psal_compared_store *s, psal_error *err) {
    bool mistakes = s->mistakes || psal_options_flag(s->options, "mistakes");
    size_t classes = psal_options_count(s->options, "class");
    s->candidates = malloc((size_t)s->store.samples * sizeof *s->candidates);
    int *wanted = calloc(classes + 1, sizeof *wanted);
    psal_status status = s->candidates && wanted ? PSAL_OK : out_of_memory(err);
    for (size_t c = 0; c < classes && status == PSAL_OK; c++) {
        status = psal_labels_parse(s->labels, psal_options_string_at(s->options, "class", c), &wanted[c], err);
        if (status != PSAL_OK) psal_fail_prefix(err, "--class");
    }
    int64_t count = 0;
    for (int64_t i = 0; i < s->store.samples && status == PSAL_OK; i++) {
        const psal_profile_record *record = &s->store.records[i];
        bool take = record->valid && !(mistakes && (record->label < 0 || record->label == record->predicted));
        bool in_class = classes == 0;
        for (size_t c = 0; c < classes; c++) in_class = in_class || record->label == wanted[c];
        if (take && in_class) s->candidates[count++] = i;
    }
    free(wanted);
    if (status == PSAL_OK && count == 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "no sample of the store is left%s%s",
                           s->mistakes ? ": it has no mistakes"
                           : mistakes  ? " with --mistakes"
                                       : "",
                           classes ? " in the --class given" : "");
    s->search.candidates = s->candidates;
    s->search.candidate_count = count;
    return status;
}

static psal_status choose_entries(psal_compared_store *s, psal_error *err) {
    s->entries = s->store.length;
    if (!psal_options_given(s->options, "layers")) return PSAL_OK;
    const psal_units units = psal_aggregation_units(s->profile_options.aggregation);
    const int count = psal_model_unit_count(s->session.model, units);
    if (count != s->store.length)
        return psal_fail(err, PSAL_ERR_SHAPE,
                         "--layers: %s has %d %s, but the store's profiles have %" PRId64 " entries",
                         s->session.info->arch, count, psal_units_name(units), s->store.length);
    const int parameters = psal_model_parameter_count(s->session.model);
    s->ranges = malloc((size_t)parameters * sizeof *s->ranges);
    bool *wanted = calloc((size_t)parameters, sizeof *wanted);
    psal_status status = s->ranges && wanted ? psal_layers_wanted(s->options, s->session.model, units, wanted, err)
                                             : out_of_memory(err);
    s->entries = 0;
    for (int i = 0; i < parameters && status == PSAL_OK; i++) {
        if (!wanted[i]) continue;
        const psal_model_parameter *parameter = psal_model_get_parameter(s->session.model, i);
        const int64_t outputs = psal_parameter_outputs(parameter).count;
        s->ranges[s->search.range_count++] = (psal_entry_range){parameter->first_unit[units], outputs};
        s->entries += outputs;
    }
    free(wanted);
    s->search.ranges = s->ranges;
    return status;
}

/* ---- statistics ---- */

static psal_status read_statistics(psal_compared_store *s, const char *path, psal_error *err) {
    const bool normalized = s->search.similarity == PSAL_SIMILARITY_NORMALIZED;
    psal_computation here = s->computation;
    if (psal_options_given(s->options, "image-path"))
        psal_session_computation(&s->session, &s->profile_options, normalized, &here);
    psal_computation_set(&here, PSAL_FIELD_NORMALIZED, "%d", normalized);
    s->statistics = psal_session_statistics_file(path, &here, s->store.length, &s->session.notes, err);
    if (!s->statistics || psal_session_check_reference(s->statistics, path, &s->computation, s->index, err) != PSAL_OK)
        return psal_error_status(err);
    if (s->mode == PSAL_MODE_POT && psal_session_check_tails(s->statistics, path, err) != PSAL_OK)
        return psal_error_status(err);
    psal_note_few_samples(&s->session.notes, path, s->statistics->count);
    snprintf(s->statistics_name, sizeof s->statistics_name, "%s", path);
    return PSAL_OK;
}

/* From every sample of the store's reference set, whatever may be a neighbour. */
static psal_status compute_statistics(psal_compared_store *s, psal_error *err) {
    psal_reference_set only;
    char text[PSAL_REFERENCE_SIZE];
    psal_reference_parse(s->computation.value[PSAL_FIELD_ONLY], &only);
    int64_t *samples = malloc((size_t)s->store.samples * sizeof *samples), count = 0;
    s->statistics = psal_statistics_new(s->store.length, err);
    psal_status status = samples && s->statistics ? PSAL_OK : out_of_memory(err);
    for (int64_t i = 0; i < s->store.samples && status == PSAL_OK; i++)
        if (s->store.records[i].valid &&
            psal_reference_has(only, s->store.records[i].label, s->store.records[i].predicted))
            samples[count++] = i;
    if (status == PSAL_OK && s->mode == PSAL_MODE_POT) {
        s->statistics->tail = psal_tail_fit(&s->source, samples, count, PSAL_TAIL_QUANTILE, s->search.threads,
                                            s->statistics->mean, s->statistics->std, err);
        if (!s->statistics->tail) status = psal_error_status(err);
    } else if (status == PSAL_OK) {
        status = psal_neighbors_statistics(&s->source, samples, count, s->search.similarity, s->search.threads,
                                           s->statistics->mean, s->statistics->std, err);
    }
    free(samples);
    if (status != PSAL_OK) return psal_fail_prefix(err, "%s", psal_options_string(s->options, "store"));
    psal_note_few_samples(&s->session.notes, "the store", count);
    if (only.kind == PSAL_REFERENCE_ALL)
        snprintf(s->statistics_name, sizeof s->statistics_name, "computed from the store's %" PRId64 " samples", count);
    else
        snprintf(s->statistics_name, sizeof s->statistics_name, "computed from the store's %" PRId64 " %s", count,
                 psal_reference_describe(only, text));
    return PSAL_OK;
}

/* The search is among scores. */
static psal_status compare_scores(psal_compared_store *s, psal_error *err) {
    const size_t n = (size_t)s->store.length;
    s->unit = malloc(2 * n * sizeof *s->unit);
    if (!s->unit) return out_of_memory(err);
    for (size_t i = 0; i < 2 * n; i++) s->unit[i] = i < n ? 0 : 1;
    s->search.mean = s->unit;
    s->search.std = s->unit + n;
    s->source.read = read_scores;
    s->source.release = release_scores;
    s->source.context = s;
    psal_computation_set(&s->computation, PSAL_FIELD_MODE, "%s", psal_mode_name(s->mode));
    psal_computation_set_tail(&s->computation, s->statistics->tail);
    return PSAL_OK;
}

/* Entries without a deviation cannot be standardized (psal_rankable): where no entry has one, nothing can be
 * compared. */
static psal_status check_deviations(const psal_compared_store *s, psal_error *err) {
    const size_t n = (size_t)s->store.length;
    bool *live = malloc(n * sizeof *live), any = false;
    if (!live) return out_of_memory(err);
    memset(live, true, n * sizeof *live);
    psal_rankable(PSAL_MODE_STD, s->store.length, NULL, NULL, s->statistics->std, live);
    for (size_t i = 0; i < n; i++) any = any || live[i];
    free(live);
    if (any) return PSAL_OK;
    return psal_fail(
        err, PSAL_ERR_NUMERIC,
        "%s: profiles that are all the same, or too small to be told apart: none of their %zu entries has a "
        "deviation above 1e-14",
        psal_options_string(s->options, "store"), n);
}

psal_status psal_compared_store_standardize(psal_compared_store *s, psal_error *err) {
    const psal_similarity similarity = s->search.similarity;
    const char *path = psal_options_string(s->options, "stats");
    /* A project's are those of profiles as they are. */
    if ((similarity == PSAL_SIMILARITY_NORMALIZED || similarity == PSAL_SIMILARITY_ROOTS) &&
        !psal_options_given(s->options, "stats"))
        path = NULL;
    if (s->mode == PSAL_MODE_POT && (similarity == PSAL_SIMILARITY_NORMALIZED || similarity == PSAL_SIMILARITY_ROOTS))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--mode pot scores profiles as they are: --similarity %s does not go with it",
                         psal_similarity_name(similarity));
    if (similarity == PSAL_SIMILARITY_ROOTS && path)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--stats %s: statistics of profiles, but --similarity roots standardizes their roots, with "
                         "statistics computed from the store; leave --stats out, or use --similarity pearson",
                         path);
    if (similarity == PSAL_SIMILARITY_ROOTS && strcmp(s->computation.value[PSAL_FIELD_SIGNED], "1") == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--similarity roots: %s has signed profiles, and negative numbers have no roots; use "
                         "--similarity pearson",
                         psal_options_string(s->options, "store"));
    psal_status status = path ? read_statistics(s, path, err) : compute_statistics(s, err);
    if (status == PSAL_OK && s->mode != PSAL_MODE_POT) status = check_deviations(s, err);
    if (status != PSAL_OK) return status;
    s->search.mean = s->statistics->mean;
    s->search.std = s->statistics->std;
    if (s->mode == PSAL_MODE_POT && (status = compare_scores(s, err)) != PSAL_OK) return status;
    psal_session_print_notes(&s->session, s->program->name);
    return PSAL_OK;
}

/* ---- all of it ---- */

psal_status psal_compared_store_open(psal_compared_store *s, psal_error *err) {
    const psal_options *o = s->options;
    const char *store = psal_options_string(o, "store"), *index = psal_options_string(o, "index");
    if (psal_options_given(o, "data") && !psal_options_has(o, "sheet") && !s->shows_pictures)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--data does nothing without --sheet: it says where its pictures are");
    snprintf(s->index, sizeof s->index, "%.4095s%s", index ? index : store, index ? "" : ".csv");
    psal_status status = psal_profile_store_open(store, s->index, &s->store, err);
    if (status != PSAL_OK) return status;
    s->skip_bad = psal_options_flag(o, "skip-bad");
    s->mode = psal_mode_of(o);
    s->source = (psal_profile_source){s->store.samples, s->store.length, read_profile, release_profiles, &s->store};
    s->search.threads = psal_options_has(o, "threads") ? (int)psal_options_int(o, "threads") : omp_get_num_procs();
    status = read_settings(s, err);
    if (status == PSAL_OK) status = open_names(s, err);
    if (status == PSAL_OK) status = choose_candidates(s, err);
    if (status == PSAL_OK) status = choose_entries(s, err);
    if (status == PSAL_OK) status = check_network(s, err);
    psal_session_print_notes(&s->session, s->program->name);
    return status;
}

const char *psal_compared_store_pictures(const psal_compared_store *s) {
    const char *given = psal_options_string(s->options, "data");
    return given ? given : psal_store_source_string(s->made_from, "data");
}

void psal_compared_store_close(psal_compared_store *s) {
    free(s->ranges);
    free(s->candidates);
    free(s->unit);
    psal_statistics_free(s->statistics);
    psal_labels_free(s->numbers);
    json_decref(s->made_from);
    psal_session_close(&s->session);
    psal_source_options_free(&s->recorded);
    psal_profile_store_close(&s->store);
    psal_skipped_free(&s->skipped);
}

/* ---- tables and JSON ---- */

json_t *psal_compared_store_json(const psal_compared_store *s, json_t *results, bool complete, psal_error *err) {
    const char *similarity = psal_similarity_name(s->search.similarity);
    complete = json_object_set_new(results, "similarity", json_string(similarity)) == 0 && complete;
    complete = json_object_set_new(results, "statistics", psal_json_string(s->statistics_name)) == 0 && complete;
    complete = json_object_set_new(results, "entries", json_integer(s->entries)) == 0 && complete;
    complete = json_object_set_new(results, "skipped", psal_skipped_json(&s->skipped)) == 0 && complete;
    if (s->known)
        complete = json_object_set_new(results, "settings", psal_computation_json(&s->computation)) == 0 && complete;
    if (complete) return results;
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    json_decref(results);
    return NULL;
}

psal_status psal_compared_store_print_json(const psal_compared_store *s, json_t *results, bool complete,
                                           psal_error *err) {
    json_t *whole = psal_compared_store_json(s, results, complete, err);
    psal_status status = whole ? psal_json_write(whole, stdout, err) : psal_error_status(err);
    json_decref(whole);
    return status;
}
