#include "saliency/saliency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Stages of the plan: logits; loss and profile; input saliency. */
enum { STAGE_FORWARD, STAGE_PROFILE, STAGE_INPUT, STAGE_COUNT };

/* One parameter tensor's part of the profile. */
typedef struct piece {
    psal_node saliency;  /* [count] */
    psal_node direction; /* input of the second-order stage, [count] */
} piece;

struct psal_saliency {
    const psal_model *model;
    psal_saliency_options options;
    psal_graph *graph;
    psal_network network;
    psal_plan *plan;
    psal_node label, other, loss, input_gradient;
    int64_t length;
    int layer_count;
    psal_profile_layer *layers; /* [layer_count], and */
    piece *pieces;              /* the same order */
};

struct psal_saliency_worker {
    const psal_saliency *saliency;
    psal_workspace *workspace;
    bool forwarded; /* the logits are those of the last run, which was psal_saliency_forward */
    bool profiled;
    float label, other;
    /* [length], with input_saliency: the last profile; what the input saliency goes along, and how that was made */
    float *profile, *direction;
    double *standardized;
};

/* ---- building ---- */

static bool takes_part(const psal_saliency *s, const psal_model_parameter *p) {
    switch (s->options.aggregation) {
    case PSAL_AGGREGATION_FILTER:
        return p->is_filter;
    case PSAL_AGGREGATION_ROW:
        return p->output_axis >= 0;
    default:
        return true;
    }
}

/* Filters and rows: one unit for each output of a layer. */
static bool by_outputs(const psal_saliency *s) {
    return s->options.aggregation == PSAL_AGGREGATION_FILTER || s->options.aggregation == PSAL_AGGREGATION_ROW;
}

static int64_t entries(const psal_saliency *s, const psal_model_parameter *p) {
    if (by_outputs(s)) return psal_parameter_outputs(p).count;
    return s->options.aggregation == PSAL_AGGREGATION_TENSOR ? 1 : psal_shape_count(&p->shape);
}

static psal_status list_layers(psal_saliency *s, psal_error *err) {
    int parameters = psal_model_parameter_count(s->model);
    s->layers = calloc((size_t)parameters + 1, sizeof *s->layers);
    s->pieces = calloc((size_t)parameters + 1, sizeof *s->pieces);
    if (!s->layers || !s->pieces)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %d parameters", parameters);
    for (int i = 0; i < parameters; i++) {
        const psal_model_parameter *p = psal_model_get_parameter(s->model, i);
        if (!takes_part(s, p)) continue;
        s->layers[s->layer_count++] = (psal_profile_layer){i, s->length, entries(s, p)};
        s->length += entries(s, p);
    }
    return PSAL_OK;
}

static psal_node loss_node(psal_saliency *s) {
    psal_graph *g = s->graph;
    psal_node logits = s->network.logits;
    switch (s->options.loss) {
    case PSAL_LOSS_LOGIT:
        return psal_select(g, logits, s->label);
    case PSAL_LOSS_LOGIT_DIFFERENCE:
        return psal_sub(g, psal_select(g, logits, s->other), psal_select(g, logits, s->label));
    default:
        return psal_cross_entropy(g, logits, s->label);
    }
}

/* One entry for each of n groups of a weight's elements: its rows, or its columns. */
static psal_node group_values(psal_saliency *s, psal_node dw, psal_node weight, bool columns, int64_t n,
                              int64_t elements) {
    psal_graph *g = s->graph;
    if (s->options.gradient_weight) dw = psal_mul(g, dw, weight);
    if (columns) dw = psal_permute(g, dw, (const int[]){1, 0}, 2);
    if (!s->options.gradient_weight)
        return s->options.is_signed ? psal_group_mean(g, dw, n) : psal_group_mean_abs(g, dw, n);
    const psal_node change = psal_scale(g, psal_group_mean(g, dw, n), -(double)(elements / n));
    return s->options.is_signed ? change : psal_group_mean_abs(g, change, n); /* groups of one: the magnitude */
}

