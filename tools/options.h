/* options.h - the command lines of all programs: one table per program says what it understands;
 * parsing, messages and --help follow from it.
 *
 * Accepted, as Python's argparse does for the original: `--name value` and `--name=value`; dashes
 * and underscores alike (--image_path, --image-path); any beginning of a name that fits one option
 * only;
 * `-k 5`, `-k5`, and flags together (-qv); options and other arguments in any order; `--` ends the
 * options. A value may begin with a dash only when it is a number, "-" alone, or follows `=`. The
 * last one of an option given twice counts, unless it is repeatable. --help (-h) and --version are
 * understood by every program. */
#ifndef PSAL_TOOLS_OPTIONS_H
#define PSAL_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"
#include "tools/options_table.h"

typedef struct psal_options psal_options;
struct psal_project;

/* Parse the command line. NULL with a one-line message in *err: an unknown option (with the nearest
 * names), an ambiguous beginning (with the candidates), a missing, superfluous or invalid value
 * (naming option, value and what is allowed), too few or many arguments. With --help or --version
 * nothing else is checked. The result refers to argv. */
psal_options *psal_options_parse(const psal_program *program, int argc, char *const *argv, psal_error *err);
void psal_options_free(psal_options *options); /* NULL is fine */

/* The same in two steps, between which a project's values may be taken: the second one says what is missing. */
psal_options *psal_options_read(const psal_program *program, int argc, char *const *argv, psal_error *err);
psal_status psal_options_check(const psal_options *options, psal_error *err);

/* ---- the project (tools/project.h) ---- */

/* Where the command line does not say option `name`, it becomes these values (of a flag: count 0), in place of the
 * default. A name that is not in the table is fine: another program has it. `shown` for messages. */
psal_status psal_options_take(psal_options *options, const char *name, char *const *values, size_t count,
                              const char *shown, psal_error *err);
/* The project whose values these options have; NULL: none. It outlives them. */
void psal_options_set_project(psal_options *options, const struct psal_project *project);
const struct psal_project *psal_options_project(const psal_options *options);

bool psal_options_wants_help(const psal_options *options);
bool psal_options_wants_version(const psal_options *options);

/* ---- results; asking for a name that is not in the table, or as another kind, is a bug (assert)
 * ---- */

const psal_program *psal_options_program(const psal_options *options);
/* Whether the program has this option. */
bool psal_options_knows(const psal_options *options, const char *name);
psal_source psal_options_source(const psal_options *options, const char *name);
/* Whether the option stood on the command line. */
bool psal_options_given(const psal_options *options, const char *name);
/* Whether it has a value: given, by the project or by default. */
bool psal_options_has(const psal_options *options, const char *name);

/* The first option that stood on the command line and is (`listed`), or is not, one of `names` (NULL ends them); NULL
 * when there is none. --project, which all understand, does not count. For programs that do several things: an option
 * that does nothing is refused. */
const char *psal_options_given_of(const psal_options *options, const char *const *names, bool listed);

bool psal_options_flag(const psal_options *options, const char *name);
/* 0 when there is no value: ask psal_options_has first where that matters. */
int64_t psal_options_int(const psal_options *options, const char *name);
double psal_options_double(const psal_options *options, const char *name);
/* Strings, paths and choices (spelled as in the table); NULL when there is no value. Lives as long
 * as the options and argv. */
const char *psal_options_string(const psal_options *options, const char *name);
/* The position of the choice in `choices`, from 0; -1 when there is no value. */
int psal_options_choice(const psal_options *options, const char *name);
/* The numbers of a list, NULL and *count 0 when there is no value; owned by the options. A repeated
 * list is joined. */
const int64_t *psal_options_ints(const psal_options *options, const char *name, size_t *count);

/* Repeatable options: how many values, and each as it stood on the command line. */
size_t psal_options_count(const psal_options *options, const char *name);
const char *psal_options_string_at(const psal_options *options, const char *name, size_t index);

/* The options of `names` (NULL ends them) that the command line or the project says and are in the table, as they can
 * be typed again: " --weights 'a b.pth' --signed". The caller frees; NULL when out of memory. */
char *psal_options_repeat(const psal_options *options, const char *const *names);

/* One word of a command, quoted for a shell where it must be. */
void psal_write_word(FILE *out, const char *text);

/* Arguments that are not options. */
size_t psal_options_argument_count(const psal_options *options);
const char *psal_options_argument(const psal_options *options, size_t index);

#endif
