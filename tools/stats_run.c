#include "tools/stats_run.h"

#include <inttypes.h>
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
#include "saliency/dataset_run.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/skipped.h"
#include "tools/stats_figures.h"
#include "tools/stats_report.h"
#include "tools/stats_samples.h"
#include "tools/stats_state.h"
#include "tools/store_source.h"

typedef struct run {
    const psal_stats_request *request;
    psal_session *session;
    psal_dataset *dataset;
    uint64_t data_fingerprint;
    psal_saliency_options saliency_options;
    psal_saliency *saliency;
    psal_computation computation;
    char *source; /* as a store records it */
    psal_summary *summary;
    psal_reference_set only;
    psal_profile_writer *profiles;
    psal_dtype profile_type;
    psal_progress *progress;
    uint64_t *images; /* [end - first], of those that were loaded: what each is known by */
    int64_t samples, first, end;
    char out[4096], partial[4096], records[4096], profile_path[4096], profile_index[4096];
    bool save_failed;
    double saved_at;
    int64_t saved_next;
} run;

/* ---- what is to be done ---- */

static psal_status choose_paths(run *r, psal_error *err) {
    const char *out = r->request->out, *records = r->request->records, *profiles = r->request->profiles;
    if (!out) return psal_fail(err, PSAL_ERR_ARGUMENT, "--out FILE is missing: where the statistics go");
    psal_status status = psal_shard_path(out, r->request->shard, r->out, err);
    /* There is nothing to go on with beside a pipe or a device. */
    if (status == PSAL_OK && !psal_atomic_file_is_direct(r->out))
        snprintf(r->partial, sizeof r->partial, "%.4000s.partial", r->out);
    if (status == PSAL_OK && records) status = psal_shard_path(records, r->request->shard, r->records, err);
    if (status == PSAL_OK && profiles) status = psal_shard_path(profiles, r->request->shard, r->profile_path, err);
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

/* Statistics of one class are no measure for images of others. */
static void note_one_class(run *r, int64_t count) {
    const int class = psal_dataset_label(r->dataset, 0);
    for (int64_t i = 1; i < count; i++)
        if (psal_dataset_label(r->dataset, (size_t)i) != class) return;
    if (count > 1 && r->session->info->num_classes > 1)
        psal_note_warning(&r->session->notes, "all %lld samples are of one class, %s%s", (long long)count,
                          psal_labels_name(r->session->labels, class),
                          r->request->sampling.wanted && !r->request->sampling.drawn ? ": --limit draws from all" : "");
}

static psal_status open_data(run *r, psal_error *err) {
    const char *spec = r->request->data;
    r->dataset = psal_open_list(spec, r->session->labels, r->request->skip_bad, &r->session->notes, err);
    if (!r->dataset) return psal_error_status(err);
    psal_status status = psal_dataset_fingerprint(r->dataset, &r->data_fingerprint, err); /* of all */
    if (status != PSAL_OK) return status;
    psal_sampling_record(&r->request->sampling, psal_dataset_count(r->dataset), &r->computation);
    status = psal_sampling_keep(&r->request->sampling, r->dataset, err);
    const int64_t count = (int64_t)psal_dataset_count(r->dataset);
    if (status == PSAL_OK) status = psal_stats_check_labels(r->session, r->dataset, err);
    if (status != PSAL_OK) return status;
    note_one_class(r, count);
    r->first = r->request->shard.index * count / r->request->shard.count;
    r->end = (r->request->shard.index + 1) * count / r->request->shard.count;
    r->samples = count;
    return PSAL_OK;
}

static psal_status choose_reference(run *r, psal_error *err) {
    const char *text = r->request->only;
    if (!text || strcmp(text, "correct") == 0 || strcmp(text, "incorrect") == 0)
        return psal_reference_parse(text ? text : "", &r->only)
                   ? PSAL_OK
                   : psal_fail(err, PSAL_ERR_ARGUMENT, "--only %s is no reference set", text);
    r->only.kind = PSAL_REFERENCE_CLASS;
    return psal_session_class(r->session, "only: correct, incorrect or a class", text, &r->only.label, err);
}

/* Everything that the numbers depend on. */
static void describe(run *r) {
    psal_computation *c = &r->computation;
    psal_stats_describe(r->session, &r->saliency_options, r->request->normalized, r->only, c);
    psal_computation_set(c, PSAL_FIELD_DATASET, "%016" PRIx64, r->data_fingerprint);
    psal_computation_set(c, PSAL_FIELD_DATASET_NAME, "%s", r->request->data);
    psal_computation_set(c, PSAL_FIELD_SAMPLES, "%" PRId64, r->samples);
    psal_computation_set(c, PSAL_FIELD_PREDICTED, "%d", r->request->predicted);
    psal_computation_set(c, PSAL_FIELD_SHARD, "%" PRId64, r->request->shard.index + 1);
    psal_computation_set(c, PSAL_FIELD_SHARDS, "%" PRId64, r->request->shard.count);
    psal_computation_set(c, PSAL_FIELD_PROFILES, "%s", *r->profile_path ? psal_dtype_name(r->profile_type) : "none");
}

/* What an earlier run has left, and must belong to this one. */
static psal_summary *read_state(run *r, const char *file, psal_error *err) {
    psal_computation found;
    char names[512];
    psal_summary *summary = psal_state_read(file, &found, NULL, err);
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
        psal_note(&r->session->notes, "%s, of an earlier version, does not say its %s: taken to be as here", file,
                  psal_fields_names(unsaid, names));
    psal_session_print_notes(r->session, r->request->program);
    return summary;
}

static psal_status prepare(run *r, psal_error *err) {
    const psal_stats_request *request = r->request;
    psal_session *session = r->session;
    psal_session_print_notes(session, request->program);
    psal_status status = choose_reference(r, err);
    if (status == PSAL_OK) status = open_data(r, err);
    psal_session_print_notes(session, request->program);
    if (status != PSAL_OK) return status;
    r->saliency_options = (psal_saliency_options){.loss = request->loss,
                                                  .aggregation = request->aggregation,
                                                  .is_signed = request->is_signed,
                                                  .gradient_weight = request->gradient_weight};
    psal_stats_worker_options(session, r->end - r->first, &r->saliency_options);
    r->saliency = psal_saliency_new(session->model, &r->saliency_options, err);
    if (!r->saliency) return psal_error_status(err);
    r->profile_type = *r->profile_path ? request->profile_type : PSAL_F32;
    if (request->figures) {
        status = psal_stats_figures_begin(request->figures, psal_saliency_length(r->saliency), request->k, err);
        if (status != PSAL_OK) return status;
    }
    describe(r);
    return psal_store_source_text(request->data, session->labels, session->weights, request->options, &r->source, err);
}

/* Its name is known to everybody who may write into the folder: a link that waits there is not followed. */
static psal_status write_state(const run *r, psal_error *err) {
    struct stat info;
    if (!*r->partial) return PSAL_OK;
    if (lstat(r->partial, &info) == 0 && !S_ISREG(info.st_mode))
        return psal_fail(err, PSAL_ERR_IO, "%s: is no ordinary file", r->partial);
    return psal_state_write(r->partial, &r->computation, r->summary, r->source, err);
}

/* Whether the samples that the state has are the images they were. */
static psal_status check_images(const run *r, const char *file, psal_error *err) {
    const psal_summary *s = r->summary;
    if (s->next == s->first) return PSAL_OK;
    psal_status status = psal_dataset_check_images(r->dataset, (size_t)s->first, (size_t)(s->next - s->first),
                                                   &s->records->image, sizeof *s->records, err);
    return status == PSAL_OK ? status : psal_fail_prefix(err, "%s: belongs to another run", file);
}

/* Begin the sums: new, or where an interrupted run has stopped. A finished part needs no more work. */
static psal_status begin(run *r, bool *finished, psal_error *err) {
    *finished = false;
    int64_t length = psal_saliency_length(r->saliency);
    bool resume = r->request->resume;
    bool interrupted_run = false, finished_part = false;
    psal_status status = resume ? psal_file_exists(r->partial, &interrupted_run, err) : PSAL_OK;
    if (status == PSAL_OK && resume && !interrupted_run && r->request->shard.count > 1)
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
        if (r->summary && check_images(r, file, err) != PSAL_OK) {
            psal_summary_free(r->summary);
            r->summary = NULL;
        }
        *finished = finished_part && r->summary && r->summary->next == r->end;
    } else {
        r->summary = psal_summary_new(length, r->first, r->end, r->request->normalized, err);
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
    *label = psal_dataset_label(r->dataset, (size_t)index);
    psal_status status = psal_dataset_image_fingerprint(r->dataset, (size_t)index, &r->images[index - r->first], err);
    return status == PSAL_OK ? psal_session_load(r->session, r->dataset, (size_t)index, image, err) : status;
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
        psal_skipped_error(&bad, psal_dataset_name(r->dataset, (size_t)sample->index), !r->request->skip_bad);
        if (!r->request->skip_bad || !psal_skippable(why)) {
            if (err) *err = bad;
            return bad.status;
        }
        psal_progress_note(r->progress, "%s: skipped %s", r->request->program, bad.message);
    }
    psal_status status = PSAL_OK;
    if (profile && r->profiles)
        status = psal_profile_writer_put(r->profiles, sample->index - r->first, profile, sample->largest, err);
    psal_sample_result known = *sample;
    known.image = r->images[sample->index - r->first];
    return status == PSAL_OK ? psal_summary_add(r->summary, &known, profile, predicted, err) : status;
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
    if (next == r->end || psal_seconds() - r->saved_at < r->request->save_every) return PSAL_OK;
    return save(r, err);
}

