/* series.c - what is drawn inside a frame (curves, bands, bars, marks) and the header that names
 * it. */
#include "io/axes.h"

#include <math.h>

fig_style fig_series_style(size_t index) {
    return (fig_style){fig_palette(index), index};
}

static void set_dash(cairo_t *cr, size_t index) {
    static const double patterns[4][4] = {{0}, {5, 2.2}, {1.4, 2.0}, {6, 2, 1.4, 2}};
    static const int lengths[4] = {0, 2, 2, 4};
    cairo_set_dash(cr, patterns[index % 4], lengths[index % 4], 0);
}

void fig_draw_marker(cairo_t *cr, double x, double y, double size, fig_style style) {
    double r = size / 2;
    cairo_new_path(cr);
    switch (style.index % 5) {
    case 0:
        cairo_arc(cr, x, y, r, 0, 2 * M_PI);
        break;
    case 1:
        cairo_rectangle(cr, x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r);
        break;
    case 2:
        cairo_move_to(cr, x, y - 1.15 * r);
        cairo_line_to(cr, x + 1.08 * r, y + 0.8 * r);
        cairo_line_to(cr, x - 1.08 * r, y + 0.8 * r);
        cairo_close_path(cr);
        break;
    case 3:
        cairo_move_to(cr, x, y - 1.25 * r);
        cairo_line_to(cr, x + 1.25 * r, y);
        cairo_line_to(cr, x, y + 1.25 * r);
        cairo_line_to(cr, x - 1.25 * r, y);
        cairo_close_path(cr);
        break;
    default:
        cairo_move_to(cr, x, y + 1.15 * r);
        cairo_line_to(cr, x + 1.08 * r, y - 0.8 * r);
        cairo_line_to(cr, x - 1.08 * r, y - 0.8 * r);
        cairo_close_path(cr);
        break;
    }
    fig_set_color(cr, style.color, 1);
    cairo_fill_preserve(cr);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_set_dash(cr, NULL, 0, 0);
    cairo_set_line_width(cr, 0.5);
    cairo_stroke(cr);
}

void fig_draw_curve(const fig_axes *axes, size_t count, const double *x, const double *y, fig_style style) {
    cairo_t *cr = axes->cr;
    cairo_save(cr);
    cairo_save(cr);
    /* Half a line's width more than the frame, for curves along its edge. */
    cairo_rectangle(cr, axes->x - 1, axes->y - 1, axes->width + 2, axes->height + 2);
    cairo_clip(cr);
    cairo_new_path(cr);
    bool pen_down = false;
    for (size_t i = 0; i < count; i++) {
        double px = fig_axes_x(axes, x[i]), py = fig_axes_y(axes, y[i]);
        bool there = isfinite(px) && isfinite(py);
        if (there && pen_down) cairo_line_to(cr, px, py);
        if (there && !pen_down) cairo_move_to(cr, px, py);
        pen_down = there;
    }
    fig_set_color(cr, style.color, 1);
    cairo_set_line_width(cr, 1.4);
    set_dash(cr, style.index);
    cairo_stroke(cr);
    cairo_restore(cr);
    for (size_t i = 0; i < count; i++) {
        double px = fig_axes_x(axes, x[i]), py = fig_axes_y(axes, y[i]);
        /* Not those below what a logarithmic axis shows. */
        if (isfinite(px) && py > axes->y - 1 && py < axes->y + axes->height + 1) fig_draw_marker(cr, px, py, 5, style);
    }
    cairo_restore(cr);
}

void fig_draw_band(const fig_axes *axes, size_t count, const double *x, const double *y, const double *error,
                   fig_style style) {
    cairo_t *cr = axes->cr;
    for (size_t start = 0; start < count;) {
        size_t end = start;
        while (end < count && isfinite(fig_axes_x(axes, x[end])) && isfinite(fig_axes_y(axes, y[end])) &&
               isfinite(error[end]))
            end++;
        if (end - start >= 2) {
            double bottom = axes->y + axes->height;
            cairo_new_path(cr);
            for (size_t i = start; i < end; i++)
                cairo_line_to(cr, fig_axes_x(axes, x[i]), fig_axes_y(axes, y[i] + error[i]));
            for (size_t i = end; i-- > start;) {
                double low = fig_axes_y(axes, y[i] - error[i]); /* NaN: below what a logarithm can show */
                cairo_line_to(cr, fig_axes_x(axes, x[i]), isfinite(low) ? low : bottom);
            }
            cairo_close_path(cr);
            fig_set_color(cr, style.color, 0.15);
            cairo_fill(cr);
        }
        start = end > start ? end : start + 1;
    }
}

