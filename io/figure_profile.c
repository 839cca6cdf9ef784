/* figure_profile.c - filter-saliency profiles, layer by layer. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"
#include "io/layer_groups.h"

#define WIDTH 920.0
#define PANEL_HEIGHT 232.0
#define SINGLE_PANEL_HEIGHT 290.0
#define LEADER 10.0       /* height of the lines from stage names to stages */
#define FAR 70.0          /* a name further from its stage than this is turned upright instead */
#define UPRIGHT_MAX 110.0 /* longest upright stage name */
#define NAMED_TOP 3       /* so many of the top filters get their names */
#define PAPER_RIGHT 16.0
#define STROKE_WIDTH 6.0 /* so much of the profile's line is drawn at once, or a layer */
#define MAX_PANELS 6
#define MAX_PROFILES 7

/* Everything that is drawn, in drawing order of dependence. */
typedef struct drawing {
    const psal_profile_figure *figure;
    cairo_t *cr;
    float *sorted[MAX_PANELS][MAX_PROFILES]; /* [filter_count] each */
    size_t color[MAX_PANELS][MAX_PROFILES];  /* index into the legend */
    fig_legend_entry legend[MAX_PANELS * MAX_PROFILES + 1];
    size_t legend_count;
    fig_axes axes[MAX_PANELS];
    fig_group *groups;
    size_t group_count;
    double *label_x, *label_size; /* stage names: centres, extents along the axis; size 0: not shown */
    bool upright;
    double label_height;
} drawing;

static const char *unit_of(const psal_profile_figure *figure) {
    return figure->unit ? figure->unit : "filters";
}

static psal_status check(const psal_profile_figure *figure, psal_error *err) {
    if (figure->filter_count < 1) return psal_fail(err, PSAL_ERR_ARGUMENT, "the profile figure has no filters");
    psal_status status = fig_layers_check(figure->layers, figure->layer_count, figure->filter_count, err);
    if (status != PSAL_OK) return status;
    if (!figure->panels || figure->panel_count < 1 || figure->panel_count > MAX_PANELS)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "the profile figure has %zu panels; expected 1 to %d",
                         figure->panel_count, MAX_PANELS);
    for (size_t p = 0; p < figure->panel_count; p++) {
        const psal_profile_panel *panel = &figure->panels[p];
        if (!panel->profiles || panel->profile_count < 1 || panel->profile_count > MAX_PROFILES)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "panel %zu of the profile figure has %zu profiles; expected 1 to %d", p,
                             panel->profile_count, MAX_PROFILES);
        for (size_t i = 0; i < panel->profile_count; i++)
            for (int64_t f = 0; f < figure->filter_count; f++)
                if (!isfinite(panel->profiles[i].values[f]))
                    return psal_fail(err, PSAL_ERR_NUMERIC, "profile \"%s\" is %g at filter %" PRId64,
                                     panel->profiles[i].label ? panel->profiles[i].label : "",
                                     (double)panel->profiles[i].values[f], f);
    }
    for (size_t i = 0; i < figure->top_count; i++)
        if (!figure->top || figure->top[i] < 0 || figure->top[i] >= figure->filter_count)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "filter %" PRId64 " is to be marked, but the profile has 0 to %" PRId64,
                             figure->top ? figure->top[i] : -1, figure->filter_count - 1);
    return PSAL_OK;
}

static int descending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static psal_status sort_profiles(drawing *plan, psal_error *err) {
    const psal_profile_figure *figure = plan->figure;
    size_t count = (size_t)figure->filter_count;
    for (size_t p = 0; p < figure->panel_count; p++)
        for (size_t i = 0; i < figure->panels[p].profile_count; i++) {
            float *sorted = plan->sorted[p][i] = malloc(count * sizeof *sorted);
            if (!sorted)
                return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %zu %s", count, unit_of(figure));
            memcpy(sorted, figure->panels[p].profiles[i].values, count * sizeof *sorted);
            for (size_t l = 0; l < figure->layer_count; l++)
                qsort(sorted + figure->layers[l].first, (size_t)figure->layers[l].count, sizeof *sorted, descending);
        }
    return PSAL_OK;
}

