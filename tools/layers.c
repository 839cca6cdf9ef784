#include "tools/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/spelling.h"

enum { NAME_SIZE = 128, NEAREST = 3 };

static bool begins(const char *name, const char *prefix) {
    const size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 &&
           (name[length] == '\0' || name[length] == '.' || (length && prefix[length - 1] == '.'));
}

/* The names nearest to a prefix, the nearest first, those of equal distance in the network's order. */
typedef struct nearest {
    char name[NEAREST][NAME_SIZE];
    size_t distance[NEAREST];
    int count;
} nearest;

static void offer(nearest *n, const char *name, size_t distance) {
    int at = 0;
    for (int i = 0; i < n->count; i++)
        if (strcmp(n->name[i], name) == 0) return;
    while (at < n->count && n->distance[at] <= distance) at++;
    if (at == NEAREST) return;
    if (n->count < NEAREST) n->count++;
    for (int i = n->count - 1; i > at; i--) {
        memcpy(n->name[i], n->name[i - 1], NAME_SIZE);
        n->distance[i] = n->distance[i - 1];
    }
    snprintf(n->name[at], NAME_SIZE, "%s", name);
    n->distance[at] = distance;
}

/* The layer's name, and what it begins with up to each point. */
static void offer_layer(nearest *n, const char *layer, const char *prefix) {
    char name[NAME_SIZE];
    for (const char *end = layer; *end;) {
        end = strchr(end + 1, '.');
        if (!end) end = layer + strlen(layer);
        snprintf(name, sizeof name, "%.*s", (int)(end - layer), layer);
        offer(n, name, psal_edit_distance(prefix, name));
    }
}

static bool has_units(const psal_model_parameter *parameter, psal_units units) {
    return parameter->first_unit[units] >= 0;
}

static psal_status fail_unknown(const psal_model *model, psal_units units, const char *prefix, psal_error *err) {
    nearest n = {0};
    char list[NEAREST * (NAME_SIZE + 2)] = "";
    size_t used = 0;
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *parameter = psal_model_get_parameter(model, i);
        if (has_units(parameter, units)) offer_layer(&n, parameter->name, prefix);
    }
    for (int i = 0; i < n.count; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", n.name[i]);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--layers %.100s: %s has no convolution%s of that name; the nearest: %s",
                     prefix, psal_model_get_info(model)->arch, units == PSAL_UNITS_ROWS ? " or linear layer" : "",
                     list);
}

psal_status psal_layers_wanted(const psal_options *options, const psal_model *model, psal_units units, bool *wanted,
                               psal_error *err) {
    const size_t prefixes = psal_options_count(options, "layers");
    const int parameters = psal_model_parameter_count(model);
    for (int i = 0; i < parameters; i++)
        wanted[i] = prefixes == 0 && has_units(psal_model_get_parameter(model, i), units);
    for (size_t p = 0; p < prefixes; p++) {
        const char *prefix = psal_options_string_at(options, "layers", p);
        bool used = false;
        for (int i = 0; i < parameters; i++) {
            const psal_model_parameter *parameter = psal_model_get_parameter(model, i);
            if (has_units(parameter, units) && begins(parameter->name, prefix)) wanted[i] = used = true;
        }
        if (!used) return fail_unknown(model, units, prefix, err);
    }
    return PSAL_OK;
}

psal_status psal_layers_keep(const psal_options *options, const psal_model *model, psal_units units, bool *live,
                             char text[PSAL_FIELD_SIZE], psal_error *err) {
    bool *wanted = calloc((size_t)psal_model_parameter_count(model) + 1, sizeof *wanted);
    if (!wanted) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the layers");
    psal_status status = psal_layers_wanted(options, model, units, wanted, err);
    for (int64_t f = 0; f < psal_model_unit_count(model, units) && status == PSAL_OK; f++)
        if (!wanted[psal_model_unit_parameter(model, units, f, NULL)]) live[f] = false;
    free(wanted);
    *text = '\0';
    for (size_t i = 0, used = 0; i < psal_options_count(options, "layers") && used < PSAL_FIELD_SIZE; i++)
        used += (size_t)snprintf(text + used, PSAL_FIELD_SIZE - used, "%s%s", used ? ", " : "",
                                 psal_options_string_at(options, "layers", i));
    return status;
}
