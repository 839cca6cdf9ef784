/* psal-stats: mean and standard deviation of the naive saliency over a data set, for standardizing. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/profile_writer.h"
#include "io/progress.h"
#include "tools/session.h"
#include "tools/stats_figures.h"
#include "tools/stats_merge.h"

static const psal_option OPTIONS[] = {
    {PSAL_OPTION_HEADING, .help = "The data set"},
    {PSAL_OPTION_PATH, "data", 'd', "SPEC", NULL,
     "A folder of class folders, a table path,label (CSV), or idx:IMAGES,LABELS. For merge: only needed for --records.",
     .alias = "imagenet-val-path"},
    {PSAL_OPTION_INT, "limit", 0, "N", NULL, "Only the first N samples.", .minimum = 1, .maximum = 1e9},
    {PSAL_OPTION_FLAG, "skip-bad",
     .help = "Leave out images that cannot be read, and say so; otherwise they end the run."},
    {PSAL_OPTION_STRING, "shard", 0, "I/N", NULL,
     "Work on part I (from 1) of N; file names get '.part-I-of-N'. auto: taken from a Slurm job array or from mpirun. "
     "Join "
     "the parts with 'psal-stats merge OUT PART...'.",
     .alias = NULL},
    {PSAL_OPTION_HEADING, .help = "What is added up"},
    {PSAL_OPTION_CHOICE, "aggregation", 0, NULL, "filter", "What one entry of the profile is.",
     .choices = "filter|parameter|tensor"},
    {PSAL_OPTION_FLAG, "signed", .help = "Keep the sign of the gradients: mean instead of mean magnitude."},
    {PSAL_OPTION_FLAG, "normalized", .help = "Divide each profile by its L2 norm first."},
    {PSAL_OPTION_FLAG, "logit", .help = "The loss is the label's logit instead of the cross-entropy."},
    {PSAL_OPTION_FLAG, "logit-difference",
     .help = "The loss is the predicted class's logit (or the runner-up's) minus the label's."},
    {PSAL_OPTION_FLAG, "predicted", .help = "Also the mean profile of mistakes for the class that was predicted."},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_PATH, "out", 'o', "FILE", NULL, "The statistics, as .safetensors.", .alias = NULL},
    {PSAL_OPTION_PATH, "records", 0, "FILE", NULL,
     "Also a CSV: label, prediction, confidences and loss of every sample.", .alias = NULL},
    {PSAL_OPTION_PATH, "profiles", 0, "FILE", NULL,
     "Also keep every sample's profile: a .npy of samples x entries for psal-neighbors and NumPy, its list of samples "
     "in "
     "FILE.csv. merge joins the parts' FILE.part-I-of-N.",
     .alias = NULL},
    {PSAL_OPTION_CHOICE, "profile-type", 0, NULL, "float16", "Numbers of --profiles.", .choices = "float16|float32"},
    {PSAL_OPTION_PATH, "figures", 0, "DIR", NULL,
     "Also draw mean profiles, of right samples and of mistakes, naive and standardized, and with --profiles the "
     "layers in which "
     "the top filters of all mistakes lie: pictures and tables. Of parts, merge draws them; give it --weights, too.",
     .alias = NULL},
    {PSAL_OPTION_INT, "k-salient", 'k', "N", "10", "Top filters of each mistake, for --figures.", .minimum = 1,
     .maximum = 1e9},
    {PSAL_OPTION_FLAG, "resume", .help = "Go on where an interrupted run stopped (OUT.partial)."},
    {PSAL_OPTION_DOUBLE, "save-every", 0, "SECONDS", "60", "How often an interruption's starting point is written.",
     .minimum = 0, .maximum = 1e6},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_program PROGRAM = {
    .name = "psal-stats",
    .version = PSAL_VERSION,
    .summary =
        "Mean and standard deviation of the naive saliency over a data set, which profiles are standardized with.",
    .arguments = "[merge OUT PART...]",
    .most_arguments = 100000,
    .options = OPTIONS,
    .epilogue = "Examples:\n"
                "  psal-stats --weights resnet50.safetensors --data imagenet/val --out resnet50_stats.safetensors\n"
                "  psal-stats --weights net.pth --data list.csv --out S.safetensors --shard 2/7\n"
                "  psal-stats merge S.safetensors S.part-*-of-7.safetensors\n"};

/* Set by SIGINT and SIGTERM: finish what is being computed, save, leave. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = number;
}

typedef struct run {
    const psal_options *options;
    psal_session session;
    psal_dataset *dataset;
    psal_saliency_options saliency_options;
    psal_saliency *saliency;
    psal_identity identity;
    psal_summary *summary;
    psal_profile_writer *profiles;
    psal_dtype profile_type;
    psal_progress *progress;
    int64_t shard, shards, first, end;
    char out[4096], partial[4096], records[4096], profile_path[4096], profile_index[4096];
    bool skip_bad, save_failed;
    double save_every, saved_at;
    int64_t saved_next;
} run;

/* ---- what is to be done ---- */

