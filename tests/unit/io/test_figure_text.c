#include "io/figure_text.h"

#include "io/canvas.h"
#include "tests/unit/io/picture.h"

static fig_canvas canvas;

static void open_canvas(void) {
    ck_assert_int_eq(fig_canvas_open(&canvas, "x.png", NULL), PSAL_OK);
}

static void close_canvas(void) {
    fig_canvas_discard(&canvas);
}

START_TEST(test_width) {
    double a = fig_text_width(canvas.cr, FIG_FONT_LABEL, "aaaa"),
           b = fig_text_width(canvas.cr, FIG_FONT_LABEL, "aaaaaaaa");
    ck_assert_double_eq_tol(b / a, 2, 0.1);
    ck_assert(fig_text_width(canvas.cr, FIG_FONT_TITLE, "aaaa") > a);
    ck_assert(fig_text_width(canvas.cr, FIG_FONT_LABEL, NULL) == 0);
    ck_assert(fig_text_width(canvas.cr, FIG_FONT_LABEL, "\xff\xff") > 0);
    ck_assert_int_eq(cairo_status(canvas.cr), CAIRO_STATUS_SUCCESS);
}
END_TEST

START_TEST(test_fit) {
    char out[FIG_TEXT_MAX];
    double whole = fig_text_width(canvas.cr, FIG_FONT_LABEL, "great white shark, white shark");
    ck_assert_str_eq(fig_text_fit(canvas.cr, FIG_FONT_LABEL, "great white shark, white shark", whole, out),
                     "great white shark, white shark");
    ck_assert(!fig_text_shortened(out));
    size_t longest = 100;
    for (double width = whole - 0.1; width > 0; width -= 3.7) {
        fig_text_fit(canvas.cr, FIG_FONT_LABEL, "great white shark, white shark", width, out);
        ck_assert(fig_text_width(canvas.cr, FIG_FONT_LABEL, out) <= width);
        ck_assert(*out == '\0' || fig_text_shortened(out));
        ck_assert_uint_le(strlen(out), longest);
        longest = strlen(out);
    }
    /* Cut between characters, never inside one. */
    static const char accents[] = "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9";
    for (double width = 60; width > 0; width -= 1.3) {
        char clean[FIG_TEXT_MAX];
        fig_text_fit(canvas.cr, FIG_FONT_LABEL, accents, width, out);
        size_t length = strlen(out);
        ck_assert(length == 0 || length == 16 || (length - 3) % 2 == 0);
        fig_text_fit(canvas.cr, FIG_FONT_LABEL, out, 1000, clean);
        ck_assert_str_eq(clean, out);
    }
    char *text = long_text(5000);
    fig_text_fit(canvas.cr, FIG_FONT_LABEL, text, 1e6, out);
    ck_assert_uint_lt(strlen(out), FIG_TEXT_MAX);
    fig_text_fit(canvas.cr, FIG_FONT_LABEL, text, 300, out);
    ck_assert(fig_text_shortened(out));
    free(text);
}
END_TEST

START_TEST(test_wrap) {
    char lines[4][FIG_TEXT_MAX];
    double width = fig_text_width(canvas.cr, FIG_FONT_LABEL, "one two three");
    ck_assert_int_eq(fig_text_wrap(canvas.cr, FIG_FONT_LABEL, "one two three four five", width, 4, lines), 2);
    ck_assert_str_eq(lines[0], "one two three");
    ck_assert_str_eq(lines[1], "four five");
    ck_assert_int_eq(fig_text_wrap(canvas.cr, FIG_FONT_LABEL, "one two three four five six seven", width, 2, lines), 2);
    ck_assert(fig_text_shortened(lines[1]));
    ck_assert_int_eq(fig_text_wrap(canvas.cr, FIG_FONT_LABEL, "", width, 4, lines), 0);
    ck_assert_int_eq(fig_text_wrap(canvas.cr, FIG_FONT_LABEL, "   ", width, 4, lines), 0);
    ck_assert_int_eq(fig_text_wrap(canvas.cr, FIG_FONT_LABEL, NULL, width, 4, lines), 0);
    /* A word wider than the line is shortened, the next goes on. */
    ck_assert_int_eq(fig_text_wrap(canvas.cr, FIG_FONT_LABEL, "incomprehensibilities abc", width, 4, lines), 2);
    ck_assert(fig_text_shortened(lines[0]));
    ck_assert_str_eq(lines[1], "abc");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("figure text");
    tcase_add_checked_fixture(tests, open_canvas, close_canvas);
    tcase_add_test(tests, test_width);
    tcase_add_test(tests, test_fit);
    tcase_add_test(tests, test_wrap);
    return run_case("figure text", tests);
}
