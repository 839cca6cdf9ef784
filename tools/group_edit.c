#include "tools/group_edit.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "io/progress.h"
#include "saliency/corrupt.h"
#include "saliency/random.h"
#include "tools/print.h"

enum { KINDS = 1 + PSAL_CORRUPTION_COUNT }; /* of right samples: as they are, and corrupted */

/* Of one choice and k: averages over the draws; the columns of the table. */
typedef struct result {
    double group; /* share of the group that becomes right, */
    double held_out;
    double group_truth, held_out_truth; /* mean change of the true class's confidence, */
    double broken[KINDS];               /* share that becomes wrong of what is right before */
    double filters, weights, relative;  /* what changes: filters, numbers in them, their L2 norm by what it was */
} result;

enum { COLUMNS = sizeof(result) / sizeof(double) };
static const char *const columns[COLUMNS] = {"group_corrected",
                                             "held_out_corrected",
                                             "group_true_confidence",
                                             "held_out_true_confidence",
                                             "right_broken",
                                             "noise_broken",
                                             "blur_broken",
                                             "contrast_broken",
                                             "filters",
                                             "weights",
                                             "relative_change"};
static_assert(COLUMNS == 7 + KINDS, "a name per column");

/* What the network says of one image. */
typedef struct answer {
    bool right;
    double confidence; /* of the true class */
} answer;

typedef struct run {
    const psal_group_edit *e;
    const psal_mistakes *mistakes;
    size_t count, group, held_out; /* mistakes; in the group, held out */
    bool *is_held_out;             /* [count] */
    float *profiles, *changes;     /* [count][filters] of the group; the second NULL where nothing is chosen by them */
    float *naive, *change;         /* [filters]: means over the group */
    double *standardized;          /* [filters] likewise */
    double unit[3];                /* of a pixel, for the noise */
    size_t items;                  /* mistakes, then right samples in KINDS rounds */
    answer *before, *after;        /* [items] */
    size_t right[KINDS];           /* of each kind, right before */
    psal_tuner_worker *tuner;
    psal_edit *edit;
    float *image;     /* of the sample whose gradient is computed */
    int64_t *filters; /* [largest k] */
    double *gradient; /* of these */
    result *results;  /* [choice][k] */
    psal_progress *progress;
} run;

psal_status psal_group_check(const psal_options *o, psal_error *err) {
    static const char *const others[] = {"image-path", "image-target-label", "sample",  "until-correct", "neighbors",
                                         "similarity", "normalized-stats",   "samples", "figure",        "state",
                                         NULL};
    static const char *const own[] = {"held-out", "group-first", NULL};
    const char *idle = psal_options_has(o, "group") ? NULL : psal_options_given_of(o, own, true);
    if (idle) return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s is for --group", idle);
    if (!psal_options_has(o, "group")) return PSAL_OK;
    if (psal_options_given(o, "held-out") && psal_options_given(o, "group-first"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --held-out and --group-first");
    idle = psal_options_given_of(o, others, true);
    if (idle) return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing with --group: leave one of them out", idle);
    if (psal_options_argument_count(o) == 0) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--group is one edit: there is nothing to merge");
}

/* ---- the group, and its profile ---- */

typedef struct fingerprint {
    uint64_t hash; /* of the image */
    size_t index;  /* in the data set */
} fingerprint;

static int by_hash(const void *x, const void *y) {
    const fingerprint *p = x, *q = y;
    if (p->hash != q->hash) return p->hash < q->hash ? -1 : 1;
    return (p->index > q->index) - (p->index < q->index);
}

/* An image that is in the list twice could be edited for and held out. */
static psal_status check_distinct(const run *r, psal_error *err) {
    const psal_mistakes *m = r->mistakes;
    fingerprint *images = malloc(r->count * sizeof *images);
    if (!images) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the group");
    psal_status status = PSAL_OK;
    for (size_t i = 0; i < r->count && status == PSAL_OK; i++) {
        images[i].index = m->subjects[i].index;
        status = psal_dataset_image_fingerprint(m->dataset, images[i].index, &images[i].hash, err);
    }
    if (status == PSAL_OK) qsort(images, r->count, sizeof *images, by_hash);
    for (size_t i = 1; i < r->count && status == PSAL_OK; i++)
        if (images[i].hash == images[i - 1].hash)
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "--group: samples %zu (%s) and %zu (%s) are the same image, which could be edited for "
                               "and held out: leave one of them out",
                               images[i - 1].index, psal_mistakes_name(m, images[i - 1].index), images[i].index,
                               psal_mistakes_name(m, images[i].index));
    free(images);
    return status;
}

static psal_status split(run *r, psal_error *err) {
    const double share = psal_options_double(r->e->options, "held-out");
    psal_random random = {(uint64_t)psal_options_int(r->e->options, "seed")};
    if (r->count < 2)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--group: only one mistake in the list: none can be held out");
    if (psal_options_has(r->e->options, "group-first")) {
        const int64_t first = psal_options_int(r->e->options, "group-first");
        if (first >= (int64_t)r->count)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "--group-first %lld: there are %zu mistakes in the list: none would be held out",
                             (long long)first, r->count);
        r->group = (size_t)first;
        r->held_out = r->count - r->group;
        for (size_t i = r->group; i < r->count; i++) r->is_held_out[i] = true;
        return PSAL_OK;
    }
    long long wanted = llround(share * (double)r->count);
    r->held_out = wanted < 1 ? 1 : (size_t)wanted >= r->count ? r->count - 1 : (size_t)wanted;
    r->group = r->count - r->held_out;
    int *classes = malloc(r->count * sizeof *classes);
    size_t *chosen = malloc(r->count * sizeof *chosen);
    psal_status status = classes && chosen ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the group");
    for (size_t i = 0; i < r->count && status == PSAL_OK; i++) classes[i] = r->mistakes->subjects[i].label;
    if (status == PSAL_OK) status = psal_random_stratified(&random, classes, r->count, r->held_out, chosen, err);
    for (size_t i = 0; i < r->held_out && status == PSAL_OK; i++) r->is_held_out[chosen[i]] = true;
    free(classes);
    free(chosen);
    return status;
}

