/* figure_crops.c - what filters look for: a row of crops for each. */
#include <math.h>
#include <stdio.h>

#include "engine/numbers.h"
#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define GAP 6.0
#define GROUP_GAP 22.0
#define ROW_GAP 12.0
#define PICTURE 64.0
#define SMALLEST 30.0

enum { MOST_GROUPS = 4, MOST_COLUMNS = 20, MOST_ROWS = 100, LARGEST_SIDE = 16384 };

static psal_status check_crop(const psal_figure_crop *crop, size_t row, psal_error *err) {
    if (!crop->rgb) return PSAL_OK;
    if (crop->height < 1 || crop->width < 1 || crop->height > LARGEST_SIDE || crop->width > LARGEST_SIDE)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a crop in row %zu is %d x %d pixels; expected 1 to %d", row,
                         crop->height, crop->width, LARGEST_SIDE);
    if (!isfinite(crop->activation))
        return psal_fail(err, PSAL_ERR_NUMERIC, "the activation of a crop in row %zu is %g", row, crop->activation);
    return PSAL_OK;
}

static psal_status check(const psal_crops_figure *figure, psal_error *err) {
    if (figure->row_count < 1 || figure->row_count > MOST_ROWS || figure->group_count < 1 ||
        figure->group_count > MOST_GROUPS)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%zu rows of %zu groups of crops; expected 1 to %d of 1 to %d",
                         figure->row_count, figure->group_count, MOST_ROWS, MOST_GROUPS);
    for (size_t g = 0; g < figure->group_count; g++)
        if (figure->columns[g] < 1 || figure->columns[g] > MOST_COLUMNS)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%zu columns of crops; expected 1 to %d", figure->columns[g],
                             MOST_COLUMNS);
    for (size_t r = 0; r < figure->row_count; r++)
        for (size_t g = 0; g < figure->group_count; g++)
            for (size_t c = 0; c < figure->columns[g]; c++) {
                psal_status status = check_crop(&figure->rows[r].crops[g][c], r, err);
                if (status != PSAL_OK) return status;
            }
    return PSAL_OK;
}

/* Sizes of the crops and the white between them. Stacked: the second group and those after it below each other, their
 * names in the place of the first. */
typedef struct layout {
    double side, gap, group_gap;
    bool stacked;
} layout;

static double group_width(const psal_crops_figure *figure, const layout *l, size_t g) {
    return (double)figure->columns[g] * (l->side + l->gap) - l->gap;
}

static double line_height(const layout *l) {
    return l->side + 3 + 2 * fig_line_height(FIG_FONT_TICK);
}

static double width_of(const psal_crops_figure *figure, const layout *l) {
    double all = group_width(figure, l, 0), widest = 0;
    for (size_t g = 1; g < figure->group_count; g++) {
        const double one = l->group_gap + group_width(figure, l, g);
        all += one;
        widest = fmax(widest, one);
    }
    return l->stacked ? group_width(figure, l, 0) + widest : all;
}

/* On paper the crops share the width that there is, stacked where they would be small. */
static psal_status fit(const psal_crops_figure *figure, const fig_canvas *canvas, layout *l, psal_error *err) {
    *l = (layout){PICTURE, GAP, GROUP_GAP, false};
    if (canvas->paper == 0) return PSAL_OK;
    const double inner = fig_canvas_room(canvas, 0) - 2 * FIG_EDGE;
    l->gap = GAP / 2;
    l->group_gap = GROUP_GAP / 2;
    for (int stacked = 0; stacked < 2; stacked++) {
        l->stacked = stacked > 0 && figure->group_count > 1;
        l->side = 0;
        const double white = width_of(figure, l);
        l->side = 1;
        l->side = fmin((inner - white) / (width_of(figure, l) - white), PICTURE);
        if (l->side >= SMALLEST) return PSAL_OK;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: the crops do not fit %.0f mm side by side; give a larger width",
                     canvas->path, canvas->paper / 72 * 25.4);
}

