#include "io/json_input.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "damage.h"
#include "io/json_memory.h"

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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LIMITED = 0 }; /* sanitizers need the address space themselves */
#else
enum { LIMITED = 1 };
#endif

/* Jansson's lexer leaves out what it finds no memory for, and reads on: 25 for 255, and here beyond its buffer. */
START_TEST(test_missing_memory) {
    const size_t mib = 1 << 20, size = 32 * mib + 500; /* its buffer doubles at 32 MiB, the last time */
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, "{\"a\": \"", 7);
    memcpy(text + size - 2, "\"}", 2);
    struct rlimit before, tight;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
    fclose(statm);
    tight = before;
    tight.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + 96 * mib; /* 64 MiB in all until then, and not 64 more */
    psal_error err = PSAL_ERROR_INIT;
    if (LIMITED) {
        ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
        void *probe = mmap(NULL, 256 * mib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        json_t *root = psal_json_parse_object(text, size, &err);
        ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
        if (probe == MAP_FAILED) { /* an emulator does not hold a process to it */
            ck_assert_ptr_null(root);
            ck_assert_int_eq(err.status, PSAL_ERR_MEMORY);
            ck_assert_msg(strstr(err.message, "out of memory") != NULL, "%s", err.message);
        } else {
            munmap(probe, 256 * mib);
            json_decref(root);
        }
    }
    json_t *root = psal_json_parse_object(text, size, &err); /* and the next is none the worse */
    ck_assert_ptr_nonnull(root);
    ck_assert_uint_eq(json_string_length(json_object_get(root, "a")), size - 9);
    json_decref(root);
    free(text);
}
END_TEST

/* What is being built in this thread keeps its own note while something is parsed. */
START_TEST(test_parsing_while_building) {
    psal_error err = PSAL_ERROR_INIT;
    psal_json_memory_fail();
    json_t *root = psal_json_parse_object("{}", 2, &err);
    ck_assert_ptr_nonnull(root);
    ck_assert(psal_json_memory_failed());
    ck_assert(!psal_json_memory_failed());
    json_decref(root);
}
END_TEST

START_TEST(test_files) {
    psal_error err = PSAL_ERROR_INIT;
    json_t *root;
    write_bytes(in_folder("a.json"), "{\"a\": 1}", 8);
    write_bytes(in_folder("half.json"), "{\"a\": ", 6);
    write_bytes(in_folder("empty.json"), "", 0);
    ck_assert_int_eq(psal_json_load(in_folder("none.json"), &root, &err), PSAL_OK);
    ck_assert_ptr_null(root);
    ck_assert_int_eq(psal_json_load(in_folder("a.json"), &root, &err), PSAL_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "a")), 1);
    json_decref(root);
    ck_assert_int_eq(psal_json_load(in_folder("half.json"), &root, &err), PSAL_ERR_FORMAT);
    ck_assert_ptr_null(root);
    ck_assert_msg(strstr(err.message, "half.json: bad JSON") != NULL, "%s", err.message);
    ck_assert_int_eq(psal_json_load(in_folder("empty.json"), &root, &err), PSAL_ERR_FORMAT);
    ck_assert_int_eq(symlink("loop", in_folder("loop")), 0); /* it may be there: nobody can know */
    ck_assert_int_eq(psal_json_load(in_folder("loop"), &root, &err), PSAL_ERR_IO);
    ck_assert_msg(strstr(err.message, "loop: cannot be looked at") != NULL, "%s", err.message);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/json_input");
    TCase *cases = tcase_create("json_input");
    tcase_add_test(cases, test_objects);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_bounds);
    tcase_add_test(cases, test_missing_memory);
    tcase_add_test(cases, test_parsing_while_building);
    tcase_add_test(cases, test_files);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
