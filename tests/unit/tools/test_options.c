/* test_options.c - command lines: what is accepted, what is refused with which message, --help. */
#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/options.h"
#include "tools/options_help.h"

static const psal_option table[] = {
    {.kind = PSAL_OPTION_HEADING, .help = "What to explain"},
    {.kind = PSAL_OPTION_PATH, .name = "image-path", .repeatable = true, .help = "The photo."},
    {.kind = PSAL_OPTION_STRING, .name = "image-target-label", .short_name = 'l', .help = "Its class."},
    {.kind = PSAL_OPTION_HEADING, .help = "How"},
    {.kind = PSAL_OPTION_INT,
     .name = "k-salient",
     .short_name = 'k',
     .default_text = "10",
     .minimum = 1,
     .maximum = 100000,
     .help = "Filters to boost."},
    {.kind = PSAL_OPTION_DOUBLE,
     .name = "boost-factor",
     .default_text = "100",
     .minimum = 0,
     .maximum = INFINITY,
     .help = "By how much."},
    {.kind = PSAL_OPTION_INT, .name = "offset", .help = "Any whole number."},
    {.kind = PSAL_OPTION_CHOICE,
     .name = "mode",
     .default_text = "std",
     .choices = "std|norm|naive",
     .help = "Standardization."},
    {.kind = PSAL_OPTION_CHOICE, .name = "how", .choices = "weights|channel|noise|noise-scaled"},
    {.kind = PSAL_OPTION_FLAG, .name = "logit", .help = "Explain the logit."},
    {.kind = PSAL_OPTION_FLAG, .name = "logit-difference", .help = "Or the difference."},
    {.kind = PSAL_OPTION_FLAG, .name = "quiet", .short_name = 'q', .help = "No progress."},
    {.kind = PSAL_OPTION_FLAG, .name = "json", .short_name = 'j', .help = "Print JSON."},
    {.kind = PSAL_OPTION_INTS, .name = "k", .default_text = "1,5", .minimum = 1, .maximum = 1000, .help = "Several k."},
    {.kind = PSAL_OPTION_DOUBLE, .name = "relative", .help = "Relative steps."},
    {.kind = PSAL_OPTION_PATH,
     .name = "out",
     .short_name = 'o',
     .alias = "figure-folder-name",
     .default_text = "figures",
     .value_name = "DIR",
     .help = "Where pictures go."},
    {0}};

static const psal_program program = {
    .name = "psal-test",
    .version = "1.2.3",
    .summary = "Shows which filters made a network go wrong on an image, and which pixels drove "
               "them; this sentence is long enough to be wrapped.",
    .arguments = "[WEIGHTS]",
    .most_arguments = 1,
    .options = table,
    .epilogue = "Example:\n  psal-test --image-path a.jpg"};

static psal_error err;
static char *words[32];
static int word_count;

/* Parse the given words, up to NULL. */
static psal_options *parse(const char *first, ...) {
    word_count = 0;
    words[word_count++] = (char *)"psal-test";
    va_list args;
    va_start(args, first);
    for (const char *word = first; word; word = va_arg(args, const char *)) words[word_count++] = (char *)(size_t)word;
    va_end(args);
    err = (psal_error)PSAL_ERROR_INIT;
    return psal_options_parse(&program, word_count, words, &err);
}

#define PARSED(...)                                           \
    psal_options *options = parse(__VA_ARGS__, (char *)NULL); \
    ck_assert_msg(options != NULL, "%s", err.message)

/* The command line must be refused with a message that contains all the given texts. */
static void refused(psal_options *options, const char *first, ...) {
    ck_assert_ptr_null(options);
    ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
    va_list args;
    va_start(args, first);
    for (const char *text = first; text; text = va_arg(args, const char *))
        ck_assert_msg(strstr(err.message, text) != NULL, "\"%s\" lacks \"%s\"", err.message, text);
    va_end(args);
}
#define REFUSED(line, ...) refused(parse line, __VA_ARGS__, (char *)NULL)

