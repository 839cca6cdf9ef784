/* options_table.h - the table that says what a program understands on its command line. */
#ifndef PSAL_TOOLS_OPTIONS_TABLE_H
#define PSAL_TOOLS_OPTIONS_TABLE_H

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
    PSAL_OPTION_INTS    /*   a list: "1,5,10-20,100:200:50" (ranges include their ends; :step) */
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
    bool output;              /* of paths: the run writes it (tools/outputs.h) */
    const char *companion;    /* of paths: the ending of a second file that goes with it, or NULL */
    const char *endings;      /* of paths: what the name must end in, ".png|.svg|.pdf"; or NULL: anything */
    const char *yields_to; /* a project's value stands back where one of these is given: "image-path|data"; or NULL */
    /* For completion only: */
    const char *known;               /* values that are words, beside any other: "predicted|second"; or NULL */
    const char *(*names)(int index); /* more of them, from 0; NULL ends them; or NULL */
    const char *files; /* of paths and strings: the endings of the files meant, ".png|.jpg", PSAL_ANY_FILE; or NULL: of
                          paths `endings`, else any; of strings no file */
} psal_option;

#define PSAL_ANY_FILE ""
#define PSAL_IMAGE_FILES ".jpg|.jpeg|.png|.webp"
#define PSAL_WEIGHTS_FILES ".safetensors|.pth|.pt|.npz|.onnx|.json"

/* Where an option's value comes from. A later one wins. */
typedef enum psal_source {
    PSAL_SOURCE_NONE, /* it has none */
    PSAL_SOURCE_DEFAULT,
    PSAL_SOURCE_PROJECT,
    PSAL_SOURCE_COMMAND_LINE
} psal_source;

/* What the first argument may ask for, where a program does several things. */
typedef struct psal_subcommand {
    const char *name;      /* "merge" */
    const char *arguments; /* behind it: "OUT PART..."; NULL: none */
    const char *help;      /* as an option's */
} psal_subcommand;

typedef struct psal_program {
    const char *name;                   /* "psal-run" */
    const char *version;                /* "0.1.0" */
    const char *summary;                /* one sentence, in the third person or imperative */
    const char *arguments;              /* in the usage line: "IN OUT.safetensors"; NULL: none */
    const psal_subcommand *subcommands; /* ends with {0}; NULL: none */
    size_t fewest_arguments, most_arguments;
    size_t output_argument;     /* which argument the run writes; 0, the first one: none */
    const psal_option *options; /* ends with {0}; names must outlive the parsed result */
    const char *epilogue;       /* below the options in --help, as it stands (examples); or NULL */
    bool makes_project;         /* and therefore reads none: no --project, no --show-settings */
} psal_program;

/* Rows of the table, and behind them --project and --show-settings, and last --help and --version. */
size_t psal_program_option_count(const psal_program *program);
const psal_option *psal_program_option(const psal_program *program, size_t index);

/* Names with '_' and '-' alike: whether `name` begins with the first `length` bytes of `text`. */
bool psal_name_begins(const char *name, const char *text, size_t length);

#endif
