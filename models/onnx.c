#include "models/onnx.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/model.h"
#include "models/onnx_walk.h"

#define MAX_SIDE 32768

void net_onnx_free(net_onnx *onnx) {
    if (!onnx) return;
    for (int v = 0; onnx->names && v < onnx->d->value_count; v++) free(onnx->names[v]);
    free(onnx->tensors);
    free(onnx->is_constant);
    free(onnx->names);
    free(onnx->readers);
    free(onnx->needed);
    free(onnx);
}

bool net_onnx_is_folded(const net_onnx *onnx) {
    return onnx->folded;
}

/* ---- what the file holds ---- */

/* Tensors: initializers, constants, and what is only another name for one of them. An exporter that keeps equal weights
 * once makes such names for the others: they are parameters of their own again. */
static void find_tensors(net_onnx *onnx, const psal_tensor_map *checkpoint) {
    const psal_description *d = onnx->d;
    for (int v = 0; v < d->value_count; v++) {
        onnx->tensors[v] = psal_tensor_map_get(checkpoint, d->values[v]);
        onnx->is_constant[v] = onnx->tensors[v] && onnx->tensors[v]->shape.ndim == 0;
    }
    for (size_t i = 0; i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        if (*o->domain || o->output_count != 1 || o->outputs[0] == PSAL_NO_VALUE) continue;
        if (strcmp(o->type, "Constant") == 0 && o->attribute_count == 1 &&
            o->attributes[0].type == PSAL_ATTRIBUTE_TENSOR) {
            onnx->tensors[o->outputs[0]] = &o->attributes[0].tensor;
            onnx->is_constant[o->outputs[0]] = true;
        } else if (strcmp(o->type, "Identity") == 0 && o->input_count == 1 && o->inputs[0] != PSAL_NO_VALUE) {
            onnx->tensors[o->outputs[0]] = onnx->tensors[o->inputs[0]];
            onnx->is_constant[o->outputs[0]] = onnx->is_constant[o->inputs[0]];
        }
    }
}

/* What turns logits into probabilities, of all classes together or of each by itself. */
static bool makes_probabilities(const psal_operator *o) {
    const psal_attribute *axis = onnx_attribute(o, "axis");
    const bool last = !axis ? true : axis->integer == -1 || axis->integer == 1; /* of two dimensions */
    const bool together = strcmp(o->type, "Softmax") == 0 || strcmp(o->type, "LogSoftmax") == 0;
    return !*o->domain && ((together && last) || strcmp(o->type, "Sigmoid") == 0) && o->input_count == 1 &&
           o->inputs[0] != PSAL_NO_VALUE;
}

