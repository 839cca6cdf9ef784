#include "tools/mistakes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/known_label.h"
#include "tools/layers.h"
#include "tools/mistakes_find.h"

/* A data set whose mistakes can be told. */
static psal_dataset *open_list(psal_mistakes *mistakes, const char *option, const char *data, psal_error *err) {
    psal_dataset *list = psal_open_list(data, mistakes->session->labels, mistakes->skip_bad, &mistakes->session->notes,
                                        err);
    if (!list || psal_dataset_all_labelled(list)) return list;
    psal_dataset_free(list);
    psal_fail(err, PSAL_ERR_ARGUMENT, "--%s %s: mistakes can be told only where all samples have labels", option, data);
    return NULL;
}

/* One image: that of the command line, or of psal's own small network. */
static psal_dataset *open_photo(psal_mistakes *mistakes, const psal_options *options, psal_error *err) {
    const char *image = psal_options_string(options, "image-path");
    const char *target = psal_options_string(options, "image-target-label");
    char path[4096];
    int label = PSAL_NO_LABEL;
    if (!image) {
        if (psal_box_file(PSAL_DEFAULT_SAMPLE, path, err) != PSAL_OK) return NULL;
        image = path;
        if (!target) target = PSAL_DEFAULT_LABEL;
    }
    if (!target && psal_known_labels(options, mistakes->session->labels, &image, 1, &label, &mistakes->session->notes,
                                     err) != PSAL_OK)
        return NULL;
    const char *data = psal_known_data(options);
    if (!target && label == PSAL_NO_LABEL)
        psal_fail(err, PSAL_ERR_ARGUMENT, "--image-path needs its true class: --image-target-label%s%s%s",
                  data ? " (" : "", data ? data : "", data ? " has no such sample, whose class could be taken)" : "");
    else if (!target || psal_session_class(mistakes->session, "image-target-label", target, &label, err) == PSAL_OK) {
        if (target && image != path)
            psal_note_other_labels(options, mistakes->session->labels, &image, 1, &label, &mistakes->session->notes);
        return psal_dataset_from_images(&image, &label, 1, false, err);
    }
    return NULL;
}

psal_status psal_mistakes_check_options(const psal_options *options, bool group, psal_error *err) {
    static const char *const of_many[] = {"limit", "first", "right", "skip-bad", NULL};
    static const char *const of_data[] = {"right", NULL};
    const bool image = psal_options_has(options, "image-path"), data = psal_options_has(options, "data"),
               label = psal_options_has(options, "image-target-label");
    if (data && !image && label) return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label needs --image-path");
    if (image && !label && !psal_known_data(options))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-path needs its true class: --image-target-label");
    const char *idle = data ? NULL : psal_options_given_of(options, group ? of_data : of_many, true);
    if (idle)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing for %s: it needs --data", idle,
                         group ? "the mistakes of a list" : "one image");
    return PSAL_OK;
}

static psal_status open_dataset(psal_mistakes *mistakes, const psal_options *options, const psal_mistakes_needs *needs,
                                psal_error *err) {
    const char *image = psal_options_string(options, "image-path"), *data = psal_options_string(options, "data");
    static const char *const of_mistakes[] = {"limit", "first", NULL};
    const char *idle;
    if (image && data && !needs->beside)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --image-path and --data");
    if (!data && !image && !needs->group && !mistakes->session->default_network)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "which mistakes? Give --image-path or --data");
    if (data && image && !needs->others && (idle = psal_options_given_of(options, of_mistakes, true)))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing beside --image-path: it chooses mistakes of --data",
                         idle);
    mistakes->named = needs->group || (data && !image) ? 0 : 1;
    mistakes->dataset = mistakes->named ? open_photo(mistakes, options, err)
                        : needs->group  ? open_list(mistakes, "group", needs->group, err)
                                        : open_list(mistakes, "data", data, err);
    if (!mistakes->dataset) return psal_error_status(err);
    if (!data || (!image && !needs->group)) return PSAL_OK;
    mistakes->beside = open_list(mistakes, "data", data, err);
    return mistakes->beside ? PSAL_OK : psal_error_status(err);
}

