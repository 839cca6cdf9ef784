#include "engine/text.h"

#include <string.h>

size_t psal_utf8_sequence(const char *text, size_t left, uint32_t *code) {
    const unsigned char *byte = (const unsigned char *)text;
    if (left == 0) return 0;
    if (byte[0] < 0x80) {
        *code = byte[0];
        return 1;
    }
    size_t length = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    if (byte[0] < 0xc2 || byte[0] > 0xf4 || left < length) return 0;
    uint32_t value = byte[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (byte[i] & 0x3f);
    }
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
    *code = value;
    return length;
}

bool psal_is_printable(uint32_t code) {
    return !(code < 0x20 || (code >= 0x7f && code < 0xa0) ||                             /* C0, delete, C1 */
             code == 0x2028 || code == 0x2029 ||                                         /* line, paragraph */
             code == 0x200e || code == 0x200f || code == 0x061c ||                       /* direction marks */
             (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || /* embeddings, isolates */
             code == 0xfeff || code == 0xfffe || code == 0xffff);
}

char *psal_make_printable(char *text) {
    char *to = text;
    for (size_t left = strlen(text), i = 0; left > 0;) {
        uint32_t code = 0;
        const size_t length = psal_utf8_sequence(text + i, left, &code), step = length ? length : 1;
        if (length && psal_is_printable(code)) {
            memmove(to, text + i, length);
            to += length;
        } else {
            *to++ = '?';
        }
        i += step;
        left -= step;
    }
    *to = '\0';
    return text;
}
