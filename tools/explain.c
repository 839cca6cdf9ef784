#include "tools/explain.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/figure.h"
#include "saliency/masking.h"
#include "saliency/prediction.h"
#include "saliency/random.h"
#include "saliency/rank_correlation.h"

/* ---- the network ---- */

static void describe(psal_explainer *x) {
    const psal_explain_options *o = &x->options;
    psal_computation *c = &x->computation;
    psal_session_computation(x->session, &o->saliency, false, c);
    psal_computation_set(c, PSAL_FIELD_MODE, "%s", psal_mode_name(o->mode));
    if (x->statistics) psal_computation_set_statistics(c, x->statistics);
    if (o->mode == PSAL_MODE_POT) psal_computation_set_tail(c, x->statistics->tail);
    psal_computation_set(c, PSAL_FIELD_STANDS_IN, "%s", o->stands_in == PSAL_CLASS_SECOND ? "second" : "predicted");
    if (o->against >= 0)
        psal_computation_set(c, PSAL_FIELD_AGAINST, "%d", o->against);
    else
        psal_computation_set(c, PSAL_FIELD_AGAINST, "%s",
                             o->against == PSAL_CLASS_NONE     ? "none"
                             : o->against == PSAL_CLASS_SECOND ? "second"
                                                               : "predicted");
    psal_computation_set(c, PSAL_FIELD_K_SALIENT, "%" PRId64, o->k);
    psal_computation_set_number(c, PSAL_FIELD_BOOST_FACTOR, o->boost);
    psal_computation_set(c, PSAL_FIELD_NOISE_ITERS, "%d", o->noise_iters);
    psal_computation_set_number(c, PSAL_FIELD_NOISE_PERCENT, o->noise_percent);
    psal_computation_set_number(c, PSAL_FIELD_NOISE_SD, o->noise_sd);
    psal_computation_set(c, PSAL_FIELD_SEED, "%" PRIu64, o->seed);
    psal_computation_set(c, PSAL_FIELD_COMPARE_RANDOM, "%d", o->compare_random);
    psal_computation_set(c, PSAL_FIELD_TOP, "%d", o->top);
    psal_computation_set(c, PSAL_FIELD_FIGURES, "%d", o->figures);
}

psal_status psal_explainer_open(psal_explainer *x, psal_session *session, const psal_options *command_line,
                                const psal_explain_options *options, psal_error *err) {
    memset(x, 0, sizeof *x);
    x->session = session;
    x->options = *options;
    x->options.saliency.height = session->height;
    x->options.saliency.width = session->width;
    x->options.saliency.threads = session->threads;
    x->options.saliency.memory_limit = session->memory_limit;
    x->options.saliency.conv = session->conv;
    x->options.saliency.input_saliency = true;
    /* Building the graph and planning it keep one thread busy; another finds the fonts of the figures meanwhile. */
#pragma omp parallel sections num_threads(2) if (session->threads > 1)
    {
#pragma omp section
        x->saliency = psal_saliency_new(session->model, &x->options.saliency, err);
#pragma omp section
        if (session->threads > 1) psal_figure_prepare_fonts();
    }
    if (!x->saliency) return psal_fail_prefix(err, "%s", session->info->arch);
    int64_t n = psal_saliency_length(x->saliency);
    if (options->k > n)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--k-salient %lld, but the profile of %s has %lld entries",
                         (long long)options->k, session->info->arch, (long long)n);
    if (options->mode != PSAL_MODE_NAIVE) {
        x->statistics = psal_session_mode_statistics(session, command_line, &x->options.saliency, options->mode, n,
                                                     x->statistics_path, err);
        if (!x->statistics) return psal_error_status(err);
    } else if (psal_options_has(command_line, "stats")) {
        psal_note(&session->notes, "--mode naive needs no statistics: --stats was not looked at");
    }
    describe(x);
    psal_computation_line(&x->computation, x->line);
    x->record = psal_computation_text(&x->computation);
    x->shift = malloc((size_t)n * sizeof *x->shift);
    x->scale = malloc((size_t)n * sizeof *x->scale);
    x->live = malloc((size_t)n * sizeof *x->live);
    x->ranked = malloc((size_t)n * sizeof *x->ranked);
    if (!x->record || !x->shift || !x->scale || !x->live || !x->ranked)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld entries", (long long)n);
    psal_saliency_live(x->saliency, x->live);
    if (x->statistics) psal_statistics_rankable(x->statistics, options->mode, n, NULL, x->live);
    int64_t live = psal_live_count(n, x->live);
    if (live < options->k)
        psal_note(&session->notes, "only %lld of the %lld entries can be ranked: the others %s", (long long)live,
                  (long long)n,
                  options->mode == PSAL_MODE_STD    ? "have no deviation over the data set of the statistics"
                  : options->mode == PSAL_MODE_NORM ? "have no saliency in the statistics"
                  : options->mode == PSAL_MODE_POT  ? "have no tail in the statistics"
                                                    : "never have a gradient");
    x->worker = psal_saliency_worker_new(x->saliency, err);
    return x->worker ? PSAL_OK : psal_error_status(err);
}

