#include "io/resize.h"

#include <math.h>

#include "image_samples.h"

static psal_image resized(const psal_image *source, int width, int height) {
    psal_image target;
    psal_error err = PSAL_ERROR_INIT;
    psal_status status = psal_resize(source, width, height, &target, &err);
    ck_assert_msg(status == PSAL_OK, "%s", err.message);
    ck_assert_int_eq(target.width, width);
    ck_assert_int_eq(target.height, height);
    return target;
}

START_TEST(test_pixels_are_pillows) {
    psal_image source = noise_image();
    for (size_t i = 0; i < sizeof golden_resizes / sizeof *golden_resizes; i++) {
        psal_image target = resized(&source, golden_resizes[i].width, golden_resizes[i].height);
        ck_assert_msg(image_crc(&target) == golden_resizes[i].crc, "%dx%d: other pixels than Pillow's",
                      golden_resizes[i].width, golden_resizes[i].height);
        psal_image_free(&target);
    }
    ck_assert_uint_eq(image_crc(&source), NOISE_CRC); /* untouched */
    psal_image_free(&source);
}
END_TEST

/* One axis by the definition: the triangle around the target pixel's centre, in double precision.
 */
static double definition(const uint8_t *samples, int stride, int count, double scale, int index) {
    double radius = scale > 1 ? scale : 1, sum = 0, weights = 0;
    for (int i = 0; i < count; i++) {
        double weight = 1 - fabs(i + 0.5 - (index + 0.5) * scale) / radius;
        if (weight <= 0) continue;
        sum += weight * samples[i * stride];
        weights += weight;
    }
    return sum / weights;
}

START_TEST(test_follows_the_definition) {
    psal_image source = noise_image();
    for (int width = 1; width < 150; width += 7) {
        psal_image target = resized(&source, width, source.height);
        for (int x = 0; x < width; x++) {
            const uint8_t *row = source.rgb + (size_t)(x % source.height) * NOISE_WIDTH * 3;
            const uint8_t *got = target.rgb + ((size_t)(x % source.height) * (size_t)width + (size_t)x) * 3;
            for (int c = 0; c < 3; c++) {
                double exact = definition(row + c, 3, NOISE_WIDTH, (double)NOISE_WIDTH / width, x);
                ck_assert_double_le(fabs(got[c] - exact), 0.501);
            }
        }
        psal_image_free(&target);
    }
    psal_image_free(&source);
}
END_TEST

START_TEST(test_even_stays_even) {
    psal_image source, target;
    ck_assert_int_eq(psal_image_alloc(123, 45, &source, NULL), PSAL_OK);
    for (int value = 0; value < 256; value += 51) {
        memset(source.rgb, value, 123 * 45 * 3);
        target = resized(&source, 78, 91);
        for (int i = 0; i < 78 * 91 * 3; i++) ck_assert_uint_eq(target.rgb[i], value);
        psal_image_free(&target);
    }
    psal_image_free(&source);
}
END_TEST

START_TEST(test_region_is_a_part) {
    psal_image source = noise_image();
    const int sizes[][2] = {{67, 41}, {30, 90}, {200, 15}, {67, 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int full_width = sizes[i][0], full_height = sizes[i][1];
        psal_image whole = resized(&source, full_width, full_height);
        for (int k = 1; k <= 3; k++) {
            psal_resize_part part = {full_width, full_height, k, 2 * k, full_width - 5 * k, full_height - 3 * k};
            size_t stride = (size_t)part.width * 3 + 5;
            uint8_t *rgb = malloc(stride * (size_t)part.height);
            memset(rgb, 77, stride * (size_t)part.height);
            ck_assert_int_eq(psal_resize_region(&source, &part, rgb, stride, NULL), PSAL_OK);
            for (int y = 0; y < part.height; y++) {
                const uint8_t *row = whole.rgb + ((size_t)(y + part.top) * (size_t)full_width + (size_t)k) * 3;
                ck_assert_mem_eq(rgb + (size_t)y * stride, row, (size_t)part.width * 3);
                for (size_t gap = (size_t)part.width * 3; gap < stride; gap++)
                    ck_assert_uint_eq(rgb[(size_t)y * stride + gap], 77);
            }
            free(rgb);
        }
        psal_image_free(&whole);
    }
    psal_image_free(&source);
}
END_TEST

/* A part of something too large to exist as a whole. */
START_TEST(test_region_of_the_impossible) {
    psal_image source = noise_image();
    psal_resize_part part = {2000000000, 1000000000, 1999999990, 500000000, 10, 2};
    uint8_t rgb[10 * 2 * 3];
    ck_assert_int_eq(psal_resize_region(&source, &part, rgb, 30, NULL), PSAL_OK);
    const uint8_t *pixel = source.rgb + ((size_t)20 * NOISE_WIDTH + 66) * 3;
    ck_assert_mem_eq(rgb, pixel, 3); /* the middle row's last pixel, blown up */
    psal_image_free(&source);
}
END_TEST

START_TEST(test_refusals) {
    psal_image source = noise_image(), nothing = PSAL_IMAGE_INIT, target;
    psal_error err = PSAL_ERROR_INIT;
    uint8_t rgb[3];
    ck_assert_int_eq(psal_resize(&source, 0, 5, &target, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_resize(&source, 100000, 100000, &target, &err), PSAL_ERR_MEMORY);
    ck_assert_int_eq(psal_resize(&nothing, 5, 5, &target, &err), PSAL_ERR_ARGUMENT);
    ck_assert_ptr_null(target.rgb);
    const psal_resize_part parts[] = {{10, 10, 9, 9, 2, 1},  {10, 10, 9, 9, 1, 2}, {10, 10, -1, 0, 1, 1},
                                      {10, 10, 0, -1, 1, 1}, {10, 10, 0, 0, 0, 1}, {10, 10, 2147483647, 0, 1, 1}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_int_eq(psal_resize_region(&source, &parts[i], rgb, 3, &err), PSAL_ERR_ARGUMENT);
    psal_image_free(&source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/resize");
    TCase *cases = tcase_create("resize");
    tcase_add_test(cases, test_pixels_are_pillows);
    tcase_add_test(cases, test_follows_the_definition);
    tcase_add_test(cases, test_even_stays_even);
    tcase_add_test(cases, test_region_is_a_part);
    tcase_add_test(cases, test_region_of_the_impossible);
    tcase_add_test(cases, test_refusals);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
