/* html_parts.c - the parts of a page: its contents, tables, facts, commands, pictures in a grid. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/html_internal.h"

void psal_html_putf(psal_html_report *report, const char *format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    psal_vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    psal_html_put_text(report, text);
}

/* ---- contents ---- */

void psal_html_report_contents(psal_html_report *report) {
    psal_html_end_thumbnails(report);
    report->contents_at = report->size;
    report->list = calloc(1, sizeof *report->list);
    if (!report->list && report->failure.status == PSAL_OK)
        psal_fail(&report->failure, PSAL_ERR_MEMORY, "out of memory for a report");
}

void psal_html_report_section(psal_html_report *report, int level, const char *id, const char *text) {
    psal_html_end_thumbnails(report);
    psal_html_putf(report, "<h%d id=\"", level);
    psal_html_put_escaped(report, id);
    psal_html_put_element(report, "\">", text, "");
    psal_html_putf(report, "</h%d>\n", level);
    if (!report->list || level > 2) return;
    psal_html_put_element(report->list, "<li><a href=\"#", id, "\">");
    psal_html_put_element(report->list, "", text, "</a></li>\n");
}

void psal_html_insert_contents(psal_html_report *report) {
    psal_html_report *list = report->list;
    if (!list) return;
    if (list->failure.status != PSAL_OK && report->failure.status == PSAL_OK) report->failure = list->failure;
    if (report->failure.status != PSAL_OK || list->size == 0) return;
    const size_t after = report->size - report->contents_at;
    char *rest = malloc(after + 1);
    if (!rest) {
        psal_fail(&report->failure, PSAL_ERR_MEMORY, "out of memory for a report of %zu bytes", report->size);
        return;
    }
    memcpy(rest, report->text + report->contents_at, after);
    report->size = report->contents_at;
    psal_html_put_text(report, "<nav aria-label=\"Contents\"><ol>\n");
    psal_html_put(report, list->text, list->size);
    psal_html_put_text(report, "</ol></nav>\n");
    psal_html_put(report, rest, after);
    free(rest);
}

/* ---- text ---- */

static void put_piece(psal_html_report *report, const psal_html_piece *piece) {
    const bool marked = !piece->link && piece->tone;
    if (!piece->text) {
        psal_html_put_text(report, "<br>\n");
        return;
    }
    if (piece->link) psal_html_put_element(report, "<a href=\"#", piece->link, "\">");
    static const char *const spans[] = {[PSAL_HTML_WRONG] = "<span class=\"wrong\">",
                                        [PSAL_HTML_QUIET] = "<span class=\"quiet\">",
                                        [PSAL_HTML_PAPER] = "<span class=\"paper\">"};
    if (marked) psal_html_put_text(report, spans[piece->tone]);
    psal_html_put_escaped(report, piece->text);
    if (piece->link) psal_html_put_text(report, "</a>");
    if (marked) psal_html_put_text(report, "</span>");
}

void psal_html_report_text(psal_html_report *report, const psal_html_piece *pieces, size_t count) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<p>");
    for (size_t i = 0; i < count; i++) put_piece(report, &pieces[i]);
    psal_html_put_text(report, "</p>\n");
}

void psal_html_report_list(psal_html_report *report, const char *const *lines, size_t count) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<ul>\n");
    for (size_t i = 0; i < count; i++) psal_html_put_element(report, "<li>", lines[i], "</li>\n");
    psal_html_put_text(report, "</ul>\n");
}

void psal_html_report_facts(psal_html_report *report, const char *const *names, const char *const *values,
                            size_t count) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<dl>\n");
    for (size_t i = 0; i < count; i++) {
        psal_html_put_element(report, "<dt>", names[i], "</dt>");
        psal_html_put_element(report, "<dd>", values[i], "</dd>\n");
    }
    psal_html_put_text(report, "</dl>\n");
}

void psal_html_report_command(psal_html_report *report, const char *text) {
    psal_html_end_thumbnails(report);
    psal_html_put_element(report, "<pre><code>", text, "</code></pre>\n");
}

void psal_html_report_details_begin(psal_html_report *report, const char *summary) {
    psal_html_end_thumbnails(report);
    psal_html_put_element(report, "<details><summary>", summary, "</summary>\n");
}

void psal_html_report_details_end(psal_html_report *report) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "</details>\n");
}

/* ---- tables ---- */

/* "12", "-0.5 %", "−3", "+1e-4": a sign, then a digit. */
static bool is_number(const char *text) {
    if (!text) return false;
    if (*text == '-' || *text == '+') text++;
    if (strncmp(text, "\xe2\x88\x92", 3) == 0) text += 3;
    if (*text < '0' || *text > '9') return false;
    /* "3x3 convolution" is text. */
    text += strspn(text, "0123456789.,eE+-");
    return *text == '\0' || *text == ' ' || *text == '%';
}