static const psal_figure_layer *layer_of(const psal_profile_figure *figure, int64_t filter) {
    size_t low = 0, high = figure->layer_count - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (figure->layers[middle].first <= filter)
            low = middle;
        else
            high = middle - 1;
    }
    return &figure->layers[low];
}

/* "the 10 most salient filters: (1) layer4.1.conv3 #527, (2) ..." */
static void describe_top(const psal_profile_figure *figure, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "the %zu most salient %.60s", figure->top_count, unit_of(figure));
    for (size_t i = 0; i < figure->top_count && i < NAMED_TOP && used < size; i++) {
        const psal_figure_layer *layer = layer_of(figure, figure->top[i]);
        size_t length = strlen(layer->name);
        if (length > 7 && strcmp(layer->name + length - 7, ".weight") == 0) length -= 7;
        used += (size_t)snprintf(text + used, size - used, "%s (%zu) %.*s", i == 0 ? ":" : ",", i + 1,
                                 (int)(length > 100 ? 100 : length), layer->name);
        if (layer->count > 1 && used < size)
            used += (size_t)snprintf(text + used, size - used, " #%" PRId64, figure->top[i] - layer->first);
    }
}

/* One legend for all panels: profiles of the same name share an entry and a colour. */
static void make_legend(drawing *plan, char *top_label, size_t top_label_size) {
    const psal_profile_figure *figure = plan->figure;
    for (size_t p = 0; p < figure->panel_count; p++)
        for (size_t i = 0; i < figure->panels[p].profile_count; i++) {
            const char *label = figure->panels[p].profiles[i].label ? figure->panels[p].profiles[i].label : "";
            size_t at = 0;
            while (at < plan->legend_count && strcmp(plan->legend[at].label, label) != 0) at++;
            if (at == plan->legend_count)
                plan->legend[plan->legend_count++] = (fig_legend_entry){
                    label, FIG_KEY_PLAIN, {fig_palette(at == 0 ? 0 : at + (at > 0)), at}};
            plan->color[p][i] = at;
        }
    if (figure->top_count > 0) {
        describe_top(figure, top_label, top_label_size);
        plan->legend[plan->legend_count++] = (fig_legend_entry){top_label, FIG_KEY_DOT, {FIG_ACCENT, 0}};
    }
}

static void set_ranges(drawing *plan) {
    const psal_profile_figure *figure = plan->figure;
    for (size_t p = 0; p < figure->panel_count; p++) {
        const psal_profile_panel *panel = &figure->panels[p];
        fig_axes *axes = &plan->axes[p];
        double low = INFINITY, high = -INFINITY, positive = INFINITY;
        for (size_t i = 0; i < panel->profile_count; i++)
            for (int64_t f = 0; f < figure->filter_count; f++) {
                double value = (double)panel->profiles[i].values[f];
                low = fmin(low, value);
                high = fmax(high, value);
                if (value > 0) positive = fmin(positive, value);
            }
        if (panel->log_y) {
            axes->v.scale = FIG_LOG;
            if (!(high > 0)) high = positive = 1;
            axes->v.low = fmax(positive, high * 1e-6); /* a few tiny values shall not flatten the rest */
            axes->v.high = high * 1.5;
            if (axes->v.low > axes->v.high / 10) axes->v.low = axes->v.high / 10;
        } else {
            axes->v.low = fmin(low, 0);
            axes->v.high = fmax(high, 0);
            double pad = 0.04 * (axes->v.high - axes->v.low);
            if (pad == 0) pad = 1;
            axes->v.high += pad;
            if (low < 0) axes->v.low -= pad;
        }
        axes->cr = plan->cr;
        axes->title = panel->title;
        axes->v.label = panel->y_label;
        axes->h.low = 0;
        axes->h.high = (double)figure->filter_count;
        axes->h.no_ticks = p + 1 < figure->panel_count;
    }
}

