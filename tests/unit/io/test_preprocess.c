#include "io/preprocess.h"

#include <limits.h>
#include <math.h>

#include "image_samples.h"
#include "io/resize.h"

static psal_preprocess preset(const char *name) {
    psal_preprocess options;
    ck_assert_int_eq(psal_preprocess_preset(name, &options, NULL), PSAL_OK);
    return options;
}

/* torchvision's normalisation with another geometry. */
static psal_preprocess torchvision(int resize, int height, int width) {
    psal_preprocess options = preset("torchvision");
    options.resize_shorter = resize;
    options.crop_height = height;
    options.crop_width = width;
    return options;
}

START_TEST(test_results_are_torchvisions) {
    psal_image source = noise_image();
    for (size_t i = 0; i < sizeof golden_crops / sizeof *golden_crops; i++) {
        const struct golden_crop *crop = &golden_crops[i];
        psal_preprocess options = torchvision(crop->resize, crop->height, crop->width);
        psal_image pixels;
        int height, width;
        ck_assert_int_eq(psal_preprocess_size(&options, NOISE_WIDTH, NOISE_HEIGHT, &height, &width, NULL), PSAL_OK);
        ck_assert_int_eq(psal_preprocess_pixels(&options, &source, &pixels, NULL), PSAL_OK);
        ck_assert_int_eq(pixels.height, height);
        ck_assert_int_eq(pixels.width, width);
        ck_assert_msg(image_crc(&pixels) == crop->pixels_crc, "case %zu: other pixels", i);
        size_t count = 3 * (size_t)height * (size_t)width;
        float *tensor = malloc(count * sizeof *tensor);
        ck_assert_int_eq(psal_preprocess_image(&options, &source, tensor, NULL), PSAL_OK);
        ck_assert_msg(crc_of(tensor, count * sizeof *tensor) == crop->tensor_crc, "case %zu: another tensor", i);
        free(tensor);
        psal_image_free(&pixels);
    }
    psal_image_free(&source);
}
END_TEST

START_TEST(test_grey_is_converted_before_the_resize) {
    psal_image source = noise_image(), pixels;
    psal_preprocess options = torchvision(32, 28, 28);
    options.order = PSAL_CHANNELS_GREY;
    ck_assert_int_eq(psal_preprocess_channels(&options), 1);
    ck_assert_int_eq(psal_preprocess_pixels(&options, &source, &pixels, NULL), PSAL_OK);
    uint8_t grey[28 * 28];
    float tensor[28 * 28];
    ck_assert_int_eq(psal_preprocess_tensor(&options, &pixels, tensor, NULL), PSAL_OK);
    for (int i = 0; i < 28 * 28; i++) {
        grey[i] = pixels.rgb[3 * i];
        ck_assert_uint_eq(pixels.rgb[3 * i + 1], grey[i]);
        ck_assert_uint_eq(pixels.rgb[3 * i + 2], grey[i]);
        ck_assert(tensor[i] == ((float)grey[i] / 255.0f - 0.485f) / 0.229f);
    }
    ck_assert_uint_eq(crc_of(grey, sizeof grey), GREY_CRC);
    psal_image_free(&pixels);
    psal_image_free(&source);
}
END_TEST

/* Resize((h, w)) is one resize to that size, and nothing is cut; a crop takes the middle of it. */
START_TEST(test_stretched_to_a_size) {
    psal_image source = noise_image(), whole, pixels, middle;
    psal_preprocess options = torchvision(0, 40, 24);
    options.stretch_height = 40;
    options.stretch_width = 24;
    ck_assert_int_eq(psal_resize(&source, 24, 40, &whole, NULL), PSAL_OK);
    ck_assert_int_eq(psal_preprocess_pixels(&options, &source, &pixels, NULL), PSAL_OK);
    ck_assert(pixels.width == 24 && pixels.height == 40);
    ck_assert_int_eq(memcmp(pixels.rgb, whole.rgb, 3 * 40 * 24), 0);
    options.crop_height = 30;
    options.crop_width = 20;
    ck_assert_int_eq(psal_preprocess_pixels(&options, &source, &middle, NULL), PSAL_OK);
    for (int y = 0; y < 30; y++)
        ck_assert_int_eq(memcmp(middle.rgb + 3 * 20 * y, whole.rgb + 3 * (24 * (y + 5) + 2), 3 * 20), 0);
    psal_image_free(&middle);
    psal_image_free(&pixels);
    psal_image_free(&whole);
    psal_image_free(&source);
}
END_TEST

