#include "tools/mistakes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"
#include "tools/print.h"
#include "tools/tally.h"

static psal_status open_dataset(psal_mistakes *mistakes, const psal_options *options, psal_error *err) {
    const char *image = psal_options_string(options, "image-path"), *data = psal_options_string(options, "data");
    const char *target = psal_options_string(options, "image-target-label");
    const psal_labels *labels = mistakes->session->labels;
    char path[4096];
    int label = PSAL_NO_LABEL;
    if (image && data) return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --image-path and --data");
    if (data) {
        if (target) return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label needs --image-path");
        mistakes->dataset = psal_open_list(data, labels, mistakes->skip_bad, &mistakes->session->notes, err);
        if (!mistakes->dataset) return psal_error_status(err);
        if (psal_dataset_all_labelled(mistakes->dataset)) return PSAL_OK;
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--data %s: mistakes can be told only where all samples have labels",
                         data);
    }
    if (!image) {
        if (!mistakes->session->default_network)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "which mistakes? Give --image-path or --data");
        psal_status status = psal_box_file("fashion_samples/bag_called_sandal.png", path, err);
        if (status != PSAL_OK) return status;
        image = path;
        if (!target) target = "Bag";
    }
    if (!target) return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-path needs its true class: --image-target-label");
    if (psal_labels_parse(labels, target, &label, err) != PSAL_OK) return psal_fail_prefix(err, "--image-target-label");
    mistakes->dataset = psal_dataset_from_images(&image, &label, 1, false, err);
    return mistakes->dataset ? PSAL_OK : psal_error_status(err);
}

psal_status psal_mistakes_image(const psal_mistakes *mistakes, size_t index, float *image, psal_error *err) {
    psal_image photo = PSAL_IMAGE_INIT;
    psal_status status = psal_dataset_load(mistakes->dataset, index, &photo, err);
    if (status == PSAL_OK) status = psal_session_prepare(mistakes->session, &photo, NULL, image, err);
    psal_image_free(&photo);
    return status;
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
    if (!(worker->classifier = psal_classifier_worker_new(mistakes->classifier, err))) return psal_error_status(err);
    if (mistakes->variants &&
        !(worker->variants = psal_variants_worker_new(mistakes->variants, worker->classifier, err)))
        return psal_error_status(err);
    worker->edit = psal_edit_new(mistakes->session->model, err);
    return worker->edit ? PSAL_OK : psal_error_status(err);
}

static void close_worker(psal_mistakes_worker *worker) {
    psal_saliency_worker_free(worker->saliency);
    psal_variants_worker_free(worker->variants);
    psal_classifier_worker_free(worker->classifier);
    psal_edit_free(worker->edit);
    free(worker->image);
    free(worker->naive);
    free(worker->standardized);
    memset(worker, 0, sizeof *worker);
}

psal_status psal_mistakes_worker_load(psal_mistakes_worker *worker, const psal_subject *subject, psal_error *err) {
    const psal_statistics *s = worker->mistakes->statistics;
    psal_status status = psal_mistakes_image(worker->mistakes, subject->index, worker->image, err);
    if (status == PSAL_OK)
        status = psal_saliency_profile(worker->saliency, worker->image, subject->label, 0, worker->naive, err);
    if (status != PSAL_OK) return status;
    return psal_statistics_standardize(s, worker->mistakes->mode, worker->mistakes->filters, worker->naive,
                                       worker->standardized, err);
}

/* ---- running several at once ---- */

typedef psal_status (*work_function)(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err);

