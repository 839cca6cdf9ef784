/* stats_run.h - statistics of the naive saliency over a data set, made once and written: what psal-stats does, and
 * psal-init with its answers. */
#ifndef PSAL_TOOLS_STATS_RUN_H
#define PSAL_TOOLS_STATS_RUN_H

#include "io/figure.h"
#include "engine/tensor.h"
#include "saliency/reference_set.h"
#include "tools/options.h"
#include "tools/sampling.h"
#include "tools/session.h"
#include "tools/shard.h"

/* Strings live as long as the run; NULL: not wanted. */
typedef struct psal_stats_request {
    const char *program; /* for messages: "psal-stats" */
    const char *data;    /* the samples: io/dataset.h */
    const char *out, *records, *profiles, *figures;
    const char *only; /* a reference set: "correct", "incorrect" or a class; NULL: all samples */
    psal_sampling sampling;
    psal_shard shard;
    psal_loss loss;
    psal_aggregation aggregation;
    bool is_signed, gradient_weight, normalized, predicted;
    bool skip_bad, resume;
    bool silent;             /* nothing on standard output */
    double save_every;       /* seconds */
    psal_dtype profile_type; /* of the numbers of `profiles` */
    int64_t k;               /* top filters of each mistake, for `figures`, */
    const char *format;      /* which are files that end so: "png" */
    psal_figure_style style;
    const psal_options *options; /* those that name the network, for the record of `profiles`; NULL: --weights alone */
} psal_stats_request;

/* The mistake that the network is least sure of. `name` is NULL where there is none. */
typedef struct psal_stats_mistake {
    char *name, *path; /* as psal_dataset_name and psal_dataset_path: path is NULL where it is no file of its own */
    int label, predicted;
    double confidence; /* of the predicted class */
} psal_stats_mistake;

typedef struct psal_stats_counts {
    int64_t samples, correct, skipped;
    psal_stats_mistake mistake;
} psal_stats_counts;

void psal_stats_counts_free(psal_stats_counts *counts); /* zeroed is fine */

/* Before hours of work: whether there are samples to take and a file to write, and everything can be written. */
psal_status psal_stats_check(const psal_stats_request *request, psal_error *err);

/* All of it, with progress on standard error and results on standard output. The first signal stops it with what it has
 * done kept (program.h). Returns what psal_program_work wants. *counts may be NULL. */
int psal_stats_make(const psal_stats_request *request, psal_session *session, psal_stats_counts *counts,
                    psal_error *err);

#endif
