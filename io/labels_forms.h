/* labels_forms.h (internal to io) - class names from lines, tables and YAML (labels_lines.c), from lists and
 * dictionaries (labels_tree.c). */
#ifndef PSAL_IO_LABELS_FORMS_H
#define PSAL_IO_LABELS_FORMS_H

#include <jansson.h>

#include "io/labels_rows.h"

/* Lines with a name each, or a table: told by its titles, or known to be one (`table`). text[size] is ended by a 0. */
psal_status psal_class_rows_from_lines(psal_class_rows *rows, const char *text, size_t size, bool table,
                                       psal_error *err);

/* The line "names:" of a YAML description, or NULL. */
const char *psal_class_yaml_find(const char *text);
/* What is below that line, which begins at `names`. */
psal_status psal_class_rows_from_yaml(psal_class_rows *rows, const char *text, size_t size, const char *names,
                                      psal_error *err);

/* The classes of a JSON (or Python) list or dictionary. */
psal_status psal_class_rows_from_tree(psal_class_rows *rows, const json_t *tree, psal_error *err);

#endif
