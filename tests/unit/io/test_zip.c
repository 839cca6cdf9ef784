#include "io/zip.h"

#include "damage.h"
#include "zip_writer.h"

static void expect_opened(const uint8_t *bytes, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    write_bytes(in_folder("a.zip"), bytes, size);
    psal_zip *zip = psal_zip_open(in_folder("a.zip"), &err);
    ck_assert_msg(zip != NULL, "%s", err.message);
    psal_zip_close(zip);
}

static void expect_refused(const uint8_t *bytes, size_t size, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    write_bytes(in_folder("a.zip"), bytes, size);
    psal_zip *zip = psal_zip_open(in_folder("a.zip"), &err);
    ck_assert_msg(zip == NULL, "taken, expected: %s", reason);
    ck_assert_msg(strstr(err.message, reason) && strstr(err.message, "a.zip"), "expected %s, got: %s", reason,
                  err.message);
}

START_TEST(test_entries) {
    uint8_t bytes[4000];
    struct zip_writer writer = {.to = bytes};
    zip_add(&writer, "archive/data.pkl", "pickle", 6, 0);
    zip_add(&writer, "archive/data/0", "zero zero zero zero zero", 24, 8);
    zip_add(&writer, "archive/empty", "", 0, 0);
    zip_add(&writer, "archive/empty8", "", 0, 8);
    size_t size = zip_end(&writer);
    write_bytes(in_folder("a.zip"), bytes, size);
    psal_error err = PSAL_ERROR_INIT;
    psal_zip *zip = psal_zip_open(in_folder("a.zip"), &err);
    ck_assert_msg(zip != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_zip_count(zip), 4);
    ck_assert_uint_eq(psal_zip_file_size(zip), size);
    ck_assert_str_eq(psal_zip_name(zip, 1), "archive/data/0");
    ck_assert_int_eq(psal_zip_find(zip, "archive/data/0"), 1);
    ck_assert_int_eq(psal_zip_find(zip, "archive/data.pkl"), 0);
    ck_assert_int_eq(psal_zip_find(zip, "data.pkl"), -1);
    const uint8_t *data, *again;
    size_t length;
    ck_assert_int_eq(psal_zip_data(zip, 0, &data, &length, &err), PSAL_OK);
    ck_assert_uint_eq(length, 6);
    ck_assert_mem_eq(data, "pickle", 6);
    ck_assert_uint_eq((uintptr_t)data % 64, 0); /* where it lies in the mapped file */
    ck_assert_int_eq(psal_zip_data(zip, 1, &data, &length, &err), PSAL_OK);
    ck_assert_mem_eq(data, "zero zero zero zero zero", 24);
    ck_assert_int_eq(psal_zip_data(zip, 1, &again, &length, &err), PSAL_OK);
    ck_assert_ptr_eq(again, data);
    ck_assert_int_eq(psal_zip_data(zip, 2, &data, &length, &err), PSAL_OK);
    ck_assert_uint_eq(length, 0);
    ck_assert_int_eq(psal_zip_data(zip, 3, &data, &length, &err), PSAL_OK);
    psal_zip_close(zip);
    psal_zip_close(NULL);

    memcpy(bytes + size, "a comment", 9); /* behind the end record, which must tell its length */
    expect_refused(bytes, size + 9, "no central directory");
    bytes[size - 2] = 9;
    expect_opened(bytes, size + 9);
}
END_TEST

START_TEST(test_wrong_crc) {
    uint8_t bytes[4000];
    for (int method = 0; method <= 8; method += 8) {
        struct zip_writer writer = {.to = bytes};
        zip_add(&writer, "data", "some bytes", 10, method);
        writer.central[16] ^= 1;
        write_bytes(in_folder("a.zip"), bytes, zip_end(&writer));
        psal_error err = PSAL_ERROR_INIT;
        psal_zip *zip = psal_zip_open(in_folder("a.zip"), &err);
        ck_assert_ptr_nonnull(zip);
        const uint8_t *data;
        size_t size;
        for (int twice = 0; twice < 2; twice++) {
            ck_assert_int_eq(psal_zip_data(zip, 0, &data, &size, &err), PSAL_ERR_FORMAT);
            ck_assert_msg(strstr(err.message, "data is damaged: CRC-32") != NULL, "%s", err.message);
        }
        psal_zip_close(zip);
    }
}
END_TEST

