/* numbers.h - numbers in text, the same in every locale.
 *
 * strtod and printf follow the locale of the program ("0,5" in Germany), accept leading blanks and
 * stop silently at trailing rubbish. Everything psal reads from a command line, a file or its
 * metadata, or writes to one, goes through these instead. */
#ifndef PSAL_ENGINE_NUMBERS_H
#define PSAL_ENGINE_NUMBERS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of `text` as a decimal integer: an optional sign, then digits and nothing else. False
 * when it is anything else or does not fit; *value is then untouched. */
bool psal_parse_int64(const char *text, int64_t *value);

/* The whole of `text` as a decimal number ("-0.5", "1e-3", ".5", "3."), or "inf", "infinity", "nan"
 * in any case, with a sign. Hexadecimal floats and blanks are refused, and so are numbers beyond
 * the range of a double (tiny ones become 0 or subnormal). False leaves *value untouched. */
bool psal_parse_double(const char *text, double *value);

/* snprintf and vsnprintf as in the C locale, for text with numbers that goes into a file. */
int psal_snprintf(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int psal_vsnprintf(char *text, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Enough for any number written by the two functions below, with its terminating 0. */
#define PSAL_NUMBER_SIZE 32

/* The shortest of %.15g, %.16g and %.17g that reads back as the same double; "nan", "inf", "-inf".
 * Returns `text`. */
char *psal_format_double(double value, char text[PSAL_NUMBER_SIZE]);

/* The shortest of %.6g to %.9g that reads back as the same float; "nan", "inf", "-inf". Returns
 * `text`. */
char *psal_format_float(float value, char text[PSAL_NUMBER_SIZE]);

#endif