void psal_explainer_close(psal_explainer *x) {
    psal_saliency_worker_free(x->worker);
    psal_saliency_free(x->saliency);
    psal_statistics_free(x->statistics);
    free(x->record);
    free(x->shift);
    free(x->scale);
    free(x->live);
    free(x->ranked);
    memset(x, 0, sizeof *x);
}

const char *psal_explain_entry(const psal_explainer *x, int64_t entry, int64_t *within) {
    const psal_profile_layer *layers = psal_saliency_layers(x->saliency);
    int low = 0, high = psal_saliency_layer_count(x->saliency) - 1;
    while (low < high) { /* the last layer that begins at or before the entry */
        int middle = (low + high + 1) / 2;
        if (layers[middle].first <= entry)
            low = middle;
        else
            high = middle - 1;
    }
    *within = entry - layers[low].first;
    return psal_model_get_parameter(x->session->model, layers[low].parameter)->name;
}

/* ---- one sample ---- */

static psal_status allocate(const psal_explainer *x, psal_explanation *e, psal_error *err) {
    size_t n = (size_t)psal_saliency_length(x->saliency), image = psal_session_image_size(x->session);
    e->top_count = x->options.top < (int64_t)n ? x->options.top : (int64_t)n;
    e->input = calloc(image, sizeof *e->input);
    e->gradient = calloc(image, sizeof *e->gradient);
    if (x->options.compare_random) e->random_gradient = calloc(image, sizeof *e->random_gradient);
    e->logits = calloc((size_t)x->session->info->num_classes, sizeof *e->logits);
    e->naive = calloc(n, sizeof *e->naive);
    if (x->options.against != PSAL_CLASS_NONE) e->subtracted = calloc(n, sizeof *e->subtracted);
    e->standardized = calloc(n, sizeof *e->standardized);
    e->top = calloc((size_t)e->top_count + 1, sizeof *e->top);
    if (e->input && e->gradient && (e->random_gradient || !x->options.compare_random) && e->logits && e->naive &&
        (e->subtracted || x->options.against == PSAL_CLASS_NONE) && e->standardized && e->top)
        return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %zu entries", n);
}

void psal_explanation_free(psal_explanation *e) {
    free(e->input);
    free(e->gradient);
    free(e->random_gradient);
    free(e->logits);
    free(e->naive);
    free(e->subtracted);
    free(e->standardized);
    free(e->top);
    psal_image_free(&e->pixels);
    memset(e, 0, sizeof *e);
}

/* The class that a number, or one of PSAL_CLASS_..., means for this image. */
static int class_of(const psal_explainer *x, const psal_explanation *e, int class) {
    if (class == PSAL_CLASS_PREDICTED) return e->predicted;
    if (class != PSAL_CLASS_SECOND) return class;
    return psal_predicted_class(e->logits, x->session->info->num_classes, e->predicted);
}

