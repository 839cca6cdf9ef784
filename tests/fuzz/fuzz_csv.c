/* Tables: the first byte chooses the separator; what is read from a comma-separated one and written reads back the
 * same. */
#include "io/csv.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 20000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\""),   FUZZ_WORD("\"\""),         FUZZ_WORD(","), FUZZ_WORD("\r\n"),
                                FUZZ_WORD("\r"),   FUZZ_WORD("\n"),           FUZZ_WORD(";"), FUZZ_WORD("\xEF\xBB\xBF"),
                                FUZZ_WORD("\"\n"), FUZZ_WORD("\n\"\"\n\"\""), {NULL, 0}};

/* Read both files side by side. */
static void compare(const char *first, const char *second) {
    psal_error err = PSAL_ERROR_INIT;
    psal_csv_reader *a = psal_csv_open(first, ',', &err), *b = psal_csv_open(second, ',', &err);
    bool have = true, too = true;
    FUZZ_CHECK(a && b);
    while (have) {
        FUZZ_CHECK(psal_csv_next(a, &have, &err) == PSAL_OK && psal_csv_next(b, &too, &err) == PSAL_OK && have == too);
        FUZZ_CHECK(!have || psal_csv_field_count(a) == psal_csv_field_count(b));
        for (size_t i = 0; have && i < psal_csv_field_count(a); i++)
            FUZZ_CHECK(strcmp(psal_csv_field(a, i), psal_csv_field(b, i)) == 0);
    }
    psal_csv_close(a);
    psal_csv_close(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char separators[] = {',', ';', '\t', PSAL_CSV_WHOLE_LINES};
    if (!size) return 0;
    psal_error err = PSAL_ERROR_INIT;
    char separator = separators[data[0] % 4];
    const char *path = fuzz_write("a.csv", data + 1, size - 1), *copy = fuzz_path("b.csv");
    psal_csv_reader *reader = psal_csv_open(path, separator, &err);
    FUZZ_CHECK(reader != NULL);
    psal_csv_writer *writer = psal_csv_create(copy, &err);
    FUZZ_CHECK(writer != NULL);
    bool have = true, good = true;
    size_t line = 0;
    while (have && good) {
        good = fuzz_outcome(psal_csv_next(reader, &have, &err) == PSAL_OK, &err);
        if (!good || !have) break;
        FUZZ_CHECK(psal_csv_line(reader) > line && psal_csv_field_count(reader) > 0);
        line = psal_csv_line(reader);
        for (size_t i = 0; i < psal_csv_field_count(reader); i++) psal_csv_text(writer, psal_csv_field(reader, i));
        psal_csv_end_record(writer);
    }
    psal_csv_close(reader);
    FUZZ_CHECK(psal_csv_commit(writer, &err) == PSAL_OK || !good);
    if (good && separator == ',') compare(path, copy);
    return 0;
}

void fuzz_make_seeds(void) {
    FUZZ_SEED("plain", "\0path,label\na.png,1\r\nb.png,2\rc.png,");
    FUZZ_SEED("quoted", "\0\xEF\xBB\xBF\"a,\"\"b\"\"\r\n\",\"\"\n\n\"\"\n");
    FUZZ_SEED("semicolon", "\1a;b\n\"c;\";d\n");
    FUZZ_SEED("tab", "\2a\tb\n\t\n");
    FUZZ_SEED("lines", "\3a, \"b\n\n  c\n");
}
