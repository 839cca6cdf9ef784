#include "saliency/dataset_run.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "saliency/prediction.h"

/* Samples between two meetings of the threads: each meeting costs at most one sample's time of the other threads. */
enum { WINDOW_PER_THREAD = 16, MOST_THREADS = 1024 };
/* Bytes of profiles in a window; fewer samples when a profile has one entry per parameter. */
static const size_t WINDOW_BYTES = (size_t)512 << 20;

/* One sample of the window. */
typedef struct slot {
    psal_sample_result sample;
    psal_error err;
    float *profile, *predicted;
    bool has_predicted, done;
} slot;

typedef struct run_state {
    const psal_saliency *saliency;
    const psal_dataset_run *run;
    int classes, threads, window;
    psal_saliency_worker **workers; /* [threads] */
    float **images;                 /* [threads] */
    slot *slots;                    /* [window] */
    float *profiles;                /* what the slots point into */
    /* Of the window that is filled: how many samples have been taken, and how that went. The lock is the critical
     * section of finish_sample; `stopped` is read outside of it too. */
    int taken, stopped;
    psal_status status;
} run_state;

static void free_state(run_state *r) {
    for (int i = 0; i < r->threads; i++) {
        if (r->workers) psal_saliency_worker_free(r->workers[i]);
        if (r->images) free(r->images[i]);
    }
    free(r->workers);
    free(r->images);
    free(r->slots);
    free(r->profiles);
}

static int window_size(const run_state *r, size_t slot_bytes) {
    int64_t samples = r->run->end - r->run->first;
    int64_t window = (int64_t)r->threads * WINDOW_PER_THREAD;
    if (window > samples) window = samples;
    if ((size_t)window > WINDOW_BYTES / slot_bytes) window = (int64_t)(WINDOW_BYTES / slot_bytes);
    return window < r->threads ? r->threads : (int)window;
}

static psal_status make_state(run_state *r, psal_error *err) {
    size_t length = (size_t)psal_saliency_length(r->saliency), vectors = r->run->predicted_profiles ? 2 : 1;
    size_t pixels = psal_saliency_image_size(r->saliency);
    r->window = window_size(r, length * vectors * sizeof(float));
    r->workers = calloc((size_t)r->threads, sizeof *r->workers);
    r->images = calloc((size_t)r->threads, sizeof *r->images);
    r->slots = calloc((size_t)r->window, sizeof *r->slots);
    r->profiles = calloc((size_t)r->window * vectors * length, sizeof *r->profiles);
    if (!r->workers || !r->images || !r->slots || !r->profiles)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d profiles of %zu entries", r->window, length);
    for (int i = 0; i < r->window; i++) {
        r->slots[i].profile = r->profiles + (size_t)i * vectors * length;
        if (vectors == 2) r->slots[i].predicted = r->slots[i].profile + length;
    }
    for (int i = 0; i < r->threads; i++) {
        r->images[i] = malloc(pixels * sizeof(float));
        if (!r->images[i]) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d images", r->threads);
        r->workers[i] = psal_saliency_worker_new(r->saliency, err);
        if (!r->workers[i]) return psal_error_status(err);
    }
    return PSAL_OK;
}

static psal_status profile_sample(const run_state *r, slot *s, psal_saliency_worker *worker, float *image) {
    psal_sample_result *sample = &s->sample;
    psal_error *err = &s->err;
    psal_status status = r->run->load(r->run->data, sample->index, image, &sample->label, err);
    if (status != PSAL_OK) return status;
    if (sample->label < 0 || sample->label >= r->classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "label %d: the network has classes 0 to %d", sample->label,
                         r->classes - 1);
    if ((status = psal_saliency_forward(worker, image, err)) != PSAL_OK) return status;
    const float *logits = psal_saliency_logits(worker);
    sample->predicted = psal_predicted_class(logits, r->classes, -1);
    sample->label_confidence = (float)psal_confidence(logits, r->classes, sample->label);
    sample->predicted_confidence = (float)psal_confidence(logits, r->classes, sample->predicted);
    int other = psal_predicted_class(logits, r->classes, sample->label);
    status = psal_saliency_profile_forwarded(worker, sample->label, other, s->profile, err);
    if (status != PSAL_OK) return status;
    sample->loss = psal_saliency_loss(worker);
    for (int64_t i = 0; i < psal_saliency_length(r->saliency); i++)
        sample->largest = fmaxf(sample->largest, fabsf(s->profile[i]));
    if (!r->run->predicted_profiles || sample->predicted == sample->label) return PSAL_OK;
    s->has_predicted = true;
    other = psal_predicted_class(logits, r->classes, sample->predicted);
    return psal_saliency_profile(worker, image, sample->predicted, other, s->predicted, err);
}

