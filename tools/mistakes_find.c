#include "tools/mistakes_find.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/print.h"
#include "tools/tally.h"

/* A prediction for each sample of the data set. */
typedef struct predictions {
    psal_subject *all;
    char **reasons; /* of the samples that were skipped; NULL: none are */
} predictions;

/* What the store says of sample i, whose image could not be read when it was made if it has no profile. */
static psal_status take_stored(const psal_mistakes *mistakes, size_t i, const psal_profile_record *record,
                               psal_subject *subject, psal_error *err) {
    *subject = (psal_subject){.index = i,
                              .label = record->label,
                              .predicted = record->predicted,
                              .rival = record->predicted, /* of mistakes: of others it is not asked */
                              .confidence = record->confidence};
    if (record->predicted >= mistakes->classes)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--store: class %d is predicted, but the network has classes 0 to %d",
                         record->predicted, mistakes->classes - 1);
    return record->valid ? PSAL_OK : psal_fail(err, PSAL_ERR_FORMAT, "has no profile in --store");
}

static psal_status predict(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    psal_subject *all = ((predictions *)data)->all;
    char **reasons = ((predictions *)data)->reasons;
    const psal_mistakes *mistakes = worker->mistakes;
    const psal_profile_record *stored = psal_mistakes_stored(mistakes, i);
    psal_status status = stored ? take_stored(mistakes, i, stored, &all[i], err)
                                : psal_mistakes_image(mistakes, i, worker->image, err);
    const float *logits;
    if (status != PSAL_OK && reasons && i >= mistakes->named && psal_skippable(err)) {
        all[i] = (psal_subject){.index = i, .skipped = true};
        reasons[i] = strdup(err->message);
        *err = (psal_error)PSAL_ERROR_INIT;
        return reasons[i] ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    if (status != PSAL_OK || stored) return status;
    status = psal_classifier_run(worker->classifier, worker->image, NULL, &logits, err);
    if (status != PSAL_OK) return status;
    double *confidences = malloc((size_t)mistakes->classes * sizeof *confidences);
    if (!confidences) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d classes", mistakes->classes);
    psal_confidences(logits, mistakes->classes, confidences);
    int predicted = psal_predicted_class(logits, mistakes->classes, -1);
    const int label = psal_mistakes_label(mistakes, i);
    all[i] = (psal_subject){.index = i,
                            .label = label,
                            .predicted = predicted,
                            .rival = psal_predicted_class(logits, mistakes->classes, label),
                            .confidence = confidences[predicted]};
    free(confidences);
    return PSAL_OK;
}

/* Samples to choose from. */
typedef struct group {
    size_t *index; /* [count] in the data set, */
    int *classes;  /* [count] and their labels */
    size_t count;
} group;

/* The samples of first .. count-1 that are right, or that are not. */
static psal_status gather(const psal_subject *all, size_t first, size_t count, bool right, group *out,
                          psal_error *err) {
    *out = (group){malloc((count + 1) * sizeof *out->index), malloc((count + 1) * sizeof *out->classes), 0};
    if (!out->index || !out->classes) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = first; i < count; i++) {
        if (all[i].skipped || all[i].itself || (all[i].predicted == all[i].label) != right) continue;
        out->index[out->count] = i;
        out->classes[out->count++] = all[i].label;
    }
    return PSAL_OK;
}

static void group_free(group *g) {
    free(g->index);
    free(g->classes);
}

