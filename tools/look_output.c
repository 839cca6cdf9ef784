#include "tools/look_output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "io/figure.h"
#include "io/json_output.h"
#include "tools/print.h"

static const char *const end_names[PSAL_LOOK_ENDS] = {"largest", "smallest"};

/* What the data set calls the class of a hit; NULL: it has none. */
static const char *class_name(const psal_explainer *x, const psal_look_hit *hit) {
    return hit->label < 0 ? NULL : psal_labels_name(x->session->labels, hit->label);
}

static const char *image_name(const psal_filter_crops *crops, const psal_look_hit *hit) {
    const char *path = psal_dataset_path(crops->dataset, (size_t)hit->sample);
    return path ? path : psal_dataset_name(crops->dataset, (size_t)hit->sample);
}

/* ---- JSON ---- */

static json_t *hit_json(const psal_look_hit *hit) {
    json_t *o = json_object(), *box = json_array();
    json_object_set_new(o, "activation", psal_json_float(hit->activation));
    json_object_set_new(o, "row", json_integer(hit->row));
    json_object_set_new(o, "column", json_integer(hit->column));
    const int sides[] = {hit->left, hit->top, hit->width, hit->height};
    for (int i = 0; i < 4; i++) json_array_append_new(box, json_integer(sides[i]));
    json_object_set_new(o, "box", box);
    return o;
}

