#include "io/profile_writer.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/npy.h"

static char folder[64], path[96], partial[112];

static void setup(void) {
    strcpy(folder, "/tmp/psal-profiles-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/p.npy", folder);
    snprintf(partial, sizeof partial, "%s.partial", path);
}

static void teardown(void) {
    unlink(path);
    unlink(partial);
    rmdir(folder);
}

static const float ROWS[3][4] = {{1e-9f, 5e-10f, 0, 3e-13f}, {0, 0, 0, 0}, {70000, 1, -3, 0.5f}};

static float largest(const float *row) {
    float value = 0;
    for (int k = 0; k < 4; k++) value = fmaxf(value, fabsf(row[k]));
    return value;
}

static void write_rows(psal_dtype dtype, bool interrupt) {
    unlink(path);
    psal_profile_writer *w = psal_profile_writer_open(path, dtype, 3, 4, false, NULL);
    ck_assert_ptr_nonnull(w);
    for (int i = 2; i >= 0; i--) {
        if (interrupt) {
            psal_profile_writer_close(w);
            ck_assert(access(path, F_OK) != 0);
            w = psal_profile_writer_open(path, dtype, 3, 4, true, NULL);
            ck_assert_ptr_nonnull(w);
        }
        ck_assert_int_eq(psal_profile_writer_put(w, i, ROWS[i], largest(ROWS[i]), NULL), PSAL_OK);
    }
    ck_assert_int_eq(psal_profile_writer_put(w, 3, ROWS[0], 1, NULL), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_profile_writer_commit(w, NULL), PSAL_OK);
    ck_assert(access(partial, F_OK) != 0);
}

static void check_rows(psal_dtype dtype, double tolerance) {
    psal_tensor_map *map = psal_npy_read(path, NULL);
    ck_assert_ptr_nonnull(map);
    const psal_tensor *t = psal_tensor_map_at(map, 0);
    ck_assert_int_eq(t->dtype, dtype);
    ck_assert(t->shape.ndim == 2 && t->shape.dim[0] == 3 && t->shape.dim[1] == 4);
    double values[12];
    psal_tensor_to_f64(t, values);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) {
            double value = values[4 * i + k] * psal_profile_scale(dtype, largest(ROWS[i])), want = (double)ROWS[i][k];
            ck_assert_double_le(fabs(value - want), tolerance * fabs(want));
        }
    psal_tensor_map_free(map);
}

START_TEST(keeps_small_and_large_rows) {
    for (int interrupt = 0; interrupt < 2; interrupt++) {
        write_rows(PSAL_F16, interrupt);
        check_rows(PSAL_F16, 0x1p-11);
        write_rows(PSAL_F32, interrupt);
        check_rows(PSAL_F32, 0);
    }
}
END_TEST

START_TEST(continues_only_what_fits) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F16, 3, 4, true, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_IO);
    write_rows(PSAL_F16, false);
    /* A finished file is gone on with, too: the run that wrote it may not have been over. */
    psal_profile_writer *w = psal_profile_writer_open(path, PSAL_F16, 3, 4, true, &err);
    ck_assert_ptr_nonnull(w);
    psal_profile_writer_close(w);
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F16, 4, 3, true, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_FORMAT);
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F32, 3, 4, true, &err));
    ck_assert_int_eq(truncate(partial, 140), 0);
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F16, 3, 4, true, &err));
}
END_TEST

/* A name that is known beforehand: a link that waits there must not choose what is overwritten. */
START_TEST(follows_no_links) {
    psal_error err = PSAL_ERROR_INIT;
    char victim[112], text[16] = "";
    snprintf(victim, sizeof victim, "%s/victim", folder);
    FILE *file = fopen(victim, "w");
    ck_assert(fputs("precious", file) >= 0 && fclose(file) == 0);
    /* symbolic link, dangling one, hard link; each also for a run that goes on */
    for (int kind = 0; kind < 6; kind++) {
        bool resume = kind >= 3;
        if (kind % 3 == 2)
            ck_assert_int_eq(link(victim, partial), 0);
        else
            ck_assert_int_eq(symlink(kind % 3 ? "/nowhere/at all" : "victim", partial), 0);
        psal_profile_writer *w = psal_profile_writer_open(path, PSAL_F16, 3, 4, resume, &err);
        if (kind == 2) { /* the name is taken off, the file stays */
            ck_assert_msg(w != NULL, "%s", err.message);
            psal_profile_writer_close(w);
        } else {
            ck_assert_msg(w == NULL, "kind %d", kind);
            ck_assert_int_eq(err.status, PSAL_ERR_IO);
            ck_assert_msg(strstr(err.message, "p.npy.partial: ") != NULL, "%s", err.message);
        }
        ck_assert_int_eq(unlink(partial), 0);
    }
    file = fopen(victim, "r");
    ck_assert(fgets(text, sizeof text, file) != NULL);
    fclose(file);
    ck_assert_str_eq(text, "precious");
    unlink(victim);
}
END_TEST

