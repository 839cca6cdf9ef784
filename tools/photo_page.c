/* The page of one photo from its results. */
#include <stdlib.h>
#include <string.h>

#include "tools/page.h"
#include "tools/photo.h"
#include "tools/print.h"

enum { CROP = 96, PLACES = 4 };

/* What psal-run says of it. */
static const json_t *photo_of(const psal_page *page) {
    return json_object_get(page->root, "photo");
}

/* ---- pictures ---- */

/* A large one. */
static void write_photo(psal_page *page, const psal_image *image, const char *alt, const char *caption) {
    const psal_html_piece pieces[] = {{.text = caption}};
    psal_page_photo(page, image, alt, pieces, 1);
}

static void write_map(psal_page *page, const psal_photo *p, const float *gradient, const char *alt,
                      const char *caption) {
    psal_image painted = PSAL_IMAGE_INIT;
    if (page->failure.status == PSAL_OK &&
        psal_explanation_overlay(p->explainer, p->e, gradient, &painted, &page->failure) == PSAL_OK)
        write_photo(page, &painted, alt, caption);
    psal_image_free(&painted);
}

static void write_seen(psal_page *page, const psal_photo *p) {
    write_photo(
        page, &p->e->pixels, "The photo as the network sees it",
        psal_say(page, "The photo as the network sees it, %d × %d pixels", p->e->pixels.height, p->e->pixels.width));
}

/* ---- the answer ---- */

static const char *say_class(psal_page *page, const json_t *class) {
    return psal_say(page, "%.300s, confidence %.3f", psal_read_text(class, "name"),
                    psal_read_number(class, "confidence"));
}

static void write_answer(psal_page *page, const psal_photo *p) {
    const json_t *root = page->root, *answers = json_object_get(root, "answers"),
                 *against = json_object_get(photo_of(page), "against");
    const size_t count = json_array_size(answers);
    psal_html_bar bars[8];
    const char *names[5] = {p->e->labelled ? "True class" : "Explained class", "Taken for", "Loss", "Photo"},
               *values[5] = {say_class(page, json_object_get(photo_of(page), "target")),
                             say_class(page, json_object_get(photo_of(page), "predicted")),
                             psal_say_number(page, psal_read_number(photo_of(page), "loss"), 4),
                             psal_read_text(photo_of(page), "image")};
    size_t facts = 4;
    if (json_is_object(against)) {
        names[facts] = "Its profile is subtracted";
        values[facts++] = say_class(page, against);
    }
    psal_html_report_section(page->html, 2, "answer", "The photo and the answer");
    psal_html_report_facts(page->html, names, values, facts);
    for (size_t i = 0; i < count && i < 8; i++) {
        const json_t *answer = json_array_get(answers, i);
        const double confidence = psal_read_number(answer, "confidence");
        bars[i] = (psal_html_bar){.name = psal_read_text(answer, "name"),
                                  .text = psal_say(page, "%.3f", confidence),
                                  .title = psal_say(page, "%.300s: %.6f", psal_read_text(answer, "name"), confidence),
                                  .value = confidence};
    }
    psal_html_report_charts_begin(page->html);
    psal_html_report_photos_begin(page->html);
    write_seen(page, p);
    psal_html_report_photos_end(page->html);
    if (count > 0)
        psal_html_report_bars(
            page->html, "The classes of the largest confidences",
            psal_say(page, "Confidences: the first %zu of %.0f classes", count, psal_read_number(root, "classes")),
            bars, count < 8 ? count : 8, 1);
    psal_html_report_charts_end(page->html);
}

/* ---- filters ---- */

