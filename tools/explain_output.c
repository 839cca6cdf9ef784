/* What psal-run leaves behind of one sample: a table, pictures, CSV, JSON, arrays. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/figure.h"
#include "io/json_input.h"
#include "io/json_output.h"
#include "io/npy.h"
#include "tools/explain.h"
#include "tools/look_output.h"
#include "tools/outputs.h"
#include "tools/print.h"

static const char *class_name(const psal_explainer *x, int class) {
    return psal_labels_name(x->session->labels, class);
}

/* What entries of the profile are called: one, and several. */
static const char *entry(const psal_explainer *x) {
    return psal_aggregation_name(x->options.saliency.aggregation);
}

static const char *entries(const psal_explainer *x) {
    return psal_aggregation_plural(x->options.saliency.aggregation);
}

/* The files of one sample, in the order in which they are listed; result.json comes last: it says that all is there. */
enum { PROFILE, HEATMAP, OVERLAY, RANDOM, LOOK, TABLE, LOOK_TABLE, RESULT, FILES };
static const char *const file_names[FILES] = {"filter_saliency.png",
                                              "input_saliency.png",
                                              "input_saliency_overlay.png",
                                              "input_saliency_random.png",
                                              "look.png",
                                              "top_filters.csv",
                                              "look.csv",
                                              "result.json"};

static const char *const formats[] = {"png", "svg", "pdf"};

/* Those that --format and --width are about; the overlay has the photo's pixels, and is a PNG. */
static bool is_figure(int file) {
    return file != OVERLAY && file < TABLE;
}

/* "input_saliency.svg" */
static const char *figure_name(int file, const char *format, char name[64]) {
    snprintf(name, 64, "%.*s.%s", (int)strcspn(file_names[file], "."), file_names[file], format);
    return name;
}

static const char *file_name(const psal_explainer *x, int file, char name[64]) {
    return is_figure(file) && x->options.figures ? figure_name(file, x->options.format, name) : file_names[file];
}

/* Also of pictures that are not drawn now: those of another answer are removed. */
psal_status psal_explanation_check_files(const psal_options *o, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int file = 0; file < FILES; file++) {
        for (size_t i = 0; i < sizeof formats / sizeof *formats && status == PSAL_OK; i++) {
            char name[64], path[4200];
            snprintf(path, sizeof path, "%.4000s/%s", psal_options_string(o, "out"),
                     is_figure(file) ? figure_name(file, formats[i], name) : file_names[file]);
            status = psal_check_not_named(psal_options_program(o), o, path, err);
        }
    }
    return status;
}

bool psal_explanation_is_below(const psal_explainer *x, const psal_explanation *e) {
    return x->options.mode == PSAL_MODE_STD && e->against == PSAL_CLASS_NONE && !x->options.saliency.is_signed &&
           e->top_count > 0 && e->standardized[e->top[0]] < 0;
}

bool psal_explanation_is_noise(const psal_explainer *x, const psal_explanation *e) {
    if (x->options.mode != PSAL_MODE_STD || x->options.saliency.is_signed || e->against != PSAL_CLASS_NONE ||
        e->label != e->predicted)
        return false;
    double sum = 0;
    for (int64_t i = 0; i < psal_saliency_length(x->saliency); i++) sum += x->live[i] ? e->standardized[i] : 0;
    return sum < 0;
}

const char *psal_explanation_quantity(const psal_explainer *x) {
    return x->options.mode == PSAL_MODE_STD      ? "standardized saliency"
           : x->options.mode == PSAL_MODE_NORM   ? "saliency / mean"
           : x->options.mode == PSAL_MODE_POT    ? "-log tail probability"
           : x->options.saliency.gradient_weight ? "gradient x weight"
                                                 : "naive saliency";
}

static bool is_made(const psal_explainer *x, const psal_explanation *e, int file) {
    if ((file == LOOK || file == LOOK_TABLE) && !e->crops) return false;
    if (file != TABLE && file != LOOK_TABLE && file != RESULT && !x->options.figures) return false;
    if (file == HEATMAP || file == OVERLAY) return e->maps > 0;
    return file != RANDOM || (e->maps > 0 && e->random_maps > 0);
}

/* From which rank correlation on, in percent, the map of random entries speaks against that of the top ones. */
enum { ALIKE_PERCENT = 30, PARTLY_ALIKE_PERCENT = 10 };

