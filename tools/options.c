#include "tools/options.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/spelling.h"
#include "tools/options_value.h"
#include "tools/project.h"

struct psal_options {
    const psal_program *program;
    size_t count; /* of settings: rows of the table, --help, --version */
    psal_setting *settings;
    const char **arguments;
    size_t argument_count;
    const struct psal_project *project;
};

static bool is_name(const char *name, const char *text, size_t length) {
    return name && psal_name_begins(name, text, length) && name[length] == 0;
}

/* ---- finding the option meant ---- */

static psal_status fail_ambiguous(const psal_program *program, const char *text, size_t length, psal_error *err) {
    char list[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < psal_program_option_count(program); i++) {
        const char *name = psal_program_option(program, i)->name;
        if (!name || !psal_name_begins(name, text, length)) continue;
        int written = snprintf(list + used, sizeof list - used, "%s--%s", used ? ", " : "", name);
        used += (size_t)written;
        if (used >= sizeof list) break;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--%.*s is ambiguous: %s", (int)length, text, list);
}

static psal_status fail_unknown(const psal_program *program, const char *text, size_t length, psal_error *err) {
    char typed[128];
    snprintf(typed, sizeof typed, "%.*s", (int)length, text);
    for (char *p = typed; *p; p++)
        if (*p == '_') *p = '-';
    size_t nearest = psal_spelling_tolerance(typed);
    const char *suggestion = NULL;
    for (size_t i = 0; i < psal_program_option_count(program); i++) {
        const char *name = psal_program_option(program, i)->name;
        size_t distance = name ? psal_edit_distance(typed, name) : nearest + 1;
        if (distance > nearest || (suggestion && distance == nearest)) continue;
        nearest = distance;
        suggestion = name;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "unknown option --%.*s%s%s%s; --help lists them all", (int)length, text,
                     suggestion ? ", did you mean --" : "", suggestion ? suggestion : "", suggestion ? "?" : "");
}

static psal_status find_long(const psal_program *program, const char *text, size_t length, size_t *found,
                             psal_error *err) {
    size_t matches = 0;
    for (size_t i = 0; i < psal_program_option_count(program); i++) {
        const psal_option *option = psal_program_option(program, i);
        if (!option->name) continue;
        if (is_name(option->name, text, length) || is_name(option->alias, text, length)) {
            *found = i;
            return PSAL_OK;
        }
        if (length > 0 && (psal_name_begins(option->name, text, length) ||
                           (option->alias && psal_name_begins(option->alias, text, length)))) {
            *found = i;
            matches++;
        }
    }
    if (matches == 1) return PSAL_OK;
    return matches ? fail_ambiguous(program, text, length, err) : fail_unknown(program, text, length, err);
}

static psal_status find_short(const psal_program *program, char letter, size_t *found, psal_error *err) {
    for (size_t i = 0; i < psal_program_option_count(program); i++) {
        if (psal_program_option(program, i)->short_name != letter) continue;
        *found = i;
        return PSAL_OK;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "unknown option -%c; --help lists them all", letter);
}

/* ---- parsing ---- */

/* A lone "-" is a file, "-5" and "-.5" are numbers. */
static bool looks_like_option(const char *text) {
    return text[0] == '-' && text[1] && !strchr("0123456789.", text[1]);
}

static psal_status set_value(psal_options *options, size_t index, const char *shown, const char *text,
                             psal_error *err) {
    const psal_option *option = psal_program_option(options->program, index);
    psal_setting *setting = &options->settings[index];
    if (!option->repeatable) psal_setting_clear(setting);
    setting->source = PSAL_SOURCE_COMMAND_LINE;
    return psal_setting_add(setting, option, shown, text, err);
}

/* The option at argv[*at] needs a value from the next argument. */
static psal_status take_next(psal_options *options, size_t index, const char *shown, int argc, char *const *argv,
                             int *at, psal_error *err) {
    if (*at + 1 >= argc) return psal_fail(err, PSAL_ERR_ARGUMENT, "%s needs a value", shown);
    if (looks_like_option(argv[*at + 1]))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s needs a value, but \"%.100s\" follows (a value that begins with a dash "
                         "is written %s=VALUE)",
                         shown, argv[*at + 1], shown);
    return set_value(options, index, shown, argv[++*at], err);
}

