/* Results of an earlier run over a list of images, which --resume goes on with: are they what this run would make? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/json_output.h"
#include "tools/explain.h"

json_t *psal_explain_settings(const psal_explainer *x, const char *mode, const char *conv) {
    const psal_explain_options *o = &x->options;
    char fingerprint[32], preprocess[256];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_model_fingerprint(x->session->model));
    psal_preprocess_format(&x->session->preprocess, preprocess, sizeof preprocess);
    json_t *s = json_object();
    json_object_set_new(s, "fingerprint", psal_json_string(fingerprint));
    json_object_set_new(s, "preprocess", psal_json_string(preprocess));
    json_object_set_new(s, "mode", psal_json_string(mode));
    json_object_set_new(s, "statistics", psal_json_string(x->statistics ? x->statistics_path : NULL));
    json_object_set_new(s, "aggregation", psal_json_string(psal_aggregation_name(o->saliency.aggregation)));
    json_object_set_new(s, "loss", psal_json_string(psal_loss_name(o->saliency.loss)));
    json_object_set_new(s, "signed", json_boolean(o->saliency.is_signed));
    json_object_set_new(s, "conv", psal_json_string(conv));
    json_object_set_new(s, "k_salient", json_integer(o->k));
    json_object_set_new(s, "boost_factor", psal_json_double(o->boost));
    json_object_set_new(s, "noise_iters", json_integer(o->noise_iters));
    json_object_set_new(s, "noise_percent", psal_json_double(o->noise_percent));
    json_object_set_new(s, "seed", json_integer((json_int_t)o->seed));
    json_object_set_new(s, "compare_random", json_boolean(o->compare_random));
    json_object_set_new(s, "top", json_integer(o->top));
    return s;
}

/* ---- an earlier result ---- */

static bool is_class(const json_t *object) {
    const json_t *name = json_object_get(object, "name");
    return json_is_integer(json_object_get(object, "class")) && (json_is_string(name) || json_is_null(name)) &&
           json_is_number(json_object_get(object, "confidence"));
}

/* Has it all that a summary takes from it? */
static bool is_whole(const json_t *result) {
    const json_t *table = json_object_get(result, "top_filters"),
                 *top = json_array_get(table, 0); /* NULL with --top 0 */
    const json_t *loss = json_object_get(result, "loss");
    return json_is_string(json_object_get(result, "image")) && is_class(json_object_get(result, "target")) &&
           is_class(json_object_get(result, "predicted")) && json_is_boolean(json_object_get(result, "labelled")) &&
           (json_is_number(loss) || json_is_null(loss)) && json_is_array(table) &&
           (!top || (json_is_integer(json_object_get(top, "filter")) && json_is_string(json_object_get(top, "layer"))));
}

/* A value in a message, without its end if it is long. */
static void print_value(const json_t *value, char text[80]) {
    char *all = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(text, 80, "%s", all ? all : "not said");
    free(all);
}

static psal_status other_run(const char *path, const char *key, const json_t *there, const json_t *here,
                             psal_error *err) {
    char was[80], is[80];
    print_value(there, was);
    print_value(here, is);
    return psal_fail(
        err, PSAL_ERR_ARGUMENT,
        "%s: of another run: %s is %s there and %s here; finish that run as it was begun, or leave out --resume", path,
        key, was, is);
}

psal_status psal_explain_finished(const char *path, const char *image, int label, json_t *settings, json_t **result,
                                  psal_error *err) {
    *result = NULL;
    json_t *found = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    psal_status status = PSAL_OK;
    if (!is_whole(found)) { /* there is none, or it is damaged: made again */
        json_decref(found);
        return PSAL_OK;
    }
    json_t *name = psal_json_string(image), *class = label >= 0 ? json_integer(label) : json_null();
    json_t *labelled = json_object_get(found, "labelled"),
           *target = json_object_get(json_object_get(found, "target"), "class");
    json_t *there = json_object_get(found, "settings"), *here;
    const char *key;
    if (!json_equal(json_object_get(found, "image"), name))
        status = other_run(path, "image", json_object_get(found, "image"), name, err);
    else if (json_is_true(labelled) != (label >= 0) || (label >= 0 && !json_equal(target, class)))
        status = other_run(path, "label", json_is_true(labelled) ? target : NULL, label >= 0 ? class : NULL, err);
    json_object_foreach(settings, key, here) {
        if (status == PSAL_OK && !json_equal(json_object_get(there, key), here))
            status = other_run(path, key, json_object_get(there, key), here, err);
    }
    json_decref(name);
    json_decref(class);
    if (status == PSAL_OK)
        *result = found;
    else
        json_decref(found);
    return status;
}
