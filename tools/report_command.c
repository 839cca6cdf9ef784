#include "tools/report_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What names the network and prepares its images; then how it is run. */
static const char *const of_network[] = {
    "weights",         "weights-key", "delta",      "ignore-extra", "model",     "variant", "bn-epsilon",
    "transform-input", "labels",      "preprocess", "conv",         "processor", NULL};
static const char *const of_machine[] = {"threads", "memory-limit", "quiet", NULL};

static psal_status add_word(psal_report_command *command, char *word, psal_error *err) {
    char **words = word ? realloc(command->words, ((size_t)command->count + 2) * sizeof *words) : NULL;
    if (!words) {
        free(word);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    }
    command->words = words;
    words[command->count++] = word;
    words[command->count] = NULL;
    return PSAL_OK;
}

psal_status psal_report_command_begin(psal_report_command *command, const psal_program *program, const char *argument,
                                      psal_error *err) {
    psal_status status = add_word(command, strdup(program->name), err);
    return status == PSAL_OK && argument ? add_word(command, strdup(argument), err) : status;
}

psal_status psal_report_command_add(psal_report_command *command, const char *name, const char *value,
                                    psal_error *err) {
    char *word = NULL;
    if (asprintf(&word, "--%s%s%s", name, value ? "=" : "", value ? value : "") < 0) word = NULL;
    return add_word(command, word, err);
}

psal_status psal_report_command_add_int(psal_report_command *command, const char *name, int64_t value,
                                        psal_error *err) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return psal_report_command_add(command, name, text, err);
}

static const psal_option *option_of(const psal_program *program, const char *name) {
    for (size_t i = 0; i < psal_program_option_count(program); i++) {
        const psal_option *option = psal_program_option(program, i);
        if (option->name && strcmp(option->name, name) == 0) return option;
    }
    return NULL;
}

psal_status psal_report_command_add_given(psal_report_command *command, const psal_program *program,
                                          const psal_options *given, const char *name, psal_error *err) {
    const psal_option *option = option_of(program, name);
    if (!option || psal_options_source(given, name) < PSAL_SOURCE_PROJECT) return PSAL_OK;
    if (option->kind == PSAL_OPTION_FLAG)
        return psal_options_flag(given, name) ? psal_report_command_add(command, name, NULL, err) : PSAL_OK;
    const size_t count = psal_options_count(given, name);
    psal_status status = PSAL_OK;
    for (size_t i = option->repeatable ? 0 : count - 1; i < count && status == PSAL_OK; i++)
        status = psal_report_command_add(command, name, psal_options_string_at(given, name, i), err);
    return status;
}

psal_status psal_report_command_add_network(psal_report_command *command, const psal_program *program,
                                            const psal_options *given, psal_error *err) {
    psal_status status = PSAL_OK;
    for (const char *const *name = of_network; *name && status == PSAL_OK; name++)
        status = psal_report_command_add_given(command, program, given, *name, err);
    for (const char *const *name = of_machine; *name && status == PSAL_OK; name++)
        status = psal_report_command_add_given(command, program, given, *name, err);
    return status;
}

psal_status psal_report_command_parse(psal_report_command *command, const psal_program *program, psal_error *err) {
    command->options = psal_options_parse(program, command->count, command->words, err);
    return command->options ? PSAL_OK : psal_error_status(err);
}

void psal_report_command_free(psal_report_command *command) {
    psal_options_free(command->options);
    for (int i = 0; i < command->count; i++) free(command->words[i]);
    free(command->words);
    *command = (psal_report_command){0};
}

/* ---- as text ---- */

static bool is_one_of(const char *name, const char *const *names) {
    for (; names && *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

/* Only what was added: a project says more, which need not go with it. Results do not depend on what is said of the
 * machine: it is left out. */
char *psal_report_command_text(const psal_report_command *command) {
    const psal_program *program = psal_options_program(command->options);
    const size_t count = psal_program_option_count(program);
    const char **names = calloc(count + 1, sizeof *names);
    char *text = NULL, *options = NULL;
    size_t used = 0;
    for (size_t i = 0; names && i < count; i++) {
        const char *name = psal_program_option(program, i)->name;
        if (name && psal_options_knows(command->options, name) && psal_options_given(command->options, name) &&
            !is_one_of(name, of_machine) && !is_one_of(name, command->unsaid))
            names[used++] = name;
    }
    if (names) options = psal_options_repeat(command->options, names);
    const bool argument = psal_options_argument_count(command->options) > 0;
    if (!options || asprintf(&text, "%s%s%s%s", program->name, argument ? " " : "",
                             argument ? psal_options_argument(command->options, 0) : "", options) < 0)
        text = NULL;
    free(options);
    free(names);
    return text;
}
