#include "tools/edit_settings.h"

#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "tools/computation_io.h"

psal_status psal_edit_settings_read(psal_edit_settings *settings, const psal_options *o, psal_error *err) {
    settings->steps = (int)psal_options_int(o, "steps");
    settings->draws = (int)psal_options_int(o, "draws");
    settings->step.relative = psal_options_has(o, "relative");
    settings->step.size = psal_options_double(o, settings->step.relative ? "relative" : "rate");
    if (settings->step.relative && psal_options_given(o, "rate"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --rate and --relative");
    return PSAL_OK;
}

static const char SAVES_ONE[] = "--save and --save-delta need one sample, one of --choices and one --k";

static bool saves(const psal_options *o) {
    return psal_options_has(o, "save") || psal_options_has(o, "save-delta");
}

psal_status psal_edit_save_allowed(const psal_options *o, const psal_choice *choices, int choice_count,
                                   bool until_correct, psal_error *err) {
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
    psal_tensor_map *map = NULL;
    if (status == PSAL_OK && path) {
        map = psal_model_export(session->model, psal_edit_values(edit), err);
        status = map ? psal_session_record_edit(session, map, err) : psal_error_status(err);
        if (status == PSAL_OK) status = psal_checkpoint_write(path, map, err);
        psal_tensor_map_free(map);
    }
    if (status == PSAL_OK && delta) {
        map = psal_edit_delta(edit, err);
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
