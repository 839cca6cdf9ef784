/* The page's part about kinds: a table of all, each with its mistakes, pairs, charts and filters, the single
 * mistakes, and the guilty filters of all kinds. */
#include <math.h>
#include <stdlib.h>

#include "tools/print.h"
#include "tools/report_page.h"

enum { KIND_PAIRS = 8, BINS = 10 };

static const json_t *kinds_of(const psal_page *page) {
    return json_object_get(json_object_get(page->root, "kinds"), "kinds");
}

static const char *kind_id(psal_page *page, size_t k) {
    return psal_say(page, "kind-%zu", k + 1);
}

static const char *say_pair(psal_page *page, const json_t *pair) {
    return psal_say(page, "%.200s for %.200s (%.0f)", psal_say_class(page, json_object_get(pair, "label")),
                    psal_say_class(page, json_object_get(pair, "predicted")), psal_read_number(pair, "count"));
}

static const char *say_depth(psal_page *page, const json_t *kind) {
    const double depth = psal_read_number(kind, "guilty_depth");
    return isnan(depth) ? "-" : psal_say(page, "%.0f %%", 100 * depth);
}

/* ---- all kinds ---- */

static void write_overview(psal_page *page) {
    const json_t *found = json_object_get(page->root, "kinds"), *kinds = kinds_of(page);
    static const char *const header[] = {"kind",       "mistakes",       "share",    "most often",        "similarity",
                                         "confidence", "guilty filters", "at depth", "best edit corrects"};
    static const bool numbers[] = {false, true, true, false, true, true, true, true, false};
    const double mistakes = psal_read_number(page->root, "mistakes"),
                 silhouette = psal_read_number(found, "silhouette");
    psal_html_report_section(page->html, 2, "kinds", "Kinds of mistakes");
    if (!found) {
        psal_html_report_paragraph(page->html, "There are no mistakes.");
        return;
    }
    psal_html_report_paragraph(
        page->html,
        "Mistakes are of one kind when they depend on the same filters: their profiles, which say how strongly the "
        "loss on an image depends on each filter's weights, are clustered by their correlation.");
    if (json_array_size(kinds) == 0) {
        psal_html_report_paragraph(page->html,
                                   "Here there are no kinds: no three mistakes are alike and unlike the others.");
        return;
    }
    if (!isnan(silhouette))
        psal_html_report_paragraph(
            page->html,
            psal_say(page,
                     "Mean silhouette %.2f: 1 is far apart, near 0 they run into each other, and are a way of "
                     "sorting rather than separate things. %.0f mistake%s left single.",
                     silhouette, psal_read_number(found, "single"),
                     psal_read_number(found, "single") == 1 ? " is" : "s are"));
    psal_html_report_rows_begin(page->html, NULL, header, numbers, 9);
    for (size_t k = 0; k < json_array_size(kinds); k++) {
        const json_t *kind = json_array_get(kinds, k);
        const psal_html_piece row[] = {
            {.text = psal_say(page, "kind %zu", k + 1), .link = kind_id(page, k)},
            {.text = psal_say_number(page, psal_read_number(kind, "size"), 0)},
            {.text = psal_say_percent(page, psal_read_number(kind, "size") / mistakes)},
            {.text = say_pair(page, json_array_get(json_object_get(kind, "pairs"), 0))},
            {.text = psal_say_number(page, psal_read_number(kind, "similarity"), 2)},
            {.text = psal_say_number(page, psal_read_number(json_object_get(kind, "confidence"), "mean"), 2)},
            {.text = psal_say_number(page, psal_read_number(kind, "guilty_count"), 0)},
            {.text = say_depth(page, kind)},
            {.text = psal_say_cost(page, k)}};
        psal_html_report_row(page->html, NULL, row, 9);
    }
    psal_html_report_rows_end(page->html);
    psal_html_report_paragraph(
        page->html,
        "Guilty are filters that are more salient in the kind than in the other mistakes beyond chance (Welch's test, "
        "corrected for the number of filters); 0: none is, as in small kinds. At depth: where the middle one of "
        "them lies, from 0 % (the image) to 100 % (the classes). -: there are none, or it was not measured.");
}

/* ---- one kind ---- */

