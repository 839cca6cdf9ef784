/* figure_heatmap.c - photo, input-space saliency, and both together. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/numbers.h"
#include "io/axes.h"
#include "io/canvas.h"
#include "io/figure.h"

#define GAP 14.0
#define LONGER_SIDE 236.0 /* of a picture, in points */
#define BAR_WIDTH 9.0
#define BAR_LABELS 50.0
#define SMALLEST 90.0      /* picture of three side by side on paper */
#define LARGEST_SIDE 16384 /* pixels */

static psal_status check_size(const uint8_t *rgb, const float *grad, int channels, int height, int width,
                              psal_error *err) {
    if (!rgb || !grad || channels < 1 || height < 1 || width < 1 || height > LARGEST_SIDE || width > LARGEST_SIDE)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "a heat map of %d channels, %d x %d pixels cannot be drawn (at most %d x %d)", channels,
                         height, width, LARGEST_SIDE, LARGEST_SIDE);
    return PSAL_OK;
}

static float largest_of(const float *heat, size_t pixels) {
    float most = 0;
    for (size_t i = 0; i < pixels; i++) most = fmaxf(most, heat[i]);
    return most;
}

/* *out: the heat map in colours, and the overlay or (`compared` given) its heat map, each H×W×3, one malloc'd
 * block. largest: of the heat map and of the one that is compared, after the blur. */
static psal_status paint(psal_colors colors, const uint8_t *rgb, const float *grad, const float *compared, int channels,
                         int height, int width, uint8_t **out, float largest[2], psal_error *err) {
    size_t pixels = (size_t)height * (size_t)width;
    float *heat = malloc(pixels * sizeof *heat);
    uint8_t *painted = malloc(pixels * 6);
    psal_status status = PSAL_ERR_MEMORY;
    if (heat && painted)
        status = psal_heatmap(grad, channels, height, width, heat, err);
    else
        psal_fail(err, status, "out of memory for a heat map of %d x %d pixels", height, width);
    if (status == PSAL_OK) {
        for (size_t i = 0; i < pixels; i++) psal_heat_color(colors, heat[i], painted + 3 * i);
        largest[0] = largest_of(heat, pixels);
        if (compared)
            status = psal_heatmap(compared, channels, height, width, heat, err);
        else
            psal_heatmap_overlay(colors, heat, rgb, height, width, painted + 3 * pixels);
    }
    if (status == PSAL_OK && compared) {
        for (size_t i = 0; i < pixels; i++) psal_heat_color(colors, heat[i], painted + 3 * (pixels + i));
        largest[1] = largest_of(heat, pixels);
    }
    if (status != PSAL_OK) {
        free(painted);
        painted = NULL;
    }
    free(heat);
    *out = painted;
    return status;
}

static void draw_picture(cairo_t *cr, const uint8_t *rgb, int height, int width, double x, double y, double w, double h,
                         cairo_filter_t filter) {
    cairo_surface_t *image = fig_image_from_rgb(rgb, height, width);
    fig_image_draw(cr, image, x, y, w, h, filter);
    cairo_surface_destroy(image);
    cairo_rectangle(cr, x, y, w, h);
    fig_set_color(cr, FIG_QUIET, 0.6);
    cairo_set_line_width(cr, 0.5);
    cairo_stroke(cr);
}

/* The blur leaves few maps a pixel of 1: how far each goes is marked on the left, and said. */
static void draw_largest(cairo_t *cr, double x, double y, double height, const float *largest, int maps) {
    for (int m = 0; m < maps; m++) {
        const double at = y + (1 - (double)largest[m]) * height;
        cairo_move_to(cr, x - 1, at);
        cairo_line_to(cr, x - 6, at - 3);
        cairo_line_to(cr, x - 6, at + 3);
        cairo_close_path(cr);
        fig_set_color(cr, FIG_INK, 1);
        cairo_fill(cr);
    }
}

