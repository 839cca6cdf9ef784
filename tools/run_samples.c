/* Which images psal-run explains, against which classes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/helper_files.h"
#include "tools/known_label.h"
#include "tools/run.h"
#include "tools/sampling.h"

static psal_status parse_against(psal_run *r, psal_error *err) {
    const char *text = psal_options_string(r->options, "against");
    r->against = PSAL_CLASS_NONE;
    return text ? psal_explain_class(&r->session, "against", text, &r->against, err) : PSAL_OK;
}

/* What nobody says, the data set may. */
static psal_status find_labels(psal_run *r, const char *const *paths, size_t images, int *labels, psal_error *err) {
    psal_status status = psal_known_labels(r->options, r->session.labels, paths, images, labels, &r->session.notes,
                                           err);
    for (size_t i = 0; i < images && status == PSAL_OK; i++)
        if (labels[i] == PSAL_NO_LABEL && psal_options_given(r->options, "data") &&
            !psal_options_has(r->options, "look"))
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "--data %s: %s is none of its samples, so that it says nothing of the image's class: give "
                             "--image-target-label instead",
                             psal_known_data(r->options), paths[i]);
    return status;
}

static psal_status parse_labels(psal_run *r, const char *const *paths, size_t images, int *labels, psal_error *err) {
    static const char OPTION[] = "image-target-label";
    size_t given = psal_options_count(r->options, OPTION), words = 0;
    if (given > 1 && given != images)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%zu --image-target-label for %zu --image-path", given, images);
    if (given == 0) return find_labels(r, paths, images, labels, err);
    for (size_t i = 0; i < images; i++) {
        const char *text = psal_options_string_at(r->options, OPTION, given == 1 ? 0 : i);
        psal_status status = psal_explain_class(&r->session, OPTION, text, &labels[i], err);
        if (status != PSAL_OK) return status;
        if (labels[i] >= 0) continue;
        words += labels[i] == PSAL_CLASS_SECOND;
        labels[i] = PSAL_NO_LABEL;
        if (words) r->stands_in = PSAL_CLASS_SECOND;
    }
    psal_note_other_labels(r->options, r->session.labels, paths, images, labels, &r->session.notes);
    if (words == 0 || words == images) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label second: for all images, or for none");
}

static psal_status open_images(psal_run *r, psal_error *err) {
    size_t count = psal_options_count(r->options, "image-path");
    const char **paths = calloc(count, sizeof *paths);
    int *labels = calloc(count, sizeof *labels);
    for (size_t i = 0; i < count && paths; i++) paths[i] = psal_options_string_at(r->options, "image-path", i);
    psal_status status = paths && labels ? parse_labels(r, paths, count, labels, err)
                                         : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu images", count);
    if (status == PSAL_OK &&
        !(r->samples = psal_dataset_from_images(paths, labels, count, r->skip_bad && count > 1, err)))
        status = psal_skipped_error(err, "", count > 1);
    free(paths);
    free(labels);
    return status;
}

static psal_status open_default(psal_run *r, psal_error *err) {
    char path[4096];
    const char *paths[] = {path};
    int label;
    if (!r->session.default_network)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "which image? Give --image-path, --images or --reference-id");
    psal_status status = psal_box_file(PSAL_DEFAULT_SAMPLE, path, err);
    if (status == PSAL_OK) status = psal_labels_parse(r->session.labels, PSAL_DEFAULT_LABEL, &label, err);
    if (status == PSAL_OK && !(r->samples = psal_dataset_from_images(paths, &label, 1, false, err)))
        status = psal_error_status(err);
    return status;
}

/* The number of the Nth (from 1) misclassified image in the authors' inference results. */
static psal_status nth_incorrect(psal_run *r, int64_t n, int64_t *number, psal_error *err) {
    char path[4096], name[256];
    const char *given = psal_options_string(r->options, "inference-results");
    psal_status status = PSAL_OK;
    snprintf(name, sizeof name, "ImageNet_val_inference_results_%s.pth", r->session.info->arch);
    if (given)
        snprintf(path, sizeof path, "%s", given);
    else
        status = psal_cache_file(name, path, err);
    if (status != PSAL_OK) return psal_fail_prefix(err, "--reference-id incorrect:N needs --inference-results");
    psal_inference_results results;
    if ((status = psal_read_inference_results(path, &results, err)) != PSAL_OK) return status;
    if (n < 1 || (uint64_t)n > results.incorrect_count)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "--reference-id incorrect:%lld: %s lists 1 to %zu", (long long)n,
                           path, results.incorrect_count);
    else
        *number = results.incorrect_id[n - 1];
    psal_inference_results_free(&results);
    return status;
}

