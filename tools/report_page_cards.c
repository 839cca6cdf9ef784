/* Mistakes as pictures with what is known of each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/thumbnail.h"
#include "tools/report_page.h"

enum { LONGEST = 96, PIECES = 32 };

static const char *id_of(psal_page *page, int64_t sample) {
    return psal_say(page, "sample-%lld", (long long)sample);
}

typedef struct line {
    psal_html_piece pieces[PIECES];
    size_t count;
} line;

static void add(line *l, const char *text, const char *link, psal_html_tone tone) {
    if (l->count < PIECES) l->pieces[l->count++] = (psal_html_piece){text, link, tone};
}

/* "like 12, 45": mistakes with the most similar profiles. */
static void add_nearest(psal_page *page, line *l, const json_t *nearest) {
    for (size_t i = 0; i < json_array_size(nearest); i++) {
        const int64_t sample = (int64_t)psal_read_number(json_array_get(nearest, i), "sample");
        if (i == 0) add(l, NULL, NULL, PSAL_HTML_PLAIN);
        add(l, i == 0 ? "like " : ", ", NULL, PSAL_HTML_QUIET);
        add(l, psal_say(page, "%lld", (long long)sample), page->is_shown[sample] ? id_of(page, sample) : NULL,
            PSAL_HTML_PLAIN);
    }
}

/* "filters 51, 158": by their numbers, with links to those that are in the list of guilty ones. */
static void add_filters(psal_page *page, line *l, const json_t *filters) {
    for (size_t i = 0; i < json_array_size(filters); i++) {
        const json_t *filter = json_array_get(filters, i);
        const int64_t entry = (int64_t)psal_read_number(filter, "entry");
        if (i == 0) add(l, NULL, NULL, PSAL_HTML_PLAIN);
        add(l, i == 0 ? "filters " : ", ", NULL, PSAL_HTML_QUIET);
        add(l, psal_say(page, "%lld", (long long)entry),
            page->is_guilty[entry] ? psal_say(page, "filter-%lld", (long long)entry) : NULL, PSAL_HTML_PLAIN);
    }
}

static void write_card(psal_page *page, const json_t *shown) {
    psal_report *r = page->report;
    const int64_t sample = (int64_t)psal_read_number(shown, "sample");
    const psal_profile_record *record = &r->compared.store.records[sample];
    const char *label = record->label < 0 ? "no class" : psal_labels_name(r->compared.labels, record->label),
               *predicted = psal_labels_name(r->compared.labels, record->predicted);
    psal_image image = PSAL_IMAGE_INIT;
    uint8_t *data = NULL;
    size_t size = 0;
    bool readable = false;
    line l = {0};
    if (page->failure.status != PSAL_OK) return;
    psal_status status = psal_sample_pictures_load(&r->pictures, sample, record->path, LONGEST, &image, &readable,
                                                   &page->failure);
    if (status == PSAL_OK && readable) psal_thumbnail_encode(&image, &data, &size, &page->failure);
    if (!readable) add(&l, "(no picture) ", NULL, PSAL_HTML_QUIET);
    add(&l, label, NULL, PSAL_HTML_PLAIN);
    add(&l, " taken for ", NULL, PSAL_HTML_QUIET);
    add(&l, predicted, NULL, PSAL_HTML_WRONG);
    if (!isnan(record->confidence)) add(&l, psal_say(page, " (%.2f)", record->confidence), NULL, PSAL_HTML_PLAIN);
    add(&l, NULL, NULL, PSAL_HTML_PLAIN);
    add(&l, psal_say(page, "number %lld", (long long)sample), NULL, PSAL_HTML_QUIET);
    if (psal_sample_pictures_file(&r->pictures, sample, record->path)) {
        add(&l, NULL, NULL, PSAL_HTML_PLAIN);
        add(&l, page->names_repeat ? psal_say_file_and_folder(record->path) : psal_say_file(record->path), NULL,
            PSAL_HTML_QUIET);
    }
    add_nearest(page, &l, json_object_get(shown, "nearest"));
    add_filters(page, &l, json_object_get(shown, "filters"));
    const psal_html_card card = {
        .id = id_of(page, sample),
        .picture = data,
        .size = size,
        .alt = psal_say(page, "Sample %lld: %.200s, taken for %.200s", (long long)sample, label, predicted),
        .title = record->path,
        .pixelated = image.width <= PSAL_THUMBNAIL_PIXELS && image.height <= PSAL_THUMBNAIL_PIXELS,
        .pieces = l.pieces,
        .count = l.count};
    psal_html_report_card(page->html, &card);
    psal_image_free(&image);
    free(data);
}

void psal_page_cards(psal_page *page, size_t first, size_t count) {
    const json_t *shown = json_object_get(page->root, "shown");
    psal_html_report_cards_begin(page->html);
    for (size_t i = first; i < first + count; i++) write_card(page, json_array_get(shown, i));
    psal_html_report_cards_end(page->html);
}