/* Stage names level above their stages, moved apart where they would touch; upright when that takes
 * them too far, and the smallest stages unnamed when even that is too much. */
static psal_status place_groups(drawing *plan, double left, double width, psal_error *err) {
    size_t count = plan->group_count;
    double *wanted = malloc(3 * count * sizeof *wanted);
    size_t *shown = malloc(count * sizeof *shown);
    plan->label_x = calloc(2 * count, sizeof *plan->label_x);
    if (!wanted || !shown || !plan->label_x) {
        free(wanted);
        free(shown);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu stage names", count);
    }
    plan->label_size = plan->label_x + count;
    double *size = wanted + count, *placed = wanted + 2 * count, total = (double)plan->figure->filter_count;
    double low = left - 24, high = left + width + 8, longest = 0;
    for (size_t g = 0; g < count; g++) {
        wanted[g] = left + ((double)plan->groups[g].first + (double)plan->groups[g].count / 2) / total * width;
        size[g] = fig_text_width(plan->cr, FIG_FONT_TICK, plan->groups[g].name);
        longest = fmax(longest, size[g]);
        shown[g] = g;
    }
    double moved = fig_place_labels(count, wanted, size, 7, low, high, placed);
    size_t left_over = count;
    plan->upright = moved < 0 || moved > FAR;
    plan->label_height = fig_line_height(FIG_FONT_TICK) + LEADER;
    if (plan->upright) {
        plan->label_height = fmin(longest, UPRIGHT_MAX) + 4 + LEADER;
        for (;;) {
            for (size_t i = 0; i < left_over; i++) {
                const fig_group *group = &plan->groups[shown[i]];
                wanted[i] = left + ((double)group->first + (double)group->count / 2) / total * width;
                size[i] = fig_line_height(FIG_FONT_TICK) - 1;
            }
            moved = fig_place_labels(left_over, wanted, size, 0, low, high, placed);
            if ((moved >= 0 && moved < FAR) || left_over <= 1) break;
            size_t smallest = 0;
            for (size_t i = 1; i < left_over; i++)
                if (plan->groups[shown[i]].count < plan->groups[shown[smallest]].count) smallest = i;
            memmove(shown + smallest, shown + smallest + 1, (left_over - smallest - 1) * sizeof *shown);
            left_over--;
        }
    }
    for (size_t i = 0; i < left_over; i++) {
        plan->label_x[shown[i]] = placed[i];
        plan->label_size[shown[i]] = size[i];
    }
    free(wanted);
    free(shown);
    return PSAL_OK;
}

static void draw_group_names(const drawing *plan) {
    const fig_axes *axes = &plan->axes[0];
    cairo_t *cr = plan->cr;
    double base = axes->y - (axes->title ? fig_line_height(FIG_FONT_PANEL) + 5 : 2);
    char text[FIG_TEXT_MAX];
    for (size_t g = 0; g < plan->group_count; g++) {
        if (plan->label_size[g] == 0) continue;
        const fig_group *group = &plan->groups[g];
        double middle = fig_axes_x(axes, (double)group->first + (double)group->count / 2), x = plan->label_x[g];
        double y = base - LEADER;
        fig_set_color(cr, FIG_QUIET, 0.55);
        cairo_set_line_width(cr, 0.6);
        cairo_move_to(cr, middle, base);
        cairo_line_to(cr, middle, base - 2.5);
        cairo_line_to(cr, x, y + 2);
        cairo_stroke(cr);
        if (plan->upright) {
            fig_text_fit(cr, FIG_FONT_TICK, group->name, UPRIGHT_MAX, text);
            fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_LEFT, x, y, 90, text);
        } else {
            fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_CENTER, x, y - fig_line_height(FIG_FONT_TICK) / 2 + 1, 0,
                     group->name);
        }
    }
}