void psal_agreement_text(double agreement, const char *what, char text[200]) {
    const size_t size = 200;
    if (isnan(agreement))
        snprintf(text, size, "the maps cannot be compared: one is the same everywhere");
    else if (agreement * 100 > ALIKE_PERCENT)
        snprintf(text, size, "the maps agree by %.2f: this map says little about the top %s", agreement, what);
    else
        snprintf(text, size, "the maps agree by %.2f: this map is %sthe top %s' own", agreement,
                 agreement * 100 > PARTLY_ALIKE_PERCENT ? "in part " : "", what);
}

psal_status psal_explanation_overlay(const psal_explainer *x, const psal_explanation *e, const float *gradient,
                                     psal_image *out, psal_error *err) {
    const psal_session *s = x->session;
    const size_t pixels = (size_t)s->height * (size_t)s->width;
    *out = (psal_image)PSAL_IMAGE_INIT;
    float *heat = malloc(pixels * sizeof *heat);
    psal_status status = heat ? psal_image_crop(&e->pixels, 0, 0, s->height, s->width, out, err)
                              : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a heat map of %zu pixels", pixels);
    if (status == PSAL_OK) status = psal_heatmap(gradient, s->info->channels, s->height, s->width, heat, err);
    if (status == PSAL_OK) psal_heatmap_overlay(x->options.style.colors, heat, out->rgb, s->height, s->width, out->rgb);
    free(heat);
    return status;
}

/* ---- JSON ---- */

static json_t *class_json(const psal_explainer *x, int class, double confidence) {
    json_t *object = json_object();
    json_object_set_new(object, "class", json_integer(class));
    json_object_set_new(object, "name", psal_json_string(class_name(x, class)));
    json_object_set_new(object, "confidence", psal_json_double(confidence));
    return object;
}