/* The data set that sample `*index` is of, and its number there. */
static const psal_dataset *whose(const psal_mistakes *mistakes, size_t *index) {
    const size_t first = psal_dataset_count(mistakes->dataset);
    if (*index < first) return mistakes->dataset;
    *index -= first;
    return mistakes->beside;
}

size_t psal_mistakes_sample_count(const psal_mistakes *mistakes) {
    if (!mistakes->dataset) return 0;
    return psal_dataset_count(mistakes->dataset) + (mistakes->beside ? psal_dataset_count(mistakes->beside) : 0);
}

const char *psal_mistakes_name(const psal_mistakes *mistakes, size_t index) {
    const psal_dataset *dataset = whose(mistakes, &index);
    return psal_dataset_name(dataset, index);
}

int psal_mistakes_label(const psal_mistakes *mistakes, size_t index) {
    const psal_dataset *dataset = whose(mistakes, &index);
    return psal_dataset_label(dataset, index);
}

psal_status psal_mistakes_image(const psal_mistakes *mistakes, size_t index, float *image, psal_error *err) {
    const psal_dataset *dataset = whose(mistakes, &index);
    return psal_session_load(mistakes->session, dataset, index, image, err);
}

/* ---- one thread's things ---- */

static psal_status open_worker(psal_mistakes_worker *worker, const psal_mistakes *mistakes, psal_error *err) {
    memset(worker, 0, sizeof *worker);
    worker->mistakes = mistakes;
    worker->image = malloc(psal_session_image_size(mistakes->session) * sizeof *worker->image);
    worker->naive = malloc((size_t)mistakes->filters * sizeof *worker->naive);
    worker->standardized = malloc((size_t)mistakes->filters * sizeof *worker->standardized);
    if (!worker->image || !worker->naive || !worker->standardized)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %lld filters",
                         (long long)mistakes->filters);
    if (!(worker->saliency = psal_saliency_worker_new(mistakes->saliency, err))) return psal_error_status(err);
    if (mistakes->change) {
        if (!(worker->change = malloc((size_t)mistakes->filters * sizeof *worker->change)))
            return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %lld filters",
                             (long long)mistakes->filters);
        worker->change_saliency = psal_saliency_worker_new(mistakes->change, err);
        if (!worker->change_saliency) return psal_error_status(err);
    }
    if (!(worker->classifier = psal_classifier_worker_new(mistakes->classifier, err))) return psal_error_status(err);
    if (mistakes->variants &&
        !(worker->variants = psal_variants_worker_new(mistakes->variants, worker->classifier, err)))
        return psal_error_status(err);
    worker->edit = psal_edit_new(mistakes->session->model, err);
    return worker->edit ? PSAL_OK : psal_error_status(err);
}

static void close_worker(psal_mistakes_worker *worker) {
    psal_saliency_worker_free(worker->saliency);
    psal_saliency_worker_free(worker->change_saliency);
    psal_variants_worker_free(worker->variants);
    psal_classifier_worker_free(worker->classifier);
    psal_edit_free(worker->edit);
    free(worker->image);
    free(worker->naive);
    free(worker->standardized);
    free(worker->change);
    memset(worker, 0, sizeof *worker);
}

/* The naive profile, from the store or of worker->image; and standardized. */
static psal_status make_profile(psal_mistakes_worker *worker, const psal_subject *subject, psal_error *err) {
    const psal_mistakes *mistakes = worker->mistakes;
    const psal_profile_record *record = psal_mistakes_stored(mistakes, subject->index);
    psal_status status = PSAL_OK;
    if (record)
        psal_profile_store_read(&mistakes->store, record - mistakes->store.records, 0, mistakes->filters,
                                worker->naive);
    else
        status = psal_saliency_profile(worker->saliency, worker->image, subject->label, subject->rival, worker->naive,
                                       err);
    if (status != PSAL_OK) return status;
    return psal_statistics_standardize(mistakes->statistics, mistakes->mode, mistakes->filters, worker->naive,
                                       worker->standardized, err);
}