START_TEST(test_values_of_the_presets) {
    psal_image pixel = {1, 1, (uint8_t[]){200, 100, 50}};
    float out[3];
    psal_preprocess options = preset("caffe");
    ck_assert_int_eq(psal_preprocess_tensor(&options, &pixel, out, NULL), PSAL_OK);
    ck_assert(out[0] == 50.0f - 103.939f && out[1] == 100.0f - 116.779f && out[2] == 200.0f - 123.68f);
    options = preset("inception");
    ck_assert_int_eq(psal_preprocess_tensor(&options, &pixel, out, NULL), PSAL_OK);
    ck_assert(out[0] == (200.0f / 255.0f - 0.5f) / 0.5f);
    options = preset("torchvision");
    ck_assert_int_eq(psal_preprocess_tensor(&options, &pixel, out, NULL), PSAL_OK);
    ck_assert(out[2] == (50.0f / 255.0f - 0.406f) / 0.225f);
}
END_TEST

static void expect_size(psal_preprocess options, int width, int height, int want_width, int want_height) {
    int got_width, got_height;
    ck_assert_int_eq(psal_preprocess_size(&options, width, height, &got_height, &got_width, NULL), PSAL_OK);
    ck_assert_int_eq(got_width, want_width);
    ck_assert_int_eq(got_height, want_height);
}

START_TEST(test_sizes) {
    expect_size(preset("torchvision"), 500, 375, 224, 224);
    expect_size(preset("inception"), 20, 3000, 299, 299);
    expect_size(torchvision(256, 0, 0), 500, 375, 341, 256); /* 341.33 */
    expect_size(torchvision(256, 0, 0), 375, 500, 256, 341);
    expect_size(torchvision(256, 0, 0), 300, 300, 256, 256);
    expect_size(torchvision(256, 0, 0), 1, 300, 256, 76800);
    expect_size(torchvision(0, 0, 0), 17, 19, 17, 19);
    expect_size(torchvision(0, 97, 131), 17, 19, 131, 97);
}
END_TEST

/* CenterCrop's offset is Python's round((size - crop) / 2): 0.5 to 0, 1.5 to 2, 2.5 to 2. */
START_TEST(test_crop_offsets) {
    uint8_t row[3 * 20];
    for (int i = 0; i < 20; i++) memset(row + 3 * i, i + 1, 3);
    static const struct {
        int size, crop, first;
    } cases[] = {{10, 10, 1}, {10, 9, 1}, {10, 8, 2}, {10, 7, 3}, {10, 6, 3}, {10, 5, 3},
                 {10, 3, 5},  {10, 1, 5}, {7, 6, 1},  {7, 4, 3},  {9, 4, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_image image = {cases[i].size, 1, row}, pixels;
        psal_preprocess options = torchvision(0, 1, cases[i].crop);
        ck_assert_int_eq(psal_preprocess_pixels(&options, &image, &pixels, NULL), PSAL_OK);
        ck_assert_msg(pixels.rgb[0] == cases[i].first, "%d of %d begins at %d, expected %d", cases[i].crop,
                      cases[i].size, pixels.rgb[0], cases[i].first);
        psal_image_free(&pixels);
    }
    /* Padding: the odd pixel of black at the right and bottom. */
    psal_image image = {2, 1, row}, pixels;
    psal_preprocess options = torchvision(0, 4, 5);
    ck_assert_int_eq(psal_preprocess_pixels(&options, &image, &pixels, NULL), PSAL_OK);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 5; x++)
            ck_assert_uint_eq(pixels.rgb[3 * (5 * y + x)], y == 1 && (x == 1 || x == 2) ? x : 0);
    psal_image_free(&pixels);
}
END_TEST

