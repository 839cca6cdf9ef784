/* psal-stats: mean and standard deviation of the naive saliency over a data set, for standardizing. */
#include <string.h>

#include "tools/program.h"
#include "tools/skipped.h"
#include "tools/stats_merge.h"
#include "tools/stats_report.h"
#include "tools/stats_run.h"
#include "tools/stats_tail.h"
#include "tools/figure_style.h"

static const psal_option OPTIONS[] = {
    {PSAL_OPTION_HEADING, .help = "The data set"},
    {PSAL_OPTION_PATH, "data", 'd', "SPEC", NULL,
     "A folder of class folders, a table path,label (CSV), or idx:IMAGES,LABELS. For merge: only needed for --records.",
     .alias = "imagenet-val-path"},
    PSAL_SAMPLING_OPTIONS("samples"),
    {PSAL_OPTION_INT, "seed", 0, "N", "1", "Of --limit.", .minimum = 0, .maximum = 9e15},
    PSAL_SKIP_BAD_OPTION,
    {PSAL_OPTION_STRING, "only", 0, "SET", NULL,
     "Statistics of these samples only: correct, incorrect, or a true class (number, name or WordNet id). All are run, "
     "for --profiles and the means of groups.",
     .known = "correct|incorrect"},
    {PSAL_OPTION_STRING, "shard", 0, "I/N", NULL,
     "Work on part I (from 1) of N; file names get '.part-I-of-N'. auto: taken from a Slurm job array or from mpirun.",
     .known = "auto"},
    {PSAL_OPTION_HEADING, .help = "What is added up"},
    {PSAL_OPTION_CHOICE, "aggregation", 0, NULL, "filter",
     "What one entry of the profile is: a filter of a convolution, a row of the weights of any convolution or "
     "linear layer, a single parameter, a whole tensor.",
     .choices = "filter|row|parameter|tensor"},
    {PSAL_OPTION_FLAG, "signed", .help = "Keep the sign of the gradients: mean instead of mean magnitude."},
    {PSAL_OPTION_FLAG, "gradient-weight",
     .help = "Instead the magnitude of the sum of gradient x weight: by how much the loss changes, to first order, "
             "when the weights become 0; with --signed the change itself."},
    {PSAL_OPTION_FLAG, "normalized", .help = "Divide each profile by its L2 norm first."},
    {PSAL_OPTION_FLAG, "logit", .help = "The loss is the label's logit instead of the cross-entropy."},
    {PSAL_OPTION_FLAG, "logit-difference",
     .help = "The loss is the predicted class's logit (or the runner-up's) minus the label's."},
    {PSAL_OPTION_FLAG, "predicted", .help = "Also the mean profile of mistakes for the class that was predicted."},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_PATH, "out", 'o', "FILE", NULL, "The statistics, as .safetensors.", .output = true},
    {PSAL_OPTION_PATH, "records", 0, "FILE", NULL,
     "Also a CSV: label, prediction, confidences and loss of every sample. --profiles writes it by itself.",
     .output = true},
    {PSAL_OPTION_PATH, "profiles", 0, "FILE", NULL,
     "Also keep every sample's profile: a .npy of samples x entries for psal-neighbors and NumPy, its list of samples "
     "in FILE.csv. merge joins the parts' FILE.part-I-of-N.",
     .output = true, .companion = ".csv"},
    {PSAL_OPTION_CHOICE, "profile-type", 0, NULL, "float32",
     "Numbers of --profiles: the profiles themselves, or in half the space float16, of which each row is to be "
     "multiplied by the table's column scale.",
     .choices = "float32|scaled-float16"},
    {PSAL_OPTION_PATH, "figures", 0, "DIR", NULL,
     "Also draw mean profiles, of right samples and of mistakes, naive and standardized, and with --profiles the "
     "layers in which the top filters of all mistakes lie: pictures and tables. Of parts, merge draws them; give it "
     "--weights, too.",
     .alias = NULL},
    PSAL_FORMAT_OPTION,
    PSAL_WIDTH_OPTION,
    {PSAL_OPTION_INT, "k-salient", 'k', "N", "10", "Top filters of each mistake, for --figures.", .minimum = 1,
     .maximum = 1e9},
    {PSAL_OPTION_DOUBLE, "quantile", 0, "Q", "0.9",
     "Of tail: the threshold lies so high among each entry's saliencies.", .minimum = 0.5, .maximum = 0.9999},
    {PSAL_OPTION_PATH, "index", 0, "FILE.csv", NULL,
     "Of tail: whose profiles they are. STORE.csv, as psal-stats calls it, if not given.", .alias = NULL},
    {PSAL_OPTION_FLAG, "resume", .help = "Go on where an interrupted run stopped (OUT.partial)."},
    {PSAL_OPTION_DOUBLE, "save-every", 0, "SECONDS", "60", "How often an interruption's starting point is written.",
     .minimum = 0, .maximum = 1e6},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_subcommand SUBCOMMANDS[] = {
    {"merge", "OUT PART...", "Join the parts of --shard, of statistics and of --profiles."},
    {"tail", "STORE OUT", "Fit the tails that --mode pot needs to a store of --profiles."},
    {0}};

