#include "tools/neighbors_program.h"

#include "saliency/kinds.h"
#include "tools/session.h"
#include "tools/skipped.h"
#include "tools/figure_style.h"

static const psal_option table[] = {
    {PSAL_OPTION_HEADING, .help = "The store (psal-stats --profiles FILE.npy)"},
    {PSAL_OPTION_PATH, "store", 0, "FILE.npy", NULL, "Naive profiles, one sample a row.", .required = true,
     .companion = ".csv"},
    {PSAL_OPTION_PATH, "index", 0, "FILE.csv", NULL,
     "Whose they are: path, label, predicted, ... FILE.npy.csv, as psal-stats calls it, if not given.", .alias = NULL},
    {PSAL_OPTION_PATH, "stats", 's', "FILE", NULL,
     "Statistics to standardize with. Computed from the store if not given.", .files = ".safetensors|.pth"},
    PSAL_MODE_OPTION,
    {PSAL_OPTION_HEADING, .help = "The question"},
    {PSAL_OPTION_STRING, "query", 0, "LIST", NULL,
     "Samples of the store (7 or 3,10-20), or 'all': every sample that may be a neighbour, too.", .repeatable = true,
     .known = "all"},
    {PSAL_OPTION_PATH, "image-path", 'i', "FILE", NULL, "A photo instead.", .files = PSAL_IMAGE_FILES},
    {PSAL_OPTION_STRING, "image-target-label", 'l', "CLASS", NULL,
     "Its true class; predicted (as if not given), or second, the runner-up.", .known = "predicted|second"},
    {PSAL_OPTION_CHOICE, "similarity", 0, NULL, NULL,
     "Of standardized profiles: Pearson's correlation (if not given), the cosine (the paper's, which has more hubs), "
     "the "
     "cosine after dividing each naive profile by its L2 norm, or Pearson's correlation of the standardized roots of "
     "naive saliencies (of kinds, if not given).",
     .choices = "cosine|pearson|normalized|roots"},
    PSAL_SKIP_BAD_OPTION,
    {PSAL_OPTION_INT, "top", 'n', "N", "10", "Neighbours of each query; of kinds: guilty filters of each.",
     .minimum = 1, .maximum = 1e5},
    {PSAL_OPTION_FLAG, "mistakes", .help = "Only misclassified samples as neighbours."},
    {PSAL_OPTION_STRING, "class", 0, "CLASS", NULL, "Only samples whose true class this is.", .repeatable = true},
    {PSAL_OPTION_STRING, "layers", 0, "PREFIX", NULL,
     "Compare only the filters, or rows, of layers whose name begins so (layer4).", .repeatable = true},
    {PSAL_OPTION_HEADING, .help = "psal-neighbors kinds"},
    {PSAL_OPTION_INT, "kinds", 0, "N", NULL, "How many; as many as silhouettes say, if not given.", .minimum = 1,
     .maximum = PSAL_KINDS_LIMIT},
    {PSAL_OPTION_INT, "seed", 0, "N", "1", "Of the draw, where there are more than 5000 mistakes.", .minimum = 0,
     .maximum = 1e15},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_PATH, "csv", 0, "FILE", NULL, "Also write the table as CSV.", .output = true},
    {PSAL_OPTION_FLAG, "json", .help = "Print one JSON object instead of the table."},
    {PSAL_OPTION_PATH, "sheet", 0, "FILE.png", NULL, "Contact sheet of queries and neighbours (.png, .svg, .pdf).",
     .output = true},
    PSAL_WIDTH_OPTION,
    {PSAL_OPTION_STRING, "data", 0, "SPEC", NULL,
     "The data set the store was made from, for the pictures, if it is elsewhere now than the store's table says.",
     .files = PSAL_ANY_FILE},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_subcommand subcommands[] = {
    {"kinds", NULL,
     "Sort all mistakes into kinds, and tell which filters are more salient in each than in the others."},
    {0}};

const psal_program psal_neighbors_program = {
    .name = "psal-neighbors",
    .version = PSAL_VERSION,
    .summary = "Find the samples whose standardized saliency profiles are most similar: mistakes of the same cause.",
    .subcommands = subcommands,
    .options = table,
    .arguments = "[kinds]",
    .most_arguments = 1,
    .epilogue = "Examples:\n"
                "  psal-neighbors --store p.npy --query 17 --mistakes --sheet near.png --data val/\n"
                "  psal-neighbors --store p.npy --query all --mistakes --csv near.csv\n"
                "  psal-neighbors --store p.npy -w resnet50.safetensors -i rocket.jpg -l missile --layers layer4\n"
                "  psal-neighbors kinds --store p.npy --sheet kinds.png --csv kinds.csv\n"};
