#include "io/figure_text.h"

#include "io/canvas.h"
#include "tests/unit/io/picture.h"

static fig_canvas canvas;

static void open_canvas(void) {
    ck_assert_int_eq(fig_canvas_open(&canvas, "x.png", &(psal_figure_style){0}, NULL), PSAL_OK);
}

static void close_canvas(void) {
    fig_canvas_discard(&canvas);
}

/* The smallest type on paper. */
START_TEST(test_type_on_paper) {
    const fig_font fonts[] = {FIG_FONT_TITLE, FIG_FONT_SUBTITLE, FIG_FONT_PANEL, FIG_FONT_LABEL, FIG_FONT_TICK};
    for (int i = 0; i < 5; i++) {
        ck_assert_double_ge(fonts[i].size * FIG_PAPER_SCALE, 6.4 - 1e-9);
        ck_assert_double_le(fonts[i].size * FIG_PAPER_SCALE, 10 + 1e-9);
    }
}
END_TEST

/* What a reader without green cones sees: F. Vienot, H. Brettel, J. D. Mollon, "Digital video colourmaps for checking
 * the legibility of displays by dichromats", Color Research and Application 24, 1999, on linear RGB. */
static void seen_without_green(fig_color color, double lab[3]) {
    const double in[] = {color.r, color.g, color.b};
    double rgb[3], xyz[3], f[3];
    for (int c = 0; c < 3; c++) rgb[c] = in[c] <= 0.04045 ? in[c] / 12.92 : pow((in[c] + 0.055) / 1.055, 2.4);
    const double red = 0.29275 * rgb[0] + 0.70725 * rgb[1];
    const double blue = -0.02234 * rgb[0] + 0.02234 * rgb[1] + rgb[2];
    /* sRGB to CIE XYZ, to CIE L*a*b* of its white */
    xyz[0] = (0.4124 * red + 0.3576 * red + 0.1805 * blue) / 0.9505;
    xyz[1] = 0.2126 * red + 0.7152 * red + 0.0722 * blue;
    xyz[2] = (0.0193 * red + 0.1192 * red + 0.9505 * blue) / 1.089;
    for (int c = 0; c < 3; c++) f[c] = cbrt(fmax(xyz[c], 0));
    lab[0] = 116 * f[1] - 16;
    lab[1] = 500 * (f[0] - f[1]);
    lab[2] = 200 * (f[1] - f[2]);
}

static double difference_without_green(fig_color a, fig_color b) {
    double x[3], y[3], sum = 0;
    seen_without_green(a, x);
    seen_without_green(b, y);
    for (int c = 0; c < 3; c++) sum += (x[c] - y[c]) * (x[c] - y[c]);
    return sqrt(sum);
}

/* The colours of series, and those of good and bad, differ clearly for readers without green cones; a red and a green
 * of the same lightness would not. */
START_TEST(test_colors_can_be_told) {
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(difference_without_green(fig_palette(i), fig_palette(j)) > 12, "colours %zu and %zu: %g", i,
                          j, difference_without_green(fig_palette(i), fig_palette(j)));
    ck_assert_double_gt(difference_without_green(FIG_GOOD, FIG_BAD), 12);
    ck_assert_double_lt(difference_without_green((fig_color){0.8, 0.3, 0.2}, (fig_color){0.36, 0.52, 0.2}), 12);
}
END_TEST

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
    tcase_add_test(tests, test_type_on_paper);
    tcase_add_test(tests, test_colors_can_be_told);
    tcase_add_test(tests, test_fit);
    tcase_add_test(tests, test_wrap);
    return run_case("figure text", tests);
}
