#include "io/pickle_text.h"

#include <stdbool.h>
#include <string.h>

size_t psal_pickle_decimal(const char *text, size_t size, uint8_t *bytes) {
    bool negative = size && *text == '-';
    if (size && (*text == '-' || *text == '+')) text++, size--;
    if (!size || size > 400) return 0;
    size_t used = 1;
    bytes[0] = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        unsigned carry = (unsigned)(text[i] - '0');
        for (size_t b = 0; b < used; b++) {
            carry += bytes[b] * 10u;
            bytes[b] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry) bytes[used++] = (uint8_t)carry;
    }
    if (bytes[used - 1] & 0x80) bytes[used++] = 0; /* room for the sign: at most one digit's worth, hence size + 1 */
    if (negative) {
        unsigned carry = 1;
        for (size_t b = 0; b < used; b++) {
            carry += (uint8_t)~bytes[b];
            bytes[b] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    return used;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* `digits` hexadecimal digits at text[0]; -1 when there are not so many. */
static int64_t hex_number(const char *text, size_t size, size_t digits) {
    int64_t value = 0;
    if (size < digits) return -1;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

ptrdiff_t psal_pickle_unescape_string(const char *text, size_t size, char *to) {
    static const char escapes[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v"; /* letter, meaning, letter, meaning, ... */
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\r')) size--;
    if (size < 2 || (*text != '\'' && *text != '"') || text[size - 1] != *text) return -1;
    size_t out = 0;
    for (size_t i = 1; i < size - 1; i++) {
        if (text[i] != '\\') {
            to[out++] = text[i];
            continue;
        }
        if (++i == size - 1) return -1;
        if (text[i] == 'x') {
            int64_t value = hex_number(text + i + 1, size - 2 - i, 2);
            if (value < 0) return -1;
            to[out++] = (char)value;
            i += 2;
            continue;
        }
        if (text[i] >= '0' && text[i] <= '7') {
            int value = 0, digits = 0;
            for (; digits < 3 && i < size - 1 && text[i] >= '0' && text[i] <= '7'; i++, digits++)
                value = value * 8 + (text[i] - '0');
            i--;
            to[out++] = (char)value;
            continue;
        }
        const char *escape = escapes;
        while (*escape && *escape != text[i]) escape += 2;
        if (*escape) {
            to[out++] = escape[1];
        } else { /* an unknown escape stands for itself */
            to[out++] = '\\';
            to[out++] = text[i];
        }
    }
    return (ptrdiff_t)out;
}

/* One code point as UTF-8; returns the bytes written (1 to 4), 0 beyond U+10FFFF. */
static size_t write_utf8(uint32_t code, char *to) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff) return 0;
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

ptrdiff_t psal_pickle_unescape_unicode(const char *text, size_t size, char *to) {
    size_t out = 0;
    for (size_t i = 0; i < size; i++) {
        uint32_t code = (unsigned char)text[i];
        size_t digits = text[i] == '\\' && i + 1 < size ? (text[i + 1] == 'u' ? 4 : text[i + 1] == 'U' ? 8 : 0) : 0;
        if (digits) {
            int64_t value = hex_number(text + i + 2, size - i - 2, digits);
            if (value < 0 || value > 0x10ffff) return -1;
            code = (uint32_t)value;
            i += 1 + digits;
        }
        out += write_utf8(code, to + out);
    }
    return (ptrdiff_t)out;
}

ptrdiff_t psal_pickle_latin1(const char *text, size_t size, char *to) {
    size_t out = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80) {
            /* U+0080 to U+00FF are the two bytes 110000xx 10xxxxxx. */
            if ((c & 0xfc) != 0xc0 || i + 1 == size || ((unsigned char)text[i + 1] & 0xc0) != 0x80) return -1;
            c = (unsigned char)((c & 3) << 6 | ((unsigned char)text[++i] & 0x3f));
        }
        to[out++] = (char)c;
    }
    return (ptrdiff_t)out;
}