/* Which of the mistakes shown are the same picture: of this kind, of single ones (NAN). */
static void write_copies(psal_page *page, size_t first, size_t count) {
    const json_t *copies = json_object_get(page->root, "copies"), *shown = json_object_get(page->root, "shown");
    for (size_t c = 0; c < json_array_size(copies); c++) {
        const json_t *samples = json_object_get(json_array_get(copies, c), "samples");
        const char *numbers = "";
        size_t inside = 0;
        for (size_t s = 0; s < json_array_size(samples); s++)
            for (size_t i = first; i < first + count; i++)
                if (json_equal(json_array_get(samples, s), json_object_get(json_array_get(shown, i), "sample"))) {
                    inside++;
                    if (inside <= 20)
                        numbers = psal_say(page, "%s%s%lld", numbers, inside > 1 ? ", " : "",
                                           (long long)json_integer_value(json_array_get(samples, s)));
                }
        if (inside < 2) continue;
        psal_html_report_paragraph(
            page->html, psal_say(page,
                                 "%zu of these are one picture, or nearly (%s%s); %.0f of all its copies have the "
                                 "bytes of another one.",
                                 inside, numbers, inside > 20 ? ", ..." : "",
                                 psal_read_number(json_array_get(copies, c), "exact")));
    }
}

static void write_mistakes(psal_page *page, size_t first, size_t count, double all) {
    const size_t central = count < PSAL_REPORT_CENTRAL ? count : PSAL_REPORT_CENTRAL;
    if (count == 0) return;
    psal_html_report_paragraph(page->html,
                               "Its most central mistakes: true class, what it is taken for and with what "
                               "confidence, its number in the data set, the mistakes that are most like it, and "
                               "the filters that stand out most in it.");
    psal_page_cards(page, first, central);
    if (count == central) return;
    psal_html_report_details_begin(
        page->html, (double)count < all    ? psal_say(page, "%zu more of its %.0f mistakes", count - central, all)
                    : count - central == 1 ? "Its other mistake"
                                           : psal_say(page, "Its other %zu mistakes", count - central));
    psal_page_cards(page, first + central, count - central);
    psal_html_report_details_end(page->html);
}

static void write_pairs(psal_page *page, const json_t *kind) {
    const json_t *pairs = json_object_get(kind, "pairs");
    static const char *const header[] = {"true class", "taken for", "times", "as frequent as among all mistakes"};
    static const bool numbers[] = {false, false, true, true};
    const size_t all = json_array_size(pairs), count = all < KIND_PAIRS ? all : KIND_PAIRS;
    psal_html_report_rows_begin(page->html,
                                count < all ? psal_say(page, "The most frequent of its %zu confused pairs", all)
                                            : "Its confused pairs",
                                header, numbers, 4);
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(pairs, i);
        const psal_html_piece row[] = {{.text = psal_say_class(page, json_object_get(pair, "label"))},
                                       {.text = psal_say_class(page, json_object_get(pair, "predicted"))},
                                       {.text = psal_say_number(page, psal_read_number(pair, "count"), 0)},
                                       {.text = psal_say(page, "%.1f times", psal_read_number(pair, "enrichment"))}};
        psal_html_report_row(page->html, NULL, row, 4);
    }
    psal_html_report_rows_end(page->html);
}

static void draw_confidence(psal_page *page, size_t k, const json_t *kind, const json_t *details) {
    const json_t *bins = json_object_get(details, "confidence_bins"), *confidence = json_object_get(kind, "confidence");
    psal_html_bar bars[BINS];
    if (json_array_size(bins) != BINS || isnan(psal_read_number(confidence, "mean"))) return;
    for (size_t b = 0; b < BINS; b++) {
        const double count = json_number_value(json_array_get(bins, b));
        bars[b] = (psal_html_bar){
            .name = psal_say(page, "%.1f", (double)b / BINS),
            .title = psal_say(page, "%.1f to %.1f: %.0f mistakes", (double)b / BINS, (double)(b + 1) / BINS, count),
            .value = count};
    }
    psal_html_report_columns(page->html, psal_say(page, "How confident the mistakes of kind %zu are", k + 1),
                             psal_say(page, "Confidence: mean %.2f, from %.2f to %.2f",
                                      psal_read_number(confidence, "mean"), psal_read_number(confidence, "least"),
                                      psal_read_number(confidence, "most")),
                             bars, BINS, 0);
}

static void draw_stages(psal_page *page, size_t k, const json_t *details) {
    const json_t *stages = json_object_get(details, "stages");
    const size_t count = json_array_size(stages);
    double any = 0;
    psal_html_bar *bars = calloc(count + 1, sizeof *bars);
    if (!bars) psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for a chart");
    for (size_t i = 0; i < count && bars; i++) {
        const json_t *stage = json_array_get(stages, i);
        const double filters = psal_read_number(stage, "filters"), guilty = psal_read_number(stage, "guilty");
        const char *text = psal_say(page, "%.0f of %.0f", guilty, filters);
        any += guilty;
        bars[i] = (psal_html_bar){.name = psal_read_text(stage, "stage"),
                                  .text = text,
                                  .title = psal_say(page, "%.100s: %s filters are guilty (%.1f %%)",
                                                    psal_read_text(stage, "stage"), text, 100 * guilty / filters),
                                  .value = guilty / filters};
    }
    if (bars && any > 0)
        psal_html_report_bars(page->html, psal_say(page, "How deep the guilty filters of kind %zu lie", k + 1),
                              "Guilty filters in the stages of the network, from the image to the classes", bars, count,
                              0);
    free(bars);
}

