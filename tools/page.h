/* page.h - a page that is being written from results: its texts, and what its parts share. */
#ifndef PSAL_TOOLS_PAGE_H
#define PSAL_TOOLS_PAGE_H

#include "io/html_report.h"
#include "io/image.h"
#include "saliency/computation.h"
#include "saliency/look.h"
#include "tools/report_read.h"

typedef struct psal_page {
    struct psal_report *report; /* of a data set; NULL: the page is of one photo */
    const json_t *root;
    psal_html_report *html;
    char **texts; /* what psal_say made: they live as long as the page is written */
    size_t text_count;
    bool *is_shown;    /* [samples of the store]: has a card, which links can lead to; NULL: none */
    bool *is_guilty;   /* [entries]: is in the list of guilty filters; NULL: none */
    bool names_repeat; /* files of different folders have the same name */
    psal_error failure;
} psal_page;

/* Write the page to `path` whole, or nothing where anything has failed; then psal_page_free. */
psal_status psal_page_end(psal_page *page, const char *path, psal_error *err);
/* Without writing; zeroed is fine. The two arrays are the caller's. */
void psal_page_free(psal_page *page);

/* A text with numbers; "" when out of memory, and the page has failed. */
const char *psal_say(psal_page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number with so many decimals; "-" where it was not measured (NAN). */
const char *psal_say_number(psal_page *page, double value, int decimals);
/* The name of class `object`, {index, name}. */
const char *psal_say_class(psal_page *page, const json_t *object);
/* A percentage of a share 0 .. 1. */
const char *psal_say_percent(psal_page *page, double share);

/* A path's last part; and that with its folder's name, "cat/7.jpg". */
const char *psal_say_file(const char *path);
const char *psal_say_file_and_folder(const char *path);
/* What places of a filter's activations are called. reversed: psal_look_reversed. */
const char *psal_say_end(psal_look_end end, bool reversed);

/* ---- parts that all pages have ---- */

/* The results' "findings", "commands" and "notes", which are lists of texts. */
void psal_page_findings(psal_page *page);
void psal_page_commands(psal_page *page);
void psal_page_notes(psal_page *page);
/* All that was recorded, folded. */
void psal_page_settings(psal_page *page, const psal_computation *computation);
/* A picture and some words in a grid; its longer side becomes at most `longest` pixels. */
void psal_page_card(psal_page *page, psal_image *image, int longest, const char *alt, const char *title,
                    const psal_html_piece *pieces, size_t count);
/* The same larger; between psal_html_report_photos_begin and _end. */
void psal_page_photo(psal_page *page, const psal_image *image, const char *alt, const psal_html_piece *pieces,
                     size_t count);

#endif
