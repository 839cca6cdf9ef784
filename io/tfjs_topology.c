#include "io/tfjs_topology.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static psal_status set(psal_tensor_map *map, const char *key, const char *value, psal_error *err) {
    return value ? psal_tensor_map_set_meta(map, key, value, err) : PSAL_OK;
}

/* The array of layers: under model_config.config.layers, or in older files model_config.config
 * itself. */
static json_t *find_layers(json_t *topology, json_t **model) {
    *model = json_object_get(topology, "model_config");
    if (!*model) *model = topology;
    json_t *config = json_object_get(*model, "config");
    json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    return json_is_array(layers) ? layers : NULL;
}

/* "2x2" when the layer is a convolution with another stride than 1, else NULL. */
static const char *stride_of(json_t *config, const char *class_name, char *text, size_t size) {
    json_t *strides = json_object_get(config, "strides");
    if (!strstr(class_name, "Conv2D") || json_array_size(strides) != 2) return NULL;
    json_int_t y = json_integer_value(json_array_get(strides, 0)), x = json_integer_value(json_array_get(strides, 1));
    if (y == 1 && x == 1) return NULL;
    snprintf(text, size, "%" JSON_INTEGER_FORMAT "x%" JSON_INTEGER_FORMAT, y, x);
    return text;
}

psal_status psal_tfjs_describe(json_t *topology, psal_tensor_map *map, psal_error *err) {
    json_t *model, *layers = find_layers(topology, &model), *layer;
    char *names = NULL, *strides = NULL, text[64];
    size_t names_size, strides_size, i;
    double epsilon = 0;
    int normalisations = 0, differing = 0;
    FILE *name_list = open_memstream(&names, &names_size), *stride_list = open_memstream(&strides, &strides_size);
    if (name_list && stride_list) {
        json_array_foreach(layers, i, layer) {
            json_t *config = json_object_get(layer, "config");
            const char *name = text_of(config, "name"), *class_name = text_of(layer, "class_name");
            if (!name || !class_name) continue;
            fprintf(name_list, "%s %s\n", name, class_name);
            if (stride_of(config, class_name, text, sizeof text)) fprintf(stride_list, "%s %s\n", name, text);
            json_t *value = json_object_get(config, "epsilon");
            if (strcmp(class_name, "BatchNormalization") != 0 || !json_is_number(value)) continue;
            differing |= normalisations++ && json_number_value(value) != epsilon;
            epsilon = json_number_value(value);
        }
    }
    bool written = name_list && stride_list;
    /* Memory that was missing on the way is in ferror alone. */
    if (name_list) written = !fflush(name_list) && !ferror(name_list) && written;
    if (stride_list) written = !fflush(stride_list) && !ferror(stride_list) && written;
    if (name_list) fclose(name_list);
    if (stride_list) fclose(stride_list);
    psal_status status = written ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK) status = set(map, "keras.model", text_of(json_object_get(model, "config"), "name"), err);
    if (status == PSAL_OK) status = set(map, "keras.class", text_of(model, "class_name"), err);
    if (status == PSAL_OK) status = set(map, "keras.version", text_of(topology, "keras_version"), err);
    if (status == PSAL_OK && *names) status = set(map, "keras.layers", names, err);
    if (status == PSAL_OK && *strides) status = set(map, "keras.strides", strides, err);
    if (status == PSAL_OK && normalisations && !differing) {
        json_t *number = json_real(epsilon); /* jansson writes numbers as JSON does, whatever the locale */
        char *plain = json_dumps(number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        status = plain ? set(map, "keras.batch_norm_epsilon", plain, err)
                       : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        free(plain);
        json_decref(number);
    }
    free(names);
    free(strides);
    return status;
}
