/* TensorProto: dims = 1, data_type = 2, segment = 3, float_data = 4, int32_data = 5, string_data = 6, int64_data = 7,
 * name = 8, raw_data = 9, double_data = 10, uint64_data = 11, external_data = 13, data_location = 14. */
#include "io/onnx_tensor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXTERNAL_FILES 1000

enum { FLOAT_DATA = 4, INT32_DATA = 5, INT64_DATA = 7, RAW_DATA = 9, DOUBLE_DATA = 10 };

/* By TensorProto.DataType: psal's type and the field for its numbers when they are not raw. */
static const struct {
    const char *name;
    psal_dtype dtype;
    uint32_t field;
} types[] = {
    {"UNDEFINED", PSAL_OTHER, 0},
    {"FLOAT", PSAL_F32, FLOAT_DATA},
    {"UINT8", PSAL_U8, INT32_DATA},
    {"INT8", PSAL_I8, INT32_DATA},
    {"UINT16", PSAL_OTHER, 0},
    {"INT16", PSAL_I16, INT32_DATA},
    {"INT32", PSAL_I32, INT32_DATA},
    {"INT64", PSAL_I64, INT64_DATA},
    {"STRING", PSAL_OTHER, 0},
    {"BOOL", PSAL_BOOL, INT32_DATA},
    {"FLOAT16", PSAL_F16, INT32_DATA},
    {"DOUBLE", PSAL_F64, DOUBLE_DATA},
    {"UINT32", PSAL_OTHER, 0},
    {"UINT64", PSAL_OTHER, 0},
    {"COMPLEX64", PSAL_OTHER, 0},
    {"COMPLEX128", PSAL_OTHER, 0},
    {"BFLOAT16", PSAL_BF16, INT32_DATA},
    {"FLOAT8E4M3FN", PSAL_OTHER, 0},
    {"FLOAT8E4M3FNUZ", PSAL_OTHER, 0},
    {"FLOAT8E5M2", PSAL_OTHER, 0},
    {"FLOAT8E5M2FNUZ", PSAL_OTHER, 0},
    {"UINT4", PSAL_OTHER, 0},
    {"INT4", PSAL_OTHER, 0},
};

psal_dtype psal_onnx_dtype(uint64_t type, const char **name) {
    const bool known = type < sizeof types / sizeof *types;
    *name = known ? types[type].name : "a type of a later standard";
    return known ? types[type].dtype : PSAL_OTHER;
}

void psal_onnx_source_clear(psal_onnx_source *source) {
    for (size_t i = 0; i < source->external_count; i++) free(source->external[i].path);
    free(source->external);
    free(source->folder);
    source->external = NULL;
    source->folder = NULL;
    source->external_count = 0;
}

static void release_heap(void *memory, size_t size) {
    (void)size;
    free(memory);
}

/* ---- the message ---- */

typedef struct parts {
    psal_shape shape;
    uint64_t type;
    psal_proto_message name, raw;
    bool has_raw, external;
    psal_proto_message location;
    uint64_t offset, length;
    bool has_length;
} parts;

static bool equals(psal_proto_message text, const char *word) {
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* Digits only. */
static bool read_number(psal_proto_message text, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < text.size; i++) {
        const unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(*value, 10u, value) || __builtin_add_overflow(*value, digit, value))
            return false;
    }
    return text.size > 0;
}

/* StringStringEntryProto: key = 1, value = 2. */
static psal_status read_external_entry(psal_proto_message entry, parts *p, psal_error *err) {
    psal_proto_field f;
    psal_proto_message key = {0}, value = {0};
    bool damaged = false, good = true;
    while (psal_proto_next(&entry, &f, &damaged)) {
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) value = f.bytes;
    }
    if (equals(key, "location")) p->location = value;
    if (equals(key, "offset")) good = read_number(value, &p->offset);
    if (equals(key, "length")) good = p->has_length = read_number(value, &p->length);
    if (damaged || !good)
        return psal_fail(err, PSAL_ERR_FORMAT, "its external %.*s '%.*s' is no number of bytes",
                         (int)(key.size < 20 ? key.size : 20), (const char *)key.data,
                         (int)(value.size < 40 ? value.size : 40), (const char *)value.data);
    return PSAL_OK;
}