static void step_run(void *data) {
    psal_progress_add(((run *)data)->progress, 1);
}

static psal_status compute(run *r, psal_error *err) {
    psal_program_stop_on_signal();
    psal_progress_options progress = {.out = stderr,
                                      .mode = r->session->quiet ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
                                      .label = "images",
                                      .program = r->request->program,
                                      .at_once = r->session->threads,
                                      .total = r->end - r->first,
                                      .done_before = r->summary->next - r->first};
    r->progress = psal_progress_start(&progress, NULL);
    psal_dataset_run samples = {.first = r->summary->next,
                                .end = r->end,
                                .threads = r->session->threads,
                                .predicted_profiles = r->request->predicted,
                                .data = r,
                                .load = load_sample,
                                .ahead = expect_sample,
                                .take = take_sample,
                                .pause = pause_run,
                                .step = step_run};
    r->images = calloc((size_t)(r->end - r->first) + 1, sizeof *r->images);
    psal_status status = r->images ? psal_dataset_run_all(r->saliency, r->session->model, &samples, err)
                                   : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld samples",
                                               (long long)(r->end - r->first));
    psal_progress_finish(r->progress);
    r->progress = NULL;
    if (status == PSAL_OK || r->summary->next == r->first) return status;
    /* Nothing that was computed is lost. */
    psal_error also = PSAL_ERROR_INIT;
    if (r->summary->next > r->saved_next && !r->save_failed && save(r, &also) != PSAL_OK)
        psal_print(stderr, "%s: the work so far could not be saved: %s\n", r->request->program, also.message);
    if (r->saved_next > r->first)
        psal_print(stderr, "%s: %lld of %lld samples are kept in %s; --resume goes on from there\n",
                   r->request->program, (long long)(r->saved_next - r->first), (long long)(r->end - r->first),
                   r->partial);
    return status;
}

