/* psal-prune: switch filters off and see what that does to mistakes. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/csv.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "io/safetensors.h"
#include "saliency/prediction.h"
#include "saliency/prune.h"
#include "tools/edit_one.h"
#include "tools/mistakes.h"
#include "tools/mistakes_state.h"
#include "tools/outputs.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/prune_program.h"
#include "tools/figure_style.h"

/* The columns, in the order of psal_prune_result. */
enum { COLUMNS = 6 };
static const char *const columns[COLUMNS] = {"wrong_confidence",   "true_confidence", "now_right",
                                             "prediction_changed", "dead_filters",    "right_broken"};
static_assert(sizeof(psal_prune_result) == COLUMNS * sizeof(double), "a column per member");

typedef struct run {
    const psal_options *options;
    psal_session session;
    psal_mistakes mistakes;
    psal_mistakes_state state;
    psal_choice choices[PSAL_CHOICE_COUNT];
    psal_prune_options prune;
    int64_t *k;
    psal_prune_result *results; /* [subject][choice][k] */
    psal_mean *means;           /* [choice][k][column] */
    int *instead; /* [choice][k], of one subject: the other wrong class that it becomes without chance; else -1 */
    char *record, line[512]; /* of the computation, and what pictures say of it */
} run;

static size_t variants(const run *r) {
    return (size_t)r->prune.choice_count * (size_t)r->prune.k_count;
}

static psal_prune_sample sample_of(const run *r, const psal_mistakes_worker *worker, size_t i) {
    const psal_subject *subject = &r->mistakes.subjects[i];
    return (psal_prune_sample){.image = worker->image,
                               .label = subject->label,
                               .units = r->mistakes.units,
                               .naive = worker->naive,
                               .standardized = worker->standardized,
                               .change = worker->change,
                               .live = r->mistakes.live,
                               .seed = psal_subject_seed(r->options, subject->index)};
}

static psal_status save(run *r, psal_mistakes_worker *worker, const psal_prune_sample *sample, psal_error *err) {
    const char *path = psal_options_string(r->options, "save");
    if (!path) return PSAL_OK;
    psal_status status = psal_prune_draw(worker->edit, r->session.model, sample, &r->prune, 0, 0, 0, err);
    if (status == PSAL_OK) status = psal_edit_check(worker->edit, err);
    return status == PSAL_OK ? psal_edit_write(&r->session, worker->edit, path, err) : status;
}

static void count_step(void *data) {
    psal_progress_add(data, 1);
}

/* What a mistake becomes that neither stays nor becomes right, where nothing is random. */
static psal_status find_instead(run *r, psal_mistakes_worker *worker, const psal_prune_sample *sample,
                                psal_error *err) {
    for (size_t v = 0; v < variants(r); v++) {
        const int c = (int)(v / (size_t)r->prune.k_count), i = (int)(v % (size_t)r->prune.k_count);
        const float *logits;
        if (r->results[v].changed < 1 || r->results[v].correct > 0 || psal_prune_is_noisy(r->prune.how) ||
            psal_choice_is_random(r->choices[c]))
            continue;
        psal_status status = psal_prune_draw(worker->edit, r->session.model, sample, &r->prune, c, i, 0, err);
        if (status == PSAL_OK)
            status = psal_classifier_run(worker->classifier, sample->image, psal_edit_values(worker->edit), &logits,
                                         err);
        if (status != PSAL_OK) return status;
        r->instead[v] = psal_predicted_class(logits, r->mistakes.classes, -1);
    }
    psal_edit_reset(worker->edit);
    return PSAL_OK;
}

static psal_status experiment(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    run *r = data;
    psal_prune_options options = r->prune; /* of this worker */
    options.step = count_step;
    options.step_data = worker->progress;
    psal_status status = psal_mistakes_worker_load(worker, &r->mistakes.subjects[i], err);
    if (status != PSAL_OK) return status;
    psal_prune_sample sample = sample_of(r, worker, i);
    status = psal_prune_experiment(r->session.model, worker->classifier, worker->variants, worker->edit, &sample,
                                   &options, NULL, r->results + i * variants(r), err);
    if (r->prune.right_count == 0) /* nothing was measured */
        for (size_t v = 0; v < variants(r); v++) r->results[i * variants(r) + v].broken = NAN;
    if (status == PSAL_OK && r->mistakes.subject_count == 1) status = find_instead(r, worker, &sample, err);
    return status == PSAL_OK ? save(r, worker, &sample, err) : status;
}

