#include <stdlib.h>

#include "tools/edit_settings.h"
#include "tools/finetune_program.h"
#include "tools/group_edit.h"
#include "tools/mistakes_state.h"
#include "tools/outputs.h"

typedef struct job {
    const psal_options *options;
    psal_session session;
    psal_mistakes mistakes;
    psal_edit_settings how;
    int choice_count, k_count;
    int64_t *k;
    psal_tuner *tuner;
} job;

static psal_status prepare(job *j, psal_error *err) {
    const psal_options *o = j->options;
    static const char *const tables[] = {"csv", "samples", "figure", "save", "save-delta", "json", NULL};
    psal_mistakes_state none = {0};
    psal_status status = psal_edit_settings_read(&j->how, o, err);
    if (status == PSAL_OK) status = psal_group_check(o, err);
    if (status == PSAL_OK) status = psal_parse_choices(o, j->how.choices, &j->choice_count, err);
    if (status == PSAL_OK) status = psal_edit_save_allowed(o, j->how.choices, j->choice_count, false, err);
    if (status == PSAL_OK) status = psal_mistakes_check_options(o, true, err);
    if (status == PSAL_OK) status = psal_mistakes_state_check(&none, psal_finetune_program.name, o, tables, err);
    if (status == PSAL_OK) status = psal_session_open(&j->session, o, err);
    if (status != PSAL_OK) return status;
    const psal_mistakes_needs needs = {
        .ranking = true,
        .beside = true,
        .group = psal_options_string(o, "group"),
        .right = psal_options_int(o, "right"),
        .change = psal_choices_have(j->how.choices, j->choice_count, PSAL_CHOICE_GRADIENT_WEIGHT)};
    if ((status = psal_mistakes_open(&j->mistakes, &j->session, o, &needs, err)) != PSAL_OK) return status;
    j->k = psal_mistakes_k_values(&j->mistakes, o, j->how.choices, j->choice_count, &j->k_count, err);
    if (!j->k) return psal_error_status(err);
    status = psal_edit_save_check(&j->how, o, j->choice_count * j->k_count == 1, &j->session.notes, err);
    if (status != PSAL_OK) return status;
    const psal_classifier_options forward = {.height = j->session.height,
                                             .width = j->session.width,
                                             .threads = j->session.threads,
                                             .memory_limit = j->session.memory_limit,
                                             .conv = j->session.conv};
    j->tuner = psal_tuner_new(j->session.model, j->mistakes.units, &forward, err);
    return j->tuner ? PSAL_OK : psal_error_status(err);
}

static psal_status save(void *data, const psal_edit *edit, psal_error *err) {
    const job *j = data;
    return psal_edit_save(j->options, &j->session, &j->mistakes, edit, err);
}

static psal_status run_group(job *j, json_t **results, psal_error *err) {
    const psal_group_edit edit = {.options = j->options,
                                  .session = &j->session,
                                  .mistakes = &j->mistakes,
                                  .tuner = j->tuner,
                                  .choices = j->how.choices,
                                  .choice_count = j->choice_count,
                                  .k = j->k,
                                  .k_count = j->k_count,
                                  .steps = j->how.steps,
                                  .draws = j->how.draws,
                                  .step = j->how.step,
                                  .save = save,
                                  .data = j,
                                  .results = results};
    psal_status status = psal_group_run(&edit, err);
    if (status == PSAL_OK && !results && !psal_options_flag(j->options, "json"))
        psal_print_written(&psal_finetune_program, j->options);
    return status;
}

int psal_group_work(const psal_options *options, psal_notes *kept, json_t **results, psal_error *err) {
    job j = {.options = options, .session.kept = kept};
    psal_status status = prepare(&j, err);
    psal_session_print_notes(&j.session, psal_finetune_program.name);
    if (status == PSAL_OK) status = run_group(&j, results, err);
    const int result = psal_mistakes_finish(&j.mistakes, psal_finetune_program.name, status, err);
    free(j.k);
    psal_tuner_free(j.tuner);
    psal_mistakes_close(&j.mistakes);
    psal_session_close(&j.session);
    return result;
}
