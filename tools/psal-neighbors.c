/* psal-neighbors: which other samples go wrong for the same reason? */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/dataset.h"
#include "io/json_input.h"
#include "saliency/prediction.h"
#include "saliency/reference_set.h"
#include "tools/layers.h"
#include "tools/neighbors_output.h"
#include "tools/outputs.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/session.h"
#include "tools/store_source.h"

static const psal_option table[] = {
    {PSAL_OPTION_HEADING, .help = "The store (psal-stats --profiles FILE.npy)"},
    {PSAL_OPTION_PATH, "store", 0, "FILE.npy", NULL, "Naive profiles, one sample a row.", .required = true,
     .companion = ".csv"},
    {PSAL_OPTION_PATH, "index", 0, "FILE.csv", NULL,
     "Whose they are: path, label, predicted, ... FILE.npy.csv, as psal-stats calls it, if not given.", .alias = NULL},
    {PSAL_OPTION_PATH, "stats", 's', "FILE", NULL,
     "Statistics to standardize with. Computed from the store if not given.", .alias = NULL},
    PSAL_MODE_OPTION,
    {PSAL_OPTION_HEADING, .help = "The question"},
    {PSAL_OPTION_STRING, "query", 0, "LIST", NULL,
     "Samples of the store (7 or 3,10-20), or 'all': every sample that may be a neighbour, too.", .repeatable = true},
    {PSAL_OPTION_PATH, "image-path", 'i', "FILE", NULL, "A photo instead.", .alias = NULL},
    {PSAL_OPTION_STRING, "image-target-label", 'l', "CLASS", NULL,
     "Its true class; predicted (as if not given), or second, the runner-up.", .alias = NULL},
    {PSAL_OPTION_CHOICE, "similarity", 0, NULL, "pearson",
     "Of standardized profiles: Pearson's correlation, the cosine (the paper's, which has more hubs), or the cosine "
     "after dividing each naive profile by its L2 norm.",
     .choices = "cosine|pearson|normalized"},
    PSAL_SKIP_BAD_OPTION,
    {PSAL_OPTION_INT, "top", 'n', "N", "10", "Neighbours of each query.", .minimum = 1, .maximum = 1e5},
    {PSAL_OPTION_FLAG, "mistakes", .help = "Only misclassified samples as neighbours."},
    {PSAL_OPTION_STRING, "class", 0, "CLASS", NULL, "Only samples whose true class this is.", .repeatable = true},
    {PSAL_OPTION_STRING, "layers", 0, "PREFIX", NULL,
     "Compare only the filters, or rows, of layers whose name begins so (layer4).", .repeatable = true},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_PATH, "csv", 0, "FILE", NULL, "Also write the table as CSV.", .output = true},
    {PSAL_OPTION_FLAG, "json", .help = "Print one JSON object instead of the table."},
    {PSAL_OPTION_PATH, "sheet", 0, "FILE.png", NULL, "Contact sheet of queries and neighbours (.png, .svg, .pdf).",
     .output = true},
    {PSAL_OPTION_STRING, "data", 0, "SPEC", NULL,
     "The data set the store was made from, for the pictures, if it is elsewhere now than the store's table says.",
     .alias = NULL},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_program program = {
    .name = "psal-neighbors",
    .version = PSAL_VERSION,
    .summary = "Find the samples whose standardized saliency profiles are most similar: mistakes of the same cause.",
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-neighbors --store p.npy --query 17 --mistakes --sheet near.png --data val/\n"
                "  psal-neighbors --store p.npy --query all --mistakes --csv near.csv\n"
                "  psal-neighbors --store p.npy -w resnet50.safetensors -i rocket.jpg -l missile --layers layer4\n"};

typedef struct run {
    const psal_options *options;
    psal_session session;
    bool has_session;
    psal_profile_store store;
    char index[4200]; /* the store's table */
    psal_profile_source source;
    json_t *made_from; /* where the store's network, names and pictures are, as its table says; NULL: it does not */
    psal_computation computation;          /* of the store's profiles; */
    bool known;                            /* whether its table says that */
    psal_saliency_options profile_options; /* a profile with entries as the store's have */
    psal_source_options recorded;          /* where the store's own network is opened */
    psal_labels *numbers;                  /* class names where no network is opened */
    psal_mode mode;
    psal_statistics *statistics;
    double *unit; /* of scores, which are compared as they are: means 0, deviations 1 */
    char statistics_name[4200];
    psal_entry_range *ranges;
    int64_t *candidates, *queries;
    float *profile; /* of --image-path */
    psal_neighbor *neighbors;
    psal_neighbor_options search;
    psal_neighbor_report report;
    bool skip_bad;
    psal_skipped skipped; /* queries without a profile, pictures that cannot be read */
} run;

