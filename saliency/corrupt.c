#include "saliency/corrupt.h"

#include "saliency/masking.h"
#include "saliency/random.h"

static const double NOISE = 20, BLUR = 1.0 / 56, CONTRAST = 0.4;

const char *psal_corruption_name(psal_corruption corruption) {
    static const char *const names[PSAL_CORRUPTION_COUNT] = {"noise", "blur", "contrast"};
    return names[corruption];
}

static void reduce_contrast(const float *channel, size_t pixels, float *out) {
    double mean = 0;
    for (size_t i = 0; i < pixels; i++) mean += channel[i];
    mean /= (double)pixels;
    for (size_t i = 0; i < pixels; i++) out[i] = (float)(mean + CONTRAST * (channel[i] - mean));
}

psal_status psal_corrupt_image(psal_corruption corruption, const float *image, int channels, int height, int width,
                               const double *unit, uint64_t seed, float *out, psal_error *err) {
    const size_t pixels = (size_t)height * (size_t)width;
    psal_random random = {seed};
    if (corruption == PSAL_CORRUPT_BLUR)
        return psal_blur_image(image, channels, height, width, BLUR * (height > width ? height : width), out, err);
    for (size_t c = 0; c < (size_t)channels; c++) {
        const float *from = image + c * pixels;
        float *to = out + c * pixels;
        if (corruption == PSAL_CORRUPT_CONTRAST) reduce_contrast(from, pixels, to);
        for (size_t i = 0; corruption == PSAL_CORRUPT_NOISE && i < pixels; i++)
            to[i] = (float)(from[i] + NOISE * unit[c] * psal_random_normal(&random));
    }
    return PSAL_OK;
}
