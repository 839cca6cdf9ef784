#include "tests/unit/io/picture.h"

enum { HEIGHT = 24, WIDTH = 32, PIXELS = HEIGHT * WIDTH };

static float grad[2 * PIXELS];
static uint8_t photo[3 * PIXELS];

/* A green photo; saliency 0 but for a square in the middle. */
static void fill(void) {
    memset(grad, 0, sizeof grad);
    for (int i = 0; i < PIXELS; i++) {
        photo[3 * i] = 10, photo[3 * i + 1] = 200, photo[3 * i + 2] = 30;
        int y = i / WIDTH, x = i % WIDTH;
        grad[i] = -1e-9f;
        if (y >= 10 && y < 16 && x >= 12 && x < 20) grad[PIXELS + i] = 1;
    }
}

static psal_heatmap_figure simple(void) {
    fill();
    return (psal_heatmap_figure){.rgb = photo,
                                 .grad = grad,
                                 .channels = 2,
                                 .height = HEIGHT,
                                 .width = WIDTH,
                                 .true_name = "shark",
                                 .predicted_name = "whale",
                                 .true_confidence = 0.01,
                                 .predicted_confidence = 0.9};
}

static psal_status write_simple(const char *path, psal_error *err) {
    psal_heatmap_figure figure = simple();
    figure.style = test_style;
    return psal_heatmap_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

START_TEST(test_three_pictures) {
    ck_assert_int_eq(write_simple(in_scratch("h.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("h.png"));
    /* The photo: 236 x 177 points, left. */
    color_patch green = find_everywhere(&picture, 0x0ac81e);
    ck_assert_int_le(abs(green.right - green.left - 472), 6);
    ck_assert_int_le(abs(green.bottom - green.top - 354), 6);
    ck_assert_int_lt(green.right, picture.width / 3);
    /* The heat map beside it: dark blue around dark red. */
    color_patch blue = find_color(&picture, 0x000080, green.right, 0, picture.width * 2 / 3 - 40, picture.height);
    color_patch red = find_color(&picture, 0x800000, green.right, 0, picture.width * 2 / 3 - 40, picture.height);
    ck_assert_int_gt(blue.count, 100000);
    ck_assert_int_gt(red.count, 4000);
    ck_assert(red.left > blue.left + 100 && red.right < blue.right - 100);
    ck_assert(red.top > blue.top + 80 && red.bottom < blue.bottom - 80);
    free_picture(&picture);
}
END_TEST

/* Another map in the overlay's place: its square is elsewhere. */
START_TEST(test_two_maps) {
    static float other[2 * PIXELS];
    psal_heatmap_figure figure = simple();
    memset(other, 0, sizeof other);
    for (int y = 2; y < 6; y++)
        for (int x = 2; x < 14; x++) other[y * WIDTH + x] = 1;
    figure.compared = other;
    figure.name = "10 most salient filters";
    figure.compared_name = "10 random filters";
    ck_assert_int_eq(psal_heatmap_figure_write(&figure, in_scratch("h.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("h.png"));
    int second = picture.width * 29 / 100, third = picture.width * 59 / 100, end = picture.width * 88 / 100;
    color_patch left = find_color(&picture, 0x800000, second, 0, third, picture.height);
    color_patch right = find_color(&picture, 0x800000, third, 0, end, picture.height);
    color_patch blue = find_color(&picture, 0x000080, third, 0, end, picture.height);
    ck_assert_int_gt(left.count, 4000);
    ck_assert_int_gt(right.count, 4000);
    ck_assert(left.left - second > 100 && right.left - third < 100 && right.bottom < left.top);
    ck_assert_int_gt(blue.count, 100000);
    free_picture(&picture);
    other[7] = NAN;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_heatmap_figure_write(&figure, in_scratch("i.png"), &err), PSAL_ERR_NUMERIC);
    ck_assert_int_ne(access(in_scratch("i.png"), F_OK), 0);
}
END_TEST

START_TEST(test_overlay_alone) {
    fill();
    float heat[PIXELS];
    uint8_t expected[3 * PIXELS];
    ck_assert_int_eq(psal_heatmap(grad, 2, HEIGHT, WIDTH, heat, NULL), PSAL_OK);
    psal_heatmap_overlay(PSAL_COLORS_JET, heat, photo, HEIGHT, WIDTH, expected);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_heatmap_overlay_write(PSAL_COLORS_JET, photo, grad, 2, HEIGHT, WIDTH, NULL, in_scratch("o.png"),
                                             &err) == PSAL_OK,
                  "%s", err.message);
    png_picture picture = read_picture(in_scratch("o.png"));
    ck_assert_int_eq(picture.width, WIDTH);
    ck_assert_int_eq(picture.height, HEIGHT);
    for (int i = 0; i < PIXELS; i++)
        ck_assert_uint_eq(picture.pixel[i],
                          (uint32_t)expected[3 * i] << 16 | (uint32_t)expected[3 * i + 1] << 8 | expected[3 * i + 2]);
    free_picture(&picture);
    ck_assert_int_ne(
        psal_heatmap_overlay_write(PSAL_COLORS_JET, photo, grad, 2, HEIGHT, WIDTH, NULL, in_scratch("o.svg"), &err),
        PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "o.svg", ".png");
    ck_assert_int_ne(
        psal_heatmap_overlay_write(PSAL_COLORS_JET, photo, grad, 2, HEIGHT, WIDTH, NULL, in_scratch("no/o.png"), &err),
        PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_IO, "no/o.png");
}
END_TEST

/* One pixel, thin strips, names of every kind: no text is cut. */
START_TEST(test_extremes) {
    static const int sizes[][2] = {{1, 1}, {1, 32}, {24, 1}, {2, 24}};
    char *text = long_text(2000);
    for (int i = 0; i < 4; i++) {
        psal_heatmap_figure figure = simple();
        figure.height = sizes[i][0];
        figure.width = sizes[i][1];
        figure.title = figure.subtitle = figure.true_name = text;
        figure.predicted_name = HOSTILE;
        figure.true_confidence = NAN;
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_msg(psal_heatmap_figure_write(&figure, in_scratch("h.png"), &err) == PSAL_OK, "%s", err.message);
        png_picture picture = read_picture(in_scratch("h.png"));
        expect_clean_edge(&picture, 6);
        free_picture(&picture);
    }
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    psal_heatmap_figure figure = simple();
    grad[WIDTH + 2] = NAN;
    ck_assert_int_ne(psal_heatmap_figure_write(&figure, in_scratch("h.png"), &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "channel 0", "row 1", "column 2");
    ck_assert_int_eq(psal_heatmap_figure_write(&figure, in_scratch("h.png"), NULL), PSAL_ERR_NUMERIC);
    figure = simple();
    figure.height = 0;
    ck_assert_int_eq(psal_heatmap_figure_write(&figure, in_scratch("h.png"), &err), PSAL_ERR_ARGUMENT);
    figure.height = 1 << 20;
    ck_assert_int_eq(psal_heatmap_figure_write(&figure, in_scratch("h.png"), &err), PSAL_ERR_ARGUMENT);
    figure = simple();
    figure.rgb = NULL;
    ck_assert_int_eq(psal_heatmap_figure_write(&figure, in_scratch("h.png"), &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_ne(access(in_scratch("h.png"), F_OK), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("heat map figure");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_three_pictures);
    tcase_add_test(tests, test_two_maps);
    tcase_add_test(tests, test_overlay_alone);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("heat map figure", tests);
}