static psal_status write_figures(run *r, psal_error *err) {
    bool store = *r->profile_path != '\0';
    psal_stats_figures figures = {.folder = r->request->figures,
                                  .session = r->session,
                                  .saliency = r->saliency,
                                  .aggregation = r->saliency_options.aggregation,
                                  .computation = &r->computation,
                                  .summary = r->summary,
                                  .store = store ? r->profile_path : NULL,
                                  .index = store ? r->profile_index : NULL,
                                  .k = r->request->k,
                                  .format = r->request->format,
                                  .style = r->request->style};
    psal_status status = psal_stats_figures_write(&figures, &r->session->notes, err);
    psal_session_print_notes(r->session, r->request->program);
    return status;
}

static psal_status write_records(const run *r, const char *path, psal_error *err) {
    return psal_state_write_records(path, r->dataset, r->summary, &r->computation, r->profile_type, r->source, err);
}

static psal_status write_results(run *r, psal_error *err) {
    psal_status status = r->request->shard.count > 1 ? PSAL_OK : psal_summary_suffices(r->summary, true, err);
    if (status == PSAL_OK && r->profiles) {
        status = psal_profile_writer_commit(r->profiles, err);
        r->profiles = NULL;
        if (status == PSAL_OK) status = write_records(r, r->profile_index, err);
    }
    if (status == PSAL_OK && *r->records) status = write_records(r, r->records, err);
    if (status == PSAL_OK && r->request->figures) status = write_figures(r, err);
    if (status != PSAL_OK) return status;
    status = r->request->shard.count > 1 ? psal_state_write(r->out, &r->computation, r->summary, r->source, err)
                                         : psal_state_write_statistics(r->out, &r->computation, r->summary, err);
    if (status == PSAL_OK) unlink(r->partial);
    return status;
}

