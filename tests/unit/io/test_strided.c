#include "io/strided.h"

#include "damage.h"

/* Every element by its index, for element sizes 1 to 8. */
static void expect_copy(int ndim, const int64_t *dim, const int64_t *stride, bool contiguous) {
    psal_shape shape = psal_shape_make(ndim, dim);
    int64_t count = psal_shape_count(&shape);
    ck_assert_int_eq(psal_strided_is_contiguous(&shape, stride), contiguous);
    for (size_t element = 1; element <= 8; element *= 2) {
        uint8_t src[8 * 1000], dst[8 * 1000];
        for (size_t i = 0; i < sizeof src; i++) src[i] = (uint8_t)(i * 151 >> 3);
        memset(dst, 0xee, sizeof dst);
        psal_strided_copy(dst + 1, src + 1, element, &shape, stride); /* unaligned on purpose */
        for (int64_t i = 0; i < count; i++) {
            int64_t rest = i, at = 0;
            for (int d = ndim - 1; d >= 0; d--) {
                at += rest % dim[d] * stride[d];
                rest /= dim[d];
            }
            ck_assert_mem_eq(dst + 1 + (size_t)i * element, src + 1 + (size_t)at * element, element);
        }
        ck_assert_uint_eq(dst[0], 0xee);
        ck_assert_uint_eq(dst[1 + (size_t)count * element], 0xee);
    }
}

START_TEST(test_copies) {
    expect_copy(0, NULL, NULL, true);
    expect_copy(1, (int64_t[]){7}, (int64_t[]){1}, true);
    expect_copy(1, (int64_t[]){7}, (int64_t[]){3}, false);
    expect_copy(1, (int64_t[]){7}, (int64_t[]){0}, false);
    expect_copy(1, (int64_t[]){1}, (int64_t[]){99}, true);
    expect_copy(2, (int64_t[]){3, 4}, (int64_t[]){4, 1}, true);
    expect_copy(2, (int64_t[]){3, 4}, (int64_t[]){1, 3}, false);
    expect_copy(2, (int64_t[]){3, 4}, (int64_t[]){5, 1}, false);
    expect_copy(3, (int64_t[]){2, 1, 4}, (int64_t[]){4, 77, 1}, true);
    expect_copy(3, (int64_t[]){4, 5, 6}, (int64_t[]){1, 24, 4}, false);
    expect_copy(4, (int64_t[]){2, 3, 4, 5}, (int64_t[]){60, 1, 15, 3}, false); /* channels last */
    expect_copy(2, (int64_t[]){6, 5}, (int64_t[]){2, 1}, false);               /* overlapping windows */
    expect_copy(3, (int64_t[]){0, 5, 2}, (int64_t[]){9, 9, 9}, true);
    expect_copy(8, (int64_t[]){2, 1, 2, 1, 2, 1, 2, 1}, (int64_t[]){1, 0, 2, 0, 4, 0, 8, 0}, false);
}
END_TEST

START_TEST(test_dense) {
    int64_t stride[8];
    psal_shape shape = PSAL_SHAPE(2, 3, 4), empty = PSAL_SHAPE(0, INT64_MAX, INT64_MAX);
    psal_strided_dense(&shape, false, stride);
    ck_assert_mem_eq(stride, ((int64_t[]){12, 4, 1}), 24);
    ck_assert(psal_strided_is_contiguous(&shape, stride));
    psal_strided_dense(&shape, true, stride);
    ck_assert_mem_eq(stride, ((int64_t[]){1, 2, 6}), 24);
    ck_assert(!psal_strided_is_contiguous(&shape, stride));
    psal_strided_dense(&empty, true, stride);
    ck_assert(psal_strided_is_contiguous(&empty, stride));
    psal_strided_copy(NULL, NULL, 4, &empty, stride);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/strided");
    TCase *cases = tcase_create("strided");
    tcase_add_test(cases, test_copies);
    tcase_add_test(cases, test_dense);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
