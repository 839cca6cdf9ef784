#include "io/tfjs.h"

#include <sys/stat.h>

#include "damage.h"

static const char topology[] =
    "\"modelTopology\": {\"keras_version\": \"2.2.4-tf\", \"model_config\": {\"class_name\": "
    "\"Model\", \"config\": {\"name\": \"net\", \"layers\": ["
    "{\"class_name\": \"Conv2D\", \"config\": {\"name\": \"c1\", \"strides\": [2, 1]}},"
    "{\"class_name\": \"BatchNormalization\", \"config\": {\"name\": \"b1\", \"epsilon\": 0.001}},"
    "{\"class_name\": \"BatchNormalization\", \"config\": {\"name\": \"b2\", \"epsilon\": 0.001}},"
    "{\"class_name\": \"Conv2D\", \"config\": {\"name\": \"c2\", \"strides\": [1, 1]}}]}}}";

static const char weights[] = "{\"name\": \"c1/kernel\", \"shape\": [2, 2], \"dtype\": \"float32\"},"
                              "{\"name\": \"flag\", \"shape\": [], \"dtype\": \"bool\"},"
                              "{\"name\": \"c1/bias\", \"shape\": [3], \"dtype\": \"float32\"}";

/* 16 + 1 + 12 bytes in three shards: the second weight shifts the third off its alignment. */
static void write_model(const char *paths, const char *entries, const char *rest) {
    char text[4000];
    uint8_t data[29];
    for (int i = 0; i < 4; i++) memcpy(data + 4 * i, &(float){(float)i}, 4);
    data[16] = 1;
    for (int i = 0; i < 3; i++) memcpy(data + 17 + 4 * i, &(float){10.5f + (float)i}, 4);
    write_bytes(in_folder("1.bin"), data, 16);
    write_bytes(in_folder("2.bin"), data + 16, 6);
    mkdir(in_folder("sub"), 0777);
    write_bytes(in_folder("sub/3.bin"), data + 22, 7);
    snprintf(text, sizeof text,
             "{\"format\": \"layers-model\", \"weightsManifest\": [{\"paths\": [%s], \"weights\": "
             "[%s]}]%s%s}",
             paths, entries, *rest ? "," : "", rest);
    write_bytes(in_folder("model.json"), text, strlen(text));
}

#define PATHS "\"1.bin\", \"2.bin\", \"sub/3.bin\""

