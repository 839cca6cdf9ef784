/* report_command.h - the command line of another program, as a report runs that program's functions and as the page
 * shows it to be repeated. */
#ifndef PSAL_TOOLS_REPORT_COMMAND_H
#define PSAL_TOOLS_REPORT_COMMAND_H

#include "tools/options.h"

typedef struct psal_report_command {
    char **words; /* what the options refer to */
    int count;
    const char *const *unsaid; /* options that only the report needs, which its text leaves out; or NULL: none */
    psal_options *options;     /* once it is parsed */
} psal_report_command;

/* Begin with the program's name and its first argument ("kinds"), NULL: none. *command is zeroed;
 * psal_report_command_free in any case. */
psal_status psal_report_command_begin(psal_report_command *command, const psal_program *program, const char *argument,
                                      psal_error *err);
/* --name=value; value NULL: a flag. */
psal_status psal_report_command_add(psal_report_command *command, const char *name, const char *value, psal_error *err);
psal_status psal_report_command_add_int(psal_report_command *command, const char *name, int64_t value, psal_error *err);
/* What `given` says of the network, its images and how it is run, as far as `program` has such options. */
psal_status psal_report_command_add_network(psal_report_command *command, const psal_program *program,
                                            const psal_options *given, psal_error *err);
/* What `given` says of one option, if anything, and if `program` has it. */
psal_status psal_report_command_add_given(psal_report_command *command, const psal_program *program,
                                          const psal_options *given, const char *name, psal_error *err);
psal_status psal_report_command_parse(psal_report_command *command, const psal_program *program, psal_error *err);
void psal_report_command_free(psal_report_command *command); /* zeroed is fine */

/* As it is typed: "psal-neighbors kinds --store p.npy". The caller frees; NULL when out of memory. */
char *psal_report_command_text(const psal_report_command *command);

#endif
