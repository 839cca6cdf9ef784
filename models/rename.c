#include "models/rename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/keras.h"

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- one name ---- */

/* What wraps a layer of a network without changing it, by the name it puts into the layer's: DataParallel,
 * torch.compile, FSDP and activation checkpointing. In front of all names it is an ordinary prefix. */
static bool is_wrapper(const char *component, size_t length) {
    static const char *const wrappers[] = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        if (strlen(wrappers[i]) == length && memcmp(component, wrappers[i], length) == 0) return true;
    return false;
}

static void drop_inner_wrappers(const char *name, char text[NET_NAME]) {
    size_t used = 0;
    for (bool first = true;; first = false) {
        const size_t length = strcspn(name, ".");
        if (first || !name[length] || !is_wrapper(name, length)) {
            memcpy(text + used, name, length + 1); /* with the dot or the end */
            used += length + 1;
        }
        if (!name[length]) return;
        name += length + 1;
    }
}

/* "...denselayerN.norm.1.weight" loses the dot before the number; so do relu and conv, 1 and 2. */
static void rename_dense_layer(char *name) {
    static const char *const parts[] = {".norm.", ".relu.", ".conv."};
    char *layer = strstr(name, "denselayer");
    for (int i = 0; layer && i < (int)(sizeof parts / sizeof *parts); i++) {
        char *found = strstr(layer, parts[i]);
        char *number = found ? found + strlen(parts[i]) : name + strlen(name);
        if ((number[0] != '1' && number[0] != '2') || number[1] != '.') continue;
        memmove(number - 1, number, strlen(number) + 1);
        return;
    }
}

/* timm's VGG computes the hidden layers as convolutions [4096,512,7,7] and [4096,4096,1,1]: the
 * same numbers in the same order as the matrices [4096, 512*7*7] and [4096,4096]. (On images other
 * than 224x224 timm moves that window where torchvision averages; psal does as torchvision.) */
static void rename_timm_vgg(char name[NET_NAME], psal_shape *shape) {
    static const char *const names[][2] = {
        {"pre_logits.fc1.", "classifier.0."}, {"pre_logits.fc2.", "classifier.3."}, {"head.fc.", "classifier.6."}};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (!starts_with(name, names[i][0])) continue;
        char rest[NET_NAME];
        strcpy(rest, name + strlen(names[i][0]));
        snprintf(name, NET_NAME, "%s%s", names[i][1], rest);
        if (shape && shape->ndim == 4) {
            const psal_shape window = PSAL_SHAPE(shape->dim[1], shape->dim[2], shape->dim[3]);
            const int64_t inputs = psal_shape_count(&window);
            /* Too many even to be counted: an empty tensor, which fits nowhere as it is either. */
            if (inputs >= 0) *shape = PSAL_SHAPE(shape->dim[0], inputs);
        }
        return;
    }
}

/* "layer2.0.shortcut.0.weight", as many CIFAR ResNets have it, for "layer2.0.downsample.0.weight". */
static void rename_shortcut(char name[NET_NAME]) {
    char *found = strstr(name, ".shortcut.");
    if (!found || !starts_with(name, "layer")) return;
    char rest[NET_NAME];
    strcpy(rest, found + strlen(".shortcut."));
    snprintf(found, NET_NAME - (size_t)(found - name), ".downsample.%s", rest);
}

/* torchvision's transformers before 0.14: "mlp.linear_1" and "mlp.linear_2" for "mlp.0" and "mlp.3". */
static void rename_perceptron(char *name) {
    char *found = strstr(name, "mlp.linear_");
    char *number = found ? found + strlen("mlp.linear_") : name + strlen(name);
    if ((number[0] != '1' && number[0] != '2') || number[1] != '.') return;
    found[strlen("mlp.")] = number[0] == '1' ? '0' : '3';
    memmove(found + strlen("mlp.0"), number + 1, strlen(number + 1) + 1);
}

const char *net_torch_name(const char *name, bool is_keras, char text[NET_NAME], psal_shape *shape) {
    if (strlen(name) + 16 >= NET_NAME) return name;
    if (is_keras) return net_keras_name(name, text) ? text : name;
    drop_inner_wrappers(name, text);
    rename_dense_layer(text);
    rename_shortcut(text);
    rename_perceptron(text);
    rename_timm_vgg(text, shape);
    return text;
}

/* ---- a group ---- */

psal_status net_group_add(net_group *group, const char *name, const psal_tensor *tensor, size_t source,
                          psal_error *err) {
    const size_t count = psal_tensor_map_count(group->tensors);
    size_t *grown = count & (count - 1) ? group->source
                                        : reallocarray(group->source, count ? 2 * count : 1, sizeof *grown);
    if (!grown) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    group->source = grown;
    group->source[count] = source;
    return psal_tensor_map_add_view(group->tensors, name, tensor->dtype, &tensor->shape, tensor->data, err);
}

static psal_status gather(net_group *group, psal_error *err) {
    const size_t length = strlen(group->prefix);
    for (size_t i = 0; i < psal_tensor_map_count(group->checkpoint); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(group->checkpoint, i);
        const char *name = psal_tensor_map_name(group->checkpoint, i);
        if (group->hidden[i] || !starts_with(name, group->prefix) || (length > 0 && !name[length])) continue;
        psal_tensor own = *tensor;
        char text[NET_NAME];
        const char *torch = net_torch_name(name + length, group->is_keras, text, &own.shape);
        if (psal_tensor_map_get(group->tensors, torch)) continue;
        psal_status status = PSAL_OK;
        if (group->is_keras) status = net_keras_layout(group->tensors, name + length, &own, err);
        if (status == PSAL_OK) status = net_group_add(group, torch, &own, i, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

psal_status net_group_open(net_group *group, const psal_tensor_map *checkpoint, const bool *hidden, const char *prefix,
                           psal_error *err) {
    *group = (net_group){.checkpoint = checkpoint, .hidden = hidden, .tensors = psal_tensor_map_new()};
    if (!group->tensors) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    snprintf(group->prefix, sizeof group->prefix, "%s", prefix);
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
        const char *name = psal_tensor_map_name(checkpoint, i);
        group->is_keras |= !hidden[i] && starts_with(name, prefix) && net_is_keras_name(name + strlen(prefix));
    }
    if (group->is_keras) net_keras_origin(checkpoint, &group->origin);
    psal_status status = gather(group, err);
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_meta_count(checkpoint); i++) {
        const char *key = psal_tensor_map_meta_key(checkpoint, i);
        /* The format was that of the file; it does not describe the tensors any longer. */
        if (starts_with(key, "psal.") && strcmp(key, "psal.format") != 0)
            status = psal_tensor_map_set_meta(group->tensors, key, psal_tensor_map_meta(checkpoint, key), err);
    }
    return status;
}

void net_group_close(net_group *group) {
    psal_tensor_map_free(group->tensors);
    free(group->source);
    group->tensors = NULL;
    group->source = NULL;
}

const char *net_original_name(const net_group *group, const char *name) {
    const size_t entry = psal_tensor_map_find(group->tensors, name);
    const size_t source = entry == SIZE_MAX ? SIZE_MAX : group->source[entry];
    return source == SIZE_MAX ? name : psal_tensor_map_name(group->checkpoint, source);
}

const char *net_behind_shared(const char *name, const char *prefix) {
    for (;;) {
        const size_t length = strcspn(prefix, ".");
        if (!prefix[length] || strncmp(name, prefix, length + 1) != 0) return name;
        name += length + 1;
        prefix += length + 1;
    }
}
