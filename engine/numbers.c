#include "engine/numbers.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool psal_parse_int64(const char *text, int64_t *value) {
    const char *p = text;
    if (*p == '+' || *p == '-') p++;
    if (!is_digit(*p)) return false;
    while (is_digit(*p)) p++;
    if (*p) return false;
    errno = 0;
    long long parsed = strtoll(text, NULL, 10);
    if (errno) return false;
    *value = parsed;
    return true;
}

/* The grammar of psal_parse_double without the words: [sign] digits [. digits] [e [sign] digits],
 * at least one digit in front of the exponent. */
static bool looks_like_decimal(const char *p) {
    if (*p == '+' || *p == '-') p++;
    size_t digits = 0;
    for (; is_digit(*p); p++) digits++;
    if (*p == '.')
        for (p++; is_digit(*p); p++) digits++;
    if (digits == 0) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-') p++;
        if (!is_digit(*p)) return false;
        while (is_digit(*p)) p++;
    }
    return *p == 0;
}

/* strtod (or strtof) of the C locale. glibc keeps that locale as a constant, so newlocale neither
 * allocates nor fails for lack of memory; a failure is handled all the same. */
static bool c_locale_strtod(const char *text, double *value, bool single) {
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale) return false;
    *value = single ? (double)strtof_l(text, NULL, c_locale) : strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    return true;
}

bool psal_parse_double(const char *text, double *value) {
    const char *word = *text == '+' || *text == '-' ? text + 1 : text;
    double parsed;
    if (!strcasecmp(word, "inf") || !strcasecmp(word, "infinity"))
        parsed = INFINITY;
    else if (!strcasecmp(word, "nan"))
        parsed = NAN;
    else {
        if (!looks_like_decimal(text)) return false;
        if (!c_locale_strtod(text, &parsed, false) || isinf(parsed)) return false;
        *value = parsed;
        return true;
    }
    *value = *text == '-' ? -parsed : parsed;
    return true;
}

int psal_vsnprintf(char *text, size_t size, const char *format, va_list arguments) {
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c_locale ? uselocale(c_locale) : (locale_t)0; /* of this thread only */
    int length = vsnprintf(text, size, format, arguments);
    if (c_locale) {
        uselocale(before);
        freelocale(c_locale);
    }
    return length;
}

int psal_snprintf(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = psal_vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return length;
}

static char *format_shortest(double value, char *text, int fewest, int most, bool single) {
    if (isnan(value)) return strcpy(text, "nan");
    if (isinf(value)) return strcpy(text, value < 0 ? "-inf" : "inf");
    for (int digits = fewest; digits <= most; digits++) {
        psal_snprintf(text, PSAL_NUMBER_SIZE, "%.*g", digits, value);
        double back;
        if (c_locale_strtod(text, &back, single) && back == value) break;
    }
    return text;
}

char *psal_format_double(double value, char text[PSAL_NUMBER_SIZE]) {
    return format_shortest(value, text, 15, 17, false);
}

char *psal_format_float(float value, char text[PSAL_NUMBER_SIZE]) {
    return format_shortest((double)value, text, 6, 9, true);
}