static void remark(net_found *found, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void remark(net_found *found, const char *format, ...) {
    const size_t used = strlen(found->remarks), size = sizeof found->remarks;
    va_list arguments;
    va_start(arguments, format);
    int begun = snprintf(found->remarks + used, size - used, "%s", used ? "; " : "");
    if (used + (size_t)begun < size)
        vsnprintf(found->remarks + used + begun, size - used - (size_t)begun, format, arguments);
    va_end(arguments);
}

/* "'features', 'logits'": the file's outputs. */
static void name_outputs(const psal_description *d, char *text, size_t size) {
    size_t used = 0;
    *text = '\0';
    for (size_t i = 0; i < d->output_count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%.60s'", i ? ", " : "", d->values[d->outputs[i].value]);
}

/* The first output, or the one that is asked for. */
static psal_status choose_output(net_onnx *onnx, const psal_model_options *wanted, net_found *found, psal_error *err) {
    const psal_description *d = onnx->d;
    char names[300];
    if (d->output_count == 0) return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the network has no output");
    onnx->logits = d->outputs[0].value;
    name_outputs(d, names, sizeof names);
    if (!wanted->prefix) {
        found->one_of_several = d->output_count > 1;
        if (d->output_count > 1)
            remark(found, "took the first of %zu outputs (%s) for the classes; --weights-key NAME takes another one",
                   d->output_count, names);
        return PSAL_OK;
    }
    for (size_t i = 0; i < d->output_count; i++) {
        onnx->logits = d->outputs[i].value;
        onnx->chosen = i > 0;
        if (strcmp(d->values[onnx->logits], wanted->prefix) == 0) return PSAL_OK;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "--weights-key chooses an output of an ONNX file: this one has %s, not '%.100s'", names,
                     wanted->prefix);
}

static psal_status find_ends(net_onnx *onnx, const psal_model_options *wanted, net_found *found, psal_error *err) {
    const psal_description *d = onnx->d;
    char text[96] = "";
    onnx->image = PSAL_NO_VALUE;
    for (size_t i = 0; i < d->input_count; i++) {
        const psal_port *port = &d->inputs[i];
        if (onnx->tensors[port->value]) continue; /* a default value: an initializer */
        if (onnx->image != PSAL_NO_VALUE)
            return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the network has several inputs, '%.100s' and '%.100s'",
                             d->values[onnx->image], d->values[port->value]);
        onnx->image = port->value;
        psal_shape shape = {.ndim = port->ndim > 0 ? port->ndim : 0};
        for (int k = 0; k < shape.ndim; k++) shape.dim[k] = port->dim[k];
        if (port->ndim != -1 && port->ndim != 4)
            return psal_fail(err, PSAL_ERR_UNSUPPORTED, "its input '%.100s' has shape %s, expected images: 1x3xHxW",
                             d->values[port->value], psal_shape_format(&shape, text, sizeof text));
        for (int k = 0; k < 4; k++) onnx->dim[k] = port->ndim == 4 ? port->dim[k] : -1;
        const int64_t first = onnx->dim[1], last = onnx->dim[3];
        if ((last == 1 || last == 3) && first != 1 && first != 3)
            return psal_fail(
                err, PSAL_ERR_UNSUPPORTED,
                "its input '%.100s' has the channels last (%s): export it with images of channels x height "
                "x width (tf2onnx: --inputs-as-nchw %.100s)",
                d->values[port->value], psal_shape_format(&shape, text, sizeof text), d->values[port->value]);
    }
    if (onnx->image == PSAL_NO_VALUE) return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the network has no input");
    psal_status status = choose_output(onnx, wanted, found, err);
    for (size_t i = d->operator_count; status == PSAL_OK && i-- > 0;) {
        const psal_operator *o = &d->operators[i];
        if (!o->output_count || o->outputs[0] != onnx->logits || !makes_probabilities(o)) continue;
        const bool apart = strcmp(o->type, "Sigmoid") == 0;
        onnx->logits = o->inputs[0];
        found->doubtful |= apart;
        remark(found, "took the logits in front of %s%s", o->type,
               apart ? ", though its classes do not exclude each other: confidences and cross-entropy are those of a "
                       "softmax here, and --logit needs neither"
                     : "");
    }
    return status;
}

/* Backwards from the logits: who is needed, and who reads what. */
static psal_status find_needed(net_onnx *onnx, psal_error *err) {
    const psal_description *d = onnx->d;
    bool *wanted = calloc((size_t)d->value_count + 1, sizeof *wanted);
    if (!wanted) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    wanted[onnx->logits] = true;
    onnx->readers[onnx->logits]++;
    for (size_t i = d->operator_count; i-- > 0;) {
        const psal_operator *o = &d->operators[i];
        for (size_t k = 0; k < o->output_count; k++)
            onnx->needed[i] |= o->outputs[k] != PSAL_NO_VALUE && wanted[o->outputs[k]];
        if (o->output_count && o->outputs[0] != PSAL_NO_VALUE && onnx->tensors[o->outputs[0]])
            onnx->needed[i] = false; /* a tensor already */
        for (size_t k = 0; onnx->needed[i] && k < o->input_count; k++) {
            if (o->inputs[k] == PSAL_NO_VALUE) continue;
            wanted[o->inputs[k]] = true;
            onnx->readers[o->inputs[k]]++;
        }
    }
    const bool reached = wanted[onnx->image];
    free(wanted);
    return reached ? PSAL_OK
                   : psal_fail(err, PSAL_ERR_UNSUPPORTED, "the output '%.100s' does not depend on the input",
                               d->values[onnx->logits]);
}

static void name_type(char *text, size_t size, const char *type) {
    const size_t used = strlen(text), length = strlen(type);
    if (!length) return; /* a hostile file's: it would be found again and again */
    for (const char *at = text; (at = strstr(at, type)); at += length)
        if ((at == text || at[-1] == ' ') && (at[length] == ',' || at[length] == '\0')) return;
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", type);
}

/* Every operator that is needed and every attribute of it is known. */
static psal_status check_operators(const net_onnx *onnx, psal_error *err) {
    const psal_description *d = onnx->d;
    char known_types[400] = "", unknown_types[300] = "", title[300];
    const psal_operator *first = NULL;
    for (size_t i = 0; i < d->operator_count; i++) {
        if (!onnx->needed[i]) continue;
        const bool known = onnx_find_operator(&d->operators[i]) != NULL;
        if (!known && !first) first = &d->operators[i];
        if (known)
            name_type(known_types, sizeof known_types, d->operators[i].type);
        else
            name_type(unknown_types, sizeof unknown_types, d->operators[i].type);
    }
    if (first) {
        onnx_title(first, title);
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "%s: psal has no such operator; of this file's it has %s, and not %s", title,
                         *known_types ? known_types : "none", unknown_types);
    }
    for (size_t i = 0; i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        for (size_t k = 0; onnx->needed[i] && k < o->attribute_count; k++) {
            char word[104];
            snprintf(word, sizeof word, " %.100s ", o->attributes[k].name);
            if (strstr(onnx_find_operator(o)->attributes, word) && strlen(o->attributes[k].name) <= 100) continue;
            onnx_title(o, title);
            return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                             "%s: psal does not know the attribute '%.100s' of this operator", title,
                             o->attributes[k].name);
        }
    }
    return PSAL_OK;
}

