/* The page's part about what filters look for: crops of images where they answer most, and least. */
#include "tools/report_page.h"

enum { LONGEST = 96 };

static void write_crop(psal_page *page, const char *filter, const psal_look_hit *hit, const char *end) {
    psal_report *r = page->report;
    psal_image crop = PSAL_IMAGE_INIT;
    const char *name = psal_dataset_name(r->crops.dataset, (size_t)hit->sample);
    const char *class = hit->label < 0 ? "no class" : psal_labels_name(r->compared.labels, hit->label);
    if (page->failure.status != PSAL_OK) return;
    const psal_html_piece pieces[] = {
        {.text = class},
        {.text = psal_say(page, " (%.3g)", (double)hit->activation), .tone = PSAL_HTML_QUIET},
        {.text = psal_say_file(name), .tone = PSAL_HTML_PAPER}};
    if (psal_filter_crop(&r->crops, hit, &crop, &page->failure) == PSAL_OK)
        psal_page_card(page, &crop, LONGEST,
                       psal_say(page, "%.200s, %s: %.200s, an image of %.200s", filter, end, name, class), name, pieces,
                       3);
    psal_image_free(&crop);
}

static void write_end(psal_page *page, int64_t i, const char *filter, psal_look_end end, const char *title) {
    const psal_filter_crops *crops = &page->report->crops;
    const psal_look_hit *hits = psal_filter_crops_hits(crops, i, end);
    psal_html_report_paragraph(page->html, title);
    psal_html_report_cards_begin(page->html);
    psal_page_own_crops(page, i, end, filter);
    for (int h = 0; h < crops->k && hits[h].sample >= 0; h++) write_crop(page, filter, &hits[h], title);
    psal_html_report_cards_end(page->html);
}

void psal_page_look(psal_page *page) {
    const psal_filter_crops *crops = &page->report->crops;
    if (crops->count == 0) return;
    psal_html_report_section(page->html, 2, "looks", "What the guiltiest filters look for");
    psal_html_report_paragraph(
        page->html,
        psal_say(page,
                 "Where each filter's convolution answers most, and least, among %.0f images of the data set, and, "
                 "first, in the most central mistake of a kind that it is guilty of: its receptive field, cut out "
                 "of the image as the network sees it, the image's class, and the activation.",
                 psal_read_number(page->root, "looked_at")));
    for (int64_t i = 0; i < crops->count; i++) {
        char name[512];
        const char *filter = psal_say(page, "%.400s",
                                      psal_kinds_entry_name(&page->report->found.report, crops->filters[i], name));
        const bool reversed = psal_look_reversed(crops->look, i);
        psal_html_report_section(page->html, 3, psal_say(page, "look-%lld", (long long)crops->filters[i]), filter);
        if (!psal_look_has(crops->look, i)) {
            psal_html_report_paragraph(page->html, "It is never computed, or several times.");
            continue;
        }
        for (int end = 0; end < PSAL_LOOK_ENDS; end++)
            write_end(page, i, filter, (psal_look_end)end, psal_say_end((psal_look_end)end, reversed));
    }
}
