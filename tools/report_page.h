/* report_page.h - what the parts of psal-report's page share. */
#ifndef PSAL_TOOLS_REPORT_PAGE_H
#define PSAL_TOOLS_REPORT_PAGE_H

#include "io/html_report.h"
#include "tools/report.h"
#include "tools/report_read.h"

typedef struct psal_page {
    psal_report *report;
    const json_t *root;
    psal_html_report *html;
    char **texts; /* what psal_say made: they live as long as the page is written */
    size_t text_count;
    bool *is_shown;  /* [samples of the store]: has a card, which links can lead to */
    bool *is_guilty; /* [entries]: is in the list of guilty filters */
    psal_error failure;
} psal_page;

/* A text with numbers; "" when out of memory, and the page has failed. */
const char *psal_say(psal_page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number with so many decimals; "-" where it was not measured (NAN). */
const char *psal_say_number(psal_page *page, double value, int decimals);
/* The name of class `object`, {index, name}. */
const char *psal_say_class(psal_page *page, const json_t *object);
/* A percentage of a share 0 .. 1. */
const char *psal_say_percent(psal_page *page, double share);

/* ---- report_page_kinds.c ---- */

/* The table of all kinds, each kind, and the single mistakes. */
void psal_page_kinds(psal_page *page);

/* ---- report_page_costs.c ---- */

/* What correcting kind k costs; nothing where it was not measured. */
void psal_page_cost(psal_page *page, size_t k);
/* In a few words: "25 filters: 60.0 %"; "-" where it was not measured. */
const char *psal_say_cost(psal_page *page, size_t k);
/* How far to trust the page. */
void psal_page_checks(psal_page *page);

/* ---- report_page_look.c ---- */

/* What the guiltiest filters look for. */
void psal_page_look(psal_page *page);

/* ---- report_page_cards.c ---- */

/* The mistakes of a kind (0: single ones), which are entries first .. first+count-1 of "shown". */
void psal_page_cards(psal_page *page, size_t first, size_t count);

#endif
