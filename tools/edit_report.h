/* edit_report.h - what psal-finetune prints, writes and draws. */
#ifndef PSAL_TOOLS_EDIT_REPORT_H
#define PSAL_TOOLS_EDIT_REPORT_H

#include "io/safetensors.h"
#include "saliency/finetune.h"
#include "saliency/neighbors.h"
#include "saliency/random.h"
#include "tools/mistakes.h"

/* What one edit did: averages over draws. All members are columns of the tables (PSAL_EDIT_COLUMNS). */
typedef struct psal_edit_result {
    double corrected; /* share of draws after which the sample is right */
    double wrong;     /* change in the confidence of the wrong class, */
    double truth;     /* of the true class */
    double neighbors; /* share of the nearest neighbours that become right, */
    double others;    /* of random other mistakes */
    double broken;    /* share of the right samples that become wrong */
    double filters;   /* changed; NaN where no change was found */
    double dead;      /* filters among the k whose gradient is exactly zero */
    double weights;   /* numbers in the filters */
    double relative;  /* L2 norm of the change, by that of the filters */
} psal_edit_result;

enum { PSAL_EDIT_COLUMNS = 10 };

typedef struct psal_edit_report {
    const psal_session *session;
    const psal_mistakes *mistakes;
    const psal_choice *choices;
    int choice_count;
    const int64_t *k;
    int k_count, neighbor_count, steps;
    int64_t single; /* the one subject experimented on, or -1: all */
    int64_t hub;    /* how often the most frequent neighbour is one */
    bool until_correct;
    double largest; /* change of a search, as psal_tune_until_correct takes it */
    psal_step step;
    psal_edit_result *results; /* [subject][choice][k] */
    double *before, *after;    /* [classes] of a single subject: after its last edit */
    int *broken;               /* [right samples] of a single edit: whether it broke; else NULL */
    char *record, line[512];   /* of the computation, and what pictures say of it */
} psal_edit_report;

/* What to try where the search found nothing: "--k 1000 --relative 0.3", more filters, if there are, and larger
 * steps. */
const char *psal_edit_report_further(const psal_edit_report *report, char text[96]);

/* Print the table or the JSON, write --csv, --samples and --figure. */
psal_status psal_edit_report_write(const psal_edit_report *report, const psal_options *options, psal_error *err);

#endif
