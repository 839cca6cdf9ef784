/* psal-finetune: correct a mistake by changing a few filters, and report what else that changed. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/prediction.h"
#include "tools/edit_one.h"
#include "tools/edit_report.h"
#include "tools/edit_settings.h"
#include "tools/finetune_program.h"
#include "tools/group_edit.h"
#include "tools/mistakes_state.h"
#include "tools/outputs.h"
#include "tools/program.h"
#include "tools/figure_style.h"

typedef struct run {
    const psal_options *options;
    psal_session session;
    psal_mistakes mistakes;
    psal_mistakes_state state;
    psal_tuner *tuner;
    psal_edit_settings how;
    int64_t *k;
    bool until_correct;
    double largest;
    float *profiles;          /* [subject][filters], where there are neighbours to look for: naive, or scores */
    psal_neighbor *neighbors; /* [subject][neighbor_count] */
    psal_edit_report report;
} run;

static size_t variants(const run *r) {
    return (size_t)r->report.choice_count * (size_t)r->report.k_count;
}

/* ---- neighbours ---- */

static psal_status collect_profile(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    run *r = data;
    psal_status status = psal_mistakes_worker_profile(worker, &r->mistakes.subjects[i], err);
    float *profile = r->profiles + i * (size_t)r->mistakes.filters;
    for (int64_t k = 0; k < r->mistakes.filters && status == PSAL_OK; k++) /* no affine map makes scores of a profile */
        profile[k] = r->mistakes.mode == PSAL_MODE_POT ? (float)worker->standardized[k] : worker->naive[k];
    return status;
}

static void read_profile(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const run *r = context;
    memcpy(out, r->profiles + sample * r->mistakes.filters + first, (size_t)count * sizeof *out);
}

static psal_status search_neighbors(run *r, psal_similarity similarity, psal_error *err) {
    size_t count = r->mistakes.subject_count, filters = (size_t)r->mistakes.filters;
    const char *path = psal_options_string(r->options, "normalized-stats");
    psal_statistics *given = NULL;
    double *statistics = malloc(2 * filters * sizeof *statistics);
    int64_t *queries = malloc(count * sizeof *queries);
    psal_status status = PSAL_OK;
    psal_profile_source source = {(int64_t)count, r->mistakes.filters, read_profile, NULL, r};
    psal_neighbor_options o = {.similarity = similarity,
                               .mean = r->mistakes.statistics->mean,
                               .std = r->mistakes.statistics->std,
                               .top = r->report.neighbor_count,
                               .threads = r->session.threads};
    if (!statistics || !queries) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for neighbours");
    for (size_t i = 0; i < count && queries; i++) queries[i] = (int64_t)i;
    if (status == PSAL_OK && r->mistakes.mode == PSAL_MODE_POT) { /* scores are compared as they are */
        for (size_t i = 0; i < 2 * filters; i++) statistics[i] = i < filters ? 0 : 1;
        o.mean = statistics;
        o.std = statistics + filters;
    }
    if (status == PSAL_OK && similarity == PSAL_SIMILARITY_NORMALIZED && path) {
        psal_computation here;
        const psal_saliency_options profile = psal_mistakes_profile(&r->mistakes);
        psal_session_computation(&r->session, &profile, true, &here);
        given = psal_session_statistics_file(path, &here, r->mistakes.filters, &r->session.notes, err);
        if (given && psal_session_check_reference(given, path, &r->mistakes.statistics->computation, "--stats", err) ==
                         PSAL_OK) {
            o.mean = given->mean;
            o.std = given->std;
        } else {
            status = psal_error_status(err);
        }
    } else if (status == PSAL_OK && similarity == PSAL_SIMILARITY_NORMALIZED) {
        status = psal_neighbors_statistics(&source, NULL, (int64_t)count, similarity, r->session.threads, statistics,
                                           statistics + filters, err);
        o.mean = statistics;
        o.std = statistics + filters;
    }
    if (status == PSAL_OK) status = psal_neighbors_of_samples(&source, &o, queries, (int64_t)count, r->neighbors, err);
    psal_statistics_free(given);
    free(statistics);
    free(queries);
    return status;
}

