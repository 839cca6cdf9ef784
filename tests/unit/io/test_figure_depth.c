#include "tests/unit/io/picture.h"

static const psal_figure_layer layers[] = {{"stem", 0, 10, NULL},
                                           {"layer1.conv1", 10, 20, "layer1"},
                                           {"layer1.conv2", 30, 20, "layer1"},
                                           {"layer2.conv1", 50, 50, "layer2"}};
static const char *const series[] = {"mistakes", "right"};
static const double share[] = {0, 10, 10, 80, 0.1, 0.2, 0.3, 0.4};

static psal_depth_figure simple(void) {
    return (psal_depth_figure){.title = "Depth",
                               .y_label = "%",
                               .layers = layers,
                               .layer_count = 4,
                               .series = series,
                               .series_count = 1,
                               .share = share,
                               .total = 100};
}

static psal_status write_simple(const char *path, psal_error *err) {
    psal_depth_figure figure = simple();
    figure.series_count = 2;
    figure.style = test_style;
    return psal_depth_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

/* layer1 is the sum of two layers: 20 beside 80; stem is 0. */
START_TEST(test_stages_are_summed) {
    psal_depth_figure figure = simple();
    figure.total = 0;
    ck_assert_int_eq(psal_depth_figure_write(&figure, in_scratch("d.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("d.png"));
    color_patch bars = find_color(&picture, BLUE, 0, 100, picture.width, picture.height);
    int middle = bars.left + (bars.right - bars.left) / 2;
    color_patch first = find_color(&picture, BLUE, 0, 100, middle, picture.height);
    ck_assert_int_eq(first.bottom, bars.bottom);
    ck_assert_double_eq_tol((bars.bottom - bars.top) / (double)(first.bottom - first.top), 4, 0.1);
    ck_assert_int_gt(bars.left, picture.width / 3); /* no bar for the stem */
    free_picture(&picture);
}
END_TEST

START_TEST(test_extremes) {
    char *text = long_text(1000);
    static psal_figure_layer many[90];
    static double zero[90];
    char names[90][100];
    for (int i = 0; i < 90; i++) {
        snprintf(names[i], sizeof names[i], "stage number %d %s", i, HOSTILE);
        many[i] = (psal_figure_layer){text, i, 1, names[i]};
    }
    const char *const long_series[] = {text};
    psal_error err = PSAL_ERROR_INIT;
    for (size_t count = 1; count <= 90; count += 89) {
        psal_depth_figure figure = {
            text, HOSTILE, text, many, count, long_series, 1, zero, 1, NULL, {0, PSAL_COLORS_JET}};
        ck_assert_msg(psal_depth_figure_write(&figure, in_scratch("d.png"), &err) == PSAL_OK, "%s", err.message);
        png_picture picture = read_picture(in_scratch("d.png"));
        expect_clean_edge(&picture, 6);
        free_picture(&picture);
    }
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("d.png");
    double bad[] = {1, 2, -3, 4};
    psal_depth_figure figure = simple();
    figure.share = bad;
    ck_assert_int_ne(psal_depth_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "layer1.conv2", "-3");
    bad[2] = NAN;
    ck_assert_int_eq(psal_depth_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    bad[2] = INFINITY;
    ck_assert_int_eq(psal_depth_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    figure = simple();
    figure.total = NAN;
    ck_assert_int_eq(psal_depth_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    figure = simple();
    figure.layer_count = 0;
    ck_assert_int_eq(psal_depth_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure = simple();
    figure.series_count = 7;
    ck_assert_int_eq(psal_depth_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("depth figure");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_stages_are_summed);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("depth figure", tests);
}
