#include "tools/project.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/json_input.h"
#include "io/labels.h"

/* How a key's value is written, and what of it is a path. */
typedef enum value_kind { TEXT, PATH, TEXTS, NUMBER, SWITCH, LABELS, DATA } value_kind;

static const struct key {
    const char *name;
    value_kind kind;
} keys[] = {{"weights", PATH}, {"weights-key", TEXT},       {"ignore-extra", TEXTS}, {"model", TEXT},
            {"variant", TEXT}, {"bn-epsilon", NUMBER},      {"preprocess", TEXT},    {"labels", LABELS},
            {"data", DATA},    {"transform-input", SWITCH}, {"stats", PATH},         {"store", PATH},
            {"notes", TEXTS}};
enum { KEYS = sizeof keys / sizeof keys[0] };

static const char *const forms[] = {[TEXT] = "a text",
                                    [PATH] = "the name of a file",
                                    [TEXTS] = "a list of texts",
                                    [NUMBER] = "a number",
                                    [SWITCH] = "true or false",
                                    [LABELS] = "a text as --labels takes, or a list of names",
                                    [DATA] = "a text as --data takes"};

/* ---- paths ---- */

/* The part of `path` up to its last slash; "" of a file in the working folder. */
static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    if (strncmp(path, "./", 2) == 0 && slash == path + 1) return 0;
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool write_path(FILE *out, const char *project, const char *path, size_t length) {
    if (length && *path != '/') fwrite(project, 1, folder_length(project), out);
    return fwrite(path, 1, length, out) == length;
}

/* "idx:IMAGES,LABELS" and the like: each part is a path. */
static bool write_data(FILE *out, const char *project, const char *spec) {
    static const char *const schemes[] = {"folder:", "flat:", "csv:", "files:", "idx:", "image:"};
    size_t scheme = 0;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncmp(spec, schemes[i], strlen(schemes[i])) == 0) scheme = strlen(schemes[i]);
    bool fine = fwrite(spec, 1, scheme, out) == scheme;
    const bool pair = strncmp(spec, "idx:", 4) == 0 || strncmp(spec, "flat:", 5) == 0;
    const char *part = spec + scheme, *comma = pair ? strchr(part, ',') : NULL;
    if (comma) {
        fine &= write_path(out, project, part, (size_t)(comma - part));
        putc(',', out);
        part = comma + 1;
    }
    return write_path(out, project, part, strlen(part)) && fine;
}

/* ---- values ---- */

static psal_status add_text(psal_project_value *value, char *text, psal_error *err) {
    char **texts = text ? realloc(value->texts, (value->count + 1) * sizeof *texts) : NULL;
    if (texts) value->texts = texts;
    if (!texts) {
        free(text);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    value->texts[value->count++] = text;
    return PSAL_OK;
}

/* As the option takes it: with its paths from here. */
static char *text_from_here(value_kind kind, const char *text, const char *project) {
    char *written = NULL;
    size_t size;
    FILE *out = open_memstream(&written, &size);
    if (!out) return NULL;
    bool fine = true;
    if (kind == PATH || (kind == LABELS && !psal_labels_built_in(text)))
        fine = write_path(out, project, text, strlen(text));
    else if (kind == DATA)
        fine = write_data(out, project, text);
    else
        fputs(text, out);
    if (fclose(out) == 0 && fine) return written;
    free(written);
    return NULL;
}

static psal_status fail_form(const struct key *key, psal_error *err) {
    return psal_fail(err, PSAL_ERR_FORMAT, "\"%s\" is not %s", key->name, forms[key->kind]);
}

/* A list of names, or of WordNet ids and names, is --labels' JSON form; whether it is one is seen by who reads that. */
static psal_status read_names(const struct key *key, const json_t *given, psal_project_value *value, psal_error *err) {
    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *entry = json_array_get(given, i);
        if (!json_string_length(json_is_array(entry) ? json_array_get(entry, 1) : entry)) return fail_form(key, err);
    }
    if (json_array_size(given) == 0) return fail_form(key, err);
    return add_text(value, json_dumps(given, JSON_COMPACT), err);
}

