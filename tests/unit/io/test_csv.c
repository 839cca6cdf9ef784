#include "io/csv.h"

#include <inttypes.h>
#include <unistd.h>

#include "scratch.h"

static psal_error err;

static psal_csv_reader *open_bytes(const void *data, size_t size, char separator) {
    err = (psal_error)PSAL_ERROR_INIT;
    psal_csv_reader *csv = psal_csv_open(write_bytes("t.csv", data, size), separator, &err);
    ck_assert_msg(csv != NULL, "%s", err.message);
    return csv;
}

static psal_csv_reader *open_text(const char *text) {
    return open_bytes(text, strlen(text), ',');
}

/* The next record must have these fields, joined by '|', and begin on this line. */
static void expect(psal_csv_reader *csv, size_t line, const char *joined) {
    bool have;
    ck_assert_msg(!psal_csv_next(csv, &have, &err), "%s", err.message);
    ck_assert(have);
    char got[4096] = "";
    for (size_t i = 0; i < psal_csv_field_count(csv); i++) {
        if (i) strcat(got, "|");
        strcat(got, psal_csv_field(csv, i));
    }
    ck_assert_str_eq(got, joined);
    ck_assert_uint_eq(psal_csv_line(csv), line);
}

static void expect_end(psal_csv_reader *csv) {
    bool have = true;
    ck_assert_msg(!psal_csv_next(csv, &have, &err), "%s", err.message);
    ck_assert(!have);
    ck_assert_msg(!psal_csv_next(csv, &have, &err) && !have, "the end must last");
    psal_csv_close(csv);
}

START_TEST(plain_records) {
    psal_csv_reader *csv = open_text("path,label\na/b.jpg,3\n,\nx,,z");
    expect(csv, 1, "path|label");
    expect(csv, 2, "a/b.jpg|3");
    expect(csv, 3, "|");
    expect(csv, 4, "x||z");
    expect_end(csv);
    expect_end(open_text(""));
    expect_end(open_text("\n\r\n\r"));
    expect_end(open_text("\xEF\xBB\xBF"));
}
END_TEST

START_TEST(line_ends_and_mark) {
    psal_csv_reader *csv = open_text("\xEF\xBB\xBF"
                                     "a,b\r\n\r\nc\rd\n\n\ne\xEF\xBB\xBF\r");
    expect(csv, 1, "a|b");
    expect(csv, 3, "c");
    expect(csv, 4, "d");
    expect(csv, 7, "e\xEF\xBB\xBF");
    expect_end(csv);
}
END_TEST

START_TEST(quotes) {
    psal_csv_reader *csv = open_text("\"a,b\",\"say \"\"hi\"\"\",\"\"\n\"two\nlines\r\n\",x\n5\" disk,\"q\"\n"
                                     "\"\"\n\xEF\xBB,1\n");
    expect(csv, 1, "a,b|say \"hi\"|");
    expect(csv, 2, "two\nlines\r\n|x");
    expect(csv, 5, "5\" disk|q");
    expect(csv, 6, "");
    expect(csv, 7, "\xEF\xBB|1");
    expect_end(csv);
    csv = open_text("\xEF\xBB\xBF\"a\",b");
    expect(csv, 1, "a|b");
    expect_end(csv);
}
END_TEST

START_TEST(other_separators_and_whole_lines) {
    psal_csv_reader *csv = open_bytes("a\tb,c\n", 6, '\t');
    expect(csv, 1, "a|b,c");
    expect_end(csv);
    static const char text[] = "a, \"b\r\n\n \"c\n";
    csv = open_bytes(text, sizeof text - 1, PSAL_CSV_WHOLE_LINES);
    expect(csv, 1, "a, \"b");
    expect(csv, 3, " \"c");
    expect_end(csv);
}
END_TEST

/* Read all; the last call must fail so. */
static void expect_failure(psal_csv_reader *csv, psal_status status, const char *place, const char *reason) {
    bool have = true;
    err = (psal_error)PSAL_ERROR_INIT;
    while (!psal_csv_next(csv, &have, &err) && have) {
    }
    ck_assert(!have);
    EXPECT_ERROR(err, status, place, reason);
    psal_csv_close(csv);
}

START_TEST(damaged_files) {
    expect_failure(open_text("a\n\"b\n\n"), PSAL_ERR_FORMAT, "t.csv:2:", "never closed");
    expect_failure(open_text("a\nx,\"b"), PSAL_ERR_FORMAT, "t.csv:2:", "never closed");
    expect_failure(open_text("\"a\"b\n"), PSAL_ERR_FORMAT, "t.csv:1:", "closing quote");
    expect_failure(open_bytes("a\nb\0c\n", 6, ','), PSAL_ERR_FORMAT, "t.csv:2:", "NUL");
    expect_failure(open_bytes("\0", 1, ','), PSAL_ERR_FORMAT, "t.csv:1:", "NUL");
    expect_failure(open_bytes("a\n\"x\n\0", 6, ','), PSAL_ERR_FORMAT, "t.csv:3:", "NUL");
    expect_failure(open_bytes("a\0", 2, PSAL_CSV_WHOLE_LINES), PSAL_ERR_FORMAT, "t.csv:1:", "NUL");
    /* UTF-16 */
    expect_failure(open_bytes("\xFF\xFE"
                              "a\0,\0",
                              6, ','),
                   PSAL_ERR_FORMAT, "t.csv:1:", "NUL");
}
END_TEST