static void vertical(const fig_axes *axes, int64_t filter) {
    double x = fig_axes_x(axes, (double)filter);
    cairo_move_to(axes->cr, x, axes->y);
    cairo_line_to(axes->cr, x, axes->y + axes->height);
}

/* Every second stage shaded, thin lines between layers, stronger ones between stages. */
static void draw_boundaries(const drawing *plan, const fig_axes *axes) {
    const psal_profile_figure *figure = plan->figure;
    cairo_t *cr = plan->cr;
    for (size_t g = 1; g < plan->group_count; g += 2) {
        double x = fig_axes_x(axes, (double)plan->groups[g].first);
        double end = fig_axes_x(axes, (double)(plan->groups[g].first + plan->groups[g].count));
        cairo_rectangle(cr, x, axes->y, end - x, axes->height);
    }
    cairo_set_source_rgb(cr, 0.965, 0.968, 0.974);
    cairo_fill(cr);
    fig_axes_draw_grid(axes);
    if (figure->layer_count <= axes->width / 2.5) {
        for (size_t l = 1; l < figure->layer_count; l++) vertical(axes, figure->layers[l].first);
        cairo_set_source_rgb(cr, 0.84, 0.85, 0.87);
        cairo_set_line_width(cr, 0.4);
        cairo_stroke(cr);
    }
    if (plan->group_count <= axes->width / 5) {
        for (size_t g = 1; g < plan->group_count; g++) vertical(axes, plan->groups[g].first);
        cairo_set_source_rgb(cr, 0.62, 0.64, 0.67);
        cairo_set_line_width(cr, 0.6);
        cairo_stroke(cr);
    }
}

static double height_of(const fig_axes *axes, double value) {
    if (axes->v.scale == FIG_LOG && value < axes->v.low) value = axes->v.low;
    return fig_axes_y(axes, value);
}

/* One layer as steps, each filter from f to f+1. Inside a layer the values only fall, so points
 * closer than a fifth of a point to the last one drawn can be left out without losing a peak. */
static void trace_layer(const fig_axes *axes, const float *sorted, const psal_figure_layer *layer) {
    const double fine = 0.2;
    double x = fig_axes_x(axes, (double)layer->first), y = height_of(axes, (double)sorted[layer->first]);
    cairo_line_to(axes->cr, x, y);
    for (int64_t f = layer->first + 1; f < layer->first + layer->count; f++) {
        double next_x = fig_axes_x(axes, (double)f), next_y = height_of(axes, (double)sorted[f]);
        if (next_x - x < fine && fabs(next_y - y) < fine) continue;
        cairo_line_to(axes->cr, next_x, y);
        cairo_line_to(axes->cr, next_x, next_y);
        x = next_x;
        y = next_y;
    }
    cairo_line_to(axes->cr, fig_axes_x(axes, (double)(layer->first + layer->count)), y);
}

static void draw_profile(const drawing *plan, const fig_axes *axes, const float *sorted, fig_color color, bool filled) {
    const psal_profile_figure *figure = plan->figure;
    cairo_t *cr = axes->cr;
    double base = axes->v.scale == FIG_LOG ? axes->y + axes->height : fig_axes_y(axes, 0);
    cairo_new_path(cr);
    for (size_t l = 0; l < figure->layer_count && filled; l++) {
        const psal_figure_layer *layer = &figure->layers[l];
        cairo_move_to(cr, fig_axes_x(axes, (double)layer->first), base);
        trace_layer(axes, sorted, layer);
        cairo_line_to(cr, fig_axes_x(axes, (double)(layer->first + layer->count)), base);
        cairo_close_path(cr);
    }
    fig_set_color(cr, color, 0.3);
    cairo_fill(cr);
    fig_set_color(cr, color, 1);
    cairo_set_line_width(cr, 0.9);
    /* A few layers at a time: the time of a stroke grows faster than the number of its steps. Narrow
     * ones together: where several share a pixel their union is wanted. */
    int64_t begin = 0;
    for (size_t l = 0; l < figure->layer_count; l++) {
        const psal_figure_layer *layer = &figure->layers[l];
        int64_t end = layer->first + layer->count;
        cairo_new_sub_path(cr);
        trace_layer(axes, sorted, layer);
        if (fig_axes_x(axes, (double)end) - fig_axes_x(axes, (double)begin) < STROKE_WIDTH &&
            end < figure->filter_count)
            continue;
        cairo_stroke(cr);
        begin = end;
    }
}