static bool environment_number(const char *name, int64_t *value) {
    const char *text = getenv(name);
    char *end = NULL;
    if (!text || !*text) return false;
    *value = strtoll(text, &end, 10);
    return *end == '\0' && *value >= 0;
}

/* --shard I/N, or what the launcher says: Slurm's job array, or Open MPI's ranks. */
static psal_status parse_shard(run *r, psal_error *err) {
    const char *text = psal_options_string(r->options, "shard");
    r->shards = 1;
    if (!text) return PSAL_OK;
    int used = 0;
    long long i = 0, n = 0;
    int64_t task, lowest, count;
    if (strcmp(text, "auto") != 0) {
        if (sscanf(text, "%lld/%lld%n", &i, &n, &used) != 2 || text[used] || i < 1 || n < i || n > 1000000)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "--shard %s: should be I/N with I from 1 to N, e.g. 2/7, or auto",
                             text);
        r->shard = i - 1;
        r->shards = n;
    } else if (environment_number("SLURM_ARRAY_TASK_ID", &task) &&
               environment_number("SLURM_ARRAY_TASK_COUNT", &count)) {
        if (!environment_number("SLURM_ARRAY_TASK_MIN", &lowest)) lowest = 0;
        r->shard = task - lowest;
        r->shards = count;
    } else if (environment_number("OMPI_COMM_WORLD_RANK", &task) &&
               environment_number("OMPI_COMM_WORLD_SIZE", &count)) {
        r->shard = task;
        r->shards = count;
    } else {
        return psal_fail(
            err, PSAL_ERR_ARGUMENT,
            "--shard auto: neither SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT nor OMPI_COMM_WORLD_RANK and "
            "OMPI_COMM_WORLD_SIZE are set: run it from a Slurm job array or mpirun, or say --shard I/N");
    }
    if (r->shards < 1 || r->shard < 0 || r->shard >= r->shards)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--shard auto: task %lld of %lld; the array's numbers must follow each other without gaps",
                         (long long)r->shard + 1, (long long)r->shards);
    return PSAL_OK;
}

static psal_status choose_paths(run *r, psal_error *err) {
    const char *out = psal_options_string(r->options, "out"), *records = psal_options_string(r->options, "records"),
               *profiles = psal_options_string(r->options, "profiles");
    if (!out) return psal_fail(err, PSAL_ERR_ARGUMENT, "--out FILE is missing: where the statistics go");
    psal_status status = psal_part_path(out, r->shard, r->shards, r->out, err);
    if (status == PSAL_OK) snprintf(r->partial, sizeof r->partial, "%.4000s.partial", r->out);
    if (status == PSAL_OK && records) status = psal_part_path(records, r->shard, r->shards, r->records, err);
    if (status == PSAL_OK && profiles) status = psal_part_path(profiles, r->shard, r->shards, r->profile_path, err);
    if (status == PSAL_OK && profiles)
        snprintf(r->profile_index, sizeof r->profile_index, "%.4000s.csv", r->profile_path);
    return status;
}

/* Whether a result can be written there: better known now than after hours. */
static psal_status check_writable(const char *path, psal_error *err) {
    if (!*path) return PSAL_OK;
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return err->status;
    psal_atomic_file_abort(file);
    return PSAL_OK;
}

