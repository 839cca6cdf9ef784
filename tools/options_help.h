/* options_help.h - the text of --help. */
#ifndef PSAL_TOOLS_OPTIONS_HELP_H
#define PSAL_TOOLS_OPTIONS_HELP_H

#include "tools/options_table.h"

/* What --help prints, wrapped at `width` columns; the caller frees. NULL when out of memory. */
char *psal_options_help(const psal_program *program, int width);

#endif
