/* psal-check ablate: filters from all heights of the ranking, each switched off alone. Which ranking predicts what
 * happens? */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/csv.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "saliency/ablate.h"
#include "saliency/standardize.h"
#include "tools/check.h"
#include "tools/print.h"
#include "tools/figure_style.h"

enum { SCORES = PSAL_SCORE_COUNT, EFFECTS = PSAL_EFFECT_COUNT, CELLS = SCORES * EFFECTS };

typedef struct run {
    psal_check *check;
    psal_prune_how how;
    int64_t filters; /* of each mistake */
    int scores;      /* rankings: PSAL_SCORE_POT, the last one, with --mode pot only */
    psal_tuner *tuner;
    psal_ablation *ablations;                /* [subject][filters] */
    psal_agreement *agreements;              /* [subject][score][effect] */
    psal_interval spearman[SCORES][EFFECTS]; /* over the subjects */
    psal_interval kendall[SCORES][EFFECTS];
    psal_interval
        gain; /* by how much standardizing changes Spearman's correlation with the size of the loss's change */
} run;

/* The tuner's gradients of all filters are large: they are not kept for long. */
static psal_status score(const run *r, const psal_prune_sample *sample, psal_ablation *ablations, psal_error *err) {
    psal_tuner_worker *tuner = psal_tuner_worker_new(r->tuner, err);
    if (!tuner) return psal_error_status(err);
    psal_status status = psal_ablate_score(r->check->session.model, tuner, sample, ablations, r->filters, err);
    psal_tuner_worker_free(tuner);
    return status;
}

static psal_status experiment(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    run *r = data;
    const psal_mistakes *m = &r->check->mistakes;
    const psal_model *model = r->check->session.model;
    psal_status status = psal_mistakes_worker_load(worker, &m->subjects[i], err);
    if (status != PSAL_OK) return status;
    double *standardized = malloc((size_t)m->filters * sizeof *standardized); /* in whatever mode */
    if (!standardized) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld filters", (long long)m->filters);
    status = psal_standardize(PSAL_MODE_STD, m->filters, worker->naive, m->statistics->mean, m->statistics->std,
                              standardized, err);
    const psal_prune_sample sample = {.image = worker->image,
                                      .label = m->subjects[i].label,
                                      .units = m->units,
                                      .naive = worker->naive,
                                      .standardized = standardized,
                                      .live = m->live};
    psal_ablation *ablations = r->ablations + (int64_t)i * r->filters;
    if (status == PSAL_OK)
        status = psal_ablate_draw(model, m->units, m->live, worker->naive, worker->standardized,
                                  psal_check_seed(r->check, i), r->filters, ablations, err);
    if (status == PSAL_OK) status = score(r, &sample, ablations, err);
    for (int64_t j = 0; j < r->filters; j++)
        ablations[j].score[PSAL_SCORE_POT] = worker->standardized[ablations[j].unit];
    if (status == PSAL_OK)
        status = psal_ablate_run(model, worker->classifier, worker->variants, worker->edit, &sample, r->how, ablations,
                                 r->filters, err);
    for (int c = 0; c < r->scores * EFFECTS && status == PSAL_OK; c++)
        status = psal_ablate_agreement(ablations, r->filters, (psal_score)(c / EFFECTS), (psal_effect)(c % EFFECTS),
                                       &r->agreements[i * CELLS + (size_t)c], err);
    free(standardized);
    return status;
}

/* ---- the verdict ---- */

/* The score with the largest mean for an effect; -1: none has one. */
static int best_score(const run *r, psal_effect effect) {
    int best = -1;
    for (int s = 0; s < r->scores; s++)
        if (!isnan(r->spearman[s][effect].mean) &&
            (best < 0 || r->spearman[s][effect].mean > r->spearman[best][effect].mean))
            best = s;
    return best;
}

/* Whether the whole interval lies above 0. */
static bool is_positive(const psal_interval *interval) {
    return interval->low > 0;
}

