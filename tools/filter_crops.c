#include "tools/filter_crops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/progress.h"

/* What the threads of a look share. */
typedef struct search {
    psal_filter_crops *crops;
    psal_progress *progress;
    bool skip_bad;
} search;

static const char *name_of(const psal_dataset *dataset, int64_t index) {
    const char *path = psal_dataset_path(dataset, (size_t)index);
    return path ? path : psal_dataset_name(dataset, (size_t)index);
}

static psal_status load(void *data, int64_t index, float *image, int *label, psal_error *err) {
    const psal_filter_crops *crops = ((search *)data)->crops;
    psal_image photo = PSAL_IMAGE_INIT;
    *label = psal_dataset_label(crops->dataset, (size_t)index);
    psal_status status = psal_dataset_load(crops->dataset, (size_t)index, &photo, err);
    if (status == PSAL_OK) status = psal_session_prepare(crops->session, &photo, NULL, image, err);
    psal_image_free(&photo);
    return status;
}

static void ahead(void *data, int64_t index) {
    psal_dataset_prefetch(((search *)data)->crops->dataset, (size_t)index);
}

static psal_status leave_out(void *data, int64_t index, const psal_error *why, psal_error *err) {
    const search *s = data;
    const char *name = name_of(s->crops->dataset, index);
    psal_error said = *why;
    const bool skip = s->skip_bad && psal_skippable(why);
    psal_skipped_error(&said, name, !s->skip_bad);
    if (skip) return psal_skipped_add(&s->crops->skipped, name, &said, err);
    if (err) *err = said;
    return said.status;
}

static void step(void *data) {
    psal_progress_add(((search *)data)->progress, 1);
}

static psal_status look_over(psal_filter_crops *crops, const char *program, bool skip_bad, bool quiet,
                             psal_error *err) {
    const int64_t samples = (int64_t)psal_dataset_count(crops->dataset);
    const psal_progress_options meter = {.out = stderr,
                                         .mode = quiet ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
                                         .label = "images looked through",
                                         .total = samples,
                                         .program = program,
                                         .at_once = crops->session->threads,
                                         .patient = true};
    search s = {.crops = crops, .progress = psal_progress_start(&meter, NULL), .skip_bad = skip_bad};
    const psal_look_run run = {
        .end = samples, .data = &s, .load = load, .ahead = ahead, .bad = leave_out, .step = step};
    psal_status status = psal_look_over(crops->look, &run, crops->k, crops->hits, err);
    psal_progress_finish(s.progress);
    if (status == PSAL_OK && crops->skipped.count == (size_t)samples)
        return psal_fail(err, PSAL_ERR_FORMAT, "all %zu images to look through are bad; the first: %s",
                         crops->skipped.count, crops->skipped.at[0].reason);
    return status;
}

psal_status psal_filter_crops_find(psal_filter_crops *crops, const psal_session *session, const psal_dataset *dataset,
                                   const int64_t *filters, int64_t count, int k, const float *input,
                                   const char *program, bool skip_bad, bool quiet, psal_error *err) {
    *crops = (psal_filter_crops){.session = session, .dataset = dataset, .count = count, .k = k};
    if (count < 1 || k < 1) return psal_fail(err, PSAL_ERR_ARGUMENT, "no filter to look for");
    const size_t lists = (size_t)(count * PSAL_LOOK_ENDS);
    crops->filters = malloc((size_t)count * sizeof *crops->filters);
    crops->hits = malloc(lists * (size_t)k * sizeof *crops->hits);
    if (input) crops->own = malloc(lists * sizeof *crops->own);
    if (!crops->filters || !crops->hits || (input && !crops->own))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the crops of %lld filters", (long long)count);
    memcpy(crops->filters, filters, (size_t)count * sizeof *filters);
    const psal_look_options options = {.height = session->height,
                                       .width = session->width,
                                       .threads = session->threads,
                                       .memory_limit = session->memory_limit,
                                       .conv = session->conv};
    if (!(crops->look = psal_look_new(session->model, filters, count, &options, err))) return psal_error_status(err);
    psal_status status = input ? psal_look_image(crops->look, input, crops->own, err) : PSAL_OK;
    return status == PSAL_OK ? look_over(crops, program, skip_bad, quiet, err) : status;
}

void psal_filter_crops_free(psal_filter_crops *crops) {
    psal_look_free(crops->look);
    free(crops->filters);
    free(crops->hits);
    free(crops->own);
    psal_skipped_free(&crops->skipped);
    *crops = (psal_filter_crops){0};
}

const psal_look_hit *psal_filter_crops_hits(const psal_filter_crops *crops, int64_t i, psal_look_end end) {
    return crops->hits + (i * PSAL_LOOK_ENDS + (int64_t)end) * crops->k;
}

psal_status psal_filter_crop(const psal_filter_crops *crops, const psal_look_hit *hit, psal_image *crop,
                             psal_error *err) {
    psal_image photo = PSAL_IMAGE_INIT, pixels = PSAL_IMAGE_INIT;
    *crop = (psal_image)PSAL_IMAGE_INIT;
    psal_status status = psal_dataset_load(crops->dataset, (size_t)hit->sample, &photo, err);
    if (status == PSAL_OK) status = psal_preprocess_pixels(&crops->session->preprocess, &photo, &pixels, err);
    if (status == PSAL_OK) status = psal_image_crop(&pixels, hit->top, hit->left, hit->height, hit->width, crop, err);
    psal_image_free(&photo);
    psal_image_free(&pixels);
    return status;
}
