/* resize.h - Pillow's antialiased bilinear resize of 8-bit RGB, bit for bit.
 *
 * With scale s = source size / target size and filter radius r = max(s, 1), target pixel i takes
 * the source pixels whose centres are within r of its own centre (i + 1/2) s, weighted by the
 * triangle 1 - |distance| / r and normalised; rows first, then columns. The weights are rounded to
 * 22 fractional bits and every pass is rounded to 8 bits, as in Pillow 9.4 (Image.resize with
 * Resampling.BILINEAR), whose results these are: equal in every bit. */
#ifndef PSAL_IO_RESIZE_H
#define PSAL_IO_RESIZE_H

#include "engine/error.h"
#include "io/image.h"

/* Resize *source to width x height pixels into *target, which the caller frees with
 * psal_image_free. Fails when the size is not positive or too large, or memory is short. */
psal_status psal_resize(const psal_image *source, int width, int height, psal_image *target, psal_error *err);

/* A part of a resized image, without computing the rest. */
typedef struct psal_resize_part {
    int full_width, full_height; /* what the whole image is resized to */
    int left, top;               /* where the part begins in the resized image */
    int width, height;           /* its size; it must lie inside */
} psal_resize_part;

/* Write `part` of the resized *source to rgb[part.height][part.width][3], whose rows begin
 * row_stride bytes apart. */
psal_status psal_resize_region(const psal_image *source, const psal_resize_part *part, uint8_t *rgb, size_t row_stride,
                               psal_error *err);

#endif