static void say_size(const run *r, char *sentence) {
    char text[SCORES][64];
    const int best = best_score(r, PSAL_EFFECT_LOSS_SIZE);
    for (int s = 0; s < r->scores; s++) psal_interval_text(&r->spearman[s][PSAL_EFFECT_LOSS_SIZE], text[s]);
    if (best < 0)
        snprintf(sentence, PSAL_SENTENCE_SIZE,
                 "Switching single %s off changes nothing that could be ranked, or all scores are equal.",
                 psal_units_name(r->check->mistakes.units));
    else
        snprintf(sentence, PSAL_SENTENCE_SIZE,
                 "How much the loss changes without a filter is predicted best by the ranking '%s': Spearman "
                 "correlation naive %s, standardized %s, |signed| %s, |gradient x weight| %s%s%s.",
                 psal_score_name((psal_score)best), text[0], text[1], text[2], text[3],
                 r->scores > PSAL_SCORE_POT ? ", peaks over threshold " : "",
                 r->scores > PSAL_SCORE_POT ? text[PSAL_SCORE_POT] : "");
}

static void say_standardized(const run *r, char *sentence) {
    char gain[64];
    const psal_interval *g = &r->gain, *s = &r->spearman[PSAL_SCORE_STANDARDIZED][PSAL_EFFECT_LOSS_SIZE];
    const char *what = isnan(g->low) ? "for one mistake, which is no evidence"
                       : g->low > 0  ? "so standardizing helps"
                       : g->high < 0 ? "so the standardized ranking says less than the naive one"
                                     : "so the two do not differ beyond chance";
    const char *use = isnan(s->low)    ? ""
                      : is_positive(s) ? " By itself the standardized ranking says more than chance does."
                                       : " By itself the standardized ranking says no more than chance does.";
    snprintf(sentence, PSAL_SENTENCE_SIZE,
             "The standardized ranking minus the naive one, in that correlation: %s, %s.%s",
             psal_interval_text(g, gain), what, use);
}

static void say_direction(const run *r, char *sentence) {
    char loss[64], logit[64];
    const int best = best_score(r, PSAL_EFFECT_LOSS);
    if (best < 0) {
        snprintf(sentence, PSAL_SENTENCE_SIZE, "No ranking says whether the loss rises or falls.");
        return;
    }
    const psal_interval *interval = &r->spearman[best][PSAL_EFFECT_LOSS];
    snprintf(sentence, PSAL_SENTENCE_SIZE,
             "Whether the loss rises or falls is predicted best by '%s': %s%s; the wrong class's logit by the same "
             "ranking: %s.",
             psal_score_name((psal_score)best), psal_interval_text(interval, loss),
             isnan(interval->low) || is_positive(interval) ? "" : ", no more than by chance",
             psal_interval_text(&r->spearman[best][PSAL_EFFECT_LOGIT], logit));
}

static psal_status summarize(void *data, psal_error *err) {
    run *r = data;
    const size_t subjects = r->check->mistakes.subject_count, stride = CELLS * 2;
    const uint64_t seed = (uint64_t)psal_options_int(r->check->options, "seed");
    psal_status status = PSAL_OK;
    for (int c = 0; c < r->scores * EFFECTS && status == PSAL_OK; c++) {
        const int s = c / EFFECTS, e = c % EFFECTS;
        status = psal_bootstrap_mean(&r->agreements[c].spearman, subjects, stride, seed, &r->spearman[s][e], err);
        if (status == PSAL_OK)
            status = psal_bootstrap_mean(&r->agreements[c].kendall, subjects, stride, seed, &r->kendall[s][e], err);
    }
    double *difference = malloc(subjects * sizeof *difference);
    if (!difference) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", subjects);
    for (size_t i = 0; i < subjects; i++) {
        const psal_agreement *of = r->agreements + i * CELLS + PSAL_EFFECT_LOSS_SIZE;
        difference[i] = of[PSAL_SCORE_STANDARDIZED * EFFECTS].spearman - of[PSAL_SCORE_NAIVE * EFFECTS].spearman;
    }
    if (status == PSAL_OK) status = psal_bootstrap_mean(difference, subjects, 1, seed, &r->gain, err);
    free(difference);
    if (status != PSAL_OK) return status;
    say_size(r, r->check->verdict[0]);
    say_standardized(r, r->check->verdict[1]);
    say_direction(r, r->check->verdict[2]);
    return PSAL_OK;
}

/* ---- output ---- */

