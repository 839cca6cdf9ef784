/* photo.h - the page of one photo that psal-run explains: its results as JSON, and the page that shows them. */
#ifndef PSAL_TOOLS_PHOTO_H
#define PSAL_TOOLS_PHOTO_H

#include "tools/explain.h"
#include "tools/report_command.h"

typedef struct psal_photo {
    const psal_options *options; /* of psal_run_program */
    const psal_explainer *explainer;
    const psal_explanation *e;
    bool named;              /* the command line says which image; else it is psal's own */
    const char *file;        /* the image's own file; NULL: it is none (IDX) */
    const psal_notes *notes; /* what was said meanwhile */
    json_t *root;            /* all results */
} psal_photo;

/* So many of the top filters have a part of their own. */
enum { PSAL_PHOTO_FILTERS = 10 };

/* Whether --report goes with the other options; before the network is read. */
psal_status psal_photo_check(const psal_options *options, const psal_explain_options *explain, psal_error *err);
/* What stands beside a page, of the same name and .json; fails when it is one of the inputs. */
psal_status psal_photo_json_path(const psal_options *options, const char *page, char path[4200], psal_error *err);
/* Make the results (photo->root, which the caller frees), write the page to the file that --report names, and the
 * results beside it. */
psal_status psal_photo_write(psal_photo *photo, psal_error *err);
/* ---- photo_results.c ---- */

psal_status psal_photo_results(psal_photo *photo, psal_error *err);

/* ---- photo_off.c: what happens without the top filters ---- */

/* Adds "switched_off" and "smallest_edit" to the results: what psal-prune measures, and the command that looks for the
 * smallest edit; or why not. */
psal_status psal_photo_switch_off(psal_photo *photo, psal_error *err);

/* ---- photo_findings.c ---- */

void psal_photo_conclude(psal_photo *photo);

/* ---- photo_page.c ---- */

psal_status psal_photo_page(const psal_photo *photo, const char *path, psal_error *err);

#endif
