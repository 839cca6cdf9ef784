#include "saliency/look.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/receptive_field.h"

/* Samples between two meetings of the threads. */
enum { WINDOW_PER_THREAD = 16, MOST_THREADS = 1024 };

typedef struct target {
    int64_t filter;
    psal_node node; /* [1, filters, rows, columns]; PSAL_NO_NODE: there is no activation */
    int64_t channel;
    bool reversed;
} target;

struct psal_look {
    const psal_model *model;
    int threads, height, width;
    psal_graph *graph;
    psal_network network;
    target *targets;
    int64_t count;
    psal_node *nodes; /* [node_count]: those of the targets, each once */
    int node_count;
    psal_plan *plan; /* NULL where no target has an activation */
};

/* An activation and its number in the map. */
typedef struct place {
    float activation;
    int at;
} place;

/* ---- the network ---- */

/* What the convolution with this weight gives, its bias added; PSAL_NO_NODE where that is not one value. */
static psal_node activation_of(const psal_look *look, int parameter) {
    const psal_node weight = look->network.parameters[parameter];
    const psal_node node = weight == PSAL_NO_NODE ? PSAL_NO_NODE : psal_graph_reader(look->graph, weight);
    if (node == PSAL_NO_NODE || strcmp(psal_graph_op_name(look->graph, node), "conv2d") != 0) return PSAL_NO_NODE;
    const psal_node biased = psal_graph_reader(look->graph, node);
    return strcmp(psal_graph_op_name(look->graph, biased), "channel_add") == 0 ? biased : node;
}

static bool is_reversed(const psal_model *model, int parameter, int64_t within) {
    int scale, shift;
    psal_model_filter_norm(model, parameter, &scale, &shift);
    return scale >= 0 && psal_model_get_parameter(model, scale)->values[within] < 0;
}

static psal_status find_targets(psal_look *look, const int64_t *filters, psal_error *err) {
    const int all = psal_model_unit_count(look->model, PSAL_UNITS_FILTERS);
    for (int64_t i = 0; i < look->count; i++) {
        target *t = &look->targets[i];
        t->filter = filters[i];
        const int parameter = psal_model_unit_parameter(look->model, PSAL_UNITS_FILTERS, filters[i], &t->channel);
        if (parameter < 0)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "filter %lld: the network has filters 0 to %d",
                             (long long)filters[i], all - 1);
        t->node = activation_of(look, parameter);
        t->reversed = is_reversed(look->model, parameter, t->channel);
        bool known = t->node == PSAL_NO_NODE;
        for (int n = 0; n < look->node_count && !known; n++) known = look->nodes[n] == t->node;
        if (!known) look->nodes[look->node_count++] = t->node;
    }
    return PSAL_OK;
}

static psal_status make_plan(psal_look *look, const psal_look_options *options, psal_error *err) {
    if (look->node_count == 0) return PSAL_OK;
    const psal_plan_options plan = {
        .outputs = {look->nodes}, .output_count = {look->node_count}, .stages = 1, .threads = 1, .conv = options->conv};
    if (!(look->plan = psal_plan_new(look->graph, &plan, err))) return psal_error_status(err);
    const size_t memory = psal_plan_memory(look->plan) * (size_t)look->threads;
    if (options->memory_limit && memory > options->memory_limit)
        return psal_fail(err, PSAL_ERR_MEMORY,
                         "looking with %d threads needs %.1f MiB of working memory, more than the limit of %.1f MiB",
                         look->threads, (double)memory / 1048576, (double)options->memory_limit / 1048576);
    return psal_model_bind(look->model, &look->network, look->plan, err);
}

