/* Variants run in groups of at most LANES that differ from each other and from the whole network. Each has a lane. A
 * lane begins in the part with the first filter that sets it apart from all lanes so far; until then it would hold what
 * another lane, or the whole network, holds, and takes that over. Lanes are numbered by where they begin, so those in
 * use are always the first ones, and a part's results for them lie one after the other, as batches. */
#include "saliency/variants.h"

#include <stdlib.h>
#include <string.h>

#include "saliency/prediction.h"

enum {
    LANES = 8,     /* more share little more, and each takes memory */
    TOGETHER = 4,  /* lanes in a batch: eight were no faster */
    ALIGNMENT = 16 /* floats */
};

/* The network for one number of images. */
typedef struct network {
    psal_graph *graph;
    psal_network nodes;
    psal_plan **plans; /* [part] */
} network;

typedef struct part {
    bool together;   /* lanes run as a batch */
    size_t floats;   /* its output for one image */
    size_t offset;   /* of its output in a worker's memory, in floats: [LANES][floats] */
    int last_reader; /* the last part that reads it */
} part;

struct psal_variants {
    const psal_classifier *classifier;
    const psal_model *model;
    bool whole_channel;
    network networks[TOGETHER]; /* [images - 1], most_images of them */
    int most_images;
    int part_count;
    part *parts;
    size_t outputs; /* floats of all outputs */
    size_t memory;  /* bytes of the largest plan */
};

struct psal_variants_worker {
    const psal_variants *variants;
    psal_classifier_worker *base;
    psal_workspace **workspaces[TOGETHER]; /* [images - 1][part] */
    float *outputs;
    void *memory; /* of all workspaces: they run one at a time */
    psal_silence *silence;
    size_t silence_capacity;
};

int64_t psal_variant_difference(const psal_variant *a, const psal_variant *b) {
    for (int64_t i = 0;; i++) {
        const int64_t x = i < a->count ? a->filters[i] : INT64_MAX, y = i < b->count ? b->filters[i] : INT64_MAX;
        if (x != y || x == INT64_MAX) return x < y ? x : y;
    }
}

/* ---- plans ---- */

static size_t output_floats(const network *n, int p) {
    return (size_t)psal_shape_count(psal_graph_shape(n->graph, n->nodes.parts[p].output));
}