START_TEST(defaults) {
    psal_options *options = parse(NULL);
    ck_assert_msg(options != NULL, "%s", err.message);
    ck_assert_int_eq(psal_options_int(options, "k-salient"), 10);
    ck_assert_double_eq(psal_options_double(options, "boost-factor"), 100);
    ck_assert_int_eq(psal_options_choice(options, "mode"), 0);
    ck_assert_str_eq(psal_options_string(options, "mode"), "std");
    ck_assert_int_eq(psal_options_choice(options, "how"), -1);
    ck_assert_ptr_null(psal_options_string(options, "how"));
    ck_assert_ptr_null(psal_options_string(options, "image-path"));
    ck_assert_uint_eq(psal_options_count(options, "image-path"), 0);
    ck_assert_str_eq(psal_options_string(options, "out"), "figures");
    ck_assert(!psal_options_flag(options, "logit"));
    ck_assert(!psal_options_given(options, "k-salient"));
    ck_assert(psal_options_has(options, "k-salient"));
    ck_assert(!psal_options_has(options, "offset"));
    ck_assert_int_eq(psal_options_int(options, "offset"), 0);
    size_t count;
    const int64_t *list = psal_options_ints(options, "k", &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(list[0], 1);
    ck_assert_int_eq(list[1], 5);
    ck_assert(!psal_options_has(options, "relative") && psal_options_double(options, "relative") == 0);
    ck_assert(!psal_options_wants_help(options) && !psal_options_wants_version(options));
    psal_options_free(options);
}
END_TEST

START_TEST(the_original_command_line) {
    PARSED("--image_path", "a b.jpg", "--image_target_label", "2", "--k_salient=5", "--boost_factor", "1e2",
           "--logit_difference");
    ck_assert_str_eq(psal_options_string(options, "image-path"), "a b.jpg");
    ck_assert_str_eq(psal_options_string(options, "image_target_label"), "2");
    ck_assert_int_eq(psal_options_int(options, "k-salient"), 5);
    ck_assert(psal_options_given(options, "k-salient"));
    ck_assert_double_eq(psal_options_double(options, "boost-factor"), 100);
    ck_assert(psal_options_flag(options, "logit-difference"));
    ck_assert(!psal_options_flag(options, "logit"));
    psal_options_free(options);
}
END_TEST

START_TEST(short_long_and_beginnings) {
    PARSED("-k7", "-qj", "-l", "great white shark", "--figure_folder", "x", "--off=-5", "--image-p=1", "--image-path",
           "2", "weights.pth", "--logit", "--k", "9");
    ck_assert_int_eq(psal_options_int(options, "k-salient"), 7);
    ck_assert(psal_options_flag(options, "quiet") && psal_options_flag(options, "json"));
    ck_assert_str_eq(psal_options_string(options, "image-target-label"), "great white shark");
    ck_assert_str_eq(psal_options_string(options, "out"), "x");
    ck_assert_int_eq(psal_options_int(options, "offset"), -5);
    ck_assert_uint_eq(psal_options_count(options, "image-path"), 2);
    ck_assert_str_eq(psal_options_string_at(options, "image-path", 0), "1");
    ck_assert_str_eq(psal_options_string_at(options, "image-path", 1), "2");
    ck_assert_uint_eq(psal_options_argument_count(options), 1);
    ck_assert_str_eq(psal_options_argument(options, 0), "weights.pth");
    /* "--logit" and "--k" are whole names, though others begin with them. */
    ck_assert(psal_options_flag(options, "logit") && !psal_options_flag(options, "logit-difference"));
    size_t count;
    const int64_t *list = psal_options_ints(options, "k", &count);
    ck_assert(count == 1 && list[0] == 9);
    psal_options_free(options);
}
END_TEST

START_TEST(values_with_dashes) {
    PARSED("--offset", "-3", "--image-path=-x.jpg", "--relative", "-.5", "--out", "-", "--", "--json");
    ck_assert_int_eq(psal_options_int(options, "offset"), -3);
    ck_assert_str_eq(psal_options_string(options, "image-path"), "-x.jpg");
    ck_assert_str_eq(psal_options_string(options, "out"), "-");
    ck_assert(psal_options_double(options, "relative") == -0.5);
    ck_assert_str_eq(psal_options_argument(options, 0), "--json");
    ck_assert(!psal_options_flag(options, "json"));
    psal_options_free(options);
}
END_TEST

START_TEST(the_last_one_counts) {
    PARSED("-k", "5", "--k-salient", "6", "--k", "1,2,3", "--k", "4", "--mode", "norm", "--mode=naive",
           "--image-target-label", "");
    ck_assert_int_eq(psal_options_int(options, "k-salient"), 6);
    ck_assert_uint_eq(psal_options_count(options, "k-salient"), 1);
    size_t count;
    const int64_t *list = psal_options_ints(options, "k", &count);
    ck_assert(count == 1 && list[0] == 4);
    ck_assert_int_eq(psal_options_choice(options, "mode"), 2);
    ck_assert_str_eq(psal_options_string(options, "image-target-label"), "");
    psal_options_free(options);
}
END_TEST

START_TEST(lists) {
    PARSED("--k", "3,10-12,20:31:5,7:7");
    static const int64_t expected[] = {3, 10, 11, 12, 20, 25, 30, 7};
    size_t count;
    const int64_t *list = psal_options_ints(options, "k", &count);
    ck_assert_uint_eq(count, 8);
    for (size_t i = 0; i < 8; i++) ck_assert_int_eq(list[i], expected[i]);
    psal_options_free(options);
    REFUSED(("--k", "1,,2", NULL), "--k", "\"\"", "from 1 to 1000");
    REFUSED(("--k", "0", NULL), "\"0\"", "from 1 to 1000");
    REFUSED(("--k", "5-2000", NULL), "\"5-2000\"", "from 1 to 1000");
    REFUSED(("--k", "9-5", NULL), "\"9-5\"", "range");
    REFUSED(("--k", "1:9:0", NULL), "\"1:9:0\"");
    REFUSED(("--k", "1:2:3:4", NULL), "\"1:2:3:4\"");
    REFUSED(("--k", "-", NULL), "\"-\"");
    REFUSED(("--k", "1-", NULL), "\"1-\"");
    REFUSED(("--relative", "x", NULL), "--relative", "\"x\"", "a number");
    REFUSED(("--relative", "inf", NULL), "\"inf\"");
}
END_TEST

START_TEST(long_lists_and_extremes) {
    static const psal_option free_range[] = {{.kind = PSAL_OPTION_INTS, .name = "n"}, {0}};
    psal_program other = {.name = "x", .options = free_range};
    char *huge[] = {(char *)"x", (char *)"--n=1-999999999999"};
    err = (psal_error)PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_options_parse(&other, 2, huge, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "more than 1000000"));
    char *edge[] = {(char *)"x", (char *)"--n=9223372036854775806:9223372036854775807"};
    psal_options *options = psal_options_parse(&other, 2, edge, &err);
    size_t count;
    ck_assert_ptr_nonnull(options);
    ck_assert_int_eq(psal_options_ints(options, "n", &count)[1], INT64_MAX);
    ck_assert_uint_eq(count, 2);
    psal_options_free(options);
}
END_TEST

