#include "tools/skipped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/print.h"

bool psal_skippable(const psal_error *why) {
    /* The status of a limit that an image exceeds is that of memory, too; a real lack always says so. */
    bool memory = why->status == PSAL_ERR_MEMORY && strstr(why->message, "out of memory");
    return !memory && why->status != PSAL_ERR_CANCELLED;
}

psal_status psal_skipped_error(psal_error *why, const char *name, bool many) {
    bool named = strstr(why->message, name) != NULL, hint = many && psal_skippable(why);
    return psal_fail(why, why->status, "%s%s%s%s", named ? "" : name, named ? "" : ": ", why->message,
                     hint ? " (--skip-bad leaves such images out)" : "");
}

psal_dataset *psal_open_list(const char *spec, const psal_labels *labels, bool skip_bad, psal_notes *notes,
                             psal_error *err) {
    psal_dataset *dataset = psal_dataset_open(spec, labels, skip_bad, notes, err);
    if (dataset || skip_bad || !psal_skippable(err)) return dataset;
    psal_dataset *without = psal_dataset_open(spec, labels, true, NULL, NULL); /* is it this image alone? */
    if (without) psal_skipped_error(err, "", true);
    psal_dataset_free(without);
    return NULL;
}

psal_status psal_skipped_add(psal_skipped *skipped, const char *name, const psal_error *why, psal_error *err) {
    if (skipped->count == skipped->capacity) {
        size_t capacity = skipped->capacity ? 2 * skipped->capacity : 16;
        void *grown = realloc(skipped->at, capacity * sizeof *skipped->at);
        if (!grown) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the images that were skipped");
        skipped->at = grown;
        skipped->capacity = capacity;
    }
    char *name_copy = strdup(name), *reason = strdup(why->message);
    if (!name_copy || !reason) {
        free(name_copy);
        free(reason);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the images that were skipped");
    }
    skipped->at[skipped->count++] = (struct psal_skipped_image){name_copy, reason};
    return PSAL_OK;
}

int psal_skipped_finish(const psal_skipped *skipped, const char *program, size_t total, psal_status status,
                        psal_error *err) {
    if (status != PSAL_OK || skipped->count == 0) return (int)status;
    /* Built as a message, so that the names are made printable in the one place that does that. */
    psal_error line;
    size_t i = 0;
    psal_fail(&line, PSAL_ERR_FORMAT, "%zu of %zu images skipped", skipped->count, total);
    for (; i < skipped->count && strlen(line.message) + strlen(skipped->at[i].name) + 40 < sizeof line.message; i++)
        psal_fail(&line, PSAL_ERR_FORMAT, "%s%s %s", line.message, i ? "," : ":", skipped->at[i].name);
    if (i < skipped->count)
        psal_fail(&line, PSAL_ERR_FORMAT, "%s%s %zu more", line.message, i ? " and" : ":", skipped->count - i);
    fflush(stdout); /* what was said before; whether it arrived is asked at the end */
    psal_print(stderr, "%s: %s\n", program, line.message);
    *err = (psal_error)PSAL_ERROR_INIT;
    return PSAL_EXIT_SKIPPED;
}

json_t *psal_skipped_json(const psal_skipped *skipped) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < skipped->count; i++) {
        json_t *image = json_object();
        bool good = image && json_object_set_new(image, "image", psal_json_string(skipped->at[i].name)) == 0 &&
                    json_object_set_new(image, "reason", psal_json_string(skipped->at[i].reason)) == 0;
        if (good) good = json_array_append(list, image) == 0;
        json_decref(image);
        if (good) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

void psal_skipped_free(psal_skipped *skipped) {
    for (size_t i = 0; i < skipped->count; i++) {
        free(skipped->at[i].name);
        free(skipped->at[i].reason);
    }
    free(skipped->at);
    *skipped = (psal_skipped){0};
}