START_TEST(enormous_records) {
    size_t size = 10 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, "a\n", 2);
    expect_failure(open_bytes(text, size, ','), PSAL_ERR_FORMAT, "t.csv:2:", "more than 1048576 bytes");
    expect_failure(open_bytes(text, size, PSAL_CSV_WHOLE_LINES), PSAL_ERR_FORMAT, "t.csv:2:", "more than");
    text[2] = '"';
    expect_failure(open_bytes(text, size, ','), PSAL_ERR_FORMAT, "t.csv:2:", "more than");
    memset(text, ',', size);
    expect_failure(open_bytes(text, size, ','), PSAL_ERR_FORMAT, "t.csv:1:", "more than 4096 fields");
    /* Just within the limits. */
    memset(text, 'x', PSAL_CSV_MAX_RECORD);
    psal_csv_reader *csv = open_bytes(text, PSAL_CSV_MAX_RECORD, ',');
    bool have;
    ck_assert(!psal_csv_next(csv, &have, &err) && have);
    ck_assert_uint_eq(strlen(psal_csv_field(csv, 0)), PSAL_CSV_MAX_RECORD);
    psal_csv_close(csv);
    memset(text, ',', 4095);
    csv = open_bytes(text, 4095, ',');
    ck_assert(!psal_csv_next(csv, &have, &err) && have);
    ck_assert_uint_eq(psal_csv_field_count(csv), 4096);
    psal_csv_close(csv);
    free(text);
}
END_TEST

START_TEST(files_that_cannot_be_read) {
    ck_assert_ptr_null(psal_csv_open(in_scratch("none.csv"), ',', &err));
    EXPECT_ERROR(err, PSAL_ERR_IO, "none.csv", "No such file");
    psal_csv_reader *csv = psal_csv_open(scratch, ',', &err);
    expect_failure(csv, PSAL_ERR_IO, scratch, "directory");
    psal_csv_close(NULL);
}
END_TEST

START_TEST(written_tables) {
    const char *path = in_scratch("out.csv");
    psal_csv_writer *out = psal_csv_create(path, &err);
    psal_csv_record(out, 3, (const char *[]){"path", "a,b", "say \"hi\""});
    psal_csv_text(out, "two\nlines");
    psal_csv_int(out, INT64_MIN);
    psal_csv_double(out, 0.1);
    psal_csv_float(out, 0.868f);
    psal_csv_text(out, NULL);
    psal_csv_text(out, "\r");
    psal_csv_end_record(out);
    psal_csv_text(out, "");
    psal_csv_end_record(out);
    ck_assert_int_ne(access(path, F_OK), 0); /* not before commit */
    ck_assert_int_eq(psal_csv_commit(out, &err), PSAL_OK);
    char *text = read_text(path);
    ck_assert_str_eq(text, "path,\"a,b\",\"say \"\"hi\"\"\"\n"
                           "\"two\nlines\",-9223372036854775808,0.1,0.868,,\"\r\"\n\"\"\n");
    free(text);
    psal_csv_reader *csv = psal_csv_open(path, ',', &err);
    expect(csv, 1, "path|a,b|say \"hi\"");
    expect(csv, 2, "two\nlines|-9223372036854775808|0.1|0.868||\r");
    expect(csv, 4, "");
    expect_end(csv);
}
END_TEST

/* Whatever the writer writes the reader reads back. */
START_TEST(round_trip_of_random_fields) {
    static const char alphabet[] = "ab,\"\n\r \t\xEF\xBB\xBF;\x01\xFF=-'";
    uint32_t state = 1;
    for (int round = 0; round < 300; round++) {
        char field[4][3][12];
        psal_csv_writer *out = psal_csv_create(in_scratch("r.csv"), &err);
        for (int r = 0; r < 4; r++) {
            for (int f = 0; f < 3; f++) {
                int length = (int)(state >> 20) % 11;
                for (int i = 0; i < length; i++) {
                    state = state * 1664525u + 1013904223u;
                    field[r][f][i] = alphabet[(state >> 16) % (sizeof alphabet - 1)];
                }
                field[r][f][length] = 0;
                state = state * 1664525u + 1013904223u;
                psal_csv_text(out, field[r][f]);
                if (r == 3) break; /* the last record has one field only */
            }
            psal_csv_end_record(out);
        }
        ck_assert_int_eq(psal_csv_commit(out, &err), PSAL_OK);
        psal_csv_reader *csv = psal_csv_open(in_scratch("r.csv"), ',', &err);
        for (int r = 0; r < 4; r++) {
            bool have;
            ck_assert_msg(!psal_csv_next(csv, &have, &err) && have, "%s", err.message);
            ck_assert_uint_eq(psal_csv_field_count(csv), r == 3 ? 1 : 3);
            for (size_t f = 0; f < psal_csv_field_count(csv); f++)
                ck_assert_str_eq(psal_csv_field(csv, f), field[r][f]);
        }
        expect_end(csv);
    }
}
END_TEST

