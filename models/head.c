#include "models/head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/values.h"

enum { MOST_LAYERS = 4 };

/* A fully connected layer somewhere: its names without ".weight" in the checkpoint and in the group, "" for none
 * there. */
typedef struct layer {
    char original[NET_NAME], name[NET_NAME];
    int64_t features;
} layer;

/* ---- what is needed ---- */

static bool is_linear(const net_tensor *entry) {
    return entry->in_graph && !entry->is_buffer && entry->shape.ndim == 2;
}

/* The list indices of the network's fully connected layers, if these alone do not fit; else 0. */
static int needed(const net_candidate *c, const psal_tensor_map *tensors, int wanted[MOST_LAYERS]) {
    int count = 0;
    for (int i = 0; i < c->list.count; i++) {
        const net_tensor *entry = &c->list.tensors[i];
        if (is_linear(entry)) {
            if (count == MOST_LAYERS) return 0;
            wanted[count++] = i++; /* and past its bias */
            continue;
        }
        const psal_tensor *found = psal_tensor_map_get(tensors, entry->name);
        if (found ? !psal_shape_equal(&found->shape, &entry->shape) : entry->in_graph) return 0;
    }
    return c->list.error.status == PSAL_OK ? count : 0;
}

/* ---- what is there ---- */

static size_t component_length(const char *name) {
    return strcspn(name, ".");
}

/* Whether a name's first component, digits at its end aside, is one that last layers bear. */
static bool in_head_position(const char *name, const char *expected) {
    static const char *const words[] = {"fc",
                                        "classifier",
                                        "head",
                                        "heads",
                                        "linear",
                                        "last_linear",
                                        "last_layer",
                                        "logits",
                                        "output",
                                        "out",
                                        "out_layer",
                                        "output_layer",
                                        "cls",
                                        "cls_head",
                                        "clf",
                                        "dense",
                                        "final",
                                        "final_layer",
                                        "final_fc",
                                        "fc_layer",
                                        "new_fc",
                                        "top",
                                        "classification_head",
                                        "class_head",
                                        "cls_layer",
                                        "predictions",
                                        "lin"};
    size_t length = component_length(name);
    if (length == component_length(expected) && memcmp(name, expected, length) == 0) return true;
    while (length > 0 && name[length - 1] >= '0' && name[length - 1] <= '9') length--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == length && memcmp(words[i], name, length) == 0) return true;
    return false;
}

/* "fc.1.weight" without ".weight"; false when it is something else. */
static bool stem_of(const char *name, char stem[NET_NAME]) {
    static const char end[] = ".weight";
    const size_t length = strlen(name), part = sizeof end - 1;
    if (length <= part || length >= NET_NAME || strcmp(name + length - part, end) != 0) return false;
    snprintf(stem, NET_NAME, "%.*s", (int)(length - part), name);
    return true;
}

/* Append what is a matrix in head position. */
static void consider(layer *layers, int *count, const char *name, const char *in_group, const char *original,
                     const psal_tensor *tensor, const char *expected) {
    char stem[NET_NAME];
    if (!net_is_weight(tensor) || tensor->shape.ndim != 2 || !in_head_position(name, expected) || !stem_of(name, stem))
        return;
    if (++*count > MOST_LAYERS) return; /* counted all the same */
    layer *l = &layers[*count - 1];
    *l = (layer){.features = tensor->shape.dim[1]};
    stem_of(original, l->original);
    if (*in_group) stem_of(in_group, l->name);
}

