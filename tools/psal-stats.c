/* psal-stats: mean and standard deviation of the naive saliency over a data set, for standardizing. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "io/profile_writer.h"
#include "io/progress.h"
#include "io/run_lock.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/sampling.h"
#include "tools/session.h"
#include "tools/shard.h"
#include "tools/skipped.h"
#include "tools/stats_figures.h"
#include "tools/stats_merge.h"
#include "tools/stats_state.h"
#include "tools/stats_tail.h"
#include "tools/tally.h"

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
     .alias = NULL},
    {PSAL_OPTION_STRING, "shard", 0, "I/N", NULL,
     "Work on part I (from 1) of N; file names get '.part-I-of-N'. auto: taken from a Slurm job array or from mpirun. "
     "Join the parts with 'psal-stats merge OUT PART...'.",
     .alias = NULL},
    {PSAL_OPTION_HEADING, .help = "What is added up"},
    {PSAL_OPTION_CHOICE, "aggregation", 0, NULL, "filter",
     "What one entry of the profile is: a filter of a convolution, a row of the weights of any convolution or "
     "linear layer, a single parameter, a whole tensor.",
     .choices = "filter|row|parameter|tensor"},
    {PSAL_OPTION_FLAG, "signed", .help = "Keep the sign of the gradients: mean instead of mean magnitude."},
    {PSAL_OPTION_FLAG, "normalized", .help = "Divide each profile by its L2 norm first."},
    {PSAL_OPTION_FLAG, "logit", .help = "The loss is the label's logit instead of the cross-entropy."},
    {PSAL_OPTION_FLAG, "logit-difference",
     .help = "The loss is the predicted class's logit (or the runner-up's) minus the label's."},
    {PSAL_OPTION_FLAG, "predicted", .help = "Also the mean profile of mistakes for the class that was predicted."},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_PATH, "out", 'o', "FILE", NULL, "The statistics, as .safetensors.", .output = true},
    {PSAL_OPTION_PATH, "records", 0, "FILE", NULL,
     "Also a CSV: label, prediction, confidences and loss of every sample.", .output = true},
    {PSAL_OPTION_PATH, "profiles", 0, "FILE", NULL,
     "Also keep every sample's profile: a .npy of samples x entries for psal-neighbors and NumPy, its list of samples "
     "in FILE.csv. merge joins the parts' FILE.part-I-of-N.",
     .output = true, .companion = ".csv"},
    {PSAL_OPTION_CHOICE, "profile-type", 0, NULL, "float16", "Numbers of --profiles.", .choices = "float16|float32"},
    {PSAL_OPTION_PATH, "figures", 0, "DIR", NULL,
     "Also draw mean profiles, of right samples and of mistakes, naive and standardized, and with --profiles the "
     "layers in which the top filters of all mistakes lie: pictures and tables. Of parts, merge draws them; give it "
     "--weights, too.",
     .alias = NULL},
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

static const psal_program PROGRAM = {
    .name = "psal-stats",
    .version = PSAL_VERSION,
    .summary = "Compute the naive saliency's mean and standard deviation over a data set, with which profiles are "
               "standardized.",
    .arguments = "[merge OUT PART... | tail STORE OUT]",
    .most_arguments = 100000,
    .output_argument = 1, /* merge OUT PART... */
    .options = OPTIONS,
    .epilogue = "Examples:\n"
                "  psal-stats --weights resnet50.safetensors --data imagenet/val --out resnet50_stats.safetensors\n"
                "  psal-stats --weights net.pth --data list.csv --out S.safetensors --shard 2/7\n"
                "  psal-stats merge S.safetensors S.part-*-of-7.safetensors\n"
                "  psal-stats tail profiles.npy T.safetensors      of --profiles profiles.npy, for --mode pot\n"};

/* Set by SIGINT and SIGTERM: finish what is being computed, save, leave. */
typedef struct run {
    const psal_options *options;
    psal_session session;
    psal_dataset *dataset;
    uint64_t data_fingerprint;
    psal_saliency_options saliency_options;
    psal_saliency *saliency;
    psal_computation computation;
    psal_summary *summary;
    psal_reference_set only;
    psal_profile_writer *profiles;
    psal_dtype profile_type;
    psal_progress *progress;
    psal_shard shard;
    int64_t samples, first, end;
    char out[4096], partial[4096], records[4096], profile_path[4096], profile_index[4096];
    bool skip_bad, save_failed;
    double save_every, saved_at;
    int64_t saved_next;
} run;