static void read_profile(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    psal_profile_store_read(context, sample, first, count, out);
}

static void release_profiles(const void *context, int64_t first, int64_t count) {
    psal_profile_store_release(context, first, count);
}

/* Peaks over threshold: the scores of a sample. */
static void read_scores(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const run *r = context;
    psal_profile_store_read(&r->store, sample, first, count, out);
    psal_tail_score_range(r->statistics->tail, first, count, out);
}

static void release_scores(const void *context, int64_t first, int64_t count) {
    psal_profile_store_release(&((const run *)context)->store, first, count);
}

static psal_status out_of_memory(psal_error *err) {
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

/* ---- names ---- */

/* The network that the command line names or, where it names none, the store's own; with the store's class names. */
static psal_status open_network(run *r, psal_error *err) {
    const psal_options *o = r->options;
    const bool recorded = psal_store_source_serves(r->made_from, o);
    psal_status status = recorded ? psal_store_source_options(r->made_from, &program, o, &r->recorded, err) : PSAL_OK;
    if (status == PSAL_OK) status = psal_session_open(&r->session, recorded ? r->recorded.options : o, err);
    if (status != PSAL_OK && recorded)
        psal_fail_prefix(err, "the network that %s names (--weights says where it is now)", r->index);
    if (status == PSAL_OK && !psal_options_has(o, "labels") && psal_store_source_has_labels(r->made_from)) {
        psal_labels *labels = psal_store_source_labels(r->made_from, 0, err);
        if (!labels) return psal_fail_prefix(err, "%s: the column psal_source", r->index);
        const bool fit = psal_labels_count(labels) == r->session.info->num_classes;
        psal_labels_free(fit ? r->session.labels : labels);
        if (fit) r->session.labels = labels;
    }
    r->report.labels = r->session.labels;
    return status;
}

/* The network is opened only when something asks for it. Without it, classes have the names of --labels, or numbers. */
static psal_status open_names(run *r, psal_error *err) {
    const psal_options *o = r->options;
    r->has_session = psal_options_given(o, "image-path") || psal_options_given(o, "layers") ||
                     psal_options_given(o, "weights") || psal_options_given(o, "model");
    if (r->has_session) return open_network(r, err);
    r->session.quiet = psal_options_flag(o, "quiet");
    int classes = 1;
    for (int64_t i = 0; i < r->store.samples; i++) {
        const psal_profile_record *record = &r->store.records[i];
        if (record->label >= classes) classes = record->label + 1;
        if (record->predicted >= classes) classes = record->predicted + 1;
    }
    if (classes > PSAL_MAX_CLASSES)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: class %d; at most %d classes", r->index, classes - 1,
                         PSAL_MAX_CLASSES);
    const char *set = psal_options_string(o, "labels");
    const bool recorded = !set && psal_store_source_has_labels(r->made_from);
    int64_t told; /* the names of another number of classes are those of another data set */
    if (!psal_parse_int64(r->computation.value[PSAL_FIELD_CLASSES], &told) || told < classes || told > PSAL_MAX_CLASSES)
        told = 0;
    r->numbers = set        ? psal_labels_open(set, (int)told, err)
                 : recorded ? psal_store_source_labels(r->made_from, (int)told, err)
                            : psal_labels_numbered(classes, err);
    if (!r->numbers)
        return set        ? psal_fail_prefix(err, "--labels")
               : recorded ? psal_fail_prefix(err, "%s: the column psal_source", r->index)
                          : psal_error_status(err);
    r->report.labels = r->numbers;
    if (psal_labels_count(r->numbers) < classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s %s: %d classes, but the store's table has class %d",
                         set ? "--labels" : "the labels in", set ? set : r->index, psal_labels_count(r->numbers),
                         classes - 1);
    return PSAL_OK;
}

