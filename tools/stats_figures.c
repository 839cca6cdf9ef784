#include "tools/stats_figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/figure.h"
#include "io/profile_store.h"
#include "saliency/depth.h"
#include "tools/stats_state.h"

/* The groups that are drawn, in this order; all samples together are the statistics themselves. */
static const psal_group DRAWN[] = {PSAL_GROUP_CORRECT, PSAL_GROUP_INCORRECT, PSAL_GROUP_PREDICTED};
enum { DRAWN_COUNT = sizeof DRAWN / sizeof *DRAWN, PATH = 4096 + 64 };

/* What the three pictures share. */
typedef struct drawing {
    const psal_stats_figures *figures;
    psal_statistics *statistics;
    psal_figure_layer *layers; /* [layer_count] */
    size_t layer_count;
    double *standardized[PSAL_GROUP_COUNT]; /* [length] of the groups that have samples, else NULL */
    char name[PSAL_GROUP_COUNT][96];        /* for legends */
    char subtitle[256];
    char *record; /* of the computation */
} drawing;

psal_status psal_stats_figures_begin(const char *folder, int64_t length, int64_t k, psal_error *err) {
    if (length > PSAL_SUMMARY_GROUPS)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--figures: profiles of %" PRId64 " entries have no means of groups; at most %d", length,
                         PSAL_SUMMARY_GROUPS);
    if (k > length)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--k-salient %" PRId64 ", but a profile has %" PRId64 " entries", k,
                         length);
    return psal_make_directory(folder, err);
}

static const char *unit_of(const psal_stats_figures *f) {
    return psal_aggregation_plural(f->aggregation);
}

static const char *picture_of(const drawing *d, const char *name, char path[PATH]) {
    snprintf(path, PATH, "%.4096s/%s.%s", d->figures->folder, name, d->figures->format);
    return path;
}

static const char *path_of(const drawing *d, const char *name, char path[PATH]) {
    snprintf(path, PATH, "%.4096s/%s", d->figures->folder, name);
    return path;
}

static int64_t count_of(const drawing *d, psal_group group) {
    return d->figures->summary->groups[group]->count;
}

/* 12345 -> "12,345" */
static const char *grouped(int64_t number, char text[32]) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, number), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void close_drawing(drawing *d) {
    psal_statistics_free(d->statistics);
    free(d->record);
    free(d->layers);
    for (int g = 0; g < PSAL_GROUP_COUNT; g++) free(d->standardized[g]);
}

static psal_status standardize_group(drawing *d, psal_group group, psal_error *err) {
    const psal_summary *s = d->figures->summary;
    double *shift = malloc((size_t)s->length * sizeof *shift), *scale = malloc((size_t)s->length * sizeof *scale);
    double *out = d->standardized[group] = malloc((size_t)s->length * sizeof *out);
    psal_status status = PSAL_ERR_MEMORY;
    if (shift && scale && out)
        status = psal_standardize_map(PSAL_MODE_STD, s->length, d->statistics->mean, d->statistics->std, shift, scale,
                                      err);
    else
        psal_fail(err, status, "out of memory for mean profiles of %" PRId64 " entries", s->length);
    for (int64_t i = 0; i < s->length && status == PSAL_OK; i++)
        out[i] = (s->groups[group]->mean[i] - shift[i]) / scale[i];
    free(shift);
    free(scale);
    return status;
}

static psal_status open_drawing(drawing *d, const psal_stats_figures *f, psal_error *err) {
    *d = (drawing){.figures = f};
    const psal_summary *s = f->summary;
    const psal_profile_layer *layers = psal_saliency_layers(f->saliency);
    d->layer_count = (size_t)psal_saliency_layer_count(f->saliency);
    if (!(d->record = psal_state_settings(f->computation))) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    d->statistics = psal_statistics_new(s->length, err);
    if (!d->statistics) return psal_error_status(err);
    psal_status status = psal_summary_finish(s, d->statistics, NULL, err);
    if (status != PSAL_OK) return status;
    d->layers = calloc(d->layer_count, sizeof *d->layers);
    if (!d->layers) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu layers", d->layer_count);
    for (size_t l = 0; l < d->layer_count; l++)
        d->layers[l] = (psal_figure_layer){
            .name = psal_model_get_parameter(f->session->model, layers[l].parameter)->name,
            .first = layers[l].first,
            .count = layers[l].count};
    static const char *const names[PSAL_GROUP_COUNT] = {"all samples", "correct", "incorrect, true label",
                                                        "incorrect, predicted label"};
    char number[32];
    for (int i = 0; i < DRAWN_COUNT && status == PSAL_OK; i++) {
        psal_group group = DRAWN[i];
        snprintf(d->name[group], sizeof d->name[group], "%s (%s)", names[group], grouped(count_of(d, group), number));
        if (count_of(d, group) > 0) status = standardize_group(d, group, err);
    }
    snprintf(d->subtitle, sizeof d->subtitle, "%s%s, %s samples, %.2f %% correct%s", f->session->info->arch,
             *f->computation->value[PSAL_FIELD_DELTAS] ? ", edited" : "", grouped(psal_summary_good(s), number),
             100.0 * (double)psal_summary_correct(s) / (double)psal_summary_good(s),
             s->normalized ? ", each profile divided by its norm" : "");
    return status;
}

