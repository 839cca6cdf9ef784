/* psal-check randomize: the network's weights are redrawn, or the label. Does the explanation change? (Adebayo et al.
 * 2018) */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "saliency/masking.h"
#include "saliency/random.h"
#include "saliency/randomize.h"
#include "saliency/rank_correlation.h"
#include "saliency/ssim.h"
#include "tools/check_map.h"
#include "tools/print.h"
#include "tools/figure_style.h"

/* What is redrawn. */
enum { CASCADE, ALONE, LABEL, WAYS };
static const char *const way_names[WAYS] = {"cascade", "alone", "label"};

/* How alike the explanation is to that of the network as it is. */
enum { NAIVE, STANDARDIZED, MAP, STRUCTURE, MEASURES };
static const char *const measure_names[MEASURES] = {"naive_spearman", "standardized_spearman", "map_spearman",
                                                    "map_ssim"};

/* Layers that are redrawn together: parameters first .. end-1. */
typedef struct stage {
    char name[128];
    int first, end;
} stage;

typedef struct run {
    psal_check *check;
    psal_redraw redraw;
    psal_redrawn *redrawn;
    stage *stages; /* [stage_count], the last of the network first */
    int stage_count, labels;
    int64_t k, rankable;
    double boost;
    double *results;      /* [subject][row][measure]; NAN where there is nothing to compare */
    psal_interval *means; /* [row][measure] */
} run;

/* Rows: the cascade's stages, then each alone, then the mean over the random labels. */
static int row_count(const run *r) {
    return 2 * r->stage_count + (r->labels ? 1 : 0);
}

static int way_of(const run *r, int row) {
    return row < r->stage_count ? CASCADE : row < 2 * r->stage_count ? ALONE : LABEL;
}

static const char *stage_name(const run *r, int row) {
    return way_of(r, row) == LABEL ? "random label" : r->stages[row % r->stage_count].name;
}

/* ---- one mistake ---- */

/* An explanation, and what it takes to make one. */
typedef struct explanation {
    float *naive;       /* [filters] */
    double *values;     /* [filters]: naive of what can be ranked, then standardized of the same */
    psal_check_map map; /* as painted, before clipping, and */
    float *picture;     /* [pixels] after it */
    bool has_profile, has_map;
} explanation;

typedef struct room {
    explanation original, other;
    double *standardized; /* [filters] */
    double *pixels[2];    /* of both maps */
    const float **values; /* [parameters] */
} room;

static psal_status open_explanation(const run *r, explanation *e, psal_error *err) {
    const psal_session *s = &r->check->session;
    const size_t filters = (size_t)r->check->mistakes.filters, pixels = (size_t)s->height * (size_t)s->width;
    e->naive = malloc(filters * sizeof *e->naive);
    e->values = malloc(2 * filters * sizeof *e->values);
    e->picture = malloc(pixels * sizeof *e->picture);
    if (e->naive && e->values && e->picture) return psal_check_map_open(r->check, &e->map, err);
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for explanations of %zu filters", filters);
}

static void close_explanation(explanation *e) {
    free(e->naive);
    free(e->values);
    free(e->picture);
    psal_check_map_close(&e->map);
}

static psal_status open_room(const run *r, room *m, psal_error *err) {
    const psal_session *s = &r->check->session;
    const size_t filters = (size_t)r->check->mistakes.filters, pixels = (size_t)s->height * (size_t)s->width;
    *m = (room){.standardized = malloc(filters * sizeof *m->standardized),
                .pixels = {malloc(pixels * sizeof *m->pixels[0]), malloc(pixels * sizeof *m->pixels[1])},
                .values = calloc((size_t)psal_model_parameter_count(s->model) + 1, sizeof *m->values)};
    if (!m->standardized || !m->pixels[0] || !m->pixels[1] || !m->values)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for explanations of %zu filters", filters);
    psal_status status = open_explanation(r, &m->original, err);
    return status == PSAL_OK ? open_explanation(r, &m->other, err) : status;
}

static void close_room(room *m) {
    close_explanation(&m->original);
    close_explanation(&m->other);
    free(m->standardized);
    free(m->values);
    for (int i = 0; i < 2; i++) free(m->pixels[i]);
}

/* Profile and heat map of the worker's image against `label`, with the weights that it has now. Networks of redrawn
 * weights may give numbers that are not finite, or no map: there is nothing to compare then. */
