/* Keras' get_config(): a Sequential network is a list of layers, a functional one of layers with `inbound_nodes`, one
 * for each call. Keras 2 writes a call as [["layer", call, output, {arguments}], ...], Keras 3 as {"args": [...],
 * "kwargs": {...}} with tensors {"class_name": "__keras_tensor__", "config": {"keras_history": ["layer", call,
 * output]}}. */
#include "io/tfjs_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/describer.h"

#define MAX_ATTRIBUTES 64
#define MAX_INPUTS 1024 /* of one call */
#define MAX_NESTING 8   /* networks in networks, lists in lists */
#define MAX_LIST 64     /* numbers in an attribute */

/* The name of a value, or of the beginning of names. */
typedef struct value_name {
    char text[512];
} value_name;

typedef struct reader {
    psal_describer *describer;
    psal_error *err;
    psal_status status;
} reader;

static json_t *member(json_t *object, const char *key) {
    return json_object_get(object, key);
}

static const char *text_of(json_t *object, const char *key) {
    const char *text = json_string_value(member(object, key));
    return text ? text : "";
}

#define FAIL(r, ...) ((r)->status = (r)->status == PSAL_OK ? psal_fail((r)->err, __VA_ARGS__) : (r)->status)

static value_name name_value(reader *r, const char *scope, const char *layer, json_int_t call) {
    value_name name;
    char number[24] = "";
    if (call) snprintf(number, sizeof number, ":%" JSON_INTEGER_FORMAT, call);
    if ((size_t)snprintf(name.text, sizeof name.text, "%s%s%s", scope, layer, number) >= sizeof name.text)
        FAIL(r, PSAL_ERR_UNSUPPORTED, "the name of the layer '%.60s...' is too long", layer);
    return name;
}

/* ---- attributes ---- */

typedef struct list {
    int64_t integers[MAX_LIST];
    float numbers[MAX_LIST];
    size_t count;
    bool whole, good;
} list;

/* The numbers of nested lists one after the other. */
static void read_list(json_t *array, list *to, int depth) {
    json_t *item;
    size_t i;
    json_array_foreach(array, i, item) {
        if (json_is_array(item) && depth < MAX_NESTING) {
            read_list(item, to, depth + 1);
        } else if ((json_is_number(item) || json_is_null(item)) && to->count < MAX_LIST) {
            const double number = json_is_null(item) ? -1 : json_number_value(item);
            to->whole &= fabs(number) < 1e15 && number == floor(number);
            to->integers[to->count] = to->whole ? (int64_t)number : 0;
            to->numbers[to->count++] = (float)number;
        } else {
            to->good = false;
        }
    }
}

/* False where there is nothing: null. `to` holds what the lists of *a point to. */
static bool read_attribute(const char *name, json_t *value, psal_attribute *a, list *to) {
    *a = (psal_attribute){.name = name, .type = PSAL_ATTRIBUTE_OTHER, .text = ""};
    if (json_is_null(value)) return false;
    if (json_is_boolean(value) || json_is_integer(value)) {
        a->type = PSAL_ATTRIBUTE_INT;
        a->integer = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
    } else if (json_is_real(value)) {
        a->type = PSAL_ATTRIBUTE_FLOAT;
        a->number = (float)json_real_value(value);
    } else if (json_is_string(value)) {
        a->type = PSAL_ATTRIBUTE_STRING;
        a->text = json_string_value(value);
    } else if (json_is_array(value)) {
        *to = (list){.whole = true, .good = true};
        read_list(value, to, 0);
        if (to->good) a->type = to->whole ? PSAL_ATTRIBUTE_INTS : PSAL_ATTRIBUTE_FLOATS;
        a->count = to->good ? to->count : 0;
        a->integers = to->integers;
        a->numbers = to->numbers;
    }
    return true;
}

/* What a call says beside the tensors: `training` must be off, masks are none. */
static void add_arguments(json_t *arguments, psal_attribute *attributes, list *lists, size_t *count) {
    const char *key;
    json_t *value;
    json_object_foreach(arguments, key, value) {
        if (json_is_false(value) || *count == MAX_ATTRIBUTES) continue;
        *count += read_attribute(key, value, &attributes[*count], &lists[*count]);
    }
}