static psal_status load_right(psal_mistakes *mistakes, const group *right, const size_t *chosen, size_t count,
                              psal_error *err) {
    mistakes->right = calloc(count + 1, sizeof *mistakes->right);
    mistakes->right_labels = calloc(count + 1, sizeof *mistakes->right_labels);
    mistakes->right_index = calloc(count + 1, sizeof *mistakes->right_index);
    if (!mistakes->right || !mistakes->right_labels || !mistakes->right_index)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) {
        float *image = malloc(psal_session_image_size(mistakes->session) * sizeof *image);
        if (!image) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples that are right", count);
        mistakes->right_labels[i] = right->classes[chosen[i]];
        mistakes->right_index[i] = right->index[chosen[i]];
        mistakes->right[mistakes->right_count++] = image;
        psal_status status = psal_mistakes_image(mistakes, mistakes->right_index[i], image, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

/* Draw what --right asks for. */
static psal_status keep_right(psal_mistakes *mistakes, const psal_subject *all, size_t count, size_t wanted,
                              psal_error *err) {
    const psal_sampling sampling = {.wanted = wanted, .drawn = true, .seed = mistakes->sampling.seed};
    group right = {0};
    size_t *chosen = NULL, chosen_count;
    if (sampling.wanted == 0) return PSAL_OK;
    psal_status status = gather(all, mistakes->beside ? psal_dataset_count(mistakes->dataset) : 0, count, true, &right,
                                err);
    if (status == PSAL_OK)
        status = psal_sampling_choose(&sampling, right.classes, right.count, &chosen, &chosen_count, err);
    if (status == PSAL_OK && chosen_count < sampling.wanted)
        psal_note(&mistakes->session->notes, "--right %zu: only %zu sample%s right", sampling.wanted, chosen_count,
                  chosen_count == 1 ? " is" : "s are");
    if (status == PSAL_OK) status = load_right(mistakes, &right, chosen, chosen_count, err);
    free(chosen);
    group_free(&right);
    return status;
}

/* What the user named; and, with `others`, the mistakes behind it, or those of them that --limit or --first leaves. */
static psal_status keep_subjects(psal_mistakes *mistakes, psal_subject *all, size_t count, bool others,
                                 psal_error *err) {
    group wrong = {0};
    size_t *chosen = NULL, chosen_count = 0;
    psal_status status = PSAL_OK;
    mistakes->subject_count = mistakes->found = mistakes->named;
    snprintf(mistakes->sampled, sizeof mistakes->sampled, "all");
    if (!others) return PSAL_OK;
    status = gather(all, mistakes->named, count, false, &wrong, err);
    if (status == PSAL_OK)
        status = psal_sampling_choose(&mistakes->sampling, wrong.classes, wrong.count, &chosen, &chosen_count, err);
    psal_computation how = {0};
    psal_sampling_record(&mistakes->sampling, wrong.count, &how);
    memcpy(mistakes->sampled, how.value[PSAL_FIELD_SAMPLING], sizeof mistakes->sampled);
    mistakes->found += wrong.count;
    for (size_t i = 0; i < chosen_count && status == PSAL_OK; i++)
        all[mistakes->subject_count++] = all[wrong.index[chosen[i]]];
    free(chosen);
    group_free(&wrong);
    return status;
}

/* Predict all samples; which of them were skipped goes to mistakes->skipped, in their order. */
static psal_status predict_all(psal_mistakes *mistakes, psal_subject *all, size_t count, psal_error *err) {
    predictions data = {all, mistakes->skip_bad ? calloc(count, sizeof *data.reasons) : NULL};
    if (mistakes->skip_bad && !data.reasons)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    const psal_mistakes_steps steps = {.label = "images"};
    psal_status status = psal_mistakes_run(mistakes, &steps, count, false, true, predict, &data, err);
    for (size_t i = 0; i < count && data.reasons; i++) {
        if (!data.reasons[i]) continue;
        psal_error why = {.status = PSAL_ERR_FORMAT};
        snprintf(why.message, sizeof why.message, "%s", data.reasons[i]);
        if (status == PSAL_OK)
            status = psal_skipped_add(&mistakes->skipped, psal_mistakes_name(mistakes, i), &why, err);
        free(data.reasons[i]);
    }
    free(data.reasons);
    if (status == PSAL_OK && count > mistakes->named && mistakes->skipped.count == count - mistakes->named)
        return psal_fail(err, PSAL_ERR_FORMAT, "all %zu images are bad; the first: %s", mistakes->skipped.count,
                         mistakes->skipped.at[0].reason);
    return status;
}

/* Quiet or not: what are taken for mistakes may be none. */
static void note_doubt(psal_mistakes *mistakes, const psal_subject *all, size_t count) {
    psal_tally tally = {0};
    char text[300];
    for (size_t i = 0; i < count; i++)
        if (!all[i].skipped) psal_tally_add(&tally, all[i].label, all[i].predicted);
    if (psal_tally_doubt(&tally, text)) psal_note_warning(&mistakes->session->notes, "%s", text);
}

/* The picture of --image-path may be in the data set beside it: there it is no neighbour of its own, and no other
 * mistake. */
static psal_status leave_out_itself(psal_mistakes *mistakes, psal_subject *all, size_t count, psal_error *err) {
    const size_t size = psal_session_image_size(mistakes->session);
    float *photo = malloc(size * sizeof *photo), *other = malloc(size * sizeof *other);
    psal_status status = photo && other ? psal_mistakes_image(mistakes, 0, photo, err)
                                        : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an image");
    for (size_t i = psal_dataset_count(mistakes->dataset); i < count && status == PSAL_OK; i++) {
        if (all[i].skipped || all[i].predicted != all[0].predicted ||
            fabs(all[i].confidence - all[0].confidence) > 1e-4)
            continue;
        status = psal_mistakes_image(mistakes, i, other, err);
        all[i].itself = status == PSAL_OK && memcmp(photo, other, size * sizeof *photo) == 0;
        if (all[i].itself)
            psal_note(&mistakes->session->notes, "%s of the data set is this picture: left out there",
                      psal_mistakes_name(mistakes, i));
    }
    free(photo);
    free(other);
    return status;
}

psal_status psal_mistakes_find(psal_mistakes *mistakes, const psal_mistakes_needs *needs, size_t right,
                               psal_error *err) {
    size_t count = psal_mistakes_sample_count(mistakes);
    psal_subject *all = calloc(count, sizeof *all);
    if (!all) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) {
        int label = psal_mistakes_label(mistakes, i);
        if (label < mistakes->classes) continue;
        free(all);
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d, but the network has classes 0 to %d",
                         psal_mistakes_name(mistakes, i), label, mistakes->classes - 1);
    }
    psal_status status = predict_all(mistakes, all, count, err);
    if (status == PSAL_OK) note_doubt(mistakes, all, count);
    if (status == PSAL_OK && mistakes->beside && !needs->group) status = leave_out_itself(mistakes, all, count, err);
    if (status == PSAL_OK) status = keep_right(mistakes, all, count, right, err);
    if (status == PSAL_OK)
        status = keep_subjects(mistakes, all, needs->group ? psal_dataset_count(mistakes->dataset) : count,
                               needs->others || !mistakes->named, err);
    mistakes->subjects = all;
    if (status == PSAL_OK && mistakes->subject_count == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there is no mistake among the %zu samples",
                         count - mistakes->skipped.count);
    if (status == PSAL_OK && mistakes->named && all[0].predicted == all[0].label)
        psal_note(&mistakes->session->notes, "%s is not a mistake: it is classified as %s, rightly",
                  psal_mistakes_name(mistakes, 0), psal_labels_name(mistakes->session->labels, all[0].label));
    return status;
}
