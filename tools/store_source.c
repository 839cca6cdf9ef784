#include "tools/store_source.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/dataset.h"
#include "io/json_input.h"
#include "io/json_output.h"

/* Options about the network, beside --weights. */
static const struct network_option {
    const char *name;
    bool is_path;
} network_options[] = {{"weights-key", false}, {"delta", true},           {"ignore-extra", false},
                       {"model", false},       {"variant", false},        {"bn-epsilon", false},
                       {"preprocess", false},  {"transform-input", false}};
enum { NETWORK_OPTIONS = sizeof network_options / sizeof network_options[0] };

/* ---- writing ---- */

/* What is no file of the file system (a pipe) keeps its name. */
static json_t *path_json(const char *path, psal_error *err) {
    char absolute[PATH_MAX];
    if (realpath(path, absolute)) return psal_json_string(absolute);
    if (errno == ENOENT) return psal_json_string(path);
    psal_fail(err, PSAL_ERR_IO, "%s: its whole path cannot be told: %s", path, strerror(errno));
    return NULL;
}

static json_t *option_json(const psal_options *options, const struct network_option *o, psal_error *err) {
    const char *name = o->name;
    if (strcmp(name, "transform-input") == 0) return json_true();
    if (strcmp(name, "bn-epsilon") == 0) return psal_json_double(psal_options_double(options, name));
    const bool list = strcmp(name, "delta") == 0 || strcmp(name, "ignore-extra") == 0;
    if (!list) return psal_json_string(psal_options_string(options, name));
    json_t *array = json_array();
    for (size_t i = 0; i < psal_options_count(options, name); i++) {
        const char *value = psal_options_string_at(options, name, i);
        json_array_append_new(array, o->is_path ? path_json(value, err) : psal_json_string(value));
    }
    return array;
}

static bool is_set(const psal_options *options, const char *name) {
    return strcmp(name, "transform-input") == 0 ? psal_options_flag(options, name) : psal_options_has(options, name);
}

/* A built-in set by its name, other names as a list. */
static psal_status labels_json(const psal_labels *labels, json_t **json, psal_error *err) {
    static const char *const sets[] = {"imagenet", "fashion-mnist"};
    char *record = psal_labels_record(labels, err);
    psal_status status = record ? PSAL_OK : psal_error_status(err);
    *json = NULL;
    for (int i = 0; i < 2 && status == PSAL_OK && !*json; i++) {
        psal_labels *set = psal_labels_open(sets[i], 0, err);
        char *text = set ? psal_labels_record(set, err) : NULL;
        if (!text) status = psal_error_status(err);
        if (text && strcmp(text, record) == 0) *json = psal_json_string(sets[i]);
        free(text);
        psal_labels_free(set);
    }
    if (status == PSAL_OK && !*json && !(*json = psal_json_parse(record, strlen(record), err)))
        status = psal_error_status(err);
    free(record);
    return status;
}

psal_status psal_store_source_text(const char *data, const psal_labels *labels, const char *weights,
                                   const psal_options *options, char **text, psal_error *err) {
    psal_error why = PSAL_ERROR_INIT;
    json_t *object = json_object(), *names = NULL;
    char *spec = psal_dataset_absolute(data, err);
    *text = NULL;
    psal_status status = spec ? PSAL_OK : psal_error_status(err);
    if (status == PSAL_OK) json_object_set_new(object, "data", psal_json_string(spec));
    if (weights) json_object_set_new(object, "weights", path_json(weights, &why));
    for (int i = 0; i < NETWORK_OPTIONS && weights && options; i++)
        if (is_set(options, network_options[i].name))
            json_object_set_new(object, network_options[i].name, option_json(options, &network_options[i], &why));
    if (status == PSAL_OK && why.status != PSAL_OK) status = psal_fail(err, why.status, "%s", why.message);
    if (status == PSAL_OK && labels && psal_labels_have_names(labels)) status = labels_json(labels, &names, err);
    if (names) json_object_set_new(object, "labels", names);
    if (status == PSAL_OK) status = psal_json_check(object, err);
    if (status == PSAL_OK && !(*text = json_dumps(object, JSON_COMPACT)))
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    json_decref(object);
    free(spec);
    return status;
}

/* ---- reading ---- */

json_t *psal_store_source_read(const char *text, psal_error *err) {
    static const char *const strings[] = {"data", "weights", "weights-key", "model", "variant", "preprocess"};
    json_t *object = psal_json_parse_object(text, strlen(text), err);
    for (size_t i = 0; object && i < sizeof strings / sizeof strings[0]; i++) {
        const json_t *value = json_object_get(object, strings[i]);
        if (!value || json_is_string(value)) continue;
        psal_fail(err, PSAL_ERR_FORMAT, "'%s' is no text", strings[i]);
        json_decref(object);
        object = NULL;
    }
    return object;
}