/* Sizes around those at which the checksum is made in parts; a bit changed in each part is found. */
START_TEST(test_crc_of_large_entries) {
    enum { PART = 1 << 18, MOST = 70 * PART, NOWHERE = 8 };
    static const size_t sizes[] = {PART - 1, PART, 2 * PART - 1, 2 * PART, 5 * PART + 7, 64 * PART + 1, MOST - 3};
    uint8_t *content = malloc(MOST), *bytes = malloc(MOST + 4000);
    ck_assert(content && bytes);
    for (size_t i = 0; i < MOST; i++) content[i] = (uint8_t)(i * i >> 7);
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        struct zip_writer writer = {.to = bytes};
        zip_add(&writer, "data", content, sizes[n], 0);
        const size_t length = zip_end(&writer);
        uint8_t *const stored = memmem(bytes, length, content, sizes[n]);
        ck_assert_ptr_nonnull(stored);
        for (size_t damage = 0; damage <= NOWHERE; damage++) { /* from the first byte to the last */
            uint8_t *byte = stored + (sizes[n] - 1) * damage / (NOWHERE - 1);
            if (damage < NOWHERE) *byte ^= 4;
            write_bytes(in_folder("a.zip"), bytes, length);
            if (damage < NOWHERE) *byte ^= 4;
            psal_error err = PSAL_ERROR_INIT;
            psal_zip *zip = psal_zip_open(in_folder("a.zip"), &err);
            ck_assert_ptr_nonnull(zip);
            const uint8_t *data;
            size_t size;
            const psal_status status = psal_zip_data(zip, 0, &data, &size, &err);
            ck_assert_msg(status == (damage < NOWHERE ? PSAL_ERR_FORMAT : PSAL_OK), "%zu bytes, damage %zu: %s",
                          sizes[n], damage, err.message);
            if (damage == NOWHERE) ck_assert(size == sizes[n] && memcmp(data, content, size) == 0);
            psal_zip_close(zip);
        }
    }
    free(content);
    free(bytes);
}
END_TEST

/* Change one field of the only entry in both headers or one of them, then expect `reason`. */
static void spoil(int method, int central, int local, uint64_t value, int width, const char *reason) {
    uint8_t bytes[4000];
    struct zip_writer writer = {.to = bytes};
    zip_add(&writer, "data", "some bytes, some bytes, some bytes", 34, method);
    if (central) zip_put(writer.central + central, value, width);
    if (local) zip_put(bytes + local, value, width);
    expect_refused(bytes, zip_end(&writer), reason);
}

START_TEST(test_hostile_fields) {
    spoil(0, 24, 0, 35, 4, "two sizes");
    spoil(0, 20, 0, 1u << 31, 4, "past the end");
    spoil(8, 20, 0, 1u << 31, 4, "past the end");
    spoil(0, 42, 0, 1, 4, "local header");
    spoil(0, 42, 0, 0x7fffffff, 4, "local header");
    spoil(0, 42, 0, 0xffffffff, 4, "local header"); /* says zip64, has no such field */
    spoil(0, 10, 8, 12, 2, "compression method 12");
    spoil(0, 10, 0, 8, 2, "local header"); /* the two headers contradict each other */
    spoil(0, 0, 6, 1, 2, "encrypted");
    spoil(0, 0, 26, 3, 2, "local header");
    spoil(0, 0, 28, 0xffff, 2, "past the end");
    spoil(0, 28, 0, 0xffff, 2, "damaged at entry 0");
    spoil(8, 24, 0, 0x7fffffff, 4, "bomb");
    spoil(0, 46, 0, 'X', 1, "local header");
    spoil(0, 46, 30, 0, 1, "damaged at entry 0"); /* NUL in the name */
}
END_TEST

START_TEST(test_overlap_and_duplicates) {
    uint8_t bytes[4000];
    struct zip_writer writer = {.to = bytes};
    zip_add(&writer, "data", "some bytes", 10, 0);
    zip_add(&writer, "data", "some bytes", 10, 0);
    expect_refused(bytes, zip_end(&writer), "data occurs twice");

    /* Two directory entries for one local one. */
    writer = (struct zip_writer){.to = bytes};
    zip_add(&writer, "data", "some bytes", 10, 8);
    memcpy(writer.central + writer.central_size, writer.central, writer.central_size);
    writer.central_size *= 2;
    writer.count = 2;
    expect_refused(bytes, zip_end(&writer), "overlap");
}
END_TEST

START_TEST(test_bombs) {
    /* 200 MB of zeros in 200 kB. */
    size_t size = 200u << 20;
    uint8_t *zeros = calloc(1, size), *bytes = malloc(1 << 20);
    struct zip_writer writer = {.to = bytes};
    zip_add(&writer, "data", zeros, size, 8);
    size_t length = zip_end(&writer);
    ck_assert_uint_lt(length, 250000);
    expect_refused(bytes, length, "bomb");

    /* The same in four entries, each of which alone would be taken. */
    writer = (struct zip_writer){.to = bytes};
    for (int i = 0; i < 4; i++) zip_add(&writer, &"dcba"[i], zeros, size / 4, 8);
    expect_refused(bytes, zip_end(&writer), "bomb");

    /* One that lies: says 40 bytes, unpacks to more (or less). */
    for (int lie = 30; lie <= 40; lie += 10) {
        writer = (struct zip_writer){.to = bytes};
        zip_add(&writer, "data", zeros, 35, 8);
        zip_put(writer.central + 24, (uint64_t)lie, 4);
        write_bytes(in_folder("a.zip"), bytes, zip_end(&writer));
        psal_error err = PSAL_ERROR_INIT;
        psal_zip *zip = psal_zip_open(in_folder("a.zip"), &err);
        ck_assert_ptr_nonnull(zip);
        const uint8_t *data;
        ck_assert_int_eq(psal_zip_data(zip, 0, &data, &size, &err), PSAL_ERR_FORMAT);
        ck_assert_msg(strstr(err.message, "compressed data are damaged") != NULL, "%s", err.message);
        psal_zip_close(zip);
    }
    free(zeros);
    free(bytes);
}
END_TEST

