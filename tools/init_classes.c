#include "tools/init_classes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/json_input.h"
#include "io/json_output.h"
#include "tools/skipped.h"

/* Whether every sample lies in a class folder, and how many there are of these. */
static bool has_class_folders(const psal_dataset *dataset, const char *data, int *folders) {
    *folders = 0;
    if (strncmp(data, "folder:", strlen("folder:")) != 0 && psal_dataset_path(dataset, 0) == NULL) return false;
    for (size_t i = 0; i < psal_dataset_count(dataset); i++) {
        const char *name = psal_dataset_name(dataset, i);
        if (*name == '/' || !strchr(name, '/') || psal_dataset_label(dataset, i) < 0) return false;
        if (psal_dataset_label(dataset, i) >= *folders) *folders = psal_dataset_label(dataset, i) + 1;
    }
    return true;
}

/* The list of the folders' names, in the order of their numbers. */
static psal_labels *names_of_folders(const psal_dataset *dataset, int folders, psal_error *err) {
    json_t *names = json_array();
    for (int c = 0; c < folders; c++) json_array_append_new(names, json_null());
    for (size_t i = 0; i < psal_dataset_count(dataset); i++) {
        const char *name = psal_dataset_name(dataset, i);
        const size_t label = (size_t)psal_dataset_label(dataset, i), length = strcspn(name, "/");
        if (!json_is_null(json_array_get(names, label))) continue;
        char *folder = strndup(name, length);
        json_array_set_new(names, label, psal_json_string(folder));
        free(folder);
    }
    char *text = json_dumps(names, JSON_COMPACT);
    json_decref(names);
    psal_labels *labels = text ? psal_labels_open(text, folders, err) : NULL;
    if (!text) psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    free(text);
    return labels;
}

/* NULL with *err empty: there are none. */
static psal_labels *from_folders(const psal_session *session, const char *data, bool skip_bad, psal_error *err) {
    const int classes = session->info->num_classes;
    struct stat info;
    const char *folder = strncmp(data, "folder:", strlen("folder:")) == 0 ? data + strlen("folder:") : data;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)) return NULL;
    int folders;
    psal_dataset *dataset = psal_open_list(data, NULL, skip_bad, NULL, err);
    psal_labels *labels = NULL;
    if (dataset && has_class_folders(dataset, data, &folders)) {
        if (folders == classes)
            labels = names_of_folders(dataset, folders, err);
        else
            psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "%s has %d class folders, but the network %d classes: which folder is which class? Give --labels, "
                "a file with the names of all classes in their order",
                data, folders, classes);
    }
    psal_dataset_free(dataset);
    return labels;
}

psal_labels *psal_init_labels(const psal_session *session, const char *given, const char *data, bool skip_bad,
                              const char **from, psal_error *err) {
    const int classes = session->info->num_classes;
    const char *recorded = psal_tensor_map_meta(session->checkpoint, "psal.labels");
    *from = "given";
    if (given) return psal_labels_open(given, classes, err);
    *from = "recorded";
    if ((recorded && *recorded) || session->fetched) return psal_labels_recorded(recorded, classes, err);
    *from = "folder names";
    psal_labels *labels = from_folders(session, data, skip_bad, err);
    if (labels || err->status != PSAL_OK) return labels;
    *from = "numbers";
    return psal_labels_numbered(classes, err);
}

json_t *psal_init_labels_json(const psal_labels *labels, psal_error *err) {
    if (!psal_labels_have_names(labels)) return psal_json_string("numbers");
    char *text = psal_labels_record(labels, err);
    json_t *list = text ? psal_json_parse(text, strlen(text), err) : NULL;
    free(text);
    return list;
}
