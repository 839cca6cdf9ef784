/* run.h - psal-run: the images it explains, and the work on them; psal-report makes the page of one photo with it. */
#ifndef PSAL_TOOLS_RUN_H
#define PSAL_TOOLS_RUN_H

#include "io/run_lock.h"
#include "tools/explain.h"
#include "tools/skipped.h"
#include "tools/tally.h"

/* Everything one run holds. */
typedef struct psal_run {
    const psal_options *options;
    bool page_alone; /* only the page is made, and what stands beside it */
    psal_session session;
    psal_explainer explainer;
    psal_dataset *samples;
    size_t first, end;       /* of samples */
    psal_dataset *look_data; /* to look through, with --look */
    bool many;
    int stands_in, against; /* PSAL_CLASS_... */
    bool json, quiet, skip_bad;
    psal_skipped skipped;
    psal_tally tally;    /* of labelled samples, those that --mistakes leaves out among them */
    size_t right;        /* how many it left out */
    int removed;         /* files of earlier runs that were in the way */
    json_t *results;     /* array, for --json and the summary */
    psal_run_lock *lock; /* of the folder of all results */
    psal_notes notes;    /* all that were said */
    json_t *page;        /* of --report: what it shows */
    json_t *finished;    /* with --resume, array: for each image the result that an earlier run has left, or null */
} psal_run;

/* ---- run_samples.c ---- */

/* Whether the options that name images go together; before the network is read. */
psal_status psal_run_check_samples(const psal_run *run, psal_error *err);
/* The images, their classes, and those to look through. */
psal_status psal_run_open_samples(psal_run *run, psal_error *err);

/* ---- run.c ---- */

/* All of psal-run, with a command line of psal_run_program; returns what psal_program_work wants. page_alone: only
 * --report's page and the JSON beside it are made; findings are printed in place of the table. */
int psal_run_work(const psal_options *options, bool page_alone, psal_error *err);

#endif
