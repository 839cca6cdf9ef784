/* psal-check: is the explanation true? Experiments that could refute it. */
#include <string.h>

#include "tools/check.h"
#include "tools/program.h"

static const psal_option table[] = {
    PSAL_MISTAKES_OPTIONS,
    PSAL_UNITS_OPTION,
    PSAL_STATISTICS_OPTIONS,
    PSAL_MODE_OPTION,
    {PSAL_OPTION_HEADING, .help = "ablate: does the ranking predict what happens without a filter?"},
    {PSAL_OPTION_INT, "filters", 0, "N", "200",
     "Switch off N filters of each mistake, one at a time: one from each of N equal parts of its ranking. If not given "
     "and there are fewer: all.",
     .minimum = 2, .maximum = 1e9},
    {PSAL_OPTION_CHOICE, "how", 0, NULL, "weights",
     "Zero the weights, or the whole channel (its normalisation, or bias, too).", .choices = "weights|channel"},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_FLAG, "json", .help = "Print the result as one JSON object."},
    {PSAL_OPTION_PATH, "csv", 0, "FILE", NULL, "Write the table.", .output = true},
    {PSAL_OPTION_PATH, "samples", 0, "FILE", NULL, "Write what was measured on every sample (CSV).", .output = true},
    {PSAL_OPTION_PATH, "figure", 'f', "FILE", NULL, "Draw the table: .png, .svg or .pdf.", .output = true},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_program program = {
    .name = "psal-check",
    .version = PSAL_VERSION,
    .summary = "Test explanations of an image classifier's mistakes by experiments that could refute them.",
    .arguments = "ablate",
    .fewest_arguments = 1,
    .most_arguments = 1,
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-check ablate                           a mistake of psal's own small network\n"
                "  psal-check ablate --weights resnet50.safetensors --data val/ --limit 48 --figure ablate.pdf\n"};

static const struct {
    const char *name;
    psal_status (*run)(psal_check *check, psal_error *err);
} checks[] = {{"ablate", psal_check_ablate}};
enum { CHECKS = sizeof checks / sizeof checks[0] };

static int work(const psal_options *options, psal_error *err) {
    psal_check check = {.options = options, .name = psal_options_argument(options, 0)};
    psal_status status = PSAL_OK;
    int i = 0;
    while (i < CHECKS && strcmp(checks[i].name, check.name) != 0) i++;
    if (i == CHECKS)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "'%.100s' is no check: %s", check.name, program.arguments);
    status = checks[i].run(&check, err);
    const int result = psal_mistakes_finish(&check.mistakes, program.name, status, err);
    psal_mistakes_close(&check.mistakes);
    psal_session_close(&check.session);
    return result;
}

int main(int argc, char **argv) {
    return psal_program_main(&program, argc, argv, work);
}
