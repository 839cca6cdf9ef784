#include <stdio.h>
#include <unistd.h>

#include "image_samples.h"

static uint8_t *put_chunk(uint8_t *out, const char *kind, const void *data, uint32_t size) {
    const uint8_t length[] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(out, length, 4);
    memcpy(out + 4, kind, 4);
    if (size) memcpy(out + 8, data, size);
    uint32_t crc = crc_of(out + 4, size + 4);
    out += 8 + size;
    for (int shift = 24; shift >= 0; shift -= 8) *out++ = (uint8_t)(crc >> shift);
    return out;
}

/* A PNG of the given header, with one chunk more and these rows (filter bytes included). */
static size_t make_png(uint8_t *out, uint32_t width, uint32_t height, int depth, int colour, const char *extra_kind,
                       const void *extra, size_t extra_size, const void *rows, size_t rows_size) {
    uint8_t *start = out;
    const uint8_t header[13] = {
        (uint8_t)(width >> 24),  (uint8_t)(width >> 16), (uint8_t)(width >> 8), (uint8_t)width, (uint8_t)(height >> 24),
        (uint8_t)(height >> 16), (uint8_t)(height >> 8), (uint8_t)height,       (uint8_t)depth, (uint8_t)colour};
    uint8_t body[1000];
    uLongf body_size = sizeof body;
    ck_assert_int_eq(compress(body, &body_size, rows, rows_size), Z_OK);
    memcpy(out, "\x89PNG\r\n\x1a\n", 8);
    out = put_chunk(out + 8, "IHDR", header, 13);
    if (extra_kind) out = put_chunk(out, extra_kind, extra, (uint32_t)extra_size);
    out = put_chunk(out, "IDAT", body, (uint32_t)body_size);
    out = put_chunk(out, "IEND", NULL, 0);
    return (size_t)(out - start);
}

START_TEST(test_pixels_are_pillows) {
    check_golden("png");
}
END_TEST

START_TEST(test_truncated_is_refused) {
    check_cuts(golden("png_rgb_8"), 0);
    check_cuts(golden("png_palette_4_interlaced"), 0);
    check_cuts(golden("png_grey_16"), 0);
    check_cuts(golden("png_rgba_16_interlaced"), 0);
}
END_TEST

START_TEST(test_altered_is_refused_or_survived) {
    /* Checksums cover all but the lengths and the chunks that do not matter. */
    ck_assert_int_gt(check_flips(golden("png_rgb_8")), 1000);
    ck_assert_int_gt(check_flips(golden("png_palette_8_interlaced")), 1000);
    ck_assert_int_gt(check_flips(golden("png_grey_1")), 500);
    ck_assert_int_gt(check_flips(golden("png_grey_alpha_16_interlaced")), 1000);
}
END_TEST

