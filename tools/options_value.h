/* options_value.h - the values of one option; used by options.c only. */
#ifndef PSAL_TOOLS_OPTIONS_VALUE_H
#define PSAL_TOOLS_OPTIONS_VALUE_H

#include "tools/options_table.h"

/* The values one option has: texts for all kinds but flags, and numbers for the numeric ones. */
typedef struct psal_setting {
    psal_source source;
    char **texts; /* owned; choices as the table spells them */
    size_t text_count;
    void *numbers; /* int64_t (INT, INTS), double (DOUBLE) */
    size_t number_count;
    int choice;
} psal_setting;

/* Check `text` against the option's kind and limits and append it to *setting. `shown` is how the
 * option was written, for messages. */
psal_status psal_setting_add(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                             psal_error *err);
void psal_setting_clear(psal_setting *setting);

#endif
