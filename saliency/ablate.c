#include "saliency/ablate.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "saliency/random.h"
#include "saliency/rank_correlation.h"

static const char *const score_names[] = {"naive", "standardized", "signed", "gradient-weight", "pot"};
static_assert(sizeof score_names / sizeof score_names[0] == PSAL_SCORE_COUNT, "a name per score");
static const char *const effect_names[] = {"loss", "loss-size", "wrong-logit", "wrong-logit-size"};
static_assert(sizeof effect_names / sizeof effect_names[0] == PSAL_EFFECT_COUNT, "a name per effect");

const char *psal_score_name(psal_score score) {
    return score_names[score];
}

const char *psal_effect_name(psal_effect effect) {
    return effect_names[effect];
}

/* ---- which filters ---- */

psal_status psal_ablate_draw(const psal_model *model, psal_units units, const bool *live, const float *naive,
                             const double *standardized, uint64_t seed, int64_t n, psal_ablation *ablations,
                             psal_error *err) {
    const int64_t all = psal_choosable(model, units, live);
    if (n < 1 || n > all)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot draw %lld %s: %s has %lld that can be ranked", (long long)n,
                         psal_units_name(units), psal_model_get_info(model)->arch, (long long)all);
    int64_t *ranking = malloc((size_t)all * sizeof *ranking);
    if (!ranking) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to rank %lld filters", (long long)all);
    psal_status status = psal_choose(model, units, PSAL_CHOICE_SALIENT, naive, standardized, NULL, live, seed, all,
                                     ranking, err);
    psal_random random = {seed};
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) {
        const int64_t first = i * all / n, end = (i + 1) * all / n;
        const int64_t at = first + (int64_t)psal_random_below(&random, (uint64_t)(end - first));
        ablations[i] = (psal_ablation){.unit = ranking[at], .rank = at + 1};
    }
    free(ranking);
    return status;
}

/* ---- what their scores are ---- */

psal_status psal_ablate_score(const psal_model *model, psal_tuner_worker *tuner, const psal_prune_sample *sample,
                              psal_ablation *ablations, int64_t n, psal_error *err) {
    psal_status status = psal_tuner_gradient(tuner, sample->image, sample->label, NULL, NULL, err);
    if (status != PSAL_OK) return status;
    for (int64_t i = 0; i < n; i++) {
        psal_ablation *a = &ablations[i];
        int64_t row, length = 0, stride = 0;
        const psal_model_parameter *p = psal_model_get_parameter(
            model, psal_model_unit_parameter(model, sample->units, a->unit, &row));
        const psal_outputs o = psal_parameter_outputs(p);
        const float *gradient = psal_tuner_filter_gradient(tuner, a->unit, &length, &stride);
        double sum = 0, product = 0;
        for (int64_t j = 0; gradient && j < length; j++) {
            const double slope = gradient[j * stride];
            sum += slope;
            product += slope * p->values[row * o.step + j * o.stride];
        }
        a->score[PSAL_SCORE_NAIVE] = sample->naive[a->unit];
        a->score[PSAL_SCORE_STANDARDIZED] = sample->standardized[a->unit];
        a->score[PSAL_SCORE_SIGNED] = length ? sum / (double)length : 0;
        a->score[PSAL_SCORE_GRADIENT_WEIGHT] = -product;
    }
    return PSAL_OK;
}

/* ---- what happens ---- */

typedef struct experiment {
    const psal_model *model;
    const psal_prune_sample *sample;
    int classes, wrong;
    double loss, logit;    /* before */
    psal_ablation **order; /* [n], the last filter of the network first: what comes before it is shared */
} experiment;

static void keep(void *data, size_t i, const float *logits) {
    const experiment *e = data;
    e->order[i]->loss = psal_cross_entropy_loss(logits, e->classes, e->sample->label) - e->loss;
    e->order[i]->logit = (double)logits[e->wrong] - e->logit;
}

static int last_first(const void *left, const void *right) {
    const psal_ablation *a = *(psal_ablation *const *)left, *b = *(psal_ablation *const *)right;
    return (a->unit < b->unit) - (a->unit > b->unit);
}

static psal_status run_shared(experiment *e, psal_variants_worker *variants, int64_t n, psal_error *err) {
    psal_variant *list = malloc((size_t)n * sizeof *list);
    if (!list) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld variants", (long long)n);
    for (int64_t i = 0; i < n; i++) list[i] = (psal_variant){&e->order[i]->unit, 1};
    psal_status status = psal_variants_run(variants, list, (size_t)n, keep, e, err);
    free(list);
    return status;
}

