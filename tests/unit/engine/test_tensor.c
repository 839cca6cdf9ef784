#include "engine/tensor.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

START_TEST(test_dtypes) {
    ck_assert_uint_eq(psal_dtype_size(PSAL_F32), 4);
    ck_assert_uint_eq(psal_dtype_size(PSAL_F64), 8);
    ck_assert_uint_eq(psal_dtype_size(PSAL_F16), 2);
    ck_assert_uint_eq(psal_dtype_size(PSAL_BF16), 2);
    ck_assert_uint_eq(psal_dtype_size(PSAL_I64), 8);
    ck_assert_uint_eq(psal_dtype_size(PSAL_BOOL), 1);
    ck_assert_uint_eq(psal_dtype_size(PSAL_DTYPE_COUNT), 0);
    ck_assert_uint_eq(psal_dtype_size((psal_dtype)-1), 0);
    ck_assert_str_eq(psal_dtype_name(PSAL_BF16), "bfloat16");
    ck_assert_str_eq(psal_dtype_name((psal_dtype)99), "unknown");
    for (int i = 0; i < PSAL_DTYPE_COUNT; i++) ck_assert_uint_gt(psal_dtype_size((psal_dtype)i), 0);
}
END_TEST

/* Tensors whose elements psal cannot read are there by name, type and shape. */
START_TEST(test_other_types) {
    psal_error err = PSAL_ERROR_INIT;
    const struct {
        const char *type;
        bool is_float;
    } types[] = {{"F8_E4M3", true},
                 {"F4", true},
                 {"torch.float8_e5m2", true},
                 {"BF4", true},
                 {"torch.complex64", true},
                 {"c16", true},
                 {"torch.quint8", true},
                 {"", true},
                 {"torch._utils._rebuild_sparse_tensor", true},
                 {"U16", false},
                 {"I128", false},
                 {"torch.uint16", false},
                 {"u4", false},
                 {"O", false},
                 {"S5", false},
                 {"M8[ns]", false},
                 {">i4", false},
                 {">f4", true},
                 {"V12", false}};
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape shape = PSAL_SHAPE(2, 3), bad = PSAL_SHAPE(-1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        ck_assert_int_eq(psal_tensor_map_add_other(map, types[i].type, types[i].type, &shape, &err), PSAL_OK);
        const psal_tensor *tensor = psal_tensor_map_get(map, types[i].type);
        ck_assert_int_eq(tensor->dtype, PSAL_OTHER);
        ck_assert_str_eq(psal_tensor_type(tensor), types[i].type);
        ck_assert_msg(psal_tensor_is_float(tensor) == types[i].is_float, "%s", types[i].type);
    }
    ck_assert_int_ne(psal_tensor_map_add_other(map, "bad", "F8", &bad, &err), PSAL_OK);
    ck_assert_int_ne(psal_tensor_map_add_other(map, "S5", "F8", &shape, &err), PSAL_OK);
    ck_assert_ptr_null(psal_tensor_map_add(map, "x", PSAL_OTHER, &shape, &err));
    ck_assert_int_ne(psal_tensor_map_add_view(map, "x", PSAL_OTHER, &shape, NULL, &err), PSAL_OK);
    ck_assert_uint_eq(psal_dtype_size(PSAL_OTHER), 0);
    float values[6] = {0};
    double doubles[6] = {0};
    psal_tensor_to_f32(psal_tensor_map_at(map, 0), values); /* never taken for zeros */
    psal_tensor_to_f64(psal_tensor_map_at(map, 0), doubles);
    for (int i = 0; i < 6; i++) ck_assert(isnan(values[i]) && isnan(doubles[i]));
    psal_tensor_map_free(map);

    uint8_t byte = 1;
    psal_tensor integer = {PSAL_U8, PSAL_SHAPE(1), &byte}, real = {PSAL_BF16, PSAL_SHAPE(1), &byte};
    ck_assert(!psal_tensor_is_float(&integer) && psal_tensor_is_float(&real));
    ck_assert_str_eq(psal_tensor_type(&integer), "uint8");
}
END_TEST

