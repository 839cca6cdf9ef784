/* Writing PNG (ISO/IEC 15948): 8-bit RGB, one filter for all rows. Not by libpng, whose filters take a byte at a time. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "io/atomic_file.h"
#include "io/image.h"

enum { CHANNELS = 3, PIECE = 1 << 16, LARGEST_SIDE = 0x7fffffff / CHANNELS - 1 };

typedef struct png_writer {
    bool (*write)(void *to, const uint8_t *data, size_t size);
    void *to;
    size_t row_bytes;
    z_stream deflate;
    uint8_t *row, *above; /* CHANNELS zeros, then row_bytes: what is left of the first pixel counts as zero */
    uint8_t *filtered;    /* the filter's number, then row_bytes */
    uint8_t *packed;      /* [PIECE] */
} png_writer;

/* ---- filters ---- */

enum { FILTER_UP = 2, FILTER_PAETH = 4 };

static void filter_up(const uint8_t *restrict row, const uint8_t *restrict above, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) out[i] = (uint8_t)(row[i] - above[i]);
}

/* The difference to that of left, up and upper left neighbour which is nearest to left + up - upper left; the first of
 * these on a tie. In 16 bits and without branches, for the vectoriser. */
static void filter_paeth(const uint8_t *restrict row, const uint8_t *restrict above, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) {
        int16_t left = row[(ptrdiff_t)i - CHANNELS], up = above[i], corner = above[(ptrdiff_t)i - CHANNELS];
        int16_t from_left = (int16_t)(up - corner), from_up = (int16_t)(left - corner);
        int16_t from_corner = (int16_t)(from_left + from_up);
        from_left = from_left < 0 ? (int16_t)-from_left : from_left;
        from_up = from_up < 0 ? (int16_t)-from_up : from_up;
        from_corner = from_corner < 0 ? (int16_t)-from_corner : from_corner;
        int16_t nearest = from_up <= from_corner ? up : corner;
        int16_t distance = from_up <= from_corner ? from_up : from_corner;
        nearest = from_left <= distance ? left : nearest;
        out[i] = (uint8_t)(row[i] - nearest);
    }
}

/* ---- the file ---- */

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static bool put_chunk(const png_writer *w, const char *type, const uint8_t *data, size_t size) {
    uint8_t head[8], tail[4];
    put_u32(head, (uint32_t)size);
    memcpy(head + 4, type, 4);
    uLong crc = crc32(crc32(0, NULL, 0), head + 4, 4);
    if (size > 0) crc = crc32(crc, data, (uInt)size);
    put_u32(tail, (uint32_t)crc);
    return w->write(w->to, head, sizeof head) && (size == 0 || w->write(w->to, data, size)) &&
           w->write(w->to, tail, sizeof tail);
}

/* Deflate what there is and hand on what is ready; with Z_FINISH, all of it. */
static bool put_pixels(png_writer *w, const uint8_t *data, size_t size, int flush) {
    w->deflate.next_in = (Bytef *)(uintptr_t)data;
    w->deflate.avail_in = (uInt)size;
    int result;
    do {
        result = deflate(&w->deflate, flush);
        bool end = flush == Z_FINISH && result == Z_STREAM_END;
        if (w->deflate.avail_out > 0 && !end) continue;
        if (!put_chunk(w, "IDAT", w->packed, PIECE - w->deflate.avail_out)) return false;
        w->deflate.next_out = w->packed;
        w->deflate.avail_out = PIECE;
    } while (w->deflate.avail_in > 0 || (flush == Z_FINISH && result != Z_STREAM_END));
    return true;
}

static bool put_png(png_writer *w, const psal_png_source *source) {
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t header[13] = {[8] = 8 /* bits */, [9] = 2 /* RGB */}; /* deflate, adaptive filters, not interlaced: all 0 */
    put_u32(header, (uint32_t)source->width);
    put_u32(header + 4, (uint32_t)source->height);
    if (!w->write(w->to, signature, sizeof signature) || !put_chunk(w, "IHDR", header, sizeof header)) return false;
    bool photo = source->content == PSAL_PNG_PHOTO;
    w->filtered[0] = photo ? FILTER_PAETH : FILTER_UP;
    for (int y = 0; y < source->height; y++) {
        uint8_t *pixels = w->row + CHANNELS;
        const uint8_t *given = source->row(source->from, y, pixels);
        if (given != pixels) memcpy(pixels, given, w->row_bytes);
        (photo ? filter_paeth : filter_up)(pixels, w->above + CHANNELS, w->row_bytes, w->filtered + 1);
        if (!put_pixels(w, w->filtered, w->row_bytes + 1, Z_NO_FLUSH)) return false;
        uint8_t *done = w->row;
        w->row = w->above;
        w->above = done;
    }
    return put_pixels(w, NULL, 0, Z_FINISH) && put_chunk(w, "IEND", NULL, 0);
}

/* Chosen by the pictures of psal-run, 1840 x 836 of lines and 1670 x 676 of photos. The best of five filters for each row, as
 * libpng chooses it, at level 2 takes 21 ms and 135 kB for the first and 37 ms and 673 kB for the second; these take 8 ms and
 * 131 kB, and 18 ms and 592 kB: what Paeth leaves of a photo is noise in which deflate finds only useless short matches. */
static bool begin_deflate(z_stream *stream, psal_png_content content) {
    bool photo = content == PSAL_PNG_PHOTO;
    return deflateInit2(stream, photo ? 1 : 3, Z_DEFLATED, MAX_WBITS, 8, photo ? Z_RLE : Z_DEFAULT_STRATEGY) == Z_OK;
}

psal_status psal_png_encode(const psal_png_source *source, bool (*write)(void *to, const uint8_t *data, size_t size), void *to,
                            psal_error *err) {
    if (source->width < 1 || source->height < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there are no pixels to write");
    if (source->width > LARGEST_SIDE)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a PNG of %d x %d pixels is too wide", source->width, source->height);
    png_writer w = {.write = write, .to = to, .row_bytes = (size_t)source->width * CHANNELS};
    size_t line = CHANNELS + w.row_bytes;
    uint8_t *room = calloc(3, line), *packed = malloc(PIECE);
    psal_status status = PSAL_OK;
    w.row = room;
    w.above = room + line;
    w.filtered = room + 2 * line;
    w.packed = w.deflate.next_out = packed;
    w.deflate.avail_out = PIECE;
    if (!room || !packed || !begin_deflate(&w.deflate, source->content)) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the PNG encoder");
    } else {
        if (!put_png(&w, source)) status = psal_fail(err, PSAL_ERR_IO, "cannot write the PNG: %s", strerror(errno));
        deflateEnd(&w.deflate);
    }
    free(room);
    free(packed);
    return status;
}

/* ---- images ---- */

static const uint8_t *image_row(const void *from, int y, uint8_t *room) {
    const psal_image *image = from;
    (void)room;
    return image->rgb + (size_t)y * (size_t)image->width * CHANNELS;
}

static bool write_stream(void *stream, const uint8_t *data, size_t size) {
    return fwrite(data, 1, size, stream) == size;
}

psal_status psal_image_write_png(const char *path, const psal_image *image, psal_error *err) {
    psal_png_source source = {.width = image->rgb ? image->width : 0,
                              .height = image->height,
                              .content = PSAL_PNG_PHOTO,
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
