/* canvas.h (internal to io) - where a figure is drawn: PNG, SVG or PDF, chosen by the file ending.
 *
 * Lengths are points (1/72 inch); a PNG has FIG_PNG_SCALE pixels per point. A figure for a paper is laid out in larger
 * points, of which each becomes FIG_PAPER_SCALE: so a figure says widths and heights only, and not every size of type
 * and line. It also loses most of its white edge. The encoded file is
 * collected in memory and written whole, through psal_atomic_file. */
#ifndef PSAL_IO_CANVAS_H
#define PSAL_IO_CANVAS_H

#include <cairo.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "io/figure.h"
#include "io/image.h"

#define FIG_PNG_SCALE 2
#define FIG_EDGE 16.0       /* white around a figure */
#define FIG_PAPER_SCALE 0.8 /* the smallest type, of 8 points, becomes 6.4 */
#define FIG_PAPER_TRIM 13.0 /* of the edge */
#define FIG_PAPER_INCH 300  /* pixels */

typedef enum fig_format { FIG_PNG, FIG_SVG, FIG_PDF } fig_format;

typedef struct fig_buffer {
    unsigned char *data;
    size_t size, capacity;
} fig_buffer;

typedef struct fig_canvas {
    const char *path; /* the caller's string, kept until finish */
    fig_format format;
    psal_png_content content; /* how a PNG is packed: as a drawing unless the figure says otherwise */
    const char *record;       /* the caller's, kept until finish: UTF-8, goes into the file; or NULL */
    cairo_surface_t *surface;
    cairo_t *cr;          /* before fig_canvas_start: for measuring text only */
    double width, height; /* of the file */
    double paper;         /* the width that is asked for; 0: none */
    fig_buffer encoded;
    cairo_status_t failure; /* the first, of the contexts and surfaces that are gone */
} fig_canvas;

/* Check the ending and make a context on which text can be measured. On failure nothing is left to
 * free. */
psal_status fig_canvas_open(fig_canvas *canvas, const char *path, const psal_figure_style *style, psal_error *err);
/* How wide the figure is to be laid out, edges included: `natural`, or what makes the width that is asked for. */
double fig_canvas_room(const fig_canvas *canvas, double natural);
/* Begin the drawing proper: width × height points as they were laid out, white. Errors are kept by Cairo until finish.
 */
void fig_canvas_start(fig_canvas *canvas, double width, double height);
/* Encode, write the file, release everything (also on failure). */
psal_status fig_canvas_finish(fig_canvas *canvas, psal_error *err);
void fig_canvas_discard(fig_canvas *canvas);

/* An RGB24 image surface from 8-bit RGB rows; the caller destroys it. A surface in error state when
 * memory is short. */
cairo_surface_t *fig_image_from_rgb(const uint8_t *rgb, int height, int width);
/* Encode an RGB24 image surface as PNG, with a record (or NULL), into `out`, whose data the caller frees with
 * free(). */
psal_status fig_encode_png(cairo_surface_t *image, psal_png_content content, const char *record, fig_buffer *out,
                           psal_error *err);
/* Draw the image into the rectangle, smoothed or with hard pixels. */
void fig_image_draw(cairo_t *cr, cairo_surface_t *image, double x, double y, double width, double height,
                    cairo_filter_t filter);

#endif
