#include "io/checkpoint.h"

#include <sys/stat.h>

#include "damage.h"
#include "io/safetensors.h"
#include "pickle_writer.h"

static uint8_t bytes[40000];

static void expect_refused(const char *path, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *map = psal_checkpoint_read(path, &notes, &err);
    ck_assert_msg(map == NULL, "taken, expected: %s", reason);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, reason), "expected %s, got %s", reason, err.message);
    ck_assert_ptr_null(psal_checkpoint_read(path, NULL, NULL));
    psal_notes_free(&notes);
}

#define EXPECT_REFUSED(contents, reason)                                \
    do {                                                                \
        write_bytes(in_folder("file"), contents, sizeof(contents) - 1); \
        expect_refused(in_folder("file"), reason);                      \
    } while (0)

START_TEST(test_what_it_is_instead) {
    EXPECT_REFUSED("", "is empty");
    EXPECT_REFUSED("\xff\xd8\xff\xe0 JFIF and so on", "is a JPEG image");
    EXPECT_REFUSED("\x89PNG\r\n\x1a\n....IHDR", "is a PNG image");
    EXPECT_REFUSED("GIF89a....", "is a GIF image");
    EXPECT_REFUSED("\x89HDF\r\n\x1a\n....", "HDF5");
    EXPECT_REFUSED("\x1f\x8b\x08....", "gzip");
    EXPECT_REFUSED("BZh9....", "bzip2");
    EXPECT_REFUSED("\xfd"
                   "7zXZ\x00...",
                   "xz");
    EXPECT_REFUSED("\x28\xb5\x2f\xfd...", "zstd");
    EXPECT_REFUSED("\x93NUMPY\x01\x00", "single NumPy array");
    EXPECT_REFUSED("%PDF-1.4", "PDF");
    EXPECT_REFUSED("version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer");
    EXPECT_REFUSED("\xef\xbb\xbf\n  <!doctype HTML><p>404", "is an HTML page (a failed download?)");
    EXPECT_REFUSED("<HTML>", "is an HTML page");
    EXPECT_REFUSED("<?xml version='1.0'?><Error>", "is an HTML page");
    EXPECT_REFUSED("some text\n", "is no checkpoint psal knows");
    EXPECT_REFUSED("x", "is no checkpoint psal knows");
    EXPECT_REFUSED("PK\x03\x04", "zip archive");
    EXPECT_REFUSED("\x80\x02", "truncated");
    EXPECT_REFUSED("\x80\x02}.", "holds no tensors");
    EXPECT_REFUSED("{\"a\": 1}", "weightsManifest");
    EXPECT_REFUSED("{", "bad JSON");
    EXPECT_REFUSED("\x02\0\0\0\0\0\0\0{}", "holds no tensors");
    EXPECT_REFUSED("\x02\0\0\0\0\0\0\0{x", "bad JSON");
    memset(bytes, 0, 1024);
    memcpy(bytes, "file.txt", 8);
    memcpy(bytes + 257, "ustar", 5);
    write_bytes(in_folder("file"), bytes, 1024);
    expect_refused(in_folder("file"), "tar archive");
    struct zip_writer zip = {.to = bytes};
    zip_add(&zip, "readme.txt", "hello", 5, 0);
    write_bytes(in_folder("file"), bytes, zip_end(&zip));
    expect_refused(in_folder("file"), "neither a PyTorch file");
    expect_refused(in_folder("missing"), "No such file");
    expect_refused(damage_folder, "model.json");
    expect_refused("/dev/null", "device");
}
END_TEST

static void expect_form(const char *format) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_checkpoint_read(in_folder("file"), NULL, &err);
    ck_assert_msg(map != NULL, "%s: %s", format, err.message);
    ck_assert_str_eq(psal_tensor_map_meta(map, "format"), format);
    ck_assert_mem_eq(psal_tensor_map_get(map, "w")->data, sample_floats, sizeof sample_floats);
    touch(map);
    psal_tensor_map_free(map);
}