static json_t *hits_json(const psal_explainer *x, const psal_filter_crops *crops, const psal_look_hit *hits) {
    json_t *list = json_array();
    for (int k = 0; k < crops->k && hits[k].sample >= 0; k++) {
        json_t *o = hit_json(&hits[k]);
        json_object_set_new(o, "image", psal_json_string(image_name(crops, &hits[k])));
        json_object_set_new(o, "label", hits[k].label < 0 ? json_null() : json_integer(hits[k].label));
        json_object_set_new(o, "name", psal_json_string(class_name(x, &hits[k])));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *psal_explanation_look_json(const psal_explainer *x, const psal_explanation *e) {
    const psal_filter_crops *crops = e->crops;
    json_t *look = json_object(), *filters = json_array();
    for (int64_t i = 0; i < crops->count; i++) {
        int64_t within;
        const char *layer = psal_explain_entry(x, crops->filters[i], &within);
        json_t *filter = json_object(), *own = json_object();
        json_object_set_new(filter, "rank", json_integer(i + 1));
        json_object_set_new(filter, "filter", json_integer(crops->filters[i]));
        json_object_set_new(filter, "layer", psal_json_string(layer));
        json_object_set_new(filter, "filter_in_layer", json_integer(within));
        json_object_set_new(filter, "reversed", json_boolean(psal_look_reversed(crops->look, i)));
        for (int end = 0; end < PSAL_LOOK_ENDS; end++) {
            const psal_look_hit *hit = &crops->own[i * PSAL_LOOK_ENDS + end];
            json_object_set_new(own, end_names[end], hit->sample < 0 ? json_null() : hit_json(hit));
        }
        json_object_set_new(filter, "this_image", own);
        for (int end = 0; end < PSAL_LOOK_ENDS; end++)
            json_object_set_new(filter, end_names[end],
                                hits_json(x, crops, psal_filter_crops_hits(crops, i, (psal_look_end)end)));
        json_array_append_new(filters, filter);
    }
    json_object_set_new(look, "data", psal_json_string(x->options.look_data));
    json_object_set_new(look, "looked_at",
                        json_integer((json_int_t)(psal_dataset_count(crops->dataset) - crops->skipped.count)));
    json_object_set_new(look, "filters", filters);
    json_object_set_new(look, "skipped", psal_skipped_json(&crops->skipped));
    return look;
}

/* ---- the table ---- */

/* place: from 1 on; 0: of the image that is explained. */
static void write_hit(psal_csv_writer *csv, const psal_explainer *x, const psal_explanation *e, int64_t i, int end,
                      int place, const psal_look_hit *hit, const char *record) {
    const psal_filter_crops *crops = e->crops;
    int64_t within;
    const char *layer = psal_explain_entry(x, crops->filters[i], &within);
    psal_csv_int(csv, i + 1);
    psal_csv_int(csv, crops->filters[i]);
    psal_csv_text(csv, layer);
    psal_csv_int(csv, within);
    psal_csv_int(csv, psal_look_reversed(crops->look, i));
    psal_csv_text(csv, end_names[end]);
    psal_csv_int(csv, place);
    psal_csv_text(csv, place ? image_name(crops, hit) : e->path);
    const int label = place ? hit->label : e->labelled ? e->label : -1;
    if (label < 0)
        psal_csv_text(csv, NULL);
    else
        psal_csv_int(csv, label);
    psal_csv_text(csv, label < 0 ? NULL : psal_labels_name(x->session->labels, label));
    psal_csv_float(csv, hit->activation);
    const int numbers[] = {hit->row, hit->column, hit->left, hit->top, hit->width, hit->height};
    for (int n = 0; n < 6; n++) psal_csv_int(csv, numbers[n]);
    psal_csv_text(csv, record);
    psal_csv_end_record(csv);
}

psal_status psal_explanation_look_table(const psal_explainer *x, const psal_explanation *e, const char *path,
                                        psal_error *err) {
    const psal_filter_crops *crops = e->crops;
    const char *record = x->record;
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    psal_csv_record(csv, 18,
                    (const char *[]){"rank", "filter", "layer", "filter_in_layer", "reversed", "end", "place", "image",
                                     "label", "label_name", "activation", "row", "column", "left", "top", "width",
                                     "height", "psal_settings"});
    for (int64_t i = 0; i < crops->count; i++)
        for (int end = 0; end < PSAL_LOOK_ENDS; end++) {
            const psal_look_hit *hits = psal_filter_crops_hits(crops, i, (psal_look_end)end);
            const psal_look_hit *own = &crops->own[i * PSAL_LOOK_ENDS + end];
            if (own->sample >= 0) {
                write_hit(csv, x, e, i, end, 0, own, record);
                record = NULL;
            }
            for (int k = 0; k < crops->k && hits[k].sample >= 0; k++)
                write_hit(csv, x, e, i, end, k + 1, &hits[k], NULL);
        }
    return psal_csv_commit(csv, err);
}

/* ---- the figure ---- */

enum { OWN, LARGEST, SMALLEST, GROUPS, ROW_CROPS = 1 + PSAL_LOOK_ENDS * PSAL_LOOK_PLACES };

typedef struct drawn_row {
    char title[256], note[128];
    psal_image pixels[ROW_CROPS];
    psal_figure_crop crops[ROW_CROPS];
} drawn_row;

/* The crop number `at` of a row: of the image itself, or of the data set. */
static psal_status cut(const psal_explainer *x, const psal_explanation *e, const psal_look_hit *hit, bool own,
                       drawn_row *row, int at, psal_error *err) {
    if (hit->sample < 0) return PSAL_OK;
    psal_image *pixels = &row->pixels[at];
    psal_status status = own ? psal_image_crop(&e->pixels, hit->top, hit->left, hit->height, hit->width, pixels, err)
                             : psal_filter_crop(e->crops, hit, pixels, err);
    row->crops[at] = (psal_figure_crop){.rgb = pixels->rgb,
                                        .height = pixels->height,
                                        .width = pixels->width,
                                        .activation = hit->activation,
                                        .caption = own ? NULL : class_name(x, hit)};
    return status;
}

static psal_status draw_row(const psal_explainer *x, const psal_explanation *e, int64_t i, drawn_row *row,
                            psal_error *err) {
    const psal_filter_crops *crops = e->crops;
    int64_t within;
    const char *layer = psal_explain_entry(x, crops->filters[i], &within);
    /* Its strongest place is the one that is passed on. */
    const bool reversed = psal_look_reversed(crops->look, i);
    const psal_look_hit *own = &crops->own[i * PSAL_LOOK_ENDS + (reversed ? PSAL_LOOK_SMALLEST : PSAL_LOOK_LARGEST)];
    snprintf(row->title, sizeof row->title, "%" PRId64 "  %.180s, filter %" PRId64, i + 1, layer, within);
    snprintf(row->note, sizeof row->note, "saliency %.2f%s%s", e->standardized[crops->filters[i]],
             own->sample < 0 ? "; never computed" : "", reversed ? "; its normalisation passes the smallest on" : "");
    psal_status status = cut(x, e, own, true, row, 0, err);
    for (int end = 0, at = 1; end < PSAL_LOOK_ENDS; end++)
        for (int k = 0; k < crops->k && status == PSAL_OK; k++)
            status = cut(x, e, &psal_filter_crops_hits(crops, i, (psal_look_end)end)[k], false, row, at++, err);
    return status;
}

psal_status psal_explanation_look_figure(const psal_explainer *x, const psal_explanation *e, const char *path,
                                         psal_error *err) {
    const psal_filter_crops *crops = e->crops;
    const size_t count = (size_t)crops->count;
    drawn_row *drawn = calloc(count, sizeof *drawn);
    psal_crops_row *rows = calloc(count, sizeof *rows);
    psal_status status = drawn && rows ? PSAL_OK
                                       : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu crops", count);
    for (size_t i = 0; i < count && status == PSAL_OK; i++) {
        status = draw_row(x, e, (int64_t)i, &drawn[i], err);
        const psal_figure_crop *first = drawn[i].crops;
        rows[i] = (psal_crops_row){
            .title = drawn[i].title, .note = drawn[i].note, .crops = {first, first + 1, first + 1 + PSAL_LOOK_PLACES}};
    }
    char title[256], subtitle[1024];
    snprintf(title, sizeof title, "%s: what the most salient filters look for", x->session->info->arch);
    snprintf(subtitle, sizeof subtitle,
             "outputs of the filters' convolutions, among %zu images of %.300s; crops are the receptive fields; %s",
             psal_dataset_count(crops->dataset) - crops->skipped.count, x->options.look_data, x->line);
    const psal_crops_figure figure = {.title = title,
                                      .subtitle = subtitle,
                                      .group_count = GROUPS,
                                      .groups = {[OWN] = "this image", [LARGEST] = "largest", [SMALLEST] = "smallest"},
                                      .columns = {1, PSAL_LOOK_PLACES, PSAL_LOOK_PLACES},
                                      .framed = {true},
                                      .rows = rows,
                                      .row_count = count,
                                      .style = x->options.style,
                                      .record = x->record};
    if (status == PSAL_OK) status = psal_crops_figure_write(&figure, path, err);
    for (size_t i = 0; i < count && drawn; i++)
        for (int c = 0; c < ROW_CROPS; c++) psal_image_free(&drawn[i].pixels[c]);
    free(drawn);
    free(rows);
    return status;
}

/* ---- for people ---- */

/* "Coat 4, Shirt 2": the classes of some hits, the most frequent first, then in the order in which they come. */
static void print_classes(const psal_explainer *x, const psal_look_hit *hits, int k) {
    bool said[PSAL_LOOK_PLACES] = {false}, first = true;
    for (;;) {
        int most = -1, largest = 0;
        for (int i = 0; i < k && hits[i].sample >= 0; i++) {
            int same = 0;
            for (int j = 0; j < k && hits[j].sample >= 0; j++) same += hits[j].label == hits[i].label;
            if (said[i] || same <= largest) continue;
            most = i;
            largest = same;
        }
        if (most < 0) return;
        for (int i = 0; i < k; i++) said[i] |= hits[i].label == hits[most].label;
        const char *name = class_name(x, &hits[most]);
        psal_print(stdout, "%s%s %d", first ? "" : ", ", name ? name : "no label", largest);
        first = false;
    }
}

void psal_explanation_look_print(const psal_explainer *x, const psal_explanation *e) {
    const psal_filter_crops *crops = e->crops;
    psal_print(stdout,
               "  among %zu images of %s, the classes of those with the largest and the smallest activations:\n",
               psal_dataset_count(crops->dataset) - crops->skipped.count, x->options.look_data);
    for (int64_t i = 0; i < crops->count; i++) {
        psal_print(stdout, "  %4" PRId64 "  %8" PRId64 "  ", i + 1, crops->filters[i]);
        print_classes(x, psal_filter_crops_hits(crops, i, PSAL_LOOK_LARGEST), crops->k);
        psal_print(stdout, " | ");
        print_classes(x, psal_filter_crops_hits(crops, i, PSAL_LOOK_SMALLEST), crops->k);
        psal_print(stdout, "%s\n", psal_look_reversed(crops->look, i) ? " (the smallest are passed on)" : "");
    }
}
