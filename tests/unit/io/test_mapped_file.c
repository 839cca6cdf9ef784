#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "damage.h"

START_TEST(test_mapping) {
    psal_error err = PSAL_ERROR_INIT;
    psal_mapped_file file;
    write_bytes(in_folder("a"), "hello", 5);
    ck_assert_msg(psal_map_file(in_folder("a"), &file, &err) == PSAL_OK, "%s", err.message);
    ck_assert_uint_eq(file.size, 5);
    ck_assert_mem_eq(file.data, "hello", 5);
    psal_unmap_file(&file);
    ck_assert_ptr_null(file.data);
    psal_unmap_file(&file);
}
END_TEST

/* Which file an address lies in, and whether that file is still the one that was mapped. */
START_TEST(test_names_and_changes) {
    psal_error err = PSAL_ERROR_INIT;
    psal_mapped_file a, b;
    char name[200], cut[6];
    write_bytes(in_folder("a"), "hello", 5);
    write_bytes(in_folder("b"), "world", 5);
    ck_assert_int_eq(psal_map_file(in_folder("a"), &a, &err), PSAL_OK);
    ck_assert_int_eq(psal_map_file(in_folder("b"), &b, &err), PSAL_OK);
    ck_assert(psal_mapped_name(a.data, name, sizeof name));
    ck_assert_str_eq(name, in_folder("a"));
    ck_assert(psal_mapped_name(b.data + 4, name, sizeof name));
    ck_assert_str_eq(name, in_folder("b"));
    ck_assert(psal_mapped_name(b.data, cut, sizeof cut));
    ck_assert_uint_eq(strlen(cut), sizeof cut - 1);
    ck_assert(!psal_mapped_name(name, name, sizeof name));
    ck_assert_str_eq(name, "");
    ck_assert_int_eq(psal_mapped_unchanged(&err), PSAL_OK);
    /* Replaced, removed: what is mapped is still there. */
    write_bytes(in_folder("c"), "HELLO", 5);
    ck_assert_int_eq(rename(in_folder("c"), in_folder("a")), 0);
    ck_assert_int_eq(psal_mapped_unchanged(&err), PSAL_OK);
    ck_assert_mem_eq(a.data, "hello", 5);
    ck_assert_int_eq(unlink(in_folder("a")), 0);
    ck_assert_int_eq(psal_mapped_unchanged(&err), PSAL_OK);
    /* Written over, cut short, lengthened. */
    for (int i = 0; i < 3; i++) {
        psal_unmap_file(&b);
        write_bytes(in_folder("b"), "world", 5);
        struct timespec times[2] = {{1000, 1}, {1000, 1}};
        ck_assert_int_eq(utimensat(AT_FDCWD, in_folder("b"), times, 0), 0);
        ck_assert_int_eq(psal_map_file(in_folder("b"), &b, &err), PSAL_OK);
        ck_assert_int_eq(psal_mapped_unchanged(&err), PSAL_OK);
        int fd = open(in_folder("b"), O_WRONLY | (i == 1 ? O_TRUNC : 0)); /* in place */
        ck_assert_int_eq(write(fd, "WORLD!", i == 0 ? 5 : i == 1 ? 2 : 6), i == 0 ? 5 : i == 1 ? 2 : 6);
        ck_assert_int_eq(close(fd), 0);
        ck_assert_int_eq(psal_mapped_unchanged(&err), PSAL_ERR_IO);
        ck_assert_msg(strstr(err.message, in_folder("b")) != NULL, "%s", err.message);
    }
    psal_unmap_file(&b);
    ck_assert_int_eq(psal_mapped_unchanged(&err), PSAL_OK);
    ck_assert(psal_mapped_name(a.data, name, sizeof name));
    psal_unmap_file(&a);
}
END_TEST

START_TEST(test_more_files_than_may_be_open) {
    enum { FILES = 100, OPEN = 40 };
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = OPEN;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0); /* of this test's process */
    psal_error err = PSAL_ERROR_INIT;
    psal_mapped_file files[FILES];
    write_bytes(in_folder("a"), "hello", 5);
    for (int i = 0; i < FILES; i++)
        ck_assert_msg(psal_map_file(in_folder("a"), &files[i], &err) == PSAL_OK, "file %d: %s", i, err.message);
    for (int i = 0; i < FILES; i++) psal_unmap_file(&files[i]);
}
END_TEST

static void expect_refused(const char *path, psal_status status, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    psal_mapped_file file = {(const uint8_t *)"x", 1};
    ck_assert_int_eq(psal_map_file(path, &file, &err), status);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, reason), "%s", err.message);
    ck_assert_ptr_null(file.data);
}

START_TEST(test_refusals) {
    expect_refused(in_folder("missing"), PSAL_ERR_IO, "No such file");
    expect_refused(damage_folder, PSAL_ERR_IO, "is a folder");
    expect_refused("/dev/null", PSAL_ERR_IO, "is a device");
    write_bytes(in_folder("empty"), "", 0);
    expect_refused(in_folder("empty"), PSAL_ERR_FORMAT, "is empty");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    expect_refused(in_folder("pipe"), PSAL_ERR_IO, "pipe"); /* and does not wait for a writer */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/mapped_file");
    TCase *cases = tcase_create("mapped_file");
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_mapping);
    tcase_add_test(cases, test_names_and_changes);
    tcase_add_test(cases, test_more_files_than_may_be_open);
    tcase_add_test(cases, test_refusals);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