/* For every parameter that takes part, s_l = mean over each group of |dL/dw|, or what else the options say. */
static psal_status build_profile(psal_saliency *s, psal_error *err) {
    psal_graph *g = s->graph;
    psal_node *wrt = malloc((size_t)s->layer_count * sizeof *wrt),
              *gradients = malloc((size_t)s->layer_count * sizeof *wrt);
    if (!wrt || !gradients) {
        free(wrt);
        free(gradients);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %d parameters", s->layer_count);
    }
    int count = 0;
    for (int i = 0; i < s->layer_count; i++) {
        psal_node node = s->network.parameters[s->layers[i].parameter];
        if (node != PSAL_NO_NODE) wrt[count++] = node;
    }
    psal_gradient(g, s->loss, wrt, count, gradients);
    const bool built = psal_graph_check(g, err) == PSAL_OK;
    for (int i = 0, k = 0; i < s->layer_count && built; i++) {
        int64_t n = s->layers[i].count;
        if (s->network.parameters[s->layers[i].parameter] == PSAL_NO_NODE) { /* Inception's auxiliary classifier */
            s->pieces[i].saliency = psal_constant_fill(g, 0, PSAL_SHAPE(n));
            continue;
        }
        psal_node dw = gradients[k++];
        psal_graph_set_layer(g, psal_graph_layer(g, dw)); /* for who reads how long it takes */
        const psal_model_parameter *p = psal_model_get_parameter(s->model, s->layers[i].parameter);
        s->pieces[i].saliency = group_values(s, dw, s->network.parameters[s->layers[i].parameter],
                                             by_outputs(s) && p->output_axis == 1, n, psal_shape_count(&p->shape));
    }
    psal_graph_set_layer(g, psal_graph_layer(g, s->loss));
    free(wrt);
    free(gradients);
    return psal_graph_check(g, err);
}

/* dm/dx of m = cos(s^, b) = <dm/ds, ds/dx>, with dm/ds as a constant direction that psal_saliency_input works out in
 * double: where s^ and b nearly point the same way, a graph in float32 would only leave rounding errors of it. */
static psal_status build_input_saliency(psal_saliency *s, psal_error *err) {
    psal_graph *g = s->graph;
    psal_node along = PSAL_NO_NODE;
    psal_graph_set_layer(g, "cosine");
    for (int i = 0; i < s->layer_count; i++) {
        piece *p = &s->pieces[i];
        p->direction = psal_input(g, "direction", PSAL_SHAPE(s->layers[i].count));
        psal_node product = psal_sum(g, psal_mul(g, p->saliency, p->direction));
        along = i == 0 ? product : psal_add(g, along, product);
    }
    psal_gradient(g, along, &s->network.image, 1, &s->input_gradient);
    return psal_graph_check(g, err);
}

static psal_status make_plan(psal_saliency *s, psal_error *err) {
    psal_node *profile = malloc(((size_t)s->layer_count + 1) * sizeof *profile);
    if (!profile)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %d parameters", s->layer_count);
    profile[0] = s->loss;
    for (int i = 0; i < s->layer_count; i++) profile[i + 1] = s->pieces[i].saliency;
    psal_node input[] = {s->input_gradient};
    psal_plan_options options = {.outputs = {&s->network.logits, profile, input},
                                 .output_count = {1, s->layer_count + 1, 1},
                                 .stages = s->options.input_saliency ? STAGE_COUNT : STAGE_INPUT,
                                 .threads = s->options.threads,
                                 .memory_limit = s->options.memory_limit,
                                 .few_runs = s->options.few_runs,
                                 .lean = s->options.lean,
                                 .conv = s->options.conv};
    /* Elsewhere the mean was never made without its gradient, whose rounding is another. */
    if (!by_outputs(s) || s->options.input_saliency) options.without_rewrites = PSAL_REWRITE_FILTER_MEAN;
    s->plan = psal_plan_new(s->graph, &options, err);
    free(profile);
    return s->plan ? psal_model_bind(s->model, &s->network, s->plan, err) : psal_error_status(err);
}

psal_status psal_loss_check(const psal_model *model, psal_loss loss, psal_error *err) {
    if (psal_model_get_info(model)->num_classes > 1 || loss == PSAL_LOSS_LOGIT) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "the network has one class, %s: use --logit of psal-run and psal-stats, which takes the logit "
                     "itself as the loss",
                     loss == PSAL_LOSS_CROSS_ENTROPY ? "whose cross-entropy is always 0"
                                                     : "so that there are no two logits to compare");
}

