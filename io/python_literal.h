/* python_literal.h (internal to io) - a list or dictionary as Python prints it, or YAML writes it in brackets: read,
 * never run. */
#ifndef PSAL_IO_PYTHON_LITERAL_H
#define PSAL_IO_PYTHON_LITERAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/error.h"

/* Read the list, tuple or dictionary that text[size] begins with: strings (in ' or "), whole numbers, None, and these
 * within each other, with comments. Numbers as keys become text ("0"). What is behind it must be blank, but for `yaml`,
 * where words need no quotes and anything may follow on the next lines. A new reference (an array or object), NULL with
 * *err, which tells the line, counted from `line`. */
json_t *psal_python_literal(const char *text, size_t size, bool yaml, size_t line, psal_error *err);

#endif