static psal_status add_dim(parts *p, uint64_t dim, psal_error *err) {
    if (p->shape.ndim == PSAL_MAX_DIMS)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "it has more than %d dimensions", PSAL_MAX_DIMS);
    p->shape.dim[p->shape.ndim++] = (int64_t)dim; /* psal_shape_count refuses negative ones */
    return PSAL_OK;
}

static psal_status read_parts(psal_proto_message message, parts *p, psal_error *err) {
    psal_proto_field f;
    bool damaged = false;
    psal_status status = PSAL_OK;
    while (status == PSAL_OK && psal_proto_next(&message, &f, &damaged)) {
        const bool bytes = f.wire == PSAL_PROTO_BYTES;
        uint64_t dim;
        if (f.number == 1 && bytes)
            while (status == PSAL_OK && psal_proto_varint(&f.bytes, &dim, &damaged)) status = add_dim(p, dim, err);
        else if (f.number == 1 && f.wire == PSAL_PROTO_VARINT)
            status = add_dim(p, f.value, err);
        else if (f.number == 2 && f.wire == PSAL_PROTO_VARINT)
            p->type = f.value;
        else if (f.number == 3)
            status = psal_fail(err, PSAL_ERR_UNSUPPORTED, "it is in segments, which are not read");
        else if (f.number == RAW_DATA && bytes)
            p->has_raw = true, p->raw = f.bytes;
        else if (f.number == 13 && bytes)
            status = read_external_entry(f.bytes, p, err);
        else if (f.number == 14)
            p->external = f.value == 1;
    }
    if (status == PSAL_OK && damaged) status = psal_fail(err, PSAL_ERR_FORMAT, "its message is damaged");
    return status;
}

/* Where its name lies: looked for first, so that every message can say it. */
static psal_proto_message find_name(psal_proto_message message) {
    psal_proto_field f;
    bool damaged = false;
    psal_proto_message name = {(const uint8_t *)"", 0};
    while (psal_proto_next(&message, &f, &damaged))
        if (f.number == 8 && f.wire == PSAL_PROTO_BYTES) name = f.bytes;
    return name;
}

/* ---- numbers in fields of their own ---- */

/* How the numbers of `field` lie in the message: how many there are, and whether they lie in one place as in memory
 * (little endian, 4 or 8 bytes each). */
static int64_t count_numbers(psal_proto_message message, uint32_t field, psal_proto_message *in_one_place,
                             bool *damaged) {
    const size_t fixed = field == FLOAT_DATA ? 4 : field == DOUBLE_DATA ? 8 : 0;
    psal_proto_field f;
    int64_t count = 0;
    int places = 0;
    *in_one_place = (psal_proto_message){0};
    while (psal_proto_next(&message, &f, damaged)) {
        uint64_t value;
        if (f.number != field) continue;
        places++;
        if (f.wire != PSAL_PROTO_BYTES) {
            places++; /* not packed: between two numbers stands a key */
            count++;
        } else if (fixed) {
            *damaged |= f.bytes.size % fixed != 0;
            count += (int64_t)(f.bytes.size / fixed);
            *in_one_place = f.bytes;
        } else {
            while (psal_proto_varint(&f.bytes, &value, damaged)) count++;
        }
    }
    if (places != 1 || !fixed) *in_one_place = (psal_proto_message){0};
    return count;
}

static void put(uint8_t *to, uint64_t value, size_t size) {
    memcpy(to, &value, size); /* little endian, as everything here */
}

/* Copy them, each to `size` bytes, of `count` counted before. */
static void copy_numbers(psal_proto_message message, uint32_t field, size_t size, uint8_t *to) {
    psal_proto_field f;
    bool damaged = false;
    while (psal_proto_next(&message, &f, &damaged)) {
        uint64_t value;
        if (f.number != field) continue;
        if (f.wire != PSAL_PROTO_BYTES) {
            put(to, f.value, size);
            to += size;
        } else if (field == FLOAT_DATA || field == DOUBLE_DATA) {
            memcpy(to, f.bytes.data, f.bytes.size);
            to += f.bytes.size;
        } else {
            for (; psal_proto_varint(&f.bytes, &value, &damaged); to += size) put(to, value, size);
        }
    }
}

