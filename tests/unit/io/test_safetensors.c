#include "io/safetensors.h"

#include "damage.h"

static psal_tensor_map *sample(void) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape matrix = PSAL_SHAPE(2, 3), three = PSAL_SHAPE(3), scalar = psal_shape_make(0, NULL),
               none = PSAL_SHAPE(0, 4);
    void *data = psal_tensor_map_add(map, "mask", PSAL_BOOL, &three, &err);
    ((uint8_t *)data)[1] = 1;
    data = psal_tensor_map_add(map, "weight \"\\ \xc3\xa4", PSAL_F32, &matrix, &err);
    for (int i = 0; i < 6; i++) ((float *)data)[i] = (float)i - 2.5f;
    data = psal_tensor_map_add(map, "half", PSAL_F16, &three, &err);
    for (int i = 0; i < 3; i++) ((uint16_t *)data)[i] = psal_f16_from_f32((float)i);
    data = psal_tensor_map_add(map, "steps", PSAL_I64, &scalar, &err);
    *(int64_t *)data = -7;
    psal_tensor_map_add(map, "none", PSAL_F64, &none, &err);
    psal_tensor_map_set_meta(map, "architecture", "resnet50", &err);
    psal_tensor_map_set_meta(map, "a", "line\nbreak", &err);
    return map;
}

static void expect_equal(const psal_tensor_map *got, const psal_tensor_map *expected) {
    ck_assert_uint_eq(psal_tensor_map_count(got), psal_tensor_map_count(expected));
    for (size_t i = 0; i < psal_tensor_map_count(expected); i++) {
        const psal_tensor *a = psal_tensor_map_at(expected, i),
                          *b = psal_tensor_map_get(got, psal_tensor_map_name(expected, i));
        ck_assert_msg(b != NULL, "%s is missing", psal_tensor_map_name(expected, i));
        ck_assert_int_eq(a->dtype, b->dtype);
        ck_assert(psal_shape_equal(&a->shape, &b->shape));
        ck_assert_mem_eq(a->data, b->data, (size_t)psal_shape_count(&a->shape) * psal_dtype_size(a->dtype));
    }
    ck_assert_uint_eq(psal_tensor_map_meta_count(got), psal_tensor_map_meta_count(expected));
    for (size_t i = 0; i < psal_tensor_map_meta_count(expected); i++) {
        const char *key = psal_tensor_map_meta_key(expected, i);
        ck_assert_str_eq(psal_tensor_map_meta_key(got, i), key);
        ck_assert_str_eq(psal_tensor_map_meta(got, key), psal_tensor_map_meta(expected, key));
    }
}

START_TEST(test_round_trip) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = sample();
    const char *path = in_folder("a.safetensors"), *again = in_folder("b.safetensors");
    ck_assert_msg(psal_safetensors_write(path, map, &err) == PSAL_OK, "%s", err.message);
    psal_tensor_map *got = psal_safetensors_read(path, &err);
    ck_assert_msg(got != NULL, "%s", err.message);
    expect_equal(got, map);
    /* Written again, from what was read: the same bytes. */
    ck_assert_int_eq(psal_safetensors_write(again, got, &err), PSAL_OK);
    size_t size, size_again;
    uint8_t *bytes = read_bytes(path, &size), *bytes_again = read_bytes(again, &size_again);
    ck_assert_uint_eq(size, size_again);
    ck_assert_mem_eq(bytes, bytes_again, size);
    uint64_t header;
    memcpy(&header, bytes, 8);
    ck_assert_uint_eq((8 + header) % 64, 0);
    free(bytes);
    free(bytes_again);
    psal_tensor_map_free(got);
    psal_tensor_map_free(map);

    map = psal_tensor_map_new(); /* nothing at all */
    ck_assert_int_eq(psal_safetensors_write(path, map, &err), PSAL_OK);
    got = psal_safetensors_read(path, &err);
    ck_assert_msg(got != NULL, "%s", err.message);
    expect_equal(got, map);
    psal_tensor_map_free(got);
    psal_tensor_map_free(map);
}
END_TEST

static void expect_refused(const char *header, size_t data, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    uint8_t bytes[4096] = {0};
    uint64_t length = strlen(header);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    const char *path = in_folder("bad.safetensors");
    write_bytes(path, bytes, 8 + length + data);
    psal_tensor_map *map = psal_safetensors_read(path, &err);
    if (!reason) {
        ck_assert_msg(map != NULL, "%s", err.message);
        touch(map);
        psal_tensor_map_free(map);
        return;
    }
    ck_assert_msg(map == NULL, "taken: %s", header);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, reason), "expected %s, got: %s", reason,
                  err.message);
}

START_TEST(test_refusals) {
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NULL);
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   ", 8,
                   NULL); /* unaligned: copied */
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7,
                   "tensor w: bytes 0 to 8 are outside");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "1 bytes at the end");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "needs 12 bytes");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "shape -2");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,2],\"data_offsets\":[0,8]}}", 8,
                   "impossible shape");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
                   "impossible shape");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]}}", 8, "bad JSON");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "bad shape");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8,
                   "9 dimensions");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "outside");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "outside");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,16]}}", 8, "data_offsets missing");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets missing");
    expect_refused("{\"w\":3}", 0, "missing");
    expect_refused("{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                   "\"v\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
                   7, "w and v overlap");
    expect_refused("{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                   "\"v\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[5,9]}}",
                   9, "before tensor v");
    expect_refused("{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                   "\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
                   8, "duplicate");
    expect_refused("{\"__metadata__\":{\"a\":1}}", 0, "metadata a");
    expect_refused("{\"__metadata__\":[]}", 0, "__metadata__");
    expect_refused("{\"a\\u0000b\":{}}", 0, "bad JSON");
    expect_refused("[]", 0, "not an object");
    expect_refused("{} x", 0, "bad JSON");
}
END_TEST