/* Call work for i in [0, count): subjects, or samples of the data set, whose name is for the message. */
static psal_status run_all(const psal_mistakes *mistakes, const char *label, size_t count, bool subjects,
                           bool forward_only, work_function work, void *data, psal_error *err) {
    psal_status result = PSAL_OK;
    psal_progress_options meter = {.out = stderr,
                                   .mode = mistakes->session->quiet || count < 2 ? PSAL_PROGRESS_QUIET
                                                                                 : PSAL_PROGRESS_AUTO,
                                   .label = label,
                                   .total = (int64_t)count};
    psal_progress *progress = psal_progress_start(&meter, NULL);
    int workers = count < (size_t)mistakes->workers ? (int)count : mistakes->workers;
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
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            psal_status others;
#pragma omp atomic read
            others = result;
            if (status != PSAL_OK || others != PSAL_OK) continue;
            status = work(data, &worker, i, &own);
            if (status != PSAL_OK)
                psal_skipped_error(&own,
                                   psal_dataset_name(mistakes->dataset, subjects ? mistakes->subjects[i].index : i),
                                   !subjects && count > 1);
            psal_progress_add(progress, 1);
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

psal_status psal_mistakes_each(const psal_mistakes *mistakes, const char *label, work_function work, void *data,
                               psal_error *err) {
    return run_all(mistakes, label, mistakes->subject_count, true, false, work, data, err);
}

/* ---- mistakes ---- */

/* A prediction for each sample of the data set. */
typedef struct predictions {
    psal_subject *all;
    char **reasons; /* of the samples that were skipped; NULL: none are */
} predictions;

static psal_status predict(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    psal_subject *all = ((predictions *)data)->all;
    char **reasons = ((predictions *)data)->reasons;
    const psal_mistakes *mistakes = worker->mistakes;
    psal_status status = psal_mistakes_image(mistakes, i, worker->image, err);
    const float *logits;
    if (status != PSAL_OK && reasons && psal_skippable(err)) {
        all[i] = (psal_subject){.index = i, .skipped = true};
        reasons[i] = strdup(err->message);
        *err = (psal_error)PSAL_ERROR_INIT;
        return reasons[i] ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    if (status == PSAL_OK) status = psal_classifier_run(worker->classifier, worker->image, NULL, &logits, err);
    if (status != PSAL_OK) return status;
    double *confidences = malloc((size_t)mistakes->classes * sizeof *confidences);
    if (!confidences) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d classes", mistakes->classes);
    psal_confidences(logits, mistakes->classes, confidences);
    int predicted = psal_predicted_class(logits, mistakes->classes, -1);
    all[i] = (psal_subject){i, psal_dataset_label(mistakes->dataset, i), predicted, confidences[predicted], false};
    free(confidences);
    return PSAL_OK;
}

/* Samples to choose from. */
typedef struct group {
    size_t *index; /* [count] in the data set, */
    int *classes;  /* [count] and their labels */
    size_t count;
} group;

/* The samples that are right, or that are not. */
static psal_status gather(const psal_subject *all, size_t count, bool right, group *out, psal_error *err) {
    *out = (group){malloc((count + 1) * sizeof *out->index), malloc((count + 1) * sizeof *out->classes), 0};
    if (!out->index || !out->classes) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].skipped || (all[i].predicted == all[i].label) != right) continue;
        out->index[out->count] = i;
        out->classes[out->count++] = all[i].label;
    }
    return PSAL_OK;
}

static void group_free(group *g) {
    free(g->index);
    free(g->classes);
}

