#include "io/ticks.h"

#include <float.h>
#include <math.h>

#include "tests/unit/io/scratch.h"

static void expect_labels(int count, const fig_tick *ticks, int expected, const char *const *labels) {
    ck_assert_int_eq(count, expected);
    for (int i = 0; i < count; i++) ck_assert_str_eq(ticks[i].label, labels[i]);
}

#define LABELS(count, ...)                                                                     \
    expect_labels(count, ticks, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
                  (const char *[]){__VA_ARGS__})

START_TEST(test_linear) {
    fig_tick ticks[FIG_TICKS_MAX];
    LABELS(fig_linear_ticks(0, 1, 6, ticks), "0.0", "0.2", "0.4", "0.6", "0.8", "1.0");
    LABELS(fig_linear_ticks(-2.3, 51, 7, ticks), "0", "10", "20", "30", "40", "50");
    LABELS(fig_linear_ticks(-0.012, 0.011, 6, ticks),
           "\xe2\x88\x92"
           "0.010",
           "\xe2\x88\x92"
           "0.005",
           "0.000", "0.005", "0.010");
    LABELS(fig_linear_ticks(0, 26560, 7, ticks), "0", "5000", "10000", "15000", "20000", "25000");
    LABELS(fig_linear_ticks(0, 2e-6, 3, ticks), "0",
           "1e\xe2\x88\x92"
           "06",
           "2e\xe2\x88\x92"
           "06");
    LABELS(fig_linear_ticks(3, 3, 4, ticks), "2.8", "3.0", "3.2");
}
END_TEST

START_TEST(test_linear_ticks_stay_inside) {
    static const double ends[][2] = {{0, 1}, {-1, 1}, {1e-12, 3e-12},    {-7e8, 1e9},       {0.1, 0.3},
                                     {0, 0}, {5, -5}, {1e30, 1.0001e30}, {-3.4e38, 3.4e38}, {1 - 1e-15, 1 + 1e-15}};
    fig_tick ticks[FIG_TICKS_MAX];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int most = 2; most <= 12; most++) {
            int count = fig_linear_ticks(ends[i][0], ends[i][1], most, ticks);
            ck_assert_msg(count >= 1 && count <= most, "%d ticks for %g to %g, at most %d", count, ends[i][0],
                          ends[i][1], most);
            for (int t = 1; t < count; t++) ck_assert(ticks[t].value > ticks[t - 1].value);
            double low = fmin(ends[i][0], ends[i][1]), high = fmax(ends[i][0], ends[i][1]);
            if (high - low > 1e-6 * high)
                for (int t = 0; t < count; t++)
                    ck_assert(ticks[t].value >= low - 1e-6 * (high - low) &&
                              ticks[t].value <= high + 1e-6 * (high - low));
        }
}
END_TEST

START_TEST(test_nice_range) {
    double low = -0.7, high = 23.4;
    ck_assert_double_eq(fig_nice_range(&low, &high, 5), 5);
    ck_assert_double_eq(low, -5);
    ck_assert_double_eq(high, 25);
    low = 0, high = 100;
    fig_nice_range(&low, &high, 5);
    ck_assert(low == 0 && high == 100); /* already round: not widened */
    low = high = 0;
    fig_nice_range(&low, &high, 5);
    ck_assert(low < 0 && high > 0);
}
END_TEST

START_TEST(test_logarithmic) {
    fig_tick ticks[FIG_TICKS_MAX];
    int count = fig_log_ticks(0.9, 220, 8, ticks);
    char labels[100] = "";
    for (int i = 0; i < count; i++)
        if (*ticks[i].label) strcat(strcat(labels, ticks[i].label), " ");
    ck_assert_str_eq(labels, "1 2 5 10 20 50 100 200 ");
    ck_assert_int_gt(count, 15); /* and minor ticks between */

    LABELS(fig_log_ticks(1e-5, 1, 6, ticks), "10\xe2\x81\xbb\xe2\x81\xb5", "10\xe2\x81\xbb\xe2\x81\xb4",
           "10\xe2\x81\xbb\xc2\xb3", "10\xe2\x81\xbb\xc2\xb2", "10\xe2\x81\xbb\xc2\xb9", "10\xe2\x81\xb0");
    count = fig_log_ticks(1e-30, 1e30, 6, ticks);
    ck_assert_int_ge(count, 2);
    ck_assert_int_le(count, 7);
    count = fig_log_ticks(DBL_MIN, DBL_MAX, 2, ticks);
    ck_assert_int_le(count, FIG_TICKS_MAX);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("ticks");
    tcase_add_test(tests, test_linear);
    tcase_add_test(tests, test_linear_ticks_stay_inside);
    tcase_add_test(tests, test_nice_range);
    tcase_add_test(tests, test_logarithmic);
    return run_case("ticks", tests);
}
