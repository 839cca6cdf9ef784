/* project.h - psal.json, the project file: what stays the same while one network is looked into. psal-init writes it,
 * people edit it, and every program takes from it what its command line does not say.
 *
 * It is one JSON object. "format" is 1, "fingerprint" the weights' (psal_model_fingerprint, 16 hexadecimal digits; it
 * may be missing, and is not checked then). Every other key is an option's name with that option's value: "weights",
 * "weights-key", "model", "variant", "ignore-extra" (a list), "bn-epsilon" (a number), "transform-input" (true or
 * false), "preprocess", "labels" (what --labels takes, or a list of names), "data", "stats", "store". "notes" is a list
 * of what reading the weights made psal-init remark, which is not said again. Only "format" and "weights" are needed.
 * Relative paths start from the file's folder. Anything else is refused.
 *
 * A project is of one network. Its values are left aside, with a note,
 * - all of them, where the command line names another network: --weights or --store with another file, --model alone,
 *   or (psal-convert) an argument that is another file;
 * - "stats" and "store", where it says what changes the network or its input: --weights-key, --ignore-extra, --variant,
 *   --bn-epsilon, --transform-input, --preprocess, or another profile: --aggregation, --signed, --logit,
 *   --logit-difference, --normalized, --gradient-weight;
 * - "stats" alone with --mode pot;
 * - one that an option's row says to yield (psal_option.yields_to). */
#ifndef PSAL_TOOLS_PROJECT_H
#define PSAL_TOOLS_PROJECT_H

#include "tools/options.h"

#define PSAL_PROJECT_NAME "psal.json"
#define PSAL_PROJECT_FORMAT 1
#define PSAL_PROJECT_SIZE (4 << 20) /* bytes of the file at most */

/* What the file says of one option. */
typedef struct psal_project_value {
    const char *name; /* the option's */
    char **texts;     /* its values; none of a flag */
    size_t count;
    char aside[200]; /* why it is left aside; "": it is not */
} psal_project_value;

typedef struct psal_project {
    char path[4096];      /* of the file */
    char fingerprint[17]; /* "": not said */
    psal_project_value *values;
    size_t count;
} psal_project;

/* Read `text`[size], the contents of the file `path`. NULL with one line that names it and the key. */
psal_project *psal_project_parse(const void *text, size_t size, const char *path, psal_error *err);
void psal_project_free(psal_project *project); /* NULL is fine */
/* Whether that remark about the weights stands in the project, and is about the weights in use. NULL is fine. */
bool psal_project_has_note(const psal_project *project, const char *note);
/* The first value of an option; NULL: the project does not say it. */
const char *psal_project_text(const psal_project *project, const char *name);

/* ---- project_options.c ---- */

/* The project that --project names, or that lies in the working folder, becomes the third source of the options, beside
 * command line and defaults. *project, which the caller frees after the options, is NULL where there is none. */
psal_status psal_project_apply(psal_options *options, psal_project **project, psal_error *err);
/* The project's data set, also where it stands back beside an option of the command line; NULL: it has none, or is of
 * another network. */
const char *psal_project_data(const psal_options *options);
/* Why no project names the network, behind "no --weights": " and no psal.json here"; "": --project none. */
const char *psal_project_absence(const psal_options *options);
/* An error about a file that the project names, and not the command line, says so then. */
void psal_project_name_source(const psal_options *options, psal_error *err);
/* Say what is left aside, on standard error, but with --quiet. */
void psal_project_note(const psal_project *project, const psal_options *options);
/* --show-settings, on standard output. */
void psal_project_show(const psal_project *project, const psal_options *options);

/* Whether weights with this fingerprint are those of the project; fine where it does not say, or the command line says
 * what changes the network. `path`: where they were read. */
psal_status psal_project_check_weights(const psal_options *options, const char *path, const char *fingerprint,
                                       psal_error *err);

#endif
