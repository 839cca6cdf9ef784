#include "io/utf8.h"

#include "tests/unit/io/scratch.h"

static void expect(const char *text, const char *clean) {
    char out[100];
    ck_assert_str_eq(psal_utf8_clean(text, out, sizeof out), clean);
}

#define BAD "\xef\xbf\xbd"

START_TEST(test_good_text_is_kept) {
    expect("", "");
    expect("great white shark", "great white shark");
    expect("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b");
    /* The first and last of each length, and around the surrogates. */
    expect("\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbd",
           "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbd");
}
END_TEST

START_TEST(test_bad_bytes_are_replaced) {
    expect("a\x80z", "a" BAD "z");
    expect("\xff", BAD);
    expect("\xc0\xaf", BAD BAD);                 /* overlong '/' */
    expect("\xe0\x9f\xbf", BAD BAD BAD);         /* overlong U+7FF */
    expect("\xed\xa0\x80", BAD BAD BAD);         /* surrogate */
    expect("\xf4\x90\x80\x80", BAD BAD BAD BAD); /* beyond U+10FFFF */
    expect("\xf0\x8f\xbf\xbf", BAD BAD BAD BAD);
    /* Cut short at each byte. */
    expect("\xe2\x82", BAD BAD);
    expect("\xe2", BAD);
    expect("\xf0\x9f\x90", BAD BAD BAD);
    expect("\xe2\x82z", BAD BAD "z");
}
END_TEST

START_TEST(test_controls_become_spaces) {
    expect("a\nb\tc\x7f"
           "d\x1b[1m",
           "a b c d [1m");
    expect("\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", "   ");
    expect("a\xe2\x80\xae"
           "b\xe2\x81\xa6",
           "a b ");
    expect("\xef\xbb\xbfx", " x");
}
END_TEST

START_TEST(test_cut_at_a_character) {
    char out[8];
    for (size_t size = 1; size <= sizeof out; size++) {
        psal_utf8_clean("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", out, size);
        ck_assert_uint_eq(strlen(out), (size - 1) / 3 * 3);
    }
    psal_utf8_clean("\xff\xff\xff", out, 6);
    ck_assert_str_eq(out, BAD);
    memset(out, 'x', sizeof out);
    psal_utf8_clean("text", out, 0);
    ck_assert_int_eq(out[0], 'x');
    ck_assert_str_eq(psal_utf8_clean(NULL, out, sizeof out), "");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("utf8");
    tcase_add_test(tests, test_good_text_is_kept);
    tcase_add_test(tests, test_bad_bytes_are_replaced);
    tcase_add_test(tests, test_controls_become_spaces);
    tcase_add_test(tests, test_cut_at_a_character);
    return run_case("utf8", tests);
}
