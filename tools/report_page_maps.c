/* The page's parts about a kind's most central mistake: its heat map, and its crops beside those of the data set. */
#include "tools/explain.h"
#include "tools/report_page.h"

enum { CROP = 96 };

static void write_photo(psal_page *page, const psal_image *image, const char *alt, const char *caption) {
    const psal_html_piece pieces[] = {{.text = caption}};
    if (image->rgb) psal_page_photo(page, image, alt, pieces, 1);
}

static const json_t *results_of(const psal_page *page, size_t k) {
    const json_t *maps = json_object_get(page->root, "maps");
    for (size_t i = 0; i < json_array_size(maps); i++)
        if (psal_read_number(json_array_get(maps, i), "kind") == (double)(k + 1)) return json_array_get(maps, i);
    return NULL;
}

void psal_page_map(psal_page *page, size_t k) {
    const psal_report_map *map = psal_report_map_of(page->report, (int)k);
    const json_t *found = results_of(page, k);
    char words[200];
    if (!map || !found) return;
    psal_html_report_section(
        page->html, 3, psal_say(page, "map-%zu", k + 1),
        psal_say(page, "What drives the filters of its most central mistake, number %lld", (long long)map->sample));
    psal_html_report_photos_begin(page->html);
    write_photo(page, &map->seen, psal_say(page, "Sample %lld as the network sees it", (long long)map->sample),
                "As the network sees it");
    write_photo(page, &map->map, psal_say(page, "Heat map of sample %lld", (long long)map->sample),
                "The pixels that drive its most salient filters");
    write_photo(page, &map->random, psal_say(page, "Heat map of random filters on sample %lld", (long long)map->sample),
                "To compare: as many random filters");
    psal_html_report_photos_end(page->html);
    if (*psal_read_text(found, "no_map"))
        psal_html_report_paragraph(page->html,
                                   psal_say(page, "There is no heat map: %s.", psal_read_text(found, "no_map")));
    if (map->map.rgb && map->random.rgb) {
        psal_agreement_text(psal_read_number(found, "agreement"), "filters", words);
        psal_html_report_paragraph(
            page->html,
            psal_say(page, "By the rank correlation of all pixels (1: the same, 0: nothing in common), %s.", words));
    }
    psal_html_report_paragraph(page->html, "This makes the page of this mistake alone:");
    psal_html_report_command(page->html, psal_read_text(found, "command"));
}

/* Whether a filter is among those of the kind that crops are shown of. */
static bool is_guilty_of(const psal_page *page, int64_t filter, int kind) {
    const psal_kinds_report *report = &page->report->found.report;
    for (int f = 0; f < report->top && f < PSAL_REPORT_LOOKED; f++)
        if (report->filters[kind * report->top + f].entry == filter) return true;
    return false;
}

void psal_page_own_crops(psal_page *page, int64_t i, psal_look_end end, const char *filter) {
    const psal_report *r = page->report;
    if (end != (psal_look_reversed(r->crops.look, i) ? PSAL_LOOK_SMALLEST : PSAL_LOOK_LARGEST)) return;
    for (int m = 0; m < r->map_count; m++) {
        const psal_report_map *map = &r->maps[m];
        const psal_look_hit *hit = map->own ? &map->own[i * PSAL_LOOK_ENDS + end] : NULL;
        psal_image crop = PSAL_IMAGE_INIT;
        if (!hit || hit->sample < 0 || !map->seen.rgb || !is_guilty_of(page, r->crops.filters[i], map->kind)) continue;
        const psal_html_piece pieces[] = {
            {.text = psal_say(page, "mistake of kind %d", map->kind + 1),
             .link = psal_say(page, "map-%d", map->kind + 1)},
            {.text = psal_say(page, " (%.3g)", (double)hit->activation), .tone = PSAL_HTML_QUIET}};
        if (page->failure.status == PSAL_OK &&
            psal_image_crop(&map->seen, hit->top, hit->left, hit->height, hit->width, &crop, &page->failure) == PSAL_OK)
            psal_page_card(page, &crop, CROP,
                           psal_say(page, "%.200s in sample %lld, a mistake of kind %d", filter, (long long)map->sample,
                                    map->kind + 1),
                           r->compared.store.records[map->sample].path, pieces, 2);
        psal_image_free(&crop);
    }
}
