/* compared_store.h - a store of profiles, opened to compare its samples: whose network and names these are, which
 * samples and which entries are compared, and the statistics they are standardized with; by the options of
 * psal-neighbors. */
#ifndef PSAL_TOOLS_COMPARED_STORE_H
#define PSAL_TOOLS_COMPARED_STORE_H

#include <jansson.h>

#include "io/csv.h"
#include "io/profile_store.h"
#include "saliency/neighbors.h"
#include "tools/session.h"
#include "tools/skipped.h"
#include "tools/store_source.h"

typedef struct psal_compared_store {
    /* set by the caller */
    const psal_options *options;
    const psal_program *program;
    bool mistakes;                /* only mistakes may be neighbours, whatever the options say */
    bool name_filters;            /* open the network too where only names of filters need it */
    bool shows_pictures;          /* even without --sheet */
    psal_neighbor_options search; /* its similarity; the rest is filled in */

    psal_profile_store store;
    char index[4200]; /* the store's table */
    psal_profile_source source;
    json_t *made_from; /* where the store's network, names and pictures are, as its table says; NULL: it does not */
    psal_computation computation;          /* of the store's profiles; */
    bool known;                            /* whether its table says that */
    psal_saliency_options profile_options; /* a profile with entries as the store's have */
    psal_session session;
    bool has_session;             /* whether the network is open */
    psal_source_options recorded; /* where the store's own network is opened */
    const psal_labels *labels;
    psal_labels *numbers; /* class names where no network is opened */
    psal_mode mode;
    int64_t entries; /* compared */
    psal_statistics *statistics;
    double *unit; /* of scores, which are compared as they are: means 0, deviations 1 */
    char statistics_name[4200];
    psal_entry_range *ranges;
    int64_t *candidates; /* [search.candidate_count] */
    bool skip_bad;
    psal_skipped skipped; /* queries without a profile, pictures that cannot be read */
} psal_compared_store;

/* Everything but statistics. psal_compared_store_close is called in any case. */
psal_status psal_compared_store_open(psal_compared_store *store, psal_error *err);
/* Statistics: those of --stats, or computed from the store; then `source` and `search` are ready. */
psal_status psal_compared_store_standardize(psal_compared_store *store, psal_error *err);
void psal_compared_store_close(psal_compared_store *store);

/* The data set with the pictures: --data, or what the store's table says; NULL: the paths in the table. */
const char *psal_compared_store_pictures(const psal_compared_store *store);

/* Put into `results`, which is taken and returned, what was compared: similarity, statistics, entries, skipped,
 * settings. NULL, or not `complete`: memory has run out, and NULL is returned. */
json_t *psal_compared_store_json(const psal_compared_store *store, json_t *results, bool complete, psal_error *err);
/* The same on standard output. */
psal_status psal_compared_store_print_json(const psal_compared_store *store, json_t *results, bool complete,
                                           psal_error *err);

#endif