static void draw_top(psal_page *page) {
    const json_t *top = json_object_get(photo_of(page), "top_filters");
    const char *quantity = psal_read_text(page->root, "quantity");
    psal_html_bar bars[PSAL_PHOTO_FILTERS];
    const size_t all = json_array_size(top), count = all < PSAL_PHOTO_FILTERS ? all : PSAL_PHOTO_FILTERS;
    for (size_t i = 0; i < count; i++) {
        const json_t *filter = json_array_get(top, i);
        const double saliency = psal_read_number(filter, "saliency");
        const char *name = psal_say(page, "%.200s, filter %.0f", psal_read_text(filter, "layer"),
                                    psal_read_number(filter, "filter_in_layer"));
        bars[i] = (psal_html_bar){.name = name,
                                  .text = psal_say(page, "%.2f", saliency),
                                  .title = psal_say(page, "%s: %s %.4f, naive %.4g", name, quantity, saliency,
                                                    psal_read_number(filter, "naive")),
                                  .value = saliency};
    }
    if (count > 0)
        psal_html_report_bars(page->html, "The most salient filters",
                              psal_say(page, "The most salient filters: %s", quantity), bars, count, 0);
}

/* Every layer a column, from the image to the classes. */
static void draw_layers(psal_page *page) {
    const json_t *layers = json_object_get(page->root, "layers");
    const size_t count = json_array_size(layers);
    const char *quantity = psal_read_text(page->root, "quantity");
    psal_html_bar *bars = calloc(count + 1, sizeof *bars);
    if (!bars) psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for a chart");
    for (size_t i = 0; i < count && bars; i++) {
        const json_t *layer = json_array_get(layers, i);
        const double largest = psal_read_number(layer, "largest"), marked = psal_read_number(layer, "top");
        bars[i] = (psal_html_bar){
            .title = psal_say(page,
                              "%.200s (%.100s), %.0f filters: largest %s %.2f (filter number %.0f), mean %.2f; %.0f of "
                              "the most salient ones",
                              psal_read_text(layer, "layer"), psal_read_text(layer, "stage"),
                              psal_read_number(layer, "filters"), quantity, largest, psal_read_number(layer, "filter"),
                              psal_read_number(layer, "mean"), marked),
            .value = largest};
    }
    if (bars && count > 0)
        psal_html_report_columns(
            page->html, "How deep the salient filters lie",
            psal_say(page, "The largest %s in each of %zu layers, from the image to the classes", quantity, count),
            bars, count, 0);
    free(bars);
}

/* How many of the most salient filters lie in each stage. */
static void draw_stages(psal_page *page) {
    const json_t *layers = json_object_get(page->root, "layers");
    const size_t count = json_array_size(layers);
    psal_html_bar *bars = calloc(count + 1, sizeof *bars);
    size_t used = 0;
    if (!bars) psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for a chart");
    for (size_t i = 0; i < count && bars;) {
        const char *stage = psal_read_text(json_array_get(layers, i), "stage");
        double filters = 0, marked = 0;
        for (; i < count && strcmp(psal_read_text(json_array_get(layers, i), "stage"), stage) == 0; i++) {
            filters += psal_read_number(json_array_get(layers, i), "filters");
            marked += psal_read_number(json_array_get(layers, i), "top");
        }
        bars[used++] = (psal_html_bar){
            .name = stage,
            .text = psal_say(page, "%.0f of %.0f", marked, filters),
            .title = psal_say(page, "%.100s: %.0f of its %.0f filters are among the most salient ones", stage, marked,
                              filters),
            .value = marked};
    }
    if (used > 0)
        psal_html_report_bars(page->html, "The stages of the most salient filters",
                              "How many of them lie in each stage of the network, from the image to the classes", bars,
                              used, 0);
    free(bars);
}

/* Where the page shows what a filter looks for; NULL: nowhere. */
static const char *look_id(psal_page *page, const psal_photo *p, int64_t filter) {
    const psal_filter_crops *crops = p->e->crops;
    for (int64_t i = 0; crops && i < crops->count; i++)
        if (crops->filters[i] == filter) return psal_say(page, "look-%lld", (long long)filter);
    return NULL;
}

