#include "io/preprocess.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/resize.h"

psal_status psal_preprocess_check(const psal_preprocess *options, psal_error *err) {
    const psal_preprocess *o = options;
    if (o->order != PSAL_CHANNELS_RGB && o->order != PSAL_CHANNELS_BGR && o->order != PSAL_CHANNELS_GREY)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing: %d is not a channel order", (int)o->order);
    if (o->resize_shorter < 0 || o->resize_shorter > PSAL_PREPROCESS_MAX_SIZE)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing: resize to %d pixels, expected 0 (none) to %d",
                         o->resize_shorter, PSAL_PREPROCESS_MAX_SIZE);
    if (o->stretch_height < 0 || o->stretch_height > PSAL_PREPROCESS_MAX_SIZE || o->stretch_width < 0 ||
        o->stretch_width > PSAL_PREPROCESS_MAX_SIZE || !o->stretch_height != !o->stretch_width)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "preprocessing: resize to %dx%d pixels, expected 1 to %d each, or both 0", o->stretch_height,
                         o->stretch_width, PSAL_PREPROCESS_MAX_SIZE);
    if (o->stretch_height && o->resize_shorter)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "preprocessing: resize to %dx%d pixels and the shorter side to %d: only one of both",
                         o->stretch_height, o->stretch_width, o->resize_shorter);
    if (o->crop_height < 0 || o->crop_height > PSAL_PREPROCESS_MAX_SIZE || o->crop_width < 0 ||
        o->crop_width > PSAL_PREPROCESS_MAX_SIZE || !o->crop_height != !o->crop_width)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "preprocessing: crop to %dx%d pixels, expected 1 to %d each, or both 0", o->crop_height,
                         o->crop_width, PSAL_PREPROCESS_MAX_SIZE);
    if (!isfinite(o->scale) || o->scale <= 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing: scale %g, expected a positive number",
                         (double)o->scale);
    for (int c = 0; c < psal_preprocess_channels(o); c++)
        if (!isfinite(o->mean[c]) || !isfinite(o->std[c]) || o->std[c] <= 0)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "preprocessing: mean %g and deviation %g of channel %d, expected "
                             "finite numbers and a positive deviation",
                             (double)o->mean[c], (double)o->std[c], c);
    return PSAL_OK;
}

int psal_preprocess_channels(const psal_preprocess *options) {
    return options->order == PSAL_CHANNELS_GREY ? 1 : 3;
}

/* ---- geometry ---- */

/* Where the result is in the resized image. */
struct geometry {
    int full_width, full_height; /* of the resized image */
    int left, top;               /* of the crop in it; negative when black is added */
    int width, height;           /* of the result */
};

/* (size - crop) / 2 as CenterCrop has it: rounded to even where there is something to cut; rounded
 * down when `size` is padded. */
static int crop_offset(int size, int crop) {
    if (size < crop) return -((crop - size) / 2);
    int half = (size - crop) / 2;
    return (size - crop) % 2 ? half + half % 2 : half;
}

