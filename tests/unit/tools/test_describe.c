/* test_describe.c - a program as JSON, from which manual pages and completions are made; the list of commands. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/describe.h"
#include "tools/options_help.h"

static const char *planet(int index) {
    static const char *const planets[] = {"mars", "venus", NULL};
    return planets[index];
}

static const psal_option table[] = {
    {PSAL_OPTION_HEADING, .help = "What"},
    {PSAL_OPTION_PATH, "photo", 'p', NULL, NULL, "The \"photo\".", .repeatable = true, .files = ".jpg|.png"},
    {PSAL_OPTION_PATH, "store", 0, "FILE.npy", NULL, "Profiles.", .alias = "rows"},
    {PSAL_OPTION_PATH, "out", 0, "DIR", "here", "Where.", .alias = NULL},
    {PSAL_OPTION_PATH, "figure", .endings = ".svg|.pdf"},
    {PSAL_OPTION_PATH, "any", .help = "Any file."},
    {PSAL_OPTION_CHOICE, "mode", .help = "How.", .choices = "std|norm"},
    {PSAL_OPTION_STRING, "planet", .help = "Where from.", .known = "earth", .names = planet},
    {PSAL_OPTION_INTS, "k", .help = "Several."},
    {0}};
static const psal_subcommand subcommands[] = {{"merge", "OUT PART...", "Join."}, {"tail", NULL, "Fit."}, {0}};
static const psal_program program = {.name = "psal-test",
                                     .version = "1.2",
                                     .summary = "Test.",
                                     .arguments = "[merge OUT PART...]",
                                     .subcommands = subcommands,
                                     .options = table,
                                     .makes_project = true};

static json_t *described(void) {
    char *text = psal_describe(&program, "test");
    ck_assert_ptr_nonnull(text);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    free(text);
    return json;
}

static void expect(const json_t *option, const char *expected) {
    char *text = json_dumps(option, JSON_COMPACT);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(options) {
    static const char *const expected[] = {
        "{\"heading\":\"What\"}",
        "{\"name\":\"photo\",\"short\":\"p\",\"alias\":null,\"kind\":\"path\",\"value\":\"FILE\",\"help\":\"The "
        "\\\"photo\\\". May be given several times.\",\"repeatable\":true,\"words\":[],\"exact\":false,\"files\":["
        "\".jpg\",\".png\"]}",
        "{\"name\":\"store\",\"short\":null,\"alias\":\"rows\",\"kind\":\"path\",\"value\":\"FILE.npy\",\"help\":"
        "\"Profiles.\",\"repeatable\":false,\"words\":[],\"exact\":false,\"files\":[\".npy\"]}",
        "{\"name\":\"out\",\"short\":null,\"alias\":null,\"kind\":\"path\",\"value\":\"DIR\",\"help\":\"Where. "
        "(default: "
        "here)\",\"repeatable\":false,\"words\":[],\"exact\":false,\"files\":[\"/\"]}",
        "{\"name\":\"figure\",\"short\":null,\"alias\":null,\"kind\":\"path\",\"value\":\"FILE\",\"help\":\"\","
        "\"repeatable\":false,\"words\":[],\"exact\":false,\"files\":[\".svg\",\".pdf\"]}",
        "{\"name\":\"any\",\"short\":null,\"alias\":null,\"kind\":\"path\",\"value\":\"FILE\",\"help\":\"Any file.\","
        "\"repeatable\":false,\"words\":[],\"exact\":false,\"files\":[]}",
        "{\"name\":\"mode\",\"short\":null,\"alias\":null,\"kind\":\"choice\",\"value\":\"std|norm\",\"help\":\"How.\","
        "\"repeatable\":false,\"words\":[\"std\",\"norm\"],\"exact\":true,\"files\":null}",
        "{\"name\":\"planet\",\"short\":null,\"alias\":null,\"kind\":\"text\",\"value\":\"TEXT\",\"help\":\"Where "
        "from.\",\"repeatable\":false,\"words\":[\"earth\",\"mars\",\"venus\"],\"exact\":false,\"files\":null}",
        "{\"name\":\"k\",\"short\":null,\"alias\":null,\"kind\":\"number\",\"value\":\"LIST\",\"help\":\"Several.\","
        "\"repeatable\":false,\"words\":[],\"exact\":false,\"files\":null}"};
    json_t *json = described(), *list = json_object_get(json, "options");
    const size_t count = sizeof expected / sizeof expected[0];
    ck_assert_uint_eq(json_array_size(list), count + 2); /* --help and --version; a maker of projects takes none */
    for (size_t i = 0; i < count; i++) expect(json_array_get(list, i), expected[i]);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, count), "name")), "help");
    json_decref(json);
}
END_TEST

START_TEST(subcommands_and_titles) {
    json_t *json = described();
    expect(json_object_get(json, "subcommands"),
           "[{\"name\":\"merge\",\"arguments\":\"OUT PART...\",\"help\":\"Join.\"},"
           "{\"name\":\"tail\",\"arguments\":null,\"help\":\"Fit.\"}]");
    ck_assert_str_eq(json_string_value(json_object_get(json, "name")), "psal-test");
    ck_assert_str_eq(json_string_value(json_object_get(json, "purpose")), "test");
    ck_assert(json_is_null(json_object_get(json, "epilogue")));
    json_decref(json);
    char *help = psal_options_help(&program, 80);
    ck_assert_ptr_nonnull(
        strstr(help, "\nCommands:\n  merge OUT PART...  Join.\n  tail               Fit.\n\nWhat:\n"));
    free(help);
}
END_TEST

START_TEST(purposes) {
    ck_assert_ptr_nonnull(strstr(psal_command_purpose("psal-run"), "explain"));
    ck_assert_ptr_null(psal_command_purpose("psal-ru"));
    ck_assert_ptr_null(psal_command_purpose("run"));
    for (const psal_subcommand *command = psal_commands; command->name; command++)
        ck_assert(command->help && strlen(command->help) < 67 && command->help[strlen(command->help) - 1] != '.');
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tools/describe");
    TCase *tests = tcase_create("describe");
    tcase_add_test(tests, options);
    tcase_add_test(tests, subcommands_and_titles);
    tcase_add_test(tests, purposes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
