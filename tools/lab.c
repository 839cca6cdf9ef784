#include "tools/lab.h"

#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"

static psal_status open_dataset(psal_lab *lab, const psal_options *options, psal_error *err) {
    const char *image = psal_options_string(options, "image-path"), *data = psal_options_string(options, "data");
    const char *target = psal_options_string(options, "image-target-label");
    const psal_labels *labels = lab->session->labels;
    char path[4096];
    int label = PSAL_NO_LABEL;
    if (image && data) return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --image-path and --data");
    if (data) {
        if (target) return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label needs --image-path");
        lab->dataset = psal_dataset_open(data, labels, err);
        if (!lab->dataset) return err->status;
        if (psal_dataset_all_labelled(lab->dataset)) return PSAL_OK;
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--data %s: mistakes can be told only where all samples have labels",
                         data);
    }
    if (!image) {
        if (!lab->session->in_the_box)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "which mistakes? Give --image-path or --data");
        psal_status status = psal_box_file("fashion_samples/bag_called_sandal.png", path, err);
        if (status != PSAL_OK) return status;
        image = path;
        if (!target) target = "Bag";
    }
    if (!target) return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-path needs its true class: --image-target-label");
    if (psal_labels_parse(labels, target, &label, err) != PSAL_OK) return psal_fail_prefix(err, "--image-target-label");
    lab->dataset = psal_dataset_from_images(&image, &label, 1, err);
    return lab->dataset ? PSAL_OK : err->status;
}

psal_status psal_lab_image(const psal_lab *lab, size_t index, float *image, psal_error *err) {
    psal_image photo = PSAL_IMAGE_INIT;
    psal_status status = psal_dataset_load(lab->dataset, index, &photo, err);
    if (status == PSAL_OK) status = psal_session_prepare(lab->session, &photo, NULL, image, err);
    psal_image_free(&photo);
    return status;
}

static size_t image_size(const psal_lab *lab) {
    return 3 * (size_t)lab->session->height * (size_t)lab->session->width;
}

/* ---- running several at once ---- */

typedef psal_status (*work_function)(void *data, psal_bench *bench, size_t i, psal_error *err);

/* Call work for i in [0, count); `name_of` (index in the data set) is for the message. */
static psal_status run_all(const psal_lab *lab, const char *label, size_t count, bool subjects, bool forward_only,
                           work_function work, void *data, psal_error *err) {
    psal_status result = PSAL_OK;
    psal_progress_options meter = {.out = stderr,
                                   .mode = lab->session->quiet || count < 2 ? PSAL_PROGRESS_QUIET : PSAL_PROGRESS_AUTO,
                                   .label = label,
                                   .total = (int64_t)count};
    psal_progress *progress = psal_progress_start(&meter, NULL);
    int workers = count < (size_t)lab->workers ? (int)count : lab->workers;
#pragma omp parallel num_threads(workers > 0 ? workers : 1)
    {
        psal_bench bench = {0};
        psal_error own = PSAL_ERROR_INIT;
        psal_status status;
        if (forward_only) { /* before there are statistics */
            bench.lab = lab;
            bench.image = malloc(image_size(lab) * sizeof *bench.image);
            bench.classifier = psal_classifier_worker_new(lab->classifier, &own);
            status = !bench.image ? psal_fail(&own, PSAL_ERR_MEMORY, "out of memory for an image") : own.status;
        } else {
            status = psal_bench_open(&bench, lab, &own);
        }
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            psal_status others;
#pragma omp atomic read
            others = result;
            if (status != PSAL_OK || others != PSAL_OK) continue;
            status = work(data, &bench, i, &own);
            if (status != PSAL_OK)
                psal_fail_prefix(&own, "%s", psal_dataset_name(lab->dataset, subjects ? lab->subjects[i].index : i));
            psal_progress_add(progress, 1);
        }
        if (status != PSAL_OK) {
#pragma omp critical(psal_lab_error)
            if (result == PSAL_OK) {
                if (err) *err = own;
#pragma omp atomic write
                result = status;
            }
        }
        psal_bench_close(&bench);
    }
    psal_progress_finish(progress);
    return result;
}

psal_status psal_lab_each(const psal_lab *lab, const char *label, work_function work, void *data, psal_error *err) {
    return run_all(lab, label, lab->subject_count, true, false, work, data, err);
}

/* ---- mistakes ---- */

