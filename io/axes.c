#include "io/axes.h"

#include <math.h>
#include <string.h>

#define TICK_LENGTH 3.5
#define TICK_GAP 3.0  /* between tick and its label */
#define LABEL_GAP 5.0 /* between tick labels and axis label */
#define NAME_SLANT 38.0
#define NAME_MAX_WIDTH 120.0
#define NAME_LINES 3

static double scaled(const fig_axis *axis, double value) {
    if (axis->scale != FIG_LOG) return (value - axis->low) / (axis->high - axis->low);
    if (!(value > 0)) return NAN;
    return (log10(value) - log10(axis->low)) / (log10(axis->high) - log10(axis->low));
}

double fig_axes_x(const fig_axes *axes, double value) {
    return axes->x + scaled(&axes->h, value) * axes->width;
}

double fig_axes_y(const fig_axes *axes, double value) {
    return axes->y + (1 - scaled(&axes->v, value)) * axes->height;
}

/* Ticks for an axis `length` points long when one label needs `room` of them. */
static void choose_ticks(fig_axis *axis, double length, double room) {
    axis->tick_count = 0;
    if (axis->no_ticks || axis->scale == FIG_CATEGORY) return;
    int most = (int)(length / room) + 1;
    if (most < 2) most = 2;
    if (most > 11) most = 11;
    axis->tick_count = axis->scale == FIG_LOG ? fig_log_ticks(axis->low, axis->high, most, axis->ticks)
                                              : fig_linear_ticks(axis->low, axis->high, most, axis->ticks);
}

static double widest_tick(cairo_t *cr, const fig_axis *axis) {
    double widest = 0;
    for (int i = 0; i < axis->tick_count; i++)
        widest = fmax(widest, fig_text_width(cr, FIG_FONT_TICK, axis->ticks[i].label));
    return widest;
}

double fig_axes_left_margin(fig_axes *axes, double height) {
    choose_ticks(&axes->v, height, 24);
    double margin = widest_tick(axes->cr, &axes->v) + TICK_LENGTH + TICK_GAP;
    if (axes->v.label) margin += LABEL_GAP + fig_line_height(FIG_FONT_LABEL);
    return margin;
}

/* Lines that the names take when broken at spaces to `width`; 0 when one must be shortened. */
static int level_lines(const fig_axes *axes, double width) {
    char lines[NAME_LINES + 1][FIG_TEXT_MAX];
    int most = 1;
    for (size_t i = 0; i < axes->h.name_count; i++) {
        int count = fig_text_wrap(axes->cr, FIG_FONT_TICK, axes->h.names[i], width, NAME_LINES + 1, lines);
        if (count > NAME_LINES) return 0;
        for (int l = 0; l < count; l++)
            if (!*lines[l] || fig_text_shortened(lines[l])) return 0;
        if (count > most) most = count;
    }
    return most;
}

static double names_height(const fig_axis *axis) {
    double line = fig_line_height(FIG_FONT_TICK);
    if (axis->name_angle == 0) return line * axis->name_lines;
    return axis->name_width * sin(NAME_SLANT * M_PI / 180) + line;
}

/* Names level in up to three lines where they fit their slots, slanted otherwise; `outer` is where
 * the panel begins on the left. */
static void place_names(fig_axes *axes, double outer) {
    fig_axis *axis = &axes->h;
    axis->low = -0.5;
    axis->high = (double)axis->name_count - 0.5;
    double slot = axes->width / (double)axis->name_count;
    axis->name_angle = 0;
    axis->name_width = slot - 6;
    axis->name_lines = level_lines(axes, axis->name_width);
    if (axis->name_lines > 0) return;
    axis->name_lines = 1;
    axis->name_angle = NAME_SLANT;
    axis->name_width = 0;
    for (size_t i = 0; i < axis->name_count; i++)
        axis->name_width = fmax(axis->name_width, fig_text_width(axes->cr, FIG_FONT_TICK, axis->names[i]));
    /* The first name slants out to the left of the frame: as far as there is room. */
    double most = (axes->x + slot / 2 - outer) / cos(NAME_SLANT * M_PI / 180);
    axis->name_width = fmin(axis->name_width, fmin(NAME_MAX_WIDTH, most));
}

