#include "tests/unit/io/picture.h"

enum { FILTERS = 300 };

static float rising[FILTERS], falling[FILTERS];
static const psal_figure_layer layers[] = {{"conv1.weight", 0, 100, NULL}, {"conv2.weight", 100, 200, NULL}};
static const int64_t top[] = {299, 298, 99};

static void fill(void) {
    for (int i = 0; i < FILTERS; i++) {
        rising[i] = (float)i / 10;
        falling[i] = -(float)i / 20;
    }
}

static psal_profile_figure simple(const psal_profile_panel *panel) {
    fill();
    return (psal_profile_figure){.title = "Title",
                                 .subtitle = "Subtitle",
                                 .filter_count = FILTERS,
                                 .layers = layers,
                                 .layer_count = 2,
                                 .panels = panel,
                                 .panel_count = 1};
}

static psal_status write_simple(const char *path, psal_error *err) {
    static const psal_profile_curve profiles[] = {{"this image", rising}, {"mean", falling}};
    static const psal_profile_panel panel = {NULL, "saliency", false, profiles, 2};
    psal_profile_figure figure = simple(&panel);
    figure.top = top;
    figure.top_count = 3;
    figure.style = test_style;
    return psal_profile_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

/* Each layer falls from its own maximum, which is at its left; the first layer takes a third of the
 * width. */
START_TEST(test_sorted_within_layers) {
    fill();
    const psal_profile_curve profile = {NULL, rising};
    const psal_profile_panel panel = {NULL, NULL, false, &profile, 1};
    psal_profile_figure figure = simple(&panel);
    figure.title = figure.subtitle = NULL;
    ck_assert_int_eq(psal_profile_figure_write(&figure, in_scratch("p.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("p.png"));
    ck_assert_int_eq(picture.width, 1840);
    color_patch plot = find_color(&picture, BLUE, 0, 60, picture.width, picture.height);
    int third = plot.left + (plot.right - plot.left) / 3;
    color_patch first = find_color(&picture, BLUE, plot.left, 60, third - 4, picture.height);
    color_patch second = find_color(&picture, BLUE, third + 4, 60, plot.right, picture.height);
    /* Top of each layer's curve, left end against right end. */
    color_patch a = find_color(&picture, BLUE, first.left, 60, first.left + 20, picture.height);
    color_patch b = find_color(&picture, BLUE, first.right - 20, 60, first.right, picture.height);
    color_patch c = find_color(&picture, BLUE, second.left, 60, second.left + 20, picture.height);
    color_patch d = find_color(&picture, BLUE, second.right - 20, 60, second.right, picture.height);
    ck_assert_int_lt(a.top, b.top);
    ck_assert_int_lt(c.top, d.top);
    /* Heights: 9.9 falls to 0, 29.9 to 10.0; zero is the bottom of the plot. */
    double unit = (b.bottom - c.top) / 29.9;
    ck_assert_double_eq_tol((b.bottom - a.top) / unit, 9.9, 0.6);
    ck_assert_double_eq_tol((b.bottom - d.bottom) / unit, 10.0, 0.9);
    free_picture(&picture);
}
END_TEST

/* The line is drawn in pieces: none is missing, whether layers are wide or many to a piece. */
START_TEST(test_line_has_no_gaps) {
    static psal_figure_layer narrow[FILTERS];
    static float level[FILTERS];
    for (int count = 1; count <= FILTERS; count += count < 8 ? 1 : 73) {
        for (int l = 0; l < count; l++) {
            int first = FILTERS * l / count;
            narrow[l] = (psal_figure_layer){"layer", first, FILTERS * (l + 1) / count - first, NULL};
        }
        for (int i = 0; i < FILTERS; i++) level[i] = 1;
        const psal_profile_curve profile = {NULL, level};
        const psal_profile_panel panel = {NULL, NULL, false, &profile, 1};
        psal_profile_figure figure = simple(&panel);
        figure.title = figure.subtitle = NULL;
        figure.layers = narrow;
        figure.layer_count = (size_t)count;
        ck_assert_int_eq(psal_profile_figure_write(&figure, in_scratch("p.png"), NULL), PSAL_OK);
        png_picture picture = read_picture(in_scratch("p.png"));
        color_patch line = find_color(&picture, BLUE, 0, 60, picture.width, picture.height);
        ck_assert_int_gt(line.right - line.left, 1600);
        for (int x = line.left; x <= line.right; x++) {
            bool there = false;
            for (int y = line.top - 2; y <= line.bottom + 2; y++)
                there = there || near_color(pixel_at(&picture, x, y), BLUE, 80);
            if (!there) ck_abort_msg("%d layers: no line in column %d", count, x);
        }
        free_picture(&picture);
    }
}
END_TEST

/* Fonts that were looked for before change nothing. */
START_TEST(test_prepared_fonts) {
    ck_assert_int_eq(write_simple(in_scratch("a.png"), NULL), PSAL_OK);
    psal_figure_prepare_fonts();
    ck_assert_int_eq(write_simple(in_scratch("b.png"), NULL), PSAL_OK);
    expect_same_bytes(in_scratch("a.png"), in_scratch("b.png"));
    ck_assert_int_ne(access("fonts.png", F_OK), 0);
}
END_TEST

START_TEST(test_marks) {
    ck_assert_int_eq(write_simple(in_scratch("p.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("p.png"));
    color_patch blue = find_color(&picture, BLUE, 0, 150, picture.width, picture.height);
    color_patch mark = find_color(&picture, VERMILION, 0, 150, picture.width, picture.height);
    ck_assert_int_gt(mark.count, 150); /* three dots of about 100 pixels, two of them overlapping */
    ck_assert_int_lt(mark.count, 600);
    ck_assert_int_le(abs(mark.top - blue.top), 12); /* the highest is the curve's highest point */
    ck_assert_int_gt(find_color(&picture, GREEN, 0, 150, picture.width, picture.height).count, 500);
    free_picture(&picture);
}
END_TEST

/* Naive saliency: logarithmic, with zeros on the lower edge. */
START_TEST(test_logarithmic_panel) {
    fill();
    float powers[FILTERS];
    for (int i = 0; i < FILTERS; i++) powers[i] = i % 3 ? powf(10, -(float)(i % 5)) : 0;
    const psal_profile_curve profile[] = {{"naive", powers}, {"standardized", falling}};
    const psal_profile_panel panels[] = {{"naive", "log", true, profile, 1},
                                         {"standardized", NULL, false, profile + 1, 1}};
    psal_profile_figure figure = simple(panels);
    figure.panel_count = 2;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_profile_figure_write(&figure, in_scratch("p.png"), &err) == PSAL_OK, "%s", err.message);
    png_picture picture = read_picture(in_scratch("p.png"));
    expect_clean_edge(&picture, 8);
    ck_assert_int_gt(find_everywhere(&picture, BLUE).count, 500);
    ck_assert_int_gt(find_everywhere(&picture, GREEN).count, 500);
    free_picture(&picture);
    memset(powers, 0, sizeof powers); /* nothing above zero at all */
    ck_assert_int_eq(psal_profile_figure_write(&figure, in_scratch("q.png"), &err), PSAL_OK);
}
END_TEST

/* Sizes from one filter to thousands of layers, every name hostile and long; all must come out
 * whole. */
START_TEST(test_extremes) {
    psal_error err = PSAL_ERROR_INIT;
    float one[1] = {-3};
    const psal_figure_layer single = {HOSTILE, 0, 1, NULL};
    psal_profile_curve profile = {HOSTILE, one};
    psal_profile_panel panel = {HOSTILE, HOSTILE, false, &profile, 1};
    const int64_t first[] = {0};
    psal_profile_figure figure = {HOSTILE, HOSTILE, HOSTILE, 1, &single, 1,
                                  &panel,  1,       first,   1, NULL,    {0, PSAL_COLORS_JET}};
    ck_assert_msg(psal_profile_figure_write(&figure, in_scratch("one.png"), &err) == PSAL_OK, "%s", err.message);
    ck_assert_msg(psal_profile_figure_write(&figure, in_scratch("one.svg"), &err) == PSAL_OK, "%s", err.message);
    size_t size;
    unsigned char *svg = read_bytes(in_scratch("one.svg"), &size);
    expect_well_formed((char *)svg);
    free(svg);

    enum { MANY = 3000 };
    static psal_figure_layer many[MANY];
    static char names[MANY][120];
    float *values = calloc(MANY * 5, sizeof *values);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "features.block%d_with_a_rather_long_name_that_nobody_wants.conv.weight",
                 i / 2);
        many[i] = (psal_figure_layer){names[i], i * 5, 5, NULL};
    }
    values[7] = 3.0e38f;
    values[8] = -3.0e38f;
    profile = (psal_profile_curve){"huge", values};
    char *text = long_text(3000);
    panel = (psal_profile_panel){text, text, false, &profile, 1};
    figure = (psal_profile_figure){text,   text, text,  MANY * 5, many, MANY,
                                   &panel, 1,    first, 1,        NULL, {0, PSAL_COLORS_JET}};
    ck_assert_msg(psal_profile_figure_write(&figure, in_scratch("many.png"), &err) == PSAL_OK, "%s", err.message);
    png_picture picture = read_picture(in_scratch("many.png"));
    expect_clean_edge(&picture, 6);
    free_picture(&picture);
    free(values);
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    fill();
    psal_profile_curve profile = {"mine", rising};
    psal_profile_panel panel = {NULL, NULL, false, &profile, 1};
    const char *path = in_scratch("p.png");

    psal_profile_figure figure = simple(&panel);
    rising[123] = NAN;
    ck_assert_int_ne(psal_profile_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "mine", "123", "nan");
    rising[123] = INFINITY;
    ck_assert_int_eq(psal_profile_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);

    figure = simple(&panel);
    figure.filter_count = 0;
    ck_assert_int_ne(psal_profile_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "no filters");
    figure.filter_count = FILTERS - 1;
    ck_assert_int_eq(psal_profile_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);

    figure = simple(&panel);
    figure.panel_count = 0;
    ck_assert_int_eq(psal_profile_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    figure = simple(&panel);
    panel.profile_count = 8;
    ck_assert_int_eq(psal_profile_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    panel.profile_count = 1;

    const int64_t outside[] = {3, FILTERS};
    figure.top = outside;
    figure.top_count = 2;
    ck_assert_int_ne(psal_profile_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "filter 300", "299");
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("profile figure");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_sorted_within_layers);
    tcase_add_test(tests, test_line_has_no_gaps);
    tcase_add_test(tests, test_prepared_fonts);
    tcase_add_test(tests, test_marks);
    tcase_add_test(tests, test_logarithmic_panel);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("profile figure", tests);
}