static psal_status take_slot(const run_state *r, const slot *s, psal_error *err) {
    bool good = s->sample.status == PSAL_OK;
    return r->run->take(r->run->data, &s->sample, good ? s->profile : NULL,
                        good && s->has_predicted ? s->predicted : NULL, good ? NULL : &s->err, err);
}

/* Slot i is filled: take it, and what was waiting for it, unless one before it is missing. The caller holds the
 * lock. */
static void finish_sample(run_state *r, int64_t first, int count, int i, psal_error *err) {
    const int before = r->taken;
    r->slots[i].done = true;
    while (r->status == PSAL_OK && r->taken < count && r->slots[r->taken].done)
        if ((r->status = take_slot(r, &r->slots[r->taken], err)) == PSAL_OK) r->taken++;
    if (r->status == PSAL_OK && r->taken > before && r->run->pause)
        r->status = r->run->pause(r->run->data, first + r->taken, err);
    if (r->status == PSAL_OK) return;
#pragma omp atomic write
    r->stopped = 1;
}

/* Compute the samples first .. first+count-1 into the slots, and hand them out. */
static psal_status fill_window(run_state *r, int64_t first, int count, psal_error *err) {
    r->taken = r->stopped = 0;
    r->status = PSAL_OK;
    for (int i = 0; i < count; i++) r->slots[i].done = false;
#pragma omp parallel for schedule(dynamic, 1) num_threads(r->threads)
    for (int i = 0; i < count; i++) {
        slot *s = &r->slots[i];
        int thread = omp_get_thread_num(), stopped;
#pragma omp atomic read
        stopped = r->stopped;
        if (stopped) continue;
        if (r->run->ahead && first + i + r->window < r->run->end) r->run->ahead(r->run->data, first + i + r->window);
        s->sample = (psal_sample_result){.index = first + i};
        s->err = (psal_error)PSAL_ERROR_INIT;
        s->has_predicted = false;
        s->sample.status = profile_sample(r, s, r->workers[thread], r->images[thread]);
        if (r->run->step) r->run->step(r->run->data);
#pragma omp critical(psal_dataset_run)
        finish_sample(r, first, count, i, err);
    }
    return r->status;
}

psal_status psal_dataset_run_all(const psal_saliency *saliency, const psal_model *model, const psal_dataset_run *run,
                                 psal_error *err) {
    if (run->threads < 1 || run->threads > MOST_THREADS || run->first < 0 || run->first > run->end)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "samples %lld to %lld on %d threads: not a run", (long long)run->first,
                         (long long)run->end, run->threads);
    if (run->first == run->end) return PSAL_OK;
    int classes = psal_model_get_info(model)->num_classes;
    int64_t samples = run->end - run->first;
    int threads = samples < run->threads ? (int)samples : run->threads;
    run_state r = {.saliency = saliency, .run = run, .classes = classes, .threads = threads};
    psal_status status = make_state(&r, err);
    /* The first window's samples at once, those of the others a window before they are loaded. */
    for (int64_t i = run->first; status == PSAL_OK && run->ahead && i < run->end && i < run->first + r.window; i++)
        run->ahead(run->data, i);
    for (int64_t next = run->first; status == PSAL_OK && next < run->end;) {
        int64_t left = run->end - next;
        int count = left < r.window ? (int)left : r.window;
        status = fill_window(&r, next, count, err);
        next += count;
    }
    free_state(&r);
    return status;
}
