/* The page: its frame, and the parts that are not about kinds. */
#include "tools/report_page.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"

enum { PAIRS = 15, CLASSES = 20 };

static const char *say_spread(psal_page *page, const json_t *spread) {
    const double mean = psal_read_number(spread, "mean");
    return isnan(mean) ? "-"
                       : psal_say(page, "%.2f (%.2f to %.2f)", mean, psal_read_number(spread, "least"),
                                  psal_read_number(spread, "most"));
}

/* ---- parts ---- */

/* What was computed with what: the record of the store, by the names that messages have for it. */
static void write_header(psal_page *page) {
    const psal_report *r = page->report;
    const psal_computation *c = &r->compared.computation;
    const json_t *root = page->root;
    const char *names[16], *values[16];
    size_t count = 0;
    const struct {
        const char *name, *value;
    } first[] = {{"Network", psal_say(page, "%.100s, %.0f filters, %.0f classes", psal_read_text(root, "arch"),
                                      psal_read_number(root, "filters"), psal_read_number(root, "classes"))},
                 {"Weights", psal_read_text(root, "weights")},
                 {"Fingerprint of the weights", psal_read_text(root, "fingerprint")},
                 {"Data set", psal_read_text(root, "data")},
                 {"Samples",
                  psal_say(page, "%.0f%s", psal_read_number(root, "samples"),
                           psal_read_number(root, "left_out") > 0
                               ? psal_say(page, " and %.0f that could not be read", psal_read_number(root, "left_out"))
                               : "")},
                 {"Preprocessing", c->value[PSAL_FIELD_PREPROCESS]},
                 {"psal", psal_read_text(root, "version")}};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        if (!*first[i].value) continue;
        names[count] = first[i].name;
        values[count++] = first[i].value;
    }
    psal_html_report_section(page->html, 2, "network", "Network and data");
    psal_html_report_facts(page->html, names, values, count);
    psal_page_settings(page, c);
}

static void write_confused(psal_page *page) {
    const json_t *confused = json_object_get(page->root, "confused");
    const size_t all = json_array_size(confused), count = all < PAIRS ? all : PAIRS;
    static const char *const header[] = {"true class", "taken for", "times"};
    static const bool numbers[] = {false, false, true};
    if (count == 0) return;
    psal_html_report_rows_begin(
        page->html, count < all ? psal_say(page, "The most frequent of %zu confused pairs", all) : "All confused pairs",
        header, numbers, 3);
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(confused, i);
        const psal_html_piece row[] = {{.text = psal_say_class(page, json_object_get(pair, "label"))},
                                       {.text = psal_say_class(page, json_object_get(pair, "predicted"))},
                                       {.text = psal_say_number(page, psal_read_number(pair, "count"), 0)}};
        psal_html_report_row(page->html, NULL, row, 3);
    }
    psal_html_report_rows_end(page->html);
}

static int more_mistakes_first(const void *x, const void *y) {
    const json_t *p = *(json_t *const *)x, *q = *(json_t *const *)y;
    const double a = psal_read_number(p, "samples") - psal_read_number(p, "correct"),
                 b = psal_read_number(q, "samples") - psal_read_number(q, "correct");
    if (a != b) return a < b ? 1 : -1;
    return (psal_read_number(json_object_get(p, "label"), "index") >
            psal_read_number(json_object_get(q, "label"), "index"))
               ? 1
               : -1;
}

static void write_classes(psal_page *page) {
    const json_t *classes = json_object_get(page->root, "by_class");
    const size_t all = json_array_size(classes), count = all < CLASSES ? all : CLASSES;
    static const char *const header[] = {"class", "samples", "right", "accuracy"};
    static const bool numbers[] = {false, true, true, true};
    json_t **sorted = malloc((all + 1) * sizeof *sorted);
    if (!sorted) {
        psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for %zu classes", all);
        return;
    }
    for (size_t i = 0; i < all; i++) sorted[i] = json_array_get(classes, i);
    qsort(sorted, all, sizeof *sorted, more_mistakes_first);
    psal_html_report_rows_begin(page->html,
                                count < all ? psal_say(page, "The classes with most mistakes, of %zu", all)
                                            : "The classes, those with most mistakes first",
                                header, numbers, 4);
    for (size_t i = 0; i < count; i++) {
        const double samples = psal_read_number(sorted[i], "samples"), right = psal_read_number(sorted[i], "correct");
        const psal_html_piece row[] = {{.text = psal_say_class(page, json_object_get(sorted[i], "label"))},
                                       {.text = psal_say_number(page, samples, 0)},
                                       {.text = psal_say_number(page, right, 0)},
                                       {.text = psal_say_percent(page, right / samples)}};
        psal_html_report_row(page->html, NULL, row, 4);
    }
    psal_html_report_rows_end(page->html);
    free(sorted);
}