/* ---- names ---- */

/* PyTorch's node names repeat the way to a module ("/layer1/layer1.0/conv1/Conv"): "layer1.0.conv1". False when it is
 * no such name. */
static bool module_name(const psal_operator *o, char text[NET_NAME]) {
    const char *part = o->name;
    size_t used = 0, last = 0; /* where the last component begins in text */
    *text = '\0';
    if (*part != '/' || strlen(part) >= NET_NAME) return false;
    for (part++; strchr(part, '/'); part += strcspn(part, "/") + 1) {
        const size_t length = strcspn(part, "/"), before = used - last;
        const bool repeats = before && length > before && strncmp(part, text + last, before) == 0 &&
                             part[before] == '.';
        if (repeats)
            used = last;
        else if (used)
            text[used++] = '.';
        last = used;
        memcpy(text + used, part, length);
        used += length;
    }
    text[used] = '\0';
    return used > 0;
}

/* PyTorch numbers what it has made anew, folding, say. */
static bool is_lost(const char *name) {
    return strncmp(name, "onnx::", 6) == 0;
}

/* What input i of a layer is called. */
static const char *role_name(const psal_operator *o, size_t i) {
    if (strcmp(o->type, "MatMul") == 0) return "weight";
    static const char *const names[] = {"input", "weight", "bias", "running_mean", "running_var"};
    return i < sizeof names / sizeof *names ? names[i] : "operand";
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

/* Whether a value or a parameter so far is called so. */
static bool taken(const psal_description *d, const psal_tensor_map *names, const char *name) {
    return psal_tensor_map_get(names, name) ||
           bsearch(name, d->values, (size_t)d->value_count, sizeof *d->values, compare_names);
}

/* The name of the operator's input i as a parameter, for the caller to free; NULL when out of memory. */
static char *parameter_name(const psal_description *d, const psal_operator *o, size_t i, const psal_tensor_map *names) {
    char module[NET_NAME], *name;
    const char *own = d->values[o->inputs[i]];
    if (!is_lost(own) || !module_name(o, module)) return strdup(own);
    if (asprintf(&name, "%s.%s", module, role_name(o, i)) < 0) return NULL;
    if (!taken(d, names, name)) return name;
    free(name);
    return strdup(own);
}

static psal_status name_parameters(net_onnx *onnx, psal_error *err) {
    const psal_description *d = onnx->d;
    bool has_norm = false, lost_filters = false;
    psal_tensor_map *names = psal_tensor_map_new();
    psal_status status = names ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; status == PSAL_OK && i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        const onnx_operator *known = onnx->needed[i] ? onnx_find_operator(o) : NULL;
        has_norm |= known && known->buffers;
        for (size_t k = 0; known && status == PSAL_OK && k < o->input_count; k++) {
            if (!onnx_has_role(onnx, known, o, k) || onnx->names[o->inputs[k]]) continue;
            lost_filters |= is_lost(d->values[o->inputs[k]]) && k == 1 && strcmp(o->type, "Conv") == 0;
            char *name = onnx->names[o->inputs[k]] = parameter_name(d, o, k, names);
            status = name ? psal_tensor_map_add_view(names, name, PSAL_BOOL, &(psal_shape){0}, NULL, err)
                          : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        }
    }
    psal_tensor_map_free(names);
    onnx->folded = lost_filters && !has_norm;
    return status;
}

