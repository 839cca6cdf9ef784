#include "saliency/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

static const char *const names[PSAL_PRUNE_COUNT] = {"weights", "channel", "noise", "normal", "isotropic"};

const char *psal_prune_name(psal_prune_how how) {
    return names[how];
}

bool psal_prune_is_noisy(psal_prune_how how) {
    return how == PSAL_PRUNE_NOISE || how == PSAL_PRUNE_NORMAL || how == PSAL_PRUNE_ISOTROPIC;
}

/* By what N(0,1) is multiplied: the numbers are drawn twice rather than kept. */
static double isotropic_factor(const psal_edit_weights *w, double scale, psal_random random) {
    double weights = 0, noise = 0;
    for (int64_t j = 0; j < w->length; j++) {
        const double value = w->values[j * w->stride], e = psal_random_normal(&random);
        weights += value * value;
        noise += e * e;
    }
    return noise > 0 ? scale * sqrt(weights / noise) : 0;
}

/* Zero row `row` of a normalisation's scale or shift, where there is one. */
static psal_status zero_element(psal_edit *edit, int parameter, int64_t row, psal_error *err) {
    if (parameter < 0) return PSAL_OK;
    psal_edit_weights element;
    psal_status status = psal_edit_row(edit, parameter, row, &element, err);
    if (status == PSAL_OK) *element.values = 0;
    return status;
}

static psal_status zero_norm(psal_edit *edit, const psal_model *model, psal_units units, int64_t filter,
                             psal_error *err) {
    int64_t row;
    int scale, shift;
    psal_model_filter_norm(model, psal_model_unit_parameter(model, units, filter, &row), &scale, &shift);
    psal_status status = zero_element(edit, scale, row, err);
    return status == PSAL_OK ? zero_element(edit, shift, row, err) : status;
}

