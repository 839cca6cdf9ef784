/* figure_edit.c - what an edit of the network did: to the sample, to its neighbours, to what was
 * right. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "engine/numbers.h"
#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define GAP 28.0
#define WIDTH 760.0
#define NARROW 520.0
#define FACT_LINES 2
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
    const double names = fmin(NAME_WIDTH, width / 3);
    double bar_x = x + names + 8, bar_width = width - names - 8 - VALUE_WIDTH;
    for (size_t i = 0; i < figure->class_count; i++, y += CLASS_HEIGHT) {
        const psal_edit_class *class = &figure->classes[i];
        int count = fig_text_wrap(cr, FIG_FONT_LABEL, class->name, names, 2, lines);
        for (int l = 0; l < count; l++)
            fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_RIGHT, x + names,
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
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    const fig_legend_entry legend[] = {{"before the edit", FIG_KEY_BOX, {before_color, 0}},
                                       {"after the edit", FIG_KEY_BOX, {fig_palette(0), 0}}};
    double whole = fig_canvas_room(&canvas, WIDTH), inner = whole - 2 * FIG_EDGE;
    double heading = fig_line_height(FIG_FONT_PANEL) + 6, fact = fig_line_height(FIG_FONT_LABEL);
    const bool below = inner < NARROW; /* the counts, instead of beside the confidences */
    double left = figure->count_count && !below ? (inner - GAP) * 0.55 : inner,
           right = below ? inner : inner - GAP - left;
    double header = fig_header(canvas.cr, false, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, legend, 2);
    double classes = CLASS_HEIGHT * (double)figure->class_count, counts = COUNT_HEIGHT * (double)figure->count_count;
    double body = !below ? fmax(classes, counts) : classes + (figure->count_count ? heading + counts : 0);
    const int fact_lines = canvas.paper > 0 ? FACT_LINES : 1; /* at most, each */
    char lines[FACT_LINES][FIG_TEXT_MAX];
    double facts = figure->fact_count ? 6 : 0;
    for (size_t i = 0; i < figure->fact_count; i++)
        facts += fact * fig_text_wrap(canvas.cr, FIG_FONT_LABEL, figure->facts[i], inner, fact_lines, lines);
    fig_canvas_start(&canvas, whole, 2 * FIG_EDGE + header + heading + body + facts);

    cairo_t *cr = canvas.cr;
    double y = FIG_EDGE + header;
    fig_header(cr, true, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, legend, 2);
    fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, FIG_EDGE, y + heading / 2 - 3, 0, "confidence on this sample");
    const double counts_x = FIG_EDGE + (below ? 0 : left + GAP), counts_y = y + (below ? heading + classes : 0);
    if (figure->count_count)
        fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, counts_x, counts_y + heading / 2 - 3, 0, "on other samples");
    y += heading;
    draw_classes(cr, figure, FIG_EDGE, y, left);
    draw_counts(cr, figure, counts_x, counts_y + heading, right);
    y += body + 6;
    for (size_t i = 0; i < figure->fact_count; i++) {
        const int count = fig_text_wrap(cr, FIG_FONT_LABEL, figure->facts[i], inner, fact_lines, lines);
        for (int l = 0; l < count; l++, y += fact)
            fig_text(cr, FIG_FONT_LABEL, FIG_QUIET, FIG_LEFT, FIG_EDGE, y + fact * 0.5, 0, lines[l]);
    }
    return fig_canvas_finish(&canvas, err);
}
