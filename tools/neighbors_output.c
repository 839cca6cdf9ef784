#include "tools/neighbors_output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "io/dataset.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "io/resize.h"
#include "tools/print.h"

/* Record of query `q`; *sample (may be NULL) its number, -1 for an image. */
static const psal_profile_record *query_of(const psal_neighbor_report *report, int64_t q, int64_t *sample) {
    if (sample) *sample = report->queries ? report->queries[q] : -1;
    return report->queries ? &report->store->records[report->queries[q]] : &report->image;
}

static const psal_profile_record *record_of(const psal_neighbor_report *report, const psal_neighbor *neighbor) {
    return &report->store->records[neighbor->sample];
}

/* The neighbours of query q, until the first that is not there. */
#define FOR_NEIGHBORS(report, q, n)                                                                        \
    for (const psal_neighbor *n = (report)->neighbors + (q) * (report)->top, *n##_end = n + (report)->top; \
         n < n##_end && n->sample >= 0; n++)

psal_status psal_neighbor_summarize(const psal_neighbor_report *report, psal_hub_summary *summary, psal_error *err) {
    *summary = (psal_hub_summary){.hub = -1};
    int64_t *counts = malloc((size_t)report->store->samples * sizeof *counts);
    if (!counts)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " samples", report->store->samples);
    summary->hub = psal_neighbors_hubs(report->neighbors, report->query_count * report->top, report->store->samples,
                                       counts);
    summary->hub_queries = summary->hub < 0 ? 0 : counts[summary->hub];
    free(counts);
    for (int64_t q = 0; q < report->query_count; q++) {
        const psal_profile_record *query = query_of(report, q, NULL);
        bool same_class = false, same_mistake = false;
        FOR_NEIGHBORS(report, q, n) {
            const psal_profile_record *other = record_of(report, n);
            if (query->predicted >= 0 && other->label == query->predicted) same_class = true;
            if (query->label >= 0 && other->label == query->label && other->predicted == query->predicted)
                same_mistake = true;
        }
        summary->same_class_queries += same_class;
        summary->same_mistake_queries += same_mistake;
    }
    return PSAL_OK;
}

/* ---- table ---- */

/* What the neighbours of the only query say. */
static void print_finding(const psal_neighbor_report *report) {
    const psal_profile_record *query = query_of(report, 0, NULL);
    const bool mistake = query->label >= 0 && query->label != query->predicted;
    int64_t count = 0, same_class = 0, same_mistake = 0;
    FOR_NEIGHBORS(report, 0, n) {
        const psal_profile_record *other = record_of(report, n);
        count++;
        same_class += other->label >= 0 && other->label == query->predicted;
        same_mistake += other->label == query->label && other->predicted == query->predicted;
    }
    if (count == 0) return;
    psal_print(stdout, "%" PRId64 " of the %" PRId64 " nearest of %" PRId64 " samples are truly %s", same_class, count,
               report->candidates, psal_labels_name(report->labels, query->predicted));
    if (mistake) psal_print(stdout, ", as which it is predicted; %" PRId64 " are the same mistake", same_mistake);
    printf(".\n");
}

void psal_neighbor_print(const psal_neighbor_report *report, const psal_hub_summary *summary) {
    for (int64_t q = 0; q < report->query_count; q++) {
        int64_t sample;
        const psal_profile_record *query = query_of(report, q, &sample);
        if (sample >= 0) printf("sample %" PRId64 "  ", sample);
        psal_print(stdout, "%s", query->path);
        psal_print(stdout, ": %s, predicted %s\n", psal_labels_name(report->labels, query->label),
                   psal_labels_name(report->labels, query->predicted));
        psal_print(stdout, "  rank  similarity   sample  %-20s %-20s file\n", "true", "predicted");
        int64_t rank = 0;
        FOR_NEIGHBORS(report, q, n) {
            const psal_profile_record *other = record_of(report, n);
            psal_print(stdout, "  %4" PRId64 "  %10.6f  %7" PRId64 "  %-20.20s %-20.20s ", ++rank, n->similarity,
                       n->sample, psal_labels_name(report->labels, other->label),
                       psal_labels_name(report->labels, other->predicted));
            const size_t length = strlen(other->path), most = 28; /* so that the line has 100 columns */
            psal_print(stdout, "%s%s\n", length > most ? "..." : "",
                       length > most ? other->path + length - most + 3 : other->path);
        }
        if (rank == 0) printf("  no other sample to compare with\n");
        putchar('\n');
    }
    if (report->query_count < 2) {
        print_finding(report);
        return;
    }
    double count = (double)report->query_count;
    psal_print(stdout,
               "%" PRId64 " queries among %" PRId64 " samples, %s similarity of %" PRId64 " entries, top %" PRId64 "\n",
               report->query_count, report->candidates, psal_similarity_name(report->similarity), report->entries,
               report->top);
    if (summary->hub >= 0)
        printf("hub: sample %" PRId64 " is a neighbour of %" PRId64 " of them (%.1f %%)\n", summary->hub,
               summary->hub_queries, 100 * (double)summary->hub_queries / count);
    printf("the predicted class is the true class of a neighbour for %" PRId64
           " (%.1f %%), the same mistake is among the "
           "neighbours for %" PRId64 " (%.1f %%)\n",
           summary->same_class_queries, 100 * (double)summary->same_class_queries / count,
           summary->same_mistake_queries, 100 * (double)summary->same_mistake_queries / count);
}