static psal_status explain(const run *r, psal_mistakes_worker *w, int label, room *m, explanation *e, psal_error *err) {
    const psal_mistakes *mistakes = &r->check->mistakes;
    psal_error why = PSAL_ERROR_INIT;
    e->has_profile = e->has_map = false;
    psal_status status = psal_saliency_profile(w->saliency, w->image, label, 0, e->naive, &why);
    if (status == PSAL_ERR_NUMERIC) return PSAL_OK;
    if (status != PSAL_OK) {
        *err = why;
        return status;
    }
    e->has_profile = true;
    status = psal_statistics_standardize(mistakes->statistics, mistakes->mode, mistakes->filters, e->naive,
                                         m->standardized, err);
    if (status != PSAL_OK) return status;
    int64_t n = 0;
    for (int64_t i = 0; i < mistakes->filters; i++) {
        if (!mistakes->live[i]) continue;
        e->values[n] = e->naive[i];
        e->values[r->rankable + n++] = m->standardized[i];
    }
    bool none;
    status = psal_check_map_make(r->check, w->saliency, e->naive, m->standardized, &e->map, &none, err);
    e->has_map = status == PSAL_OK && !none;
    if (!e->has_map) return status;
    const psal_session *s = &r->check->session;
    return psal_heatmap(e->map.gradient, s->info->channels, s->height, s->width, e->picture, err);
}

/* Compare the other explanation with the original one: add to out[MEASURES] one of `parts`. */
static psal_status compare(const run *r, room *m, double *out, int parts, psal_error *err) {
    const psal_session *s = &r->check->session;
    const size_t n = (size_t)r->rankable, pixels = (size_t)s->height * (size_t)s->width;
    double measure[MEASURES] = {NAN, NAN, NAN, NAN};
    psal_status status = PSAL_OK;
    const bool profiles = m->original.has_profile && m->other.has_profile;
    for (int i = NAIVE; i <= STANDARDIZED && profiles && status == PSAL_OK; i++)
        status = psal_spearman(m->original.values + (size_t)i * n, m->other.values + (size_t)i * n, n, &measure[i],
                               err);
    if (status == PSAL_OK && m->original.has_map && m->other.has_map) {
        for (size_t i = 0; i < pixels; i++) {
            m->pixels[0][i] = m->original.map.heat[i];
            m->pixels[1][i] = m->other.map.heat[i];
        }
        status = psal_spearman(m->pixels[0], m->pixels[1], pixels, &measure[MAP], err);
        if (status == PSAL_OK)
            status = psal_ssim(m->original.picture, m->other.picture, s->height, s->width, &measure[STRUCTURE], err);
    }
    for (int i = 0; i < MEASURES; i++) out[i] += measure[i] / parts;
    return status;
}

static psal_status with_values(const run *r, psal_mistakes_worker *w, size_t subject, const float *const *values,
                               room *m, int row, psal_error *err) {
    const psal_subject *one = &r->check->mistakes.subjects[subject];
    psal_status status = psal_saliency_set_values(w->saliency, values, err);
    if (status == PSAL_OK) status = explain(r, w, one->label, m, &m->other, err);
    psal_progress_add(w->progress, 1);
    return status == PSAL_OK
               ? compare(r, m, r->results + (subject * (size_t)row_count(r) + (size_t)row) * MEASURES, 1, err)
               : status;
}

static void take(const run *r, const stage *s, const float **values) {
    for (int i = s->first; i < s->end; i++) values[i] = psal_redrawn_values(r->redrawn)[i];
}

static void drop(const stage *s, const float **values) {
    for (int i = s->first; i < s->end; i++) values[i] = NULL;
}

static psal_status redraw_weights(const run *r, psal_mistakes_worker *w, size_t subject, room *m, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int i = 0; i < r->stage_count && status == PSAL_OK; i++) {
        take(r, &r->stages[i], m->values);
        status = with_values(r, w, subject, m->values, m, i, err);
    }
    for (int i = 0; i < r->stage_count; i++) drop(&r->stages[i], m->values);
    for (int i = 0; i < r->stage_count && status == PSAL_OK; i++) {
        take(r, &r->stages[i], m->values);
        status = with_values(r, w, subject, m->values, m, r->stage_count + i, err);
        drop(&r->stages[i], m->values);
    }
    const psal_status back = psal_saliency_set_values(w->saliency, NULL, status == PSAL_OK ? err : NULL);
    return status == PSAL_OK ? back : status;
}