/* ---- what is to be done ---- */

static psal_status choose_paths(run *r, psal_error *err) {
    const char *out = psal_options_string(r->options, "out"), *records = psal_options_string(r->options, "records"),
               *profiles = psal_options_string(r->options, "profiles");
    if (!out) return psal_fail(err, PSAL_ERR_ARGUMENT, "--out FILE is missing: where the statistics go");
    psal_status status = psal_shard_path(out, r->shard, r->out, err);
    /* There is nothing to go on with beside a pipe or a device. */
    if (status == PSAL_OK && !psal_atomic_file_is_direct(r->out))
        snprintf(r->partial, sizeof r->partial, "%.4000s.partial", r->out);
    if (status == PSAL_OK && records) status = psal_shard_path(records, r->shard, r->records, err);
    if (status == PSAL_OK && profiles) status = psal_shard_path(profiles, r->shard, r->profile_path, err);
    if (status == PSAL_OK && profiles)
        snprintf(r->profile_index, sizeof r->profile_index, "%.4000s.csv", r->profile_path);
    return status;
}

/* Whether the results can be written: better known now than after hours. */
static psal_status check_writable(const run *r, psal_error *err) {
    char rows[4200] = "";
    if (*r->profile_path) {
        char *file = psal_atomic_file_regular(r->profile_path, err);
        if (!file) return psal_error_status(err);
        snprintf(rows, sizeof rows, "%.4096s.partial", file);
        free(file);
    }
    const char *const paths[] = {r->out, r->partial, r->records, r->profile_path, r->profile_index, rows};
    psal_status status = PSAL_OK;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && status == PSAL_OK; i++)
        if (*paths[i]) status = psal_atomic_file_check(paths[i], err);
    return status;
}

static psal_status check_labels(const run *r, int64_t count, psal_error *err) {
    for (int64_t i = 0; i < count; i++) {
        int label = psal_dataset_label(r->dataset, (size_t)i);
        if (psal_dataset_problem(r->dataset, (size_t)i)) continue; /* it will be skipped */
        if (label == PSAL_NO_LABEL)
            return psal_fail(
                err, PSAL_ERR_ARGUMENT, "%s has no label: statistics need the label of every sample%s",
                psal_dataset_name(r->dataset, (size_t)i),
                psal_dataset_count(r->dataset) > 1
                    ? ""
                    : " (it was taken for an image: a table ends in .csv or .tsv, a list in .txt or .lst)");
        if (label < 0 || label >= r->session.info->num_classes)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d: the network has classes 0 to %d",
                             psal_dataset_name(r->dataset, (size_t)i), label, r->session.info->num_classes - 1);
    }
    return PSAL_OK;
}

/* Statistics of one class are no measure for images of others. */
static void note_one_class(run *r, int64_t count) {
    const int class = psal_dataset_label(r->dataset, 0);
    for (int64_t i = 1; i < count; i++)
        if (psal_dataset_label(r->dataset, (size_t)i) != class) return;
    if (count > 1 && r->session.info->num_classes > 1)
        psal_note_warning(&r->session.notes, "all %lld samples are of one class, %s%s", (long long)count,
                          psal_labels_name(r->session.labels, class),
                          psal_options_has(r->options, "first") ? ": --limit draws from all" : "");
}

static psal_status open_data(run *r, psal_error *err) {
    const char *spec = psal_options_string(r->options, "data");
    if (!spec) return psal_fail(err, PSAL_ERR_ARGUMENT, "--data is missing: the samples to make statistics of");
    r->dataset = psal_open_list(spec, r->session.labels, r->skip_bad, &r->session.notes, err);
    if (!r->dataset) return psal_error_status(err);
    psal_sampling sampling;
    psal_status status = psal_dataset_fingerprint(r->dataset, &r->data_fingerprint, err); /* of all */
    if (status == PSAL_OK) status = psal_sampling_parse(&sampling, r->options, err);
    if (status != PSAL_OK) return status;
    psal_sampling_record(&sampling, psal_dataset_count(r->dataset), &r->computation);
    status = psal_sampling_keep(&sampling, r->dataset, err);
    const int64_t count = (int64_t)psal_dataset_count(r->dataset);
    if (status == PSAL_OK) status = check_labels(r, count, err);
    if (status != PSAL_OK) return status;
    note_one_class(r, count);
    r->first = r->shard.index * count / r->shard.count;
    r->end = (r->shard.index + 1) * count / r->shard.count;
    r->samples = count;
    return PSAL_OK;
}

