/* Statistics of the saliency over a list of images. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/dataset.h"
#include "io/safetensors.h"
#include "saliency/dataset_run.h"
#include "saliency/summary.h"
#include "tools/computation_io.h"
#include "tools/net_internal.h"
#include "tools/sampling.h"
#include "tools/skipped.h"
#include "tools/stats_samples.h"
#include "tools/stats_state.h"

struct psal_net_samples {
    psal_dataset *dataset;
    char *name; /* what the user called it */
};

struct psal_net_statistics {
    psal_statistics *statistics;
    psal_tensor_map *file; /* as tensors */
    psal_summary *summary;
};

/* ---- the samples ---- */

/* Takes the data set, which may be NULL with *err. */
static psal_net_samples *check_samples(const psal_net *net, psal_dataset *dataset, const char *name, psal_error *err) {
    psal_net_samples *samples = dataset ? calloc(1, sizeof *samples) : NULL;
    if (!dataset) return NULL;
    if (samples) *samples = (psal_net_samples){dataset, strdup(name)};
    if (!samples || !samples->name)
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a data set");
    else if (psal_stats_check_labels(&net->session, dataset, err) == PSAL_OK)
        return samples;
    if (samples) free(samples->name);
    free(samples);
    psal_dataset_free(dataset);
    return NULL;
}

psal_net_samples *psal_net_samples_open(psal_net *net, const char *data, psal_error *err) {
    pthread_mutex_lock(&net->notes);
    psal_dataset *dataset = psal_open_list(data, net->session.labels, false, &net->session.notes, err);
    pthread_mutex_unlock(&net->notes);
    return check_samples(net, dataset, data, err);
}

psal_net_samples *psal_net_samples_list(psal_net *net, const char *const *paths, const char *const *labels,
                                        size_t count, psal_error *err) {
    if (count == 0) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "no images");
        return NULL;
    }
    int *classes = malloc(count * sizeof *classes);
    psal_status status = classes ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu labels", count);
    for (size_t i = 0; i < count && status == PSAL_OK; i++)
        if ((status = psal_labels_parse(net->session.labels, labels[i], &classes[i], err)) != PSAL_OK)
            psal_fail_prefix(err, "label %zu, of %s", i, paths[i]);
    psal_dataset *dataset = status == PSAL_OK ? psal_dataset_from_images(paths, classes, count, false, err) : NULL;
    free(classes);
    return check_samples(net, dataset, "a list of images", err);
}

void psal_net_samples_free(psal_net_samples *samples) {
    if (!samples) return;
    psal_dataset_free(samples->dataset);
    free(samples->name);
    free(samples);
}

int64_t psal_net_samples_count(const psal_net_samples *samples) {
    return (int64_t)psal_dataset_count(samples->dataset);
}

const char *psal_net_samples_name(const psal_net_samples *samples, int64_t index) {
    return psal_dataset_name(samples->dataset, (size_t)index);
}

/* ---- the run ---- */

typedef struct run {
    const psal_net *net;
    const psal_net_samples *samples;
    psal_summary *summary;
    float *profiles; /* [samples][entries], or NULL */
    psal_net_progress progress;
    void *data;
} run;

static psal_status load_sample(void *data, int64_t index, float *image, int *label, psal_error *err) {
    const run *r = data;
    *label = psal_dataset_label(r->samples->dataset, (size_t)index);
    return psal_session_load(&r->net->session, r->samples->dataset, (size_t)index, image, err);
}

static void expect_sample(void *data, int64_t index) {
    psal_dataset_prefetch(((const run *)data)->samples->dataset, (size_t)index);
}

static psal_status take_sample(void *data, const psal_sample_result *sample, const float *profile,
                               const float *predicted, const psal_error *why, psal_error *err) {
    const run *r = data;
    if (!profile) {
        *err = *why;
        return psal_skipped_error(err, psal_dataset_name(r->samples->dataset, (size_t)sample->index), false);
    }
    const size_t length = (size_t)r->summary->length;
    if (r->profiles) memcpy(r->profiles + (size_t)sample->index * length, profile, length * sizeof *profile);
    return psal_summary_add(r->summary, sample, profile, predicted, err);
}

static psal_status pause_run(void *data, int64_t next, psal_error *err) {
    const run *r = data;
    const int64_t count = psal_net_samples_count(r->samples);
    if (!r->progress || r->progress(r->data, next, count) == 0) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_CANCELLED, "interrupted after %" PRId64 " of %" PRId64 " samples", next, count);
}

/* The profiles that the settings ask for. */
static psal_saliency *open_profiles(const psal_net *net, const psal_net_words *words, int64_t count,
                                    psal_saliency_options *saliency, psal_error *err) {
    psal_explain_options options;
    if (psal_explain_options_read(words->options, &options, err) != PSAL_OK) return NULL;
    *saliency = options.saliency;
    psal_stats_worker_options(&net->session, count, saliency);
    return psal_saliency_new(net->session.model, saliency, err);
}

