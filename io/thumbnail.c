#include "io/thumbnail.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "io/resize.h"

enum { QUALITY = 85 };

psal_status psal_image_shrink(psal_image *image, int longest, psal_error *err) {
    int longer = image->width > image->height ? image->width : image->height;
    if (longer <= longest) return PSAL_OK;
    psal_image small = PSAL_IMAGE_INIT;
    int width = (int)((int64_t)image->width * longest / longer),
        height = (int)((int64_t)image->height * longest / longer);
    psal_status status = psal_resize(image, width > 0 ? width : 1, height > 0 ? height : 1, &small, err);
    if (status != PSAL_OK) return status;
    psal_image_free(image);
    *image = small;
    return PSAL_OK;
}

/* ---- PNG ---- */

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bool append(void *to, const uint8_t *data, size_t size) {
    bytes *all = to;
    uint8_t *grown = realloc(all->data, all->size + size + 1);
    if (!grown) return false;
    memcpy(grown + all->size, data, size);
    all->data = grown;
    all->size += size;
    return true;
}

static const uint8_t *row_of(const void *from, int y, uint8_t *room) {
    const psal_image *image = from;
    (void)room;
    return image->rgb + (size_t)3 * (size_t)image->width * (size_t)y;
}

static psal_status encode_png(const psal_image *image, bytes *out, psal_error *err) {
    const psal_png_source source = {
        .width = image->width, .height = image->height, .content = PSAL_PNG_PHOTO, .row = row_of, .from = image};
    return psal_png_encode(&source, append, out, err);
}

/* ---- JPEG ---- */

struct jpeg_writer {
    struct jpeg_compress_struct cinfo; /* first: libjpeg's callbacks get its address */
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    unsigned char *data;
    unsigned long size;
};

static void on_error(j_common_ptr cinfo) {
    longjmp(((struct jpeg_writer *)cinfo)->escape, 1);
}

static void on_message(j_common_ptr cinfo) {
    (void)cinfo;
}

static void compress(struct jpeg_writer *writer, const psal_image *image) {
    j_compress_ptr cinfo = &writer->cinfo;
    jpeg_create_compress(cinfo);
    jpeg_mem_dest(cinfo, &writer->data, &writer->size);
    cinfo->image_width = (JDIMENSION)image->width;
    cinfo->image_height = (JDIMENSION)image->height;
    cinfo->input_components = 3;
    cinfo->in_color_space = JCS_RGB;
    jpeg_set_defaults(cinfo);
    jpeg_set_quality(cinfo, QUALITY, TRUE);
    cinfo->optimize_coding = TRUE;
    jpeg_start_compress(cinfo, TRUE);
    while (cinfo->next_scanline < cinfo->image_height) {
        JSAMPROW row = image->rgb + (size_t)3 * (size_t)image->width * cinfo->next_scanline;
        jpeg_write_scanlines(cinfo, &row, 1);
    }
    jpeg_finish_compress(cinfo);
}

static psal_status encode_jpeg(const psal_image *image, bytes *out, psal_error *err) {
    struct jpeg_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a picture");
    writer->cinfo.err = jpeg_std_error(&writer->errors);
    writer->errors.error_exit = on_error;
    writer->errors.output_message = on_message;
    psal_status status = PSAL_OK;
    if (setjmp(writer->escape) == 0) {
        compress(writer, image);
        *out = (bytes){writer->data, writer->size};
    } else {
        free(writer->data);
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a picture of %dx%d pixels", image->width,
                           image->height);
    }
    jpeg_destroy_compress(&writer->cinfo);
    free(writer);
    return status;
}

psal_status psal_thumbnail_encode(const psal_image *image, uint8_t **data, size_t *size, psal_error *err) {
    bytes out = {0};
    const int longer = image->width > image->height ? image->width : image->height;
    psal_status status = longer <= PSAL_THUMBNAIL_PIXELS ? encode_png(image, &out, err) : encode_jpeg(image, &out, err);
    if (status != PSAL_OK) free(longer <= PSAL_THUMBNAIL_PIXELS ? out.data : NULL);
    *data = status == PSAL_OK ? out.data : NULL;
    *size = status == PSAL_OK ? out.size : 0;
    return status;
}
