#include "tools/finetune_program.h"

#include "tools/group_edit.h"
#include "tools/mistakes_state.h"
#include "tools/figure_style.h"

static const psal_option table[] = {
    PSAL_MISTAKES_OPTIONS,
    PSAL_RIGHT_OPTION,
    PSAL_STORE_OPTION,
    PSAL_GROUP_OPTIONS,
    {PSAL_OPTION_INT, "sample", 0, "N", NULL,
     "Only the mistake that is sample N (from 0) of --data; the other mistakes serve as its neighbours.", .minimum = 0,
     .maximum = 1e9},
    {PSAL_OPTION_HEADING, .help = "How"},
    PSAL_UNITS_OPTION,
    {PSAL_OPTION_INTS, "k", 'k', "LIST", "1,5,10,25,50,100", "How many filters.", .minimum = 1, .maximum = 1e9},
    {PSAL_OPTION_STRING, "choices", 'c', "LIST", "salient,random",
     "Which filters: salient, random, random-same-layers, least, naive, salient-abs, least-abs, gradient-weight, all, "
     "separated by commas.",
     .names = psal_choice_word},
    PSAL_RANKING_OPTIONS,
    {PSAL_OPTION_DOUBLE, "rate", 0, "X", "0.001", "Learning rate of the step.", .minimum = 0, .maximum = 1e6},
    {PSAL_OPTION_DOUBLE, "relative", 0, "X", NULL,
     "Instead of a rate: the change has this fraction of the chosen filters' L2 norm.", .minimum = 0, .maximum = 1e6},
    {PSAL_OPTION_INT, "steps", 0, "N", "1", "Steps, each with a new gradient.", .minimum = 1, .maximum = 1e6},
    {PSAL_OPTION_FLAG, "until-correct",
     .help =
         "Find the smallest change that corrects the sample: few filters first (at most the largest --k), then larger "
         "steps (at most --relative, or 0.1)."},
    {PSAL_OPTION_INT, "draws", 0, "N", "1", "Average of N draws of random filters.", .minimum = 1, .maximum = 1e4},
    {PSAL_OPTION_INT, "neighbors", 0, "N", "5",
     "Nearest neighbours in saliency space, among the other mistakes, to look at; and as many random other mistakes.",
     .minimum = 0, .maximum = 1e4},
    {PSAL_OPTION_CHOICE, "similarity", 0, NULL, "pearson",
     "Of the neighbours: pearson (the correlation of the standardized profiles), cosine (the paper's, which has more "
     "hubs), or normalized (each naive profile divided by its norm, then standardized).",
     .choices = "cosine|pearson|normalized"},
    {PSAL_OPTION_PATH, "normalized-stats", 0, "FILE", NULL,
     "For --similarity normalized: statistics of a data set's normalized profiles (psal-stats --normalized). Those of "
     "the mistakes alone if not given, which find more hubs.",
     .files = ".safetensors"},
    PSAL_MODE_OPTION,
    PSAL_STATISTICS_OPTIONS,
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_FLAG, "json", .help = "Print the result as one JSON object."},
    {PSAL_OPTION_PATH, "csv", 0, "FILE", NULL, "Write the table.", .output = true},
    {PSAL_OPTION_PATH, "samples", 0, "FILE", NULL, "Write a row (CSV) for every sample, choice and k.", .output = true},
    {PSAL_OPTION_PATH, "figure", 'f', "FILE", NULL, "Draw the report: .png, .svg or .pdf.", .output = true,
     .endings = ".png|.svg|.pdf"},
    PSAL_WIDTH_OPTION,
    {PSAL_OPTION_PATH, "save", 0, "FILE", NULL,
     "Write the corrected checkpoint (.safetensors, torchvision's names; of an ONNX file an .onnx): one sample, one "
     "choice, one k.",
     .output = true, .files = ".safetensors|.onnx"},
    {PSAL_OPTION_PATH, "save-delta", 0, "FILE", NULL,
     "Write only the changed filters, a delta, as --save: what --delta FILE of this and the other programs applies to "
     "the weights it is given.",
     .output = true, .files = ".safetensors"},
    PSAL_STATE_OPTIONS,
    PSAL_SESSION_OPTIONS,
    {0}};

const psal_program psal_finetune_program = {
    .name = "psal-finetune",
    .version = PSAL_VERSION,
    .summary = "Correct a mistake of an image classifier by a step on a few filters, and report what the edit did.",
    .arguments = PSAL_STATE_ARGUMENTS,
    .subcommands = psal_state_subcommands,
    .most_arguments = PSAL_STATE_MOST_ARGUMENTS,
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-finetune -k 10 -c salient              a mistake of psal's own small network\n"
                "  psal-finetune --weights resnet50.safetensors --data val/ --relative 0.1 --right 200\n"
                "  psal-finetune --until-correct -c salient -k 100 --save-delta edit.safetensors\n"};
