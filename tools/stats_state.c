#include "tools/stats_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "io/profile_writer.h"
#include "io/safetensors.h"

static const char FORMAT[] = "statistics-part";

/* All keys there are, and what they are called in messages. */
static const char *const KEYS[][2] = {
    {"psal.arch", "architecture"},
    {"psal.fingerprint", "weights"},
    {"psal.preprocess", "preprocessing"},
    {"psal.aggregation", "aggregation"},
    {"psal.loss", "loss"},
    {"psal.signed", "--signed"},
    {"psal.run.normalized", "--normalized"},
    {"psal.dataset", "data set"},
    {"psal.samples", "number of samples"},
    {"psal.size", "image size"},
    {"psal.conv", "--conv"},
    {"psal.predicted", "--predicted"},
    {"psal.classes", "number of classes"},
    {"psal.shard", "shard"},
    {"psal.shards", "number of shards"},
    {"psal.profiles", "profile store"},
};
enum { KEY_COUNT = sizeof KEYS / sizeof KEYS[0] };

void psal_identity_set(psal_identity *identity, const char *key, const char *format, ...) {
    int row = 0;
    while (row < identity->count && strcmp(identity->keys[row], key) != 0) row++;
    if (row == PSAL_IDENTITY_ROWS) return; /* KEYS has fewer */
    if (row == identity->count) identity->count++;
    identity->keys[row] = key;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(identity->values[row], sizeof identity->values[row], format, arguments);
    va_end(arguments);
}

const char *psal_identity_get(const psal_identity *identity, const char *key) {
    for (int i = 0; i < identity->count; i++)
        if (strcmp(identity->keys[i], key) == 0) return identity->values[i];
    return "";
}

psal_status psal_identity_check(const psal_identity *identity, const psal_tensor_map *file, psal_error *err) {
    for (int i = 0; i < KEY_COUNT; i++) {
        const char *want = psal_identity_get(identity, KEYS[i][0]), *have = psal_tensor_map_meta(file, KEYS[i][0]);
        if (!have) have = "";
        if (strcmp(want, have) != 0)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "belongs to another run: its %s is '%s', but here it is '%s'",
                             KEYS[i][1], have, want);
    }
    return PSAL_OK;
}

psal_status psal_identity_read(psal_identity *identity, const psal_tensor_map *file, psal_error *err) {
    *identity = (psal_identity){0};
    for (int i = 0; i < KEY_COUNT; i++) {
        const char *value = psal_tensor_map_meta(file, KEYS[i][0]);
        if (!value || strlen(value) >= sizeof identity->values[0])
            return psal_fail(err, PSAL_ERR_FORMAT, "does not say its %s", KEYS[i][1]);
        psal_identity_set(identity, KEYS[i][0], "%s", value);
    }
    return PSAL_OK;
}

psal_status psal_identity_same_run(const psal_identity *part, const psal_identity *other, const char *path,
                                   psal_error *err) {
    for (int i = 0; i < KEY_COUNT; i++) {
        const char *a = psal_identity_get(part, KEYS[i][0]), *b = psal_identity_get(other, KEYS[i][0]);
        if (strcmp(KEYS[i][0], "psal.shard") != 0 && strcmp(a, b) != 0)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "%s belongs to another run than the first part: its %s is '%s', not '%s'", path,
                             KEYS[i][1], a, b);
    }
    return PSAL_OK;
}

/* ---- states ---- */

static psal_status set_identity(psal_tensor_map *map, const psal_identity *identity, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int i = 0; i < identity->count && status == PSAL_OK; i++)
        status = psal_tensor_map_set_meta(map, identity->keys[i], identity->values[i], err);
    return status;
}

psal_status psal_state_write(const char *path, const psal_identity *identity, const psal_summary *summary,
                             psal_error *err) {
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    psal_status status = psal_tensor_map_set_meta(map, "psal.format", FORMAT, err);
    if (status == PSAL_OK) status = set_identity(map, identity, err);
    if (status == PSAL_OK) status = psal_summary_to_tensors(summary, map, err);
    if (status == PSAL_OK) status = psal_safetensors_write(path, map, err);
    psal_tensor_map_free(map);
    return status;
}