/* The layers within the group; where there are none, those beside it. */
static int find_layers(const net_group *group, const char *expected, layer layers[MOST_LAYERS]) {
    int count = 0;
    for (size_t i = 0; i < psal_tensor_map_count(group->tensors); i++) {
        const char *name = psal_tensor_map_name(group->tensors, i);
        if (group->source[i] == SIZE_MAX) continue;
        consider(layers, &count, name, name, psal_tensor_map_name(group->checkpoint, group->source[i]),
                 psal_tensor_map_at(group->tensors, i), expected);
    }
    if (count > 0 || !*group->prefix) return count;
    for (size_t i = 0; i < psal_tensor_map_count(group->checkpoint); i++) {
        const char *name = psal_tensor_map_name(group->checkpoint, i);
        if (!group->hidden[i] && strncmp(name, group->prefix, strlen(group->prefix)) != 0)
            consider(layers, &count, net_behind_shared(name, group->prefix), "", name,
                     psal_tensor_map_at(group->checkpoint, i), expected);
    }
    return count;
}

/* The number behind the first `shared` characters of "classifier.3" or "classifier.6.1"; -1 when there is none. */
static int number_of(const layer *l, size_t shared) {
    char *end;
    if (l->name[shared] < '0' || l->name[shared] > '9') return -1;
    const long number = strtol(l->name + shared, &end, 10);
    return (!*end || *end == '.') && number < 1000 ? (int)number : -1;
}

/* The length of the components that begin all names, with the last dot. */
static size_t shared_length(const layer *layers, int count) {
    size_t length = strlen(layers[0].name);
    for (int i = 1; i < count; i++)
        for (size_t k = 0; k < length; k++)
            if (layers[i].name[k] != layers[0].name[k]) length = k;
    while (length > 0 && layers[0].name[length - 1] != '.') length--;
    return length;
}

/* In the order of their numbers, with room for something between any two; of one Sequential, or of one within it
 * each. */
static bool sort_layers(layer *layers, int count) {
    const size_t shared = shared_length(layers, count);
    for (int i = 0; i < count; i++) {
        if (shared == 0 || number_of(&layers[i], shared) < 0) return false;
        for (int k = i; k > 0 && number_of(&layers[k - 1], shared) > number_of(&layers[k], shared); k--) {
            const layer swap = layers[k];
            layers[k] = layers[k - 1];
            layers[k - 1] = swap;
        }
    }
    for (int i = 1; i < count; i++)
        if (number_of(&layers[i], shared) - number_of(&layers[i - 1], shared) < 2) return false;
    return true;
}

/* ---- giving names ---- */

static void remark(net_group *group, const char *text) {
    const size_t used = strlen(group->remarks);
    snprintf(group->remarks + used, sizeof group->remarks - used, "%s%s", used ? "; " : "", text);
}

/* Let "TO.part" be the tensor "FROM.part", if there is one; else *there is false. */
static psal_status take(net_group *group, const layer *from, const char *to, const char *part, bool *there,
                        psal_error *err) {
    char name[NET_NAME + 8], target[NET_NAME + 8];
    snprintf(target, sizeof target, "%s.%s", to, part);
    snprintf(name, sizeof name, "%s.%s", *from->name ? from->name : from->original, part);
    const size_t at = psal_tensor_map_find(*from->name ? group->tensors : group->checkpoint, name);
    *there = at != SIZE_MAX && (*from->name || !group->hidden[at]);
    if (!*there) return PSAL_OK;
    if (*from->name) return psal_tensor_map_rename(group->tensors, at, target, err);
    return net_group_add(group, target, psal_tensor_map_at(group->checkpoint, at), at, err);
}

static void release(void *memory, size_t size) {
    (void)size;
    free(memory);
}

