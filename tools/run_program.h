/* run_program.h - what psal-run understands on its command line. */
#ifndef PSAL_TOOLS_RUN_PROGRAM_H
#define PSAL_TOOLS_RUN_PROGRAM_H

#include "tools/options.h"

extern const psal_program psal_run_program;

#endif
