#include "io/progress.h"

#include <math.h>
#include <pthread.h>

#include "scratch.h"

static char *written;
static size_t written_size;
static double now;

static double fake_clock(void *data) {
    return *(double *)data;
}

static psal_progress *start(FILE **out, psal_progress_mode mode, int64_t total, int64_t before) {
    now = 1000;
    *out = open_memstream(&written, &written_size);
    psal_progress_options options = {.out = *out,
                                     .mode = mode,
                                     .label = "images",
                                     .total = total,
                                     .done_before = before,
                                     .width = 80,
                                     .clock = fake_clock,
                                     .clock_data = &now};
    psal_progress *progress = psal_progress_start(&options, NULL);
    ck_assert_ptr_nonnull(progress);
    return progress;
}

static void advance(psal_progress *progress, int64_t steps, double seconds) {
    now += seconds;
    psal_progress_add(progress, steps);
}

START_TEST(durations) {
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},
                 {6.6, "0:07"},
                 {59.6, "1:00"},
                 {725, "12:05"},
                 {3599, "59:59"},
                 {10859, "3:00:59"},
                 {176400, "2 d 01:00:00"},
                 {-1, "?"},
                 {NAN, "?"},
                 {INFINITY, "?"},
                 {1e300, "?"}};
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(psal_format_duration(cases[i].seconds, text), cases[i].text);
}
END_TEST

START_TEST(lines) {
    char text[256];
    psal_progress_state state = {"images", 10000, 4000, 0, 325};
    psal_progress_format(&state, 80, text, sizeof text);
    ck_assert_str_eq(text, "images [########-------------]  40 % 4000/10000  12.3/s  5:25 elapsed  "
                           "8:08 left");
    psal_progress_format(&state, 0, text, sizeof text);
    ck_assert_str_eq(text, "4000/10000 images (40 %), 12.3/s, 5:25 elapsed, 8:08 left");
    /* The steps of an earlier run do not count for the speed. */
    state.done_before = 3900;
    psal_progress_format(&state, 0, text, sizeof text);
    ck_assert_str_eq(text, "4000/10000 images (40 %), 0.31/s, 5:25 elapsed, 5:25:00 left");
    state = (psal_progress_state){"images", 10000, 9999, 0, 10};
    psal_progress_format(&state, 0, text, sizeof text);
    ck_assert_str_eq(text, "9999/10000 images (99 %), 1000/s, 0:10 elapsed, 0:00 left");
    state.done = 10000;
    psal_progress_format(&state, 0, text, sizeof text);
    ck_assert_str_eq(text, "10000/10000 images (100 %), 1000/s, 0:10 elapsed");
    state = (psal_progress_state){"images", 0, 50, 0, 10};
    psal_progress_format(&state, 0, text, sizeof text);
    ck_assert_str_eq(text, "50 images, 5.00/s, 0:10 elapsed");
    state = (psal_progress_state){NULL, 10, 0, 0, 0};
    psal_progress_format(&state, 0, text, sizeof text);
    ck_assert_str_eq(text, "0/10  (0 %), 0.00/s, 0:00 elapsed, ? left");
    /* Whole numbers: 100 * 0.29 is less than 29 in floating point. */
    for (int i = 1; i <= 100; i++) {
        char wanted[16];
        state = (psal_progress_state){.label = "x", .done = i, .total = 100, .elapsed = 1};
        psal_progress_format(&state, 0, text, sizeof text);
        snprintf(wanted, sizeof wanted, "(%d %%)", i);
        ck_assert_msg(strstr(text, wanted) != NULL, "%d: %s", i, text);
    }
    /* More done than announced, and the extremes. */
    state = (psal_progress_state){"x", 10, 30, 0, 1};
    psal_progress_format(&state, 80, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "100 % 30/10"));
    ck_assert_ptr_nonnull(strstr(text, "0:00 left"));
    state = (psal_progress_state){"x", INT64_MAX, INT64_MAX, 0, 1e-9};
    psal_progress_format(&state, 80, text, sizeof text);
    psal_progress_format(&state, 0, text, 10);
    ck_assert_uint_eq(strlen(text), 9);
}
END_TEST

START_TEST(no_line_is_wider_than_the_terminal) {
    char text[256];
    for (int width = 1; width < 200; width++) {
        psal_progress_state state = {"images", 10000, 100 * (width % 101), 0, 3000};
        psal_progress_format(&state, width, text, sizeof text);
        ck_assert_int_le((int)strlen(text), width);
        if (width >= 80) ck_assert_ptr_nonnull(strstr(text, "left"));
    }
}
END_TEST

