#include "io/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/text.h"

static void add(psal_notes *notes, bool warning, const char *format, va_list args) {
    if (!notes || notes->count >= 100) return;
    char **lines = reallocarray(notes->lines, notes->count + 1, sizeof *lines);
    if (lines) notes->lines = lines;
    bool *warnings = reallocarray(notes->warning, notes->count + 1, sizeof *warnings);
    if (warnings) notes->warning = warnings;
    char *line = NULL;
    if (!lines || !warnings || vasprintf(&line, format, args) < 0) return;
    notes->warning[notes->count] = warning;
    notes->lines[notes->count++] = psal_make_printable(line);
}

void psal_note(psal_notes *notes, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add(notes, false, format, args);
    va_end(args);
}

void psal_note_warning(psal_notes *notes, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add(notes, true, format, args);
    va_end(args);
}

void psal_notes_free(psal_notes *notes) {
    if (!notes) return;
    for (size_t i = 0; i < notes->count; i++) free(notes->lines[i]);
    free(notes->lines);
    free(notes->warning);
    *notes = (psal_notes)PSAL_NOTES_INIT;
}