static void draw_color_bar(cairo_t *cr, psal_colors colors, double x, double y, double height, const float *largest,
                           int maps) {
    uint8_t scale[256 * 3];
    for (int i = 0; i < 256; i++) psal_heat_color(colors, (float)(255 - i) / 255, scale + 3 * i);
    draw_picture(cr, scale, 256, 1, x, y, BAR_WIDTH, height, CAIRO_FILTER_NEAREST);
    const struct {
        double at;
        const char *text;
    } marks[] = {{1, "1"}, {0.5, "0.5"}, {0, "0"}};
    for (int i = 0; i < 3; i++) {
        double mark = y + (1 - marks[i].at) * height;
        fig_set_color(cr, FIG_QUIET, 1);
        cairo_set_line_width(cr, 0.8);
        cairo_move_to(cr, x + BAR_WIDTH, mark);
        cairo_line_to(cr, x + BAR_WIDTH + 3, mark);
        cairo_stroke(cr);
        fig_text(cr, FIG_FONT_TICK, FIG_INK, FIG_LEFT, x + BAR_WIDTH + 5, mark, 0, marks[i].text);
    }
    draw_largest(cr, x, y, height, largest, maps);
    char most[64];
    const char *labels[] = {"percentiles 90 to 99 of the saliency, blurred", "saliency, percentiles 90 to 99",
                            "saliency"};
    psal_snprintf(most, sizeof most, maps > 1 ? "largest: %.2f, %.2f" : "largest: %.2f", (double)largest[0],
                  (double)largest[1]);
    for (int i = 0; i < 3; i++) {
        if (fig_text_width(cr, FIG_FONT_LABEL, labels[i]) > height) continue;
        fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_CENTER, x + BAR_WIDTH + 28, y + height / 2, 90, labels[i]);
        break;
    }
    if (fig_text_width(cr, FIG_FONT_TICK, most) <= height)
        fig_text(cr, FIG_FONT_TICK, FIG_QUIET, FIG_CENTER, x + BAR_WIDTH + 40, y + height / 2, 90, most);
}

/* "true: great white shark (0.2 %)" in at most two lines; returns their number. */
static int class_lines(cairo_t *cr, const char *role, const char *name, double confidence, double width,
                       char lines[2][FIG_TEXT_MAX]) {
    if (!name) return 0;
    char text[FIG_TEXT_MAX], number[32] = "";
    if (isfinite(confidence)) psal_snprintf(number, sizeof number, " (%.1f %%)", 100 * confidence);
    snprintf(text, sizeof text, "%s: %.400s%s", role, name, number);
    int count = fig_text_wrap(cr, FIG_FONT_LABEL, text, width, 2, lines);
    /* A very long name must not cost the confidence. */
    if (*number && count == 2 && !strstr(lines[1], number + 1)) {
        char rest[FIG_TEXT_MAX];
        snprintf(rest, sizeof rest, "%.480s", lines[1]);
        fig_text_fit(cr, FIG_FONT_LABEL, rest, width - fig_text_width(cr, FIG_FONT_LABEL, number), lines[1]);
        strncat(lines[1], number, FIG_TEXT_MAX - 1 - strlen(lines[1]));
    }
    return count;
}