/* Room for the tensor's numbers, which are the map's; *tensor points to it. NULL with *err. */
static uint8_t *make_room(psal_onnx_source *source, size_t bytes, psal_tensor *tensor, psal_error *err) {
    uint8_t *room = malloc(bytes ? bytes : 1);
    if (!room || psal_tensor_map_adopt(source->map, room, bytes, release_heap, err) != PSAL_OK) {
        free(room);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    tensor->data = room;
    return room;
}

/* The tensor's numbers lie at `data`: used there, or copied where a processor could not read them as they are. */
static psal_status use(psal_onnx_source *source, const uint8_t *data, size_t bytes, psal_tensor *tensor,
                       psal_error *err) {
    tensor->data = data;
    if (bytes && (uintptr_t)data % psal_dtype_size(tensor->dtype) == 0) return PSAL_OK;
    uint8_t *room = make_room(source, bytes, tensor, err);
    if (room && bytes) memcpy(room, data, bytes);
    return room ? PSAL_OK : PSAL_ERR_MEMORY;
}

static psal_status take_numbers(psal_onnx_source *source, psal_proto_message message, uint64_t type, int64_t expected,
                                psal_tensor *tensor, psal_error *err) {
    const uint32_t field = types[type].field;
    const size_t size = psal_dtype_size(tensor->dtype);
    psal_proto_message in_one_place;
    bool damaged = false;
    const int64_t count = count_numbers(message, field, &in_one_place, &damaged);
    char text[96];
    if (damaged) return psal_fail(err, PSAL_ERR_FORMAT, "its numbers are damaged");
    if (count != expected)
        return psal_fail(err, PSAL_ERR_FORMAT, "it has %" PRId64 " numbers, but its shape %s wants %" PRId64, count,
                         psal_shape_format(&tensor->shape, text, sizeof text), expected);
    if (in_one_place.data) return use(source, in_one_place.data, in_one_place.size, tensor, err);
    uint8_t *room = make_room(source, (size_t)count * size, tensor, err);
    if (!room) return PSAL_ERR_MEMORY;
    copy_numbers(message, field, size, room);
    return PSAL_OK;
}

/* ---- external data ---- */

static psal_status find_folder(psal_onnx_source *source, psal_error *err) {
    if (source->folder) return PSAL_OK;
    const char *slash = strrchr(source->path, '/');
    char *parent = slash ? strndup(source->path, (size_t)(slash - source->path) + 1) : strdup(".");
    source->folder = parent ? realpath(parent, NULL) : NULL;
    free(parent);
    return source->folder ? PSAL_OK : psal_fail(err, PSAL_ERR_IO, "its folder cannot be found: %s", strerror(errno));
}

/* The file's path without links; NULL with *err when it is not in or below the model's folder. */
static char *resolve(psal_onnx_source *source, psal_proto_message location, psal_error *err) {
    if (find_folder(source, err) != PSAL_OK) return NULL;
    const size_t folder = strlen(source->folder);
    if (!location.size || location.size > 4000 || memchr(location.data, '\0', location.size) ||
        location.data[0] == '/') {
        psal_fail(err, PSAL_ERR_FORMAT, "its external data are not in a file below the model's folder");
        return NULL;
    }
    char *path = malloc(folder + location.size + 2);
    if (!path) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    memcpy(path, source->folder, folder);
    path[folder] = '/';
    memcpy(path + folder + 1, location.data, location.size);
    path[folder + 1 + location.size] = '\0';
    char *resolved = realpath(path, NULL);
    const int reason = errno;
    /* "/" is a folder that ends in a slash */
    const bool inside = resolved && strncmp(resolved, source->folder, folder) == 0 &&
                        (resolved[folder] == '/' || source->folder[folder - 1] == '/');
    if (!resolved)
        psal_fail(err, PSAL_ERR_IO, "its external data '%.300s' cannot be read: %s; the file belongs beside the model",
                  path + folder + 1, strerror(reason));
    else if (!inside)
        psal_fail(err, PSAL_ERR_FORMAT, "its external data '%.300s' lie outside the model's folder; copy them into it",
                  path + folder + 1);
    free(path);
    if (inside) return resolved;
    free(resolved);
    return NULL;
}

static psal_onnx_external *open_external(psal_onnx_source *source, psal_proto_message location, psal_error *err) {
    char *path = resolve(source, location, err);
    if (!path) return NULL;
    for (size_t i = 0; i < source->external_count; i++)
        if (strcmp(source->external[i].path, path) == 0) {
            free(path);
            return &source->external[i];
        }
    psal_onnx_external added = {.path = path};
    psal_onnx_external *grown = NULL;
    psal_status status = source->external_count < MAX_EXTERNAL_FILES
                             ? PSAL_OK
                             : psal_fail(err, PSAL_ERR_FORMAT, "more than %d files of external data",
                                         MAX_EXTERNAL_FILES);
    if (status == PSAL_OK) {
        grown = reallocarray(source->external, source->external_count + 1, sizeof *grown);
        status = grown ? psal_map_file(path, &added.file, err) : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        if (grown) source->external = grown;
    }
    if (status == PSAL_OK) {
        status = psal_tensor_map_adopt(source->map, (void *)(uintptr_t)added.file.data, added.file.size,
                                       psal_mapped_release, err);
        if (status != PSAL_OK) psal_unmap_file(&added.file);
    }
    if (status != PSAL_OK) {
        free(path);
        return NULL;
    }
    source->external[source->external_count] = added;
    return &source->external[source->external_count++];
}

static psal_status take_external(psal_onnx_source *source, const parts *p, uint64_t wanted, psal_tensor *tensor,
                                 psal_error *err) {
    psal_onnx_external *external = open_external(source, p->location, err);
    if (!external) return psal_error_status(err);
    const uint64_t size = external->file.size, length = p->has_length ? p->length : wanted;
    if (length != wanted)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "it has %" PRIu64 " bytes of external data, but its shape wants %" PRIu64, length, wanted);
    if (p->offset > size || length > size - p->offset)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "its %" PRIu64 " bytes from %" PRIu64 " on are outside of '%.300s' of %" PRIu64
                         " bytes (a truncated file?)",
                         length, p->offset, external->path, size);
    if (length > size - external->used)
        return psal_fail(err, PSAL_ERR_FORMAT, "its external data overlap others in '%.300s'", external->path);
    external->used += length;
    return use(source, external->file.data + p->offset, (size_t)length, tensor, err);
}

