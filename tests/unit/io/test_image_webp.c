#include "image_samples.h"

/* A lossless WebP that promises these dimensions (each at least 1) and then holds nothing. */
static size_t make_promise(uint8_t *out, uint32_t width, uint32_t height) {
    uint32_t bits = (width - 1) | (height - 1) << 14;
    const uint8_t file[] = {'R',
                            'I',
                            'F',
                            'F',
                            22,
                            0,
                            0,
                            0,
                            'W',
                            'E',
                            'B',
                            'P',
                            'V',
                            'P',
                            '8',
                            'L',
                            10,
                            0,
                            0,
                            0,
                            0x2f,
                            (uint8_t)bits,
                            (uint8_t)(bits >> 8),
                            (uint8_t)(bits >> 16),
                            (uint8_t)(bits >> 24),
                            0,
                            0,
                            0,
                            0,
                            0};
    memcpy(out, file, sizeof file);
    return sizeof file;
}

START_TEST(test_pixels_are_pillows) {
    check_golden("webp");
}
END_TEST

START_TEST(test_truncated_is_refused) {
    check_cuts(golden("webp_lossy"), 0);
    check_cuts(golden("webp_lossy_alpha"), 0);
    check_cuts(golden("webp_lossless"), 0);
    check_cuts(golden("webp_lossless_alpha"), 0);
}
END_TEST

START_TEST(test_altered_is_survived) {
    ck_assert_int_gt(check_flips(golden("webp_lossy")), 100);
    ck_assert_int_gt(check_flips(golden("webp_lossy_alpha")), 100);
    ck_assert_int_gt(check_flips(golden("webp_lossless")), 100);
    ck_assert_int_gt(check_flips(golden("webp_lossless_alpha")), 100);
}
END_TEST

START_TEST(test_animated_is_refused) {
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(decode_copy(webp_animated_bytes, sizeof webp_animated_bytes, &image, &err), PSAL_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, "is an animated WebP"), "%s", err.message);
}
END_TEST

/* Of the largest image that the format has, no pixel is asked for. */
START_TEST(test_size_limits) {
    const struct golden_image *sample = golden("webp_lossy");
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_decode(sample->bytes, sample->size, "x", 19 * 13, &image, &err), PSAL_OK);
    psal_image_free(&image);
    ck_assert_int_eq(psal_image_decode(sample->bytes, sample->size, "x", 19 * 13 - 1, &image, &err), PSAL_ERR_MEMORY);
    ck_assert_str_eq(err.message, "x: the image has 19x13 pixels, the limit is 246 pixels");

    uint8_t file[64];
    size_t size = make_promise(file, 16384, 16384);
    ck_assert_int_eq(psal_image_decode(file, size, "x", 0, &image, &err), PSAL_ERR_MEMORY);
    ck_assert_msg(strstr(err.message, "16384x16384 pixels, the limit is 178956970"), "%s", err.message);
    size = make_promise(file, 100, 100);
    file[25] = 0xff; /* codes that no file has */
    ck_assert_int_eq(psal_image_decode(file, size, "x", 0, &image, &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "x: the WebP is damaged");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/image_webp");
    TCase *cases = tcase_create("image_webp");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_pixels_are_pillows);
    tcase_add_test(cases, test_truncated_is_refused);
    tcase_add_test(cases, test_altered_is_survived);
    tcase_add_test(cases, test_animated_is_refused);
    tcase_add_test(cases, test_size_limits);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