psal_status psal_heatmap_figure_write(const psal_heatmap_figure *figure, const char *path, psal_error *err) {
    psal_status status = check_size(figure->rgb, figure->grad, figure->channels, figure->height, figure->width, err);
    if (status != PSAL_OK) return status;
    fig_canvas canvas;
    status = fig_canvas_open(&canvas, path, &figure->style, err);
    if (status != PSAL_OK) return status;
    canvas.record = figure->record;
    canvas.content = PSAL_PNG_PHOTO;
    uint8_t *painted;
    float largest[2] = {0, 0};
    status = paint(figure->style.colors, figure->rgb, figure->grad, figure->compared, figure->channels, figure->height,
                   figure->width, &painted, largest, err);
    if (status != PSAL_OK) {
        fig_canvas_discard(&canvas);
        return status;
    }

    double longer = fmax(figure->height, figure->width), side = LONGER_SIDE, bar = 8 + BAR_WIDTH + BAR_LABELS;
    int columns = 3;
    if (canvas.paper > 0) { /* two above one where three would be small */
        const double room = fig_canvas_room(&canvas, 0) - 2 * FIG_EDGE;
        if ((room - bar - 2 * GAP) / 3 < SMALLEST) columns = 2;
        side = (room - (columns == 3 ? bar : 0) - (columns - 1) * GAP) / columns;
    }
    double width = fmax(side * figure->width / longer, 1), height = fmax(side * figure->height / longer, 1);
    double cell = canvas.paper > 0 ? side : fmax(width, 150);
    double inner = columns * cell + (columns - 1) * GAP + (columns == 3 ? bar : 0);
    double line = fig_line_height(FIG_FONT_LABEL), heading = fig_line_height(FIG_FONT_PANEL) + 3;
    char lines[4][FIG_TEXT_MAX];
    double caption = 2 * cell + GAP; /* the class names may run below the heat map */
    int line_count = class_lines(canvas.cr, "predicted", figure->predicted_name, figure->predicted_confidence, caption,
                                 lines);
    line_count += class_lines(canvas.cr, "true", figure->true_name, figure->true_confidence, caption,
                              lines + line_count);
    double header = fig_header(canvas.cr, false, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, NULL, 0);
    const int rows = columns == 3 ? 1 : 2;
    fig_canvas_start(&canvas, inner + 2 * FIG_EDGE,
                     2 * FIG_EDGE + header + rows * (heading + height) + (rows - 1) * GAP + (line_count ? 5 : 0) +
                         line_count * line);

    cairo_t *cr = canvas.cr;
    fig_header(cr, true, FIG_EDGE, FIG_EDGE, inner, figure->title, figure->subtitle, NULL, 0);
    size_t size = (size_t)figure->height * (size_t)figure->width * 3;
    const char *other = figure->compared_name ? figure->compared_name : "input-space saliency";
    const struct {
        const char *heading;
        const uint8_t *rgb;
        cairo_filter_t filter;
    } pictures[] = {{"photo", figure->rgb, CAIRO_FILTER_GOOD},
                    {figure->name ? figure->name : "input-space saliency", painted, CAIRO_FILTER_NEAREST},
                    {figure->compared ? other : "overlay", painted + size,
                     figure->compared ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD}};
    double y = FIG_EDGE + header + heading, x = FIG_EDGE;
    for (int i = 0; i < 3; i++) {
        fig_text(cr, FIG_FONT_PANEL, FIG_INK, FIG_LEFT, x + (cell - width) / 2, y - heading / 2 - 1.5, 0,
                 pictures[i].heading);
        draw_picture(cr, pictures[i].rgb, figure->height, figure->width, x + (cell - width) / 2, y, width, height,
                     pictures[i].filter);
        x += cell + GAP;
        if (i != columns - 1 || rows == 1) continue;
        x = FIG_EDGE;
        y += height + GAP + heading;
    }
    draw_color_bar(cr, figure->style.colors, x - GAP + 8 + (rows - 1) * GAP, y, height, largest,
                   figure->compared ? 2 : 1);
    for (int i = 0; i < line_count; i++)
        fig_text(cr, FIG_FONT_LABEL, FIG_INK, FIG_LEFT, FIG_EDGE + (cell - width) / 2,
                 y + height + 5 + (i + 0.5) * line, 0, lines[i]);
    free(painted);
    return fig_canvas_finish(&canvas, err);
}

psal_status psal_heatmap_overlay_write(psal_colors colors, const uint8_t *rgb, const float *grad, int channels,
                                       int height, int width, const char *record, const char *path, psal_error *err) {
    psal_status status = check_size(rgb, grad, channels, height, width, err);
    if (status != PSAL_OK) return status;
    size_t length = path ? strlen(path) : 0;
    if (length < 4 || strcasecmp(path + length - 4, ".png") != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: an overlay's name must end in .png", path ? path : "");
    uint8_t *painted;
    float largest[2];
    status = paint(colors, rgb, grad, NULL, channels, height, width, &painted, largest, err);
    if (status != PSAL_OK) return status;
    const psal_image overlay = {.width = width, .height = height, .rgb = painted + (size_t)height * (size_t)width * 3};
    status = psal_image_write_png(path, &overlay, record, err);
    free(painted);
    return status;
}
