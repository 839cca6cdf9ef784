/* psal-check mask: pixels that the heat map marks are hidden, and as many others. What becomes of the top filters, and
 * of the prediction? */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "saliency/masking.h"
#include "saliency/prediction.h"
#include "saliency/random.h"
#include "tools/check_map.h"
#include "tools/check_region.h"
#include "tools/print.h"
#include "tools/figure_style.h"

/* Which pixels. */
enum { MARKED, REGION, MOVED, SERIES };
static const char *const series_names[SERIES] = {"heat-map", "random-region", "same-shape"};

/* What is measured: means over the draws. */
typedef struct result {
    double saliency, squares; /* of the k top filters: mean of the standardized saliency, and of its square */
    double truth, wrong;      /* confidences */
    double right;             /* share of the draws that are classified right */
} result;
enum { COLUMNS = 4 }; /* in the tables: without the squares */
static const char *const column_names[COLUMNS] = {"saliency", "true_confidence", "wrong_confidence", "now_right"};

typedef struct run {
    psal_check *check;
    int64_t *percent; /* [steps], ascending, from 0 */
    int steps, draws;
    int64_t k;
    double boost;
    psal_fill fill;
    float *photo;           /* [image] of --fill-image, which stands in the place of hidden pixels; NULL: `fill` does */
    const char *region;     /* the option that says which pixels; NULL: the heat map does, */
    bool *mask;             /* and [pixels] those it marks; NULL */
    int64_t pixels, hidden; /* of the image; by `mask` */
    result *results;        /* [subject][step][series]; NAN where there is no heat map */
    int64_t maps;           /* subjects that have one */
    psal_interval *means;   /* [step][series][column] */
    psal_interval *above; /* [step][series] by how much that saliency is above the marked pixels', mistake by mistake */
    double *deviation;    /* [step][series] of the saliency over the top filters of all subjects */
} run;

static size_t cell(const run *r, size_t subject, int step, int series) {
    return (subject * (size_t)r->steps + (size_t)step) * SERIES + (size_t)series;
}

static double percent_hidden(const run *r, int step) {
    return r->mask && step ? 100 * (double)r->hidden / (double)r->pixels : (double)r->percent[step];
}

/* ---- one mistake ---- */

/* Memory of one experiment. */
typedef struct room {
    psal_check_map map;
    float *filling; /* [image] */
    float *hidden;  /* [image] */
    bool *marked, *mask;
} room;

static psal_status open_room(const run *r, room *m, psal_error *err) {
    const size_t image = psal_session_image_size(&r->check->session), pixels = (size_t)r->pixels;
    *m = (room){.filling = malloc(image * sizeof *m->filling),
                .hidden = malloc(image * sizeof *m->hidden),
                .marked = malloc(pixels * sizeof *m->marked),
                .mask = malloc(pixels * sizeof *m->mask)};
    if (m->filling && m->hidden && m->marked && m->mask) return psal_check_map_open(r->check, &m->map, err);
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to hide %zu pixels", pixels);
}

static void close_room(room *m) {
    psal_check_map_close(&m->map);
    free(m->filling);
    free(m->hidden);
    free(m->marked);
    free(m->mask);
}

/* Add what the network says of `image` to a result, one of `draws`. */
static psal_status measure(const run *r, psal_mistakes_worker *w, const psal_subject *subject, const float *image,
                           const int64_t *top, int draws, result *out, psal_error *err) {
    const int classes = r->check->mistakes.classes;
    psal_status status = psal_saliency_forward(w->saliency, image, err);
    if (status != PSAL_OK) return status;
    const float *logits = psal_saliency_logits(w->saliency);
    const int predicted = psal_predicted_class(logits, classes, -1);
    const int wrong = subject->predicted == subject->label
                          ? -1 /* not a mistake: the strongest other class, whichever it is */
                          : subject->predicted;
    out->truth += psal_confidence(logits, classes, subject->label) / draws;
    out->wrong += psal_confidence(logits, classes,
                                  wrong < 0 ? psal_predicted_class(logits, classes, subject->label) : wrong) /
                  draws;
    out->right += (double)(predicted == subject->label) / draws;
    if ((status = psal_saliency_profile_forwarded(w->saliency, subject->label, 0, w->naive, err)) != PSAL_OK)
        return status;
    const psal_mistakes *mistakes = &r->check->mistakes;
    status = psal_statistics_standardize(mistakes->statistics, mistakes->mode, mistakes->filters, w->naive,
                                         w->standardized, err);
    for (int64_t i = 0; i < r->k && status == PSAL_OK; i++) {
        const double value = w->standardized[top[i]];
        out->saliency += value / (double)r->k / draws;
        out->squares += value * value / (double)r->k / draws;
    }
    return status;
}