/* ---- CSV and JSON ---- */

/* Class numbers as such; an unknown one is an empty field. */
static void csv_class(psal_csv_writer *csv, const psal_labels *labels, int index) {
    if (index < 0)
        psal_csv_text(csv, NULL);
    else
        psal_csv_int(csv, index);
    psal_csv_text(csv, index < 0 ? NULL : psal_labels_name(labels, index));
}

psal_status psal_neighbor_write_csv(const psal_neighbor_report *report, const char *path, psal_error *err) {
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    static const char *const header[] = {"query",
                                         "query_path",
                                         "query_label",
                                         "query_label_name",
                                         "query_predicted",
                                         "query_predicted_name",
                                         "rank",
                                         "similarity",
                                         "sample",
                                         "path",
                                         "label",
                                         "label_name",
                                         "predicted",
                                         "predicted_name",
                                         "psal_settings"};
    psal_csv_record(csv, sizeof header / sizeof *header, header);
    for (int64_t q = 0; q < report->query_count; q++) {
        int64_t sample, rank = 0;
        const psal_profile_record *query = query_of(report, q, &sample);
        FOR_NEIGHBORS(report, q, n) {
            const psal_profile_record *other = record_of(report, n);
            if (sample >= 0)
                psal_csv_int(csv, sample);
            else
                psal_csv_text(csv, NULL);
            psal_csv_text(csv, query->path);
            csv_class(csv, report->labels, query->label);
            csv_class(csv, report->labels, query->predicted);
            psal_csv_int(csv, ++rank);
            psal_csv_double(csv, n->similarity);
            psal_csv_int(csv, n->sample);
            psal_csv_text(csv, other->path);
            csv_class(csv, report->labels, other->label);
            csv_class(csv, report->labels, other->predicted);
            psal_csv_text(csv, q == 0 && rank == 1 ? report->record : NULL);
            psal_csv_end_record(csv);
        }
    }
    return psal_csv_commit(csv, err);
}

static json_t *class_json(const psal_labels *labels, int index) {
    return index < 0
               ? json_null()
               : json_pack("{s:i, s:o}", "index", index, "name", psal_json_string(psal_labels_name(labels, index)));
}

static json_t *record_json(const psal_neighbor_report *report, int64_t sample, const psal_profile_record *record) {
    json_t *object = json_pack("{s:o, s:o, s:o, s:o}", "sample", sample < 0 ? json_null() : json_integer(sample),
                               "path", psal_json_string(record->path), "label",
                               class_json(report->labels, record->label), "predicted",
                               class_json(report->labels, record->predicted));
    if (object) {
        json_object_set_new(object, "confidence", psal_json_double(record->confidence));
        json_object_set_new(object, "target_confidence", psal_json_double(record->target_confidence));
        json_object_set_new(object, "loss", psal_json_double(record->loss));
    }
    return object;
}

