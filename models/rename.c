#include "models/rename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/keras.h"

#define NAME_SIZE 512

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *without_prefixes(const char *name) {
    static const char *const prefixes[] = {"module.", "model.", "state_dict.", "_orig_mod.", "net."};
    const int count = (int)(sizeof prefixes / sizeof *prefixes);
    for (int i = 0; i < count; i++)
        if (starts_with(name, prefixes[i]) && name[strlen(prefixes[i])]) {
            name += strlen(prefixes[i]);
            i = -1; /* they nest */
        }
    return name;
}

/* "...denselayerN.norm.1.weight" loses the dot before the number; so do relu and conv, 1 and 2. */
static bool rename_dense_layer(const char *name, char *text) {
    static const char *const parts[] = {".norm.", ".relu.", ".conv."};
    const char *layer = strstr(name, "denselayer");
    if (!layer) return false;
    for (int i = 0; i < (int)(sizeof parts / sizeof *parts); i++) {
        const char *found = strstr(layer, parts[i]);
        const char *number = found ? found + strlen(parts[i]) : "";
        if ((number[0] != '1' && number[0] != '2') || number[1] != '.') continue;
        snprintf(text, NAME_SIZE, "%.*s%s", (int)(number - 1 - name), name, number);
        return true;
    }
    return false;
}

/* timm's VGG computes the hidden layers as convolutions [4096,512,7,7] and [4096,4096,1,1]: the
 * same numbers in the same order as the matrices [4096, 512*7*7] and [4096,4096]. (On images other
 * than 224x224 timm moves that window where torchvision averages; psal does as torchvision.) */
static bool rename_timm_vgg(const char *name, char *text, psal_shape *shape) {
    static const char *const names[][2] = {
        {"pre_logits.fc1.", "classifier.0."}, {"pre_logits.fc2.", "classifier.3."}, {"head.fc.", "classifier.6."}};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (!starts_with(name, names[i][0])) continue;
        snprintf(text, NAME_SIZE, "%s%s", names[i][1], name + strlen(names[i][0]));
        if (shape->ndim == 4) {
            const psal_shape window = PSAL_SHAPE(shape->dim[1], shape->dim[2], shape->dim[3]);
            const int64_t inputs = psal_shape_count(&window);
            /* Too many even to be counted: an empty tensor, which fits nowhere as it is either. */
            if (inputs >= 0) *shape = PSAL_SHAPE(shape->dim[0], inputs);
        }
        return true;
    }
    return false;
}

static psal_status rename_all(const psal_tensor_map *checkpoint, psal_tensor_map *map, psal_error *err) {
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(checkpoint, i);
        const char *original = psal_tensor_map_name(checkpoint, i);
        const char *name = without_prefixes(original);
        psal_shape shape = tensor->shape;
        char text[NAME_SIZE];
        if (strlen(name) < sizeof text - 16 && (rename_dense_layer(name, text) || rename_timm_vgg(name, text, &shape)))
            name = text;
        /* Two names may come to the same (a network beside its moving average): the first stands.
         */
        if (psal_tensor_map_get(map, name)) name = original;
        if (psal_tensor_map_get(map, name)) continue;
        if (psal_tensor_map_add_view(map, name, tensor->dtype, &shape, tensor->data, err))
            return err ? err->status : PSAL_ERR_FORMAT;
    }
    return PSAL_OK;
}

psal_tensor_map *net_rename(const psal_tensor_map *checkpoint, net_origin *origin, psal_error *err) {
    *origin = (net_origin){0};
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    psal_status status = net_is_keras_resnet(checkpoint) ? net_rename_keras_resnet(checkpoint, map, origin, err)
                                                         : rename_all(checkpoint, map, err);
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_meta_count(checkpoint); i++) {
        const char *key = psal_tensor_map_meta_key(checkpoint, i);
        /* The format was that of the file; it does not describe the tensors any longer. */
        if (starts_with(key, "psal.") && strcmp(key, "psal.format") != 0)
            status = psal_tensor_map_set_meta(map, key, psal_tensor_map_meta(checkpoint, key), err);
    }
    if (status == PSAL_OK) return map;
    psal_tensor_map_free(map);
    return NULL;
}