static void print_table(const void *data) {
    const run *r = data;
    const psal_mistakes *m = &r->check->mistakes;
    psal_print(stdout, "%" PRId64 " %s of each, switched off one at a time by: %s.%s\n\n", r->filters,
               psal_units_name(m->units), psal_prune_name(r->how),
               m->subject_count > 1 ? " Mean correlation (95 % of the means over resampled mistakes)." : "");
    psal_print(stdout, "%-16s %-17s  %-24s  %s\n", "ranking", "change of", "Spearman", "Kendall");
    for (int e = 0; e < EFFECTS; e++)
        for (int s = 0; s < r->scores; s++) {
            char spearman[64], kendall[64];
            psal_print(stdout, "%-16s %-17s  %-24s  %s\n", psal_score_name((psal_score)s),
                       psal_effect_name((psal_effect)e), psal_interval_text(&r->spearman[s][e], spearman),
                       psal_interval_text(&r->kendall[s][e], kendall));
        }
}

static void write_table(const void *data, psal_csv_writer *csv) {
    const run *r = data;
    static const char *const correlations[] = {"spearman", "kendall"};
    psal_csv_text(csv, "ranking");
    psal_csv_text(csv, "effect");
    psal_csv_interval_titles(csv, correlations, 2);
    psal_csv_text(csv, "mistakes");
    psal_check_end_titles(csv);
    for (int c = 0; c < r->scores * EFFECTS; c++) {
        const int s = c / EFFECTS, e = c % EFFECTS;
        psal_csv_text(csv, psal_score_name((psal_score)s));
        psal_csv_text(csv, psal_effect_name((psal_effect)e));
        psal_csv_interval(csv, &r->spearman[s][e]);
        psal_csv_interval(csv, &r->kendall[s][e]);
        psal_csv_int(csv, (int64_t)r->spearman[s][e].count);
        psal_check_end_row(r->check, csv, c == 0);
    }
}

static void write_samples(const void *data, psal_csv_writer *csv) {
    const run *r = data;
    const psal_mistakes *m = &r->check->mistakes;
    static const char *const titles[] = {"rank",
                                         "number",
                                         "layer",
                                         "within",
                                         "naive",
                                         "standardized",
                                         "signed",
                                         "gradient_weight",
                                         "pot",
                                         "loss_change",
                                         "wrong_logit_change"};
    psal_csv_subject_titles(csv);
    for (size_t t = 0; t < sizeof titles / sizeof titles[0]; t++) psal_csv_text(csv, titles[t]);
    psal_check_end_titles(csv);
    for (int64_t i = 0; i < (int64_t)m->subject_count * r->filters; i++) {
        const psal_ablation *a = &r->ablations[i];
        int64_t within;
        const int parameter = psal_model_unit_parameter(r->check->session.model, m->units, a->unit, &within);
        psal_csv_subject(csv, &r->check->mistakes, (size_t)(i / r->filters));
        psal_csv_int(csv, a->rank);
        psal_csv_int(csv, a->unit);
        psal_csv_text(csv, psal_model_get_parameter(r->check->session.model, parameter)->name);
        psal_csv_int(csv, within);
        for (int s = 0; s < SCORES; s++) psal_csv_double(csv, s < r->scores ? a->score[s] : NAN);
        psal_csv_double(csv, a->loss);
        psal_csv_double(csv, a->logit);
        psal_check_end_row(r->check, csv, i == 0);
    }
}

static void add_json(const void *data, json_t *root) {
    const run *r = data;
    json_t *rows = json_array();
    json_object_set_new(root, "how", psal_json_string(psal_prune_name(r->how)));
    json_object_set_new(root, "filters", json_integer(r->filters));
    json_object_set_new(root, "standardized_minus_naive", psal_interval_json(&r->gain));
    json_object_set_new(root, "rows", rows);
    for (int c = 0; c < r->scores * EFFECTS; c++) {
        const int s = c / EFFECTS, e = c % EFFECTS;
        json_t *row = json_object();
        json_object_set_new(row, "ranking", psal_json_string(psal_score_name((psal_score)s)));
        json_object_set_new(row, "effect", psal_json_string(psal_effect_name((psal_effect)e)));
        json_object_set_new(row, "spearman", psal_interval_json(&r->spearman[s][e]));
        json_object_set_new(row, "kendall", psal_interval_json(&r->kendall[s][e]));
        json_object_set_new(row, "mistakes", json_integer((json_int_t)r->spearman[s][e].count));
        json_array_append_new(rows, row);
    }
}

