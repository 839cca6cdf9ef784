/* start.h - what a program does before anything else. Of programs alone: a library must not change the process that it
 * is loaded into. */
#ifndef PSAL_TOOLS_START_H
#define PSAL_TOOLS_START_H

/* Open standard input, output and error where whoever started the program has closed them. Whoever links this also
 * makes room for OpenBLAS before that is loaded. */
void psal_open_standard_streams(void);

#endif
