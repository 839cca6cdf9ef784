#include "tools/run_program.h"

#include "tools/session.h"
#include "tools/skipped.h"
#include "tools/figure_style.h"

static const psal_option table[] = {
    {PSAL_OPTION_HEADING, .help = "What to explain (the sample that comes with psal if none of these is given)"},
    {PSAL_OPTION_PATH, "image-path", 'i', "FILE", NULL, "JPEG, PNG or WebP photo.", .repeatable = true,
     .files = PSAL_IMAGE_FILES},
    {PSAL_OPTION_STRING, "image-target-label", 'l', "CLASS", NULL,
     "The true class of each --image-path, in order (one for all is enough): number, name or WordNet id; or for all: "
     "predicted, as without, or second, the runner-up.",
     .repeatable = true, .known = "predicted|second"},
    {PSAL_OPTION_PATH, "images", 0, "LIST", NULL,
     "Table path,label (CSV) of many images, or a folder of class folders.", .files = ".csv|.tsv|.txt|.lst|.list"},
    {PSAL_OPTION_STRING, "reference-id", 'r', "N", NULL,
     "Image number N (from 0) of --data, or incorrect:N, the Nth misclassified one of --inference-results.",
     .alias = "reference-image-id"},
    {PSAL_OPTION_PATH, "data", 'd', "SET", NULL,
     "Data set that --reference-id counts in, and --look looks through: a folder of class folders, a list, or "
     "idx:IMAGES,LABELS. --imagenet-val-path is the same.",
     .alias = "imagenet-val-path"},
    {PSAL_OPTION_PATH, "inference-results", 0, "FILE", NULL,
     "The original authors' ImageNet_val_inference_results_*.pth (looked for in the cache if not given).",
     .files = ".pth"},
    PSAL_SKIP_BAD_OPTION,
    {PSAL_OPTION_FLAG, "mistakes", .help = "Of --images, explain only those that are misclassified."},
    {PSAL_OPTION_HEADING, .help = "How"},
    {PSAL_OPTION_STRING, "against", 0, "CLASS", NULL,
     "Subtract this class's standardized profile: what the label depends on more than that class. Number, name or "
     "WordNet id, predicted or second.",
     .known = "predicted|second"},
    {PSAL_OPTION_CHOICE, "mode", 0, NULL, "std",
     "Standardization: (s - mean) / std, s / mean, the naive saliency, or peaks over threshold: the negative logarithm "
     "of the probability of so large a saliency (statistics of psal-stats tail).",
     .choices = "std|norm|naive|pot"},
    {PSAL_OPTION_CHOICE, "aggregation", 0, NULL, "filter",
     "What one entry of the profile is: a filter of a convolution, a row of the weights of any convolution or "
     "linear layer, a single parameter, a whole tensor.",
     .choices = "filter|row|parameter|tensor"},
    {PSAL_OPTION_INT, "k-salient", 'k', "N", "10", "Entries that the input saliency follows.", .minimum = 1,
     .maximum = 1e9},
    {PSAL_OPTION_DOUBLE, "boost-factor", 'b', "X", "100", "By how much those are boosted.", .minimum = -1e6,
     .maximum = 1e6},
    {PSAL_OPTION_FLAG, "compare-random",
     .help = "Also draw the map for k random entries beside that of the top ones, and say how alike they are."},
    {PSAL_OPTION_INT, "noise-iters", 0, "N", "1", "Average over N noisy copies of the image.", .minimum = 1,
     .maximum = 100000},
    {PSAL_OPTION_DOUBLE, "noise-percent", 0, "P", "0",
     "Noise: x <- (1 - P) x + P e, e normal, x as the network gets it.", .minimum = 0, .maximum = 1},
    {PSAL_OPTION_DOUBLE, "noise-sd", 0, "X", "0",
     "Instead: x <- x + e, e normal with the standard deviation X, in the units of pixels (0 to 255).", .minimum = 0,
     .maximum = 1e4},
    {PSAL_OPTION_INT, "seed", 0, "N", "1", "Of the noise and of the random entries.", .minimum = 0, .maximum = 9e15},
    {PSAL_OPTION_FLAG, "signed", .help = "Keep the sign of the gradients: mean instead of mean magnitude."},
    {PSAL_OPTION_FLAG, "gradient-weight",
     .help = "Instead the magnitude of the sum of gradient x weight: by how much the loss changes, to first order, "
             "when the weights become 0; with --signed the change itself."},
    {PSAL_OPTION_FLAG, "logit", .help = "The loss is the target's logit instead of the cross-entropy."},
    {PSAL_OPTION_FLAG, "logit-difference",
     .help = "The loss is the predicted class's logit (or the runner-up's) minus the target's."},
    PSAL_STATISTICS_OPTIONS,
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_INT, "top", 'n', "N", "20", "Rows of the table.", .minimum = 0, .maximum = 1e6},
    {PSAL_OPTION_PATH, "out", 'o', "DIR", "figures", "Where pictures and tables go; a folder per image for several.",
     .alias = "figure-folder-name"},
    {PSAL_OPTION_CHOICE, "figures", 0, NULL, "all", "The pictures: all, or none of them.", .choices = "all|none"},
    PSAL_FORMAT_OPTION,
    PSAL_WIDTH_OPTION,
    PSAL_COLORS_OPTION,
    {PSAL_OPTION_INT, "look", 0, "N", NULL,
     "Also what the N most salient filters look for: where in the images of --data they answer most, and least.",
     .minimum = 1, .maximum = 100},
    {PSAL_OPTION_INT, "look-images", 0, "N", NULL,
     "Look through N images of --data, drawn at random (--seed) and spread over the classes.", .minimum = 1,
     .maximum = 1e9},
    {PSAL_OPTION_PATH, "report", 0, "FILE.html", NULL,
     "Also one page about the image, for a browser; beside it, of the same name and .json, every number it shows.",
     .output = true, .endings = ".html|.htm"},
    {PSAL_OPTION_PATH, "dump", 0, "DIR", NULL, "Also write input, logits, profiles and gradient as .npy.",
     .alias = NULL},
    {PSAL_OPTION_FLAG, "json", .help = "Print the result as one JSON object."},
    {PSAL_OPTION_FLAG, "resume", .help = "Skip images of the list that an earlier run has finished."},
    {PSAL_OPTION_FLAG, "profile-ops", .help = "Print where the time went, operation by operation."},
    PSAL_SESSION_OPTIONS,
    {0}};

const psal_program psal_run_program = {
    .name = "psal-run",
    .version = PSAL_VERSION,
    .summary = "Say which filters of an image classifier a mistake depends on most, and which pixels drive them.",
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-run                                    a mistake of psal's own small network\n"
                "  psal-run --weights resnet50.safetensors --image-path rocket.jpg --image-target-label missile\n"
                "  psal-run --model resnet50 --reference_id 107 --imagenet_val_path val/ --k_salient 10\n"};
