/* image_samples.h - shared by the tests of images. */
#ifndef PSAL_TESTS_UNIT_IO_IMAGE_SAMPLES_H
#define PSAL_TESTS_UNIT_IO_IMAGE_SAMPLES_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image_golden.h"
#include "io/image.h"

/* Enough for every sample, and little enough that a damaged size does not cost seconds. */
#define SAMPLE_MAX_PIXELS 200000

static inline uint32_t crc_of(const void *bytes, size_t size) {
    return (uint32_t)crc32(0, bytes, (uInt)size);
}

static inline uint32_t image_crc(const psal_image *image) {
    return crc_of(image->rgb, (size_t)image->width * (size_t)image->height * 3);
}

static inline const struct golden_image *golden(const char *name) {
    for (size_t i = 0; i < sizeof golden_images / sizeof *golden_images; i++)
        if (strcmp(golden_images[i].name, name) == 0) return &golden_images[i];
    ck_abort_msg("no golden image %s", name);
    return NULL;
}

/* The noise that make_image_golden.py resized; the caller frees it. */
static inline psal_image noise_image(void) {
    psal_image image;
    ck_assert_int_eq(psal_image_alloc(NOISE_WIDTH, NOISE_HEIGHT, &image, NULL), PSAL_OK);
    uint32_t state = 1;
    for (int i = 0; i < NOISE_WIDTH * NOISE_HEIGHT * 3; i++) {
        state = state * 1664525u + 1013904223u;
        image.rgb[i] = (uint8_t)(state >> 24);
    }
    ck_assert_uint_eq(image_crc(&image), NOISE_CRC);
    return image;
}

/* Decode a copy that ends where its memory does, so that AddressSanitizer sees reads beyond it;
 * whatever comes out must hold together. */
static inline psal_status decode_copy(const uint8_t *bytes, size_t size, psal_image *image, psal_error *err) {
    uint8_t *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    psal_status status = psal_image_decode(copy, size, "sample", SAMPLE_MAX_PIXELS, image, err);
    free(copy);
    if (status) {
        ck_assert_int_eq(err->status, status);
        ck_assert_msg(strncmp(err->message, "sample: ", 8) == 0, "%s", err->message);
        ck_assert_msg(!strchr(err->message, '\n'), "%s", err->message);
        ck_assert_msg(!image->rgb && !image->width && !image->height, "pixels in spite of an error");
    } else {
        ck_assert_int_ge(image->width, 1);
        ck_assert_int_ge(image->height, 1);
        ck_assert_int_le((int64_t)image->width * image->height, SAMPLE_MAX_PIXELS);
        image_crc(image); /* reads every pixel */
    }
    return status;
}

/* All golden images whose names begin so have Pillow's pixels. */
static inline void check_golden(const char *prefix) {
    int count = 0;
    for (size_t i = 0; i < sizeof golden_images / sizeof *golden_images; i++) {
        const struct golden_image *sample = &golden_images[i];
        if (strncmp(sample->name, prefix, strlen(prefix)) != 0) continue;
        psal_image image;
        psal_error err = PSAL_ERROR_INIT;
        psal_status status = decode_copy(sample->bytes, sample->size, &image, &err);
        ck_assert_msg(status == PSAL_OK, "%s: %s", sample->name, err.message);
        ck_assert_int_eq(image.width, sample->width);
        ck_assert_int_eq(image.height, sample->height);
        ck_assert_msg(image_crc(&image) == sample->crc, "%s: other pixels than Pillow's", sample->name);
        psal_image_free(&image);
        count++;
    }
    ck_assert_int_gt(count, 0);
}

/* Cut the sample everywhere: refused, but for the last `optional` bytes. */
static inline void check_cuts(const struct golden_image *sample, size_t optional) {
    for (size_t size = 0; size < sample->size; size++) {
        psal_image image;
        psal_error err = PSAL_ERROR_INIT;
        psal_status status = decode_copy(sample->bytes, size, &image, &err);
        psal_image_free(&image);
        if (size + optional >= sample->size) continue;
        ck_assert_msg(status != PSAL_OK, "%s cut at %zu of %zu is accepted", sample->name, size, sample->size);
        ck_assert_msg(strstr(err.message, "truncated") || strstr(err.message, "empty"), "%s cut at %zu: %s",
                      sample->name, size, err.message);
    }
}

/* Alter each byte in several ways; returns how many were refused. */
static inline int check_flips(const struct golden_image *sample) {
    uint8_t *copy = malloc(sample->size);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, sample->bytes, sample->size);
    int refused = 0;
    for (size_t at = 0; at < sample->size; at++) {
        const uint8_t masks[] = {1, 2, 4, 8, 16, 32, 64, 128, 255, copy[at], (uint8_t)~copy[at]};
        for (size_t k = 0; k < sizeof masks; k++) {
            psal_image image;
            psal_error err = PSAL_ERROR_INIT;
            copy[at] = sample->bytes[at] ^ masks[k];
            refused += decode_copy(copy, sample->size, &image, &err) != PSAL_OK;
            psal_image_free(&image);
        }
        copy[at] = sample->bytes[at];
    }
    free(copy);
    return refused;
}

static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
