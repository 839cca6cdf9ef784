#include "io/mapped_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "damage.h"
#include "engine/file_values.h"

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

START_TEST(test_forgetting) {
    /* What was forgotten is read again from the file. */
    psal_error err = PSAL_ERROR_INIT;
    psal_mapped_file file;
    static uint8_t bytes[100000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    write_bytes(in_folder("a"), bytes, sizeof bytes);
    ck_assert_int_eq(psal_map_file(in_folder("a"), &file, &err), PSAL_OK);
    ck_assert_mem_eq(file.data, bytes, sizeof bytes);
    psal_file_values_forget(file.data, file.size);
    psal_file_values_forget(file.data + 5000, 20000);
    psal_file_values_forget(file.data + 5000, 10);
    psal_file_values_forget(file.data, 0);
    ck_assert_mem_eq(file.data, bytes, sizeof bytes);
    psal_unmap_file(&file);
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
    tcase_add_test(cases, test_forgetting);
    tcase_add_test(cases, test_more_files_than_may_be_open);
    tcase_add_test(cases, test_refusals);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