typedef struct box {
    double x, y, width, height;
} box;

static bool overlap(const box *a, const box *b) {
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height && b->y < a->y + a->height;
}

/* Put a rank beside its dot, where it touches no other dot or rank; leave it out otherwise. */
static void number_mark(const fig_axes *axes, const box *dot, const char *rank, box *taken, size_t *taken_count) {
    double width = fig_text_width(axes->cr, FIG_FONT_TICK, rank), height = FIG_FONT_TICK.size;
    double left = dot->x - 2 - width, right = dot->x + dot->width + 2;
    double middle = dot->y + (dot->height - height) / 2, above = dot->y - height + 1;
    const box places[] = {{left, middle, width, height},
                          {right, middle, width, height},
                          {left, above, width, height},
                          {right, above, width, height}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const box *place = &places[i];
        bool free_here = place->x > axes->x + 1 && place->x + width < axes->x + axes->width + 8;
        for (size_t j = 0; j < *taken_count && free_here; j++) free_here = !overlap(place, &taken[j]);
        if (!free_here) continue;
        cairo_rectangle(axes->cr, place->x - 1, place->y, width + 2, height);
        cairo_set_source_rgba(axes->cr, 1, 1, 1, 0.8);
        cairo_fill(axes->cr);
        fig_text(axes->cr, FIG_FONT_TICK, FIG_INK, FIG_LEFT, place->x, place->y + height / 2, 0, rank);
        taken[(*taken_count)++] = *place;
        return;
    }
}

static void draw_top(const drawing *plan, psal_status *status) {
    const psal_profile_figure *figure = plan->figure;
    const fig_axes *axes = &plan->axes[0];
    const float *values = figure->panels[0].profiles[0].values, *sorted = plan->sorted[0][0];
    box *taken = calloc(figure->top_count + NAMED_TOP, sizeof *taken);
    if (!taken) {
        *status = PSAL_ERR_MEMORY;
        return;
    }
    size_t count = figure->top_count;
    for (size_t i = figure->top_count; i-- > 0;) {
        const psal_figure_layer *layer = layer_of(figure, figure->top[i]);
        const float *at = sorted + layer->first;
        float value = values[figure->top[i]];
        while (*at > value) at++; /* its place in the sorted layer */
        double x = fig_axes_x(axes, (double)(at - sorted) + 0.5), y = height_of(axes, (double)value);
        fig_draw_marker(plan->cr, x, y, 6, (fig_style){FIG_ACCENT, 0});
        taken[i] = (box){x - 3.5, y - 3.5, 7, 7};
    }
    for (size_t i = 0; i < figure->top_count && i < NAMED_TOP; i++) {
        char rank[16];
        snprintf(rank, sizeof rank, "%zu", i + 1);
        box dot = taken[i];
        number_mark(axes, &dot, rank, taken, &count);
    }
    free(taken);
}

