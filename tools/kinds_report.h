/* kinds_report.h - the kinds of mistakes that were found, as a table, CSV and JSON. */
#ifndef PSAL_TOOLS_KINDS_REPORT_H
#define PSAL_TOOLS_KINDS_REPORT_H

#include "models/model.h"
#include "saliency/kind_filters.h"
#include "saliency/kinds.h"
#include "tools/compared_store.h"

typedef struct psal_kinds_report {
    const psal_compared_store *compared;
    const psal_model *model; /* names filters; NULL: they have numbers only */
    psal_units units;        /* of the model, of which entries are */
    int64_t clustered;       /* mistakes; the others joined their kinds, drawn with */
    int64_t seed;
    const psal_kinds *kinds;
    int top;                         /* filters of each kind */
    const psal_kind_filter *filters; /* [kinds->kinds][top] */
    const psal_kind_guilt *guilt;    /* [kinds->kinds] */
} psal_kinds_report;

/* "layer1.0.conv1.weight filter 3"; where the network is not open "entry 3". Returns `text`. */
const char *psal_kinds_entry_name(const psal_kinds_report *report, int64_t entry, char text[512]);

psal_status psal_kinds_print(const psal_kinds_report *report, psal_error *err);
/* A record for each mistake, in the store's order. */
psal_status psal_kinds_write_csv(const psal_kinds_report *report, const char *path, psal_error *err);
/* A new reference; NULL on error. */
json_t *psal_kinds_json(const psal_kinds_report *report, psal_error *err);
psal_status psal_kinds_print_json(const psal_kinds_report *report, psal_error *err);

#endif