static void write_accuracy(psal_page *page) {
    const json_t *root = page->root;
    const double samples = psal_read_number(root, "samples"), right = psal_read_number(root, "correct");
    psal_html_report_section(page->html, 2, "accuracy", "How often it is right");
    const char *const names[] = {"Right", "Wrong", "Confidence where it is right", "Confidence where it is wrong"};
    const char *const values[] = {psal_say(page, "%.0f of %.0f (%.1f %%)", right, samples, 100 * right / samples),
                                  psal_say(page, "%.0f (%.1f %%)", psal_read_number(root, "mistakes"),
                                           100 * psal_read_number(root, "mistakes") / samples),
                                  say_spread(page, json_object_get(root, "confidence_right")),
                                  say_spread(page, json_object_get(root, "confidence_wrong"))};
    psal_html_report_facts(page->html, names, values, 4);
    psal_html_report_charts_begin(page->html);
    write_confused(page);
    write_classes(page);
    psal_html_report_charts_end(page->html);
}

/* ---- */

static int by_name(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Whether two of the mistakes that are shown have files of the same name. */
static psal_status find_names(psal_page *page, psal_error *err) {
    const json_t *shown = json_object_get(page->root, "shown");
    const size_t count = json_array_size(shown);
    const char **names = calloc(count + 1, sizeof *names);
    if (!names) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the page");
    for (size_t i = 0; i < count; i++) {
        const int64_t sample = (int64_t)psal_read_number(json_array_get(shown, i), "sample");
        names[i] = psal_say_file(page->report->compared.store.records[sample].path);
    }
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 1; i < count && !page->names_repeat; i++) page->names_repeat = strcmp(names[i - 1], names[i]) == 0;
    free(names);
    return PSAL_OK;
}

/* What links can lead to. */
static psal_status find_shown(psal_page *page, psal_error *err) {
    const json_t *shown = json_object_get(page->root, "shown");
    page->is_shown = calloc((size_t)page->report->compared.store.samples + 1, sizeof *page->is_shown);
    page->is_guilty = calloc((size_t)page->report->compared.store.length + 1, sizeof *page->is_guilty);
    if (!page->is_shown || !page->is_guilty) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the page");
    for (size_t i = 0; i < json_array_size(shown); i++)
        page->is_shown[(int64_t)psal_read_number(json_array_get(shown, i), "sample")] = true;
    const json_t *kinds = json_object_get(json_object_get(page->root, "kinds"), "kinds");
    for (size_t k = 0; k < json_array_size(kinds); k++) {
        const json_t *guilty = json_object_get(json_array_get(kinds, k), "guilty");
        for (size_t f = 0; f < json_array_size(guilty) && f < PSAL_REPORT_FILTERS; f++)
            page->is_guilty[(int64_t)psal_read_number(json_array_get(guilty, f), "entry")] = true;
    }
    return PSAL_OK;
}

psal_status psal_report_write_page(psal_report *r, psal_error *err) {
    psal_page page = {.report = r, .root = r->root, .failure = PSAL_ERROR_INIT};
    psal_status status = find_shown(&page, err);
    if (status == PSAL_OK) status = find_names(&page, err);
    if (status == PSAL_OK) {
        psal_report_stage(r, "the page");
        page.html = psal_html_report_begin(psal_say(&page, "Mistakes of %.100s", psal_read_text(r->root, "arch")), err);
        if (!page.html) status = psal_error_status(err);
    }
    if (status == PSAL_OK) {
        psal_page_findings(&page);
        psal_html_report_contents(page.html);
        write_header(&page);
        write_accuracy(&page);
        psal_page_kinds(&page);
        psal_page_look(&page);
        psal_page_checks(&page);
        psal_page_commands(&page);
        psal_page_notes(&page);
        status = psal_page_end(&page, r->page, err);
    }
    psal_page_free(&page);
    free(page.is_shown);
    free(page.is_guilty);
    return status;
}