static psal_status parse_long(psal_options *options, int argc, char *const *argv, int *at, psal_error *err) {
    const char *text = argv[*at] + 2, *value = strchr(text, '=');
    size_t index = 0, length = value ? (size_t)(value - text) : strlen(text);
    psal_status status = find_long(options->program, text, length, &index, err);
    if (status) return status;
    const psal_option *option = psal_program_option(options->program, index);
    char shown[80];
    snprintf(shown, sizeof shown, "--%.70s", option->name);
    if (option->kind == PSAL_OPTION_FLAG) {
        if (value)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s takes no value, but \"%.100s\" was given", shown, value + 1);
        options->settings[index].source = PSAL_SOURCE_COMMAND_LINE;
        return PSAL_OK;
    }
    return value ? set_value(options, index, shown, value + 1, err)
                 : take_next(options, index, shown, argc, argv, at, err);
}

/* "-k5", "-k 5", or flags together: "-qv". */
static psal_status parse_short(psal_options *options, int argc, char *const *argv, int *at, psal_error *err) {
    const char *letters = argv[*at] + 1;
    for (size_t i = 0; letters[i]; i++) {
        size_t index = 0;
        psal_status status = find_short(options->program, letters[i], &index, err);
        if (status) return status;
        char shown[3] = {'-', letters[i], 0};
        if (psal_program_option(options->program, index)->kind == PSAL_OPTION_FLAG) {
            options->settings[index].source = PSAL_SOURCE_COMMAND_LINE;
            continue;
        }
        if (!letters[i + 1]) return take_next(options, index, shown, argc, argv, at, err);
        const char *value = letters + i + 1;
        return set_value(options, index, shown, *value == '=' ? value + 1 : value, err);
    }
    return PSAL_OK;
}

static psal_status parse_all(psal_options *options, int argc, char *const *argv, psal_error *err) {
    bool ended = false;
    psal_status status = PSAL_OK;
    for (int at = 1; at < argc && !status; at++) {
        if (ended || !looks_like_option(argv[at]))
            options->arguments[options->argument_count++] = argv[at];
        else if (!strcmp(argv[at], "--"))
            ended = true;
        else if (argv[at][1] == '-')
            status = parse_long(options, argc, argv, &at, err);
        else
            status = parse_short(options, argc, argv, &at, err);
    }
    return status;
}

static psal_status fill_defaults(psal_options *options, psal_error *err) {
    for (size_t i = 0; i < options->count; i++) {
        const psal_option *option = psal_program_option(options->program, i);
        if (!option->default_text || options->settings[i].source == PSAL_SOURCE_COMMAND_LINE) continue;
        options->settings[i].source = PSAL_SOURCE_DEFAULT;
        char shown[100];
        snprintf(shown, sizeof shown, "default of --%.70s", option->name);
        psal_status status = psal_setting_add(&options->settings[i], option, shown, option->default_text, err);
        if (status) return status;
    }
    return PSAL_OK;
}

/* Whether a project could have said what the command line does not. */
static bool may_have_project(const psal_options *options) {
    return !options->project && !options->program->makes_project && !psal_options_has(options, "project");
}

/* Where some value is given already, the argument may be the rest of it. */
static psal_status fail_unexpected(const psal_options *options, const char *argument, psal_error *err) {
    bool values = false;
    for (size_t i = 0; i < options->count; i++)
        values |= options->settings[i].source == PSAL_SOURCE_COMMAND_LINE && options->settings[i].text_count > 0;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "unexpected argument \"%.200s\"%s", argument,
                     values ? " (a value with blanks in it stands in quotes)"
                     : options->program->most_arguments == 0 && psal_options_knows(options, "image-path")
                         ? " (a picture is given as --image-path FILE)"
                         : "");
}