static psal_status choose_reference(run *r, psal_error *err) {
    const char *text = psal_options_string(r->options, "only");
    if (!text || strcmp(text, "correct") == 0 || strcmp(text, "incorrect") == 0)
        return psal_reference_parse(text ? text : "", &r->only)
                   ? PSAL_OK
                   : psal_fail(err, PSAL_ERR_ARGUMENT, "--only %s is no reference set", text);
    r->only.kind = PSAL_REFERENCE_CLASS;
    if (psal_labels_parse(r->session.labels, text, &r->only.label, err) == PSAL_OK) return PSAL_OK;
    return psal_fail_prefix(err, "--only: correct, incorrect or a class");
}

/* Everything that the numbers depend on. */
static void describe(run *r) {
    psal_computation *c = &r->computation;
    char only[PSAL_REFERENCE_SIZE], sampling[PSAL_FIELD_SIZE];
    memcpy(sampling, c->value[PSAL_FIELD_SAMPLING], sizeof sampling);
    psal_session_computation(&r->session, &r->saliency_options, psal_options_flag(r->options, "normalized"), c);
    psal_computation_set(c, PSAL_FIELD_SAMPLING, "%s", sampling);
    psal_computation_set(c, PSAL_FIELD_DATASET, "%016" PRIx64, r->data_fingerprint);
    psal_computation_set(c, PSAL_FIELD_DATASET_NAME, "%s", psal_options_string(r->options, "data"));
    psal_computation_set(c, PSAL_FIELD_SAMPLES, "%" PRId64, r->samples);
    psal_computation_set(c, PSAL_FIELD_ONLY, "%s", psal_reference_format(r->only, only));
    psal_computation_set(c, PSAL_FIELD_PREDICTED, "%d", psal_options_flag(r->options, "predicted"));
    psal_computation_set(c, PSAL_FIELD_SHARD, "%" PRId64, r->shard.index + 1);
    psal_computation_set(c, PSAL_FIELD_SHARDS, "%" PRId64, r->shard.count);
    psal_computation_set(c, PSAL_FIELD_PROFILES, "%s", *r->profile_path ? psal_dtype_name(r->profile_type) : "none");
}

/* What an earlier run has left, and must belong to this one. */
static psal_summary *read_state(run *r, const char *file, psal_error *err) {
    psal_computation found;
    char names[512];
    psal_summary *summary = psal_state_read(file, &found, err);
    if (!summary) return NULL;
    if (!*found.value[PSAL_FIELD_SAMPLING]) /* earlier versions took the first ones */
        psal_computation_set(&found, PSAL_FIELD_SAMPLING, "%s",
                             strcmp(r->computation.value[PSAL_FIELD_SAMPLING], "all") == 0 ? "all" : "first");
    psal_fields unsaid = psal_computation_unsaid(&found, &r->computation, PSAL_FIELDS_RUN, true);
    if (psal_computation_check(&found, &r->computation, PSAL_FIELDS_RUN, err) != PSAL_OK) {
        psal_summary_free(summary);
        psal_fail_prefix(err, "%s: belongs to another run", file);
        return NULL;
    }
    if (unsaid)
        psal_note(&r->session.notes, "%s, of an earlier version, does not say its %s: taken to be as here", file,
                  psal_fields_names(unsaid, names));
    psal_session_print_notes(&r->session, PROGRAM.name);
    return summary;
}