START_TEST(choices) {
    PARSED("--mode", "na", "--how", "noise");
    ck_assert_str_eq(psal_options_string(options, "mode"), "naive");
    ck_assert_int_eq(psal_options_choice(options, "mode"), 2);
    ck_assert_str_eq(psal_options_string(options, "how"), "noise");
    ck_assert_int_eq(psal_options_choice(options, "how"), 2);
    psal_options_free(options);
    options = parse("--how", "noise_s", NULL);
    ck_assert_int_eq(psal_options_choice(options, "how"), 3);
    psal_options_free(options);
    REFUSED(("--mode", "n", NULL), "--mode", "\"n\"", "std, norm, naive", "several");
    REFUSED(("--mode", "nrom", NULL), "did you mean norm?");
    REFUSED(("--mode", "zzzzzz", NULL), "expected one of: std, norm, naive");
    REFUSED(("--mode", "", NULL), "--mode");
    REFUSED(("--mode", "std|norm", NULL), "--mode");
}
END_TEST

START_TEST(unknown_and_ambiguous_options) {
    REFUSED(("--imgae_path", "x", NULL), "--imgae_path", "did you mean --image-path?");
    REFUSED(("--zzz", NULL), "unknown option --zzz", "--help");
    REFUSED(("--image", "x", NULL), "ambiguous", "--image-path", "--image-target-label");
    REFUSED(("--lo", NULL), "ambiguous", "--logit, --logit-difference");
    REFUSED(("-z", NULL), "unknown option -z");
    REFUSED(("-qz", NULL), "unknown option -z");
    REFUSED(("--=3", NULL), "unknown option");
    REFUSED(("--json=1", NULL), "--json takes no value", "\"1\"");
    REFUSED(("---json", NULL), "unknown option");
}
END_TEST