void fig_draw_error_bar(const fig_axes *axes, double x, double y, double error, fig_color color) {
    double px = fig_axes_x(axes, x), top = fig_axes_y(axes, y + error), low = fig_axes_y(axes, y - error);
    if (!isfinite(px) || !isfinite(top)) return;
    if (!isfinite(low)) low = axes->y + axes->height;
    cairo_t *cr = axes->cr;
    fig_set_color(cr, color, 1);
    cairo_set_line_width(cr, 0.9);
    cairo_move_to(cr, px, low);
    cairo_line_to(cr, px, top);
    cairo_move_to(cr, px - 2, low);
    cairo_line_to(cr, px + 2, low);
    cairo_move_to(cr, px - 2, top);
    cairo_line_to(cr, px + 2, top);
    cairo_stroke(cr);
}

void fig_draw_bar(const fig_axes *axes, double from, double to, double y, fig_color color) {
    double base = axes->v.scale == FIG_LINEAR && axes->v.low < 0 ? fmin(0, axes->v.high) : axes->v.low;
    double top = fig_axes_y(axes, y), foot = fig_axes_y(axes, base);
    if (!isfinite(top)) return;
    double left = fig_axes_x(axes, from);
    cairo_rectangle(axes->cr, left, fmin(top, foot), fig_axes_x(axes, to) - left, fabs(foot - top));
    fig_set_color(axes->cr, color, 1);
    cairo_fill(axes->cr);
}

#define KEY_WIDTH 20.0
#define KEY_GAP 5.0
#define ENTRY_GAP 18.0

static double key_width(fig_key key) {
    return key == FIG_KEY_LINE ? KEY_WIDTH : key == FIG_KEY_BOX ? 10 : 8;
}

static void draw_key(cairo_t *cr, double x, double y, const fig_legend_entry *entry) {
    double width = key_width(entry->key);
    cairo_save(cr);
    fig_set_color(cr, entry->style.color, 1);
    switch (entry->key) {
    case FIG_KEY_LINE:
        cairo_set_line_width(cr, 1.6);
        set_dash(cr, entry->style.index);
        cairo_move_to(cr, x, y);
        cairo_line_to(cr, x + width, y);
        cairo_stroke(cr);
        fig_draw_marker(cr, x + width / 2, y, 5.5, entry->style);
        break;
    case FIG_KEY_BOX:
        cairo_rectangle(cr, x, y - 4.5, width, 9);
        cairo_fill(cr);
        break;
    case FIG_KEY_DOT:
        fig_draw_marker(cr, x + width / 2, y, 5.5, (fig_style){entry->style.color, 0});
        break;
    case FIG_KEY_PLAIN:
        cairo_set_line_width(cr, 1.6);
        cairo_move_to(cr, x, y);
        cairo_line_to(cr, x + width, y);
        cairo_stroke(cr);
        break;
    }
    cairo_restore(cr);
}

static double legend(cairo_t *cr, bool draw, double x, double y, double width, const fig_legend_entry *entries,
                     size_t count) {
    double row = fig_line_height(FIG_FONT_LABEL) + 1, at = x, used = 0;
    char text[FIG_TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        double lead = key_width(entries[i].key) + KEY_GAP;
        fig_text_fit(cr, FIG_FONT_LABEL, entries[i].label, width - lead, text);
        double wide = lead + fig_text_width(cr, FIG_FONT_LABEL, text);
        if (used == 0 || at + wide > x + width) {
            at = x;
            used += row;
        }
        if (draw) {
            draw_key(cr, at, y + used - row / 2, &entries[i]);
            fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_LEFT, at + lead, y + used - row / 2, 0, text);
        }
        at += wide + ENTRY_GAP;
    }
    return used;
}

double fig_header(cairo_t *cr, bool draw, double x, double y, double width, const char *title, const char *subtitle,
                  const fig_legend_entry *entries, size_t entry_count) {
    double top = y;
    char lines[3][FIG_TEXT_MAX];
    const struct {
        const char *text;
        fig_font font;
        fig_color color;
        int lines;
    } texts[] = {{title, FIG_FONT_TITLE, FIG_INK, 2}, {subtitle, FIG_FONT_SUBTITLE, FIG_QUIET, 3}};
    for (size_t i = 0; i < 2; i++) {
        int count = fig_text_wrap(cr, texts[i].font, texts[i].text, width, texts[i].lines, lines);
        for (int j = 0; j < count; j++) {
            double height = fig_line_height(texts[i].font);
            if (draw) fig_text(cr, texts[i].font, texts[i].color, FIG_LEFT, x, y + height / 2, 0, lines[j]);
            y += height;
        }
    }
    if (entry_count > 0) {
        if (y > top) y += 4;
        y += legend(cr, draw, x, y, width, entries, entry_count);
    }
    return y > top ? y - top + 6 : 0;
}
