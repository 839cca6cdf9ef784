/* json_output.h - results as JSON, on top of Jansson: build a json_t with Jansson's own functions
 * and those below, then write it.
 *
 * Numbers read back exactly and are as short as that allows (0.868, not 0.86799999999999999); NaN and infinities, which
 * JSON does not have, become null; objects keep the order in which their keys were added; texts that are not UTF-8
 * (file names need not be) get U+FFFD for what is not; what a terminal would obey (engine/text.h) is written as an
 * escape, so that JSON may be printed. */
#ifndef PSAL_IO_JSON_OUTPUT_H
#define PSAL_IO_JSON_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* New values; the caller owns the reference. NULL only when out of memory.
 *
 * What is built need not be looked at piece by piece: a value that could not be made, or added for want of memory,
 * makes the next psal_json_check, psal_json_write or psal_json_save of this thread fail. */
json_t *psal_json_double(double value);
json_t *psal_json_float(float value);       /* as the shortest decimal that reads back as this float */
json_t *psal_json_string(const char *text); /* NULL becomes null */

/* A new document of the programs: an object whose first member `schema` names its description in tools/schema, a JSON
 * Schema: "psal-run/1" is version 1 of psal-run.json. */
json_t *psal_json_document(const char *schema);

/* Whether `value` is there and nothing has been missing in it: for those who read what they built instead of writing
 * it. */
psal_status psal_json_check(const json_t *value, psal_error *err);

/* Write `value` with two blanks of indentation (arrays of plain values on one line) and a line end
 * to `stream`. Write errors of the stream are reported, too. The reference stays the caller's. */
psal_status psal_json_write(const json_t *value, FILE *stream, psal_error *err);

/* The same to the file `path`, whole or not at all. */
psal_status psal_json_save(const json_t *value, const char *path, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