static psal_status draw(const void *data, const char *path, psal_error *err) {
    const run *r = data;
    static const char *const titles[EFFECTS] = {"Change of the loss", "Size of that change",
                                                "Change of the wrong class's logit", "Size of that change"};
    static const char *const series[] = {"Spearman", "Kendall"};
    double mean[EFFECTS][2 * SCORES], half[EFFECTS][2 * SCORES];
    const char *names[SCORES];
    psal_curves_panel panels[EFFECTS];
    for (int s = 0; s < r->scores; s++) names[s] = psal_score_name((psal_score)s);
    for (int e = 0; e < EFFECTS; e++) {
        for (int s = 0; s < r->scores; s++)
            for (int kind = 0; kind < 2; kind++) {
                const psal_interval *interval = kind ? &r->kendall[s][e] : &r->spearman[s][e];
                mean[e][kind * r->scores + s] = interval->mean;
                half[e][kind * r->scores + s] = (interval->high - interval->low) / 2;
            }
        panels[e] = (psal_curves_panel){
            .title = titles[e], .y_label = "rank correlation", .mean = mean[e], .error = half[e]};
    }
    char detail[64], subtitle[1024];
    snprintf(detail, sizeof detail, "%" PRId64 " %s each", r->filters, psal_units_name(r->check->mistakes.units));
    psal_check_subtitle(r->check, detail, "bars", subtitle, sizeof subtitle);
    const psal_curves_figure figure = {.title = "Which ranking predicts what happens without a filter?",
                                       .subtitle = subtitle,
                                       .style = psal_figure_style_of(r->check->options),
                                       .record = r->check->record,
                                       .x_scale = PSAL_SCALE_CATEGORY,
                                       .x_name = names,
                                       .x_count = (size_t)r->scores,
                                       .series = series,
                                       .series_count = 2,
                                       .panels = panels,
                                       .panel_count = EFFECTS,
                                       .columns = 2};
    return psal_curves_figure_write(&figure, path, err);
}

/* ---- */

static psal_status prepare(void *data, psal_error *err) {
    run *r = data;
    psal_check *c = r->check;
    const psal_session *s = &c->session;
    psal_mistakes *m = &c->mistakes;
    r->how = psal_options_choice(c->options, "how") ? PSAL_PRUNE_CHANNEL : PSAL_PRUNE_WEIGHTS;
    r->filters = psal_options_int(c->options, "filters");
    r->scores = psal_mode_of(c->options) == PSAL_MODE_POT ? SCORES : PSAL_SCORE_POT;
    psal_mistakes_needs needs = {.in_parts = true};
    if (psal_options_given(c->options, "filters")) {
        needs.choose = r->filters;
        needs.option = "filters";
    }
    psal_status status = psal_check_open(c, err);
    if (status == PSAL_OK) status = psal_mistakes_open(m, &c->session, c->options, &needs, err);
    if (status != PSAL_OK) return status;
    const int64_t most = psal_choosable(s->model, m->units, m->live);
    if (r->filters > most) r->filters = most;
    snprintf(c->steps.each, sizeof c->steps.each, "%lld filters", (long long)r->filters);
    if (m->units == PSAL_UNITS_FILTERS &&
        !(m->variants = psal_variants_new(m->classifier, r->how == PSAL_PRUNE_CHANNEL, err)))
        return psal_error_status(err);
    const psal_classifier_options tuner = {.height = s->height,
                                           .width = s->width,
                                           .threads = m->workers > 1 ? 1 : s->threads,
                                           .memory_limit = s->memory_limit / (size_t)m->workers,
                                           .conv = s->conv};
    if (!(r->tuner = psal_tuner_new(s->model, m->units, &tuner, err))) return psal_error_status(err);
    r->ablations = calloc(m->subject_count * (size_t)r->filters, sizeof *r->ablations);
    r->agreements = calloc(m->subject_count * CELLS, sizeof *r->agreements);
    return r->ablations && r->agreements
               ? PSAL_OK
               : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", m->subject_count);
}

psal_status psal_check_ablate(psal_check *check, psal_error *err) {
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
    free(r.ablations);
    free(r.agreements);
    psal_tuner_free(r.tuner);
    return status;
}