START_TEST(test_shapes) {
    char text[96];
    psal_shape shape = PSAL_SHAPE(64, 3, 7, 5);
    ck_assert_int_eq(shape.ndim, 4);
    ck_assert_int_eq(psal_shape_count(&shape), 64 * 3 * 7 * 5);
    ck_assert_str_eq(psal_shape_format(&shape, text, sizeof text), "64x3x7x5");
    psal_shape other = PSAL_SHAPE(64, 3, 7, 6), shorter = PSAL_SHAPE(64, 3, 7);
    ck_assert(psal_shape_equal(&shape, &shape));
    ck_assert(!psal_shape_equal(&shape, &other));
    ck_assert(!psal_shape_equal(&shape, &shorter));

    psal_shape rows = PSAL_SHAPE(5, 1), column = PSAL_SHAPE(2, 3, 1, 4), both, expected = PSAL_SHAPE(2, 3, 5, 4);
    ck_assert(psal_shape_broadcast(&rows, &column, &both) && psal_shape_equal(&both, &expected));
    ck_assert(psal_shape_broadcast(&column, &rows, &both) && psal_shape_equal(&both, &expected));
    ck_assert(!psal_shape_broadcast(&shape, &other, &both) && !psal_shape_broadcast(&shorter, &shape, &both));

    psal_shape scalar = psal_shape_make(0, NULL);
    ck_assert(psal_shape_broadcast(&scalar, &shape, &both) && psal_shape_equal(&both, &shape));
    ck_assert_int_eq(psal_shape_count(&scalar), 1);
    ck_assert_str_eq(psal_shape_format(&scalar, text, sizeof text), "scalar");

    psal_shape empty = PSAL_SHAPE(0, INT64_MAX, INT64_MAX), empty_last = PSAL_SHAPE(INT64_MAX, INT64_MAX, 0);
    ck_assert_int_eq(psal_shape_count(&empty), 0);
    ck_assert_int_eq(psal_shape_count(&empty_last), 0);
    psal_shape negative = PSAL_SHAPE(3, -1), zero_and_negative = PSAL_SHAPE(0, -1);
    ck_assert_int_eq(psal_shape_count(&negative), -1);
    ck_assert_int_eq(psal_shape_count(&zero_and_negative), -1);
    psal_shape huge = PSAL_SHAPE(INT64_MAX), square = PSAL_SHAPE(INT64_C(1) << 32, INT64_C(1) << 32);
    ck_assert_int_eq(psal_shape_count(&huge), -1);
    ck_assert_int_eq(psal_shape_count(&square), -1);
    psal_shape largest = PSAL_SHAPE(INT64_MAX / 16), beyond = PSAL_SHAPE(INT64_MAX / 16 + 1);
    ck_assert_int_eq(psal_shape_count(&largest), INT64_MAX / 16);
    ck_assert_int_eq(psal_shape_count(&beyond), -1);
    int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    psal_shape deep = psal_shape_make(9, nine), below = {.ndim = -1};
    ck_assert_int_eq(psal_shape_count(&deep), -1);
    ck_assert_int_eq(psal_shape_count(&below), -1);

    /* Cut, but terminated, for every size of the buffer. */
    for (size_t size = 1; size < 10; size++) {
        memset(text, 'x', sizeof text);
        psal_shape_format(&shape, text, size);
        ck_assert_uint_lt(strnlen(text, size), size);
        ck_assert_int_eq(text[size], 'x');
        ck_assert_int_eq(strncmp("64x3x7x5", text, strlen(text)), 0);
    }
}
END_TEST