static psal_status hide_and_measure(const run *r, psal_mistakes_worker *w, const psal_subject *subject, room *m,
                                    const bool *mask, int draws, result *out, psal_error *err) {
    psal_mask_apply(w->image, m->filling, mask, r->check->session.info->channels, r->pixels, m->hidden);
    return measure(r, w, subject, m->hidden, m->map.top, draws, out, err);
}

/* One share of the pixels: those that are marked, and both controls. */
static psal_status run_step(const run *r, psal_mistakes_worker *w, size_t i, int step, room *m, psal_error *err) {
    const psal_session *s = &r->check->session;
    const psal_subject *subject = &r->check->mistakes.subjects[i];
    result *out = r->results + cell(r, i, step, 0);
    const int64_t count = r->mask ? r->hidden : psal_mask_count(r->pixels, (double)r->percent[step]);
    psal_status status = PSAL_OK;
    if (r->mask)
        memcpy(m->marked, r->mask, (size_t)r->pixels * sizeof *m->marked);
    else
        status = psal_mask_top(m->map.heat, r->pixels, count, m->marked, err);
    if (status == PSAL_OK) status = hide_and_measure(r, w, subject, m, m->marked, 1, &out[MARKED], err);
    psal_progress_add(w->progress, 1);
    psal_random seeds = {psal_check_seed(r->check, i) ^ (uint64_t)step << 48};
    for (int draw = 0; draw < r->draws && status == PSAL_OK; draw++) {
        status = psal_mask_region(s->height, s->width, count, psal_random_bits(&seeds), m->mask, err);
        if (status == PSAL_OK) status = hide_and_measure(r, w, subject, m, m->mask, r->draws, &out[REGION], err);
        psal_mask_move(m->marked, s->height, s->width, psal_random_bits(&seeds), m->mask);
        if (status == PSAL_OK) status = hide_and_measure(r, w, subject, m, m->mask, r->draws, &out[MOVED], err);
        psal_progress_add(w->progress, 2);
    }
    return status;
}

static psal_status experiment(void *data, psal_mistakes_worker *w, size_t i, psal_error *err) {
    run *r = data;
    const psal_session *s = &r->check->session;
    room m;
    bool none = false;
    psal_status status = open_room(r, &m, err);
    if (status == PSAL_OK) status = psal_mistakes_worker_load(w, &r->check->mistakes.subjects[i], err);
    if (status == PSAL_OK)
        status = psal_check_map_make(r->check, w->saliency, w->naive, w->standardized, &m.map, &none, err);
    if (status == PSAL_OK && none)
        for (size_t j = cell(r, i, 0, 0); j < cell(r, i + 1, 0, 0); j++)
            r->results[j] = (result){NAN, NAN, NAN, NAN, NAN};
    if (status == PSAL_OK && !none && r->photo)
        memcpy(m.filling, r->photo, psal_session_image_size(s) * sizeof *m.filling);
    else if (status == PSAL_OK && !none)
        status = psal_fill_image(r->fill, w->image, s->info->channels, s->height, s->width,
                                 psal_check_seed(r->check, i), m.filling, err);
    if (status == PSAL_OK && !none) {
        result *whole = r->results + cell(r, i, 0, 0);
        status = measure(r, w, &r->check->mistakes.subjects[i], w->image, m.map.top, 1, whole, err);
        for (int c = 1; c < SERIES; c++) whole[c] = whole[0];
    }
    for (int step = 1; step < r->steps && status == PSAL_OK && !none; step++) status = run_step(r, w, i, step, &m, err);
    close_room(&m);
    return status;
}