START_TEST(missing_and_wrong_values) {
    REFUSED(("--image-path", NULL), "--image-path needs a value");
    REFUSED(("--image-path", "--json", NULL), "--image-path needs a value", "\"--json\"");
    REFUSED(("-k", NULL), "-k needs a value");
    REFUSED(("-k", "-q", NULL), "-k needs a value");
    REFUSED(("--image-path", "", NULL), "--image-path", "empty");
    REFUSED(("--k-salient", "ten", NULL), "--k-salient", "\"ten\"", "a whole number from 1 to 100000");
    REFUSED(("--k-salient", "0", NULL), "\"0\"", "from 1 to 100000");
    REFUSED(("--k-salient", "1.5", NULL), "\"1.5\"");
    REFUSED(("--k-salient", " 5", NULL), "\" 5\"");
    REFUSED(("--k-salient", "99999999999999999999", NULL), "\"99999999999999999999\"");
    REFUSED(("--boost-factor", "-1", NULL), "\"-1\"", "at least 0");
    REFUSED(("--boost-factor", "nan", NULL), "\"nan\"");
    REFUSED(("--boost-factor", "0x10", NULL), "\"0x10\"");
    REFUSED(("--boost-factor", "1,5", NULL), "\"1,5\"");
    REFUSED(("a", "b", NULL), "unexpected argument \"b\"");
    REFUSED(("a", "--image-path", "x/red", "cars/1.jpg", NULL), "unexpected argument \"cars/1.jpg\"",
            "stands in quotes");
}
END_TEST

START_TEST(needed_arguments_and_options) {
    static const psal_option needs[] = {{.kind = PSAL_OPTION_STRING, .name = "data", .required = true}, {0}};
    psal_program other = {
        .name = "x", .arguments = "IN OUT", .fewest_arguments = 2, .most_arguments = 2, .options = needs};
    char *line[] = {(char *)"x", (char *)"--data=d", (char *)"in", (char *)"out"};
    ck_assert_ptr_null(psal_options_parse(&other, 3, line, &err));
    ck_assert_str_eq(err.message, "1 argument given, expected 2: IN OUT");
    psal_options *options = psal_options_parse(&other, 4, line, &err);
    ck_assert_ptr_nonnull(options);
    psal_options_free(options);
    line[1] = (char *)"in";
    ck_assert_ptr_null(psal_options_parse(&other, 3, line, &err));
    ck_assert_str_eq(err.message, "option --data is needed: no psal.json here says it");
    line[1] = (char *)"--help";
    options = psal_options_parse(&other, 2, line, &err);
    ck_assert(options && psal_options_wants_help(options));
    psal_options_free(options);
}
END_TEST