static psal_status summarize(run *r, psal_error *err) {
    r->means = calloc(variants(r) * COLUMNS, sizeof *r->means);
    if (!r->means) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the table");
    const double *values = (const double *)r->results;
    for (size_t v = 0; v < variants(r) * COLUMNS; v++)
        r->means[v] = psal_mean_error(values + v, r->mistakes.subject_count, variants(r) * COLUMNS);
    return PSAL_OK;
}

/* ---- output ---- */

static void print_table(const run *r) {
    psal_mistakes_print(&r->mistakes);
    const int error = r->mistakes.subject_count > 1; /* room for the standard errors */
    const bool rows = r->mistakes.units == PSAL_UNITS_ROWS;
    psal_print(stdout, "%s switched off by: %s.%s\n\n", rows ? "Rows" : "Filters", psal_prune_name(r->prune.how),
               error ? " Mean +- standard error." : "");
    psal_print(stdout, "%-18s %4s%32s  %12s  %12s %8s%s\n", "", "", "change of the confidence of", "now", "prediction",
               "without", r->prune.right_count ? " % right" : "");
    psal_print(stdout, "%-18s %4s %15s  %14s  %12s  %12s %8s%s\n", psal_units_name(r->mistakes.units), "k",
               "the wrong class", "the true class", "right %", "changed %", "gradient",
               r->prune.right_count ? "  broken" : "");
    for (size_t v = 0; v < variants(r); v++) {
        const psal_mean *m = r->means + v * COLUMNS;
        psal_print(stdout, "%-18s %4lld", psal_choice_name(r->choices[v / (size_t)r->prune.k_count]),
                   (long long)r->k[v % (size_t)r->prune.k_count]);
        for (int c = 0; c < 2; c++) psal_print_mean(m[c].mean, m[c].error, true, 14 - 8 * error, 8 * error, 3);
        for (int c = 2; c < 4; c++)
            psal_print_mean(100 * m[c].mean, 100 * m[c].error, false, 12 - 7 * error, 7 * error, 1);
        printf(" %8.1f", m[4].mean);
        if (r->prune.right_count) printf(" %7.2f", 100 * m[5].mean);
        printf("\n");
    }
}

static const psal_mean *mean_of(const run *r, int choice, int k) {
    return r->means + (choice * r->prune.k_count + k) * COLUMNS;
}

/* The fewest filters of a choice that correct most; where none correct any, those that take most from the wrong
 * class. */
static int best_k(const run *r, int choice) {
    int best = 0;
    for (int i = 1; i < r->prune.k_count; i++) {
        const psal_mean *m = mean_of(r, choice, i), *most = mean_of(r, choice, best);
        if (m[2].mean > most[2].mean || (m[2].mean == 0 && most[2].mean == 0 && m[0].mean < most[0].mean)) best = i;
    }
    return best;
}

/* The choice that does more than the first one, each at its best: corrects more, or as much with fewer filters; where
 * none corrects anything, takes more from the wrong class. 0: none does. */
static int best_choice(const run *r) {
    int best = 0;
    for (int c = 1; c < r->prune.choice_count; c++) {
        const int i = best_k(r, c), k = best_k(r, best);
        const psal_mean *m = mean_of(r, c, i), *most = mean_of(r, best, k);
        if (m[2].mean > most[2].mean || (m[2].mean == most[2].mean && m[2].mean > 0 && i < k) ||
            (m[2].mean == 0 && most[2].mean == 0 && m[0].mean < most[0].mean))
            best = c;
    }
    return best;
}

static const char *how_in_words(const run *r) {
    return r->prune.how == PSAL_PRUNE_WEIGHTS || r->prune.how == PSAL_PRUNE_CHANNEL ? "off" : "disturbed";
}

