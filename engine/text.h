/* text.h - text from outside (names in files, file names), and what of it may be shown. */
#ifndef PSAL_ENGINE_TEXT_H
#define PSAL_ENGINE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes (1 to 4) of the well-formed UTF-8 sequence at `text`, which has `left` bytes; 0
 * when it is none (Unicode 15, table 3-7: no surrogates, no overlong forms, nothing above
 * U+10FFFF). *code gets the code point. */
size_t psal_utf8_sequence(const char *text, size_t left, uint32_t *code);

/* Whether this code point is just drawn where it stands. Control characters (C0, delete, C1) steer a terminal, line and
 * paragraph separators begin a line, and the bidirectional marks, embeddings and isolates reorder what stands around
 * them. */
bool psal_is_printable(uint32_t code);

/* Replace each character of `text` that is not printable, and each byte that is no UTF-8 (the rest of a character that
 * was cut, too), by '?', in place. A signal handler may call it. Returns `text`. */
char *psal_make_printable(char *text);

#endif