psal_look *psal_look_new(const psal_model *model, const int64_t *filters, int64_t count,
                         const psal_look_options *options, psal_error *err) {
    const psal_model_info *info = psal_model_get_info(model);
    if (count < 1 || options->threads < 0 || options->threads > MOST_THREADS) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "a look at %lld filters with %d threads", (long long)count, options->threads);
        return NULL;
    }
    psal_look *look = calloc(1, sizeof *look);
    if (look) {
        *look = (psal_look){.model = model,
                            .threads = options->threads ? options->threads : 1,
                            .height = options->height ? options->height : info->native_size,
                            .width = options->width ? options->width : info->native_size,
                            .graph = psal_graph_new(),
                            .targets = calloc((size_t)count, sizeof *look->targets),
                            .nodes = calloc((size_t)count, sizeof *look->nodes),
                            .count = count};
    }
    if (!look || !look->graph || !look->targets || !look->nodes) {
        psal_look_free(look);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a look at %lld filters", (long long)count);
        return NULL;
    }
    psal_status status = psal_model_build(model, look->graph, 1, look->height, look->width, &look->network, err);
    if (status == PSAL_OK) status = find_targets(look, filters, err);
    if (status == PSAL_OK) status = make_plan(look, options, err);
    if (status == PSAL_OK) return look;
    psal_look_free(look);
    return NULL;
}

void psal_look_free(psal_look *look) {
    if (!look) return;
    psal_plan_free(look->plan);
    psal_network_free(&look->network);
    psal_graph_free(look->graph);
    free(look->targets);
    free(look->nodes);
    free(look);
}

bool psal_look_has(const psal_look *look, int64_t i) {
    return look->targets[i].node != PSAL_NO_NODE;
}

bool psal_look_reversed(const psal_look *look, int64_t i) {
    return look->targets[i].reversed;
}

void psal_look_map_size(const psal_look *look, int64_t i, int *rows, int *columns) {
    const psal_shape *shape = psal_graph_shape(look->graph, look->targets[i].node);
    *rows = psal_look_has(look, i) ? (int)shape->dim[2] : 0;
    *columns = psal_look_has(look, i) ? (int)shape->dim[3] : 0;
}

/* ---- one image ---- */

/* places[count][PSAL_LOOK_ENDS] of what the workspace has computed. */
static psal_status find_places(const psal_look *look, const psal_workspace *workspace, place *places, psal_error *err) {
    for (int64_t i = 0; i < look->count; i++) {
        const target *t = &look->targets[i];
        if (t->node == PSAL_NO_NODE) continue;
        const psal_shape *shape = psal_graph_shape(look->graph, t->node);
        const int numbers = (int)(shape->dim[2] * shape->dim[3]);
        const float *map = psal_workspace_get(workspace, t->node) + t->channel * numbers;
        place largest = {map[0], 0}, smallest = largest;
        for (int at = 0; at < numbers; at++) {
            if (!isfinite(map[at]))
                return psal_fail(err, PSAL_ERR_NUMERIC, "filter %lld of the network has the activation %g",
                                 (long long)t->filter, (double)map[at]);
            if (map[at] > largest.activation) largest = (place){map[at], at};
            if (map[at] < smallest.activation) smallest = (place){map[at], at};
        }
        places[PSAL_LOOK_ENDS * i + PSAL_LOOK_LARGEST] = largest;
        places[PSAL_LOOK_ENDS * i + PSAL_LOOK_SMALLEST] = smallest;
    }
    return PSAL_OK;
}

static psal_status look_at(const psal_look *look, psal_workspace *workspace, const float *image, place *places,
                           psal_error *err) {
    psal_status status = psal_plan_reads(look->plan, look->network.image)
                             ? psal_workspace_set(workspace, look->network.image, image, err)
                             : PSAL_OK;
    if (status == PSAL_OK) status = psal_workspace_run(workspace, 0, err);
    return status == PSAL_OK ? find_places(look, workspace, places, err) : status;
}