/* ---- all of it ---- */

static psal_status read_tensor(psal_onnx_source *source, psal_proto_message message, psal_tensor *tensor,
                               psal_error *err) {
    parts p = {.type = 0};
    const char *type;
    char text[96];
    psal_status status = read_parts(message, &p, err);
    if (status != PSAL_OK) return status;
    *tensor = (psal_tensor){.dtype = psal_onnx_dtype(p.type, &type), .shape = p.shape};
    const int64_t count = psal_shape_count(&p.shape);
    if (count < 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "its shape %s is impossible",
                         psal_shape_format(&p.shape, text, sizeof text));
    if (tensor->dtype == PSAL_OTHER) {
        tensor->data = type;
        return PSAL_OK;
    }
    const uint64_t bytes = (uint64_t)count * psal_dtype_size(tensor->dtype);
    if (p.external) return take_external(source, &p, bytes, tensor, err);
    if (!p.has_raw) return take_numbers(source, message, p.type, count, tensor, err);
    if (p.raw.size != bytes)
        return psal_fail(err, PSAL_ERR_FORMAT, "it has %zu bytes, but its shape %s of %s wants %" PRIu64, p.raw.size,
                         psal_shape_format(&p.shape, text, sizeof text), type, bytes);
    return use(source, p.raw.data, (size_t)bytes, tensor, err);
}

psal_status psal_onnx_tensor(psal_onnx_source *source, psal_proto_message message, psal_tensor *tensor,
                             psal_proto_message *name, psal_error *err) {
    const psal_proto_message found = find_name(message);
    if (name) *name = found;
    if (read_tensor(source, message, tensor, err) == PSAL_OK) return PSAL_OK;
    return psal_fail_prefix(err, "tensor '%.*s'", (int)(found.size < 200 ? found.size : 200), (const char *)found.data);
}
