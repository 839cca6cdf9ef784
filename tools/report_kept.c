#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/json_input.h"
#include "io/json_output.h"
#include "tools/report.h"

static void path_of(const psal_report *r, const char *name, char path[4300]) {
    snprintf(path, 4300, "%s/%s.json", r->folder, name);
}

json_t *psal_report_kept(const psal_report *r, const char *name, const json_t *key) {
    char path[4300];
    json_error_t why;
    if (!psal_options_flag(r->options, "resume")) return NULL;
    path_of(r, name, path);
    /* Whatever is wrong with it, the stage is done again. */
    json_t *kept = json_load_file(path, 0, &why), *results = NULL;
    if (kept && json_equal(json_object_get(kept, "key"), key)) results = json_incref(json_object_get(kept, "results"));
    json_decref(kept);
    return results;
}

psal_status psal_report_keep(const psal_report *r, const char *name, const json_t *key, const json_t *results,
                             psal_error *err) {
    char path[4300];
    path_of(r, name, path);
    json_t *kept = json_object();
    json_object_set_new(kept, "key", json_deep_copy(key));
    json_object_set_new(kept, "results", json_deep_copy(results));
    psal_status status = psal_json_save(kept, path, err);
    json_decref(kept);
    return status;
}

json_t *psal_report_key(const psal_report *r, const char *command, uint64_t images) {
    const psal_statistics *statistics = r->compared.statistics;
    json_t *key = json_object();
    char text[2][20] = {"", ""};
    snprintf(text[0], sizeof text[0], "%016" PRIx64, images);
    if (statistics) snprintf(text[1], sizeof text[1], "%016" PRIx64, psal_statistics_fingerprint(statistics));
    json_object_set_new(key, "command", psal_json_string(command));
    json_object_set_new(key, "settings", psal_computation_json(&r->compared.computation));
    json_object_set_new(key, "images", psal_json_string(text[0]));
    json_object_set_new(key, "statistics", psal_json_string(text[1]));
    return key;
}

json_t *psal_report_numbers(const int64_t *samples, int64_t count) {
    json_t *list = json_array();
    for (int64_t i = 0; i < count; i++) json_array_append_new(list, json_integer(samples[i]));
    return list;
}
