/* labels_rows.h (internal to io) - what a file says of its classes, whatever its form, and the label set of it. */
#ifndef PSAL_IO_LABELS_ROWS_H
#define PSAL_IO_LABELS_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "io/labels.h"

typedef struct psal_class_row {
    int64_t index; /* -1: not said, the classes come in order */
    size_t line;   /* 0: unknown */
    char *wnid;    /* or NULL */
    char *name;
} psal_class_row;

typedef struct psal_class_rows {
    const char *path;
    psal_class_row *at;
    size_t count, capacity;
} psal_class_rows;

/* Append a class. `name` may be NULL when there is a wnid: ImageNet's name for it, or the id itself. Errors name file
 * and line: no name, one of more than 1000 bytes, something else than a WordNet id, too many classes. */
psal_status psal_class_rows_add(psal_class_rows *rows, int64_t index, size_t line, const char *wnid, const char *name,
                                psal_error *err);
/* "path:line: this is not understood ..., <the forms that are>"; line 0: unknown. */
psal_status psal_class_rows_refuse(const psal_class_rows *rows, size_t line, const char *what, psal_error *err);

/* The whole of `text` as a class number from 0. */
bool psal_class_number(const char *text, int64_t *number);

/* What the title of a column, or the key of an object, stands for. */
typedef enum psal_class_title {
    PSAL_TITLE_OTHER,
    PSAL_TITLE_INDEX,  /* class_id, index */
    PSAL_TITLE_WNID,   /* wnid, synset */
    PSAL_TITLE_NAME,   /* class_name, name */
    PSAL_TITLE_EITHER, /* class, label: the number or the name, as what is below tells */
    PSAL_TITLE_KEY     /* id, or none: a number or a WordNet id where no other column has it */
} psal_class_title;
psal_class_title psal_class_title_of(const char *title);

/* The label set of the rows: each number from 0 must be there once. NULL with *err naming the file, and the line. */
psal_labels *psal_class_rows_labels(const psal_class_rows *rows, psal_error *err);
void psal_class_rows_free(psal_class_rows *rows);

#endif