static psal_status plan_network(psal_variants *v, int images, psal_error *err) {
    const psal_classifier_options *options = psal_classifier_get_options(v->classifier);
    network *n = &v->networks[images - 1];
    if (!(n->graph = psal_graph_new())) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a graph");
    psal_status status = psal_model_build_in_parts(v->model, n->graph, images, options->height, options->width,
                                                   &n->nodes, err);
    if (status != PSAL_OK) return status;
    v->part_count = n->nodes.part_count;
    if (!(n->plans = calloc((size_t)v->part_count, sizeof *n->plans)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d parts of a network", v->part_count);
    for (int p = 0; p < v->part_count; p++) {
        if (images > 1 && !v->parts[p].together) continue;
        const psal_plan_options plan = {.outputs = {&n->nodes.parts[p].output},
                                        .output_count = {1},
                                        .stages = 1,
                                        .threads = options->threads,
                                        .conv = options->conv};
        if (!(n->plans[p] = psal_plan_new(n->graph, &plan, err))) return psal_error_status(err);
        if ((status = psal_model_bind(v->model, &n->nodes, n->plans[p], err)) != PSAL_OK) return status;
        if (psal_plan_memory(n->plans[p]) > v->memory) v->memory = psal_plan_memory(n->plans[p]);
    }
    return PSAL_OK;
}

/* Lanes go through a part together when its filters outweigh its results. A part with a matrix does not: for one row
 * the largest are read from their file (engine/op_matmul.c). A part that reads the image is the first. */
static void choose_together(psal_variants *v) {
    const network *one = &v->networks[0];
    for (int p = 0; p < v->part_count; p++) {
        size_t weights = 0;
        bool matrix = false;
        for (int i = 0; i < psal_model_parameter_count(v->model); i++) {
            const psal_model_parameter *parameter = psal_model_get_parameter(v->model, i);
            if (one->nodes.parameter_part[i] != p || one->nodes.parameters[i] == PSAL_NO_NODE) continue;
            if (parameter->is_filter) weights += (size_t)psal_shape_count(&parameter->shape);
            matrix |= parameter->shape.ndim == 2;
        }
        v->parts[p].together = weights > v->parts[p].floats && !matrix &&
                               !psal_plan_reads(one->plans[p], one->nodes.image);
    }
}

/* Give every output a place: one whose readers are through is used again. */
static psal_status place_outputs(psal_variants *v, psal_error *err) {
    typedef struct place {
        size_t floats;
        int free_after;
    } place;
    const network *one = &v->networks[0];
    place *places = calloc((size_t)v->part_count, sizeof *places);
    int *place_of = calloc((size_t)v->part_count, sizeof *place_of), count = 0;
    if (!places || !place_of) {
        free(places);
        free(place_of);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d parts of a network", v->part_count);
    }
    for (int p = 0; p < v->part_count; p++) {
        part *now = &v->parts[p];
        now->floats = output_floats(one, p);
        now->last_reader = p;
        for (int reader = p + 1; reader < v->part_count; reader++)
            if (psal_plan_reads(one->plans[reader], one->nodes.parts[p].copy)) now->last_reader = reader;
        int best = -1;
        for (int i = 0; i < count; i++)
            if (places[i].free_after < p && (best < 0 || places[i].floats > places[best].floats)) best = i;
        if (best < 0) best = count++;
        const size_t floats = (now->floats * LANES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (floats > places[best].floats) places[best].floats = floats;
        places[best].free_after = now->last_reader;
        place_of[p] = best;
    }
    for (int p = 0; p < v->part_count; p++)
        for (int i = 0; i < place_of[p]; i++) v->parts[p].offset += places[i].floats;
    for (int i = 0; i < count; i++) v->outputs += places[i].floats;
    free(places);
    free(place_of);
    return PSAL_OK;
}

static psal_status plan_all(psal_variants *v, psal_error *err) {
    psal_status status = plan_network(v, 1, err);
    if (status != PSAL_OK) return status;
    if (!(v->parts = calloc((size_t)v->part_count, sizeof *v->parts)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d parts of a network", v->part_count);
    status = place_outputs(v, err);
    choose_together(v);
    /* Not where nothing runs as a batch: a network from a file may be made for one image at a time. */
    bool any = false;
    for (int p = 0; p < v->part_count; p++) any |= v->parts[p].together;
    v->most_images = any ? TOGETHER : 1;
    for (int images = 2; images <= v->most_images && status == PSAL_OK; images++) status = plan_network(v, images, err);
    if (status != PSAL_OK) return status;
    const size_t limit = psal_classifier_get_options(v->classifier)->memory_limit;
    const size_t memory = psal_classifier_memory(v->classifier) + psal_variants_memory(v);
    if (!limit || memory <= limit) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "needs %.1f MiB of working memory, more than the limit of %.1f MiB",
                     (double)memory / 1048576, (double)limit / 1048576);
}

psal_variants *psal_variants_new(const psal_classifier *classifier, bool whole_channel, psal_error *err) {
    const psal_classifier_options *options = psal_classifier_get_options(classifier);
    if (options->batch != 1 || !options->in_parts) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "variants need a classifier of one image at a time, in parts");
        return NULL;
    }
    psal_variants *v = calloc(1, sizeof *v);
    if (!v) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for variants of a network");
        return NULL;
    }
    v->classifier = classifier;
    v->model = psal_classifier_model(classifier);
    v->whole_channel = whole_channel;
    if (plan_all(v, err) == PSAL_OK) return v;
    psal_variants_free(v);
    return NULL;
}

void psal_variants_free(psal_variants *v) {
    if (!v) return;
    for (int i = 0; i < TOGETHER; i++) {
        network *n = &v->networks[i];
        for (int p = 0; n->plans && p < v->part_count; p++) psal_plan_free(n->plans[p]);
        free(n->plans);
        psal_network_free(&n->nodes);
        psal_graph_free(n->graph);
    }
    free(v->parts);
    free(v);
}

size_t psal_variants_memory(const psal_variants *v) {
    return v->memory + v->outputs * sizeof(float);
}

/* ---- workers ---- */

static psal_status open_workspaces(psal_variants_worker *w, int images, psal_error *err) {
    const psal_variants *v = w->variants;
    psal_workspace **workspaces = w->workspaces[images - 1] = calloc((size_t)v->part_count, sizeof *workspaces);
    if (!workspaces) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d parts of a network", v->part_count);
    for (int p = 0; p < v->part_count; p++) {
        const psal_plan *plan = v->networks[images - 1].plans[p];
        if (plan && !(workspaces[p] = psal_workspace_new_in(plan, w->memory, err))) return psal_error_status(err);
    }
    return PSAL_OK;
}

psal_variants_worker *psal_variants_worker_new(const psal_variants *v, psal_classifier_worker *base, psal_error *err) {
    psal_variants_worker *w = calloc(1, sizeof *w);
    if (w) {
        w->variants = v;
        w->base = base;
        w->outputs = psal_workspace_memory(v->outputs * sizeof(float));
        w->memory = psal_workspace_memory(v->memory);
    }
    if (!w || !w->outputs || !w->memory) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for variants: %.1f MiB",
                  (double)psal_variants_memory(v) / 1048576);
        psal_variants_worker_free(w);
        return NULL;
    }
    psal_status status = PSAL_OK;
    for (int images = 1; images <= v->most_images && status == PSAL_OK; images++)
        status = open_workspaces(w, images, err);
    if (status == PSAL_OK) return w;
    psal_variants_worker_free(w);
    return NULL;
}

