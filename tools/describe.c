#include "tools/describe.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/options_help.h"

static const char *kind_name(psal_option_kind kind) {
    switch (kind) {
    case PSAL_OPTION_FLAG:
        return "flag";
    case PSAL_OPTION_INT:
    case PSAL_OPTION_DOUBLE:
    case PSAL_OPTION_INTS:
        return "number";
    case PSAL_OPTION_CHOICE:
        return "choice";
    case PSAL_OPTION_PATH:
        return "path";
    case PSAL_OPTION_STRING:
    case PSAL_OPTION_HEADING:
    case PSAL_OPTION_END:
        break;
    }
    return "text";
}

/* The parts of "a|b|c", behind those that are there. */
static int append_parts(json_t *list, const char *text) {
    int failed = 0;
    while (text && *text) {
        const size_t length = strcspn(text, "|");
        failed |= json_array_append_new(list, json_stringn(text, length));
        text += length + (text[length] == '|');
    }
    return failed;
}

static json_t *words(const psal_option *option) {
    json_t *list = json_array();
    int failed = append_parts(list, option->choices) | append_parts(list, option->known);
    for (int i = 0; option->names && option->names(i); i++)
        failed |= json_array_append_new(list, json_string(option->names(i)));
    if (!failed) return list;
    json_decref(list);
    return NULL;
}

/* Where the row does not say it, the value's name may: DIR, FILE.npy. */
static json_t *files(const psal_option *option) {
    const char *value = psal_option_value_name(option), *dot = strrchr(value, '.');
    const char *endings = option->files ? option->files : option->endings;
    if (!endings && option->kind != PSAL_OPTION_PATH) return json_null();
    if (!endings) endings = strcmp(value, "DIR") == 0 ? "/" : dot ? dot : PSAL_ANY_FILE;
    json_t *list = json_array();
    if (append_parts(list, endings) == 0) return list;
    json_decref(list);
    return NULL;
}

static json_t *option_json(const psal_option *option) {
    if (option->kind == PSAL_OPTION_HEADING) return json_pack("{ss}", "heading", option->help);
    const char letter[2] = {option->short_name, 0};
    char *help = psal_option_explanation(option);
    json_t *json = json_pack("{ss, ss?, ss?, ss, ss, ss, sb, so, sb, so}", "name", option->name, "short",
                             *letter ? letter : NULL, "alias", option->alias, "kind", kind_name(option->kind), "value",
                             psal_option_value_name(option), "help", help ? help : "", "repeatable", option->repeatable,
                             "words", words(option), "exact", option->kind == PSAL_OPTION_CHOICE, "files",
                             files(option));
    free(help);
    return json;
}

static json_t *subcommands_json(const psal_program *program) {
    json_t *list = json_array();
    for (const psal_subcommand *s = program->subcommands; s && s->name; s++)
        json_array_append_new(list,
                              json_pack("{ss, ss?, ss}", "name", s->name, "arguments", s->arguments, "help", s->help));
    return list;
}

char *psal_describe(const psal_program *program, const char *purpose) {
    json_t *options = json_array();
    for (size_t i = 0; i < psal_program_option_count(program); i++)
        json_array_append_new(options, option_json(psal_program_option(program, i)));
    json_t *json = json_pack("{ss, ss, ss?, ss?, ss?, ss?, so, so}", "name", program->name, "version", program->version,
                             "purpose", purpose, "summary", program->summary, "arguments", program->arguments,
                             "epilogue", program->epilogue, "subcommands", subcommands_json(program), "options",
                             options);
    const bool complete = json && json_array_size(options) == psal_program_option_count(program);
    char *text = complete ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    return text;
}
