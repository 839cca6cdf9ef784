/* print.h - text on its way to a terminal. */
#ifndef PSAL_TOOLS_PRINT_H
#define PSAL_TOOLS_PRINT_H

#include <stdio.h>

/* printf for a line or a part of one: whatever the arguments hold (names from files, paths), the text is made printable
 * (engine/text.h), so that it neither steers a terminal nor forges a line. Only newlines at the end of the format begin
 * new lines. Very long text is cut. Everything that the programs print with %s goes through here, be it a terminal or
 * not; JSON has escapes of its own, and files are exact. */
void psal_print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "s", to go behind a noun of which there are so many; "" of one. */
const char *psal_plural(long long count);

#endif
