/* fixtures.h - small checkpoints and other things the tests of models/ share. */
#ifndef PSAL_TESTS_MODELS_FIXTURES_H
#define PSAL_TESTS_MODELS_FIXTURES_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/model.h"

/* A checkpoint of zeros without any metadata: to be recognised by names and shapes alone. */
static inline psal_tensor_map *bare(const char *arch, double width, int classes) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *blank = psal_model_blank(arch, width, classes, &err);
    ck_assert_msg(blank != NULL, "%s", err.message);
    psal_tensor_map *map = psal_tensor_map_new();
    for (size_t i = 0; i < psal_tensor_map_count(blank); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(blank, i);
        psal_tensor *copy = psal_tensor_map_add(map, psal_tensor_map_name(blank, i), tensor->dtype, &tensor->shape,
                                                &err);
        ck_assert_msg(copy != NULL, "%s", err.message);
    }
    psal_tensor_map_free(blank);
    return map;
}

static inline psal_model *load(const psal_tensor_map *map, const psal_model_options *options) {
    psal_error err = PSAL_ERROR_INIT;
    psal_model *model = psal_model_load(map, options, NULL, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    return model;
}

/* What messages about networks that are not known end with. */
#define WAY_OUT                                                                                                    \
    ". Whatever the network, psal reads its ONNX file: torch.onnx.export(model.eval(), torch.randn(1, 3, HEIGHT, " \
    "WIDTH), "                                                                                                     \
    "\"my.onnx\", opset_version=14, do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)"

/* Loading fails with exactly this. */
static inline void refuse(const psal_tensor_map *map, const psal_model_options *options, psal_status status,
                          const char *message) {
    psal_error err = PSAL_ERROR_INIT;
    psal_model *model = psal_model_load(map, options, NULL, &err);
    ck_assert_msg(model == NULL, "loaded, expected: %s", message);
    ck_assert_str_eq(err.message, message);
    ck_assert_int_eq(err.status, status);
    ck_assert_ptr_null(psal_model_load(map, options, NULL, NULL)); /* without err, too */
}

static inline void check_shape(const psal_shape *shape, const char *expected) {
    char text[96];
    ck_assert_str_eq(psal_shape_format(shape, text, sizeof text), expected);
}

static inline size_t index_of(const psal_tensor_map *map, const char *name) {
    for (size_t i = 0; i < psal_tensor_map_count(map); i++)
        if (strcmp(psal_tensor_map_name(map, i), name) == 0) return i;
    ck_abort_msg("no tensor %s", name);
}

static inline void drop(psal_tensor_map *map, const char *name) {
    psal_tensor_map_remove(map, index_of(map, name));
}

/* Put a tensor of zeros with another shape in the place of `name`. */
static inline void reshape(psal_tensor_map *map, const char *name, psal_shape shape) {
    psal_error err = PSAL_ERROR_INIT;
    drop(map, name);
    ck_assert_msg(psal_tensor_map_add(map, name, PSAL_F32, &shape, &err) != NULL, "%s", err.message);
}

static inline void add(psal_tensor_map *map, const char *name, psal_shape shape) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_tensor_map_add(map, name, PSAL_F32, &shape, &err) != NULL, "%s", err.message);
}

static inline float *floats(const psal_tensor_map *map, const char *name) {
    const psal_tensor *tensor = psal_tensor_map_get(map, name);
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    ck_assert_int_eq(tensor->dtype, PSAL_F32);
    return (float *)(uintptr_t)tensor->data; /* these tests' maps own their tensors */
}

static inline void set_meta(psal_tensor_map *map, const char *key, const char *value) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_tensor_map_set_meta(map, key, value, &err), PSAL_OK);
}

/* Numbers that differ from place to place, the same every time, of sizes that let a signal through:
 * He et al. 2015 for weights, near 1 for scales and variances, small for the rest. */
static inline void fill(psal_tensor_map *map) {
    uint32_t state = 12345;
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        const char *name = psal_tensor_map_name(map, i);
        const int64_t count = psal_shape_count(&tensor->shape);
        const bool matrix = tensor->shape.ndim > 1;
        const bool around_one = !matrix && (strstr(name, "running_var") || strstr(name, "weight"));
        const float range = matrix ? sqrtf(6.0f * (float)tensor->shape.dim[0] / (float)count) : 0.25f;
        for (int64_t k = 0; k < count; k++) {
            state = state * 1664525u + 1013904223u;
            const float unit = (float)(state >> 8) / (1 << 23) - 1;
            floats(map, name)[k] = (around_one ? 1 : 0) + range * unit;
        }
    }
}

/* main() for a program with one test case. */
static inline int run_tests(const char *name, const TTest *const *tests, int count) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 120);
    for (int i = 0; i < count; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
#define RUN_TESTS(name, ...)                                                \
    int main(void) {                                                        \
        const TTest *const tests[] = {__VA_ARGS__};                         \
        return run_tests(name, tests, (int)(sizeof tests / sizeof *tests)); \
    }

#endif