/* Filters are the weights of convolutions that the file holds. Those that operators make of others (standardised,
 * scaled) are none, and their convolutions' saliency is missing. */
static void tell_computed_weights(const net_onnx *onnx, net_found *found) {
    const psal_description *d = onnx->d;
    const psal_operator *first = NULL;
    int count = 0;
    for (size_t i = 0; i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        const onnx_operator *known = onnx->needed[i] ? onnx_find_operator(o) : NULL;
        if (!known || strcmp(o->type, "Conv") != 0 || o->input_count < 2 || o->inputs[1] == PSAL_NO_VALUE ||
            onnx_has_role(onnx, known, o, 1))
            continue;
        if (count++ == 0) first = o;
    }
    if (count == 0) return;
    found->doubtful = true;
    remark(
        found,
        "the weights of %d convolution%s ('%.60s'%s) are made by other operators: %s filters are not in the profile; "
        "an exporter that folds constants makes them plain weights",
        count, count > 1 ? "s" : "", first->name, count > 1 ? ", ..." : "", count > 1 ? "their" : "its");
}

/* ---- the architecture ---- */

static uint64_t hash(uint64_t seed, const void *data, size_t size) {
    return psal_bytes_fingerprint(data, size, seed);
}

static uint64_t hash_text(uint64_t seed, const char *text) {
    return hash(seed, text, strlen(text));
}

/* Of what the network computes, whatever its weights: operators, their attributes, who reads whom. */
static uint64_t hash_operators(const net_onnx *onnx) {
    const psal_description *d = onnx->d;
    uint64_t h = (uint64_t)d->opset;
    for (size_t i = 0; i < d->operator_count; i++) {
        const psal_operator *o = &d->operators[i];
        if (!onnx->needed[i]) continue;
        h = hash_text(hash_text(h, o->type), o->domain);
        for (size_t k = 0; k < o->input_count; k++)
            h = hash_text(h, o->inputs[k] == PSAL_NO_VALUE ? "" : d->values[o->inputs[k]]);
        for (size_t k = 0; k < o->output_count; k++)
            h = hash_text(h, o->outputs[k] == PSAL_NO_VALUE ? "" : d->values[o->outputs[k]]);
        for (size_t k = 0; k < o->attribute_count; k++) {
            const psal_attribute *a = &o->attributes[k];
            h = hash_text(h, a->name);
            if (a->type == PSAL_ATTRIBUTE_INT) h = hash(h, &a->integer, sizeof a->integer);
            if (a->type == PSAL_ATTRIBUTE_FLOAT) h = hash(h, &a->number, sizeof a->number);
            if (a->type == PSAL_ATTRIBUTE_STRING) h = hash_text(h, a->text);
            if (a->type == PSAL_ATTRIBUTE_INTS) h = hash(h, a->integers, a->count * sizeof *a->integers);
            if (a->type == PSAL_ATTRIBUTE_FLOATS) h = hash(h, a->numbers, a->count * sizeof *a->numbers);
        }
    }
    for (int v = 0; v < d->value_count; v++) { /* constants, and the shapes of the parameters */
        const psal_tensor *t = onnx->tensors[v];
        if (!t || !onnx->readers[v]) continue;
        h = hash(hash_text(h, d->values[v]), t->shape.dim, (size_t)t->shape.ndim * sizeof *t->shape.dim);
        if (!onnx->names[v] && t->dtype != PSAL_OTHER)
            h = hash(h, t->data, (size_t)psal_shape_count(&t->shape) * psal_dtype_size(t->dtype));
    }
    /* a part of what one operator makes, perhaps */
    return onnx->chosen ? hash_text(h, d->values[onnx->logits]) : h;
}