static psal_status read_value(const struct key *key, const json_t *given, const char *project,
                              psal_project_value *value, psal_error *err) {
    char number[PSAL_NUMBER_SIZE];
    const value_kind kind = key->kind;
    if (kind == SWITCH) return json_is_true(given) ? PSAL_OK : fail_form(key, err);
    if (kind == LABELS && json_is_array(given)) return read_names(key, given, value, err);
    if (kind == NUMBER) {
        if (!json_is_number(given)) return fail_form(key, err);
        psal_format_double(json_number_value(given), number);
        return add_text(value, strdup(number), err);
    }
    const bool list = kind == TEXTS;
    if (list != json_is_array(given)) return fail_form(key, err);
    const size_t count = list ? json_array_size(given) : 1;
    psal_status status = count ? PSAL_OK : fail_form(key, err);
    for (size_t i = 0; i < count && status == PSAL_OK; i++) {
        const json_t *one = list ? json_array_get(given, i) : given;
        const char *text = json_string_value(one);
        if (!text || !*text || strlen(text) >= sizeof((psal_project){0}).path) return fail_form(key, err);
        status = add_text(value, text_from_here(kind, text, project), err);
    }
    return status;
}

static psal_status read_fingerprint(const json_t *given, char text[17], psal_error *err) {
    const char *written = json_string_value(given);
    if (!written || strlen(written) != 16 || strspn(written, "0123456789abcdef") != 16)
        return psal_fail(err, PSAL_ERR_FORMAT, "\"fingerprint\" is not 16 hexadecimal digits");
    memcpy(text, written, 17);
    return PSAL_OK;
}

static psal_status read_key(psal_project *project, const char *name, const json_t *given, psal_error *err) {
    if (strcmp(name, "format") == 0) return PSAL_OK;
    if (strcmp(name, "fingerprint") == 0) return read_fingerprint(given, project->fingerprint, err);
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(name, keys[i].name) != 0) continue;
        if (keys[i].kind == SWITCH && json_is_false(given)) return PSAL_OK;
        psal_project_value *value = &project->values[project->count++];
        value->name = keys[i].name;
        return read_value(&keys[i], given, project->path, value, err);
    }
    return psal_fail(err, PSAL_ERR_FORMAT, "\"%.60s\" is no key that psal knows", name);
}

static psal_status read_object(psal_project *project, json_t *object, psal_error *err) {
    const json_t *format = json_object_get(object, "format");
    if (!format) return psal_fail(err, PSAL_ERR_FORMAT, "no project file of psal, which has a key \"format\"");
    if (!json_is_integer(format) || json_integer_value(format) != PSAL_PROJECT_FORMAT)
        return psal_fail(err, PSAL_ERR_FORMAT, "\"format\" is not %d, the one that psal knows", PSAL_PROJECT_FORMAT);
    const char *name;
    json_t *given;
    json_object_foreach(object, name, given) {
        psal_status status = read_key(project, name, given, err);
        if (status != PSAL_OK) return status;
    }
    if (psal_project_text(project, "weights")) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_FORMAT, "\"weights\" is missing: the network's checkpoint");
}

psal_project *psal_project_parse(const void *text, size_t size, const char *path, psal_error *err) {
    psal_project *project = calloc(1, sizeof *project);
    psal_status status = PSAL_OK;
    json_t *object = NULL;
    if (project) project->values = calloc(KEYS, sizeof *project->values);
    if (!project || !project->values)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else if (snprintf(project->path, sizeof project->path, "%s", path) >= (int)sizeof project->path)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "the path is too long");
    else if (size > PSAL_PROJECT_SIZE)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%zu bytes, but a project file has at most %d", size,
                           PSAL_PROJECT_SIZE);
    else if (!(object = psal_json_parse_object(text, size, err)))
        status = psal_error_status(err);
    else
        status = read_object(project, object, err);
    json_decref(object);
    if (status == PSAL_OK) return project;
    psal_project_free(project);
    psal_fail_prefix(err, "%.4000s", path);
    return NULL;
}

void psal_project_free(psal_project *project) {
    if (!project) return;
    for (size_t i = 0; i < project->count; i++) {
        for (size_t v = 0; v < project->values[i].count; v++) free(project->values[i].texts[v]);
        free(project->values[i].texts);
    }
    free(project->values);
    free(project);
}

bool psal_project_has_note(const psal_project *project, const char *note) {
    for (size_t i = 0; project && i < project->count; i++) {
        const psal_project_value *value = &project->values[i];
        if (strcmp(value->name, "notes") != 0 || *value->aside) continue;
        for (size_t n = 0; n < value->count; n++)
            if (strcmp(value->texts[n], note) == 0) return true;
    }
    return false;
}

const char *psal_project_text(const psal_project *project, const char *name) {
    for (size_t i = 0; i < project->count; i++)
        if (strcmp(project->values[i].name, name) == 0 && project->values[i].count) return project->values[i].texts[0];
    return NULL;
}
