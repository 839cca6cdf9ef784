/* html_internal.h - what the parts of html_report.h are written with. Private to io/. */
#ifndef PSAL_IO_HTML_INTERNAL_H
#define PSAL_IO_HTML_INTERNAL_H

#include <stdbool.h>

#include "io/html_report.h"

struct psal_html_report {
    char *text;
    size_t size, capacity;
    psal_error failure;
    bool in_thumbnails;     /* a row of thumbnails is open */
    size_t contents_at;     /* where the table of contents goes; 0: nowhere */
    psal_html_report *list; /* its entries so far */
    const bool *numbers;    /* of the table that is written row by row: which columns are numbers */
};

void psal_html_put(psal_html_report *report, const char *text, size_t length);
void psal_html_put_text(psal_html_report *report, const char *text);
/* Text from outside: the five characters HTML gives a meaning become references, ill-formed bytes U+FFFD. */
void psal_html_put_escaped(psal_html_report *report, const char *text);
void psal_html_put_base64(psal_html_report *report, const uint8_t *data, size_t size);
void psal_html_put_element(psal_html_report *report, const char *open, const char *text, const char *close);
/* Markup with numbers in it, no text from outside; at most 500 bytes. */
void psal_html_putf(psal_html_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
void psal_html_end_thumbnails(psal_html_report *report);

/* At the end of the page: the table of contents, where there is to be one. */
void psal_html_insert_contents(psal_html_report *report);
/* src="data:..." of an encoded picture; false, and the page has failed, when it is none. */
bool psal_html_put_source(psal_html_report *report, const uint8_t *data, size_t size);

#endif
