#include "tools/net_internal.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "io/dataset.h"
#include "io/json_output.h"
#include "saliency/masking.h"
#include "tools/run_program.h"

/* Other languages are told of this structure only. */
_Static_assert(offsetof(psal_error, message) == sizeof(int) && sizeof(psal_error) == sizeof(int) + 1024,
               "psal_error is an int and 1024 bytes");

/* ---- settings ---- */

/* What says which network it is, how its images are prepared and how it runs; */
static const char *const of_network[] = {"weights",    "weights-key",     "ignore-extra", "model",      "variant",
                                         "bn-epsilon", "transform-input", "delta",        "preprocess", "labels",
                                         "threads",    "memory-limit",    "conv",         "processor",  NULL};
/* and, beside it, how it is explained. */
static const char *const settings[] = {"weights",
                                       "weights-key",
                                       "ignore-extra",
                                       "model",
                                       "variant",
                                       "bn-epsilon",
                                       "transform-input",
                                       "delta",
                                       "preprocess",
                                       "labels",
                                       "threads",
                                       "memory-limit",
                                       "conv",
                                       "processor",
                                       "against",
                                       "mode",
                                       "aggregation",
                                       "k-salient",
                                       "boost-factor",
                                       "compare-random",
                                       "noise-iters",
                                       "noise-percent",
                                       "noise-sd",
                                       "seed",
                                       "signed",
                                       "gradient-weight",
                                       "logit",
                                       "logit-difference",
                                       "stats",
                                       "top",
                                       "format",
                                       "width",
                                       "colors",
                                       "image-target-label",
                                       NULL};

static psal_status parse(psal_net_words *w, const psal_program *program, const char *const *allowed, psal_error *err) {
    w->options = psal_options_read(program, (int)w->count, w->words, err);
    if (!w->options) return psal_error_status(err);
    if (psal_options_wants_help(w->options) || psal_options_wants_version(w->options))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--help and --version are no settings");
    if (psal_options_argument_count(w->options) > 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is no setting", psal_options_argument(w->options, 0));
    const char *other = psal_options_given_of(w->options, allowed, false);
    if (other) return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s is %s's own, and no setting", other, program->name);
    psal_status status = PSAL_OK;
    if (psal_options_has(w->options, "project")) status = psal_project_apply(w->options, &w->project, err);
    return status == PSAL_OK ? psal_options_check(w->options, err) : status;
}

psal_status psal_net_words_read(psal_net_words *w, const psal_program *program, const char *const *allowed,
                                const char *const *texts, size_t count, psal_error *err) {
    *w = (psal_net_words){.count = 1};
    w->words = calloc(count + 2, sizeof *w->words);
    if (w->words) w->words[0] = strdup(program->name);
    for (size_t i = 0; i < count && w->words; i++)
        if ((w->words[i + 1] = strdup(texts[i]))) w->count++;
    if (!w->words || !w->words[0] || w->count != count + 1)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu settings", count);
    return parse(w, program, allowed, err);
}

void psal_net_words_free(psal_net_words *w) {
    psal_options_free(w->options);
    psal_project_free(w->project);
    for (size_t i = 0; i < w->count && w->words; i++) free(w->words[i]);
    free(w->words);
    *w = (psal_net_words){0};
}

psal_status psal_net_words_again(const psal_net *net, psal_net_words *w, const char *const *texts, size_t count,
                                 psal_error *err) {
    psal_status status = psal_net_words_read(w, &psal_run_program, settings, texts, count, err);
    if (status != PSAL_OK) return status;
    for (const char *const *name = of_network; *name; name++) {
        const char *const one[] = {*name, NULL};
        char *before = psal_options_repeat(net->words.options, one), *now = psal_options_repeat(w->options, one);
        if (!before || !now)
            status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for settings");
        else if (strcmp(before, now) != 0)
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "--%s is a setting of the network, which is open: open it again with another one",
                               *name);
        free(before);
        free(now);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

/* ---- texts ---- */

char *psal_net_text(json_t *value, psal_error *err) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    psal_status status = out ? psal_json_write(value, out, err) : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    json_decref(value);
    if (out && fclose(out) != 0 && status == PSAL_OK) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK) return text;
    free(text);
    return NULL;
}

void psal_net_free_text(char *text) {
    free(text);
}

const char *psal_net_version(void) {
    return PSAL_VERSION;
}

/* ---- the network ---- */

