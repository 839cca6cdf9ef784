/* contact_sheet.h - pictures of samples of a store, in rows. */
#ifndef PSAL_TOOLS_CONTACT_SHEET_H
#define PSAL_TOOLS_CONTACT_SHEET_H

#include "tools/compared_store.h"

enum { PSAL_SHEET_TILES = 1000, PSAL_SHEET_ROWS = 40 /* of about 190 points: the figure's height is limited */ };

typedef struct psal_contact_sheet psal_contact_sheet;

/* Pictures come from psal_compared_store_pictures. With --skip-bad, those that cannot be read become grey and are
 * added to store->skipped; otherwise they are errors. */
psal_contact_sheet *psal_contact_sheet_new(psal_compared_store *store, psal_error *err);
void psal_contact_sheet_free(psal_contact_sheet *sheet); /* NULL is fine */

/* One more picture: of a sample of the store, or (-1) of the file that the record names. similarity NAN: none. Beyond
 * PSAL_SHEET_TILES nothing is added. */
psal_status psal_contact_sheet_add(psal_contact_sheet *sheet, int64_t sample, const psal_profile_record *record,
                                   const char *heading, bool framed, double similarity, psal_error *err);
/* Leave `count` places empty. */
void psal_contact_sheet_skip(psal_contact_sheet *sheet, size_t count);
/* columns 0: chosen. */
psal_status psal_contact_sheet_write(const psal_contact_sheet *sheet, const char *title, size_t columns,
                                     const char *path, psal_error *err);

#endif
