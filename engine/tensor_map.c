#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/tensor.h"

#define DATA_ALIGNMENT 64

struct entry {
    char *name;
    psal_tensor tensor;
};

struct meta {
    char *key, *value;
};

struct memory {
    void *data;
    size_t size;
    void (*release)(void *data, size_t size);
};

struct psal_tensor_map {
    struct entry *entries;
    size_t count, capacity;
    /* Open addressing with linear probing: entry number + 1, 0 for a free slot. A power of two, at
     * most half full. */
    size_t *slots;
    size_t slot_count;
    uint64_t seed; /* so that a hostile file cannot choose names that all meet in one slot */
    struct meta *metas;
    size_t meta_count, meta_capacity;
    struct memory *memories;
    size_t memory_count, memory_capacity;
    const struct psal_description *description;
};

/* Room for one more element in a growing array. */
static bool reserve(void **array, size_t *capacity, size_t count, size_t element) {
    if (count < *capacity) return true;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *grown = reallocarray(*array, wanted, element);
    if (!grown) return false;
    *array = grown;
    *capacity = wanted;
    return true;
}
#define RESERVE(array, count, capacity) reserve((void **)&(array), &(capacity), count, sizeof *(array))

/* FNV-1a, seeded, with a final mix because linear probing looks at the low bits only. */
static size_t hash(const psal_tensor_map *map, const char *name) {
    uint64_t h = 14695981039346656037u ^ map->seed;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211u;
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    return (size_t)(h ^ h >> 29);
}

/* The slot that holds `name`, or the free one where it belongs. The table is never full. */
static size_t find_slot(const psal_tensor_map *map, const char *name) {
    size_t mask = map->slot_count - 1, slot = hash(map, name) & mask;
    while (map->slots[slot] && strcmp(map->entries[map->slots[slot] - 1].name, name) != 0) slot = (slot + 1) & mask;
    return slot;
}

static void fill_slots(psal_tensor_map *map) {
    memset(map->slots, 0, map->slot_count * sizeof *map->slots);
    for (size_t i = 0; i < map->count; i++) map->slots[find_slot(map, map->entries[i].name)] = i + 1;
}

static bool grow_slots(psal_tensor_map *map) {
    if (map->slots && (map->count + 1) * 2 <= map->slot_count) return true;
    size_t wanted = map->slot_count ? map->slot_count * 2 : 64;
    size_t *slots = calloc(wanted, sizeof *slots);
    if (!slots) return false;
    free(map->slots);
    map->slots = slots;
    map->slot_count = wanted;
    fill_slots(map);
    return true;
}

psal_tensor_map *psal_tensor_map_new(void) {
    psal_tensor_map *map = calloc(1, sizeof *map);
    if (!map) return NULL;
    if (getrandom(&map->seed, sizeof map->seed, GRND_NONBLOCK) != (ssize_t)sizeof map->seed)
        map->seed = (uint64_t)(uintptr_t)map;
    if (!grow_slots(map)) {
        free(map);
        return NULL;
    }
    return map;
}

void psal_tensor_map_free(psal_tensor_map *map) {
    if (!map) return;
    for (size_t i = 0; i < map->count; i++) free(map->entries[i].name);
    for (size_t i = 0; i < map->meta_count; i++) {
        free(map->metas[i].key);
        free(map->metas[i].value);
    }
    /* Newest first: a buffer may have been made from what was adopted before it. */
    for (size_t i = map->memory_count; i-- > 0;) map->memories[i].release(map->memories[i].data, map->memories[i].size);
    free(map->entries);
    free(map->slots);
    free(map->metas);
    free(map->memories);
    free(map);
}

static psal_status out_of_memory(const char *name, psal_error *err) {
    return psal_fail(err, PSAL_ERR_MEMORY, "tensor %s: out of memory", name);
}

psal_status psal_tensor_map_add_view(psal_tensor_map *map, const char *name, psal_dtype dtype, const psal_shape *shape,
                                     const void *data, psal_error *err) {
    char text[200];
    if ((unsigned)dtype >= PSAL_DTYPE_COUNT && !(dtype == PSAL_OTHER && data))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "tensor %s: unknown element type %d", name, (int)dtype);
    if (psal_shape_count(shape) < 0)
        return psal_fail(err, PSAL_ERR_SHAPE, "tensor %s: impossible shape %s (%d dimensions)", name,
                         psal_shape_format(shape, text, sizeof text), shape->ndim);
    if (psal_tensor_map_get(map, name)) return psal_fail(err, PSAL_ERR_FORMAT, "tensor %s occurs twice", name);
    char *copy = strdup(name);
    if (!copy || !RESERVE(map->entries, map->count, map->capacity) || !grow_slots(map)) {
        free(copy);
        return out_of_memory(name, err);
    }
    size_t slot = find_slot(map, name);
    map->entries[map->count] = (struct entry){copy, {dtype, *shape, data}};
    map->slots[slot] = ++map->count;
    return PSAL_OK;
}

static void release_heap(void *memory, size_t size) {
    (void)size;
    free(memory);
}

psal_status psal_tensor_map_add_other(psal_tensor_map *map, const char *name, const char *type, const psal_shape *shape,
                                      psal_error *err) {
    char *copy = strndup(type, 100);
    if (!copy) return out_of_memory(name, err);
    psal_status status = psal_tensor_map_adopt(map, copy, 0, release_heap, err);
    if (status != PSAL_OK) {
        free(copy);
        return status;
    }
    return psal_tensor_map_add_view(map, name, PSAL_OTHER, shape, copy, err);
}

