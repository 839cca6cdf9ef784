/* program.h - the frame around every program: what holds for all of them, whatever they compute. */
#ifndef PSAL_TOOLS_PROGRAM_H
#define PSAL_TOOLS_PROGRAM_H

#include "engine/error.h"
#include "tools/options.h"

/* A program's work. Returns 0 (whatever stands in *err then), or a psal_status with *err filled, which the frame prints
 * and turns into 1, or with *err empty the status with which the program is to leave. */
typedef int (*psal_program_work)(const psal_options *options, psal_error *err);

/* All of main: parse the command line, show --help and --version, do the work, and return the exit status: 2 for a
 * command line that is not understood, 1 with one line on standard error for any failure.
 *
 * Standard input, output and error that were closed by whoever started the program are opened first, so that no file of
 * its own becomes one of them; reading and writing them fails as before. Standard output that cannot be written, at
 * whatever moment, is such a failure, whether it is closed, full, or a pipe whose reader has gone: the work goes on,
 * its files are written, and the line says it. Files that exceed the limit on their size are an error too, rather than
 * a signal, and so is a file that is cut short while it is mapped. The program leaves no temporary files when SIGHUP,
 * SIGINT or SIGTERM ends it. */
int psal_program_main(const psal_program *program, int argc, char **argv, psal_program_work work);

/* From now on the first of these signals does not end the program: it asks now and then whether there was one, and ends
 * by itself, with what it has done so far kept: with PSAL_ERR_CANCELLED, which psal_program_main says before it lets
 * that signal do its work, so that the status is an interrupted program's. A second one ends it at once. */
void psal_program_stop_on_signal(void);
bool psal_program_interrupted(void);

#endif
