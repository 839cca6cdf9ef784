/* commands.h - all of psal's programs: psal NAME starts psal-NAME. What each is for stands here, in a few words. */
#ifndef PSAL_TOOLS_COMMANDS_H
#define PSAL_TOOLS_COMMANDS_H

#include "tools/options_table.h"

/* In the order in which a user meets them; ends with {0}. */
extern const psal_subcommand psal_commands[];

/* What the program "psal-NAME" is for; NULL: it is not in the list. */
const char *psal_command_purpose(const char *program);

#endif