/* Where in the map, and in the image, target i has this hit. */
static psal_status locate(const psal_look *look, int64_t i, int at, psal_look_hit *hit, psal_error *err) {
    const target *t = &look->targets[i];
    const int columns = (int)psal_graph_shape(look->graph, t->node)->dim[3];
    hit->row = at / columns;
    hit->column = at % columns;
    const psal_box of = {.first = {0, t->channel, hit->row, hit->column},
                         .last = {0, t->channel, hit->row, hit->column}};
    psal_box field;
    psal_status status = psal_receptive_field(look->graph, t->node, &of, look->network.image, &field, err);
    if (status != PSAL_OK) return status;
    const psal_shape *image = psal_graph_shape(look->graph, look->network.image);
    if (psal_box_is_empty(&field, image->ndim)) field = psal_box_of(image);
    hit->top = (int)field.first[2];
    hit->left = (int)field.first[3];
    hit->height = (int)(field.last[2] - field.first[2] + 1);
    hit->width = (int)(field.last[3] - field.first[3] + 1);
    return PSAL_OK;
}

static const psal_look_hit none = {.sample = -1, .label = -1};

psal_status psal_look_image(const psal_look *look, const float *image, psal_look_hit *hits, psal_error *err) {
    for (int64_t i = 0; i < PSAL_LOOK_ENDS * look->count; i++) hits[i] = none;
    if (!look->plan) return PSAL_OK;
    psal_workspace *workspace = psal_workspace_new(look->plan, err);
    place *places = calloc((size_t)(PSAL_LOOK_ENDS * look->count), sizeof *places);
    psal_status status = !workspace ? psal_error_status(err)
                         : !places  ? psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a look at an image")
                                    : look_at(look, workspace, image, places, err);
    for (int64_t i = 0; i < PSAL_LOOK_ENDS * look->count && status == PSAL_OK; i++) {
        if (!psal_look_has(look, i / PSAL_LOOK_ENDS)) continue;
        hits[i] = (psal_look_hit){.sample = 0, .label = -1, .activation = places[i].activation};
        status = locate(look, i / PSAL_LOOK_ENDS, places[i].at, &hits[i], err);
    }
    free(places);
    psal_workspace_free(workspace);
    return status;
}

/* ---- a data set ---- */

/* One sample of the window. */
typedef struct slot {
    int label;
    psal_status status;
    psal_error err;
    place *places; /* [count][PSAL_LOOK_ENDS] */
} slot;

typedef struct state {
    const psal_look *look;
    const psal_look_run *run;
    int threads, window, k;
    psal_workspace **workspaces; /* [threads] */
    float **images;              /* [threads] */
    slot *slots;                 /* [window] */
    place *places;               /* what the slots point into */
    psal_look_hit *hits;         /* the caller's; `row` is the number in the map until all are found */
} state;

static void free_state(state *s) {
    for (int i = 0; i < s->threads; i++) {
        if (s->workspaces) psal_workspace_free(s->workspaces[i]);
        if (s->images) free(s->images[i]);
    }
    free(s->workspaces);
    free(s->images);
    free(s->slots);
    free(s->places);
}

static psal_status make_state(state *s, psal_error *err) {
    const psal_look *look = s->look;
    const size_t places = (size_t)(PSAL_LOOK_ENDS * look->count);
    const size_t pixels = (size_t)psal_shape_count(psal_graph_shape(look->graph, look->network.image));
    s->workspaces = calloc((size_t)s->threads, sizeof *s->workspaces);
    s->images = calloc((size_t)s->threads, sizeof *s->images);
    s->slots = calloc((size_t)s->window, sizeof *s->slots);
    s->places = calloc((size_t)s->window * places, sizeof *s->places);
    bool good = s->workspaces && s->images && s->slots && s->places;
    for (int i = 0; i < s->window && good; i++) s->slots[i].places = s->places + (size_t)i * places;
    for (int i = 0; i < s->threads && good; i++) good = (s->images[i] = malloc(pixels * sizeof(float))) != NULL;
    if (!good)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a look at %lld filters in %d images at once",
                         (long long)look->count, s->window);
    for (int i = 0; i < s->threads; i++)
        if (!(s->workspaces[i] = psal_workspace_new(look->plan, err))) return psal_error_status(err);
    return PSAL_OK;
}

