/* group_edit.h - psal-finetune --group: one edit from several mistakes, and what it does to mistakes of the same list
 * that were held out, to samples that are right, and to corrupted copies of these. */
#ifndef PSAL_TOOLS_GROUP_EDIT_H
#define PSAL_TOOLS_GROUP_EDIT_H

#include "saliency/finetune.h"
#include "tools/mistakes.h"

#define PSAL_GROUP_OPTIONS                                                                                             \
    {PSAL_OPTION_PATH,                                                                                                 \
     "group",                                                                                                          \
     0,                                                                                                                \
     "LIST",                                                                                                           \
     NULL,                                                                                                             \
     "One edit from several mistakes, those of a list path,label: filters by their mean profile, steps down their "    \
     "mean gradient. Measured on mistakes of the list that are held out, and on samples of --data that are right, as " \
     "they are and with noise, blur and less contrast.",                                                               \
     .alias = NULL},                                                                                                   \
        {PSAL_OPTION_DOUBLE,                                                                                           \
         "held-out",                                                                                                   \
         0,                                                                                                            \
         "X",                                                                                                          \
         "0.5",                                                                                                        \
         "This share of the mistakes of --group is held out (--seed).",                                                \
         .minimum = 0.01,                                                                                              \
         .maximum = 0.99},                                                                                             \
    {                                                                                                                  \
        PSAL_OPTION_INT, "group-first", 0, "N", NULL,                                                                  \
            "Instead the edit is from the first N mistakes of --group, and all others are held out.", .minimum = 1,    \
                                                                                                      .maximum = 1e9   \
    }

typedef struct psal_group_edit {
    const psal_options *options;
    psal_session *session;
    const psal_mistakes *mistakes; /* all mistakes of the list */
    const psal_tuner *tuner;
    const psal_choice *choices;
    int choice_count;
    const int64_t *k; /* ascending */
    int k_count, steps, draws;
    psal_step step;
    /* Called with the edit when there is one choice and one k, of the first draw; may be NULL. */
    psal_status (*save)(void *data, const psal_edit *edit, psal_error *err);
    void *data;
    json_t **results; /* where the results go as JSON, a new reference, instead of all outputs; NULL: nowhere */
} psal_group_edit;

/* What does not go with --group, or what only goes with it: before any work. */
psal_status psal_group_check(const psal_options *options, psal_error *err);
/* Make the edits, measure them, print the table or the JSON, write --csv. */
psal_status psal_group_run(const psal_group_edit *edit, psal_error *err);

/* ---- group_work.c ---- */

/* All of it, from the command line of psal-finetune to the last output. kept: where notes go, NULL: to standard error.
 * results: as above. Returns what psal_program_work wants. */
int psal_group_work(const psal_options *options, psal_notes *kept, json_t **results, psal_error *err);

#endif
