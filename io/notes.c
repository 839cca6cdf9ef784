#include "io/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void psal_note(psal_notes *notes, const char *format, ...) {
    if (!notes || notes->count >= 100) return;
    char **lines = reallocarray(notes->lines, notes->count + 1, sizeof *lines);
    if (!lines) return;
    notes->lines = lines;
    char *line = NULL;
    va_list args;
    va_start(args, format);
    int written = vasprintf(&line, format, args);
    va_end(args);
    if (written < 0) return;
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
    notes->lines[notes->count++] = line;
}

void psal_notes_free(psal_notes *notes) {
    if (!notes) return;
    for (size_t i = 0; i < notes->count; i++) free(notes->lines[i]);
    free(notes->lines);
    *notes = (psal_notes)PSAL_NOTES_INIT;
}
