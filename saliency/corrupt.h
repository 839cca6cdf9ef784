/* corrupt.h - the same photo, but worse: what else an edit breaks.
 *
 * Three of the corruptions of Hendrycks and Dietterich (2019, arXiv 1903.12261), each at one middle strength. */
#ifndef PSAL_SALIENCY_CORRUPT_H
#define PSAL_SALIENCY_CORRUPT_H

#include <stdint.h>

#include "engine/error.h"

typedef enum psal_corruption {
    PSAL_CORRUPT_NOISE,    /* x + N(0, 20) in pixels' units, 0 to 255, not clipped */
    PSAL_CORRUPT_BLUR,     /* a Gaussian of deviation 1/56 of the longer side (4 pixels of 224) */
    PSAL_CORRUPT_CONTRAST, /* each channel 0.4 times as far from its mean */
    PSAL_CORRUPTION_COUNT
} psal_corruption;

const char *psal_corruption_name(psal_corruption corruption); /* "noise", "blur", "contrast" */

/* out[channels, height, width] from the network's input `image`, which may not be the same. unit[channels]: what one
 * step of a pixel is there (1 / scale / std of the preprocessing); it and the seed are for the noise. */
psal_status psal_corrupt_image(psal_corruption corruption, const float *image, int channels, int height, int width,
                               const double *unit, uint64_t seed, float *out, psal_error *err);

#endif
