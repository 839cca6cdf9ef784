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

static psal_progress *start_as(FILE **out, psal_progress_options options) {
    now = 1000;
    *out = options.out = open_memstream(&written, &written_size);
    options.label = "images";
    options.width = 80;
    options.clock = fake_clock;
    options.clock_data = &now;
    psal_progress *progress = psal_progress_start(&options, NULL);
    ck_assert_ptr_nonnull(progress);
    return progress;
}

static psal_progress *start(FILE **out, psal_progress_mode mode, int64_t total, int64_t before) {
    return start_as(out, (psal_progress_options){.mode = mode, .total = total, .done_before = before});
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

START_TEST(costs) {
    char text[256];
    psal_progress_state state = {"mistakes", 48, 2, 0, 30};
    ck_assert(psal_progress_cost(&state, 15, "5 choices x 10 k", text, sizeof text));
    ck_assert_str_eq(text, "48 mistakes x 5 choices x 10 k: about 12:00 in all, judging by the first 2; 11:30 left");
    state = (psal_progress_state){"images", 10000, 9000, 8000, 100}; /* of this run, not of the one before */
    ck_assert(psal_progress_cost(&state, 0.1, NULL, text, sizeof text));
    ck_assert_str_eq(text, "2000 images: about 3:20 in all, judging by the first 1000; 1:40 left");
    state = (psal_progress_state){"images", 61, 1, 0, 1};
    ck_assert(psal_progress_cost(&state, 1, NULL, text, sizeof text));
    state.total = 60; /* a minute is no more than a minute */
    ck_assert(!psal_progress_cost(&state, 1, NULL, text, sizeof text));
    state = (psal_progress_state){"images", 0, 10, 0, 100}; /* nobody knows how many there are */
    ck_assert(!psal_progress_cost(&state, 10, NULL, text, sizeof text));
    ck_assert(!psal_progress_cost(&state, NAN, NULL, text, sizeof text));
}
END_TEST

/* What is written of `total` images, `at_once` of them together: `batches` batches of `steps`, each after `seconds`. */
static void announced(int64_t total, int at_once, int batches, int64_t steps, double before, double seconds) {
    FILE *out;
    const psal_progress_options options = {
        .mode = PSAL_PROGRESS_LOG, .total = total, .program = "psal-x", .each = "3 k", .at_once = at_once};
    psal_progress *progress = start_as(&out, options);
    now += before;
    for (int i = 0; i < batches; i++) advance(progress, steps, seconds);
    psal_progress_finish(progress);
    fclose(out);
}

START_TEST(a_long_run_is_announced_once) {
    /* Few slow steps: measured when as many are done as run together. */
    announced(100, 2, 100, 1, 6, 6);
    const char *line = "psal-x: 100 images x 3 k: about 10:00 in all, judging by the first 2; 9:48 left\n";
    ck_assert_ptr_nonnull(strstr(written, "psal-x"));
    ck_assert_ptr_null(strstr(strstr(written, "psal-x") + 1, "psal-x"));
    free(written);
    announced(100, 2, 1, 2, 6, 6);
    ck_assert_ptr_eq(strstr(written, line), written);
    free(written);
    announced(100, 2, 1, 1, 6, 6);
    ck_assert_ptr_null(strstr(written, "psal-x"));
    free(written);
    /* Many quick ones: without what comes before them. */
    announced(10000, 1, 21, 1, 30, 0.11);
    ck_assert_ptr_nonnull(
        strstr(written, "psal-x: 10000 images x 3 k: about 18:50 in all, judging by the first 20; 18:18 left\n"));
    free(written);
    announced(10000, 1, 3, 1, 0, 6);
    ck_assert_ptr_nonnull(
        strstr(written, "psal-x: 10000 images x 3 k: about 16:40:00 in all, judging by the first 3; 16:39:42 left\n"));
    free(written);
    /* In no more than a minute: not at all, even where it turns out to be longer. */
    announced(100, 1, 30, 1, 0, 0.5);
    ck_assert_ptr_null(strstr(written, "psal-x"));
    free(written);
}
END_TEST

START_TEST(an_announcement_beside_the_meter) {
    FILE *out;
    psal_progress_options options = {.mode = PSAL_PROGRESS_TERMINAL, .total = 100, .program = "psal-x"};
    psal_progress *progress = start_as(&out, options);
    advance(progress, 1, 5);
    advance(progress, 1, 7);
    psal_progress_finish(progress);
    fclose(out);
    const char *line = strstr(written, "\rpsal-x: 100 images: about 10:00 in all, judging by the first 2; 9:48 left\n");
    ck_assert_ptr_nonnull(line);
    ck_assert_ptr_nonnull(strstr(line, "\rimages ["));
    free(written);
    options.program = NULL; /* nobody announces anything */
    progress = start_as(&out, options);
    advance(progress, 2, 12);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_ptr_null(strstr(written, "about"));
    free(written);
    options.program = "psal-x";
    options.mode = PSAL_PROGRESS_QUIET;
    progress = start_as(&out, options);
    advance(progress, 2, 12);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_uint_eq(written_size, 0);
    free(written);
}
END_TEST

START_TEST(a_patient_meter_is_silent_about_short_runs) {
    FILE *out;
    const psal_progress_options options = {.mode = PSAL_PROGRESS_TERMINAL, .total = 10, .patient = true};
    psal_progress *progress = start_as(&out, options);
    for (int i = 0; i < 10; i++) advance(progress, 1, 0.19);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_uint_eq(written_size, 0);
    free(written);
    progress = start_as(&out, options);
    for (int i = 0; i < 10; i++) advance(progress, 1, 0.3);
    psal_progress_finish(progress);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(written, " 70 % 7/10"));
    ck_assert_ptr_nonnull(strstr(written, "100 % 10/10"));
    ck_assert_ptr_null(strstr(written, " 60 % 6/10"));
    free(written);
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
    tcase_add_test(tests, costs);
    tcase_add_test(tests, a_long_run_is_announced_once);
    tcase_add_test(tests, an_announcement_beside_the_meter);
    tcase_add_test(tests, a_patient_meter_is_silent_about_short_runs);
    tcase_add_test(tests, many_threads);
    return run_case("io/progress", tests);
}