/* ---- what the profiles are ---- */

static psal_status read_settings(run *r, psal_error *err) {
    if (r->store.source && !(r->made_from = psal_store_source_read(r->store.source, err)))
        return psal_fail_prefix(err, "%s: the column psal_source", r->index);
    if (!r->store.settings) return PSAL_OK;
    json_t *object = psal_json_parse_object(r->store.settings, strlen(r->store.settings), err);
    psal_status status = object ? psal_computation_from_json(&r->computation, object, err) : psal_error_status(err);
    json_decref(object);
    r->known = true;
    r->report.computation = &r->computation;
    r->report.record = r->store.settings;
    const char *aggregation = r->computation.value[PSAL_FIELD_AGGREGATION];
    if (status == PSAL_OK && *aggregation && !psal_aggregation_parse(aggregation, &r->profile_options.aggregation))
        status = psal_fail(err, PSAL_ERR_FORMAT, "its aggregation '%.60s' is none that psal has", aggregation);
    return status == PSAL_OK ? status : psal_fail_prefix(err, "%s: the column psal_settings", r->index);
}

/* Whether the network is the one that the store was made with: its layers and classes, and with a photo everything. */
static psal_status check_network(run *r, psal_error *err) {
    bool image = psal_options_given(r->options, "image-path");
    psal_computation here;
    if (!r->has_session) return PSAL_OK;
    if (image && !r->known)
        psal_note(&r->session.notes,
                  "%s does not say what the store's profiles were computed with: taken to be as here", r->index);
    psal_session_computation(&r->session, &r->profile_options, false, &here);
    psal_fields which = image ? PSAL_FIELDS_PROFILE | PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS)
                              : PSAL_FIELD_SET(PSAL_FIELD_ARCH) | PSAL_FIELD_SET(PSAL_FIELD_CLASSES);
    if (psal_computation_check(&r->computation, &here, which, err) == PSAL_OK) return PSAL_OK;
    return psal_fail(err, err->status,
                     "%s: the store was made with something else: %s; make a store with the settings of this run "
                     "(psal-stats --profiles), or give the settings it was made with",
                     r->index, err->message);
}

/* ---- which samples and entries ---- */

static psal_status choose_candidates(run *r, psal_error *err) {
    bool mistakes = psal_options_flag(r->options, "mistakes");
    size_t classes = psal_options_count(r->options, "class");
    r->candidates = malloc((size_t)r->store.samples * sizeof *r->candidates);
    int *wanted = calloc(classes + 1, sizeof *wanted);
    psal_status status = r->candidates && wanted ? PSAL_OK : out_of_memory(err);
    for (size_t c = 0; c < classes && status == PSAL_OK; c++) {
        status = psal_labels_parse(r->report.labels, psal_options_string_at(r->options, "class", c), &wanted[c], err);
        if (status != PSAL_OK) psal_fail_prefix(err, "--class");
    }
    int64_t count = 0;
    for (int64_t i = 0; i < r->store.samples && status == PSAL_OK; i++) {
        const psal_profile_record *record = &r->store.records[i];
        bool take = record->valid && !(mistakes && (record->label < 0 || record->label == record->predicted));
        bool in_class = classes == 0;
        for (size_t c = 0; c < classes; c++) in_class = in_class || record->label == wanted[c];
        if (take && in_class) r->candidates[count++] = i;
    }
    free(wanted);
    if (status == PSAL_OK && count == 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "no sample of the store is left%s%s",
                           mistakes ? " with --mistakes" : "", classes ? " in the --class given" : "");
    r->search.candidates = r->candidates;
    r->search.candidate_count = r->report.candidates = count;
    return status;
}