static psal_status collect(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    run *r = data;
    const size_t n = (size_t)r->mistakes->filters;
    psal_status status = psal_mistakes_worker_load(worker, &r->mistakes->subjects[i], err);
    if (status != PSAL_OK) return status;
    memcpy(r->profiles + i * n, worker->naive, n * sizeof *r->profiles);
    if (r->changes) memcpy(r->changes + i * n, worker->change, n * sizeof *r->changes);
    return PSAL_OK;
}

/* The mean of the group's rows of table[count][filters]. */
static void mean_rows(const run *r, const float *table, float *mean) {
    const size_t n = (size_t)r->mistakes->filters;
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t i = 0; i < r->count; i++)
            if (!r->is_held_out[i]) sum += table[i * n + k];
        mean[k] = (float)(sum / (double)r->group);
    }
}

static psal_status make_profile(run *r, psal_error *err) {
    const psal_mistakes *m = r->mistakes;
    const size_t n = (size_t)m->filters;
    double *one = malloc(n * sizeof *one);
    if (!one) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %zu filters", n);
    const psal_mistakes_steps profiles = {.label = "profiles", .left_out = r->is_held_out};
    psal_status status = psal_mistakes_each(m, &profiles, collect, r, err);
    for (size_t i = 0; i < r->count && status == PSAL_OK; i++) {
        if (r->is_held_out[i]) continue;
        status = psal_statistics_standardize(m->statistics, m->mode, m->filters, r->profiles + i * n, one, err);
        for (size_t k = 0; k < n; k++) r->standardized[k] += one[k] / (double)r->group;
    }
    free(one);
    if (status != PSAL_OK) return status;
    mean_rows(r, r->profiles, r->naive);
    if (r->changes) mean_rows(r, r->changes, r->change);
    return PSAL_OK;
}

/* ---- what a network says of all items ---- */

/* Item `item`: image (in `room`, but for right samples as they are) and label. */
static psal_status load_item(const run *r, size_t item, float *room, const float **image, int *label, psal_error *err) {
    const psal_mistakes *m = r->mistakes;
    *image = room;
    if (item < r->count) {
        *label = m->subjects[item].label;
        return psal_mistakes_image(m, m->subjects[item].index, room, err);
    }
    const size_t kind = (item - r->count) / (size_t)m->right_count, i = (item - r->count) % (size_t)m->right_count;
    const psal_session *s = r->e->session;
    *label = m->right_labels[i];
    if (kind == 0) {
        *image = m->right[i];
        return PSAL_OK;
    }
    const uint64_t seed = psal_subject_seed(r->e->options, m->right_index[i]);
    return psal_corrupt_image((psal_corruption)(kind - 1), m->right[i], s->info->channels, s->height, s->width, r->unit,
                              seed, room, err);
}

