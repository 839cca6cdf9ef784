#include "io/spelling.h"

#include "scratch.h"

START_TEST(distances) {
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {{"", "", 0},
                 {"", "abc", 3},
                 {"abc", "", 3},
                 {"abc", "abc", 0},
                 {"ABC", "abc", 0},
                 {"kitten", "sitting", 3},
                 {"saturday", "sunday", 3},
                 {"ab", "ba", 1},
                 {"norm", "nrom", 1},
                 {"ca", "abc", 3},
                 {"image-path", "imgae-path", 1},
                 {"abcd", "acbd", 1},
                 {"a", "b", 1},
                 {"flaw", "lawn", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(psal_edit_distance(cases[i].a, cases[i].b) == cases[i].distance, "%s to %s: %zu", cases[i].a,
                      cases[i].b, psal_edit_distance(cases[i].a, cases[i].b));
        ck_assert_uint_eq(psal_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}
END_TEST

START_TEST(long_texts_are_cut) {
    char a[1000], b[1000];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    a[999] = b[999] = 0;
    ck_assert_uint_eq(psal_edit_distance(a, a), 0);
    ck_assert_uint_eq(psal_edit_distance(a, b), 255);
}
END_TEST

START_TEST(tolerance) {
    ck_assert_uint_eq(psal_spelling_tolerance(""), 1);
    ck_assert_uint_eq(psal_spelling_tolerance("ab"), 1);
    ck_assert_uint_eq(psal_spelling_tolerance("abcdef"), 2);
    ck_assert_uint_eq(psal_spelling_tolerance("abcdefghij"), 4);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("spelling");
    tcase_add_test(tests, distances);
    tcase_add_test(tests, long_texts_are_cut);
    tcase_add_test(tests, tolerance);
    return run_case("io/spelling", tests);
}
