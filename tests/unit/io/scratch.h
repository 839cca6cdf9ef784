/* scratch.h - a folder for the files a test makes, and short ways to make them. */
#ifndef PSAL_TESTS_IO_SCRATCH_H
#define PSAL_TESTS_IO_SCRATCH_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char scratch[] = "/tmp/psal-test-XXXXXX";

/* For tcase_add_checked_fixture: a new folder before each test, gone after it. */
static inline void make_scratch(void) {
    strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static inline void remove_scratch(void) {
    char command[100];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", scratch, scratch);
    ck_assert_int_eq(system(command), 0);
}

/* The path of `name` in the folder; eight results are valid at a time. */
static inline const char *in_scratch(const char *name) {
    static char path[8][512];
    static int next;
    char *result = path[next++ % 8];
    snprintf(result, 512, "%s/%s", scratch, name);
    return result;
}

static inline const char *write_bytes(const char *name, const void *data, size_t size) {
    const char *path = in_scratch(name);
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    if (size) ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static inline const char *write_text(const char *name, const char *text) {
    return write_bytes(name, text, strlen(text));
}

/* Make the folder and those above it. */
static inline const char *make_folder(const char *name) {
    char command[600];
    const char *path = in_scratch(name);
    snprintf(command, sizeof command, "mkdir -p '%s'", path);
    ck_assert_int_eq(system(command), 0);
    return path;
}

/* The whole file as text; the caller frees. */
static inline char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    char *text = calloc(1, 1 << 20);
    ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, file), (1 << 20) - 1);
    fclose(file);
    return text;
}

#define EXPECT_ERROR(err, code, ...)                                                                        \
    do {                                                                                                    \
        const char *const parts[] = {__VA_ARGS__};                                                          \
        ck_assert_msg((err).status == (code), "status %d: %s", (err).status, (err).message);                \
        for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)                                  \
            ck_assert_msg(strstr((err).message, parts[part]) != NULL, "\"%s\" lacks \"%s\"", (err).message, \
                          parts[part]);                                                                     \
    } while (0)

/* Run a suite of one test case and give main's exit status. */
static inline int run_case(const char *name, TCase *tests) {
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
