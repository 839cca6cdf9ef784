/* spelling.h - "did you mean ...?" for names typed by people: options, classes, choices. */
#ifndef PSAL_IO_SPELLING_H
#define PSAL_IO_SPELLING_H

#include <stddef.h>

/* The number of single-character insertions, deletions, replacements and swaps of neighbours that
 * turn `a` into `b` (optimal string alignment; Damerau 1964, Levenshtein 1966), ASCII letters
 * compared without case, bytes otherwise. Only the first 255 bytes of each are looked at. */
size_t psal_edit_distance(const char *a, const char *b);

/* How far a typed word may lie from a name that is still worth suggesting: one edit in three. */
size_t psal_spelling_tolerance(const char *typed);

#endif
