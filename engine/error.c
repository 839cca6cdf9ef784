#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at the start of `text`, or 0 when there is none: a stray or missing continuation byte, an
 * overlong form, a surrogate, or a number above U+10FFFF (RFC 3629, section 4). A NUL ends every sequence. */
static size_t utf8_length(const unsigned char *text) {
    const unsigned char a = text[0], b = a ? text[1] : 0;
    if (a < 0x80) return 1;
    const size_t length = a >= 0xc2 && a <= 0xdf ? 2 : (a & 0xf0) == 0xe0 ? 3 : a >= 0xf0 && a <= 0xf4 ? 4 : 0;
    if (length == 0) return 0;
    const unsigned char low = a == 0xe0   ? 0xa0
                              : a == 0xf0 ? 0x90
                                          : 0x80,
                        high = a == 0xed   ? 0x9f
                               : a == 0xf4 ? 0x8f
                                           : 0xbf;
    if (b < low || b > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    return length;
}

/* Names from hostile files stand in messages: what could steer a terminal, and what is no text, becomes '?'. That includes
 * the C1 controls (U+0080 to U+009F) and a character that the end of the buffer cuts. */
static void make_printable(char *message) {
    for (unsigned char *text = (unsigned char *)message; *text;) {
        const size_t length = utf8_length(text);
        if (length == 2 && text[0] == 0xc2 && text[1] < 0xa0) {
            text[0] = text[1] = '?';
        } else if (length == 0 || *text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
        text += length ? length : 1;
    }
}

psal_status psal_fail(psal_error *err, psal_status status, const char *format, ...) {
    if (!err) return status;
    char message[sizeof err->message]; /* an argument may be the old message */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (length < 0) message[0] = '\0';
    make_printable(message);
    memcpy(err->message, message, strlen(message) + 1);
    err->status = status;
    return status;
}

psal_status psal_fail_prefix(psal_error *err, const char *format, ...) {
    if (!err) return PSAL_ERR_ARGUMENT;
    static const char between[] = ": ";
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (length < 0) return err->status;
    size_t used = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
    /* What does not fit any more is cut, as vsnprintf does. */
    const char *const parts[] = {between, err->message};
    for (int i = 0; i < 2; i++) {
        size_t size = strnlen(parts[i], sizeof err->message - 1), room = sizeof message - 1 - used;
        if (size > room) size = room;
        memcpy(message + used, parts[i], size);
        used += size;
    }
    message[used] = '\0';
    make_printable(message);
    memcpy(err->message, message, strlen(message) + 1);
    return err->status;
}