void psal_variants_worker_free(psal_variants_worker *w) {
    if (!w) return;
    for (int i = 0; i < TOGETHER; i++) {
        for (int p = 0; w->workspaces[i] && p < w->variants->part_count; p++) psal_workspace_free(w->workspaces[i][p]);
        free(w->workspaces[i]);
    }
    free(w->outputs);
    free(w->memory);
    free(w->silence);
    free(w);
}

/* ---- running ---- */

typedef struct lane {
    const psal_variant *variant;
    size_t index;              /* in the list */
    int begin;                 /* the part it begins in */
    int64_t next;              /* its first filter that no part so far has */
    const struct lane *parent; /* whose results it takes over there; NULL: the whole network's */
} lane;

static float *output_of(const psal_variants_worker *w, int p, int number) {
    const part *now = &w->variants->parts[p];
    return w->outputs + now->offset + (size_t)number * now->floats;
}

static int part_of(const psal_variants *v, int64_t filter) {
    return psal_classifier_part(v->classifier, psal_model_unit_parameter(v->model, PSAL_UNITS_FILTERS, filter, NULL));
}

/* Where what filter `filter` of the network gives becomes 0; PSAL_NO_NODE when the network does not compute it. */
static psal_node silenced_node(const psal_variants *v, const network *n, int64_t filter, int64_t *channel) {
    const int parameter = psal_model_unit_parameter(v->model, PSAL_UNITS_FILTERS, filter, channel);
    int scale, shift = -1;
    if (v->whole_channel) psal_model_filter_norm(v->model, parameter, &scale, &shift);
    const psal_node node = n->nodes.parameters[shift >= 0 ? shift : parameter];
    return node == PSAL_NO_NODE ? PSAL_NO_NODE : psal_graph_reader(n->graph, node);
}

/* The channels that are off in part p for the first `images` of `lanes`. */
static psal_status silence_part(psal_variants_worker *w, int p, lane *lanes, int images, psal_error *err) {
    const psal_variants *v = w->variants;
    const network *n = &v->networks[images - 1];
    size_t count = 0, capacity = 0;
    for (int i = 0; i < images; i++) capacity += (size_t)lanes[i].variant->count;
    if (capacity > w->silence_capacity) {
        psal_silence *more = realloc(w->silence, capacity * sizeof *more);
        if (!more) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for switching off %zu filters", capacity);
        w->silence = more;
        w->silence_capacity = capacity;
    }
    for (int i = 0; i < images; i++)
        for (lane *l = &lanes[i]; l->next < l->variant->count; l->next++) {
            const int64_t filter = l->variant->filters[l->next];
            const int at = part_of(v, filter);
            if (at > p) break; /* parts are numbered as filters are */
            psal_silence off = {.image = i};
            off.node = silenced_node(v, n, filter, &off.channel);
            if (at == p && off.node != PSAL_NO_NODE) w->silence[count++] = off;
        }
    psal_workspace_silence(w->workspaces[images - 1][p], w->silence, count);
    return PSAL_OK;
}

