/* check.h - psal-check: what its checks share. Each finds mistakes, experiments on every one of them, and says in three
 * sentences what came out, whichever way. */
#ifndef PSAL_TOOLS_CHECK_H
#define PSAL_TOOLS_CHECK_H

#include "saliency/bootstrap.h"
#include "tools/mistakes.h"

enum { PSAL_VERDICT_SENTENCES = 3, PSAL_SENTENCE_SIZE = 600 };

typedef struct psal_check {
    const psal_options *options;
    const char *name; /* "ablate": the check that was asked for */
    psal_session session;
    psal_mistakes mistakes;
    char verdict[PSAL_VERDICT_SENTENCES][PSAL_SENTENCE_SIZE];
} psal_check;

/* Try the paths of the outputs, open the session. What is wrong with a check's options is best said after that, before
 * the mistakes are looked for, which may take long: psal_mistakes_open. */
psal_status psal_check_open(psal_check *check, psal_error *err);

/* The seed of what is random for subject i. */
uint64_t psal_check_seed(const psal_check *check, size_t i);

/* What stands in every check's JSON (new reference): network, mistakes, settings, verdict. */
json_t *psal_check_json(const psal_check *check);
/* The verdict below a table, on standard output. */
void psal_check_print_verdict(const psal_check *check);
/* "resnet18, 8 mistakes", for a figure. */
void psal_check_subtitle(const psal_check *check, char *text, size_t size);

/* "0.62 (0.58 to 0.66)"; "0.62" where there is no interval, "undefined" where there is no mean. */
const char *psal_interval_text(const psal_interval *interval, char text[64]);
/* A mean and its interval as {"mean": ..., "low": ..., "high": ...}. */
json_t *psal_interval_json(const psal_interval *interval);
/* The same as three fields of a table, and their titles: "spearman", "spearman_low", "spearman_high" of each name. */
void psal_csv_interval(psal_csv_writer *csv, const psal_interval *interval);
void psal_csv_interval_titles(psal_csv_writer *csv, const char *const *names, int count);

/* The checks: all of their work, from the command line to the last output. */
psal_status psal_check_ablate(psal_check *check, psal_error *err);
psal_status psal_check_mask(psal_check *check, psal_error *err);
psal_status psal_check_randomize(psal_check *check, psal_error *err);

#endif