/* ---- over all mistakes ---- */

static double column(const result *x, int c) {
    return c == 0 ? x->saliency : c == 1 ? x->truth : c == 2 ? x->wrong : x->right;
}

/* Column c of one step and series for every subject, less (minus >= 0) that of another series. */
static psal_status interval_of(const run *r, int step, int series, int minus, int c, psal_interval *out,
                               psal_error *err) {
    const size_t subjects = r->check->mistakes.subject_count;
    double *values = malloc(subjects * sizeof *values);
    if (!values) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", subjects);
    for (size_t i = 0; i < subjects; i++) {
        values[i] = column(&r->results[cell(r, i, step, series)], c);
        if (minus >= 0) values[i] -= column(&r->results[cell(r, i, step, minus)], c);
    }
    psal_status status = psal_bootstrap_mean(values, subjects, 1, (uint64_t)psal_options_int(r->check->options, "seed"),
                                             out, err);
    free(values);
    return status;
}

/* ---- the verdict ---- */

/* The step that the sentences are about: 5 % where that is one, else the first. */
static int verdict_step(const run *r) {
    for (int step = 1; step < r->steps; step++)
        if (r->percent[step] == 5) return step;
    return 1;
}

static double mean_of(const run *r, int step, int series, int c) {
    return r->means[cell(r, 0, step, series) * COLUMNS + (size_t)c].mean;
}

static void say(run *r) {
    char(*sentence)[PSAL_SENTENCE_SIZE] = r->check->verdict, text[2][64];
    const int step = verdict_step(r);
    const psal_interval *less = &r->above[cell(r, 0, step, REGION)];
    snprintf(sentence[0], PSAL_SENTENCE_SIZE,
             "Hiding the %.3g %% of the pixels that %s%s marks takes the standardized saliency of the %" PRId64
             " top filters from %.2f to %.2f; a random region of as many pixels to %.2f, the same shape elsewhere to "
             "%.2f.",
             percent_hidden(r, step), r->region ? "--" : "the heat map", r->region ? r->region : "", r->k,
             mean_of(r, 0, MARKED, 0), mean_of(r, step, MARKED, 0), mean_of(r, step, REGION, 0),
             mean_of(r, step, MOVED, 0));
    snprintf(
        sentence[1], PSAL_SENTENCE_SIZE,
        "It makes %.0f %% right (random region: %.0f %%, same shape: %.0f %%), and the confidence of the true class "
        "%.3f (%.3f, %.3f) instead of %.3f, of the wrong one %.3f (%.3f, %.3f) instead of %.3f.",
        100 * mean_of(r, step, MARKED, 3), 100 * mean_of(r, step, REGION, 3), 100 * mean_of(r, step, MOVED, 3),
        mean_of(r, step, MARKED, 1), mean_of(r, step, REGION, 1), mean_of(r, step, MOVED, 1), mean_of(r, 0, MARKED, 1),
        mean_of(r, step, MARKED, 2), mean_of(r, step, REGION, 2), mean_of(r, step, MOVED, 2), mean_of(r, 0, MARKED, 2));
    const bool beyond[2] = {less[0].low > 0, less[1].low > 0};
    const char *verdict = isnan(less[0].low)       ? "one mistake is no evidence"
                          : beyond[0] && beyond[1] ? "these pixels do drive the top filters more than as many others"
                          : less[0].high < 0 || less[1].high < 0
                              ? "these pixels drive the top filters less than others do"
                          : beyond[0] || beyond[1] ? "they stand out against one of the controls only"
                                                   : "they do not stand out against as many others";
    snprintf(sentence[2], PSAL_SENTENCE_SIZE,
             "How much further the saliency falls than with a random region is %s, than with the same shape elsewhere "
             "%s: %s.",
             psal_interval_text(&less[0], text[0]), psal_interval_text(&less[1], text[1]), verdict);
}