static void print_written(const run *r) {
    const char *const paths[] = {r->out, r->records, r->profile_path, r->profile_index, r->request->figures};
    if (r->session->quiet) return;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] && *paths[i]) psal_print(stdout, "%s%s\n", i ? "          " : "written   ", paths[i]);
}

static psal_status find_mistake(const run *r, psal_stats_mistake *mistake, psal_error *err) {
    const psal_sample_result *least = NULL;
    int64_t at = 0;
    for (int64_t i = 0; i < r->summary->next - r->summary->first; i++) {
        const psal_sample_result *record = &r->summary->records[i];
        if (record->status != PSAL_OK || record->predicted == record->label) continue;
        if (least && record->predicted_confidence >= least->predicted_confidence) continue;
        least = record;
        at = r->summary->first + i;
    }
    if (!least) return PSAL_OK;
    const char *path = psal_dataset_path(r->dataset, (size_t)at);
    *mistake = (psal_stats_mistake){.name = strdup(psal_dataset_name(r->dataset, (size_t)at)),
                                    .path = path ? strdup(path) : NULL,
                                    .label = least->label,
                                    .predicted = least->predicted,
                                    .confidence = (double)least->predicted_confidence};
    return mistake->name && (mistake->path || !path) ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

void psal_stats_counts_free(psal_stats_counts *counts) {
    free(counts->mistake.name);
    free(counts->mistake.path);
    *counts = (psal_stats_counts){0};
}

psal_status psal_stats_check(const psal_stats_request *request, psal_error *err) {
    run r = {.request = request};
    if (!request->data)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--data is missing: the samples to make statistics of");
    if (request->figures && request->shard.count > 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--figures needs all parts: give it to psal-stats merge");
    psal_status status = choose_paths(&r, err);
    return status == PSAL_OK ? check_writable(&r, err) : status;
}

int psal_stats_make(const psal_stats_request *request, psal_session *session, psal_stats_counts *counts,
                    psal_error *err) {
    run r = {.request = request, .session = session};
    bool finished;
    psal_run_lock *lock = NULL;
    psal_status status = choose_paths(&r, err);
    if (status == PSAL_OK) status = prepare(&r, err);
    if (status == PSAL_OK && *r.partial && !(lock = psal_run_lock_take(r.out, err))) status = psal_error_status(err);
    if (status == PSAL_OK) status = begin(&r, &finished, err);
    if (status == PSAL_OK && !finished) status = compute(&r, err);
    if (status == PSAL_OK && !finished) status = write_results(&r, err);
    if (status == PSAL_OK && !request->silent)
        psal_stats_print_result(r.summary, request->program, r.out, session->info->num_classes == 1);
    if (status == PSAL_OK && !request->silent) print_written(&r);
    if (status == PSAL_OK && request->shard.count == 1) psal_stats_note_few(r.summary, request->program, r.out);
    if (status == PSAL_OK && counts) {
        *counts = (psal_stats_counts){.samples = psal_summary_good(r.summary),
                                      .correct = psal_summary_correct(r.summary),
                                      .skipped = psal_summary_skipped(r.summary)};
        status = find_mistake(&r, &counts->mistake, err);
    }
    int result = psal_stats_finish(r.summary, r.dataset, request->program, status, err);
    psal_profile_writer_close(r.profiles);
    psal_summary_free(r.summary);
    psal_saliency_free(r.saliency);
    free(r.images);
    free(r.source);
    psal_dataset_free(r.dataset);
    psal_run_lock_release(lock);
    return result;
}
