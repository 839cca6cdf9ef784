#include "tools/edit_report.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/csv.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "saliency/prune.h"
#include "tools/print.h"
#include "tools/figure_style.h"

static_assert(sizeof(psal_edit_result) == PSAL_EDIT_COLUMNS * sizeof(double), "a column per member");

static const char *const columns[PSAL_EDIT_COLUMNS] = {
    "corrected", "wrong_confidence", "true_confidence", "neighbors_corrected", "others_corrected", "right_broken",
    "filters",   "dead_filters",     "weights",         "relative_change"};

static size_t variants(const psal_edit_report *r) {
    return (size_t)r->choice_count * (size_t)r->k_count;
}

static const char *choice_of(const psal_edit_report *r, size_t variant) {
    return psal_choice_name(r->choices[variant / (size_t)r->k_count]);
}

static int64_t k_of(const psal_edit_report *r, size_t variant) {
    return r->k[variant % (size_t)r->k_count];
}

/* The subjects that were experimented on. */
static size_t first_subject(const psal_edit_report *r) {
    return r->single >= 0 ? (size_t)r->single : 0;
}

static size_t subject_count(const psal_edit_report *r) {
    return r->single >= 0 ? 1 : r->mistakes->subject_count;
}

/* Mean over the subjects for which there is a number. */
static psal_mean mean_of(const psal_edit_report *r, size_t variant, size_t column, double *room) {
    size_t count = 0;
    for (size_t i = 0; i < subject_count(r); i++) {
        const psal_edit_result *result = &r->results[(first_subject(r) + i) * variants(r) + variant];
        double value = ((const double *)result)[column];
        if (!isnan(value)) room[count++] = value;
    }
    return psal_mean_error(room, count, 1);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median over the subjects whose search succeeded. */
static double median_of(const psal_edit_report *r, size_t variant, size_t column, double *room) {
    size_t count = 0;
    for (size_t i = 0; i < subject_count(r); i++) {
        const psal_edit_result *result = &r->results[(first_subject(r) + i) * variants(r) + variant];
        if (!isnan(result->filters)) room[count++] = ((const double *)result)[column];
    }
    qsort(room, count, sizeof *room, by_size);
    return count ? 0.5 * (room[count / 2] + room[(count - 1) / 2]) : NAN;
}

/* What a single subject is called after its edit. */
static int best_class(const psal_edit_report *r) {
    int best = 0;
    for (int c = 1; c < r->mistakes->classes; c++)
        if (r->after[c] > r->after[best]) best = c;
    return best;
}

/* ---- text ---- */

static void print_single(const psal_edit_report *r) {
    const psal_subject *one = &r->mistakes->subjects[first_subject(r)];
    const psal_labels *labels = r->session->labels;
    psal_print(stdout, "%s: %s, called %s (%.1f %%)\n", psal_mistakes_name(r->mistakes, one->index),
               psal_labels_name(labels, one->label), psal_labels_name(labels, one->predicted), 100 * one->confidence);
    if (variants(r) != 1 || (r->until_correct && one->predicted == one->label)) return;
    int now = best_class(r);
    psal_print(stdout, "now %s (%.1f %%); %s %.1f %% -> %.1f %%\n", psal_labels_name(labels, now), 100 * r->after[now],
               psal_labels_name(labels, one->label), 100 * r->before[one->label], 100 * r->after[one->label]);
    for (int i = 0; i < r->mistakes->right_count; i++)
        if (r->broken && r->broken[i])
            psal_print(stdout, "broken: %s (%s)\n", psal_mistakes_name(r->mistakes, r->mistakes->right_index[i]),
                       psal_labels_name(labels, r->mistakes->right_labels[i]));
}

static const char *units_of(const psal_edit_report *r) {
    return psal_units_name(r->mistakes->units);
}

static void print_table(const psal_edit_report *r, double *room) {
    if (r->single >= 0) {
        print_single(r);
    } else {
        if (r->mistakes->subject_count < r->mistakes->found) printf("%zu of ", r->mistakes->subject_count);
        psal_print(stdout, "%zu mistake%s of %zu samples", r->mistakes->found,
                   psal_plural((long long)r->mistakes->found), psal_mistakes_sample_count(r->mistakes));
        if (r->mistakes->skipped.count) printf(", %zu skipped", r->mistakes->skipped.count);
        printf("\n");
    }
    if (r->until_correct)
        psal_print(stdout,
                   "The smallest step that corrects the sample, of at most %lld %s. Medians where it was found.\n",
                   (long long)r->k[0], units_of(r));
    else
        psal_print(stdout, "%d step%s, %s %g.%s\n", r->steps, r->steps > 1 ? "s" : "",
                   r->step.relative ? "relative size" : "learning rate", r->step.size,
                   subject_count(r) > 1 ? " Mean +- standard error." : "");
    if (r->neighbor_count)
        psal_print(stdout,
                   "%d neighbour%s and as many random other mistakes each; one sample is a neighbour of %lld of %zu.\n",
                   r->neighbor_count, psal_plural(r->neighbor_count), (long long)r->hub, r->mistakes->subject_count);
    psal_print(stdout, "\n");
    const int error = subject_count(r) > 1; /* room for the standard errors */
    const bool neighbors = r->neighbor_count > 0, right = r->mistakes->right_count > 0;
    psal_print(stdout, "%-18s %4s  %11s%18s%s%s %9s\n", "", "", "", " confidence change",
               neighbors ? "  %  neighbors  %  of others" : "", right ? " % right" : "", "weight");
    psal_print(stdout, "%-18s %4s  %11s%9s%9s%s%s %9s\n", units_of(r), r->until_correct ? "used" : "k", "corrected %",
               "true", "wrong", neighbors ? "    corrected    corrected" : "", right ? "  broken" : "", "change");
    for (size_t v = 0; v < variants(r); v++) {
        psal_mean m[PSAL_EDIT_COLUMNS];
        for (size_t c = 0; c < PSAL_EDIT_COLUMNS; c++) m[c] = mean_of(r, v, c, room);
        double used = median_of(r, v, 6, room), change = r->until_correct ? median_of(r, v, 9, room) : m[9].mean;
        psal_print(stdout, "%-18s ", choice_of(r, v));
        if (r->until_correct && isnan(used)) /* no step corrects any */
            psal_print(stdout, "%4s", "-");
        else if (r->until_correct)
            printf("%4.0f", used);
        else
            printf("%4lld", (long long)k_of(r, v));
        psal_print_mean(100 * m[0].mean, 100 * m[0].error, false, 11 - 6 * error, 6 * error, 1);
        printf("  %+7.4f  %+7.4f", m[2].mean, m[1].mean);
        for (int c = 3; c < 5 && neighbors; c++) /* of neighbours, of others */
            psal_print_mean(100 * m[c].mean, 100 * m[c].error, false, 11 - 6 * error, 6 * error, 1);
        if (right) printf(" %7.2f", 100 * m[5].mean);
        if (isnan(change))
            psal_print(stdout, " %9s\n", "-");
        else
            printf(" %9.3g\n", change);
    }
}

/* The fewest filters of the first choice that correct most; where none correct any, those that raise the true class
 * most. */
static int best_k(const psal_edit_report *r, double *room) {
    int best = 0;
    for (int i = 1; i < r->k_count; i++) {
        const double corrected = mean_of(r, (size_t)i, 0, room).mean, most = mean_of(r, (size_t)best, 0, room).mean;
        if (corrected > most || (corrected == 0 && most == 0 &&
                                 mean_of(r, (size_t)i, 2, room).mean > mean_of(r, (size_t)best, 2, room).mean))
            best = i;
    }
    return best;
}

const char *psal_edit_report_further(const psal_edit_report *r, char text[96]) {
    const bool all = r->choice_count == 1 && r->choices[0] == PSAL_CHOICE_ALL;
    const int64_t k = r->k[r->k_count - 1],
                  most = psal_choosable(r->session->model, r->mistakes->units, all ? NULL : r->mistakes->live),
                  more = k > most / 10 ? most : 10 * k;
    if (more > k)
        snprintf(text, 96, "--k %" PRId64 " --relative %g", more, 3 * r->largest);
    else
        snprintf(text, 96, "--relative %g", 3 * r->largest);
    return text;
}

static bool subject_is_right(const psal_edit_report *r) {
    const psal_subject *subject = &r->mistakes->subjects[first_subject(r)];
    return subject->predicted == subject->label;
}

/* What was found, in words: the first choice beside the second. */
static void print_finding(const psal_edit_report *r, double *room) {
    const int i = best_k(r, room);
    printf("\n");
    for (int c = 0; c < r->choice_count && c < 2; c++) {
        const size_t v = (size_t)(c * r->k_count + i);
        const double corrected = mean_of(r, v, 0, room).mean;
        const double used = r->until_correct ? median_of(r, v, 6, room) : NAN;
        if (r->until_correct)
            psal_print(stdout, "%s, at most %lld %s: ", choice_of(r, v), (long long)k_of(r, v), units_of(r));
        else
            psal_print(stdout, "k = %lld, %s: ", (long long)k_of(r, v), choice_of(r, v));
        if (subject_count(r) > 1)
            printf("%.1f %% of %zu mistakes are corrected", 100 * corrected, subject_count(r));
        else if (corrected > 0 && corrected < 1)
            printf("the mistake is corrected in %.0f %% of the draws", 100 * corrected);
        else
            psal_print(stdout, "the %s %s", subject_is_right(r) ? "image, which is right already," : "mistake",
                       corrected == 0        ? subject_is_right(r) ? "becomes wrong" : "is not corrected"
                       : subject_is_right(r) ? "stays right"
                                             : "is corrected");
        if (!isnan(used))
            psal_print(stdout, " by a change of %.0f of them%s", used, subject_count(r) > 1 ? " (median)" : "");
        if (r->neighbor_count) printf(", %.1f %% of neighbours", 100 * mean_of(r, v, 3, room).mean);
        if (r->mistakes->right_count)
            printf(", %.1f %% of %d right broken", 100 * mean_of(r, v, 5, room).mean, r->mistakes->right_count);
        printf(".\n");
    }
    char further[96];
    if (subject_count(r) == 1 && !subject_is_right(r) && mean_of(r, (size_t)i, 0, room).mean == 0)
        psal_print(stdout, "To correct it, try %s.\n",
                   r->until_correct ? psal_edit_report_further(r, further) : "--until-correct");
}

static void print_text(const psal_edit_report *r, double *room) {
    if (r->until_correct && subject_count(r) == 1 && subject_is_right(r)) {
        print_single(r);
        psal_print(stdout, "It is right already: there is nothing to correct.\n");
        return;
    }
    print_table(r, room);
    print_finding(r, room);
}

/* ---- files ---- */

static psal_status write_csv(const psal_edit_report *r, const char *path, double *room, psal_error *err) {
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    psal_csv_mean_titles(csv, columns, PSAL_EDIT_COLUMNS);
    for (size_t v = 0; v < variants(r); v++) {
        psal_csv_text(csv, choice_of(r, v));
        psal_csv_int(csv, k_of(r, v));
        for (size_t c = 0; c < PSAL_EDIT_COLUMNS; c++) {
            psal_mean mean = mean_of(r, v, c, room);
            psal_csv_measured(csv, mean.mean);
            psal_csv_measured(csv, mean.error);
        }
        psal_csv_text(csv, v == 0 ? r->record : NULL);
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

static psal_status write_samples(const psal_edit_report *r, const char *path, psal_error *err) {
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    psal_csv_subject_titles(csv);
    psal_csv_text(csv, "choice");
    psal_csv_text(csv, "k");
    for (int c = 0; c < PSAL_EDIT_COLUMNS; c++) psal_csv_text(csv, columns[c]);
    psal_csv_text(csv, "psal_settings");
    psal_csv_end_record(csv);
    for (size_t i = first_subject(r); i < first_subject(r) + subject_count(r); i++)
        for (size_t v = 0; v < variants(r); v++) {
            const double *values = (const double *)&r->results[i * variants(r) + v];
            psal_csv_subject(csv, r->mistakes, i);
            psal_csv_text(csv, choice_of(r, v));
            psal_csv_int(csv, k_of(r, v));
            for (int c = 0; c < PSAL_EDIT_COLUMNS; c++) psal_csv_measured(csv, values[c]);
            psal_csv_text(csv, i == first_subject(r) && v == 0 ? r->record : NULL);
            psal_csv_end_record(csv);
        }
    return psal_csv_commit(csv, err);
}

static psal_status print_json(const psal_edit_report *r, const psal_options *options, double *room, psal_error *err) {
    json_t *root = psal_json_document("psal-finetune/1"), *rows = json_array();
    json_object_set_new(root, "arch", psal_json_string(r->session->info->arch));
    json_object_set_new(root, "fingerprint", psal_json_string(r->session->computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(root, "until_correct", json_boolean(r->until_correct));
    json_object_set_new(root, "step", psal_json_string(r->step.relative ? "relative" : "rate"));
    json_object_set_new(root, "size", psal_json_double(r->step.size));
    json_object_set_new(root, "steps", json_integer(r->steps));
    json_object_set_new(root, "samples", json_integer((json_int_t)psal_mistakes_sample_count(r->mistakes)));
    json_object_set_new(root, "skipped", psal_skipped_json(&r->mistakes->skipped));
    json_object_set_new(root, "mistakes", json_integer((json_int_t)r->mistakes->subject_count));
    json_object_set_new(root, "mistakes_found", json_integer((json_int_t)r->mistakes->found));
    json_object_set_new(root, "sampling", psal_json_string(r->mistakes->sampled));
    json_object_set_new(root, "neighbors", json_integer(r->neighbor_count));
    json_object_set_new(root, "hub", r->neighbor_count ? json_integer(r->hub) : json_null());
    json_object_set_new(root, "right_samples", json_integer(r->mistakes->right_count));
    if (r->single >= 0 && variants(r) == 1) {
        const psal_subject *one = &r->mistakes->subjects[first_subject(r)];
        json_object_set_new(root, "name", psal_json_string(psal_mistakes_name(r->mistakes, one->index)));
        json_object_set_new(root, "label", json_integer(one->label));
        json_object_set_new(root, "predicted", json_integer(one->predicted));
        json_object_set_new(root, "predicted_after", json_integer(best_class(r)));
        json_object_set_new(root, "label_confidence_before", psal_json_double(r->before[one->label]));
        json_object_set_new(root, "label_confidence_after", psal_json_double(r->after[one->label]));
        json_object_set_new(root, "predicted_confidence_before", psal_json_double(r->before[one->predicted]));
        json_object_set_new(root, "predicted_confidence_after", psal_json_double(r->after[one->predicted]));
        json_t *broken = json_array();
        for (int i = 0; i < r->mistakes->right_count; i++)
            if (r->broken && r->broken[i])
                json_array_append_new(broken,
                                      psal_json_string(psal_mistakes_name(r->mistakes, r->mistakes->right_index[i])));
        json_object_set_new(root, "broken", broken);
    }
    json_object_set_new(root, "settings", psal_mistakes_settings(r->mistakes, options));
    json_object_set_new(root, "rows", rows);
    for (size_t v = 0; v < variants(r); v++) {
        json_t *row = json_object();
        json_object_set_new(row, "choice", psal_json_string(choice_of(r, v)));
        json_object_set_new(row, "k", json_integer(k_of(r, v)));
        for (size_t c = 0; c < PSAL_EDIT_COLUMNS; c++) {
            char name[64];
            psal_mean mean = mean_of(r, v, c, room);
            snprintf(name, sizeof name, "%s_se", columns[c]);
            json_object_set_new(row, columns[c], psal_json_double(mean.mean));
            json_object_set_new(row, name, psal_json_double(mean.error));
        }
        if (r->until_correct) {
            json_object_set_new(row, "median_filters", psal_json_double(median_of(r, v, 6, room)));
            json_object_set_new(row, "median_relative_change", psal_json_double(median_of(r, v, 9, room)));
        }
        json_array_append_new(rows, row);
    }
    psal_status status = psal_json_write(root, stdout, err);
    json_decref(root);
    return status;
}

/* ---- figures ---- */

static psal_status draw_single(const psal_edit_report *r, const psal_options *options, const char *path,
                               psal_error *err) {
    const psal_subject *one = &r->mistakes->subjects[first_subject(r)];
    const psal_edit_result *result = &r->results[first_subject(r) * variants(r)];
    char truth[256], wrong[256], fact[256];
    const char *facts[] = {fact};
    snprintf(truth, sizeof truth, "%s (true)", psal_labels_name(r->session->labels, one->label));
    snprintf(wrong, sizeof wrong, "%s (predicted)", psal_labels_name(r->session->labels, one->predicted));
    snprintf(fact, sizeof fact, "%.0f %s (%s), %.0f weights, changed by %.3g of their norm", result->filters,
             units_of(r), choice_of(r, 0), result->weights, result->relative);
    psal_edit_class classes[] = {{truth, r->before[one->label], r->after[one->label]},
                                 {wrong, r->before[one->predicted], r->after[one->predicted]}};
    int64_t n = r->neighbor_count, right = r->mistakes->right_count;
    psal_edit_count counts[3];
    size_t count = 0;
    if (n)
        counts[count++] = (psal_edit_count){"nearest neighbours corrected", llround(result->neighbors * (double)n), n,
                                            false};
    if (n)
        counts[count++] = (psal_edit_count){"random other mistakes corrected", llround(result->others * (double)n), n,
                                            false};
    if (right)
        counts[count++] = (psal_edit_count){"right samples broken", llround(result->broken * (double)right), right,
                                            true};
    char subtitle[1024];
    snprintf(subtitle, sizeof subtitle, "%.300s; %s", psal_mistakes_name(r->mistakes, one->index), r->line);
    psal_edit_figure figure = {.title = "One mistake, edited",
                               .subtitle = subtitle,
                               .style = psal_figure_style_of(options),
                               .record = r->record,
                               .classes = classes,
                               .class_count = one->label == one->predicted ? 1 : 2,
                               .counts = counts,
                               .count_count = count,
                               .facts = facts,
                               .fact_count = 1};
    return psal_edit_figure_write(&figure, path, err);
}

static psal_status draw_curves(const psal_edit_report *r, const psal_options *options, const char *path, double *room,
                               psal_error *err) {
    const struct {
        size_t column;
        const char *title;
        bool measured;
    } wanted[] = {{0, "Sample corrected", true},
                  {3, "Neighbours corrected", r->neighbor_count > 0},
                  {4, "Random other mistakes corrected", r->neighbor_count > 0},
                  {5, "Right samples broken", r->mistakes->right_count > 0}};
    enum { PANELS = sizeof wanted / sizeof wanted[0] };
    size_t n = variants(r);
    double *numbers = malloc((2 * PANELS * n + (size_t)r->k_count) * sizeof *numbers);
    if (!numbers) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the figure");
    double *x = numbers + 2 * PANELS * n;
    psal_curves_panel panels[PANELS];
    size_t measured = 0;
    for (size_t p = 0; p < PANELS; p++) {
        if (!wanted[p].measured) continue;
        double *mean = numbers + 2 * p * n, *error = mean + n;
        for (size_t v = 0; v < n; v++) {
            psal_mean m = mean_of(r, v, wanted[p].column, room);
            mean[v] = 100 * m.mean;
            error[v] = 100 * m.error;
        }
        panels[measured++] = (psal_curves_panel){
            .title = wanted[p].title, .y_label = "%", .mean = mean, .error = error};
    }
    const char *series[PSAL_CHOICE_COUNT];
    for (int c = 0; c < r->choice_count; c++) series[c] = psal_choice_name(r->choices[c]);
    for (int i = 0; i < r->k_count; i++) x[i] = (double)r->k[i];
    const bool rows = r->mistakes->units == PSAL_UNITS_ROWS;
    char subtitle[1024];
    snprintf(subtitle, sizeof subtitle, "%s, %zu mistake%s, %s %g; %s", r->session->info->arch, subject_count(r),
             subject_count(r) == 1 ? "" : "s", r->step.relative ? "relative step" : "learning rate", r->step.size,
             r->line);
    psal_curves_figure figure = {.title = rows ? "Rows corrected by one sample" : "Filters corrected by one sample",
                                 .subtitle = subtitle,
                                 .style = psal_figure_style_of(options),
                                 .record = r->record,
                                 .x_label = rows ? "rows changed" : "filters changed",
                                 .x_scale = PSAL_SCALE_LOG,
                                 .x = x,
                                 .x_count = (size_t)r->k_count,
                                 .series = series,
                                 .series_count = (size_t)r->choice_count,
                                 .panels = panels,
                                 .panel_count = measured,
                                 .columns = measured > 1 ? 2 : 1};
    psal_status status = psal_curves_figure_write(&figure, path, err);
    free(numbers);
    return status;
}

psal_status psal_edit_report_write(const psal_edit_report *r, const psal_options *options, psal_error *err) {
    const char *csv = psal_options_string(options, "csv"), *samples = psal_options_string(options, "samples");
    const char *figure = psal_options_string(options, "figure");
    bool single = r->single >= 0 && variants(r) == 1;
    double *room = malloc((r->mistakes->subject_count + 1) * sizeof *room);
    if (!room) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the report");
    psal_status status = PSAL_OK;
    if (csv) status = write_csv(r, csv, room, err);
    if (samples && status == PSAL_OK) status = write_samples(r, samples, err);
    if (figure && status == PSAL_OK)
        status = single ? draw_single(r, options, figure, err) : draw_curves(r, options, figure, room, err);
    if (status == PSAL_OK && psal_options_flag(options, "json"))
        status = print_json(r, options, room, err);
    else if (status == PSAL_OK)
        print_text(r, room);
    free(room);
    return status;
}
