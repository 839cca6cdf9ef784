/* axes.h (internal to io) - a small plotting layer: axes, grid, curves, bars, legend.
 *
 * An axes rectangle is laid out first (margins from the measured texts, so that nothing overlaps or
 * is cut), then grid, data and frame are drawn in that order. All lengths are points, y downwards.
 */
#ifndef PSAL_IO_AXES_H
#define PSAL_IO_AXES_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/figure_text.h"
#include "io/ticks.h"

typedef enum fig_scale {
    FIG_LINEAR,
    FIG_LOG,
    FIG_CATEGORY /* positions 0 .. name_count-1, named by `names` */
} fig_scale;

typedef struct fig_axis {
    fig_scale scale;
    double low, high;  /* shown range; for FIG_LOG both positive; set by fig_axes_layout for FIG_CATEGORY */
    const char *label; /* may be NULL */
    const char *const *names;
    size_t name_count;
    bool no_ticks;
    /* filled by fig_axes_layout */
    fig_tick ticks[FIG_TICKS_MAX];
    int tick_count;
    double name_width; /* category names: room for one line */
    double name_angle; /* their slant in degrees, or 0 for up to three level lines */
    int name_lines;
} fig_axis;

typedef struct fig_axes {
    cairo_t *cr;
    const char *title; /* above the frame, may be NULL */
    fig_axis h, v;
    double left_margin;         /* at least this much left of the frame; 0: as needed. Aligns stacked
                           panels. */
    double x, y, width, height; /* the frame, filled by fig_axes_layout */
} fig_axes;

/* Place the frame inside the given rectangle and choose the ticks. */
void fig_axes_layout(fig_axes *axes, double x, double y, double width, double height);
/* The left margin that layout would choose for this vertical axis at that frame height. */
double fig_axes_left_margin(fig_axes *axes, double height);

/* Data to position; NaN for NaN and for values at or below zero on a logarithmic axis. */
double fig_axes_x(const fig_axes *axes, double value);
double fig_axes_y(const fig_axes *axes, double value);

void fig_axes_draw_grid(const fig_axes *axes);  /* before the data */
void fig_axes_draw_frame(const fig_axes *axes); /* after the data: axis lines, ticks, labels, title */
void fig_axes_clip(const fig_axes *axes);       /* clip to the frame; pair with cairo_save / cairo_restore */

typedef enum fig_key { FIG_KEY_LINE, FIG_KEY_BOX, FIG_KEY_DOT, FIG_KEY_PLAIN } fig_key;

/* How one series looks: colour from the palette, and marker and dash so that it can be told apart
 * without colour. */
typedef struct fig_style {
    fig_color color;
    size_t index; /* chooses marker and dash */
} fig_style;
fig_style fig_series_style(size_t index);

/* Polyline through the points with a marker at each; a NaN coordinate leaves a gap. */
void fig_draw_curve(const fig_axes *axes, size_t count, const double *x, const double *y, fig_style style);
/* Shaded region y ± error; points with a NaN are left out. */
void fig_draw_band(const fig_axes *axes, size_t count, const double *x, const double *y, const double *error,
                   fig_style style);
void fig_draw_error_bar(const fig_axes *axes, double x, double y, double error, fig_color color);
void fig_draw_marker(cairo_t *cr, double x, double y, double size, fig_style style);
/* A bar from the axis' zero (or lower end) to y, `from` and `to` in data units of the horizontal
 * axis. */
void fig_draw_bar(const fig_axes *axes, double from, double to, double y, fig_color color);

typedef struct fig_legend_entry {
    const char *label;
    fig_key key;
    fig_style style;
} fig_legend_entry;

/* Title, subtitle and legend at the top of a figure, left-aligned, the legend flowing over as many
 * rows as needed. Returns the height used; draws only when `draw` is set. Any text may be NULL. */
double fig_header(cairo_t *cr, bool draw, double x, double y, double width, const char *title, const char *subtitle,
                  const fig_legend_entry *entries, size_t entry_count);

#endif
