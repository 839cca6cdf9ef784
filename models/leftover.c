#include "models/leftover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is known to be without effect on the logits ---- */

typedef enum place {
    FIRST, /* the first component of the name, behind what the name shares with the network's prefix */
    LAST   /* the last */
} place;

/* The whole list, beside: extra biases of convolutions (values.h), tensors without elements, integers that are no
 * weights (below), another copy of the network that is an average (group.h), and normalisations of the input that
 * change nothing (below). */
static const struct {
    place place;
    const char *component;
    int most_dims;    /* more than this may be a layer: a criterion with a matrix is a classifier (ArcFace) */
    int64_t elements; /* 0: any number */
} harmless[] = {
    {LAST, "num_batches_tracked", 1, 1}, /* counters: BatchNorm, */
    {LAST, "n_averaged", 1, 1},          /* torch.optim.swa_utils.AveragedModel, */
    {LAST, "decay", 1, 1},               /* a moving average's pace, */
    {LAST, "total_ops", 1, 1},           /* thop's, which it forgets in the network */
    {LAST, "total_params", 1, 1},
    {FIRST, "optimizer", PSAL_MAX_DIMS, 0}, /* the training's state */
    {FIRST, "optimizers", PSAL_MAX_DIMS, 0},
    {FIRST, "optimizer_state", PSAL_MAX_DIMS, 0},
    {FIRST, "optimizer_state_dict", PSAL_MAX_DIMS, 0},
    {FIRST, "optimizer_states", PSAL_MAX_DIMS, 0},
    {FIRST, "lr_scheduler", PSAL_MAX_DIMS, 0},
    {FIRST, "lr_schedulers", PSAL_MAX_DIMS, 0},
    {FIRST, "scheduler", PSAL_MAX_DIMS, 0},
    {FIRST, "AuxLogits", PSAL_MAX_DIMS,
     0},                        /* Inception-v3's auxiliary classifier, of training only, where it is another one */
    {FIRST, "criterion", 1, 0}, /* the loss's: weights of classes, learned temperatures */
    {FIRST, "loss", 1, 0},
    {FIRST, "loss_fn", 1, 0},
    {FIRST, "loss_func", 1, 0},
    {FIRST, "loss_function", 1, 0},
    {FIRST, "train_criterion", 1, 0},
    {FIRST, "val_criterion", 1, 0},
    {FIRST, "train_loss", 1, 0},
    {FIRST, "val_loss", 1, 0},
};

static const char *last_component(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static bool is_component(const char *text, const char *component) {
    const size_t length = strcspn(text, ".");
    return strlen(component) == length && memcmp(text, component, length) == 0;
}

static bool is_harmless(const net_group *group, const char *name, const psal_shape *shape) {
    const char *behind = net_behind_shared(name, group->prefix);
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        if (!is_component(harmless[i].place == FIRST ? behind : last_component(name), harmless[i].component)) continue;
        if (shape->ndim <= harmless[i].most_dims &&
            (!harmless[i].elements || psal_shape_count(shape) == harmless[i].elements))
            return true;
    }
    return false;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), part = strlen(end);
    return length >= part && strcmp(text + length - part, end) == 0;
}

/* A mean (0) or deviation (1) of the input's channels: the value that leaves the input as it is, else -1. */
static int identity_of(const char *name, const psal_shape *shape) {
    const int64_t count = psal_shape_count(shape);
    const char *last = last_component(name);
    if (count != 1 && count != 3) return -1;
    if (strcmp(last, "mean") == 0 || ends_with(last, "_mean")) return strcmp(last, "running_mean") == 0 ? -1 : 0;
    return strcmp(last, "std") == 0 || ends_with(last, "_std") ? 1 : -1;
}

/* Integers of one number or a row of them count or list something, unless they are called as weights are. */
static bool is_integer_weight(const char *name, const psal_shape *shape) {
    static const char *const weights[] = {"weight", "bias", "kernel", "qweight", "running_mean", "running_var"};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        if (strcmp(last_component(name), weights[i]) == 0) return true;
    return shape->ndim > 1 && psal_shape_count(shape) > 1;
}

/* Whether tensor `index` of the checkpoint may be part of the network: everything but what is known to be without
 * effect. */
static bool matters(const net_group *group, size_t index) {
    const psal_tensor *tensor = psal_tensor_map_at(group->checkpoint, index);
    const char *name = psal_tensor_map_name(group->checkpoint, index);
    if (psal_shape_count(&tensor->shape) == 0 || is_harmless(group, name, &tensor->shape)) return false;
    if (!psal_tensor_is_float(tensor)) return is_integer_weight(name, &tensor->shape);
    const int identity = identity_of(name, &tensor->shape);
    return identity < 0 || !net_is_weight(tensor) || !net_all_equal(tensor, identity);
}

/* ---- which they are ---- */