psal_status psal_mistakes_worker_profile(psal_mistakes_worker *worker, const psal_subject *subject, psal_error *err) {
    psal_status status = PSAL_OK;
    if (!psal_mistakes_stored(worker->mistakes, subject->index))
        status = psal_mistakes_image(worker->mistakes, subject->index, worker->image, err);
    return status == PSAL_OK ? make_profile(worker, subject, err) : status;
}

psal_status psal_mistakes_worker_load(psal_mistakes_worker *worker, const psal_subject *subject, psal_error *err) {
    psal_status status = psal_mistakes_image(worker->mistakes, subject->index, worker->image, err);
    if (status == PSAL_OK && worker->change)
        status = psal_saliency_profile(worker->change_saliency, worker->image, subject->label, subject->rival,
                                       worker->change, err);
    return status == PSAL_OK ? make_profile(worker, subject, err) : status;
}

/* ---- running several at once ---- */

void psal_mistakes_say_each(psal_mistakes_steps *steps, int choices, int k, int draws, int images) {
    char often[48] = "", many[32] = "";
    if (draws > 1) snprintf(often, sizeof often, ", random ones %d times", draws);
    if (images > 1) snprintf(many, sizeof many, " x %d images", images);
    snprintf(steps->each, sizeof steps->each, "%d choice%s x %d k%s%s", choices, choices == 1 ? "" : "s", k, many,
             often);
}

/* Of one subject the parts are counted, if the work on it is long. */
static psal_progress *start_progress(const psal_mistakes *mistakes, const psal_mistakes_steps *steps, size_t todo,
                                     int workers) {
    const bool one = todo < 2;
    const psal_progress_options meter = {
        .out = stderr,
        .mode = mistakes->session->quiet || (one && steps->parts < 2) ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
        .label = one ? steps->part_label : steps->label,
        .total = one ? steps->parts : (int64_t)todo,
        .program = mistakes->session->program,
        .each = one || !*steps->each ? NULL : steps->each,
        .at_once = workers,
        .patient = one};
    return psal_progress_start(&meter, NULL);
}

psal_status psal_mistakes_run(const psal_mistakes *mistakes, const psal_mistakes_steps *steps, size_t count,
                              bool subjects, bool forward_only, psal_mistakes_work work, void *data, psal_error *err) {
    psal_status result = PSAL_OK;
    size_t todo = 0;
    for (size_t i = 0; i < count; i++) todo += !steps->left_out || !steps->left_out[i];
    int workers = todo < (size_t)mistakes->workers ? (int)todo : mistakes->workers;
    psal_progress *progress = start_progress(mistakes, steps, todo, workers);
#pragma omp parallel num_threads(workers > 0 ? workers : 1)
    {
        psal_mistakes_worker worker = {0};
        psal_error own = PSAL_ERROR_INIT;
        psal_status status;
        if (forward_only) { /* before there are statistics */
            worker.mistakes = mistakes;
            worker.image = malloc(psal_session_image_size(mistakes->session) * sizeof *worker.image);
            worker.classifier = psal_classifier_worker_new(mistakes->classifier, &own);
            status = !worker.image       ? psal_fail(&own, PSAL_ERR_MEMORY, "out of memory for an image")
                     : worker.classifier ? PSAL_OK
                                         : psal_error_status(&own);
        } else {
            status = open_worker(&worker, mistakes, &own);
        }
        if (todo < 2) worker.progress = progress;
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            psal_status others;
#pragma omp atomic read
            others = result;
            if (status != PSAL_OK || others != PSAL_OK || (steps->left_out && steps->left_out[i])) continue;
            status = work(data, &worker, i, &own);
            if (status != PSAL_OK)
                psal_skipped_error(&own, psal_mistakes_name(mistakes, subjects ? mistakes->subjects[i].index : i),
                                   !subjects && count > mistakes->named && i >= mistakes->named);
            if (!worker.progress) psal_progress_add(progress, 1);
        }
        if (status != PSAL_OK) {
#pragma omp critical(psal_mistakes_error)
            if (result == PSAL_OK) {
                if (err) *err = own;
#pragma omp atomic write
                result = status;
            }
        }
        close_worker(&worker);
    }
    psal_progress_finish(progress);
    return result;
}