/* Add the samples a..b to the queries. */
static psal_status add_queries(run *r, int64_t first, int64_t last, const char *text, psal_error *err) {
    if (first < 0 || last >= r->store.samples || last < first)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--query %s: samples are numbered 0 to %" PRId64, text,
                         r->store.samples - 1);
    int64_t count = r->report.query_count + last - first + 1;
    if (count > 100000000) return psal_fail(err, PSAL_ERR_ARGUMENT, "--query %s: too many", text);
    int64_t *grown = realloc(r->queries, (size_t)count * sizeof *grown);
    if (!grown) return out_of_memory(err);
    r->queries = grown;
    for (int64_t i = first; i <= last; i++) {
        if (r->store.records[i].valid) {
            r->queries[r->report.query_count++] = i;
            continue;
        }
        psal_error bad = PSAL_ERROR_INIT;
        psal_fail(&bad, PSAL_ERR_ARGUMENT, "--query %.200s: sample %" PRId64 " has no profile (%s)%s", text, i,
                  r->store.records[i].path, r->skip_bad ? "" : " (--skip-bad leaves such images out)");
        psal_status status = r->skip_bad ? psal_skipped_add(&r->skipped, r->store.records[i].path, &bad, err)
                                         : bad.status;
        if (!r->skip_bad && err) *err = bad;
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static psal_status parse_query(run *r, const char *text, psal_error *err) {
    if (strcmp(text, "all") == 0) {
        psal_status status = PSAL_OK;
        for (int64_t i = 0; i < r->report.candidates && status == PSAL_OK; i++)
            status = add_queries(r, r->candidates[i], r->candidates[i], text, err);
        return status;
    }
    char *copy = strdup(text), *rest = copy;
    psal_status status = copy ? PSAL_OK : out_of_memory(err);
    for (char *part; status == PSAL_OK && (part = strsep(&rest, ","));) {
        int64_t first, last;
        char *dash = strchr(part, '-');
        if (dash) *dash = '\0';
        const bool numbers = psal_parse_int64(part, &first) && psal_parse_int64(dash ? dash + 1 : part, &last);
        if (numbers && last < first)
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "--query %s: %" PRId64 "-%" PRId64 " goes backwards; did you mean %" PRId64 "-%" PRId64
                               "?",
                               text, first, last, last, first);
        else if (!numbers)
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "--query %s: a list such as 3,10-20, or 'all', is needed", text);
        else
            status = add_queries(r, first, last, text, err);
    }
    free(copy);
    return status;
}

static psal_status choose_entries(run *r, psal_error *err) {
    r->report.entries = r->store.length;
    if (!psal_options_given(r->options, "layers")) return PSAL_OK;
    const psal_units units = psal_aggregation_units(r->profile_options.aggregation);
    const int count = psal_model_unit_count(r->session.model, units);
    if (count != r->store.length)
        return psal_fail(err, PSAL_ERR_SHAPE,
                         "--layers: %s has %d %s, but the store's profiles have %" PRId64 " entries",
                         r->session.info->arch, count, psal_units_name(units), r->store.length);
    const int parameters = psal_model_parameter_count(r->session.model);
    r->ranges = malloc((size_t)parameters * sizeof *r->ranges);
    bool *wanted = calloc((size_t)parameters, sizeof *wanted);
    psal_status status = r->ranges && wanted ? psal_layers_wanted(r->options, r->session.model, units, wanted, err)
                                             : out_of_memory(err);
    r->report.entries = 0;
    for (int i = 0; i < parameters && status == PSAL_OK; i++) {
        if (!wanted[i]) continue;
        const psal_model_parameter *parameter = psal_model_get_parameter(r->session.model, i);
        const int64_t outputs = psal_parameter_outputs(parameter).count;
        r->ranges[r->search.range_count++] = (psal_entry_range){parameter->first_unit[units], outputs};
        r->report.entries += outputs;
    }
    free(wanted);
    r->search.ranges = r->ranges;
    return status;
}

/* ---- statistics ---- */

static psal_status read_statistics(run *r, const char *path, bool normalized, psal_error *err) {
    psal_computation here = r->computation;
    if (psal_options_given(r->options, "image-path"))
        psal_session_computation(&r->session, &r->profile_options, normalized, &here);
    psal_computation_set(&here, PSAL_FIELD_NORMALIZED, "%d", normalized);
    r->statistics = psal_session_statistics_file(path, &here, r->store.length, &r->session.notes, err);
    if (!r->statistics || psal_session_check_reference(r->statistics, path, &r->computation, r->index, err) != PSAL_OK)
        return psal_error_status(err);
    if (r->mode == PSAL_MODE_POT && psal_session_check_tails(r->statistics, path, err) != PSAL_OK)
        return psal_error_status(err);
    psal_note_few_samples(&r->session.notes, path, r->statistics->count);
    snprintf(r->statistics_name, sizeof r->statistics_name, "%s", path);
    return PSAL_OK;
}