/* Labels other than the true one. */
static psal_status redraw_labels(const run *r, psal_mistakes_worker *w, size_t subject, room *m, psal_error *err) {
    const int classes = r->check->mistakes.classes, label = r->check->mistakes.subjects[subject].label;
    double *out = r->results + (subject * (size_t)row_count(r) + (size_t)(2 * r->stage_count)) * MEASURES;
    psal_random random = {psal_check_seed(r->check, subject)};
    psal_status status = PSAL_OK;
    for (int i = 0; i < r->labels && status == PSAL_OK; i++) {
        const int other = (int)psal_random_below(&random, (uint64_t)classes - 1);
        status = explain(r, w, other + (other >= label), m, &m->other, err);
        if (status == PSAL_OK) status = compare(r, m, out, r->labels, err);
        psal_progress_add(w->progress, 1);
    }
    return status;
}

static psal_status experiment(void *data, psal_mistakes_worker *w, size_t i, psal_error *err) {
    run *r = data;
    const psal_subject *subject = &r->check->mistakes.subjects[i];
    room m;
    psal_status status = open_room(r, &m, err);
    if (status == PSAL_OK) status = psal_mistakes_image(&r->check->mistakes, subject->index, w->image, err);
    if (status == PSAL_OK) status = explain(r, w, subject->label, &m, &m.original, err);
    if (status == PSAL_OK) status = redraw_weights(r, w, i, &m, err);
    if (status == PSAL_OK) status = redraw_labels(r, w, i, &m, err);
    close_room(&m);
    return status;
}

/* ---- the verdict ---- */

static const psal_interval *mean_of(const run *r, int row, int measure) {
    return &r->means[(size_t)row * MEASURES + (size_t)measure];
}

/* In words: what is above a half survives, what is below a tenth is gone. */
static const char *judge(double value) {
    return isnan(value)   ? "cannot be compared"
           : value > 0.5  ? "survives, and so says little of what the network has learnt"
           : value > 0.1  ? "survives in part: so much of it comes from the picture and the network's shape"
           : value > -0.1 ? "does not survive, as it should not"
                          : "does not survive, but turns about: what stood out now lies low";
}

static void say(run *r) {
    char(*sentence)[PSAL_SENTENCE_SIZE] = r->check->verdict, text[MEASURES][64];
    const int all = r->stage_count - 1;
    for (int i = 0; i < MEASURES; i++) psal_interval_text(mean_of(r, all, i), text[i]);
    snprintf(sentence[0], PSAL_SENTENCE_SIZE,
             "With the weights of all layers redrawn, the profile's rank correlation with the original is %s "
             "(naive %s): it %s.",
             text[STANDARDIZED], text[NAIVE], judge(mean_of(r, all, STANDARDIZED)->mean));
    snprintf(sentence[1], PSAL_SENTENCE_SIZE,
             "The heat map's rank correlation is then %s and its structural similarity %s: it %s.", text[MAP],
             text[STRUCTURE], judge(fmax(mean_of(r, all, MAP)->mean, mean_of(r, all, STRUCTURE)->mean)));
    if (!r->labels) {
        snprintf(sentence[2], PSAL_SENTENCE_SIZE, "Labels were not redrawn.");
        return;
    }
    for (int i = 0; i < MEASURES; i++) psal_interval_text(mean_of(r, 2 * r->stage_count, i), text[i]);
    const double value = mean_of(r, 2 * r->stage_count, STANDARDIZED)->mean;
    snprintf(sentence[2], PSAL_SENTENCE_SIZE,
             "Against a random label the profile's correlation is %s and the heat map's %s (similarity %s): %s.",
             text[STANDARDIZED], text[MAP], text[STRUCTURE],
             isnan(value)  ? "they cannot be compared"
             : value > 0.5 ? "most of an explanation belongs to the image, whatever label it is asked for"
                           : "the explanation depends on the label that it is asked for");
}