static int longest_first(const void *x, const void *y) {
    const double a = ((const psal_html_bar *)x)->value, b = ((const psal_html_bar *)y)->value;
    return (a < b) - (a > b);
}

static void draw_filters(psal_page *page, size_t k, const json_t *kind) {
    const json_t *guilty = json_object_get(kind, "guilty");
    const size_t count = json_array_size(guilty);
    psal_html_bar bars[PSAL_REPORT_FILTERS];
    static const char *const header[] = {"number", "filter", "in the kind", "others", "effect", "t", "p"};
    static const bool numbers[] = {true, false, true, true, true, true, true};
    if (count == 0) {
        psal_html_report_paragraph(page->html,
                                   "Which filters are guilty cannot be told: there are no two other mistakes, or "
                                   "none varies.");
        return;
    }
    for (size_t f = 0; f < count && f < PSAL_REPORT_FILTERS; f++) {
        const json_t *filter = json_array_get(guilty, f);
        const double effect = psal_read_number(filter, "effect");
        bars[f] = (psal_html_bar){
            .name = psal_read_text(filter, "name"),
            .text = psal_say(page, "%.2f", effect),
            .title = psal_say(page, "%.200s: effect %.2f, mean %.2f in the kind and %.2f in other mistakes, p = %.2g",
                              psal_read_text(filter, "name"), effect, psal_read_number(filter, "inside"),
                              psal_read_number(filter, "outside"), psal_read_number(filter, "p")),
            .value = effect};
    }
    const size_t shown = count < PSAL_REPORT_FILTERS ? count : PSAL_REPORT_FILTERS;
    const double guilty_count = psal_read_number(kind, "guilty_count");
    const char *what = "by how many standard deviations they are more salient in this kind than in other mistakes";
    qsort(bars, shown, sizeof *bars, longest_first);
    psal_html_report_bars(
        page->html, psal_say(page, "The guiltiest filters of kind %zu", k + 1),
        guilty_count > 0
            ? psal_say(page, "The guiltiest, by Welch's t, of %.0f guilty filters: %s", guilty_count, what)
            : psal_say(page, "No filter is guilty beyond chance; those that come nearest, by Welch's t: %s", what),
        bars, shown, 0);
    psal_html_report_charts_end(page->html);
    psal_html_report_rows_begin(
        page->html,
        "Mean standardized saliency in the kind and in other mistakes, the effect's size (Cohen's "
        "d), and Welch's test, its p corrected for the number of filters",
        header, numbers, 7);
    for (size_t f = 0; f < count; f++) {
        const json_t *filter = json_array_get(guilty, f);
        const char *entry = psal_say(page, "%.0f", psal_read_number(filter, "entry"));
        const psal_html_piece row[] = {{.text = entry, .link = psal_say(page, "filter-%s", entry)},
                                       {.text = psal_read_text(filter, "name")},
                                       {.text = psal_say_number(page, psal_read_number(filter, "inside"), 2)},
                                       {.text = psal_say_number(page, psal_read_number(filter, "outside"), 2)},
                                       {.text = psal_say_number(page, psal_read_number(filter, "effect"), 2)},
                                       {.text = psal_say_number(page, psal_read_number(filter, "t"), 1)},
                                       {.text = psal_say(page, "%.2g", psal_read_number(filter, "p"))}};
        psal_html_report_row(page->html, NULL, row, 7);
    }
    psal_html_report_rows_end(page->html);
}

static void write_kind(psal_page *page, size_t k, size_t first, size_t shown) {
    const json_t *kind = json_array_get(kinds_of(page), k),
                 *details = json_array_get(json_object_get(page->root, "details"), k),
                 *pair = json_array_get(json_object_get(kind, "pairs"), 0);
    const double size = psal_read_number(kind, "size");
    psal_html_report_section(page->html, 2, kind_id(page, k),
                             psal_say(page, "Kind %zu: %.0f mistakes, %s %s", k + 1, size,
                                      2 * psal_read_number(pair, "count") > size ? "mostly" : "most often",
                                      say_pair(page, pair)));
    write_mistakes(page, first, shown, size);
    write_copies(page, first, shown);
    write_pairs(page, kind);
    psal_html_report_charts_begin(page->html);
    draw_confidence(page, k, kind, details);
    draw_stages(page, k, details);
    draw_filters(page, k, kind);
    if (json_array_size(json_object_get(kind, "guilty")) == 0) psal_html_report_charts_end(page->html);
    psal_page_map(page, k);
    psal_page_cost(page, k);
}

