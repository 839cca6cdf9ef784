#include "io/json_output.h"

#include <float.h>
#include <math.h>
#include <unistd.h>

#include "io/json_memory.h"
#include "scratch.h"

static psal_error err;

/* What is written for a new value, without the line end; the caller frees. */
static char *text_of(json_t *value) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(value);
    ck_assert_msg(!psal_json_write(value, out, &err), "%s", err.message);
    fclose(out);
    json_decref(value);
    ck_assert_int_eq(text[size - 1], '\n');
    text[size - 1] = 0;
    return text;
}

#define WRITTEN(value, expected)         \
    do {                                 \
        char *got = text_of(value);      \
        ck_assert_str_eq(got, expected); \
        free(got);                       \
    } while (0)

START_TEST(numbers) {
    WRITTEN(psal_json_double(0.1), "0.1");
    WRITTEN(psal_json_double(3), "3.0");
    WRITTEN(psal_json_double(-0.0), "-0.0");
    WRITTEN(psal_json_double(1e300), "1e+300");
    WRITTEN(psal_json_double(NAN), "null");
    WRITTEN(psal_json_double(-INFINITY), "null");
    WRITTEN(psal_json_float(0.868f), "0.868");
    WRITTEN(psal_json_float(0.1f), "0.1");
    WRITTEN(psal_json_float(1.0f / 3), "0.33333334");
    WRITTEN(psal_json_float(INFINITY), "null");
    WRITTEN(json_integer(INT64_MIN), "-9223372036854775808");
    WRITTEN(json_true(), "true");
    WRITTEN(json_false(), "false");
    WRITTEN(json_null(), "null");
}
END_TEST

START_TEST(numbers_read_back) {
    uint64_t state = 99;
    for (int i = 0; i < 20000; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double number;
        memcpy(&number, &state, sizeof number);
        uint32_t bits = (uint32_t)(state >> 32);
        float single;
        memcpy(&single, &bits, sizeof single);
        if (!isfinite(number) || !isfinite(single)) continue;
        json_t *array = json_array();
        json_array_append_new(array, psal_json_double(number));
        json_array_append_new(array, psal_json_float(single));
        char *text = text_of(array);
        json_t *back = json_loads(text, 0, NULL);
        ck_assert_msg(back != NULL, "%s", text);
        ck_assert(json_real_value(json_array_get(back, 0)) == number);
        ck_assert((float)json_real_value(json_array_get(back, 1)) == single);
        json_decref(back);
        free(text);
    }
}
END_TEST

START_TEST(strings) {
    WRITTEN(psal_json_string("a \"b\" \\ \n\t\x01/\x7f"), "\"a \\\"b\\\" \\\\ \\n\\t\\u0001/\\u007f\"");
    WRITTEN(json_string("\xc2\x9b\xe2\x80\xae\xc3\xa9"),
            "\"\\u009b\\u202e\xc3\xa9\""); /* a terminal would obey the first two */
    /* C1 controls, bidirectional controls, separators: the same text, and nothing that a terminal obeys. */
    WRITTEN(psal_json_string("\xc2\x9b"
                             "2J\xe2\x80\xae"
                             "x\xe2\x81\xa6\xe2\x80\xa8\xef\xbb\xbf"),
            "\"\\u009b2J\\u202ex\\u2066\\u2028\\ufeff\"");
    WRITTEN(psal_json_string("\xc3\xbc \xe6\x97\xa5 \xf0\x9f\xa6\x88"), "\"\xc3\xbc \xe6\x97\xa5 \xf0\x9f\xa6\x88\"");
    WRITTEN(psal_json_string("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
    WRITTEN(psal_json_document("psal-run/1"), "{\n  \"schema\": \"psal-run/1\"\n}");
    WRITTEN(psal_json_string("a\xff\xc3"
                             "b\xe2\x82"),
            "\"a\xef\xbf\xbd\xef\xbf\xbd"
            "b\xef\xbf\xbd\xef\xbf\xbd\"");
    WRITTEN(psal_json_string("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
    WRITTEN(psal_json_string(""), "\"\"");
    WRITTEN(psal_json_string(NULL), "null");
}
END_TEST

START_TEST(structures) {
    json_t *object = json_object();
    json_object_set_new(object, "zebra", psal_json_double(1.5));
    json_object_set_new(object, "ape", json_pack("[o, o]", psal_json_float(0.1f), psal_json_float(NAN)));
    json_object_set_new(object, "none", json_array());
    json_object_set_new(object, "d", json_pack("[o]", psal_json_double(0.25)));
    json_t *rows = json_array();
    json_t *row = json_object();
    json_object_set_new(row, "i\"d", json_pack("[i, i]", 1, -2));
    json_array_append_new(rows, row);
    json_array_append_new(rows, json_object());
    json_object_set_new(object, "rows", rows);
    WRITTEN(object, "{\n  \"zebra\": 1.5,\n  \"ape\": [0.1, null],\n  \"none\": [],\n  \"d\": [0.25],\n"
                    "  \"rows\": [\n    {\n      \"i\\\"d\": [1, -2]\n    },\n    {}\n  ]\n}");
}
END_TEST

START_TEST(too_deep) {
    json_t *value = json_array();
    for (int i = 0; i < 200; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, value);
        value = outer;
    }
    ck_assert_int_eq(psal_json_save(value, in_scratch("deep.json"), &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_ne(access(in_scratch("deep.json"), F_OK), 0);
    json_decref(value);
}
END_TEST

START_TEST(files) {
    json_t *value = json_pack("[i]", 7);
    ck_assert_int_eq(psal_json_save(value, in_scratch("a.json"), &err), PSAL_OK);
    char *text = read_text(in_scratch("a.json"));
    ck_assert_str_eq(text, "[7]\n");
    free(text);
    ck_assert_int_eq(psal_json_save(value, in_scratch("no/a.json"), &err), PSAL_ERR_IO);
    EXPECT_ERROR(err, PSAL_ERR_IO, "no/a.json");
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        ck_assert_int_eq(psal_json_write(value, full, &err), PSAL_ERR_IO);
        fclose(full);
    }
    ck_assert_int_eq(psal_json_write(NULL, stdout, &err), PSAL_ERR_MEMORY);
    json_decref(value);
}
END_TEST

/* Whatever could not be made or added is said once, by the next check, and never again. */
START_TEST(missing_memory) {
    json_t *value = json_object();
    psal_json_memory_fail();
    json_object_set_new(value, "a", NULL);
    psal_error error = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_json_save(value, in_scratch("none.json"), &error), PSAL_ERR_MEMORY);
    ck_assert_msg(strstr(error.message, "out of memory") != NULL, "%s", error.message);
    ck_assert_int_ne(access(in_scratch("none.json"), F_OK), 0);
    ck_assert_int_eq(psal_json_check(value, &error), PSAL_OK);
    ck_assert_int_eq(psal_json_check(NULL, &error), PSAL_ERR_MEMORY);
    WRITTEN(value, "{}");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("json_output");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, numbers_read_back);
    tcase_add_test(tests, strings);
    tcase_add_test(tests, structures);
    tcase_add_test(tests, too_deep);
    tcase_add_test(tests, files);
    tcase_add_test(tests, missing_memory);
    return run_case("io/json_output", tests);
}
