#include "tools/init_classes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_input.h"
#include "io/json_output.h"
#include "tools/folder_labels.h"

enum { MOST_LISTED = 10 };

static psal_status fail_other_number(const psal_session *session, const char *data, bool skip_bad, psal_error *err) {
    char list[MOST_LISTED * 46 + 8] = "";
    size_t used = 0;
    int folders;
    psal_labels *names = psal_folder_labels(data, 0, skip_bad, &folders, err);
    if (!names) return psal_error_status(err);
    for (int i = 0; i < folders && i < MOST_LISTED; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.40s", i ? ", " : "", psal_labels_name(names, i));
    if (folders > MOST_LISTED) snprintf(list + used, sizeof list - used, ", ...");
    psal_labels_free(names);
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "%s has %d class folders (%s), but the network %d classes: which folder is which class? Give "
                     "--labels, a file with the names of all classes in their order",
                     data, folders, list, session->info->num_classes);
}

/* NULL with *err empty: there are none. */
static psal_labels *from_folders(const psal_session *session, const char *data, bool skip_bad, psal_error *err) {
    int folders;
    psal_labels *labels = psal_folder_labels(data, session->info->num_classes, skip_bad, &folders, err);
    if (!labels && folders > 0 && err->status == PSAL_OK) fail_other_number(session, data, skip_bad, err);
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