static void write_single(psal_page *page, size_t first, size_t shown) {
    const json_t *found = json_object_get(page->root, "kinds");
    const double single = psal_read_number(found, "single");
    if (!(single > 0)) return;
    psal_html_report_section(page->html, 2, "single", psal_say(page, "Single mistakes: %.0f", single));
    psal_html_report_paragraph(page->html,
                               "They lie nearer to another kind than to their own, or in a group of fewer than three.");
    if (shown > 0) psal_page_cards(page, first, shown);
    write_copies(page, first, shown);
    if ((double)shown < single)
        psal_html_report_paragraph(page->html, psal_say(page, "%.0f are not shown (--pictures); the .json lists all.",
                                                        single - (double)shown));
}

/* ---- the guilty filters of all kinds ---- */

typedef struct guilty_filter {
    const json_t *filter;
    size_t kind;
} guilty_filter;

static int by_entry(const void *x, const void *y) {
    const guilty_filter *p = x, *q = y;
    const double a = psal_read_number(p->filter, "entry"), b = psal_read_number(q->filter, "entry");
    if (a != b) return a < b ? -1 : 1;
    return (p->kind > q->kind) - (p->kind < q->kind);
}

/* Where the page shows what a filter looks for; NULL: nowhere. */
static const char *look_id(psal_page *page, const char *entry) {
    const psal_filter_crops *crops = &page->report->crops;
    for (int64_t i = 0; i < crops->count; i++)
        if (crops->filters[i] == strtoll(entry, NULL, 10)) return psal_say(page, "look-%s", entry);
    return NULL;
}

static void write_filters(psal_page *page) {
    const json_t *kinds = kinds_of(page);
    static const char *const header[] = {"number", "filter", "kind", "effect"};
    static const bool numbers[] = {true, false, false, true};
    const size_t count = json_array_size(kinds);
    guilty_filter *all = calloc(count * PSAL_REPORT_FILTERS + 1, sizeof *all);
    size_t used = 0;
    if (!all) psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for the filters");
    for (size_t k = 0; k < count && all; k++) {
        const json_t *guilty = json_object_get(json_array_get(kinds, k), "guilty");
        for (size_t f = 0; f < json_array_size(guilty) && f < PSAL_REPORT_FILTERS; f++)
            all[used++] = (guilty_filter){json_array_get(guilty, f), k};
    }
    if (used > 0) {
        qsort(all, used, sizeof *all, by_entry);
        psal_html_report_section(page->html, 2, "filters", "The guilty filters of all kinds");
        psal_html_report_rows_begin(page->html, "By their number in the network, from the image to the classes", header,
                                    numbers, 4);
        for (size_t i = 0; i < used; i++) {
            const char *entry = psal_say(page, "%.0f", psal_read_number(all[i].filter, "entry"));
            const bool again = i > 0 &&
                               psal_read_number(all[i].filter, "entry") == psal_read_number(all[i - 1].filter, "entry");
            const psal_html_piece row[] = {
                {.text = entry},
                {.text = psal_read_text(all[i].filter, "name"), .link = look_id(page, entry)},
                {.text = psal_say(page, "kind %zu", all[i].kind + 1), .link = kind_id(page, all[i].kind)},
                {.text = psal_say_number(page, psal_read_number(all[i].filter, "effect"), 2)}};
            psal_html_report_row(page->html, again ? NULL : psal_say(page, "filter-%s", entry), row, 4);
        }
        psal_html_report_rows_end(page->html);
    }
    free(all);
}

/* ---- */

void psal_page_kinds(psal_page *page) {
    const json_t *shown = json_object_get(page->root, "shown");
    const size_t kinds = json_array_size(kinds_of(page)), all = json_array_size(shown);
    size_t first = 0;
    write_overview(page);
    for (size_t k = 0; k <= kinds; k++) {
        size_t count = 0;
        while (first + count < all &&
               (k == kinds || psal_read_number(json_array_get(shown, first + count), "kind") == (double)k + 1))
            count++;
        if (k < kinds)
            write_kind(page, k, first, count);
        else
            write_single(page, first, count);
        first += count;
    }
    write_filters(page);
}
