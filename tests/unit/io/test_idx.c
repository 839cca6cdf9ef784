#include "io/idx.h"

#include <zlib.h>

#include "scratch.h"

static psal_error err;

/* Three images of 2x4, as an IDX file. */
static const uint8_t whole[16 + 24] = {0, 0, 8, 3, 0, 0, 0, 3, 0,   0,   0, 2, 0, 0, 0, 4, 9, 1, 2, 3,
                                       4, 5, 6, 7, 8, 0, 1, 2, 255, 254, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4};

static size_t gzipped(const void *data, size_t size, uint8_t *out, size_t room) {
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(size_t)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t used = z.total_out;
    deflateEnd(&z);
    return used;
}

/* Reading must succeed with the contents of `whole`. */
static void expect_whole(const char *path) {
    int64_t dim[3];
    uint8_t *data;
    ck_assert_msg(!psal_idx_read(path, 3, dim, &data, &err), "%s", err.message);
    ck_assert(dim[0] == 3 && dim[1] == 2 && dim[2] == 4);
    ck_assert_int_eq(memcmp(data, whole + 16, 24), 0);
    free(data);
}

static void expect_failure(const char *path, int ndim) {
    int64_t dim[4];
    uint8_t *data = (uint8_t *)1;
    err = (psal_error)PSAL_ERROR_INIT;
    ck_assert_msg(psal_idx_read(path, ndim, dim, &data, &err) != PSAL_OK, "%s was read", path);
    ck_assert_ptr_null(data);
    ck_assert_ptr_nonnull(strstr(err.message, path));
}

START_TEST(plain_and_gzipped) {
    expect_whole(write_bytes("x", whole, sizeof whole));
    uint8_t packed[200];
    size_t size = gzipped(whole, sizeof whole, packed, sizeof packed);
    expect_whole(write_bytes("x.gz", packed, size));
}
END_TEST

START_TEST(every_truncation) {
    for (size_t size = 0; size < sizeof whole; size++) {
        expect_failure(write_bytes("x", whole, size), 3);
        ck_assert_msg(strstr(err.message, "cut short") || strstr(err.message, "cannot hold"), "%s", err.message);
    }
    uint8_t packed[200];
    size_t all = gzipped(whole, sizeof whole, packed, sizeof packed);
    for (size_t size = 0; size < all; size++) expect_failure(write_bytes("x.gz", packed, size), 3);
    uint8_t longer[sizeof whole + 1] = {0};
    memcpy(longer, whole, sizeof whole);
    expect_failure(write_bytes("x", longer, sizeof longer), 3);
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "goes on after the 24 bytes");
    size_t size = gzipped(longer, sizeof longer, packed, sizeof packed);
    expect_failure(write_bytes("x.gz", packed, size), 3);
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "goes on after");
}
END_TEST

START_TEST(every_flipped_bit_of_gzip) {
    uint8_t packed[200];
    size_t all = gzipped(whole, sizeof whole, packed, sizeof packed), unnoticed = 0;
    for (size_t at = 0; at < all; at++) {
        for (int bit = 0; bit < 8; bit++) {
            packed[at] ^= (uint8_t)(1 << bit);
            const char *path = write_bytes("x.gz", packed, all);
            int64_t dim[3];
            uint8_t *data;
            /* Bits of the gzip header (time, system) and of the padding are harmless; the contents
             * must never be others. */
            if (!psal_idx_read(path, 3, dim, &data, &err)) {
                ck_assert(dim[0] == 3 && dim[1] == 2 && dim[2] == 4);
                ck_assert_msg(!memcmp(data, whole + 16, 24), "byte %zu bit %d", at, bit);
                free(data);
                unnoticed++;
            }
            packed[at] ^= (uint8_t)(1 << bit);
        }
    }
    ck_assert_uint_lt(unnoticed, 8 * 10);
}
END_TEST