static void write_table(psal_page *page, const psal_photo *p) {
    const json_t *top = json_object_get(photo_of(page), "top_filters");
    static const char *const header[] = {"rank", "number", "layer", "filter in it", "saliency", "naive"};
    static const bool numbers[] = {true, true, false, true, true, true};
    psal_html_report_details_begin(page->html,
                                   psal_say(page, "The first %zu filters as a table", json_array_size(top)));
    psal_html_report_rows_begin(page->html, NULL, header, numbers, 6);
    for (size_t i = 0; i < json_array_size(top); i++) {
        const json_t *filter = json_array_get(top, i);
        const psal_html_piece row[] = {{.text = psal_say_number(page, psal_read_number(filter, "rank"), 0)},
                                       {.text = psal_say_number(page, psal_read_number(filter, "filter"), 0),
                                        .link = look_id(page, p, (int64_t)psal_read_number(filter, "filter"))},
                                       {.text = psal_read_text(filter, "layer")},
                                       {.text = psal_say_number(page, psal_read_number(filter, "filter_in_layer"), 0)},
                                       {.text = psal_say_number(page, psal_read_number(filter, "saliency"), 3)},
                                       {.text = psal_say(page, "%.4g", psal_read_number(filter, "naive"))}};
        psal_html_report_row(page->html, NULL, row, 6);
    }
    psal_html_report_rows_end(page->html);
    psal_html_report_details_end(page->html);
}

static void write_filters(psal_page *page, const psal_photo *p) {
    psal_html_report_section(page->html, 2, "filters", "Which filters the answer depends on");
    psal_html_report_paragraph(
        page->html, "The profile says how strongly the loss on this photo depends on each filter's weights, beside "
                    "what is usual over the data set of the statistics. It says where the network is sensitive, not "
                    "what is wrong with it.");
    if (json_array_size(json_object_get(photo_of(page), "top_filters")) == 0) {
        psal_html_report_paragraph(page->html, "No filter can be ranked here.");
        return;
    }
    psal_html_report_charts_begin(page->html);
    draw_top(page);
    draw_layers(page);
    draw_stages(page);
    psal_html_report_charts_end(page->html);
    write_table(page, p);
}

/* ---- pixels ---- */

static void write_pixels(psal_page *page, const psal_photo *p) {
    const psal_explanation *e = p->e;
    const long long k = (long long)e->k;
    char words[200];
    psal_html_report_section(page->html, 2, "pixels", "Which pixels drive these filters");
    if (e->maps == 0) {
        psal_html_report_paragraph(page->html, psal_say(page, "There is no heat map: %s.", e->no_map));
        return;
    }
    psal_html_report_photos_begin(page->html);
    write_seen(page, p);
    write_map(page, p, e->gradient, "Heat map of the most salient filters over the photo",
              k == 1 ? "The pixels that drive the most salient filter"
                     : psal_say(page, "The pixels that drive the %lld most salient filters", k));
    if (e->random_maps > 0)
        write_map(page, p, e->random_gradient, "Heat map of random filters over the photo",
                  psal_say(page, "To compare: %lld random filter%s", k, psal_plural(k)));
    psal_html_report_photos_end(page->html);
    if (e->random_maps > 0) {
        psal_agreement_text(e->agreement, "filters", words);
        psal_html_report_paragraph(
            page->html,
            psal_say(page, "By the rank correlation of all pixels (1: the same, 0: nothing in common), %s.", words));
    } else {
        psal_html_report_paragraph(page->html, p->explainer->options.compare_random
                                                   ? "There is no heat map of random filters to compare with."
                                                   : "Whether it is these filters' own map is not checked here: "
                                                     "--compare-random puts that of random filters beside it.");
    }
}

/* ---- crops ---- */

