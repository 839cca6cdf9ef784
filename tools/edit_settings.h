/* edit_settings.h - how psal-finetune changes filters, and what it saves; of one mistake and of a group. */
#ifndef PSAL_TOOLS_EDIT_SETTINGS_H
#define PSAL_TOOLS_EDIT_SETTINGS_H

#include "saliency/finetune.h"
#include "tools/mistakes.h"

typedef struct psal_edit_settings {
    psal_choice choices[PSAL_CHOICE_COUNT]; /* psal_parse_choices */
    int steps, draws;
    psal_step step;
} psal_edit_settings;

/* The options steps, draws, rate and relative. */
psal_status psal_edit_settings_read(psal_edit_settings *settings, const psal_options *options, psal_error *err);

/* Refuse --save and --save-delta where the command line asks for more than one edit: before anything is read. */
psal_status psal_edit_save_allowed(const psal_options *options, const psal_choice *choices, int choice_count,
                                   bool until_correct, psal_error *err);
/* Whether --save and --save-delta, where they are given, are of `one` edit; of random filters only the first draw is
 * made then. */
psal_status psal_edit_save_check(psal_edit_settings *settings, const psal_options *options, bool one, psal_notes *notes,
                                 psal_error *err);
/* Write the edit as --save and --save-delta say. */
psal_status psal_edit_save(const psal_options *options, const psal_session *session, const psal_mistakes *mistakes,
                           const psal_edit *edit, psal_error *err);

#endif