static psal_status summarize(void *data, psal_error *err) {
    run *r = data;
    const size_t subjects = r->check->mistakes.subject_count, cells = (size_t)r->steps * SERIES;
    r->means = calloc(cells * COLUMNS, sizeof *r->means);
    r->above = calloc(cells, sizeof *r->above);
    r->deviation = calloc(cells, sizeof *r->deviation);
    if (!r->means || !r->above || !r->deviation) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the table");
    for (size_t i = 0; i < subjects; i++) r->maps += !isnan(r->results[cell(r, i, 0, 0)].saliency);
    if (r->maps == 0) return psal_fail(err, PSAL_ERR_NUMERIC, "there is no heat map of any mistake: psal-run says why");
    psal_status status = PSAL_OK;
    for (int step = 0; step < r->steps; step++)
        for (int series = 0; series < SERIES; series++) {
            const size_t at = cell(r, 0, step, series);
            double mean = 0, squares = 0;
            for (size_t i = 0; i < subjects; i++) {
                const result *x = &r->results[cell(r, i, step, series)];
                if (isnan(x->saliency)) continue;
                mean += x->saliency / (double)r->maps;
                squares += x->squares / (double)r->maps;
            }
            r->deviation[at] = sqrt(fmax(0, squares - mean * mean));
            for (int c = 0; c < COLUMNS && status == PSAL_OK; c++)
                status = interval_of(r, step, series, -1, c, &r->means[at * COLUMNS + (size_t)c], err);
            if (status == PSAL_OK) status = interval_of(r, step, series, MARKED, 0, &r->above[at], err);
        }
    if (status == PSAL_OK) say(r);
    return status;
}

/* ---- output ---- */

static const char *fill_name(const run *r) {
    return r->photo ? "photo" : psal_fill_name(r->fill);
}

static void print_table(const void *data) {
    const run *r = data;
    const psal_mistakes *m = &r->check->mistakes;
    if (r->maps < (int64_t)m->subject_count)
        psal_print(stdout, "Without a heat map, and left out: %" PRId64 " of %zu.\n",
                   (int64_t)m->subject_count - r->maps, m->subject_count);
    psal_print(stdout, "Pixels hidden (%s); controls: %d draw%s each.\n\n", fill_name(r), r->draws,
               r->draws == 1 ? "" : "s");
    psal_print(stdout, "hidden %%  %-14s  %20s  %15s  %16s  %11s\n", "pixels", "saliency +- sd", "true confidence",
               "wrong confidence", "now right %");
    for (int step = 0; step < r->steps; step++)
        for (int series = 0; series < SERIES && (step > 0 || series == 0); series++) {
            psal_print(stdout, "%8.3g  %-14s", percent_hidden(r, step), step ? series_names[series] : "-");
            printf("  %9.2f +- %7.2f", mean_of(r, step, series, 0), r->deviation[cell(r, 0, step, series)]);
            printf("  %15.4f  %16.4f  %11.1f\n", mean_of(r, step, series, 1), mean_of(r, step, series, 2),
                   100 * mean_of(r, step, series, 3));
        }
}

static void write_table(const void *data, psal_csv_writer *csv) {
    const run *r = data;
    psal_csv_text(csv, "percent");
    psal_csv_text(csv, "pixels");
    psal_csv_text(csv, "saliency_sd");
    psal_csv_interval_titles(csv, column_names, COLUMNS);
    psal_check_end_titles(csv);
    for (int step = 0; step < r->steps; step++)
        for (int series = 0; series < SERIES; series++) {
            const size_t at = cell(r, 0, step, series);
            psal_csv_double(csv, percent_hidden(r, step));
            psal_csv_text(csv, series_names[series]);
            psal_csv_double(csv, r->deviation[at]);
            for (size_t c = 0; c < COLUMNS; c++) psal_csv_interval(csv, &r->means[at * COLUMNS + c]);
            psal_check_end_row(r->check, csv, step == 0 && series == 0);
        }
}

