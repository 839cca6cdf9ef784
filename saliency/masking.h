/* masking.h - hiding pixels of an image: which, and what stands in their place.
 *
 * The case study of Levin et al. 2022 hides the pixels that a heat map marks; deletion curves hide more and more of
 * them (Samek et al. 2017). Masks are [height, width], row by row; images [channels, height, width] as the
 * network gets them. */
#ifndef PSAL_SALIENCY_MASKING_H
#define PSAL_SALIENCY_MASKING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many of `pixels` are `percent` of them, rounded to the nearest number. */
int64_t psal_mask_count(int64_t pixels, double percent);

/* What a heat map paints of gradient[channels, height, width], before it is clipped and coloured: per pixel the
 * absolute value of the maximum over the channels, then a 3x3 Gaussian blur with the kernel [1 2 1]/4 both ways, the
 * border mirrored without repeating its pixel. heat[height, width]. */
psal_status psal_pixel_saliency(const float *gradient, int channels, int height, int width, float *heat,
                                psal_error *err);

/* The `count` pixels with the largest values[pixels]; equal ones by place. */
psal_status psal_mask_top(const float *values, int64_t pixels, int64_t count, bool *mask, psal_error *err);

/* A random connected region of `count` pixels: from one random pixel, a random one of those that touch the region by a
 * side is added until it is large enough (Eden 1961). */
psal_status psal_mask_region(int height, int width, int64_t count, uint64_t seed, bool *mask, psal_error *err);

/* The same mask elsewhere: moved by a random distance, what leaves on one side coming in on the other. moved[height,
 * width] may not be `mask`. */
void psal_mask_move(const bool *mask, int height, int width, uint64_t seed, bool *moved);

typedef enum psal_fill {
    PSAL_FILL_MEAN, /* each channel's mean over the image */
    PSAL_FILL_BLUR, /* the image, blurred: a Gaussian of deviation 1/16 of its longer side, its border repeated */
    PSAL_FILL_NOISE /* normal, with each channel's mean and deviation over the image */
} psal_fill;

const char *psal_fill_name(psal_fill fill); /* "mean", "blur", "noise" */

/* What stands in the place of hidden pixels: filling[channels, height, width]. */
psal_status psal_fill_image(psal_fill fill, const float *image, int channels, int height, int width, uint64_t seed,
                            float *filling, psal_error *err);

/* The image, blurred by a Gaussian of this deviation in pixels (above 0), cut at three; its border repeated.
 * blurred[channels, height, width] may not be `image`. */
psal_status psal_blur_image(const float *image, int channels, int height, int width, double deviation, float *blurred,
                            psal_error *err);

/* out = filling where mask, else image; all [channels, pixels]. */
void psal_mask_apply(const float *image, const float *filling, const bool *mask, int channels, int64_t pixels,
                     float *out);

#ifdef __cplusplus
}
#endif

#endif
