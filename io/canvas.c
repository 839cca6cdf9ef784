#include "io/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/atomic_file.h"
#include "io/figure.h"
#include "io/figure_text.h"

static cairo_status_t append(void *closure, const unsigned char *data, unsigned length) {
    fig_buffer *buffer = closure;
    if (buffer->capacity - buffer->size < length) {
        size_t capacity = buffer->capacity ? buffer->capacity : 1 << 16;
        while (capacity - buffer->size < length) {
            if (capacity > SIZE_MAX / 2) return CAIRO_STATUS_WRITE_ERROR;
            capacity *= 2;
        }
        unsigned char *data_now = realloc(buffer->data, capacity);
        if (!data_now) return CAIRO_STATUS_WRITE_ERROR;
        buffer->data = data_now;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, data, length);
    buffer->size += length;
    return CAIRO_STATUS_SUCCESS;
}

static bool append_png(void *buffer, const uint8_t *data, size_t size) {
    return size <= UINT_MAX && append(buffer, data, (unsigned)size) == CAIRO_STATUS_SUCCESS;
}

/* The same outlines and widths in every format and at every scale: no hinting, no subpixel colours.
 */
static void set_font_options(cairo_t *cr) {
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
}

static psal_status check_style(const psal_figure_style *style, psal_error *err) {
    if (style->width == 0 || (style->width >= PSAL_FIGURE_NARROWEST && style->width <= PSAL_FIGURE_WIDEST))
        return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "a figure of %g points' width; expected %g to %g", style->width,
                     PSAL_FIGURE_NARROWEST, PSAL_FIGURE_WIDEST);
}

double fig_canvas_room(const fig_canvas *canvas, double natural) {
    return canvas->paper > 0 ? canvas->paper / FIG_PAPER_SCALE + 2 * FIG_PAPER_TRIM : natural;
}

psal_status fig_canvas_open(fig_canvas *canvas, const char *path, const psal_figure_style *style, psal_error *err) {
    memset(canvas, 0, sizeof *canvas);
    psal_status status = check_style(style, err);
    if (status != PSAL_OK) return status;
    canvas->paper = style->width;
    if (!path || !*path) return psal_fail(err, PSAL_ERR_ARGUMENT, "the name of the figure file is empty");
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    if (dot && strcasecmp(dot, ".png") == 0)
        canvas->format = FIG_PNG;
    else if (dot && strcasecmp(dot, ".svg") == 0)
        canvas->format = FIG_SVG;
    else if (dot && strcasecmp(dot, ".pdf") == 0)
        canvas->format = FIG_PDF;
    else
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: a figure's name must end in .png, .svg or .pdf", path);
    canvas->path = path;
    /* The first text makes fontconfig read its configuration, which goes round for ever when no memory is left. */
    void *volatile room = malloc((size_t)8 << 20);
    if (!room) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory for a figure", path);
    free(room);
    errno = 0; /* for note_failure */
    canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    canvas->cr = cairo_create(canvas->surface);
    set_font_options(canvas->cr);
    return PSAL_OK;
}

/* Where text is measured wrongly for want of memory, the drawing is another one: it counts as failed. So does a drawing
 * during which malloc has failed: Cairo, Pixman, FreeType and fontconfig do not always say when they left something
 * out. */
static void note_failure(fig_canvas *canvas) {
    if (errno == ENOMEM && canvas->failure == CAIRO_STATUS_SUCCESS) canvas->failure = CAIRO_STATUS_NO_MEMORY;
    if (canvas->failure == CAIRO_STATUS_SUCCESS) canvas->failure = cairo_status(canvas->cr);
    if (canvas->failure == CAIRO_STATUS_SUCCESS) canvas->failure = cairo_surface_status(canvas->surface);
}

void fig_canvas_start(fig_canvas *canvas, double width, double height) {
    note_failure(canvas);
    cairo_destroy(canvas->cr);
    cairo_surface_destroy(canvas->surface);
    const bool paper = canvas->paper > 0;
    const double pixels = paper ? FIG_PAPER_INCH / 72.0 : FIG_PNG_SCALE;
    canvas->width = width = paper ? canvas->paper : ceil(width);
    canvas->height = height = ceil(paper ? (height - 2 * FIG_PAPER_TRIM) * FIG_PAPER_SCALE : height);
    switch (canvas->format) {
    case FIG_PNG:
        canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)lround(width * pixels),
                                                     (int)lround(height * pixels));
        break;
    case FIG_SVG:
        canvas->surface = cairo_svg_surface_create_for_stream(append, &canvas->encoded, width, height);
        cairo_svg_surface_set_document_unit(canvas->surface, CAIRO_SVG_UNIT_PT);
        break;
    case FIG_PDF:
        canvas->surface = cairo_pdf_surface_create_for_stream(append, &canvas->encoded, width, height);
        /* Without a date the same figure has the same bytes tomorrow. */
        cairo_pdf_surface_set_metadata(canvas->surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
        break;
    }
    canvas->cr = cairo_create(canvas->surface);
    if (canvas->format == FIG_PNG) cairo_scale(canvas->cr, pixels, pixels);
    set_font_options(canvas->cr);
    cairo_set_source_rgb(canvas->cr, 1, 1, 1);
    cairo_paint(canvas->cr);
    if (paper) cairo_scale(canvas->cr, FIG_PAPER_SCALE, FIG_PAPER_SCALE);
    if (paper) cairo_translate(canvas->cr, -FIG_PAPER_TRIM, -FIG_PAPER_TRIM);
    cairo_set_line_join(canvas->cr, CAIRO_LINE_JOIN_ROUND);
}

