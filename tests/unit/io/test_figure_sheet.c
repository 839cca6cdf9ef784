#include "tests/unit/io/picture.h"

/* Thumbnails of one colour each. */
static const uint8_t *plain(int height, int width, uint8_t r, uint8_t g, uint8_t b) {
    static uint8_t pixels[8][64 * 64 * 3];
    static int next;
    uint8_t *rgb = pixels[next++ % 8];
    for (int i = 0; i < height * width; i++) rgb[3 * i] = r, rgb[3 * i + 1] = g, rgb[3 * i + 2] = b;
    return rgb;
}

static psal_status write_simple(const char *path, psal_error *err) {
    const psal_sheet_tile tiles[] = {{plain(40, 40, 200, 10, 10), 40, 40, "query", "shark", "whale", false, NAN, true},
                                     {plain(64, 32, 10, 200, 10), 64, 32, "1",
                                      "tench, Tinca tinca and many more names of it", "tench", true, 0.91, false},
                                     {plain(10, 60, 10, 10, 200), 10, 60, "2", HOSTILE, HOSTILE, false, -0.5, false}};
    psal_sheet_figure figure = {"Neighbours", NULL, tiles, 3, 2, NULL, {0, PSAL_COLORS_JET}};
    figure.style = test_style;
    return psal_sheet_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

START_TEST(test_thumbnails) {
    ck_assert_int_eq(write_simple(in_scratch("s.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("s.png"));
    color_patch red = find_everywhere(&picture, 0xc80a0a), green = find_everywhere(&picture, 0x0ac80a),
                blue = find_everywhere(&picture, 0x0a0ac8);
    expect_patch_size(&red, 256, 256);
    expect_patch_size(&green, 128, 256);
    expect_patch_size(&blue, 256, 43);
    /* Two columns: the first two side by side, the third below the first. */
    ck_assert(green.left > red.right && abs(green.top - red.top) <= 2);
    ck_assert(blue.top > red.bottom && abs(blue.left - red.left) <= 2);
    /* The query's frame; the right prediction in green, the wrong ones in vermilion. */
    ck_assert_int_gt(find_color(&picture, BLUE, 0, 0, green.left - 10, red.bottom + 10).count, 2000);
    ck_assert_int_gt(find_color(&picture, GREEN, green.left - 70, green.bottom, picture.width, blue.top).count, 8);
    ck_assert_int_gt(find_color(&picture, VERMILION, 0, red.bottom, green.left - 70, blue.top).count, 8);
    free_picture(&picture);
}
END_TEST

START_TEST(test_extremes) {
    enum { MANY = 1000 };
    psal_sheet_tile *tiles = calloc(MANY, sizeof *tiles);
    char *text = long_text(1000);
    for (int i = 0; i < MANY; i++)
        tiles[i] = (psal_sheet_tile){plain(1, 1, 1, 2, 3), 1, 1, text, text, text, false, 1e300, false};
    psal_error err = PSAL_ERROR_INIT;
    static const size_t sizes[][2] = {{1, 0}, {2, 100}, {60, 0}};
    for (int i = 0; i < 3; i++) {
        psal_sheet_figure figure = {text, text, tiles, sizes[i][0], sizes[i][1], NULL, {0, PSAL_COLORS_JET}};
        ck_assert_msg(psal_sheet_figure_write(&figure, in_scratch("s.png"), &err) == PSAL_OK, "%s", err.message);
        png_picture picture = read_picture(in_scratch("s.png"));
        expect_clean_edge(&picture, 6);
        free_picture(&picture);
    }
    for (int i = 0; i < MANY; i++) tiles[i].heading = tiles[i].true_name = tiles[i].predicted_name = NULL;
    psal_sheet_figure figure = {NULL, NULL, tiles, MANY, 0, NULL, {0, PSAL_COLORS_JET}};
    ck_assert_msg(psal_sheet_figure_write(&figure, in_scratch("s.png"), &err) == PSAL_OK, "%s", err.message);
    free(tiles);
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("s.png");
    psal_sheet_tile tile = {plain(1, 1, 1, 2, 3), 1, 1, NULL, NULL, NULL, false, INFINITY, false};
    psal_sheet_figure figure = {NULL, NULL, &tile, 1, 0, NULL, {0, PSAL_COLORS_JET}};
    ck_assert_int_eq(psal_sheet_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    tile.similarity = 0;
    tile.width = 0;
    ck_assert_int_ne(psal_sheet_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "picture 0", "1 x 0");
    tile.width = 1;
    figure.tile_count = 0;
    ck_assert_int_eq(psal_sheet_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure.tile_count = 1001;
    ck_assert_int_eq(psal_sheet_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("contact sheet");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_thumbnails);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("contact sheet", tests);
}
