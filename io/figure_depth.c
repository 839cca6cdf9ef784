/* figure_depth.c - which stages of the network the top filters fall in. */
#include <math.h>
#include <stdlib.h>

#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"
#include "io/layer_groups.h"

#define MAX_SERIES 6

static psal_status check(const psal_depth_figure *figure, psal_error *err) {
    psal_status status = fig_layers_check(figure->layers, figure->layer_count, -1, err);
    if (status != PSAL_OK) return status;
    if (!figure->series || !figure->share || figure->series_count < 1 || figure->series_count > MAX_SERIES)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a figure by depth of %zu series; expected 1 to %d",
                         figure->series_count, MAX_SERIES);
    for (size_t s = 0; s < figure->series_count; s++)
        for (size_t l = 0; l < figure->layer_count; l++) {
            double share = figure->share[s * figure->layer_count + l];
            if (!(share >= 0) || share > 1e150)
                return psal_fail(err, PSAL_ERR_NUMERIC, "the share of layer %s in series %zu is %g; expected 0 or more",
                                 figure->layers[l].name, s, share);
        }
    if (!(figure->total >= 0) || figure->total > 1e150)
        return psal_fail(err, PSAL_ERR_NUMERIC, "the total of a figure by depth is %g; expected 0 or more",
                         figure->total);
    return PSAL_OK;
}

/* By chance a stage gets what its filters are of all filters. */
static double chance(const psal_depth_figure *figure, const fig_group *group) {
    const psal_figure_layer *last = &figure->layers[figure->layer_count - 1];
    return figure->total * (double)group->count / (double)(last->first + last->count);
}

static void draw_bars(const psal_depth_figure *figure, const fig_axes *axes, const fig_group *groups,
                      const double *share, size_t group_count) {
    cairo_t *cr = axes->cr;
    double wide = 0.76 / (double)figure->series_count;
    for (size_t s = 0; s < figure->series_count; s++)
        for (size_t g = 0; g < group_count; g++) {
            double from = (double)g - 0.38 + (double)s * wide;
            fig_draw_bar(axes, from + 0.03 * wide, from + 0.97 * wide, share[s * group_count + g], fig_palette(s));
        }
    if (figure->total <= 0) return;
    for (size_t g = 0; g < group_count; g++) {
        double y = fig_axes_y(axes, chance(figure, &groups[g]));
        cairo_move_to(cr, fig_axes_x(axes, (double)g - 0.45), y);
        cairo_line_to(cr, fig_axes_x(axes, (double)g + 0.45), y);
    }
    fig_set_color(cr, FIG_INK, 1);
    cairo_set_line_width(cr, 1.4);
    cairo_stroke(cr);
}

/* share[s][g] = sum over the layers of stage g, and a vertical axis that holds the largest. */
static void sum_stages(const psal_depth_figure *figure, const fig_group *groups, size_t group_count, double *share,
                       fig_axis *axis) {
    double high = 0;
    for (size_t s = 0; s < figure->series_count; s++)
        for (size_t g = 0; g < group_count; g++) {
            double sum = 0;
            for (size_t l = 0; l < groups[g].layer_count; l++)
                sum += figure->share[s * figure->layer_count + groups[g].first_layer + l];
            share[s * group_count + g] = sum;
            high = fmax(high, fmax(sum, chance(figure, &groups[g])));
        }
    axis->low = 0;
    axis->high = high > 0 ? high : 1;
    fig_nice_range(&axis->low, &axis->high, 5);
}

static psal_status draw(const psal_depth_figure *figure, const fig_group *groups, size_t group_count,
                        fig_canvas *canvas, psal_error *err) {
    double *share = malloc(figure->series_count * group_count * sizeof *share);
    const char **names = malloc(group_count * sizeof *names);
    if (!share || !names) {
        free(share);
        free(names);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu stages", group_count);
    }
    for (size_t g = 0; g < group_count; g++) names[g] = groups[g].name;
    fig_axes axes = {.cr = canvas->cr};
    axes.h = (fig_axis){
        .scale = FIG_CATEGORY, .names = names, .name_count = group_count, .label = "stage of the network"};
    axes.v.label = figure->y_label;
    sum_stages(figure, groups, group_count, share, &axes.v);

    fig_legend_entry legend[MAX_SERIES + 1];
    size_t legend_count = 0;
    for (size_t s = 0; s < figure->series_count; s++)
        legend[legend_count++] = (fig_legend_entry){figure->series[s], FIG_KEY_BOX, fig_series_style(s)};
    if (figure->total > 0)
        legend[legend_count++] = (fig_legend_entry){
            "expected by chance (share of all filters)", FIG_KEY_PLAIN, {FIG_INK, 0}};
    double natural = fmin(fmax(520, 44.0 * (double)group_count + 70), 960);
    double inner = fig_canvas_room(canvas, natural + 2 * FIG_EDGE) - 2 * FIG_EDGE, height = fmin(280, 0.75 * inner);
    double header = fig_header(canvas->cr, false, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, legend,
                               legend_count);
    fig_canvas_start(canvas, inner + 2 * FIG_EDGE, 2 * FIG_EDGE + header + height);
    fig_header(canvas->cr, true, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, legend, legend_count);
    axes.cr = canvas->cr;
    fig_axes_layout(&axes, FIG_EDGE, FIG_EDGE + header, inner, height);
    fig_axes_draw_grid(&axes);
    draw_bars(figure, &axes, groups, share, group_count);
    fig_axes_draw_frame(&axes);
    free(share);
    free(names);
    return PSAL_OK;
}

psal_status psal_depth_figure_write(const psal_depth_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    fig_group *groups = NULL;
    size_t group_count = 0;
    status = fig_groups_make(figure->layers, figure->layer_count, &groups, &group_count, err);
    if (status == PSAL_OK) status = draw(figure, groups, group_count, &canvas, err);
    free(groups);
    if (status == PSAL_OK) return fig_canvas_finish(&canvas, err);
    fig_canvas_discard(&canvas);
    return status;
}
