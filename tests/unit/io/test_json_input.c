#include "io/json_input.h"

#include "damage.h"

static void expect_refused(const char *text, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    json_t *root = psal_json_parse_object(text, strlen(text), &err);
    ck_assert_msg(root == NULL, "taken: %s", text);
    ck_assert_msg(strstr(err.message, reason) != NULL, "%s: %s", text, err.message);
}

START_TEST(test_objects) {
    psal_error err = PSAL_ERROR_INIT;
    json_t *root = psal_json_parse_object(" {\"a\": [1, 2]} ", 15, &err);
    ck_assert_msg(root != NULL, "%s", err.message);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "a")), 2);
    json_decref(root);
    expect_refused("", "bad JSON");
    expect_refused("[1]", "not an object");
    expect_refused("{\"a\": 1, \"a\": 2}", "duplicate");
    expect_refused("{\"a\": 1", "bad JSON");
    expect_refused("{} {}", "bad JSON");
    expect_refused("{\"a\\u0000\": 1}", "bad JSON");
    expect_refused("{\"a\": \"\xff\"}", "bad JSON");
    expect_refused("{\"a\": 99999999999999999999}", "bad JSON");
}
END_TEST

START_TEST(test_bounds) {
    psal_error err = PSAL_ERROR_INIT;
    size_t size = 3 << 20;
    char *text = malloc(size);
    memset(text, '[', size);
    ck_assert_ptr_null(psal_json_parse_object(text, size, &err));
    ck_assert_msg(strstr(err.message, "objects and arrays") != NULL, "%s", err.message);
    ck_assert_ptr_null(psal_json_parse_object(text, 900000, &err)); /* deep: stopped by the parser's own limit */
    ck_assert_msg(strstr(err.message, "bad JSON") != NULL, "%s", err.message);
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/json_input");
    TCase *cases = tcase_create("json_input");
    tcase_add_test(cases, test_objects);
    tcase_add_test(cases, test_bounds);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
