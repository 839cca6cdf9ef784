/* figure_sheet.c - a contact sheet: the query and its neighbours as thumbnails with captions. */
#include <math.h>
#include <stdio.h>

#include "engine/numbers.h"
#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define EDGE 16.0
#define GAP 16.0
#define PICTURE 128.0
#define LARGEST_SIDE 16384

static psal_status check(const psal_sheet_figure *figure, psal_error *err) {
    if (!figure->tiles || figure->tile_count < 1 || figure->tile_count > 1000)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a contact sheet of %zu pictures; expected 1 to 1000",
                         figure->tile_count);
    for (size_t i = 0; i < figure->tile_count; i++) {
        const psal_sheet_tile *tile = &figure->tiles[i];
        if (!tile->rgb) continue;
        if (tile->height < 1 || tile->width < 1 || tile->height > LARGEST_SIDE || tile->width > LARGEST_SIDE)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "picture %zu of the contact sheet is %d x %d pixels; expected 1 to %d", i, tile->height,
                             tile->width, LARGEST_SIDE);
        if (isinf(tile->similarity))
            return psal_fail(err, PSAL_ERR_NUMERIC, "the similarity of picture %zu of the contact sheet is %g", i,
                             tile->similarity);
    }
    return PSAL_OK;
}

/* "role: name", the role quiet, the name in colour and shortened. */
static void draw_class(cairo_t *cr, double x, double y, const char *role, const char *name, fig_color color) {
    char text[FIG_TEXT_MAX];
    if (!name) return;
    double lead = fig_text_width(cr, FIG_FONT_TICK, role) + 4;
    fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_LEFT, x, y, 0, role);
    fig_text_fit(cr, FIG_FONT_TICK, name, PICTURE - lead, text);
    fig_text(cr, FIG_FONT_TICK, color, FIG_LEFT, x + lead, y, 0, text);
}

static void draw_tile(cairo_t *cr, const psal_sheet_tile *tile, double x, double y) {
    if (!tile->rgb) return;
    double line = fig_line_height(FIG_FONT_TICK), longer = fmax(tile->height, tile->width);
    char text[FIG_TEXT_MAX], number[32] = "";
    if (!isnan(tile->similarity))
        psal_snprintf(number, sizeof number, fabs(tile->similarity) < 1000 ? "%.3f" : "%.3g", tile->similarity);
    double number_width = *number ? fig_text_width(cr, FIG_FONT_TICK, number) + 6 : 0;
    fig_text_fit(cr, FIG_FONT_PANEL, tile->heading, PICTURE - number_width, text);
    fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, x, y + line / 2, 0, text);
    fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_RIGHT, x + PICTURE, y + line / 2, 0, number);
    y += line + 4;

    double width = fmax(PICTURE * tile->width / longer, 1), height = fmax(PICTURE * tile->height / longer, 1);
    cairo_rectangle(cr, x, y, PICTURE, PICTURE);
    cairo_set_source_rgb(cr, 0.95, 0.953, 0.96);
    cairo_fill(cr);
    cairo_surface_t *image = fig_image_from_rgb(tile->rgb, tile->height, tile->width);
    fig_image_draw(cr, image, x + (PICTURE - width) / 2, y + (PICTURE - height) / 2, width, height, CAIRO_FILTER_GOOD);
    cairo_surface_destroy(image);
    if (tile->framed) {
        cairo_rectangle(cr, x - 1, y - 1, PICTURE + 2, PICTURE + 2);
        fig_set_color(cr, fig_palette(0), 1);
        cairo_set_line_width(cr, 2.2);
        cairo_stroke(cr);
    }
    y += PICTURE + 4;
    draw_class(cr, x, y + line / 2, "true", tile->true_name, FIG_INK);
    draw_class(cr, x, y + line * 1.5, "predicted", tile->predicted_name, tile->correct ? FIG_GOOD : FIG_BAD);
}

psal_status psal_sheet_figure_write(const psal_sheet_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    canvas.content = PSAL_PNG_PHOTO;
    size_t columns = figure->columns ? figure->columns : figure->tile_count > 30 ? 10 : 6;
    /* Cairo's images end at 32767 pixels: no more than 60 rows. */
    if (!figure->columns && figure->tile_count > 600) columns = (figure->tile_count + 59) / 60;
    if (columns > figure->tile_count) columns = figure->tile_count;
    if (columns > 40) columns = 40;
    size_t rows = (figure->tile_count + columns - 1) / columns;
    double inner = (double)columns * (PICTURE + GAP) - GAP;
    double cell = PICTURE + 8 + 3 * fig_line_height(FIG_FONT_TICK) + 12;
    /* A sheet of one or two pictures still needs room for its title. */
    double text_width = fmax(inner, 3 * PICTURE);
    double header = fig_header(canvas.cr, false, EDGE, EDGE, text_width, figure->title, figure->subtitle, NULL, 0);
    if (header == 0) text_width = inner;
    fig_canvas_start(&canvas, text_width + 2 * EDGE, 2 * EDGE + header + (double)rows * cell - 12);
    fig_header(canvas.cr, true, EDGE, EDGE, text_width, figure->title, figure->subtitle, NULL, 0);
    for (size_t i = 0; i < figure->tile_count; i++)
        draw_tile(canvas.cr, &figure->tiles[i], EDGE + (double)(i % columns) * (PICTURE + GAP),
                  EDGE + header + (double)(i / columns) * cell);
    return fig_canvas_finish(&canvas, err);
}
