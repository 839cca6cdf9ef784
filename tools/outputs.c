#include "tools/outputs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/atomic_file.h"
#include "tools/print.h"
#include "tools/project.h"

/* A file that the command line names. */
typedef struct named_file {
    const char *role; /* "out", an option's name; or of an argument, in words */
    bool option;
    char *path;
    bool output;
} named_file;

typedef struct named_files {
    named_file *all;
    size_t count;
} named_files;

static psal_status add(named_files *files, named_file file, const char *path, size_t length, const char *ending,
                       psal_error *err) {
    if (length == 0 || length + strlen(ending) >= PATH_MAX) return PSAL_OK; /* no file */
    named_file *grown = realloc(files->all, (files->count + 1) * sizeof *grown);
    if (grown) files->all = grown;
    if (!grown || asprintf(&file.path, "%.*s%s", (int)length, path, ending) < 0)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    files->all[files->count++] = file;
    return PSAL_OK;
}

static void free_files(named_files *files) {
    for (size_t i = 0; i < files->count; i++) free(files->all[i].path);
    free(files->all);
}

/* What one value names: itself, its companion, and the files of a data set "idx:IMAGES,LABELS". */
static psal_status add_value(named_files *files, named_file file, const char *value, const char *companion,
                             psal_error *err) {
    psal_status status = add(files, file, value, strlen(value), "", err);
    if (companion && status == PSAL_OK) status = add(files, file, value, strlen(value), companion, err);
    const char *part = file.output ? NULL : strchr(value, ':');
    while (part && status == PSAL_OK) {
        part++;
        status = add(files, file, part, strcspn(part, ","), "", err);
        part = strchr(part, ',');
    }
    return status;
}

/* The project file, that of the working folder even where it is not read. */
static psal_status add_project(named_files *files, const psal_program *program, const psal_options *options,
                               psal_error *err) {
    const named_file file = {.role = "the project"};
    const char *given = psal_options_knows(options, "project") ? psal_options_string(options, "project") : NULL;
    if (program->makes_project) return PSAL_OK;
    psal_status status = add(files, file, PSAL_PROJECT_NAME, strlen(PSAL_PROJECT_NAME), "", err);
    const psal_project *read = psal_options_project(options);
    if (read && status == PSAL_OK) status = add(files, file, read->path, strlen(read->path), "", err);
    return status == PSAL_OK && given ? add(files, file, given, strlen(given), "", err) : status;
}

static psal_status gather(named_files *files, const psal_program *program, const psal_options *options,
                          psal_error *err) {
    psal_status status = PSAL_OK;
    for (const psal_option *o = program->options; o->kind != PSAL_OPTION_END; o++) {
        if (o->kind != PSAL_OPTION_PATH && o->kind != PSAL_OPTION_STRING) continue;
        const named_file file = {.role = o->name, .option = true, .output = o->output};
        for (size_t i = 0; i < psal_options_count(options, o->name) && status == PSAL_OK; i++)
            status = add_value(files, file, psal_options_string_at(options, o->name, i), o->companion, err);
    }
    for (size_t i = 0; i < psal_options_argument_count(options) && status == PSAL_OK; i++) {
        const bool output = program->output_argument > 0 && i == program->output_argument;
        const named_file file = {.role = output ? "the output" : "an input", .output = output};
        status = add_value(files, file, psal_options_argument(options, i), NULL, err);
    }
    return status == PSAL_OK ? add_project(files, program, options, err) : status;
}

/* Files that are there are compared as the system knows them, others by their names in their folders. */
bool psal_same_file(const char *a, const char *b) {
    struct stat x, y;
    const bool a_there = stat(a, &x) == 0, b_there = stat(b, &y) == 0;
    if (a_there != b_there) return false;
    if (a_there) return S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    const char *a_slash = strrchr(a, '/'), *b_slash = strrchr(b, '/');
    if (strcmp(a_slash ? a_slash + 1 : a, b_slash ? b_slash + 1 : b) != 0) return false;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", a_slash ? (int)(a_slash - a) + 1 : 1, a_slash ? a : ".");
    if (stat(folder, &x) != 0) return false;
    snprintf(folder, sizeof folder, "%.*s", b_slash ? (int)(b_slash - b) + 1 : 1, b_slash ? b : ".");
    return stat(folder, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool psal_has_ending(const char *path, const char *endings) {
    const char *dot = strrchr(path, '.');
    for (const char *at = endings; dot && *at; at += strcspn(at, "|"), at += *at == '|')
        if (strlen(dot) == strcspn(at, "|") && strncasecmp(dot, at, strlen(dot)) == 0) return true;
    return false;
}

static psal_status check_endings(const psal_program *program, const psal_options *options, psal_error *err) {
    for (const psal_option *o = program->options; o->kind != PSAL_OPTION_END; o++) {
        const char *path = o->endings ? psal_options_string(options, o->name) : NULL;
        if (path && !psal_has_ending(path, o->endings))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s %s: its name ends in none of %s", o->name, path, o->endings);
    }
    return PSAL_OK;
}

psal_status psal_check_outputs(const psal_program *program, const psal_options *options, psal_error *err) {
    named_files files = {0};
    psal_status status = check_endings(program, options, err);
    if (status == PSAL_OK) status = gather(&files, program, options, err);
    for (size_t i = 0; i < files.count && status == PSAL_OK; i++) {
        const named_file *out = &files.all[i];
        for (size_t j = 0; out->output && j < files.count && status == PSAL_OK; j++) {
            const named_file *other = &files.all[j];
            if (i == j || (other->output && j < i) || !psal_same_file(out->path, other->path)) continue;
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "%s%s: %s is the file of %s%s too, which would be lost: give another name",
                               out->option ? "--" : "", out->role, out->path, other->option ? "--" : "", other->role);
        }
    }
    for (size_t i = 0; i < files.count && status == PSAL_OK; i++)
        if (files.all[i].output && (status = psal_atomic_file_check(files.all[i].path, err)) != PSAL_OK)
            psal_fail_prefix(err, "%s%s", files.all[i].option ? "--" : "", files.all[i].role);
    free_files(&files);
    return status;
}

psal_status psal_check_not_named(const psal_program *program, const psal_options *options, const char *path,
                                 psal_error *err) {
    named_files files = {0};
    psal_status status = gather(&files, program, options, err);
    for (size_t i = 0; i < files.count && status == PSAL_OK; i++)
        if (psal_same_file(path, files.all[i].path))
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "%s would be written, but it is the file of %s%s too, which would be lost: choose "
                               "another place for it",
                               path, files.all[i].option ? "--" : "", files.all[i].role);
    free_files(&files);
    return status;
}

psal_status psal_check_output_file(const psal_program *program, const psal_options *options, const char *path,
                                   psal_error *err) {
    psal_status status = psal_check_not_named(program, options, path, err);
    return status == PSAL_OK ? psal_atomic_file_check(path, err) : status;
}

void psal_print_written(const psal_program *program, const psal_options *options) {
    bool first = true;
    if (psal_options_flag(options, "quiet")) return;
    for (const psal_option *o = program->options; o->kind != PSAL_OPTION_END; o++) {
        const char *path = o->output ? psal_options_string(options, o->name) : NULL;
        if (!path) continue;
        psal_print(stdout, "%s%s%s%s", first ? "written   " : "          ", path, o->companion ? " and " : "",
                   o->companion ? path : "");
        psal_print(stdout, "%s\n", o->companion ? o->companion : "");
        first = false;
    }
}
