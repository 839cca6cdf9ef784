/* neighbors_program.h - what psal-neighbors understands on its command line. */
#ifndef PSAL_TOOLS_NEIGHBORS_PROGRAM_H
#define PSAL_TOOLS_NEIGHBORS_PROGRAM_H

#include "tools/options.h"

extern const psal_program psal_neighbors_program;

#endif
