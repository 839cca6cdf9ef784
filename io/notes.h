/* notes.h - remarks a reader makes that are no errors ("ignored 12 tensors: ..."), collected for a
 * program to print. */
#ifndef PSAL_IO_NOTES_H
#define PSAL_IO_NOTES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_notes {
    char **lines;  /* each made printable (engine/text.h), without a newline */
    bool *warning; /* [count] to be shown even to those who want results only */
    size_t count;
} psal_notes;

#define PSAL_NOTES_INIT \
    { NULL, NULL, 0 }

/* Append one line; NULL is fine and drops it. More than 100 notes, or too little memory, drop it as
 * well: a note is never worth failing for. */
void psal_note(psal_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for what makes the results doubtful: labels that are a guess, say. */
void psal_note_warning(psal_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

void psal_notes_free(psal_notes *notes); /* frees the lines and empties it; NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
