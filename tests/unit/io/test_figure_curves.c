#include "tests/unit/io/picture.h"

enum { POINTS = 5 };

static const double k[POINTS] = {1, 10, 100, 1000, 10000};
static const char *const names[] = {"salient", "random"};

static psal_curves_figure simple(const psal_curves_panel *panel) {
    return (psal_curves_figure){.title = "Title",
                                .x_label = "k",
                                .x_scale = PSAL_SCALE_LOG,
                                .x = k,
                                .x_count = POINTS,
                                .series = names,
                                .series_count = 2,
                                .panels = panel,
                                .panel_count = 1};
}

static const double flat[2 * POINTS] = {4, 4, 4, 4, 4, 1, 1, 1, 1, 1};
static const double errors[2 * POINTS] = {1, 1, 1, 1, 1, 0.2, 0.2, NAN, 0.2, 0.2};

static psal_status write_simple(const char *path, psal_error *err) {
    static const psal_curves_panel panels[] = {{"a", "%", false, flat, errors}, {"b", "%", true, flat, NULL}};
    psal_curves_figure figure = simple(panels);
    figure.panel_count = 2;
    figure.style = test_style;
    return psal_curves_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

/* A level curve is as wide as the plot; NaN in the middle leaves a hole, also with logarithmic x at
 * equal distances. */
START_TEST(test_gap) {
    double values[2 * POINTS] = {4, 4, NAN, 4, 4, 1, 1, 1, 1, 1};
    const psal_curves_panel panel = {NULL, NULL, false, values, NULL};
    psal_curves_figure figure = simple(&panel);
    ck_assert_int_eq(psal_curves_figure_write(&figure, in_scratch("c.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("c.png"));
    color_patch blue = find_color(&picture, BLUE, 0, 100, picture.width, picture.height);
    color_patch red = find_color(&picture, VERMILION, 0, 100, picture.width, picture.height);
    ck_assert_int_gt(blue.right - blue.left, 700);
    ck_assert_int_lt(blue.bottom, red.top);
    int width = blue.right - blue.left, middle = (blue.left + blue.right) / 2;
    ck_assert_int_eq(find_color(&picture, BLUE, middle - width / 5, 100, middle + width / 5, picture.height).count, 0);
    ck_assert_int_gt(find_color(&picture, VERMILION, middle - width / 5, 100, middle + width / 5, picture.height).count,
                     200);
    ck_assert_int_gt(find_color(&picture, BLUE, blue.left, 100, blue.left + width / 5, picture.height).count, 200);
    free_picture(&picture);
}
END_TEST

/* Nothing but zeros (no prediction ever changed): lines and bars alike are drawn, on an axis from 0. */
START_TEST(test_zeros) {
    static const char *const choices[] = {"salient", "random", "least"};
    static const double values[2 * POINTS] = {0};
    const psal_curves_panel panel = {NULL, NULL, false, values, values};
    psal_curves_figure figure = simple(&panel);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_curves_figure_write(&figure, in_scratch("z.png"), &err) == PSAL_OK, "%s", err.message);
    png_picture picture = read_picture(in_scratch("z.png"));
    /* both series lie on the axis, the first one's markers on top */
    ck_assert_int_gt(find_color(&picture, BLUE, 0, picture.height / 2, picture.width, picture.height).count, 50);
    free_picture(&picture);
    figure.x_scale = PSAL_SCALE_CATEGORY;
    figure.x = NULL;
    figure.x_name = choices;
    figure.x_count = 3;
    ck_assert_msg(psal_curves_figure_write(&figure, in_scratch("z.svg"), &err) == PSAL_OK, "%s", err.message);
}
END_TEST

/* Bars: heights in proportion, downwards below zero, with error bars in ink. */
START_TEST(test_bars) {
    static const char *const choices[] = {"zero weights", "remove the channel truly", HOSTILE};
    static const double values[] = {4, 8, NAN, -2, -4, -8}, error[] = {NAN, NAN, NAN, NAN, NAN, NAN};
    const psal_curves_panel panel = {NULL, NULL, false, values, error};
    psal_curves_figure figure = simple(&panel);
    figure.x_scale = PSAL_SCALE_CATEGORY;
    figure.x = NULL;
    figure.x_name = choices;
    figure.x_count = 3;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_curves_figure_write(&figure, in_scratch("c.png"), &err) == PSAL_OK, "%s", err.message);
    png_picture picture = read_picture(in_scratch("c.png"));
    color_patch blue = find_color(&picture, BLUE, 0, 100, picture.width, picture.height);
    color_patch red = find_color(&picture, VERMILION, 0, 100, picture.width, picture.height);
    ck_assert_int_le(abs(red.top - blue.bottom), 6); /* both stand on zero */
    ck_assert_double_eq_tol((red.bottom - red.top) / (double)(blue.bottom - blue.top), 1, 0.03); /* 8 and −8 */
    int third = (picture.width - 100) / 3;
    color_patch first = find_color(&picture, BLUE, 60, 100, 60 + third, picture.height);
    ck_assert_double_eq_tol((blue.bottom - blue.top) / (double)(first.bottom - first.top), 2, 0.05);
    free_picture(&picture);
}
END_TEST

START_TEST(test_extremes) {
    psal_error err = PSAL_ERROR_INIT;
    char *text = long_text(2000);
    const double nothing[2 * POINTS] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    const double huge[2 * POINTS] = {1e149, -1e149, 1e-149, 0, 1, 1, 1, 1, 1, 1};
    const psal_curves_panel panels[] = {{text, text, false, nothing, NULL},
                                        {HOSTILE, HOSTILE, true, nothing, nothing},
                                        {"huge", NULL, false, huge, huge},
                                        {"huge", NULL, true, huge, huge},
                                        {"flat", NULL, false, flat, errors}};
    const char *const long_names[] = {text, HOSTILE};
    for (int scale = 0; scale <= PSAL_SCALE_CATEGORY; scale++)
        for (size_t count = 1; count <= 5; count++) {
            const char *const classes[] = {text, HOSTILE, "a", "", NULL};
            psal_curves_figure figure = {
                text, HOSTILE, text, (psal_figure_scale)scale, k, classes, count, long_names, 2, panels,
                5,    count,   NULL, {0, PSAL_COLORS_JET}};
            /* x_count = count: the arrays are read as [2][count]. */
            ck_assert_msg(psal_curves_figure_write(&figure, in_scratch("c.png"), &err) == PSAL_OK, "%s", err.message);
            png_picture picture = read_picture(in_scratch("c.png"));
            expect_clean_edge(&picture, 6);
            free_picture(&picture);
        }
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("c.png");
    double values[2 * POINTS] = {0}, x[POINTS] = {1, 2, 3, 4, 5};
    psal_curves_panel panel = {NULL, NULL, false, values, NULL};
    psal_curves_figure figure = simple(&panel);
    values[7] = INFINITY;
    ck_assert_int_ne(psal_curves_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "number 7", "panel 0", "inf");
    values[7] = 0;
    panel.error = errors;
    ck_assert_int_eq(psal_curves_figure_write(&figure, in_scratch("ok.png"), &err), PSAL_OK);
    figure.x = x;
    x[2] = 2;
    ck_assert_int_ne(psal_curves_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "position 2", "increasing");
    x[2] = NAN;
    ck_assert_int_eq(psal_curves_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    x[2] = 3;
    x[0] = 0; /* log */
    ck_assert_int_eq(psal_curves_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    figure = simple(&panel);
    figure.x_count = 0;
    ck_assert_int_eq(psal_curves_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure = simple(&panel);
    figure.series_count = 13;
    ck_assert_int_eq(psal_curves_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure = simple(&panel);
    figure.panel_count = 25;
    ck_assert_int_eq(psal_curves_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure = simple(&panel);
    panel.mean = NULL;
    ck_assert_int_eq(psal_curves_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("curves figure");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_gap);
    tcase_add_test(tests, test_zeros);
    tcase_add_test(tests, test_bars);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("curves figure", tests);
}
