/* labels_internal.h - building a label set; shared by the files labels*.c only. */
#ifndef PSAL_IO_LABELS_INTERNAL_H
#define PSAL_IO_LABELS_INTERNAL_H

#include <stddef.h>

#include "io/labels.h"

/* A set of `count` classes without names yet. */
psal_labels *psal_labels_begin(int count, psal_error *err);
/* Copy the id (may be NULL) and name of a class that has none yet; false when out of memory. */
bool psal_labels_put(psal_labels *labels, int index, const char *wnid, const char *name);
bool psal_labels_has(const psal_labels *labels, int index);
/* Make the set ready for searching. A class still without a name counts as out of memory, after
 * psal_labels_put returned false; then the set is freed and NULL returned. */
psal_labels *psal_labels_finish(psal_labels *labels, psal_error *err);

/* The set that a JSON array of `size` bytes lists: names, or WordNet ids and names (psal_labels_recorded). */
psal_labels *psal_labels_of_json(const char *text, size_t size, int class_count, psal_error *err);

#endif