/* The memory of one layer's attributes is too large for the stack. */
typedef struct layer_attributes {
    psal_attribute attributes[MAX_ATTRIBUTES];
    list lists[MAX_ATTRIBUTES];
} layer_attributes;

static void add_layer(reader *r, json_t *layer, json_t *arguments, const char *const *inputs, size_t input_count,
                      const char *output) {
    json_t *config = member(layer, "config"), *value;
    const char *key;
    size_t count = 0;
    layer_attributes *all = malloc(sizeof *all);
    if (!all) {
        FAIL(r, PSAL_ERR_MEMORY, "out of memory");
        return;
    }
    if (json_object_size(config) >= MAX_ATTRIBUTES)
        FAIL(r, PSAL_ERR_FORMAT, "the layer '%.100s' has %zu attributes", output, json_object_size(config));
    json_object_foreach(config, key, value) {
        if (r->status != PSAL_OK) break;
        count += read_attribute(key, value, &all->attributes[count], &all->lists[count]);
    }
    add_arguments(arguments, all->attributes, all->lists, &count);
    const psal_operator o = {.name = text_of(config, "name"),
                             .type = text_of(layer, "class_name"),
                             .domain = "",
                             .attributes = all->attributes,
                             .attribute_count = count};
    if (r->status == PSAL_OK) psal_describer_operator(r->describer, &o, inputs, input_count, output);
    free(all);
}

static void add_identity(reader *r, const char *input, const char *output) {
    const psal_operator identity = {.name = output, .type = "Identity", .domain = ""};
    if (r->status == PSAL_OK) psal_describer_operator(r->describer, &identity, &input, 1, output);
}

/* ---- networks ---- */

/* The layers of a network, of either kind; NULL: it is none. */
static json_t *layers_of(json_t *model) {
    json_t *config = member(model, "config");
    json_t *layers = json_is_array(config) ? config : member(config, "layers");
    return json_is_array(layers) ? layers : NULL;
}

static bool is_sequential(json_t *model) {
    return strcmp(text_of(model, "class_name"), "Sequential") == 0 || json_is_array(member(model, "config"));
}

/* Every layer has a class and a name. */
static bool are_layers(json_t *layers) {
    json_t *layer;
    size_t i;
    json_array_foreach(layers, i, layer) {
        if (!*text_of(layer, "class_name") || !*text_of(member(layer, "config"), "name")) return false;
    }
    return json_is_array(layers);
}

/* The declared shape of a layer's input, null where it says none. */
static json_t *shape_of(json_t *layer, int depth) {
    json_t *config = member(layer, "config"), *shape = member(config, "batch_input_shape");
    if (!json_is_array(shape)) shape = member(config, "batch_shape");
    if (json_is_array(shape) || !layers_of(layer) || depth == MAX_NESTING) return json_is_array(shape) ? shape : NULL;
    return shape_of(json_array_get(layers_of(layer), 0), depth + 1);
}

static void add_input(reader *r, json_t *shape, const char *name) {
    int64_t dim[PSAL_MAX_DIMS];
    const size_t ndim = json_array_size(shape);
    if (ndim > PSAL_MAX_DIMS) FAIL(r, PSAL_ERR_UNSUPPORTED, "the input '%.100s' has %zu dimensions", name, ndim);
    for (size_t i = 0; i < ndim && r->status == PSAL_OK; i++) {
        const json_int_t length = json_integer_value(json_array_get(shape, i));
        dim[i] = length > 0 ? length : -1;
    }
    if (r->status == PSAL_OK) psal_describer_input(r->describer, name, shape ? (int)ndim : -1, dim);
}

static void add_model(reader *r, json_t *model, const char *input, const char *output, int depth);

