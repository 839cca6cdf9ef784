/* What came out, in sentences: read from the results, as the page is. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/json_output.h"
#include "tools/print.h"
#include "tools/report.h"
#include "tools/report_read.h"

enum { SENTENCE = 700 };

static void add_sentence(json_t *list, const char *text) {
    json_array_append_new(list, psal_json_string(text));
}

static void say_accuracy(const psal_report *r, json_t *list) {
    char text[SENTENCE];
    const json_t *worst = json_array_get(json_object_get(r->root, "confused"), 0);
    const char *arch = psal_read_text(r->root, "arch");
    if (r->counts.mistakes == 0) {
        psal_snprintf(text, sizeof text,
                      "%.100s makes no mistake on %" PRId64 " sample%s: there are no kinds of mistakes to be told.",
                      arch, r->counts.samples, psal_plural(r->counts.samples));
        add_sentence(list, text);
        return;
    }
    psal_snprintf(
        text, sizeof text,
        "%.100s is wrong on %" PRId64 " of %" PRId64 " samples (%.1f %%); most often it takes %.100s for %.100s "
        "(%.0f time%s).",
        arch, r->counts.mistakes, r->counts.samples, 100 * (double)r->counts.mistakes / (double)r->counts.samples,
        psal_read_text(json_object_get(worst, "label"), "name"),
        psal_read_text(json_object_get(worst, "predicted"), "name"), psal_read_number(worst, "count"),
        psal_read_number(worst, "count") == 1 ? "" : "s");
    add_sentence(list, text);
    const double n = (double)r->counts.samples, p = r->counts.by_chance;
    if (p < 1 && (double)r->counts.correct <= n * p + 2 * sqrt(n * p * (1 - p)))
        add_sentence(
            list,
            "Its predictions agree with the labels as rarely as by chance: if labels, preprocessing and network do "
            "not belong together (psal-init tries), nothing on this page means anything.");
}

static void say_kinds(const psal_report *r, json_t *list) {
    char text[SENTENCE];
    const json_t *found = json_object_get(r->root, "kinds"), *kinds = json_object_get(found, "kinds");
    const size_t count = json_array_size(kinds);
    const json_t *first = json_array_get(kinds, 0), *pair = json_array_get(json_object_get(first, "pairs"), 0);
    if (count == 0) {
        if (found) add_sentence(list, "Its mistakes fall into no kinds: no three are alike and unlike the others.");
        return;
    }
    const double silhouette = psal_read_number(found, "silhouette");
    psal_snprintf(
        text, sizeof text,
        "Its mistakes fall into %zu kind%s, and %.0f %s single; the largest has %.0f mistakes, of which %.0f %s "
        "%.80s taken for %.80s%s.",
        count, count == 1 ? "" : "s", psal_read_number(found, "single"),
        psal_read_number(found, "single") == 1 ? "is" : "are", psal_read_number(first, "size"),
        psal_read_number(pair, "count"), psal_read_number(pair, "count") == 1 ? "is" : "are",
        psal_read_text(json_object_get(pair, "label"), "name"),
        psal_read_text(json_object_get(pair, "predicted"), "name"),
        isnan(silhouette)  ? ""
        : silhouette < 0.1 ? " (the kinds run into each other: they sort the mistakes, but do not separate them)"
                           : "");
    add_sentence(list, text);
}

/* The guilty filter of the largest effect. */
static void say_filter(const psal_report *r, json_t *list) {
    char text[SENTENCE];
    const json_t *kinds = json_object_get(json_object_get(r->root, "kinds"), "kinds"), *best = NULL;
    double effect = -INFINITY;
    int of = 0;
    for (size_t k = 0; k < json_array_size(kinds); k++) {
        const json_t *guilty = json_object_get(json_array_get(kinds, k), "guilty");
        for (size_t f = 0; f < json_array_size(guilty); f++) {
            const json_t *filter = json_array_get(guilty, f);
            if (!(psal_read_number(filter, "effect") > effect) ||
                !(psal_read_number(filter, "p") < PSAL_KIND_FILTERS_LEVEL))
                continue;
            effect = psal_read_number(filter, "effect");
            best = filter;
            of = (int)k + 1;
        }
    }
    if (!best) return;
    psal_snprintf(
        text, sizeof text,
        "%.200s stands out most: in the mistakes of kind %d it is %.1f standard deviations more salient than in the "
        "others.",
        psal_read_text(best, "name"), of, effect);
    add_sentence(list, text);
}

static double corrected(const json_t *row) {
    return row ? psal_read_number(row, "held_out_corrected") : 0;
}

/* The share of the right samples that break; 0 where it was not measured. */
static double broken(const json_t *row) {
    const double share = row ? psal_read_number(row, "right_broken") : 0;
    return isnan(share) ? 0 : share;
}

/* The kind of which the salient filters correct most beyond what random ones do and beyond what they break; whether
 * any was tried. */
static bool say_cost(const psal_report *r, json_t *list) {
    char text[SENTENCE];
    const json_t *costs = json_object_get(r->root, "costs"), *cost = NULL, *best = NULL, *random = NULL;
    double most = -INFINITY;
    bool tried = false;
    for (size_t i = 0; i < json_array_size(costs); i++) {
        const json_t *other = json_array_get(costs, i), *row = psal_report_best_row(other, "salient");
        const double gain = corrected(row) - corrected(psal_report_best_row(other, "random")) - broken(row);
        if (!row || gain <= most) continue;
        most = gain;
        cost = other;
        best = row;
        random = psal_report_best_row(other, "random");
    }
    if (!best) {
        for (size_t i = 0; i < json_array_size(costs); i++)
            tried |= json_is_object(json_object_get(json_array_get(costs, i), "results"));
        if (tried)
            add_sentence(list,
                         "No edit that was tried helps: of no kind does a change of its most salient filters correct a "
                         "larger share of the other mistakes than it breaks of the samples that are right.");
        return tried;
    }
    const json_t *results = json_object_get(cost, "results");
    const double k = psal_read_number(best, "k");
    psal_snprintf(
        text, sizeof text,
        "%s of kind %.0f: a change of its %.0f most salient filter%s, from its central mistakes, corrects %.0f %% of "
        "%zu other mistake%s of the kind, random filters %.0f %%",
        corrected(best) > corrected(random)
            ? "Correcting works best for the mistakes"
            : "No edit that was tried corrects more than as many random filters do. The best is for those",
        psal_read_number(cost, "kind"), k, k == 1 ? "" : "s", 100 * corrected(best),
        json_array_size(json_object_get(results, "held_out")),
        psal_plural((long long)json_array_size(json_object_get(results, "held_out"))), 100 * corrected(random));
    const size_t used = strlen(text);
    if (isnan(psal_read_number(best, "right_broken")))
        psal_snprintf(text + used, sizeof text - used, ".");
    else
        psal_snprintf(text + used, sizeof text - used, "; it breaks %.0f %% of %.0f sample%s right.",
                      100 * broken(best), psal_read_number(results, "right_samples"),
                      psal_read_number(results, "right_samples") == 1 ? " that is" : "s that are");
    add_sentence(list, text);
    return true;
}

psal_status psal_report_conclude(psal_report *r, psal_error *err) {
    json_t *list = json_array();
    if (!list) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the findings");
    say_accuracy(r, list);
    say_kinds(r, list);
    if (!say_cost(r, list)) say_filter(r, list);
    json_object_set_new(r->root, "findings", list);
    return PSAL_OK;
}
