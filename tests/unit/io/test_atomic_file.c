#include "io/atomic_file.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/psal-atomic-XXXXXX";

static void make_folder(void) {
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void) {
    char command[200];
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", folder, folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *in_folder(const char *name) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int entries(void) {
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    int count = -2; /* . and .. */
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void expect_content(const char *path, const char *text) {
    char got[100] = "";
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    fclose(file);
    ck_assert_str_eq(got, text);
}

START_TEST(test_commit_gives_the_name) {
    psal_error err = PSAL_ERROR_INIT;
    psal_atomic_file *file = psal_atomic_file_open(in_folder("out"), &err);
    ck_assert_msg(file != NULL, "%s", err.message);
    fputs("hello", file->stream);
    ck_assert_int_ne(access(in_folder("out"), F_OK), 0);
    ck_assert_int_eq(entries(), 1);
    ck_assert_int_eq(psal_atomic_file_commit(file, &err), PSAL_OK);
    ck_assert_int_eq(entries(), 1);
    expect_content(in_folder("out"), "hello");

    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    ck_assert_int_eq(stat(in_folder("out"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0666 & ~mask);
}
END_TEST

START_TEST(test_abort_keeps_the_old_file) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_atomic_file_write(in_folder("out"), "old", 3, &err), PSAL_OK);
    psal_atomic_file *file = psal_atomic_file_open(in_folder("out"), &err);
    ck_assert_ptr_nonnull(file);
    fputs("new and longer", file->stream);
    psal_atomic_file_abort(file);
    psal_atomic_file_abort(NULL);
    expect_content(in_folder("out"), "old");
    ck_assert_int_eq(entries(), 1);
    ck_assert_int_eq(psal_atomic_file_write(in_folder("out"), "new", 3, &err), PSAL_OK);
    expect_content(in_folder("out"), "new");
}
END_TEST

START_TEST(test_full_disk_is_named) {
    psal_error err = PSAL_ERROR_INIT;
    char *big = calloc(1, 1 << 20);
    ck_assert_int_eq(psal_atomic_file_write("/dev/full", big, 1 << 20, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "/dev/full") && strstr(err.message, "No space left"), "%s", err.message);
    /* Small enough to fail only when the buffer is flushed. */
    ck_assert_int_eq(psal_atomic_file_write("/dev/full", "x", 1, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "No space left") != NULL, "%s", err.message);
    /* And one that failed long before the commit. */
    psal_atomic_file *file = psal_atomic_file_open("/dev/full", &err);
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_ne(fwrite(big, 1, 1 << 20, file->stream), 1 << 20);
    ck_assert_int_eq(psal_atomic_file_commit(file, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "/dev/full") != NULL, "%s", err.message);
    free(big);
    struct stat info;
    ck_assert_int_eq(stat("/dev/full", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
}
END_TEST

/* A real file whose disk is full half-way: a limit on the size of files stands in for the disk. */
START_TEST(test_failed_write_leaves_nothing) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_atomic_file_write(in_folder("out"), "old", 3, &err), PSAL_OK);
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){100000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    char *big = calloc(1, 1 << 20);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    psal_status status = psal_atomic_file_write(in_folder("out"), big, 1 << 20, &err);
    psal_atomic_file *file = psal_atomic_file_open(in_folder("out"), NULL);
    size_t written = 0;
    for (int i = 0; i < 200; i++) written += fwrite(big, 1, 1000, file->stream);
    psal_error commit = PSAL_ERROR_INIT;
    psal_status commit_status = psal_atomic_file_commit(file, &commit);
    setrlimit(RLIMIT_FSIZE, &before);
    free(big);
    ck_assert_int_eq(status, PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "out: cannot be written") != NULL, "%s", err.message);
    ck_assert_uint_gt(written, 90000);
    ck_assert_int_eq(commit_status, PSAL_ERR_IO);
    ck_assert_msg(strstr(commit.message, "out: cannot be written") != NULL, "%s", commit.message);
    expect_content(in_folder("out"), "old");
    ck_assert_int_eq(entries(), 1);
}
END_TEST

START_TEST(test_devices_are_written_not_replaced) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_atomic_file_write("/dev/null", "x", 1, &err), PSAL_OK);
    struct stat info;
    ck_assert_int_eq(stat("/dev/null", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
}
END_TEST

START_TEST(test_symbolic_link_stays) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_atomic_file_write(in_folder("real"), "old", 3, &err), PSAL_OK);
    ck_assert_int_eq(symlink("real", in_folder("link")), 0);
    ck_assert_int_eq(psal_atomic_file_write(in_folder("link"), "new", 3, &err), PSAL_OK);
    expect_content(in_folder("real"), "new");
    struct stat info;
    ck_assert_int_eq(lstat(in_folder("link"), &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
}
END_TEST

START_TEST(test_unwritable) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_atomic_file_open(folder, &err));
    ck_assert_msg(strstr(err.message, folder) && strstr(err.message, "directory"), "%s", err.message);
    ck_assert_ptr_null(psal_atomic_file_open(in_folder("missing/out"), &err));
    ck_assert_msg(strstr(err.message, "missing/out") != NULL, "%s", err.message);
    ck_assert_ptr_null(psal_atomic_file_open("", &err));
    ck_assert_ptr_null(psal_atomic_file_open("/proc/out", &err));
    ck_assert_int_eq(err.status, PSAL_ERR_IO);
    if (geteuid() != 0) {
        ck_assert_int_eq(chmod(folder, 0555), 0);
        ck_assert_ptr_null(psal_atomic_file_open(in_folder("out"), &err));
        ck_assert_msg(strstr(err.message, "Permission denied") != NULL, "%s", err.message);
    }
    ck_assert_ptr_null(psal_atomic_file_open(in_folder("missing/out"), NULL));
}
END_TEST

START_TEST(test_make_directory) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_make_directory(in_folder("a/b//c/"), &err), PSAL_OK);
    struct stat info;
    ck_assert_int_eq(stat(in_folder("a/b/c"), &info), 0);
    ck_assert(S_ISDIR(info.st_mode));
    ck_assert_int_eq(psal_make_directory(in_folder("a/b/c"), &err), PSAL_OK);
    ck_assert_int_eq(psal_atomic_file_write(in_folder("a/file"), "x", 1, &err), PSAL_OK);
    ck_assert_int_eq(psal_make_directory(in_folder("a/file"), &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "a/file") != NULL, "%s", err.message);
    ck_assert_int_eq(psal_make_directory(in_folder("a/file/d"), &err), PSAL_ERR_IO);
    ck_assert_int_eq(psal_make_directory("/proc/nothing/here", &err), PSAL_ERR_IO);
    ck_assert_int_eq(psal_make_directory("", &err), PSAL_ERR_ARGUMENT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/atomic_file");
    TCase *cases = tcase_create("atomic_file");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, test_commit_gives_the_name);
    tcase_add_test(cases, test_abort_keeps_the_old_file);
    tcase_add_test(cases, test_full_disk_is_named);
    tcase_add_test(cases, test_failed_write_leaves_nothing);
    tcase_add_test(cases, test_devices_are_written_not_replaced);
    tcase_add_test(cases, test_symbolic_link_stays);
    tcase_add_test(cases, test_unwritable);
    tcase_add_test(cases, test_make_directory);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