static psal_status answer_item(const run *r, psal_classifier_worker *worker, const float *const *values, size_t item,
                               float *room, answer *out, psal_error *err) {
    const float *image, *logits;
    int label;
    psal_status status = load_item(r, item, room, &image, &label, err);
    if (status == PSAL_OK) status = psal_classifier_run(worker, image, values, &logits, err);
    if (status != PSAL_OK) return status;
    *out = (answer){psal_predicted_class(logits, r->mistakes->classes, -1) == label,
                    psal_confidence(logits, r->mistakes->classes, label)};
    return PSAL_OK;
}

/* Several at once, each with its own answer: the same for any number of threads. */
static psal_status answer_all(const run *r, const float *const *values, answer *answers, psal_error *err) {
    psal_status all = PSAL_OK;
#pragma omp parallel num_threads(r->mistakes->workers)
    {
        psal_error own = PSAL_ERROR_INIT;
        psal_classifier_worker *worker = psal_classifier_worker_new(r->mistakes->classifier, &own);
        float *room = malloc(psal_session_image_size(r->e->session) * sizeof *room);
        psal_status status = !worker ? psal_error_status(&own)
                             : room  ? PSAL_OK
                                     : psal_fail(&own, PSAL_ERR_MEMORY, "out of memory for an image");
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < r->items; i++)
            if (status == PSAL_OK) status = answer_item(r, worker, values, i, room, &answers[i], &own);
        if (status != PSAL_OK) {
#pragma omp critical(psal_group_error)
            if (all == PSAL_OK) {
                if (err) *err = own;
                all = status;
            }
        }
        psal_classifier_worker_free(worker);
        free(room);
    }
    return all;
}

/* ---- the edit ---- */

/* The mean gradient of the group for the first k filters, of the network as `edit` has it. */
static psal_status mean_gradient(run *r, int64_t k, psal_error *err) {
    memset(r->gradient, 0, (size_t)psal_tuner_lengths(r->e->tuner, r->filters, k) * sizeof *r->gradient);
    for (size_t i = 0; i < r->count; i++) {
        const psal_subject *subject = &r->mistakes->subjects[i];
        if (r->is_held_out[i]) continue;
        psal_status status = psal_mistakes_image(r->mistakes, subject->index, r->image, err);
        if (status == PSAL_OK)
            status = psal_tuner_gradient(r->tuner, r->image, subject->label, psal_edit_values(r->edit), NULL, err);
        if (status != PSAL_OK) return psal_fail_prefix(err, "%s", psal_mistakes_name(r->mistakes, subject->index));
        psal_tuner_add_gradient(r->tuner, r->filters, k, 1.0 / (double)r->group, r->gradient);
    }
    return PSAL_OK;
}

static psal_status make_edit(run *r, int64_t k, bool fresh, psal_error *err) {
    psal_status status = PSAL_OK;
    psal_edit_reset(r->edit);
    for (int i = 0; i < r->e->steps && status == PSAL_OK; i++) {
        if (i > 0 || !fresh) status = mean_gradient(r, k, err);
        if (status == PSAL_OK)
            status = psal_tuner_step_along(r->tuner, r->edit, r->filters, k, r->gradient, r->e->step, NULL, err);
    }
    return status;
}

/* Add one draw's measurements. */
static void measure(const run *r, result *out) {
    const psal_edit_size size = psal_edit_measure(r->edit);
    for (size_t i = 0; i < r->count; i++) {
        const double n = (double)(r->is_held_out[i] ? r->held_out : r->group);
        *(r->is_held_out[i] ? &out->held_out : &out->group) += r->after[i].right / n;
        *(r->is_held_out[i] ? &out->held_out_truth
                            : &out->group_truth) += (r->after[i].confidence - r->before[i].confidence) / n;
    }
    for (size_t i = r->count; i < r->items; i++) {
        const size_t kind = (i - r->count) / (size_t)r->mistakes->right_count;
        if (r->before[i].right && !r->after[i].right) out->broken[kind] += 1.0 / (double)r->right[kind];
    }
    out->weights += (double)size.elements;
    out->relative += size.relative;
}