static void write_samples(const void *data, psal_csv_writer *csv) {
    const run *r = data;
    psal_csv_subject_titles(csv);
    psal_csv_text(csv, "percent");
    psal_csv_text(csv, "pixels");
    for (int c = 0; c < COLUMNS; c++) psal_csv_text(csv, column_names[c]);
    psal_check_end_titles(csv);
    for (size_t i = 0; i < r->check->mistakes.subject_count; i++)
        for (int step = 0; step < r->steps; step++)
            for (int series = 0; series < SERIES; series++) {
                psal_csv_subject(csv, &r->check->mistakes, i);
                psal_csv_double(csv, percent_hidden(r, step));
                psal_csv_text(csv, series_names[series]);
                for (int c = 0; c < COLUMNS; c++)
                    psal_csv_double(csv, column(&r->results[cell(r, i, step, series)], c));
                psal_check_end_row(r->check, csv, i == 0 && step == 0 && series == 0);
            }
}

static void add_json(const void *data, json_t *root) {
    const run *r = data;
    json_t *rows = json_array();
    json_object_set_new(root, "fill", psal_json_string(fill_name(r)));
    json_object_set_new(root, "draws", json_integer(r->draws));
    json_object_set_new(root, "k_salient", json_integer(r->k));
    json_object_set_new(root, "boost_factor", psal_json_double(r->boost));
    json_object_set_new(root, "maps", json_integer(r->maps));
    json_object_set_new(root, "rows", rows);
    for (int step = 0; step < r->steps; step++)
        for (int series = 0; series < SERIES; series++) {
            const size_t at = cell(r, 0, step, series);
            json_t *row = json_object();
            json_object_set_new(row, "percent", psal_json_double(percent_hidden(r, step)));
            json_object_set_new(row, "pixels", psal_json_string(series_names[series]));
            json_object_set_new(row, "saliency_sd", psal_json_double(r->deviation[at]));
            json_object_set_new(row, "saliency_above",
                                step > 0 && series != MARKED ? psal_interval_json(&r->above[at]) : json_null());
            for (size_t c = 0; c < COLUMNS; c++)
                json_object_set_new(row, column_names[c], psal_interval_json(&r->means[at * COLUMNS + c]));
            json_array_append_new(rows, row);
        }
}

static psal_status draw(const void *data, const char *path, psal_error *err) {
    const run *r = data;
    static const char *const titles[COLUMNS] = {"Standardized saliency of the top filters",
                                                "Confidence of the true class", "Confidence of the wrong class",
                                                "Now right"};
    static const char *const units[COLUMNS] = {"mean", "confidence", "confidence", "% of mistakes"};
    const size_t steps = (size_t)r->steps, one = SERIES * steps;
    double *numbers = malloc((2 * COLUMNS * one + steps) * sizeof *numbers);
    if (!numbers) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the figure");
    double *x = numbers + 2 * COLUMNS * one;
    psal_curves_panel panels[COLUMNS];
    for (size_t c = 0; c < COLUMNS; c++) {
        double *mean = numbers + 2 * c * one, *half = mean + one, factor = c == 3 ? 100 : 1;
        for (int series = 0; series < SERIES; series++)
            for (int step = 0; step < r->steps; step++) {
                const psal_interval *i = &r->means[cell(r, 0, step, series) * COLUMNS + c];
                mean[(size_t)series * steps + (size_t)step] = factor * i->mean;
                half[(size_t)series * steps + (size_t)step] = factor * (i->high - i->low) / 2;
            }
        panels[c] = (psal_curves_panel){.title = titles[c], .y_label = units[c], .mean = mean, .error = half};
    }
    for (int step = 0; step < r->steps; step++) x[step] = percent_hidden(r, step);
    char detail[96], subtitle[1024];
    snprintf(detail, sizeof detail, "%" PRId64 " top filters, fill: %s", r->k, fill_name(r));
    psal_check_subtitle(r->check, detail, "bands", subtitle, sizeof subtitle);
    const psal_curves_figure figure = {.title = r->mask ? "Pixels of a region hidden" : "Pixels of the heat map hidden",
                                       .subtitle = subtitle,
                                       .style = psal_figure_style_of(r->check->options),
                                       .record = r->check->record,
                                       .x_label = "pixels hidden (%)",
                                       .x_scale = PSAL_SCALE_LINEAR,
                                       .x = x,
                                       .x_count = steps,
                                       .series = series_names,
                                       .series_count = SERIES,
                                       .panels = panels,
                                       .panel_count = COLUMNS,
                                       .columns = 2};
    psal_status status = psal_curves_figure_write(&figure, path, err);
    free(numbers);
    return status;
}