static psal_status read_prediction(const psal_explainer *x, psal_explanation *e, int label, psal_error *err) {
    int classes = x->session->info->num_classes;
    memcpy(e->logits, psal_saliency_logits(x->worker), (size_t)classes * sizeof *e->logits);
    e->predicted = psal_predicted_class(e->logits, classes, -1);
    e->labelled = label >= 0;
    e->label = e->labelled ? label : class_of(x, e, x->options.stands_in);
    e->confidence = psal_confidence(e->logits, classes, e->predicted);
    e->label_confidence = psal_confidence(e->logits, classes, e->label);
    e->left_out = x->options.mistakes && e->labelled && e->predicted == e->label;
    e->against = class_of(x, e, x->options.against);
    if (e->against == PSAL_CLASS_NONE || e->left_out) return PSAL_OK;
    e->against_confidence = psal_confidence(e->logits, classes, e->against);
    if (e->against != e->label) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "--against: class %d is the label itself, so that nothing is left of its profile", e->label);
}

static psal_status standardize(const psal_explainer *x, const float *naive, double *standardized, psal_error *err) {
    return psal_statistics_standardize(x->statistics, x->options.mode, psal_saliency_length(x->saliency), naive,
                                       standardized, err);
}

/* The entries that can be ranked in this profile, ranked[length], and how many. None where there is no gradient at all:
 * the order would be that of the statistics, the same for every such image. */
static int64_t rankable(const psal_explainer *x, const float *naive, bool *ranked) {
    int64_t n = psal_saliency_length(x->saliency);
    bool any = false;
    for (int64_t i = 0; i < n && !any; i++) any = naive[i] != 0;
    for (int64_t i = 0; i < n; i++) ranked[i] = any && x->live[i];
    if (x->options.mode == PSAL_MODE_NAIVE) psal_rankable(PSAL_MODE_NAIVE, n, naive, NULL, NULL, ranked);
    return psal_live_count(n, ranked);
}

/* Buffers of one draw of the noise. */
typedef struct draw {
    float *image, *naive, *gradient;
    double *standardized, *target;
    int64_t *chosen;
    /* With --against: that class's profile and score, where the score's derivative is 1 / scale, and what is left. */
    float *subtracted, *difference, *other_gradient;
    double *subtrahend, *other_scale, *across;
} draw;

static void draw_free(draw *d) {
    free(d->image);
    free(d->naive);
    free(d->target);
    free(d->gradient);
    free(d->standardized);
    free(d->chosen);
    free(d->subtracted);
    free(d->difference);
    free(d->other_gradient);
    free(d->subtrahend);
    free(d->other_scale);
    free(d->across);
}

static psal_status draw_allocate(const psal_explainer *x, draw *d, psal_error *err) {
    size_t n = (size_t)psal_saliency_length(x->saliency), image = psal_session_image_size(x->session);
    *d = (draw){.image = malloc(image * sizeof(float)),
                .naive = malloc(n * sizeof(float)),
                .target = malloc(n * sizeof(double)),
                .gradient = malloc(image * sizeof(float)),
                .standardized = malloc(n * sizeof(double)),
                .chosen = malloc(((size_t)x->options.k + 1) * sizeof(int64_t))};
    bool good = d->image && d->naive && d->target && d->gradient && d->standardized && d->chosen;
    if (good && x->options.against != PSAL_CLASS_NONE) {
        d->subtracted = malloc(n * sizeof(float));
        d->difference = malloc(n * sizeof(float));
        d->other_gradient = malloc(image * sizeof(float));
        d->subtrahend = malloc(n * sizeof(double));
        d->other_scale = malloc(n * sizeof(double));
        d->across = malloc(n * sizeof(double));
        good = d->subtracted && d->difference && d->other_gradient && d->subtrahend && d->other_scale && d->across;
    }
    if (good) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %zu entries", n);
}

/* Profile d->image again, for the class to be subtracted, and subtract: d->standardized and d->difference. */
static psal_status subtract(psal_explainer *x, const psal_explanation *e, draw *d, psal_error *err) {
    const int64_t n = psal_saliency_length(x->saliency);
    const int rival = psal_predicted_class(e->logits, x->session->info->num_classes, e->against);
    psal_status status = psal_saliency_profile(x->worker, d->image, e->against, rival, d->subtracted, err);
    if (status == PSAL_OK) status = standardize(x, d->subtracted, d->subtrahend, err);
    if (status == PSAL_OK) /* its shift has no use */
        status = psal_statistics_map(x->statistics, x->options.mode, n, d->subtracted, d->across, d->other_scale, err);
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) {
        d->standardized[i] -= d->subtrahend[i];
        d->difference[i] = d->naive[i] - d->subtracted[i];
    }
    return status;
}

