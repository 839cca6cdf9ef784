/* Student's tail: against the closed forms of small degrees of freedom, and the normal distribution's. */
#include "saliency/student.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

START_TEST(test_closed_forms) {
    const double pi = acos(-1);
    for (double t = -40; t <= 40; t += 0.37) {
        const double s = t / sqrt(3);
        ck_assert_double_eq_tol(psal_student_tail(t, 1), 0.5 - atan(t) / pi, 1e-13);
        ck_assert_double_eq_tol(psal_student_tail(t, 2), 0.5 - t / (2 * sqrt(2 + t * t)), 1e-13);
        ck_assert_double_eq_tol(psal_student_tail(t, 3), 0.5 - (s / (1 + s * s) + atan(s)) / pi, 1e-13);
    }
}
END_TEST

START_TEST(test_far_tails_are_relative) {
    /* 2 degrees of freedom, without the cancellation: 1 / (s (s + t)), s^2 = 2 + t^2 */
    for (double t = 1; t < 1e6; t *= 3) {
        const double s = sqrt(2 + t * t), exact = 1 / (s * (s + t));
        ck_assert_double_eq_tol(psal_student_tail(t, 2) / exact, 1, 1e-11);
    }
    for (double t = 0.5; t < 12; t += 0.5) {
        const double normal = erfc(t / sqrt(2)) / 2;
        ck_assert_double_eq_tol(psal_student_tail(t, 1e9) / normal, 1, 1e-5);
    }
}
END_TEST

START_TEST(test_symmetry_and_limits) {
    for (double freedom = 0.3; freedom < 1e6; freedom *= 2.7) {
        ck_assert_double_eq(psal_student_tail(0, freedom), 0.5);
        double before = 0.5;
        for (double t = 0.1; t < 30; t *= 1.3) {
            const double tail = psal_student_tail(t, freedom);
            ck_assert(tail < before && tail >= 0);
            ck_assert_double_eq_tol(psal_student_tail(-t, freedom), 1 - tail, 1e-14);
            before = tail;
        }
    }
    ck_assert(isnan(psal_student_tail(NAN, 3)) && isnan(psal_student_tail(1, NAN)));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("saliency/student");
    TCase *tests = tcase_create("student");
    tcase_add_test(tests, test_closed_forms);
    tcase_add_test(tests, test_far_tails_are_relative);
    tcase_add_test(tests, test_symmetry_and_limits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
