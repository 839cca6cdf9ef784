/* The values of a pickle: their memory, and looking at them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/pickle_internal.h"

#define CHUNK 65536

struct chunk {
    struct chunk *next;
    _Alignas(16) char bytes[];
};

struct psal_pickle {
    psal_pickle_value *root;
    struct chunk *chunks;
    char *free_bytes;
    size_t free_size, used, limit;
    const psal_pickle_storage **storages;
    size_t storage_count, storage_capacity;
};

psal_pickle *psal_pickle_create(size_t limit, psal_error *err) {
    psal_pickle *pickle = calloc(1, sizeof *pickle);
    if (!pickle) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    pickle->limit = limit;
    return pickle;
}

void psal_pickle_free(psal_pickle *pickle) {
    if (!pickle) return;
    while (pickle->chunks) {
        struct chunk *next = pickle->chunks->next;
        free(pickle->chunks);
        pickle->chunks = next;
    }
    free(pickle->storages);
    free(pickle);
}

void *psal_pickle_alloc(psal_pickle *pickle, size_t size, psal_error *err) {
    if (size > pickle->limit - pickle->used) {
        psal_fail(err, PSAL_ERR_FORMAT, "the pickle needs more than %zu bytes of memory: refused", pickle->limit);
        return NULL;
    }
    size = (size + 15) & ~(size_t)15;
    if (size > pickle->free_size) {
        size_t room = size > CHUNK ? size : CHUNK;
        struct chunk *chunk = calloc(1, sizeof *chunk + room);
        if (!chunk) {
            psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
            return NULL;
        }
        chunk->next = pickle->chunks;
        pickle->chunks = chunk;
        pickle->free_bytes = chunk->bytes;
        pickle->free_size = room;
    }
    void *memory = pickle->free_bytes;
    pickle->free_bytes += size;
    pickle->free_size -= size;
    pickle->used += size < pickle->limit - pickle->used ? size : pickle->limit - pickle->used;
    return memory;
}

psal_pickle_value *psal_pickle_new(psal_pickle *pickle, psal_pickle_kind kind, psal_error *err) {
    psal_pickle_value *value = psal_pickle_alloc(pickle, sizeof *value, err);
    if (value) value->kind = kind;
    return value;
}

psal_status psal_pickle_append(psal_pickle *pickle, psal_pickle_value *list, psal_pickle_value *item, psal_error *err) {
    if (list->list.count == list->list.capacity) {
        size_t capacity = list->list.capacity ? list->list.capacity * 2 : 4;
        psal_pickle_value **items = psal_pickle_alloc(pickle, capacity * sizeof *items, err);
        if (!items) return PSAL_ERR_MEMORY;
        if (list->list.count) memcpy(items, list->list.items, list->list.count * sizeof *items);
        list->list.items = items;
        list->list.capacity = capacity;
    }
    list->list.items[list->list.count++] = item;
    return PSAL_OK;
}

bool psal_pickle_grow(void **array, size_t *capacity, size_t wanted, size_t element) {
    if (wanted <= *capacity) return true;
    size_t larger = *capacity ? *capacity : 64;
    while (larger < wanted) larger *= 2;
    void *grown = reallocarray(*array, larger, element);
    if (!grown) return false;
    memset((char *)grown + *capacity * element, 0, (larger - *capacity) * element);
    *array = grown;
    *capacity = larger;
    return true;
}

psal_status psal_pickle_register_storage(psal_pickle *pickle, psal_pickle_storage *storage, psal_error *err) {
    if (!psal_pickle_grow((void **)&pickle->storages, &pickle->storage_capacity, pickle->storage_count + 1,
                          sizeof *pickle->storages))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    pickle->storages[pickle->storage_count++] = storage;
    return PSAL_OK;
}

/* ---- looking at the result ---- */

void psal_pickle_set_root(psal_pickle *pickle, psal_pickle_value *root) {
    pickle->root = root;
}

psal_pickle_value *psal_pickle_root(const psal_pickle *pickle) {
    return pickle->root;
}

size_t psal_pickle_storage_count(const psal_pickle *pickle) {
    return pickle->storage_count;
}

const psal_pickle_storage *psal_pickle_storage_at(const psal_pickle *pickle, size_t index) {
    return pickle->storages[index];
}

bool psal_pickle_is_string(const psal_pickle_value *value, const char *text) {
    return value->kind == PSAL_PICKLE_STRING && value->text.size == strlen(text) &&
           memcmp(value->text.bytes, text, value->text.size) == 0;
}

psal_pickle_value *psal_pickle_get(const psal_pickle_value *dict, const char *key) {
    if (dict->kind != PSAL_PICKLE_DICT) return NULL;
    for (size_t i = dict->list.count; i >= 2; i -= 2)
        if (psal_pickle_is_string(dict->list.items[i - 2], key)) return dict->list.items[i - 1];
    return NULL;
}

const char *psal_pickle_describe(const psal_pickle_value *value, char *text, size_t size) {
    char shape[96];
    switch (value->kind) {
    case PSAL_PICKLE_NONE:
        snprintf(text, size, "None");
        break;
    case PSAL_PICKLE_BOOL:
        snprintf(text, size, "%s", value->integer ? "True" : "False");
        break;
    case PSAL_PICKLE_INT:
        snprintf(text, size, "the number %" PRId64, value->integer);
        break;
    case PSAL_PICKLE_BIG_INT:
        snprintf(text, size, "a huge number");
        break;
    case PSAL_PICKLE_FLOAT:
        psal_snprintf(text, size, "the number %g", value->real);
        break;
    case PSAL_PICKLE_STRING:
        snprintf(text, size, "the string '%.*s'", value->text.size < 60 ? (int)value->text.size : 60,
                 value->text.bytes);
        break;
    case PSAL_PICKLE_BYTES:
        snprintf(text, size, "%zu bytes", value->text.size);
        break;
    case PSAL_PICKLE_LIST:
        snprintf(text, size, "a list of %zu", value->list.count);
        break;
    case PSAL_PICKLE_TUPLE:
        snprintf(text, size, "a tuple of %zu", value->list.count);
        break;
    case PSAL_PICKLE_SET:
        snprintf(text, size, "a set");
        break;
    case PSAL_PICKLE_DICT:
        snprintf(text, size, "a dictionary of %zu", value->list.count / 2);
        break;
    case PSAL_PICKLE_DTYPE:
        snprintf(text, size, "an element type");
        break;
    case PSAL_PICKLE_STORAGE:
        snprintf(text, size, "a storage");
        break;
    case PSAL_PICKLE_TENSOR:
        snprintf(text, size, "a %s tensor %s",
                 value->tensor->dtype == PSAL_OTHER ? value->tensor->type : psal_dtype_name(value->tensor->dtype),
                 psal_shape_format(&value->tensor->shape, shape, sizeof shape));
        break;
    case PSAL_PICKLE_NAME:
        snprintf(text, size, "a class or function");
        break;
    case PSAL_PICKLE_OPAQUE: {
        const psal_pickle_name *name = value->list.of;
        snprintf(text, size, "%.*s%s%.*s", (int)(name->module_size < 80 ? name->module_size : 80), name->module,
                 name->module_size ? "." : "", (int)(name->name_size < 80 ? name->name_size : 80), name->name);
        if (!*text) snprintf(text, size, "an object without a name");
        break;
    }
    }
    return text;
}
