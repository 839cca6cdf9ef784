/* labels_tree.c - class names from lists and dictionaries: JSON's, or printed by Python. */
#include <string.h>

#include "io/labels_forms.h"

/* Where configurations and data sets keep their names, the more telling first. */
static const char *const nested[] = {"id2label",    "label2id",    "idx_to_class", "class_to_idx", "names",
                                     "class_names", "label_names", "classes",      "labels",       "categories"};
enum { NESTED = sizeof nested / sizeof *nested, DEEPEST = 3 };

static bool is_container(const json_t *value) {
    return json_is_object(value) || json_is_array(value);
}

static const char *text_of(const json_t *value) {
    return json_is_string(value) ? json_string_value(value) : NULL;
}

/* A class number as a number or as its digits. */
static bool number_of(const json_t *value, int64_t *number) {
    if (!json_is_integer(value)) return json_is_string(value) && psal_class_number(json_string_value(value), number);
    *number = json_integer_value(value);
    return *number >= 0 && *number < PSAL_MAX_CLASSES;
}

static psal_status refuse(const psal_class_rows *rows, psal_error *err) {
    return psal_class_rows_refuse(rows, 0, "a list or dictionary of another form", err);
}

/* {"id": 3, "name": "cat"}; the index is `index` unless the object tells it. */
static psal_status add_object(psal_class_rows *rows, json_t *object, int64_t index, psal_error *err) {
    const char *key, *name = NULL, *wnid = NULL, *either = NULL;
    bool found = index >= 0;
    int64_t number;
    json_t *value;
    json_object_foreach(object, key, value) {
        psal_class_title title = psal_class_title_of(key);
        const char *text = text_of(value);
        if (text && psal_is_wnid(text) && title != PSAL_TITLE_OTHER && title != PSAL_TITLE_NAME) {
            wnid = text;
        } else if (text && title == PSAL_TITLE_NAME && !name) {
            name = text;
        } else if (text && title == PSAL_TITLE_EITHER) {
            either = text;
        } else if (json_is_integer(value) && title != PSAL_TITLE_OTHER && title != PSAL_TITLE_NAME &&
                   number_of(value, &number)) {
            if (found && number != index) return refuse(rows, err);
            index = number;
            found = true;
        }
    }
    if (!name) name = either;
    return name || wnid ? psal_class_rows_add(rows, index, 0, wnid, name, err) : refuse(rows, err);
}

/* A class given by [wnid, name], [number, name] or [name, number]. */
static psal_status add_pair(psal_class_rows *rows, const json_t *pair, int64_t index, psal_error *err) {
    json_t *first = json_array_get(pair, 0), *second = json_array_get(pair, 1);
    int64_t number;
    if (json_array_size(pair) == 2 && text_of(first) && psal_is_wnid(text_of(first)) && text_of(second))
        return psal_class_rows_add(rows, index, 0, text_of(first), text_of(second), err);
    if (json_array_size(pair) != 2 || index >= 0) return refuse(rows, err);
    if (json_is_integer(first) && text_of(second) && number_of(first, &number))
        return psal_class_rows_add(rows, number, 0, NULL, text_of(second), err);
    if (json_is_integer(second) && text_of(first) && number_of(second, &number))
        return psal_class_rows_add(rows, number, 0, NULL, text_of(first), err);
    return refuse(rows, err);
}

/* A class of which all but perhaps the number is in `value`. */
static psal_status add_value(psal_class_rows *rows, json_t *value, int64_t index, psal_error *err) {
    if (json_is_string(value)) return psal_class_rows_add(rows, index, 0, NULL, json_string_value(value), err);
    if (json_is_array(value)) return add_pair(rows, value, index, err);
    return json_is_object(value) ? add_object(rows, value, index, err) : refuse(rows, err);
}

/* A class called `key` (its name, or its WordNet id) with this number. */
static psal_status add_key(psal_class_rows *rows, const char *key, int64_t index, psal_error *err) {
    return psal_is_wnid(key) ? psal_class_rows_add(rows, index, 0, key, NULL, err)
                             : psal_class_rows_add(rows, index, 0, NULL, key, err);
}

static psal_status from_object(psal_class_rows *rows, json_t *object, psal_error *err) {
    size_t count = json_object_size(object), integers = 0, numbers = 0, numbered_keys = 0, wnids = 0, texts = 0;
    const char *key, *before = "";
    bool sorted = true;
    int64_t number;
    json_t *value;
    json_object_foreach(object, key, value) {
        integers += json_is_integer(value);
        numbers += number_of(value, &number);
        texts += json_is_string(value);
        numbered_keys += psal_class_number(key, &number);
        wnids += psal_is_wnid(key);
        sorted = sorted && strcmp(before, key) < 0;
        before = key;
    }
    /* {"cat": 0}, also where names are digits ({"10": 2}); {"0": ...}; {"cat": "0"}; {"n02121808": "cat"} in the ids'
     * order. */
    bool by_name = integers == count || (numbers == count && numbered_keys == 0);
    bool by_number = !by_name && numbered_keys == count,
         by_wnid = !by_name && wnids == count && texts == count && sorted;
    if (!by_name && !by_number && !by_wnid) return refuse(rows, err);
    psal_status status = PSAL_OK;
    json_object_foreach(object, key, value) {
        if (status != PSAL_OK) break;
        number = -1;
        if (by_name)
            status = number_of(value, &number) ? add_key(rows, key, number, err) : refuse(rows, err);
        else if (by_wnid)
            status = psal_class_rows_add(rows, -1, 0, key, json_string_value(value), err);
        else
            status = psal_class_number(key, &number) ? add_value(rows, value, number, err) : refuse(rows, err);
    }
    return status;
}

static psal_status from_array(psal_class_rows *rows, json_t *array, psal_error *err) {
    psal_status status = PSAL_OK;
    json_t *value, *first = json_array_get(array, 0);
    size_t i;
    json_array_foreach(array, i, value) {
        if (status != PSAL_OK) break;
        status = json_typeof(value) == json_typeof(first) ? add_value(rows, value, -1, err) : refuse(rows, err);
    }
    return status;
}

static psal_status from_tree(psal_class_rows *rows, json_t *tree, int depth, psal_error *err) {
    if (json_is_array(tree)) return from_array(rows, tree, err);
    if (!json_is_object(tree)) return refuse(rows, err);
    json_t *inner = NULL;
    for (int i = 0; i < NESTED && !is_container(inner); i++) inner = json_object_get(tree, nested[i]);
    if (!is_container(inner) && json_object_size(tree) == 1) {
        void *only = json_object_iter(tree);
        int64_t number;
        inner = psal_class_number(json_object_iter_key(only), &number) ? NULL : json_object_iter_value(only);
    }
    if (!is_container(inner)) return from_object(rows, tree, err);
    return depth < DEEPEST ? from_tree(rows, inner, depth + 1, err) : refuse(rows, err);
}

psal_status psal_class_rows_from_tree(psal_class_rows *rows, const json_t *tree, psal_error *err) {
    return from_tree(rows, (json_t *)tree, 0, err);
}
