/* image_codec.h - one decoder per file type; image_load.c chooses between them. Private to io/.
 *
 * Each decodes size bytes at data, whose type has been recognised, into *image, or leaves it empty
 * and fails with a message that does not yet name the file. */
#ifndef PSAL_IO_IMAGE_CODEC_H
#define PSAL_IO_IMAGE_CODEC_H

#include "io/image.h"

psal_status psal_image_decode_jpeg(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image,
                                   psal_error *err);
psal_status psal_image_decode_png(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image,
                                  psal_error *err);
psal_status psal_image_decode_webp(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image,
                                   psal_error *err);

#endif
