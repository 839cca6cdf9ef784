#include "saliency/finetune.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "saliency/saliency.h"

/* Stages of the plan: logits; loss and gradients. */
enum { STAGE_FORWARD, STAGE_GRADIENT, STAGE_COUNT };

struct psal_tuner {
    const psal_model *model;
    psal_units units;
    psal_graph *graph;
    psal_network network;
    psal_plan *plan;
    psal_node label, loss;
    psal_node *gradients; /* [parameters]: of those with units in the graph, else PSAL_NO_NODE */
};

struct psal_tuner_worker {
    const psal_tuner *tuner;
    psal_workspace *workspace;
    float label;
};

/* Append dL/dw of every weight with units; outputs[0] is the loss, then come the gradients. */
static psal_status build_gradients(psal_tuner *t, psal_node *outputs, int *count, psal_error *err) {
    int parameters = psal_model_parameter_count(t->model), filters = 0;
    size_t capacity = (size_t)parameters + 1;
    psal_node *wrt = malloc(capacity * sizeof *wrt), *gradients = malloc(capacity * sizeof *gradients);
    if (!wrt || !gradients) {
        free(wrt);
        free(gradients);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for gradients of %d parameters", parameters);
    }
    for (int i = 0; i < parameters; i++) {
        t->gradients[i] = PSAL_NO_NODE;
        if (psal_model_get_parameter(t->model, i)->first_unit[t->units] >= 0 &&
            t->network.parameters[i] != PSAL_NO_NODE)
            wrt[filters++] = t->network.parameters[i];
    }
    psal_gradient(t->graph, t->loss, wrt, filters, gradients);
    outputs[0] = t->loss;
    *count = 1;
    for (int i = 0, k = 0; i < parameters; i++)
        if (k < filters && t->network.parameters[i] == wrt[k]) outputs[(*count)++] = t->gradients[i] = gradients[k++];
    free(wrt);
    free(gradients);
    return psal_graph_check(t->graph, err);
}

static psal_status build(psal_tuner *t, const psal_classifier_options *options, psal_error *err) {
    const psal_model_info *info = psal_model_get_info(t->model);
    int height = options->height ? options->height : info->native_size;
    int width = options->width ? options->width : info->native_size, count = 0;
    psal_status status = psal_model_build(t->model, t->graph, 1, height, width, &t->network, err);
    if (status != PSAL_OK) return status;
    psal_graph_set_layer(t->graph, "loss");
    t->label = psal_input(t->graph, "label", PSAL_SHAPE(1));
    t->loss = psal_cross_entropy(t->graph, t->network.logits, t->label);
    size_t capacity = (size_t)psal_model_parameter_count(t->model) + 1;
    t->gradients = malloc(capacity * sizeof *t->gradients);
    psal_node *outputs = malloc(capacity * sizeof *outputs);
    if (!t->gradients || !outputs)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for gradients of %zu parameters", capacity);
    else
        status = build_gradients(t, outputs, &count, err);
    if (status == PSAL_OK) {
        psal_plan_options plan = {.outputs = {&t->network.logits, outputs},
                                  .output_count = {1, count},
                                  .stages = STAGE_COUNT,
                                  .threads = options->threads,
                                  .memory_limit = options->memory_limit,
                                  .conv = options->conv};
        t->plan = psal_plan_new(t->graph, &plan, err);
        status = t->plan ? psal_model_bind(t->model, &t->network, t->plan, err) : psal_error_status(err);
    }
    free(outputs);
    return status;
}

psal_tuner *psal_tuner_new(const psal_model *model, psal_units units, const psal_classifier_options *options,
                           psal_error *err) {
    if (psal_loss_check(model, PSAL_LOSS_CROSS_ENTROPY, err) != PSAL_OK) return NULL;
    psal_tuner *t = calloc(1, sizeof *t);
    if (t) t->graph = psal_graph_new();
    if (!t || !t->graph) {
        free(t);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the graph of %s", psal_model_get_info(model)->arch);
        return NULL;
    }
    t->model = model;
    t->units = units;
    if (build(t, options, err) == PSAL_OK) return t;
    psal_tuner_free(t);
    return NULL;
}

void psal_tuner_free(psal_tuner *t) {
    if (!t) return;
    psal_plan_free(t->plan);
    psal_network_free(&t->network);
    psal_graph_free(t->graph);
    free(t->gradients);
    free(t);
}

psal_tuner_worker *psal_tuner_worker_new(const psal_tuner *tuner, psal_error *err) {
    psal_tuner_worker *w = calloc(1, sizeof *w);
    if (!w) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a worker");
        return NULL;
    }
    w->tuner = tuner;
    w->workspace = psal_workspace_new(tuner->plan, err);
    if (w->workspace) return w;
    free(w);
    return NULL;
}

void psal_tuner_worker_free(psal_tuner_worker *w) {
    if (!w) return;
    psal_workspace_free(w->workspace);
    free(w);
}

