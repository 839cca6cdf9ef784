/* Filters of an explained image switched off, or corrected. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/json_output.h"
#include "saliency/prediction.h"
#include "saliency/random.h"
#include "tools/edit_one.h"
#include "tools/finetune_program.h"
#include "tools/layers.h"
#include "tools/net_internal.h"
#include "tools/outputs.h"
#include "tools/prune_program.h"
#include "tools/run_program.h"

struct psal_net_edit {
    const psal_net_explainer *explainer;
    psal_edit *edit;
    bool one; /* it holds an edit, else only the results of several */
    json_t *results;
};

/* What both programs' settings choose. */
typedef struct chosen {
    psal_net_words words;
    const psal_explainer *x;
    const psal_explanation *e;
    psal_units units;
    psal_choice choices[PSAL_CHOICE_COUNT];
    int choice_count, k_count;
    int64_t *k;
    bool *live;
    float *change; /* NULL: no choice goes by it */
} chosen;

static void chosen_free(chosen *c) {
    psal_net_words_free(&c->words);
    free(c->k);
    free(c->live);
    free(c->change);
}

/* The change of the loss without each filter, to first order. */
static psal_status make_change(chosen *c, int64_t length, psal_error *err) {
    const psal_session *session = c->x->session;
    psal_saliency_options options = c->x->options.saliency;
    options.gradient_weight = options.is_signed = true;
    options.input_saliency = false;
    c->change = malloc((size_t)length * sizeof *c->change);
    if (!c->change) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile");
    const int rival = psal_predicted_class(c->e->logits, session->info->num_classes, c->e->label);
    psal_saliency *saliency = psal_saliency_new(session->model, &options, err);
    psal_saliency_worker *worker = saliency ? psal_saliency_worker_new(saliency, err) : NULL;
    psal_status status = worker ? psal_saliency_profile(worker, c->e->input, c->e->label, rival, c->change, err)
                                : psal_error_status(err);
    psal_saliency_worker_free(worker);
    psal_saliency_free(saliency);
    return status;
}

/* Read the settings: --k, --choices, --layers. */
static psal_status choose(chosen *c, const psal_net_result *result, const psal_program *program,
                          const char *const *allowed, const char *const *words, size_t count, psal_error *err) {
    c->x = &result->explainer->explainer;
    c->e = &result->explanation;
    const psal_aggregation aggregation = c->x->options.saliency.aggregation;
    const int64_t length = psal_saliency_length(c->x->saliency);
    if (aggregation != PSAL_AGGREGATION_FILTER && aggregation != PSAL_AGGREGATION_ROW)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "the profile is of %ss: only filters and rows can be changed",
                         psal_aggregation_name(aggregation));
    if (c->e->against != PSAL_CLASS_NONE)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "another class's profile was subtracted (--against): explain without");
    c->units = psal_aggregation_units(aggregation);
    psal_status status = psal_net_words_read(&c->words, program, allowed, words, count, err);
    if (status == PSAL_OK) status = psal_parse_choices(c->words.options, c->choices, &c->choice_count, err);
    if (status != PSAL_OK) return status;
    psal_mistakes m = {.session = (psal_session *)(uintptr_t)c->x->session, .units = c->units}; /* only read */
    if (!(c->live = malloc((size_t)length * sizeof *c->live)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " filters", length);
    memcpy(c->live, c->x->live, (size_t)length * sizeof *c->live);
    status = psal_layers_keep(c->words.options, m.session->model, c->units, c->live, m.layers, err);
    if (status != PSAL_OK) return status;
    m.live = c->live;
    c->k = psal_mistakes_k_values(&m, c->words.options, c->choices, c->choice_count, &c->k_count, err);
    if (!c->k) return psal_error_status(err);
    if (c->k_count == 0) return psal_fail(err, PSAL_ERR_ARGUMENT, "no filter can be chosen");
    return psal_choices_have(c->choices, c->choice_count, PSAL_CHOICE_GRADIENT_WEIGHT) ? make_change(c, length, err)
                                                                                       : PSAL_OK;
}