static psal_status check_labels(const run *r, int64_t count, psal_error *err) {
    for (int64_t i = 0; i < count; i++) {
        int label = psal_dataset_label(r->dataset, (size_t)i);
        if (label == PSAL_NO_LABEL)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has no label: statistics need the label of every sample",
                             psal_dataset_name(r->dataset, (size_t)i));
        if (label < 0 || label >= r->session.info->num_classes)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d: the network has classes 0 to %d",
                             psal_dataset_name(r->dataset, (size_t)i), label, r->session.info->num_classes - 1);
    }
    return PSAL_OK;
}

static psal_status open_data(run *r, psal_error *err) {
    const char *spec = psal_options_string(r->options, "data");
    if (!spec) return psal_fail(err, PSAL_ERR_ARGUMENT, "--data is missing: the samples to make statistics of");
    r->dataset = psal_dataset_open(spec, r->session.labels, err);
    if (!r->dataset) return err->status;
    int64_t count = (int64_t)psal_dataset_count(r->dataset), limit = psal_options_int(r->options, "limit");
    if (limit && limit < count) count = limit;
    psal_status status = check_labels(r, count, err);
    if (status != PSAL_OK) return status;
    r->first = r->shard * count / r->shards;
    r->end = (r->shard + 1) * count / r->shards;
    psal_identity_set(&r->identity, "psal.dataset", "%016" PRIx64, psal_dataset_fingerprint(r->dataset));
    psal_identity_set(&r->identity, "psal.samples", "%lld", (long long)count);
    return PSAL_OK;
}

static psal_status prepare(run *r, psal_error *err) {
    const psal_options *o = r->options;
    psal_session *session = &r->session;
    r->save_every = psal_options_double(o, "save-every");
    r->skip_bad = psal_options_flag(o, "skip-bad");
    psal_status status = parse_shard(r, err);
    if (status == PSAL_OK) status = choose_paths(r, err);
    if (status == PSAL_OK) status = check_writable(r->out, err);
    if (status == PSAL_OK) status = check_writable(r->records, err);
    if (status == PSAL_OK) status = check_writable(r->profile_path, err);
    if (status == PSAL_OK) status = psal_session_open(session, o, err);
    if (status == PSAL_OK) psal_session_print_notes(session, PROGRAM.name);
    if (status == PSAL_OK) status = open_data(r, err);
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
        .method = session->method,
        .brief = (r->end - r->first) / session->threads < PSAL_MANY_SAMPLES,
        .lean = true};
    r->saliency = psal_saliency_new(session->model, &r->saliency_options, err);
    if (!r->saliency) return err->status;
    r->profile_type = *r->profile_path && psal_options_choice(o, "profile-type") == 0 ? PSAL_F16 : PSAL_F32;
    const char *figures = psal_options_string(o, "figures");
    if (figures && r->shards > 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--figures needs all parts: give it to psal-stats merge");
    if (figures) {
        status = psal_stats_figures_begin(figures, psal_saliency_length(r->saliency), psal_options_int(o, "k-salient"),
                                          err);
        if (status != PSAL_OK) return status;
    }
    char preprocess[256];
    psal_identity_set(&r->identity, "psal.arch", "%s", session->info->arch);
    psal_identity_set(&r->identity, "psal.fingerprint", "%016" PRIx64, psal_model_fingerprint(session->model));
    psal_identity_set(&r->identity, "psal.preprocess", "%s",
                      psal_preprocess_format(&session->preprocess, preprocess, sizeof preprocess));
    psal_identity_set(&r->identity, "psal.aggregation", "%s", psal_aggregation_name(r->saliency_options.aggregation));
    psal_identity_set(&r->identity, "psal.loss", "%s", psal_loss_name(r->saliency_options.loss));
    psal_identity_set(&r->identity, "psal.signed", "%d", r->saliency_options.is_signed);
    psal_identity_set(&r->identity, "psal.run.normalized", "%d", psal_options_flag(o, "normalized"));
    psal_identity_set(&r->identity, "psal.size", "%dx%d", session->height, session->width);
    psal_identity_set(&r->identity, "psal.conv", "%s", psal_options_string(o, "conv"));
    psal_identity_set(&r->identity, "psal.predicted", "%d", psal_options_flag(o, "predicted"));
    psal_identity_set(&r->identity, "psal.classes", "%d", session->info->num_classes);
    psal_identity_set(&r->identity, "psal.shard", "%lld", (long long)r->shard + 1);
    psal_identity_set(&r->identity, "psal.shards", "%lld", (long long)r->shards);
    psal_identity_set(&r->identity, "psal.profiles", "%s",
                      *r->profile_path ? psal_dtype_name(r->profile_type) : "none");
    return PSAL_OK;
}

