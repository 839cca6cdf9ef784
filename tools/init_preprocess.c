#include "tools/init_preprocess.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/progress.h"
#include "saliency/classifier.h"
#include "tools/skipped.h"
#include "tools/tally.h"

/* ---- one of them ---- */

static psal_status load(const psal_session *session, const psal_dataset *samples, size_t i, float *input,
                        psal_error *err) {
    psal_image pixels = PSAL_IMAGE_INIT;
    psal_status status = psal_dataset_load(samples, i, &pixels, err);
    if (status == PSAL_OK) status = psal_session_prepare(session, &pixels, NULL, input, err);
    psal_image_free(&pixels);
    return status;
}

/* predicted[samples]: -1 where there is no answer, or one that is no number: wrong, too. */
static psal_status predict_all(const psal_session *session, const psal_dataset *samples, bool skip_bad,
                               const psal_classifier *classifier, int *predicted, psal_progress *progress,
                               psal_error *err) {
    const size_t count = psal_dataset_count(samples);
    psal_status result = PSAL_OK;
#pragma omp parallel num_threads(session->threads)
    {
        psal_error own = PSAL_ERROR_INIT;
        float *input = malloc(psal_session_image_size(session) * sizeof *input);
        psal_classifier_worker *worker = psal_classifier_worker_new(classifier, &own);
        psal_status status = !input   ? psal_fail(&own, PSAL_ERR_MEMORY, "out of memory for an image")
                             : worker ? PSAL_OK
                                      : psal_error_status(&own);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            const float *logits;
            if (status != PSAL_OK) continue;
            predicted[i] = -1;
            status = load(session, samples, i, input, &own);
            if (status != PSAL_OK && skip_bad && psal_skippable(&own)) {
                status = PSAL_OK;
                continue;
            }
            if (status != PSAL_OK) psal_skipped_error(&own, psal_dataset_name(samples, i), true);
            if (status == PSAL_OK) status = psal_classifier_run(worker, input, NULL, &logits, &own);
            if (status == PSAL_OK) predicted[i] = psal_predicted_class(logits, session->info->num_classes, -1);
            if (status == PSAL_ERR_NUMERIC) status = PSAL_OK;
            psal_progress_add(progress, 1);
        }
        if (status != PSAL_OK) {
#pragma omp critical(psal_preprocess_error)
            if (result == PSAL_OK) {
                if (err) *err = own;
                result = status;
            }
        }
        psal_classifier_worker_free(worker);
        free(input);
    }
    return result;
}

/* *tried is false where the network takes no images of this size. */
static psal_status try_one(psal_session *session, const char *text, const psal_dataset *samples, bool skip_bad,
                           psal_preprocess_trial *trial, int *predicted, psal_progress *progress, bool *tried,
                           psal_error *err) {
    const size_t count = psal_dataset_count(samples);
    psal_status status = psal_session_set_preprocess(session, text, err);
    if (status != PSAL_OK) return status;
    psal_classifier_options options = {.height = session->height,
                                       .width = session->width,
                                       .threads = 1,
                                       .memory_limit = session->memory_limit / (size_t)session->threads,
                                       .conv = session->conv};
    psal_classifier *classifier = psal_classifier_new(session->model, &options, err);
    *tried = classifier != NULL;
    if (!classifier) return psal_error_status(err);
    *trial = (psal_preprocess_trial){.right = calloc(count, sizeof *trial->right)};
    psal_preprocess_format(&session->preprocess, trial->text, sizeof trial->text);
    psal_preprocess_words(&session->preprocess, trial->words, sizeof trial->words);
    status = trial->right ? predict_all(session, samples, skip_bad, classifier, predicted, progress, err)
                          : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_classifier_free(classifier);
    for (size_t i = 0; i < count && status == PSAL_OK; i++) {
        trial->right[i] = predicted[i] >= 0 && predicted[i] == psal_dataset_label(samples, i);
        trial->correct += trial->right[i];
    }
    return status;
}

/* ---- which ones ---- */