psal_status psal_prune_filters(psal_edit *edit, const psal_model *model, psal_units units, psal_prune_how how,
                               const int64_t *filters, int64_t k, double scale, uint64_t seed, psal_error *err) {
    for (int64_t i = 0; i < k; i++) {
        psal_edit_weights w;
        psal_status status = psal_edit_unit(edit, units, filters[i], &w, err);
        if (status != PSAL_OK) return status;
        psal_random random = {seed ^ ((uint64_t)filters[i] * 0x9e3779b97f4a7c15u)};
        const double factor = how == PSAL_PRUNE_ISOTROPIC ? isotropic_factor(&w, scale, random) : scale;
        for (int64_t j = 0; j < w.length; j++) {
            float *value = &w.values[j * w.stride];
            if (how == PSAL_PRUNE_NOISE)
                *value *= (float)(1 + scale * psal_random_normal(&random));
            else if (how == PSAL_PRUNE_NORMAL || how == PSAL_PRUNE_ISOTROPIC)
                *value += (float)(factor * psal_random_normal(&random));
            else
                *value = 0;
        }
        if (how != PSAL_PRUNE_CHANNEL) continue;
        status = zero_norm(edit, model, units, filters[i], err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

/* ---- the experiment on one sample ----
 *
 * A variant is a set of filters to switch off. All variants run on one image before the next image comes, in an order
 * in which those that are the same up to some layer follow each other: what comes before the first difference from the
 * variant before is not run again, and equal variants run once. */

typedef struct variant {
    size_t result; /* [choice][k] */
    psal_variant off;
    uint64_t noise; /* 0 where there is none */
    double wrong, truth;
    bool correct, changed;
    int broken;
} variant;

typedef struct experiment {
    const psal_model *model;
    psal_classifier_worker *worker;
    psal_variants_worker *variants_worker;
    psal_edit *edit;
    const psal_prune_sample *sample;
    const psal_prune_options *options;
    int classes, predicted, wrong; /* before; wrong: whose confidence should fall */
    double *before, *after;        /* [classes] */
    variant *variants;             /* [count] in order of the results, then of the draws */
    variant **order;               /* [count] in order of running */
    size_t count;
    int64_t *filters; /* of all variants */
    size_t used;
    psal_variant *running; /* the same, for psal_variants_run */
    void (*keep)(struct experiment *e, variant *v,
                 const float *logits); /* what to do with the answers of the image that */
    int label;                         /* runs now, and its label */
} experiment;

static int draws_of(const psal_prune_options *o, psal_choice choice) {
    return (psal_choice_is_random(choice) || psal_prune_is_noisy(o->how)) && o->draws > 1 ? o->draws : 1;
}

static size_t all_draws(const psal_prune_options *o) {
    size_t draws = 0;
    for (int c = 0; c < o->choice_count; c++) draws += (size_t)draws_of(o, o->choices[c]);
    return draws;
}

int64_t psal_prune_steps(const psal_prune_options *o) {
    return (int64_t)all_draws(o) * o->k_count * (1 + o->right_count);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Variants that are equal up to some filter stand together: descending, by noise, then by their first filters; where
 * one list ends, the other goes on with more. */
static int running_order(const void *left, const void *right) {
    const variant *a = *(variant *const *)left, *b = *(variant *const *)right;
    if (a->noise != b->noise) return a->noise < b->noise ? 1 : -1;
    for (int64_t i = 0; i < a->off.count && i < b->off.count; i++)
        if (a->off.filters[i] != b->off.filters[i]) return a->off.filters[i] < b->off.filters[i] ? 1 : -1;
    if (a->off.count != b->off.count) return a->off.count > b->off.count ? 1 : -1;
    return (a > b) - (a < b);
}

/* The k filters of one draw of a choice, and the seed of its noise: everything that is random in an experiment. */
static psal_status choose_draw(const psal_model *model, const psal_prune_sample *sample, psal_choice choice, int draw,
                               int64_t k, int64_t *filters, uint64_t *noise, psal_error *err) {
    psal_random seeds = {sample->seed ^ (uint64_t)choice << 56};
    uint64_t choosing;
    do {
        choosing = psal_random_bits(&seeds);
        *noise = psal_random_bits(&seeds);
    } while (draw-- > 0);
    return psal_choose(model, sample->units, choice, sample->naive, sample->standardized, sample->change, sample->live,
                       choosing, k, filters, err);
}

psal_status psal_prune_draw(psal_edit *edit, const psal_model *model, const psal_prune_sample *sample,
                            const psal_prune_options *o, int c, int i, int draw, psal_error *err) {
    int64_t k = o->k[i], *filters = malloc(((size_t)k + 1) * sizeof *filters);
    uint64_t noise;
    if (!filters) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld filters", (long long)k);
    psal_status status = choose_draw(model, sample, o->choices[c], draw, k, filters, &noise, err);
    if (status == PSAL_OK)
        status = psal_prune_filters(edit, model, sample->units, o->how, filters, k, o->scale, noise, err);
    free(filters);
    return status;
}

/* Choose the filters of every variant of one choice. */
static psal_status list_choice(experiment *e, int c, psal_error *err) {
    const psal_prune_options *o = e->options;
    psal_choice choice = o->choices[c];
    int64_t most = o->k[o->k_count - 1];
    for (int draw = 0; draw < draws_of(o, choice); draw++) {
        uint64_t noise;
        int64_t *chosen = e->filters + e->used;
        e->used += (size_t)most;
        psal_status status = choose_draw(e->model, e->sample, choice, draw, most, chosen, &noise, err);
        if (status != PSAL_OK) return status;
        for (int i = 0; i < o->k_count; i++) {
            variant *v = &e->variants[e->count];
            int64_t *filters = e->filters + e->used;
            *v = (variant){.result = (size_t)c * (size_t)o->k_count + (size_t)i,
                           .off = {filters, o->k[i]},
                           .noise = psal_prune_is_noisy(o->how) ? noise : 0};
            memcpy(filters, chosen, (size_t)o->k[i] * sizeof *filters);
            qsort(filters, (size_t)o->k[i], sizeof *filters, ascending);
            e->used += (size_t)o->k[i];
            e->order[e->count++] = v;
        }
    }
    return PSAL_OK;
}

static psal_status list_variants(experiment *e, psal_error *err) {
    const psal_prune_options *o = e->options;
    const size_t draws = all_draws(o);
    size_t filters = (size_t)o->k[o->k_count - 1];
    for (int i = 0; i < o->k_count; i++) filters += (size_t)o->k[i];
    e->variants = malloc(draws * (size_t)o->k_count * sizeof *e->variants);
    e->order = malloc(draws * (size_t)o->k_count * sizeof *e->order);
    e->running = malloc(draws * (size_t)o->k_count * sizeof *e->running);
    e->filters = calloc(draws * filters + 1, sizeof *e->filters);
    if (!e->variants || !e->order || !e->running || !e->filters)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for pruning %zu filters", draws * filters);
    psal_status status = PSAL_OK;
    for (int c = 0; c < o->choice_count && status == PSAL_OK; c++) status = list_choice(e, c, err);
    if (status == PSAL_OK) qsort(e->order, e->count, sizeof *e->order, running_order);
    for (size_t i = 0; i < e->count; i++) e->running[i] = e->order[i]->off;
    return status;
}

/* What the network says with the values of `edit`, run from part `first` on. */
static psal_status run_edited(experiment *e, const variant *v, int first, const float **logits, psal_error *err) {
    const psal_prune_options *o = e->options;
    psal_edit_reset(e->edit);
    psal_status status = psal_prune_filters(e->edit, e->model, e->sample->units, o->how, v->off.filters, v->off.count,
                                            o->scale, v->noise, err);
    return status == PSAL_OK ? psal_classifier_rerun(e->worker, first, psal_edit_values(e->edit), logits, err) : status;
}

/* Run every variant by itself. */
static psal_status run_alone(experiment *e, psal_error *err) {
    const variant whole = {.noise = 0}, *last = &whole;
    const float *logits = NULL;
    for (size_t i = 0; i < e->count; i++) {
        variant *v = e->order[i];
        int64_t filter = psal_variant_difference(&last->off, &v->off);
        if (v->noise != last->noise && v->off.count > 0 && last->off.count > 0)
            filter = v->off.filters[0] < last->off.filters[0] ? v->off.filters[0] : last->off.filters[0];
        if (filter != INT64_MAX || !logits) {
            int first = 0;
            if (filter != INT64_MAX)
                first = psal_classifier_part(psal_classifier_of(e->worker),
                                             psal_model_unit_parameter(e->model, e->sample->units, filter, NULL));
            psal_status status = run_edited(e, v, first, &logits, err);
            if (status != PSAL_OK) return status;
        }
        e->keep(e, v, logits);
        last = v;
    }
    return PSAL_OK;
}

static void keep_variant(void *data, size_t i, const float *logits) {
    experiment *e = data;
    e->keep(e, e->order[i], logits);
}

/* Run every variant on the image that the whole network has run on, and hand its logits to `keep`. */
static psal_status run_variants(experiment *e, void (*keep)(experiment *e, variant *v, const float *logits), int label,
                                psal_error *err) {
    e->keep = keep;
    e->label = label;
    if (!e->variants_worker || psal_prune_is_noisy(e->options->how)) return run_alone(e, err);
    return psal_variants_run(e->variants_worker, e->running, e->count, keep_variant, e, err);
}

static void count_step(const experiment *e) {
    if (e->options->step) e->options->step(e->options->step_data);
}

static void keep_sample(experiment *e, variant *v, const float *logits) {
    int predicted = psal_predicted_class(logits, e->classes, -1);
    psal_confidences(logits, e->classes, e->after);
    v->wrong = e->after[e->wrong] - e->before[e->wrong];
    v->truth = e->after[e->label] - e->before[e->label];
    v->correct = predicted == e->label;
    v->changed = predicted != e->predicted;
    count_step(e);
}

static void keep_right(experiment *e, variant *v, const float *logits) {
    v->broken += psal_predicted_class(logits, e->classes, -1) != e->label;
    count_step(e);
}

static psal_status run_images(experiment *e, psal_error *err) {
    const psal_prune_options *o = e->options;
    const float *logits;
    psal_status status = run_variants(e, keep_sample, e->sample->label, err);
    for (int i = 0; i < o->right_count && status == PSAL_OK; i++) {
        status = psal_classifier_run(e->worker, o->right[i], NULL, &logits, err);
        if (status == PSAL_OK) status = run_variants(e, keep_right, o->right_labels[i], err);
    }
    return status;
}

static void divide(psal_prune_result *r, double n) {
    r->wrong /= n;
    r->truth /= n;
    r->correct /= n;
    r->changed /= n;
    r->dead /= n;
    r->broken /= n;
}

/* The averages over the draws. */
static void average(const experiment *e, psal_prune_result *results) {
    const psal_prune_options *o = e->options;
    memset(results, 0, (size_t)o->choice_count * (size_t)o->k_count * sizeof *results);
    for (size_t i = 0; i < e->count; i++) {
        const variant *v = &e->variants[i];
        psal_prune_result *r = &results[v->result];
        r->wrong += v->wrong;
        r->truth += v->truth;
        r->correct += v->correct;
        r->changed += v->changed;
        r->dead += (double)psal_count_dead(e->sample->naive, v->off.filters, v->off.count);
        if (o->right_count) r->broken += (double)v->broken / o->right_count;
    }
    for (int c = 0; c < o->choice_count; c++)
        for (int i = 0; i < o->k_count; i++) divide(&results[c * o->k_count + i], draws_of(o, o->choices[c]));
}

static psal_status check_options(const psal_model *model, const psal_prune_sample *sample, const psal_prune_options *o,
                                 psal_error *err) {
    int classes = psal_model_get_info(model)->num_classes;
    if (sample->label < 0 || sample->label >= classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "label %d: the network has classes 0 to %d", sample->label,
                         classes - 1);
    if (classes < 2) return psal_fail(err, PSAL_ERR_ARGUMENT, "a network of one class makes no mistakes");
    if (o->k_count < 1 || o->choice_count < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "pruning needs a number of filters and a way to choose them");
    for (int i = 0; i < o->k_count; i++)
        if (o->k[i] < 0 || (i > 0 && o->k[i] <= o->k[i - 1]))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "numbers of filters should ascend: %lld", (long long)o->k[i]);
    return PSAL_OK;
}

psal_status psal_prune_experiment(const psal_model *model, psal_classifier_worker *worker,
                                  psal_variants_worker *variants, psal_edit *edit, const psal_prune_sample *sample,
                                  const psal_prune_options *options, double *before, psal_prune_result *results,
                                  psal_error *err) {
    psal_status status = check_options(model, sample, options, err);
    if (status != PSAL_OK) return status;
    int classes = psal_model_get_info(model)->num_classes;
    experiment e = {model, worker, variants, edit, sample, options, .classes = classes};
    int64_t most = options->k[options->k_count - 1];
    if (most >
        psal_choosable(model, sample->units,
                       options->choice_count == 1 && options->choices[0] == PSAL_CHOICE_ALL ? NULL : sample->live))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot choose %lld %s: %s has %lld that can be", (long long)most,
                         psal_units_name(sample->units), psal_model_get_info(model)->arch,
                         (long long)psal_choosable(model, sample->units, sample->live));
    e.before = malloc((size_t)classes * sizeof *e.before);
    e.after = malloc((size_t)classes * sizeof *e.after);
    const float *logits;
    status = e.before && e.after ? list_variants(&e, err)
                                 : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d classes", classes);
    if (status == PSAL_OK) status = psal_classifier_run(worker, sample->image, NULL, &logits, err);
    if (status == PSAL_OK) {
        psal_confidences(logits, classes, e.before);
        e.predicted = psal_predicted_class(logits, classes, -1);
        e.wrong = psal_predicted_class(logits, classes, sample->label);
        if (before) memcpy(before, e.before, (size_t)classes * sizeof *before);
        status = run_images(&e, err);
    }
    if (status == PSAL_OK) average(&e, results);
    psal_edit_reset(edit);
    free(e.before);
    free(e.after);
    free(e.variants);
    free(e.order);
    free(e.running);
    free(e.filters);
    return status;
}

psal_mean psal_mean_error(const double *values, size_t count, size_t stride) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += values[i * stride];
    double mean = count ? sum / (double)count : NAN;
    for (size_t i = 0; i < count; i++) squares += (values[i * stride] - mean) * (values[i * stride] - mean);
    return (psal_mean){mean, count > 1 ? sqrt(squares / (double)(count - 1) / (double)count) : NAN};
}