static void write_own(psal_page *page, const psal_photo *p, const psal_look_hit *hit, const char *filter) {
    psal_image crop = PSAL_IMAGE_INIT;
    if (page->failure.status != PSAL_OK || hit->sample < 0) return;
    const psal_html_piece pieces[] = {
        {.text = "this photo"}, {.text = psal_say(page, " (%.3g)", (double)hit->activation), .tone = PSAL_HTML_QUIET}};
    if (psal_image_crop(&p->e->pixels, hit->top, hit->left, hit->height, hit->width, &crop, &page->failure) == PSAL_OK)
        psal_page_card(page, &crop, CROP, psal_say(page, "%.200s in this photo", filter), NULL, pieces, 2);
    psal_image_free(&crop);
}

static void write_place(psal_page *page, const psal_photo *p, const psal_look_hit *hit, const char *filter,
                        const char *end) {
    const psal_filter_crops *crops = p->e->crops;
    psal_image crop = PSAL_IMAGE_INIT;
    const char *name = psal_dataset_name(crops->dataset, (size_t)hit->sample);
    const char *class = hit->label < 0 ? "no class" : psal_labels_name(crops->session->labels, hit->label);
    if (page->failure.status != PSAL_OK) return;
    const psal_html_piece pieces[] = {
        {.text = class},
        {.text = psal_say(page, " (%.3g)", (double)hit->activation), .tone = PSAL_HTML_QUIET},
        {.text = psal_say_file(name), .tone = PSAL_HTML_PAPER}};
    if (psal_filter_crop(crops, hit, &crop, &page->failure) == PSAL_OK)
        psal_page_card(page, &crop, CROP,
                       psal_say(page, "%.200s, %s: %.200s, an image of %.200s", filter, end, name, class), name, pieces,
                       3);
    psal_image_free(&crop);
}

static void write_crops(psal_page *page, const psal_photo *p, int64_t i) {
    const psal_filter_crops *crops = p->e->crops;
    int64_t within;
    const char *layer = psal_explain_entry(p->explainer, crops->filters[i], &within);
    const char *filter = psal_say(page, "%.300s, filter %lld", layer, (long long)within);
    const bool reversed = psal_look_reversed(crops->look, i);
    psal_html_report_section(page->html, 3, psal_say(page, "look-%lld", (long long)crops->filters[i]), filter);
    if (!psal_look_has(crops->look, i)) {
        psal_html_report_paragraph(page->html, "It is never computed, or several times.");
        return;
    }
    for (int end = 0; end < PSAL_LOOK_ENDS; end++) {
        const psal_look_hit *hits = psal_filter_crops_hits(crops, i, (psal_look_end)end);
        psal_html_report_paragraph(page->html, psal_say_end((psal_look_end)end, reversed));
        psal_html_report_cards_begin(page->html);
        write_own(page, p, &crops->own[i * PSAL_LOOK_ENDS + end], filter);
        for (int h = 0; h < crops->k && h < PLACES && hits[h].sample >= 0; h++)
            write_place(page, p, &hits[h], filter, psal_say_end((psal_look_end)end, reversed));
        psal_html_report_cards_end(page->html);
    }
}

static void write_looks(psal_page *page, const psal_photo *p) {
    const psal_filter_crops *crops = p->e->crops;
    if (!crops) return;
    psal_html_report_section(page->html, 2, "looks", "What these filters look for");
    psal_html_report_paragraph(
        page->html,
        psal_say(page,
                 "Where each filter's convolution answers most, and least, in this photo and among %.0f images of the "
                 "data set: its receptive field, cut out of the image as the network sees it, and the activation.",
                 psal_read_number(json_object_get(photo_of(page), "look"), "looked_at")));
    for (int64_t i = 0; i < crops->count; i++) write_crops(page, p, i);
}

/* ---- without them ---- */

