#include "tools/picture_copies.h"

#include <math.h>
#include <string.h>

#include "io/resize.h"

static const double ALIKE = 0.998;

psal_status psal_picture_look(const psal_image *image, float look[PSAL_LOOK_LENGTH], psal_error *err) {
    psal_image small = PSAL_IMAGE_INIT;
    psal_status status = psal_resize(image, PSAL_LOOK_SIDE, PSAL_LOOK_SIDE, &small, err);
    double sum = 0, squares = 0;
    memset(look, 0, PSAL_LOOK_LENGTH * sizeof *look);
    if (status != PSAL_OK) return status;
    for (int i = 0; i < PSAL_LOOK_LENGTH; i++) {
        const double value = (small.rgb[3 * i] + small.rgb[3 * i + 1] + small.rgb[3 * i + 2]) / 3.0;
        look[i] = (float)value;
        sum += value;
        squares += value * value;
    }
    const double mean = sum / PSAL_LOOK_LENGTH, variance = squares / PSAL_LOOK_LENGTH - mean * mean;
    const double deviation = variance > 1e-6 ? sqrt(variance) : 0;
    for (int i = 0; i < PSAL_LOOK_LENGTH; i++) look[i] = deviation > 0 ? (float)((look[i] - mean) / deviation) : 0;
    psal_image_free(&small);
    return PSAL_OK;
}

static bool same(uint64_t a, uint64_t b, const float *x, const float *y) {
    double sum = 0;
    if (a != 0 && a == b) return true;
    for (int i = 0; i < PSAL_LOOK_LENGTH; i++) sum += (double)x[i] * (double)y[i];
    return sum >= ALIKE * PSAL_LOOK_LENGTH;
}

void psal_picture_copies(int64_t count, const uint64_t *hashes, const float *looks, int64_t *first) {
    for (int64_t i = 0; i < count; i++) {
        first[i] = i;
        for (int64_t j = 0; j < i; j++) {
            if (first[j] == first[i] ||
                !same(hashes[i], hashes[j], looks + i * PSAL_LOOK_LENGTH, looks + j * PSAL_LOOK_LENGTH))
                continue;
            /* Picture i may join two groups: all of the later one move to the earlier one. */
            const int64_t to = first[j] < first[i] ? first[j] : first[i],
                          from = first[j] < first[i] ? first[i] : first[j];
            for (int64_t k = 0; k <= i; k++)
                if (first[k] == from) first[k] = to;
        }
    }
}