psal_saliency *psal_saliency_new(const psal_model *model, const psal_saliency_options *options, psal_error *err) {
    const psal_model_info *info = psal_model_get_info(model);
    if (psal_loss_check(model, options->loss, err) != PSAL_OK) return NULL;
    psal_saliency *s = calloc(1, sizeof *s);
    psal_graph *graph = psal_graph_new();
    if (!s || !graph) {
        free(s);
        psal_graph_free(graph);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the graph of %s", info->arch);
        return NULL;
    }
    s->model = model;
    s->graph = graph;
    s->options = *options;
    if (s->options.height == 0) s->options.height = info->native_size;
    if (s->options.width == 0) s->options.width = info->native_size;
    if (psal_model_build(model, graph, 1, s->options.height, s->options.width, &s->network, err) != PSAL_OK)
        goto failed;
    psal_graph_set_layer(graph, "loss");
    s->label = psal_input(graph, "label", PSAL_SHAPE(1));
    s->other = psal_input(graph, "other label", PSAL_SHAPE(1));
    s->loss = loss_node(s);
    if (list_layers(s, err) != PSAL_OK || build_profile(s, err) != PSAL_OK) goto failed;
    if (s->options.input_saliency && build_input_saliency(s, err) != PSAL_OK) goto failed;
    if (make_plan(s, err) != PSAL_OK) goto failed;
    return s;
failed:
    psal_saliency_free(s);
    return NULL;
}

void psal_saliency_free(psal_saliency *s) {
    if (!s) return;
    psal_plan_free(s->plan);
    psal_network_free(&s->network);
    psal_graph_free(s->graph);
    free(s->layers);
    free(s->pieces);
    free(s);
}

int64_t psal_saliency_length(const psal_saliency *s) {
    return s->length;
}

size_t psal_saliency_memory(const psal_saliency *s) {
    return psal_plan_memory(s->plan);
}

int psal_saliency_height(const psal_saliency *s) {
    return s->options.height;
}

int psal_saliency_width(const psal_saliency *s) {
    return s->options.width;
}

size_t psal_saliency_image_size(const psal_saliency *s) {
    return (size_t)psal_model_get_info(s->model)->channels * (size_t)s->options.height * (size_t)s->options.width;
}

int psal_saliency_layer_count(const psal_saliency *s) {
    return s->layer_count;
}

const psal_profile_layer *psal_saliency_layers(const psal_saliency *s) {
    return s->layers;
}

/* Whether the weights of output `row` ever get a gradient: not where a normalisation multiplies it by 0. */
static bool is_live(const psal_saliency *s, int parameter, int64_t row) {
    if (s->network.parameters[parameter] == PSAL_NO_NODE) return false;
    int scale, shift;
    psal_model_filter_norm(s->model, parameter, &scale, &shift);
    return scale < 0 || psal_model_get_parameter(s->model, scale)->values[row] != 0;
}

void psal_saliency_live(const psal_saliency *s, bool *live) {
    for (int i = 0; i < s->layer_count; i++) {
        const psal_profile_layer *layer = &s->layers[i];
        int64_t rows = psal_parameter_outputs(psal_model_get_parameter(s->model, layer->parameter)).count;
        for (int64_t j = 0; j < layer->count; j++) live[layer->first + j] = false;
        for (int64_t row = 0; row < rows; row++) {
            if (!is_live(s, layer->parameter, row)) continue;
            if (layer->count < rows) { /* the whole tensor is one entry */
                live[layer->first] = true;
            } else {
                int64_t length = layer->count / rows;
                for (int64_t j = 0; j < length; j++) live[layer->first + row * length + j] = true;
            }
        }
    }
}

/* ---- running ---- */

psal_saliency_worker *psal_saliency_worker_new(const psal_saliency *saliency, psal_error *err) {
    psal_saliency_worker *w = calloc(1, sizeof *w);
    if (!w) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a worker");
        return NULL;
    }
    w->saliency = saliency;
    if (saliency->options.input_saliency) {
        w->profile = malloc((size_t)saliency->length * sizeof *w->profile);
        w->direction = malloc((size_t)saliency->length * sizeof *w->direction);
        w->standardized = malloc((size_t)saliency->length * sizeof *w->standardized);
    }
    if (saliency->options.input_saliency && (!w->profile || !w->direction || !w->standardized))
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a worker");
    else
        w->workspace = psal_workspace_new(saliency->plan, err);
    if (w->workspace) return w;
    psal_saliency_worker_free(w);
    return NULL;
}

