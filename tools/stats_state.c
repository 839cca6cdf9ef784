#include "tools/stats_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "io/json_output.h"
#include "io/profile_writer.h"
#include "io/safetensors.h"
#include "tools/computation_io.h"

static const char FORMAT[] = "statistics-part", SOURCE[] = "psal.source";

/* ---- states ---- */

psal_status psal_state_write(const char *path, const psal_computation *computation, const psal_summary *summary,
                             const char *source, psal_error *err) {
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    psal_status status = psal_tensor_map_set_meta(map, "psal.format", FORMAT, err);
    if (status == PSAL_OK) status = psal_computation_to_metadata(computation, map, err);
    if (status == PSAL_OK && source) status = psal_tensor_map_set_meta(map, SOURCE, source, err);
    if (status == PSAL_OK) status = psal_summary_to_tensors(summary, map, err);
    if (status == PSAL_OK) status = psal_safetensors_write(path, map, err);
    psal_tensor_map_free(map);
    return status;
}

static psal_status read_computation(psal_computation *c, const psal_tensor_map *map, psal_error *err) {
    psal_status status = psal_computation_read(c, map, err);
    for (int f = 0; f < PSAL_FIELD_MODE && status == PSAL_OK; f++) { /* where psal-run's fields begin */
        const psal_field_row *row = psal_field_describe((psal_field)f);
        if (!*c->value[f] && !row->late) status = psal_fail(err, PSAL_ERR_FORMAT, "does not say its %s", row->name);
    }
    return status;
}

psal_summary *psal_state_read(const char *path, psal_computation *computation, char **source, psal_error *err) {
    if (source) *source = NULL;
    psal_tensor_map *map = psal_safetensors_read(path, err);
    if (!map) return NULL;
    const char *format = psal_tensor_map_meta(map, "psal.format");
    psal_summary *summary = NULL;
    if (!format || strcmp(format, FORMAT) != 0)
        psal_fail(err, PSAL_ERR_FORMAT, "not a part of a run of psal-stats");
    else if (read_computation(computation, map, err) == PSAL_OK)
        summary = psal_summary_from_tensors(map, err);
    const char *text = psal_tensor_map_meta(map, SOURCE);
    if (summary && source && text && !(*source = strdup(text))) {
        psal_summary_free(summary);
        summary = NULL;
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    if (!summary) psal_fail_prefix(err, "%s", path);
    psal_tensor_map_free(map);
    return summary;
}

/* ---- results ---- */

/* What is true of all samples, not of one run that made them. */
static psal_computation of_result(const psal_computation *computation) {
    psal_computation result = *computation;
    for (int f = PSAL_FIELD_PREDICTED; f <= PSAL_FIELD_PROFILES; f++) *result.value[f] = '\0';
    return result;
}

psal_statistics *psal_state_statistics(const psal_computation *computation, const psal_summary *summary,
                                       psal_tensor_map **map, psal_error *err) {
    psal_statistics *s = psal_statistics_new(summary->length, err);
    *map = NULL;
    if (!s) return NULL;
    s->computation = of_result(computation);
    psal_status status = psal_summary_finish(summary, s, NULL, err);
    *map = status == PSAL_OK ? psal_statistics_to_tensors(s, err) : NULL;
    if (!*map) status = psal_error_status(err);
    if (status == PSAL_OK) status = psal_summary_finish(summary, NULL, *map, err);
    if (status == PSAL_OK) return s;
    psal_tensor_map_free(*map);
    psal_statistics_free(s);
    *map = NULL;
    return NULL;
}

psal_status psal_state_write_statistics(const char *path, const psal_computation *computation,
                                        const psal_summary *summary, psal_error *err) {
    psal_tensor_map *map;
    psal_statistics *s = psal_state_statistics(computation, summary, &map, err);
    if (!s) return psal_error_status(err);
    psal_status status = psal_safetensors_write(path, map, err);
    psal_tensor_map_free(map);
    psal_statistics_free(s);
    return status;
}

static const char *status_name(psal_status status) {
    switch (status) {
    case PSAL_OK:
        return "ok";
    case PSAL_ERR_NUMERIC:
        return "not finite";
    default:
        return "unreadable";
    }
}

char *psal_state_settings(const psal_computation *computation) {
    psal_computation rows = of_result(computation);
    *rows.value[PSAL_FIELD_NORMALIZED] = '\0';
    return psal_computation_text(&rows);
}

psal_status psal_state_write_records(const char *path, const psal_dataset *dataset, const psal_summary *summary,
                                     const psal_computation *computation, psal_dtype dtype, const char *source,
                                     psal_error *err) {
    static const char *const columns[] = {
        "index", "path",   "label", "predicted",  "correct",       "target_confidence", "confidence",
        "loss",  "status", "group", "image_hash", "psal_settings", "psal_source",       "scale"};
    const bool scaled = dtype == PSAL_F16;
    char hash[17];
    char *settings = psal_state_settings(computation);
    if (!settings) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) {
        free(settings);
        return psal_error_status(err);
    }
    psal_csv_record(csv, sizeof columns / sizeof columns[0] - !scaled, columns);
    for (int64_t i = 0; i < summary->next - summary->first; i++) {
        const psal_sample_result *r = &summary->records[i];
        psal_csv_int(csv, i);
        psal_csv_text(csv, psal_dataset_name(dataset, (size_t)r->index));
        psal_csv_int(csv, psal_dataset_label(dataset, (size_t)r->index));
        if (r->status == PSAL_OK) {
            psal_csv_int(csv, r->predicted);
            psal_csv_int(csv, r->predicted == r->label);
            psal_csv_float(csv, r->label_confidence);
            psal_csv_float(csv, r->predicted_confidence);
            psal_csv_float(csv, r->loss);
        } else {
            for (int k = 0; k < 5; k++) psal_csv_text(csv, NULL);
        }
        psal_csv_text(csv, status_name(r->status));
        psal_csv_text(csv, psal_dataset_group(dataset, (size_t)r->index));
        snprintf(hash, sizeof hash, "%016" PRIx64, r->image);
        psal_csv_text(csv, r->image ? hash : NULL);
        psal_csv_text(csv, i == 0 ? settings : NULL);
        psal_csv_text(csv, i == 0 ? source : NULL);
        if (scaled && r->status == PSAL_OK) psal_csv_double(csv, psal_profile_scale(dtype, r->largest));
        if (scaled && r->status != PSAL_OK) psal_csv_text(csv, NULL);
        psal_csv_end_record(csv);
    }
    free(settings);
    return psal_csv_commit(csv, err);
}
