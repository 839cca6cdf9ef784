/* The page's parts about what was measured: what correcting a kind costs, and the checks. */
#include <math.h>
#include <string.h>

#include "tools/print.h"
#include "tools/report_page.h"

/* ---- costs ---- */

static const json_t *cost_of(const psal_page *page, size_t k) {
    return json_array_get(json_object_get(page->root, "costs"), k);
}

const char *psal_say_cost(psal_page *page, size_t k) {
    const json_t *cost = cost_of(page, k), *row = psal_report_best_row(cost, "salient");
    if (!row) return json_is_object(json_object_get(cost, "results")) ? "no edit helps" : "-";
    const double count = psal_read_number(row, "k");
    return psal_say(page, "%.0f filter%s: %.1f %%, breaks %.1f %%", count, count == 1 ? "" : "s",
                    100 * psal_read_number(row, "held_out_corrected"), 100 * psal_read_number(row, "right_broken"));
}

void psal_page_cost(psal_page *page, size_t k) {
    const json_t *cost = cost_of(page, k), *results = json_object_get(cost, "results");
    const json_t *rows = json_object_get(results, "rows"), *best = psal_report_best_row(cost, "salient");
    static const char *const header[] = {"filters",          "chosen",       "central corrected",
                                         "others corrected", "right broken", "noisy broken",
                                         "blurred broken",   "paler broken", "change of weights"};
    static const bool numbers[] = {true, false, true, true, true, true, true, true, true};
    static const char *const columns[] = {"group_corrected", "held_out_corrected", "right_broken",
                                          "noise_broken",    "blur_broken",        "contrast_broken"};
    if (!rows) return;
    const size_t central = json_array_size(json_object_get(results, "group")),
                 others = json_array_size(json_object_get(results, "held_out"));
    psal_html_report_section(page->html, 3, psal_say(page, "cost-%zu", k + 1),
                             psal_say(page, "What correcting kind %zu costs", k + 1));
    psal_html_report_paragraph(
        page->html,
        psal_say(page,
                 "One step down the mean gradient of its %zu most central mistake%s, on the filters most salient "
                 "there, and on random ones to compare. It is tried on %zu other mistake%s of the kind, and on %.0f "
                 "sample%s right: unchanged, with noise, blurred, and with less contrast.",
                 central, psal_plural((long long)central), others, psal_plural((long long)others),
                 psal_read_number(results, "right_samples"),
                 psal_read_number(results, "right_samples") == 1 ? " that is" : "s that are"));
    if (best)
        psal_html_report_paragraph(
            page->html,
            psal_say(
                page,
                "The edit that corrects most beyond what it breaks: %.0f filter%s. It corrects %s of the other "
                "mistakes of the kind "
                "(as many random filters: %s), and breaks %s of the samples that are right (%s).",
                psal_read_number(best, "k"), psal_read_number(best, "k") == 1 ? "" : "s",
                psal_say_percent(page, psal_read_number(best, "held_out_corrected")),
                psal_say_percent(page, psal_read_number(psal_report_best_row(cost, "random"), "held_out_corrected")),
                psal_say_percent(page, psal_read_number(best, "right_broken")),
                psal_say_percent(page, psal_read_number(psal_report_best_row(cost, "random"), "right_broken"))));
    else
        psal_html_report_paragraph(
            page->html, "No edit of its most salient filters helps: none that was tried corrects a larger share of the "
                        "other mistakes of the kind than it breaks of the samples that are right.");
    psal_html_report_rows_begin(page->html, NULL, header, numbers, 9);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        psal_html_piece cells[9] = {{.text = psal_say_number(page, psal_read_number(row, "k"), 0)},
                                    {.text = psal_read_text(row, "choice")}};
        for (int c = 0; c < 6; c++) cells[2 + c].text = psal_say_percent(page, psal_read_number(row, columns[c]));
        cells[8].text = psal_say(page, "%.2g", psal_read_number(row, "relative_change"));
        psal_html_report_row(page->html, NULL, cells, 9);
    }
    psal_html_report_rows_end(page->html);
    psal_html_report_paragraph(page->html, "This repeats the measurement:");
    psal_html_report_command(page->html, psal_read_text(cost, "command"));
    if (!best) return;
    psal_html_report_paragraph(page->html, "This makes that edit alone and saves the corrected checkpoint:");
    psal_html_report_command(page->html, psal_read_text(cost, "save"));
}

