/* html_chart.c - charts of a page as inline SVG: a picture that the page's colours draw, in light and dark, whose parts
 * say their names and values when the mouse is over them. */
#include <math.h>
#include <stddef.h>

#include "engine/numbers.h"
#include "io/html_internal.h"

enum { WIDTH = 460, ROW = 34, BAR = 12, HIGH = 96, FOOT = 22, HEAD = 6 };

static void begin_svg(psal_html_report *report, int height, const char *title) {
    psal_html_end_thumbnails(report);
    psal_html_putf(report, "<figure><svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"",
                   WIDTH, height, WIDTH, height);
    psal_html_put_element(report, "", title, "\">\n");
}

static void end_svg(psal_html_report *report, const char *caption) {
    psal_html_put_element(report, "</svg><figcaption>", caption, "</figcaption></figure>\n");
}

/* With its title, which is empty for the ground. */
static void put_rect(psal_html_report *report, const char *kind, double x, double y, double width, double height,
                     const char *title) {
    psal_html_putf(report, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", kind, x, y, width,
                   height);
    if (title)
        psal_html_put_element(report, "><title>", title, "</title></rect>\n");
    else
        psal_html_put_text(report, "/>\n");
}

static void put_label(psal_html_report *report, double x, double y, const char *anchor, const char *kind,
                      const char *text) {
    psal_html_putf(report, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", kind, x, y, anchor);
    psal_html_put_element(report, "", text, "</text>\n");
}

static double largest(const psal_html_bar *bars, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(bars[i].value)) most = fmax(most, bars[i].value);
    return most;
}

/* Share of the full length, 0 to 1: what is no number, or below 0, has none. */
static double share(double value, double full) {
    return isfinite(value) && value > 0 && full > 0 ? fmin(value / full, 1) : 0;
}

void psal_html_report_bars(psal_html_report *report, const char *title, const char *caption, const psal_html_bar *bars,
                           size_t count, double full) {
    if (!(full > 0)) full = largest(bars, count);
    begin_svg(report, (int)count * ROW + HEAD, title);
    for (size_t i = 0; i < count; i++) {
        const double y = HEAD + (double)i * ROW;
        put_label(report, 0, y + 10, "start", "name", bars[i].name);
        put_label(report, WIDTH, y + 10, "end", "quiet", bars[i].text);
        put_rect(report, "ground", 0, y + 15, WIDTH, BAR, NULL);
        put_rect(report, "bar", 0, y + 15, WIDTH * share(bars[i].value, full), BAR, bars[i].title);
    }
    end_svg(report, caption);
}

void psal_html_report_columns(psal_html_report *report, const char *title, const char *caption,
                              const psal_html_bar *bars, size_t count, double full) {
    if (!(full > 0)) full = largest(bars, count);
    begin_svg(report, HEAD + HIGH + FOOT, title);
    const double step = (double)WIDTH / (double)(count ? count : 1), gap = fmin(2, step / 3);
    for (size_t i = 0; i < count; i++) {
        const double height = HIGH * share(bars[i].value, full), x = (double)i * step;
        put_rect(report, "ground", x + gap / 2, HEAD, step - gap, HIGH, NULL);
        put_rect(report, "bar", x + gap / 2, HEAD + HIGH - height, step - gap, height, NULL);
        put_rect(report, "over", x + gap / 2, HEAD, step - gap, HIGH, bars[i].title); /* low ones are easy to hit */
        if (bars[i].name) put_label(report, x + step / 2, HEAD + HIGH + 15, "middle", "quiet", bars[i].name);
    }
    end_svg(report, caption);
}

void psal_html_report_charts_begin(psal_html_report *report) {
    psal_html_end_thumbnails(report);
    psal_html_put_text(report, "<div class=\"charts\">\n");
}

void psal_html_report_charts_end(psal_html_report *report) {
    psal_html_put_text(report, "</div>\n");
}
