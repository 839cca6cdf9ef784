/* A vector times a matrix against sums in double precision: every row counts, but those that are multiplied by 0 are
 * not read. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/kernels/vector_matrix.h"

enum { MOST_ROWS = 23, COLUMNS = 37, LENGTH = 41 }; /* rows of the matrix lie LENGTH apart */

/* `_i` rows, of which those whose bit is set in a pattern have the factor 0 */
START_TEST(rows_are_added_and_zeros_skipped) {
    const size_t rows = (size_t)_i;
    static const unsigned patterns[] = {0, ~0u, 0x55555555, 0x11111111, 0x2d3bc7, 0x7ffffe};
    for (size_t pattern = 0; pattern < sizeof patterns / sizeof patterns[0]; pattern++) {
        float x[MOST_ROWS + 1], *a = malloc((MOST_ROWS + 1) * LENGTH * sizeof *a), y[COLUMNS + 1];
        ck_assert_ptr_nonnull(a);
        for (size_t r = 0; r < rows; r++) {
            const int skipped = (int)(patterns[pattern] >> r & 1);
            x[r] = skipped ? (r % 2 ? 0.0f : -0.0f) : (float)sin((double)(7 * r + pattern + 1));
            for (size_t i = 0; i < LENGTH; i++)
                a[r * LENGTH + i] = skipped || i >= COLUMNS ? NAN : (float)cos((double)(r * LENGTH + i));
        }
        for (size_t i = 0; i < COLUMNS; i++) y[i] = NAN;
        y[COLUMNS] = 12345;
        psal_vector_matrix(rows, COLUMNS, x, a, LENGTH, y);
        for (size_t i = 0; i < COLUMNS; i++) {
            double sum = 0;
            for (size_t r = 0; r < rows; r++)
                if (x[r] != 0) sum += (double)x[r] * (double)a[r * LENGTH + i];
            ck_assert_msg(fabs(y[i] - sum) <= 2e-6, "%zu rows, pattern %zu, [%zu]: got %.9g, expected %.9g", rows,
                          pattern, i, (double)y[i], sum);
        }
        ck_assert(y[COLUMNS] == 12345);
        free(a);
    }
}
END_TEST

START_TEST(what_is_not_a_number_is_kept) {
    const float x[] = {1, NAN, 2, 0, 3}, a[] = {1, 2, 3, INFINITY, 5};
    float y;
    psal_vector_matrix(5, 1, x, a, 1, &y);
    ck_assert(isnan(y));
    psal_vector_matrix(1, 1, x + 2, a + 3, 1, &y);
    ck_assert(isinf(y));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/vector_matrix");
    TCase *tests = tcase_create("vector_matrix");
    tcase_add_loop_test(tests, rows_are_added_and_zeros_skipped, 0, MOST_ROWS + 1);
    tcase_add_test(tests, what_is_not_a_number_is_kept);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