static psal_status find_neighbors(run *r, psal_error *err) {
    const size_t count = r->mistakes.subject_count;
    const psal_mistakes_steps profiles = {.label = "profiles"};
    r->report.hub = r->state.hub;
    if (r->report.neighbor_count == 0 || psal_mistakes_state_finished(&r->state)) return PSAL_OK;
    if (r->mistakes.mode == PSAL_MODE_POT &&
        (psal_similarity)psal_options_choice(r->options, "similarity") == PSAL_SIMILARITY_NORMALIZED)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--mode pot scores profiles as they are: --similarity normalized does not go with it");
    r->profiles = calloc(count, (size_t)r->mistakes.filters * sizeof *r->profiles);
    r->neighbors = calloc(count, (size_t)r->report.neighbor_count * sizeof *r->neighbors);
    int64_t *hubs = calloc(count, sizeof *hubs);
    psal_status status = PSAL_OK;
    if (!r->profiles || !r->neighbors || !hubs)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu profiles", count);
    else
        status = psal_mistakes_each(&r->mistakes, &profiles, collect_profile, r, err);
    if (status == PSAL_OK)
        status = search_neighbors(r, (psal_similarity)psal_options_choice(r->options, "similarity"), err);
    if (status == PSAL_OK) {
        int64_t hub = psal_neighbors_hubs(r->neighbors, (int64_t)(count * (size_t)r->report.neighbor_count),
                                          (int64_t)count, hubs);
        r->report.hub = r->state.hub = hub < 0 ? 0 : hubs[hub];
    }
    free(hubs);
    return status;
}

/* ---- the experiment on one sample ---- */

typedef struct experiment {
    run *r;
    psal_mistakes_worker *worker;
    psal_tuner_worker *tuner;
    size_t subject;
    float *other;           /* another sample's image */
    double *before, *after; /* [classes] */
    int64_t *filters;       /* [largest k] */
} experiment;

static psal_status is_right(experiment *e, const float *image, int label, bool *right, psal_error *err) {
    const float *logits;
    psal_status status = psal_classifier_run(e->worker->classifier, image, psal_edit_values(e->worker->edit), &logits,
                                             err);
    if (status == PSAL_OK) *right = psal_predicted_class(logits, e->r->mistakes.classes, -1) == label;
    psal_progress_add(e->worker->progress, 1);
    return status;
}

/* Add 1/n for each of n other mistakes that the edit corrects: the neighbours, or random ones. */
static psal_status count_mistakes(experiment *e, psal_random *random, double *share, psal_error *err) {
    const psal_mistakes *mistakes = &e->r->mistakes;
    int n = e->r->report.neighbor_count;
    for (int i = 0; i < n; i++) {
        size_t other = (size_t)e->r->neighbors[e->subject * (size_t)n + (size_t)i].sample;
        if (random) {
            other = (size_t)psal_random_below(random, mistakes->subject_count - 1);
            other += other >= e->subject;
        }
        bool right;
        psal_status status = psal_mistakes_image(mistakes, mistakes->subjects[other].index, e->other, err);
        if (status == PSAL_OK) status = is_right(e, e->other, mistakes->subjects[other].label, &right, err);
        if (status != PSAL_OK) return status;
        *share += right / (double)n;
    }
    return PSAL_OK;
}

/* What the edit that is in place does. */
static psal_status measure(experiment *e, psal_random *random, psal_edit_result *result, psal_error *err) {
    const psal_mistakes *mistakes = &e->r->mistakes;
    const psal_subject *subject = &mistakes->subjects[e->subject];
    const float *logits;
    psal_status status = psal_classifier_run(e->worker->classifier, e->worker->image, psal_edit_values(e->worker->edit),
                                             &logits, err);
    if (status != PSAL_OK) return status;
    psal_progress_add(e->worker->progress, 1);
    psal_edit_answer(e->worker->edit, logits, mistakes->classes, subject->label, subject->predicted, e->before,
                     e->after, result);
    status = count_mistakes(e, NULL, &result->neighbors, err);
    if (status == PSAL_OK) status = count_mistakes(e, random, &result->others, err);
    for (int i = 0; i < mistakes->right_count && status == PSAL_OK; i++) {
        bool right = false;
        status = is_right(e, mistakes->right[i], mistakes->right_labels[i], &right, err);
        if (!right) result->broken += 1.0 / mistakes->right_count;
        if (!right && e->r->report.broken) e->r->report.broken[i]++;
    }
    return status;
}

