/* figure_curves.c - several quantities over k (or over named choices), one panel each, one legend.
 */
#include <math.h>
#include <stdlib.h>

#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define GAP 18.0
#define NARROWEST 185.0
#define MAX_SERIES 12
#define MAX_PANELS 24
#define LARGEST 1e150 /* beyond it differences would overflow */

static psal_status check_values(const double *values, size_t count, size_t panel, const char *what, psal_error *err) {
    for (size_t i = 0; values && i < count; i++)
        if (isinf(values[i]) || fabs(values[i]) > LARGEST)
            return psal_fail(err, PSAL_ERR_NUMERIC, "%s number %zu of panel %zu is %g and cannot be drawn", what, i,
                             panel, values[i]);
    return PSAL_OK;
}

static psal_status check(const psal_curves_figure *figure, psal_error *err) {
    bool names = figure->x_scale == PSAL_SCALE_CATEGORY;
    size_t most = names ? 100 : 10000;
    if (figure->x_count < 1 || figure->x_count > most || (names ? !figure->x_name : !figure->x))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a figure of curves over %zu positions; expected 1 to %zu",
                         figure->x_count, most);
    if (!figure->series || figure->series_count < 1 || figure->series_count > MAX_SERIES)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a figure of %zu curves; expected 1 to %d", figure->series_count,
                         MAX_SERIES);
    if (!figure->panels || figure->panel_count < 1 || figure->panel_count > MAX_PANELS)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a figure of %zu panels; expected 1 to %d", figure->panel_count,
                         MAX_PANELS);
    for (size_t i = 0; i < figure->x_count && !names; i++) {
        double x = figure->x[i];
        if (!(fabs(x) <= LARGEST) || (i > 0 && !(x > figure->x[i - 1])) ||
            (figure->x_scale == PSAL_SCALE_LOG && !(x > 0)))
            return psal_fail(err, PSAL_ERR_NUMERIC, "position %zu of the curves is %g; expected increasing%s numbers",
                             i, x, figure->x_scale == PSAL_SCALE_LOG ? ", positive" : "");
    }
    for (size_t p = 0; p < figure->panel_count; p++) {
        const psal_curves_panel *panel = &figure->panels[p];
        if (!panel->mean) return psal_fail(err, PSAL_ERR_ARGUMENT, "panel %zu of the curves has no values", p);
        size_t count = figure->series_count * figure->x_count;
        psal_status status = check_values(panel->mean, count, p, "value", err);
        if (status == PSAL_OK) status = check_values(panel->error, count, p, "error", err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static void include(double value, bool log_y, double *low, double *high) {
    if (!isfinite(value) || (log_y && !(value > 0))) return;
    *low = fmin(*low, value);
    *high = fmax(*high, value);
}

static void set_ranges(const psal_curves_figure *figure, const psal_curves_panel *panel, fig_axes *axes) {
    bool names = figure->x_scale == PSAL_SCALE_CATEGORY;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < figure->series_count * figure->x_count; i++) {
        double error = panel->error && isfinite(panel->error[i]) ? fabs(panel->error[i]) : 0;
        include(panel->mean[i], panel->log_y, &low, &high);
        include(panel->mean[i] - error, panel->log_y, &low, &high);
        include(panel->mean[i] + error, panel->log_y, &low, &high);
    }
    if (low > high) low = panel->log_y ? 0.1 : 0, high = 1; /* nothing measured at all */
    if (panel->log_y) {
        axes->v.scale = FIG_LOG;
        low = fmax(low, high * 1e-12);
        axes->v.low = pow(10, floor(log10(low) + 1e-9));
        axes->v.high = pow(10, ceil(log10(high) - 1e-9));
        if (axes->v.low == axes->v.high) axes->v.high *= 10;
    } else {
        if (low == 0 && high == 0) high = 1; /* nothing but zeros: a line at the foot of an axis that has a length */
        /* Zero belongs in the picture of bars, and of anything that comes near it. */
        if (low > 0 && (names || low < 0.5 * high)) low = 0;
        if (high < 0 && (names || high > 0.5 * low)) high = 0;
        if (names) {
            fig_nice_range(&low, &high, 5);
        } else {
            double pad = high > low ? 0.05 * (high - low) : fmax(0.1 * fabs(high), 1e-9);
            if (low != 0) low -= pad;
            if (high != 0) high += pad;
        }
        axes->v.low = low;
        axes->v.high = high;
    }
    if (names) {
        axes->h.scale = FIG_CATEGORY;
        axes->h.names = figure->x_name;
        axes->h.name_count = figure->x_count;
        return;
    }
    double first = figure->x[0], last = figure->x[figure->x_count - 1];
    if (figure->x_scale == PSAL_SCALE_LOG) {
        axes->h.scale = FIG_LOG;
        double pad = fmax(pow(last / first, 0.03), 1.05);
        axes->h.low = first / pad;
        axes->h.high = last * pad;
    } else {
        double pad = last > first ? 0.03 * (last - first) : fmax(1e-9, 0.1 * fabs(first));
        axes->h.low = first - pad;
        axes->h.high = last + pad;
    }
}

static void draw_panel(const psal_curves_figure *figure, const psal_curves_panel *panel, const fig_axes *axes) {
    size_t n = figure->x_count;
    fig_axes_draw_grid(axes);
    if (figure->x_scale == PSAL_SCALE_CATEGORY) {
        cairo_save(axes->cr);
        fig_axes_clip(axes);
        double wide = 0.8 / (double)figure->series_count;
        for (size_t s = 0; s < figure->series_count; s++)
            for (size_t i = 0; i < n; i++) {
                double from = (double)i - 0.4 + (double)s * wide, y = panel->mean[s * n + i];
                fig_draw_bar(axes, from + 0.04 * wide, from + 0.96 * wide, y, fig_palette(s));
                if (panel->error && isfinite(panel->error[s * n + i]))
                    fig_draw_error_bar(axes, from + wide / 2, y, fabs(panel->error[s * n + i]), FIG_INK);
            }
        cairo_restore(axes->cr);
    } else {
        cairo_save(axes->cr);
        fig_axes_clip(axes);
        for (size_t s = figure->series_count; s-- > 0;)
            if (panel->error)
                fig_draw_band(axes, n, figure->x, panel->mean + s * n, panel->error + s * n, fig_series_style(s));
        cairo_restore(axes->cr);
        for (size_t s = figure->series_count; s-- > 0;)
            fig_draw_curve(axes, n, figure->x, panel->mean + s * n, fig_series_style(s));
    }
    fig_axes_draw_frame(axes);
}

/* The size of a panel, and how many stand side by side: on paper as many as are NARROWEST wide. */
static size_t lay_out(const psal_curves_figure *figure, const fig_canvas *canvas, double *width, double *height) {
    const bool names = figure->x_scale == PSAL_SCALE_CATEGORY;
    const double room = fig_canvas_room(canvas, 0) - 2 * FIG_EDGE;
    size_t columns = figure->columns ? figure->columns : figure->panel_count == 4 ? 2 : 3;
    if (columns > figure->panel_count) columns = figure->panel_count;
    if (canvas->paper > 0) {
        while (columns > 1 && (room + GAP) / (double)columns - GAP < NARROWEST) columns--;
        *width = (room + GAP) / (double)columns - GAP;
        *height = fmin(300, 0.72 * *width) + (names ? 40 : 0);
        return columns;
    }
    *width = columns == 1 ? 520 : columns == 2 ? 360 : 275;
    *height = columns == 1 ? 300 : columns == 2 ? 230 : 205;
    if (names) {
        *width = fmax(*width, 14.0 * (double)figure->x_count + 60);
        *height += 40;
    }
    return columns;
}

psal_status psal_curves_figure_write(const psal_curves_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;

    fig_axes axes[MAX_PANELS] = {0};
    fig_legend_entry legend[MAX_SERIES];
    for (size_t s = 0; s < figure->series_count; s++)
        legend[s] = (fig_legend_entry){figure->series[s],
                                       figure->x_scale == PSAL_SCALE_CATEGORY ? FIG_KEY_BOX : FIG_KEY_LINE,
                                       fig_series_style(s)};
    size_t legend_count = figure->series_count > 1 || figure->series[0] ? figure->series_count : 0;
    double width, height;
    size_t columns = lay_out(figure, &canvas, &width, &height), rows = (figure->panel_count + columns - 1) / columns;
    double inner = (double)columns * (width + GAP) - GAP;
    double header = fig_header(canvas.cr, false, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, legend,
                               legend_count);
    for (size_t p = 0; p < figure->panel_count; p++) {
        axes[p].cr = canvas.cr;
        axes[p].title = figure->panels[p].title;
        axes[p].v.label = figure->panels[p].y_label;
        axes[p].h.label = figure->x_label;
        set_ranges(figure, &figure->panels[p], &axes[p]);
    }
    /* Frames in one column begin at the same place. */
    for (size_t p = 0; p < figure->panel_count; p++) {
        double margin = fig_axes_left_margin(&axes[p], height - 60);
        for (size_t q = p % columns; q < figure->panel_count; q += columns)
            axes[q].left_margin = fmax(axes[q].left_margin, margin);
    }
    fig_canvas_start(&canvas, inner + 2 * FIG_EDGE, 2 * FIG_EDGE + header + (double)rows * (height + GAP) - GAP);
    fig_header(canvas.cr, true, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, legend, legend_count);
    for (size_t p = 0; p < figure->panel_count; p++) {
        axes[p].cr = canvas.cr;
        fig_axes_layout(&axes[p], FIG_EDGE + (double)(p % columns) * (width + GAP),
                        FIG_EDGE + header + (double)(p / columns) * (height + GAP), width, height);
        draw_panel(figure, &figure->panels[p], &axes[p]);
    }
    return fig_canvas_finish(&canvas, err);
}