psal_summary *psal_state_read(const char *path, const psal_identity *identity, psal_identity *found, psal_error *err) {
    psal_tensor_map *map = psal_safetensors_read(path, err);
    if (!map) return NULL;
    const char *format = psal_tensor_map_meta(map, "psal.format");
    psal_summary *summary = NULL;
    psal_status status = PSAL_OK;
    if (!format || strcmp(format, FORMAT) != 0)
        status = psal_fail(err, PSAL_ERR_FORMAT, "not a part of a run of psal-stats");
    else if (identity)
        status = psal_identity_check(identity, map, err);
    else
        status = psal_identity_read(found, map, err);
    if (status == PSAL_OK) summary = psal_summary_from_tensors(map, err);
    if (!summary) psal_fail_prefix(err, "%s", path);
    psal_tensor_map_free(map);
    return summary;
}

/* ---- results ---- */

psal_status psal_state_write_statistics(const char *path, const psal_identity *identity, const psal_summary *summary,
                                        psal_error *err) {
    psal_statistics *s = psal_statistics_new(summary->length, err);
    if (!s) return err->status;
    snprintf(s->arch, sizeof s->arch, "%.*s", (int)sizeof s->arch - 1, psal_identity_get(identity, "psal.arch"));
    s->fingerprint = strtoull(psal_identity_get(identity, "psal.fingerprint"), NULL, 16);
    snprintf(s->preprocess, sizeof s->preprocess, "%s", psal_identity_get(identity, "psal.preprocess"));
    snprintf(s->aggregation, sizeof s->aggregation, "%.*s", (int)sizeof s->aggregation - 1,
             psal_identity_get(identity, "psal.aggregation"));
    snprintf(s->loss, sizeof s->loss, "%.*s", (int)sizeof s->loss - 1, psal_identity_get(identity, "psal.loss"));
    s->is_signed = strcmp(psal_identity_get(identity, "psal.signed"), "1") == 0;
    psal_status status = psal_summary_finish(summary, s, NULL, err);
    psal_tensor_map *map = status == PSAL_OK ? psal_statistics_to_tensors(s, err) : NULL;
    if (!map) status = err->status;
    if (status == PSAL_OK) status = psal_summary_finish(summary, NULL, map, err);
    if (status == PSAL_OK)
        status = psal_tensor_map_set_meta(map, "psal.dataset", psal_identity_get(identity, "psal.dataset"), err);
    if (status == PSAL_OK) status = psal_safetensors_write(path, map, err);
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

psal_status psal_state_write_records(const char *path, const psal_dataset *dataset, const psal_summary *summary,
                                     psal_dtype dtype, psal_error *err) {
    static const char *const columns[] = {"index",      "path", "label", "predicted", "correct", "target_confidence",
                                          "confidence", "loss", "scale", "status",    "group"};
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return err->status;
    psal_csv_record(csv, sizeof columns / sizeof columns[0], columns);
    for (int64_t i = 0; i < summary->next - summary->first; i++) {
        const psal_sample *r = &summary->records[i];
        psal_csv_int(csv, i);
        psal_csv_text(csv, psal_dataset_name(dataset, (size_t)r->index));
        psal_csv_int(csv, psal_dataset_label(dataset, (size_t)r->index));
        if (r->status == PSAL_OK) {
            psal_csv_int(csv, r->predicted);
            psal_csv_int(csv, r->predicted == r->label);
            psal_csv_float(csv, r->label_confidence);
            psal_csv_float(csv, r->predicted_confidence);
            psal_csv_float(csv, r->loss);
            psal_csv_double(csv, psal_profile_scale(dtype, r->largest));
        } else {
            for (int k = 0; k < 6; k++) psal_csv_text(csv, NULL);
        }
        psal_csv_text(csv, status_name(r->status));
        psal_csv_text(csv, psal_dataset_group(dataset, (size_t)r->index));
        psal_csv_end_record(csv);
    }
    return psal_csv_commit(csv, err);
}