psal_status psal_neighbor_print_json(const psal_neighbor_report *report, const psal_hub_summary *summary,
                                     const psal_skipped *skipped, psal_error *err) {
    json_t *queries = json_array();
    bool good = queries != NULL;
    for (int64_t q = 0; q < report->query_count && good; q++) {
        int64_t sample;
        const psal_profile_record *query = query_of(report, q, &sample);
        json_t *object = record_json(report, sample, query), *list = json_array();
        FOR_NEIGHBORS(report, q, n) {
            json_t *one = record_json(report, n->sample, record_of(report, n));
            good = good && one && json_object_set_new(one, "similarity", psal_json_double(n->similarity)) == 0;
            good = json_array_append_new(list, one) == 0 && good;
        }
        good = json_object_set_new(object, "neighbors", list) == 0 && good;
        good = json_array_append_new(queries, object) == 0 && good;
    }
    json_t *root = json_pack(
        "{s:s, s:o, s:I, s:I, s:I, s:{s:o, s:I}, s:I, s:I, s:o, s:o}", "similarity",
        psal_similarity_name(report->similarity), "statistics", psal_json_string(report->statistics), "entries",
        (json_int_t)report->entries, "candidates", (json_int_t)report->candidates, "top", (json_int_t)report->top,
        "hub", "sample", summary->hub < 0 ? json_null() : json_integer(summary->hub), "queries",
        (json_int_t)summary->hub_queries, "same_class_queries", (json_int_t)summary->same_class_queries,
        "same_mistake_queries", (json_int_t)summary->same_mistake_queries, "queries", queries, "skipped",
        psal_skipped_json(skipped));
    if (report->computation)
        good = json_object_set_new(root, "settings", psal_computation_json(report->computation)) == 0 && good;
    psal_status status = good && root ? psal_json_write(root, stdout, err)
                                      : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    json_decref(root);
    return status;
}

/* ---- contact sheet ---- */

#define SHEET_TILES 1000
#define THUMBNAIL 256 /* the longer side, in pixels: what the figure shows */

static psal_status shrink(psal_image *image, psal_error *err) {
    int longer = image->width > image->height ? image->width : image->height;
    if (longer <= THUMBNAIL) return PSAL_OK;
    psal_image small = PSAL_IMAGE_INIT;
    int width = (int)((int64_t)image->width * THUMBNAIL / longer),
        height = (int)((int64_t)image->height * THUMBNAIL / longer);
    psal_status status = psal_resize(image, width > 0 ? width : 1, height > 0 ? height : 1, &small, err);
    if (status != PSAL_OK) return status;
    psal_image_free(image);
    *image = small;
    return PSAL_OK;
}

/* The sample that the store calls `path`: usually number `sample` of the data set it was made from. */
static psal_status find_in_dataset(const psal_dataset *dataset, int64_t sample, const char *path, size_t *index,
                                   psal_error *err) {
    size_t count = psal_dataset_count(dataset);
    for (size_t i = 0; i <= count; i++) {
        size_t at = i == 0 ? (size_t)sample : i - 1;
        const char *file = at < count ? psal_dataset_path(dataset, at) : NULL;
        if (at < count && (strcmp(psal_dataset_name(dataset, at), path) == 0 || (file && strcmp(file, path) == 0))) {
            *index = at;
            return PSAL_OK;
        }
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "no sample of the data set is called %s, as the store's table says", path);
}

static psal_status load_thumbnail(const psal_dataset *dataset, int64_t sample, const char *path, psal_image *image,
                                  psal_error *err) {
    size_t index = 0;
    psal_status status;
    if (dataset && sample >= 0) {
        status = find_in_dataset(dataset, sample, path, &index, err);
        if (status == PSAL_OK) status = psal_dataset_load(dataset, index, image, err);
    } else {
        status = psal_image_load(path, 0, image, err);
    }
    return status == PSAL_OK ? shrink(image, err) : status;
}

/* What stands for a picture that cannot be read. */
static psal_status make_grey(psal_image *image, psal_error *err) {
    psal_status status = psal_image_alloc(THUMBNAIL, THUMBNAIL, image, err);
    if (status == PSAL_OK) memset(image->rgb, 200, (size_t)3 * THUMBNAIL * THUMBNAIL);
    return status;
}

/* Remember a picture that cannot be read; a sample may be the neighbour of many. */
static psal_status skip_picture(psal_skipped *skipped, const char *name, const psal_error *why, psal_error *err) {
    for (size_t i = 0; i < skipped->count; i++)
        if (strcmp(skipped->at[i].name, name) == 0) return PSAL_OK;
    return psal_skipped_add(skipped, name, why, err);
}

typedef struct sheet {
    psal_skipped *skipped; /* or NULL */
    const psal_neighbor_report *report;
    const psal_dataset *dataset;
    psal_sheet_tile tiles[SHEET_TILES];
    psal_image images[SHEET_TILES];
    char headings[SHEET_TILES][48];
    size_t count;
} sheet;