static psal_status try_size(net_onnx *onnx, net_options *options, int64_t height, int64_t width, psal_error *err) {
    psal_graph *graph = psal_graph_new();
    if (!graph) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    net n;
    net_init(&n, graph, options);
    const psal_node image = psal_input(graph, "image", PSAL_SHAPE(1, options->channels, height, width));
    const flow logits = onnx_describe(&n, net_image(&n, image), onnx);
    psal_status status = n.error.status != PSAL_OK ? psal_fail(err, n.error.status, "%s", n.error.message)
                                                   : psal_graph_check(graph, err);
    if (status == PSAL_OK) {
        const int64_t classes = psal_graph_shape(graph, logits.node)->dim[1];
        if (classes < 1 || classes > NET_MAX_CLASSES)
            status = psal_fail(err, PSAL_ERR_UNSUPPORTED, "its output has %" PRId64 " classes", classes);
        options->num_classes = (int)classes;
    }
    net_clear(&n);
    psal_graph_free(graph);
    return status;
}

/* Send an image through, for the number of classes and to know that every operator can be built: of the file's size, or
 * of the first usual one that fits. */
static psal_status try_sizes(net_onnx *onnx, net_options *options, psal_error *err) {
    static const int64_t sides[] = {224, 32, 64, 299, 28, 96, 128, 256, 384, 512};
    const int64_t height = onnx->dim[2], width = onnx->dim[3];
    if (height > MAX_SIDE || width > MAX_SIDE)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "images of %" PRId64 " x %" PRId64 " are too large", width, height);
    psal_status first = PSAL_OK;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        const int64_t h = height > 0 ? height : sides[i], w = width > 0 ? width : sides[i];
        psal_error why = PSAL_ERROR_INIT;
        const psal_status status = try_size(onnx, options, h, w, &why);
        onnx->arch.native_size = (int)(h > w ? h : w);
        if (status == PSAL_OK) return PSAL_OK;
        if (i == 0) first = psal_fail(err, status, "%s", why.message);
        if ((height > 0 && width > 0) || status != PSAL_ERR_SHAPE) break;
    }
    return first;
}

static psal_status refuse_wishes(const psal_model_options *wanted, psal_error *err) {
    const char *what = wanted->arch                  ? "architecture (--model)"
                       : wanted->variant             ? "variant (--variant)"
                       : wanted->bn_epsilon != 0     ? "batch-norm epsilon (--bn-epsilon)"
                       : wanted->transform_input > 0 ? "input transform (--transform-input)"
                       : wanted->ignore_extra_count  ? "tensors to leave out (--ignore-extra)"
                                                     : NULL;
    if (!what) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "an ONNX file describes the whole network itself: leave out the %s", what);
}

/* The tensors of the list under their names, and the metadata. */
static psal_status gather(const net_onnx *onnx, const psal_tensor_map *checkpoint, net_found *found, psal_error *err) {
    net_group *group = &found->group;
    psal_status status = PSAL_OK;
    group->checkpoint = checkpoint;
    group->tensors = psal_tensor_map_new();
    if (!group->tensors) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_meta_count(checkpoint); i++) {
        const char *key = psal_tensor_map_meta_key(checkpoint, i);
        if (strncmp(key, "psal.", 5) == 0)
            status = psal_tensor_map_set_meta(group->tensors, key, psal_tensor_map_meta(checkpoint, key), err);
    }
    for (int v = 0; status == PSAL_OK && v < onnx->d->value_count; v++)
        if (onnx->names[v] && !psal_tensor_map_get(group->tensors, onnx->names[v]))
            status = net_group_add(group, onnx->names[v], onnx->tensors[v], SIZE_MAX, err);
    return status;
}