/* From every sample of the store's reference set, whatever may be a neighbour. */
static psal_status compute_statistics(run *r, psal_error *err) {
    psal_reference_set only;
    char text[PSAL_REFERENCE_SIZE];
    psal_reference_parse(r->computation.value[PSAL_FIELD_ONLY], &only);
    int64_t *samples = malloc((size_t)r->store.samples * sizeof *samples), count = 0;
    r->statistics = psal_statistics_new(r->store.length, err);
    psal_status status = samples && r->statistics ? PSAL_OK : out_of_memory(err);
    for (int64_t i = 0; i < r->store.samples && status == PSAL_OK; i++)
        if (r->store.records[i].valid &&
            psal_reference_has(only, r->store.records[i].label, r->store.records[i].predicted))
            samples[count++] = i;
    if (status == PSAL_OK && r->mode == PSAL_MODE_POT) {
        r->statistics->tail = psal_tail_fit(&r->source, samples, count, PSAL_TAIL_QUANTILE, r->search.threads,
                                            r->statistics->mean, r->statistics->std, err);
        if (!r->statistics->tail) status = psal_error_status(err);
    } else if (status == PSAL_OK) {
        status = psal_neighbors_statistics(&r->source, samples, count, r->search.similarity, r->search.threads,
                                           r->statistics->mean, r->statistics->std, err);
    }
    free(samples);
    if (status != PSAL_OK) return psal_fail_prefix(err, "%s", psal_options_string(r->options, "store"));
    psal_note_few_samples(&r->session.notes, "the store", count);
    if (only.kind == PSAL_REFERENCE_ALL)
        snprintf(r->statistics_name, sizeof r->statistics_name, "computed from the store's %" PRId64 " samples", count);
    else
        snprintf(r->statistics_name, sizeof r->statistics_name, "computed from the store's %" PRId64 " %s", count,
                 psal_reference_describe(only, text));
    return PSAL_OK;
}

/* The search is among scores. */
static psal_status compare_scores(run *r, psal_error *err) {
    const size_t n = (size_t)r->store.length;
    r->unit = malloc(2 * n * sizeof *r->unit);
    if (!r->unit) return out_of_memory(err);
    for (size_t i = 0; i < 2 * n; i++) r->unit[i] = i < n ? 0 : 1;
    r->search.mean = r->unit;
    r->search.std = r->unit + n;
    r->source.read = read_scores;
    r->source.release = release_scores;
    r->source.context = r;
    if (r->profile) psal_tail_score_range(r->statistics->tail, 0, r->store.length, r->profile);
    psal_computation_set(&r->computation, PSAL_FIELD_MODE, "%s", psal_mode_name(r->mode));
    psal_computation_set_tail(&r->computation, r->statistics->tail);
    return PSAL_OK;
}

static psal_status open_statistics(run *r, psal_error *err) {
    const char *path = psal_options_string(r->options, "stats");
    bool normalized = r->search.similarity == PSAL_SIMILARITY_NORMALIZED;
    if (normalized && r->mode == PSAL_MODE_POT)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--mode pot scores profiles as they are: --similarity normalized does not go with it");
    psal_status status = path ? read_statistics(r, path, normalized, err) : compute_statistics(r, err);
    if (status != PSAL_OK) return status;
    r->search.mean = r->statistics->mean;
    r->search.std = r->statistics->std;
    if (r->mode == PSAL_MODE_POT && (status = compare_scores(r, err)) != PSAL_OK) return status;
    r->report.statistics = r->statistics_name;
    psal_session_print_notes(&r->session, program.name);
    return PSAL_OK;
}

/* ---- a photo as the query ---- */