START_TEST(test_every_form) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer pickle = {.size = 0}, legacy = {.size = 0}, plain = {.size = 0};
    put_sample(&pickle, 0);
    write_bytes(in_folder("file"), bytes, make_zip_form(bytes, &pickle, 0));
    expect_form("pth");
    put_sample(&legacy, 1);
    write_bytes(in_folder("file"), bytes, make_legacy_form(bytes, &legacy));
    expect_form("pth-legacy");

    PUT(&plain, "\x80\x04}\x8c\x01wcnumpy.core.numeric\n_frombuffer\n(B\x18\x00\x00\x00");
    put_bytes(&plain, sample_floats, 24);
    PUT(&plain, "cnumpy\ndtype\n\x8c\x02"
                "f4\x85RK\x06\x85\x8c\x01"
                "CtRs.");
    write_bytes(in_folder("file"), plain.bytes, plain.size);
    expect_form("pth-legacy");

    struct zip_writer zip = {.to = bytes};
    uint8_t npy[200] = "\x93NUMPY\x01\x00";
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }";
    npy[8] = (uint8_t)strlen(header);
    memcpy(npy + 10, header, strlen(header));
    memcpy(npy + 10 + strlen(header), sample_floats, 24);
    zip_add(&zip, "w.npy", npy, 34 + strlen(header), 8);
    write_bytes(in_folder("file"), bytes, zip_end(&zip));
    expect_form("npz");

    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape six = PSAL_SHAPE(6);
    psal_tensor_map_add_view(map, "w", PSAL_F32, &six, sample_floats, &err);
    ck_assert_int_eq(psal_safetensors_write(in_folder("file"), map, &err), PSAL_OK);
    expect_form("safetensors");
    psal_tensor_map_set_meta(map, "format", "pt", &err);
    ck_assert_int_eq(psal_safetensors_write(in_folder("file"), map, &err), PSAL_OK);
    expect_form("pt");
    psal_tensor_map_free(map);

    write_bytes(in_folder("w.bin"), sample_floats, 24);
    const char *model = "\n{\"weightsManifest\": [{\"paths\": [\"w.bin\"], \"weights\": "
                        "[{\"name\": \"w\", \"shape\": [6], \"dtype\": \"float32\"}]}]}";
    write_bytes(in_folder("file"), model, strlen(model));
    expect_form("tfjs-layers");
    write_bytes(in_folder("model.json"), model, strlen(model));
    map = psal_checkpoint_read(damage_folder, NULL, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    psal_tensor_map_free(map);
}
END_TEST

/* Names in, names out, how many notes. */
static void expect_names(const char *const *names, const char *const *expected, size_t count, size_t note_count) {
    psal_error err = PSAL_ERROR_INIT;
    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_shape six = PSAL_SHAPE(6);
    for (size_t i = 0; i < count; i++) psal_tensor_map_add_view(map, names[i], PSAL_F32, &six, sample_floats, &err);
    ck_assert_int_eq(psal_safetensors_write(in_folder("file"), map, &err), PSAL_OK);
    psal_tensor_map_free(map);
    map = psal_checkpoint_read(in_folder("file"), &notes, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(psal_tensor_map_name(map, i), expected[i]);
        ck_assert_ptr_eq(psal_tensor_map_get(map, expected[i]), psal_tensor_map_at(map, i));
    }
    ck_assert_uint_eq(notes.count, note_count);
    psal_notes_free(&notes);
    psal_tensor_map_free(map);
}
#define NAMES (const char *const[])

/* Prefixes are the network's business (models/group.h). */
START_TEST(test_names_stay) {
    expect_names(NAMES{"module.a", "module.b.c"}, NAMES{"module.a", "module.b.c"}, 2, 0);
    expect_names(NAMES{"module.a", "b", "module."}, NAMES{"module.a", "b", "module."}, 3, 0);
    expect_names(NAMES{"module.a", "module.module.a"}, NAMES{"module.a", "module.module.a"}, 2, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/checkpoint");
    TCase *cases = tcase_create("checkpoint");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_what_it_is_instead);
    tcase_add_test(cases, test_every_form);
    tcase_add_test(cases, test_names_stay);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
