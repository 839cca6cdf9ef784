#include "io/atomic_file.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/temporary_files.h"

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

static void expect_mode(const char *name, mode_t mode) {
    struct stat info;
    ck_assert_int_eq(lstat(in_folder(name), &info), 0);
    ck_assert_msg(S_ISREG(info.st_mode) && (info.st_mode & 07777) == mode, "%s: mode %o", name, info.st_mode);
}

START_TEST(test_permissions_stay) {
    psal_error err = PSAL_ERROR_INIT;
    static const mode_t modes[] = {0600, 0640, 0444, 0666, 0755};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(psal_atomic_file_write(in_folder("out"), "old", 3, &err), PSAL_OK);
        ck_assert_int_eq(chmod(in_folder("out"), modes[i]), 0);
        mode_t mask = umask(077);
        ck_assert_int_eq(psal_atomic_file_write(in_folder("out"), "new", 3, &err), PSAL_OK);
        umask(mask);
        expect_mode("out", modes[i]);
        expect_content(in_folder("out"), "new");
        ck_assert_int_eq(unlink(in_folder("out")), 0);
    }
    mode_t mask = umask(027); /* a new one is as the umask says */
    ck_assert_int_eq(psal_atomic_file_write(in_folder("out"), "new", 3, &err), PSAL_OK);
    umask(mask);
    expect_mode("out", 0640);
}
END_TEST

/* The target of a link is written whether it is there or not; a circle is an error. */
START_TEST(test_dangling_links) {
    psal_error err = PSAL_ERROR_INIT;
    char absolute[400];
    ck_assert_int_eq(psal_make_directory(in_folder("deep"), &err), PSAL_OK);
    snprintf(absolute, sizeof absolute, "%s/deep/far", folder);
    const char *const links[][3] = {
        {"a", "real", "real"}, {"deep/b", "../up", "up"}, {"c", absolute, "deep/far"}, {"d", "deep/e", "deep/f"}};
    ck_assert_int_eq(symlink("f", in_folder("deep/e")), 0); /* d -> deep/e -> f */
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(symlink(links[i][1], in_folder(links[i][0])), 0);
        for (int round = 0; round < 2; round++) {
            ck_assert_int_eq(psal_atomic_file_check(in_folder(links[i][0]), &err), PSAL_OK);
            ck_assert_int_eq(access(in_folder(links[i][2]), F_OK), round ? 0 : -1);
            ck_assert_msg(psal_atomic_file_write(in_folder(links[i][0]), round ? "two" : "one", 3, &err) == PSAL_OK,
                          "%s", err.message);
            struct stat info;
            ck_assert_int_eq(lstat(in_folder(links[i][0]), &info), 0);
            ck_assert(S_ISLNK(info.st_mode));
            expect_content(in_folder(links[i][2]), round ? "two" : "one");
        }
    }
    ck_assert_int_eq(symlink("round", in_folder("round")), 0);
    ck_assert_int_eq(psal_atomic_file_write(in_folder("round"), "x", 1, &err), PSAL_ERR_IO);
    ck_assert_int_eq(symlink("nowhere/file", in_folder("lost")), 0);
    ck_assert_int_eq(psal_atomic_file_check(in_folder("lost"), &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "lost: cannot be written: No such file") != NULL, "%s", err.message);
}
END_TEST