psal_status psal_options_check(const psal_options *options, psal_error *err) {
    const psal_program *program = options->program;
    size_t count = options->argument_count;
    for (size_t i = 0; i < options->count; i++) {
        const psal_option *option = psal_program_option(program, i);
        if (option->required && options->settings[i].source < PSAL_SOURCE_PROJECT)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "option --%s is needed%s", option->name,
                             may_have_project(options) ? ": no " PSAL_PROJECT_NAME " here says it" : "");
    }
    if (count > program->most_arguments)
        return fail_unexpected(options, options->arguments[program->most_arguments], err);
    if (count < program->fewest_arguments)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%zu argument%s given, expected %s%zu: %s", count,
                         count == 1 ? "" : "s", program->most_arguments > program->fewest_arguments ? "at least " : "",
                         program->fewest_arguments, program->arguments ? program->arguments : "");
    return PSAL_OK;
}

psal_options *psal_options_read(const psal_program *program, int argc, char *const *argv, psal_error *err) {
    psal_options *options = calloc(1, sizeof *options);
    if (options) {
        options->program = program;
        options->count = psal_program_option_count(program);
        options->settings = calloc(options->count, sizeof *options->settings);
        options->arguments = calloc((size_t)argc + 1, sizeof *options->arguments);
    }
    if (!options || !options->settings || !options->arguments) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the command line");
        psal_options_free(options);
        return NULL;
    }
    for (size_t i = 0; i < options->count; i++) options->settings[i].choice = -1;
    psal_status status = parse_all(options, argc, argv, err);
    if (!status) status = fill_defaults(options, err);
    if (!status) return options;
    psal_options_free(options);
    return NULL;
}

psal_options *psal_options_parse(const psal_program *program, int argc, char *const *argv, psal_error *err) {
    psal_options *options = psal_options_read(program, argc, argv, err);
    if (!options || psal_options_wants_help(options) || psal_options_wants_version(options)) return options;
    if (psal_options_check(options, err) == PSAL_OK) return options;
    psal_options_free(options);
    return NULL;
}

/* ---- the project ---- */

psal_status psal_options_take(psal_options *options, const char *name, char *const *values, size_t count,
                              const char *shown, psal_error *err) {
    for (size_t i = 0; i < options->count; i++) {
        const psal_option *option = psal_program_option(options->program, i);
        psal_setting *setting = &options->settings[i];
        if (!option->name || strcmp(option->name, name) != 0 || setting->source == PSAL_SOURCE_COMMAND_LINE) continue;
        psal_setting_clear(setting);
        setting->source = PSAL_SOURCE_PROJECT;
        psal_status status = PSAL_OK;
        for (size_t v = 0; v < count && status == PSAL_OK; v++)
            status = psal_setting_add(setting, option, shown, values[v], err);
        return status;
    }
    return PSAL_OK;
}

void psal_options_set_project(psal_options *options, const struct psal_project *project) {
    options->project = project;
}

const struct psal_project *psal_options_project(const psal_options *options) {
    return options->project;
}

void psal_options_free(psal_options *options) {
    if (!options) return;
    for (size_t i = 0; options->settings && i < options->count; i++) psal_setting_clear(&options->settings[i]);
    free(options->settings);
    free(options->arguments);
    free(options);
}

/* ---- results ---- */

static const psal_setting *setting_of(const psal_options *options, const char *name, const psal_option **option) {
    for (size_t i = 0; i < options->count; i++) {
        *option = psal_program_option(options->program, i);
        if ((*option)->name && is_name((*option)->name, name, strlen(name))) return &options->settings[i];
    }
    assert(!"an option that is in the table");
    static const psal_setting nothing = {.choice = -1};
    *option = psal_program_option(options->program, options->count - 2);
    return &nothing;
}

bool psal_options_wants_help(const psal_options *options) {
    return options->settings[options->count - 2].source == PSAL_SOURCE_COMMAND_LINE;
}

bool psal_options_wants_version(const psal_options *options) {
    return options->settings[options->count - 1].source == PSAL_SOURCE_COMMAND_LINE;
}

const psal_program *psal_options_program(const psal_options *options) {
    return options->program;
}

bool psal_options_knows(const psal_options *options, const char *name) {
    for (size_t i = 0; i < options->count; i++) {
        const psal_option *option = psal_program_option(options->program, i);
        if (option->name && strcmp(option->name, name) == 0) return true;
    }
    return false;
}

psal_source psal_options_source(const psal_options *options, const char *name) {
    const psal_option *option;
    return setting_of(options, name, &option)->source;
}