void fig_axes_layout(fig_axes *axes, double x, double y, double width, double height) {
    double tick_line = fig_line_height(FIG_FONT_TICK);
    double top = axes->title ? fig_line_height(FIG_FONT_PANEL) + 5 : 0.5 * tick_line;
    double label_room = axes->h.label ? LABEL_GAP + fig_line_height(FIG_FONT_LABEL) : 2;
    double left = fmax(axes->left_margin, fig_axes_left_margin(axes, height - top - 2 * tick_line - label_room));
    double right = 2;

    /* Two rounds: the width decides the horizontal ticks, the last tick's label the right margin.
     */
    for (int round = 0; round < 2; round++) {
        axes->x = x + left;
        axes->width = fmax(width - left - right, 10);
        if (axes->h.scale == FIG_CATEGORY) break;
        choose_ticks(&axes->h, axes->width, 60);
        choose_ticks(&axes->h, axes->width, fmax(30, widest_tick(axes->cr, &axes->h) + 18));
        if (axes->h.tick_count > 0) {
            const fig_tick *last = &axes->h.ticks[axes->h.tick_count - 1];
            double overhang = fig_axes_x(axes, last->value) + fig_text_width(axes->cr, FIG_FONT_TICK, last->label) / 2 -
                              (axes->x + axes->width);
            right = fmax(2, overhang + 2);
        }
    }
    double bottom = label_room + TICK_LENGTH + TICK_GAP;
    if (axes->h.scale == FIG_CATEGORY) {
        place_names(axes, x);
        bottom += names_height(&axes->h);
    } else if (!axes->h.no_ticks)
        bottom += tick_line;
    axes->y = y + top;
    axes->height = fmax(height - top - bottom, 10);
    choose_ticks(&axes->v, axes->height, 24);
}

static void line(cairo_t *cr, double x0, double y0, double x1, double y1) {
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
}

void fig_axes_draw_grid(const fig_axes *axes) {
    cairo_t *cr = axes->cr;
    cairo_save(cr);
    fig_set_color(cr, FIG_GRID, 1);
    cairo_set_line_width(cr, 0.6);
    for (int i = 0; i < axes->v.tick_count; i++) {
        if (!*axes->v.ticks[i].label) continue;
        double y = fig_axes_y(axes, axes->v.ticks[i].value);
        line(cr, axes->x, y, axes->x + axes->width, y);
    }
    cairo_stroke(cr);
    cairo_restore(cr);
}

static void draw_names(const fig_axes *axes, double y) {
    const fig_axis *axis = &axes->h;
    char lines[NAME_LINES][FIG_TEXT_MAX];
    for (size_t i = 0; i < axis->name_count; i++) {
        double x = fig_axes_x(axes, (double)i), line = fig_line_height(FIG_FONT_TICK);
        int count = fig_text_wrap(axes->cr, FIG_FONT_TICK, axis->names[i], axis->name_width + 0.01, axis->name_lines,
                                  lines);
        for (int l = 0; l < count && axis->name_angle == 0; l++)
            fig_text(axes->cr, FIG_FONT_TICK, FIG_INK, FIG_CENTER, x, y + line * (l + 0.5), 0, lines[l]);
        if (count > 0 && axis->name_angle != 0)
            fig_text(axes->cr, FIG_FONT_TICK, FIG_INK, FIG_RIGHT, x + 3, y + 3, axis->name_angle, lines[0]);
    }
}

