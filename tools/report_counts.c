#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "io/json_output.h"
#include "tools/class_output.h"
#include "tools/report.h"

typedef struct class_counts {
    int64_t samples, correct, predicted;
} class_counts;

typedef struct confused {
    int label, predicted;
    int64_t count;
} confused;

static int by_classes(const void *x, const void *y) {
    const confused *p = x, *q = y;
    if (p->label != q->label) return p->label < q->label ? -1 : 1;
    return (p->predicted > q->predicted) - (p->predicted < q->predicted);
}

static int most_frequent_first(const void *x, const void *y) {
    const confused *p = x, *q = y;
    if (p->count != q->count) return p->count < q->count ? 1 : -1;
    return by_classes(x, y);
}

/* Mean, least and most of the predicted class's confidence, of right samples or of mistakes. */
static json_t *confidence_json(const psal_profile_store *store, bool right) {
    double sum = 0, least = INFINITY, most = -INFINITY;
    int64_t count = 0;
    for (int64_t i = 0; i < store->samples; i++) {
        const psal_profile_record *record = &store->records[i];
        if (!record->valid || record->label < 0 || (record->label == record->predicted) != right) continue;
        sum += record->confidence;
        least = fmin(least, record->confidence);
        most = fmax(most, record->confidence);
        count++;
    }
    const bool any = count > 0 && !isnan(sum);
    return json_pack("{s:o, s:o, s:o}", "mean", psal_json_double(any ? sum / (double)count : NAN), "least",
                     psal_json_double(any ? least : NAN), "most", psal_json_double(any ? most : NAN));
}

static psal_status add_classes(psal_report *r, int classes, psal_error *err) {
    const psal_profile_store *store = &r->compared.store;
    class_counts *counts = calloc((size_t)classes, sizeof *counts);
    if (!counts) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d classes", classes);
    json_t *list = json_array();
    const double n = (double)r->counts.samples;
    bool one = false;
    for (int64_t i = 0; i < store->samples; i++) {
        const psal_profile_record *record = &store->records[i];
        if (!record->valid || record->label < 0) continue;
        counts[record->label].samples++;
        counts[record->label].correct += record->label == record->predicted;
        counts[record->predicted].predicted++;
    }
    for (int c = 0; c < classes; c++) {
        r->counts.by_chance += (double)counts[c].samples / n * (double)counts[c].predicted / n;
        one |= (double)counts[c].samples == n;
        if (counts[c].samples > 0)
            json_array_append_new(list, json_pack("{s:o, s:I, s:I}", "label", psal_class_json(r->compared.labels, c),
                                                  "samples", (json_int_t)counts[c].samples, "correct",
                                                  (json_int_t)counts[c].correct));
    }
    if (one) r->counts.by_chance = 1;
    free(counts);
    json_object_set_new(r->root, "by_class", list);
    return PSAL_OK;
}

static psal_status add_confused(psal_report *r, psal_error *err) {
    const psal_profile_store *store = &r->compared.store;
    confused *pairs = malloc((size_t)(r->counts.mistakes + 1) * sizeof *pairs);
    if (!pairs) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", r->counts.mistakes);
    size_t all = 0, count = 0;
    for (int64_t i = 0; i < store->samples; i++) {
        const psal_profile_record *record = &store->records[i];
        if (record->valid && record->label >= 0 && record->label != record->predicted)
            pairs[all++] = (confused){record->label, record->predicted, 1};
    }
    qsort(pairs, all, sizeof *pairs, by_classes);
    for (size_t i = 0; i < all; i++) {
        if (count > 0 && by_classes(&pairs[count - 1], &pairs[i]) == 0)
            pairs[count - 1].count++;
        else
            pairs[count++] = pairs[i];
    }
    qsort(pairs, count, sizeof *pairs, most_frequent_first);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:I}", "label", psal_class_json(r->compared.labels, pairs[i].label),
                                        "predicted", psal_class_json(r->compared.labels, pairs[i].predicted), "count",
                                        (json_int_t)pairs[i].count));
    free(pairs);
    json_object_set_new(r->root, "confused", list);
    return PSAL_OK;
}

/* Samples without a profile are named, with what is wrong with their picture, where it still is. */
static psal_status add_left_out(psal_report *r, psal_error *err) {
    psal_skipped *skipped = &r->compared.skipped;
    psal_status status = PSAL_OK;
    for (int64_t i = 0; i < r->compared.store.samples && status == PSAL_OK; i++) {
        const psal_profile_record *record = &r->compared.store.records[i];
        psal_image image = PSAL_IMAGE_INIT;
        psal_error why = PSAL_ERROR_INIT;
        bool readable = false;
        if (record->valid) continue;
        if (r->compared.skip_bad)
            status = psal_sample_pictures_load(&r->pictures, i, record->path, 0, &image, &readable, err);
        if (status == PSAL_OK && (readable || !r->compared.skip_bad)) {
            psal_fail(&why, PSAL_ERR_FORMAT, "left out when the profiles were made");
            status = psal_skipped_add(skipped, record->path, &why, err);
        }
        psal_image_free(&image);
    }
    return status;
}

psal_status psal_report_count(psal_report *r, psal_error *err) {
    const psal_compared_store *s = &r->compared;
    const psal_model_info *info = s->has_session ? s->session.info : NULL;
    const char *data = psal_compared_store_pictures(s);
    int classes = psal_labels_count(s->labels);
    for (int64_t i = 0; i < s->store.samples; i++) { /* of labels that are no classes of the network */
        if (s->store.records[i].label >= classes) classes = s->store.records[i].label + 1;
        if (s->store.records[i].predicted >= classes) classes = s->store.records[i].predicted + 1;
    }
    json_object_set_new(r->root, "arch", psal_json_string(info ? info->arch : s->computation.value[PSAL_FIELD_ARCH]));
    json_object_set_new(r->root, "fingerprint", psal_json_string(s->computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(r->root, "weights", psal_json_string(s->has_session ? s->session.weights : NULL));
    json_object_set_new(r->root, "filters", json_integer(s->store.length));
    json_object_set_new(r->root, "classes", json_integer(psal_labels_count(s->labels)));
    json_object_set_new(r->root, "data", psal_json_string(data));
    json_object_set_new(r->root, "store", psal_json_string(r->store));
    json_object_set_new(r->root, "samples", json_integer(r->counts.samples));
    json_object_set_new(r->root, "correct", json_integer(r->counts.correct));
    json_object_set_new(r->root, "mistakes", json_integer(r->counts.mistakes));
    json_object_set_new(r->root, "left_out", json_integer(r->counts.skipped));
    json_object_set_new(r->root, "confidence_right", confidence_json(&s->store, true));
    json_object_set_new(r->root, "confidence_wrong", confidence_json(&s->store, false));
    psal_status status = add_left_out(r, err);
    if (status == PSAL_OK) status = add_classes(r, classes, err);
    return status == PSAL_OK ? add_confused(r, err) : status;
}
