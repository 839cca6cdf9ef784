/* check.h - psal-check: what its checks share. Each finds mistakes, experiments on every one of them, and says in three
 * sentences what came out, whichever way. */
#ifndef PSAL_TOOLS_CHECK_H
#define PSAL_TOOLS_CHECK_H

#include "saliency/bootstrap.h"
#include "tools/mistakes.h"

enum { PSAL_VERDICT_SENTENCES = 3, PSAL_SENTENCE_SIZE = 600 };

typedef struct psal_check {
    const psal_options *options;
    json_t **results; /* where the results go as JSON, a new reference, instead of all outputs; NULL: nowhere */
    const char *name; /* "ablate": the check that was asked for */
    psal_session session;
    psal_mistakes mistakes;
    psal_mistakes_steps steps; /* the experiments, as their progress is told */
    char *record, line[512];   /* of the computation, for tables and pictures, and what pictures say of it */
    char verdict[PSAL_VERDICT_SENTENCES][PSAL_SENTENCE_SIZE];
} psal_check;

/* Try the paths of the outputs, open the session. What is wrong with a check's options is best said after that, before
 * the mistakes are looked for, which may take long: psal_mistakes_open. */
psal_status psal_check_open(psal_check *check, psal_error *err);

/* The seed of what is random for subject i. */
uint64_t psal_check_seed(const psal_check *check, size_t i);

/* The subtitle of a figure: "resnet18, 8 mistakes, " and `detail`, what its bars or bands (`intervals`) are where there
 * is more than one mistake, and weights and statistics. */
void psal_check_subtitle(const psal_check *check, const char *detail, const char *intervals, char *text, size_t size);

/* End the titles, or a row; the first one has the record. */
void psal_check_end_titles(psal_csv_writer *csv);
void psal_check_end_row(const psal_check *check, psal_csv_writer *csv, bool first);

/* "0.62 (0.58 to 0.66)"; "0.62" where there is no interval, "undefined" where there is no mean. */
const char *psal_interval_text(const psal_interval *interval, char text[64]);
/* A mean and its interval as {"mean": ..., "low": ..., "high": ...}. */
json_t *psal_interval_json(const psal_interval *interval);
/* The same as three fields of a table, and their titles: "spearman", "spearman_low", "spearman_high" of each name. */
void psal_csv_interval(psal_csv_writer *csv, const psal_interval *interval);
void psal_csv_interval_titles(psal_csv_writer *csv, const char *const *names, int count);

/* What a check does on its own state, `run`, in this order. Each step but the first is taken when those before
 * succeeded. */
typedef struct psal_check_steps {
    psal_status (*prepare)(void *run, psal_error *err); /* read the options, open the session and the mistakes */
    psal_status (*experiment)(void *run, psal_mistakes_worker *worker, size_t i, psal_error *err); /* on mistake i */
    psal_status (*summarize)(void *run, psal_error *err);                    /* means, intervals, the verdict */
    void (*write_table)(const void *run, psal_csv_writer *csv);              /* --csv */
    void (*write_samples)(const void *run, psal_csv_writer *csv);            /* --samples */
    psal_status (*draw)(const void *run, const char *path, psal_error *err); /* --figure */
    void (*add_json)(const void *run, json_t *root);                         /* --json; else */
    void (*print_table)(const void *run);
} psal_check_steps;

psal_status psal_check_run(psal_check *check, const psal_check_steps *steps, void *run, psal_error *err);

/* ---- check_program.c ---- */

extern const psal_program psal_check_program;
/* The check that the options name, with their first argument. Then, in any case, close it. */
psal_status psal_check_do(psal_check *check, psal_error *err);
void psal_check_close(psal_check *check);

/* The checks: all of their work, from the command line to the last output. */
psal_status psal_check_ablate(psal_check *check, psal_error *err);
psal_status psal_check_mask(psal_check *check, psal_error *err);
psal_status psal_check_randomize(psal_check *check, psal_error *err);

#endif