static psal_status add_tile(sheet *s, int64_t sample, const psal_profile_record *record, double similarity,
                            psal_error *err) {
    psal_error bad = PSAL_ERROR_INIT;
    psal_status status = load_thumbnail(s->dataset, sample, record->path, &s->images[s->count], &bad);
    if (status != PSAL_OK) {
        psal_skipped_error(&bad, record->path, !s->skipped);
        if (err) *err = bad;
        if (!s->skipped || !psal_skippable(&bad)) return status;
        status = skip_picture(s->skipped, record->path, &bad, err);
        if (status == PSAL_OK) status = make_grey(&s->images[s->count], err);
        if (status != PSAL_OK) return status;
    }
    const psal_image *image = &s->images[s->count];
    const psal_labels *labels = s->report->labels;
    s->tiles[s->count] = (psal_sheet_tile){.rgb = image->rgb,
                                           .height = image->height,
                                           .width = image->width,
                                           .heading = s->headings[s->count],
                                           .similarity = similarity,
                                           .true_name = record->label < 0 ? NULL
                                                                          : psal_labels_name(labels, record->label),
                                           .predicted_name = psal_labels_name(labels, record->predicted),
                                           .correct = record->label == record->predicted};
    s->count++;
    return PSAL_OK;
}

static psal_status fill_sheet(sheet *s, int64_t queries, psal_error *err) {
    const psal_neighbor_report *report = s->report;
    psal_status status = PSAL_OK;
    for (int64_t q = 0; q < queries && status == PSAL_OK; q++) {
        int64_t sample, rank = 0;
        const psal_profile_record *query = query_of(report, q, &sample);
        if (sample >= 0)
            snprintf(s->headings[s->count], sizeof s->headings[0], "query: sample %" PRId64, sample);
        else
            snprintf(s->headings[s->count], sizeof s->headings[0], "query");
        status = add_tile(s, sample, query, NAN, err);
        FOR_NEIGHBORS(report, q, n) {
            if (status != PSAL_OK || s->count == SHEET_TILES) break;
            snprintf(s->headings[s->count], sizeof s->headings[0], "%" PRId64, ++rank);
            status = add_tile(s, n->sample, record_of(report, n), n->similarity, err);
        }
    }
    return status;
}

psal_status psal_neighbor_write_sheet(const psal_neighbor_report *report, const char *path, const char *spec,
                                      int64_t *shown, psal_skipped *skipped, psal_error *err) {
    sheet *s = calloc(1, sizeof *s);
    if (!s) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    /* Every query has a row of its own, so all must have equally many neighbours: they do, but for the last ones'
     * lack. */
    int64_t row = report->top < report->candidates ? report->top + 1 : report->candidates + 1;
    int64_t queries = SHEET_TILES / row < 1 ? 1 : SHEET_TILES / row;
    if (queries > report->query_count) queries = report->query_count;
    /* The figure's height is limited, too: about 190 points a row. */
    if (queries > 40) queries = 40;
    *shown = queries;
    psal_dataset *dataset = spec ? psal_open_list(spec, report->labels, skipped != NULL, NULL, err) : NULL;
    psal_status status = spec && !dataset ? psal_error_status(err) : PSAL_OK;
    s->report = report;
    s->skipped = skipped;
    s->dataset = dataset;
    if (status == PSAL_OK) status = fill_sheet(s, queries, err);
    if (status == PSAL_OK) {
        char subtitle[1024], line[512] = "";
        if (report->computation) psal_computation_line(report->computation, line);
        snprintf(subtitle, sizeof subtitle, "%s similarity of %" PRId64 " entries, among %" PRId64 " samples%s%s",
                 psal_similarity_name(report->similarity), report->entries, report->candidates, *line ? "; " : "",
                 line);
        psal_sheet_figure figure = {.title = "Nearest neighbours in saliency space",
                                    .subtitle = subtitle,
                                    .record = report->record,
                                    .tiles = s->tiles,
                                    .tile_count = s->count,
                                    .columns = queries > 1 ? (size_t)row : 0};
        status = psal_sheet_figure_write(&figure, path, err);
    }
    for (size_t i = 0; i < s->count; i++) psal_image_free(&s->images[i]);
    psal_dataset_free(dataset);
    free(s);
    return status;
}
