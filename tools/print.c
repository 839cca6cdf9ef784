#include "tools/print.h"

#include <stdarg.h>
#include <string.h>

#include "engine/text.h"

void psal_print(FILE *out, const char *format, ...) {
    char text[16384];
    size_t size = strlen(format), newlines = 0;
    while (newlines < size && format[size - 1 - newlines] == '\n') newlines++;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    if ((size_t)length < sizeof text) text[(size_t)length - newlines] = '\0';
    fputs(psal_make_printable(text), out);
    while (newlines-- > 0) putc('\n', out);
}

const char *psal_plural(long long count) {
    return count == 1 ? "" : "s";
}