psal_status psal_tuner_gradient(psal_tuner_worker *w, const float *image, int label, const float *const *values,
                                double *loss, psal_error *err) {
    const psal_tuner *t = w->tuner;
    int classes = psal_model_get_info(t->model)->num_classes;
    if (label < 0 || label >= classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "label %d: the network has classes 0 to %d", label, classes - 1);
    w->label = (float)label;
    psal_status status = psal_workspace_set(w->workspace, t->network.image, image, err);
    if (status == PSAL_OK) status = psal_workspace_set(w->workspace, t->label, &w->label, err);
    for (int i = 0; i < psal_model_parameter_count(t->model) && status == PSAL_OK; i++)
        if (t->network.parameters[i] != PSAL_NO_NODE)
            status = psal_workspace_set(w->workspace, t->network.parameters[i], values ? values[i] : NULL, err);
    if (status == PSAL_OK) status = psal_workspace_run(w->workspace, STAGE_FORWARD, err);
    if (status == PSAL_OK) status = psal_workspace_run(w->workspace, STAGE_GRADIENT, err);
    if (status != PSAL_OK) return status;
    double value = *psal_workspace_get(w->workspace, t->loss);
    if (loss) *loss = value;
    return isfinite(value) ? PSAL_OK : psal_fail(err, PSAL_ERR_NUMERIC, "the loss is not finite");
}

const float *psal_tuner_filter_gradient(const psal_tuner_worker *w, int64_t filter, int64_t *length, int64_t *stride) {
    const psal_tuner *t = w->tuner;
    int64_t row;
    const int parameter = psal_model_unit_parameter(t->model, t->units, filter, &row);
    if (parameter < 0 || t->gradients[parameter] == PSAL_NO_NODE) return NULL;
    const psal_outputs o = psal_parameter_outputs(psal_model_get_parameter(t->model, parameter));
    *length = o.length;
    *stride = o.stride;
    return psal_workspace_get(w->workspace, t->gradients[parameter]) + row * o.step;
}

/* The slopes along which one filter's weights move: the worker's, or the caller's. */
typedef struct slopes {
    const float *own; /* NULL: zeros */
    const double *given;
    int64_t stride;
} slopes;

/* *given (NULL: the worker's) moves on to the next filter's. */
static slopes slopes_of(const psal_tuner_worker *w, const double **given, int64_t filter, int64_t length) {
    slopes s = {NULL, *given, 1};
    int64_t own_length;
    if (*given)
        *given += length;
    else
        s.own = psal_tuner_filter_gradient(w, filter, &own_length, &s.stride);
    return s;
}

static double slope(const slopes *s, int64_t j) {
    return s->given ? s->given[j] : s->own ? s->own[j * s->stride] : 0;
}

/* The learning rate of a relative step: size |w| / |g|. */
static psal_status relative_rate(const psal_tuner_worker *w, psal_edit *edit, const int64_t *filters, int64_t k,
                                 const double *given, double size, double *rate, psal_error *err) {
    double weights = 0, gradients = 0;
    for (int64_t i = 0; i < k; i++) {
        psal_edit_weights at;
        psal_status status = psal_edit_unit(edit, w->tuner->units, filters[i], &at, err);
        if (status != PSAL_OK) return status;
        const slopes s = slopes_of(w, &given, filters[i], at.length);
        for (int64_t j = 0; j < at.length; j++) {
            const double value = at.values[j * at.stride];
            weights += value * value;
            gradients += slope(&s, j) * slope(&s, j);
        }
    }
    *rate = gradients > 0 ? size * sqrt(weights / gradients) : 0;
    return PSAL_OK;
}

psal_status psal_tuner_step_along(const psal_tuner_worker *w, psal_edit *edit, const int64_t *filters, int64_t k,
                                  const double *given, psal_step step, double *rate, psal_error *err) {
    psal_status status = PSAL_OK;
    double r = step.size;
    if (step.relative) status = relative_rate(w, edit, filters, k, given, step.size, &r, err);
    for (int64_t i = 0; i < k && status == PSAL_OK; i++) {
        psal_edit_weights at;
        if ((status = psal_edit_unit(edit, w->tuner->units, filters[i], &at, err)) != PSAL_OK) break;
        const slopes s = slopes_of(w, &given, filters[i], at.length);
        for (int64_t j = 0; j < at.length; j++) {
            float *value = &at.values[j * at.stride];
            *value = (float)(*value - r * slope(&s, j));
        }
    }
    if (status != PSAL_OK) return status;
    if (rate) *rate = r;
    return psal_edit_check(edit, err);
}

psal_status psal_tuner_step(const psal_tuner_worker *w, psal_edit *edit, const int64_t *filters, int64_t k,
                            psal_step step, double *rate, psal_error *err) {
    return psal_tuner_step_along(w, edit, filters, k, NULL, step, rate, err);
}

int64_t psal_tuner_lengths(const psal_tuner *t, const int64_t *filters, int64_t k) {
    int64_t length = 0;
    for (int64_t i = 0; i < k; i++) {
        const int parameter = psal_model_unit_parameter(t->model, t->units, filters[i], NULL);
        length += psal_parameter_outputs(psal_model_get_parameter(t->model, parameter)).length;
    }
    return length;
}