/* The map of a difference: m depends on the pixels through both profiles, of which the worker has the second one. */
static psal_status map_difference(psal_explainer *x, const psal_explanation *e, draw *d, float *cosine,
                                  psal_error *err) {
    const int64_t n = psal_saliency_length(x->saliency);
    const int rival = psal_predicted_class(e->logits, x->session->info->num_classes, e->label);
    const size_t image = psal_session_image_size(x->session);
    double m;
    psal_status status = psal_saliency_cosine(n, d->standardized, d->target, d->across, &m, err);
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) d->subtrahend[i] = d->across[i] / d->other_scale[i];
    if (status == PSAL_OK) status = psal_saliency_along(x->worker, d->subtrahend, d->other_gradient, err);
    if (status == PSAL_OK) status = psal_saliency_profile(x->worker, d->image, e->label, rival, d->naive, err);
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) d->across[i] /= x->scale[i];
    if (status == PSAL_OK) status = psal_saliency_along(x->worker, d->across, d->gradient, err);
    for (size_t i = 0; i < image && status == PSAL_OK; i++) d->gradient[i] -= d->other_gradient[i];
    if (status == PSAL_OK) *cosine = (float)m;
    return status;
}

/* Profile d->image (`forwarded`: whose forward pass was made just now) and, towards the boosted top k (or k random
 * entries), add its input saliency to `sum`, where there is one. */
static psal_status run_draw(psal_explainer *x, psal_explanation *e, draw *d, bool forwarded, bool random, uint64_t seed,
                            float *sum, psal_error *err) {
    int64_t n = psal_saliency_length(x->saliency), k = x->options.k;
    double start = psal_seconds();
    int rival = psal_predicted_class(e->logits, x->session->info->num_classes, e->label); /* of the logit difference */
    psal_status status = forwarded ? psal_saliency_profile_forwarded(x->worker, e->label, rival, d->naive, err)
                                   : psal_saliency_profile(x->worker, d->image, e->label, rival, d->naive, err);
    if (status == PSAL_OK) status = standardize(x, d->naive, d->standardized, err);
    if (status == PSAL_OK)
        status = psal_statistics_map(x->statistics, x->options.mode, n, d->naive, x->shift, x->scale, err);
    const bool difference = e->against != PSAL_CLASS_NONE;
    float loss = status == PSAL_OK ? psal_saliency_loss(x->worker) : 0, cosine;
    if (status == PSAL_OK && difference) status = subtract(x, e, d, err);
    if (status != PSAL_OK) return status;
    const int64_t count = rankable(x, difference ? d->difference : d->naive, x->ranked);
    if (count < k) k = count;
    if (status == PSAL_OK)
        status = random ? psal_random_k(n, seed, x->ranked, k, d->chosen, err)
                        : psal_top_k(n, d->standardized, x->ranked, k, d->chosen, err);
    if (status != PSAL_OK) return status;
    psal_boost(n, d->standardized, d->chosen, k, x->options.boost, d->target);
    double middle = psal_seconds();
    e->seconds_profile += middle - start;
    status = difference ? map_difference(x, e, d, &cosine, err)
                        : psal_saliency_input(x->worker, x->shift, x->scale, d->target, d->gradient, &cosine, err);
    e->seconds_input += psal_seconds() - middle;
    size_t image = psal_session_image_size(x->session);
    double share = 1.0 / x->options.noise_iters;
    if (status == PSAL_ERR_NUMERIC) {
        if (!*e->no_map) snprintf(e->no_map, sizeof e->no_map, "%.199s", err->message);
        *err = (psal_error)PSAL_ERROR_INIT;
    } else if (status != PSAL_OK) {
        return status;
    } else {
        for (size_t i = 0; i < image; i++) sum[i] += (float)(d->gradient[i] * share);
        *(random ? &e->random_maps : &e->maps) += 1;
        if (!random) e->cosine += (float)(cosine * share);
    }
    if (random) return PSAL_OK;
    for (int64_t i = 0; i < n; i++) e->naive[i] += (float)(d->naive[i] * share);
    for (int64_t i = 0; i < n && difference; i++) e->subtracted[i] += (float)(d->subtracted[i] * share);
    e->loss += loss * share;
    return PSAL_OK;
}

