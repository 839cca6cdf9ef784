#include "saliency/classifier.h"

#include <math.h>
#include <stdlib.h>

struct psal_classifier {
    const psal_model *model;
    int batch;
    psal_graph *graph;
    psal_network network;
    psal_plan *plan;
};

struct psal_classifier_worker {
    const psal_classifier *classifier;
    psal_workspace *workspace;
};

psal_classifier *psal_classifier_new(const psal_model *model, const psal_classifier_options *options, psal_error *err) {
    const psal_model_info *info = psal_model_get_info(model);
    psal_classifier *c = calloc(1, sizeof *c);
    if (c) c->graph = psal_graph_new();
    if (!c || !c->graph) {
        free(c);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the graph of %s", info->arch);
        return NULL;
    }
    c->model = model;
    c->batch = options->batch ? options->batch : 1;
    int height = options->height ? options->height : info->native_size;
    int width = options->width ? options->width : info->native_size;
    if (psal_model_build(model, c->graph, c->batch, height, width, &c->network, err) != PSAL_OK) goto failed;
    psal_plan_options plan = {.outputs = {&c->network.logits},
                              .output_count = {1},
                              .stages = 1,
                              .threads = options->threads,
                              .memory_limit = options->memory_limit,
                              .methods = {options->method}};
    c->plan = psal_plan_new(c->graph, &plan, err);
    if (c->plan && psal_model_bind(model, &c->network, c->plan, err) == PSAL_OK) return c;
failed:
    psal_classifier_free(c);
    return NULL;
}

void psal_classifier_free(psal_classifier *c) {
    if (!c) return;
    psal_plan_free(c->plan);
    psal_network_free(&c->network);
    psal_graph_free(c->graph);
    free(c);
}

size_t psal_classifier_memory(const psal_classifier *c) {
    return psal_plan_memory(c->plan);
}

psal_classifier_worker *psal_classifier_worker_new(const psal_classifier *classifier, psal_error *err) {
    psal_classifier_worker *w = calloc(1, sizeof *w);
    if (!w) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a worker");
        return NULL;
    }
    w->classifier = classifier;
    w->workspace = psal_workspace_new(classifier->plan, err);
    if (w->workspace) return w;
    free(w);
    return NULL;
}

void psal_classifier_worker_free(psal_classifier_worker *w) {
    if (!w) return;
    psal_workspace_free(w->workspace);
    free(w);
}

psal_status psal_classifier_run(psal_classifier_worker *w, const float *images, const float *const *values,
                                const float **logits, psal_error *err) {
    const psal_classifier *c = w->classifier;
    psal_status status = psal_workspace_set(w->workspace, c->network.image, images, err);
    for (int i = 0; i < psal_model_parameter_count(c->model) && status == PSAL_OK; i++)
        if (c->network.parameters[i] != PSAL_NO_NODE)
            status = psal_workspace_set(w->workspace, c->network.parameters[i], values ? values[i] : NULL, err);
    if (status == PSAL_OK) status = psal_workspace_run(w->workspace, 0, err);
    if (status != PSAL_OK) return status;
    *logits = psal_workspace_get(w->workspace, c->network.logits);
    int classes = psal_model_get_info(c->model)->num_classes;
    for (int n = 0; n < c->batch; n++)
        for (int i = 0; i < classes; i++) {
            double z = (*logits)[(size_t)n * (size_t)classes + (size_t)i];
            if (!isfinite(z)) return psal_fail(err, PSAL_ERR_NUMERIC, "the logit of class %d (image %d) is %g", i, n, z);
        }
    return PSAL_OK;
}
