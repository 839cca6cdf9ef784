#include "tests/unit/io/picture.h"

/* Crops of one colour each. */
static psal_figure_crop plain(int height, int width, uint8_t r, uint8_t g, uint8_t b, const char *caption) {
    static uint8_t pixels[8][20 * 20 * 3];
    static int next;
    uint8_t *rgb = pixels[next++ % 8];
    for (int i = 0; i < height * width; i++) rgb[3 * i] = r, rgb[3 * i + 1] = g, rgb[3 * i + 2] = b;
    return (psal_figure_crop){rgb, height, width, -1.25, caption};
}

static psal_crops_figure figure_of(const psal_crops_row *rows, size_t count) {
    return (psal_crops_figure){.title = "Filters",
                               .group_count = 2,
                               .groups = {"this image", HOSTILE},
                               .columns = {1, 2},
                               .framed = {true},
                               .rows = rows,
                               .row_count = count};
}

static psal_status write_simple(const char *path, psal_error *err) {
    const psal_figure_crop own[] = {plain(7, 7, 200, 10, 10, NULL)};
    const psal_figure_crop found[] = {plain(5, 10, 10, 200, 10, "Coat"), plain(20, 10, 10, 10, 200, HOSTILE)};
    const psal_figure_crop none[2] = {{0}};
    const psal_crops_row rows[] = {{"1  conv1.weight, filter 3", "saliency 9.06", {own, found}},
                                   {HOSTILE, NULL, {none, none}}};
    psal_crops_figure figure = figure_of(rows, 2);
    figure.style = test_style;
    return psal_crops_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

START_TEST(test_crops) {
    ck_assert_int_eq(write_simple(in_scratch("c.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("c.png"));
    color_patch red = find_everywhere(&picture, 0xc80a0a), green = find_everywhere(&picture, 0x0ac80a),
                blue = find_everywhere(&picture, 0x0a0ac8);
    expect_patch_size(&red, 128, 128); /* enlarged, in its own proportions */
    expect_patch_size(&green, 128, 64);
    expect_patch_size(&blue, 64, 128);
    ck_assert(red.right < green.left && green.right < blue.left && abs(red.top - blue.top) <= 2);
    ck_assert_int_gt(find_color(&picture, BLUE, 0, 0, green.left - 10, red.bottom + 10).count, 1000); /* its frame */
    free_picture(&picture);
}
END_TEST

START_TEST(test_extremes) {
    enum { ROWS = 100, COLUMNS = 20 };
    char *text = long_text(1000);
    psal_figure_crop crops[COLUMNS];
    psal_crops_row rows[ROWS];
    for (int i = 0; i < COLUMNS; i++) crops[i] = plain(1, 1, 1, 2, 3, text), crops[i].activation = 1e300;
    for (int i = 0; i < ROWS; i++) rows[i] = (psal_crops_row){text, text, {crops, crops, crops, crops}};
    psal_crops_figure figure = {text, text, 4,    {text, text, text, text}, {1, 20, 20, 1}, {true},
                                rows, ROWS, NULL, {0, PSAL_COLORS_JET}};
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(psal_crops_figure_write(&figure, in_scratch("c.png"), &err) == PSAL_OK, "%s", err.message);
        png_picture picture = read_picture(in_scratch("c.png"));
        expect_clean_edge(&picture, 6);
        free_picture(&picture);
        figure = (psal_crops_figure){NULL, NULL, 1, {NULL}, {1}, {false}, rows, 1, NULL, {0, PSAL_COLORS_JET}};
        rows[0].note = NULL;
    }
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("c.png");
    psal_figure_crop crops[2] = {plain(1, 1, 1, 2, 3, NULL), plain(1, 1, 1, 2, 3, NULL)};
    const psal_crops_row row = {"row", NULL, {crops, crops}};
    psal_crops_figure figure = figure_of(&row, 1);
    crops[1].activation = NAN;
    ck_assert_int_eq(psal_crops_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    ck_assert_str_eq(err.message, "the activation of a crop in row 0 is nan");
    crops[1].activation = 0;
    crops[1].height = 0;
    ck_assert_int_eq(psal_crops_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    crops[1].height = 1;
    figure.columns[1] = 21;
    ck_assert_int_eq(psal_crops_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure.columns[1] = 2;
    figure.row_count = 0;
    ck_assert_int_eq(psal_crops_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure.row_count = 1;
    ck_assert_int_eq(psal_crops_figure_write(&figure, in_scratch("c.txt"), &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_crops_figure_write(&figure, path, &err), PSAL_OK);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("crops");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_crops);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("crops", tests);
}