/* ---- mean profiles ---- */

static float *as_floats(const double *values, int64_t n, psal_error *err) {
    float *out = malloc((size_t)n * sizeof *out);
    if (!out) psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %" PRId64 " entries", n);
    for (int64_t i = 0; out && i < n; i++) out[i] = (float)values[i];
    return out;
}

/* Naive above standardized, the groups given that have samples. */
static psal_status draw_profiles(const drawing *d, const psal_group *groups, int group_count, const char *title,
                                 const char *name, psal_error *err) {
    const psal_summary *s = d->figures->summary;
    psal_profile_curve profiles[2][DRAWN_COUNT];
    float *values[2 * DRAWN_COUNT];
    int count = 0;
    psal_status status = PSAL_OK;
    for (int i = 0; i < group_count && status == PSAL_OK; i++) {
        psal_group group = groups[i];
        if (!d->standardized[group]) continue;
        values[2 * count] = as_floats(s->groups[group]->mean, s->length, err);
        values[2 * count + 1] = as_floats(d->standardized[group], s->length, err);
        for (int p = 0; p < 2; p++) profiles[p][count] = (psal_profile_curve){d->name[group], values[2 * count + p]};
        if (!values[2 * count] || !values[2 * count + 1]) status = PSAL_ERR_MEMORY;
        count++;
    }
    psal_profile_panel panels[] = {
        {"naive", "mean naive saliency", false, profiles[0], (size_t)count},
        {"standardized, in standard deviations", "mean standardized saliency", false, profiles[1], (size_t)count}};
    psal_profile_figure figure = {.title = title,
                                  .subtitle = d->subtitle,
                                  .style = d->figures->style,
                                  .record = d->record,
                                  .unit = unit_of(d->figures),
                                  .filter_count = s->length,
                                  .layers = d->layers,
                                  .layer_count = d->layer_count,
                                  .panels = panels,
                                  .panel_count = 2};
    char path[PATH];
    if (status == PSAL_OK) status = psal_profile_figure_write(&figure, picture_of(d, name, path), err);
    for (int i = 0; i < 2 * count; i++) free(values[i]);
    return status;
}

static psal_status write_profiles_table(const drawing *d, psal_error *err) {
    static const char *const columns[] = {"filter",
                                          "layer",
                                          "filter_in_layer",
                                          "mean",
                                          "std",
                                          "mean_correct",
                                          "mean_incorrect",
                                          "mean_predicted",
                                          "standardized_correct",
                                          "standardized_incorrect",
                                          "standardized_predicted"};
    const psal_summary *s = d->figures->summary;
    char path[PATH];
    psal_csv_writer *csv = psal_csv_create(path_of(d, "profiles.csv", path), err);
    if (!csv) return psal_error_status(err);
    psal_csv_record(csv, sizeof columns / sizeof *columns, columns);
    for (size_t l = 0; l < d->layer_count; l++)
        for (int64_t i = 0; i < d->layers[l].count; i++) {
            int64_t entry = d->layers[l].first + i;
            psal_csv_int(csv, entry);
            psal_csv_text(csv, d->layers[l].name);
            psal_csv_int(csv, i);
            psal_csv_double(csv, d->statistics->mean[entry]);
            psal_csv_double(csv, d->statistics->std[entry]);
            for (int standardized = 0; standardized < 2; standardized++)
                for (int g = 0; g < DRAWN_COUNT; g++) {
                    const double *values = standardized ? d->standardized[DRAWN[g]] : s->groups[DRAWN[g]]->mean;
                    if (d->standardized[DRAWN[g]])
                        psal_csv_double(csv, values[entry]);
                    else
                        psal_csv_text(csv, NULL);
                }
            psal_csv_end_record(csv);
        }
    return psal_csv_commit(csv, err);
}

/* ---- by depth ---- */

static void read_profile(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    psal_profile_store_read(context, sample, first, count, out);
}

static void release_profiles(const void *context, int64_t first, int64_t count) {
    psal_profile_store_release(context, first, count);
}