/* Make the edit for the first k filters; *used tells how many it took. */
/* Nothing is saved then: what the largest step reaches, and what may reach further. */
static psal_status fail_uncorrected(experiment *e, int64_t k, psal_error *err) {
    run *r = e->r;
    const psal_subject *subject = &r->mistakes.subjects[e->subject];
    const psal_step largest = {.relative = true, .size = r->largest};
    const int classes = r->mistakes.classes;
    const float *logits;
    char further[96];
    psal_edit_reset(e->worker->edit);
    psal_status status = psal_tuner_step(e->tuner, e->worker->edit, e->filters, k, largest, NULL, err);
    if (status == PSAL_OK)
        status = psal_classifier_run(e->worker->classifier, e->worker->image, psal_edit_values(e->worker->edit),
                                     &logits, err);
    if (status != PSAL_OK) return status;
    const int now = psal_predicted_class(logits, classes, -1);
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "no change of at most %g times the norm of %lld %s corrects it: with the largest one the "
                     "confidence of %.60s, the true class, is %.3f, and that of %.60s %.3f; nothing was saved: try %s",
                     r->largest, (long long)k, psal_units_name(r->mistakes.units),
                     psal_labels_name(r->session.labels, subject->label),
                     psal_confidence(logits, classes, subject->label), psal_labels_name(r->session.labels, now),
                     psal_confidence(logits, classes, now), psal_edit_report_further(&r->report, further));
}

static psal_status make_edit(experiment *e, int64_t k, bool fresh, double *used, psal_error *err) {
    run *r = e->r;
    const psal_subject *subject = &r->mistakes.subjects[e->subject];
    psal_edit *edit = e->worker->edit;
    psal_status status = PSAL_OK;
    *used = (double)k;
    if (r->until_correct) {
        psal_search_result found;
        if (!fresh) status = psal_tuner_gradient(e->tuner, e->worker->image, subject->label, NULL, NULL, err);
        if (status != PSAL_OK) return status;
        status = psal_tune_until_correct(e->tuner, e->worker->classifier, edit, e->worker->image, subject->label,
                                         e->filters, k, r->largest, &found, err);
        if (status != PSAL_OK) return status;
        *used = found.found ? (double)found.k : NAN;
        if (!found.found && (psal_options_has(r->options, "save") || psal_options_has(r->options, "save-delta")))
            return fail_uncorrected(e, k, err);
        return PSAL_OK;
    }
    return psal_edit_make(e->tuner, edit, &r->how, e->worker->image, subject->label, e->filters, k, fresh, err);
}

static psal_status try_choice(experiment *e, int choice, psal_error *err) {
    run *r = e->r;
    const psal_mistakes_worker *worker = e->worker;
    psal_edit_result *results = r->report.results + e->subject * variants(r) +
                                (size_t)choice * (size_t)r->report.k_count;
    psal_choice which = r->how.choices[choice];
    int draws = psal_choice_is_random(which) ? r->how.draws : 1;
    psal_random random = {psal_subject_seed(r->options, r->mistakes.subjects[e->subject].index) ^ (uint64_t)which
                                                                                                      << 56};
    psal_status status = PSAL_OK;
    bool fresh = true; /* the gradient of the whole network is the last one computed */
    if (choice > 0 && r->how.steps > 1) fresh = false;
    for (int draw = 0; draw < draws && status == PSAL_OK; draw++) {
        status = psal_choose(r->session.model, r->mistakes.units, which, worker->naive, worker->standardized,
                             worker->change, r->mistakes.live, psal_random_bits(&random), r->k[r->report.k_count - 1],
                             e->filters, err);
        for (int i = 0; i < r->report.k_count && status == PSAL_OK; i++) {
            double used;
            status = make_edit(e, r->k[i], fresh, &used, err);
            fresh = r->how.steps == 1;
            if (status == PSAL_OK) status = measure(e, &random, &results[i], err);
            results[i].filters += used;
            results[i].dead += (double)psal_count_dead(worker->naive, e->filters, r->k[i]);
        }
    }
    for (int i = 0; i < r->report.k_count; i++)
        for (size_t c = 0; c < PSAL_EDIT_COLUMNS; c++) ((double *)&results[i])[c] /= draws;
    for (int i = 0; i < r->report.k_count; i++) { /* nothing was measured on what there is none of */
        if (!r->report.neighbor_count) results[i].neighbors = results[i].others = NAN;
        if (!r->mistakes.right_count) results[i].broken = NAN;
    }
    return status;
}

