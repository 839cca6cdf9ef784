#include "tools/kinds_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/class_output.h"
#include "tools/print.h"

enum { PAIRS_SHOWN = 4, CENTRAL_SHOWN = 8 };

/* ---- what there is to say of a kind ---- */

/* Mistakes of the same true and the same predicted class. */
typedef struct pair {
    int label, predicted;
    int64_t here, all; /* in the kind; among all that were clustered */
} pair;

typedef struct spread {
    double mean, least, most;
} spread;

static const psal_profile_record *record_of(const psal_kinds_report *report, int64_t mistake) {
    return &report->compared->store.records[report->compared->candidates[mistake]];
}

static int by_classes(const void *x, const void *y) {
    const pair *p = x, *q = y;
    if (p->label != q->label) return p->label < q->label ? -1 : 1;
    return (p->predicted > q->predicted) - (p->predicted < q->predicted);
}

static int most_frequent_first(const void *x, const void *y) {
    const pair *p = x, *q = y;
    if (p->here != q->here) return p->here < q->here ? 1 : -1;
    return by_classes(x, y);
}

/* The confused pairs of kind k, the most frequent first: *count of them. The caller frees them. */
static pair *count_pairs(const psal_kinds_report *report, int k, size_t *count, psal_error *err) {
    const psal_kinds *kinds = report->kinds;
    pair *pairs = malloc((size_t)kinds->count * sizeof *pairs);
    if (!pairs) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", kinds->count);
        return NULL;
    }
    for (int64_t i = 0; i < kinds->count; i++) {
        const psal_profile_record *record = record_of(report, i);
        pairs[i] = (pair){record->label, record->predicted, kinds->kind[i] == k, 1};
    }
    qsort(pairs, (size_t)kinds->count, sizeof *pairs, by_classes);
    size_t n = 0;
    for (int64_t i = 0; i < kinds->count; i++) {
        if (n > 0 && by_classes(&pairs[n - 1], &pairs[i]) == 0) {
            pairs[n - 1].here += pairs[i].here;
            pairs[n - 1].all++;
        } else {
            pairs[n++] = pairs[i];
        }
    }
    qsort(pairs, n, sizeof *pairs, most_frequent_first);
    while (n > 0 && pairs[n - 1].here == 0) n--;
    *count = n;
    return pairs;
}

static int64_t size_of(const psal_kinds *kinds, int k) {
    return kinds->first[k + 1] - kinds->first[k];
}

/* How many times as frequent the pair is in the kind as among all mistakes. */
static double enrichment(const psal_kinds *kinds, int k, const pair *p) {
    return ((double)p->here / (double)size_of(kinds, k)) / ((double)p->all / (double)kinds->count);
}

/* Of the predicted class's confidence in kind k; NAN where the store's table does not say. */
static spread confidence_of(const psal_kinds_report *report, int k) {
    const psal_kinds *kinds = report->kinds;
    spread s = {0, INFINITY, -INFINITY};
    for (int64_t m = kinds->first[k]; m < kinds->first[k + 1]; m++) {
        const double confidence = record_of(report, kinds->members[m])->confidence;
        s.mean += confidence / (double)size_of(kinds, k);
        s.least = fmin(s.least, confidence);
        s.most = fmax(s.most, confidence);
    }
    return isnan(s.mean) ? (spread){NAN, NAN, NAN} : s;
}

/* Mean similarity of the mistakes of kind k to each other. */
static double cohesion_of(const psal_kinds *kinds, int k) {
    double mean = 0;
    for (int64_t m = kinds->first[k]; m < kinds->first[k + 1]; m++)
        mean += kinds->central[kinds->members[m]] / (double)size_of(kinds, k);
    return mean;
}

const char *psal_kinds_entry_name(const psal_kinds_report *report, int64_t entry, char text[512]) {
    int64_t within = 0;
    const int parameter = report->model ? psal_model_unit_parameter(report->model, report->units, entry, &within) : -1;
    if (parameter < 0)
        snprintf(text, 512, "entry %" PRId64, entry);
    else
        snprintf(text, 512, "%.460s %s %" PRId64, psal_model_get_parameter(report->model, parameter)->name,
                 report->units == PSAL_UNITS_ROWS ? "row" : "filter", within);
    return text;
}

static int64_t single_count(const psal_kinds *kinds) {
    return kinds->count - kinds->first[kinds->kinds];
}

/* ---- table ---- */

