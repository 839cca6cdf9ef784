/* html_report.h - one self-contained HTML page: headings, tables, charts and pictures in a single file that can be
 * mailed (psal-report).
 *
 * Nothing is loaded from elsewhere and nothing runs: no scripts, pictures embedded, and a policy in
 * the page that forbids both. All text is escaped and made well-formed UTF-8, so class and file
 * names may come from anywhere. The page is readable in light and dark and on paper.
 *
 * Building is sticky: after the first failure (memory, an unreadable picture) the calls do nothing,
 * and psal_html_report_end reports it. NULL text is empty text. */
#ifndef PSAL_IO_HTML_REPORT_H
#define PSAL_IO_HTML_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* ---- html_parts.c ---- */

/* The table of contents stands here: all sections of level 2, with links. */
void psal_html_report_contents(psal_html_report *report);
/* A heading of level 2 or 3 that links lead to. id: letters, digits, '-'; each once in a page. */
void psal_html_report_section(psal_html_report *report, int level, const char *id, const char *text);

typedef enum psal_html_tone {
    PSAL_HTML_PLAIN,
    PSAL_HTML_WRONG,
    PSAL_HTML_QUIET,
    PSAL_HTML_PAPER /* what the mouse shows elsewhere: only where the page is printed, on a line of its own */
} psal_html_tone;

/* A piece of a line. */
typedef struct psal_html_piece {
    const char *text; /* NULL: a new line; in a table an empty cell */
    const char *link; /* the id it leads to; NULL: none */
    psal_html_tone tone;
} psal_html_piece;

/* A paragraph. */
void psal_html_report_text(psal_html_report *report, const psal_html_piece *pieces, size_t count);
void psal_html_report_list(psal_html_report *report, const char *const *lines, size_t count);
/* Names and what they are. */
void psal_html_report_facts(psal_html_report *report, const char *const *names, const char *const *values,
                            size_t count);
/* As it is typed. */
void psal_html_report_command(psal_html_report *report, const char *text);
/* What follows is shown when it is asked for. */
void psal_html_report_details_begin(psal_html_report *report, const char *summary);
void psal_html_report_details_end(psal_html_report *report);

/* A table row by row, with links in its cells. numbers[column_count]: which columns are set flush right; it lives
 * until the table ends. */
void psal_html_report_rows_begin(psal_html_report *report, const char *caption, const char *const *header,
                                 const bool *numbers, size_t column_count);
/* id: what leads to it; NULL: nothing. */
void psal_html_report_row(psal_html_report *report, const char *id, const psal_html_piece *cells, size_t column_count);
void psal_html_report_rows_end(psal_html_report *report);

/* A picture with some words below, in a grid. */
typedef struct psal_html_card {
    const char *id;      /* NULL: nothing leads to it */
    const void *picture; /* [size] encoded: PNG, JPEG or SVG; size 0: none */
    size_t size;
    const char *alt;
    const char *title; /* what the picture says under the mouse; NULL: nothing */
    bool pixelated;    /* of few pixels, which are to be seen as they are */
    const psal_html_piece *pieces;
    size_t count;
} psal_html_card;

void psal_html_report_cards_begin(psal_html_report *report);
void psal_html_report_card(psal_html_report *report, const psal_html_card *card);
void psal_html_report_cards_end(psal_html_report *report);

/* The same larger, side by side where there is room. */
void psal_html_report_photos_begin(psal_html_report *report);
void psal_html_report_photo(psal_html_report *report, const psal_html_card *card);
void psal_html_report_photos_end(psal_html_report *report);

/* ---- html_chart.c ---- */

typedef struct psal_html_bar {
    const char *name;  /* beside the bar */
    const char *text;  /* its value; of columns it is not shown */
    const char *title; /* what it says under the mouse */
    double value;      /* not finite or below 0: an empty bar */
} psal_html_bar;

/* Lying bars, one below the other, or upright ones, as inline SVG. full: the value of a full bar; 0: the largest.
 * title: for those who do not see it. */
void psal_html_report_bars(psal_html_report *report, const char *title, const char *caption, const psal_html_bar *bars,
                           size_t count, double full);
void psal_html_report_columns(psal_html_report *report, const char *title, const char *caption,
                              const psal_html_bar *bars, size_t count, double full);
/* What stands between the two stands side by side where there is room. */
void psal_html_report_charts_begin(psal_html_report *report);
void psal_html_report_charts_end(psal_html_report *report);

/* ---- html_report.c ---- */

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

#ifdef __cplusplus
}
#endif

#endif