/* ---- checks ---- */

static void write_verdict(psal_page *page, const json_t *results, const char *title) {
    const json_t *verdict = json_object_get(results, "verdict");
    const char *lines[8];
    size_t count = 0;
    for (; count < json_array_size(verdict) && count < 8; count++)
        lines[count] = json_string_value(json_array_get(verdict, count));
    psal_html_report_paragraph(page->html, psal_say(page, "%s, on %.0f of the most central mistakes:", title,
                                                    psal_read_number(results, "mistakes")));
    psal_html_report_list(page->html, lines, count);
}

static const char *say_interval(psal_page *page, const json_t *interval, int decimals) {
    const double mean = psal_read_number(interval, "mean"), low = psal_read_number(interval, "low");
    if (isnan(mean)) return "-";
    return isnan(low) ? psal_say_number(page, mean, decimals)
                      : psal_say(page, "%.*f (%.*f to %.*f)", decimals, mean, decimals, low, decimals,
                                 psal_read_number(interval, "high"));
}

static void write_ablation(psal_page *page, const json_t *results) {
    const json_t *rows = json_object_get(results, "rows");
    static const char *const header[] = {"ranking", "change of", "Spearman's correlation"};
    static const bool numbers[] = {false, false, true};
    write_verdict(page, results, "Do rankings of the filters tell what happens without a filter");
    psal_html_report_details_begin(page->html, "All rankings");
    psal_html_report_rows_begin(page->html,
                                psal_say(page, "%.0f filters of each mistake, switched off one at a time",
                                         psal_read_number(results, "filters")),
                                header, numbers, 3);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const psal_html_piece cells[] = {{.text = psal_read_text(row, "ranking")},
                                         {.text = psal_read_text(row, "effect")},
                                         {.text = say_interval(page, json_object_get(row, "spearman"), 2)}};
        psal_html_report_row(page->html, NULL, cells, 3);
    }
    psal_html_report_rows_end(page->html);
    psal_html_report_details_end(page->html);
}

static void write_masking(psal_page *page, const json_t *results) {
    const json_t *rows = json_object_get(results, "rows");
    static const char *const header[] = {"pixels hidden", "which", "saliency of the top filters", "now right"};
    static const bool numbers[] = {true, false, true, true};
    write_verdict(page, results, "Do the pixels that a heat map marks drive the top filters");
    psal_html_report_rows_begin(page->html, NULL, header, numbers, 4);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const bool nothing = psal_read_number(row, "percent") == 0;
        if (nothing && i > 0) continue; /* the same for all pixels */
        const psal_html_piece cells[] = {
            {.text = psal_say(page, "%.0f %%", psal_read_number(row, "percent"))},
            {.text = nothing ? "none" : psal_read_text(row, "pixels")},
            {.text = say_interval(page, json_object_get(row, "saliency"), 2)},
            {.text = psal_say_percent(page, psal_read_number(json_object_get(row, "now_right"), "mean"))}};
        psal_html_report_row(page->html, NULL, cells, 4);
    }
    psal_html_report_rows_end(page->html);
}

void psal_page_checks(psal_page *page) {
    const json_t *checks = json_object_get(page->root, "checks");
    const json_t *ablate = json_object_get(checks, "ablate"), *mask = json_object_get(checks, "mask");
    if (!ablate && !mask) return;
    psal_html_report_section(page->html, 2, "trust", "How far to trust this page");
    psal_html_report_paragraph(page->html, psal_read_text(page->root, "trust"));
    if (ablate) write_ablation(page, ablate);
    if (mask) write_masking(page, mask);
}
