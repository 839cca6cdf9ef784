/* options_help.h - the text of --help. */
#ifndef PSAL_TOOLS_OPTIONS_HELP_H
#define PSAL_TOOLS_OPTIONS_HELP_H

#include "tools/options_table.h"

/* What --help prints, wrapped at `width` columns; the caller frees. NULL when out of memory. */
char *psal_options_help(const psal_program *program, int width);

/* Its parts, of one option. What stands for the value; "" of flags: */
const char *psal_option_value_name(const psal_option *option);
/* The explanation with everything that is added to it; the caller frees. NULL when out of memory. */
char *psal_option_explanation(const psal_option *option);

#endif
