/* What psal-check understands on its command line, and which check that asks for. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/check.h"
#include "tools/figure_style.h"

static const psal_option table[] = {
    PSAL_MISTAKES_OPTIONS,
    {PSAL_OPTION_HEADING, .help = "Their profiles"},
    PSAL_UNITS_OPTION,
    PSAL_STATISTICS_OPTIONS,
    PSAL_MODE_OPTION,
    {PSAL_OPTION_HEADING, .help = "ablate"},
    {PSAL_OPTION_INT, "filters", 0, "N", "200",
     "Switch off N filters of each mistake, one at a time: one from each of N equal parts of its ranking. If not given "
     "and there are fewer: all.",
     .minimum = 2, .maximum = 1e9},
    {PSAL_OPTION_CHOICE, "how", 0, NULL, "weights",
     "Zero the weights, or the whole channel (its normalisation, or bias, too).", .choices = "weights|channel"},
    {PSAL_OPTION_HEADING, .help = "mask"},
    {PSAL_OPTION_INTS, "percent", 0, "LIST", "1,2,5,10,20,30,50", "Hide so many percent of the pixels.", .minimum = 1,
     .maximum = 99},
    {PSAL_OPTION_PATH, "mask", 0, "FILE", NULL,
     "Instead hide what is not black in this picture (JPEG, PNG or WebP), which is as large as the network's image.",
     .files = PSAL_IMAGE_FILES},
    {PSAL_OPTION_STRING, "box", 0, "X,Y,W,H", NULL,
     "Instead hide this box: its upper left corner, from 0,0, its width and height, in pixels of the network's image.",
     .repeatable = true},
    {PSAL_OPTION_CHOICE, "fill", 0, NULL, "mean",
     "What stands in their place: the image's mean, the image blurred, or noise of its mean and deviation.",
     .choices = "mean|blur|noise"},
    {PSAL_OPTION_PATH, "fill-image", 0, "FILE", NULL,
     "Instead what stands at the same place of this photo, prepared as the network's images are.",
     .files = PSAL_IMAGE_FILES},
    {PSAL_OPTION_INT, "draws", 0, "N", "3", "Average of N draws of the pixels that are hidden instead, to compare.",
     .minimum = 1, .maximum = 1e4},
    {PSAL_OPTION_HEADING, .help = "randomize"},
    {PSAL_OPTION_CHOICE, "by", 0, NULL, "stage",
     "Redraw the weights stage by stage (as figures name them: layer4, features.28) or layer by layer.",
     .choices = "stage|layer"},
    {PSAL_OPTION_CHOICE, "redraw", 0, NULL, "permute",
     "Other weights: the layer's own in another order, or normal ones of their mean and deviation.",
     .choices = "permute|normal"},
    {PSAL_OPTION_INT, "random-labels", 0, "N", "3", "Also explain N random labels of each mistake, and average.",
     .minimum = 0, .maximum = 1e4},
    {PSAL_OPTION_HEADING, .help = "mask and randomize"},
    {PSAL_OPTION_INT, "k-salient", 'k', "N", "10", "The top filters: they are boosted in the heat map's target.",
     .minimum = 1, .maximum = 1e9},
    {PSAL_OPTION_DOUBLE, "boost-factor", 0, "X", "100", "By so much.", .minimum = 0, .maximum = 1e9},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_FLAG, "json", .help = "Print the result as one JSON object."},
    {PSAL_OPTION_PATH, "csv", 0, "FILE", NULL, "Write the table.", .output = true},
    {PSAL_OPTION_PATH, "samples", 0, "FILE", NULL, "Write what was measured on every sample (CSV).", .output = true},
    {PSAL_OPTION_PATH, "figure", 'f', "FILE", NULL, "Draw the table: .png, .svg or .pdf.", .output = true,
     .endings = ".png|.svg|.pdf"},
    PSAL_WIDTH_OPTION,
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_subcommand subcommands[] = {
    {"ablate", NULL, "Whether a ranking predicts what happens without a filter."},
    {"mask", NULL, "What becomes of the top filters when pixels of the heat map are hidden."},
    {"randomize", NULL, "Whether the explanation changes with the weights, and with the label."},
    {0}};

const psal_program psal_check_program = {
    .name = "psal-check",
    .version = PSAL_VERSION,
    .summary = "Test explanations of an image classifier's mistakes by experiments that could refute them.",
    .arguments = "ablate|mask|randomize",
    .subcommands = subcommands,
    .fewest_arguments = 1,
    .most_arguments = 1,
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-check ablate                           a mistake of psal's own small network\n"
                "  psal-check mask --percent 5 --fill blur\n"
                "  psal-check ablate --weights resnet50.safetensors --data val/ --limit 48 --figure ablate.pdf\n"};

static const struct {
    const char *name;
    psal_status (*run)(psal_check *check, psal_error *err);
} checks[] = {{"ablate", psal_check_ablate}, {"mask", psal_check_mask}, {"randomize", psal_check_randomize}};
enum { CHECKS = sizeof checks / sizeof checks[0] };

/* Options that not all checks have, and those that do. */
static const struct {
    const char *option;
    bool has[CHECKS];
} owners[] = {
    {"filters", {true, false, false}},    {"how", {true, false, false}},           {"percent", {false, true, false}},
    {"mask", {false, true, false}},       {"fill", {false, true, false}},          {"draws", {false, true, false}},
    {"box", {false, true, false}},        {"fill-image", {false, true, false}},    {"by", {false, false, true}},
    {"redraw", {false, false, true}},     {"random-labels", {false, false, true}}, {"k-salient", {false, true, true}},
    {"boost-factor", {false, true, true}}};

/* An option that does nothing is a misunderstanding. */
static psal_status refuse_others(const psal_options *options, int check, psal_error *err) {
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
        if (!owners[i].has[check] && psal_options_given(options, owners[i].option))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has no option --%s: --help lists those of each check",
                             checks[check].name, owners[i].option);
    return PSAL_OK;
}

psal_status psal_check_do(psal_check *check, psal_error *err) {
    int i = 0;
    check->name = psal_options_argument(check->options, 0);
    while (i < CHECKS && strcmp(checks[i].name, check->name) != 0) i++;
    if (i == CHECKS)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "'%.100s' is no check: %s", check->name, psal_check_program.arguments);
    psal_status status = refuse_others(check->options, i, err);
    return status == PSAL_OK ? checks[i].run(check, err) : status;
}

void psal_check_close(psal_check *check) {
    free(check->record);
    psal_mistakes_close(&check->mistakes);
    psal_session_close(&check->session);
}