/* Begin the sums: new, or where an interrupted run has stopped. A finished part needs no more work. */
static psal_status begin(run *r, bool *finished, psal_error *err) {
    *finished = false;
    int64_t length = psal_saliency_length(r->saliency);
    bool resume = psal_options_flag(r->options, "resume");
    bool interrupted_run = resume && access(r->partial, F_OK) == 0;
    bool finished_part = resume && !interrupted_run && r->shards > 1 && access(r->out, F_OK) == 0;
    if (interrupted_run || finished_part) {
        const char *file = interrupted_run ? r->partial : r->out;
        r->summary = psal_state_read(file, &r->identity, NULL, err);
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
    }
    if (!r->summary) return err->status;
    r->saved_next = r->summary->next;
    r->saved_at = psal_seconds();
    if (*finished || !*r->profile_path) return PSAL_OK;
    r->profiles = psal_profile_writer_open(r->profile_path, r->profile_type, r->end - r->first, length, interrupted_run,
                                           err);
    if (!r->profiles) return err->status;
    /* From here on the profiles' file can be gone on with, even when nothing is in it yet. */
    return interrupted_run ? PSAL_OK : psal_state_write(r->partial, &r->identity, r->summary, err);
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

static psal_status take_sample(void *data, const psal_sample *sample, const float *profile, const float *predicted,
                               const psal_error *why, psal_error *err) {
    run *r = data;
    if (!profile) {
        const char *name = psal_dataset_name(r->dataset, (size_t)sample->index);
        bool named = strstr(why->message, name) != NULL;
        if (!r->skip_bad)
            return psal_fail(err, why->status, "%s%s%s (--skip-bad leaves such images out)", named ? "" : name,
                             named ? "" : ": ", why->message);
        psal_progress_note(r->progress, "%s: skipped %s%s%s", PROGRAM.name, named ? "" : name, named ? "" : ": ",
                           why->message);
    }
    psal_status status = PSAL_OK;
    if (profile && r->profiles)
        status = psal_profile_writer_put(r->profiles, sample->index - r->first, profile, sample->largest, err);
    return status == PSAL_OK ? psal_summary_add(r->summary, sample, profile, predicted, err) : status;
}

static psal_status save(run *r, psal_error *err) {
    psal_status status = r->profiles ? psal_profile_writer_sync(r->profiles, err) : PSAL_OK;
    if (status == PSAL_OK) status = psal_state_write(r->partial, &r->identity, r->summary, err);
    r->saved_at = psal_seconds();
    if (status == PSAL_OK) r->saved_next = r->summary->next;
    r->save_failed = status != PSAL_OK;
    return status;
}

static psal_status pause_run(void *data, int64_t next, psal_error *err) {
    run *r = data;
    if (interrupted) return psal_fail(err, PSAL_ERR_CANCELLED, "interrupted");
    if (next == r->end || psal_seconds() - r->saved_at < r->save_every) return PSAL_OK;
    return save(r, err);
}

static void step_run(void *data) {
    psal_progress_add(((run *)data)->progress, 1);
}

static psal_status compute(run *r, psal_error *err) {
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND}; /* a second one ends it at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
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
        fprintf(stderr, "%s: the work so far could not be saved: %s\n", PROGRAM.name, also.message);
    if (r->saved_next > r->first)
        fprintf(stderr, "%s: %lld of %lld samples are kept in %s; --resume goes on from there\n", PROGRAM.name,
                (long long)(r->saved_next - r->first), (long long)(r->end - r->first), r->partial);
    return status;
}

static psal_status write_figures(run *r, psal_error *err) {
    bool store = *r->profile_path != '\0';
    psal_stats_figures figures = {.folder = psal_options_string(r->options, "figures"),
                                  .session = &r->session,
                                  .saliency = r->saliency,
                                  .aggregation = r->saliency_options.aggregation,
                                  .summary = r->summary,
                                  .store = store ? r->profile_path : NULL,
                                  .index = store ? r->profile_index : NULL,
                                  .k = psal_options_int(r->options, "k-salient")};
    psal_status status = psal_stats_figures_write(&figures, &r->session.notes, err);
    psal_session_print_notes(&r->session, PROGRAM.name);
    return status;
}

static psal_status write_results(run *r, psal_error *err) {
    psal_status status = PSAL_OK;
    if (r->profiles) {
        status = psal_profile_writer_commit(r->profiles, err);
        r->profiles = NULL;
        if (status == PSAL_OK)
            status = psal_state_write_records(r->profile_index, r->dataset, r->summary, r->profile_type, err);
    }
    if (status == PSAL_OK && *r->records)
        status = psal_state_write_records(r->records, r->dataset, r->summary, r->profile_type, err);
    if (status == PSAL_OK && psal_options_string(r->options, "figures")) status = write_figures(r, err);
    if (status != PSAL_OK) return status;
    status = r->shards > 1 ? psal_state_write(r->out, &r->identity, r->summary, err)
                           : psal_state_write_statistics(r->out, &r->identity, r->summary, err);
    if (status == PSAL_OK) unlink(r->partial);
    return status;
}

static void print_result(const psal_summary *s, const char *out) {
    int64_t count = psal_summary_count(s), correct = psal_summary_correct(s);
    printf("%lld samples: %lld correct (%.2f %%), %lld incorrect, %lld skipped\n", (long long)count, (long long)correct,
           count ? 100.0 * (double)correct / (double)count : 0.0, (long long)(count - correct),
           (long long)psal_summary_skipped(s));
    printf("%s: %lld entries\n", out, (long long)s->length);
}

static psal_status work(run *r, psal_error *err) {
    bool finished;
    psal_status status = prepare(r, err);
    if (status == PSAL_OK) status = begin(r, &finished, err);
    if (status == PSAL_OK && !finished) status = compute(r, err);
    if (status == PSAL_OK && !finished) status = write_results(r, err);
    if (status == PSAL_OK) print_result(r->summary, r->out);
    return status;
}

static void end(run *r) {
    psal_profile_writer_close(r->profiles);
    psal_summary_free(r->summary);
    psal_saliency_free(r->saliency);
    psal_dataset_free(r->dataset);
    psal_session_close(&r->session);
}

int main(int argc, char **argv) {
    bool done;
    int exit_status;
    psal_options *options = psal_program_begin(&PROGRAM, argc, argv, &done, &exit_status);
    if (!options || done) {
        psal_options_free(options);
        return exit_status;
    }
    psal_error err = PSAL_ERROR_INIT;
    psal_status status;
    if (psal_options_argument_count(options) == 0) {
        run r = {.options = options};
        status = work(&r, &err);
        end(&r);
    } else if (strcmp(psal_options_argument(options, 0), "merge") == 0) {
        psal_summary *joined = psal_stats_merge(options, &err);
        if (joined) print_result(joined, psal_options_argument(options, 1));
        status = joined ? PSAL_OK : err.status;
        psal_summary_free(joined);
    } else {
        status = psal_fail(&err, PSAL_ERR_ARGUMENT, "'%s' is not understood: only merge is",
                           psal_options_argument(options, 0));
    }
    if (status == PSAL_OK && fflush(stdout) != 0)
        status = psal_fail(&err, PSAL_ERR_IO, "standard output: cannot write");
    if (status != PSAL_OK) exit_status = psal_program_fail(&PROGRAM, &err);
    psal_options_free(options);
    return exit_status;
}
