/* JPEG by libjpeg-turbo, with the settings and the tolerance of Pillow's decoder: whatever makes
 * libjpeg stop is an error, also wanting bytes after the last one; mere warnings are not. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> /* after jpeglib.h */

#include "io/image_codec.h"

/* A progressive file can make a decoder go over the whole image once per scan, and a scan can take
 * a few bytes. Honest files have about ten; the libjpeg-turbo project advises 500 as the limit
 * ("Two Issues with the JPEG Standard", 2015). */
#define MAX_SCANS 500

/* Below one byte for this many pixels not even one bit per 8x8 block of the most subsampled (4x4)
 * component is there: a header that promises much more than the file holds. */
#define MAX_PIXELS_PER_BYTE (8 * 8 * 4 * 4 * 8)

struct jpeg_reader {
    struct jpeg_decompress_struct cinfo; /* first: libjpeg's callbacks get its address */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    uint8_t *row; /* one row of grey or CMYK samples */
};

static struct jpeg_reader *reader_of(j_common_ptr cinfo) {
    return (struct jpeg_reader *)cinfo;
}

static void on_error(j_common_ptr cinfo) {
    cinfo->err->format_message(cinfo, reader_of(cinfo)->message);
    longjmp(reader_of(cinfo)->escape, 1);
}

static void on_message(j_common_ptr cinfo) {
    (void)cinfo;
}

static void on_progress(j_common_ptr cinfo) {
    if (((j_decompress_ptr)cinfo)->input_scan_number <= MAX_SCANS) return;
    snprintf(reader_of(cinfo)->message, JMSG_LENGTH_MAX, "more than %d scans", MAX_SCANS);
    longjmp(reader_of(cinfo)->escape, 1);
}

static void no_action(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/* The whole file is in the buffer, so asking for more means that it is truncated. Suspending,
 * instead of inventing an end-of-image marker as libjpeg's own sources do, lets the calls below
 * return early and say so. */
static boolean no_more_input(j_decompress_ptr cinfo) {
    (void)cinfo;
    return FALSE;
}

static void skip_input(j_decompress_ptr cinfo, long count) {
    struct jpeg_source_mgr *source = cinfo->src;
    if (count <= 0) return;
    size_t skip = (size_t)count;
    if (skip > source->bytes_in_buffer) skip = source->bytes_in_buffer;
    source->next_input_byte += skip;
    source->bytes_in_buffer -= skip;
}

static void set_up(struct jpeg_reader *reader, const uint8_t *data, size_t size) {
    j_decompress_ptr cinfo = &reader->cinfo;
    cinfo->err = jpeg_std_error(&reader->errors);
    reader->errors.error_exit = on_error;
    reader->errors.output_message = on_message;
    jpeg_create_decompress(cinfo);
    reader->source = (struct jpeg_source_mgr){
        .next_input_byte = data,
        .bytes_in_buffer = size,
        .init_source = no_action,
        .fill_input_buffer = no_more_input,
        .skip_input_data = skip_input,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = no_action,
    };
    cinfo->src = &reader->source;
    reader->progress.progress_monitor = on_progress;
    cinfo->progress = &reader->progress;
}

/* Read up to the first scan and choose the colours we want from libjpeg. */
static psal_status read_header(struct jpeg_reader *reader, size_t size, int64_t max_pixels, psal_error *err) {
    j_decompress_ptr cinfo = &reader->cinfo;
    int result;
    do { /* an abbreviated stream of tables may come first */
        result = jpeg_read_header(cinfo, FALSE);
    } while (result == JPEG_HEADER_TABLES_ONLY);
    if (result == JPEG_SUSPENDED)
        return psal_fail(err, PSAL_ERR_FORMAT, "the JPEG is truncated: it ends after %zu bytes, before the image data",
                         size);
    int64_t width = cinfo->image_width, height = cinfo->image_height;
    psal_status status = psal_image_check_size(width, height, max_pixels, err);
    if (status) return status;
    if (!cinfo->arith_code && width * height / MAX_PIXELS_PER_BYTE > (int64_t)size)
        return psal_fail(err, PSAL_ERR_FORMAT, "the JPEG is damaged or truncated: %dx%d pixels cannot be in %zu bytes",
                         (int)width, (int)height, size);
    switch (cinfo->num_components) {
    case 1:
        cinfo->out_color_space = JCS_GRAYSCALE;
        break;
    case 3:
        cinfo->out_color_space = JCS_RGB;
        break;
    case 4:
        cinfo->out_color_space = JCS_CMYK;
        break;
    default:
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the JPEG has %d colour components, expected 1, 3 or 4",
                         cinfo->num_components);
    }
    return PSAL_OK;
}

