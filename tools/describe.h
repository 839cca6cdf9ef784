/* describe.h - what a program understands on its command line, as JSON: the manual pages and the completions of shells
 * are made from it (tools/manual). */
#ifndef PSAL_TOOLS_DESCRIBE_H
#define PSAL_TOOLS_DESCRIBE_H

#include "tools/options_table.h"

/* The argument that asks a program for this, and for nothing else. It is no option: whoever types a command has no use
 * for it, and no beginning of a name means it. */
#define PSAL_DESCRIBE "--describe"

/* One object, for the caller to free; NULL when out of memory. "name", "version", "purpose" (tools/commands.h),
 * "summary", "arguments", "epilogue" (null where there is none); "subcommands", each with "name", "arguments" and
 * "help"; "options", in the order of --help, each either with "heading", or with "name", "short", "alias", "kind"
 * ("flag", "number", "choice", "text", "path"), "value" (what stands for it), "help" (with everything that --help
 * adds), "repeatable", and for completion "words" (values known by name), "exact" (there are no others), and "files":
 * null (no file), or the endings of the files that are meant, of which [] means any and ["/"] a folder. */
char *psal_describe(const psal_program *program, const char *purpose);

#endif
