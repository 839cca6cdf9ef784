#include "io/npy.h"

#include <zlib.h>

#include "damage.h"
#include "zip_writer.h"

/* A version 1 .npy file; returns its size. */
static size_t make_npy(uint8_t *to, const char *header, const void *data, size_t size) {
    size_t length = strlen(header);
    memcpy(to, "\x93NUMPY\x01\x00", 8);
    to[8] = (uint8_t)length;
    to[9] = (uint8_t)(length >> 8);
    memcpy(to + 10, header, length);
    memcpy(to + 10 + length, data, size);
    return 10 + length + size;
}

static psal_tensor_map *read_made(const char *header, const void *data, size_t size, psal_error *err) {
    uint8_t bytes[1000];
    write_bytes(in_folder("a.npy"), bytes, make_npy(bytes, header, data, size));
    psal_tensor_map *map = psal_npy_read(in_folder("a.npy"), err);
    touch(map);
    return map;
}

START_TEST(test_round_trip_of_every_type) {
    psal_error err = PSAL_ERROR_INIT;
    for (int dtype = 0; dtype < PSAL_DTYPE_COUNT; dtype++) {
        uint8_t data[48];
        for (int i = 0; i < 48; i++) data[i] = (uint8_t)(dtype == PSAL_BOOL ? i % 2 : i * 5 + 1);
        psal_shape shapes[] = {PSAL_SHAPE(2, 3), PSAL_SHAPE(6), psal_shape_make(0, NULL), PSAL_SHAPE(0, 3),
                               PSAL_SHAPE(1, 1, 1, 2, 1, 1, 1, 3)};
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            psal_tensor tensor = {(psal_dtype)dtype, shapes[s], data};
            ck_assert_msg(psal_npy_write(in_folder("a.npy"), &tensor, &err) == PSAL_OK, "%s", err.message);
            psal_tensor_map *map = psal_npy_read(in_folder("a.npy"), &err);
            ck_assert_msg(map != NULL, "%s", err.message);
            const psal_tensor *got = psal_tensor_map_get(map, "array");
            ck_assert(psal_shape_equal(&got->shape, &shapes[s]));
            ck_assert_int_eq(got->dtype, dtype == PSAL_BF16 ? PSAL_F32 : (psal_dtype)dtype);
            int64_t count = psal_shape_count(&shapes[s]);
            if (dtype == PSAL_BF16)
                for (int64_t i = 0; i < count; i++)
                    ck_assert(((float *)got->data)[i] ==
                              psal_bf16_to_f32((uint16_t)(data[2 * i] | data[2 * i + 1] << 8)));
            else
                ck_assert_mem_eq(got->data, data, (size_t)count * psal_dtype_size((psal_dtype)dtype));
            psal_tensor_map_free(map);
        }
    }
    psal_tensor bad = {PSAL_F32, PSAL_SHAPE(-1), NULL}, good = {PSAL_F32, PSAL_SHAPE(1), &(float){1}};
    ck_assert_int_eq(psal_npy_write(in_folder("b.npy"), &bad, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_npy_write("/dev/full", &good, &err), PSAL_ERR_IO);
    ck_assert_int_eq(psal_npy_write(in_folder("no/b.npy"), &good, &err), PSAL_ERR_IO);
}
END_TEST

START_TEST(test_headers) {
    psal_error err = PSAL_ERROR_INIT;
    const float data[6] = {0, 1, 2, 3, 4, 5};
    psal_tensor_map *map = read_made("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", data, 24, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    /* Column by column in the file: element (i, j) is i + 2 j. */
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            ck_assert(((float *)psal_tensor_map_at(map, 0)->data)[i * 3 + j] == (float)(i + 2 * j));
    psal_tensor_map_free(map);

    const char *fine[] = {"{\"shape\":(6L,),\"fortran_order\":False,\"descr\":\"<f4\"}",
                          "{'descr': '=f4', 'fortran_order': False, 'shape': (1,6,) , } ",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 12), }",
                          "{'descr': '|b1', 'fortran_order': False, 'shape': (24,), }"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        map = read_made(fine[i], data, 24, &err);
        ck_assert_msg(map != NULL, "%s: %s", fine[i], err.message);
        psal_tensor_map_free(map);
    }
    map = read_made("{'descr': '<f4', 'fortran_order': True, 'shape': "
                    "(0,999999999999999999,999999999999999999), }",
                    data, 0, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    psal_tensor_map_free(map);
    const struct {
        const char *header, *reason;
    } bad[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }", "type >f4"},
        {"{'descr': '<u4', 'fortran_order': False, 'shape': (6,), }", "type <u4"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "type |O"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", "type V"},
        {"{'descr': [('a', '<f4'], 'fortran_order': False, 'shape': (6,), }", "damaged"},
        {"{'descr': [('a', '<f4", "damaged"},
        {"{'descr': ], 'fortran_order': False, 'shape': (6,), }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", "truncated"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", "has not 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,), }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': "
         "(999999999999999999,999999999999999999), }",
         "has not"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6), }", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False}", "damaged"},
        {"{'descr': '<f4', 'shape': (6,)}", "damaged"},
        {"{'shape': (6,), 'fortran_order': False}", "damaged"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'x': 1}", "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)} x", "damaged"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (6,)}", "damaged"},
        {"", "damaged"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        map = read_made(bad[i].header, data, 24, &err);
        ck_assert_msg(map == NULL, "taken: %s", bad[i].header);
        ck_assert_msg(strstr(err.message, bad[i].reason) && strstr(err.message, "a.npy"), "%s: %s", bad[i].header,
                      err.message);
    }
}
END_TEST