void *psal_tensor_map_add(psal_tensor_map *map, const char *name, psal_dtype dtype, const psal_shape *shape,
                          psal_error *err) {
    if (!psal_dtype_size(dtype)) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "tensor %s: unknown element type %d", name, (int)dtype);
        return NULL;
    }
    int64_t count = psal_shape_count(shape);
    size_t bytes = count > 0 ? (size_t)count * psal_dtype_size(dtype) : 0;
    /* calloc, because large blocks come zeroed from the system without being touched; aligned by
     * hand. */
    char *block = calloc(1, bytes + DATA_ALIGNMENT);
    if (!block) {
        char text[200];
        psal_fail(err, PSAL_ERR_MEMORY, "tensor %s: out of memory (%s %s, %zu bytes)", name, psal_dtype_name(dtype),
                  psal_shape_format(shape, text, sizeof text), bytes);
        return NULL;
    }
    if (psal_tensor_map_adopt(map, block, bytes + DATA_ALIGNMENT, release_heap, err) != PSAL_OK) {
        free(block);
        return NULL;
    }
    char *data = block + (DATA_ALIGNMENT - (uintptr_t)block % DATA_ALIGNMENT);
    if (psal_tensor_map_add_view(map, name, dtype, shape, data, err) != PSAL_OK) {
        map->memory_count--;
        free(block);
        return NULL;
    }
    return data;
}

psal_status psal_tensor_map_adopt(psal_tensor_map *map, void *memory, size_t size,
                                  void (*release)(void *memory, size_t size), psal_error *err) {
    if (!RESERVE(map->memories, map->memory_count, map->memory_capacity))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    map->memories[map->memory_count++] = (struct memory){memory, size, release};
    return PSAL_OK;
}

size_t psal_tensor_map_count(const psal_tensor_map *map) {
    return map->count;
}

const char *psal_tensor_map_name(const psal_tensor_map *map, size_t index) {
    return index < map->count ? map->entries[index].name : NULL;
}

const psal_tensor *psal_tensor_map_at(const psal_tensor_map *map, size_t index) {
    return index < map->count ? &map->entries[index].tensor : NULL;
}

const psal_tensor *psal_tensor_map_get(const psal_tensor_map *map, const char *name) {
    size_t found = map->slots[find_slot(map, name)];
    return found ? &map->entries[found - 1].tensor : NULL;
}

size_t psal_tensor_map_find(const psal_tensor_map *map, const char *name) {
    return map->slots[find_slot(map, name)] - 1; /* a free slot holds 0 */
}

psal_status psal_tensor_map_rename(psal_tensor_map *map, size_t index, const char *name, psal_error *err) {
    if (index >= map->count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there is no tensor number %zu, only %zu", index, map->count);
    if (strcmp(map->entries[index].name, name) == 0) return PSAL_OK;
    if (psal_tensor_map_get(map, name))
        return psal_fail(err, PSAL_ERR_FORMAT, "tensor %s cannot be renamed: there is another %s",
                         map->entries[index].name, name);
    char *copy = strdup(name);
    if (!copy) return out_of_memory(name, err);

    /* Take the old name out of its run of slots: whatever stands behind it in the run moves up
     * where it may. */
    size_t mask = map->slot_count - 1, hole = find_slot(map, map->entries[index].name);
    for (size_t slot = (hole + 1) & mask; map->slots[slot]; slot = (slot + 1) & mask) {
        size_t home = hash(map, map->entries[map->slots[slot] - 1].name) & mask;
        if (((slot - home) & mask) < ((slot - hole) & mask)) continue; /* its home lies behind the hole */
        map->slots[hole] = map->slots[slot];
        hole = slot;
    }
    map->slots[hole] = 0;
    map->slots[find_slot(map, copy)] = index + 1;
    free(map->entries[index].name);
    map->entries[index].name = copy;
    return PSAL_OK;
}

void psal_tensor_map_remove(psal_tensor_map *map, size_t index) {
    if (index >= map->count) return;
    free(map->entries[index].name);
    memmove(map->entries + index, map->entries + index + 1, (map->count - index - 1) * sizeof *map->entries);
    map->count--;
    fill_slots(map);
}

static struct meta *find_meta(const psal_tensor_map *map, const char *key) {
    for (size_t i = 0; i < map->meta_count; i++)
        if (strcmp(map->metas[i].key, key) == 0) return &map->metas[i];
    return NULL;
}

psal_status psal_tensor_map_set_meta(psal_tensor_map *map, const char *key, const char *value, psal_error *err) {
    char *copy = strdup(value);
    struct meta *meta = find_meta(map, key);
    if (copy && meta) {
        free(meta->value);
        meta->value = copy;
        return PSAL_OK;
    }
    char *key_copy = strdup(key);
    if (!copy || !key_copy || !RESERVE(map->metas, map->meta_count, map->meta_capacity)) {
        free(copy);
        free(key_copy);
        return psal_fail(err, PSAL_ERR_MEMORY, "metadata %s: out of memory", key);
    }
    map->metas[map->meta_count++] = (struct meta){key_copy, copy};
    return PSAL_OK;
}

const char *psal_tensor_map_meta(const psal_tensor_map *map, const char *key) {
    const struct meta *meta = find_meta(map, key);
    return meta ? meta->value : NULL;
}

size_t psal_tensor_map_meta_count(const psal_tensor_map *map) {
    return map->meta_count;
}

const char *psal_tensor_map_meta_key(const psal_tensor_map *map, size_t index) {
    return index < map->meta_count ? map->metas[index].key : NULL;
}

void psal_tensor_map_describe(psal_tensor_map *map, const struct psal_description *description) {
    map->description = description;
}

const struct psal_description *psal_tensor_map_description(const psal_tensor_map *map) {
    return map->description;
}
