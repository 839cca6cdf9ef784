#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/figure.h"
#include "io/json_output.h"
#include "saliency/prediction.h"
#include "tools/photo.h"

enum { ANSWERS = 5, STAGE_NAME = 128 };

/* The classes of the largest confidences. */
static psal_status add_answers(psal_photo *p, psal_error *err) {
    const psal_explainer *x = p->explainer;
    const int classes = x->session->info->num_classes, count = classes < ANSWERS ? classes : ANSWERS;
    double *confidences = malloc((size_t)classes * sizeof *confidences);
    json_t *list = json_array();
    if (!confidences) psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d classes", classes);
    if (confidences) psal_confidences(p->e->logits, classes, confidences);
    for (int rank = 0; rank < count && confidences; rank++) {
        int best = -1;
        for (int c = 0; c < classes; c++)
            if (confidences[c] >= 0 && (best < 0 || confidences[c] > confidences[best])) best = c;
        if (best < 0) break; /* not finite */
        json_t *answer = json_object();
        json_object_set_new(answer, "class", json_integer(best));
        json_object_set_new(answer, "name", psal_json_string(psal_labels_name(x->session->labels, best)));
        json_object_set_new(answer, "confidence", psal_json_double(confidences[best]));
        json_array_append_new(list, answer);
        confidences[best] = -1;
    }
    json_object_set_new(p->root, "answers", list);
    const bool failed = !confidences;
    free(confidences);
    return failed ? psal_error_status(err) : PSAL_OK;
}

/* One layer's part of the profile. */
static json_t *layer_json(const psal_photo *p, const psal_figure_layer *layer, const char *stage) {
    const psal_explanation *e = p->e;
    int64_t largest = layer->first, marked = 0;
    double sum = 0;
    for (int64_t i = layer->first; i < layer->first + layer->count; i++) {
        sum += e->standardized[i];
        if (e->standardized[i] > e->standardized[largest]) largest = i;
    }
    for (int64_t i = 0; i < e->top_count && i < PSAL_PHOTO_FILTERS; i++)
        marked += e->top[i] >= layer->first && e->top[i] < layer->first + layer->count;
    json_t *o = json_object();
    json_object_set_new(o, "layer", psal_json_string(layer->name));
    json_object_set_new(o, "stage", psal_json_string(stage));
    json_object_set_new(o, "filters", json_integer(layer->count));
    json_object_set_new(o, "largest", psal_json_double(e->standardized[largest]));
    json_object_set_new(o, "filter", json_integer(largest));
    json_object_set_new(o, "mean", psal_json_double(sum / (double)layer->count));
    json_object_set_new(o, "top", json_integer(marked));
    return o;
}

static psal_status add_layers(psal_photo *p, psal_error *err) {
    const psal_explainer *x = p->explainer;
    const int count = psal_saliency_layer_count(x->saliency);
    const psal_profile_layer *layers = psal_saliency_layers(x->saliency);
    psal_figure_layer *named = calloc((size_t)count + 1, sizeof *named);
    json_t *list = json_array();
    json_object_set_new(p->root, "layers", list);
    if (!named) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d layers", count);
    for (int i = 0; i < count; i++)
        named[i] = (psal_figure_layer){.name = psal_model_get_parameter(x->session->model, layers[i].parameter)->name,
                                       .first = layers[i].first,
                                       .count = layers[i].count};
    for (int i = 0; i < count; i++) {
        char stage[STAGE_NAME];
        psal_figure_layer_group(named, (size_t)count, (size_t)i, stage, sizeof stage);
        json_array_append_new(list, layer_json(p, &named[i], stage));
    }
    free(named);
    return PSAL_OK;
}

static psal_status add_command(psal_photo *p, psal_error *err) {
    const psal_report_command command = {.options = (psal_options *)p->options};
    char *text = psal_report_command_text(&command);
    if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    json_t *list = json_array();
    json_array_append_new(list, psal_json_string(text));
    json_object_set_new(p->root, "commands", list);
    free(text);
    return PSAL_OK;
}

psal_status psal_photo_results(psal_photo *p, psal_error *err) {
    const psal_explainer *x = p->explainer;
    json_t *none = json_array(), *photo = psal_explanation_json(x, p->e, none);
    json_decref(none);
    json_object_del(photo, "seconds");              /* the same photo gives the same page, */
    json_object_set_new(photo, "map", json_null()); /* which has its pictures itself */
    p->root = psal_json_document("psal-report-photo/1");
    json_object_set_new(p->root, "photo", photo);
    json_object_set_new(p->root, "settings", psal_computation_json(&x->computation));
    json_object_set_new(p->root, "arch", psal_json_string(x->session->info->arch));
    json_object_set_new(p->root, "weights", psal_json_string(x->session->weights));
    json_object_set_new(p->root, "version", psal_json_string(PSAL_VERSION));
    json_object_set_new(p->root, "fingerprint", psal_json_string(x->computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(p->root, "filters", json_integer(psal_saliency_length(x->saliency)));
    json_object_set_new(p->root, "classes", json_integer(x->session->info->num_classes));
    json_object_set_new(p->root, "quantity", psal_json_string(psal_explanation_quantity(x)));
    json_t *notes = json_array();
    for (size_t i = 0; i < p->notes->count; i++) json_array_append_new(notes, psal_json_string(p->notes->lines[i]));
    json_object_set_new(p->root, "notes", notes);
    psal_status status = add_answers(p, err);
    if (status == PSAL_OK) status = add_layers(p, err);
    if (status == PSAL_OK) status = add_command(p, err);
    if (status == PSAL_OK) status = psal_photo_switch_off(p, err);
    if (status == PSAL_OK) psal_photo_conclude(p);
    return status == PSAL_OK ? psal_json_check(p->root, err) : status;
}