/* Height and width of all samples where they are the same, else 0; whether some are not square; and the first one's
 * shorter side. */
static psal_status look_at_sizes(const psal_dataset *samples, bool skip_bad, int *height, int *width, bool *oblong,
                                 int *side, psal_error *err) {
    bool first = true, same = true;
    *height = *width = *side = 0;
    *oblong = false;
    for (size_t i = 0; i < psal_dataset_count(samples); i++) {
        psal_image pixels = PSAL_IMAGE_INIT;
        psal_status status = psal_dataset_load(samples, i, &pixels, err);
        if (status != PSAL_OK && skip_bad && psal_skippable(err)) continue;
        if (status != PSAL_OK) return psal_skipped_error(err, psal_dataset_name(samples, i), true);
        same = same && (first || (pixels.height == *height && pixels.width == *width));
        *height = same ? pixels.height : 0;
        *width = same ? pixels.width : 0;
        *oblong = *oblong || pixels.height != pixels.width;
        if (first) *side = pixels.height < pixels.width ? pixels.height : pixels.width;
        first = false;
        psal_image_free(&pixels);
        if (!same && *oblong) return PSAL_OK;
    }
    return PSAL_OK;
}

/* How images come to the network's size. */
enum { CROPPED, STRETCHED, AS_THEY_ARE, SIZES };

static void name_size(int how, int height, int width, char text[80]) {
    if (how == AS_THEY_ARE)
        snprintf(text, 80, "resize=none;crop=%dx%d", height, width);
    else if (how == STRETCHED)
        snprintf(text, 80, "resize=%dx%d", height, width);
    else /* the shorter side is as much longer as torchvision's 256 are longer than 224 */
        snprintf(text, 80, "resize=%d;crop=%d", (int)lround(height * 256.0 / 224.0), height);
}

static double share_of_commonest(const psal_dataset *samples, int classes) {
    size_t most = 0, count = psal_dataset_count(samples), *of = calloc((size_t)classes, sizeof *of);
    for (size_t i = 0; of && i < count; i++) {
        const int label = psal_dataset_label(samples, i); /* none of an image that is left out */
        if (label >= 0 && ++of[label] > most) most = of[label];
    }
    free(of);
    return fmax((double)most / (double)count, 1.0 / classes);
}

static int more_right(const void *a, const void *b) {
    const psal_preprocess_trial *x = a, *y = b;
    return (x->correct < y->correct) - (x->correct > y->correct);
}

/* Insertion: stable, and there are few. */
static void sort(psal_preprocess_trials *trials) {
    for (int i = 1; i < trials->count; i++)
        for (int j = i; j > 0 && more_right(&trials->at[j - 1], &trials->at[j]) > 0; j--) {
            psal_preprocess_trial swap = trials->at[j];
            trials->at[j] = trials->at[j - 1];
            trials->at[j - 1] = swap;
        }
}

/* What several rounds of tries share. */
typedef struct search {
    psal_session *session;
    const psal_dataset *samples;
    bool skip_bad;
    psal_preprocess_trials *trials;
    int *predicted, *best; /* [samples]; best: of the one with most right answers so far */
    size_t most;
} search;