static void grey_to_rgb(const uint8_t *grey, int width, uint8_t *rgb) {
    for (int x = 0; x < width; x++) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = grey[x];
}

/* a * b / 255, rounded to nearest, for a and b in 0..255. */
static int multiply_255(int a, int b) {
    int product = a * b + 128;
    return (product + (product >> 8)) >> 8;
}

/* The samples are inverted, so stored c is 255 - C and stored k is 255 - K:
 * R = (255 - K) - C * (255 - K) / 255. */
static void inverted_cmyk_to_rgb(const uint8_t *cmyk, int width, uint8_t *rgb) {
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        int light = cmyk[3];
        for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(light - multiply_255(255 - cmyk[i], light));
    }
}

static psal_status read_rows(struct jpeg_reader *reader, size_t size, psal_image *image, psal_error *err) {
    j_decompress_ptr cinfo = &reader->cinfo;
    /* For a progressive file this reads all scans. */
    int complete = jpeg_start_decompress(cinfo);
    while (complete && cinfo->output_scanline < cinfo->output_height) {
        uint8_t *rgb = image->rgb + (size_t)cinfo->output_scanline * (size_t)image->width * 3;
        uint8_t *samples = cinfo->num_components == 3 ? rgb : reader->row;
        complete = jpeg_read_scanlines(cinfo, &samples, 1) == 1;
        if (!complete) break;
        if (cinfo->num_components == 1) grey_to_rgb(samples, image->width, rgb);
        if (cinfo->num_components == 4) inverted_cmyk_to_rgb(samples, image->width, rgb);
    }
    if (!complete)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "the JPEG is truncated: it ends after %zu bytes, when %u of %u rows of "
                         "pixels are complete",
                         size, cinfo->output_scanline, cinfo->output_height);
    /* All pixels are there; that the end marker is missing (a suspension) does no harm. */
    jpeg_finish_decompress(cinfo);
    return PSAL_OK;
}

/* Everything between setjmp and the end happens here; what must be freed is in *reader and *image.
 */
static psal_status decode(struct jpeg_reader *reader, const uint8_t *data, size_t size, int64_t max_pixels,
                          psal_image *image, psal_error *err) {
    if (setjmp(reader->escape))
        return reader->errors.msg_code == JERR_OUT_OF_MEMORY /* not the image's fault */
                   ? psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the JPEG decoder")
                   : psal_fail(err, PSAL_ERR_FORMAT, "the JPEG is damaged: %s", reader->message);
    set_up(reader, data, size);
    psal_status status = read_header(reader, size, max_pixels, err);
    if (status) return status;
    int width = (int)reader->cinfo.image_width, height = (int)reader->cinfo.image_height;
    reader->row = malloc((size_t)width * 4);
    if (!reader->row) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a row of pixels");
    status = psal_image_alloc(width, height, image, err);
    if (status) return status;
    return read_rows(reader, size, image, err);
}

psal_status psal_image_decode_jpeg(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image,
                                   psal_error *err) {
    struct jpeg_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the JPEG decoder");
    psal_status status = decode(reader, data, size, max_pixels, image, err);
    jpeg_destroy_decompress(&reader->cinfo);
    free(reader->row);
    free(reader);
    if (status) psal_image_free(image);
    return status;
}
