/* images.h - what the targets of the image formats share. */
#ifndef PSAL_TESTS_FUZZ_IMAGES_H
#define PSAL_TESTS_FUZZ_IMAGES_H

#include <string.h>

#include "io/image.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/io/image_golden.h"

/* Decode, with a limit that some inputs exceed. */
static inline void decode(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_image image = PSAL_IMAGE_INIT;
    psal_status status = psal_image_decode(data, size, "an image", 1 << 22, &image, &err);
    if (fuzz_outcome(status == PSAL_OK, &err)) {
        FUZZ_CHECK(image.width > 0 && image.height > 0 && (int64_t)image.width * image.height <= 1 << 22);
        volatile uint8_t last = image.rgb[(size_t)image.width * (size_t)image.height * 3 - 1];
        (void)last;
    } else {
        FUZZ_CHECK(!image.rgb && image.width == 0);
    }
    psal_image_free(&image);
}

/* The images of the unit tests whose names begin with `prefix`. */
static inline void seed_images(const char *prefix) {
    for (size_t i = 0; i < sizeof golden_images / sizeof *golden_images; i++)
        if (strncmp(golden_images[i].name, prefix, strlen(prefix)) == 0)
            fuzz_seed(golden_images[i].name, golden_images[i].bytes, golden_images[i].size);
}

#endif