static psal_status predict(void *data, psal_bench *bench, size_t i, psal_error *err) {
    psal_subject *all = data;
    const psal_lab *lab = bench->lab;
    psal_status status = psal_lab_image(lab, i, bench->image, err);
    const float *logits;
    if (status == PSAL_OK) status = psal_classifier_run(bench->classifier, bench->image, NULL, &logits, err);
    if (status != PSAL_OK) return status;
    double *confidences = malloc((size_t)lab->classes * sizeof *confidences);
    if (!confidences) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d classes", lab->classes);
    psal_confidences(logits, lab->classes, confidences);
    int predicted = psal_predicted_class(logits, lab->classes, -1);
    all[i] = (psal_subject){i, psal_dataset_label(lab->dataset, i), predicted, confidences[predicted]};
    free(confidences);
    return PSAL_OK;
}

static psal_status keep_right(psal_lab *lab, const psal_subject *all, size_t count, size_t wanted, psal_error *err) {
    if (wanted > count) wanted = count;
    lab->right = calloc(wanted + 1, sizeof *lab->right);
    lab->right_labels = calloc(wanted + 1, sizeof *lab->right_labels);
    lab->right_index = calloc(wanted + 1, sizeof *lab->right_index);
    if (!lab->right || !lab->right_labels || !lab->right_index)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", wanted);
    for (size_t i = 0; i < count && (size_t)lab->right_count < wanted; i++) {
        if (all[i].predicted != all[i].label) continue;
        float *image = malloc(image_size(lab) * sizeof *image);
        if (!image) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples that are right", wanted);
        lab->right_labels[lab->right_count] = all[i].label;
        lab->right_index[lab->right_count] = i;
        lab->right[lab->right_count++] = image;
        psal_status status = psal_lab_image(lab, i, image, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static psal_status find_subjects(psal_lab *lab, const psal_options *options, psal_error *err) {
    size_t count = psal_dataset_count(lab->dataset);
    bool named = !psal_options_has(options, "data");
    size_t limit = psal_options_has(options, "limit") ? (size_t)psal_options_int(options, "limit") : count;
    psal_subject *all = calloc(count, sizeof *all);
    if (!all) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) {
        int label = psal_dataset_label(lab->dataset, i);
        if (label < lab->classes) continue;
        free(all);
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d, but the network has classes 0 to %d",
                         psal_dataset_name(lab->dataset, i), label, lab->classes - 1);
    }
    psal_status status = run_all(lab, "images", count, false, true, predict, all, err);
    if (status == PSAL_OK) status = keep_right(lab, all, count, (size_t)psal_options_int(options, "right"), err);
    for (size_t i = 0; i < count && status == PSAL_OK; i++)
        if ((named || all[i].predicted != all[i].label) && lab->subject_count < limit)
            all[lab->subject_count++] = all[i];
    lab->subjects = all;
    if (status == PSAL_OK && lab->subject_count == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there is no mistake among the %zu samples", count);
    if (status == PSAL_OK && named && all[0].predicted == all[0].label)
        psal_note(&lab->session->notes, "%s is not a mistake: it is classified as %s, rightly",
                  psal_dataset_name(lab->dataset, 0), psal_labels_name(lab->session->labels, all[0].label));
    return status;
}

psal_status psal_lab_open(psal_lab *lab, psal_session *session, const psal_options *options, bool in_parts,
                          psal_error *err) {
    memset(lab, 0, sizeof *lab);
    lab->session = session;
    lab->classes = session->info->num_classes;
    lab->filters = session->info->filter_count;
    psal_status status = open_dataset(lab, options, err);
    if (status != PSAL_OK) return status;
    bool many = psal_dataset_count(lab->dataset) > 1;
    lab->workers = many ? session->threads : 1;
    psal_classifier_options forward = {.height = session->height,
                                       .width = session->width,
                                       .threads = many ? 1 : session->threads,
                                       .memory_limit = session->memory_limit,
                                       .method = session->method,
                                       .in_parts = in_parts};
    psal_saliency_options profile = {.height = session->height,
                                     .width = session->width,
                                     .threads = forward.threads,
                                     .memory_limit = session->memory_limit,
                                     .method = session->method};
    if (!(lab->saliency = psal_saliency_new(session->model, &profile, err))) return err->status;
    lab->statistics = psal_session_statistics(session, options, &profile, lab->filters, false, NULL, err);
    if (!lab->statistics) return err->status;
    if (!(lab->classifier = psal_classifier_new(session->model, &forward, err))) return err->status;
    return find_subjects(lab, options, err);
}

void psal_lab_close(psal_lab *lab) {
    for (int i = 0; i < lab->right_count; i++) free(lab->right[i]);
    free(lab->right);
    free(lab->right_labels);
    free(lab->right_index);
    free(lab->subjects);
    psal_statistics_free(lab->statistics);
    psal_variants_free(lab->variants);
    psal_classifier_free(lab->classifier);
    psal_saliency_free(lab->saliency);
    psal_dataset_free(lab->dataset);
    memset(lab, 0, sizeof *lab);
}

/* ---- one thread's things ---- */

psal_status psal_bench_open(psal_bench *bench, const psal_lab *lab, psal_error *err) {
    memset(bench, 0, sizeof *bench);
    bench->lab = lab;
    bench->image = malloc(image_size(lab) * sizeof *bench->image);
    bench->naive = malloc((size_t)lab->filters * sizeof *bench->naive);
    bench->standardized = malloc((size_t)lab->filters * sizeof *bench->standardized);
    if (!bench->image || !bench->naive || !bench->standardized)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a profile of %lld filters", (long long)lab->filters);
    if (!(bench->saliency = psal_saliency_worker_new(lab->saliency, err))) return err->status;
    if (!(bench->classifier = psal_classifier_worker_new(lab->classifier, err))) return err->status;
    if (lab->variants && !(bench->variants = psal_variants_worker_new(lab->variants, bench->classifier, err)))
        return err->status;
    bench->edit = psal_edit_new(lab->session->model, err);
    return bench->edit ? PSAL_OK : err->status;
}

void psal_bench_close(psal_bench *bench) {
    psal_saliency_worker_free(bench->saliency);
    psal_variants_worker_free(bench->variants);
    psal_classifier_worker_free(bench->classifier);
    psal_edit_free(bench->edit);
    free(bench->image);
    free(bench->naive);
    free(bench->standardized);
    memset(bench, 0, sizeof *bench);
}

psal_status psal_bench_load(psal_bench *bench, const psal_subject *subject, psal_error *err) {
    const psal_statistics *s = bench->lab->statistics;
    psal_status status = psal_lab_image(bench->lab, subject->index, bench->image, err);
    if (status == PSAL_OK)
        status = psal_saliency_profile(bench->saliency, bench->image, subject->label, 0, bench->naive, err);
    if (status != PSAL_OK) return status;
    return psal_standardize(PSAL_MODE_STD, bench->lab->filters, bench->naive, s->mean, s->std, bench->standardized,
                            err);
}

/* ---- options ---- */

psal_status psal_parse_choices(const char *text, psal_choice *choices, int *count, psal_error *err) {
    *count = 0;
    while (*text) {
        size_t length = strcspn(text, ",");
        int found = -1;
        for (int c = 0; c < PSAL_CHOICE_COUNT; c++) {
            const char *name = psal_choice_name((psal_choice)c);
            if (strlen(name) == length && strncmp(name, text, length) == 0) found = c;
        }
        if (found < 0)
            return psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "'%.*s' is no way to choose filters: salient, random, random-same-layers, least, naive or all",
                (int)(length > 100 ? 100 : length), text);
        for (int i = 0; i < *count; i++)
            if ((int)choices[i] == found)
                return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is named twice", psal_choice_name((psal_choice)found));
        choices[(*count)++] = (psal_choice)found;
        text += length + (text[length] == ',');
    }
    return *count ? PSAL_OK : psal_fail(err, PSAL_ERR_ARGUMENT, "expected a list of ways to choose filters");
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t *psal_lab_ks(const psal_lab *lab, const psal_options *options, const psal_choice *choices, int choice_count,
                     int *count, psal_error *err) {
    size_t given;
    const int64_t *list = psal_options_ints(options, "k", &given);
    int64_t most = psal_choosable(lab->session->model), *k = malloc((given + 1) * sizeof *k);
    *count = 0;
    if (!k) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of %zu numbers", given);
        return NULL;
    }
    memcpy(k, list, given * sizeof *k);
    if (choice_count == 1 && choices[0] == PSAL_CHOICE_ALL && !psal_options_given(options, "k")) {
        k[0] = most;
        given = 1;
    }
    qsort(k, given, sizeof *k, ascending);
    for (size_t i = 0; i < given; i++) {
        if (k[i] > most && psal_options_given(options, "k")) {
            psal_fail(err, PSAL_ERR_ARGUMENT, "--k %lld: %s has %lld filters", (long long)k[i],
                      lab->session->info->arch, (long long)most);
            free(k);
            return NULL;
        }
        if (k[i] <= most && (*count == 0 || k[i] != k[*count - 1])) k[(*count)++] = k[i];
    }
    return k;
}

psal_status psal_lab_check_outputs(const psal_options *options, const char *const *names, psal_error *err) {
    for (; *names; names++) {
        const char *path = psal_options_string(options, *names);
        psal_atomic_file *file = path ? psal_atomic_file_open(path, err) : NULL;
        if (path && !file) return psal_fail_prefix(err, "--%s", *names);
        psal_atomic_file_abort(file);
    }
    return PSAL_OK;
}