static psal_status run_experiment(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    run *r = data;
    size_t classes = (size_t)r->mistakes.classes;
    experiment e = {.r = r, .worker = worker, .subject = i};
    psal_status status = psal_mistakes_worker_load(worker, &r->mistakes.subjects[i], err);
    if (status != PSAL_OK) return status;
    e.tuner = psal_tuner_worker_new(r->tuner, err);
    e.other = malloc(psal_session_image_size(&r->session) * sizeof *e.other);
    e.before = malloc(2 * classes * sizeof *e.before);
    e.filters = malloc((size_t)r->k[r->report.k_count - 1] * sizeof *e.filters);
    const float *logits;
    if (!e.tuner)
        status = psal_error_status(err);
    else if (!e.other || !e.before || !e.filters)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an experiment");
    else
        status = psal_tuner_gradient(e.tuner, worker->image, r->mistakes.subjects[i].label, NULL, NULL, err);
    if (status == PSAL_OK) status = psal_classifier_run(worker->classifier, worker->image, NULL, &logits, err);
    if (status == PSAL_OK) {
        e.after = e.before + classes;
        psal_confidences(logits, r->mistakes.classes, e.before);
    }
    for (int c = 0; c < r->report.choice_count && status == PSAL_OK; c++) status = try_choice(&e, c, err);
    if (status == PSAL_OK && (r->report.single >= 0 || r->mistakes.subject_count == 1)) {
        memcpy(r->report.before, e.before, classes * sizeof *e.before);
        memcpy(r->report.after, e.after, classes * sizeof *e.after);
        status = psal_edit_save(r->options, &r->session, &r->mistakes, worker->edit, err);
    }
    psal_edit_reset(worker->edit);
    psal_tuner_worker_free(e.tuner);
    free(e.other);
    free(e.before);
    free(e.filters);
    return status;
}

/* ---- */

static psal_status choose_single(run *r, psal_error *err) {
    r->report.single = r->mistakes.named || r->mistakes.subject_count == 1 ? 0 : -1;
    if (!psal_options_has(r->options, "sample")) return PSAL_OK;
    if (r->mistakes.named)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--sample is a mistake of --data: it does not go with one image");
    int64_t wanted = psal_options_int(r->options, "sample");
    for (size_t i = 0; i < r->mistakes.subject_count; i++)
        if ((int64_t)r->mistakes.subjects[i].index == wanted) {
            r->report.single = (int64_t)i;
            return PSAL_OK;
        }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--sample %lld is not among the %zu mistakes", (long long)wanted,
                     r->mistakes.subject_count);
}

/* A corrected network is saved of a mistake: of an image that is right there is nothing to correct. */
static psal_status check_wrong(const run *r, psal_error *err) {
    const psal_subject *one = r->report.single >= 0 ? &r->mistakes.subjects[r->report.single] : NULL;
    const char *name = psal_options_has(r->options, "save") ? "save" : "save-delta";
    if (!one || one->predicted != one->label || !psal_options_has(r->options, name)) return PSAL_OK;
    return psal_fail(
        err, PSAL_ERR_ARGUMENT,
        "%s is right already (%.60s): there is nothing to correct, and nothing was saved: give the image of "
        "a mistake, with its true class, or leave out --%s",
        psal_mistakes_name(&r->mistakes, one->index), psal_labels_name(r->session.labels, one->label), name);
}