static psal_status profile_sample(run *r, const psal_saliency *saliency, const psal_image *image, psal_error *err) {
    const psal_session *s = &r->session;
    const char *label = psal_options_string(r->options, "image-target-label");
    psal_saliency_worker *worker = psal_saliency_worker_new(saliency, err);
    float *input = malloc(psal_session_image_size(s) * sizeof *input);
    r->profile = malloc((size_t)psal_saliency_length(saliency) * sizeof *r->profile);
    psal_status status = !worker ? psal_error_status(err) : input && r->profile ? PSAL_OK : out_of_memory(err);
    if (status == PSAL_OK) status = psal_session_prepare(s, image, NULL, input, err);
    if (status == PSAL_OK) status = psal_saliency_forward(worker, input, err);
    if (status == PSAL_OK) {
        const float *logits = psal_saliency_logits(worker);
        int best = 0;
        for (int c = 1; c < s->info->num_classes; c++)
            if (logits[c] > logits[best]) best = c;
        r->report.image.predicted = r->report.image.label = best;
        double total = 0;
        for (int c = 0; c < s->info->num_classes; c++) total += exp((double)logits[c] - logits[best]);
        r->report.image.confidence = 1 / total;
        if (label && strcmp(label, "second") == 0 && s->info->num_classes == 1)
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label second: the network has one class");
        else if (label && strcmp(label, "second") == 0)
            r->report.image.label = psal_predicted_class(logits, s->info->num_classes, best);
        else if (label && strcmp(label, "predicted") != 0 &&
                 (status = psal_labels_parse(s->labels, label, &r->report.image.label, err)) != PSAL_OK)
            psal_fail_prefix(err, "--image-target-label");
        if (status == PSAL_OK)
            r->report.image.target_confidence = exp((double)logits[r->report.image.label] - logits[best]) / total;
    }
    if (status == PSAL_OK) status = psal_saliency_profile_forwarded(worker, r->report.image.label, 0, r->profile, err);
    if (status == PSAL_OK) r->report.image.loss = psal_saliency_loss(worker);
    free(input);
    psal_saliency_worker_free(worker);
    return status;
}

static psal_status profile_image(run *r, const char *path, psal_error *err) {
    const psal_session *s = &r->session;
    psal_saliency_options options = {.aggregation = r->profile_options.aggregation,
                                     .height = s->height,
                                     .width = s->width,
                                     .threads = s->threads,
                                     .few_runs = true,
                                     .memory_limit = s->memory_limit,
                                     .conv = s->conv};
    psal_image image = PSAL_IMAGE_INIT;
    psal_saliency *saliency = psal_saliency_new(s->model, &options, err);
    psal_status status = saliency ? PSAL_OK : psal_error_status(err);
    if (status == PSAL_OK && psal_saliency_length(saliency) != r->store.length)
        status = psal_fail(err, PSAL_ERR_SHAPE,
                           "%s has %" PRId64 " %s, but the store's profiles have %" PRId64 " entries", s->info->arch,
                           psal_saliency_length(saliency), psal_aggregation_plural(options.aggregation),
                           r->store.length);
    if (status == PSAL_OK) status = psal_image_load(path, 0, &image, err);
    if (status == PSAL_OK) {
        r->report.image = (psal_profile_record){.path = (char *)(uintptr_t)path, .scale = 1, .valid = true};
        status = profile_sample(r, saliency, &image, err);
    }
    psal_image_free(&image);
    psal_saliency_free(saliency);
    return status;
}

/* ---- all of it ---- */

static psal_status find(run *r, psal_error *err) {
    const char *image = psal_options_string(r->options, "image-path");
    size_t queries = psal_options_count(r->options, "query");
    if (!image == !queries) return psal_fail(err, PSAL_ERR_ARGUMENT, "give one of --query and --image-path");
    psal_status status = image ? profile_image(r, image, err) : PSAL_OK;
    for (size_t i = 0; i < queries && status == PSAL_OK; i++)
        status = parse_query(r, psal_options_string_at(r->options, "query", i), err);
    if (status == PSAL_OK && !image && r->report.query_count == 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "--query: none of the samples has a profile");
    if (status == PSAL_OK) status = open_statistics(r, err);
    if (status != PSAL_OK) return status;
    if (image) r->report.query_count = 1;
    r->search.top = r->report.top = psal_options_int(r->options, "top");
    r->report.queries = image ? NULL : r->queries;
    if (r->report.query_count > INT64_C(1000000000) / r->search.top)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%" PRId64 " queries x --top %" PRId64 " are too many",
                         r->report.query_count, r->search.top);
    r->report.neighbors = r->neighbors = malloc((size_t)(r->report.query_count * r->search.top) * sizeof *r->neighbors);
    if (!r->neighbors) return out_of_memory(err);
    if (image) return psal_neighbors_of_profile(&r->source, &r->search, r->profile, r->neighbors, err);
    return psal_neighbors_of_samples(&r->source, &r->search, r->queries, r->report.query_count, r->neighbors, err);
}

