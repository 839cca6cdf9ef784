/* image.h - photos in: JPEG, PNG and WebP files to 8-bit RGB; and a plain PNG out.
 *
 * Preprocessing is part of the result, so the pixels are those of Pillow's
 * Image.open(file).convert("RGB") bit for bit (Pillow 9.4 on libjpeg-turbo, Debian 12), which is
 * what torchvision's image folders hand to a network. In particular:
 *
 *   JPEG  slow integer DCT, fancy upsampling; four components are taken as inverted CMYK (Adobe's
 *         convention, with or without its marker), R = (255-K) - C*(255-K)/255 rounded; an EXIF
 *         orientation is ignored; data that libjpeg only warns about is decoded as it comes.
 *   PNG   samples of 1, 2, 4 bits are spread over 0..255; 16-bit colour keeps the high byte, but
 *         16-bit grey is clipped: every value above 255 becomes white, as Pillow's mode "I" does;
 *         alpha and transparent colours are dropped, not composed; gamma and profiles are ignored.
 *   WebP  lossy and lossless stills, fancy upsampling; alpha is dropped as a PNG's is.
 *
 * Where Pillow refuses the pixels of a file, so do these functions. They also refuse what Pillow
 * lets pass: PNGs with wrong checksums or without their end, files far too short for the size their
 * header claims, JPEGs of more than 500 scans, animated WebPs (of which Pillow takes the first frame).
 * Thread safe; nothing is shared. */
#ifndef PSAL_IO_IMAGE_H
#define PSAL_IO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Images above this many pixels (Pillow's limit: half a GiB of RGB) are refused before any memory
 * is asked for. */
#define PSAL_IMAGE_MAX_PIXELS 178956970
/* And files above this many bytes. */
#define PSAL_IMAGE_MAX_FILE_SIZE (1024LL * 1024 * 1024)

typedef struct psal_image {
    int width, height; /* in pixels, both at least 1 */
    uint8_t *rgb;      /* [height][width][3], red first; owned by the image */
} psal_image;

#define PSAL_IMAGE_INIT \
    { 0, 0, NULL }

/* Read the JPEG, PNG or WebP file `path` (the type is told by the content, not the name) into *image,
 * which the caller frees with psal_image_free. `max_pixels` bounds width * height; 0 means
 * PSAL_IMAGE_MAX_PIXELS. Fails with one line naming the file when it is missing, a folder, empty,
 * another type ("is a GIF"), damaged, truncated or too large; *image is then empty. */
psal_status psal_image_load(const char *path, int64_t max_pixels, psal_image *image, psal_error *err);

/* The same from memory; `name` stands for the file in messages. */
psal_status psal_image_decode(const void *data, size_t size, const char *name, int64_t max_pixels, psal_image *image,
                              psal_error *err);

/* 64 bits of the contents of the file `path`, of whatever type: other ones when it was replaced. Fails as
 * psal_image_load does when it cannot be read. */
psal_status psal_image_fingerprint(const char *path, uint64_t *fingerprint, psal_error *err);

/* Reserve an image of the given size; its pixels are not set. Fails when the size is not positive,
 * above PSAL_IMAGE_MAX_PIXELS, or memory is short. */
psal_status psal_image_alloc(int width, int height, psal_image *image, psal_error *err);

/* A part of an image as an image of its own, which the caller frees: `width` x `height` pixels from column `left` and
 * row `top` on. Fails when it does not lie inside, or memory is short. */
psal_status psal_image_crop(const psal_image *image, int top, int left, int height, int width, psal_image *crop,
                            psal_error *err);

/* Fails when width x height is above max_pixels. */
psal_status psal_image_check_size(int64_t width, int64_t height, int64_t max_pixels, psal_error *err);

/* Free the pixels and leave an empty image; NULL and empty images are fine. */
void psal_image_free(psal_image *image);

/* What a PNG shows decides how it is packed: lines and letters repeat the row above, photos hardly repeat anything. The
 * pixels are the same; only size and time suffer from the wrong one. */
typedef enum psal_png_content { PSAL_PNG_DRAWING, PSAL_PNG_PHOTO } psal_png_content;

/* Where the pixels of a PNG come from. `row` returns 3 * width bytes, RGB, of row y: its own memory, or `room` (as
 * large), which it has filled. */
typedef struct psal_png_source {
    int width, height;
    psal_png_content content;
    const uint8_t *(*row)(const void *from, int y, uint8_t *room);
    const void *from;
    const char *record; /* UTF-8, kept in the file as its text "psal"; or NULL */
} psal_png_source;

/* Encode as an 8-bit RGB PNG, handed piece by piece to `write`, which returns whether it could. */
psal_status psal_png_encode(const psal_png_source *source, bool (*write)(void *to, const uint8_t *data, size_t size),
                            void *to, psal_error *err);

/* Write *image as an 8-bit RGB PNG, packed as a photo and with this record (or NULL), by a temporary name: whole or not
 * at all. */
psal_status psal_image_write_png(const char *path, const psal_image *image, const char *record, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