/* One call of a layer, or of a network that is a layer. */
static void add_call(reader *r, json_t *layer, json_t *arguments, const char *scope, const char *const *inputs,
                     size_t input_count, const char *output, int depth) {
    const char *name = text_of(member(layer, "config"), "name");
    if (!layers_of(layer)) {
        add_layer(r, layer, arguments, inputs, input_count, output);
        return;
    }
    const value_name inner = name_value(r, scope, name, 0);
    if (input_count != 1 || strcmp(inner.text, output) != 0)
        FAIL(r, PSAL_ERR_UNSUPPORTED, "'%.100s' is a network that is called several times or has %zu inputs", name,
             input_count);
    else if (depth == MAX_NESTING)
        FAIL(r, PSAL_ERR_UNSUPPORTED, "'%.100s': more than %d networks in each other", name, MAX_NESTING);
    else
        add_model(r, layer, inputs[0], output, depth + 1);
}

static void add_sequence(reader *r, json_t *model, const char *scope, const char *input, const char *output,
                         int depth) {
    json_t *layers = layers_of(model), *layer;
    value_name at = {""};
    size_t i;
    if (input) snprintf(at.text, sizeof at.text, "%s", input);
    json_array_foreach(layers, i, layer) {
        const char *name = text_of(member(layer, "config"), "name");
        const value_name made = name_value(r, scope, name, 0);
        if (r->status != PSAL_OK) return;
        const bool declares = strcmp(text_of(layer, "class_name"), "InputLayer") == 0;
        if (i == 0 && !input) {
            at = declares ? made : name_value(r, name, "_input", 0);
            add_input(r, shape_of(layer, 0), at.text);
        }
        if (declares && i == 0) continue;
        const char *const inputs[] = {at.text};
        add_call(r, layer, NULL, scope, inputs, 1, made.text, depth);
        at = made;
    }
    if (!output)
        psal_describer_output(r->describer, at.text);
    else
        add_identity(r, at.text, output);
}

/* The tensors of one call. */
typedef struct call {
    const char *layer; /* that is called */
    value_name names[MAX_INPUTS];
    const char *inputs[MAX_INPUTS];
    size_t count;
    json_t *arguments;
} call;

/* ["layer", call, output, ...] */
static void add_tensor(reader *r, json_t *history, const char *scope, call *to) {
    const char *layer = json_string_value(json_array_get(history, 0));
    if (!layer || json_integer_value(json_array_get(history, 2)) != 0 || to->count == MAX_INPUTS) {
        FAIL(r, PSAL_ERR_UNSUPPORTED, "a layer reads '%.100s', which is not the only output of a layer",
             layer ? layer : "?");
        return;
    }
    to->names[to->count] = name_value(r, scope, layer, json_integer_value(json_array_get(history, 1)));
    to->inputs[to->count] = to->names[to->count].text;
    to->count++;
}

/* Tensors, alone or in lists. What else a call says must be null or false: its second argument is `training`, or a
 * mask. */
static void add_arguments_of(reader *r, json_t *argument, const char *scope, call *to, int depth) {
    json_t *item, *history = member(member(argument, "config"), "keras_history");
    size_t i;
    if (json_is_array(history))
        add_tensor(r, history, scope, to);
    else if (!json_is_array(argument) && argument && !json_is_null(argument) && !json_is_false(argument))
        FAIL(r, PSAL_ERR_UNSUPPORTED,
             "the layer '%.100s' is called with an argument that is no tensor: training must be off", to->layer);
    if (depth < MAX_NESTING) json_array_foreach(argument, i, item) add_arguments_of(r, item, scope, to, depth + 1);
}

static void read_call(reader *r, json_t *node, const char *scope, call *to) {
    json_t *item;
    size_t i;
    to->count = 0;
    to->arguments = member(node, "kwargs");
    if (json_is_object(node)) {
        add_arguments_of(r, member(node, "args"), scope, to, 0);
    } else if (json_is_string(json_array_get(node, 0))) { /* one tensor, without the list around it */
        add_tensor(r, node, scope, to);
        to->arguments = json_array_get(node, 3);
    } else {
        json_array_foreach(node, i, item) {
            add_tensor(r, item, scope, to);
            if (json_object_size(json_array_get(item, 3))) to->arguments = json_array_get(item, 3);
        }
    }
}

