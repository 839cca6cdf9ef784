/* notes.h - remarks a reader makes that are no errors ("ignored 12 tensors: ..."), collected for a
 * program to print. */
#ifndef PSAL_IO_NOTES_H
#define PSAL_IO_NOTES_H

#include <stddef.h>

typedef struct psal_notes {
    char **lines; /* each without a newline and without control characters */
    size_t count;
} psal_notes;

#define PSAL_NOTES_INIT \
    { NULL, 0 }

/* Append one line; NULL is fine and drops it. More than 100 notes, or too little memory, drop it as
 * well: a note is never worth failing for. */
void psal_note(psal_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

void psal_notes_free(psal_notes *notes); /* frees the lines and empties it; NULL is fine */

#endif
