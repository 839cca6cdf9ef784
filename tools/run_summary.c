#include "tools/run_summary.h"

#include <stdio.h>

#include "io/csv.h"

/* A number; an empty field where there is none: no filter is ranked, the loss is not finite. */
static void csv_number(psal_csv_writer *csv, const json_t *value) {
    if (json_is_integer(value))
        psal_csv_int(csv, json_integer_value(value));
    else if (json_is_number(value))
        psal_csv_double(csv, json_number_value(value));
    else
        psal_csv_text(csv, NULL);
}

psal_status psal_run_summary_write(const char *folder, const json_t *results, const psal_skipped *skipped,
                                   const char *record, psal_error *err) {
    char path[4200];
    snprintf(path, sizeof path, "%s/summary.csv", folder);
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    psal_csv_record(csv, 12,
                    (const char *[]){"path", "label", "label_name", "label_confidence", "predicted", "predicted_name",
                                     "confidence", "loss", "top_filter", "top_layer", "skipped", "psal_settings"});
    size_t i;
    json_t *row;
    json_array_foreach(results, i, row) {
        json_t *target = json_object_get(row, "target"), *predicted = json_object_get(row, "predicted");
        json_t *top = json_array_get(json_object_get(row, "top_filters"), 0);
        psal_csv_text(csv, json_string_value(json_object_get(row, "image")));
        psal_csv_int(csv, json_integer_value(json_object_get(target, "class")));
        psal_csv_text(csv, json_string_value(json_object_get(target, "name")));
        psal_csv_double(csv, json_number_value(json_object_get(target, "confidence")));
        psal_csv_int(csv, json_integer_value(json_object_get(predicted, "class")));
        psal_csv_text(csv, json_string_value(json_object_get(predicted, "name")));
        psal_csv_double(csv, json_number_value(json_object_get(predicted, "confidence")));
        csv_number(csv, json_object_get(row, "loss"));
        csv_number(csv, json_object_get(top, "filter"));
        psal_csv_text(csv, json_string_value(json_object_get(top, "layer")));
        psal_csv_text(csv, NULL);
        psal_csv_text(csv, i == 0 ? record : NULL);
        psal_csv_end_record(csv);
    }
    /* Images that were skipped come last: a name, the reason, and no numbers. */
    for (i = 0; i < skipped->count; i++) {
        psal_csv_text(csv, skipped->at[i].name);
        for (int field = 0; field < 9; field++) psal_csv_text(csv, NULL);
        psal_csv_text(csv, skipped->at[i].reason);
        psal_csv_text(csv, NULL);
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}