/* What is open is written where it stands, by every name that the system gives it. */
START_TEST(test_pipes_and_descriptors) {
    psal_error err = PSAL_ERROR_INIT;
    char name[64], got[16];
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/fd/%d", i ? "/proc/self" : "/dev", ends[1]);
        ck_assert(psal_atomic_file_is_direct(name));
        ck_assert_int_eq(psal_atomic_file_check(name, &err), PSAL_OK);
        ck_assert_msg(psal_atomic_file_write(name, "hello", 5, &err) == PSAL_OK, "%s", err.message);
        ck_assert_int_eq(read(ends[0], got, sizeof got), 5);
    }
    /* Standard output, a file: between what stands there and what follows. */
    FILE *file = fopen(in_folder("stdout"), "w");
    int saved = dup(STDOUT_FILENO);
    ck_assert(file && dup2(fileno(file), STDOUT_FILENO) == STDOUT_FILENO);
    ck_assert_int_eq(write(STDOUT_FILENO, "a", 1), 1);
    psal_status status = psal_atomic_file_write("/dev/stdout", "b", 1, &err);
    ck_assert_int_eq(write(STDOUT_FILENO, "c", 1), 1);
    ck_assert_int_eq(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    fclose(file);
    ck_assert_msg(status == PSAL_OK, "%s", err.message);
    expect_content(in_folder("stdout"), "abc");
    /* A named pipe is asked about without waiting for a reader, and stays one. */
    ck_assert_int_eq(mkfifo(in_folder("fifo"), 0600), 0);
    ck_assert_int_eq(psal_atomic_file_check(in_folder("fifo"), &err), PSAL_OK);
    int reader = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(reader, 0);
    ck_assert_int_eq(psal_atomic_file_write(in_folder("fifo"), "fifo", 4, &err), PSAL_OK);
    ck_assert_int_eq(read(reader, got, sizeof got), 4);
    struct stat info;
    ck_assert_int_eq(lstat(in_folder("fifo"), &info), 0);
    ck_assert(S_ISFIFO(info.st_mode));
    ck_assert_int_eq(close(ends[1]), 0);
    ck_assert_int_eq(psal_atomic_file_check(name, &err), PSAL_ERR_IO); /* not open any more */
    ck_assert_ptr_nonnull(strstr(err.message, name));
    /* One that can only be read, and one whose reader has gone. */
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    ck_assert_int_eq(psal_atomic_file_write(name, "x", 1, &err), PSAL_ERR_IO);
}
END_TEST

/* A name that is too long is found before the work, although the temporary one would fit. */
START_TEST(test_long_names) {
    psal_error err = PSAL_ERROR_INIT;
    char name[300];
    for (int length = 250; length < 260; length++) {
        memset(name, 'n', (size_t)length);
        name[length] = '\0';
        psal_status checked = psal_atomic_file_check(in_folder(name), &err);
        ck_assert_int_eq(checked, length > 255 ? PSAL_ERR_IO : PSAL_OK);
        ck_assert_int_eq(psal_atomic_file_write(in_folder(name), "x", 1, &err), checked);
        ck_assert_int_eq(entries(), length > 255 ? 0 : 1);
        unlink(in_folder(name));
    }
}
END_TEST

START_TEST(test_removed_at_a_signal) {
    psal_atomic_file *files[3];
    for (int i = 0; i < 3; i++) files[i] = psal_atomic_file_open(in_folder((const char *[]){"a", "b", "c"}[i]), NULL);
    ck_assert_int_eq(entries(), 3);
    ck_assert_int_eq(psal_atomic_file_commit(files[1], NULL), PSAL_OK);
    const pid_t child = fork(); /* which ends as a process does that gets a signal, without freeing anything */
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        psal_temporary_files_remove();
        psal_error err = PSAL_ERROR_INIT;
        _exit(psal_atomic_file_commit(files[0], &err) == PSAL_ERR_IO ? 7 : 8);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    ck_assert_int_eq(entries(), 1);
    expect_content(in_folder("b"), "");
    psal_atomic_file_abort(files[0]);
    psal_atomic_file_abort(files[2]);
    ck_assert_int_eq(entries(), 1);
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
    tcase_add_test(cases, test_permissions_stay);
    tcase_add_test(cases, test_dangling_links);
    tcase_add_test(cases, test_pipes_and_descriptors);
    tcase_add_test(cases, test_long_names);
    tcase_add_test(cases, test_removed_at_a_signal);
    tcase_add_test(cases, test_unwritable);
    tcase_add_test(cases, test_make_directory);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