static psal_net_edit *edit_new(const psal_net_result *result, psal_error *err) {
    psal_net_edit *made = calloc(1, sizeof *made);
    if (!made)
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else if ((made->edit = psal_edit_new(result->explainer->net->session.model, err))) {
        made->explainer = result->explainer;
        made->results = json_object();
        return made;
    }
    free(made);
    return NULL;
}

static psal_net_edit *finish(psal_net_edit *made, chosen *c, psal_status status) {
    chosen_free(c);
    if (status == PSAL_OK) return made;
    psal_net_edit_free(made);
    return NULL;
}

/* ---- switching off ---- */

typedef struct meter {
    psal_net_progress progress;
    void *data;
    int64_t done, total;
    bool stopped;
} meter;

static void count_step(void *data) {
    meter *m = data;
    m->done++;
    if (!m->stopped && m->progress) m->stopped = m->progress(m->data, m->done, m->total) != 0;
}

static psal_status prune(psal_net_edit *made, chosen *c, meter *m, psal_error *err) {
    const psal_options *o = c->words.options;
    psal_prune_options options = {.how = (psal_prune_how)psal_options_choice(o, "how"),
                                  .choices = c->choices,
                                  .choice_count = c->choice_count,
                                  .k = c->k,
                                  .k_count = c->k_count,
                                  .draws = (int)psal_options_int(o, "draws"),
                                  .scale = psal_options_double(o, "noise-scale"),
                                  .step = count_step,
                                  .step_data = m};
    psal_prune_sample sample = {
        .units = c->units, .live = c->live, .change = c->change, .seed = psal_subject_seed(o, 0)};
    const size_t variants = (size_t)c->choice_count * (size_t)c->k_count;
    psal_prune_result *results = malloc(variants * sizeof *results);
    if (!results) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu results", variants);
    m->total = psal_prune_steps(&options);
    made->one = variants == 1;
    psal_status status = psal_prune_one(c->x, c->e, &sample, &options, made->one ? made->edit : NULL, results, err);
    if (status == PSAL_OK && m->stopped) status = psal_fail(err, PSAL_ERR_CANCELLED, "interrupted");
    if (status == PSAL_OK) {
        json_object_set_new(made->results, "how", psal_json_string(psal_prune_name(options.how)));
        json_object_set_new(made->results, "rows", psal_prune_one_json(&options, results));
    }
    free(results);
    return status;
}

psal_net_edit *psal_net_prune(const psal_net_result *result, const char *const *words, size_t count,
                              psal_net_progress progress, void *data, psal_error *err) {
    static const char *const allowed[] = {"k", "choices", "how", "noise-scale", "draws", "seed", "layers", NULL};
    chosen c = {0};
    meter m = {.progress = progress, .data = data};
    psal_net_edit *made = edit_new(result, err);
    psal_status status = made ? choose(&c, result, &psal_prune_program, allowed, words, count, err)
                              : psal_error_status(err);
    if (status == PSAL_OK) status = prune(made, &c, &m, err);
    return finish(made, &c, status);
}

/* ---- correcting ---- */

/* What one correction needs. */
typedef struct correction {
    psal_edit_settings how;
    bool until_correct;
    double largest;
    psal_tuner *tuner;
    psal_tuner_worker *worker;
    psal_classifier *classifier;
    psal_classifier_worker *answers;
    double *before, *after; /* [classes] */
    int64_t *filters;       /* [k] */
    psal_edit_result result;
} correction;

static psal_status open_correction(correction *r, const chosen *c, psal_error *err) {
    const psal_session *session = c->x->session;
    const size_t classes = (size_t)session->info->num_classes;
    psal_classifier_options forward = {.height = session->height,
                                       .width = session->width,
                                       .threads = session->threads,
                                       .memory_limit = session->memory_limit,
                                       .conv = session->conv};
    if (!(r->tuner = psal_tuner_new(session->model, c->units, &forward, err))) return psal_error_status(err);
    forward.in_parts = r->until_correct;
    if (!(r->worker = psal_tuner_worker_new(r->tuner, err)) ||
        !(r->classifier = psal_classifier_new(session->model, &forward, err)) ||
        !(r->answers = psal_classifier_worker_new(r->classifier, err)))
        return psal_error_status(err);
    r->before = malloc(2 * classes * sizeof *r->before);
    r->filters = malloc((size_t)c->k[0] * sizeof *r->filters);
    if (!r->before || !r->filters) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an edit");
    r->after = r->before + classes;
    return PSAL_OK;
}

