#include "image_samples.h"

/* The bytes between the start-of-frame marker and its fields: length (2), precision (1). */
static size_t find_frame(const uint8_t *bytes, size_t size, uint8_t marker) {
    for (size_t i = 0; i + 1 < size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == marker) return i + 2;
    ck_abort_msg("no marker %02x", marker);
    return 0;
}

/* The golden image with one byte of its frame header replaced. */
static psal_status decode_patched(const char *name, uint8_t marker, size_t field, const uint8_t *value, size_t count,
                                  psal_error *err) {
    const struct golden_image *sample = golden(name);
    uint8_t *copy = malloc(sample->size);
    memcpy(copy, sample->bytes, sample->size);
    memcpy(copy + find_frame(copy, sample->size, marker) + field, value, count);
    psal_image image;
    psal_status status = psal_image_decode(copy, sample->size, "sample", 0, &image, err);
    psal_image_free(&image);
    free(copy);
    return status;
}

START_TEST(test_pixels_are_pillows) {
    check_golden("jpeg");
}
END_TEST

START_TEST(test_truncated_is_refused) {
    /* All pixels can be there without the last byte of the end marker, or without the marker. */
    check_cuts(golden("jpeg_rgb"), 2);
    check_cuts(golden("jpeg_progressive"), 2);
    check_cuts(golden("jpeg_grey"), 2);
    check_cuts(golden("jpeg_cmyk"), 2);
}
END_TEST

START_TEST(test_truncated_says_where) {
    const struct golden_image *sample = golden("jpeg_rgb");
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(decode_copy(sample->bytes, sample->size - 5, &image, &err), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "of 13 rows"), "%s", err.message);
    ck_assert_int_eq(decode_copy(sample->bytes, 30, &image, &err), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "30 bytes, before the image data"), "%s", err.message);
}
END_TEST

START_TEST(test_altered_is_survived) {
    ck_assert_int_gt(check_flips(golden("jpeg_rgb")), 100);
    ck_assert_int_gt(check_flips(golden("jpeg_progressive")), 100);
    ck_assert_int_gt(check_flips(golden("jpeg_cmyk")), 100);
}
END_TEST

START_TEST(test_size_limits) {
    const struct golden_image *sample = golden("jpeg_rgb");
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_decode(sample->bytes, sample->size, "x", 19 * 13, &image, &err), PSAL_OK);
    psal_image_free(&image);
    ck_assert_int_eq(psal_image_decode(sample->bytes, sample->size, "x", 19 * 13 - 1, &image, &err), PSAL_ERR_MEMORY);
    ck_assert_str_eq(err.message, "x: the image has 19x13 pixels, the limit is 246 pixels");

    ck_assert_int_eq(decode_patched("jpeg_rgb", 0xc0, 3, (uint8_t[]){250, 0, 250, 0}, 4, &err), PSAL_ERR_MEMORY);
    ck_assert_msg(strstr(err.message, "64000x64000"), "%s", err.message);
    /* Under the limit, but the file is far too short for it. */
    ck_assert_int_eq(decode_patched("jpeg_rgb", 0xc0, 3, (uint8_t[]){40, 0, 40, 0}, 4, &err), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "10240x10240 pixels cannot be in"), "%s", err.message);
    ck_assert_int_eq(decode_patched("jpeg_rgb", 0xc0, 3, (uint8_t[]){0, 0}, 2, &err), PSAL_ERR_FORMAT);
}
END_TEST

START_TEST(test_unusual_frames_are_refused) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(decode_patched("jpeg_rgb", 0xc0, 2, (uint8_t[]){12}, 1, &err), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "precision 12"), "%s", err.message);
    /* Lossless and hierarchical processes. */
    ck_assert_int_ne(decode_patched("jpeg_rgb", 0xc0, (size_t)-1, (uint8_t[]){0xc3}, 1, &err), PSAL_OK);
    ck_assert_int_ne(decode_patched("jpeg_rgb", 0xc0, (size_t)-1, (uint8_t[]){0xc5}, 1, &err), PSAL_OK);

    /* Two components: cut the third off the frame (3 bytes) and the scan (2 bytes). */
    const struct golden_image *sample = golden("jpeg_444");
    size_t frame = find_frame(sample->bytes, sample->size, 0xc0) + 14;
    size_t scan = find_frame(sample->bytes, sample->size, 0xda) + 7;
    uint8_t *copy = malloc(sample->size);
    memcpy(copy, sample->bytes, frame);
    memcpy(copy + frame, sample->bytes + frame + 3, scan - frame - 3);
    memcpy(copy + scan - 3, sample->bytes + scan + 2, sample->size - scan - 2);
    copy[frame - 13] -= 3; /* the lengths */
    copy[scan - 3 - 6] -= 2;
    copy[frame - 7] = copy[scan - 3 - 5] = 2; /* the numbers of components */
    psal_image image;
    psal_status status = decode_copy(copy, sample->size - 5, &image, &err);
    free(copy);
    ck_assert_msg(status == PSAL_ERR_UNSUPPORTED, "%s", err.message);
    ck_assert_msg(strstr(err.message, "2 colour components"), "%s", err.message);
}
END_TEST

/* A scan can be a few bytes and cost a pass over the image. */
START_TEST(test_endless_scans_are_refused) {
    const struct golden_image *sample = golden("jpeg_progressive");
    size_t last = sample->size - 2; /* where the last scan ends and the end marker begins */
    size_t scan = last - 1;
    while (sample->bytes[scan] != 0xff || sample->bytes[scan + 1] != 0xda) scan--;
    for (int copies = 20; copies <= 600; copies += 580) {
        size_t size = sample->size + (size_t)copies * (last - scan);
        uint8_t *bytes = malloc(size), *end = bytes;
        memcpy(end, sample->bytes, last);
        end += last;
        for (int i = 0; i < copies; i++, end += last - scan) memcpy(end, sample->bytes + scan, last - scan);
        memcpy(end, sample->bytes + last, 2);
        psal_image image;
        psal_error err = PSAL_ERROR_INIT;
        psal_status status = decode_copy(bytes, size, &image, &err);
        if (copies > 500) {
            ck_assert_int_eq(status, PSAL_ERR_FORMAT);
            ck_assert_msg(strstr(err.message, "more than 500 scans"), "%s", err.message);
        } else {
            ck_assert_msg(status == PSAL_OK, "%s", err.message);
        }
        psal_image_free(&image);
        free(bytes);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/image_jpeg");
    TCase *cases = tcase_create("image_jpeg");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_pixels_are_pillows);
    tcase_add_test(cases, test_truncated_is_refused);
    tcase_add_test(cases, test_truncated_says_where);
    tcase_add_test(cases, test_altered_is_survived);
    tcase_add_test(cases, test_size_limits);
    tcase_add_test(cases, test_unusual_frames_are_refused);
    tcase_add_test(cases, test_endless_scans_are_refused);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