static psal_status try_choice(run *r, int c, psal_error *err) {
    const psal_group_edit *e = r->e;
    const psal_choice which = e->choices[c];
    result *results = r->results + c * e->k_count;
    const int draws = psal_choice_is_random(which) ? e->draws : 1;
    psal_random random = {(uint64_t)psal_options_int(e->options, "seed") ^ (uint64_t)which << 56};
    psal_status status = PSAL_OK;
    for (int draw = 0; draw < draws && status == PSAL_OK; draw++) {
        const int64_t most = e->k[e->k_count - 1];
        status = psal_choose(e->session->model, r->mistakes->units, which, r->naive, r->standardized, r->change,
                             r->mistakes->live, psal_random_bits(&random), most, r->filters, err);
        free(r->gradient);
        r->gradient = status == PSAL_OK
                          ? malloc((size_t)psal_tuner_lengths(e->tuner, r->filters, most) * sizeof *r->gradient)
                          : NULL;
        if (status == PSAL_OK && !r->gradient) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for gradients");
        psal_edit_reset(r->edit);
        const bool fresh = e->steps == 1; /* one gradient of the whole network serves all k */
        if (status == PSAL_OK && fresh) status = mean_gradient(r, most, err);
        for (int i = 0; i < e->k_count && status == PSAL_OK; i++) {
            status = make_edit(r, e->k[i], fresh, err);
            if (status == PSAL_OK) status = answer_all(r, psal_edit_values(r->edit), r->after, err);
            if (status == PSAL_OK) measure(r, &results[i]);
            psal_progress_add(r->progress, 1);
        }
    }
    for (int i = 0; i < e->k_count; i++) {
        for (int column = 0; column < COLUMNS; column++) ((double *)&results[i])[column] /= draws;
        for (int kind = 0; kind < KINDS; kind++)
            if (r->right[kind] == 0) results[i].broken[kind] = NAN;
        results[i].filters = (double)e->k[i];
    }
    return status;
}

/* ---- output ---- */

static void print_table(const run *r) {
    const psal_group_edit *e = r->e;
    const bool right = r->mistakes->right_count > 0;
    psal_print(stdout, "%zu mistake%s of %zu in the list: one edit from %zu, measured on %zu that %s held out.\n",
               r->count, psal_plural((long long)r->count), psal_dataset_count(r->mistakes->dataset), r->group,
               r->held_out, r->held_out == 1 ? "was" : "were");
    psal_print(stdout, "%d step%s, %s %g.\n\n", e->steps, e->steps > 1 ? "s" : "",
               e->step.relative ? "relative size" : "learning rate", e->step.size);
    psal_print(stdout, "%-18s %4s %12s  %16s %s %9s\n", "", "", "% corrected", "true confidence",
               right ? "      % broken, of right samples" : "", "change of");
    psal_print(stdout, "%-18s %4s %6s %5s  %7s %8s %s %9s\n", psal_units_name(r->mistakes->units), "k", "group", "held",
               "group", "held", right ? "  as is   noise    blur contrast" : "", "weights");
    for (int v = 0; v < e->choice_count * e->k_count; v++) {
        const result *m = &r->results[v];
        psal_print(stdout, "%-18s %4lld", psal_choice_name(e->choices[v / e->k_count]),
                   (long long)e->k[v % e->k_count]);
        printf(" %6.1f %5.1f  %+7.3f  %+7.3f ", 100 * m->group, 100 * m->held_out, m->group_truth, m->held_out_truth);
        for (int kind = 0; kind < KINDS && right; kind++)
            printf(isnan(m->broken[kind]) ? "       -" : " %7.2f", 100 * m->broken[kind]);
        printf(" %9.3g\n", m->relative);
    }
}

/* The fewest filters of the first choice that correct most of what was held out; where none correct any, those that
 * raise the true class most. */
static int best_k(const run *r) {
    int best = 0;
    for (int i = 1; i < r->e->k_count; i++) {
        const result *m = &r->results[i], *most = &r->results[best];
        if (m->held_out > most->held_out ||
            (m->held_out == 0 && most->held_out == 0 && m->held_out_truth > most->held_out_truth))
            best = i;
    }
    return best;
}