static void close_correction(correction *r) {
    psal_classifier_worker_free(r->answers);
    psal_classifier_free(r->classifier);
    psal_tuner_worker_free(r->worker);
    psal_tuner_free(r->tuner);
    free(r->before);
    free(r->filters);
}

static psal_status make_edit(correction *r, const chosen *c, psal_edit *edit, psal_error *err) {
    const psal_explanation *e = c->e;
    psal_search_result found = {.k = c->k[0]};
    psal_status status = psal_tuner_gradient(r->worker, e->input, e->label, NULL, NULL, err);
    if (status == PSAL_OK && r->until_correct) {
        status = psal_tune_until_correct(r->worker, r->answers, edit, e->input, e->label, r->filters, c->k[0],
                                         r->largest, &found, err);
        if (status == PSAL_OK && !found.found)
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "no change of at most %g times the norm of %" PRId64 " %s corrects it: try more, or a "
                               "larger --relative",
                               r->largest, c->k[0], psal_units_name(c->units));
    } else if (status == PSAL_OK) {
        status = psal_edit_make(r->worker, edit, &r->how, e->input, e->label, r->filters, c->k[0], true, err);
    }
    r->result.filters = (double)found.k;
    return status;
}

static json_t *result_json(const correction *r, const chosen *c) {
    json_t *o = json_object();
    json_object_set_new(o, "choice", psal_json_string(psal_choice_name(c->choices[0])));
    json_object_set_new(o, "k", json_integer(c->k[0]));
    json_object_set_new(o, "corrected", psal_json_double(r->result.corrected));
    json_object_set_new(o, "wrong_confidence", psal_json_double(r->result.wrong));
    json_object_set_new(o, "true_confidence", psal_json_double(r->result.truth));
    json_object_set_new(o, "filters", psal_json_double(r->result.filters));
    json_object_set_new(o, "dead_filters", psal_json_double(r->result.dead));
    json_object_set_new(o, "weights", psal_json_double(r->result.weights));
    json_object_set_new(o, "relative_change", psal_json_double(r->result.relative));
    return o;
}

static psal_status correct(psal_net_edit *made, correction *r, const chosen *c, psal_error *err) {
    const psal_session *session = c->x->session;
    const psal_explanation *e = c->e;
    const int classes = session->info->num_classes;
    const float *logits;
    psal_random random = {psal_subject_seed(c->words.options, 0) ^ (uint64_t)c->choices[0] << 56};
    psal_confidences(e->logits, classes, r->before);
    psal_status status = psal_choose(session->model, c->units, c->choices[0], e->naive, e->standardized, c->change,
                                     c->live, psal_random_bits(&random), c->k[0], r->filters, err);
    if (status == PSAL_OK) status = make_edit(r, c, made->edit, err);
    if (status == PSAL_OK) status = psal_edit_check(made->edit, err);
    if (status == PSAL_OK)
        status = psal_classifier_run(r->answers, e->input, psal_edit_values(made->edit), &logits, err);
    if (status != PSAL_OK) return status;
    psal_edit_answer(made->edit, logits, classes, e->label, e->predicted, r->before, r->after, &r->result);
    r->result.dead = (double)psal_count_dead(e->naive, r->filters, c->k[0]);
    const int predicted = psal_predicted_class(logits, classes, -1);
    json_t *rows = json_array();
    json_array_append_new(rows, result_json(r, c));
    json_object_set_new(made->results, "rows", rows);
    json_object_set_new(made->results, "predicted", json_integer(predicted));
    json_object_set_new(made->results, "predicted_name",
                        psal_json_string(psal_labels_name(session->labels, predicted)));
    json_object_set_new(made->results, "confidence", psal_json_double(r->after[predicted]));
    made->one = true;
    return PSAL_OK;
}