static psal_status draw(drawing *plan, fig_canvas *canvas, psal_error *err) {
    const psal_profile_figure *figure = plan->figure;
    char top_label[FIG_TEXT_MAX], x_label[128];
    make_legend(plan, top_label, sizeof top_label);

    /* Measure first: the header, the common left margin, the names of the stages; then the size of
     * the picture. */
    set_ranges(plan);
    double width = fig_canvas_room(canvas, WIDTH), inner = width - 2 * FIG_EDGE, margin = 0;
    double panel_height = fmin(figure->panel_count == 1 ? SINGLE_PANEL_HEIGHT : PANEL_HEIGHT, 0.6 * inner);
    for (size_t p = 0; p < figure->panel_count; p++)
        margin = fmax(margin, fig_axes_left_margin(&plan->axes[p], panel_height - 40));
    bool single = figure->filter_count == (int64_t)figure->layer_count; /* nothing to sort */
    snprintf(x_label, sizeof x_label, "%.60s in network order%s", unit_of(figure),
             single ? "" : ", sorted by saliency within each layer");
    if (!single && fig_text_width(plan->cr, FIG_FONT_LABEL, x_label) > inner - margin)
        snprintf(x_label, sizeof x_label, "%.60s, sorted within each layer", unit_of(figure));
    plan->axes[figure->panel_count - 1].h.label = x_label;
    for (size_t p = 0; p < figure->panel_count; p++) plan->axes[p].left_margin = margin;
    double header = fig_header(plan->cr, false, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle,
                               plan->legend, plan->legend_count);
    /* Paper has no edge for half of the last tick's label. */
    const double frame = inner - margin - (canvas->paper > 0 ? PAPER_RIGHT : 2);
    psal_status status = place_groups(plan, FIG_EDGE + margin, frame, err);
    if (status != PSAL_OK) return status;
    double below = fig_line_height(FIG_FONT_TICK) + fig_line_height(FIG_FONT_LABEL);
    fig_canvas_start(canvas, width,
                     2 * FIG_EDGE - 4 + header + plan->label_height + panel_height * (double)figure->panel_count +
                         below);

    plan->cr = canvas->cr;
    fig_header(plan->cr, true, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, plan->legend,
               plan->legend_count);
    double y = FIG_EDGE + header + plan->label_height;
    for (size_t p = 0; p < figure->panel_count; p++) {
        fig_axes *axes = &plan->axes[p];
        axes->cr = plan->cr;
        fig_axes_layout(axes, FIG_EDGE, y, inner, panel_height + (p + 1 == figure->panel_count ? below : 0));
        y += panel_height;
        /* The same width for all, whatever the last tick's label needs. */
        axes->width = frame;
        draw_boundaries(plan, axes);
        cairo_save(plan->cr);
        fig_axes_clip(axes);
        for (size_t i = figure->panels[p].profile_count; i-- > 0;)
            draw_profile(plan, axes, plan->sorted[p][i], plan->legend[plan->color[p][i]].style.color,
                         figure->panels[p].profile_count == 1);
        cairo_restore(plan->cr);
        fig_axes_draw_frame(axes);
    }
    draw_group_names(plan);
    if (figure->top_count > 0) draw_top(plan, &status);
    if (status != PSAL_OK) return psal_fail(err, status, "out of memory for %zu marks", figure->top_count);
    return PSAL_OK;
}

psal_status psal_profile_figure_write(const psal_profile_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    drawing plan = {.figure = figure, .cr = canvas.cr};
    status = fig_groups_make(figure->layers, figure->layer_count, &plan.groups, &plan.group_count, err);
    if (status == PSAL_OK) status = sort_profiles(&plan, err);
    if (status == PSAL_OK) status = draw(&plan, &canvas, err);
    for (size_t p = 0; p < MAX_PANELS; p++)
        for (size_t i = 0; i < MAX_PROFILES; i++) free(plan.sorted[p][i]);
    free(plan.groups);
    free(plan.label_x);
    if (status == PSAL_OK) return fig_canvas_finish(&canvas, err);
    fig_canvas_discard(&canvas);
    return status;
}
