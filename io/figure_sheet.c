/* figure_sheet.c - a contact sheet: the query and its neighbours as thumbnails with captions. */
#include <math.h>
#include <stdio.h>

#include "engine/numbers.h"
#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define GAP 16.0
#define PICTURE 128.0
#define SMALLEST 85.0 /* on paper */
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
static void draw_class(cairo_t *cr, double x, double y, double room, const char *role, const char *name,
                       fig_color color) {
    char text[FIG_TEXT_MAX];
    if (!name) return;
    double lead = fig_text_width(cr, FIG_FONT_TICK, role) + 4;
    fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_LEFT, x, y, 0, role);
    fig_text_fit(cr, FIG_FONT_TICK, name, room - lead, text);
    fig_text(cr, FIG_FONT_TICK, color, FIG_LEFT, x + lead, y, 0, text);
}

static void draw_tile(cairo_t *cr, const psal_sheet_tile *tile, double x, double y, double side) {
    if (!tile->rgb) return;
    double line = fig_line_height(FIG_FONT_TICK), longer = fmax(tile->height, tile->width);
    char text[FIG_TEXT_MAX], number[32] = "";
    if (!isnan(tile->similarity))
        psal_snprintf(number, sizeof number, fabs(tile->similarity) < 1000 ? "%.3f" : "%.3g", tile->similarity);
    double number_width = *number ? fig_text_width(cr, FIG_FONT_TICK, number) + 6 : 0;
    fig_text_fit(cr, FIG_FONT_PANEL, tile->heading, side - number_width, text);
    fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, x, y + line / 2, 0, text);
    fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_RIGHT, x + side, y + line / 2, 0, number);
    y += line + 4;

    double width = fmax(side * tile->width / longer, 1), height = fmax(side * tile->height / longer, 1);
    cairo_rectangle(cr, x, y, side, side);
    cairo_set_source_rgb(cr, 0.95, 0.953, 0.96);
    cairo_fill(cr);
    cairo_surface_t *image = fig_image_from_rgb(tile->rgb, tile->height, tile->width);
    fig_image_draw(cr, image, x + (side - width) / 2, y + (side - height) / 2, width, height, CAIRO_FILTER_GOOD);
    cairo_surface_destroy(image);
    if (tile->framed) {
        cairo_rectangle(cr, x - 1, y - 1, side + 2, side + 2);
        fig_set_color(cr, fig_palette(0), 1);
        cairo_set_line_width(cr, 2.2);
        cairo_stroke(cr);
    }
    y += side + 4;
    draw_class(cr, x, y + line / 2, side, "true", tile->true_name, FIG_INK);
    draw_class(cr, x, y + line * 1.5, side, "predicted", tile->predicted_name, tile->correct ? FIG_GOOD : FIG_BAD);
}

/* Rows of `columns` tiles, each over one line or, on paper that is narrow, several of `across`. */
typedef struct layout {
    size_t columns, across, lines;
    double side, gap;
} layout;

static layout lay_out(const psal_sheet_figure *figure, const fig_canvas *canvas) {
    layout l = {.gap = GAP, .side = PICTURE, .lines = 1};
    l.columns = figure->columns ? figure->columns : figure->tile_count > 30 ? 10 : 6;
    /* Cairo's images end at 32767 pixels: no more than 60 rows. */
    if (!figure->columns && figure->tile_count > 600) l.columns = (figure->tile_count + 59) / 60;
    if (l.columns > figure->tile_count) l.columns = figure->tile_count;
    if (l.columns > 40) l.columns = 40;
    l.across = l.columns;
    if (canvas->paper == 0) return l;
    const double inner = fig_canvas_room(canvas, 0) - 2 * FIG_EDGE;
    l.gap = GAP / 2;
    const size_t most = (size_t)fmax((inner + l.gap) / (SMALLEST + l.gap), 1);
    l.lines = (l.columns + most - 1) / most;
    l.across = (l.columns + l.lines - 1) / l.lines;
    l.side = fmin((inner + l.gap) / (double)l.across - l.gap, PICTURE);
    return l;
}

psal_status psal_sheet_figure_write(const psal_sheet_figure *figure, const char *path, psal_error *err) {
    psal_status status = check(figure, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    canvas.content = PSAL_PNG_PHOTO;
    const layout l = lay_out(figure, &canvas);
    size_t rows = (figure->tile_count + l.columns - 1) / l.columns * l.lines;
    double inner = (double)l.across * (l.side + l.gap) - l.gap;
    double cell = l.side + 8 + 3 * fig_line_height(FIG_FONT_TICK) + 12;
    /* A sheet of one or two pictures still needs room for its title. */
    double text_width = fig_canvas_room(&canvas, fmax(inner, 3 * PICTURE) + 2 * FIG_EDGE) - 2 * FIG_EDGE;
    double header = fig_header(canvas.cr, false, FIG_EDGE, FIG_EDGE, text_width, figure->title, figure->subtitle, NULL,
                               0);
    if (header == 0 && canvas.paper == 0) text_width = inner;
    fig_canvas_start(&canvas, text_width + 2 * FIG_EDGE, 2 * FIG_EDGE + header + (double)rows * cell - 12);
    fig_header(canvas.cr, true, FIG_EDGE, FIG_EDGE, text_width, figure->title, figure->subtitle, NULL, 0);
    for (size_t i = 0; i < figure->tile_count; i++) {
        const size_t at = i % l.columns, line = i / l.columns * l.lines + at / l.across;
        draw_tile(canvas.cr, &figure->tiles[i], FIG_EDGE + (double)(at % l.across) * (l.side + l.gap),
                  FIG_EDGE + header + (double)line * cell, l.side);
    }
    return fig_canvas_finish(&canvas, err);
}