START_TEST(log_lines) {
    FILE *out;
    psal_progress *progress = start(&out, PSAL_PROGRESS_LOG, 100, 0);
    for (int i = 0; i < 100; i++) advance(progress, 1, 1);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(written, "10/100 images (10 %), 1.00/s, 0:10 elapsed, 1:30 left\n"));
    size_t count = 0;
    for (char *p = written; *p; p++) count += *p == '\n';
    ck_assert_uint_eq(count, 10); /* 10, 20, ... 90, and the end once */
    ck_assert_ptr_nonnull(strstr(written, "100/100 images (100 %), 1.00/s, 1:40 elapsed\n"));
    ck_assert_ptr_null(strchr(written, '\r'));
    free(written);
}
END_TEST

START_TEST(fast_and_slow_logs) {
    FILE *out;
    psal_progress *progress = start(&out, PSAL_PROGRESS_LOG, 100, 0);
    for (int i = 0; i < 100; i++) advance(progress, 1, 0.001); /* a tenth of a second in all */
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_str_eq(written, "100/100 images (100 %), 1000/s, 0:00 elapsed\n");
    free(written);
    progress = start(&out, PSAL_PROGRESS_LOG, 1000000, 0);
    for (int i = 0; i < 90; i++) advance(progress, 1, 1); /* far below a tenth, but long */
    fflush(out);
    size_t count = 0;
    for (char *p = written; *p; p++) count += *p == '\n';
    ck_assert_uint_eq(count, 3);
    psal_progress_finish(progress);
    fclose(out);
    free(written);
    /* Resumed: the tenths done before are not reported again. */
    progress = start(&out, PSAL_PROGRESS_LOG, 100, 55);
    advance(progress, 1, 3);
    fflush(out);
    ck_assert_uint_eq(written_size, 0);
    advance(progress, 4, 3);
    fflush(out);
    ck_assert_str_eq(written, "60/100 images (60 %), 0.83/s, 0:06 elapsed, 0:48 left\n");
    psal_progress_finish(progress);
    fclose(out);
    free(written);
}
END_TEST

START_TEST(terminal_line) {
    FILE *out;
    psal_progress *progress = start(&out, PSAL_PROGRESS_TERMINAL, 10, 0);
    advance(progress, 1, 0.05);
    fflush(out);
    ck_assert_uint_eq(written_size, 0); /* not more than ten times a second */
    advance(progress, 1, 1);
    fflush(out);
    ck_assert_int_eq(written[0], '\r');
    ck_assert_ptr_nonnull(strstr(written, "2/10"));
    ck_assert_ptr_null(strchr(written, '\n'));
    psal_progress_note(progress, "bad.jpg: %s", "is empty");
    fflush(out);
    ck_assert_ptr_nonnull(strstr(written, "\rbad.jpg: is empty\n\rimages ["));
    advance(progress, 8, 1);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(written, "100 % 10/10"));
    ck_assert_int_eq(written[written_size - 1], '\n');
    free(written);
}
END_TEST

START_TEST(quiet_and_absent) {
    FILE *out;
    psal_progress *progress = start(&out, PSAL_PROGRESS_QUIET, 10, 0);
    advance(progress, 10, 100);
    psal_progress_note(progress, "one %d", 1);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_str_eq(written, "one 1\n");
    free(written);
    psal_progress_add(NULL, 1);
    psal_progress_note(NULL, "x");
    psal_progress_finish(NULL);
}
END_TEST

static void *work(void *progress) {
    for (int i = 0; i < 10000; i++) psal_progress_add(progress, 1);
    return NULL;
}

START_TEST(many_threads) {
    FILE *file = fopen(in_scratch("log"), "w");
    psal_progress_options options = {.out = file, .label = "steps", .total = 80000};
    psal_progress *progress = psal_progress_start(&options, NULL); /* the real clock; a file: log mode */
    pthread_t thread[8];
    for (int i = 0; i < 8; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, work, progress), 0);
    for (int i = 0; i < 8; i++) pthread_join(thread[i], NULL);
    psal_progress_finish(progress);
    fclose(file);
    char *text = read_text(in_scratch("log"));
    ck_assert_ptr_nonnull(strstr(text, "80000/80000 steps (100 %)"));
    free(text);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("progress");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, durations);
    tcase_add_test(tests, lines);
    tcase_add_test(tests, no_line_is_wider_than_the_terminal);
    tcase_add_test(tests, log_lines);
    tcase_add_test(tests, fast_and_slow_logs);
    tcase_add_test(tests, terminal_line);
    tcase_add_test(tests, quiet_and_absent);
    tcase_add_test(tests, many_threads);
    return run_case("io/progress", tests);
}
