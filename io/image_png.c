/* PNG by libpng: reading with Pillow's conversions to RGB, and plain writing. */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <zlib.h>

#include "io/atomic_file.h"
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
    bool no_memory; /* what failed was an allocation: not the image's fault */
};

/* ---- libpng's callbacks ---- */

static void on_error(png_structp png, png_const_charp message) {
    char *copy = png_get_error_ptr(png);
    snprintf(copy, 256, "%s", message);
    png_longjmp(png, 1);
}

static png_voidp allocate(png_structp png, png_alloc_size_t size) {
    void *room = malloc(size);
    if (!room) ((struct png_reader *)png_get_mem_ptr(png))->no_memory = true;
    return room;
}

static void release(png_structp png, png_voidp room) {
    (void)png;
    free(room);
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
static void row_to_rgb(const struct png_reader *reader, const uint8_t *samples, int width, uint8_t *rgb) {
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
        return psal_fail(err, PSAL_ERR_FORMAT, "the PNG is damaged or truncated: %dx%d pixels cannot be in %zu bytes",
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
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu rows of %zu bytes", rows, row_bytes);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < image->height; y++) {
            uint8_t *samples = reader->samples + (rows > 1 ? (size_t)y * row_bytes : 0);
            png_read_row(png, samples, NULL);
            if (pass < passes - 1) continue;
            row_to_rgb(reader, samples, image->width, image->rgb + (size_t)y * (size_t)image->width * 3);
        }
    }
    png_read_end(png, NULL);
    return PSAL_OK;
}

/* Everything between setjmp and the end happens here; what must be freed is in *reader and *image.
 */
static psal_status decode(struct png_reader *reader, int64_t max_pixels, psal_image *image, psal_error *err) {
    if (setjmp(png_jmpbuf(reader->png)))
        return reader->no_memory
                   ? psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the PNG decoder")
                   : psal_fail(err, PSAL_ERR_FORMAT, "the PNG is damaged or truncated: %s", reader->message);
    psal_status status = read_header(reader, max_pixels, err);
    if (status) return status;
    status = psal_image_alloc((int)png_get_image_width(reader->png, reader->info),
                              (int)png_get_image_height(reader->png, reader->info), image, err);
    if (status) return status;
    return read_pixels(reader, image, err);
}

psal_status psal_image_decode_png(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image,
                                  psal_error *err) {
    struct png_reader reader = {.data = data, .left = size};
    reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader.message, on_error, on_warning, &reader,
                                          allocate, release);
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

/* ---- writing ---- */

struct png_sink {
    bool (*write)(void *to, const uint8_t *data, size_t size);
    void *to;
};

static void on_write(png_structp png, png_bytep bytes, size_t count) {
    struct png_sink *sink = png_get_io_ptr(png);
    if (!sink->write(sink->to, bytes, count)) png_error(png, "no room");
}

static void on_flush(png_structp png) {
    (void)png;
}

/* Chosen by the pictures of psal-run, 1840 x 836 of lines and 1670 x 676 of photos. libpng's own choice, the best of
 * five filters for each row at level 2, takes 21 ms and 135 kB for the first and 37 ms and 673 kB for the second; these
 * take 9 ms and 131 kB, and 23 ms and 592 kB: what Paeth leaves of a photo is noise in which deflate finds only useless
 * short matches. */
static void set_packing(png_structp png, psal_png_content content) {
    bool photo = content == PSAL_PNG_PHOTO;
    png_set_filter(png, PNG_FILTER_TYPE_BASE, photo ? PNG_FILTER_PAETH : PNG_FILTER_UP);
    png_set_compression_strategy(png, photo ? Z_RLE : Z_DEFAULT_STRATEGY);
    png_set_compression_level(png, photo ? 1 : 3);
}

static psal_status encode(png_structp png, png_infop info, const char *message, const psal_png_source *source,
                          uint8_t *room, struct png_sink *sink, psal_error *err) {
    if (setjmp(png_jmpbuf(png))) {
        int reason = errno;
        return psal_fail(err, PSAL_ERR_IO, "cannot write the PNG: %s (%s)", message, strerror(reason));
    }
    png_set_write_fn(png, sink, on_write, on_flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    set_packing(png, source->content);
    png_set_IHDR(png, info, (png_uint_32)source->width, (png_uint_32)source->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (source->record) {
        char key[] = "psal";
        png_text text = {
            .compression = PNG_ITXT_COMPRESSION_NONE, .key = key, .text = (char *)(uintptr_t)source->record};
        png_set_text(png, info, &text, 1);
    }
    png_write_info(png, info);
    for (int y = 0; y < source->height; y++) png_write_row(png, source->row(source->from, y, room));
    png_write_end(png, info);
    return PSAL_OK;
}

psal_status psal_png_encode(const psal_png_source *source, bool (*write)(void *to, const uint8_t *data, size_t size),
                            void *to, psal_error *err) {
    if (source->width < 1 || source->height < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there are no pixels to write");
    char message[256] = "";
    struct png_sink sink = {write, to};
    uint8_t *room = malloc((size_t)source->width * 3);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    psal_status status = info && room ? encode(png, info, message, source, room, &sink, err)
                                      : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the PNG encoder");
    png_destroy_write_struct(&png, &info);
    free(room);
    return status;
}

static const uint8_t *image_row(const void *from, int y, uint8_t *room) {
    const psal_image *image = from;
    (void)room;
    return image->rgb + (size_t)y * (size_t)image->width * 3;
}

static bool write_stream(void *stream, const uint8_t *data, size_t size) {
    return fwrite(data, 1, size, stream) == size;
}

psal_status psal_image_write_png(const char *path, const psal_image *image, const char *record, psal_error *err) {
    psal_png_source source = {.width = image->rgb ? image->width : 0,
                              .height = image->height,
                              .content = PSAL_PNG_PHOTO,
                              .record = record,
                              .row = image_row,
                              .from = image};
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return PSAL_ERR_IO;
    psal_error reason = PSAL_ERROR_INIT;
    psal_status status = psal_png_encode(&source, write_stream, file->stream, &reason);
    if (status == PSAL_OK) return psal_atomic_file_commit(file, err);
    psal_atomic_file_abort(file);
    return psal_fail(err, status, "%s: %s", path, reason.message);
}