static void begin_table(psal_html_report *report, const char *caption) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<div class=\"table\"><table>\n");
    if (caption) psal_html_put_element(report, "<caption>", caption, "</caption>\n");
}

static void put_head(psal_html_report *report, const char *text, bool number) {
    psal_html_put_element(report, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">", text, "</th>");
}

void psal_html_report_table(psal_html_report *report, const char *caption, const char *const *header,
                            const char *const *cells, size_t row_count, size_t column_count) {
    begin_table(report, caption);
    if (header) {
        psal_html_put_text(report, "<thead><tr>");
        for (size_t c = 0; c < column_count; c++) put_head(report, header[c], row_count > 0 && is_number(cells[c]));
        psal_html_put_text(report, "</tr></thead>\n");
    }
    psal_html_put_text(report, "<tbody>\n");
    for (size_t r = 0; r < row_count; r++) {
        psal_html_put_text(report, "<tr>");
        for (size_t c = 0; c < column_count; c++) {
            const char *cell = cells[r * column_count + c];
            psal_html_put_element(report, is_number(cell) ? "<td class=\"n\">" : "<td>", cell, "</td>");
        }
        psal_html_put_text(report, "</tr>\n");
    }
    psal_html_put_text(report, "</tbody></table></div>\n");
}

void psal_html_report_rows_begin(psal_html_report *report, const char *caption, const char *const *header,
                                 const bool *numbers, size_t column_count) {
    begin_table(report, caption);
    psal_html_put_text(report, "<thead><tr>");
    for (size_t c = 0; c < column_count; c++) put_head(report, header[c], numbers[c]);
    report->numbers = numbers;
    psal_html_put_text(report, "</tr></thead>\n<tbody>\n");
}

void psal_html_report_row(psal_html_report *report, const char *id, const psal_html_piece *cells, size_t column_count) {
    psal_html_put_text(report, "<tr");
    if (id) psal_html_put_element(report, " id=\"", id, "\"");
    psal_html_put_text(report, ">");
    for (size_t c = 0; c < column_count; c++) {
        psal_html_put_text(report, report->numbers[c] ? "<td class=\"n\">" : "<td>");
        if (cells[c].text) put_piece(report, &cells[c]);
        psal_html_put_text(report, "</td>");
    }
    psal_html_put_text(report, "</tr>\n");
}

void psal_html_report_rows_end(psal_html_report *report) {
    psal_html_put_text(report, "</tbody></table></div>\n");
    report->numbers = NULL;
}

/* ---- pictures in a grid ---- */

void psal_html_report_cards_begin(psal_html_report *report) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<ul class=\"cards\">\n");
}

/* The picture, where there is one, with its texts; false: the page has failed. */
static bool put_image(psal_html_report *report, const psal_html_card *card) {
    if (card->size == 0) return true;
    psal_html_put_text(report, card->pixelated ? "<img class=\"small\" alt=\"" : "<img alt=\"");
    psal_html_put_element(report, "", card->alt, "\"");
    if (card->title) psal_html_put_element(report, " title=\"", card->title, "\"");
    if (!psal_html_put_source(report, card->picture, card->size)) return false;
    psal_html_put_text(report, ">");
    return true;
}

void psal_html_report_card(psal_html_report *report, const psal_html_card *card) {
    psal_html_put_text(report, "<li");
    if (card->id) psal_html_put_element(report, " id=\"", card->id, "\"");
    psal_html_put_text(report, ">");
    if (!put_image(report, card)) return;
    for (size_t i = 0; i < card->count; i++) put_piece(report, &card->pieces[i]);
    psal_html_put_text(report, "</li>\n");
}

void psal_html_report_photos_begin(psal_html_report *report) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<div class=\"photos\">\n");
}

void psal_html_report_photo(psal_html_report *report, const psal_html_card *card) {
    psal_html_put_text(report, "<figure");
    if (card->id) psal_html_put_element(report, " id=\"", card->id, "\"");
    psal_html_put_text(report, ">");
    if (!put_image(report, card)) return;
    psal_html_put_text(report, "<figcaption>");
    for (size_t i = 0; i < card->count; i++) put_piece(report, &card->pieces[i]);
    psal_html_put_text(report, "</figcaption></figure>\n");
}

void psal_html_report_photos_end(psal_html_report *report) {
    psal_html_put_text(report, "</div>\n");
}

void psal_html_report_cards_end(psal_html_report *report) {
    psal_html_put_text(report, "</ul>\n");
}