static psal_status prepare(run *r, psal_error *err) {
    const psal_options *o = r->options;
    psal_session *session = &r->session;
    r->save_every = psal_options_double(o, "save-every");
    r->skip_bad = psal_options_flag(o, "skip-bad");
    psal_status status = psal_shard_parse(&r->shard, psal_options_string(r->options, "shard"), err);
    if (status == PSAL_OK) status = choose_paths(r, err);
    if (status == PSAL_OK) status = check_writable(r, err);
    if (status == PSAL_OK) status = psal_session_open(session, o, err);
    if (status == PSAL_OK) psal_session_print_notes(session, PROGRAM.name);
    if (status == PSAL_OK) status = choose_reference(r, err);
    if (status == PSAL_OK) status = open_data(r, err);
    psal_session_print_notes(session, PROGRAM.name);
    if (status != PSAL_OK) return status;
    bool logit = psal_options_flag(o, "logit"), difference = psal_options_flag(o, "logit-difference");
    if (logit && difference)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--logit and --logit-difference exclude each other");
    r->saliency_options = (psal_saliency_options){
        .height = session->height,
        .width = session->width,
        .loss = logit        ? PSAL_LOSS_LOGIT
                : difference ? PSAL_LOSS_LOGIT_DIFFERENCE
                             : PSAL_LOSS_CROSS_ENTROPY,
        .aggregation = (psal_aggregation)psal_options_choice(o, "aggregation"),
        .is_signed = psal_options_flag(o, "signed"),
        .threads = 1,
        .memory_limit = session->memory_limit / (size_t)session->threads,
        .conv = session->conv,
        .few_runs = (r->end - r->first) / session->threads < PSAL_MANY_SAMPLES,
        .lean = true};
    r->saliency = psal_saliency_new(session->model, &r->saliency_options, err);
    if (!r->saliency) return psal_error_status(err);
    r->profile_type = *r->profile_path && psal_options_choice(o, "profile-type") == 0 ? PSAL_F16 : PSAL_F32;
    const char *figures = psal_options_string(o, "figures");
    if (figures && r->shard.count > 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--figures needs all parts: give it to psal-stats merge");
    if (figures) {
        status = psal_stats_figures_begin(figures, psal_saliency_length(r->saliency), psal_options_int(o, "k-salient"),
                                          err);
        if (status != PSAL_OK) return status;
    }
    describe(r);
    return PSAL_OK;
}

/* Its name is known to everybody who may write into the folder: a link that waits there is not followed. */
static psal_status write_state(const run *r, psal_error *err) {
    struct stat info;
    if (!*r->partial) return PSAL_OK;
    if (lstat(r->partial, &info) == 0 && !S_ISREG(info.st_mode))
        return psal_fail(err, PSAL_ERR_IO, "%s: is no ordinary file", r->partial);
    return psal_state_write(r->partial, &r->computation, r->summary, err);
}

/* Begin the sums: new, or where an interrupted run has stopped. A finished part needs no more work. */
static psal_status begin(run *r, bool *finished, psal_error *err) {
    *finished = false;
    int64_t length = psal_saliency_length(r->saliency);
    bool resume = psal_options_flag(r->options, "resume");
    bool interrupted_run = false, finished_part = false;
    psal_status status = resume ? psal_file_exists(r->partial, &interrupted_run, err) : PSAL_OK;
    if (status == PSAL_OK && resume && !interrupted_run && r->shard.count > 1)
        status = psal_file_exists(r->out, &finished_part, err);
    if (status != PSAL_OK) return status;
    if (interrupted_run || finished_part) {
        const char *file = interrupted_run ? r->partial : r->out;
        r->summary = read_state(r, file, err);
        /* The file says by itself what it belongs to; whoever adds to it relies on these. */
        if (r->summary &&
            (r->summary->length != length || r->summary->first != r->first || r->summary->end != r->end)) {
            psal_summary_free(r->summary);
            r->summary = NULL;
            psal_fail(err, PSAL_ERR_FORMAT, "%s: damaged: samples or entries do not fit", file);
        }
        *finished = finished_part && r->summary && r->summary->next == r->end;
    } else {
        r->summary = psal_summary_new(length, r->first, r->end, psal_options_flag(r->options, "normalized"), err);
        if (r->summary) r->summary->only = r->only;
    }
    if (!r->summary) return psal_error_status(err);
    r->saved_next = r->summary->next;
    r->saved_at = psal_seconds();
    if (*finished || !*r->profile_path) return PSAL_OK;
    r->profiles = psal_profile_writer_open(r->profile_path, r->profile_type, r->end - r->first, length, interrupted_run,
                                           err);
    if (!r->profiles) return psal_error_status(err);
    /* From here on the profiles' file can be gone on with, even when nothing is in it yet. */
    return interrupted_run ? PSAL_OK : write_state(r, err);
}

/* ---- doing it ---- */

static psal_status load_sample(void *data, int64_t index, float *image, int *label, psal_error *err) {
    const run *r = data;
    psal_image pixels = PSAL_IMAGE_INIT;
    psal_status status = psal_dataset_load(r->dataset, (size_t)index, &pixels, err);
    if (status == PSAL_OK) status = psal_session_prepare(&r->session, &pixels, NULL, image, err);
    psal_image_free(&pixels);
    *label = psal_dataset_label(r->dataset, (size_t)index);
    return status;
}

/* A disk that is not in memory yet should not make the processors wait. */
static void expect_sample(void *data, int64_t index) {
    psal_dataset_prefetch(((run *)data)->dataset, (size_t)index);
}

static psal_status take_sample(void *data, const psal_sample_result *sample, const float *profile,
                               const float *predicted, const psal_error *why, psal_error *err) {
    run *r = data;
    if (!profile) {
        psal_error bad = *why;
        psal_skipped_error(&bad, psal_dataset_name(r->dataset, (size_t)sample->index), !r->skip_bad);
        if (!r->skip_bad || !psal_skippable(why)) {
            if (err) *err = bad;
            return bad.status;
        }
        psal_progress_note(r->progress, "%s: skipped %s", PROGRAM.name, bad.message);
    }
    psal_status status = PSAL_OK;
    if (profile && r->profiles)
        status = psal_profile_writer_put(r->profiles, sample->index - r->first, profile, sample->largest, err);
    return status == PSAL_OK ? psal_summary_add(r->summary, sample, profile, predicted, err) : status;
}

static psal_status save(run *r, psal_error *err) {
    psal_status status = r->profiles ? psal_profile_writer_sync(r->profiles, err) : PSAL_OK;
    if (status == PSAL_OK) status = write_state(r, err);
    r->saved_at = psal_seconds();
    if (status == PSAL_OK && *r->partial) r->saved_next = r->summary->next;
    r->save_failed = status != PSAL_OK;
    return status;
}

static psal_status pause_run(void *data, int64_t next, psal_error *err) {
    run *r = data;
    if (psal_program_interrupted()) return psal_fail(err, PSAL_ERR_CANCELLED, "interrupted");
    if (next == r->end || psal_seconds() - r->saved_at < r->save_every) return PSAL_OK;
    return save(r, err);
}

static void step_run(void *data) {
    psal_progress_add(((run *)data)->progress, 1);
}

static psal_status compute(run *r, psal_error *err) {
    psal_program_stop_on_signal();
    psal_progress_options progress = {.out = stderr,
                                      .mode = r->session.quiet ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
                                      .label = "images",
                                      .total = r->end - r->first,
                                      .done_before = r->summary->next - r->first};
    r->progress = psal_progress_start(&progress, NULL);
    psal_dataset_run samples = {.first = r->summary->next,
                                .end = r->end,
                                .threads = r->session.threads,
                                .predicted_profiles = psal_options_flag(r->options, "predicted"),
                                .data = r,
                                .load = load_sample,
                                .ahead = expect_sample,
                                .take = take_sample,
                                .pause = pause_run,
                                .step = step_run};
    psal_status status = psal_dataset_run_all(r->saliency, r->session.model, &samples, err);
    psal_progress_finish(r->progress);
    r->progress = NULL;
    if (status == PSAL_OK || r->summary->next == r->first) return status;
    /* Nothing that was computed is lost. */
    psal_error also = PSAL_ERROR_INIT;
    if (r->summary->next > r->saved_next && !r->save_failed && save(r, &also) != PSAL_OK)
        psal_print(stderr, "%s: the work so far could not be saved: %s\n", PROGRAM.name, also.message);
    if (r->saved_next > r->first)
        psal_print(stderr, "%s: %lld of %lld samples are kept in %s; --resume goes on from there\n", PROGRAM.name,
                   (long long)(r->saved_next - r->first), (long long)(r->end - r->first), r->partial);
    return status;
}

static psal_status write_figures(run *r, psal_error *err) {
    bool store = *r->profile_path != '\0';
    psal_stats_figures figures = {.folder = psal_options_string(r->options, "figures"),
                                  .session = &r->session,
                                  .saliency = r->saliency,
                                  .aggregation = r->saliency_options.aggregation,
                                  .computation = &r->computation,
                                  .summary = r->summary,
                                  .store = store ? r->profile_path : NULL,
                                  .index = store ? r->profile_index : NULL,
                                  .k = psal_options_int(r->options, "k-salient")};
    psal_status status = psal_stats_figures_write(&figures, &r->session.notes, err);
    psal_session_print_notes(&r->session, PROGRAM.name);
    return status;
}

static psal_status write_results(run *r, psal_error *err) {
    psal_status status = r->shard.count > 1 ? PSAL_OK : psal_summary_suffices(r->summary, true, err);
    if (status == PSAL_OK && r->profiles) {
        status = psal_profile_writer_commit(r->profiles, err);
        r->profiles = NULL;
        if (status == PSAL_OK)
            status = psal_state_write_records(r->profile_index, r->dataset, r->summary, &r->computation,
                                              r->profile_type, err);
    }
    if (status == PSAL_OK && *r->records)
        status = psal_state_write_records(r->records, r->dataset, r->summary, &r->computation, r->profile_type, err);
    if (status == PSAL_OK && psal_options_string(r->options, "figures")) status = write_figures(r, err);
    if (status != PSAL_OK) return status;
    status = r->shard.count > 1 ? psal_state_write(r->out, &r->computation, r->summary, err)
                                : psal_state_write_statistics(r->out, &r->computation, r->summary, err);
    if (status == PSAL_OK) unlink(r->partial);
    return status;
}

/* Entries that are the same for every sample, so that nothing can be said of them (psal_rankable). */
static int64_t without_deviation(const psal_summary *s) {
    const psal_welford *all = s->groups[PSAL_GROUP_ALL];
    int64_t count = 0;
    for (int64_t i = 0; i < all->length && all->count > 1; i++) {
        double mean = all->mean[i], std = sqrt(all->m2[i] / (double)(all->count - 1));
        bool rankable = true;
        psal_rankable(PSAL_MODE_STD, 1, NULL, &mean, &std, &rankable);
        count += !rankable;
    }
    return count;
}

/* Quiet or not: the statistics are of other labels, or of another network, then. */
static void note_doubt(const psal_summary *s) {
    psal_tally tally = {0};
    char text[300];
    for (int64_t i = 0; i < s->next - s->first; i++)
        if (s->records[i].status == PSAL_OK) psal_tally_add(&tally, s->records[i].label, s->records[i].predicted);
    if (psal_tally_doubt(&tally, text)) psal_print(stderr, "%s: note: %s\n", PROGRAM.name, text);
}

static void print_result(const psal_summary *s, const char *out, bool one_class) {
    int64_t count = psal_summary_good(s), correct = psal_summary_correct(s);
    char only[PSAL_REFERENCE_SIZE];
    if (one_class) /* correct it is always: there is nothing else to predict */
        printf("%lld samples of the network's one class, %lld skipped\n", (long long)count,
               (long long)psal_summary_skipped(s));
    else
        printf("%lld samples: %lld correct (%.2f %%), %lld incorrect, %lld skipped\n", (long long)count,
               (long long)correct, count ? 100.0 * (double)correct / (double)count : 0.0, (long long)(count - correct),
               (long long)psal_summary_skipped(s));
    const double target = psal_summary_distance(s, PSAL_GROUP_INCORRECT),
                 predicted = psal_summary_distance(s, PSAL_GROUP_PREDICTED);
    if (!isnan(target))
        printf("cosine distance of the mean profiles of right and wrong samples: %.4f (true label)", target);
    if (!isnan(predicted)) printf(", %.4f (predicted label)", predicted);
    if (!isnan(target)) printf("\n");
    if (s->only.kind != PSAL_REFERENCE_ALL)
        psal_print(stdout, "%s: of the %s only: %lld\n", out, psal_reference_describe(s->only, only),
                   (long long)psal_summary_count(s));
    int64_t same = without_deviation(s);
    psal_print(stdout, "%s: %lld entries", out, (long long)s->length);
    if (same == s->length)
        printf("; no filter has a deviation: all samples give the same profile, by which nothing can be standardized");
    else if (same > 0)
        printf(", %lld of them without a deviation, which are never ranked", (long long)same);
    printf("\n");
    note_doubt(s);
}

static void print_written(const run *r) {
    const char *const paths[] = {r->out, r->records, r->profile_path, r->profile_index,
                                 psal_options_string(r->options, "figures")};
    if (r->session.quiet) return;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] && *paths[i]) psal_print(stdout, "%s%s\n", i ? "          " : "written   ", paths[i]);
}

