/* damage.h - shared by the tests of file readers: files made of bytes, and every small way to
 * damage them. */
#ifndef PSAL_TESTS_UNIT_IO_DAMAGE_H
#define PSAL_TESTS_UNIT_IO_DAMAGE_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/tensor.h"

static char damage_folder[64];

static inline void damage_make_folder(void) {
    strcpy(damage_folder, "/tmp/psal-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(damage_folder));
}

static inline void damage_remove_folder(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", damage_folder);
    ck_assert_int_eq(system(command), 0);
}

/* The path of `name` in the test's folder; valid until the next call but three. */
static inline const char *in_folder(const char *name) {
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", damage_folder, name);
    return path;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size) {
    unlink(path); /* rewriting in place makes some file systems wait for the disk */
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static inline uint8_t *read_bytes(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    uint8_t *bytes = malloc(1 << 24);
    *size = fread(bytes, 1, 1 << 24, file);
    fclose(file);
    return bytes;
}

/* Read every byte of every tensor, so that a view that leaves its file is found. */
static inline unsigned touch(const psal_tensor_map *map) {
    unsigned sum = 0;
    for (size_t i = 0; map && i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        size_t bytes = (size_t)psal_shape_count(&tensor->shape) * psal_dtype_size(tensor->dtype);
        ck_assert_uint_eq(bytes ? (uintptr_t)tensor->data % psal_dtype_size(tensor->dtype) : 0, 0);
        for (size_t b = 0; b < bytes; b++) sum += ((const uint8_t *)tensor->data)[b];
    }
    return sum;
}

/* Give `reader` the file cut at every byte, then with every byte replaced by several others. The
 * reader returns whether it took the file; it must fail with a message otherwise. Returns how many
 * of the cut files were taken. */
static inline int damage_everywhere(const uint8_t *bytes, size_t size, const char *path,
                                    bool (*reader)(const char *path, psal_error *err)) {
    int taken = 0;
    uint8_t *copy = malloc(size);
    for (size_t cut = 0; cut < size; cut++) {
        psal_error err = PSAL_ERROR_INIT;
        write_bytes(path, bytes, cut);
        bool took = reader(path, &err);
        ck_assert_msg(took || (err.status != PSAL_OK && strstr(err.message, path)), "cut at %zu: no reason: %s", cut,
                      err.message);
        taken += took;
    }
    for (size_t at = 0; at < size; at++) {
        const uint8_t others[] = {
            (uint8_t)(bytes[at] ^ 1), (uint8_t)(bytes[at] ^ 0x80), 0, 0xff, (uint8_t)(bytes[at] + 1), '.'};
        for (size_t k = 0; k < sizeof others; k++) {
            psal_error err = PSAL_ERROR_INIT;
            memcpy(copy, bytes, size);
            copy[at] = others[k];
            write_bytes(path, copy, size);
            bool took = reader(path, &err);
            ck_assert_msg(took || (err.status != PSAL_OK && strstr(err.message, path)),
                          "byte %zu = %02x: no reason: %s", at, others[k], err.message);
        }
    }
    free(copy);
    return taken;
}

/* Run `suite` and turn the outcome into an exit status. */
static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
