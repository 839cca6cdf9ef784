/* report_page.h - what the parts of psal-report's page share. */
#ifndef PSAL_TOOLS_REPORT_PAGE_H
#define PSAL_TOOLS_REPORT_PAGE_H

#include "tools/page.h"
#include "tools/report.h"

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

/* ---- report_page_maps.c ---- */

/* The heat map of kind k's most central mistake; nothing where it was not made. */
void psal_page_map(psal_page *page, size_t k);
/* Cards: the crops of the central mistakes of the kinds that look i, of this filter, is guilty of, at the end that is
 * passed on. */
void psal_page_own_crops(psal_page *page, int64_t i, psal_look_end end, const char *filter);

/* ---- report_page_look.c ---- */

/* What the guiltiest filters look for. */
void psal_page_look(psal_page *page);

/* ---- report_page_cards.c ---- */

/* The mistakes of a kind (0: single ones), which are entries first .. first+count-1 of "shown". */
void psal_page_cards(psal_page *page, size_t first, size_t count);

#endif