/* "k = 5, salient filters off: the wrong class's confidence -0.231, and the mistake becomes right." */
static void print_result(const run *r, int choice, int k) {
    const psal_subject *one = r->mistakes.subject_count == 1 ? &r->mistakes.subjects[0] : NULL;
    const psal_mean *m = mean_of(r, choice, k);
    psal_print(stdout, "k = %lld, %s %s %s: the wrong class's confidence %+.3f, ", (long long)r->k[k],
               psal_choice_name(r->choices[choice]), psal_units_name(r->mistakes.units), how_in_words(r), m[0].mean);
    if (!one)
        printf("%.1f %% of %zu mistakes become right.\n", 100 * m[2].mean, r->mistakes.subject_count);
    else if (m[2].mean > 0 && m[2].mean < 1)
        printf("right in %.0f %% of the draws.\n", 100 * m[2].mean);
    else if (m[2].mean > 0 || m[3].mean == 0)
        psal_print(stdout, "and the mistake %s.\n", m[2].mean > 0 ? "becomes right" : "stays");
    else if (m[3].mean < 1)
        printf("and the mistake becomes another one in %.0f %% of the draws.\n", 100 * m[3].mean);
    else if (r->instead[choice * r->prune.k_count + k] >= 0)
        psal_print(stdout, "and the mistake becomes another one, %s.\n",
                   psal_labels_name(r->mistakes.session->labels, r->instead[choice * r->prune.k_count + k]));
    else
        printf("and the mistake becomes another one.\n");
}

/* Of an image that is right: how many filters of a choice it takes until it is not. */
static void print_right(const run *r, int choice) {
    const char *units = psal_units_name(r->mistakes.units);
    int i = 0;
    while (i + 1 < r->prune.k_count && mean_of(r, choice, i)[2].mean == 1) i++;
    const double right = mean_of(r, choice, i)[2].mean;
    const long long k = (long long)r->k[i];
    psal_print(stdout, "%s: the image, which is right, ", psal_choice_name(r->choices[choice]));
    if (right == 1)
        psal_print(stdout, "stays right with up to %lld %s %s.\n", k, units, how_in_words(r));
    else if (right == 0)
        psal_print(stdout, "becomes wrong with %lld %s %s.\n", k, units, how_in_words(r));
    else
        psal_print(stdout, "stays right in %.0f %% of the draws with %lld %s %s.\n", 100 * right, k, units,
                   how_in_words(r));
}

/* What was found, in words: the first choice beside the second, and the one that did more than the first. */
static void print_finding(const run *r) {
    const int i = best_k(r, 0), best = best_choice(r);
    const bool right = r->mistakes.subject_count == 1 &&
                       r->mistakes.subjects[0].predicted == r->mistakes.subjects[0].label;
    printf("\n");
    for (int c = 0; c < r->prune.choice_count && right; c++) print_right(r, c);
    for (int c = 0; c < r->prune.choice_count && c < 2 && !right; c++) print_result(r, c, i);
    if (best > 0 && !right) {
        const psal_mean *m = mean_of(r, best, best_k(r, best)), *first = mean_of(r, 0, i);
        psal_print(stdout, "%s did %s %s", psal_choice_name(r->choices[best]),
                   m[2].mean > first[2].mean || m[2].mean == 0 ? "more than" : "as much as",
                   psal_choice_name(r->choices[0]));
        if (m[2].mean > first[2].mean)
            printf(", by %.1f %%: ", 100 * (m[2].mean - first[2].mean));
        else if (m[2].mean > 0)
            psal_print(stdout, ", with fewer %s: ", psal_units_name(r->mistakes.units));
        else
            printf(", by %.3f: ", first[0].mean - m[0].mean);
        print_result(r, best, best_k(r, best));
    }
    for (int c = 0; c < r->prune.choice_count && c < 2 && r->prune.right_count; c++) {
        const psal_mean *m = r->means + (c * r->prune.k_count + i) * COLUMNS;
        if (c == 0)
            psal_print(stdout, "k = %lld, of %d right sample%s break: ", (long long)r->k[i], r->prune.right_count,
                       psal_plural(r->prune.right_count));
        psal_print(stdout, "%s%s %.1f %%", c ? ", " : "", psal_choice_name(r->choices[c]), 100 * m[5].mean);
    }
    if (r->prune.right_count && best > 0 && !right && (best > 1 || best_k(r, best) != i))
        psal_print(stdout, ", %s (k = %lld) %.1f %%", psal_choice_name(r->choices[best]),
                   (long long)r->k[best_k(r, best)], 100 * mean_of(r, best, best_k(r, best))[5].mean);
    if (r->prune.right_count) printf(".\n");
}