static psal_status begin(search *s, psal_error *err) {
    const size_t n = psal_dataset_count(s->samples);
    *s->trials = (psal_preprocess_trials){.samples = n,
                                          .guessed = share_of_commonest(s->samples, s->session->info->num_classes)};
    s->predicted = malloc(n * sizeof *s->predicted);
    s->best = malloc(n * sizeof *s->best);
    return s->predicted && s->best ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

/* With *err of the last one that the network does not take, which is no failure of several. */
static psal_status try_texts(search *s, const char *const *texts, int count, psal_error *err) {
    const size_t n = psal_dataset_count(s->samples);
    psal_preprocess_trials *trials = s->trials;
    psal_progress_options meter = {.out = stderr,
                                   .mode = s->session->quiet ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
                                   .label = "tries",
                                   .program = s->session->program,
                                   .total = (int64_t)n * count};
    psal_progress *progress = psal_progress_start(&meter, NULL);
    psal_status status = PSAL_OK;
    for (int i = 0; i < count && status == PSAL_OK; i++) {
        bool tried = false;
        psal_error why = PSAL_ERROR_INIT;
        psal_preprocess_trial *trial = &trials->at[trials->count];
        status = try_one(s->session, texts[i], s->samples, s->skip_bad, trial, s->predicted, progress, &tried, &why);
        trials->count += tried;
        if (status != PSAL_OK) *err = why;
        if (status != PSAL_OK && !tried && status != PSAL_ERR_MEMORY && count > 1) status = PSAL_OK;
        if (status != PSAL_OK || !tried || (trials->count > 1 && trial->correct <= s->most)) continue;
        s->most = trial->correct;
        memcpy(s->best, s->predicted, n * sizeof *s->best);
    }
    psal_progress_finish(progress);
    return status;
}

static psal_status end(search *s, psal_status status, psal_error *err) {
    psal_preprocess_trials *trials = s->trials;
    if (status == PSAL_OK && trials->count == 0) status = psal_error_status(err);
    if (status == PSAL_OK) {
        psal_tally tally = {0};
        for (size_t i = 0; i < trials->samples; i++)
            if (psal_dataset_label(s->samples, i) >= 0)
                psal_tally_add(&tally, psal_dataset_label(s->samples, i), s->best[i]);
        if (!psal_tally_shifted(&tally, trials->doubt)) *trials->doubt = '\0';
        *err = (psal_error)PSAL_ERROR_INIT;
        sort(trials);
    }
    free(s->predicted);
    free(s->best);
    return status;
}

psal_status psal_preprocess_try(psal_session *session, const char *text, const psal_dataset *samples, bool skip_bad,
                                psal_preprocess_trials *trials, psal_error *err) {
    search s = {session, samples, skip_bad, trials, NULL, NULL, 0};
    psal_status status = begin(&s, err);
    if (status == PSAL_OK) status = try_texts(&s, &text, 1, err);
    return end(&s, status, err);
}

/* Around the sizes. */
enum { KINDS = 5, MORE_SIZES = 4, ROUND = 2 * MORE_SIZES * KINDS };
static const char *const colour[KINDS] = {"torchvision;", "rgb;scale=255;mean=0.5;std=0.5;", "rgb;scale=255;", "caffe;",
                                          "rgb;"};
static const char *const grey[KINDS] = {"grey;scale=255;", "grey;scale=255;mean=0.5;std=0.5;",
                                        "grey;scale=255;mean=0.1307;std=0.3081;",
                                        "grey;scale=255;mean=0.2860;std=0.3530;", "grey;"};
_Static_assert((SIZES + 2 * MORE_SIZES) * KINDS <= PSAL_PREPROCESS_TRIALS, "room for all");

/* The texts that a round tries; they are in `texts`. */
typedef struct round_of_tries {
    char texts[ROUND][200];
    const char *pointers[ROUND];
    int count;
} round_of_tries;

static void add_size(round_of_tries *round, const psal_session *session, int how, int height, int width) {
    char size[80];
    name_size(how, height, width, size);
    for (int k = 0; k < KINDS; k++, round->count++) {
        snprintf(round->texts[round->count], sizeof round->texts[0], "%s%s",
                 (session->info->channels == 1 ? grey : colour)[k], size);
        round->pointers[round->count] = round->texts[round->count];
    }
}

/* The usual size. */
static void add_usual(round_of_tries *round, const psal_session *session, int height, int width, bool oblong) {
    const psal_model_info *info = session->info;
    add_size(round, session, CROPPED, info->native_size, info->native_size);
    if (oblong) add_size(round, session, STRETCHED, info->native_size, info->native_size);
    if (height >= info->min_size && width >= info->min_size && height <= 512 && width <= 512 &&
        (height != info->native_size || width != info->native_size) && strcmp(info->family, "onnx") != 0)
        add_size(round, session, AS_THEY_ARE, height, width);
}

/* Others in which small networks are trained. */
static void add_others(round_of_tries *round, const psal_session *session, int height, int width, bool oblong) {
    static const int sides[MORE_SIZES] = {32, 64, 96, 128};
    const psal_model_info *info = session->info;
    for (int i = 0; i < MORE_SIZES && strcmp(info->family, "onnx") != 0; i++) {
        if (sides[i] < info->min_size || sides[i] > 2 * info->native_size) continue;
        if (sides[i] != info->native_size) add_size(round, session, CROPPED, sides[i], sides[i]);
        const bool tried = (sides[i] == info->native_size && oblong) || (height == sides[i] && width == sides[i]);
        if (!tried) add_size(round, session, STRETCHED, sides[i], sides[i]);
    }
}

psal_status psal_preprocess_try_common(psal_session *session, const psal_dataset *samples, bool skip_bad,
                                       psal_preprocess_trials *trials, psal_error *err) {
    int height, width, side;
    bool oblong;
    psal_status status = look_at_sizes(samples, skip_bad, &height, &width, &oblong, &side, err);
    if (status != PSAL_OK) return status;
    search s = {session, samples, skip_bad, trials, NULL, NULL, 0};
    round_of_tries round = {.count = 0};
    status = begin(&s, err);
    add_usual(&round, session, height, width, oblong);
    if (status == PSAL_OK) status = try_texts(&s, round.pointers, round.count, err);
    const double right = trials->samples ? (double)s.most / (double)trials->samples : 0;
    if (status == PSAL_OK && (right < 0.75 || (right < 0.9 && side < session->info->native_size))) {
        round.count = 0;
        add_others(&round, session, height, width, oblong);
        if (round.count > 0) status = try_texts(&s, round.pointers, round.count, err);
    }
    trials->stretched = oblong;
    return end(&s, status, err);
}

/* ---- the verdict ---- */

psal_status psal_preprocess_judge(const psal_preprocess_trials *trials, psal_error *err) {
    const psal_preprocess_trial *best = &trials->at[0];
    const double n = (double)trials->samples, p = trials->guessed, correct = (double)best->correct;
    if (p < 1 && correct <= n * p + 2 * sqrt(n * p * (1 - p)))
        return psal_fail(
            err, PSAL_ERR_ARGUMENT,
            "with %s%.200s%s the network is right in %zu of %zu samples, as few as by guessing%s%.250s: "
            "labels, preprocessing and network do not belong together; say how the images were prepared in training "
            "with --preprocess (of Resize((64, 64)) and ImageNet's mean and deviation \"torchvision;resize=64x64\"), "
            "and "
            "the order of the classes with --labels",
            trials->count > 1 ? "the best of all preprocessings (" : "", best->text, trials->count > 1 ? ")" : "",
            best->correct, trials->samples, *trials->doubt ? "; " : "", trials->doubt);
    for (int t = 1; t < trials->count; t++) {
        size_t mine = 0, theirs = 0;
        for (size_t i = 0; i < trials->samples; i++) {
            mine += best->right[i] && !trials->at[t].right[i];
            theirs += !best->right[i] && trials->at[t].right[i];
        }
        const double lead = (double)mine - (double)theirs;
        if (lead > 0 && lead > 2 * sqrt((double)(mine + theirs))) continue;
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%zu samples do not tell how images were prepared: with %.150s the network is right in %zu, "
                         "with %.150s in %zu; say which with --preprocess \"%.120s\" or \"%.120s\", or what it was "
                         "trained with: of Resize((64, 64)) and ImageNet's mean and deviation "
                         "\"torchvision;resize=64x64\"",
                         trials->samples, best->words, best->correct, trials->at[t].words, trials->at[t].correct,
                         best->text, trials->at[t].text);
    }
    return PSAL_OK;
}

void psal_preprocess_trials_free(psal_preprocess_trials *trials) {
    for (int i = 0; i < trials->count; i++) free(trials->at[i].right);
    *trials = (psal_preprocess_trials){0};
}