/* The cases where Pillow's conversion is not the obvious one, from first principles. */
START_TEST(test_conversions) {
    uint8_t png[2000];
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;

    const uint8_t grey_16[] = {0, 0, 7, 0, 255, 1, 0, 128, 5}; /* 7, 255, 256, 32773 */
    size_t size = make_png(png, 4, 1, 16, 0, NULL, NULL, 0, grey_16, sizeof grey_16);
    ck_assert_msg(decode_copy(png, size, &image, &err) == PSAL_OK, "%s", err.message);
    const uint8_t clipped[] = {7, 7, 7, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    ck_assert_mem_eq(image.rgb, clipped, sizeof clipped);
    psal_image_free(&image);

    const uint8_t rgb_16[] = {0, 1, 255, 2, 0, 255, 255};
    size = make_png(png, 1, 1, 16, 2, NULL, NULL, 0, rgb_16, sizeof rgb_16);
    ck_assert_msg(decode_copy(png, size, &image, &err) == PSAL_OK, "%s", err.message);
    ck_assert_mem_eq(image.rgb, ((uint8_t[]){1, 2, 255}), 3);
    psal_image_free(&image);

    const uint8_t indices[] = {0, 1, 2, 200}, palette[] = {10, 20, 30, 40, 50, 60};
    size = make_png(png, 3, 1, 8, 3, "PLTE", palette, sizeof palette, indices, sizeof indices);
    ck_assert_msg(decode_copy(png, size, &image, &err) == PSAL_OK, "%s", err.message);
    const uint8_t coloured[] = {40, 50, 60, 2, 2, 2, 200, 200, 200}; /* beyond the palette: grey */
    ck_assert_mem_eq(image.rgb, coloured, sizeof coloured);
    psal_image_free(&image);

    const uint8_t clear[] = {0, 1, 2, 3, 0, 9, 8, 7, 128}; /* alpha 0 keeps the colour */
    size = make_png(png, 2, 1, 8, 6, "gAMA", "\0\1\0\0", 4, clear, sizeof clear);
    ck_assert_msg(decode_copy(png, size, &image, &err) == PSAL_OK, "%s", err.message);
    ck_assert_mem_eq(image.rgb, ((uint8_t[]){1, 2, 3, 9, 8, 7}), 6);
    psal_image_free(&image);
}
END_TEST

START_TEST(test_hostile_headers) {
    static const struct {
        uint32_t width, height;
        int depth, colour;
        const char *says;
    } cases[] = {
        {100000, 100000, 8, 2, "100000x100000 pixels, the limit is 178956970"},
        {0x7fffffff, 0x7fffffff, 1, 0, "the limit is"},
        {1000, 1000, 16, 6, "1000x1000 pixels cannot be in"},
        {0, 1, 8, 2, "damaged"},
        {1, 0, 8, 2, "damaged"},
        {0x80000000, 1, 8, 2, "damaged"},
        {1, 1, 3, 2, "damaged"},
        {1, 1, 8, 5, "damaged"},
        {1, 1, 16, 3, "damaged"},
        {1, 1, 8, 3, "PLTE"},
        {2, 1, 8, 2, "Not enough image data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t png[500];
        const uint8_t row[] = {0, 1, 2, 3};
        size_t size = make_png(png, cases[i].width, cases[i].height, cases[i].depth, cases[i].colour, NULL, NULL, 0,
                               row, sizeof row);
        psal_image image;
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_int_ne(psal_image_decode(png, size, "sample", 0, &image, &err), PSAL_OK);
        ck_assert_ptr_null(image.rgb);
        ck_assert_msg(strstr(err.message, cases[i].says), "case %zu: %s", i, err.message);
    }
}
END_TEST

START_TEST(test_palette_must_be_whole_colours) {
    uint8_t png[500];
    const uint8_t row[] = {0, 1};
    size_t size = make_png(png, 1, 1, 8, 3, "PLTE", "abcd", 4, row, sizeof row);
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(decode_copy(png, size, &image, &err), PSAL_ERR_FORMAT);
}
END_TEST

/* ---- writing ---- */

static char path[64];

static void make_path(void) {
    strcpy(path, "/tmp/psal-png-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_path(void) {
    unlink(path);
}

START_TEST(test_write_and_read_back) {
    psal_image image = noise_image(), back;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_image_write_png(path, &image, NULL, &err) == PSAL_OK, "%s", err.message);
    ck_assert_msg(psal_image_load(path, 0, &back, &err) == PSAL_OK, "%s", err.message);
    ck_assert_int_eq(back.width, image.width);
    ck_assert_int_eq(back.height, image.height);
    ck_assert_uint_eq(image_crc(&back), NOISE_CRC);
    psal_image_free(&back);
    psal_image_free(&image);
}
END_TEST

static bool to_stream(void *stream, const uint8_t *data, size_t size) {
    return fwrite(data, 1, size, stream) == size;
}

/* Stripes, made row by row in the room that is given: nothing in it may be kept from row to row. */
static const uint8_t *stripe_row(const void *from, int y, uint8_t *room) {
    int width = *(const int *)from;
    for (int x = 0; x < 3 * width; x++) room[x] = (uint8_t)(x % 7 < 3 ? 255 : x * y % 31 == 0 ? y : 40);
    return room;
}

START_TEST(test_contents_differ_in_size_only) {
    int width = 211, height = 97;
    long sizes[2];
    for (int content = 0; content < 2; content++) {
        psal_png_source source = {width, height, (psal_png_content)content, stripe_row, &width, NULL};
        psal_error err = PSAL_ERROR_INIT;
        FILE *file = fopen(path, "wb");
        ck_assert_int_eq(psal_png_encode(&source, to_stream, file, &err), PSAL_OK);
        sizes[content] = ftell(file);
        fclose(file);
        psal_image back;
        ck_assert_msg(psal_image_load(path, 0, &back, &err) == PSAL_OK, "%s", err.message);
        ck_assert(back.width == width && back.height == height);
        uint8_t row[3 * 211];
        for (int y = 0; y < height; y++)
            ck_assert_mem_eq(back.rgb + (size_t)y * sizeof row, stripe_row(&width, y, row), sizeof row);
        psal_image_free(&back);
    }
    ck_assert_int_lt(sizes[PSAL_PNG_DRAWING], sizes[PSAL_PNG_PHOTO]);
}
END_TEST

START_TEST(test_write_failures) {
    psal_image image = noise_image(), nothing = PSAL_IMAGE_INIT;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_write_png("/no/such/folder/a.png", &image, NULL, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "/no/such/folder/a.png"), "%s", err.message);
    ck_assert_int_eq(psal_image_write_png("/dev/full", &image, NULL, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "/dev/full") && strstr(err.message, "No space left"), "%s", err.message);
    ck_assert_int_eq(psal_image_write_png(path, &nothing, NULL, &err), PSAL_ERR_ARGUMENT);
    psal_image_free(&image);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/image_png");
    TCase *cases = tcase_create("image_png");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_pixels_are_pillows);
    tcase_add_test(cases, test_truncated_is_refused);
    tcase_add_test(cases, test_altered_is_refused_or_survived);
    tcase_add_test(cases, test_conversions);
    tcase_add_test(cases, test_hostile_headers);
    tcase_add_test(cases, test_palette_must_be_whole_colours);
    suite_add_tcase(suite, cases);
    TCase *writing = tcase_create("writing");
    tcase_add_checked_fixture(writing, make_path, remove_path);
    tcase_add_test(writing, test_write_and_read_back);
    tcase_add_test(writing, test_contents_differ_in_size_only);
    tcase_add_test(writing, test_write_failures);
    suite_add_tcase(suite, writing);
    return run_suite(suite);
}
