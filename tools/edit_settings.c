#include "tools/edit_settings.h"

#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "tools/computation_io.h"
#include "tools/edit_one.h"

static const char SAVES_ONE[] = "--save and --save-delta need one sample, one of --choices and one --k";

static bool saves(const psal_options *o) {
    return psal_options_has(o, "save") || psal_options_has(o, "save-delta");
}

psal_status psal_edit_save_allowed(const psal_options *o, const psal_choice *choices, int choice_count,
                                   bool until_correct, psal_error *err) {
    static const char *const names[] = {"save", "save-delta"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (psal_options_has(o, names[i]) &&
            psal_checkpoint_check_name(psal_options_string(o, names[i]), err) != PSAL_OK)
            return psal_fail_prefix(err, "--%s", names[i]);
    if (!saves(o) || psal_choices_one_edit(o, choices, choice_count, until_correct)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s", SAVES_ONE);
}

psal_status psal_edit_save_check(psal_edit_settings *settings, const psal_options *o, bool one, psal_notes *notes,
                                 psal_error *err) {
    if (!saves(o)) return PSAL_OK;
    if (!one) return psal_fail(err, PSAL_ERR_ARGUMENT, "%s", SAVES_ONE);
    if (psal_choice_is_random(settings->choices[0]) && settings->draws > 1) {
        psal_note(notes, "the network that is saved is one draw: the first of --draws %d is the one that is measured",
                  settings->draws);
        settings->draws = 1;
    }
    return PSAL_OK;
}

psal_status psal_edit_save(const psal_options *options, const psal_session *session, const psal_mistakes *mistakes,
                           const psal_edit *edit, psal_error *err) {
    const char *path = psal_options_string(options, "save"), *delta = psal_options_string(options, "save-delta");
    psal_status status = path || delta ? psal_edit_check(edit, err) : PSAL_OK;
    if (status == PSAL_OK && path) status = psal_edit_write(session, edit, path, err);
    if (status == PSAL_OK && delta) {
        psal_tensor_map *map = psal_edit_delta(edit, err);
        psal_computation made;
        const psal_saliency_options profile = psal_mistakes_profile(mistakes);
        psal_session_computation(session, &profile, false, &made);
        psal_mistakes_record(mistakes, &made);
        status = map ? psal_computation_to_metadata(&made, map, err) : psal_error_status(err);
        if (status == PSAL_OK) status = psal_safetensors_write(delta, map, err);
        psal_tensor_map_free(map);
    }
    return status;
}
