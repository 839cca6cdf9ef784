/* json_input.h - JSON from outside, parsed with bounds on what it may cost. */
#ifndef PSAL_IO_JSON_INPUT_H
#define PSAL_IO_JSON_INPUT_H

#include <jansson.h>
#include <stddef.h>

#include "engine/error.h"

/* Parse `size` bytes as one JSON object. Repeated keys, NUL in strings, anything behind the object
 * and texts whose tree would need very much more memory than `size` are refused. Returns a new
 * reference, NULL with *err (which does not name the file). */
json_t *psal_json_parse_object(const void *text, size_t size, psal_error *err);

#endif
