/* neighbors_output.h - what psal-neighbors found, as a table, CSV, JSON and a contact sheet. */
#ifndef PSAL_TOOLS_NEIGHBORS_OUTPUT_H
#define PSAL_TOOLS_NEIGHBORS_OUTPUT_H

#include "io/labels.h"
#include "io/profile_store.h"
#include "saliency/neighbors.h"
#include "tools/computation_io.h"
#include "tools/skipped.h"

typedef struct psal_neighbor_report {
    const psal_profile_store *store;
    const psal_labels *labels;
    psal_similarity similarity;
    const char *statistics;              /* where they came from */
    const psal_computation *computation; /* of the store's profiles; NULL: not known, */
    const char *record;                  /* nor is this, the same as text */
    int64_t entries;                     /* compared */
    int64_t candidates, top;
    int64_t query_count;
    const int64_t *queries; /* [query_count]; NULL: one query that is not in the store, described by `image` */
    psal_profile_record image;
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
/* `skipped`: listed in the object. */
psal_status psal_neighbor_print_json(const psal_neighbor_report *report, const psal_hub_summary *summary,
                                     const psal_skipped *skipped, psal_error *err);
/* Pictures come from the data set `spec`, or, when it is NULL, from the paths in the store's table. As many queries as
 * the figure holds; *shown tells how many. With `skipped`, pictures that cannot be read become grey and are added to
 * it; when it is NULL they are errors. */
psal_status psal_neighbor_write_sheet(const psal_neighbor_report *report, const char *path, const char *spec,
                                      int64_t *shown, psal_skipped *skipped, psal_error *err);

#endif