START_TEST(help_and_version) {
    psal_options *options = parse("-h", "--k-salient", "5", "x", "y", NULL);
    ck_assert(options && psal_options_wants_help(options));
    psal_options_free(options);
    options = parse("--vers", NULL);
    ck_assert(options && psal_options_wants_version(options));
    psal_options_free(options);
    for (int width = 20; width < 140; width += 20) {
        char *text = psal_options_help(&program, width);
        ck_assert_ptr_nonnull(text);
        static const char *const parts[] = {"usage: psal-test [options] [WEIGHTS]\n",
                                            "What to explain:\n",
                                            "\nHow:\n",
                                            "      --image-path FILE",
                                            "  -k, --k-salient N",
                                            "--mode std|norm|naive",
                                            "-o, --out DIR",
                                            "-h, --help",
                                            "-V, --version",
                                            "Example:\n  psal-test --image-path a.jpg\n"};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            ck_assert_msg(strstr(text, parts[i]) != NULL, "no \"%s\" in:\n%s", parts[i], text);
        ck_assert_ptr_null(strstr(text, "figure-folder-name"));
        if (width >= 80) ck_assert_ptr_nonnull(strstr(text, "Filters to boost. (default: 10)\n"));
        size_t widest = width < 62 ? 62 : (size_t)width;
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
            size_t length = strcspn(line, "\n");
            ck_assert_msg(length <= widest, "width %d: %.*s", width, (int)length, line);
            ck_assert_msg(length == 0 || line[length - 1] != ' ', "trailing blank: %.*s|", (int)length, line);
        }
        free(text);
    }
}
END_TEST

START_TEST(given_ones_in_a_list_or_not) {
    static const char *const list[] = {"quiet", "k-salient", "offset", NULL}, *const none[] = {NULL};
    PARSED("--js", "-k3", "--offset=1");
    ck_assert_str_eq(psal_options_given_of(options, list, true), "k-salient"); /* in the table's order */
    ck_assert_str_eq(psal_options_given_of(options, list, false), "json");
    ck_assert_ptr_null(psal_options_given_of(options, none, true));
    psal_options_free(options);
    options = parse("-q", "WEIGHTS", (char *)NULL);
    ck_assert_ptr_null(psal_options_given_of(options, list, false)); /* a default is not given */
    ck_assert_str_eq(psal_options_given_of(options, none, false), "quiet");
    psal_options_free(options);
}
END_TEST

START_TEST(all_defaults_are_valid_and_free_takes_null) {
    static const psal_option wrong[] = {{.kind = PSAL_OPTION_INT, .name = "n", .default_text = "five"}, {0}};
    psal_program other = {.name = "x", .options = wrong};
    char *line[] = {(char *)"x"};
    ck_assert_ptr_null(psal_options_parse(&other, 1, line, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "default of --n"));
    ck_assert_ptr_null(psal_options_parse(&other, 1, line, NULL));
    psal_options_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tools/options");
    TCase *tests = tcase_create("options");
    tcase_add_test(tests, defaults);
    tcase_add_test(tests, the_original_command_line);
    tcase_add_test(tests, short_long_and_beginnings);
    tcase_add_test(tests, values_with_dashes);
    tcase_add_test(tests, the_last_one_counts);
    tcase_add_test(tests, lists);
    tcase_add_test(tests, long_lists_and_extremes);
    tcase_add_test(tests, choices);
    tcase_add_test(tests, unknown_and_ambiguous_options);
    tcase_add_test(tests, missing_and_wrong_values);
    tcase_add_test(tests, needed_arguments_and_options);
    tcase_add_test(tests, help_and_version);
    tcase_add_test(tests, given_ones_in_a_list_or_not);
    tcase_add_test(tests, all_defaults_are_valid_and_free_takes_null);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
