#include "tools/edit_one.h"

#include "io/checkpoint.h"
#include "io/json_output.h"
#include "saliency/prediction.h"

psal_status psal_prune_one(const psal_explainer *x, const psal_explanation *e, psal_prune_sample *sample,
                           const psal_prune_options *options, psal_edit *edit, psal_prune_result *results,
                           psal_error *err) {
    const psal_session *session = x->session;
    const psal_classifier_options forward = {.height = session->height,
                                             .width = session->width,
                                             .threads = session->threads,
                                             .memory_limit = session->memory_limit,
                                             .conv = session->conv,
                                             .in_parts = true};
    const bool off = !psal_prune_is_noisy(options->how) && sample->units == PSAL_UNITS_FILTERS;
    sample->image = e->input;
    sample->label = e->label;
    sample->naive = e->naive;
    sample->standardized = e->standardized;
    psal_edit *own = NULL;
    psal_variants *variants = NULL;
    psal_variants_worker *all = NULL;
    psal_classifier *classifier = psal_classifier_new(session->model, &forward, err);
    psal_classifier_worker *worker = classifier ? psal_classifier_worker_new(classifier, err) : NULL;
    psal_status status = worker ? PSAL_OK : psal_error_status(err);
    if (status == PSAL_OK && off) {
        variants = psal_variants_new(classifier, options->how == PSAL_PRUNE_CHANNEL, err);
        all = variants ? psal_variants_worker_new(variants, worker, err) : NULL;
        if (!all) status = psal_error_status(err);
    }
    if (status == PSAL_OK && !edit && !(own = edit = psal_edit_new(session->model, err)))
        status = psal_error_status(err);
    if (status == PSAL_OK)
        status = psal_prune_experiment(session->model, worker, all, edit, sample, options, NULL, results, err);
    if (status == PSAL_OK && !own) status = psal_prune_draw(edit, session->model, sample, options, 0, 0, 0, err);
    if (status == PSAL_OK && !own) status = psal_edit_check(edit, err);
    psal_edit_free(own);
    psal_variants_worker_free(all);
    psal_variants_free(variants);
    psal_classifier_worker_free(worker);
    psal_classifier_free(classifier);
    return status;
}

json_t *psal_prune_one_json(const psal_prune_options *options, const psal_prune_result *results) {
    json_t *rows = json_array();
    for (int v = 0; v < options->choice_count * options->k_count; v++) {
        json_t *row = json_object();
        json_object_set_new(row, "choice", psal_json_string(psal_choice_name(options->choices[v / options->k_count])));
        json_object_set_new(row, "k", json_integer(options->k[v % options->k_count]));
        json_object_set_new(row, "wrong_confidence", psal_json_double(results[v].wrong));
        json_object_set_new(row, "true_confidence", psal_json_double(results[v].truth));
        json_object_set_new(row, "now_right", psal_json_double(results[v].correct));
        json_object_set_new(row, "prediction_changed", psal_json_double(results[v].changed));
        json_object_set_new(row, "dead_filters", psal_json_double(results[v].dead));
        json_array_append_new(rows, row);
    }
    return rows;
}

psal_status psal_edit_settings_read(psal_edit_settings *settings, const psal_options *o, psal_error *err) {
    settings->steps = (int)psal_options_int(o, "steps");
    settings->draws = (int)psal_options_int(o, "draws");
    settings->step.relative = psal_options_has(o, "relative");
    settings->step.size = psal_options_double(o, settings->step.relative ? "relative" : "rate");
    if (settings->step.relative && psal_options_given(o, "rate"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --rate and --relative");
    return PSAL_OK;
}

psal_status psal_edit_make(psal_tuner_worker *tuner, psal_edit *edit, const psal_edit_settings *settings,
                           const float *image, int label, const int64_t *filters, int64_t k, bool fresh,
                           psal_error *err) {
    psal_status status = fresh ? PSAL_OK : psal_tuner_gradient(tuner, image, label, NULL, NULL, err);
    psal_edit_reset(edit);
    for (int i = 0; i < settings->steps && status == PSAL_OK; i++) {
        if (i > 0) status = psal_tuner_gradient(tuner, image, label, psal_edit_values(edit), NULL, err);
        if (status == PSAL_OK) status = psal_tuner_step(tuner, edit, filters, k, settings->step, NULL, err);
    }
    return status;
}

void psal_edit_answer(const psal_edit *edit, const float *logits, int classes, int label, int predicted,
                      const double *before, double *after, psal_edit_result *result) {
    psal_confidences(logits, classes, after);
    const int wrong = predicted != label ? predicted : psal_predicted_class(logits, classes, label);
    const psal_edit_size size = psal_edit_measure(edit);
    result->corrected += psal_predicted_class(logits, classes, -1) == label;
    result->wrong += after[wrong] - before[wrong];
    result->truth += after[label] - before[label];
    result->weights += (double)size.elements;
    result->relative += size.relative;
}

psal_status psal_edit_write(const psal_session *session, const psal_edit *edit, const char *path, psal_error *err) {
    psal_tensor_map *map = psal_model_export(session->model, psal_edit_values(edit), err);
    psal_status status = map ? psal_session_record_edit(session, map, err) : psal_error_status(err);
    if (status == PSAL_OK) status = psal_checkpoint_write(path, map, err);
    psal_tensor_map_free(map);
    return status;
}
