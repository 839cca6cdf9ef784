#include "saliency/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

static const char *const names[PSAL_PRUNE_COUNT] = {"weights", "channel", "noise", "normal"};

const char *psal_prune_name(psal_prune_how how) {
    return names[how];
}

/* Zero row `row` of a normalisation's scale or shift, where there is one. */
static psal_status zero_element(psal_edit *edit, int parameter, int64_t row, psal_error *err) {
    if (parameter < 0) return PSAL_OK;
    float *value = psal_edit_row(edit, parameter, row, NULL, err);
    if (!value) return err->status;
    *value = 0;
    return PSAL_OK;
}

static psal_status zero_norm(psal_edit *edit, const psal_model *model, int64_t filter, psal_error *err) {
    int parameter = psal_model_filter_parameter(model, (int)filter), scale, shift;
    int64_t row = filter - psal_model_get_parameter(model, parameter)->first_filter;
    psal_model_filter_norm(model, parameter, &scale, &shift);
    psal_status status = zero_element(edit, scale, row, err);
    return status == PSAL_OK ? zero_element(edit, shift, row, err) : status;
}

psal_status psal_prune_filters(psal_edit *edit, const psal_model *model, psal_prune_how how, const int64_t *filters,
                               int64_t k, double scale, uint64_t seed, psal_error *err) {
    psal_error own;
    if (!err) err = &own; /* so that the status of what fails below is known */
    for (int64_t i = 0; i < k; i++) {
        int64_t length;
        float *w = psal_edit_filter(edit, filters[i], &length, err);
        if (!w) return err->status;
        psal_random random = {seed ^ ((uint64_t)filters[i] * 0x9e3779b97f4a7c15u)};
        switch (how) {
        case PSAL_PRUNE_NOISE:
            for (int64_t j = 0; j < length; j++) w[j] *= (float)(1 + scale * psal_random_normal(&random));
            break;
        case PSAL_PRUNE_NORMAL:
            for (int64_t j = 0; j < length; j++) w[j] += (float)(scale * psal_random_normal(&random));
            break;
        default: memset(w, 0, (size_t)length * sizeof *w); break;
        }
        if (how != PSAL_PRUNE_CHANNEL) continue;
        psal_status status = zero_norm(edit, model, filters[i], err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

/* ---- the experiment on one sample ---- */

typedef struct experiment {
    const psal_model *model;
    psal_classifier_worker *worker;
    psal_edit *edit;
    const psal_prune_sample *sample;
    const psal_prune_options *options;
    int classes, predicted, wrong; /* before; wrong: whose confidence should fall */
    double *before, *after;        /* [classes] */
    int64_t *filters;              /* [largest k] */
} experiment;

static psal_status count_broken(experiment *e, double *broken, psal_error *err) {
    const psal_prune_options *o = e->options;
    int count = 0;
    for (int i = 0; i < o->right_count; i++) {
        const float *logits;
        psal_status status = psal_classifier_run(e->worker, o->right[i], psal_edit_values(e->edit), &logits, err);
        if (status != PSAL_OK) return status;
        count += psal_predicted_class(logits, e->classes, -1) != o->right_labels[i];
    }
    *broken = o->right_count ? (double)count / o->right_count : 0;
    return PSAL_OK;
}

/* Run the network without e->filters[k] and add what happened to *result. */
static psal_status add_variant(experiment *e, int64_t k, uint64_t seed, psal_prune_result *result, psal_error *err) {
    const psal_prune_options *o = e->options;
    psal_edit_reset(e->edit);
    psal_status status = psal_prune_filters(e->edit, e->model, o->how, e->filters, k, o->scale, seed, err);
    const float *logits;
    if (status == PSAL_OK)
        status = psal_classifier_run(e->worker, e->sample->image, psal_edit_values(e->edit), &logits, err);
    double broken = 0;
    if (status == PSAL_OK) {
        psal_confidences(logits, e->classes, e->after);
        int predicted = psal_predicted_class(logits, e->classes, -1);
        result->wrong += e->after[e->wrong] - e->before[e->wrong];
        result->truth += e->after[e->sample->label] - e->before[e->sample->label];
        result->correct += predicted == e->sample->label;
        result->changed += predicted != e->predicted;
        result->dead += (double)psal_count_dead(e->sample->naive, e->filters, k);
        status = count_broken(e, &broken, err);
    }
    result->broken += broken;
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

static psal_status try_choice(experiment *e, psal_choice choice, psal_prune_result *results, psal_error *err) {
    const psal_prune_options *o = e->options;
    bool noisy = o->how == PSAL_PRUNE_NOISE || o->how == PSAL_PRUNE_NORMAL;
    int draws = psal_choice_is_random(choice) || noisy ? o->draws : 1;
    if (draws < 1) draws = 1;
    psal_random seeds = {e->sample->seed ^ (uint64_t)choice << 56};
    for (int draw = 0; draw < draws; draw++) {
        uint64_t choosing = psal_random_bits(&seeds), noise = psal_random_bits(&seeds);
        psal_status status = psal_choose(e->model, choice, e->sample->naive, e->sample->standardized, choosing,
                                         o->k[o->k_count - 1], e->filters, err);
        for (int i = 0; i < o->k_count && status == PSAL_OK; i++)
            status = add_variant(e, o->k[i], noise, &results[i], err);
        if (status != PSAL_OK) return status;
    }
    for (int i = 0; i < o->k_count; i++) divide(&results[i], draws);
    return PSAL_OK;
}

static psal_status check_options(const psal_model *model, const psal_prune_sample *sample, const psal_prune_options *o,
                                 psal_error *err) {
    int classes = psal_model_get_info(model)->num_classes;
    if (sample->label < 0 || sample->label >= classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "label %d: the network has classes 0 to %d", sample->label, classes - 1);
    if (classes < 2) return psal_fail(err, PSAL_ERR_ARGUMENT, "a network of one class makes no mistakes");
    if (o->k_count < 1 || o->choice_count < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "pruning needs a number of filters and a way to choose them");
    for (int i = 0; i < o->k_count; i++)
        if (o->k[i] < 0 || (i > 0 && o->k[i] <= o->k[i - 1]))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "numbers of filters should ascend: %lld", (long long)o->k[i]);
    return PSAL_OK;
}

psal_status psal_prune_experiment(const psal_model *model, psal_classifier_worker *worker, psal_edit *edit,
                                  const psal_prune_sample *sample, const psal_prune_options *options, double *before,
                                  psal_prune_result *results, psal_error *err) {
    psal_status status = check_options(model, sample, options, err);
    if (status != PSAL_OK) return status;
    int classes = psal_model_get_info(model)->num_classes;
    experiment e = {model, worker, edit, sample, options, .classes = classes};
    int64_t most = options->k[options->k_count - 1];
    if (most > psal_choosable(model))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot choose %lld filters: %s has %lld", (long long)most,
                         psal_model_get_info(model)->arch, (long long)psal_choosable(model));
    e.before = malloc((size_t)classes * sizeof *e.before);
    e.after = malloc((size_t)classes * sizeof *e.after);
    e.filters = malloc(((size_t)most + 1) * sizeof *e.filters);
    const float *logits;
    if (!e.before || !e.after || !e.filters)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for pruning %lld filters", (long long)most);
    else
        status = psal_classifier_run(worker, sample->image, NULL, &logits, err);
    if (status == PSAL_OK) {
        psal_confidences(logits, classes, e.before);
        e.predicted = psal_predicted_class(logits, classes, -1);
        e.wrong = psal_predicted_class(logits, classes, sample->label);
        if (before) memcpy(before, e.before, (size_t)classes * sizeof *before);
        memset(results, 0, (size_t)options->choice_count * (size_t)options->k_count * sizeof *results);
    }
    for (int c = 0; c < options->choice_count && status == PSAL_OK; c++)
        status = try_choice(&e, options->choices[c], results + c * options->k_count, err);
    psal_edit_reset(edit);
    free(e.before);
    free(e.after);
    free(e.filters);
    return status;
}

psal_mean psal_mean_error(const double *values, size_t count, size_t stride) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += values[i * stride];
    double mean = count ? sum / (double)count : 0;
    for (size_t i = 0; i < count; i++) squares += (values[i * stride] - mean) * (values[i * stride] - mean);
    return (psal_mean){mean, count > 1 ? sqrt(squares / (double)(count - 1) / (double)count) : 0};
}
