#include "io/helper_files.h"

#include "damage.h"
#include "pickle_writer.h"

static uint8_t bytes[40000];
static const float mean_values[3] = {1.5f, -2, 0.1f};
static const double std_values[3] = {0.1, 2, 3e-300};

static size_t make_typed_statistics(const char *second, int64_t second_count, const char *type) {
    struct pickle_writer pickle = {.size = 0};
    struct zip_writer zip = {.to = bytes};
    PUT(&pickle, "\x80\x02}(");
    put_string(&pickle, "mean");
    put_tensor(&pickle, "FloatStorage", "0", 3, 0, 1, (int64_t[]){3}, (int64_t[]){1}, 0);
    put_string(&pickle, second);
    put_tensor(&pickle, type, "1", 3, 0, 1, &second_count, (int64_t[]){1}, 0);
    PUT(&pickle, "u.");
    zip_add(&zip, "archive/data.pkl", pickle.bytes, pickle.size, 0);
    zip_add(&zip, "archive/data/0", mean_values, sizeof mean_values, 0);
    zip_add(&zip, "archive/data/1", std_values, sizeof std_values, 0);
    return zip_end(&zip);
}

static size_t make_statistics(const char *second, int64_t second_count) {
    return make_typed_statistics(second, second_count, "DoubleStorage");
}

START_TEST(test_statistics) {
    psal_error err = PSAL_ERROR_INIT;
    double *mean, *std;
    size_t count;
    write_bytes(in_folder("s.pth"), bytes, make_statistics("std", 3));
    ck_assert_msg(psal_read_statistics_pth(in_folder("s.pth"), &mean, &std, &count, &err) == PSAL_OK, "%s",
                  err.message);
    ck_assert_uint_eq(count, 3);
    for (int i = 0; i < 3; i++) ck_assert(mean[i] == (double)mean_values[i] && std[i] == std_values[i]);
    free(mean);
    free(std);

    write_bytes(in_folder("s.pth"), bytes, make_statistics("std", 2));
    ck_assert_int_eq(psal_read_statistics_pth(in_folder("s.pth"), &mean, &std, &count, &err), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "3 means, but 2") && strstr(err.message, "s.pth"), "%s", err.message);
    ck_assert_ptr_null(mean);
    ck_assert_uint_eq(count, 0);
    write_bytes(in_folder("s.pth"), bytes, make_statistics("var", 3));
    ck_assert_int_eq(psal_read_statistics_pth(in_folder("s.pth"), &mean, &std, &count, &err), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "no entry 'std'") != NULL, "%s", err.message);
    /* Elements that psal has no type for, of a shape that nothing holds (found by the fuzzer). */
    const int64_t counts[] = {3, INT64_C(1) << 57};
    const char *const reasons[] = {"elements of complex128", "past its storage"};
    for (int i = 0; i < 2; i++) {
        write_bytes(in_folder("s.pth"), bytes, make_typed_statistics("std", counts[i], "ComplexDoubleStorage"));
        ck_assert_int_ne(psal_read_statistics_pth(in_folder("s.pth"), &mean, &std, &count, &err), PSAL_OK);
        ck_assert_msg(strstr(err.message, reasons[i]) != NULL, "%s", err.message);
    }
    ck_assert_int_ne(psal_read_statistics_pth(in_folder("missing"), &mean, &std, &count, NULL), PSAL_OK);
}
END_TEST

#define I8 "cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00i8\x89\x88\x87RC\x08"
#define RESULTS                                                              \
    "\x80\x03}(X\x0c\x00\x00\x00incorrect_id](" I8 "\x02\0\0\0\0\0\0\0\x86R" \
    "K\x09"                                                                  \
    "e"                                                                      \
    "X\x15\x00\x00\x00incorrect_predictions](K\x04K\x05"                     \
    "e"                                                                      \
    "X\x0a\x00\x00\x00"                                                      \
    "correct_id"

static psal_status read_results(const void *text, size_t size, psal_inference_results *results, psal_error *err) {
    write_bytes(in_folder("r.pth"), text, size);
    return psal_read_inference_results(in_folder("r.pth"), results, err);
}
#define READ(text) read_results(text, sizeof(text) - 1, &results, &err)

START_TEST(test_results) {
    psal_error err = PSAL_ERROR_INIT;
    psal_inference_results results;
    ck_assert_msg(READ(RESULTS "](K\x01K\x02K\x03"
                               "eu.") == PSAL_OK,
                  "%s", err.message);
    ck_assert_uint_eq(results.incorrect_count, 2);
    ck_assert_uint_eq(results.correct_count, 3);
    ck_assert_int_eq(results.incorrect_id[0], 2);
    ck_assert_int_eq(results.incorrect_id[1], 9);
    ck_assert_int_eq(results.incorrect_prediction[1], 5);
    ck_assert_int_eq(results.correct_id[2], 3);
    psal_inference_results_free(&results);
    psal_inference_results_free(&results);
    /* An int64 array in place of a list, and an empty one. */
    ck_assert_msg(
        READ(RESULTS
             "cnumpy.core.numeric\n_frombuffer\n("
             "C\x08\x07\0\0\0\0\0\0\0cnumpy\ndtype\nX\x02\x00\x00\x00i8\x85RK\x01\x85X\x01\x00\x00\x00\x43tRu.") ==
            PSAL_OK,
        "%s", err.message);
    ck_assert_int_eq(results.correct_id[0], 7);
    psal_inference_results_free(&results);
    ck_assert_int_eq(READ(RESULTS "]u."), PSAL_OK);
    ck_assert_uint_eq(results.correct_count, 0);
    psal_inference_results_free(&results);

    ck_assert_int_eq(READ(RESULTS "](K\x01N"
                                  "eu."),
                     PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "entry 1 of 'correct_id' is None") && strstr(err.message, "r.pth"), "%s",
                  err.message);
    ck_assert_ptr_null(results.incorrect_id);
    ck_assert_int_eq(READ(RESULTS "K\x01u."), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "'correct_id' is the number 1") != NULL, "%s", err.message);
    ck_assert_int_eq(READ(RESULTS "]uX\x15\x00\x00\x00incorrect_predictions]s."), PSAL_ERR_FORMAT);
    ck_assert_msg(strstr(err.message, "2 misclassified images, but 0 predictions") != NULL, "%s", err.message);
    ck_assert_int_eq(READ("\x80\x02]."), PSAL_ERR_FORMAT);
    ck_assert_int_ne(psal_read_inference_results(in_folder("missing"), &results, NULL), PSAL_OK);
}
END_TEST

static bool reader(const char *path, psal_error *err) {
    double *mean, *std, sum = 0;
    size_t count;
    psal_inference_results results;
    if (psal_read_inference_results(path, &results, err) == PSAL_OK) psal_inference_results_free(&results);
    if (psal_read_statistics_pth(path, &mean, &std, &count, err) != PSAL_OK) return false;
    for (size_t i = 0; i < count; i++) sum += mean[i] + std[i];
    free(mean);
    free(std);
    return sum == sum || true;
}

START_TEST(test_damage) {
    ck_assert_int_eq(damage_everywhere(bytes, make_statistics("std", 3), in_folder("bad"), reader), 0);
    const char results[] = RESULTS "](K\x01K\x02K\x03"
                                   "eu.";
    ck_assert_int_eq(damage_everywhere((const uint8_t *)results, sizeof results - 1, in_folder("bad"), reader), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/helper_files");
    TCase *cases = tcase_create("helper_files");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_statistics);
    tcase_add_test(cases, test_results);
    tcase_add_test(cases, test_damage);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
