#include "io/json_input.h"

/* A tensor's header entry has one object and two arrays; a Keras model some thirty per layer. Two
 * bytes of "[]" become more than a hundred of tree, so their number is bounded beside the size. */
#define MAX_CONTAINERS 1000000

json_t *psal_json_parse_object(const void *text, size_t size, psal_error *err) {
    const char *bytes = text;
    size_t containers = 0;
    for (size_t i = 0; i < size; i++) containers += bytes[i] == '{' || bytes[i] == '[';
    if (containers > MAX_CONTAINERS) {
        psal_fail(err, PSAL_ERR_FORMAT, "the JSON holds %zu objects and arrays, at most %d are read", containers,
                  MAX_CONTAINERS);
        return NULL;
    }
    json_error_t reason;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &reason);
    if (!root) {
        psal_fail(err, PSAL_ERR_FORMAT, "bad JSON at byte %d: %s", reason.position, reason.text);
        return NULL;
    }
    if (!json_is_object(root)) {
        psal_fail(err, PSAL_ERR_FORMAT, "the JSON is not an object");
        json_decref(root);
        return NULL;
    }
    return root;
}