void psal_saliency_worker_free(psal_saliency_worker *w) {
    if (!w) return;
    psal_workspace_free(w->workspace);
    free(w->profile);
    free(w->direction);
    free(w->standardized);
    free(w);
}

psal_workspace *psal_saliency_workspace(psal_saliency_worker *w) {
    return w->workspace;
}

psal_status psal_saliency_set_values(psal_saliency_worker *w, const float *const *values, psal_error *err) {
    const psal_saliency *s = w->saliency;
    psal_status status = PSAL_OK;
    w->forwarded = w->profiled = false;
    for (int i = 0; i < psal_model_parameter_count(s->model) && status == PSAL_OK; i++)
        if (s->network.parameters[i] != PSAL_NO_NODE)
            status = psal_workspace_set(w->workspace, s->network.parameters[i], values ? values[i] : NULL, err);
    return status;
}

psal_status psal_saliency_forward(psal_saliency_worker *w, const float *image, psal_error *err) {
    const psal_saliency *s = w->saliency;
    w->forwarded = w->profiled = false;
    psal_status status = psal_workspace_set(w->workspace, s->network.image, image, err);
    if (status == PSAL_OK) status = psal_workspace_run(w->workspace, STAGE_FORWARD, err);
    if (status != PSAL_OK) return status;
    const float *logits = psal_workspace_get(w->workspace, s->network.logits);
    for (int i = 0; i < psal_model_get_info(s->model)->num_classes; i++)
        if (!isfinite(logits[i])) return psal_fail(err, PSAL_ERR_NUMERIC, "the logit of class %d is not finite", i);
    w->forwarded = true;
    return PSAL_OK;
}

const float *psal_saliency_logits(const psal_saliency_worker *w) {
    return psal_workspace_get(w->workspace, w->saliency->network.logits);
}

static psal_status check_label(const psal_saliency *s, const char *what, int label, psal_error *err) {
    int classes = psal_model_get_info(s->model)->num_classes;
    if (label >= 0 && label < classes) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s %d: the network has classes 0 to %d", what, label, classes - 1);
}

static bool takes_other_label(const psal_saliency *s) {
    return s->options.loss == PSAL_LOSS_LOGIT_DIFFERENCE;
}

static psal_status check_labels(const psal_saliency *s, int label, int other, psal_error *err) {
    psal_status status = check_label(s, "label", label, err);
    return status == PSAL_OK && takes_other_label(s) ? check_label(s, "other label", other, err) : status;
}

psal_status psal_saliency_profile(psal_saliency_worker *w, const float *image, int label, int other, float *profile,
                                  psal_error *err) {
    psal_status status = check_labels(w->saliency, label, other, err); /* before the work */
    if (status == PSAL_OK) status = psal_saliency_forward(w, image, err);
    return status == PSAL_OK ? psal_saliency_profile_forwarded(w, label, other, profile, err) : status;
}

psal_status psal_saliency_profile_forwarded(psal_saliency_worker *w, int label, int other, float *profile,
                                            psal_error *err) {
    const psal_saliency *s = w->saliency;
    psal_status status = check_labels(s, label, other, err);
    if (status != PSAL_OK) return status;
    if (!w->forwarded)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "the profile needs the forward pass of the sample first");
    w->forwarded = false; /* used up, also when what follows fails */
    w->label = (float)label;
    w->other = takes_other_label(s) ? (float)other : 0;
    psal_workspace_set(w->workspace, s->label, &w->label, NULL);
    psal_workspace_set(w->workspace, s->other, &w->other, NULL);
    if ((status = psal_workspace_run(w->workspace, STAGE_PROFILE, err)) != PSAL_OK) return status;
    for (int i = 0; i < s->layer_count; i++) {
        const float *values = psal_workspace_get(w->workspace, s->pieces[i].saliency);
        memcpy(profile + s->layers[i].first, values, (size_t)s->layers[i].count * sizeof *profile);
    }
    for (int64_t i = 0; i < s->length; i++)
        if (!isfinite(profile[i]))
            return psal_fail(err, PSAL_ERR_NUMERIC, "the saliency of entry %lld is not finite", (long long)i);
    if (w->profile) memcpy(w->profile, profile, (size_t)s->length * sizeof *profile);
    w->profiled = true;
    return PSAL_OK;
}