/* By itself: what comes before the layer that changes is left as it is, since the layers before it have their own
 * weights again in every run. */
static psal_status run_alone(experiment *e, psal_classifier_worker *worker, psal_edit *edit, psal_prune_how how,
                             int64_t n, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) {
        const int64_t unit = e->order[i]->unit;
        const int parameter = psal_model_unit_parameter(e->model, e->sample->units, unit, NULL);
        const float *logits = NULL;
        psal_edit_reset(edit);
        status = psal_prune_filters(edit, e->model, e->sample->units, how, &unit, 1, 0, 0, err);
        if (status == PSAL_OK)
            status = psal_classifier_rerun(worker, psal_classifier_part(psal_classifier_of(worker), parameter),
                                           psal_edit_values(edit), &logits, err);
        if (status == PSAL_OK) keep(e, (size_t)i, logits);
    }
    psal_edit_reset(edit);
    return status;
}

static psal_status check(const psal_model *model, const psal_prune_sample *sample, psal_prune_how how,
                         psal_error *err) {
    const int classes = psal_model_get_info(model)->num_classes;
    if (classes < 2) return psal_fail(err, PSAL_ERR_ARGUMENT, "a network of one class makes no mistakes");
    if (sample->label < 0 || sample->label >= classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "label %d: the network has classes 0 to %d", sample->label,
                         classes - 1);
    if (how == PSAL_PRUNE_WEIGHTS || how == PSAL_PRUNE_CHANNEL) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' does not switch filters off", psal_prune_name(how));
}

psal_status psal_ablate_run(const psal_model *model, psal_classifier_worker *worker, psal_variants_worker *variants,
                            psal_edit *edit, const psal_prune_sample *sample, psal_prune_how how,
                            psal_ablation *ablations, int64_t n, psal_error *err) {
    experiment e = {model, sample, .classes = psal_model_get_info(model)->num_classes};
    const float *logits = NULL;
    psal_status status = check(model, sample, how, err);
    if (status != PSAL_OK) return status;
    if (!(e.order = malloc(((size_t)n + 1) * sizeof *e.order)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld filters", (long long)n);
    for (int64_t i = 0; i < n; i++) e.order[i] = &ablations[i];
    qsort(e.order, (size_t)n, sizeof *e.order, last_first);
    psal_edit_reset(edit);
    if ((status = psal_classifier_run(worker, sample->image, NULL, &logits, err)) == PSAL_OK) {
        e.wrong = psal_predicted_class(logits, e.classes, sample->label);
        e.loss = psal_cross_entropy_loss(logits, e.classes, sample->label);
        e.logit = logits[e.wrong];
        status = variants ? run_shared(&e, variants, n, err) : run_alone(&e, worker, edit, how, n, err);
    }
    free(e.order);
    return status;
}

/* ---- how they agree ---- */

static bool is_size(psal_effect effect) {
    return effect == PSAL_EFFECT_LOSS_SIZE || effect == PSAL_EFFECT_LOGIT_SIZE;
}

static double score_of(const psal_ablation *a, psal_score score, psal_effect effect) {
    const bool has_sign = score == PSAL_SCORE_SIGNED || score == PSAL_SCORE_GRADIENT_WEIGHT;
    return has_sign && is_size(effect) ? fabs(a->score[score]) : a->score[score];
}

static double effect_of(const psal_ablation *a, psal_effect effect) {
    const double change = effect == PSAL_EFFECT_LOSS || effect == PSAL_EFFECT_LOSS_SIZE ? a->loss : a->logit;
    return is_size(effect) ? fabs(change) : change;
}

psal_status psal_ablate_agreement(const psal_ablation *ablations, int64_t n, psal_score score, psal_effect effect,
                                  psal_agreement *agreement, psal_error *err) {
    double *x = malloc((2 * (size_t)n + 1) * sizeof *x), *y = x + n;
    if (!x) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to compare %lld filters", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        x[i] = score_of(&ablations[i], score, effect);
        y[i] = effect_of(&ablations[i], effect);
    }
    psal_status status = psal_spearman(x, y, (size_t)n, &agreement->spearman, err);
    if (status == PSAL_OK) status = psal_kendall(x, y, (size_t)n, &agreement->kendall, err);
    free(x);
    return status;
}
