#include "io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"
#include "io/json_input.h"
#include "io/json_memory.h"
#include "io/mapped_file.h"

#define MAX_HEADER (100u << 20) /* the limit of the reference implementation */
#define MAX_METADATA 10000
#define HEADER_ALIGNMENT 64

static const struct {
    const char *name;
    psal_dtype dtype;
} dtypes[] = {
    {"F32", PSAL_F32}, {"F64", PSAL_F64}, {"F16", PSAL_F16}, {"BF16", PSAL_BF16}, {"I64", PSAL_I64},
    {"I32", PSAL_I32}, {"I16", PSAL_I16}, {"I8", PSAL_I8},   {"U8", PSAL_U8},     {"BOOL", PSAL_BOOL},
};
_Static_assert(sizeof dtypes / sizeof *dtypes == PSAL_DTYPE_COUNT, "one row per element type");

/* Types of the format that psal has none for; there may be more by now, of sizes that are not known here. */
static const struct {
    const char *name;
    size_t size;
} other_types[] = {{"U16", 2}, {"U32", 4}, {"U64", 8}, {"C64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};

static uint64_t little_endian_64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

struct range {
    uint64_t begin, end;
    const char *name;
};

/* Check one header entry and add its tensor; `data` is the buffer of `size` bytes behind the
 * header. */
static psal_status read_entry(const char *name, json_t *entry, const uint8_t *data, uint64_t size, psal_tensor_map *map,
                              struct range *range, psal_error *err) {
    json_t *shape_json = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (!type || !json_is_array(shape_json) || json_array_size(offsets) != 2)
        return psal_fail(err, PSAL_ERR_FORMAT, "tensor %s: dtype, shape or data_offsets missing", name);
    int dtype = -1;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, type) == 0) dtype = (int)dtypes[i].dtype;
    size_t element = dtype < 0 ? 0 : psal_dtype_size((psal_dtype)dtype);
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
        if (strcmp(other_types[i].name, type) == 0) element = other_types[i].size;

    if (json_array_size(shape_json) > PSAL_MAX_DIMS)
        return psal_fail(err, PSAL_ERR_FORMAT, "tensor %s: %zu dimensions, at most %d are read", name,
                         json_array_size(shape_json), PSAL_MAX_DIMS);
    psal_shape shape = {.ndim = (int)json_array_size(shape_json)};
    for (int i = 0; i < shape.ndim; i++) {
        json_t *dim = json_array_get(shape_json, (size_t)i);
        if (!json_is_integer(dim)) return psal_fail(err, PSAL_ERR_FORMAT, "tensor %s: bad shape", name);
        shape.dim[i] = json_integer_value(dim);
    }
    char text[200];
    psal_shape_format(&shape, text, sizeof text);
    int64_t count = psal_shape_count(&shape);
    if (count < 0) return psal_fail(err, PSAL_ERR_FORMAT, "tensor %s: impossible shape %s", name, text);

    json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(last);
    if (!json_is_integer(first) || !json_is_integer(last) || begin < 0 || end < begin || (uint64_t)end > size)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "tensor %s: bytes %" PRId64 " to %" PRId64 " are outside the data of %" PRIu64 " bytes%s",
                         name, begin, end, size, end > begin ? " (a truncated file?)" : "");
    if (element && (uint64_t)(end - begin) != (uint64_t)count * element)
        return psal_fail(
            err, PSAL_ERR_FORMAT, "tensor %s: %.40s %s needs %" PRIu64 " bytes, the header gives it %" PRId64, name,
            dtype < 0 ? type : psal_dtype_name((psal_dtype)dtype), text, (uint64_t)count * element, end - begin);
    *range = (struct range){(uint64_t)begin, (uint64_t)end, name};
    if (dtype < 0) return psal_tensor_map_add_other(map, name, type, &shape, err);
    if ((uintptr_t)(data + begin) % element == 0)
        return psal_tensor_map_add_view(map, name, (psal_dtype)dtype, &shape, data + begin, err);
    void *copy = psal_tensor_map_add(map, name, (psal_dtype)dtype, &shape, err);
    if (!copy) return psal_error_status(err);
    memcpy(copy, data + begin, (size_t)(end - begin));
    return PSAL_OK;
}

