#include "tools/folder_labels.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/dataset.h"
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

psal_labels *psal_folder_labels(const char *data, int classes, bool skip_bad, int *folders, psal_error *err) {
    struct stat info;
    const char *folder = strncmp(data, "folder:", strlen("folder:")) == 0 ? data + strlen("folder:") : data;
    *folders = 0;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)) return NULL;
    psal_dataset *dataset = psal_open_list(data, NULL, skip_bad, NULL, err);
    int count = 0;
    psal_labels *labels = NULL;
    if (dataset && has_class_folders(dataset, data, &count)) {
        *folders = count;
        if (classes == 0 || count == classes) labels = names_of_folders(dataset, count, err);
    }
    psal_dataset_free(dataset);
    return labels;
}

bool psal_labels_are_numbers(const psal_labels *labels) {
    for (int c = 0; c < psal_labels_count(labels); c++) {
        const char *name = psal_labels_name(labels, c);
        if (name[strspn(name, "0123456789")] != '\0') return false;
    }
    return true;
}