/* The first tensor of input_layers or output_layers: [["layer", 0, 0], ...], or that of one alone. */
static json_t *port_at(json_t *ports, size_t i) {
    if (json_is_string(json_array_get(ports, 0))) return i == 0 ? ports : NULL;
    return json_array_get(ports, i);
}

static void add_outputs(reader *r, json_t *model, const char *scope, const char *output, call *to) {
    json_t *ports = member(member(model, "config"), "output_layers"), *port;
    for (size_t i = 0; r->status == PSAL_OK && (port = port_at(ports, i)); i++) {
        to->count = 0;
        add_tensor(r, port, scope, to);
        if (r->status != PSAL_OK) return;
        if (!output)
            psal_describer_output(r->describer, to->names[0].text);
        else if (i == 0)
            add_identity(r, to->names[0].text, output);
        else
            FAIL(r, PSAL_ERR_UNSUPPORTED, "'%.100s' is a network with several outputs", output);
    }
}

static void add_functional(reader *r, json_t *model, const char *scope, const char *input, const char *output,
                           int depth) {
    json_t *layer, *node;
    size_t i, k;
    call *to = malloc(sizeof *to);
    if (!to) {
        FAIL(r, PSAL_ERR_MEMORY, "out of memory");
        return;
    }
    json_array_foreach(layers_of(model), i, layer) {
        const char *name = text_of(member(layer, "config"), "name");
        json_t *nodes = member(layer, "inbound_nodes");
        const value_name first = name_value(r, scope, name, 0);
        if (r->status != PSAL_OK) break;
        if (strcmp(text_of(layer, "class_name"), "InputLayer") == 0) {
            if (input)
                add_identity(r, input, first.text);
            else
                add_input(r, shape_of(layer, 0), first.text);
            continue;
        }
        json_array_foreach(nodes, k, node) {
            const value_name made = name_value(r, scope, name, (json_int_t)k);
            to->layer = name;
            read_call(r, node, scope, to);
            if (r->status != PSAL_OK) break;
            add_call(r, layer, to->arguments, scope, to->inputs, to->count, made.text, depth);
            /* Keras counts the calls of a network that is a layer from 1: its own first one made it. */
            if (layers_of(layer) && k == 0) add_identity(r, made.text, name_value(r, scope, name, 1).text);
        }
        if (!json_array_size(nodes)) add_call(r, layer, NULL, scope, NULL, 0, first.text, depth);
    }
    if (r->status == PSAL_OK) add_outputs(r, model, scope, output, to);
    free(to);
}

/* The network reads the value `input` and makes `output`; NULL: those of the whole. */
static void add_model(reader *r, json_t *model, const char *input, const char *output, int depth) {
    value_name inner = {""};
    if (output) inner = name_value(r, output, "/", 0);
    if (r->status != PSAL_OK) return;
    if (is_sequential(model))
        add_sequence(r, model, inner.text, input, output, depth);
    else
        add_functional(r, model, inner.text, input, output, depth);
}

psal_status psal_tfjs_read_layers(json_t *topology, psal_tensor_map *map, psal_error *err) {
    json_t *model = member(topology, "model_config");
    if (!model) model = topology;
    if (!are_layers(layers_of(model))) return PSAL_OK;
    reader r = {.describer = psal_describer_new(map, err), .err = err};
    if (!r.describer) return psal_error_status(err);
    add_model(&r, model, NULL, NULL, 0);
    const psal_description header = {.form = PSAL_DESCRIPTION_KERAS,
                                     .name = text_of(member(model, "config"), "name"),
                                     .producer = text_of(topology, "keras_version")};
    psal_error why = PSAL_ERROR_INIT;
    const psal_status status = psal_describer_finish(r.describer, &header, &why);
    if (r.status == PSAL_OK && status != PSAL_OK) r.status = psal_fail(err, status, "%s", why.message);
    if (r.status != PSAL_OK) psal_tensor_map_describe(map, NULL);
    return r.status;
}