static psal_status load_right(psal_mistakes *mistakes, const group *right, const size_t *chosen, size_t count,
                              psal_error *err) {
    mistakes->right = calloc(count + 1, sizeof *mistakes->right);
    mistakes->right_labels = calloc(count + 1, sizeof *mistakes->right_labels);
    mistakes->right_index = calloc(count + 1, sizeof *mistakes->right_index);
    if (!mistakes->right || !mistakes->right_labels || !mistakes->right_index)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) {
        float *image = malloc(psal_session_image_size(mistakes->session) * sizeof *image);
        if (!image) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples that are right", count);
        mistakes->right_labels[i] = right->classes[chosen[i]];
        mistakes->right_index[i] = right->index[chosen[i]];
        mistakes->right[mistakes->right_count++] = image;
        psal_status status = psal_mistakes_image(mistakes, mistakes->right_index[i], image, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

/* Draw what --right asks for. */
static psal_status keep_right(psal_mistakes *mistakes, const psal_subject *all, size_t count, size_t wanted,
                              psal_error *err) {
    const psal_sampling sampling = {.wanted = wanted, .drawn = true, .seed = mistakes->sampling.seed};
    group right = {0};
    size_t *chosen = NULL, chosen_count;
    if (sampling.wanted == 0) return PSAL_OK;
    psal_status status = gather(all, count, true, &right, err);
    if (status == PSAL_OK)
        status = psal_sampling_choose(&sampling, right.classes, right.count, &chosen, &chosen_count, err);
    if (status == PSAL_OK && chosen_count < sampling.wanted)
        psal_note(&mistakes->session->notes, "--right %zu: only %zu samples are right", sampling.wanted, chosen_count);
    if (status == PSAL_OK) status = load_right(mistakes, &right, chosen, chosen_count, err);
    free(chosen);
    group_free(&right);
    return status;
}

/* The mistakes, or those of them that --limit or --first leaves; or the one image that was named. */
static psal_status keep_subjects(psal_mistakes *mistakes, psal_subject *all, size_t count, bool named,
                                 psal_error *err) {
    group wrong = {0};
    size_t *chosen = NULL, chosen_count = 0;
    psal_status status = PSAL_OK;
    if (named) {
        mistakes->subject_count = mistakes->found = count;
        snprintf(mistakes->sampled, sizeof mistakes->sampled, "all");
        return PSAL_OK;
    }
    status = gather(all, count, false, &wrong, err);
    if (status == PSAL_OK)
        status = psal_sampling_choose(&mistakes->sampling, wrong.classes, wrong.count, &chosen, &chosen_count, err);
    psal_computation how = {0};
    psal_sampling_record(&mistakes->sampling, wrong.count, &how);
    memcpy(mistakes->sampled, how.value[PSAL_FIELD_SAMPLING], sizeof mistakes->sampled);
    mistakes->found = wrong.count;
    for (size_t i = 0; i < chosen_count && status == PSAL_OK; i++)
        all[mistakes->subject_count++] = all[wrong.index[chosen[i]]];
    free(chosen);
    group_free(&wrong);
    return status;
}

/* Predict all samples; which of them were skipped goes to mistakes->skipped, in their order. */
static psal_status predict_all(psal_mistakes *mistakes, psal_subject *all, size_t count, psal_error *err) {
    predictions data = {all, mistakes->skip_bad ? calloc(count, sizeof *data.reasons) : NULL};
    if (mistakes->skip_bad && !data.reasons)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    psal_status status = run_all(mistakes, "images", count, false, true, predict, &data, err);
    for (size_t i = 0; i < count && data.reasons; i++) {
        if (!data.reasons[i]) continue;
        psal_error why = {.status = PSAL_ERR_FORMAT};
        snprintf(why.message, sizeof why.message, "%s", data.reasons[i]);
        if (status == PSAL_OK)
            status = psal_skipped_add(&mistakes->skipped, psal_dataset_name(mistakes->dataset, i), &why, err);
        free(data.reasons[i]);
    }
    free(data.reasons);
    if (status == PSAL_OK && mistakes->skipped.count == count)
        return psal_fail(err, PSAL_ERR_FORMAT, "all %zu images are bad; the first: %s", count,
                         mistakes->skipped.at[0].reason);
    return status;
}

/* Quiet or not: what are taken for mistakes may be none. */
static void note_doubt(psal_mistakes *mistakes, const psal_subject *all, size_t count) {
    psal_tally tally = {0};
    char text[300];
    for (size_t i = 0; i < count; i++)
        if (!all[i].skipped) psal_tally_add(&tally, all[i].label, all[i].predicted);
    if (psal_tally_doubt(&tally, text)) psal_note_warning(&mistakes->session->notes, "%s", text);
}

static psal_status find_subjects(psal_mistakes *mistakes, const psal_options *options, size_t right, psal_error *err) {
    size_t count = psal_dataset_count(mistakes->dataset);
    bool named = !psal_options_has(options, "data");
    psal_subject *all = calloc(count, sizeof *all);
    if (!all) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) {
        int label = psal_dataset_label(mistakes->dataset, i);
        if (label < mistakes->classes) continue;
        free(all);
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d, but the network has classes 0 to %d",
                         psal_dataset_name(mistakes->dataset, i), label, mistakes->classes - 1);
    }
    psal_status status = predict_all(mistakes, all, count, err);
    if (status == PSAL_OK) note_doubt(mistakes, all, count);
    if (status == PSAL_OK) status = keep_right(mistakes, all, count, right, err);
    if (status == PSAL_OK) status = keep_subjects(mistakes, all, count, named, err);
    mistakes->subjects = all;
    if (status == PSAL_OK && mistakes->subject_count == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there is no mistake among the %zu samples",
                         count - mistakes->skipped.count);
    if (status == PSAL_OK && named && all[0].predicted == all[0].label)
        psal_note(&mistakes->session->notes, "%s is not a mistake: it is classified as %s, rightly",
                  psal_dataset_name(mistakes->dataset, 0), psal_labels_name(mistakes->session->labels, all[0].label));
    return status;
}

