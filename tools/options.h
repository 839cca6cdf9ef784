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

#include "engine/error.h"

typedef enum psal_option_kind {
    PSAL_OPTION_END,     /* ends the table: {0} */
    PSAL_OPTION_HEADING, /* only `help`: a heading in --help */
    PSAL_OPTION_FLAG,    /* no value */
    PSAL_OPTION_INT,
    PSAL_OPTION_DOUBLE, /* finite */
    PSAL_OPTION_STRING,
    PSAL_OPTION_PATH,   /* a string that is not empty */
    PSAL_OPTION_CHOICE, /* one of `choices`; any unambiguous beginning, dashes and underscores alike
                         */
    PSAL_OPTION_INTS,   /* a list: "1,5,10-20,100:200:50" (ranges include their ends; :step) */
    PSAL_OPTION_DOUBLES /* a list: "0.01,0.1" */
} psal_option_kind;

typedef struct psal_option {
    psal_option_kind kind;
    const char *name;         /* with dashes: "image-path" */
    char short_name;          /* or 0 */
    const char *value_name;   /* in --help: "FILE"; NULL: N, X, TEXT, FILE, the choices or LIST */
    const char *default_text; /* parsed like a given value; NULL: none */
    const char *help;         /* one or more sentences, wrapped by --help; default and choices are added */
    double minimum, maximum;  /* of numbers; both 0: no limits */
    const char *choices;      /* "std|norm|naive" */
    const char *alias;        /* a second name, not shown; or NULL */
    bool repeatable;          /* every occurrence is kept */
    bool required;            /* must be given (unless --help or --version is) */
} psal_option;

typedef struct psal_program {
    const char *name;      /* "psal-run" */
    const char *version;   /* "0.1.0" */
    const char *summary;   /* one sentence, in the third person or imperative */
    const char *arguments; /* in the usage line: "IN OUT.safetensors"; NULL: none */
    size_t fewest_arguments, most_arguments;
    const psal_option *options; /* ends with {0}; names must outlive the parsed result */
    const char *epilogue;       /* below the options in --help, as it stands (examples); or NULL */
} psal_program;

typedef struct psal_options psal_options;

/* Parse the command line. NULL with a one-line message in *err: an unknown option (with the nearest
 * names), an ambiguous beginning (with the candidates), a missing, superfluous or invalid value
 * (naming option, value and what is allowed), too few or many arguments. With --help or --version
 * nothing else is checked. The result refers to argv. */
psal_options *psal_options_parse(const psal_program *program, int argc, char *const *argv, psal_error *err);
void psal_options_free(psal_options *options); /* NULL is fine */

bool psal_options_wants_help(const psal_options *options);
bool psal_options_wants_version(const psal_options *options);

/* What --help prints, wrapped at `width` columns; the caller frees. NULL when out of memory. */
char *psal_options_help(const psal_program *program, int width);

/* ---- results; asking for a name that is not in the table, or as another kind, is a bug (assert)
 * ---- */

/* Whether the option stood on the command line (and its value is not the default). */
bool psal_options_given(const psal_options *options, const char *name);
/* Whether it has a value: given, or by default. */
bool psal_options_has(const psal_options *options, const char *name);

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
const double *psal_options_doubles(const psal_options *options, const char *name, size_t *count);

/* Repeatable options: how many values, and each as it stood on the command line. */
size_t psal_options_count(const psal_options *options, const char *name);
const char *psal_options_string_at(const psal_options *options, const char *name, size_t index);

/* Arguments that are not options. */
size_t psal_options_argument_count(const psal_options *options);
const char *psal_options_argument(const psal_options *options, size_t index);

#endif