float psal_saliency_loss(const psal_saliency_worker *w) {
    return *psal_workspace_get(w->workspace, w->saliency->loss);
}

/* *m = <s^, b> / (|s^| |b|) and, per entry, dm/ds^ = b / (|s^| |b|) - m s^ / |s^|^2. Fails where one of the two is 0,
 * and where they point the same way but for rounding. */
psal_status psal_saliency_cosine(int64_t n, const double *standardized, const double *target, double *across, double *m,
                                 psal_error *err) {
    static const double ROUNDING = 1e-13; /* of dm/ds^, of length sqrt(1 - m^2) / |s^| */
    double dot = 0, ss = 0, bb = 0, turn = 0;
    for (int64_t i = 0; i < n; i++) {
        dot += standardized[i] * target[i];
        ss += standardized[i] * standardized[i];
        bb += target[i] * target[i];
    }
    if (!(ss > 0))
        return psal_fail(err, PSAL_ERR_NUMERIC,
                         "the profile is its mean over the data set: all zeros when standardized");
    if (!(bb > 0)) return psal_fail(err, PSAL_ERR_NUMERIC, "the boosted profile is all zeros");
    double norms = sqrt(ss) * sqrt(bb);
    *m = dot / norms;
    for (int64_t i = 0; i < n; i++) {
        across[i] = target[i] / norms - *m * standardized[i] / ss;
        turn += across[i] * across[i];
    }
    if (sqrt(turn) * sqrt(ss) > ROUNDING) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_NUMERIC,
                     "boosting does not turn the profile: their cosine is %d whatever the pixels are",
                     dot < 0 ? -1 : 1);
}

static psal_status check_profiled(const psal_saliency_worker *w, psal_error *err) {
    if (!w->saliency->options.input_saliency)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "input saliency was not asked for when this was built");
    if (!w->profiled) return psal_fail(err, PSAL_ERR_ARGUMENT, "input saliency needs the profile of the sample first");
    return PSAL_OK;
}

psal_status psal_saliency_along(psal_saliency_worker *w, const double *direction, float *gradient, psal_error *err) {
    const psal_saliency *s = w->saliency;
    psal_status status = check_profiled(w, err);
    if (status != PSAL_OK) return status;
    for (int64_t i = 0; i < s->length; i++) w->direction[i] = (float)direction[i];
    for (int i = 0; i < s->layer_count; i++)
        psal_workspace_set(w->workspace, s->pieces[i].direction, w->direction + s->layers[i].first, NULL);
    status = psal_workspace_run(w->workspace, STAGE_INPUT, err);
    w->profiled = w->forwarded = false; /* the second stage has reused the first one's memory */
    if (status != PSAL_OK) return status;
    const float *dx = psal_workspace_get(w->workspace, s->input_gradient);
    size_t count = psal_saliency_image_size(s);
    size_t zeros = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(dx[i]))
            return psal_fail(err, PSAL_ERR_NUMERIC, "its gradient at element %zu of the image is not finite", i);
        zeros += dx[i] == 0;
    }
    if (zeros == count)
        return psal_fail(err, PSAL_ERR_NUMERIC, "its gradient is 0 at every pixel: they do not change the profile");
    memcpy(gradient, dx, count * sizeof *gradient);
    return PSAL_OK;
}

psal_status psal_saliency_input(psal_saliency_worker *w, const double *shift, const double *scale, const double *target,
                                float *gradient, float *cosine, psal_error *err) {
    psal_status status = check_profiled(w, err);
    if (status != PSAL_OK) return status;
    const int64_t n = w->saliency->length;
    double m = 0;
    int64_t zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        zeros += w->profile[i] == 0;
        w->standardized[i] = (w->profile[i] - (shift ? shift[i] : 0)) / (scale ? scale[i] : 1);
    }
    if (zeros == n)
        return psal_fail(err, PSAL_ERR_NUMERIC, "no parameter changes the loss: all gradients are exactly 0");
    double *across = w->standardized;
    status = psal_saliency_cosine(n, w->standardized, target, across, &m, err);
    for (int64_t i = 0; i < n && status == PSAL_OK; i++) across[i] /= scale ? scale[i] : 1;
    if (status == PSAL_OK) status = psal_saliency_along(w, across, gradient, err);
    if (status == PSAL_OK && cosine) *cosine = (float)m;
    return status;
}
