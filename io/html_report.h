/* html_report.h - one self-contained HTML page: headings, tables and pictures in a single file that
 * can be mailed. No program writes one yet: it is there, and tested, for a report of a whole explanation.
 *
 * Nothing is loaded from elsewhere and nothing runs: no scripts, pictures embedded, and a policy in
 * the page that forbids both. All text is escaped and made well-formed UTF-8, so class and file
 * names may come from anywhere. The page is readable in light and dark and on paper.
 *
 * Building is sticky: after the first failure (memory, an unreadable picture) the calls do nothing,
 * and psal_html_report_end reports it. NULL text is empty text. */
#ifndef PSAL_IO_HTML_REPORT_H
#define PSAL_IO_HTML_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

typedef struct psal_html_report psal_html_report;

/* The title is the page's heading too. NULL when out of memory. End it with exactly one of end and
 * free. */
psal_html_report *psal_html_report_begin(const char *title, psal_error *err);

void psal_html_report_heading(psal_html_report *report, const char *text);
void psal_html_report_paragraph(psal_html_report *report, const char *text);

/* cells: row-major, row_count × column_count; a cell that begins like a number is set flush right.
 * header: column_count texts, or NULL for a table without a head. caption may be NULL. */
void psal_html_report_table(psal_html_report *report, const char *caption, const char *const *header,
                            const char *const *cells, size_t row_count, size_t column_count);

/* Embed a picture file (PNG, JPEG or SVG, known by its contents, at most 64 MiB). caption may be
 * NULL. */
void psal_html_report_picture_file(psal_html_report *report, const char *path, const char *caption);
/* Embed an encoded picture (PNG, JPEG or SVG) from memory. */
void psal_html_report_picture(psal_html_report *report, const void *data, size_t size, const char *caption);
/* Embed 8-bit RGB pixels, height×width×3, as PNG; shown at its own size, several thumbnails in a
 * row. */
void psal_html_report_thumbnail(psal_html_report *report, const uint8_t *rgb, int height, int width,
                                const char *caption);

/* Close the page, write it to `path` whole or not at all, free the report (in any case). */
psal_status psal_html_report_end(psal_html_report *report, const char *path, psal_error *err);
void psal_html_report_free(psal_html_report *report); /* without writing; NULL is fine */

#endif