void psal_figure_prepare_fonts(void) {
    fig_canvas canvas;
    if (fig_canvas_open(&canvas, "fonts.png", &(psal_figure_style){0}, NULL) != PSAL_OK)
        return; /* which writes nothing */
    fig_text_width(canvas.cr, FIG_FONT_TITLE, "a");
    fig_text_width(canvas.cr, FIG_FONT_LABEL, "a");
    fig_canvas_discard(&canvas);
}

void fig_canvas_discard(fig_canvas *canvas) {
    cairo_destroy(canvas->cr);
    if (canvas->surface) cairo_surface_finish(canvas->surface);
    cairo_surface_destroy(canvas->surface);
    free(canvas->encoded.data);
    memset(canvas, 0, sizeof *canvas);
}

/* A row of Cairo's pixels, 0x00RRGGBB each, as bytes. */
static const uint8_t *surface_row(const void *from, int y, uint8_t *room) {
    cairo_surface_t *image = (cairo_surface_t *)from;
    const unsigned char *data = cairo_image_surface_get_data(image);
    int width = cairo_image_surface_get_width(image);
    const uint32_t *row = (const uint32_t *)(const void *)(data +
                                                           (size_t)y * (size_t)cairo_image_surface_get_stride(image));
    for (int x = 0; x < width; x++) {
        room[3 * x] = (uint8_t)(row[x] >> 16);
        room[3 * x + 1] = (uint8_t)(row[x] >> 8);
        room[3 * x + 2] = (uint8_t)row[x];
    }
    return room;
}

psal_status fig_encode_png(cairo_surface_t *image, psal_png_content content, const char *record, fig_buffer *out,
                           psal_error *err) {
    cairo_surface_flush(image);
    cairo_status_t failure = cairo_surface_status(image);
    if (failure != CAIRO_STATUS_SUCCESS)
        return psal_fail(err, PSAL_ERR_MEMORY, "the picture cannot be drawn: %s", cairo_status_to_string(failure));
    psal_png_source source = {.width = cairo_image_surface_get_width(image),
                              .height = cairo_image_surface_get_height(image),
                              .content = content,
                              .record = record,
                              .row = surface_row,
                              .from = image};
    return psal_png_encode(&source, append_png, out, err);
}

/* Cairo numbers surfaces and images per process and writes the numbers into SVG as ids
 * (id="surface12", xlink:href="#image7"). Numbered in the order of their appearance instead, the
 * same figure has the same bytes. Quotes delimit every id, and occur in no other text Cairo writes.
 */
static psal_status renumber_svg(fig_buffer *svg, psal_error *err) {
    static const char *const kinds[] = {"surface", "image"};
    size_t known = 0, capacity = 0, kept = 0;
    unsigned long *numbers = NULL; /* Cairo's, in order of appearance */
    for (size_t at = 0; at < svg->size;) {
        unsigned char byte = svg->data[at++];
        svg->data[kept++] = byte;
        if (byte != '"' || svg->size - at < 40) continue;
        const char *id = (const char *)svg->data + at;
        size_t lead = id[0] == '#';
        for (size_t k = 0; k < 2; k++) {
            size_t length = strlen(kinds[k]);
            char *end;
            if (strncmp(id + lead, kinds[k], length) != 0) continue;
            unsigned long number = strtoul(id + lead + length, &end, 10);
            if (end == id + lead + length || *end != '"') continue;
            size_t index = 0;
            while (index < known && numbers[index] != number) index++;
            if (index == capacity) {
                unsigned long *grown = realloc(numbers, (capacity = 2 * capacity + 16) * sizeof *numbers);
                if (!grown) {
                    free(numbers);
                    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an SVG figure");
                }
                numbers = grown;
            }
            if (index == known) numbers[known++] = number;
            char text[48];
            int written = snprintf(text, sizeof text, "%s%s%zu", lead ? "#" : "", kinds[k], index + 1);
            /* Never longer than what Cairo wrote: its numbers grow at least as fast. */
            if ((size_t)written > (size_t)(end - id)) break;
            memcpy(svg->data + kept, text, (size_t)written);
            kept += (size_t)written;
            at += (size_t)(end - id);
            break;
        }
    }
    svg->size = kept;
    free(numbers);
    return PSAL_OK;
}