static void print_finding(const run *r) {
    const int i = best_k(r);
    printf("\n");
    for (int c = 0; c < r->e->choice_count && c < 2; c++) {
        const result *m = &r->results[c * r->e->k_count + i];
        psal_print(stdout, "k = %lld, %s: %.1f %% of %zu mistakes of the group corrected, %.1f %% of %zu held out.\n",
                   (long long)r->e->k[i], psal_choice_name(r->e->choices[c]), 100 * m->group, r->group,
                   100 * m->held_out, r->held_out);
        const char *const what[KINDS] = {"right samples", "with noise", "with blur", "with less contrast"};
        for (int kind = 0; kind < KINDS && r->mistakes->right_count; kind++)
            if (r->right[kind])
                psal_print(stdout, "%s%.1f %% of %zu %s", kind ? ", " : "  It breaks ", 100 * m->broken[kind],
                           r->right[kind], what[kind]);
        if (r->mistakes->right_count) printf(".\n");
    }
}

static psal_status write_csv(const run *r, const char *record, psal_error *err) {
    const char *path = psal_options_string(r->e->options, "csv");
    psal_csv_writer *csv = path ? psal_csv_create(path, err) : NULL;
    if (!csv) return path ? psal_error_status(err) : PSAL_OK;
    psal_csv_text(csv, "choice");
    psal_csv_text(csv, "k");
    for (int c = 0; c < COLUMNS; c++) psal_csv_text(csv, columns[c]);
    psal_csv_text(csv, "psal_settings");
    psal_csv_end_record(csv);
    for (int v = 0; v < r->e->choice_count * r->e->k_count; v++) {
        psal_csv_text(csv, psal_choice_name(r->e->choices[v / r->e->k_count]));
        psal_csv_int(csv, r->e->k[v % r->e->k_count]);
        for (int c = 0; c < COLUMNS; c++) psal_csv_measured(csv, ((const double *)&r->results[v])[c]);
        psal_csv_text(csv, v == 0 ? record : NULL);
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

static json_t *names(const run *r, bool held_out) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->count; i++)
        if (r->is_held_out[i] == held_out)
            json_array_append_new(list,
                                  psal_json_string(psal_mistakes_name(r->mistakes, r->mistakes->subjects[i].index)));
    return list;
}

