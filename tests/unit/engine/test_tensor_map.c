#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tensor.h"

START_TEST(test_add_and_get) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape shape = PSAL_SHAPE(2, 3);
    float *values = psal_tensor_map_add(map, "conv.weight", PSAL_F32, &shape, &err);
    ck_assert_msg(values != NULL, "%s", err.message);
    ck_assert_uint_eq((uintptr_t)values % 64, 0);
    for (int i = 0; i < 6; i++) ck_assert(values[i] == 0);
    values[5] = 4;

    float mine[2] = {1, 2};
    psal_shape two = PSAL_SHAPE(2), none = PSAL_SHAPE(0);
    ck_assert_int_eq(psal_tensor_map_add_view(map, "view", PSAL_F32, &two, mine, &err), PSAL_OK);
    ck_assert_ptr_nonnull(psal_tensor_map_add(map, "empty", PSAL_I64, &none, &err));
    ck_assert_uint_eq(psal_tensor_map_count(map), 3);
    ck_assert_str_eq(psal_tensor_map_name(map, 1), "view");
    ck_assert_ptr_eq(psal_tensor_map_at(map, 1)->data, mine);
    ck_assert(((const float *)psal_tensor_map_get(map, "conv.weight")->data)[5] == 4);
    ck_assert_ptr_null(psal_tensor_map_get(map, "conv.weigh"));
    ck_assert_uint_eq(psal_tensor_map_find(map, "empty"), 2);
    ck_assert(psal_tensor_map_find(map, "conv.weigh") == SIZE_MAX);
    ck_assert_ptr_null(psal_tensor_map_name(map, 3));
    ck_assert_ptr_null(psal_tensor_map_at(map, 3));
    psal_tensor_map_free(map);
    psal_tensor_map_free(NULL);
}
END_TEST

START_TEST(test_refusals) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape two = PSAL_SHAPE(2), negative = PSAL_SHAPE(4, -2);
    ck_assert_ptr_nonnull(psal_tensor_map_add(map, "a", PSAL_F32, &two, &err));
    ck_assert_ptr_null(psal_tensor_map_add(map, "a", PSAL_F32, &two, &err));
    ck_assert_str_eq(err.message, "tensor a occurs twice");
    ck_assert_ptr_null(psal_tensor_map_add(map, "b", PSAL_F32, &negative, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_SHAPE);
    ck_assert_msg(strstr(err.message, "tensor b") && strstr(err.message, "4x-2"), "%s", err.message);
    ck_assert_ptr_null(psal_tensor_map_add(map, "b", PSAL_DTYPE_COUNT, &two, &err));
    ck_assert_int_eq(psal_tensor_map_add_view(map, "b", (psal_dtype)-1, &two, &two, &err), PSAL_ERR_ARGUMENT);
    ck_assert_ptr_null(psal_tensor_map_add(map, "a", PSAL_F32, &two, NULL));
    ck_assert_uint_eq(psal_tensor_map_count(map), 1);
    psal_tensor_map_free(map);
}
END_TEST

static void count_release(void *memory, size_t size) {
    *(size_t *)memory += size;
}

START_TEST(test_adopted_memory) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    size_t released = 0;
    for (size_t i = 1; i <= 100; i++)
        ck_assert_int_eq(psal_tensor_map_adopt(map, &released, i, count_release, &err), PSAL_OK);
    ck_assert_uint_eq(released, 0);
    psal_tensor_map_free(map);
    ck_assert_uint_eq(released, 5050);
}
END_TEST

/* Thousands of names through adding, renaming and removing, compared with a plain list. */
START_TEST(test_many_names) {
    enum { COUNT = 3000 };
    static char names[COUNT][32];
    static int values[COUNT];
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape one = PSAL_SHAPE(1);
    int count = COUNT;
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "layer%d.weight", i);
        values[i] = i;
        int32_t *value = psal_tensor_map_add(map, names[i], PSAL_I32, &one, &err);
        ck_assert_ptr_nonnull(value);
        *value = i;
    }
    srand(1);
    for (int step = 0; step < 6000; step++) {
        int i = rand() % count;
        if (step % 6 == 5) {
            psal_tensor_map_remove(map, (size_t)i);
            ck_assert_ptr_null(psal_tensor_map_get(map, names[i]));
            memmove(names + i, names + i + 1, (size_t)(count - i - 1) * sizeof *names);
            memmove(values + i, values + i + 1, (size_t)(count - i - 1) * sizeof *values);
            count--;
        } else {
            char old[32];
            strcpy(old, names[i]);
            snprintf(names[i], sizeof names[i], "renamed%d", step);
            ck_assert_int_eq(psal_tensor_map_rename(map, (size_t)i, names[i], &err), PSAL_OK);
            ck_assert_ptr_null(psal_tensor_map_get(map, old));
        }
        if (step % 500 == 0 || step > 5990)
            for (int k = 0; k < count; k++) {
                const psal_tensor *tensor = psal_tensor_map_get(map, names[k]);
                ck_assert_msg(values != NULL, "step %d: %s is lost", step, names[k]);
                ck_assert_ptr_eq(tensor, psal_tensor_map_at(map, (size_t)k));
                ck_assert_int_eq(*(int32_t *)tensor->data, values[k]);
                ck_assert_str_eq(psal_tensor_map_name(map, (size_t)k), names[k]);
            }
    }
    ck_assert_uint_eq(psal_tensor_map_count(map), (size_t)count);
    ck_assert_int_ne(psal_tensor_map_rename(map, 0, names[1], &err), PSAL_OK);
    ck_assert_msg(strstr(err.message, names[0]) && strstr(err.message, names[1]), "%s", err.message);
    ck_assert_int_eq(psal_tensor_map_rename(map, 0, names[0], &err), PSAL_OK);
    ck_assert_int_eq(psal_tensor_map_rename(map, (size_t)count, "x", &err), PSAL_ERR_ARGUMENT);
    psal_tensor_map_remove(map, (size_t)count);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_metadata) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_ptr_null(psal_tensor_map_meta(map, "format"));
    ck_assert_int_eq(psal_tensor_map_set_meta(map, "format", "pt", &err), PSAL_OK);
    ck_assert_int_eq(psal_tensor_map_set_meta(map, "classes", "1000", &err), PSAL_OK);
    ck_assert_int_eq(psal_tensor_map_set_meta(map, "format", "np", &err), PSAL_OK);
    ck_assert_uint_eq(psal_tensor_map_meta_count(map), 2);
    ck_assert_str_eq(psal_tensor_map_meta(map, "format"), "np");
    ck_assert_str_eq(psal_tensor_map_meta_key(map, 0), "format");
    ck_assert_str_eq(psal_tensor_map_meta_key(map, 1), "classes");
    ck_assert_ptr_null(psal_tensor_map_meta_key(map, 2));
    /* A value may be replaced by (a part of) itself. */
    ck_assert_int_eq(psal_tensor_map_set_meta(map, "classes", psal_tensor_map_meta(map, "classes") + 1, &err), PSAL_OK);
    ck_assert_str_eq(psal_tensor_map_meta(map, "classes"), "000");
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/tensor_map");
    TCase *cases = tcase_create("tensor_map");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_add_and_get);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_adopted_memory);
    tcase_add_test(cases, test_many_names);
    tcase_add_test(cases, test_metadata);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