static psal_status summarize(void *data, psal_error *err) {
    run *r = data;
    const size_t stride = (size_t)row_count(r) * MEASURES;
    if (!(r->means = calloc(stride, sizeof *r->means)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the table");
    psal_status status = PSAL_OK;
    for (size_t i = 0; i < stride && status == PSAL_OK; i++)
        status = psal_bootstrap_mean(r->results + i, r->check->mistakes.subject_count, stride,
                                     (uint64_t)psal_options_int(r->check->options, "seed"), &r->means[i], err);
    if (status == PSAL_OK) say(r);
    return status;
}

/* ---- output ---- */

static void print_table(const void *data) {
    const run *r = data;
    psal_print(stdout, "Weights redrawn (%s); rank correlation and similarity with the original explanation.\n\n",
               psal_redraw_name(r->redraw));
    psal_print(stdout, "%-8s  %-24s  %21s  %21s  %21s  %21s\n", "redrawn", "", "naive profile", "standardized",
               "heat map", "heat map's SSIM");
    for (int row = 0; row < row_count(r); row++) {
        psal_print(stdout, "%-8s  %-24s", way_names[way_of(r, row)], stage_name(r, row));
        for (int i = 0; i < MEASURES; i++) {
            char text[64];
            psal_print(stdout, "  %21s", psal_interval_text(mean_of(r, row, i), text));
        }
        printf("\n");
    }
}

static void write_table(const void *data, psal_csv_writer *csv) {
    const run *r = data;
    psal_csv_text(csv, "redrawn");
    psal_csv_text(csv, "stage");
    psal_csv_interval_titles(csv, measure_names, MEASURES);
    psal_check_end_titles(csv);
    for (int row = 0; row < row_count(r); row++) {
        psal_csv_text(csv, way_names[way_of(r, row)]);
        psal_csv_text(csv, stage_name(r, row));
        for (int i = 0; i < MEASURES; i++) psal_csv_interval(csv, mean_of(r, row, i));
        psal_check_end_row(r->check, csv, row == 0);
    }
}

static void write_samples(const void *data, psal_csv_writer *csv) {
    const run *r = data;
    psal_csv_subject_titles(csv);
    psal_csv_text(csv, "redrawn");
    psal_csv_text(csv, "stage");
    for (int c = 0; c < MEASURES; c++) psal_csv_text(csv, measure_names[c]);
    psal_check_end_titles(csv);
    for (size_t i = 0; i < r->check->mistakes.subject_count; i++)
        for (int row = 0; row < row_count(r); row++) {
            psal_csv_subject(csv, &r->check->mistakes, i);
            psal_csv_text(csv, way_names[way_of(r, row)]);
            psal_csv_text(csv, stage_name(r, row));
            for (int c = 0; c < MEASURES; c++)
                psal_csv_double(csv, r->results[(i * (size_t)row_count(r) + (size_t)row) * MEASURES + (size_t)c]);
            psal_check_end_row(r->check, csv, i == 0 && row == 0);
        }
}

static void add_json(const void *data, json_t *root) {
    const run *r = data;
    json_t *rows = json_array();
    json_object_set_new(root, "redraw", psal_json_string(psal_redraw_name(r->redraw)));
    json_object_set_new(root, "random_labels", json_integer(r->labels));
    json_object_set_new(root, "k_salient", json_integer(r->k));
    json_object_set_new(root, "boost_factor", psal_json_double(r->boost));
    json_object_set_new(root, "rows", rows);
    for (int row = 0; row < row_count(r); row++) {
        json_t *object = json_object();
        json_object_set_new(object, "redrawn", psal_json_string(way_names[way_of(r, row)]));
        json_object_set_new(object, "stage", psal_json_string(stage_name(r, row)));
        for (int i = 0; i < MEASURES; i++)
            json_object_set_new(object, measure_names[i], psal_interval_json(mean_of(r, row, i)));
        json_array_append_new(rows, object);
    }
}

static psal_status draw(const void *data, const char *path, psal_error *err) {
    const run *r = data;
    static const char *const titles[MEASURES] = {"Naive profile", "Standardized profile", "Heat map",
                                                 "Heat map's structure"};
    static const char *const units[MEASURES] = {"rank correlation", "rank correlation", "rank correlation", "SSIM"};
    static const char *const series[] = {"all stages down to this one", "this stage alone"};
    const size_t x = (size_t)r->stage_count + (r->labels ? 1 : 0), one = 2 * x;
    double *numbers = malloc(2 * MEASURES * one * sizeof *numbers);
    const char **names = malloc(x * sizeof *names);
    if (!numbers || !names) {
        free(numbers);
        free(names);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the figure");
    }
    psal_curves_panel panels[MEASURES];
    for (int i = 0; i < MEASURES; i++) {
        double *mean = numbers + 2 * (size_t)i * one, *half = mean + one;
        for (size_t j = 0; j < one; j++) {
            const size_t at = j % x;
            const bool label = at == (size_t)r->stage_count; /* belongs to no weights: it stands with what is alone */
            const int row = (int)(label ? 2 * (size_t)r->stage_count : (j / x) * (size_t)r->stage_count + at);
            const psal_interval *m = mean_of(r, row, i);
            mean[j] = label && j < x ? NAN : m->mean;
            half[j] = label && j < x ? NAN : (m->high - m->low) / 2;
        }
        panels[i] = (psal_curves_panel){.title = titles[i], .y_label = units[i], .mean = mean, .error = half};
    }
    for (size_t j = 0; j < x; j++) names[j] = j < (size_t)r->stage_count ? r->stages[j].name : "random label";
    char detail[64], subtitle[1024];
    snprintf(detail, sizeof detail, "redrawn: %s", psal_redraw_name(r->redraw));
    psal_check_subtitle(r->check, detail, "bars", subtitle, sizeof subtitle);
    const psal_curves_figure figure = {.title = "What is left of the explanation when weights are redrawn",
                                       .subtitle = subtitle,
                                       .style = psal_figure_style_of(r->check->options),
                                       .record = r->check->record,
                                       .x_scale = PSAL_SCALE_CATEGORY,
                                       .x_name = names,
                                       .x_count = x,
                                       .series = series,
                                       .series_count = 2,
                                       .panels = panels,
                                       .panel_count = MEASURES,
                                       .columns = 2};
    psal_status status = psal_curves_figure_write(&figure, path, err);
    free(numbers);
    free(names);
    return status;
}

/* ---- */

/* Neighbouring layers of one name in figures are a stage; the last comes first. */
static psal_status list_stages(run *r, bool single, psal_error *err) {
    const psal_model *model = r->check->session.model;
    const int parameters = psal_model_parameter_count(model);
    psal_figure_layer *layers = calloc((size_t)parameters + 1, sizeof *layers);
    int *parameter = calloc((size_t)parameters + 1, sizeof *parameter), count = 0;
    r->stages = calloc((size_t)parameters + 1, sizeof *r->stages);
    if (!layers || !parameter || !r->stages) {
        free(layers);
        free(parameter);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d layers", parameters);
    }
    for (int i = 0; i < parameters; i++) {
        if (!psal_is_layer(model, i)) continue;
        layers[count] = (psal_figure_layer){
            .name = psal_model_get_parameter(model, i)->name, .first = count, .count = 1};
        parameter[count++] = i;
    }
    for (int i = count - 1; i >= 0; i--) {
        char name[128];
        if (single)
            snprintf(name, sizeof name, "%s", layers[i].name);
        else
            psal_figure_layer_group(layers, (size_t)count, (size_t)i, name, sizeof name);
        stage *last = r->stage_count ? &r->stages[r->stage_count - 1] : NULL;
        if (!last || single || strcmp(last->name, name) != 0) {
            last = &r->stages[r->stage_count++];
            memcpy(last->name, name, sizeof name);
            last->end = parameter[i] + 1;
        }
        last->first = parameter[i];
    }
    free(layers);
    free(parameter);
    return PSAL_OK;
}

static psal_status prepare(void *data, psal_error *err) {
    run *r = data;
    psal_check *c = r->check;
    psal_mistakes *m = &c->mistakes;
    psal_status status = psal_check_open(c, err);
    if (status != PSAL_OK) return status;
    r->redraw = (psal_redraw)psal_options_choice(c->options, "redraw");
    r->labels = (int)psal_options_int(c->options, "random-labels");
    r->k = psal_options_int(c->options, "k-salient");
    r->boost = psal_options_double(c->options, "boost-factor");
    if ((status = list_stages(r, psal_options_choice(c->options, "by") == 1, err)) != PSAL_OK) return status;
    if (psal_options_has(c->options, "figure") && r->stage_count >= 100)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--figure: %d layers are too many to draw; use --by stage",
                         r->stage_count);
    r->redrawn = psal_redrawn_new(c->session.model, r->redraw, (uint64_t)psal_options_int(c->options, "seed"), err);
    if (!r->redrawn) return psal_error_status(err);
    const psal_mistakes_needs needs = {.input_saliency = true, .choose = r->k, .option = "k-salient"};
    if ((status = psal_mistakes_open(m, &c->session, c->options, &needs, err)) != PSAL_OK) return status;
    c->steps.parts = 2 * r->stage_count + r->labels;
    c->steps.part_label = "networks and labels";
    snprintf(c->steps.each, sizeof c->steps.each, "%d redrawn networks and %d labels", 2 * r->stage_count, r->labels);
    r->rankable = psal_live_count(m->filters, m->live);
    r->results = calloc(m->subject_count * (size_t)row_count(r) * MEASURES, sizeof *r->results);
    return r->results ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", m->subject_count);
}

psal_status psal_check_randomize(psal_check *check, psal_error *err) {
    static const psal_check_steps steps = {.prepare = prepare,
                                           .experiment = experiment,
                                           .summarize = summarize,
                                           .write_table = write_table,
                                           .write_samples = write_samples,
                                           .draw = draw,
                                           .add_json = add_json,
                                           .print_table = print_table};
    run r = {.check = check};
    psal_status status = psal_check_run(check, &steps, &r, err);
    psal_redrawn_free(r.redrawn);
    free(r.stages);
    free(r.results);
    free(r.means);
    return status;
}