/* What other writers put into a header, and psal has no use for. */
START_TEST(test_lenience) {
    const char *const good[] = {
        "{\"__metadata__\":null,\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":{\"a\":null,\"b\":\"c\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":[1]}}       ",
        "{\"w\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"e\":{\"dtype\":\"F32\",\"shape\":[0,3],"
        "\"data_offsets\":[0,0]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_"
        "offsets\":[4,4]}}",
        "{\"w\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F4\",\"shape\":[16],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"of 2040\",\"shape\":[5],\"data_offsets\":[0,8]}}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) expect_refused(good[i], 8, NULL);
    expect_refused("{\"w\":{\"dtype\":\"U16\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "U16 3 needs 6 bytes");
    expect_refused("{\"w\":{\"dtype\":\"F8_E5M2\",\"shape\":[8],\"data_offsets\":[0,9]}}", 8, "outside");
    expect_refused("{\"w\":{\"dtype\":\"future\",\"shape\":[8],\"data_offsets\":[0,4]}}", 8, "4 bytes at the end");
    expect_refused("{\"w\":{\"dtype\":\"F8\",\"shape\":[-8],\"data_offsets\":[0,8]}}", 8, "impossible shape");
    expect_refused("{\"w\":{\"dtype\":8,\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "dtype");

    /* By name and type, and never written as something else. */
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape shape = PSAL_SHAPE(2);
    ck_assert_int_eq(psal_tensor_map_add_other(map, "scale", "F8_E4M3", &shape, &err), PSAL_OK);
    ck_assert_int_ne(psal_safetensors_write(in_folder("other.safetensors"), map, &err), PSAL_OK);
    ck_assert_msg(strstr(err.message, "tensor scale holds F8_E4M3") != NULL, "%s", err.message);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_header_sizes) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_folder("bad.safetensors");
    for (int bit = 0; bit < 64; bit++) {
        uint64_t size = UINT64_C(1) << bit;
        char bytes[10] = "--------{}";
        memcpy(bytes, &size, 8);
        write_bytes(path, bytes, sizeof bytes);
        psal_tensor_map *map = psal_safetensors_read(path, &err);
        ck_assert_int_eq(map != NULL, size == 2);
        psal_tensor_map_free(map);
    }
    ck_assert_ptr_null(psal_safetensors_read(in_folder("missing"), &err));
    ck_assert_msg(strstr(err.message, "missing: cannot be opened") != NULL, "%s", err.message);
    ck_assert_ptr_null(psal_safetensors_read(damage_folder, &err));
    ck_assert_msg(strstr(err.message, "is a folder") != NULL, "%s", err.message);
    ck_assert_ptr_null(psal_safetensors_read("/dev/zero", &err));

    /* Many brackets in few bytes. */
    size_t size = 4 << 20;
    uint8_t *bytes = malloc(size);
    memset(bytes, '[', size);
    uint64_t length = size - 8;
    memcpy(bytes, &length, 8);
    write_bytes(path, bytes, size);
    ck_assert_ptr_null(psal_safetensors_read(path, &err));
    ck_assert_msg(strstr(err.message, "objects and arrays") != NULL, "%s", err.message);
    free(bytes);
}
END_TEST

START_TEST(test_write_errors) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = sample();
    ck_assert_int_eq(psal_safetensors_write("/dev/full", map, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "/dev/full") != NULL, "%s", err.message);
    ck_assert_int_eq(psal_safetensors_write(in_folder("no/such/folder"), map, NULL), PSAL_ERR_IO);
    psal_shape shape = PSAL_SHAPE(1);
    psal_tensor_map_add(map, "bad \xff", PSAL_F32, &shape, &err);
    ck_assert_int_eq(psal_safetensors_write(in_folder("x"), map, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_ne(access(in_folder("x"), F_OK), 0);
    psal_tensor_map_rename(map, 5, "__metadata__", &err);
    ck_assert_int_eq(psal_safetensors_write(in_folder("x"), map, &err), PSAL_ERR_ARGUMENT);
    psal_tensor_map_remove(map, 5);
    psal_tensor_map_set_meta(map, "k", "\xff", &err);
    ck_assert_int_eq(psal_safetensors_write(in_folder("x"), map, &err), PSAL_ERR_ARGUMENT);
    psal_tensor_map_free(map);
}
END_TEST

static bool reader(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_safetensors_read(path, err);
    touch(map);
    psal_tensor_map_free(map);
    return map != NULL;
}

START_TEST(test_damage) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = sample();
    ck_assert_int_eq(psal_safetensors_write(in_folder("good"), map, &err), PSAL_OK);
    size_t size;
    uint8_t *bytes = read_bytes(in_folder("good"), &size);
    ck_assert_int_eq(damage_everywhere(bytes, size, in_folder("bad"), reader), 0);
    free(bytes);
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/safetensors");
    TCase *cases = tcase_create("safetensors");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_round_trip);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_lenience);
    tcase_add_test(cases, test_header_sizes);
    tcase_add_test(cases, test_write_errors);
    tcase_add_test(cases, test_damage);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