/* The reference implementation takes null as no metadata. */
static psal_status read_metadata(json_t *object, psal_tensor_map *map, psal_error *err) {
    if (json_is_null(object)) return PSAL_OK;
    if (!json_is_object(object) || json_object_size(object) > MAX_METADATA)
        return psal_fail(err, PSAL_ERR_FORMAT, "__metadata__ is not an object of at most %d strings", MAX_METADATA);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (json_is_null(value)) continue;
        if (!json_is_string(value)) return psal_fail(err, PSAL_ERR_FORMAT, "metadata %s is not a string", key);
        psal_status status = psal_tensor_map_set_meta(map, key, json_string_value(value), err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static int compare_ranges(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The buffer must be divided without overlaps and without bytes that belong to nobody. */
static psal_status check_ranges(struct range *ranges, size_t count, uint64_t size, psal_error *err) {
    qsort(ranges, count, sizeof *ranges, compare_ranges);
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].begin == ranges[i].end) continue; /* no bytes, wherever they are */
        if (ranges[i].begin < at)
            return psal_fail(err, PSAL_ERR_FORMAT, "tensors %s and %s overlap", ranges[i - 1].name, ranges[i].name);
        if (ranges[i].begin > at)
            return psal_fail(err, PSAL_ERR_FORMAT, "%" PRIu64 " bytes before tensor %s belong to no tensor",
                             ranges[i].begin - at, ranges[i].name);
        at = ranges[i].end;
    }
    if (at != size)
        return psal_fail(err, PSAL_ERR_FORMAT, "%" PRIu64 " bytes at the end belong to no tensor", size - at);
    return PSAL_OK;
}

static psal_status read_all(const psal_mapped_file *file, psal_tensor_map *map, psal_error *err) {
    if (file->size < 8) return psal_fail(err, PSAL_ERR_FORMAT, "%zu bytes are no safetensors file", file->size);
    uint64_t header = little_endian_64(file->data);
    if (header > MAX_HEADER || header > file->size - 8)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "a header of %" PRIu64 " bytes does not fit the file of %zu (a truncated file?)", header,
                         file->size);
    const uint8_t *data = file->data + 8 + header;
    uint64_t size = file->size - 8 - header;
    json_t *root = psal_json_parse_object(file->data + 8, (size_t)header, err);
    if (!root) return psal_error_status(err);

    size_t count = 0;
    struct range *ranges = calloc(json_object_size(root) + 1, sizeof *ranges);
    psal_status status = ranges ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    const char *name;
    json_t *entry;
    if (status == PSAL_OK) {
        json_object_foreach(root, name, entry) {
            if (strcmp(name, "__metadata__") == 0)
                status = read_metadata(entry, map, err);
            else
                status = read_entry(name, entry, data, size, map, &ranges[count++], err);
            if (status != PSAL_OK) break;
        }
    }
    if (status == PSAL_OK) status = check_ranges(ranges, count, size, err);
    free(ranges);
    json_decref(root);
    return status;
}

psal_tensor_map *psal_safetensors_read(const char *path, psal_error *err) {
    psal_mapped_file file;
    if (psal_map_file(path, &file, err) != PSAL_OK) return NULL;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_status status = map ? psal_tensor_map_adopt(map, (void *)(uintptr_t)file.data, file.size, psal_mapped_release,
                                                     err)
                             : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status != PSAL_OK) {
        psal_unmap_file(&file);
    } else {
        status = read_all(&file, map, err);
    }
    if (status != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
        psal_tensor_map_free(map);
        return NULL;
    }
    return map;
}

static const char *type_name(psal_dtype dtype) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    return NULL;
}