/* The crop, its activation and its caption. Single pixels of small ones are shown as they are. */
static void draw_crop(cairo_t *cr, const psal_figure_crop *crop, bool framed, double side, double x, double y) {
    if (!crop->rgb) return;
    const double line = fig_line_height(FIG_FONT_TICK), longer = fmax(crop->height, crop->width);
    const double width = fmax(side * crop->width / longer, 1), height = fmax(side * crop->height / longer, 1);
    char text[FIG_TEXT_MAX], number[32];
    cairo_rectangle(cr, x, y, side, side);
    cairo_set_source_rgb(cr, 0.95, 0.953, 0.96);
    cairo_fill(cr);
    cairo_surface_t *image = fig_image_from_rgb(crop->rgb, crop->height, crop->width);
    fig_image_draw(cr, image, x + (side - width) / 2, y + (side - height) / 2, width, height,
                   longer < side ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
    cairo_surface_destroy(image);
    if (framed) {
        cairo_rectangle(cr, x - 1, y - 1, side + 2, side + 2);
        fig_set_color(cr, fig_palette(0), 1);
        cairo_set_line_width(cr, 2.2);
        cairo_stroke(cr);
    }
    y += side + 3;
    psal_snprintf(number, sizeof number, "%.3g", crop->activation);
    fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_CENTER, x + side / 2, y + line / 2, 0, number);
    if (!crop->caption) return;
    fig_text_fit(cr, FIG_FONT_TICK, crop->caption, side, text);
    fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_CENTER, x + side / 2, y + line * 1.5, 0, text);
}

static void draw_row(cairo_t *cr, const psal_crops_figure *figure, const psal_crops_row *row, const layout *l, double y,
                     double width) {
    const double line = fig_line_height(FIG_FONT_LABEL);
    char text[FIG_TEXT_MAX];
    const double note = row->note ? fig_text_width(cr, FIG_FONT_LABEL, row->note) + 8 : 0;
    fig_text_fit(cr, FIG_FONT_PANEL, row->title, fmax(width - note, width / 2), text);
    fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, FIG_EDGE, y + line / 2, 0, text);
    const double x_note = FIG_EDGE + fig_text_width(cr, FIG_FONT_PANEL, text) + 8;
    if (row->note) {
        fig_text_fit(cr, FIG_FONT_LABEL, row->note, FIG_EDGE + width - x_note, text);
        fig_text(cr, FIG_FONT_LABEL, FIG_QUIET, FIG_LEFT, x_note, y + line / 2, 0, text);
    }
    y += line + 4;
    double x = FIG_EDGE;
    for (size_t g = 0; g < figure->group_count; g++) {
        if (l->stacked && g > 1) {
            x = FIG_EDGE + group_width(figure, l, 0) + l->group_gap;
            y += line_height(l);
            fig_text_fit(cr, FIG_FONT_TICK, figure->groups[g], x - FIG_EDGE - 3, text);
            fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_LEFT, FIG_EDGE, y + l->side / 2, 0, text);
        }
        for (size_t c = 0; c < figure->columns[g]; c++)
            draw_crop(cr, &row->crops[g][c], figure->framed[g], l->side, x + (double)c * (l->side + l->gap), y);
        x += group_width(figure, l, g) + l->group_gap;
    }
}

psal_status psal_crops_figure_write(const psal_crops_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    canvas.content = PSAL_PNG_PHOTO;
    layout l;
    status = fit(figure, &canvas, &l, err);
    if (status != PSAL_OK) {
        fig_canvas_discard(&canvas);
        return status;
    }
    const double natural = fmax(width_of(figure, &l), 6 * PICTURE); /* room for the titles */
    const double width = fig_canvas_room(&canvas, natural + 2 * FIG_EDGE) - 2 * FIG_EDGE;
    const double lines = l.stacked ? (double)figure->group_count - 1 : 1;
    const double heads = fig_line_height(FIG_FONT_PANEL) + 6;
    const double cell = fig_line_height(FIG_FONT_LABEL) + 4 + lines * line_height(&l);
    const double header = fig_header(canvas.cr, false, FIG_EDGE, FIG_EDGE, width, figure->title, figure->subtitle, NULL,
                                     0);
    fig_canvas_start(&canvas, width + 2 * FIG_EDGE,
                     2 * FIG_EDGE + header + heads + (double)figure->row_count * (cell + ROW_GAP) - ROW_GAP);
    fig_header(canvas.cr, true, FIG_EDGE, FIG_EDGE, width, figure->title, figure->subtitle, NULL, 0);
    double x = FIG_EDGE;
    for (size_t g = 0; g < (l.stacked ? 2 : figure->group_count); x += group_width(figure, &l, g) + l.group_gap, g++) {
        char text[FIG_TEXT_MAX];
        const fig_font font = l.stacked ? FIG_FONT_TICK : FIG_FONT_LABEL;
        const double room = group_width(figure, &l, g) + (g + 1 < figure->group_count ? l.group_gap - 4 : 0);
        fig_text_fit(canvas.cr, font, figure->groups[g], room, text);
        fig_text(canvas.cr, font, FIG_QUIET, FIG_LEFT, x, FIG_EDGE + header + heads / 2 - 2, 0, text);
    }
    for (size_t r = 0; r < figure->row_count; r++)
        draw_row(canvas.cr, figure, &figure->rows[r], &l, FIG_EDGE + header + heads + (double)r * (cell + ROW_GAP),
                 width);
    return fig_canvas_finish(&canvas, err);
}