psal_status psal_mistakes_each(const psal_mistakes *mistakes, const psal_mistakes_steps *steps, psal_mistakes_work work,
                               void *data, psal_error *err) {
    return psal_mistakes_run(mistakes, steps, mistakes->subject_count, true, false, work, data, err);
}

psal_status psal_mistakes_open(psal_mistakes *mistakes, psal_session *session, const psal_options *options,
                               const psal_mistakes_needs *needs, psal_error *err) {
    memset(mistakes, 0, sizeof *mistakes);
    mistakes->session = session;
    mistakes->classes = session->info->num_classes;
    mistakes->units = psal_options_choice(options, "aggregation") ? PSAL_UNITS_ROWS : PSAL_UNITS_FILTERS;
    mistakes->filters = psal_model_unit_count(session->model, mistakes->units);
    if (needs->ranking) {
        const bool logit = psal_options_flag(options, "logit"),
                   difference = psal_options_flag(options, "logit-difference");
        if (logit && difference)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "--logit and --logit-difference exclude each other");
        mistakes->loss = logit ? PSAL_LOSS_LOGIT : difference ? PSAL_LOSS_LOGIT_DIFFERENCE : PSAL_LOSS_CROSS_ENTROPY;
        mistakes->is_signed = psal_options_flag(options, "signed");
    }
    mistakes->skip_bad = psal_options_flag(options, "skip-bad") && (needs->group || psal_options_has(options, "data"));
    psal_status status = psal_sampling_parse(&mistakes->sampling, options, err);
    if (status == PSAL_OK) status = open_dataset(mistakes, options, needs, err);
    if (status != PSAL_OK) return status;
    bool many = psal_mistakes_sample_count(mistakes) > 1;
    mistakes->workers = many ? session->threads : 1;
    psal_classifier_options forward = {.height = session->height,
                                       .width = session->width,
                                       .threads = many ? 1 : session->threads,
                                       .memory_limit = session->memory_limit / (size_t)mistakes->workers,
                                       .conv = session->conv,
                                       .in_parts = needs->in_parts};
    psal_saliency_options profile = psal_mistakes_profile(mistakes);
    profile.height = session->height;
    profile.width = session->width;
    profile.threads = forward.threads;
    profile.input_saliency = needs->input_saliency;
    profile.memory_limit = session->memory_limit / (size_t)mistakes->workers;
    profile.conv = session->conv;
    if (!(mistakes->saliency = psal_saliency_new(session->model, &profile, err))) return psal_error_status(err);
    psal_saliency_options change = profile;
    change.gradient_weight = change.is_signed = true;
    change.input_saliency = false;
    if (needs->change && !(mistakes->change = psal_saliency_new(session->model, &change, err)))
        return psal_error_status(err);
    char path[4096];
    mistakes->mode = psal_mode_of(options);
    mistakes->statistics = psal_session_mode_statistics(session, options, &profile, mistakes->mode, mistakes->filters,
                                                        path, err);
    if (!mistakes->statistics) return psal_error_status(err);
    psal_note_own_samples(&session->notes, path, mistakes->statistics, mistakes->dataset);
    if (!(mistakes->live = malloc((size_t)mistakes->filters * sizeof *mistakes->live)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld filters", (long long)mistakes->filters);
    psal_saliency_live(mistakes->saliency, mistakes->live);
    psal_statistics_rankable(mistakes->statistics, mistakes->mode, mistakes->filters, NULL, mistakes->live);
    const int64_t rankable = psal_choosable(session->model, mistakes->units, mistakes->live);
    if (rankable > 0 && needs->ranking) /* filters of other layers than --layers names are not chosen */
        status = psal_layers_keep(options, session->model, mistakes->units, mistakes->live, mistakes->layers, err);
    if (status != PSAL_OK) return status;
    const int64_t choosable = psal_choosable(session->model, mistakes->units, mistakes->live);
    if (choosable == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "none of the %lld %s%s has a %s in the statistics: there is nothing to choose",
                         (long long)mistakes->filters, psal_units_name(mistakes->units), rankable ? " of --layers" : "",
                         mistakes->mode == PSAL_MODE_POT ? "tail" : "deviation");
    if (needs->option && needs->choose > choosable)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s %lld: %s has %lld %s that can be ranked", needs->option,
                         (long long)needs->choose, session->info->arch, (long long)choosable,
                         psal_units_name(mistakes->units));
    if (!(mistakes->classifier = psal_classifier_new(session->model, &forward, err))) return psal_error_status(err);
    if (needs->ranking && (status = psal_mistakes_open_store(mistakes, options, err)) != PSAL_OK) return status;
    /* With a photo the data set is there for what else changes. */
    const int64_t right = mistakes->beside && !psal_options_given(options, "right") ? PSAL_RIGHT_BESIDE : needs->right;
    if (mistakes->beside && right == 0 && !needs->others)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--right 0: --data beside --%s is for the samples that are right: leave one out",
                         needs->group ? "group" : "image-path");
    return psal_mistakes_find(mistakes, needs, (size_t)right, err);
}

