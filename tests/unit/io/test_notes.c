#include "io/notes.h"

#include "damage.h"

START_TEST(test_lines) {
    psal_notes notes = PSAL_NOTES_INIT;
    psal_note(NULL, "nobody wants this");
    psal_note(&notes, "ignored %d tensors: %s", 3, "a\n\x1b[31mb");
    ck_assert_uint_eq(notes.count, 1);
    ck_assert_str_eq(notes.lines[0], "ignored 3 tensors: a??[31mb");
    psal_note_warning(&notes, "%s", "a guess");
    ck_assert(!notes.warning[0] && notes.warning[1]);
    ck_assert_str_eq(notes.lines[1], "a guess");
    for (int i = 0; i < 1000; i++) psal_note(&notes, "note %d", i);
    ck_assert_uint_eq(notes.count, 100);
    ck_assert_str_eq(notes.lines[99], "note 97");
    psal_notes_free(&notes);
    ck_assert_uint_eq(notes.count, 0);
    ck_assert_ptr_null(notes.lines);
    psal_notes_free(&notes);
    psal_notes_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/notes");
    TCase *cases = tcase_create("notes");
    tcase_add_test(cases, test_lines);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