const char *psal_store_source_string(const json_t *source, const char *key) {
    return json_string_value(json_object_get(source, key));
}

psal_status psal_store_source_move(const char *text, const char *data, char **moved, psal_error *err) {
    char *spec = psal_dataset_absolute(data, err);
    json_t *object = spec ? psal_store_source_read(text, err) : NULL;
    psal_status status = object ? PSAL_OK : psal_error_status(err);
    *moved = NULL;
    if (status == PSAL_OK) json_object_set_new(object, "data", psal_json_string(spec));
    if (status == PSAL_OK) status = psal_json_check(object, err);
    if (status == PSAL_OK && !(*moved = json_dumps(object, JSON_COMPACT)))
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    json_decref(object);
    free(spec);
    return status;
}

/* ---- its network ---- */

bool psal_store_source_serves(const json_t *source, const psal_options *given) {
    if (!psal_store_source_string(source, "weights") || psal_options_has(given, "weights")) return false;
    for (int i = 0; i < NETWORK_OPTIONS; i++)
        if (is_set(given, network_options[i].name)) return false;
    return true;
}

/* Add "--name=value", or a flag's "--name". */
static psal_status add_word(psal_source_options *out, const char *name, const char *value, psal_error *err) {
    char **words = realloc(out->words, ((size_t)out->count + 1) * sizeof *words), *word = NULL;
    if (words) out->words = words;
    if (!words || asprintf(&word, "--%s%s%s", name, value ? "=" : "", value ? value : "") < 0)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    out->words[out->count++] = word;
    return PSAL_OK;
}

static psal_status add_value(psal_source_options *out, const char *name, const json_t *value, psal_error *err) {
    char number[32];
    psal_status status = PSAL_OK;
    if (json_is_string(value)) return add_word(out, name, json_string_value(value), err);
    if (json_is_true(value)) return add_word(out, name, NULL, err);
    if (json_is_number(value)) {
        psal_snprintf(number, sizeof number, "%.17g", json_number_value(value));
        return add_word(out, name, number, err);
    }
    for (size_t i = 0; i < json_array_size(value) && status == PSAL_OK; i++) {
        const char *text = json_string_value(json_array_get(value, i));
        status = text ? add_word(out, name, text, err)
                      : psal_fail(err, PSAL_ERR_FORMAT, "'%s' is no list of texts", name);
    }
    return status;
}

psal_status psal_store_source_options(const json_t *source, const psal_program *program, const psal_options *given,
                                      psal_source_options *out, psal_error *err) {
    static const char *const texts[] = {"store", "labels", "conv", "processor"}, *const numbers[] = {"threads",
                                                                                                     "memory-limit"};
    *out = (psal_source_options){0};
    psal_status status = add_word(out, program->name, NULL, err); /* in the place of the program's name */
    if (status == PSAL_OK) status = add_value(out, "weights", json_object_get(source, "weights"), err);
    for (int i = 0; i < NETWORK_OPTIONS && status == PSAL_OK; i++)
        status = add_value(out, network_options[i].name, json_object_get(source, network_options[i].name), err);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == PSAL_OK; i++)
        if (psal_options_has(given, texts[i]))
            status = add_word(out, texts[i], psal_options_string(given, texts[i]), err);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == PSAL_OK; i++)
        if (psal_options_has(given, numbers[i])) {
            char number[32];
            snprintf(number, sizeof number, "%" PRId64, psal_options_int(given, numbers[i]));
            status = add_word(out, numbers[i], number, err);
        }
    if (status == PSAL_OK && psal_options_flag(given, "quiet")) status = add_word(out, "quiet", NULL, err);
    if (status == PSAL_OK && !(out->options = psal_options_parse(program, out->count, out->words, err)))
        status = psal_error_status(err);
    if (status != PSAL_OK) psal_source_options_free(out);
    return status;
}

void psal_source_options_free(psal_source_options *options) {
    psal_options_free(options->options);
    for (int i = 0; i < options->count; i++) free(options->words[i]);
    free(options->words);
    *options = (psal_source_options){0};
}

bool psal_store_source_has_labels(const json_t *source) {
    return json_object_get(source, "labels") != NULL;
}

psal_labels *psal_store_source_labels(const json_t *source, int count, psal_error *err) {
    const json_t *value = json_object_get(source, "labels");
    if (json_is_string(value)) return psal_labels_recorded(json_string_value(value), count, err);
    char *text = json_is_array(value) ? json_dumps(value, JSON_COMPACT) : NULL;
    psal_labels *labels = NULL;
    if (text)
        labels = psal_labels_recorded(text, count, err);
    else
        psal_fail(err, PSAL_ERR_FORMAT, "its labels are neither a name nor a list");
    free(text);
    return labels;
}
