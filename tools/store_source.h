/* store_source.h - where the profiles of a store come from, so that who opens the store finds it again: network, class
 * names and pictures.
 *
 * One JSON object, in the first line of the store's table (column "psal_source"). Its keys are names of options, with
 * what was given: "weights", "weights-key", "delta" and "ignore-extra" (lists), "model", "variant", "bn-epsilon",
 * "transform-input", "preprocess"; "data"; and "labels", the name of a built-in set or a list as checkpoints record it
 * (psal_labels_record). Files and data sets have absolute paths. What is not known is not there. */
#ifndef PSAL_TOOLS_STORE_SOURCE_H
#define PSAL_TOOLS_STORE_SOURCE_H

#include <jansson.h>

#include "io/labels.h"
#include "tools/options.h"

/* The object as one line, which the caller frees. `weights` (NULL: not known) with `options`, of which those that name
 * the network are kept (NULL: none); `labels` that are mere numbers are left out. */
psal_status psal_store_source_text(const char *data, const psal_labels *labels, const char *weights,
                                   const psal_options *options, char **text, psal_error *err);

/* The same, of a data set that is at `data` now. */
psal_status psal_store_source_move(const char *text, const char *data, char **moved, psal_error *err);

/* Read it: a new reference. Fails when it is none, or one of its values is of another type. */
json_t *psal_store_source_read(const char *text, psal_error *err);
/* What the object says under `key` as a string; NULL: nothing. */
const char *psal_store_source_string(const json_t *source, const char *key);
/* Whether a session of its network can be opened, and the command line does not name another: neither --weights,
 * --model nor anything else about a network is given. */
bool psal_store_source_serves(const json_t *source, const psal_options *given);
/* Options of `program` for psal_session_open: what the object says of its network, and what `given` says of names and
 * of running. */
typedef struct psal_source_options {
    psal_options *options;
    char **words; /* the command line that they refer to */
    int count;
} psal_source_options;
psal_status psal_store_source_options(const json_t *source, const psal_program *program, const psal_options *given,
                                      psal_source_options *out, psal_error *err);
void psal_source_options_free(psal_source_options *options); /* zeroed is fine */

bool psal_store_source_has_labels(const json_t *source); /* NULL is fine */
/* The class names, of `count` classes (0: of any number). */
psal_labels *psal_store_source_labels(const json_t *source, int count, psal_error *err);

#endif