static psal_status print_kind(const psal_kinds_report *report, int k, psal_error *err) {
    const psal_kinds *kinds = report->kinds;
    const psal_labels *labels = report->compared->labels;
    const psal_kind_guilt *guilt = &report->guilt[k];
    const spread confidence = confidence_of(report, k);
    const int64_t size = size_of(kinds, k);
    size_t count;
    pair *pairs = count_pairs(report, k, &count, err);
    if (!pairs) return psal_error_status(err);
    printf("kind %d: %" PRId64 " mistakes (%.1f %%), similarity %.2f", k + 1, size,
           100 * (double)size / (double)kinds->count, cohesion_of(kinds, k));
    if (!isnan(confidence.mean))
        printf(", confidence %.2f (%.2f to %.2f)", confidence.mean, confidence.least, confidence.most);
    printf("\n  confused (times as frequent as among all mistakes):\n");
    for (size_t i = 0; i < count && i < PAIRS_SHOWN; i++)
        psal_print(stdout, "  %6" PRId64 "  (%4.1f)  %.36s taken for %.36s\n", pairs[i].here,
                   enrichment(kinds, k, &pairs[i]), psal_labels_name(labels, pairs[i].label),
                   psal_labels_name(labels, pairs[i].predicted));
    if (count > PAIRS_SHOWN)
        psal_print(stdout, "          ... %zu other pair%s\n", count - PAIRS_SHOWN,
                   psal_plural((long long)(count - PAIRS_SHOWN)));
    printf("  most central samples:");
    for (int64_t m = kinds->first[k]; m < kinds->first[k + 1] && m < kinds->first[k] + CENTRAL_SHOWN; m++)
        printf(" %" PRId64, report->compared->candidates[kinds->members[m]]);
    printf("\n");
    free(pairs);
    const psal_kind_filter *filters = report->filters + (size_t)k * (size_t)report->top;
    if (report->top == 0 || filters[0].entry < 0) {
        printf("  guilty: cannot be told: there are no two other mistakes, or no entry varies\n\n");
        return PSAL_OK;
    }
    printf("  guilty: %" PRId64 " of %" PRId64 " entries (p < %g)", guilt->count, report->compared->entries,
           PSAL_KIND_FILTERS_LEVEL);
    if (guilt->count)
        printf(", their median at %.0f %% of the depth",
               100 * (double)guilt->median / (double)report->compared->store.length);
    psal_print(stdout, "\n");
    psal_print(stdout, "  %-48s %8s %8s %7s %7s %9s\n", "", "in kind", "others", "effect", "t", "p");
    for (int f = 0; f < report->top && filters[f].entry >= 0; f++) {
        char name[512];
        psal_print(stdout, "  %-48.48s %8.2f %8.2f %7.2f %7.1f %9.2g\n",
                   psal_kinds_entry_name(report, filters[f].entry, name), filters[f].inside, filters[f].outside,
                   filters[f].d, filters[f].t, filters[f].p);
    }
    printf("\n");
    return PSAL_OK;
}

psal_status psal_kinds_print(const psal_kinds_report *report, psal_error *err) {
    const psal_kinds *kinds = report->kinds;
    psal_status status = PSAL_OK;
    for (int k = 0; k < kinds->kinds && status == PSAL_OK; k++) status = print_kind(report, k, err);
    if (status != PSAL_OK) return status;
    const int64_t single = single_count(kinds);
    if (kinds->kinds == 0) {
        psal_print(stdout, "No kinds: %" PRId64 " mistake%s, of which no %d are alike and unlike the others.\n",
                   kinds->count, kinds->count == 1 ? "" : "s", PSAL_KIND_SMALLEST);
        return PSAL_OK;
    }
    psal_print(stdout, "%d kind%s of %" PRId64 " mistakes", kinds->kinds, kinds->kinds == 1 ? "" : "s", kinds->count);
    psal_print(stdout, "; %" PRId64 " %s left single: nearer to another kind, or in one of fewer than %d.\n", single,
               single == 1 ? "is" : "are", PSAL_KIND_SMALLEST);
    if (report->clustered < kinds->count)
        printf("The kinds are those of %" PRId64 " mistakes that were drawn (--seed %" PRId64
               "), which others joined.\n",
               report->clustered, report->seed);
    psal_print(stdout, "%s similarity of %" PRId64 " entries",
               psal_similarity_name(report->compared->search.similarity), report->compared->entries);
    if (!isnan(kinds->silhouette))
        printf("; mean silhouette %.2f (1: far apart, 0: they run into each other)", kinds->silhouette);
    printf("\n");
    return PSAL_OK;
}

/* ---- CSV ---- */

