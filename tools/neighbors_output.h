/* neighbors_output.h - what psal-neighbors found, as a table, CSV, JSON and a contact sheet. */
#ifndef PSAL_TOOLS_NEIGHBORS_OUTPUT_H
#define PSAL_TOOLS_NEIGHBORS_OUTPUT_H

#include "tools/compared_store.h"

typedef struct psal_neighbor_report {
    const psal_compared_store *compared;
    int64_t top;
    int64_t query_count;
    const int64_t *queries; /* [query_count]; NULL: one query that is not in the store, described by `image` */
    psal_profile_record image;
    int64_t *itself; /* [itself_count]: samples that are that image, which are left out */
    int64_t itself_count;
    const psal_neighbor *neighbors; /* [query_count][top] */
} psal_neighbor_report;

/* What many queries say about the similarity itself. */
typedef struct psal_hub_summary {
    int64_t hub, hub_queries;     /* the sample most often found, and by how many queries; -1 and 0: none */
    int64_t same_class_queries;   /* queries whose predicted class is the true class of a neighbour */
    int64_t same_mistake_queries; /* queries with a neighbour of the same true and the same predicted class */
} psal_hub_summary;

psal_status psal_neighbor_summarize(const psal_neighbor_report *report, psal_hub_summary *summary, psal_error *err);

void psal_neighbor_print(const psal_neighbor_report *report, const psal_hub_summary *summary);
psal_status psal_neighbor_write_csv(const psal_neighbor_report *report, const char *path, psal_error *err);
psal_status psal_neighbor_print_json(const psal_neighbor_report *report, const psal_hub_summary *summary,
                                     psal_error *err);
/* As many queries as the figure holds; *shown tells how many. compared: that of the report, which remembers pictures
 * that are skipped. */
psal_status psal_neighbor_write_sheet(const psal_neighbor_report *report, const char *path,
                                      psal_compared_store *compared, int64_t *shown, psal_error *err);

#endif