START_TEST(test_reading) {
    psal_error err = PSAL_ERROR_INIT;
    write_model(PATHS, weights, topology);
    for (int folder = 0; folder < 2; folder++) {
        psal_tensor_map *map = psal_tfjs_read(folder ? damage_folder : in_folder("model.json"), &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        touch(map);
        ck_assert_uint_eq(psal_tensor_map_count(map), 3);
        const psal_tensor *kernel = psal_tensor_map_get(map, "c1/kernel"), *bias = psal_tensor_map_get(map, "c1/bias");
        ck_assert_int_eq(kernel->shape.ndim, 2);
        ck_assert(((float *)kernel->data)[3] == 3);
        ck_assert(((float *)bias->data)[0] == 10.5f && ((float *)bias->data)[2] == 12.5f);
        ck_assert_int_eq(psal_tensor_map_get(map, "flag")->dtype, PSAL_BOOL);
        ck_assert_str_eq(psal_tensor_map_meta(map, "format"), "tfjs-layers");
        ck_assert_str_eq(psal_tensor_map_meta(map, "keras.model"), "net");
        ck_assert_str_eq(psal_tensor_map_meta(map, "keras.class"), "Model");
        ck_assert_str_eq(psal_tensor_map_meta(map, "keras.version"), "2.2.4-tf");
        ck_assert_str_eq(psal_tensor_map_meta(map, "keras.layers"),
                         "c1 Conv2D\nb1 BatchNormalization\nb2 BatchNormalization\nc2 Conv2D\n");
        ck_assert_str_eq(psal_tensor_map_meta(map, "keras.strides"), "c1 2x1\n");
        ck_assert_str_eq(psal_tensor_map_meta(map, "keras.batch_norm_epsilon"), "0.001");
        psal_tensor_map_free(map);
    }
    /* From inside the folder: no slash in the path. */
    char old[500];
    ck_assert_ptr_nonnull(getcwd(old, sizeof old));
    ck_assert_int_eq(chdir(damage_folder), 0);
    psal_tensor_map *map = psal_tfjs_read("model.json", &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    psal_tensor_map_free(map);
    ck_assert_int_eq(chdir(old), 0);
}
END_TEST

START_TEST(test_strange_topologies) {
    psal_error err = PSAL_ERROR_INIT;
    const char *const strange[] = {
        "", "\"modelTopology\": 3", "\"modelTopology\": {\"config\": [1, {\"config\": 2}]}",
        "\"modelTopology\": {\"model_config\": []}",
        "\"modelTopology\": {\"config\": {\"layers\": [{\"class_name\": \"BatchNormalization\", \"config\": {\"name\": "
        "\"a\", \"epsilon\": 1}},{\"class_name\": \"BatchNormalization\", \"config\": {\"name\": \"b\", \"epsilon\": "
        "2}}]}}"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        write_model(PATHS, weights, strange[i]);
        psal_tensor_map *map = psal_tfjs_read(damage_folder, &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        ck_assert_ptr_null(psal_tensor_map_meta(map, "keras.batch_norm_epsilon"));
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_quantised) {
    psal_error err = PSAL_ERROR_INIT;
    write_bytes(in_folder("q.bin"), "\x00\xff\x02\x34\x12\xff\xff\x00\x3c", 9);
    const char *model = "{\"weightsManifest\": [{\"paths\": [\"q.bin\"], \"weights\": ["
                        "{\"name\": \"a\", \"shape\": [3], \"dtype\": \"float32\", "
                        "\"quantization\": {\"dtype\": \"uint8\", \"scale\": 0.1, \"min\": -1}},"
                        "{\"name\": \"b\", \"shape\": [2], \"dtype\": \"float32\", "
                        "\"quantization\": {\"dtype\": \"uint16\", \"scale\": 0.5, \"min\": 2.25}},"
                        "{\"name\": \"c\", \"shape\": [1], \"dtype\": \"float32\", "
                        "\"quantization\": {\"dtype\": \"float16\"}}]}]}";
    write_bytes(in_folder("model.json"), model, strlen(model));
    psal_tensor_map *map = psal_tfjs_read(damage_folder, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    const float *a = psal_tensor_map_get(map, "a")->data, *b = psal_tensor_map_get(map, "b")->data,
                *c = psal_tensor_map_get(map, "c")->data;
    ck_assert(a[0] == -1.0f && a[1] == (float)(255 * 0.1 - 1) && a[2] == (float)(2 * 0.1 - 1));
    ck_assert(b[0] == 0x1234 * 0.5f + 2.25f && b[1] == 65535 * 0.5f + 2.25f);
    ck_assert(c[0] == 1.0f);
    psal_tensor_map_free(map);
}
END_TEST

static void expect_refused(const char *paths, const char *entries, const char *rest, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    write_model(paths, entries, rest);
    psal_tensor_map *map = psal_tfjs_read(damage_folder, &err);
    ck_assert_msg(map == NULL, "taken, expected %s", reason);
    ck_assert_msg(strstr(err.message, damage_folder) && strstr(err.message, reason), "expected %s, got %s", reason,
                  err.message);
}

START_TEST(test_refusals) {
    expect_refused("", weights, "", "group of 0 weight files");
    expect_refused("\"1.bin\", \"2.bin\"", weights, "", "c1/bias needs 12 bytes, the weight files hold 5 more");
    write_bytes(in_folder("4.bin"), "0123456789abcdef", 16);
    expect_refused(PATHS ", \"4.bin\"", weights, "", "hold 45 bytes, the weights need 29");
    expect_refused(PATHS ", \"1.bin\"", weights, "", "'1.bin' is listed twice");
    expect_refused(PATHS ", \".//sub/./3.bin\"", weights, "", "'.//sub/./3.bin' is listed twice");
    expect_refused("\"9.bin\"", weights, "", "No such file");
    expect_refused("\"../1.bin\"", weights, "", "outside the model's folder");
    expect_refused("\"sub/../../1.bin\"", weights, "", "outside the model's folder");
    expect_refused("\"sub/..\"", weights, "", "outside the model's folder");
    expect_refused("\"/etc/passwd\"", weights, "", "outside the model's folder");
    expect_refused("\"..\\\\1.bin\"", weights, "", "outside the model's folder");
    expect_refused("\"file:x\"", weights, "", "outside the model's folder");
    expect_refused("\"\"", weights, "", "outside the model's folder");
    expect_refused("3", weights, "", "outside the model's folder");
    expect_refused("\"sub\"", weights, "", "is a folder");
    expect_refused(PATHS, "{\"shape\": [1], \"dtype\": \"float32\"}", "", "without a name");
    expect_refused(PATHS, "{\"name\": \"x\", \"dtype\": \"float32\"}", "", "x: bad shape");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [-4], \"dtype\": \"float32\"}", "", "impossible shape");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [1.5], \"dtype\": \"float32\"}", "", "bad shape");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [1,1,1,1,1,1,1,1,1], \"dtype\": \"float32\"}", "", "bad shape");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [500000000000000000], \"dtype\": \"float32\"}", "",
                   "x needs 2000000000000000000 bytes");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [4611686018427387904, 4], \"dtype\": \"float32\"}", "",
                   "impossible shape");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [1], \"dtype\": \"string\"}", "", "cannot read dtype string");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [1], \"dtype\": \"uint16\"}", "", "cannot read dtype uint16");
    expect_refused(PATHS, "{\"name\": \"x\", \"shape\": [1]}", "", "cannot read dtype (none)");
    expect_refused(PATHS,
                   "{\"name\": \"x\", \"shape\": [1], \"dtype\": \"float32\", \"quantization\": "
                   "{\"dtype\": \"uint8\", \"scale\": 1}}",
                   "", "bad quantisation");
    expect_refused(PATHS,
                   "{\"name\": \"x\", \"shape\": [1], \"dtype\": \"float32\", \"quantization\": "
                   "{\"dtype\": \"int32\", \"scale\": 1, \"min\": 1}}",
                   "", "bad quantisation");
    expect_refused(PATHS,
                   "{\"name\": \"x\", \"shape\": [1], \"dtype\": \"int32\", \"quantization\": "
                   "{\"dtype\": \"uint8\", \"scale\": 1, \"min\": 1}}",
                   "", "cannot read dtype int32 stored as uint8");
    expect_refused(PATHS,
                   "{\"name\": \"flag\", \"shape\": [1], \"dtype\": \"bool\"}, {\"name\": "
                   "\"flag\", \"shape\": [1], \"dtype\": \"bool\"}",
                   "", "flag occurs twice");
    expect_refused(PATHS, weights, "\"format\": 1, \"format\": 2", "duplicate");
}
END_TEST

static bool reader(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_tfjs_read(path, err);
    touch(map);
    psal_tensor_map_free(map);
    /* Some damage is to the name of a shard: the message then names that one, in the same folder.
     */
    if (!map && err->status != PSAL_OK && strstr(err->message, damage_folder)) psal_fail_prefix(err, "%s", path);
    return map != NULL;
}

START_TEST(test_damage) {
    write_model(PATHS, weights,
                "\"modelTopology\": {\"config\": {\"layers\": [{\"class_name\": \"Conv2D\", "
                "\"config\": {\"name\": \"c1\", \"strides\": [2, 1]}}]}}");
    size_t size;
    uint8_t *bytes = read_bytes(in_folder("model.json"), &size);
    ck_assert_int_eq(damage_everywhere(bytes, size, in_folder("bad.json"), reader), 0);
    free(bytes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/tfjs");
    TCase *cases = tcase_create("tfjs");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_reading);
    tcase_add_test(cases, test_strange_topologies);
    tcase_add_test(cases, test_quantised);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_damage);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