static psal_status add_zeros(net_group *group, const char *layer_name, int64_t count, psal_error *err) {
    char name[NET_NAME + 8], text[NET_NAME + 80];
    snprintf(name, sizeof name, "%s.bias", layer_name);
    const size_t bytes = ((size_t)count + 1) * sizeof(float);
    float *zeros = calloc(1, bytes);
    if (!zeros || psal_tensor_map_adopt(group->tensors, zeros, bytes, release, err) != PSAL_OK) {
        free(zeros);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    snprintf(text, sizeof text, "no '%.100s': zeros (a layer of cosines would give another answer)", name);
    remark(group, text);
    group->doubtful = true;
    return net_group_add(group, name, &(psal_tensor){PSAL_F32, PSAL_SHAPE(count), zeros}, SIZE_MAX, err);
}

static psal_status give_name(net_group *group, const layer *from, const char *to, psal_error *err) {
    char text[2 * NET_NAME], weight[NET_NAME + 8];
    bool there = true;
    snprintf(weight, sizeof weight, "%s.weight", to);
    if (strcmp(from->name, to) != 0) {
        psal_status status = take(group, from, to, "weight", &there, err);
        if (status == PSAL_OK) status = take(group, from, to, "bias", &there, err);
        if (status != PSAL_OK) return status;
        snprintf(text, sizeof text, "took '%.100s' for the layer '%.60s'", from->original, to);
        remark(group, text);
    } else {
        snprintf(text, sizeof text, "%s.bias", to);
        there = psal_tensor_map_get(group->tensors, text) != NULL;
    }
    const psal_tensor *matrix = psal_tensor_map_get(group->tensors, weight);
    return there || !matrix ? PSAL_OK : add_zeros(group, to, matrix->shape.dim[0], err);
}

/* Whether something else has a name that is to be given. */
static bool is_taken(const net_group *group, const char *name, const layer *layers, int count) {
    char stem[NET_NAME];
    const char *dot = strrchr(name, '.');
    snprintf(stem, sizeof stem, "%.*s", (int)(dot - name), name);
    for (int i = 0; i < count; i++)
        if (strcmp(layers[i].name, stem) == 0) return false; /* it moves on */
    return psal_tensor_map_get(group->tensors, name) != NULL;
}

static bool has_layer(const net_group *group, const char *stem) {
    char weight[NET_NAME + 8], bias[NET_NAME + 8];
    snprintf(weight, sizeof weight, "%s.weight", stem);
    snprintf(bias, sizeof bias, "%s.bias", stem);
    return psal_tensor_map_get(group->tensors, weight) || psal_tensor_map_get(group->tensors, bias);
}

/* Each as soon as its name is free: classifier.4 before classifier.2 where they become 6 and 4. Both are in the order
 * of their numbers, so that there is always one that can go. */
static psal_status give_names(net_group *group, const net_candidate *closest, const layer *layers, const int *wanted,
                              int count, psal_error *err) {
    bool done[MOST_LAYERS] = {false};
    psal_status status = PSAL_OK;
    for (int round = 0; round < count; round++)
        for (int i = 0; i < count && status == PSAL_OK; i++) {
            char name[NET_NAME];
            if (done[i] || !stem_of(closest->list.tensors[wanted[i]].name, name)) continue;
            if (strcmp(layers[i].name, name) != 0 && has_layer(group, name)) continue;
            status = give_name(group, &layers[i], name, err);
            done[i] = true;
        }
    return status;
}

psal_status net_name_head(net_group *group, const net_candidate *closest, bool *changed, psal_error *err) {
    int wanted[MOST_LAYERS];
    layer layers[MOST_LAYERS];
    *changed = false;
    const int count = needed(closest, group->tensors, wanted);
    if (count == 0) return PSAL_OK;
    const net_tensor *expected = &closest->list.tensors[wanted[count - 1]];
    if (find_layers(group, expected->name, layers) != count) return PSAL_OK;
    if (count == 1 ? layers[0].features != expected->shape.dim[1] : !sort_layers(layers, count)) return PSAL_OK;
    for (int i = 0; i < count; i++)
        if (is_taken(group, closest->list.tensors[wanted[i]].name, layers, count) ||
            is_taken(group, closest->list.tensors[wanted[i] + 1].name, layers, count))
            return PSAL_OK;
    psal_status status = give_names(group, closest, layers, wanted, count, err);
    *changed = status == PSAL_OK;
    return status;
}