psal_status psal_kinds_write_csv(const psal_kinds_report *report, const char *path, psal_error *err) {
    const psal_kinds *kinds = report->kinds;
    const psal_labels *labels = report->compared->labels;
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    static const char *const header[] = {"sample",     "path",           "label",        "label_name",
                                         "predicted",  "predicted_name", "confidence",   "kind",
                                         "silhouette", "central",        "psal_settings"};
    psal_csv_record(csv, sizeof header / sizeof *header, header);
    for (int64_t i = 0; i < kinds->count; i++) {
        const psal_profile_record *record = record_of(report, i);
        psal_csv_int(csv, report->compared->candidates[i]);
        psal_csv_text(csv, record->path);
        psal_csv_class(csv, labels, record->label);
        psal_csv_class(csv, labels, record->predicted);
        psal_csv_double(csv, record->confidence);
        if (kinds->kind[i] < 0)
            psal_csv_text(csv, NULL);
        else
            psal_csv_int(csv, kinds->kind[i] + 1);
        psal_csv_double(csv, kinds->own[i]);
        psal_csv_double(csv, kinds->central[i]);
        psal_csv_text(csv, i == 0 ? report->compared->store.settings : NULL);
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}

/* ---- JSON ---- */

static json_t *pairs_json(const psal_kinds_report *report, int k, psal_error *err) {
    const psal_labels *labels = report->compared->labels;
    size_t count;
    pair *pairs = count_pairs(report, k, &count, err);
    json_t *list = pairs ? json_array() : NULL;
    for (size_t i = 0; i < count && list; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:I, s:o}", "label", psal_class_json(labels, pairs[i].label),
                                              "predicted", psal_class_json(labels, pairs[i].predicted), "count",
                                              (json_int_t)pairs[i].here, "enrichment",
                                              psal_json_double(enrichment(report->kinds, k, &pairs[i]))));
    free(pairs);
    return list;
}

static json_t *filters_json(const psal_kinds_report *report, int k) {
    json_t *list = json_array();
    for (int f = 0; f < report->top; f++) {
        const psal_kind_filter *filter = &report->filters[(size_t)k * (size_t)report->top + (size_t)f];
        char name[512];
        if (filter->entry < 0) break;
        json_array_append_new(list,
                              json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "entry", (json_int_t)filter->entry,
                                        "name", psal_json_string(psal_kinds_entry_name(report, filter->entry, name)),
                                        "inside", psal_json_double(filter->inside), "outside",
                                        psal_json_double(filter->outside), "t", psal_json_double(filter->t), "p",
                                        psal_json_double(filter->p), "effect", psal_json_double(filter->d)));
    }
    return list;
}

static json_t *kind_json(const psal_kinds_report *report, int k, psal_error *err) {
    const psal_kinds *kinds = report->kinds;
    const spread confidence = confidence_of(report, k);
    const psal_kind_guilt *guilt = &report->guilt[k];
    json_t *central = json_array();
    for (int64_t m = kinds->first[k]; m < kinds->first[k + 1]; m++)
        json_array_append_new(central, json_integer(report->compared->candidates[kinds->members[m]]));
    json_t *depth = guilt->count ? json_real((double)guilt->median / (double)report->compared->store.length)
                                 : json_null();
    return json_pack("{s:i, s:I, s:o, s:{s:o, s:o, s:o}, s:o, s:o, s:I, s:o, s:o}", "kind", k + 1, "size",
                     (json_int_t)size_of(kinds, k), "similarity", psal_json_double(cohesion_of(kinds, k)), "confidence",
                     "mean", psal_json_double(confidence.mean), "least", psal_json_double(confidence.least), "most",
                     psal_json_double(confidence.most), "samples", central, "pairs", pairs_json(report, k, err),
                     "guilty_count", (json_int_t)guilt->count, "guilty_depth", depth, "guilty",
                     filters_json(report, k));
}

static json_t *mistake_json(const psal_kinds_report *report, int64_t i) {
    const psal_kinds *kinds = report->kinds;
    const psal_profile_record *record = record_of(report, i);
    const psal_labels *labels = report->compared->labels;
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "sample", (json_int_t)report->compared->candidates[i],
                     "path", psal_json_string(record->path), "label", psal_class_json(labels, record->label),
                     "predicted", psal_class_json(labels, record->predicted), "confidence",
                     psal_json_double(record->confidence), "kind",
                     kinds->kind[i] < 0 ? json_null() : json_integer(kinds->kind[i] + 1), "silhouette",
                     psal_json_double(kinds->own[i]), "central", psal_json_double(kinds->central[i]));
}

json_t *psal_kinds_json(const psal_kinds_report *report, psal_error *err) {
    const psal_kinds *kinds = report->kinds;
    json_t *list = json_array(), *mistakes = json_array();
    bool good = list && mistakes;
    for (int k = 0; k < kinds->kinds && good; k++) good = json_array_append_new(list, kind_json(report, k, err)) == 0;
    for (int64_t i = 0; i < kinds->count && good; i++)
        good = json_array_append_new(mistakes, mistake_json(report, i)) == 0;
    json_t *root = json_pack("{s:s, s:I, s:I, s:i, s:o, s:I, s:o, s:o}", "schema", "psal-neighbors-kinds/1",
                             "clustered", (json_int_t)report->clustered, "seed", (json_int_t)report->seed, "clusters",
                             kinds->clusters, "silhouette", psal_json_double(kinds->silhouette), "single",
                             (json_int_t)single_count(kinds), "kinds", list, "mistakes", mistakes);
    return psal_compared_store_json(report->compared, root, good, err);
}

psal_status psal_kinds_print_json(const psal_kinds_report *report, psal_error *err) {
    json_t *root = psal_kinds_json(report, err);
    psal_status status = root ? psal_json_write(root, stdout, err) : psal_error_status(err);
    json_decref(root);
    return status;
}