static json_t *top_json(const psal_explainer *x, const psal_explanation *e) {
    json_t *rows = json_array();
    for (int64_t i = 0; i < e->top_count; i++) {
        int64_t within;
        const char *layer = psal_explain_entry(x, e->top[i], &within);
        json_t *row = json_object();
        json_object_set_new(row, "rank", json_integer(i + 1));
        json_object_set_new(row, "filter", json_integer(e->top[i]));
        json_object_set_new(row, "layer", psal_json_string(layer));
        json_object_set_new(row, "filter_in_layer", json_integer(within));
        json_object_set_new(row, "saliency", psal_json_double(e->standardized[e->top[i]]));
        json_object_set_new(row, "naive", psal_json_float(e->naive[e->top[i]]));
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *psal_explanation_json(const psal_explainer *x, const psal_explanation *e, json_t *files) {
    json_t *o = psal_json_document(PSAL_EXPLANATION_SCHEMA), *seconds = json_object();
    json_object_set_new(o, "image", psal_json_string(e->path));
    char fingerprint[17], map[64];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, e->fingerprint);
    json_object_set_new(o, "image_fingerprint", psal_json_string(fingerprint));
    json_object_set_new(o, "weights", psal_json_string(x->session->weights));
    json_object_set_new(o, "model", psal_json_string(x->session->info->arch));
    json_object_set_new(o, "statistics", psal_json_string(x->statistics ? x->statistics_path : NULL));
    json_object_set_new(o, "mode", psal_json_string(psal_mode_name(x->options.mode)));
    json_object_set_new(o, "target", class_json(x, e->label, e->label_confidence));
    json_object_set_new(o, "predicted", class_json(x, e->predicted, e->confidence));
    json_object_set_new(o, "against",
                        e->against == PSAL_CLASS_NONE ? json_null() : class_json(x, e->against, e->against_confidence));
    json_object_set_new(o, "labelled", json_boolean(e->labelled));
    json_object_set_new(o, "correct", e->labelled ? json_boolean(e->label == e->predicted) : json_null());
    json_object_set_new(o, "loss", psal_json_double(e->loss));
    json_object_set_new(o, "rankable", json_integer(e->rankable));
    json_object_set_new(o, "below_average", json_boolean(psal_explanation_is_below(x, e)));
    json_object_set_new(o, "noise", json_boolean(psal_explanation_is_noise(x, e)));
    json_object_set_new(o, "k_salient", json_integer(e->k));
    json_object_set_new(o, "boost_factor", psal_json_double(x->options.boost));
    json_object_set_new(o, "cosine", psal_json_float(e->cosine));
    json_object_set_new(o, "map", is_made(x, e, HEATMAP) ? psal_json_string(file_name(x, HEATMAP, map)) : json_null());
    json_object_set_new(o, "figures", psal_explanation_figures_json(x));
    json_object_set_new(o, "map_agreement", psal_json_double(e->agreement));
    json_object_set_new(o, "no_map", *e->no_map ? psal_json_string(e->no_map) : json_null());
    json_object_set_new(o, "top_filters", top_json(x, e));
    if (e->crops) json_object_set_new(o, "look", psal_explanation_look_json(x, e));
    json_object_set_new(o, "settings", psal_computation_json(&x->computation));
    if (files) json_object_set(o, "files", files);
    json_object_set_new(seconds, "image", psal_json_double(e->seconds_image));
    json_object_set_new(seconds, "forward", psal_json_double(e->seconds_forward));
    json_object_set_new(seconds, "profile", psal_json_double(e->seconds_profile));
    json_object_set_new(seconds, "input_saliency", psal_json_double(e->seconds_input));
    json_object_set_new(seconds, "figures", psal_json_double(e->seconds_figures));
    json_object_set_new(o, "seconds", seconds);
    return o;
}

/* ---- the table ---- */

/* What the table says, in words: the prediction, and where the most salient entries lie. */
static void print_finding(const psal_explainer *x, const psal_explanation *e) {
    const char *most = NULL;
    int64_t largest = 0;
    for (int64_t i = 0; i < e->top_count; i++) {
        int64_t within, same = 0;
        const char *layer = psal_explain_entry(x, e->top[i], &within);
        for (int64_t j = 0; j < e->top_count; j++) same += psal_explain_entry(x, e->top[j], &within) == layer;
        if (same <= largest) continue;
        largest = same;
        most = layer;
    }
    if (!most) return;
    if (e->top_count > 1)
        psal_print(stdout, "  %" PRId64 " of these %" PRId64 " %s %s of %s.\n", largest, e->top_count, entries(x),
                   largest == 1 ? "is" : "are", most);
    printf("  The first is ");
    const double first = e->standardized[e->top[0]];
    if (e->against != PSAL_CLASS_NONE)
        psal_print(stdout, "%.2f higher than in the profile for %s.\n", first, class_name(x, e->against));
    else if (x->options.mode == PSAL_MODE_STD)
        psal_print(stdout, "%.2f standard deviations %s its mean over the data set.\n", fabs(first),
                   first < 0 ? "below" : "above");
    else if (x->options.mode == PSAL_MODE_NORM)
        printf("%.1f times its mean over the data set.\n", first);
    else if (x->options.mode == PSAL_MODE_POT)
        printf("%.2f, the -log of its tail probability.\n", first);
    else if (x->options.saliency.gradient_weight)
        printf("%.3g: by so much, to first order, the loss changes without it.\n", first);
    else
        psal_print(stdout, "the largest: its weights have a mean %sgradient of %.3g.\n",
                   x->options.saliency.is_signed ? "" : "absolute ", first);
}

void psal_explanation_print(const psal_explainer *x, const psal_explanation *e) {
    const char *what = !e->labelled && x->options.stands_in == PSAL_CLASS_SECOND ? " (the runner-up)"
                       : !e->labelled             ? " (no label was given: explained against the prediction)"
                       : e->label == e->predicted ? " (the prediction is right)"
                                                  : "";
    psal_print(stdout, "%s\n", e->path);
    psal_print(stdout, "  target    %4d  %-28s confidence %.3f%s\n", e->label, class_name(x, e->label),
               e->label_confidence, what);
    psal_print(stdout, "  predicted %4d  %-28s confidence %.3f\n", e->predicted, class_name(x, e->predicted),
               e->confidence);
    if (e->against != PSAL_CLASS_NONE)
        psal_print(stdout, "  against   %4d  %-28s confidence %.3f (its profile is subtracted)\n", e->against,
                   class_name(x, e->against), e->against_confidence);
    psal_print(stdout, "  %4s  %8s  %-44s  %6s  %9s\n", "rank", "number", "layer", entry(x), "saliency");
    for (int64_t i = 0; i < e->top_count; i++) {
        int64_t within;
        const char *layer = psal_explain_entry(x, e->top[i], &within);
        psal_print(stdout, "  %4lld  %8lld  %-44s  %6lld  %9.3f\n", (long long)i + 1, (long long)e->top[i], layer,
                   (long long)within, e->standardized[e->top[i]]);
    }
    print_finding(x, e);
    const char *other = x->options.saliency.loss == PSAL_LOSS_LOGIT
                            ? ""
                            : ": --logit asks what drives the class's score instead";
    const bool below = psal_explanation_is_below(x, e), noise = psal_explanation_is_noise(x, e);
    if (noise)
        psal_print(stdout,
                   "  %s with confidence %.3f: its gradients are smaller than those of most images, and the profile is "
                   "mostly noise%s\n",
                   e->labelled ? "right" : "predicted (no label was given)", e->confidence, other);
    else if (below)
        psal_print(stdout, "  every %s lies below its mean over the data set: the profile is mostly noise%s\n",
                   entry(x), other);
    if (e->crops) psal_explanation_look_print(x, e);
    if (e->rankable == 0)
        psal_print(stdout, "  no entry can be ranked: %s\n",
                   psal_live_count(psal_saliency_length(x->saliency), x->live) > 0 ? "all gradients are exactly 0"
                   : x->options.mode == PSAL_MODE_POT                              ? "none has a tail over the data set"
                                                      : "none has a deviation over the data set");
    if (!e->maps) psal_print(stdout, "  no heat map: %s%s\n", e->no_map, other);
    if (e->maps && e->maps < x->options.noise_iters)
        psal_print(stdout, "  %d of %d noisy copies gave no heat map: %s\n", x->options.noise_iters - e->maps,
                   x->options.noise_iters, e->no_map);
    if (x->options.compare_random && !e->random_maps)
        psal_print(stdout, "  no heat map of random %s: %s\n", entries(x), e->no_map);
    if (e->maps && e->random_maps) {
        char text[200];
        psal_agreement_text(e->agreement, entries(x), text);
        psal_print(stdout, "  beside %" PRId64 " random %s, %s\n", e->k, e->k == 1 ? entry(x) : entries(x), text);
    }
}

/* ---- files ---- */

static char *join(const char *folder, const char *name) {
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static psal_status write_profile(const psal_explainer *x, const psal_explanation *e, const char *path,
                                 psal_error *err) {
    int count = psal_saliency_layer_count(x->saliency);
    const psal_profile_layer *layers = psal_saliency_layers(x->saliency);
    int64_t n = psal_saliency_length(x->saliency), marked = e->top_count < x->options.k ? e->top_count : x->options.k;
    psal_figure_layer *drawn = calloc((size_t)count, sizeof *drawn);
    float *values = malloc((size_t)n * sizeof *values);
    psal_status status = PSAL_ERR_MEMORY;
    if (drawn && values) {
        for (int i = 0; i < count; i++)
            drawn[i] = (psal_figure_layer){
                .name = psal_model_get_parameter(x->session->model, layers[i].parameter)->name,
                .first = layers[i].first,
                .count = layers[i].count};
        for (int64_t i = 0; i < n; i++) values[i] = (float)e->standardized[i];
        char title[256], against[128] = "", subtitle[1024];
        snprintf(title, sizeof title, "%s%s: %s that the loss is most sensitive to", x->session->info->arch,
                 *x->computation.value[PSAL_FIELD_DELTAS] ? ", edited" : "", entries(x));
        if (e->against != PSAL_CLASS_NONE)
            snprintf(against, sizeof against, "; less the profile for %.60s (%.3f)", class_name(x, e->against),
                     e->against_confidence);
        snprintf(subtitle, sizeof subtitle, "target %.60s (%.3f), predicted %.60s (%.3f)%s%s; %s",
                 class_name(x, e->label), e->label_confidence, class_name(x, e->predicted), e->confidence, against,
                 psal_explanation_is_noise(x, e) ? ": right, so that this profile is mostly noise" : "", x->line);
        psal_profile_curve profile = {.label = "this image", .values = values};
        psal_profile_panel panel = {
            .y_label = psal_explanation_quantity(x), .log_y = false, .profiles = &profile, .profile_count = 1};
        psal_profile_figure figure = {.title = title,
                                      .subtitle = subtitle,
                                      .style = x->options.style,
                                      .record = x->record,
                                      .unit = entries(x),
                                      .filter_count = n,
                                      .layers = drawn,
                                      .layer_count = (size_t)count,
                                      .panels = &panel,
                                      .panel_count = 1,
                                      .top = e->top,
                                      .top_count = (size_t)marked};
        status = psal_profile_figure_write(&figure, path, err);
    } else {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a figure of %lld entries", (long long)n);
    }
    free(drawn);
    free(values);
    return status;
}

/* The map of the top entries, alone or beside that of random ones. */
static psal_status write_heatmap(const psal_explainer *x, const psal_explanation *e, bool compared, const char *path,
                                 psal_error *err) {
    char title[256], agreement[200], name[64], random[64];
    snprintf(name, sizeof name, "%" PRId64 " most salient %s", e->k, e->k == 1 ? entry(x) : entries(x));
    snprintf(random, sizeof random, "%" PRId64 " random %s", e->k, e->k == 1 ? entry(x) : entries(x));
    snprintf(title, sizeof title, "Pixels that drive the %s", name);
    if (compared) {
        psal_agreement_text(e->agreement, entries(x), agreement);
        snprintf(title, sizeof title, "T%s", agreement + 1); /* "the maps ..." */
    }
    psal_heatmap_figure figure = {.title = title,
                                  .compared = compared ? e->random_gradient : NULL,
                                  .name = compared ? name : NULL,
                                  .compared_name = random,
                                  .subtitle = x->line,
                                  .style = x->options.style,
                                  .record = x->record,
                                  .rgb = e->pixels.rgb,
                                  .grad = e->gradient,
                                  .channels = x->session->info->channels,
                                  .height = x->session->height,
                                  .width = x->session->width,
                                  .true_name = e->labelled ? class_name(x, e->label) : NULL,
                                  .predicted_name = class_name(x, e->predicted),
                                  .true_confidence = e->labelled ? e->label_confidence : NAN,
                                  .predicted_confidence = e->confidence};
    return psal_heatmap_figure_write(&figure, path, err);
}

static psal_status write_table(const psal_explainer *x, const psal_explanation *e, const char *path, psal_error *err) {
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    psal_csv_record(
        csv, 7, (const char *[]){"rank", "filter", "layer", "filter_in_layer", "saliency", "naive", "psal_settings"});
    for (int64_t i = 0; i < e->top_count; i++) {
        int64_t within;
        const char *layer = psal_explain_entry(x, e->top[i], &within);
        psal_csv_int(csv, i + 1);
        psal_csv_int(csv, e->top[i]);
        psal_csv_text(csv, layer);
        psal_csv_int(csv, within);
        psal_csv_double(csv, e->standardized[e->top[i]]);
        psal_csv_float(csv, e->naive[e->top[i]]);
        psal_csv_text(csv, i == 0 ? x->record : NULL);
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

static psal_status write_file(const psal_explainer *x, const psal_explanation *e, int file, const char *path,
                              psal_error *err) {
    switch (file) {
    case PROFILE:
        return write_profile(x, e, path, err);
    case HEATMAP:
        return write_heatmap(x, e, false, path, err);
    case OVERLAY:
        return psal_heatmap_overlay_write(x->options.style.colors, e->pixels.rgb, e->gradient,
                                          x->session->info->channels, x->session->height, x->session->width, x->record,
                                          path, err);
    case RANDOM:
        return write_heatmap(x, e, true, path, err);
    case LOOK:
        return psal_explanation_look_figure(x, e, path, err);
    case LOOK_TABLE:
        return psal_explanation_look_table(x, e, path, err);
    default:
        return write_table(x, e, path, err);
    }
}

/* Whether the result in the file `path` is of the image and the computation explained here, whatever was drawn:
 * pictures beside it are those of this explanation then. No, where there is none that can be read. */
static bool is_there(const psal_explainer *x, const psal_explanation *e, const char *path) {
    static const char *const keys[] = {"image_fingerprint", "target", "predicted", "against",      "labelled",
                                       "statistics",        "mode",   "k_salient", "boost_factor", "settings"};
    static const char *const drawn[] = {"figures", "compare_random"};
    json_t *there = NULL, *here = psal_explanation_json(x, e, NULL);
    psal_error unused = PSAL_ERROR_INIT;
    bool same = here && psal_json_load(path, &there, &unused) == PSAL_OK;
    for (size_t i = 0; i < sizeof drawn / sizeof drawn[0] && same; i++) {
        json_object_del(json_object_get(there, "settings"), drawn[i]);
        json_object_del(json_object_get(here, "settings"), drawn[i]);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && same; i++)
        same = json_equal(json_object_get(there, keys[i]), json_object_get(here, keys[i]));
    json_decref(there);
    json_decref(here);
    return same;
}

/* What an earlier run has left and this one does not make goes, in whatever format, lest another run's be taken for
 * this one's; not where it shows the same answer (`again`). */
static psal_status remove_stale(const psal_explainer *x, psal_explanation *e, int file, const char *folder, bool again,
                                psal_error *err) {
    const bool figure = is_figure(file), made = is_made(x, e, file);
    if (again && file != LOOK && file != LOOK_TABLE) return PSAL_OK; /* where was looked is not compared */
    for (int i = 0; i < (figure ? 3 : 1); i++) {
        char name[64];
        if (made && (!figure || strcmp(formats[i], x->options.format) == 0)) continue;
        char *path = join(folder, figure ? figure_name(file, formats[i], name) : file_names[file]);
        if (!path) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        if (unlink(path) == 0) e->removed++;
        free(path);
    }
    return PSAL_OK;
}

psal_status psal_explanation_write(const psal_explainer *x, psal_explanation *e, const char *folder, json_t *files,
                                   psal_error *err) {
    double start = psal_seconds();
    psal_status status = psal_make_directory(folder, err);
    if (status != PSAL_OK) return status;
    char *paths[FILES] = {0}, *before = join(folder, file_names[RESULT]);
    psal_error errors[FILES] = {0};
    const bool again = before && is_there(x, e, before);
    free(before);
    for (int i = 0; i < FILES && status == PSAL_OK; i++) {
        char name[64];
        status = remove_stale(x, e, i, folder, again, err);
        if (status != PSAL_OK || !is_made(x, e, i)) continue;
        paths[i] = join(folder, file_name(x, i, name));
        if (!paths[i]) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        json_array_append_new(files, psal_json_string(paths[i]));
    }
    /* The files have nothing to do with each other, and drawing takes as long as a forward pass: one thread each. The
     * overlay has no letters: a second thread draws it while the first waits for the fonts. */
    static const int order[] = {HEATMAP, PROFILE, RANDOM, LOOK, OVERLAY, TABLE, LOOK_TABLE};
    bool draw = status == PSAL_OK;
#pragma omp parallel for schedule(dynamic, 1) num_threads(x->session->threads) if (x->session->threads > 1)
    for (int i = 0; i < RESULT; i++)
        if (draw && paths[order[i]]) write_file(x, e, order[i], paths[order[i]], &errors[order[i]]);
    for (int i = 0; i < RESULT && status == PSAL_OK; i++)
        if ((status = errors[i].status) != PSAL_OK && err) *err = errors[i];
    if (status == PSAL_OK) {
        e->seconds_figures = psal_seconds() - start;
        json_t *json = psal_explanation_json(x, e, files);
        status = psal_json_save(json, paths[RESULT], err);
        json_decref(json);
    }
    for (int i = 0; i < FILES; i++) free(paths[i]);
    return status;
}

/* values NULL: there is none, and what an earlier run left goes. */
static psal_status dump(const char *folder, const char *name, const float *values, const psal_shape *shape,
                        psal_error *err) {
    char *path = join(folder, name);
    if (!path) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_tensor tensor = {PSAL_F32, *shape, (void *)values};
    psal_status status = PSAL_OK;
    if (values)
        status = psal_npy_write(path, &tensor, err);
    else
        unlink(path);
    free(path);
    return status;
}

psal_status psal_explanation_dump(const psal_explainer *x, const psal_explanation *e, const char *folder,
                                  psal_error *err) {
    int64_t n = psal_saliency_length(x->saliency);
    psal_shape image = PSAL_SHAPE(x->session->info->channels, x->session->height, x->session->width),
               profile = PSAL_SHAPE(n);
    psal_shape classes = PSAL_SHAPE(x->session->info->num_classes);
    float *standardized = malloc((size_t)n * sizeof *standardized);
    if (!standardized) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld entries", (long long)n);
    for (int64_t i = 0; i < n; i++) standardized[i] = (float)e->standardized[i];
    psal_status status = psal_make_directory(folder, err);
    if (status == PSAL_OK) status = dump(folder, "input.npy", e->input, &image, err);
    if (status == PSAL_OK) status = dump(folder, "logits.npy", e->logits, &classes, err);
    if (status == PSAL_OK) status = dump(folder, "naive.npy", e->naive, &profile, err);
    if (status == PSAL_OK) status = dump(folder, "standardized.npy", standardized, &profile, err);
    if (status == PSAL_OK) status = dump(folder, "input_gradient.npy", e->maps ? e->gradient : NULL, &image, err);
    if (status == PSAL_OK)
        status = dump(folder, "input_gradient_random.npy", e->random_maps ? e->random_gradient : NULL, &image, err);
    free(standardized);
    return status;
}