/* Quiet or not: here more can still be taken. */
static void note_few(const psal_summary *s, const char *out) {
    psal_notes notes = PSAL_NOTES_INIT;
    psal_note_few_samples(&notes, out, psal_summary_count(s));
    for (size_t i = 0; i < notes.count; i++) psal_print(stderr, "%s: note: %s\n", PROGRAM.name, notes.lines[i]);
    psal_notes_free(&notes);
}

/* Say which images the statistics lack, by name where there is a data set. */
static int finish(const psal_summary *s, const psal_dataset *dataset, psal_status done, psal_error *err) {
    if (done != PSAL_OK) return done;
    psal_skipped skipped = {0};
    psal_status status = PSAL_OK;
    for (int64_t i = s->first; i < s->next && status == PSAL_OK; i++) {
        const psal_sample_result *record = &s->records[i - s->first];
        char number[32];
        snprintf(number, sizeof number, "number %lld", (long long)i);
        if (record->status != PSAL_OK)
            status = psal_skipped_add(&skipped, dataset ? psal_dataset_name(dataset, (size_t)i) : number,
                                      &(psal_error){0}, err);
    }
    int result = psal_skipped_finish(&skipped, PROGRAM.name, (size_t)(s->next - s->first), status, err);
    psal_skipped_free(&skipped);
    return result;
}

