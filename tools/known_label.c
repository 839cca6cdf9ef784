#include "tools/known_label.h"

#include <string.h>
#include <sys/stat.h>

#include "io/dataset.h"
#include "tools/project.h"
#include "tools/skipped.h"

const char *psal_known_data(const psal_options *options) {
    const char *given = psal_options_knows(options, "data") ? psal_options_string(options, "data") : NULL;
    return given ? given : psal_project_data(options);
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Of the many files of a data set only those are looked at that are called alike. */
static bool is_file(const char *path, const char *image, const struct stat *info) {
    struct stat other;
    return path && strcmp(file_name(path), file_name(image)) == 0 && stat(path, &other) == 0 &&
           other.st_dev == info->st_dev && other.st_ino == info->st_ino;
}

static int label_of(const psal_dataset *dataset, const char *image) {
    struct stat info;
    if (stat(image, &info) != 0) return PSAL_NO_LABEL;
    for (size_t i = 0; i < psal_dataset_count(dataset); i++)
        if (psal_dataset_label(dataset, i) >= 0 && is_file(psal_dataset_path(dataset, i), image, &info))
            return psal_dataset_label(dataset, i);
    return PSAL_NO_LABEL;
}

void psal_known_labels(const psal_options *options, const psal_labels *labels, const char *const *images, size_t count,
                       int *known, psal_notes *notes) {
    const char *data = psal_known_data(options);
    psal_error unused = PSAL_ERROR_INIT;
    psal_dataset *dataset = data ? psal_open_list(data, labels, true, NULL, &unused) : NULL;
    for (size_t i = 0; i < count; i++) {
        known[i] = dataset ? label_of(dataset, images[i]) : PSAL_NO_LABEL;
        if (known[i] != PSAL_NO_LABEL)
            psal_note(notes, "%s is a sample of %s: its class there, %s, is taken for the true one", images[i], data,
                      psal_labels_name(labels, known[i]));
    }
    psal_dataset_free(dataset);
}