bool psal_options_given(const psal_options *options, const char *name) {
    const psal_option *option;
    return setting_of(options, name, &option)->source == PSAL_SOURCE_COMMAND_LINE;
}

bool psal_options_has(const psal_options *options, const char *name) {
    const psal_option *option;
    return setting_of(options, name, &option)->source != PSAL_SOURCE_NONE;
}

const char *psal_options_given_of(const psal_options *options, const char *const *names, bool listed) {
    for (size_t i = 0; i < options->count; i++) {
        const char *name = psal_program_option(options->program, i)->name;
        if (options->settings[i].source != PSAL_SOURCE_COMMAND_LINE || strcmp(name, "project") == 0) continue;
        bool found = false;
        for (size_t n = 0; names[n] && !found; n++) found = strcmp(names[n], name) == 0;
        if (found == listed) return name;
    }
    return NULL;
}

bool psal_options_flag(const psal_options *options, const char *name) {
    const psal_option *option;
    const psal_setting *setting = setting_of(options, name, &option);
    assert(option->kind == PSAL_OPTION_FLAG);
    return setting->source >= PSAL_SOURCE_PROJECT;
}

const int64_t *psal_options_ints(const psal_options *options, const char *name, size_t *count) {
    const psal_option *option;
    const psal_setting *setting = setting_of(options, name, &option);
    assert(option->kind == PSAL_OPTION_INT || option->kind == PSAL_OPTION_INTS);
    *count = setting->number_count;
    return setting->numbers;
}

int64_t psal_options_int(const psal_options *options, const char *name) {
    size_t count;
    const int64_t *values = psal_options_ints(options, name, &count);
    return count ? values[count - 1] : 0;
}

double psal_options_double(const psal_options *options, const char *name) {
    const psal_option *option;
    const psal_setting *setting = setting_of(options, name, &option);
    assert(option->kind == PSAL_OPTION_DOUBLE);
    const double *values = setting->numbers;
    return setting->number_count ? values[setting->number_count - 1] : 0;
}

const char *psal_options_string(const psal_options *options, const char *name) {
    const psal_option *option;
    const psal_setting *setting = setting_of(options, name, &option);
    assert(option->kind != PSAL_OPTION_FLAG);
    return setting->text_count ? setting->texts[setting->text_count - 1] : NULL;
}

int psal_options_choice(const psal_options *options, const char *name) {
    const psal_option *option;
    const psal_setting *setting = setting_of(options, name, &option);
    assert(option->kind == PSAL_OPTION_CHOICE);
    return setting->choice;
}

size_t psal_options_count(const psal_options *options, const char *name) {
    const psal_option *option;
    return setting_of(options, name, &option)->text_count;
}

const char *psal_options_string_at(const psal_options *options, const char *name, size_t index) {
    const psal_option *option;
    const psal_setting *setting = setting_of(options, name, &option);
    assert(index < setting->text_count);
    return setting->texts[index];
}

void psal_write_word(FILE *out, const char *text) {
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+:,=@%";
    if (*text && text[strspn(text, PLAIN)] == '\0') {
        fputs(text, out);
        return;
    }
    putc('\'', out);
    for (; *text; text++) fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
    putc('\'', out);
}

char *psal_options_repeat(const psal_options *options, const char *const *names) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    for (; *names; names++)
        for (size_t i = 0; i < options->count; i++) {
            const psal_option *option = psal_program_option(options->program, i);
            const psal_setting *setting = &options->settings[i];
            if (!option->name || strcmp(option->name, *names) != 0) continue;
            if (setting->source < PSAL_SOURCE_PROJECT) continue;
            const size_t first = option->repeatable || setting->text_count == 0 ? 0 : setting->text_count - 1;
            const size_t values = option->kind == PSAL_OPTION_FLAG ? first + 1 : setting->text_count;
            for (size_t v = first; v < values; v++) {
                fputs(" --", out);
                fputs(option->name, out);
                if (option->kind == PSAL_OPTION_FLAG) continue;
                putc(' ', out);
                psal_write_word(out, setting->texts[v]);
            }
        }
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

size_t psal_options_argument_count(const psal_options *options) {
    return options->argument_count;
}

const char *psal_options_argument(const psal_options *options, size_t index) {
    assert(index < options->argument_count);
    return options->arguments[index];
}
