#include "tests/unit/io/picture.h"

static const psal_edit_class classes[] = {{"killer whale (predicted)", 0.8, 0.2}, {"great white shark (true)", 0, 0.4}};
static const psal_edit_count counts[] = {
    {"neighbours corrected", 3, 10, false}, {"right samples broken", 0, 200, true}, {"not tested", 0, 0, false}};
static const char *const facts[] = {"25 filters", HOSTILE};

static psal_edit_figure simple(void) {
    return (psal_edit_figure){"Edit", NULL, classes, 2, counts, 3, facts, 2, NULL, {0, PSAL_COLORS_JET}};
}

static psal_status write_simple(const char *path, psal_error *err) {
    psal_edit_figure figure = simple();
    figure.style = test_style;
    return psal_edit_figure_write(&figure, path, err);
}

START_TEST(test_formats) {
    expect_all_formats(write_simple);
}
END_TEST

/* Bars in proportion: 0.4 is twice 0.2; 3 of 10 is 0.3 of its track; nothing broken, nothing in the
 * colour of harm. */
START_TEST(test_bar_lengths) {
    ck_assert_int_eq(write_simple(in_scratch("e.png"), NULL), PSAL_OK);
    png_picture picture = read_picture(in_scratch("e.png"));
    color_patch after = find_color(&picture, BLUE, 0, 100, picture.width, picture.height);
    color_patch first = find_color(&picture, BLUE, 0, 100, picture.width, (after.top + after.bottom) / 2);
    ck_assert_double_eq_tol((after.right - after.left) / (double)(first.right - first.left), 2, 0.03);
    color_patch corrected = find_everywhere(&picture, GREEN);
    ck_assert_int_gt(corrected.left, picture.width / 2);
    color_patch track = find_color(&picture, 0xecedf0, corrected.left, 0, picture.width, picture.height);
    ck_assert_double_eq_tol((corrected.right - corrected.left) / (double)(track.right - corrected.left), 0.3, 0.01);
    ck_assert_int_eq(find_everywhere(&picture, VERMILION).count, 0);
    free_picture(&picture);
}
END_TEST

START_TEST(test_extremes) {
    char *text = long_text(2000);
    const psal_edit_class class = {text, 0, 1};
    const psal_edit_count count = {text, INT64_MAX, INT64_MAX, true};
    const char *const fact[] = {text, NULL};
    psal_edit_figure figure = {text, text, &class, 1, &count, 1, fact, 2, NULL, {0, PSAL_COLORS_JET}};
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(psal_edit_figure_write(&figure, in_scratch("e.png"), &err) == PSAL_OK, "%s", err.message);
        png_picture picture = read_picture(in_scratch("e.png"));
        expect_clean_edge(&picture, 6);
        free_picture(&picture);
        figure.counts = NULL;
        figure.count_count = 0;
        figure.facts = NULL;
        figure.fact_count = 0;
    }
    free(text);
}
END_TEST

START_TEST(test_refused) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("e.png");
    psal_edit_class class = {"whale", 0.5, 1.5};
    psal_edit_figure figure = simple();
    figure.classes = &class;
    figure.class_count = 1;
    ck_assert_int_ne(psal_edit_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "whale", "1.5");
    class.after = NAN;
    ck_assert_int_eq(psal_edit_figure_write(&figure, path, &err), PSAL_ERR_NUMERIC);
    figure = simple();
    figure.class_count = 0;
    ck_assert_int_eq(psal_edit_figure_write(&figure, path, &err), PSAL_ERR_ARGUMENT);
    psal_edit_count count = {"n", 3, 2, false};
    figure = simple();
    figure.counts = &count;
    figure.count_count = 1;
    ck_assert_int_ne(psal_edit_figure_write(&figure, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "3 of 2");
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("edit figure");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_formats);
    tcase_add_test(tests, test_bar_lengths);
    tcase_add_test(tests, test_extremes);
    tcase_add_test(tests, test_refused);
    return run_case("edit figure", tests);
}