static int make_statistics(const psal_options *options, psal_error *err) {
    run r = {.options = options};
    bool finished;
    psal_run_lock *lock = NULL;
    psal_status status = prepare(&r, err);
    if (status == PSAL_OK && *r.partial && !(lock = psal_run_lock_take(r.out, err))) status = psal_error_status(err);
    if (status == PSAL_OK) status = begin(&r, &finished, err);
    if (status == PSAL_OK && !finished) status = compute(&r, err);
    if (status == PSAL_OK && !finished) status = write_results(&r, err);
    if (status == PSAL_OK) print_result(r.summary, r.out, r.session.info->num_classes == 1);
    if (status == PSAL_OK) print_written(&r);
    if (status == PSAL_OK && r.shard.count == 1) note_few(r.summary, r.out);
    int result = finish(r.summary, r.dataset, status, err);
    psal_profile_writer_close(r.profiles);
    psal_summary_free(r.summary);
    psal_saliency_free(r.saliency);
    psal_dataset_free(r.dataset);
    psal_session_close(&r.session);
    psal_run_lock_release(lock);
    return result;
}

static int merge(const psal_options *options, psal_error *err) {
    psal_summary *joined = psal_stats_merge(options, err);
    if (!joined) return psal_error_status(err);
    print_result(joined, psal_options_argument(options, 1), false);
    note_few(joined, psal_options_argument(options, 1));
    int result = finish(joined, NULL, PSAL_OK, err);
    psal_summary_free(joined);
    return result;
}

static int work(const psal_options *options, psal_error *err) {
    if (psal_options_argument_count(options) == 0) return make_statistics(options, err);
    const char *what = psal_options_argument(options, 0);
    if (strcmp(what, "merge") == 0) return merge(options, err);
    if (strcmp(what, "tail") == 0) return psal_stats_tail(options, err);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is not understood: only merge and tail are", what);
}

int main(int argc, char **argv) {
    return psal_program_main(&PROGRAM, argc, argv, work);
}