/* What a spreadsheet would run is written as a text, and reads back as it was; numbers stay numbers. */
START_TEST(formulas_are_texts) {
    static const char *const texts[] = {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "''-1", "=a,\"b\""};
    static const char *const others[] = {"a=1", "'", "''", "'quoted'", " =1", "\xe2\x80\x99=1", ".-"};
    psal_csv_writer *out = psal_csv_create(in_scratch("f.csv"), &err);
    for (int i = 0; i < 8; i++) psal_csv_text(out, texts[i]);
    psal_csv_int(out, -1);
    psal_csv_double(out, -0.5);
    psal_csv_end_record(out);
    for (int i = 0; i < 7; i++) psal_csv_text(out, others[i]);
    psal_csv_end_record(out);
    ck_assert_int_eq(psal_csv_commit(out, &err), PSAL_OK);
    char *text = read_text(in_scratch("f.csv"));
    ck_assert_str_eq(text, "'=1+1,'+1,'-1,'@SUM(A1),'\t=1,''=1,'''-1,\"'=a,\"\"b\"\"\",-1,-0.5\n"
                           "a=1,','','quoted', =1,\xe2\x80\x99=1,.-\n");
    free(text);
    psal_csv_reader *csv = psal_csv_open(in_scratch("f.csv"), ',', &err);
    expect(csv, 1, "=1+1|+1|-1|@SUM(A1)|\t=1|'=1|''-1|=a,\"b\"|-1|-0.5");
    expect(csv, 2, "a=1|'|''|'quoted'| =1|\xe2\x80\x99=1|.-");
    expect_end(csv);
    csv = psal_csv_open(in_scratch("f.csv"), PSAL_CSV_WHOLE_LINES, &err); /* lines stay as they are */
    bool have;
    ck_assert_int_eq(psal_csv_next(csv, &have, &err), PSAL_OK);
    ck_assert_int_eq(*psal_csv_field(csv, 0), '\'');
    psal_csv_close(csv);
}
END_TEST

START_TEST(separators_found) {
    static const struct {
        const char *text, *first;
    } cases[] = {{"a,b\n1,2\n", "a|b"},
                 {"a;b\n", "a|b"},
                 {"a\tb\r\nc", "a|b"},
                 {"a b", "a b"},
                 {"\n\n\n\n\na;b\n", "a|b"},
                 {"\xEF\xBB\xBF\r\na;b\r\n", "a|b"},
                 {"a;b.png,3\n", "a;b.png|3"},
                 {"a,b.png;3\n", "a,b.png|3"},
                 {"3;a,b.png\n", "3|a,b.png"},
                 {"a, b;n01440764\n", "a, b|n01440764"},
                 {"\"a;b\",c\n", "a;b|c"},
                 {"a;b,c\n", "a;b|c"},
                 {"sep=\t\nb\ta,1\n", "b|a,1"},
                 {"sep=;", NULL},
                 {"", NULL},
                 {"\n", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_text("s.csv", cases[i].text);
        for (int memory = 0; memory < 2; memory++) {
            psal_csv_reader *csv = memory ? psal_csv_open_text(cases[i].text, strlen(cases[i].text), "s.csv",
                                                               PSAL_CSV_ANY, &err)
                                          : psal_csv_open(path, PSAL_CSV_ANY, &err);
            char got[100] = "";
            bool have;
            ck_assert_msg(!psal_csv_next(csv, &have, &err), "%s", err.message);
            ck_assert_int_eq(have, cases[i].first != NULL);
            for (size_t f = 0; have && f < psal_csv_field_count(csv); f++)
                snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", f ? "|" : "", psal_csv_field(csv, f));
            if (have) ck_assert_str_eq(got, cases[i].first);
            psal_csv_close(csv);
        }
    }
}
END_TEST

START_TEST(writing_that_fails) {
    ck_assert_ptr_null(psal_csv_create(in_scratch("none/out.csv"), &err));
    EXPECT_ERROR(err, PSAL_ERR_IO, "none/out.csv");
    if (access("/dev/full", W_OK) == 0) {
        psal_csv_writer *out = psal_csv_create("/dev/full", &err);
        ck_assert_ptr_nonnull(out);
        psal_csv_text(out, "x");
        psal_csv_end_record(out);
        ck_assert_int_eq(psal_csv_commit(out, &err), PSAL_ERR_IO);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("csv");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, plain_records);
    tcase_add_test(tests, line_ends_and_mark);
    tcase_add_test(tests, quotes);
    tcase_add_test(tests, other_separators_and_whole_lines);
    tcase_add_test(tests, damaged_files);
    tcase_add_test(tests, enormous_records);
    tcase_add_test(tests, files_that_cannot_be_read);
    tcase_add_test(tests, written_tables);
    tcase_add_test(tests, round_trip_of_random_fields);
    tcase_add_test(tests, formulas_are_texts);
    tcase_add_test(tests, separators_found);
    tcase_add_test(tests, writing_that_fails);
    return run_case("io/csv", tests);
}