static size_t bytes_of(const psal_tensor *tensor) {
    return (size_t)psal_shape_count(&tensor->shape) * psal_dtype_size(tensor->dtype);
}

static const size_t sizes_in_order[] = {8, 4, 2, 1};

/* The header's JSON text (free() it), NULL with *err. */
static char *header_text(const psal_tensor_map *map, psal_error *err) {
    json_t *root = json_object();
    int failed = 0;
    if (psal_tensor_map_meta_count(map)) {
        json_t *meta = json_object();
        for (size_t i = 0; i < psal_tensor_map_meta_count(map); i++) {
            const char *key = psal_tensor_map_meta_key(map, i);
            if (json_object_set_new(meta, key, json_string(psal_tensor_map_meta(map, key))) != 0) {
                if (psal_json_memory_failed())
                    psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
                else
                    psal_fail(err, PSAL_ERR_ARGUMENT, "metadata %s is not UTF-8", key);
                json_decref(meta);
                json_decref(root);
                return NULL;
            }
        }
        failed |= json_object_set_new(root, "__metadata__", meta);
    }
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        if (tensor->dtype != PSAL_OTHER) continue;
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "tensor %s holds %s, which cannot be written",
                  psal_tensor_map_name(map, i), psal_tensor_type(tensor));
        json_decref(root);
        return NULL;
    }
    size_t at = 0;
    for (int order = 0; order < 4; order++)
        for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
            const psal_tensor *tensor = psal_tensor_map_at(map, i);
            const char *name = psal_tensor_map_name(map, i);
            if (psal_dtype_size(tensor->dtype) != sizes_in_order[order]) continue;
            json_t *shape = json_array();
            for (int d = 0; d < tensor->shape.ndim; d++)
                failed |= json_array_append_new(shape, json_integer(tensor->shape.dim[d]));
            size_t end = at + bytes_of(tensor);
            json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_name(tensor->dtype), "shape", shape,
                                      "data_offsets", (json_int_t)at, (json_int_t)end);
            if (strcmp(name, "__metadata__") == 0 || json_object_set_new(root, name, entry) != 0) {
                if (strcmp(name, "__metadata__") == 0) json_decref(entry);
                if (psal_json_memory_failed())
                    psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
                else
                    psal_fail(err, PSAL_ERR_ARGUMENT, "tensor name %s cannot be written (not UTF-8, or reserved)",
                              name);
                json_decref(root);
                return NULL;
            }
            at = end;
        }
    char *text = failed ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (psal_json_memory_failed()) {
        free(text);
        text = NULL;
    }
    if (!text) psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    return text;
}

psal_status psal_safetensors_write(const char *path, const psal_tensor_map *map, psal_error *err) {
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local;
    char *text = header_text(map, err);
    if (!text) return psal_fail_prefix(err, "%s", path);
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) {
        free(text);
        return psal_error_status(err);
    }
    size_t length = strlen(text), padding = (HEADER_ALIGNMENT - (8 + length) % HEADER_ALIGNMENT) % HEADER_ALIGNMENT;
    uint64_t total = length + padding;
    uint8_t size[8];
    for (int i = 0; i < 8; i++) size[i] = (uint8_t)(total >> 8 * i);
    /* Short writes show in ferror, which commit looks at; stop early all the same. */
    bool written = fwrite(size, 1, 8, file->stream) == 8 && fwrite(text, 1, length, file->stream) == length;
    for (size_t i = 0; i < padding; i++) fputc(' ', file->stream);
    free(text);
    for (int order = 0; written && order < 4; order++)
        for (size_t i = 0; written && i < psal_tensor_map_count(map); i++) {
            const psal_tensor *tensor = psal_tensor_map_at(map, i);
            size_t bytes = bytes_of(tensor);
            if (psal_dtype_size(tensor->dtype) != sizes_in_order[order] || !bytes) continue;
            written = fwrite(tensor->data, 1, bytes, file->stream) == bytes;
        }
    return psal_atomic_file_commit(file, err);
}