static psal_status write_results(run *r, psal_error *err) {
    psal_hub_summary summary;
    const char *csv = psal_options_string(r->options, "csv"), *sheet = psal_options_string(r->options, "sheet");
    psal_status status = psal_neighbor_summarize(&r->report, &summary, err);
    if (status == PSAL_OK && csv) status = psal_neighbor_write_csv(&r->report, csv, err);
    if (status == PSAL_OK && sheet) {
        int64_t shown;
        const char *given = psal_options_string(r->options, "data");
        status = psal_neighbor_write_sheet(&r->report, sheet,
                                           given ? given : psal_store_source_string(r->made_from, "data"), &shown,
                                           r->skip_bad ? &r->skipped : NULL, err);
        if (status != PSAL_OK && !given) psal_fail_prefix(err, "--sheet without --data");
        if (status == PSAL_OK && shown < r->report.query_count && !psal_options_flag(r->options, "quiet"))
            psal_print(stderr, "%s: note: %s shows the first %" PRId64 " of %" PRId64 " queries\n", program.name, sheet,
                       shown, r->report.query_count);
    }
    if (status != PSAL_OK) return status;
    if (psal_options_flag(r->options, "json")) return psal_neighbor_print_json(&r->report, &summary, &r->skipped, err);
    psal_neighbor_print(&r->report, &summary);
    if (!psal_options_flag(r->options, "quiet")) psal_print(stdout, "statistics: %s\n", r->statistics_name);
    psal_print_written(&program, r->options);
    return PSAL_OK;
}

static psal_status run_all(run *r, psal_error *err) {
    const psal_options *o = r->options;
    static const psal_similarity similarities[] = {PSAL_SIMILARITY_COSINE, PSAL_SIMILARITY_PEARSON,
                                                   PSAL_SIMILARITY_NORMALIZED};
    const char *store = psal_options_string(o, "store"), *index = psal_options_string(o, "index");
    snprintf(r->index, sizeof r->index, "%.4095s%s", index ? index : store, index ? "" : ".csv");
    psal_status status = psal_profile_store_open(store, r->index, &r->store, err);
    if (status != PSAL_OK) return status;
    r->report.store = &r->store;
    r->skip_bad = psal_options_flag(o, "skip-bad");
    r->mode = psal_mode_of(o);
    r->source = (psal_profile_source){r->store.samples, r->store.length, read_profile, release_profiles, &r->store};
    r->search.similarity = r->report.similarity = similarities[psal_options_choice(o, "similarity")];
    r->search.threads = psal_options_has(o, "threads") ? (int)psal_options_int(o, "threads") : omp_get_num_procs();
    status = read_settings(r, err);
    if (status == PSAL_OK) status = open_names(r, err);
    if (status == PSAL_OK) status = choose_candidates(r, err);
    if (status == PSAL_OK) status = choose_entries(r, err);
    if (status == PSAL_OK) status = check_network(r, err);
    psal_session_print_notes(&r->session, program.name);
    if (status == PSAL_OK) status = find(r, err);
    return status == PSAL_OK ? write_results(r, err) : status;
}

static int work(const psal_options *options, psal_error *err) {
    run r = {.options = options};
    psal_status done = run_all(&r, err);
    int status = psal_skipped_finish(&r.skipped, program.name, (size_t)r.store.samples, done, err);
    psal_skipped_free(&r.skipped);
    free(r.ranges);
    free(r.candidates);
    free(r.queries);
    free(r.profile);
    free(r.unit);
    free(r.neighbors);
    psal_statistics_free(r.statistics);
    psal_labels_free(r.numbers);
    json_decref(r.made_from);
    psal_session_close(&r.session);
    psal_source_options_free(&r.recorded);
    psal_profile_store_close(&r.store);
    return status;
}

int main(int argc, char **argv) {
    return psal_program_main(&program, argc, argv, work);
}