/* Draws that gave no map are no part of the mean over the draws. */
static void leave_out(float *sum, size_t count, int maps, int draws) {
    for (size_t i = 0; i < count && maps > 0 && maps < draws; i++) sum[i] *= (float)draws / (float)maps;
}

/* The ranking of the averaged profile. */
static psal_status rank(const psal_explainer *x, psal_explanation *e, psal_error *err) {
    const int64_t n = psal_saliency_length(x->saliency);
    psal_status status = standardize(x, e->naive, e->standardized, err);
    /* x->shift serves the draws, which are over. */
    if (status == PSAL_OK && e->against != PSAL_CLASS_NONE) status = standardize(x, e->subtracted, x->shift, err);
    for (int64_t i = 0; i < n && e->against != PSAL_CLASS_NONE && status == PSAL_OK; i++) {
        e->standardized[i] -= x->shift[i];
        e->naive[i] -= e->subtracted[i];
    }
    if (status != PSAL_OK) return status;
    e->rankable = rankable(x, e->naive, x->ranked);
    e->k = x->options.k < e->rankable ? x->options.k : e->rankable;
    if (e->top_count > e->rankable) e->top_count = e->rankable;
    return psal_top_k(n, e->standardized, x->ranked, e->top_count, e->top, err);
}

psal_status psal_explanation_rank(const psal_explainer *x, const psal_explanation *e, int64_t k, int64_t *entries,
                                  psal_error *err) {
    const int64_t n = psal_saliency_length(x->saliency);
    if (k < 0 || k > e->rankable)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "the top %" PRId64 ": %" PRId64 " of the %" PRId64 " entries can be ranked", k, e->rankable,
                         n);
    if (k <= e->top_count) {
        memcpy(entries, e->top, (size_t)k * sizeof *entries);
        return PSAL_OK;
    }
    bool *ranked = malloc((size_t)n * sizeof *ranked); /* x->ranked is the explainer's, which may be at work */
    if (!ranked) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " entries", n);
    rankable(x, e->naive, ranked);
    psal_status status = psal_top_k(n, e->standardized, ranked, k, entries, err);
    free(ranked);
    return status;
}

/* How alike the maps of the top entries and of random ones are: all pixels, as they are painted but not clipped. */
static psal_status compare_maps(const psal_explainer *x, psal_explanation *e, psal_error *err) {
    const int channels = x->session->info->channels, height = x->session->height, width = x->session->width;
    const size_t pixels = (size_t)height * (size_t)width;
    const float *const gradients[2] = {e->gradient, e->random_gradient};
    float *heat = malloc(pixels * sizeof *heat);
    double *maps = malloc(2 * pixels * sizeof *maps);
    psal_status status = heat && maps ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for two heat maps");
    for (int m = 0; m < 2 && status == PSAL_OK; m++) {
        status = psal_pixel_saliency(gradients[m], channels, height, width, heat, err);
        for (size_t i = 0; i < pixels && status == PSAL_OK; i++) maps[(size_t)m * pixels + i] = (double)heat[i];
    }
    if (status == PSAL_OK) status = psal_spearman(maps, maps + pixels, pixels, &e->agreement, err);
    free(heat);
    free(maps);
    return status;
}

