/* prune_program.h - what psal-prune understands on its command line. */
#ifndef PSAL_TOOLS_PRUNE_PROGRAM_H
#define PSAL_TOOLS_PRUNE_PROGRAM_H

#include "tools/options.h"

extern const psal_program psal_prune_program;

#endif
