#include "io/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_samples.h"

static char folder[64];

static void make_folder(void) {
    strcpy(folder, "/tmp/psal-image-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The path of `name` in the folder, after writing the bytes there. */
static const char *write_file(const char *name, const void *bytes, size_t size) {
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static void expect_refusal(const char *path, psal_status expected, const char *says) {
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_load(path, 0, &image, &err), expected);
    ck_assert_ptr_null(image.rgb);
    ck_assert_int_eq(err.status, expected);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, says), "%s", err.message);
    ck_assert_int_eq(psal_image_load(path, 0, &image, NULL), expected); /* no message wanted */
}

START_TEST(test_type_is_told_by_content) {
    const struct golden_image *jpeg = golden("jpeg_rgb"), *png = golden("png_rgb_8"), *webp = golden("webp_lossy");
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_load(write_file("a.png", jpeg->bytes, jpeg->size), 0, &image, &err), PSAL_OK);
    ck_assert_uint_eq(image_crc(&image), jpeg->crc);
    psal_image_free(&image);
    ck_assert_int_eq(psal_image_load(write_file("a.jpg", png->bytes, png->size), 0, &image, &err), PSAL_OK);
    ck_assert_uint_eq(image_crc(&image), png->crc);
    psal_image_free(&image);
    ck_assert_int_eq(psal_image_load(write_file("b.png", webp->bytes, webp->size), 0, &image, &err), PSAL_OK);
    ck_assert_uint_eq(image_crc(&image), webp->crc);
    psal_image_free(&image);
    psal_image_free(&image); /* empty: fine */
    psal_image_free(NULL);
}
END_TEST

START_TEST(test_files_that_are_no_images) {
    expect_refusal(write_file("empty.jpg", "", 0), PSAL_ERR_FORMAT, "empty");
    expect_refusal(write_file("a.jpg", "GIF89a......", 12), PSAL_ERR_FORMAT,
                   "is a GIF image, expected a JPEG, PNG or WebP");
    expect_refusal(write_file("b.jpg", "RIFF\0\0\0\0AVI LIST", 16), PSAL_ERR_FORMAT, "neither a JPEG");
    expect_refusal(write_file("c.jpg",
                              "\0\0\0\x18"
                              "ftypheic....",
                              16),
                   PSAL_ERR_FORMAT, "HEIC");
    expect_refusal(write_file("d.jpg", "<!DOCTYPE html><title>404", 25), PSAL_ERR_FORMAT, "an HTML page");
    expect_refusal(write_file("e.jpg", "hello, world", 12), PSAL_ERR_FORMAT, "neither a JPEG, a PNG nor a WebP");
    expect_refusal(write_file("f.jpg", "\xff\xd8", 2), PSAL_ERR_FORMAT, "truncated");
    expect_refusal(write_file("g.png", "\x89PNG\r\n", 6), PSAL_ERR_FORMAT, "truncated");
    expect_refusal(write_file("h.webp", "RIFF\1\2\3\0WE", 10), PSAL_ERR_FORMAT, "truncated");
    expect_refusal(write_file("i.webp", "RIFF\1\2\3\0WAVE", 12), PSAL_ERR_FORMAT, "neither a JPEG");
}
END_TEST

START_TEST(test_paths_that_are_no_files) {
    expect_refusal("/no/such/photo.jpg", PSAL_ERR_IO, "No such file");
    expect_refusal(folder, PSAL_ERR_IO, "is a folder");
    expect_refusal("/dev/zero", PSAL_ERR_IO, "not a regular file");
    char pipe[100];
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    expect_refusal(pipe, PSAL_ERR_IO, "not a regular file"); /* and does not wait for a writer */
}
END_TEST

START_TEST(test_huge_file) {
    char path[100];
    snprintf(path, sizeof path, "%s/huge.jpg", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 5LL << 30), 0); /* sparse: takes no room */
    close(fd);
    expect_refusal(path, PSAL_ERR_MEMORY, "5368709120 bytes, the limit");
}
END_TEST

START_TEST(test_crop) {
    uint8_t pixels[3 * 4 * 3];
    for (int i = 0; i < 36; i++) pixels[i] = (uint8_t)i;
    const psal_image image = {4, 3, pixels};
    psal_image crop;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_crop(&image, 1, 2, 2, 2, &crop, &err), PSAL_OK);
    ck_assert_int_eq(crop.width, 2);
    ck_assert_int_eq(crop.height, 2);
    const uint8_t expected[] = {18, 19, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35};
    ck_assert_mem_eq(crop.rgb, expected, sizeof expected);
    psal_image_free(&crop);
    const int outside[][4] = {{-1, 0, 1, 1}, {0, -1, 1, 1}, {2, 0, 2, 1}, {0, 3, 1, 2}, {0, 0, 0, 1}, {3, 0, 1, 1}};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        const int *o = outside[i];
        ck_assert_int_eq(psal_image_crop(&image, o[0], o[1], o[2], o[3], &crop, &err), PSAL_ERR_ARGUMENT);
        ck_assert_ptr_null(crop.rgb);
    }
}
END_TEST

START_TEST(test_alloc_limits) {
    psal_image image;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_image_alloc(0, 5, &image, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_image_alloc(5, -1, &image, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_image_alloc(2000000000, 2000000000, &image, &err), PSAL_ERR_MEMORY);
    ck_assert_int_eq(psal_image_alloc(PSAL_IMAGE_MAX_PIXELS + 1, 1, &image, &err), PSAL_ERR_MEMORY);
    ck_assert_ptr_null(image.rgb);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/image");
    TCase *cases = tcase_create("image");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, test_type_is_told_by_content);
    tcase_add_test(cases, test_files_that_are_no_images);
    tcase_add_test(cases, test_paths_that_are_no_files);
    tcase_add_test(cases, test_huge_file);
    tcase_add_test(cases, test_crop);
    tcase_add_test(cases, test_alloc_limits);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
