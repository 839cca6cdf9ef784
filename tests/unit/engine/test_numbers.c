#include "engine/numbers.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "engine/error.h"
#include "tests/unit/io/scratch.h"

START_TEST(integers) {
    int64_t value = 77;
    ck_assert(psal_parse_int64("0", &value) && value == 0);
    ck_assert(psal_parse_int64("-12", &value) && value == -12);
    ck_assert(psal_parse_int64("+007", &value) && value == 7);
    ck_assert(psal_parse_int64("9223372036854775807", &value) && value == INT64_MAX);
    ck_assert(psal_parse_int64("-9223372036854775808", &value) && value == INT64_MIN);
    static const char *const wrong[] = {"",
                                        "-",
                                        "+",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "1e3",
                                        "0x10",
                                        "--1",
                                        "1,000",
                                        "1\n",
                                        "one",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        value = 77;
        ck_assert_msg(!psal_parse_int64(wrong[i], &value), "\"%s\" taken", wrong[i]);
        ck_assert_int_eq(value, 77);
    }
}
END_TEST

START_TEST(doubles) {
    static const struct {
        const char *text;
        double value;
    } right[] = {{"0", 0},      {"-0.5", -0.5},    {"1e-3", 1e-3},           {".5", 0.5},
                 {"3.", 3},     {"+2E+2", 200},    {"1e308", 1e308},         {"5e-324", 5e-324},
                 {"1e-400", 0}, {"inf", INFINITY}, {"-Infinity", -INFINITY}, {"0.1", 0.1}};
    double value;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        ck_assert_msg(psal_parse_double(right[i].text, &value), "\"%s\" refused", right[i].text);
        ck_assert_msg(value == right[i].value, "\"%s\" is %g", right[i].text, value);
    }
    ck_assert(psal_parse_double("NaN", &value) && isnan(value));
    static const char *const wrong[] = {"",      ".",   "-",     "e5",     "1e",       "1e+",   " 1", "1 ",
                                        "0x1p3", "1,5", "1e400", "nan(1)", "infinite", "1.2.3", "--1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        value = 77;
        ck_assert_msg(!psal_parse_double(wrong[i], &value), "\"%s\" taken", wrong[i]);
        ck_assert(value == 77);
    }
}
END_TEST

START_TEST(shortest_texts) {
    char text[PSAL_NUMBER_SIZE];
    ck_assert_str_eq(psal_format_double(0.1, text), "0.1");
    ck_assert_str_eq(psal_format_double(-2, text), "-2");
    ck_assert_str_eq(psal_format_double(1.0 / 3, text), "0.3333333333333333");
    ck_assert_str_eq(psal_format_double(NAN, text), "nan");
    ck_assert_str_eq(psal_format_double(-INFINITY, text), "-inf");
    ck_assert_str_eq(psal_format_float(0.868f, text), "0.868");
    ck_assert_str_eq(psal_format_float(1.0f / 3, text), "0.33333334");
    ck_assert_str_eq(psal_format_float(INFINITY, text), "inf");
}
END_TEST

START_TEST(every_number_comes_back) {
    char text[PSAL_NUMBER_SIZE];
    uint64_t state = 12345;
    for (int i = 0; i < 200000; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = state ^ state >> 29;
        double number, back;
        memcpy(&number, &bits, sizeof number);
        if (isfinite(number)) {
            psal_format_double(number, text);
            ck_assert_msg(psal_parse_double(text, &back) && back == number, "%a became %s", number, text);
        }
        uint32_t short_bits = (uint32_t)(bits >> 32);
        float single;
        memcpy(&single, &short_bits, sizeof single);
        if (isfinite(single)) {
            psal_format_float(single, text);
            ck_assert(psal_parse_double(text, &back) && (float)back == single);
        }
    }
    static const double edges[] = {DBL_MIN, DBL_MAX, -DBL_MAX, DBL_TRUE_MIN, DBL_EPSILON};
    for (size_t i = 0; i < 5; i++) {
        double back;
        ck_assert(psal_parse_double(psal_format_double(edges[i], text), &back) && back == edges[i]);
    }
}
END_TEST

/* A program in a country with a decimal comma. The locale is made with localedef where that is
 * installed, since the reference system has only C locales. */
START_TEST(other_locales) {
    char command[300];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", scratch);
    if (system(command) != 0) {
        printf("SKIPPED other_locales: no localedef with the de_DE sources\n");
        return;
    }
    setenv("LOCPATH", scratch, 1);
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "de_DE.UTF-8"));
    char text[PSAL_NUMBER_SIZE];
    snprintf(text, sizeof text, "%g", 0.5);
    ck_assert_str_eq(text, "0,5"); /* the locale is really on */
    ck_assert_str_eq(psal_format_double(-1234567.5, text), "-1234567.5");
    ck_assert_str_eq(psal_format_float(1.5e-20f, text), "1.5e-20");
    double value;
    ck_assert(psal_parse_double("0.25", &value) && value == 0.25);
    ck_assert(!psal_parse_double("0,25", &value));
    char line[64];
    ck_assert_int_eq(psal_snprintf(line, sizeof line, "%.2f %% of %s", 12.5, "all"), 14);
    ck_assert_str_eq(line, "12.50 % of all");
    ck_assert_int_eq(psal_snprintf(line, 4, "%g", 0.125), 5);
    ck_assert_str_eq(line, "0.1");
    psal_error err;
    psal_fail(&err, PSAL_ERR_NUMERIC, "%g", 0.5);
    ck_assert_str_eq(err.message, "0.5");
    snprintf(text, sizeof text, "%g", 0.5); /* and only there */
    ck_assert_str_eq(text, "0,5");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("numbers");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, integers);
    tcase_add_test(tests, doubles);
    tcase_add_test(tests, shortest_texts);
    tcase_add_test(tests, every_number_comes_back);
    tcase_add_test(tests, other_locales);
    tcase_set_timeout(tests, 60);
    return run_case("engine/numbers", tests);
}
