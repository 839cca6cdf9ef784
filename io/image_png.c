/* Reading PNG by libpng, with Pillow's conversions to RGB. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "io/image_codec.h"

/* Deflate cannot shrink data by more than this factor (zlib's "maximum compression factor"). */
#define DEFLATE_MAX_RATIO 1032

struct png_reader {
    png_structp png;
    png_infop info;
    const uint8_t *data; /* what is left to read */
    size_t left;
    char message[256];
    uint8_t *samples; /* one row as libpng delivers it, or all rows of an interlaced image */
    uint8_t palette[256][3];
};

/* ---- libpng's callbacks ---- */

static void on_error(png_structp png, png_const_charp message) {
    char *copy = png_get_error_ptr(png);
    snprintf(copy, 256, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep bytes, size_t count) {
    struct png_reader *reader = png_get_io_ptr(png);
    if (count > reader->left) png_error(png, "the file ends too early");
    memcpy(bytes, reader->data, count);
    reader->data += count;
    reader->left -= count;
}

/* ---- reading ---- */

/* Indices above the palette's end are grey levels in Pillow. */
static void read_palette(struct png_reader *reader) {
    for (int i = 0; i < 256; i++) memset(reader->palette[i], i, 3);
    png_colorp entries = NULL;
    int count = 0;
    if (!png_get_PLTE(reader->png, reader->info, &entries, &count)) return;
    for (int i = 0; i < count && i < 256; i++) {
        reader->palette[i][0] = entries[i].red;
        reader->palette[i][1] = entries[i].green;
        reader->palette[i][2] = entries[i].blue;
    }
}

/* One row of samples, each of 1 or 2 bytes (high byte first), in 1 (grey, index), 2 (grey, alpha),
 * 3 (RGB) or 4 (RGBA) channels. */
static void row_to_rgb(const struct png_reader *reader, const uint8_t *samples, int width,
                       uint8_t *rgb) {
    int color_type = png_get_color_type(reader->png, reader->info);
    int channels = png_get_channels(reader->png, reader->info);
    int bytes = png_get_bit_depth(reader->png, reader->info) == 16 ? 2 : 1;
    int step = channels * bytes;
    if (color_type == PNG_COLOR_TYPE_PALETTE) {
        for (int x = 0; x < width; x++) memcpy(rgb + 3 * x, reader->palette[samples[x]], 3);
    } else if (color_type == PNG_COLOR_TYPE_GRAY && bytes == 2) {
        for (int x = 0; x < width; x++) /* clipped to 255: white unless the high byte is 0 */
            memset(rgb + 3 * x, samples[2 * x] ? 255 : samples[2 * x + 1], 3);
    } else if (channels <= 2) {
        for (int x = 0; x < width; x++) memset(rgb + 3 * x, samples[x * step], 3);
    } else {
        for (int x = 0; x < width; x++, samples += step) {
            rgb[3 * x] = samples[0];
            rgb[3 * x + 1] = samples[bytes];
            rgb[3 * x + 2] = samples[2 * bytes];
        }
    }
}

static psal_status read_header(struct png_reader *reader, int64_t max_pixels, psal_error *err) {
    size_t size = reader->left;
    png_set_read_fn(reader->png, reader, on_read);
    png_set_user_limits(reader->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* checked below */
    /* No text, profiles, times: they do not change pixels. */
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(reader->png, reader->info);
    int64_t width = png_get_image_width(reader->png, reader->info);
    int64_t height = png_get_image_height(reader->png, reader->info);
    psal_status status = psal_image_check_size(width, height, max_pixels, err);
    if (status) return status;
    size_t row_bytes = png_get_rowbytes(reader->png, reader->info);
    if (row_bytes * (size_t)height / DEFLATE_MAX_RATIO > size)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "the PNG is damaged or truncated: %dx%d pixels cannot be in %zu bytes",
                         (int)width, (int)height, size);
    return PSAL_OK;
}

static psal_status read_pixels(struct png_reader *reader, psal_image *image, psal_error *err) {
    png_structp png = reader->png;
    int color_type = png_get_color_type(png, reader->info);
    if (color_type == PNG_COLOR_TYPE_PALETTE) {
        read_palette(reader);
        png_set_packing(png); /* one index per byte */
    } else if (color_type == PNG_COLOR_TYPE_GRAY) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    size_t row_bytes = png_get_rowbytes(png, reader->info);
    size_t rows = passes > 1 ? (size_t)image->height : 1;
    reader->samples = calloc(rows, row_bytes);
    if (!reader->samples)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu rows of %zu bytes", rows,
                         row_bytes);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < image->height; y++) {
            uint8_t *samples = reader->samples + (rows > 1 ? (size_t)y * row_bytes : 0);
            png_read_row(png, samples, NULL);
            if (pass < passes - 1) continue;
            row_to_rgb(reader, samples, image->width,
                       image->rgb + (size_t)y * (size_t)image->width * 3);
        }
    }
    png_read_end(png, NULL);
    return PSAL_OK;
}

/* Everything between setjmp and the end happens here; what must be freed is in *reader and *image.
 */
static psal_status decode(struct png_reader *reader, int64_t max_pixels, psal_image *image,
                          psal_error *err) {
    if (setjmp(png_jmpbuf(reader->png)))
        return psal_fail(err, PSAL_ERR_FORMAT, "the PNG is damaged or truncated: %s",
                         reader->message);
    psal_status status = read_header(reader, max_pixels, err);
    if (status) return status;
    status = psal_image_alloc((int)png_get_image_width(reader->png, reader->info),
                              (int)png_get_image_height(reader->png, reader->info), image, err);
    if (status) return status;
    return read_pixels(reader, image, err);
}

psal_status psal_image_decode_png(const uint8_t *data, size_t size, int64_t max_pixels,
                                  psal_image *image, psal_error *err) {
    struct png_reader reader = {.data = data, .left = size};
    reader.png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, reader.message, on_error, on_warning);
    if (reader.png) reader.info = png_create_info_struct(reader.png);
    psal_status status;
    if (reader.info)
        status = decode(&reader, max_pixels, image, err);
    else
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the PNG decoder");
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    free(reader.samples);
    if (status) psal_image_free(image);
    return status;
}
