/* json_input.h - JSON from outside, parsed with bounds on what it may cost. */
#ifndef PSAL_IO_JSON_INPUT_H
#define PSAL_IO_JSON_INPUT_H

#include <jansson.h>
#include <stddef.h>

#include "engine/error.h"

/* Parse `size` bytes as one JSON object or array. Repeated keys, NUL in strings, anything behind the object
 * and texts whose tree would need very much more memory than `size` are refused. Returns a new
 * reference, NULL with *err (which does not name the file). */
json_t *psal_json_parse(const void *text, size_t size, psal_error *err);
/* The same for an object only. */
json_t *psal_json_parse_object(const void *text, size_t size, psal_error *err);

/* The same of a file; *object is NULL when it is missing. PSAL_ERR_FORMAT, naming it, when it holds no such object. */
psal_status psal_json_load(const char *path, json_t **object, psal_error *err);

#endif
