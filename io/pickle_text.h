/* pickle_text.h - the text notations of pickle protocol 0, decoded. Internal to io/. */
#ifndef PSAL_IO_PICKLE_TEXT_H
#define PSAL_IO_PICKLE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A decimal integer with optional sign, of at most 400 digits, as little-endian two's
 * complement into bytes[size + 1]; returns how many bytes were used, 0 for a malformed one. */
size_t psal_pickle_decimal(const char *text, size_t size, uint8_t *bytes);

/* Python's repr of a str ('...' or "..." with backslash escapes) into at most `size` bytes; -1 when
 * malformed. */
ptrdiff_t psal_pickle_unescape_string(const char *text, size_t size, char *to);

/* Latin-1 text with \uXXXX and \UXXXXXXXX ("raw-unicode-escape") as UTF-8 into at most 3 * size
 * bytes; -1 when malformed. */
ptrdiff_t psal_pickle_unescape_unicode(const char *text, size_t size, char *to);

/* UTF-8 text whose characters are all below 256, as one byte each (Latin-1) into at most `size`
 * bytes; -1 otherwise. */
ptrdiff_t psal_pickle_latin1(const char *text, size_t size, char *to);

#endif