/* From the definition of binary16, in double. */
static double f16_value(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double magnitude = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

START_TEST(test_f16_every_value) {
    for (uint32_t half = 0; half < 65536; half++) {
        float value = psal_f16_to_f32((uint16_t)half);
        double expected = f16_value((uint16_t)half);
        if (isnan(expected)) {
            ck_assert_msg(isnan(value) && isnan(psal_f16_to_f32(psal_f16_from_f32(value))), "half %04x", half);
            ck_assert_uint_eq(bits_of(value) >> 31, half >> 15);
            continue;
        }
        ck_assert_msg(value == expected && bits_of(value) >> 31 == half >> 15, "half %04x: %g, expected %g", half,
                      value, expected);
        ck_assert_msg(psal_f16_from_f32(value) == half, "half %04x comes back as %04x", half, psal_f16_from_f32(value));
    }
}
END_TEST

START_TEST(test_f16_rounds_to_nearest_even) {
    /* Between every pair of neighbours: the tie goes to the even one, a hair beside it to the
     * nearer. */
    for (uint32_t half = 0; half < 0x7bff; half++) {
        float low = psal_f16_to_f32((uint16_t)half), high = psal_f16_to_f32((uint16_t)(half + 1));
        float middle = low + (high - low) / 2; /* exact: one bit more than a half has */
        uint16_t even = (uint16_t)(half & 1 ? half + 1 : half);
        ck_assert_msg(psal_f16_from_f32(middle) == even, "tie above %04x gives %04x", half, psal_f16_from_f32(middle));
        ck_assert_uint_eq(psal_f16_from_f32(-middle), even | 0x8000);
        ck_assert_uint_eq(psal_f16_from_f32(nextafterf(middle, -1)), half);
        ck_assert_uint_eq(psal_f16_from_f32(nextafterf(middle, 1e9f)), half + 1);
    }
    ck_assert_uint_eq(psal_f16_from_f32(65504.0f), 0x7bff);
    ck_assert_uint_eq(psal_f16_from_f32(nextafterf(65520.0f, 0)), 0x7bff);
    ck_assert_uint_eq(psal_f16_from_f32(65520.0f), 0x7c00);
    ck_assert_uint_eq(psal_f16_from_f32(1e30f), 0x7c00);
    ck_assert_uint_eq(psal_f16_from_f32(-INFINITY), 0xfc00);
    ck_assert_uint_eq(psal_f16_from_f32(0x1p-149f), 0);
    ck_assert_uint_eq(psal_f16_from_f32(-0.0f), 0x8000);
    ck_assert(isnan(psal_f16_to_f32(psal_f16_from_f32(NAN))));
}
END_TEST

START_TEST(test_bf16) {
    for (uint32_t brain = 0; brain < 65536; brain++)
        ck_assert_uint_eq(bits_of(psal_bf16_to_f32((uint16_t)brain)), brain << 16);
    ck_assert(psal_bf16_to_f32(0x3f80) == 1.0f && psal_bf16_to_f32(0xc000) == -2.0f);
}
END_TEST

static void expect_values(psal_dtype dtype, void *data, double first, double second) {
    psal_tensor tensor = {dtype, PSAL_SHAPE(2), data};
    float f32[3] = {0, 0, 77};
    double f64[3] = {0, 0, 77};
    psal_tensor_to_f32(&tensor, f32);
    psal_tensor_to_f64(&tensor, f64);
    ck_assert_msg(f32[0] == (float)first && f32[1] == (float)second && f32[2] == 77, "%s: %g %g",
                  psal_dtype_name(dtype), f32[0], f32[1]);
    ck_assert_msg(f64[0] == first && f64[1] == second && f64[2] == 77, "%s: %g %g", psal_dtype_name(dtype), f64[0],
                  f64[1]);
}

START_TEST(test_conversions) {
    expect_values(PSAL_F32, (float[]){1.5f, -3e38f}, 1.5, -3e38f);
    expect_values(PSAL_F64, (double[]){0.1, -1e300}, 0.1, -1e300);
    expect_values(PSAL_F16, (uint16_t[]){0x3c00, 0xfbff}, 1, -65504);
    expect_values(PSAL_BF16, (uint16_t[]){0x3f80, 0xc040}, 1, -3);
    expect_values(PSAL_I64, (int64_t[]){-5, INT64_C(1) << 60}, -5, 0x1p60);
    expect_values(PSAL_I32, (int32_t[]){INT32_MIN, 16777217}, INT32_MIN, 16777217);
    expect_values(PSAL_I16, (int16_t[]){-32768, 7}, -32768, 7);
    expect_values(PSAL_I8, (int8_t[]){-128, 127}, -128, 127);
    expect_values(PSAL_U8, (uint8_t[]){255, 1}, 255, 1);
    expect_values(PSAL_BOOL, (uint8_t[]){1, 0}, 1, 0);
    expect_values(PSAL_BOOL, (uint8_t[]){2, 0}, 1, 0);

    float untouched = 5;
    psal_tensor empty = {PSAL_F32, PSAL_SHAPE(3, 0), NULL};
    psal_tensor_to_f32(&empty, &untouched);
    ck_assert(untouched == 5);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/tensor");
    TCase *cases = tcase_create("tensor");
    tcase_add_test(cases, test_dtypes);
    tcase_add_test(cases, test_other_types);
    tcase_add_test(cases, test_shapes);
    tcase_add_test(cases, test_f16_every_value);
    tcase_add_test(cases, test_f16_rounds_to_nearest_even);
    tcase_add_test(cases, test_bf16);
    tcase_add_test(cases, test_conversions);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