static psal_status begin(net_onnx *onnx, const psal_tensor_map *checkpoint, psal_error *err) {
    onnx->d = psal_tensor_map_description(checkpoint);
    const size_t values = (size_t)onnx->d->value_count + 1, operators = onnx->d->operator_count + 1;
    onnx->tensors = calloc(values, sizeof *onnx->tensors);
    onnx->is_constant = calloc(values, sizeof *onnx->is_constant);
    onnx->names = calloc(values, sizeof *onnx->names);
    onnx->readers = calloc(values, sizeof *onnx->readers);
    onnx->needed = calloc(operators, sizeof *onnx->needed);
    if (!onnx->tensors || !onnx->is_constant || !onnx->names || !onnx->readers || !onnx->needed)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    find_tensors(onnx, checkpoint);
    return PSAL_OK;
}

static psal_status open_all(net_onnx *onnx, const psal_tensor_map *checkpoint, const psal_model_options *wanted,
                            net_found *found, psal_error *err) {
    psal_status status = refuse_wishes(wanted, err);
    if (status == PSAL_OK) status = begin(onnx, checkpoint, err);
    if (status == PSAL_OK) status = find_ends(onnx, wanted, found, err);
    if (status == PSAL_OK) status = find_needed(onnx, err);
    if (status == PSAL_OK) status = check_operators(onnx, err);
    if (status == PSAL_OK) status = name_parameters(onnx, err);
    if (status != PSAL_OK) return status;
    tell_computed_weights(onnx, found);
    snprintf(onnx->arch_name, sizeof onnx->arch_name, "onnx-%08x", (unsigned)hash_operators(onnx));
    onnx->arch = (net_arch){.name = onnx->arch_name,
                            .family = "onnx",
                            .min_size = 1,
                            .classifier = "",
                            .describe = onnx_describe,
                            .depth = onnx};
    const int64_t channels = onnx->dim[1] > 0 ? onnx->dim[1] : 3;
    if (channels > NET_MAX_CHANNELS)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "images of %" PRId64 " channels: at most %d", channels,
                         NET_MAX_CHANNELS);
    found->candidate.options = (net_options){.width = 1, .channels = (int)channels, .num_classes = 1};
    status = try_sizes(onnx, &found->candidate.options, err);
    if (status == PSAL_OK) status = gather(onnx, checkpoint, found, err);
    if (status != PSAL_OK) return status;
    found->candidate.arch = &onnx->arch;
    net_init(&found->candidate.list, NULL, &found->candidate.options);
    onnx_describe(&found->candidate.list, net_image(&found->candidate.list, PSAL_NO_NODE), onnx);
    const psal_error *why = &found->candidate.list.error;
    return why->status == PSAL_OK ? PSAL_OK : psal_fail(err, why->status, "%s", why->message);
}

net_onnx *net_onnx_open(const psal_tensor_map *checkpoint, const psal_model_options *wanted, net_found *found,
                        psal_error *err) {
    net_onnx *onnx = calloc(1, sizeof *onnx);
    *found = (net_found){.candidate = {.arch = NULL}};
    if (!onnx) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (open_all(onnx, checkpoint, wanted, found, err) == PSAL_OK) return onnx;
    net_clear(&found->candidate.list);
    net_group_close(&found->group);
    net_onnx_free(onnx);
    return NULL;
}

/* ---- for tests ---- */

psal_status net_onnx_build_all(const psal_tensor_map *checkpoint, psal_graph *graph, const psal_tensor *inputs,
                               psal_node *input_nodes, psal_node *output_nodes, psal_error *err) {
    net_onnx *onnx = calloc(1, sizeof *onnx);
    if (!onnx) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = begin(onnx, checkpoint, err);
    for (size_t i = 0; status == PSAL_OK && i < onnx->d->operator_count; i++) {
        const psal_operator *o = &onnx->d->operators[i];
        onnx->needed[i] = !o->output_count || o->outputs[0] == PSAL_NO_VALUE || !onnx->tensors[o->outputs[0]];
    }
    if (status == PSAL_OK) status = check_operators(onnx, err);
    if (status == PSAL_OK) status = name_parameters(onnx, err);
    if (status == PSAL_OK) {
        net n;
        net_init(&n, graph, &(net_options){.width = 1});
        onnx_build_all(&n, onnx, inputs, input_nodes, output_nodes);
        if (n.error.status != PSAL_OK) status = psal_fail(err, n.error.status, "%s", n.error.message);
        net_clear(&n);
    }
    if (status == PSAL_OK) status = psal_graph_check(graph, err);
    net_onnx_free(onnx);
    return status;
}