/* A link at the name itself is the user's; what is no file must stay what it is. */
START_TEST(follows_the_link_to_the_file) {
    psal_error err = PSAL_ERROR_INIT;
    const float row[4] = {1, 2, 3, 4};
    char target[112], rows[128];
    struct stat info;
    snprintf(target, sizeof target, "%s/elsewhere.npy", folder);
    snprintf(rows, sizeof rows, "%s.partial", target);
    ck_assert_int_eq(symlink("elsewhere.npy", path), 0); /* to nothing at first, then to a file */
    for (int round = 0; round < 2; round++) {
        psal_profile_writer *w = psal_profile_writer_open(path, PSAL_F32, 1, 4, false, &err);
        ck_assert_msg(w != NULL, "%s", err.message);
        ck_assert_int_eq(access(rows, F_OK), 0);
        ck_assert_ptr_null(
            psal_profile_writer_open(target, PSAL_F32, 1, 4, false, &err)); /* another name of the same */
        ck_assert_int_eq(psal_profile_writer_put(w, 0, row, 4, &err), PSAL_OK);
        ck_assert_int_eq(psal_profile_writer_commit(w, &err), PSAL_OK);
        ck_assert_int_eq(lstat(path, &info), 0);
        ck_assert(S_ISLNK(info.st_mode));
        ck_assert_int_eq(lstat(target, &info), 0);
        ck_assert(S_ISREG(info.st_mode) && info.st_size == 128 + sizeof row);
    }
    psal_profile_writer_discard(psal_profile_writer_open(path, PSAL_F32, 1, 4, false, &err));
    ck_assert(access(rows, F_OK) != 0 && access(target, F_OK) == 0);
    ck_assert(unlink(path) == 0 && unlink(target) == 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    for (int resume = 0; resume < 2; resume++) {
        ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F32, 1, 4, resume, &err));
        ck_assert_msg(strstr(err.message, "no ordinary file") != NULL, "%s", err.message);
    }
    ck_assert_int_eq(lstat(path, &info), 0);
    ck_assert(S_ISFIFO(info.st_mode) && access(partial, F_OK) != 0);
    unlink(path);
}
END_TEST

START_TEST(one_writer_at_a_time) {
    psal_error err = PSAL_ERROR_INIT;
    char mine[40], lock[112];
    snprintf(mine, sizeof mine, "process %d on ", (int)getpid());
    snprintf(lock, sizeof lock, "%s.lock", path);
    psal_profile_writer *w = psal_profile_writer_open(path, PSAL_F16, 3, 4, false, NULL);
    ck_assert_int_eq(psal_profile_writer_put(w, 0, ROWS[0], largest(ROWS[0]), NULL), PSAL_OK);
    for (int resume = 0; resume < 2; resume++) {
        ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F16, 3, 4, resume, &err));
        ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
        ck_assert_msg(strstr(err.message, path) && strstr(err.message, mine), "%s", err.message);
    }
    for (int i = 1; i < 3; i++)
        ck_assert_int_eq(psal_profile_writer_put(w, i, ROWS[i], largest(ROWS[i]), NULL), PSAL_OK);
    ck_assert_int_eq(psal_profile_writer_commit(w, NULL), PSAL_OK);
    check_rows(PSAL_F16, 0x1p-11);
    ck_assert(access(lock, F_OK) != 0);
    /* What a killed run has left is taken over; what is no lock is not. */
    FILE *left = fopen(lock, "w");
    ck_assert(fputs("1 elsewhere\n", left) >= 0 && fclose(left) == 0);
    w = psal_profile_writer_open(path, PSAL_F16, 3, 4, false, &err);
    ck_assert_msg(w != NULL, "%s", err.message);
    psal_profile_writer_close(w);
    ck_assert(access(lock, F_OK) != 0);
    ck_assert_int_eq(symlink("p.npy", lock), 0);
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F16, 3, 4, false, &err));
    ck_assert_msg(strstr(err.message, "p.npy.lock: cannot be opened: it is a symbolic link") != NULL, "%s",
                  err.message);
    unlink(lock);
    check_rows(PSAL_F16, 0x1p-11);
}
END_TEST

START_TEST(refuses_what_cannot_be) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_I32, 3, 4, false, &err));
    ck_assert_ptr_null(psal_profile_writer_open(path, PSAL_F16, INT64_MAX / 4, 4, false, &err));
    ck_assert_ptr_null(psal_profile_writer_open("/nowhere/p.npy", PSAL_F16, 3, 4, false, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "/nowhere/p.npy"));
    ck_assert(access(partial, F_OK) != 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("profile_writer");
    TCase *tests = tcase_create("profile_writer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, keeps_small_and_large_rows);
    tcase_add_test(tests, continues_only_what_fits);
    tcase_add_test(tests, follows_no_links);
    tcase_add_test(tests, follows_the_link_to_the_file);
    tcase_add_test(tests, one_writer_at_a_time);
    tcase_add_test(tests, refuses_what_cannot_be);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