/* Run part p for lanes first .. first+images-1. */
static psal_status run_part(psal_variants_worker *w, int p, lane *lanes, int first, int images, psal_error *err) {
    const psal_variants *v = w->variants;
    const network *n = &v->networks[images - 1];
    psal_workspace *workspace = w->workspaces[images - 1][p];
    psal_status status = silence_part(w, p, lanes + first, images, err);
    for (int q = 0; q < p && status == PSAL_OK; q++)
        if (psal_plan_reads(n->plans[p], n->nodes.parts[q].copy))
            status = psal_workspace_set(workspace, n->nodes.parts[q].copy, output_of(w, q, first), err);
    if (status == PSAL_OK && psal_plan_reads(n->plans[p], n->nodes.image))
        status = psal_workspace_set(workspace, n->nodes.image, psal_classifier_images(w->base), err);
    if (status == PSAL_OK)
        status = psal_workspace_place(workspace, n->nodes.parts[p].output, output_of(w, p, first), err);
    return status == PSAL_OK ? psal_workspace_run(workspace, 0, err) : status;
}

/* Lane number `number` begins: it takes over what the parts before give that this and later ones read. */
static void begin_lane(psal_variants_worker *w, const lane *lanes, int number) {
    const lane *l = &lanes[number];
    for (int q = 0; q < l->begin; q++) {
        const part *before = &w->variants->parts[q];
        if (before->last_reader < l->begin) continue;
        const float *from = l->parent ? output_of(w, q, (int)(l->parent - lanes))
                                      : psal_classifier_part_output(w->base, q);
        memcpy(output_of(w, q, number), from, before->floats * sizeof *from);
    }
}

static psal_status run_group(psal_variants_worker *w, lane *lanes, int count, psal_error *err) {
    const psal_variants *v = w->variants;
    int begun = 0;
    for (int p = count ? lanes[0].begin : 0; p < v->part_count; p++) {
        for (; begun < count && lanes[begun].begin <= p; begun++) begin_lane(w, lanes, begun);
        const int most = v->parts[p].together ? TOGETHER : 1;
        for (int first = 0; first < begun; first += most) {
            psal_status status = run_part(w, p, lanes, first, begun - first < most ? begun - first : most, err);
            if (status != PSAL_OK) return status;
        }
    }
    return PSAL_OK;
}

/* Number the lanes by where they begin, and find their parents. So far they stand as in the list, where each shares
 * most with the one before: what a lane holds before its begin is what the last one before it that began earlier
 * holds. */
static void order_lanes(const lane *listed, int count, lane *lanes) {
    int place[LANES];
    for (int i = 0; i < count; i++) {
        place[i] = 0;
        for (int j = 0; j < count; j++)
            place[i] += listed[j].begin < listed[i].begin || (listed[j].begin == listed[i].begin && j < i);
        lanes[place[i]] = listed[i];
        lanes[place[i]].parent = NULL;
        for (int j = i - 1; j >= 0; j--)
            if (listed[j].begin < listed[i].begin) {
                lanes[place[i]].parent = &lanes[place[j]];
                break;
            }
    }
}

psal_status psal_variants_run(psal_variants_worker *w, const psal_variant *list, size_t count,
                              void (*keep)(void *data, size_t i, const float *logits), void *data, psal_error *err) {
    const psal_variants *v = w->variants;
    const int classes = psal_model_get_info(v->model)->num_classes, last = v->part_count - 1;
    const psal_variant whole = {NULL, 0};
    for (size_t i = 0; i < count;) {
        lane listed[LANES], lanes[LANES];
        int used = 0;
        size_t next = i;
        /* What differs from nothing so far has no lane of its own: it equals the one before, or the whole network. */
        const psal_variant *before = &whole;
        for (; next < count; next++) {
            const int64_t filter = psal_variant_difference(before, &list[next]);
            if (filter != INT64_MAX && used == LANES) break;
            if (filter != INT64_MAX)
                listed[used++] = (lane){.variant = &list[next], .index = next, .begin = part_of(v, filter)};
            before = &list[next];
        }
        order_lanes(listed, used, lanes);
        psal_status status = run_group(w, lanes, used, err);
        for (int l = 0; l < used && status == PSAL_OK; l++)
            status = psal_check_logits(output_of(w, last, l), 1, classes, err);
        if (status != PSAL_OK) return status;
        for (const float *logits = psal_classifier_part_output(w->base, last); i < next; i++) {
            for (int l = 0; l < used; l++)
                if (lanes[l].index == i) logits = output_of(w, last, l);
            keep(data, i, logits);
        }
    }
    return PSAL_OK;
}
