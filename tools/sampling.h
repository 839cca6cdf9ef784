/* sampling.h - which samples of a data set are taken where not all are: --limit draws them, seeded and spread over the
 * classes as all are; --first takes the first ones. */
#ifndef PSAL_TOOLS_SAMPLING_H
#define PSAL_TOOLS_SAMPLING_H

#include "io/dataset.h"
#include "saliency/computation.h"
#include "tools/options.h"

/* The rows for a program's option table; `what` is a plural: "samples", "mistakes". */
#define PSAL_SAMPLING_OPTIONS(what)                                                                        \
    {PSAL_OPTION_INT,                                                                                      \
     "limit",                                                                                              \
     0,                                                                                                    \
     "N",                                                                                                  \
     NULL,                                                                                                 \
     "Only N " what ", drawn at random (--seed) and spread over the classes as all are.",                  \
     .minimum = 1,                                                                                         \
     .maximum = 1e9},                                                                                      \
    {                                                                                                      \
        PSAL_OPTION_INT, "first", 0, "N", NULL, "Only the first N " what ".", .minimum = 1, .maximum = 1e9 \
    }

typedef struct psal_sampling {
    size_t wanted; /* 0: all */
    bool drawn;    /* else the first ones */
    uint64_t seed;
} psal_sampling;

/* What the options limit, first and seed say. */
psal_status psal_sampling_parse(psal_sampling *sampling, const psal_options *options, psal_error *err);

/* The numbers, ascending, of those taken of `count` things with these classes: (*chosen)[*chosen_count], which the
 * caller frees. */
psal_status psal_sampling_choose(const psal_sampling *sampling, const int *classes, size_t count, size_t **chosen,
                                 size_t *chosen_count, psal_error *err);
/* Leave only these samples in the data set. */
psal_status psal_sampling_keep(const psal_sampling *sampling, psal_dataset *dataset, psal_error *err);

/* The record of how those of a data set of `count` were taken, and back. A record of an earlier version, which does not
 * say, means the first ones. */
void psal_sampling_record(const psal_sampling *sampling, size_t count, psal_computation *computation);
psal_status psal_sampling_from_record(psal_sampling *sampling, const psal_computation *computation, psal_error *err);

#endif