/* ---- */

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Steps from 0 %, which is the whole image. */
static psal_status list_steps(run *r, psal_error *err) {
    size_t given;
    const int64_t *list = psal_options_ints(r->check->options, "percent", &given);
    if (!(r->percent = malloc((given + 2) * sizeof *r->percent)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu shares of the pixels", given);
    r->percent[0] = 0;
    r->steps = 1;
    if (r->mask) {
        r->percent[r->steps++] = 100; /* of the mask */
        return PSAL_OK;
    }
    memcpy(r->percent + 1, list, given * sizeof *list);
    qsort(r->percent + 1, given, sizeof *r->percent, ascending);
    for (size_t i = 1; i <= given; i++) {
        const int64_t percent = r->percent[i];
        if (psal_mask_count(r->pixels, (double)percent) < 1)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "--percent %" PRId64 ": that is no whole pixel of %" PRId64,
                             percent, r->pixels);
        if (percent != r->percent[r->steps - 1]) r->percent[r->steps++] = percent;
    }
    return PSAL_OK;
}

static psal_status prepare(void *data, psal_error *err) {
    run *r = data;
    psal_check *c = r->check;
    psal_mistakes *m = &c->mistakes;
    psal_status status = psal_check_region_option(c->options, &r->region, err);
    if (status == PSAL_OK && r->region && psal_options_given(c->options, "boost-factor"))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "--boost-factor is of the heat map, and --%s hides other pixels",
                           r->region);
    if (status == PSAL_OK) status = psal_check_open(c, err);
    if (status != PSAL_OK) return status;
    r->pixels = (int64_t)c->session.height * c->session.width;
    if (r->region && (status = psal_check_region_read(c, r->region, &r->mask, &r->hidden, err)) != PSAL_OK)
        return status;
    if ((status = psal_check_fill_image(c, &r->photo, err)) != PSAL_OK) return status;
    if ((status = list_steps(r, err)) != PSAL_OK) return status;
    r->k = psal_options_int(c->options, "k-salient");
    r->boost = psal_options_double(c->options, "boost-factor");
    r->draws = (int)psal_options_int(c->options, "draws");
    r->fill = (psal_fill)psal_options_choice(c->options, "fill");
    const psal_mistakes_needs needs = {.input_saliency = true, .choose = r->k, .option = "k-salient"};
    if ((status = psal_mistakes_open(m, &c->session, c->options, &needs, err)) != PSAL_OK) return status;
    c->steps.parts = (int64_t)(r->steps - 1) * (1 + 2 * r->draws);
    c->steps.part_label = "masks";
    snprintf(c->steps.each, sizeof c->steps.each, "%d shares of the pixels x %d masks", r->steps - 1, 1 + 2 * r->draws);
    r->results = calloc(m->subject_count * (size_t)r->steps * SERIES, sizeof *r->results);
    return r->results ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", m->subject_count);
}

psal_status psal_check_mask(psal_check *check, psal_error *err) {
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
    free(r.percent);
    free(r.mask);
    free(r.photo);
    free(r.results);
    free(r.means);
    free(r.above);
    free(r.deviation);
    return status;
}