static psal_status plan(const psal_preprocess *options, int image_width, int image_height, struct geometry *g,
                        psal_error *err) {
    psal_status status = psal_preprocess_check(options, err);
    if (status) return status;
    if (image_width < 1 || image_height < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there is no image to preprocess");
    int64_t width = image_width, height = image_height, shorter = options->resize_shorter;
    if (options->stretch_height) {
        width = options->stretch_width;
        height = options->stretch_height;
    } else if (shorter) {
        /* Python's int(shorter * long / short): the quotient is rounded to double first, which for
         * these sizes never reaches the next integer, so this is the floor. */
        if (width <= height) {
            height = shorter * height / width;
            width = shorter;
        } else {
            width = shorter * width / height;
            height = shorter;
        }
    }
    if (width > INT_MAX || height > INT_MAX)
        return psal_fail(err, PSAL_ERR_MEMORY,
                         "the image of %dx%d pixels, its shorter side resized to %" PRId64 ", would have %" PRId64
                         "x%" PRId64 " pixels",
                         image_width, image_height, shorter, width, height);
    *g = (struct geometry){(int)width, (int)height, 0, 0, (int)width, (int)height};
    if (options->crop_height) {
        g->width = options->crop_width;
        g->height = options->crop_height;
        g->left = crop_offset(g->full_width, g->width);
        g->top = crop_offset(g->full_height, g->height);
    }
    return PSAL_OK;
}

psal_status psal_preprocess_size(const psal_preprocess *options, int image_width, int image_height, int *height,
                                 int *width, psal_error *err) {
    struct geometry g = {0};
    psal_status status = plan(options, image_width, image_height, &g, err);
    if (status) return status;
    *height = g.height;
    *width = g.width;
    return PSAL_OK;
}

/* ---- pixels ---- */

static int clip(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

/* Pillow's convert("L"): the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in 16 fractional
 * bits; a grey pixel keeps its value. */
static psal_status make_grey(const psal_image *image, psal_image *grey, psal_error *err) {
    psal_status status = psal_image_alloc(image->width, image->height, grey, err);
    if (status) return status;
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *rgb = image->rgb + 3 * i;
        unsigned luma = (rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 32768u) >> 16;
        memset(grey->rgb + 3 * i, (int)luma, 3);
    }
    return PSAL_OK;
}

psal_status psal_preprocess_pixels(const psal_preprocess *options, const psal_image *image, psal_image *pixels,
                                   psal_error *err) {
    *pixels = (psal_image)PSAL_IMAGE_INIT;
    struct geometry g = {0};
    psal_status status = plan(options, image->width, image->height, &g, err);
    if (status) return status;
    psal_image grey = PSAL_IMAGE_INIT;
    if (options->order == PSAL_CHANNELS_GREY) status = make_grey(image, &grey, err);
    if (!status) status = psal_image_alloc(g.width, g.height, pixels, err);
    if (!status) {
        /* The part of the result that the resized image covers; the rest is black. */
        int left = clip(g.left, 0, g.full_width), top = clip(g.top, 0, g.full_height);
        psal_resize_part part = {
            g.full_width,
            g.full_height,
            left,
            top,
            clip(g.left + g.width, 0, g.full_width) - left,
            clip(g.top + g.height, 0, g.full_height) - top,
        };
        size_t stride = (size_t)g.width * 3;
        if (part.width < g.width || part.height < g.height) memset(pixels->rgb, 0, stride * (size_t)g.height);
        uint8_t *start = pixels->rgb + (size_t)(top - g.top) * stride + (size_t)(left - g.left) * 3;
        status = psal_resize_region(grey.rgb ? &grey : image, &part, start, stride, err);
    }
    psal_image_free(&grey);
    if (status) psal_image_free(pixels);
    return status;
}

/* ---- numbers ---- */

psal_status psal_preprocess_tensor(const psal_preprocess *options, const psal_image *pixels, float *out,
                                   psal_error *err) {
    psal_status status = psal_preprocess_check(options, err);
    if (status) return status;
    size_t count = (size_t)pixels->width * (size_t)pixels->height;
    for (int c = 0; c < psal_preprocess_channels(options); c++) {
        float value_of[256];
        for (int pixel = 0; pixel < 256; pixel++) {
            float value = (float)pixel / options->scale;
            value -= options->mean[c];
            value_of[pixel] = value / options->std[c];
        }
        const uint8_t *source = pixels->rgb + (options->order == PSAL_CHANNELS_BGR ? 2 - c : c);
        float *plane = out + (size_t)c * count;
        for (size_t i = 0; i < count; i++) plane[i] = value_of[source[3 * i]];
    }
    return PSAL_OK;
}

psal_status psal_preprocess_undo(const psal_preprocess *options, const float *numbers, int height, int width,
                                 psal_image *pixels, psal_error *err) {
    psal_status status = psal_preprocess_check(options, err);
    if (!status) status = psal_image_alloc(width, height, pixels, err);
    if (status) return status;
    const int channels = psal_preprocess_channels(options);
    const size_t count = (size_t)width * (size_t)height;
    for (int rgb = 0; rgb < 3; rgb++) {
        const int c = channels == 1 ? 0 : options->order == PSAL_CHANNELS_BGR ? 2 - rgb : rgb;
        const float *plane = numbers + (size_t)c * count;
        for (size_t i = 0; i < count; i++) {
            const float pixel = (plane[i] * options->std[c] + options->mean[c]) * options->scale;
            pixels->rgb[3 * i + (size_t)rgb] = (uint8_t)(pixel > 0 ? (pixel < 255 ? lrintf(pixel) : 255) : 0);
        }
    }
    return PSAL_OK;
}

psal_status psal_preprocess_image(const psal_preprocess *options, const psal_image *image, float *out,
                                  psal_error *err) {
    psal_image pixels;
    psal_status status = psal_preprocess_pixels(options, image, &pixels, err);
    if (status) return status;
    status = psal_preprocess_tensor(options, &pixels, out, err);
    psal_image_free(&pixels);
    return status;
}
