#include "io/utf8.h"

#include <string.h>

char *psal_utf8_clean(const char *text, char *out, size_t size) {
    if (size == 0) return out;
    size_t used = 0, left = text ? strlen(text) : 0;
    while (left > 0) {
        uint32_t code = 0;
        size_t length = psal_utf8_sequence(text, left, &code);
        const char *piece = text;
        size_t piece_length = length;
        if (length == 0) {
            piece = "\xef\xbf\xbd"; /* U+FFFD */
            piece_length = 3;
            length = 1;
        } else if (!psal_is_printable(code)) {
            piece = " ";
            piece_length = 1;
        }
        if (used + piece_length + 1 > size) break;
        memcpy(out + used, piece, piece_length);
        used += piece_length;
        text += length;
        left -= length;
    }
    out[used] = '\0';
    return out;
}
