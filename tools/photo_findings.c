/* What came out of one photo, in sentences: read from the results, as the page is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/json_output.h"
#include "tools/photo.h"
#include "tools/print.h"
#include "tools/report_read.h"

enum { SENTENCE = 700 };

/* What psal-run says of it. */
static const json_t *photo_of(const psal_photo *p) {
    return json_object_get(p->root, "photo");
}

static void add(json_t *list, const char *text) {
    json_array_append_new(list, psal_json_string(text));
}

static void say_answer(const psal_photo *p, json_t *list) {
    char text[SENTENCE];
    const json_t *target = json_object_get(photo_of(p), "target"),
                 *predicted = json_object_get(photo_of(p), "predicted");
    const char *arch = psal_read_text(p->root, "arch"), *name = psal_read_text(predicted, "name");
    const double confidence = psal_read_number(predicted, "confidence");
    if (!p->e->labelled)
        psal_snprintf(text, sizeof text,
                      "%.100s takes it for %.150s (confidence %.3f). No label was given: explained is what %.150s "
                      "depends on.",
                      arch, name, confidence, psal_read_text(target, "name"));
    else if (p->e->label == p->e->predicted)
        psal_snprintf(text, sizeof text, "%.100s is right: %.150s (confidence %.3f).", arch, name, confidence);
    else
        psal_snprintf(text, sizeof text, "%.100s takes %.150s (confidence %.3f) for %.150s (confidence %.3f).", arch,
                      psal_read_text(target, "name"), psal_read_number(target, "confidence"), name, confidence);
    add(list, text);
}

/* The stage that holds most of the top filters. */
static const char *deepest_stage(const json_t *layers, double *most) {
    const char *stage = "";
    double here = 0;
    *most = 0;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const bool same = i > 0 && strcmp(psal_read_text(json_array_get(layers, i - 1), "stage"),
                                          psal_read_text(layer, "stage")) == 0;
        here = (same ? here : 0) + psal_read_number(layer, "top");
        if (here <= *most) continue;
        *most = here;
        stage = psal_read_text(layer, "stage");
    }
    return stage;
}

static void say_filters(const psal_photo *p, json_t *list) {
    char text[SENTENCE];
    const json_t *top = json_object_get(photo_of(p), "top_filters"), *first = json_array_get(top, 0);
    const size_t all = json_array_size(top), count = all < PSAL_PHOTO_FILTERS ? all : PSAL_PHOTO_FILTERS;
    double most;
    const char *stage = deepest_stage(json_object_get(p->root, "layers"), &most);
    if (count == 0) {
        add(list, "No filter is ranked.");
        return;
    }
    psal_snprintf(text, sizeof text,
                  "%.0f of its %zu most salient filter%s in %.100s; the first is %.150s, filter %.0f (%.100s %.2f)%s",
                  most, count,
                  count == 1  ? " lies"
                  : most == 1 ? "s lies"
                              : "s lie",
                  stage, psal_read_text(first, "layer"), psal_read_number(first, "filter_in_layer"),
                  psal_read_text(p->root, "quantity"), psal_read_number(first, "saliency"),
                  json_is_true(json_object_get(photo_of(p), "noise")) ||
                          json_is_true(json_object_get(photo_of(p), "below_average"))
                      ? ": its gradients are smaller than those of most images, so that the profile is mostly noise."
                      : ".");
    add(list, text);
}

static void say_map(const psal_photo *p, json_t *list) {
    char text[SENTENCE], words[200];
    if (p->e->maps == 0) {
        psal_snprintf(text, sizeof text, "There is no heat map: %s.", p->e->no_map);
        add(list, text);
        return;
    }
    if (p->e->random_maps == 0) return;
    psal_agreement_text(p->e->agreement, "filters", words);
    psal_snprintf(text, sizeof text, "Beside the heat map of as many random filters, %s.", words);
    add(list, text);
}

static const json_t *row_of(const json_t *rows, const char *choice, double k) {
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(psal_read_text(row, "choice"), choice) == 0 && psal_read_number(row, "k") == k) return row;
    }
    return NULL;
}

/* The number of top filters without which the wrong class loses most; of a right image, the true one. */
static void say_off(const psal_photo *p, json_t *list) {
    char text[SENTENCE];
    const json_t *rows = json_object_get(json_object_get(p->root, "switched_off"), "rows"), *best = NULL;
    const bool right = p->e->label == p->e->predicted;
    const char *change = right ? "true_confidence" : "wrong_confidence";
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(psal_read_text(row, "choice"), "salient") != 0) continue;
        const double correct = psal_read_number(row, "now_right"), known = psal_read_number(best, "now_right");
        if (!best || (!right && correct > known) ||
            ((right || correct == known) && psal_read_number(row, change) < psal_read_number(best, change)))
            best = row;
    }
    if (!best) return;
    const double k = psal_read_number(best, "k");
    const json_t *random = row_of(rows, "random", k);
    char which[64];
    if (k == 1)
        snprintf(which, sizeof which, "the most salient one");
    else
        snprintf(which, sizeof which, "the %.0f most salient ones", k);
    const bool now_right = psal_read_number(best, "now_right") > 0;
    psal_snprintf(text, sizeof text,
                  "Switching %s off changes the confidence of the %s class by %+.3f%s; as many random filters change "
                  "it by %+.3f.",
                  which, right ? "true" : "wrong", psal_read_number(best, change),
                  right == now_right ? ""
                  : right            ? ", and it is no longer right"
                                     : ", and it becomes right",
                  psal_read_number(random, change));
    add(list, text);
}

void psal_photo_conclude(psal_photo *p) {
    json_t *list = json_array();
    say_answer(p, list);
    say_filters(p, list);
    say_map(p, list);
    say_off(p, list);
    json_object_set_new(p->root, "findings", list);
}