static psal_status prepare(run *r, psal_error *err) {
    const psal_options *o = r->options;
    r->until_correct = psal_options_flag(o, "until-correct");
    psal_status status = psal_edit_settings_read(&r->how, o, err);
    if (status != PSAL_OK) return status;
    r->largest = r->how.step.relative ? r->how.step.size : 0.1;
    if (r->until_correct && (r->how.steps > 1 || psal_options_given(o, "rate")))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--until-correct makes one step and chooses its size: without --steps and --rate");
    if ((status = psal_group_check(o, err)) != PSAL_OK) return status;
    if ((status = psal_figure_style_check(o, psal_options_has(o, "figure"), "without --figure", err)) != PSAL_OK)
        return status;
    if (psal_options_has(o, "normalized-stats") && psal_options_choice(o, "similarity") != PSAL_SIMILARITY_NORMALIZED)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--normalized-stats is for --similarity normalized");
    if ((status = psal_parse_choices(o, r->how.choices, &r->report.choice_count, err)) != PSAL_OK) return status;
    if ((status = psal_edit_save_allowed(o, r->how.choices, r->report.choice_count, r->until_correct, err)) != PSAL_OK)
        return status;
    static const char *const tables[] = {"csv", "samples", "figure", "save", "save-delta", "json", NULL};
    if ((status = psal_mistakes_check_options(o, false, err)) != PSAL_OK) return status;
    if ((status = psal_mistakes_state_check(&r->state, psal_finetune_program.name, o, tables, err)) != PSAL_OK)
        return status;
    if (psal_options_has(o, "sample") && (*r->state.path || r->state.merging))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--sample is one mistake, and %s is for many: leave one of them out",
                         r->state.merging ? "merge" : "--state");
    /* A state would know the file by its name only. */
    if (psal_options_has(o, "normalized-stats") && (*r->state.path || r->state.merging))
        return psal_fail(
            err, PSAL_ERR_ARGUMENT,
            "--normalized-stats does not go with %s: leave it out, and neighbours are compared with statistics "
            "of the mistakes' profiles",
            r->state.merging ? "merge" : "--state");
    if ((status = psal_session_open(&r->session, o, err)) != PSAL_OK) return status;
    const psal_mistakes_needs needs = {
        .in_parts = psal_options_flag(o, "until-correct"),
        .ranking = true,
        .beside = true,
        .others = psal_options_has(o, "data") && psal_options_int(o, "neighbors") > 0,
        .right = psal_options_int(o, "right"),
        .change = psal_choices_have(r->how.choices, r->report.choice_count, PSAL_CHOICE_GRADIENT_WEIGHT)};
    if ((status = psal_mistakes_open(&r->mistakes, &r->session, o, &needs, err)) != PSAL_OK) return status;
    if (!(r->k = psal_mistakes_k_values(&r->mistakes, o, r->how.choices, r->report.choice_count, &r->report.k_count,
                                        err)))
        return psal_error_status(err);
    if (r->until_correct) { /* one search for each choice */
        r->k[0] = r->k[r->report.k_count - 1];
        r->report.k_count = 1;
    }
    if ((status = choose_single(r, err)) != PSAL_OK) return status;
    const bool one = r->report.single >= 0 && variants(r) == 1;
    if ((status = psal_edit_save_check(&r->how, o, one, &r->session.notes, err)) != PSAL_OK) return status;
    if ((status = check_wrong(r, err)) != PSAL_OK) return status;
    psal_classifier_options forward = {.height = r->session.height,
                                       .width = r->session.width,
                                       .threads = r->mistakes.workers > 1 ? 1 : r->session.threads,
                                       .memory_limit = r->session.memory_limit / (size_t)r->mistakes.workers,
                                       .conv = r->session.conv};
    if (!(r->tuner = psal_tuner_new(r->session.model, r->mistakes.units, &forward, err))) return psal_error_status(err);
    size_t classes = (size_t)r->mistakes.classes;
    r->report.results = calloc(r->mistakes.subject_count * variants(r), sizeof *r->report.results);
    r->report.before = calloc(classes, sizeof *r->report.before);
    r->report.after = calloc(classes, sizeof *r->report.after);
    if (one) r->report.broken = calloc((size_t)r->mistakes.right_count + 1, sizeof *r->report.broken);
    if (!r->report.results || !r->report.before || !r->report.after || (one && !r->report.broken))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu results",
                         r->mistakes.subject_count * variants(r));
    psal_computation computation;
    psal_mistakes_computation(&r->mistakes, o, &computation);
    psal_computation_line(&computation, r->report.line);
    if (!(r->report.record = psal_computation_text(&computation)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    r->report.session = &r->session;
    r->report.mistakes = &r->mistakes;
    r->report.choices = r->how.choices;
    r->report.k = r->k;
    r->report.until_correct = r->until_correct;
    r->report.largest = r->largest;
    r->report.step = r->how.step;
    r->report.steps = r->how.steps;
    const size_t wanted = (size_t)psal_options_int(o, "neighbors"), others = r->mistakes.subject_count - 1;
    r->report.neighbor_count = (int)(wanted < others ? wanted : others);
    static const char *const settings[] = {"k",     "choices",   "rate",       "relative", "steps",  "until-correct",
                                           "draws", "neighbors", "similarity", "right",    "layers", "limit",
                                           "first", NULL};
    return psal_mistakes_state_open(&r->state, &r->mistakes, settings, (double *)r->report.results,
                                    variants(r) * PSAL_EDIT_COLUMNS, err);
}

/* All choices, on all mistakes or the single one. */
static psal_status run_experiments(run *r, psal_error *err) {
    const size_t count = r->mistakes.subject_count;
    const int images = 1 + 2 * r->report.neighbor_count + r->mistakes.right_count;
    int draws = 0;
    psal_mistakes_steps steps = {.label = "mistakes", .part_label = "runs of the edited network"};
    for (int c = 0; c < r->report.choice_count; c++)
        draws += psal_choice_is_random(r->how.choices[c]) ? r->how.draws : 1;
    psal_mistakes_say_each(&steps, r->report.choice_count, r->report.k_count, r->how.draws, images);
    steps.parts = (int64_t)draws * r->report.k_count * images;
    bool *left_out = calloc(count, sizeof *left_out);
    if (!left_out) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", count);
    for (size_t i = 0; i < count; i++) left_out[i] = r->report.single >= 0 && (size_t)r->report.single != i;
    steps.left_out = left_out;
    psal_status status = psal_mistakes_state_run(&r->state, &steps, run_experiment, r, err);
    free(left_out);
    return status;
}

static psal_status run_program(run *r, psal_error *err) {
    psal_status status = prepare(r, err);
    psal_session_print_notes(&r->session, psal_finetune_program.name);
    if (status == PSAL_OK) status = find_neighbors(r, err);
    psal_session_print_notes(&r->session, psal_finetune_program.name);
    if (status == PSAL_OK) status = run_experiments(r, err);
    if (status == PSAL_OK && r->state.shard.count > 1) {
        psal_mistakes_state_print_part(&r->state);
        return PSAL_OK;
    }
    if (status == PSAL_OK) status = psal_edit_report_write(&r->report, r->options, err);
    if (status == PSAL_OK && !psal_options_flag(r->options, "json"))
        psal_print_written(&psal_finetune_program, r->options);
    return status;
}

static int work(const psal_options *options, psal_error *err) {
    if (psal_options_has(options, "group")) return psal_group_work(options, NULL, NULL, err);
    run r = {.options = options};
    int status = psal_mistakes_finish(&r.mistakes, psal_finetune_program.name, run_program(&r, err), err);
    free(r.report.results);
    free(r.report.record);
    free(r.report.before);
    free(r.report.after);
    free(r.report.broken);
    free(r.profiles);
    free(r.neighbors);
    free(r.k);
    psal_tuner_free(r.tuner);
    psal_mistakes_state_close(&r.state);
    psal_mistakes_close(&r.mistakes);
    psal_session_close(&r.session);
    return status;
}

int main(int argc, char **argv) {
    return psal_program_main(&psal_finetune_program, argc, argv, work);
}
