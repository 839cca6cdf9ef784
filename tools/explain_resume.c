/* Results of an earlier run over a list of images, which --resume goes on with: are they what this run would make? */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_input.h"
#include "io/json_output.h"
#include "engine/numbers.h"
#include "tools/explain.h"

/* ---- an earlier result ---- */

json_t *psal_explanation_figures_json(const psal_explainer *x) {
    if (!x->options.figures) return json_null();
    const psal_figure_style *style = &x->options.style;
    json_t *o = json_object();
    json_object_set_new(o, "format", psal_json_string(x->options.format));
    json_object_set_new(o, "width", style->width > 0 ? psal_json_double(style->width) : json_null());
    json_object_set_new(o, "colors", psal_json_string(psal_colors_name(style->colors)));
    return o;
}

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
    const char *schema = json_string_value(json_object_get(result, "schema"));
    return schema && strcmp(schema, PSAL_EXPLANATION_SCHEMA) == 0 && json_is_string(json_object_get(result, "image")) &&
           is_class(json_object_get(result, "target")) && is_class(json_object_get(result, "predicted")) &&
           json_is_boolean(json_object_get(result, "labelled")) && (json_is_number(loss) || json_is_null(loss)) &&
           json_is_array(table) &&
           (!top || (json_is_integer(json_object_get(top, "filter")) && json_is_string(json_object_get(top, "layer"))));
}

/* A value in a message, without its end if it is long. */
static void print_value(const json_t *value, char text[80]) {
    char number[PSAL_NUMBER_SIZE], *all = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(text, 80, "%s",
             json_is_real(value) ? psal_format_double(json_real_value(value), number)
             : all               ? all
                                 : "not said");
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

/* Are its classes called as they are here? The names may have been corrected since. */
static psal_status compare_names(const psal_explainer *x, const char *path, const json_t *found, psal_error *err) {
    static const char *const classes[] = {"target", "predicted"};
    psal_status status = PSAL_OK;
    for (size_t i = 0; i < sizeof classes / sizeof *classes && status == PSAL_OK; i++) {
        const json_t *class = json_object_get(found, classes[i]), *there = json_object_get(class, "name");
        json_int_t number = json_integer_value(json_object_get(class, "class"));
        json_t *here = psal_json_string(
            psal_labels_name(x->session->labels, number < 0 || number > INT_MAX ? -1 : (int)number));
        status = psal_json_check(here, err);
        if (status == PSAL_OK && !json_equal(there, here)) {
            char key[40];
            snprintf(key, sizeof key, "the name of class %" JSON_INTEGER_FORMAT, number);
            status = other_run(path, key, there, here, err);
        }
        json_decref(here);
    }
    return status;
}

/* Was it computed as this run computes? */
static psal_status compare_settings(const psal_explainer *x, const char *path, const json_t *found, psal_fields *unsaid,
                                    psal_error *err) {
    /* What they follow from is compared: the weights, the statistics. */
    const psal_fields which = PSAL_FIELDS_RUN &
                              ~(PSAL_FIELD_SET(PSAL_FIELD_ARCH) | PSAL_FIELD_SET(PSAL_FIELD_CLASSES) |
                                PSAL_FIELD_SET(PSAL_FIELD_DATASET) | PSAL_FIELD_SET(PSAL_FIELD_SAMPLES) |
                                PSAL_FIELD_SET(PSAL_FIELD_SAMPLING) | PSAL_FIELD_SET(PSAL_FIELD_NORMALIZED));
    const json_t *settings = json_object_get(found, "settings"), *statistics = json_object_get(settings, "statistics");
    const psal_computation *here = &x->computation;
    psal_computation there;
    psal_status status = psal_computation_from_json(&there, settings, err);
    if (status != PSAL_OK) return psal_fail_prefix(err, "%s", path);
    psal_fields lost = psal_computation_unsaid(&there, here, which, false);
    psal_field differs = psal_computation_difference(&there, here, which);
    for (int f = 0; f < PSAL_FIELD_COUNT && differs == PSAL_FIELD_COUNT; f++)
        if (lost & PSAL_FIELD_SET(f)) differs = (psal_field)f;
    if (differs != PSAL_FIELD_COUNT) {
        json_t *was = psal_computation_field_json(&there, differs), *is = psal_computation_field_json(here, differs);
        status = psal_json_check(was && is ? was : NULL, err);
        if (status == PSAL_OK) status = other_run(path, psal_computation_field_key(differs), was, is, err);
        json_decref(was);
        json_decref(is);
    } else if (json_is_string(statistics) && strcmp(json_string_value(statistics), x->statistics_path) != 0) {
        /* earlier versions knew statistics by their name */
        json_t *is = psal_json_string(x->statistics_path);
        status = other_run(path, "statistics", statistics, is, err);
        json_decref(is);
    }
    *unsaid |= psal_computation_unsaid(&there, here, which, true);
    return status;
}

psal_status psal_explain_finished(const psal_explainer *x, const char *path, const char *image, int label,
                                  json_t **result, psal_fields *unsaid, psal_error *err) {
    *result = NULL;
    json_t *found;
    psal_status status = psal_json_load(path, &found, err);
    if (status == PSAL_ERR_FORMAT) { /* damaged: made again, as what is missing is made */
        *err = (psal_error)PSAL_ERROR_INIT;
        status = PSAL_OK;
    }
    if (status != PSAL_OK) return status;
    json_t *figures = psal_explanation_figures_json(x), *drawn = json_object_get(found, "figures");
    const bool others = json_is_object(figures) && json_is_object(drawn) && !json_equal(figures, drawn);
    json_decref(figures);
    if (!is_whole(found) || others) { /* figures that look otherwise are drawn anew */
        json_decref(found);
        return PSAL_OK;
    }
    json_t *name = psal_json_string(image), *class = label >= 0 ? json_integer(label) : json_null();
    json_t *labelled = json_object_get(found, "labelled"),
           *target = json_object_get(json_object_get(found, "target"), "class");
    status = psal_json_check(name && class ? found : NULL, err);
    if (status == PSAL_OK && !json_equal(json_object_get(found, "image"), name))
        status = other_run(path, "image", json_object_get(found, "image"), name, err);
    else if (status == PSAL_OK &&
             (json_is_true(labelled) != (label >= 0) || (label >= 0 && !json_equal(target, class))))
        status = other_run(path, "label", json_is_true(labelled) ? target : NULL, label >= 0 ? class : NULL, err);
    if (status == PSAL_OK) status = compare_names(x, path, found, err);
    if (status == PSAL_OK) status = compare_settings(x, path, found, unsaid, err);
    json_decref(name);
    json_decref(class);
    if (status == PSAL_OK)
        *result = found;
    else
        json_decref(found);
    return status;
}

psal_status psal_explain_same_image(const json_t *result, const char *path, const psal_dataset *samples, size_t index,
                                    size_t *unsaid, psal_error *err) {
    const char *there = json_string_value(json_object_get(result, "image_fingerprint"));
    uint64_t here;
    char text[17];
    if (!there) {
        ++*unsaid;
        return PSAL_OK;
    }
    psal_status status = psal_dataset_image_fingerprint(samples, index, &here, err);
    if (status != PSAL_OK) return status;
    snprintf(text, sizeof text, "%016" PRIx64, here);
    if (strcmp(text, there) == 0) return PSAL_OK;
    return psal_fail(
        err, PSAL_ERR_ARGUMENT,
        "%s: of another image: %s was replaced since; remove that folder to have it explained anew, or leave "
        "out --resume",
        path, psal_dataset_name(samples, index));
}