psal_status psal_mistakes_open(psal_mistakes *mistakes, psal_session *session, const psal_options *options,
                               const psal_mistakes_needs *needs, psal_error *err) {
    memset(mistakes, 0, sizeof *mistakes);
    mistakes->session = session;
    mistakes->classes = session->info->num_classes;
    mistakes->units = psal_options_choice(options, "aggregation") ? PSAL_UNITS_ROWS : PSAL_UNITS_FILTERS;
    mistakes->filters = psal_model_unit_count(session->model, mistakes->units);
    mistakes->skip_bad = psal_options_flag(options, "skip-bad") && psal_options_has(options, "data");
    psal_status status = psal_sampling_parse(&mistakes->sampling, options, err);
    if (status == PSAL_OK) status = open_dataset(mistakes, options, err);
    if (status != PSAL_OK) return status;
    bool many = psal_dataset_count(mistakes->dataset) > 1;
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
    const int64_t choosable = psal_choosable(session->model, mistakes->units, mistakes->live);
    if (choosable == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "none of the %lld %s has a %s in the statistics: there is nothing to choose",
                         (long long)mistakes->filters, psal_units_name(mistakes->units),
                         mistakes->mode == PSAL_MODE_POT ? "tail" : "deviation");
    if (needs->option && needs->choose > choosable)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s %lld: %s has %lld %s that can be ranked", needs->option,
                         (long long)needs->choose, session->info->arch, (long long)choosable,
                         psal_units_name(mistakes->units));
    if (!(mistakes->classifier = psal_classifier_new(session->model, &forward, err))) return psal_error_status(err);
    return find_subjects(mistakes, options, (size_t)needs->right, err);
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
    psal_dataset_free(mistakes->dataset);
    psal_skipped_free(&mistakes->skipped);
    memset(mistakes, 0, sizeof *mistakes);
}

psal_saliency_options psal_mistakes_profile(const psal_mistakes *mistakes) {
    return (psal_saliency_options){.aggregation = mistakes->units == PSAL_UNITS_ROWS ? PSAL_AGGREGATION_ROW
                                                                                     : PSAL_AGGREGATION_FILTER};
}

void psal_mistakes_record(const psal_mistakes *mistakes, psal_computation *c) {
    psal_computation_set(c, PSAL_FIELD_MODE, "%s", psal_mode_name(mistakes->mode));
    psal_computation_set_statistics(c, mistakes->statistics);
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

void psal_csv_subject_titles(psal_csv_writer *csv) {
    static const char *const titles[] = {"index", "name", "label", "predicted"};
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) psal_csv_text(csv, titles[i]);
}

void psal_csv_subject(psal_csv_writer *csv, const psal_mistakes *mistakes, size_t i) {
    const psal_subject *subject = &mistakes->subjects[i];
    psal_csv_int(csv, (int64_t)subject->index);
    psal_csv_text(csv, psal_dataset_name(mistakes->dataset, subject->index));
    psal_csv_int(csv, subject->label);
    psal_csv_int(csv, subject->predicted);
}

int psal_mistakes_finish(const psal_mistakes *mistakes, const char *program, psal_status status, psal_error *err) {
    return psal_skipped_finish(&mistakes->skipped, program,
                               mistakes->dataset ? psal_dataset_count(mistakes->dataset) : 0, status, err);
}

void psal_mistakes_print(const psal_mistakes *mistakes) {
    const psal_labels *labels = mistakes->session->labels;
    if (mistakes->subject_count == 1) {
        const psal_subject *one = &mistakes->subjects[0];
        psal_print(stdout, "%s: %s, called %s (%.1f %%)\n", psal_dataset_name(mistakes->dataset, one->index),
                   psal_labels_name(labels, one->label), psal_labels_name(labels, one->predicted),
                   100 * one->confidence);
    } else {
        if (mistakes->subject_count < mistakes->found) printf("%zu of ", mistakes->subject_count);
        printf("%zu mistakes of %zu samples", mistakes->found, psal_dataset_count(mistakes->dataset));
        if (mistakes->skipped.count) printf(", %zu skipped", mistakes->skipped.count);
        printf("\n");
    }
}