/* counts[2][layer_count]: standardized, then naive. */
static psal_status count_depth(const drawing *d, int64_t *counts, psal_error *err) {
    const psal_stats_figures *f = d->figures;
    const psal_summary *s = f->summary;
    psal_profile_store store;
    psal_status status = psal_profile_store_open(f->store, f->index, &store, err);
    if (status != PSAL_OK) return status;
    psal_profile_source source = {store.samples, store.length, read_profile, release_profiles, &store};
    int64_t *mistakes = malloc((size_t)(s->next - s->first) * sizeof *mistakes), count = 0;
    if (!mistakes)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " samples", s->next - s->first);
    for (int64_t i = 0; mistakes && i < s->next - s->first; i++)
        if (s->records[i].status == PSAL_OK && s->records[i].label != s->records[i].predicted) mistakes[count++] = i;
    static const psal_mode modes[] = {PSAL_MODE_STD, PSAL_MODE_NAIVE};
    for (int m = 0; m < 2 && status == PSAL_OK; m++) {
        psal_depth_options options = {d->statistics,       modes[m],           f->k, psal_saliency_layers(f->saliency),
                                      (int)d->layer_count, f->session->threads};
        status = psal_depth_count(&source, mistakes, count, &options, counts + (size_t)m * d->layer_count, err);
        if (status != PSAL_OK) psal_fail_prefix(err, "%s", f->store);
    }
    free(mistakes);
    psal_profile_store_close(&store);
    return status;
}

static psal_status write_depth_table(const drawing *d, const int64_t *counts, const double *share, psal_error *err) {
    static const char *const columns[] = {
        "layer", "filters", "filters_percent", "standardized", "standardized_percent", "naive", "naive_percent"};
    char path[PATH];
    psal_csv_writer *csv = psal_csv_create(path_of(d, "depth.csv", path), err);
    if (!csv) return psal_error_status(err);
    psal_csv_record(csv, sizeof columns / sizeof *columns, columns);
    for (size_t l = 0; l < d->layer_count; l++) {
        psal_csv_text(csv, d->layers[l].name);
        psal_csv_int(csv, d->layers[l].count);
        psal_csv_double(csv, 100.0 * (double)d->layers[l].count / (double)d->figures->summary->length);
        for (size_t m = 0; m < 2; m++) {
            psal_csv_int(csv, counts[m * d->layer_count + l]);
            psal_csv_double(csv, share[m * d->layer_count + l]);
        }
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

static psal_status draw_depth(const drawing *d, psal_error *err) {
    static const char *const series[] = {"standardized profiles", "naive profiles"};
    const psal_stats_figures *f = d->figures;
    int64_t *counts = calloc(2 * d->layer_count, sizeof *counts), mistakes = count_of(d, PSAL_GROUP_INCORRECT);
    double *share = calloc(2 * d->layer_count, sizeof *share);
    psal_status status = counts && share
                             ? count_depth(d, counts, err)
                             : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu layers", d->layer_count);
    char title[160], y_label[96], number[32], path[PATH];
    snprintf(title, sizeof title, "Where the %" PRId64 " most salient %s of %s mistakes lie", f->k, unit_of(f),
             grouped(mistakes, number));
    snprintf(y_label, sizeof y_label, "share of the top %" PRId64 " %s (%%)", f->k, unit_of(f));
    for (size_t i = 0; i < 2 * d->layer_count && status == PSAL_OK; i++)
        share[i] = 100.0 * (double)counts[i] / ((double)f->k * (double)mistakes);
    psal_depth_figure figure = {.title = title,
                                .subtitle = d->subtitle,
                                .style = d->figures->style,
                                .record = d->record,
                                .y_label = y_label,
                                .layers = d->layers,
                                .layer_count = d->layer_count,
                                .series = series,
                                .series_count = 2,
                                .share = share,
                                .total = 100};
    if (status == PSAL_OK) status = psal_depth_figure_write(&figure, picture_of(d, "depth", path), err);
    if (status == PSAL_OK) status = write_depth_table(d, counts, share, err);
    free(counts);
    free(share);
    return status;
}

psal_status psal_stats_figures_write(const psal_stats_figures *figures, psal_notes *notes, psal_error *err) {
    static const psal_group mistakes[] = {PSAL_GROUP_INCORRECT};
    drawing d;
    psal_status status = open_drawing(&d, figures, err);
    bool any = status == PSAL_OK && d.standardized[PSAL_GROUP_INCORRECT];
    if (status == PSAL_OK)
        status = draw_profiles(&d, DRAWN, DRAWN_COUNT, "Mean profiles of correct and incorrect samples", "groups", err);
    if (any && status == PSAL_OK)
        status = draw_profiles(&d, mistakes, 1, "Mean profile of the mistakes, naive and standardized", "mean_profiles",
                               err);
    if (status == PSAL_OK) status = write_profiles_table(&d, err);
    if (any && figures->store && status == PSAL_OK) status = draw_depth(&d, err);
    if (status == PSAL_OK && !any)
        psal_note(notes, "no sample is misclassified: no mean_profiles.%s, no depth.%s", figures->format,
                  figures->format);
    if (status == PSAL_OK && any && !figures->store) psal_note(notes, "depth.%s needs --profiles", figures->format);
    close_drawing(&d);
    return status;
}