void psal_mistakes_close(psal_mistakes *mistakes) {
    for (int i = 0; i < mistakes->right_count; i++) free(mistakes->right[i]);
    free(mistakes->right);
    free(mistakes->right_labels);
    free(mistakes->right_index);
    free(mistakes->subjects);
    psal_statistics_free(mistakes->statistics);
    free(mistakes->live);
    psal_variants_free(mistakes->variants);
    psal_classifier_free(mistakes->classifier);
    psal_saliency_free(mistakes->saliency);
    psal_saliency_free(mistakes->change);
    psal_profile_store_close(&mistakes->store);
    psal_dataset_free(mistakes->dataset);
    psal_dataset_free(mistakes->beside);
    psal_skipped_free(&mistakes->skipped);
    memset(mistakes, 0, sizeof *mistakes);
}

psal_saliency_options psal_mistakes_profile(const psal_mistakes *mistakes) {
    return (psal_saliency_options){.loss = mistakes->loss,
                                   .aggregation = mistakes->units == PSAL_UNITS_ROWS ? PSAL_AGGREGATION_ROW
                                                                                     : PSAL_AGGREGATION_FILTER,
                                   .is_signed = mistakes->is_signed};
}

void psal_mistakes_record(const psal_mistakes *mistakes, psal_computation *c) {
    psal_computation_set(c, PSAL_FIELD_MODE, "%s", psal_mode_name(mistakes->mode));
    psal_computation_set_statistics(c, mistakes->statistics);
    psal_computation_set(c, PSAL_FIELD_LAYERS, "%s", mistakes->layers);
    if (mistakes->store.records)
        psal_computation_set(c, PSAL_FIELD_PROFILES, "%s", psal_dtype_name(mistakes->store.dtype));
    if (mistakes->mode == PSAL_MODE_POT) psal_computation_set_tail(c, mistakes->statistics->tail);
}

void psal_mistakes_computation(const psal_mistakes *mistakes, const psal_options *options, psal_computation *c) {
    const psal_saliency_options profile = psal_mistakes_profile(mistakes);
    psal_session_computation(mistakes->session, &profile, false, c);
    psal_mistakes_record(mistakes, c);
    psal_computation_set(c, PSAL_FIELD_SEED, "%s", psal_options_string(options, "seed"));
    psal_computation_canonical(c, NULL); /* all of it is */
}

json_t *psal_mistakes_settings(const psal_mistakes *mistakes, const psal_options *options) {
    psal_computation c;
    psal_mistakes_computation(mistakes, options, &c);
    return psal_computation_json(&c);
}

int psal_mistakes_finish(const psal_mistakes *mistakes, const char *program, psal_status status, psal_error *err) {
    return psal_skipped_finish(&mistakes->skipped, program, psal_mistakes_sample_count(mistakes), status, err);
}
