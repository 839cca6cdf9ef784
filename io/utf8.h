/* utf8.h (internal to io) - text from outside, made safe to draw and to embed.
 *
 * Class names, file names and captions are untrusted: Cairo stops a whole drawing at the first
 * invalid byte, and a control character would break a line of a report. */
#ifndef PSAL_IO_UTF8_H
#define PSAL_IO_UTF8_H

#include <stddef.h>

#include "engine/text.h"

/* Copy `text` (NULL counts as "") into out[size], always terminated and well-formed: an ill-formed
 * byte becomes U+FFFD, control characters, line and paragraph separators and the bidirectional
 * controls (which could reorder the caption around a name) become a space; what does not fit is cut
 * at a character. Returns out. */
char *psal_utf8_clean(const char *text, char *out, size_t size);

#endif