/* 1 x 60000 pixels become 256 x 15360000, of which only the crop is computed. */
START_TEST(test_narrow_image) {
    psal_image image, pixels;
    ck_assert_int_eq(psal_image_alloc(1, 60000, &image, NULL), PSAL_OK);
    memset(image.rgb, 9, 60000 * 3);
    psal_preprocess options = preset("torchvision");
    ck_assert_int_eq(psal_preprocess_pixels(&options, &image, &pixels, NULL), PSAL_OK);
    for (int i = 0; i < 224 * 224 * 3; i++) ck_assert_uint_eq(pixels.rgb[i], 9);
    psal_image_free(&pixels);
    psal_image_free(&image);

    int height, width;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_preprocess_size(&options, 1, 100000000, &height, &width, &err), PSAL_ERR_MEMORY);
    ck_assert_msg(strstr(err.message, "256x25600000000"), "%s", err.message);
    options.crop_height = options.crop_width = 0;
    image = (psal_image){1, INT_MAX / 256, (uint8_t[]){0, 0, 0}}; /* refused before it is read */
    ck_assert_int_eq(psal_preprocess_pixels(&options, &image, &pixels, &err), PSAL_ERR_MEMORY);
    ck_assert_ptr_null(pixels.rgb);
}
END_TEST

START_TEST(test_refusals) {
    psal_image source = noise_image(), nothing = PSAL_IMAGE_INIT, pixels;
    psal_error err = PSAL_ERROR_INIT;
    float out[3];
    psal_preprocess good = torchvision(8, 1, 1), bad[14];
    ck_assert_int_eq(psal_preprocess_check(&good, &err), PSAL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) bad[i] = good;
    bad[0].resize_shorter = -1;
    bad[1].resize_shorter = PSAL_PREPROCESS_MAX_SIZE + 1;
    bad[2].crop_height = 0; /* but a width */
    bad[3].crop_width = -3;
    bad[4].crop_height = PSAL_PREPROCESS_MAX_SIZE + 1;
    bad[5].scale = 0;
    bad[6].scale = NAN;
    bad[7].mean[2] = INFINITY;
    bad[8].std[1] = 0;
    bad[9].std[0] = -1;
    bad[10].order = (psal_channel_order)7;
    bad[11].stretch_height = bad[11].stretch_width = 5; /* and the shorter side, too */
    bad[12].resize_shorter = bad[13].resize_shorter = 0;
    bad[12].stretch_width = 5; /* but no height */
    bad[13].stretch_height = bad[13].stretch_width = PSAL_PREPROCESS_MAX_SIZE + 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(psal_preprocess_check(&bad[i], &err) == PSAL_ERR_ARGUMENT, "case %zu", i);
        ck_assert_int_eq(psal_preprocess_image(&bad[i], &source, out, &err), PSAL_ERR_ARGUMENT);
        ck_assert_int_eq(psal_preprocess_pixels(&bad[i], &source, &pixels, &err), PSAL_ERR_ARGUMENT);
        ck_assert_ptr_null(pixels.rgb);
    }
    ck_assert_int_eq(psal_preprocess_image(&good, &nothing, out, &err), PSAL_ERR_ARGUMENT);
    psal_image_free(&source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/preprocess");
    TCase *cases = tcase_create("preprocess");
    tcase_add_test(cases, test_results_are_torchvisions);
    tcase_add_test(cases, test_grey_is_converted_before_the_resize);
    tcase_add_test(cases, test_stretched_to_a_size);
    tcase_add_test(cases, test_values_of_the_presets);
    tcase_add_test(cases, test_sizes);
    tcase_add_test(cases, test_crop_offsets);
    tcase_add_test(cases, test_narrow_image);
    tcase_add_test(cases, test_refusals);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