bool *net_used(const net_group *group, const net *list) {
    const size_t count = psal_tensor_map_count(group->checkpoint);
    bool *used = calloc(count + 1, sizeof *used);
    char name[NET_NAME];
    for (size_t i = 0; used && i < count; i++) used[i] = group->hidden[i];
    for (int k = 0; used && k < list->count; k++) {
        const char *names[2] = {list->tensors[k].name, net_extra_bias(list, k, group->tensors, name)};
        for (int n = 0; n < 2 && names[n]; n++) {
            const size_t entry = psal_tensor_map_find(group->tensors, names[n]);
            if (entry != SIZE_MAX && group->source[entry] != SIZE_MAX) used[group->source[entry]] = true;
        }
    }
    return used;
}

/* ---- in words ---- */

static void append(char *text, size_t size, const char *name, const psal_tensor *tensor) {
    const size_t used = strlen(text);
    char shape[96];
    snprintf(text + used, size - used, "%s'%.90s' (%s%s%s)", *text ? ", " : "", name,
             psal_shape_format(&tensor->shape, shape, sizeof shape), net_is_weight(tensor) ? "" : " ",
             net_is_weight(tensor) ? "" : psal_tensor_type(tensor));
}

static void append_count(char *text, size_t size, size_t named, size_t count) {
    const size_t used = strlen(text);
    if (named < count) snprintf(text + used, size - used, ", ... (%zu in all)", count);
}

enum { NAMED = 4 };

size_t net_name_leftovers(const net_group *group, const bool *used, char *text, size_t size) {
    const psal_tensor_map *checkpoint = group->checkpoint;
    size_t count = 0, named = 0;
    *text = '\0';
    for (int vectors = 0; vectors < 2; vectors++)
        for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
            const psal_tensor *tensor = psal_tensor_map_at(checkpoint, i);
            if (group->hidden[i] || (used && used[i]) || (tensor->shape.ndim < 2) != vectors || !matters(group, i))
                continue;
            if (count++ < NAMED) append(text, size, psal_tensor_map_name(checkpoint, i), tensor), named++;
        }
    append_count(text, size, named, count);
    return count;
}

void net_name_tensors(const psal_tensor_map *checkpoint, const bool *skip, char *text, size_t size) {
    size_t count = 0, named = 0;
    *text = '\0';
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
        if (skip && skip[i]) continue;
        if (count++ < NAMED)
            append(text, size, psal_tensor_map_name(checkpoint, i), psal_tensor_map_at(checkpoint, i)), named++;
    }
    append_count(text, size, named, count);
}

/* ---- refusing ---- */

/* Two tensors that are the same one of the network, under different names. */
static psal_status check_twice(const net_group *group, const net *list, const bool *used, psal_error *err) {
    psal_tensor_map *names = net_list_names(list);
    if (!names) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = PSAL_OK;
    const size_t length = strlen(group->prefix);
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_count(group->checkpoint); i++) {
        const char *name = psal_tensor_map_name(group->checkpoint, i);
        char text[NET_NAME];
        if (used[i] || strncmp(name, group->prefix, length) != 0) continue;
        const char *torch = net_torch_name(name + length, group->is_keras, text, NULL);
        if (psal_tensor_map_get(names, torch) && psal_tensor_map_get(group->tensors, torch))
            status = psal_fail(err, PSAL_ERR_FORMAT, "tensors '%.200s' and '%.200s' are both '%s' of the network",
                               net_original_name(group, torch), name, torch);
    }
    psal_tensor_map_free(names);
    return status;
}

psal_status net_check_leftovers(const net_group *group, const net_candidate *candidate, const bool *used,
                                psal_error *err) {
    for (int i = 0; i < candidate->list.count; i++) { /* before what they leave over: their scales */
        const char *name = candidate->list.tensors[i].name;
        const psal_tensor *tensor = psal_tensor_map_get(group->tensors, name);
        if (tensor && !net_is_weight(tensor)) return net_refuse_type(net_original_name(group, name), tensor, err);
    }
    psal_status status = check_twice(group, &candidate->list, used, err);
    if (status != PSAL_OK) return status;
    const psal_tensor_map *checkpoint = group->checkpoint;
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(checkpoint, i);
        const char *name = psal_tensor_map_name(checkpoint, i);
        if (!used[i] && psal_tensor_is_float(tensor) && identity_of(name, &tensor->shape) >= 0 && matters(group, i))
            return psal_fail(
                err, PSAL_ERR_UNSUPPORTED,
                "tensor '%.200s' normalises the input inside of the network: say what it does with --preprocess, and "
                "leave it out with --ignore-extra '%.200s'",
                name, name);
    }
    char names[600];
    const size_t count = net_name_leftovers(group, used, names, sizeof names);
    if (count == 0) return PSAL_OK;
    psal_fail(err, PSAL_ERR_UNSUPPORTED,
              "fits %s, but has layers that psal does not know: nothing there takes the tensor%s %s; if %s no part in "
              "the answer, leave %s out with --ignore-extra NAME",
              candidate->arch->name, count > 1 ? "s" : "", names, count > 1 ? "they have" : "it has",
              count > 1 ? "them" : "it");
    return net_point_to_onnx(PSAL_ERR_UNSUPPORTED, err);
}