psal_status psal_net_add_tensor(psal_tensor_map *map, const char *name, const char *type, int dimensions,
                                const int64_t *sizes, const void *numbers, psal_error *err) {
    int dtype = 0;
    while (dtype < PSAL_DTYPE_COUNT && strcmp(psal_dtype_name((psal_dtype)dtype), type) != 0) dtype++;
    if (dimensions < 0 || dimensions > PSAL_MAX_DIMS)
        return psal_fail(err, PSAL_ERR_SHAPE, "%s: %d dimensions, but at most %d are understood", name, dimensions,
                         PSAL_MAX_DIMS);
    const psal_shape shape = psal_shape_make(dimensions, sizes);
    /* Whether a tensor of another type is needed, the network knows. */
    if (dtype == PSAL_DTYPE_COUNT) return psal_tensor_map_add_other(map, name, type, &shape, err);
    return psal_tensor_map_add_view(map, name, (psal_dtype)dtype, &shape, numbers, err);
}

psal_net *psal_net_open(const char *const *words, size_t count, psal_tensor_map *tensors, psal_error *err) {
    psal_net *net = calloc(1, sizeof *net);
    if (!net) {
        psal_tensor_map_free(tensors);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    net->tensors = tensors;
    net->session.given = tensors;
    pthread_mutex_init(&net->notes, NULL);
    psal_status status = psal_net_words_read(&net->words, &psal_run_program, settings, words, count, err);
    if (status == PSAL_OK) status = psal_session_open(&net->session, net->words.options, err);
    if (status == PSAL_OK) return net;
    psal_net_close(net);
    return NULL;
}

void psal_net_close(psal_net *net) {
    if (!net) return;
    psal_session_close(&net->session);
    psal_net_words_free(&net->words);
    psal_tensor_map_free(net->tensors);
    pthread_mutex_destroy(&net->notes);
    free(net);
}

char *psal_net_describe(const psal_net *net, psal_error *err) {
    const psal_session *s = &net->session;
    json_t *o = json_object(), *classes = json_array();
    for (int i = 0; i < s->info->num_classes; i++)
        json_array_append_new(classes, psal_json_string(psal_labels_name(s->labels, i)));
    json_object_set_new(o, "arch", psal_json_string(s->info->arch));
    json_object_set_new(o, "family", psal_json_string(s->info->family));
    json_object_set_new(o, "weights", psal_json_string(s->weights));
    json_object_set_new(o, "fingerprint", psal_json_string(s->computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(o, "preprocess", psal_json_string(s->computation.value[PSAL_FIELD_PREPROCESS]));
    json_object_set_new(o, "channels", json_integer(s->info->channels));
    json_object_set_new(o, "height", json_integer(s->height));
    json_object_set_new(o, "width", json_integer(s->width));
    json_object_set_new(o, "filters", json_integer(s->info->filter_count));
    json_object_set_new(o, "parameters", json_integer(s->info->parameter_elements));
    json_object_set_new(o, "threads", json_integer(s->threads));
    json_object_set_new(o, "classes", classes);
    return psal_net_text(o, err);
}

char *psal_net_notes(psal_net *net, psal_error *err) {
    json_t *list = json_array();
    pthread_mutex_lock(&net->notes);
    const psal_notes *notes = &net->session.notes;
    for (size_t i = 0; i < notes->count; i++) {
        json_t *note = json_array();
        json_array_append_new(note, psal_json_string(notes->lines[i]));
        json_array_append_new(note, json_boolean(notes->warning[i]));
        json_array_append_new(list, note);
    }
    psal_notes_free(&net->session.notes);
    pthread_mutex_unlock(&net->notes);
    return psal_net_text(list, err);
}

psal_status psal_net_class(const psal_net *net, const char *text, int *class_number, psal_error *err) {
    return psal_labels_parse(net->session.labels, text, class_number, err);
}

/* ---- explaining ---- */

static psal_status open_explainer(psal_net_explainer *x, psal_error *err) {
    const psal_options *o = x->words.options;
    const psal_session *session = &x->net->session;
    psal_explain_options options;
    psal_status status = psal_explain_options_read(o, &options, err);
    const char *against = psal_options_string(o, "against");
    if (status == PSAL_OK && against) status = psal_explain_class(session, "against", against, &options.against, err);
    for (size_t i = 0; i < psal_options_count(o, "image-target-label") && status == PSAL_OK; i++) {
        status = psal_explain_class(session, "image-target-label", psal_options_string_at(o, "image-target-label", i),
                                    &options.stands_in, err);
        if (status == PSAL_OK && options.stands_in >= 0)
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "--image-target-label: here only predicted or second, for images without a label");
    }
    if (status != PSAL_OK) return status;
    pthread_mutex_lock(&x->net->notes);
    status = psal_explainer_open(&x->explainer, &x->net->session, o, &options, err);
    pthread_mutex_unlock(&x->net->notes);
    return status;
}

psal_net_explainer *psal_net_explainer_open(psal_net *net, const char *const *words, size_t count, psal_error *err) {
    psal_net_explainer *x = calloc(1, sizeof *x);
    if (!x) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    x->net = net;
    psal_status status = psal_net_words_again(net, &x->words, words, count, err);
    if (status == PSAL_OK) status = open_explainer(x, err);
    if (status == PSAL_OK) return x;
    psal_net_explainer_close(x);
    return NULL;
}

void psal_net_explainer_close(psal_net_explainer *x) {
    if (!x) return;
    psal_explainer_close(&x->explainer);
    psal_net_words_free(&x->words);
    free(x);
}

void psal_net_explainer_rest(psal_net_explainer *x) {
    psal_saliency_worker_free(x->explainer.worker);
    x->explainer.worker = NULL;
}

char *psal_net_explainer_describe(const psal_net_explainer *x, psal_error *err) {
    const psal_saliency *saliency = x->explainer.saliency;
    const psal_profile_layer *layers = psal_saliency_layers(saliency);
    json_t *o = json_object(), *list = json_array();
    for (int i = 0; i < psal_saliency_layer_count(saliency); i++) {
        json_t *layer = json_array();
        json_array_append_new(
            layer, psal_json_string(psal_model_get_parameter(x->net->session.model, layers[i].parameter)->name));
        json_array_append_new(layer, json_integer(layers[i].first));
        json_array_append_new(layer, json_integer(layers[i].count));
        json_array_append_new(list, layer);
    }
    const psal_explain_options *options = &x->explainer.options;
    json_object_set_new(o, "aggregation", psal_json_string(psal_aggregation_name(options->saliency.aggregation)));
    json_object_set_new(o, "mode", psal_json_string(psal_mode_name(options->mode)));
    json_object_set_new(o, "statistics",
                        psal_json_string(x->explainer.statistics ? x->explainer.statistics_path : NULL));
    json_object_set_new(o, "entries", json_integer(psal_saliency_length(saliency)));
    json_object_set_new(o, "layers", list);
    json_object_set_new(o, "settings", psal_computation_json(&x->explainer.computation));
    return psal_net_text(o, err);
}

/* What all three ways of explaining have in common: the room for the result, and the label. */
static psal_net_result *begin(psal_net_explainer *x, const char *name, const char *label, int *class_number,
                              psal_net_progress progress, void *data, psal_error *err) {
    psal_net_result *result = calloc(1, sizeof *result);
    *class_number = PSAL_NO_LABEL;
    if (result) result->path = strdup(name);
    psal_status status = result && result->path ? PSAL_OK
                                                : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a result");
    if (status == PSAL_OK && !x->explainer.worker &&
        !(x->explainer.worker = psal_saliency_worker_new(x->explainer.saliency, err)))
        status = psal_error_status(err);
    if (status == PSAL_OK && label && strcmp(label, "predicted") != 0 &&
        (status = psal_labels_parse(x->net->session.labels, label, class_number, err)) != PSAL_OK)
        psal_fail_prefix(err, "label");
    if (status != PSAL_OK) {
        psal_net_result_free(result);
        return NULL;
    }
    result->explainer = x;
    x->explainer.step = progress;
    x->explainer.step_data = data;
    return result;
}

static psal_net_result *finish(psal_net_result *result, psal_status status) {
    if (status == PSAL_OK) return result;
    psal_net_result_free(result);
    return NULL;
}

psal_net_result *psal_net_explain_file(psal_net_explainer *x, const char *path, const char *label,
                                       psal_net_progress progress, void *data, psal_error *err) {
    int class_number;
    psal_net_result *r = begin(x, path, label, &class_number, progress, data, err);
    if (!r) return NULL;
    psal_image image = PSAL_IMAGE_INIT;
    uint64_t fingerprint = 0;
    psal_dataset *one = psal_dataset_from_images(&path, &class_number, 1, false, err);
    psal_status status = one ? psal_dataset_image_fingerprint(one, 0, &fingerprint, err) : psal_error_status(err);
    const double start = psal_seconds();
    if (status == PSAL_OK) status = psal_dataset_load(one, 0, &image, err);
    const double decoding = psal_seconds() - start;
    if (status == PSAL_OK && x->explainer.statistics) {
        pthread_mutex_lock(&x->net->notes);
        psal_note_own_samples(&x->net->session.notes, x->explainer.statistics_path, x->explainer.statistics, one);
        pthread_mutex_unlock(&x->net->notes);
    }
    if (status == PSAL_OK) status = psal_explain(&x->explainer, r->path, &image, class_number, &r->explanation, err);
    r->explanation.seconds_image += decoding;
    r->explanation.fingerprint = fingerprint;
    psal_image_free(&image);
    psal_dataset_free(one);
    return finish(r, status);
}

psal_net_result *psal_net_explain_pixels(psal_net_explainer *x, const char *name, const uint8_t *pixels, int height,
                                         int width, const char *label, psal_net_progress progress, void *data,
                                         psal_error *err) {
    int class_number;
    psal_net_result *r = begin(x, name, label, &class_number, progress, data, err);
    if (!r) return NULL;
    psal_status status = height > 0 && width > 0
                             ? psal_image_check_size(width, height, PSAL_IMAGE_MAX_PIXELS, err)
                             : psal_fail(err, PSAL_ERR_SHAPE, "an image of %dx%d pixels", width, height);
    const psal_image image = {.width = width, .height = height, .rgb = (uint8_t *)(uintptr_t)pixels}; /* only read */
    if (status == PSAL_OK) status = psal_explain(&x->explainer, r->path, &image, class_number, &r->explanation, err);
    if (status == PSAL_OK)
        r->explanation.fingerprint = psal_bytes_fingerprint(pixels, 3 * (size_t)height * (size_t)width, 0);
    return finish(r, status);
}

psal_net_result *psal_net_explain_input(psal_net_explainer *x, const char *name, const float *numbers, int channels,
                                        int height, int width, const char *label, psal_net_progress progress,
                                        void *data, psal_error *err) {
    int class_number;
    const psal_session *s = &x->net->session;
    psal_net_result *r = begin(x, name, label, &class_number, progress, data, err);
    if (!r) return NULL;
    psal_status status = PSAL_OK;
    if (channels != s->info->channels || height != s->height || width != s->width)
        status = psal_fail(
            err, PSAL_ERR_SHAPE,
            "%s is %dx%dx%d, but the network's input is %dx%dx%d (channels, height, width): prepare it so, "
            "set another preprocess, or give pixels (uint8) to be prepared",
            name, channels, height, width, s->info->channels, s->height, s->width);
    if (status == PSAL_OK)
        status = psal_explain_input(&x->explainer, r->path, numbers, class_number, &r->explanation, err);
    if (status == PSAL_OK)
        r->explanation.fingerprint = psal_bytes_fingerprint(numbers, psal_session_image_size(s) * sizeof *numbers, 0);
    return finish(r, status);
}

void psal_net_result_free(psal_net_result *result) {
    if (!result) return;
    psal_explanation_free(&result->explanation);
    free(result->path);
    free(result);
}

char *psal_net_result_json(const psal_net_result *r, psal_error *err) {
    return psal_net_text(psal_explanation_json(&r->explainer->explainer, &r->explanation, NULL), err);
}

const void *psal_net_result_array(const psal_net_result *r, const char *name, int *dimensions, int64_t sizes[3]) {
    const psal_explanation *e = &r->explanation;
    const psal_session *s = &r->explainer->net->session;
    const int64_t entries = psal_saliency_length(r->explainer->explainer.saliency);
    const struct {
        const char *name;
        const void *values;
        int dimensions;
        int64_t sizes[3];
    } arrays[] = {
        {"input", e->input, 3, {s->info->channels, s->height, s->width}},
        {"gradient", e->maps ? e->gradient : NULL, 3, {s->info->channels, s->height, s->width}},
        {"random_gradient", e->random_maps ? e->random_gradient : NULL, 3, {s->info->channels, s->height, s->width}},
        {"pixels", e->pixels.rgb, 3, {e->pixels.height, e->pixels.width, 3}},
        {"logits", e->logits, 1, {s->info->num_classes}},
        {"naive", e->naive, 1, {entries}},
        {"standardized", e->standardized, 1, {entries}}};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        if (strcmp(arrays[i].name, name) != 0) continue;
        *dimensions = arrays[i].dimensions;
        memcpy(sizes, arrays[i].sizes, sizeof arrays[i].sizes);
        return arrays[i].values;
    }
    return NULL;
}

psal_status psal_net_result_heat(const psal_net_result *r, float *heat, psal_error *err) {
    const psal_session *s = &r->explainer->net->session;
    if (!r->explanation.maps) return psal_fail(err, PSAL_ERR_NUMERIC, "no heat map: %s", r->explanation.no_map);
    return psal_pixel_saliency(r->explanation.gradient, s->info->channels, s->height, s->width, heat, err);
}

psal_status psal_net_result_top(const psal_net_result *r, int64_t k, int64_t *entries, psal_error *err) {
    return psal_explanation_rank(&r->explainer->explainer, &r->explanation, k, entries, err);
}

char *psal_net_result_write(psal_net_result *r, const char *folder, psal_error *err) {
    json_t *files = json_array();
    if (psal_explanation_write(&r->explainer->explainer, &r->explanation, folder, files, err) == PSAL_OK)
        return psal_net_text(files, err);
    json_decref(files);
    return NULL;
}
