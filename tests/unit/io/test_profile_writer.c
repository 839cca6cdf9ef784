#include "io/profile_writer.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    tcase_add_test(tests, refuses_what_cannot_be);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
