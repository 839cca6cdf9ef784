#include "tools/neighbors_output.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/class_output.h"
#include "tools/contact_sheet.h"
#include "tools/print.h"

/* Record of query `q`; *sample (may be NULL) its number, -1 for an image. */
static const psal_profile_record *query_of(const psal_neighbor_report *report, int64_t q, int64_t *sample) {
    if (sample) *sample = report->queries ? report->queries[q] : -1;
    return report->queries ? &report->compared->store.records[report->queries[q]] : &report->image;
}

static const psal_profile_record *record_of(const psal_neighbor_report *report, const psal_neighbor *neighbor) {
    return &report->compared->store.records[neighbor->sample];
}

/* The neighbours of query q, until the first that is not there. */
#define FOR_NEIGHBORS(report, q, n)                                                                        \
    for (const psal_neighbor *n = (report)->neighbors + (q) * (report)->top, *n##_end = n + (report)->top; \
         n < n##_end && n->sample >= 0; n++)

psal_status psal_neighbor_summarize(const psal_neighbor_report *report, psal_hub_summary *summary, psal_error *err) {
    *summary = (psal_hub_summary){.hub = -1};
    int64_t *counts = malloc((size_t)report->compared->store.samples * sizeof *counts);
    if (!counts)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " samples",
                         report->compared->store.samples);
    summary->hub = psal_neighbors_hubs(report->neighbors, report->query_count * report->top,
                                       report->compared->store.samples, counts);
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
    psal_print(stdout, "%" PRId64 " of the %" PRId64 " nearest of %" PRId64 " samples %s truly %s", same_class, count,
               report->compared->search.candidate_count, same_class == 1 ? "is" : "are",
               psal_labels_name(report->compared->labels, query->predicted));
    if (mistake)
        psal_print(stdout, ", as which it is predicted; %" PRId64 " %s the same mistake", same_mistake,
                   same_mistake == 1 ? "is" : "are");
    printf(".\n");
}

void psal_neighbor_print(const psal_neighbor_report *report, const psal_hub_summary *summary) {
    for (int64_t q = 0; q < report->query_count; q++) {
        int64_t sample;
        const psal_profile_record *query = query_of(report, q, &sample);
        if (sample >= 0) printf("sample %" PRId64 "  ", sample);
        psal_print(stdout, "%s", query->path);
        psal_print(stdout, ": %s, predicted %s\n", psal_labels_name(report->compared->labels, query->label),
                   psal_labels_name(report->compared->labels, query->predicted));
        psal_print(stdout, "  rank  similarity   sample  %-20s %-20s file\n", "true", "predicted");
        int64_t rank = 0;
        FOR_NEIGHBORS(report, q, n) {
            const psal_profile_record *other = record_of(report, n);
            psal_print(stdout, "  %4" PRId64 "  %10.6f  %7" PRId64 "  %-20.20s %-20.20s ", ++rank, n->similarity,
                       n->sample, psal_labels_name(report->compared->labels, other->label),
                       psal_labels_name(report->compared->labels, other->predicted));
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
               report->query_count, report->compared->search.candidate_count,
               psal_similarity_name(report->compared->search.similarity), report->compared->entries, report->top);
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
            psal_csv_class(csv, report->compared->labels, query->label);
            psal_csv_class(csv, report->compared->labels, query->predicted);
            psal_csv_int(csv, ++rank);
            psal_csv_double(csv, n->similarity);
            psal_csv_int(csv, n->sample);
            psal_csv_text(csv, other->path);
            psal_csv_class(csv, report->compared->labels, other->label);
            psal_csv_class(csv, report->compared->labels, other->predicted);
            psal_csv_text(csv, q == 0 && rank == 1 ? report->compared->store.settings : NULL);
            psal_csv_end_record(csv);
        }
    }
    return psal_csv_commit(csv, err);
}

static json_t *record_json(const psal_neighbor_report *report, int64_t sample, const psal_profile_record *record) {
    json_t *object = json_pack("{s:o, s:o, s:o, s:o}", "sample", sample < 0 ? json_null() : json_integer(sample),
                               "path", psal_json_string(record->path), "label",
                               psal_class_json(report->compared->labels, record->label), "predicted",
                               psal_class_json(report->compared->labels, record->predicted));
    if (object) {
        json_object_set_new(object, "confidence", psal_json_double(record->confidence));
        json_object_set_new(object, "target_confidence", psal_json_double(record->target_confidence));
        json_object_set_new(object, "loss", psal_json_double(record->loss));
    }
    return object;
}

psal_status psal_neighbor_print_json(const psal_neighbor_report *report, const psal_hub_summary *summary,
                                     psal_error *err) {
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
    json_t *itself = json_array();
    for (int64_t i = 0; i < report->itself_count; i++)
        good = json_array_append_new(itself, json_integer((json_int_t)report->itself[i])) == 0 && good;
    json_t *root = json_pack(
        "{s:s, s:I, s:o, s:I, s:{s:o, s:I}, s:I, s:I, s:o}", "schema", "psal-neighbors/1", "candidates",
        (json_int_t)report->compared->search.candidate_count, "itself", itself, "top", (json_int_t)report->top, "hub",
        "sample", summary->hub < 0 ? json_null() : json_integer(summary->hub), "queries",
        (json_int_t)summary->hub_queries, "same_class_queries", (json_int_t)summary->same_class_queries,
        "same_mistake_queries", (json_int_t)summary->same_mistake_queries, "queries", queries);
    return psal_compared_store_print_json(report->compared, root, good, err);
}

/* ---- contact sheet ---- */

static psal_status fill_sheet(psal_contact_sheet *sheet, const psal_neighbor_report *report, int64_t queries,
                              psal_error *err) {
    psal_status status = PSAL_OK;
    for (int64_t q = 0; q < queries && status == PSAL_OK; q++) {
        int64_t sample, rank = 0;
        char heading[48] = "query";
        const psal_profile_record *query = query_of(report, q, &sample);
        if (sample >= 0) snprintf(heading, sizeof heading, "query: sample %" PRId64, sample);
        status = psal_contact_sheet_add(sheet, sample, query, heading, true, NAN, err);
        FOR_NEIGHBORS(report, q, n) {
            if (status != PSAL_OK) break;
            snprintf(heading, sizeof heading, "%" PRId64, ++rank);
            status = psal_contact_sheet_add(sheet, n->sample, record_of(report, n), heading, false, n->similarity, err);
        }
    }
    return status;
}

psal_status psal_neighbor_write_sheet(const psal_neighbor_report *report, const char *path,
                                      psal_compared_store *compared, int64_t *shown, psal_error *err) {
    psal_contact_sheet *sheet = psal_contact_sheet_new(compared, err);
    if (!sheet) return psal_error_status(err);
    /* Every query has a row of its own, so all must have equally many neighbours: they do, but for the last ones'
     * lack. */
    const int64_t candidates = compared->search.candidate_count;
    const int64_t row = report->top < candidates ? report->top + 1 : candidates + 1;
    int64_t queries = PSAL_SHEET_TILES / row < 1 ? 1 : PSAL_SHEET_TILES / row;
    if (queries > report->query_count) queries = report->query_count;
    if (queries > PSAL_SHEET_ROWS) queries = PSAL_SHEET_ROWS;
    *shown = queries;
    psal_status status = fill_sheet(sheet, report, queries, err);
    if (status == PSAL_OK)
        status = psal_contact_sheet_write(sheet, "Nearest neighbours in saliency space", queries > 1 ? (size_t)row : 0,
                                          path, err);
    psal_contact_sheet_free(sheet);
    return status;
}
