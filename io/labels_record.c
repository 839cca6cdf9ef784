/* labels_record.c - class names as checkpoints record them (psal_labels_recorded of labels.h). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/json_input.h"
#include "io/json_memory.h"
#include "io/json_output.h"
#include "io/labels_internal.h"

enum { LONGEST_NAME = 1000 };

/* "name" or ["n01440764", "name"]. */
static psal_status put_entry(psal_labels *labels, int index, const json_t *entry, psal_error *err) {
    const json_t *first = json_array_get(entry, 0), *second = json_array_get(entry, 1);
    const char *wnid = json_is_array(entry) && json_array_size(entry) == 2 ? json_string_value(first) : NULL;
    const char *name = json_is_array(entry) ? json_string_value(second) : json_string_value(entry);
    if (!name || !*name || strlen(name) > LONGEST_NAME || (json_is_array(entry) && !(wnid && psal_is_wnid(wnid))))
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "entry %d is neither a name of at most %d bytes nor a WordNet id and a name", index,
                         LONGEST_NAME);
    return psal_labels_put(labels, index, wnid, name) ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

static psal_labels *labels_of(const json_t *array, psal_error *err) {
    size_t count = json_array_size(array);
    if (count == 0 || count > PSAL_MAX_CLASSES) {
        psal_fail(err, PSAL_ERR_FORMAT, "%zu names, expected 1 to %d", count, PSAL_MAX_CLASSES);
        return NULL;
    }
    psal_labels *labels = psal_labels_begin((int)count, err);
    if (!labels) return NULL;
    for (size_t i = 0; i < count; i++)
        if (put_entry(labels, (int)i, json_array_get(array, i), err) != PSAL_OK) {
            psal_labels_free(labels);
            return NULL;
        }
    return psal_labels_finish(labels, err);
}

psal_labels *psal_labels_of_json(const char *text, size_t size, int class_count, psal_error *err) {
    json_t *array = psal_json_parse(text, size, err);
    psal_labels *labels = array ? labels_of(array, err) : NULL;
    json_decref(array);
    if (!labels || class_count <= 0 || psal_labels_count(labels) == class_count) return labels;
    psal_fail(err, PSAL_ERR_FORMAT, "%d names, but the network has %d classes", psal_labels_count(labels), class_count);
    psal_labels_free(labels);
    return NULL;
}

psal_labels *psal_labels_recorded(const char *text, int class_count, psal_error *err) {
    psal_labels *labels = NULL;
    const char *set = text && *text ? psal_labels_built_in(text) : "";
    const size_t size = set ? 0 : strnlen(text, PSAL_LABELS_RECORD + 1);
    if (set) {
        labels = psal_labels_open(set, class_count, err);
    } else if (size > PSAL_LABELS_RECORD || *text != '[') {
        psal_fail(err, PSAL_ERR_FORMAT,
                  "'%.40s' is neither imagenet, fashion-mnist, numbers nor a list of names of at most %d bytes", text,
                  PSAL_LABELS_RECORD);
    } else {
        labels = psal_labels_of_json(text, size, class_count, err);
    }
    if (!labels) psal_fail_prefix(err, "the class names recorded in the checkpoint (--labels chooses others)");
    return labels;
}

char *psal_labels_record(const psal_labels *labels, psal_error *err) {
    json_t *array = json_array();
    int failed = !array;
    for (int i = 0; i < psal_labels_count(labels) && !failed; i++) {
        const char *wnid = psal_labels_wnid(labels, i);
        json_t *name = psal_json_string(psal_labels_name(labels, i));
        failed |= json_array_append_new(array, wnid ? json_pack("[s, o]", wnid, name) : name);
    }
    char *text = failed ? NULL : json_dumps(array, JSON_COMPACT);
    json_decref(array);
    if (psal_json_memory_failed()) {
        free(text);
        text = NULL;
    }
    if (!text) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    } else if (strlen(text) > PSAL_LABELS_RECORD) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "the names take %zu bytes, but a checkpoint records at most %d", strlen(text),
                  PSAL_LABELS_RECORD);
        free(text);
        text = NULL;
    }
    return text;
}
