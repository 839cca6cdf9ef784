/* outputs.h - no output of a run may be one of its inputs, or another of its outputs. */
#ifndef PSAL_TOOLS_OUTPUTS_H
#define PSAL_TOOLS_OUTPUTS_H

#include <stdbool.h>

#include "tools/options.h"

/* Fails when a file that the command line names as an output (psal_option.output, psal_program.output_argument) is one
 * that it names for anything else: what is there now would be lost. The same file under two names (a link, "./") is
 * seen. Devices, pipes and folders may be named twice. */
psal_status psal_check_outputs(const psal_program *program, const psal_options *options, psal_error *err);

/* Of a file that no option names: it must be none of those that the command line names, nor the project's. */
psal_status psal_check_not_named(const psal_program *program, const psal_options *options, const char *path,
                                 psal_error *err);
/* And it can be written. */
psal_status psal_check_output_file(const psal_program *program, const psal_options *options, const char *path,
                                   psal_error *err);

/* Whether these are one file, under whatever names. */
bool psal_same_file(const char *a, const char *b);
/* Whether the name ends in one of ".safetensors|.onnx", in whatever case. */
bool psal_has_ending(const char *path, const char *endings);

/* Print the files that the options name and that were written, a line each; not with --quiet. */
void psal_print_written(const psal_program *program, const psal_options *options);

#endif
