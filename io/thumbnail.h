/* thumbnail.h - small pictures, and files that show them. */
#ifndef PSAL_IO_THUMBNAIL_H
#define PSAL_IO_THUMBNAIL_H

#include "io/image.h"

/* Of so many pixels a picture is a PNG, which shows every one of them as it is: longer side. */
enum { PSAL_THUMBNAIL_PIXELS = 64 };

/* Shrink *image so that its longer side is at most `longest` pixels; smaller ones stay. On error it is as before. */
psal_status psal_image_shrink(psal_image *image, int longest, psal_error *err);

/* An encoded picture, which the caller frees: a PNG up to PSAL_THUMBNAIL_PIXELS, else a JPEG (quality 85). The same
 * image gives the same bytes. */
psal_status psal_thumbnail_encode(const psal_image *image, uint8_t **data, size_t *size, psal_error *err);

#endif
