#include "tools/page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/thumbnail.h"

enum { PHOTO = 320 }; /* longest side of a large picture */

const char *psal_say(psal_page *page, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    psal_vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char **texts = realloc(page->texts, (page->text_count + 1) * sizeof *texts), *copy = strdup(text);
    if (texts) page->texts = texts;
    if (!texts || !copy) {
        free(copy);
        psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for the page");
        return "";
    }
    return texts[page->text_count++] = copy;
}

const char *psal_say_number(psal_page *page, double value, int decimals) {
    return isnan(value) ? "-" : psal_say(page, "%.*f", decimals, value);
}

const char *psal_say_class(psal_page *page, const json_t *object) {
    (void)page;
    const char *name = json_string_value(json_object_get(object, "name"));
    return name ? name : "no class";
}

const char *psal_say_percent(psal_page *page, double share) {
    return isnan(share) ? "-" : psal_say(page, "%.1f %%", 100 * share);
}

const char *psal_say_file(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *psal_say_file_and_folder(const char *path) {
    const char *file = psal_say_file(path), *at = file > path ? file - 1 : path;
    while (at > path && at[-1] != '/') at--;
    return at;
}

const char *psal_say_end(psal_look_end end, bool reversed) {
    if (end == PSAL_LOOK_LARGEST)
        return reversed ? "Largest activations, which its normalisation turns round" : "Largest activations";
    return reversed ? "Smallest activations, which its normalisation passes on" : "Smallest activations";
}

psal_status psal_page_end(psal_page *page, const char *path, psal_error *err) {
    psal_status status = page->failure.status;
    if (status != PSAL_OK) {
        *err = page->failure;
        psal_html_report_free(page->html);
    } else {
        status = psal_html_report_end(page->html, path, err);
    }
    page->html = NULL;
    psal_page_free(page);
    return status;
}

void psal_page_free(psal_page *page) {
    psal_html_report_free(page->html);
    for (size_t i = 0; i < page->text_count; i++) free(page->texts[i]);
    free(page->texts);
    page->html = NULL;
    page->texts = NULL;
    page->text_count = 0;
}

/* ---- parts ---- */

void psal_page_findings(psal_page *page) {
    const json_t *findings = json_object_get(page->root, "findings");
    const size_t count = json_array_size(findings);
    const char *lines[8];
    for (size_t i = 0; i < count && i < 8; i++) lines[i] = json_string_value(json_array_get(findings, i));
    psal_html_report_list(page->html, lines, count < 8 ? count : 8);
}

/* What was computed with what, by the names that messages have for it. */
void psal_page_settings(psal_page *page, const psal_computation *c) {
    const char *names[PSAL_FIELD_COUNT], *values[PSAL_FIELD_COUNT];
    size_t count = 0;
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        if (!*c->value[f]) continue;
        names[count] = psal_field_describe((psal_field)f)->name;
        values[count++] = c->value[f];
    }
    if (count == 0) return;
    psal_html_report_details_begin(page->html, "All settings of the profiles");
    psal_html_report_facts(page->html, names, values, count);
    psal_html_report_details_end(page->html);
}

void psal_page_commands(psal_page *page) {
    const json_t *commands = json_object_get(page->root, "commands");
    psal_html_report_section(page->html, 2, "commands", "How it was made");
    psal_html_report_paragraph(page->html,
                               "Each part of this page is what one of psal's programs computes. These commands "
                               "repeat them:");
    for (size_t i = 0; i < json_array_size(commands); i++)
        psal_html_report_command(page->html, json_string_value(json_array_get(commands, i)));
}

void psal_page_notes(psal_page *page) {
    const json_t *notes = json_object_get(page->root, "notes");
    const size_t count = json_array_size(notes);
    const char **lines = calloc(count + 1, sizeof *lines);
    if (!lines) {
        psal_fail(&page->failure, PSAL_ERR_MEMORY, "out of memory for the notes");
        return;
    }
    for (size_t i = 0; i < count; i++) lines[i] = json_string_value(json_array_get(notes, i));
    if (count > 0) {
        psal_html_report_section(page->html, 2, "notes", "Notes");
        psal_html_report_list(page->html, lines, count);
    }
    free(lines);
}

/* Encodes `image` as it is into a card. */
static bool encode(psal_page *page, const psal_image *image, psal_html_card *card, uint8_t **data) {
    if (page->failure.status != PSAL_OK || psal_thumbnail_encode(image, data, &card->size, &page->failure) != PSAL_OK)
        return false;
    card->picture = *data;
    card->pixelated = image->width <= PSAL_THUMBNAIL_PIXELS && image->height <= PSAL_THUMBNAIL_PIXELS;
    return true;
}

void psal_page_card(psal_page *page, psal_image *image, int longest, const char *alt, const char *title,
                    const psal_html_piece *pieces, size_t count) {
    uint8_t *data = NULL;
    psal_html_card card = {.alt = alt, .title = title, .pieces = pieces, .count = count};
    if (page->failure.status != PSAL_OK || psal_image_shrink(image, longest, &page->failure) != PSAL_OK) return;
    if (encode(page, image, &card, &data)) psal_html_report_card(page->html, &card);
    free(data);
}

void psal_page_photo(psal_page *page, const psal_image *image, const char *alt, const psal_html_piece *pieces,
                     size_t count) {
    psal_image own = PSAL_IMAGE_INIT;
    uint8_t *data = NULL;
    psal_html_card card = {.alt = alt, .pieces = pieces, .count = count};
    if (page->failure.status != PSAL_OK) return;
    psal_status status = psal_image_crop(image, 0, 0, image->height, image->width, &own, &page->failure);
    if (status == PSAL_OK) status = psal_image_shrink(&own, PHOTO, &page->failure);
    if (status == PSAL_OK && encode(page, &own, &card, &data)) psal_html_report_photo(page->html, &card);
    psal_image_free(&own);
    free(data);
}
