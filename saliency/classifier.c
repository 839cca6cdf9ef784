/* Every part of the network has a plan and, in each worker, a workspace. Parts run one after the other in the same
 * memory; only what they give has places of its own, because later parts read it. */
#include "saliency/classifier.h"

#include <stdlib.h>

enum { LINE_FLOATS = 16 };

struct psal_classifier {
    const psal_model *model;
    psal_classifier_options options;
    psal_graph *graph;
    psal_network network;
    psal_plan **plans; /* [network.part_count] */
};

struct psal_classifier_worker {
    const psal_classifier *classifier;
    psal_workspace **workspaces; /* [network.part_count] */
    void *memory;                /* of all workspaces */
    float *outputs;              /* of all parts */
    const float *images;         /* of the last run */
    int done;                    /* parts that hold what the last images and values give */
};

static psal_status plan_parts(psal_classifier *c, psal_error *err) {
    const psal_classifier_options *options = &c->options;
    int parts = c->network.part_count;
    c->plans = calloc((size_t)parts, sizeof *c->plans);
    if (!c->plans) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d parts of a network", parts);
    for (int p = 0; p < parts; p++) {
        psal_plan_options plan = {.outputs = {&c->network.parts[p].output},
                                  .output_count = {1},
                                  .stages = 1,
                                  .threads = options->threads,
                                  .conv = options->conv};
        if (!(c->plans[p] = psal_plan_new(c->graph, &plan, err))) return psal_error_status(err);
        psal_status status = psal_model_bind(c->model, &c->network, c->plans[p], err);
        if (status != PSAL_OK) return status;
    }
    size_t memory = psal_classifier_memory(c);
    if (!options->memory_limit || memory <= options->memory_limit) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "needs %.1f MiB of working memory, more than the limit of %.1f MiB",
                     (double)memory / 1048576, (double)options->memory_limit / 1048576);
}

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
    c->options = *options;
    psal_classifier_options *o = &c->options;
    if (!o->batch) o->batch = 1;
    if (!o->height) o->height = info->native_size;
    if (!o->width) o->width = info->native_size;
    psal_status status = (o->in_parts ? psal_model_build_in_parts : psal_model_build)(
        model, c->graph, o->batch, o->height, o->width, &c->network, err);
    if (status == PSAL_OK) status = plan_parts(c, err);
    if (status == PSAL_OK) return c;
    psal_classifier_free(c);
    return NULL;
}

void psal_classifier_free(psal_classifier *c) {
    if (!c) return;
    for (int p = 0; c->plans && p < c->network.part_count; p++) psal_plan_free(c->plans[p]);
    free(c->plans);
    psal_network_free(&c->network);
    psal_graph_free(c->graph);
    free(c);
}

/* Floats of what a part gives, in whole cache lines. */
static size_t output_floats(const psal_classifier *c, int p) {
    const size_t count = (size_t)psal_shape_count(psal_graph_shape(c->graph, c->network.parts[p].output));
    return (count + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
}

static size_t all_output_floats(const psal_classifier *c) {
    size_t floats = 0;
    for (int p = 0; p < c->network.part_count; p++) floats += output_floats(c, p);
    return floats;
}

static size_t largest_plan(const psal_classifier *c) {
    size_t largest = 0;
    for (int p = 0; p < c->network.part_count; p++)
        if (psal_plan_memory(c->plans[p]) > largest) largest = psal_plan_memory(c->plans[p]);
    return largest;
}

size_t psal_classifier_memory(const psal_classifier *c) {
    return largest_plan(c) + all_output_floats(c) * sizeof(float);
}

const psal_model *psal_classifier_model(const psal_classifier *c) {
    return c->model;
}

const psal_classifier_options *psal_classifier_get_options(const psal_classifier *c) {
    return &c->options;
}

int psal_classifier_part(const psal_classifier *c, int parameter) {
    return c->network.parameter_part[parameter];
}

psal_classifier_worker *psal_classifier_worker_new(const psal_classifier *classifier, psal_error *err) {
    psal_classifier_worker *w = calloc(1, sizeof *w);
    int parts = classifier->network.part_count;
    if (w) {
        w->classifier = classifier;
        w->workspaces = calloc((size_t)parts, sizeof *w->workspaces);
    }
    if (w && w->workspaces) {
        w->memory = psal_workspace_memory(largest_plan(classifier));
        w->outputs = psal_workspace_memory(all_output_floats(classifier) * sizeof(float));
    }
    if (!w || !w->memory || !w->outputs) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a worker of %.1f MiB",
                  (double)psal_classifier_memory(classifier) / 1048576);
        psal_classifier_worker_free(w);
        return NULL;
    }
    float *output = w->outputs;
    for (int p = 0; p < parts; output += output_floats(classifier, p), p++) {
        w->workspaces[p] = psal_workspace_new_in(classifier->plans[p], w->memory, err);
        if (!w->workspaces[p] ||
            psal_workspace_place(w->workspaces[p], classifier->network.parts[p].output, output, err) != PSAL_OK) {
            psal_classifier_worker_free(w);
            return NULL;
        }
    }
    return w;
}