/* Put <metadata> with the text behind the opening tag of the SVG. */
static psal_status insert_record(fig_buffer *svg, const char *record, psal_error *err) {
    const unsigned char *tag = svg->size ? memmem(svg->data, svg->size, "<svg", 4) : NULL;
    const unsigned char *end = tag ? memchr(tag, '>', svg->size - (size_t)(tag - svg->data)) : NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = end ? open_memstream(&text, &size) : NULL;
    if (!out) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an SVG figure");
    const size_t head = (size_t)(end + 1 - svg->data);
    fwrite(svg->data, 1, head, out);
    fputs("\n<metadata>", out);
    for (; *record; record++) {
        if (*record == '&')
            fputs("&amp;", out);
        else if (*record == '<')
            fputs("&lt;", out);
        else if (*record == '>')
            fputs("&gt;", out);
        else
            putc(*record, out);
    }
    fputs("</metadata>", out);
    fwrite(svg->data + head, 1, svg->size - head, out);
    const bool lost = ferror(out) != 0;
    if (fclose(out) != 0 || lost) {
        free(text);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an SVG figure");
    }
    free(svg->data);
    *svg = (fig_buffer){(unsigned char *)text, size, size};
    return PSAL_OK;
}

psal_status fig_canvas_finish(fig_canvas *canvas, psal_error *err) {
    psal_status status = PSAL_OK;
    note_failure(canvas);
    if (canvas->record && canvas->format == FIG_PDF)
        cairo_pdf_surface_set_metadata(canvas->surface, CAIRO_PDF_METADATA_SUBJECT, canvas->record);
    if (canvas->failure == CAIRO_STATUS_SUCCESS && canvas->format != FIG_PNG) {
        cairo_show_page(canvas->cr);
        note_failure(canvas);
        cairo_surface_finish(canvas->surface);
        note_failure(canvas);
    }
    if (canvas->failure != CAIRO_STATUS_SUCCESS)
        status = psal_fail(err, PSAL_ERR_MEMORY, "%s: the figure of %.0f x %.0f points cannot be drawn: %s",
                           canvas->path, canvas->width, canvas->height, cairo_status_to_string(canvas->failure));
    else if (canvas->format == FIG_PNG)
        status = fig_encode_png(canvas->surface, canvas->content, canvas->record, &canvas->encoded, err);
    else if (canvas->format == FIG_SVG)
        status = renumber_svg(&canvas->encoded, err);
    if (status == PSAL_OK && canvas->format == FIG_SVG && canvas->record)
        status = insert_record(&canvas->encoded, canvas->record, err);
    if (status == PSAL_OK)
        status = psal_atomic_file_write(canvas->path, canvas->encoded.data, canvas->encoded.size, err);
    fig_canvas_discard(canvas);
    return status;
}

cairo_surface_t *fig_image_from_rgb(const uint8_t *rgb, int height, int width) {
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS) return image;
    cairo_surface_flush(image);
    unsigned char *data = cairo_image_surface_get_data(image);
    size_t stride = (size_t)cairo_image_surface_get_stride(image);
    for (int y = 0; y < height; y++) {
        const uint8_t *row = rgb + (size_t)y * (size_t)width * 3;
        for (int x = 0; x < width; x++) {
            uint32_t pixel = (uint32_t)row[3 * x] << 16 | (uint32_t)row[3 * x + 1] << 8 | row[3 * x + 2];
            memcpy(data + (size_t)y * stride + (size_t)x * 4, &pixel, 4);
        }
    }
    cairo_surface_mark_dirty(image);
    return image;
}

void fig_image_draw(cairo_t *cr, cairo_surface_t *image, double x, double y, double width, double height,
                    cairo_filter_t filter) {
    double pixels_x = cairo_image_surface_get_width(image), pixels_y = cairo_image_surface_get_height(image);
    if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS)
        cairo_set_source_surface(cr, image, 0, 0); /* cr fails as it has */
    if (pixels_x < 1 || pixels_y < 1) return;
    cairo_save(cr);
    cairo_rectangle(cr, x, y, width, height);
    cairo_clip(cr);
    cairo_translate(cr, x, y);
    cairo_scale(cr, width / pixels_x, height / pixels_y);
    cairo_set_source_surface(cr, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), filter);
    /* Without it the border pixels would be mixed with transparency. */
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
    cairo_paint(cr);
    cairo_restore(cr);
}
