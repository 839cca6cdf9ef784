#include "io/json_input.h"

#include "io/json_memory.h"
#include "io/mapped_file.h"

/* A tensor's header entry has one object and two arrays; a Keras model some thirty per layer. Two
 * bytes of "[]" become more than a hundred of tree, so their number is bounded beside the size. */
#define MAX_CONTAINERS 1000000

json_t *psal_json_parse(const void *text, size_t size, psal_error *err) {
    const char *bytes = text;
    size_t containers = 0;
    for (size_t i = 0; i < size; i++) containers += bytes[i] == '{' || bytes[i] == '[';
    if (containers > MAX_CONTAINERS) {
        psal_fail(err, PSAL_ERR_FORMAT, "the JSON holds %zu objects and arrays, at most %d are read", containers,
                  MAX_CONTAINERS);
        return NULL;
    }
    json_error_t reason;
    bool missing;
    json_t *root = psal_json_loadb(bytes, size, &reason, &missing);
    if (missing) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for JSON of %zu bytes", size);
        return NULL;
    }
    if (!root) {
        psal_fail(err, PSAL_ERR_FORMAT, "bad JSON at byte %d: %s", reason.position, reason.text);
        return NULL;
    }
    return root;
}

json_t *psal_json_parse_object(const void *text, size_t size, psal_error *err) {
    json_t *root = psal_json_parse(text, size, err);
    if (root && !json_is_object(root)) {
        psal_fail(err, PSAL_ERR_FORMAT, "the JSON is not an object");
        json_decref(root);
        return NULL;
    }
    return root;
}

psal_status psal_json_load(const char *path, json_t **object, psal_error *err) {
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local;
    psal_mapped_file file = {0};
    bool exists;
    *object = NULL;
    psal_status status = psal_file_exists(path, &exists, err);
    if (status != PSAL_OK || !exists) return status;
    if ((status = psal_map_file(path, &file, err)) != PSAL_OK) return status;
    *object = psal_json_parse_object(file.data, file.size, err);
    psal_unmap_file(&file);
    return *object ? PSAL_OK : psal_fail_prefix(err, "%s", path);
}
