/* project_options.c - which of a project's values a command line takes. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/mapped_file.h"
#include "tools/print.h"
#include "tools/project.h"

/* What changes the network, or what it is shown. */
static const char *const of_network[] = {"weights-key", "ignore-extra",    "variant",
                                         "bn-epsilon",  "transform-input", "preprocess"};
/* What asks for another profile. */
static const char *const of_profile[] = {"aggregation",      "signed",     "logit",
                                         "logit-difference", "normalized", "gradient-weight"};

static bool says(const psal_options *options, const char *name) {
    return psal_options_knows(options, name) && psal_options_given(options, name);
}

/* Whether it says just what the project says. */
static bool says_the_same(const psal_project *project, const psal_options *options, const char *name) {
    for (size_t i = 0; i < project->count; i++) {
        const psal_project_value *value = &project->values[i];
        if (strcmp(value->name, name) != 0) continue;
        if (value->count != psal_options_count(options, name)) return false;
        for (size_t t = 0; t < value->count; t++)
            if (strcmp(value->texts[t], psal_options_string_at(options, name, t)) != 0) return false;
        return true;
    }
    return false;
}

/* The first of the names of which the command line says something else than the project; NULL: none. */
static const char *first_said(const psal_project *project, const psal_options *options, const char *const *names,
                              size_t count) {
    for (size_t i = 0; i < count; i++)
        if (says(options, names[i]) && !says_the_same(project, options, names[i])) return names[i];
    return NULL;
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    if (!a || !b) return false;
    return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* A copy of the same bytes is the same network. */
static bool same_contents(const char *a, const char *b) {
    struct stat x, y;
    psal_mapped_file one = {0}, other = {0};
    psal_error unused = PSAL_ERROR_INIT;
    if (same_file(a, b)) return true;
    if (!a || !b || stat(a, &x) != 0 || stat(b, &y) != 0 || !S_ISREG(x.st_mode) || !S_ISREG(y.st_mode) ||
        x.st_size != y.st_size)
        return false;
    const bool same = psal_map_file(a, &one, &unused) == PSAL_OK && psal_map_file(b, &other, &unused) == PSAL_OK &&
                      one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
    psal_unmap_file(&one);
    psal_unmap_file(&other);
    return same;
}

/* ---- what is left aside ---- */

static const char NOT_BESIDE[] = "not beside --"; /* as it should be: nobody needs a note */

static void leave(psal_project *project, const char *name, const char *why, const char *option) {
    for (size_t i = 0; i < project->count; i++) {
        psal_project_value *value = &project->values[i];
        if ((name && strcmp(value->name, name) != 0) || *value->aside) continue;
        snprintf(value->aside, sizeof value->aside, "%s%.100s", why, option);
    }
}

/* "--weights", ... where the command line is about another network than the project. */
static const char *another_network(const psal_project *project, const psal_options *options) {
    const char *weights = psal_project_text(project, "weights"), *store = psal_project_text(project, "store");
    const bool given = says(options, "weights"), has_option = psal_options_knows(options, "weights");
    if (given && !same_contents(psal_options_string(options, "weights"), weights))
        return "--weights names another network's file";
    if (has_option && !given && says(options, "model")) return "--model alone names another network";
    if (says(options, "store") && !same_file(psal_options_string(options, "store"), store))
        return "--store names another store";
    if (!has_option && psal_options_argument_count(options) > 0 &&
        !same_file(psal_options_argument(options, 0), weights))
        return "the checkpoint is another one";
    return NULL;
}

static void choose(psal_project *project, const psal_options *options) {
    const char *other = another_network(project, options);
    if (other) leave(project, NULL, other, "");
    const char *network = first_said(project, options, of_network, sizeof of_network / sizeof of_network[0]);
    const char *profile = first_said(project, options, of_profile, sizeof of_profile / sizeof of_profile[0]);
    const char *mode = psal_options_knows(options, "mode") ? psal_options_string(options, "mode") : NULL;
    if (network) leave(project, "stats", "made without --", network);
    if (network) leave(project, "store", "made without --", network);
    if (profile) leave(project, "stats", "made without --", profile);
    if (profile) leave(project, "store", "made without --", profile);
    if (mode && strcmp(mode, "pot") == 0) leave(project, "stats", "without the tails that --mode pot needs", "");
    const psal_program *program = psal_options_program(options);
    for (const psal_option *o = program->options; o->kind != PSAL_OPTION_END; o++)
        for (const char *at = o->yields_to; at && *at; at += strcspn(at, "|"), at += *at == '|') {
            char beside[64];
            snprintf(beside, sizeof beside, "%.*s", (int)strcspn(at, "|"), at);
            if (says(options, beside)) leave(project, o->name, NOT_BESIDE, beside);
        }
}

/* ---- taking the rest ---- */

static psal_status take(psal_options *options, const psal_project *project, psal_error *err) {
    for (size_t i = 0; i < project->count; i++) {
        const psal_project_value *value = &project->values[i];
        char shown[4200];
        if (*value->aside) continue;
        snprintf(shown, sizeof shown, "%.4000s: \"%s\"", project->path, value->name);
        psal_status status = psal_options_take(options, value->name, value->texts, value->count, shown, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

psal_status psal_project_apply(psal_options *options, psal_project **project, psal_error *err) {
    *project = NULL;
    if (!psal_options_knows(options, "project")) return PSAL_OK;
    const char *path = psal_options_string(options, "project");
    const bool given = path != NULL;
    bool there = true;
    if (given && strcmp(path, "none") == 0) return PSAL_OK;
    if (!given) path = PSAL_PROJECT_NAME;
    psal_status status = given ? PSAL_OK : psal_file_exists(path, &there, err);
    if (status != PSAL_OK || !there) return status;
    psal_mapped_file file = {0};
    if ((status = psal_map_file(path, &file, err)) != PSAL_OK)
        return given ? psal_fail_prefix(err, "--project") : status;
    *project = psal_project_parse(file.data, file.size, path, err);
    psal_unmap_file(&file);
    if (!*project && !given) psal_fail(err, err->status, "%s (--project none goes without it)", err->message);
    if (!*project) return psal_error_status(err);
    choose(*project, options);
    psal_options_set_project(options, *project);
    return take(options, *project, err);
}

/* Whether the line is about this file: "FILE: ...". */
static bool is_about(const char *line, const char *file) {
    const char *colon = strchr(file, ':'), *slash = strchr(file, '/'); /* "folder:DIR" */
    if (colon && (!slash || colon < slash) && is_about(line, colon + 1)) return true;
    const size_t length = strlen(file);
    return length > 0 && strncmp(line, file, length) == 0 && line[length] == ':';
}

void psal_project_name_source(const psal_options *options, psal_error *err) {
    static const char *const files[] = {"weights", "labels", "data", "stats", "store"};
    const psal_project *project = psal_options_project(options);
    for (size_t i = 0; project && i < sizeof files / sizeof files[0]; i++) {
        const char *file = psal_project_text(project, files[i]);
        if (says(options, files[i]) || !file || !is_about(err->message, file)) continue;
        psal_fail_prefix(err, "%s: \"%s\"", project->path, files[i]);
        return;
    }
}

const char *psal_project_absence(const psal_options *options) {
    if (psal_options_project(options)) return ", and the project is left aside";
    return psal_options_knows(options, "project") && !psal_options_has(options, "project")
               ? " and no " PSAL_PROJECT_NAME " here"
               : "";
}

/* Whether a value was left aside only for what stands beside it. */
static bool stands_back(const psal_project_value *value) {
    return strncmp(value->aside, NOT_BESIDE, sizeof NOT_BESIDE - 1) == 0;
}

const char *psal_project_data(const psal_options *options) {
    const psal_project *project = psal_options_project(options);
    for (size_t i = 0; project && i < project->count; i++) {
        const psal_project_value *value = &project->values[i];
        if (strcmp(value->name, "data") == 0 && value->count && (!*value->aside || stands_back(value)))
            return value->texts[0];
    }
    return NULL;
}

/* ---- saying it ---- */

/* Whether the command line says nothing in its place, and the program has such an option: somebody may miss it. */
static bool is_missed(const psal_project_value *value, const psal_options *options) {
    return *value->aside && psal_options_knows(options, value->name) && !psal_options_given(options, value->name);
}

void psal_project_note(const psal_project *project, const psal_options *options) {
    const char *name = psal_options_program(options)->name;
    if (!project || psal_options_flag(options, "quiet")) return;
    const char *other = another_network(project, options);
    if (other) psal_print(stderr, "%s: note: %s is left aside: %s\n", name, project->path, other);
    for (size_t i = 0; i < project->count && !other; i++)
        if (is_missed(&project->values[i], options) && !stands_back(&project->values[i]))
            psal_print(stderr, "%s: note: \"%s\" of %s is left aside: %s\n", name, project->values[i].name,
                       project->path, project->values[i].aside);
}

void psal_project_show(const psal_project *project, const psal_options *options) {
    const psal_program *program = psal_options_program(options);
    psal_print(stdout, "project    %s\n", project ? project->path : "none");
    if (project && *project->fingerprint)
        psal_print(stdout, "weights    with the fingerprint %s\n", project->fingerprint);
    psal_print(stdout, "\n");
    psal_print(stdout, "  %-20s  %-12s  %s\n", "option", "from", "value");
    for (size_t i = 0; i < psal_program_option_count(program); i++) {
        static const char *const from[] = {"", "default", "project", "command line"};
        const psal_option *option = psal_program_option(program, i);
        if (!option->name || strcmp(option->name, "show-settings") == 0) continue;
        const psal_source source = psal_options_source(options, option->name);
        if (source == PSAL_SOURCE_NONE) continue;
        const bool flag = option->kind == PSAL_OPTION_FLAG;
        const size_t count = flag ? 1 : psal_options_count(options, option->name);
        for (size_t v = option->repeatable || !count ? 0 : count - 1; v < count; v++)
            psal_print(stdout, "  --%-18s  %-12s  %s\n", option->name, from[source],
                       flag ? "on" : psal_options_string_at(options, option->name, v));
    }
    for (size_t i = 0; project && i < project->count; i++)
        if (is_missed(&project->values[i], options))
            psal_print(stdout, "  --%-18s  %-12s  %s\n", project->values[i].name, "left aside",
                       project->values[i].aside);
    const bool named = !psal_options_knows(options, "weights") || psal_options_has(options, "weights") ||
                       psal_options_has(options, "model");
    psal_print(stdout, "\n");
    if (!named)
        psal_print(stdout, "no --weights%s: the small Fashion-MNIST network that comes with psal\n",
                   psal_project_absence(options));
    psal_print(stdout, "What is not listed is not set: read from the checkpoint, found beside it, or off.\n");
}

psal_status psal_project_check_weights(const psal_options *options, const char *path, const char *fingerprint,
                                       psal_error *err) {
    const psal_project *project = psal_options_project(options);
    const char *recorded = project ? psal_project_text(project, "weights") : NULL;
    if (!recorded || !*project->fingerprint || !same_contents(recorded, path)) return PSAL_OK;
    /* "preprocess", the last one, is none of the weights'. */
    if (first_said(project, options, of_network, sizeof of_network / sizeof of_network[0] - 1)) return PSAL_OK;
    if (strcmp(project->fingerprint, fingerprint) == 0) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "%s: the weights have changed since %s was made (fingerprint %s there, %s now): run psal-init "
                     "again, or leave it aside with --project none",
                     path, project->path, project->fingerprint, fingerprint);
}