static json_t *json_of(const run *r) {
    const psal_group_edit *e = r->e;
    json_t *root = psal_json_document("psal-finetune-group/1"), *rows = json_array(), *right = json_object();
    json_object_set_new(root, "arch", psal_json_string(e->session->info->arch));
    json_object_set_new(root, "fingerprint", psal_json_string(e->session->computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(root, "step", psal_json_string(e->step.relative ? "relative" : "rate"));
    json_object_set_new(root, "size", psal_json_double(e->step.size));
    json_object_set_new(root, "steps", json_integer(e->steps));
    json_object_set_new(root, "samples", json_integer((json_int_t)psal_mistakes_sample_count(r->mistakes)));
    json_object_set_new(root, "skipped", psal_skipped_json(&r->mistakes->skipped));
    json_object_set_new(root, "mistakes", json_integer((json_int_t)r->count));
    json_object_set_new(root, "mistakes_found", json_integer((json_int_t)r->mistakes->found));
    json_object_set_new(root, "sampling", psal_json_string(r->mistakes->sampled));
    json_object_set_new(root, "group", names(r, false));
    json_object_set_new(root, "held_out", names(r, true));
    json_object_set_new(root, "right_samples", json_integer(r->mistakes->right_count));
    for (int kind = 0; kind < KINDS && r->mistakes->right_count; kind++)
        json_object_set_new(right, kind ? psal_corruption_name((psal_corruption)(kind - 1)) : "as_is",
                            json_integer((json_int_t)r->right[kind]));
    json_object_set_new(root, "right_before", right);
    json_object_set_new(root, "settings", psal_mistakes_settings(r->mistakes, e->options));
    json_object_set_new(root, "rows", rows);
    for (int v = 0; v < e->choice_count * e->k_count; v++) {
        json_t *row = json_object();
        json_object_set_new(row, "choice", psal_json_string(psal_choice_name(e->choices[v / e->k_count])));
        json_object_set_new(row, "k", json_integer(e->k[v % e->k_count]));
        for (int c = 0; c < COLUMNS; c++)
            json_object_set_new(row, columns[c], psal_json_double(((const double *)&r->results[v])[c]));
        json_array_append_new(rows, row);
    }
    return root;
}

static psal_status print_json(const run *r, psal_error *err) {
    json_t *root = json_of(r);
    psal_status status = psal_json_write(root, stdout, err);
    json_decref(root);
    return status;
}

static psal_status report(const run *r, psal_error *err) {
    psal_computation computation;
    if (r->e->results) {
        *r->e->results = json_of(r);
        return psal_json_check(*r->e->results, err);
    }
    psal_mistakes_computation(r->mistakes, r->e->options, &computation);
    char *record = psal_computation_text(&computation);
    psal_status status = record ? write_csv(r, record, err) : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    free(record);
    if (status != PSAL_OK) return status;
    if (psal_options_flag(r->e->options, "json")) return print_json(r, err);
    print_table(r);
    print_finding(r);
    return PSAL_OK;
}

/* ---- */

static psal_status allocate(run *r, psal_error *err) {
    const psal_group_edit *e = r->e;
    const size_t n = (size_t)r->mistakes->filters, variants = (size_t)e->choice_count * (size_t)e->k_count;
    r->is_held_out = calloc(r->count, sizeof *r->is_held_out);
    r->profiles = calloc(r->count, n * sizeof *r->profiles);
    r->naive = calloc(n, sizeof *r->naive);
    r->standardized = calloc(n, sizeof *r->standardized);
    if (r->mistakes->change) {
        r->changes = calloc(r->count, n * sizeof *r->changes);
        r->change = calloc(n, sizeof *r->change);
    }
    r->before = calloc(r->items, sizeof *r->before);
    r->after = calloc(r->items, sizeof *r->after);
    r->image = malloc(psal_session_image_size(e->session) * sizeof *r->image);
    r->filters = malloc((size_t)e->k[e->k_count - 1] * sizeof *r->filters);
    r->results = calloc(variants, sizeof *r->results);
    if (!r->is_held_out || !r->profiles || !r->naive || !r->standardized || !r->before || !r->after || !r->image ||
        !r->filters || !r->results || (r->mistakes->change && (!r->changes || !r->change)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a group of %zu mistakes", r->count);
    r->tuner = psal_tuner_worker_new(e->tuner, err);
    r->edit = r->tuner ? psal_edit_new(e->session->model, err) : NULL;
    return r->edit ? PSAL_OK : psal_error_status(err);
}

static void free_all(run *r) {
    free(r->is_held_out);
    free(r->profiles);
    free(r->changes);
    free(r->naive);
    free(r->change);
    free(r->standardized);
    free(r->before);
    free(r->after);
    free(r->image);
    free(r->filters);
    free(r->gradient);
    free(r->results);
    psal_tuner_worker_free(r->tuner);
    psal_edit_free(r->edit);
}

psal_status psal_group_run(const psal_group_edit *e, psal_error *err) {
    run r = {.e = e, .mistakes = e->mistakes, .count = e->mistakes->subject_count};
    const psal_preprocess *prepare = &e->session->preprocess;
    r.items = r.count + (size_t)KINDS * (size_t)e->mistakes->right_count;
    for (int c = 0; c < 3; c++) r.unit[c] = 1.0 / prepare->scale / prepare->std[c];
    psal_status status = allocate(&r, err);
    if (status == PSAL_OK) status = check_distinct(&r, err);
    if (status == PSAL_OK) status = split(&r, err);
    if (status == PSAL_OK) status = make_profile(&r, err);
    if (status == PSAL_OK) status = answer_all(&r, NULL, r.before, err);
    for (size_t i = r.count; i < r.items && status == PSAL_OK; i++)
        r.right[(i - r.count) / (size_t)e->mistakes->right_count] += r.before[i].right;
    char each[64];
    snprintf(each, sizeof each, "%zu images", r.items);
    psal_progress_options meter = {.out = stderr,
                                   .mode = e->session->quiet ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
                                   .label = "edits",
                                   .program = e->session->program,
                                   .each = each};
    for (int c = 0; c < e->choice_count; c++)
        meter.total += (int64_t)e->k_count * (psal_choice_is_random(e->choices[c]) ? e->draws : 1);
    r.progress = status == PSAL_OK ? psal_progress_start(&meter, NULL) : NULL;
    for (int c = 0; c < e->choice_count && status == PSAL_OK; c++) status = try_choice(&r, c, err);
    psal_progress_finish(r.progress);
    if (status == PSAL_OK && e->choice_count * e->k_count == 1) status = e->save(e->data, r.edit, err);
    if (status == PSAL_OK) status = report(&r, err);
    free_all(&r);
    return status;
}
