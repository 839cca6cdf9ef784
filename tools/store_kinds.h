/* store_kinds.h - the kinds of mistakes of a store and their guilty filters; by the options of psal-neighbors kinds. */
#ifndef PSAL_TOOLS_STORE_KINDS_H
#define PSAL_TOOLS_STORE_KINDS_H

#include "tools/kinds_report.h"

typedef struct psal_store_kinds {
    psal_compared_store *store;
    int64_t *drawn; /* [count] mistakes that are clustered; the others join their kinds */
    int64_t count;
    psal_kinds *kinds;
    psal_kind_filter *filters; /* [kinds][report.top] */
    psal_kind_guilt *guilt;    /* [kinds] */
    psal_kinds_report report;
} psal_store_kinds;

/* The store is standardized, with mistakes as its candidates. *found is zeroed; psal_store_kinds_free in any case. */
psal_status psal_store_kinds_find(psal_store_kinds *found, psal_compared_store *store, psal_error *err);
void psal_store_kinds_free(psal_store_kinds *found);

#endif
