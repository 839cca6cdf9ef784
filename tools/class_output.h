/* class_output.h - how tables, JSON and commands name a class. */
#ifndef PSAL_TOOLS_CLASS_OUTPUT_H
#define PSAL_TOOLS_CLASS_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "io/csv.h"
#include "io/labels.h"

/* A class of `labels`: its number and its name; two empty fields, or null, for an unknown one (-1). */
void psal_csv_class(psal_csv_writer *csv, const psal_labels *labels, int index);
json_t *psal_class_json(const psal_labels *labels, int index);

/* What alone means a class, wherever one is read: its number, written into number[16], or its name. NULL where both
 * mean another one, or several: of classes whose names are numbers. */
const char *psal_class_text(const psal_labels *labels, int index, char number[16]);

/* An option of a command with its value, quoted for a shell, and so that a value which begins with a dash is none of
 * its own: " -i 'a b.png'", " -l=-1". */
void psal_write_option(FILE *out, const char *name, const char *value);
/* The same of a class: by its name ("name:3" where it is also another one's number), where that means it, else by its
 * number. */
void psal_write_class(FILE *out, const char *name, const psal_labels *labels, int index);

#endif