static psal_status describe(const run *r, const psal_saliency_options *options, psal_computation *c, psal_error *err) {
    uint64_t fingerprint;
    const size_t count = psal_dataset_count(r->samples->dataset);
    psal_status status = psal_dataset_fingerprint(r->samples->dataset, &fingerprint, err);
    psal_sampling_record(&(psal_sampling){.wanted = 0}, count, c); /* all of them */
    psal_stats_describe(&r->net->session, options, false, (psal_reference_set){.kind = PSAL_REFERENCE_ALL}, c);
    psal_computation_set(c, PSAL_FIELD_DATASET, "%016" PRIx64, fingerprint);
    psal_computation_set(c, PSAL_FIELD_DATASET_NAME, "%s", r->samples->name);
    psal_computation_set(c, PSAL_FIELD_SAMPLES, "%zu", count);
    return status;
}

static psal_status make(psal_net_statistics *made, run *r, const psal_net_words *words, psal_error *err) {
    const int64_t count = psal_net_samples_count(r->samples);
    psal_saliency_options options;
    psal_computation computation = {0};
    psal_saliency *saliency = open_profiles(r->net, words, count, &options, err);
    psal_status status = saliency ? describe(r, &options, &computation, err) : psal_error_status(err);
    if (status == PSAL_OK) {
        r->summary = made->summary = psal_summary_new(psal_saliency_length(saliency), 0, count, false, err);
        status = made->summary ? PSAL_OK : psal_error_status(err);
    }
    const psal_dataset_run all = {.end = count,
                                  .threads = r->net->session.threads,
                                  .data = r,
                                  .load = load_sample,
                                  .ahead = expect_sample,
                                  .take = take_sample,
                                  .pause = pause_run};
    if (status == PSAL_OK) status = psal_dataset_run_all(saliency, r->net->session.model, &all, err);
    psal_saliency_free(saliency);
    if (status == PSAL_OK) status = psal_summary_suffices(made->summary, true, err);
    if (status != PSAL_OK) return status;
    made->statistics = psal_state_statistics(&computation, made->summary, &made->file, err);
    return made->statistics ? PSAL_OK : psal_error_status(err);
}

psal_net_statistics *psal_net_statistics_make(psal_net *net, const psal_net_samples *samples, const char *const *words,
                                              size_t count, float *profiles, psal_net_progress progress, void *data,
                                              psal_error *err) {
    run r = {.net = net, .samples = samples, .profiles = profiles, .progress = progress, .data = data};
    psal_error own = PSAL_ERROR_INIT; /* callers that want none are fine */
    if (!err) err = &own;
    psal_net_words again = {0};
    psal_net_statistics *made = calloc(1, sizeof *made);
    psal_status status = made ? psal_net_words_again(net, &again, words, count, err)
                              : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK) status = make(made, &r, &again, err);
    psal_net_words_free(&again);
    if (status == PSAL_OK) return made;
    psal_net_statistics_free(made);
    return NULL;
}

int64_t psal_net_profile_length(psal_net *net, const char *const *words, size_t count, psal_error *err) {
    psal_net_words again = {0};
    psal_saliency_options options;
    psal_saliency *saliency = NULL;
    if (psal_net_words_again(net, &again, words, count, err) == PSAL_OK)
        saliency = open_profiles(net, &again, 1, &options, err);
    const int64_t length = saliency ? psal_saliency_length(saliency) : 0;
    psal_saliency_free(saliency);
    psal_net_words_free(&again);
    return length;
}

void psal_net_statistics_free(psal_net_statistics *statistics) {
    if (!statistics) return;
    psal_statistics_free(statistics->statistics);
    psal_tensor_map_free(statistics->file);
    psal_summary_free(statistics->summary);
    free(statistics);
}

/* ---- what was found ---- */

int64_t psal_net_statistics_count(const psal_net_statistics *statistics) {
    return statistics->statistics->count;
}

int64_t psal_net_statistics_length(const psal_net_statistics *statistics) {
    return statistics->statistics->length;
}

const double *psal_net_statistics_values(const psal_net_statistics *statistics, const char *name) {
    if (strcmp(name, "mean") == 0) return statistics->statistics->mean;
    return strcmp(name, "std") == 0 ? statistics->statistics->std : NULL;
}

void psal_net_statistics_records(const psal_net_statistics *statistics, int *labels, int *predicted,
                                 float *label_confidence, float *confidence, float *loss) {
    const psal_summary *summary = statistics->summary;
    for (int64_t i = 0; i < summary->next; i++) {
        labels[i] = summary->records[i].label;
        predicted[i] = summary->records[i].predicted;
        label_confidence[i] = summary->records[i].label_confidence;
        confidence[i] = summary->records[i].predicted_confidence;
        loss[i] = summary->records[i].loss;
    }
}

char *psal_net_statistics_settings(const psal_net_statistics *statistics, psal_error *err) {
    return psal_net_text(psal_computation_json(&statistics->statistics->computation), err);
}

psal_status psal_net_statistics_write(const psal_net_statistics *statistics, const char *path, psal_error *err) {
    return psal_safetensors_write(path, statistics->file, err);
}
