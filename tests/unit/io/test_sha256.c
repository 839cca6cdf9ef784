#include "io/sha256.h"

#include "damage.h"

static void expect(const char *text, size_t size, const char *hex) {
    uint8_t fast[32], plain[32];
    char got[65];
    psal_sha256(text, size, fast);
    psal_sha256_plain(text, size, plain);
    for (int i = 0; i < 32; i++) sprintf(got + 2 * i, "%02x", fast[i]);
    ck_assert_str_eq(got, hex);
    ck_assert_mem_eq(fast, plain, 32);
}

/* FIPS 180-2, appendix B, and the empty message (NIST CAVP). */
START_TEST(test_standard_vectors) {
    expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    expect(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}
END_TEST

START_TEST(test_every_length) {
    uint8_t bytes[300], fast[32], plain[32];
    for (int i = 0; i < 300; i++) bytes[i] = (uint8_t)(i * 89 + 7);
    for (size_t size = 0; size <= 300; size++) {
        psal_sha256(bytes, size, fast);
        psal_sha256_plain(bytes, size, plain);
        ck_assert_mem_eq(fast, plain, 32);
    }
}
END_TEST

START_TEST(test_files) {
    psal_error err = PSAL_ERROR_INIT;
    char hex[65], expected[65];
    size_t sizes[] = {0, 1, 55, 56, 64, 1 << 18, (1 << 18) + 1, 1000003};
    uint8_t *bytes = malloc(1000003), digest[32];
    for (int i = 0; i < 1000003; i++) bytes[i] = (uint8_t)(i >> 3);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        write_bytes(in_folder("file"), bytes, sizes[k]);
        ck_assert_msg(psal_file_sha256(in_folder("file"), hex, &err) == PSAL_OK, "%s", err.message);
        psal_sha256(bytes, sizes[k], digest);
        for (int i = 0; i < 32; i++) sprintf(expected + 2 * i, "%02x", digest[i]);
        ck_assert_str_eq(hex, expected);
    }
    free(bytes);
    ck_assert_int_eq(psal_file_sha256(in_folder("missing"), hex, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "missing: cannot be read: No such file") != NULL, "%s", err.message);
    ck_assert_int_eq(psal_file_sha256(damage_folder, hex, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "directory") != NULL, "%s", err.message);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/sha256");
    TCase *cases = tcase_create("sha256");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_standard_vectors);
    tcase_add_test(cases, test_every_length);
    tcase_add_test(cases, test_files);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
