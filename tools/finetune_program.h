/* finetune_program.h - what psal-finetune understands on its command line. */
#ifndef PSAL_TOOLS_FINETUNE_PROGRAM_H
#define PSAL_TOOLS_FINETUNE_PROGRAM_H

#include "tools/options.h"

extern const psal_program psal_finetune_program;

#endif
