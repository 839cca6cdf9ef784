/* options_internal.h - shared by options.c, options_value.c and options_help.c only. */
#ifndef PSAL_TOOLS_OPTIONS_INTERNAL_H
#define PSAL_TOOLS_OPTIONS_INTERNAL_H

#include "tools/options.h"

/* The values one option has: texts for all kinds but flags, and numbers for the numeric ones. */
typedef struct psal_setting {
    bool given;   /* on the command line */
    char **texts; /* owned; choices as the table spells them */
    size_t text_count;
    void *numbers; /* int64_t (INT, INTS), double (DOUBLE, DOUBLES) */
    size_t number_count;
    int choice;
} psal_setting;

/* Check `text` against the option's kind and limits and append it to *setting. `shown` is how the
 * option was written, for messages. */
psal_status psal_setting_add(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                             psal_error *err);
void psal_setting_clear(psal_setting *setting);

/* Rows of the table, and --help and --version behind them. */
size_t psal_program_option_count(const psal_program *program);
const psal_option *psal_program_option(const psal_program *program, size_t index);

/* Names with '_' and '-' alike: whether `name` begins with the first `length` bytes of `text`. */
bool psal_name_begins(const char *name, const char *text, size_t length);

#endif