/* Insert a hit into list[k], whose unused places come last; of equal activations the earlier sample stays in front. */
static void insert(psal_look_hit *list, int k, psal_look_end end, const psal_look_hit *hit) {
    int at = k;
    while (at > 0 &&
           (list[at - 1].sample < 0 || (end == PSAL_LOOK_LARGEST ? hit->activation > list[at - 1].activation
                                                                 : hit->activation < list[at - 1].activation)))
        at--;
    if (at == k) return;
    memmove(&list[at + 1], &list[at], (size_t)(k - 1 - at) * sizeof *list);
    list[at] = *hit;
}

static void take(state *s, int64_t sample, const slot *from) {
    for (int64_t i = 0; i < PSAL_LOOK_ENDS * s->look->count; i++) {
        if (!psal_look_has(s->look, i / PSAL_LOOK_ENDS)) continue;
        const psal_look_hit hit = {.sample = sample,
                                   .label = from->label,
                                   .activation = from->places[i].activation,
                                   .row = from->places[i].at};
        insert(s->hits + i * s->k, s->k, (psal_look_end)(i % PSAL_LOOK_ENDS), &hit);
    }
}

/* Look at the samples first .. first+count-1, and take what they gave in their order. */
static psal_status look_through(state *s, int64_t first, int count, psal_error *err) {
    const psal_look_run *run = s->run;
#pragma omp parallel for schedule(dynamic, 1) num_threads(s->threads)
    for (int i = 0; i < count; i++) {
        slot *now = &s->slots[i];
        const int thread = omp_get_thread_num();
        const int64_t later = first + i + s->window;
        if (run->ahead && later < run->end) run->ahead(run->data, later);
        now->err = (psal_error)PSAL_ERROR_INIT;
        now->label = -1;
        now->status = run->load(run->data, first + i, s->images[thread], &now->label, &now->err);
        if (now->status == PSAL_OK)
            now->status = look_at(s->look, s->workspaces[thread], s->images[thread], now->places, &now->err);
        if (run->step) run->step(run->data);
    }
    psal_status status = PSAL_OK;
    for (int i = 0; i < count && status == PSAL_OK; i++) {
        if (s->slots[i].status == PSAL_OK) {
            take(s, first + i, &s->slots[i]);
        } else if (run->bad) {
            status = run->bad(run->data, first + i, &s->slots[i].err, err);
        } else {
            status = s->slots[i].status;
            if (err) *err = s->slots[i].err;
        }
    }
    if (status == PSAL_OK && run->pause) status = run->pause(run->data, err);
    return status;
}

psal_status psal_look_over(const psal_look *look, const psal_look_run *run, int k, psal_look_hit *hits,
                           psal_error *err) {
    if (k < 1 || run->first < 0 || run->first > run->end)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "the %d largest of the samples %lld to %lld", k, (long long)run->first,
                         (long long)run->end);
    const int64_t samples = run->end - run->first, lists = PSAL_LOOK_ENDS * look->count;
    for (int64_t i = 0; i < lists * k; i++) hits[i] = none;
    if (samples == 0 || !look->plan) return PSAL_OK;
    state s = {.look = look, .run = run, .k = k, .hits = hits};
    s.threads = samples < look->threads ? (int)samples : look->threads;
    s.window = samples < s.threads * WINDOW_PER_THREAD ? (int)samples : s.threads * WINDOW_PER_THREAD;
    psal_status status = make_state(&s, err);
    for (int64_t i = run->first; status == PSAL_OK && run->ahead && i < run->first + s.window; i++)
        run->ahead(run->data, i);
    for (int64_t next = run->first; status == PSAL_OK && next < run->end; next += s.window)
        status = look_through(&s, next, run->end - next < s.window ? (int)(run->end - next) : s.window, err);
    for (int64_t i = 0; i < lists * k && status == PSAL_OK; i++)
        if (hits[i].sample >= 0) status = locate(look, i / k / PSAL_LOOK_ENDS, hits[i].row, &hits[i], err);
    free_state(&s);
    return status;
}