/* An archive that uses zip64 for everything, as PyTorch writes large ones. */
static size_t make_zip64(uint8_t *to, uint64_t size_field, uint64_t offset_field) {
    struct zip_writer writer = {.to = to};
    zip_add(&writer, "data", "some bytes", 10, 0);
    uint8_t *entry = writer.central;
    zip_put(entry + 20, 0xffffffff, 4);
    zip_put(entry + 24, 0xffffffff, 4);
    zip_put(entry + 42, 0xffffffff, 4);
    zip_put(entry + 30, 4 + 5 + 24 + 4, 2);
    uint8_t *extra = entry + 46 + 4;
    memcpy(extra, "XY\x05\x00hello", 9); /* another field before it */
    zip_put(extra + 9, 1, 2);
    zip_put(extra + 11, 24, 2);
    zip_put(extra + 13, size_field, 8);
    zip_put(extra + 21, size_field, 8);
    zip_put(extra + 29, offset_field, 8);
    writer.central_size += 37;
    size_t directory = writer.size, size = zip_end(&writer) - 22, end64 = size;
    memset(to + size, 0, 56 + 20 + 22);
    zip_put(to + size, 0x06064b50, 4);
    zip_put(to + size + 4, 44, 8);
    zip_put(to + size + 24, 1, 8);
    zip_put(to + size + 32, 1, 8);
    zip_put(to + size + 40, writer.central_size, 8);
    zip_put(to + size + 48, directory, 8);
    size += 56;
    zip_put(to + size, 0x07064b50, 4);
    zip_put(to + size + 8, end64, 8);
    zip_put(to + size + 16, 1, 4);
    size += 20;
    zip_put(to + size, 0x06054b50, 4);
    zip_put(to + size + 8, 0xffff, 2);
    zip_put(to + size + 10, 0xffff, 2);
    zip_put(to + size + 12, 0xffffffff, 4);
    zip_put(to + size + 16, 0xffffffff, 4);
    return size + 22;
}

static bool reader(const char *path, psal_error *err) {
    psal_zip *zip = psal_zip_open(path, err);
    bool whole = zip != NULL;
    for (size_t i = 0; zip && i < psal_zip_count(zip); i++) {
        const uint8_t *data;
        size_t size;
        unsigned sum = 0;
        if (psal_zip_data(zip, i, &data, &size, err) != PSAL_OK) {
            psal_fail_prefix(err, "%s", path);
            whole = false;
            break;
        }
        for (size_t b = 0; b < size; b++) sum += data[b];
        ck_assert_uint_lt(sum, 1u << 31);
    }
    psal_zip_close(zip);
    return whole;
}

START_TEST(test_zip64) {
    uint8_t bytes[4000];
    size_t size = make_zip64(bytes, 10, 0);
    expect_opened(bytes, size);
    ck_assert_int_eq(damage_everywhere(bytes, size, in_folder("bad.zip"), reader), 0);
    for (int bit = 4; bit < 64; bit++) {
        size = make_zip64(bytes, UINT64_C(1) << bit, 0);
        expect_refused(bytes, size, "past the end");
        size = make_zip64(bytes, 10, UINT64_C(1) << bit);
        expect_refused(bytes, size, "local header");
    }
    expect_refused(bytes, make_zip64(bytes, UINT64_MAX, 0), "past the end");
    expect_refused(bytes, make_zip64(bytes, 10, UINT64_MAX), "local header");
}
END_TEST

START_TEST(test_damage) {
    uint8_t bytes[4000];
    struct zip_writer writer = {.to = bytes};
    zip_add(&writer, "a/data.pkl", "pickle", 6, 0);
    zip_add(&writer, "a/data/0", "zero zero zero zero zero", 24, 8);
    size_t size = zip_end(&writer);
    ck_assert_int_eq(damage_everywhere(bytes, size, in_folder("bad.zip"), reader), 0);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_zip_open(in_folder("missing.zip"), &err));
    ck_assert_msg(strstr(err.message, "missing.zip: cannot be opened") != NULL, "%s", err.message);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/zip");
    TCase *cases = tcase_create("zip");
    tcase_set_timeout(cases, 200);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_entries);
    tcase_add_test(cases, test_wrong_crc);
    tcase_add_test(cases, test_crc_of_large_entries);
    tcase_add_test(cases, test_hostile_fields);
    tcase_add_test(cases, test_overlap_and_duplicates);
    tcase_add_test(cases, test_bombs);
    tcase_add_test(cases, test_zip64);
    tcase_add_test(cases, test_damage);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
