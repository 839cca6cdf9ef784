#include "tools/prune_program.h"

#include "tools/mistakes.h"
#include "tools/mistakes_state.h"
#include "tools/figure_style.h"

static const psal_option table[] = {
    PSAL_MISTAKES_OPTIONS,
    PSAL_RIGHT_OPTION,
    PSAL_STORE_OPTION,
    {PSAL_OPTION_HEADING, .help = "How"},
    PSAL_UNITS_OPTION,
    {PSAL_OPTION_INTS, "k", 'k', "LIST", "1,2,5,10,20,30,50,75,100,200", "How many filters.", .minimum = 1,
     .maximum = 1e9},
    {PSAL_OPTION_STRING, "choices", 'c', "LIST", "salient,random,random-same-layers,least,naive",
     "Which filters: these, or some of them, separated by commas; salient-abs and least-abs by magnitude, as the "
     "original code ranks; gradient-weight: those without which the loss falls most, to first order; all for every "
     "filter.",
     .names = psal_choice_word},
    PSAL_RANKING_OPTIONS,
    {PSAL_OPTION_CHOICE, "how", 0, NULL, "weights",
     "Zero the weights; or the whole channel (its normalisation, or bias, too); or disturb the weights in proportion "
     "(noise), by N(0,1) (normal), or in a random direction by the filter's norm (isotropic).",
     .choices = "weights|channel|noise|normal|isotropic"},
    {PSAL_OPTION_DOUBLE, "noise-scale", 0, "X", "1", "Factor of the noise.", .minimum = 0, .maximum = 1e6},
    {PSAL_OPTION_INT, "draws", 0, "N", "3", "Average of N draws where something is random.", .minimum = 1,
     .maximum = 1e4},
    PSAL_MODE_OPTION,
    PSAL_STATISTICS_OPTIONS,
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_FLAG, "json", .help = "Print the result as one JSON object."},
    {PSAL_OPTION_PATH, "csv", 0, "FILE", NULL, "Write the table.", .output = true},
    {PSAL_OPTION_PATH, "samples", 0, "FILE", NULL, "Write a row (CSV) for every sample, choice and k.", .output = true},
    {PSAL_OPTION_PATH, "figure", 'f', "FILE", NULL, "Draw the curves: .png, .svg or .pdf.", .output = true,
     .endings = ".png|.svg|.pdf"},
    PSAL_WIDTH_OPTION,
    {PSAL_OPTION_PATH, "save", 0, "FILE", NULL,
     "Write the pruned checkpoint (.safetensors; of an ONNX file an .onnx): one image, one choice, one k.",
     .output = true},
    PSAL_STATE_OPTIONS,
    PSAL_SESSION_OPTIONS,
    {0}};

const psal_program psal_prune_program = {
    .name = "psal-prune",
    .version = PSAL_VERSION,
    .summary = "Switch filters of an image classifier off, and see what that does to its mistakes.",
    .arguments = PSAL_STATE_ARGUMENTS,
    .subcommands = psal_state_subcommands,
    .most_arguments = PSAL_STATE_MOST_ARGUMENTS,
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-prune                                  a mistake of psal's own small network\n"
                "  psal-prune --weights resnet50.safetensors --data val/ --how channel --figure curves.pdf\n"
                "  psal-prune --weights resnet50.safetensors --data val/ --state S.safetensors --shard 2/7\n"
                "  psal-prune --weights resnet50.safetensors --data val/ merge S.part-*-of-7.safetensors\n"};