START_TEST(wrong_headers) {
    static const struct {
        size_t at;
        uint8_t byte;
        psal_status status;
        const char *reason;
    } cases[] = {{0, 1, PSAL_ERR_FORMAT, "not an IDX file"},
                 {1, 1, PSAL_ERR_FORMAT, "not an IDX file"},
                 {2, 0x0D, PSAL_ERR_UNSUPPORTED, "type 0x0d"},
                 {3, 1, PSAL_ERR_FORMAT, "1 dimensions, expected 3"},
                 {3, 255, PSAL_ERR_FORMAT, "255 dimensions, expected 3"},
                 {7, 0, PSAL_ERR_FORMAT, "dimension 0 is 0"},
                 {15, 0, PSAL_ERR_FORMAT, "dimension 2 is 0"},
                 {7, 4, PSAL_ERR_FORMAT, "cut short"},
                 {7, 2, PSAL_ERR_FORMAT, "goes on"},
                 {5, 1, PSAL_ERR_FORMAT, "cannot hold"},
                 {4, 255, PSAL_ERR_FORMAT, "more than 1073741824 bytes"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t copy[sizeof whole];
        memcpy(copy, whole, sizeof whole);
        copy[cases[i].at] = cases[i].byte;
        expect_failure(write_bytes("x", copy, sizeof copy), 3);
        EXPECT_ERROR(err, cases[i].status, cases[i].reason);
    }
    expect_failure(write_bytes("x", whole, sizeof whole), 1);
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "3 dimensions, expected 1 (labels)");
    /* All dimensions as large as can be: refused at once. */
    uint8_t huge[40] = {0, 0, 8, 3};
    memset(huge + 4, 255, 12);
    expect_failure(write_bytes("x", huge, sizeof huge), 3);
    uint8_t packed[200];
    memset(huge + 4, 0, 12);
    huge[5] = huge[10] = huge[15] = 16; /* 2^20 x 2^12 x 2^4 */
    size_t size = gzipped(huge, sizeof huge, packed, sizeof packed);
    expect_failure(write_bytes("x.gz", packed, size), 3);
    huge[5] = 1; /* 2^16 x 2^12: below the limit, but not in a file of this size */
    huge[15] = 1;
    size = gzipped(huge, sizeof huge, packed, sizeof packed);
    expect_failure(write_bytes("x.gz", packed, size), 3);
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "cannot hold");
}
END_TEST

START_TEST(not_files) {
    expect_failure(in_scratch("none"), 3);
    EXPECT_ERROR(err, PSAL_ERR_IO, "No such file");
    expect_failure(scratch, 3);
    EXPECT_ERROR(err, PSAL_ERR_IO, "not a regular file");
    ck_assert_int_eq(mkfifo(in_scratch("pipe"), 0600), 0);
    expect_failure(in_scratch("pipe"), 3); /* and does not wait for a writer */
    EXPECT_ERROR(err, PSAL_ERR_IO, "not a regular file");
    expect_failure(write_text("x", "hello, this is a text file"), 3);
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "68 65");
}
END_TEST

START_TEST(fashion_mnist) {
    int64_t dim[3];
    uint8_t *data;
    const char *path = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz";
    if (psal_idx_read(path, 3, dim, &data, &err) == PSAL_ERR_IO) {
        printf("SKIPPED fashion_mnist: package dataset-fashion-mnist is not installed\n");
        return;
    }
    ck_assert(dim[0] == 10000 && dim[1] == 28 && dim[2] == 28);
    double sum = 0;
    for (size_t i = 0; i < 10000 * 784; i++) sum += data[i];
    ck_assert_double_eq_tol(sum / (10000 * 784), 73.1466, 0.001); /* mean of the test set */
    free(data);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("idx");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, plain_and_gzipped);
    tcase_add_test(tests, every_truncation);
    tcase_add_test(tests, every_flipped_bit_of_gzip);
    tcase_add_test(tests, wrong_headers);
    tcase_add_test(tests, not_files);
    tcase_add_test(tests, fashion_mnist);
    tcase_set_timeout(tests, 60);
    return run_case("io/idx", tests);
}