static psal_status write_csv(const run *r, psal_error *err) {
    const char *path = psal_options_string(r->options, "csv");
    psal_csv_writer *csv = path ? psal_csv_create(path, err) : NULL;
    if (!csv) return path ? psal_error_status(err) : PSAL_OK;
    psal_csv_mean_titles(csv, columns, COLUMNS);
    for (size_t v = 0; v < variants(r); v++) {
        psal_csv_text(csv, psal_choice_name(r->choices[v / (size_t)r->prune.k_count]));
        psal_csv_int(csv, r->k[v % (size_t)r->prune.k_count]);
        for (size_t c = 0; c < COLUMNS; c++) {
            psal_csv_measured(csv, r->means[v * COLUMNS + c].mean);
            psal_csv_measured(csv, r->means[v * COLUMNS + c].error);
        }
        psal_csv_text(csv, v == 0 ? r->record : NULL);
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

static psal_status write_samples(const run *r, psal_error *err) {
    const char *path = psal_options_string(r->options, "samples");
    psal_csv_writer *csv = path ? psal_csv_create(path, err) : NULL;
    if (!csv) return path ? psal_error_status(err) : PSAL_OK;
    psal_csv_subject_titles(csv);
    psal_csv_text(csv, "choice");
    psal_csv_text(csv, "k");
    for (int c = 0; c < COLUMNS; c++) psal_csv_text(csv, columns[c]);
    psal_csv_text(csv, "psal_settings");
    psal_csv_end_record(csv);
    for (size_t i = 0; i < r->mistakes.subject_count; i++)
        for (size_t v = 0; v < variants(r); v++) {
            const double *values = (const double *)&r->results[i * variants(r) + v];
            psal_csv_subject(csv, &r->mistakes, i);
            psal_csv_text(csv, psal_choice_name(r->choices[v / (size_t)r->prune.k_count]));
            psal_csv_int(csv, r->k[v % (size_t)r->prune.k_count]);
            for (int c = 0; c < COLUMNS; c++) psal_csv_measured(csv, values[c]);
            psal_csv_text(csv, i == 0 && v == 0 ? r->record : NULL);
            psal_csv_end_record(csv);
        }
    return psal_csv_commit(csv, err);
}

static psal_status print_json(const run *r, psal_error *err) {
    if (!psal_options_flag(r->options, "json")) return PSAL_OK;
    json_t *root = psal_json_document("psal-prune/1"), *rows = json_array();
    json_object_set_new(root, "arch", psal_json_string(r->session.info->arch));
    json_object_set_new(root, "fingerprint", psal_json_string(r->session.computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(root, "how", psal_json_string(psal_prune_name(r->prune.how)));
    json_object_set_new(root, "samples", json_integer((json_int_t)psal_mistakes_sample_count(&r->mistakes)));
    json_object_set_new(root, "skipped", psal_skipped_json(&r->mistakes.skipped));
    json_object_set_new(root, "mistakes", json_integer((json_int_t)r->mistakes.subject_count));
    json_object_set_new(root, "mistakes_found", json_integer((json_int_t)r->mistakes.found));
    json_object_set_new(root, "sampling", psal_json_string(r->mistakes.sampled));
    json_object_set_new(root, "right_samples", json_integer(r->prune.right_count));
    json_object_set_new(root, "settings", psal_mistakes_settings(&r->mistakes, r->options));
    json_object_set_new(root, "rows", rows);
    for (size_t v = 0; v < variants(r); v++) {
        json_t *row = json_object();
        json_object_set_new(row, "choice",
                            psal_json_string(psal_choice_name(r->choices[v / (size_t)r->prune.k_count])));
        json_object_set_new(row, "k", json_integer(r->k[v % (size_t)r->prune.k_count]));
        for (size_t c = 0; c < COLUMNS; c++) {
            char name[64];
            snprintf(name, sizeof name, "%s_se", columns[c]);
            json_object_set_new(row, columns[c], psal_json_double(r->means[v * COLUMNS + c].mean));
            json_object_set_new(row, name, psal_json_double(r->means[v * COLUMNS + c].error));
        }
        json_array_append_new(rows, row);
    }
    psal_status status = psal_json_write(root, stdout, err);
    json_decref(root);
    return status;
}

static psal_status draw(const run *r, psal_error *err) {
    const char *path = psal_options_string(r->options, "figure");
    if (!path) return PSAL_OK;
    static const char *const titles[] = {"Confidence of the wrong class", "Confidence of the true class", "Now right",
                                         "Prediction changed"};
    static const char *const units[] = {"change", "change", "% of mistakes", "% of mistakes"};
    enum { PANELS = 4 };
    size_t n = variants(r);
    double *numbers = malloc((2 * PANELS * n + (size_t)r->prune.k_count) * sizeof *numbers);
    if (!numbers) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the figure");
    double *x = numbers + 2 * PANELS * n;
    psal_curves_panel panels[PANELS];
    for (size_t p = 0; p < PANELS; p++) {
        double *mean = numbers + 2 * p * n, *error = mean + n, factor = p < 2 ? 1 : 100;
        for (size_t v = 0; v < n; v++) {
            mean[v] = factor * r->means[v * COLUMNS + p].mean;
            error[v] = factor * r->means[v * COLUMNS + p].error;
        }
        panels[p] = (psal_curves_panel){.title = titles[p], .y_label = units[p], .mean = mean, .error = error};
    }
    const char *series[PSAL_CHOICE_COUNT];
    for (int c = 0; c < r->prune.choice_count; c++) series[c] = psal_choice_name(r->choices[c]);
    for (int i = 0; i < r->prune.k_count; i++) x[i] = (double)r->k[i];
    char subtitle[1024];
    snprintf(subtitle, sizeof subtitle, "%s, %zu mistake%s, switched off by: %s; %s", r->session.info->arch,
             r->mistakes.subject_count, r->mistakes.subject_count == 1 ? "" : "s", psal_prune_name(r->prune.how),
             r->line);
    const bool rows = r->mistakes.units == PSAL_UNITS_ROWS;
    psal_curves_figure figure = {.title = rows ? "Rows switched off" : "Filters switched off",
                                 .subtitle = subtitle,
                                 .style = psal_figure_style_of(r->options),
                                 .record = r->record,
                                 .x_label = rows ? "rows switched off" : "filters switched off",
                                 .x_scale = PSAL_SCALE_LOG,
                                 .x = x,
                                 .x_count = (size_t)r->prune.k_count,
                                 .series = series,
                                 .series_count = (size_t)r->prune.choice_count,
                                 .panels = panels,
                                 .panel_count = PANELS,
                                 .columns = 2};
    psal_status status = psal_curves_figure_write(&figure, path, err);
    free(numbers);
    return status;
}

/* ---- */

/* What can be told before the mistakes are known. */
static psal_status check_save(const run *r, psal_error *err) {
    const char *path = psal_options_string(r->options, "save");
    if (path && psal_checkpoint_check_name(path, err) != PSAL_OK) return psal_fail_prefix(err, "--save");
    if (!path || psal_choices_one_edit(r->options, r->choices, r->prune.choice_count, false)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--save needs one image, one of --choices and one --k");
}

static psal_status prepare(run *r, psal_error *err) {
    const psal_options *o = r->options;
    psal_status status = psal_parse_choices(o, r->choices, &r->prune.choice_count, err);
    if (status != PSAL_OK) return status;
    static const char *const tables[] = {"csv", "samples", "figure", "save", "json", NULL};
    if ((status = psal_figure_style_check(o, psal_options_has(o, "figure"), "without --figure", err)) != PSAL_OK)
        return status;
    if ((status = psal_mistakes_check_options(o, false, err)) != PSAL_OK) return status;
    if ((status = check_save(r, err)) != PSAL_OK) return status;
    if ((status = psal_mistakes_state_check(&r->state, psal_prune_program.name, o, tables, err)) != PSAL_OK)
        return status;
    if ((status = psal_session_open(&r->session, o, err)) != PSAL_OK) return status;
    const psal_mistakes_needs needs = {
        .in_parts = true,
        .ranking = true,
        .beside = true,
        .right = psal_options_int(o, "right"),
        .change = psal_choices_have(r->choices, r->prune.choice_count, PSAL_CHOICE_GRADIENT_WEIGHT)};
    if ((status = psal_mistakes_open(&r->mistakes, &r->session, o, &needs, err)) != PSAL_OK) return status;
    if (!(r->k = psal_mistakes_k_values(&r->mistakes, o, r->choices, r->prune.choice_count, &r->prune.k_count, err)))
        return psal_error_status(err);
    if (psal_options_has(o, "save") &&
        (r->mistakes.subject_count != 1 || r->prune.choice_count != 1 || r->prune.k_count != 1))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--save needs one image, one of --choices and one --k");
    r->prune.how = (psal_prune_how)psal_options_choice(o, "how");
    const bool off = r->prune.how == PSAL_PRUNE_WEIGHTS || r->prune.how == PSAL_PRUNE_CHANNEL;
    if (off && r->mistakes.units == PSAL_UNITS_FILTERS) {
        r->mistakes.variants = psal_variants_new(r->mistakes.classifier, r->prune.how == PSAL_PRUNE_CHANNEL, err);
        if (!r->mistakes.variants) return psal_error_status(err);
    }
    r->prune.choices = r->choices;
    r->prune.k = r->k;
    r->prune.draws = (int)psal_options_int(o, "draws");
    bool random = psal_choice_is_random(r->choices[0]) || psal_prune_is_noisy(r->prune.how);
    if (psal_options_has(o, "save") && random && r->prune.draws > 1) {
        psal_note(&r->session.notes,
                  "the network that is saved is one draw: the first of --draws %d is the one that is measured",
                  r->prune.draws);
        r->prune.draws = 1;
    }
    r->prune.scale = psal_options_double(o, "noise-scale");
    r->prune.right = (const float *const *)r->mistakes.right;
    r->prune.right_labels = r->mistakes.right_labels;
    r->prune.right_count = r->mistakes.right_count;
    psal_computation computation;
    psal_mistakes_computation(&r->mistakes, o, &computation);
    psal_computation_line(&computation, r->line);
    r->record = psal_computation_text(&computation);
    r->results = calloc(r->mistakes.subject_count * variants(r), sizeof *r->results);
    r->instead = malloc(variants(r) * sizeof *r->instead);
    for (size_t v = 0; v < variants(r) && r->instead; v++) r->instead[v] = -1;
    if (!r->results || !r->record || !r->instead)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu results", r->mistakes.subject_count);
    static const char *const settings[] = {"k",     "choices", "how",   "noise-scale", "draws",
                                           "right", "layers",  "limit", "first",       NULL};
    return psal_mistakes_state_open(&r->state, &r->mistakes, settings, (double *)r->results, variants(r) * COLUMNS,
                                    err);
}

static psal_mistakes_steps steps_of(const run *r) {
    psal_mistakes_steps steps = {.label = "mistakes", .part_label = "runs of the edited network"};
    psal_mistakes_say_each(&steps, r->prune.choice_count, r->prune.k_count, r->prune.draws, 1 + r->prune.right_count);
    steps.parts = psal_prune_steps(&r->prune);
    return steps;
}

static psal_status run_program(run *r, psal_error *err) {
    psal_status status = prepare(r, err);
    psal_session_print_notes(&r->session, psal_prune_program.name);
    if (status == PSAL_OK) {
        const psal_mistakes_steps steps = steps_of(r);
        status = psal_mistakes_state_run(&r->state, &steps, experiment, r, err);
    }
    if (status == PSAL_OK && r->state.shard.count > 1) {
        psal_mistakes_state_print_part(&r->state);
        return PSAL_OK;
    }
    if (status == PSAL_OK) status = summarize(r, err);
    if (status == PSAL_OK) status = write_csv(r, err);
    if (status == PSAL_OK) status = write_samples(r, err);
    if (status == PSAL_OK) status = draw(r, err);
    if (status == PSAL_OK) status = print_json(r, err);
    if (status != PSAL_OK || psal_options_flag(r->options, "json")) return status;
    print_table(r);
    print_finding(r);
    psal_print_written(&psal_prune_program, r->options);
    return PSAL_OK;
}

static int work(const psal_options *options, psal_error *err) {
    run r = {.options = options};
    int status = psal_mistakes_finish(&r.mistakes, psal_prune_program.name, run_program(&r, err), err);
    free(r.results);
    free(r.record);
    free(r.means);
    free(r.instead);
    free(r.k);
    psal_mistakes_state_close(&r.state);
    psal_mistakes_close(&r.mistakes);
    psal_session_close(&r.session);
    return status;
}

int main(int argc, char **argv) {
    return psal_program_main(&psal_prune_program, argc, argv, work);
}