static psal_status open_reference(psal_run *r, psal_error *err) {
    const char *text = psal_options_string(r->options, "reference-id"), *digits = text;
    const char *data = psal_options_string(r->options, "data");
    static const char INCORRECT[] = "incorrect:";
    bool incorrect = strncmp(text, INCORRECT, sizeof INCORRECT - 1) == 0;
    if (!data) return psal_fail(err, PSAL_ERR_ARGUMENT, "--reference-id needs --data: the data set it counts in");
    if (incorrect) digits += sizeof INCORRECT - 1;
    char *rest;
    long long number = strtoll(digits, &rest, 10);
    if (rest == digits || *rest || number < 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--reference-id '%s': expected a number, or incorrect:N", text);
    int64_t index = number;
    if (incorrect) {
        psal_status status = nth_incorrect(r, number, &index, err);
        if (status != PSAL_OK) return status;
    }
    if (!(r->samples = psal_dataset_open(data, r->session.labels, false, &r->session.notes, err)))
        return psal_error_status(err);
    if ((uint64_t)index >= psal_dataset_count(r->samples))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--reference-id %lld: %s has images 0 to %zu", (long long)index, data,
                         psal_dataset_count(r->samples) - 1);
    r->first = (size_t)index;
    r->end = (size_t)index + 1;
    return PSAL_OK;
}

psal_status psal_run_check_samples(const psal_run *r, psal_error *err) {
    bool images = psal_options_count(r->options, "image-path") > 0, list = psal_options_has(r->options, "images");
    bool reference = psal_options_has(r->options, "reference-id");
    if (images + list + reference > 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --image-path, --images and --reference-id");
    if (!list && psal_options_flag(r->options, "mistakes"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--mistakes needs --images");
    if (!images && psal_options_count(r->options, "image-target-label") > 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label needs --image-path");
    const bool unlabelled = images && psal_options_count(r->options, "image-target-label") == 0;
    if (psal_options_given(r->options, "data") && !reference && !unlabelled && !psal_options_has(r->options, "look"))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--data does nothing here: it is for --reference-id, --look, and the class of an --image-path "
                         "that nobody says; many images to explain are --images");
    return PSAL_OK;
}

static psal_status open_listed(psal_run *r, psal_error *err) {
    bool images = psal_options_count(r->options, "image-path") > 0, list = psal_options_has(r->options, "images");
    if (psal_options_has(r->options, "reference-id")) return open_reference(r, err);
    psal_status status = PSAL_OK;
    if (images)
        status = open_images(r, err);
    else if (list)
        r->samples = psal_open_list(psal_options_string(r->options, "images"), r->session.labels, r->skip_bad,
                                    &r->session.notes, err);
    else
        status = open_default(r, err);
    if (!r->samples) return status != PSAL_OK ? status : psal_error_status(err);
    r->end = psal_dataset_count(r->samples);
    r->many = list || r->end > 1;
    if (psal_options_flag(r->options, "mistakes") && !psal_dataset_all_labelled(r->samples))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--mistakes: not all images of %s have a label",
                         psal_options_string(r->options, "images"));
    return status;
}

static psal_status open_look(psal_run *r, psal_error *err) {
    if (!psal_options_has(r->options, "look")) return PSAL_OK;
    r->look_data = psal_open_list(psal_options_string(r->options, "data"), r->session.labels, r->skip_bad,
                                  &r->session.notes, err);
    if (!r->look_data) return psal_error_status(err);
    const psal_sampling sampling = {
        .wanted = psal_options_has(r->options, "look-images") ? (size_t)psal_options_int(r->options, "look-images") : 0,
        .drawn = true,
        .seed = (uint64_t)psal_options_int(r->options, "seed")};
    return psal_sampling_keep(&sampling, r->look_data, err);
}

psal_status psal_run_open_samples(psal_run *r, psal_error *err) {
    r->stands_in = PSAL_CLASS_PREDICTED;
    psal_status status = parse_against(r, err);
    if (status == PSAL_OK) status = open_listed(r, err);
    return status == PSAL_OK ? open_look(r, err) : status;
}