static void draw_horizontal(const fig_axes *axes) {
    cairo_t *cr = axes->cr;
    double bottom = axes->y + axes->height, tick_line = fig_line_height(FIG_FONT_TICK);
    double labels = bottom + TICK_LENGTH + TICK_GAP;
    line(cr, axes->x, bottom, axes->x + axes->width, bottom);
    for (int i = 0; i < axes->h.tick_count; i++) {
        double x = fig_axes_x(axes, axes->h.ticks[i].value);
        line(cr, x, bottom, x, bottom + (*axes->h.ticks[i].label ? TICK_LENGTH : 0.6 * TICK_LENGTH));
    }
    cairo_stroke(cr);
    /* A label that would touch the one before it is left out (the digits of a logarithmic axis are
     * uneven). */
    double free_from = -1e9;
    for (int i = 0; i < axes->h.tick_count; i++) {
        const fig_tick *tick = &axes->h.ticks[i];
        double x = fig_axes_x(axes, tick->value), half = fig_text_width(cr, FIG_FONT_TICK, tick->label) / 2;
        if (!*tick->label || x - half < free_from) continue;
        fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_CENTER, x, labels + tick_line / 2, 0, tick->label);
        free_from = x + half + 4;
    }
    if (axes->h.scale == FIG_CATEGORY) {
        draw_names(axes, labels);
        labels += names_height(&axes->h);
    } else if (!axes->h.no_ticks) {
        labels += tick_line;
    }
    if (axes->h.label) {
        char text[FIG_TEXT_MAX];
        fig_text_fit(cr, FIG_FONT_LABEL, axes->h.label, axes->width, text);
        fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_CENTER, axes->x + axes->width / 2,
                 labels + LABEL_GAP + fig_line_height(FIG_FONT_LABEL) / 2 - 2, 0, text);
    }
}

static void draw_vertical(const fig_axes *axes) {
    cairo_t *cr = axes->cr;
    line(cr, axes->x, axes->y, axes->x, axes->y + axes->height);
    for (int i = 0; i < axes->v.tick_count; i++) {
        double y = fig_axes_y(axes, axes->v.ticks[i].value);
        line(cr, axes->x, y, axes->x - (*axes->v.ticks[i].label ? TICK_LENGTH : 0.6 * TICK_LENGTH), y);
    }
    cairo_stroke(cr);
    double free_above = 1e9;
    for (int i = 0; i < axes->v.tick_count; i++) {
        const fig_tick *tick = &axes->v.ticks[i];
        double y = fig_axes_y(axes, tick->value);
        if (!*tick->label || y > free_above) continue;
        fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_RIGHT, axes->x - TICK_LENGTH - TICK_GAP, y, 0, tick->label);
        free_above = y - FIG_FONT_TICK.size;
    }
    if (axes->v.label) {
        double x = axes->x - TICK_LENGTH - TICK_GAP - widest_tick(cr, &axes->v) - LABEL_GAP -
                   fig_line_height(FIG_FONT_LABEL) / 2;
        /* Stacked panels share a left margin; their labels stand at its outer edge. */
        if (axes->left_margin > 0) x = fmin(x, axes->x - axes->left_margin + fig_line_height(FIG_FONT_LABEL) / 2);
        char text[FIG_TEXT_MAX];
        fig_text_fit(cr, FIG_FONT_LABEL, axes->v.label, axes->height + 16, text);
        fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_CENTER, x, axes->y + axes->height / 2, 90, text);
    }
}

void fig_axes_draw_frame(const fig_axes *axes) {
    cairo_t *cr = axes->cr;
    cairo_save(cr);
    cairo_set_line_width(cr, 0.8);
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_SQUARE);
    fig_set_color(cr, FIG_QUIET, 1);
    draw_horizontal(axes);
    fig_set_color(cr, FIG_QUIET, 1);
    draw_vertical(axes);
    /* Where values of both signs are shown, zero is a line. */
    if (axes->v.scale == FIG_LINEAR && axes->v.low < 0 && axes->v.high > 0) {
        double y = fig_axes_y(axes, 0);
        fig_set_color(cr, FIG_QUIET, 0.7);
        cairo_set_line_width(cr, 0.6);
        line(cr, axes->x, y, axes->x + axes->width, y);
        cairo_stroke(cr);
    }
    if (axes->title) {
        char text[FIG_TEXT_MAX];
        fig_text_fit(cr, FIG_FONT_PANEL, axes->title, axes->width, text);
        fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, axes->x, axes->y - 5 - fig_line_height(FIG_FONT_PANEL) / 2, 0,
                 text);
    }
    cairo_restore(cr);
}

void fig_axes_clip(const fig_axes *axes) {
    cairo_rectangle(axes->cr, axes->x, axes->y, axes->width, axes->height);
    cairo_clip(axes->cr);
}