START_TEST(test_versions) {
    psal_error err = PSAL_ERROR_INIT;
    const char *header = "{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }";
    uint8_t bytes[100] = "\x93NUMPY\x02\x00";
    size_t length = strlen(header);
    bytes[8] = (uint8_t)length;
    memcpy(bytes + 12, header, length);
    bytes[12 + length] = 7;
    for (int version = 0; version < 6; version++) {
        bytes[6] = (uint8_t)version;
        write_bytes(in_folder("a.npy"), bytes, 12 + length + 2);
        psal_tensor_map *map = psal_npy_read(in_folder("a.npy"), &err);
        ck_assert_int_eq(map != NULL, version == 2 || version == 3);
        if (map) ck_assert_int_eq(*(int16_t *)psal_tensor_map_at(map, 0)->data, 7);
        psal_tensor_map_free(map);
    }
}
END_TEST

static bool npy_reader(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_npy_read(path, err);
    touch(map);
    psal_tensor_map_free(map);
    return map != NULL;
}

static bool npz_reader(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_npz_read(path, err);
    touch(map);
    psal_tensor_map_free(map);
    return map != NULL;
}

START_TEST(test_damaged_npy) {
    uint8_t bytes[200];
    size_t size = make_npy(bytes, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", (float[6]){1, 2, 3},
                           24);
    ck_assert_int_eq(damage_everywhere(bytes, size, in_folder("bad.npy"), npy_reader), 0);
}
END_TEST

static size_t make_npz(uint8_t *to, int method) {
    struct zip_writer zip = {.to = to};
    uint8_t bytes[200];
    size_t size = make_npy(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }\n", (float[6]){1, 2, 3},
                           24);
    zip_add(&zip, "layer.weight.npy", bytes, size, method);
    size = make_npy(bytes, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", &(int64_t){-3}, 8);
    zip_add(&zip, "steps.npy", bytes, size, method);
    return zip_end(&zip);
}

START_TEST(test_npz) {
    psal_error err = PSAL_ERROR_INIT;
    uint8_t bytes[4000];
    for (int method = 0; method <= 8; method += 8) {
        write_bytes(in_folder("a.npz"), bytes, make_npz(bytes, method));
        psal_tensor_map *map = psal_npz_read(in_folder("a.npz"), &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        touch(map);
        ck_assert_uint_eq(psal_tensor_map_count(map), 2);
        ck_assert(((float *)psal_tensor_map_get(map, "layer.weight")->data)[2] == 3);
        ck_assert_int_eq(*(int64_t *)psal_tensor_map_get(map, "steps")->data, -3);
        psal_tensor_map_free(map);
    }
    struct zip_writer zip = {.to = bytes};
    zip_add(&zip, "readme.txt", "hello", 5, 0);
    write_bytes(in_folder("a.npz"), bytes, zip_end(&zip));
    ck_assert_ptr_null(psal_npz_read(in_folder("a.npz"), &err));
    ck_assert_msg(strstr(err.message, "readme.txt is no .npy") && strstr(err.message, "a.npz"), "%s", err.message);
}
END_TEST

START_TEST(test_damaged_npz) {
    uint8_t bytes[4000];
    for (int method = 0; method <= 8; method += 8) {
        size_t size = make_npz(bytes, method);
        ck_assert_int_eq(damage_everywhere(bytes, size, in_folder("bad.npz"), npz_reader), 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/npy");
    TCase *cases = tcase_create("npy");
    tcase_set_timeout(cases, 200);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_round_trip_of_every_type);
    tcase_add_test(cases, test_headers);
    tcase_add_test(cases, test_versions);
    tcase_add_test(cases, test_damaged_npy);
    tcase_add_test(cases, test_npz);
    tcase_add_test(cases, test_damaged_npz);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