/* ---- options ---- */

void psal_print_mean(double mean, double error, bool sign, int width, int error_width, int decimals) {
    char number[64] = "-", around[64] = "";
    if (!isnan(mean)) snprintf(number, sizeof number, sign ? "%+.*f" : "%.*f", decimals, mean);
    if (error > 0) snprintf(around, sizeof around, " +-%.*f", decimals, error);
    psal_print(stdout, "  %*s%-*s", width, number, error_width, around);
}

void psal_csv_measured(psal_csv_writer *csv, double value) {
    if (isnan(value))
        psal_csv_text(csv, NULL);
    else
        psal_csv_double(csv, value);
}

void psal_csv_mean_titles(psal_csv_writer *csv, const char *const *columns, int count) {
    psal_csv_text(csv, "choice");
    psal_csv_text(csv, "k");
    for (int c = 0; c < count; c++) {
        char name[64];
        psal_csv_text(csv, columns[c]);
        snprintf(name, sizeof name, "%s_se", columns[c]);
        psal_csv_text(csv, name);
    }
    psal_csv_text(csv, "psal_settings");
    psal_csv_end_record(csv);
}

psal_status psal_parse_choices(const char *text, psal_choice *choices, int *count, psal_error *err) {
    *count = 0;
    while (*text) {
        size_t length = strcspn(text, ",");
        int found = -1;
        for (int c = 0; c < PSAL_CHOICE_COUNT; c++) {
            const char *name = psal_choice_name((psal_choice)c);
            if (strlen(name) == length && strncmp(name, text, length) == 0) found = c;
        }
        if (found < 0)
            return psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "'%.*s' is no way to choose filters: salient, random, random-same-layers, least, naive, salient-abs, "
                "least-abs or all",
                (int)(length > 100 ? 100 : length), text);
        for (int i = 0; i < *count; i++)
            if ((int)choices[i] == found)
                return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is named twice", psal_choice_name((psal_choice)found));
        choices[(*count)++] = (psal_choice)found;
        text += length + (text[length] == ',');
    }
    return *count ? PSAL_OK : psal_fail(err, PSAL_ERR_ARGUMENT, "expected a list of ways to choose filters");
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t *psal_mistakes_k_values(const psal_mistakes *mistakes, const psal_options *options, const psal_choice *choices,
                                int choice_count, int *count, psal_error *err) {
    size_t given;
    const int64_t *list = psal_options_ints(options, "k", &given);
    const bool *live = choice_count == 1 && choices[0] == PSAL_CHOICE_ALL ? NULL : mistakes->live;
    int64_t most = psal_choosable(mistakes->session->model, mistakes->units, live),
            *k = malloc((given + 1) * sizeof *k);
    *count = 0;
    if (!k) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of %zu numbers", given);
        return NULL;
    }
    memcpy(k, list, given * sizeof *k);
    if (choice_count == 1 && choices[0] == PSAL_CHOICE_ALL && !psal_options_given(options, "k")) {
        k[0] = most;
        given = 1;
    }
    qsort(k, given, sizeof *k, ascending);
    for (size_t i = 0; i < given; i++) {
        if (k[i] > most && psal_options_given(options, "k")) {
            psal_fail(err, PSAL_ERR_ARGUMENT, "--k %lld: %s has %lld %s that can be chosen", (long long)k[i],
                      mistakes->session->info->arch, (long long)most, psal_units_name(mistakes->units));
            free(k);
            return NULL;
        }
        if (k[i] <= most && (*count == 0 || k[i] != k[*count - 1])) k[(*count)++] = k[i];
    }
    return k;
}

psal_status psal_mistakes_check_outputs(const psal_options *options, const char *const *names, psal_error *err) {
    for (; *names; names++) {
        const char *path = psal_options_string(options, *names);
        if (path && psal_atomic_file_check(path, err) != PSAL_OK) return psal_fail_prefix(err, "--%s", *names);
    }
    return PSAL_OK;
}