void psal_tuner_add_gradient(const psal_tuner_worker *w, const int64_t *filters, int64_t k, double factor,
                             double *sum) {
    for (int64_t i = 0; i < k; i++) {
        const int64_t length = psal_tuner_lengths(w->tuner, filters + i, 1);
        const double *own = NULL;
        const slopes s = slopes_of(w, &own, filters[i], length);
        for (int64_t j = 0; j < length; j++) *sum++ += factor * slope(&s, j);
    }
}

/* ---- the smallest change that corrects a sample ---- */

enum { RUNGS = 8, HALVINGS = 4 };

typedef struct search {
    const psal_tuner_worker *worker;
    psal_classifier_worker *classifier;
    psal_edit *edit;
    const float *image;
    int label, classes;
    const int64_t *filters;
    int tries;
    int whole; /* the parts of the classifier before this one hold what the unchanged network gives for the image */
} search;

/* The first part that the first k filters change. */
static int first_part(const search *s, int64_t k) {
    int first = INT_MAX;
    for (int64_t i = 0; i < k; i++) {
        int part = psal_classifier_part(
            psal_classifier_of(s->classifier),
            psal_model_unit_parameter(s->worker->tuner->model, s->worker->tuner->units, s->filters[i], NULL));
        if (part < first) first = part;
    }
    return first;
}

/* Whether a step of this size on the first k filters makes the prediction right. */
static psal_status corrects(search *s, int64_t k, double relative, bool *right, psal_error *err) {
    const float *logits;
    psal_edit_reset(s->edit);
    psal_status status = psal_tuner_step(s->worker, s->edit, s->filters, k, (psal_step){true, relative}, NULL, err);
    if (status == PSAL_OK) {
        int first = first_part(s, k);
        status = psal_classifier_rerun(s->classifier, first < s->whole ? first : s->whole, psal_edit_values(s->edit),
                                       &logits, err);
        s->whole = first;
    }
    s->tries++;
    if (status == PSAL_OK) *right = psal_predicted_class(logits, s->classes, -1) == s->label;
    return status;
}

/* The first rung at which the first k filters correct the sample: *high, and the one below it (or 0): *low. */
static psal_status climb(search *s, int64_t k, double largest, bool *right, double *low, double *high,
                         psal_error *err) {
    *low = 0;
    for (int rung = RUNGS - 1; rung >= 0; rung--) {
        *high = ldexp(largest, -rung);
        psal_status status = corrects(s, k, *high, right, err);
        if (status != PSAL_OK || *right) return status;
        *low = *high;
    }
    return PSAL_OK;
}

/* The fewest filters that suffice: doubled, then halved back. */
static psal_status find_k(search *s, int64_t most, double largest, bool *right, int64_t *k, double *low, double *high,
                          psal_error *err) {
    int64_t fails = 0, succeeds = 0;
    double l, h;
    for (int64_t n = 1; !succeeds; n = 2 * n < most ? 2 * n : most) {
        psal_status status = climb(s, n, largest, right, low, high, err);
        if (status != PSAL_OK) return status;
        if (*right)
            succeeds = n;
        else
            fails = n;
        if (fails == most) return PSAL_OK;
    }
    while (succeeds - fails > 1) {
        int64_t middle = fails + (succeeds - fails) / 2;
        bool good;
        psal_status status = climb(s, middle, largest, &good, &l, &h, err);
        if (status != PSAL_OK) return status;
        if (good) {
            succeeds = middle;
            *low = l;
            *high = h;
        } else {
            fails = middle;
        }
    }
    *right = true;
    *k = succeeds;
    return PSAL_OK;
}

psal_status psal_tune_until_correct(const psal_tuner_worker *worker, psal_classifier_worker *classifier,
                                    psal_edit *edit, const float *image, int label, const int64_t *filters,
                                    int64_t most, double largest, psal_search_result *result, psal_error *err) {
    search s = {worker, classifier, edit, image, label, .filters = filters};
    s.classes = psal_model_get_info(worker->tuner->model)->num_classes;
    *result = (psal_search_result){0};
    if (most < 1 || !(largest > 0))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a search over %lld filters and steps up to %g", (long long)most,
                         largest);
    double low = 0, high = 0;
    bool right = false;
    int64_t k = 0;
    const float *logits;
    psal_status status = psal_classifier_run(classifier, image, NULL, &logits, err);
    s.whole = INT_MAX;
    if (status == PSAL_OK) status = find_k(&s, most, largest, &right, &k, &low, &high, err);
    bool found = status == PSAL_OK && right;
    for (int i = 0; i < HALVINGS && found && status == PSAL_OK; i++) {
        double middle = 0.5 * (low + high);
        status = corrects(&s, k, middle, &right, err);
        if (right)
            high = middle;
        else
            low = middle;
    }
    if (found && status == PSAL_OK) status = corrects(&s, k, high, &right, err);
    if (!found || status != PSAL_OK) psal_edit_reset(edit);
    *result = (psal_search_result){found, k, high, s.tries};
    return status;
}