static const psal_program PROGRAM = {
    .name = "psal-stats",
    .version = PSAL_VERSION,
    .summary = "Compute the naive saliency's mean and standard deviation over a data set, with which profiles are "
               "standardized.",
    .subcommands = SUBCOMMANDS,
    .arguments = "[merge OUT PART... | tail STORE OUT]",
    .most_arguments = 100000,
    .output_argument = 1, /* merge OUT PART... */
    .options = OPTIONS,
    .epilogue = "Examples:\n"
                "  psal-stats --weights resnet50.safetensors --data imagenet/val --out resnet50_stats.safetensors\n"
                "  psal-stats --weights net.pth --data list.csv --out S.safetensors --shard 2/7\n"
                "  psal-stats merge S.safetensors S.part-*-of-7.safetensors\n"
                "  psal-stats tail profiles.npy T.safetensors      of --profiles profiles.npy, for --mode pot\n"};

/* Everything that can be known to be wrong before the network is read. */
static psal_status refuse_idle(const psal_options *o, psal_error *err) {
    static const char *const of_tail[] = {"quantile", "index", NULL};
    const char *idle = psal_options_given_of(o, of_tail, true);
    if (idle) return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s is an option of 'psal-stats tail STORE OUT' only", idle);
    if (psal_options_given(o, "profile-type") && !psal_options_has(o, "profiles"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--profile-type does nothing without --profiles");
    if (psal_options_given(o, "k-salient") && !psal_options_has(o, "figures"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--k-salient does nothing without --figures");
    return psal_figure_style_check(o, psal_options_has(o, "figures"), "without --figures", err);
}

static psal_status read_request(psal_stats_request *request, const psal_options *o, psal_error *err) {
    const bool logit = psal_options_flag(o, "logit"), difference = psal_options_flag(o, "logit-difference");
    if (logit && difference)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--logit and --logit-difference exclude each other");
    *request = (psal_stats_request){
        .program = PROGRAM.name,
        .data = psal_options_string(o, "data"),
        .out = psal_options_string(o, "out"),
        .records = psal_options_string(o, "records"),
        .profiles = psal_options_string(o, "profiles"),
        .figures = psal_options_string(o, "figures"),
        .format = psal_figure_format(o),
        .style = psal_figure_style_of(o),
        .only = psal_options_string(o, "only"),
        .loss = logit        ? PSAL_LOSS_LOGIT
                : difference ? PSAL_LOSS_LOGIT_DIFFERENCE
                             : PSAL_LOSS_CROSS_ENTROPY,
        .aggregation = (psal_aggregation)psal_options_choice(o, "aggregation"),
        .is_signed = psal_options_flag(o, "signed"),
        .gradient_weight = psal_options_flag(o, "gradient-weight"),
        .normalized = psal_options_flag(o, "normalized"),
        .predicted = psal_options_flag(o, "predicted"),
        .skip_bad = psal_options_flag(o, "skip-bad"),
        .resume = psal_options_flag(o, "resume"),
        .save_every = psal_options_double(o, "save-every"),
        .profile_type = psal_options_choice(o, "profile-type") == 0 ? PSAL_F32 : PSAL_F16,
        .options = o,
        .k = psal_options_int(o, "k-salient"),
    };
    psal_status status = psal_shard_parse(&request->shard, psal_options_string(o, "shard"), err);
    if (status == PSAL_OK) status = psal_sampling_parse(&request->sampling, o, err);
    return status == PSAL_OK ? psal_stats_check(request, err) : status;
}

static int make_statistics(const psal_options *options, psal_error *err) {
    psal_stats_request request;
    psal_session session = {0};
    psal_status status = refuse_idle(options, err);
    if (status == PSAL_OK) status = read_request(&request, options, err);
    if (status == PSAL_OK) status = psal_session_open(&session, options, err);
    int result = status == PSAL_OK ? psal_stats_make(&request, &session, NULL, err) : (int)status;
    psal_session_close(&session);
    return result;
}

static int merge(const psal_options *options, psal_error *err) {
    psal_summary *joined = psal_stats_merge(options, err);
    if (!joined) return psal_error_status(err);
    const char *out = psal_options_argument(options, 1);
    psal_stats_print_result(joined, PROGRAM.name, out, false);
    psal_stats_note_few(joined, PROGRAM.name, out);
    int result = psal_stats_finish(joined, NULL, PROGRAM.name, PSAL_OK, err);
    psal_summary_free(joined);
    return result;
}

static int work(const psal_options *options, psal_error *err) {
    if (psal_options_has(options, "records") && psal_options_has(options, "profiles"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--records would be the same table as %s.csv, which --profiles writes",
                         psal_options_string(options, "profiles"));
    if (psal_options_argument_count(options) == 0) return make_statistics(options, err);
    const char *what = psal_options_argument(options, 0);
    if (strcmp(what, "merge") == 0) return merge(options, err);
    if (strcmp(what, "tail") == 0) return psal_stats_tail(options, err);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is not understood: only merge and tail are", what);
}

int main(int argc, char **argv) {
    return psal_program_main(&PROGRAM, argc, argv, work);
}
