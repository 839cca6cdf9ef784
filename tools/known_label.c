#include "tools/known_label.h"

#include <errno.h>
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

/* Of the many files of a data set only those are looked at that are called alike. *two: it is a sample under two
 * classes, and *label is none of them. */
static psal_status label_of(const psal_dataset *dataset, const char *image, int *label, bool *two, psal_error *err) {
    struct stat info, other;
    *label = PSAL_NO_LABEL;
    *two = false;
    if (stat(image, &info) != 0) return PSAL_OK; /* who opens it says so */
    for (size_t i = 0; i < psal_dataset_count(dataset); i++) {
        const char *path = psal_dataset_path(dataset, i);
        if (!path || psal_dataset_label(dataset, i) < 0 || strcmp(file_name(path), file_name(image)) != 0) continue;
        if (stat(path, &other) != 0) return psal_fail(err, PSAL_ERR_IO, "%s: %s", path, strerror(errno));
        if (other.st_dev != info.st_dev || other.st_ino != info.st_ino) continue;
        *two |= *label != PSAL_NO_LABEL && *label != psal_dataset_label(dataset, i);
        *label = psal_dataset_label(dataset, i);
    }
    if (*two) *label = PSAL_NO_LABEL;
    return PSAL_OK;
}

psal_status psal_known_labels(const psal_options *options, const psal_labels *labels, const char *const *images,
                              size_t count, int *known, psal_notes *notes, psal_error *err) {
    const char *data = psal_known_data(options);
    for (size_t i = 0; i < count; i++) known[i] = PSAL_NO_LABEL;
    if (!data || count == 0) return PSAL_OK;
    psal_notes doubts = PSAL_NOTES_INIT;
    bool two = false, any = false;
    psal_dataset *dataset = psal_open_list(data, labels, true, &doubts, err);
    psal_status status = dataset ? PSAL_OK : psal_error_status(err);
    for (size_t i = 0; i < count && status == PSAL_OK; i++) {
        status = label_of(dataset, images[i], &known[i], &two, err);
        any |= status == PSAL_OK && known[i] != PSAL_NO_LABEL;
        if (status == PSAL_OK && two) {
            psal_fail(err, PSAL_ERR_ARGUMENT,
                      "%.300s is a sample of %.300s under two classes: --image-target-label says which", images[i],
                      data);
            break;
        }
        if (status == PSAL_OK && known[i] != PSAL_NO_LABEL)
            psal_note(notes, "%s is a sample of %s: its class there, %s, is taken for the true one", images[i], data,
                      psal_labels_name(labels, known[i]));
    }
    psal_dataset_free(dataset);
    for (size_t i = 0; i < doubts.count && any; i++) /* folders that were numbered by their order, say */
        if (doubts.warning[i]) psal_note_warning(notes, "%s", doubts.lines[i]);
    psal_notes_free(&doubts);
    if (status == PSAL_OK) return two ? psal_error_status(err) : PSAL_OK;
    psal_project_name_source(options, err);
    return psal_fail(err, status, "%.300s: its class is looked for in %.300s, but %.300s; --image-target-label says it",
                     images[0], data, err->message);
}

void psal_note_other_labels(const psal_options *options, const psal_labels *labels, const char *const *images,
                            size_t count, const int *given, psal_notes *notes) {
    const char *data = psal_known_data(options);
    psal_error unknown = PSAL_ERROR_INIT; /* a note is never worth failing for */
    psal_dataset *dataset = data ? psal_open_list(data, labels, true, NULL, &unknown) : NULL;
    for (size_t i = 0; i < count && dataset; i++) {
        int known;
        bool two;
        if (label_of(dataset, images[i], &known, &two, &unknown) == PSAL_OK && given[i] >= 0 && known >= 0 &&
            known != given[i])
            psal_note(notes, "%s is a sample of %s, which calls it %s: %s, as given, is taken for the true class",
                      images[i], data, psal_labels_name(labels, known), psal_labels_name(labels, given[i]));
    }
    psal_dataset_free(dataset);
}