static void write_off(psal_page *page) {
    const json_t *found = json_object_get(page->root, "switched_off"), *rows = json_object_get(found, "rows");
    static const char *const header[] = {"filters", "chosen", "wrong class", "true class", "right", "another class"};
    static const bool numbers[] = {true, false, true, true, true, true};
    psal_html_report_section(page->html, 2, "off", "What happens without them");
    if (!rows) {
        psal_html_report_paragraph(page->html,
                                   psal_say(page, "Not measured: %.200s.", psal_read_text(found, "why_not")));
        return;
    }
    psal_html_report_paragraph(
        page->html, psal_say(page,
                             "The weights of the most salient filters become 0, and to compare those of as many random "
                             "ones (mean of %.0f draws): the change of the confidence of the wrong class (where the "
                             "photo is right, of the runner-up) and of the true one, and how often the answer is right "
                             "afterwards, or another one.",
                             psal_read_number(found, "draws")));
    psal_html_report_rows_begin(page->html, NULL, header, numbers, 6);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const psal_html_piece cells[] = {{.text = psal_say_number(page, psal_read_number(row, "k"), 0)},
                                         {.text = psal_read_text(row, "choice")},
                                         {.text = psal_say(page, "%+.3f", psal_read_number(row, "wrong_confidence"))},
                                         {.text = psal_say(page, "%+.3f", psal_read_number(row, "true_confidence"))},
                                         {.text = psal_say_percent(page, psal_read_number(row, "now_right"))},
                                         {.text = psal_say_percent(page, psal_read_number(row, "prediction_changed"))}};
        psal_html_report_row(page->html, NULL, cells, 6);
    }
    psal_html_report_rows_end(page->html);
    psal_html_report_paragraph(page->html, "This repeats the measurement:");
    psal_html_report_command(page->html, psal_read_text(found, "command"));
    if (!*psal_read_text(page->root, "smallest_edit")) return;
    psal_html_report_paragraph(page->html, "This looks for the smallest change of the most salient filters that "
                                           "corrects the answer, says what else it changes, and keeps it:");
    psal_html_report_command(page->html, psal_read_text(page->root, "smallest_edit"));
}

/* ---- */

static void write_network(psal_page *page, const psal_photo *p) {
    const json_t *root = page->root;
    const psal_computation *c = &p->explainer->computation;
    const char *names[] = {"Network", "Weights", "Fingerprint of the weights", "Preprocessing", "Statistics", "psal"};
    const char *values[] = {psal_say(page, "%.100s, %.0f filters, %.0f classes", psal_read_text(root, "arch"),
                                     psal_read_number(root, "filters"), psal_read_number(root, "classes")),
                            psal_read_text(root, "weights"),
                            psal_read_text(root, "fingerprint"),
                            c->value[PSAL_FIELD_PREPROCESS],
                            p->explainer->statistics ? psal_read_text(photo_of(page), "statistics") : "none",
                            psal_read_text(root, "version")};
    psal_html_report_section(page->html, 2, "network", "Network and settings");
    psal_html_report_facts(page->html, names, values, sizeof names / sizeof *names);
    psal_page_settings(page, c);
}

psal_status psal_photo_page(const psal_photo *p, const char *path, psal_error *err) {
    psal_page page = {.root = p->root, .failure = PSAL_ERROR_INIT};
    const char *slash = strrchr(p->e->path, '/'), *name = slash ? slash + 1 : p->e->path;
    page.html = psal_html_report_begin(psal_say(&page, "%.200s: %.300s", psal_read_text(p->root, "arch"), name), err);
    psal_status status = page.html ? PSAL_OK : psal_error_status(err);
    if (status == PSAL_OK) {
        psal_page_findings(&page);
        psal_html_report_contents(page.html);
        write_answer(&page, p);
        write_filters(&page, p);
        write_pixels(&page, p);
        write_looks(&page, p);
        write_off(&page);
        write_network(&page, p);
        psal_page_commands(&page);
        psal_page_notes(&page);
        status = psal_page_end(&page, path, err);
    }
    psal_page_free(&page);
    return status;
}
