#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"
#include "engine/text.h"

psal_status psal_fail(psal_error *err, psal_status status, const char *format, ...) {
    if (!err) return status;
    char message[sizeof err->message]; /* an argument may be the old message */
    va_list args;
    va_start(args, format);
    int length = psal_vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (length < 0) message[0] = '\0';
    psal_make_printable(message); /* names from hostile files stand in messages */
    memcpy(err->message, message, strlen(message) + 1);
    err->status = status;
    return status;
}

psal_status psal_error_status(const psal_error *err) {
    return err && err->status != PSAL_OK ? err->status : PSAL_ERR_ARGUMENT;
}

psal_status psal_fail_prefix(psal_error *err, const char *format, ...) {
    if (!err) return psal_error_status(err);
    static const char between[] = ": ";
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    int length = psal_vsnprintf(message, sizeof message, format, args);
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
    psal_make_printable(message); /* names from hostile files stand in messages */
    memcpy(err->message, message, strlen(message) + 1);
    return err->status;
}
