#include "engine/error.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_fail) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(err.status, PSAL_OK);
    ck_assert_str_eq(err.message, "");
    ck_assert_int_eq(psal_fail(&err, PSAL_ERR_FORMAT, "%s: %d of %d bytes", "a.pth", 3, 8), PSAL_ERR_FORMAT);
    ck_assert_int_eq(err.status, PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "a.pth: 3 of 8 bytes");
    ck_assert_int_eq(psal_fail(&err, PSAL_ERR_IO, "later: %s", err.message), PSAL_ERR_IO); /* its own message */
    ck_assert_str_eq(err.message, "later: a.pth: 3 of 8 bytes");
    ck_assert_int_eq(psal_fail(NULL, PSAL_ERR_IO, "nobody %s", "listens"), PSAL_ERR_IO);
}
END_TEST

START_TEST(test_status) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_ne(psal_error_status(&err), PSAL_OK); /* nobody said why: it failed all the same */
    psal_fail(&err, PSAL_ERR_NUMERIC, "nan");
    ck_assert_int_eq(psal_error_status(&err), PSAL_ERR_NUMERIC);
    ck_assert_int_ne(psal_error_status(NULL), PSAL_OK);
}
END_TEST

START_TEST(test_prefix) {
    psal_error err = PSAL_ERROR_INIT;
    psal_fail(&err, PSAL_ERR_SHAPE, "3x3, expected 1x1");
    ck_assert_int_eq(psal_fail_prefix(&err, "%s: tensor %s", "a.npz", "conv1"), PSAL_ERR_SHAPE);
    ck_assert_str_eq(err.message, "a.npz: tensor conv1: 3x3, expected 1x1");
    ck_assert_int_eq(err.status, PSAL_ERR_SHAPE);
    ck_assert_int_ne(psal_fail_prefix(NULL, "x"), PSAL_OK);
}
END_TEST

/* Every length around the end of the buffer: cut, ended, and nothing written behind. */
START_TEST(test_lengths) {
    enum { SIZE = sizeof((psal_error *)0)->message };
    static char text[2 * SIZE];
    for (size_t first = SIZE - 6; first < SIZE + 6; first++) {
        for (size_t second = 0; second < 2 * SIZE; second += second < 8 || second > SIZE - 8 ? 1 : SIZE / 4) {
            psal_error err = PSAL_ERROR_INIT;
            memset(text, 'a', sizeof text);
            psal_fail(&err, PSAL_ERR_IO, "%.*s", (int)first, text);
            size_t kept = first < SIZE ? first : SIZE - 1;
            ck_assert_uint_eq(strlen(err.message), kept);
            memset(text, 'b', sizeof text);
            psal_fail_prefix(&err, "%.*s", (int)second, text);
            size_t all = second + 2 + kept;
            ck_assert_uint_eq(strlen(err.message), all < SIZE ? all : SIZE - 1);
            ck_assert_uint_eq(strspn(err.message, "b"), second < SIZE ? second : SIZE - 1);
        }
    }
}
END_TEST

/* What a text becomes. */
static void expect(const char *text, const char *wanted) {
    psal_error err = PSAL_ERROR_INIT;
    psal_fail(&err, PSAL_ERR_IO, "%s", text);
    ck_assert_msg(strcmp(err.message, wanted) == 0, "'%s', expected '%s'", err.message, wanted);
    err = (psal_error)PSAL_ERROR_INIT;
    psal_fail_prefix(&err, "%s", text);
    ck_assert_int_eq(strncmp(err.message, wanted, strlen(wanted)), 0);
}

START_TEST(test_control_characters) {
    expect("a\nb\tc\033[31md\r\177", "a?b?c?[31md??");
    for (int c = 1; c < 0x20; c++) expect((char[]){'x', (char)c, 'y', 0}, "x?y");
    expect("a\302\233b\302\240c", "a?b\302\240c"); /* U+009B, a terminal's CSI; U+00A0 is a blank */
    for (int c = 0x80; c < 0xa0; c++) expect((char[]){'x', '\302', (char)c, 'y', 0}, "x?y");
    /* What reorders the text around it, and what begins a line: U+202A to U+202E, U+2066 to U+2069, the marks, the
     * separators. */
    for (int c = 0xaa; c <= 0xae; c++) expect((char[]){'x', '\342', '\200', (char)c, 'y', 0}, "x?y");
    for (int c = 0xa6; c <= 0xa9; c++) expect((char[]){'x', '\342', '\201', (char)c, 'y', 0}, "x?y");
    expect("\342\200\216\342\200\217\330\234", "???");
    expect("a\342\200\250b\342\200\251c\357\273\277", "a?b?c?");
    expect("\342\200\223\342\201\252", "\342\200\223\342\201\252"); /* their neighbours, a dash and U+206A, stay */
}
END_TEST

START_TEST(test_utf8) {
    expect("Ünïcode 日本 🦈 ok", "Ünïcode 日本 🦈 ok");
    expect("\200\277", "??");               /* continuations alone */
    expect("\303", "?");                    /* a beginning alone */
    expect("\303a", "?a");                  /* the next character survives */
    expect("\342\202", "??");               /* two of three */
    expect("\342\202\254", "\342\202\254"); /* U+20AC */
    expect("\300\257", "??");               /* "/" in two bytes */
    expect("\340\200\257", "???");          /* and in three */
    expect("\340\240\200", "\340\240\200"); /* U+0800, the first of three bytes */
    expect("\355\237\277", "\355\237\277"); /* U+D7FF */
    expect("\355\240\200", "???");          /* U+D800, a surrogate */
    expect("\360\217\277\277", "????");     /* U+FFFF in four bytes */
    expect("\360\220\200\200", "\360\220\200\200");
    expect("\364\217\277\277", "\364\217\277\277"); /* U+10FFFF */
    expect("\364\220\200\200", "????");
    expect("\365\200\200\200", "????");
    expect("\376\377", "??");
}
END_TEST

/* A character that the end of the message cuts is no text any more. */
START_TEST(test_cut_character) {
    enum { SIZE = sizeof((psal_error *)0)->message };
    for (int before = SIZE - 5; before < SIZE; before++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_fail(&err, PSAL_ERR_IO, "%*s\360\237\246\210", before, "");
        size_t length = strlen(err.message);
        ck_assert_uint_eq(length, before + 4 < SIZE ? before + 4 : SIZE - 1);
        for (size_t i = (size_t)before; i < length; i++) ck_assert((err.message[i] == '?') == (before + 4 >= SIZE));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/error");
    TCase *cases = tcase_create("error");
    tcase_add_test(cases, test_fail);
    tcase_add_test(cases, test_status);
    tcase_add_test(cases, test_prefix);
    tcase_add_test(cases, test_lengths);
    tcase_add_test(cases, test_control_characters);
    tcase_add_test(cases, test_utf8);
    tcase_add_test(cases, test_cut_character);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