/* One noisy copy. In pixels' units a channel's noise is divided by what the preprocessing divides its pixels by. */
static void add_noise(const psal_explainer *x, psal_random *random, const float *input, float *out) {
    const psal_preprocess *prepare = &x->session->preprocess;
    const int channels = psal_preprocess_channels(prepare);
    const size_t plane = psal_session_image_size(x->session) / (size_t)channels;
    const double p = x->options.noise_percent;
    for (int c = 0; c < channels; c++) {
        const double sd = x->options.noise_sd > 0 ? x->options.noise_sd / prepare->scale / prepare->std[c] : p;
        for (size_t j = (size_t)c * plane; j < (size_t)(c + 1) * plane; j++)
            out[j] = (float)((1 - p) * input[j] + sd * psal_random_normal(random));
    }
}

/* e->input is there: the forward pass and all that follows. */
static psal_status explain_prepared(psal_explainer *x, psal_explanation *e, draw *d, int label, psal_error *err) {
    const double start = psal_seconds();
    psal_status status = psal_saliency_forward(x->worker, e->input, err);
    if (status == PSAL_OK) status = read_prediction(x, e, label, err);
    e->seconds_forward = psal_seconds() - start;

    size_t elements = psal_session_image_size(x->session);
    psal_random noise = {x->options.seed};
    const bool clean_image = x->options.noise_percent == 0 && x->options.noise_sd == 0;
    for (int i = 0; i < x->options.noise_iters && status == PSAL_OK && !e->left_out; i++) {
        float *clean = d->image;
        if (clean_image)
            d->image = e->input;
        else
            add_noise(x, &noise, e->input, d->image);
        status = run_draw(x, e, d, i == 0 && clean_image, false, 0, e->gradient, err);
        if (status == PSAL_OK && x->options.compare_random)
            status = run_draw(x, e, d, false, true, x->options.seed + (uint64_t)i, e->random_gradient, err);
        d->image = clean;
        x->copies++;
        psal_progress_add(x->progress, 1);
        if (status == PSAL_OK && x->step && x->step(x->step_data, i + 1, x->options.noise_iters))
            status = psal_fail(err, PSAL_ERR_CANCELLED, "interrupted after %d of %d copies", i + 1,
                               x->options.noise_iters);
    }
    leave_out(e->gradient, elements, e->maps, x->options.noise_iters);
    leave_out(&e->cosine, 1, e->maps, x->options.noise_iters);
    if (e->random_gradient) leave_out(e->random_gradient, elements, e->random_maps, x->options.noise_iters);
    if (!e->maps) e->cosine = NAN;
    if (status == PSAL_OK && !e->left_out) status = rank(x, e, err);
    e->agreement = NAN;
    if (status == PSAL_OK && e->maps && e->random_maps) status = compare_maps(x, e, err);
    return status;
}

psal_status psal_explain(psal_explainer *x, const char *path, const psal_image *image, int label, psal_explanation *e,
                         psal_error *err) {
    memset(e, 0, sizeof *e);
    e->path = path;
    draw d = {0};
    double start = psal_seconds();
    psal_status status = allocate(x, e, err);
    if (status == PSAL_OK) status = draw_allocate(x, &d, err);
    if (status == PSAL_OK) status = psal_session_prepare(x->session, image, &e->pixels, e->input, err);
    e->seconds_image = psal_seconds() - start;
    if (status == PSAL_OK) status = explain_prepared(x, e, &d, label, err);
    draw_free(&d);
    return status;
}

psal_status psal_explain_input(psal_explainer *x, const char *path, const float *input, int label, psal_explanation *e,
                               psal_error *err) {
    memset(e, 0, sizeof *e);
    e->path = path;
    draw d = {0};
    const size_t size = psal_session_image_size(x->session);
    for (size_t i = 0; i < size; i++)
        if (!isfinite(input[i]))
            return psal_fail(err, PSAL_ERR_NUMERIC, "%s: number %zu of the network's input is %g", path, i,
                             (double)input[i]);
    psal_status status = allocate(x, e, err);
    if (status == PSAL_OK) status = draw_allocate(x, &d, err);
    if (status == PSAL_OK) memcpy(e->input, input, size * sizeof *input);
    if (status == PSAL_OK)
        status = psal_preprocess_undo(&x->session->preprocess, input, x->session->height, x->session->width, &e->pixels,
                                      err);
    if (status == PSAL_OK) status = explain_prepared(x, e, &d, label, err);
    draw_free(&d);
    return status;
}