void psal_classifier_worker_free(psal_classifier_worker *w) {
    if (!w) return;
    for (int p = 0; w->workspaces && p < w->classifier->network.part_count; p++) psal_workspace_free(w->workspaces[p]);
    free(w->workspaces);
    free(w->memory);
    free(w->outputs);
    free(w);
}

const psal_classifier *psal_classifier_of(const psal_classifier_worker *w) {
    return w->classifier;
}

/* Run part p and show its output to the parts after it. */
static psal_status run_part(psal_classifier_worker *w, int p, const float *const *values, psal_error *err) {
    const psal_classifier *c = w->classifier;
    psal_workspace *workspace = w->workspaces[p];
    psal_status status = PSAL_OK;
    for (int i = 0; i < psal_model_parameter_count(c->model) && status == PSAL_OK; i++)
        if (c->network.parameter_part[i] == p && c->network.parameters[i] != PSAL_NO_NODE)
            status = psal_workspace_set(workspace, c->network.parameters[i], values ? values[i] : NULL, err);
    if (status == PSAL_OK) status = psal_workspace_run(workspace, 0, err);
    const psal_real *output = psal_workspace_get(workspace, c->network.parts[p].output);
    for (int later = p + 1; later < c->network.part_count && status == PSAL_OK; later++)
        status = psal_workspace_set(w->workspaces[later], c->network.parts[p].copy, output, err);
    return status;
}

const float *psal_classifier_images(const psal_classifier_worker *w) {
    return w->images;
}

const float *psal_classifier_part_output(const psal_classifier_worker *w, int part) {
    return psal_workspace_get(w->workspaces[part], w->classifier->network.parts[part].output);
}

psal_status psal_classifier_rerun(psal_classifier_worker *w, int first, const float *const *values,
                                  const float **logits, psal_error *err) {
    const psal_classifier *c = w->classifier;
    int parts = c->network.part_count;
    if (first < 0 || first > w->done)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot run a network from part %d: %d of its %d parts have run",
                         first, w->done, parts);
    w->done = first;
    for (int p = first; p < parts; p++) {
        psal_status status = run_part(w, p, values, err);
        if (status != PSAL_OK) return status;
        w->done = p + 1;
    }
    *logits = psal_workspace_get(w->workspaces[parts - 1], c->network.logits);
    return psal_check_logits(*logits, c->options.batch, psal_model_get_info(c->model)->num_classes, err);
}

psal_status psal_classifier_run(psal_classifier_worker *w, const float *images, const float *const *values,
                                const float **logits, psal_error *err) {
    w->done = 0;
    w->images = images;
    for (int p = 0; p < w->classifier->network.part_count; p++) {
        psal_status status = psal_workspace_set(w->workspaces[p], w->classifier->network.image, images, err);
        if (status != PSAL_OK) return status;
    }
    return psal_classifier_rerun(w, 0, values, logits, err);
}
