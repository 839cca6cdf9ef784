/* figure_edit.c - what an edit of the network did: to the sample, to its neighbours, to what was
 * right. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "engine/numbers.h"
#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define EDGE 16.0
#define GAP 28.0
#define WIDTH 760.0
#define NAME_WIDTH 128.0
#define VALUE_WIDTH 44.0
#define CLASS_HEIGHT 34.0
#define COUNT_HEIGHT 34.0
#define BAR 9.0

static const fig_color before_color = {0.66, 0.70, 0.75};
static const fig_color track_color = {0.925, 0.93, 0.94};

static psal_status check(const psal_edit_figure *figure, psal_error *err) {
    if (!figure->classes || figure->class_count < 1 || figure->class_count > 20 || figure->count_count > 20 ||
        figure->fact_count > 12 || (figure->count_count && !figure->counts) || (figure->fact_count && !figure->facts))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "an edit figure of %zu classes, %zu counts, %zu facts; expected 1 to 20, "
                         "up to 20, up to 12",
                         figure->class_count, figure->count_count, figure->fact_count);
    for (size_t i = 0; i < figure->class_count; i++) {
        const psal_edit_class *class = &figure->classes[i];
        if (!(class->before >= 0 && class->before <= 1 && class->after >= 0 && class->after <= 1))
            return psal_fail(err, PSAL_ERR_NUMERIC, "the confidences of class \"%s\" are %g and %g; expected 0 to 1",
                             class->name ? class->name : "", class->before, class->after);
    }
    for (size_t i = 0; i < figure->count_count; i++) {
        const psal_edit_count *count = &figure->counts[i];
        if (count->hits < 0 || count->hits > count->total)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "\"%s\": %" PRId64 " of %" PRId64 " is no share",
                             count->label ? count->label : "", count->hits, count->total);
    }
    return PSAL_OK;
}

static void bar(cairo_t *cr, double x, double y, double width, double height, fig_color color) {
    cairo_rectangle(cr, x, y, width, height);
    fig_set_color(cr, color, 1);
    cairo_fill(cr);
}

static void draw_confidence(cairo_t *cr, double x, double y, double width, double confidence, fig_color color) {
    char text[32];
    bar(cr, x, y, width, BAR, track_color);
    bar(cr, x, y, width * confidence, BAR, color);
    psal_snprintf(text, sizeof text, "%.1f %%", 100 * confidence);
    fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_RIGHT, x + width + VALUE_WIDTH, y + BAR / 2, 0, text);
}

static void draw_classes(cairo_t *cr, const psal_edit_figure *figure, double x, double y, double width) {
    char lines[2][FIG_TEXT_MAX];
    double bar_x = x + NAME_WIDTH + 8, bar_width = width - NAME_WIDTH - 8 - VALUE_WIDTH;
    for (size_t i = 0; i < figure->class_count; i++, y += CLASS_HEIGHT) {
        const psal_edit_class *class = &figure->classes[i];
        int count = fig_text_wrap(cr, FIG_FONT_LABEL, class->name, NAME_WIDTH, 2, lines);
        for (int l = 0; l < count; l++)
            fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_RIGHT, x + NAME_WIDTH,
                     y + BAR + 1 + (l - (count - 1) / 2.0) * (FIG_FONT_LABEL.size + 2), 0, lines[l]);
        draw_confidence(cr, bar_x, y, bar_width, class->before, before_color);
        draw_confidence(cr, bar_x, y + BAR + 2, bar_width, class->after, fig_palette(0));
    }
}

static void draw_counts(cairo_t *cr, const psal_edit_figure *figure, double x, double y, double width) {
    char text[FIG_TEXT_MAX], value[96];
    for (size_t i = 0; i < figure->count_count; i++, y += COUNT_HEIGHT) {
        const psal_edit_count *count = &figure->counts[i];
        double share = count->total > 0 ? (double)count->hits / (double)count->total : 0;
        if (count->total > 0)
            psal_snprintf(value, sizeof value, "%" PRId64 " of %" PRId64 " (%.1f %%)", count->hits, count->total,
                          100 * share);
        else
            snprintf(value, sizeof value, "none tested");
        double value_width = fig_text_width(cr, FIG_FONT_TICK, value), middle = y + 6;
        fig_text_fit(cr, FIG_FONT_LABEL, count->label, width - value_width - 10, text);
        fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_LEFT, x, middle, 0, text);
        fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_RIGHT, x + width, middle, 0, value);
        bar(cr, x, y + 14, width, BAR, track_color);
        bar(cr, x, y + 14, width * share, BAR, count->harm ? FIG_BAD : FIG_GOOD);
    }
}

psal_status psal_edit_figure_write(const psal_edit_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    const fig_legend_entry legend[] = {{"before the edit", FIG_KEY_BOX, {before_color, 0}},
                                       {"after the edit", FIG_KEY_BOX, {fig_palette(0), 0}}};
    double inner = WIDTH - 2 * EDGE, heading = fig_line_height(FIG_FONT_PANEL) + 6,
           fact = fig_line_height(FIG_FONT_LABEL);
    double left = figure->count_count ? (inner - GAP) * 0.55 : inner, right = inner - GAP - left;
    double header = fig_header(canvas.cr, false, EDGE, EDGE, inner, figure->title, figure->subtitle, legend, 2);
    double body = fmax(CLASS_HEIGHT * (double)figure->class_count, COUNT_HEIGHT * (double)figure->count_count);
    double facts = figure->fact_count ? 6 + fact * (double)figure->fact_count : 0;
    fig_canvas_start(&canvas, WIDTH, 2 * EDGE + header + heading + body + facts);

    cairo_t *cr = canvas.cr;
    double y = EDGE + header;
    fig_header(cr, true, EDGE, EDGE, inner, figure->title, figure->subtitle, legend, 2);
    fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, EDGE, y + heading / 2 - 3, 0, "confidence on this sample");
    if (figure->count_count)
        fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, EDGE + left + GAP, y + heading / 2 - 3, 0, "on other samples");
    y += heading;
    draw_classes(cr, figure, EDGE, y, left);
    draw_counts(cr, figure, EDGE + left + GAP, y, right);
    y += body + 6;
    char text[FIG_TEXT_MAX];
    for (size_t i = 0; i < figure->fact_count; i++) {
        fig_text_fit(cr, FIG_FONT_LABEL, figure->facts[i], inner, text);
        fig_text(cr, FIG_FONT_LABEL, FIG_QUIET, FIG_LEFT, EDGE, y + fact * ((double)i + 0.5), 0, text);
    }
    return fig_canvas_finish(&canvas, err);
}
