/* json_output.h - results as JSON, on top of Jansson: build a json_t with Jansson's own functions
 * and those below, then write it.
 *
 * Numbers read back exactly and are as short as that allows (0.868, not 0.86799999999999999); NaN
 * and infinities, which JSON does not have, become null; objects keep the order in which their keys
 * were added; texts that are not UTF-8 (file names need not be) get U+FFFD for what is not. */
#ifndef PSAL_IO_JSON_OUTPUT_H
#define PSAL_IO_JSON_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "engine/error.h"

/* New values; the caller owns the reference. NULL only when out of memory. */
json_t *psal_json_double(double value);
json_t *psal_json_float(float value);       /* as the shortest decimal that reads back as this float */
json_t *psal_json_string(const char *text); /* NULL becomes null */
json_t *psal_json_doubles(const double *values, size_t count);
json_t *psal_json_floats(const float *values, size_t count);
json_t *psal_json_ints(const int64_t *values, size_t count);

/* Write `value` with two blanks of indentation (arrays of plain values on one line) and a line end
 * to `stream`. Write errors of the stream are reported, too. The reference stays the caller's. */
psal_status psal_json_write(const json_t *value, FILE *stream, psal_error *err);

/* The same to the file `path`, whole or not at all. */
psal_status psal_json_save(const json_t *value, const char *path, psal_error *err);

#endif