psal_net_edit *psal_net_finetune(const psal_net_result *result, const char *const *words, size_t count,
                                 psal_error *err) {
    static const char *const allowed[] = {"k",    "choices", "rate", "relative", "steps", "until-correct",
                                          "seed", "layers",  NULL};
    chosen c = {0};
    correction r = {0};
    psal_net_edit *made = edit_new(result, err);
    psal_status status = made ? choose(&c, result, &psal_finetune_program, allowed, words, count, err)
                              : psal_error_status(err);
    const psal_options *o = c.words.options;
    if (status == PSAL_OK) status = psal_edit_settings_read(&r.how, o, err);
    if (status == PSAL_OK && (c.choice_count != 1 || c.k_count != 1))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "one edit, please: one of --choices and one --k");
    if (status == PSAL_OK) {
        r.until_correct = psal_options_flag(o, "until-correct");
        r.largest = r.how.step.relative ? r.how.step.size : 0.1;
        if (r.until_correct && (r.how.steps > 1 || psal_options_given(o, "rate")))
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "--until-correct makes one step and chooses its size: without --steps and --rate");
    }
    if (status == PSAL_OK) status = open_correction(&r, &c, err);
    if (status == PSAL_OK) status = correct(made, &r, &c, err);
    close_correction(&r);
    return finish(made, &c, status);
}

/* ---- the edit ---- */

void psal_net_edit_free(psal_net_edit *edit) {
    if (!edit) return;
    psal_edit_free(edit->edit);
    json_decref(edit->results);
    free(edit);
}

char *psal_net_edit_json(const psal_net_edit *edit, psal_error *err) {
    return psal_net_text(json_incref(edit->results), err);
}

static psal_status check_one(const psal_net_edit *edit, psal_error *err) {
    if (edit->one) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "these are several edits: one of --choices and one --k make one");
}

/* What psal-finetune's --save may be called, and none of the files that the network and its settings came from. */
static psal_status check_path(const psal_net_edit *edit, const char *path, psal_error *err) {
    static const char endings[] = ".safetensors|.onnx";
    const psal_net *net = edit->explainer->net;
    if (!psal_has_ending(path, endings)) {
        const psal_status status = psal_checkpoint_check_name(path, err); /* says more, where it knows the format */
        return status != PSAL_OK ? status
                                 : psal_fail(err, PSAL_ERR_ARGUMENT, "%s: its name ends in none of %s", path, endings);
    }
    if (!net->tensors && psal_same_file(path, net->session.weights))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s is the file of the network itself, which would be lost: give another name", path);
    return psal_check_output_file(&psal_run_program, edit->explainer->words.options, path, err);
}

psal_status psal_net_edit_write(const psal_net_edit *edit, const char *path, psal_error *err) {
    psal_status status = check_one(edit, err);
    if (status == PSAL_OK) status = check_path(edit, path, err);
    return status == PSAL_OK ? psal_edit_write(&edit->explainer->net->session, edit->edit, path, err) : status;
}

psal_status psal_net_edit_next(const psal_net_edit *edit, int *parameter, const char **name, const float **values,
                               int *dimensions, int64_t sizes[8], psal_error *err) {
    const psal_model *model = edit->explainer->net->session.model;
    const float *const *changed = psal_edit_values(edit->edit);
    psal_status status = check_one(edit, err);
    if (status != PSAL_OK) return status;
    int i = *parameter + 1;
    while (i < psal_model_parameter_count(model) && !changed[i]) i++;
    *parameter = i;
    *name = NULL;
    if (i == psal_model_parameter_count(model)) return PSAL_OK;
    const psal_model_parameter *p = psal_model_get_parameter(model, i);
    *name = p->name;
    *values = changed[i];
    *dimensions = p->shape.ndim;
    memcpy(sizes, p->shape.dim, sizeof p->shape.dim);
    return PSAL_OK;
}
