#include "io/tfjs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/json_input.h"
#include "io/json_memory.h"
#include "io/mapped_file.h"
#include "io/tfjs_layers.h"
#include "io/tfjs_topology.h"

#define MAX_JSON (64u << 20)
#define MAX_SHARDS 10000

static const struct {
    const char *name;
    psal_dtype dtype;
} dtypes[] = {
    {"float32", PSAL_F32}, {"float16", PSAL_F16}, {"int32", PSAL_I32}, {"uint8", PSAL_U8}, {"bool", PSAL_BOOL},
};

/* The shards of one group as one run of bytes. */
struct group {
    psal_mapped_file *shards;
    size_t count;
    uint64_t size, at; /* all bytes; those taken */
};

static json_t *member(json_t *object, const char *key) {
    return json_object_get(object, key);
}

static const char *text_of(json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* A shard may not be anywhere but in or below the model's folder. */
static bool is_inside(const char *path) {
    if (!*path || *path == '/' || strchr(path, '\\') || strchr(path, ':')) return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) return false;
    }
    return true;
}

/* Enter a shard's path, without the parts that lead nowhere ("./a", "b//c"), into the set `seen`. A
 * shard that came many times would be as many times as many weights as the file has bytes. */
static psal_status enter_shard(json_t *seen, const char *path, psal_error *err) {
    char *plain = malloc(strlen(path) + 2), *end = plain;
    if (!plain) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        if (length && !(length == 1 && *part == '.')) {
            memcpy(end, part, length);
            end += length;
            *end++ = '/';
        }
        part += length + (part[length] == '/');
    }
    *end = '\0';
    psal_status status = PSAL_OK;
    if (json_object_get(seen, plain))
        status = psal_fail(err, PSAL_ERR_FORMAT, "the weight file '%.200s' is listed twice", path);
    else if (json_object_set_new(seen, plain, json_true()))
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    free(plain);
    return status;
}

static psal_status open_group(const char *folder, json_t *paths, json_t *seen, psal_tensor_map *map,
                              struct group *group, psal_error *err) {
    size_t count = json_array_size(paths);
    if (!count || count > MAX_SHARDS) return psal_fail(err, PSAL_ERR_FORMAT, "a group of %zu weight files", count);
    group->shards = calloc(count, sizeof *group->shards);
    if (!group->shards) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(paths, i));
        char *path = NULL;
        if (!name || !is_inside(name))
            return psal_fail(err, PSAL_ERR_FORMAT, "the weight file '%.200s' is outside the model's folder: refused",
                             name ? name : "?");
        psal_status status = enter_shard(seen, name, err);
        if (status != PSAL_OK) return status;
        if (asprintf(&path, "%s/%s", folder, name) < 0) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        psal_mapped_file *shard = &group->shards[group->count];
        status = psal_map_file(path, shard, err);
        free(path);
        if (status == PSAL_OK) {
            status = psal_tensor_map_adopt(map, (void *)(uintptr_t)shard->data, shard->size, psal_mapped_release, err);
            if (status != PSAL_OK) psal_unmap_file(shard);
        }
        if (status != PSAL_OK) return status;
        group->count++;
        group->size += shard->size;
    }
    return PSAL_OK;
}

/* The next `size` bytes of the group: where they lie when they lie in one shard, else gathered into
 * *copy (free it). */
static const uint8_t *next_bytes(struct group *group, size_t size, uint8_t **copy) {
    uint64_t begin = 0;
    size_t i = 0;
    *copy = NULL;
    while (i < group->count && group->at >= begin + group->shards[i].size) begin += group->shards[i++].size;
    size_t offset = (size_t)(group->at - begin);
    group->at += size;
    if (i < group->count && size <= group->shards[i].size - offset) return group->shards[i].data + offset;
    uint8_t *to = *copy = malloc(size ? size : 1);
    for (size_t done = 0; to && done < size; i++, offset = 0) {
        size_t part = group->shards[i].size - offset;
        if (part > size - done) part = size - done;
        memcpy(to + done, group->shards[i].data + offset, part);
        done += part;
    }
    return to;
}

static bool find_dtype(const char *name, psal_dtype *dtype) {
    for (size_t i = 0; name && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *dtype = dtypes[i].dtype;
            return true;
        }
    return false;
}

static psal_status read_shape(json_t *entry, const char *name, psal_shape *shape, psal_error *err) {
    json_t *dims = member(entry, "shape");
    if (!json_is_array(dims) || json_array_size(dims) > PSAL_MAX_DIMS)
        return psal_fail(err, PSAL_ERR_FORMAT, "weight %s: bad shape", name);
    *shape = (psal_shape){.ndim = (int)json_array_size(dims)};
    for (int i = 0; i < shape->ndim; i++) {
        json_t *dim = json_array_get(dims, (size_t)i);
        if (!json_is_integer(dim)) return psal_fail(err, PSAL_ERR_FORMAT, "weight %s: bad shape", name);
        shape->dim[i] = json_integer_value(dim);
    }
    char text[200];
    if (psal_shape_count(shape) < 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "weight %s: impossible shape %s", name,
                         psal_shape_format(shape, text, sizeof text));
    return PSAL_OK;
}

/* value = stored * scale + min, in double as JavaScript does, then rounded to float32. */
static void dequantise(const uint8_t *bytes, psal_dtype stored, size_t width, int64_t count, double scale, double min,
                       float *to) {
    for (int64_t i = 0; i < count; i++) {
        uint16_t value = bytes[(size_t)i * width];
        if (width == 2) memcpy(&value, bytes + (size_t)i * 2, 2);
        to[i] = stored == PSAL_F16 ? psal_f16_to_f32(value) : (float)(value * scale + min);
    }
}

static psal_status add_weight(json_t *entry, struct group *group, psal_tensor_map *map, psal_error *err) {
    const char *name = text_of(entry, "name"), *type = text_of(entry, "dtype");
    if (!name) return psal_fail(err, PSAL_ERR_FORMAT, "a weight without a name");
    psal_shape shape;
    psal_dtype dtype = PSAL_F32, stored = PSAL_F32;
    psal_status status = read_shape(entry, name, &shape, err);
    if (status != PSAL_OK) return status;
    json_t *quantisation = member(entry, "quantization");
    const char *stored_type = quantisation ? text_of(quantisation, "dtype") : type;
    size_t width = stored_type && strcmp(stored_type, "uint16") == 0 ? 2 : 0;
    double scale = json_number_value(member(quantisation, "scale"));
    double min = json_number_value(member(quantisation, "min"));
    if (!find_dtype(type, &dtype) || (quantisation && dtype != PSAL_F32) ||
        (!width && !find_dtype(stored_type, &stored)) || (width && !quantisation))
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "weight %s: cannot read dtype %.40s stored as %.40s", name,
                         type ? type : "(none)", stored_type ? stored_type : "(none)");
    if (quantisation && stored != PSAL_F16 &&
        (!(width || stored == PSAL_U8) || !json_is_number(member(quantisation, "scale")) ||
         !json_is_number(member(quantisation, "min"))))
        return psal_fail(err, PSAL_ERR_FORMAT, "weight %s: bad quantisation", name);

    if (!width) width = psal_dtype_size(stored);
    int64_t count = psal_shape_count(&shape);
    if ((uint64_t)count > (group->size - group->at) / width)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "weight %s needs %" PRIu64 " bytes, the weight files hold %" PRIu64
                         " more (a truncated file?)",
                         name, (uint64_t)count * width, group->size - group->at);
    uint8_t *gathered;
    const uint8_t *bytes = next_bytes(group, (size_t)count * width, &gathered);
    if (!bytes) return psal_fail(err, PSAL_ERR_MEMORY, "weight %s: out of memory", name);
    if (!quantisation && !gathered && (uintptr_t)bytes % width == 0)
        return psal_tensor_map_add_view(map, name, dtype, &shape, bytes, err);
    void *copy = psal_tensor_map_add(map, name, dtype, &shape, err);
    if (copy && quantisation)
        dequantise(bytes, stored, width, count, scale, min, copy);
    else if (copy)
        memcpy(copy, bytes, (size_t)count * width);
    free(gathered);
    return copy ? PSAL_OK : psal_error_status(err);
}

static psal_status read_group(const char *folder, json_t *group_json, json_t *seen, psal_tensor_map *map,
                              psal_error *err) {
    struct group group = {.count = 0};
    json_t *weights = member(group_json, "weights"), *entry;
    size_t i;
    psal_status status = open_group(folder, member(group_json, "paths"), seen, map, &group, err);
    if (status == PSAL_OK) {
        json_array_foreach(weights, i, entry) {
            status = add_weight(entry, &group, map, err);
            if (status != PSAL_OK) break;
        }
    }
    if (status == PSAL_OK && group.at != group.size)
        status = psal_fail(err, PSAL_ERR_FORMAT, "the weight files hold %" PRIu64 " bytes, the weights need %" PRIu64,
                           group.size, group.at);
    free(group.shards);
    return status;
}

static psal_status read_model(const char *folder, json_t *root, psal_tensor_map *map, psal_error *err) {
    json_t *manifest = member(root, "weightsManifest"), *group;
    size_t i;
    const char *format = text_of(root, "format");
    if (format && strcmp(format, "layers-model") != 0)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "its format is %.60s, only layers-model is read", format);
    if (!json_is_array(manifest) || !json_array_size(manifest))
        return psal_fail(err, PSAL_ERR_FORMAT, "is JSON without a weightsManifest, no TensorFlow.js model");
    psal_status status = psal_tensor_map_set_meta(map, "format", "tfjs-layers", err);
    if (status == PSAL_OK) status = psal_tfjs_describe(member(root, "modelTopology"), map, err);
    json_t *seen = json_object(); /* the paths of all shards */
    if (!seen) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    json_array_foreach(manifest, i, group) {
        if (status == PSAL_OK) status = read_group(folder, group, seen, map, err);
    }
    json_decref(seen);
    if (status == PSAL_OK) status = psal_tfjs_read_layers(member(root, "modelTopology"), map, err);
    if (psal_json_memory_failed() && status == PSAL_OK) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    return status;
}

psal_tensor_map *psal_tfjs_read(const char *path, psal_error *err) {
    struct stat info;
    bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    char *json_path = NULL, *folder = NULL;
    const char *slash = strrchr(path, '/');
    int folder_size = is_folder ? (int)strlen(path) : slash == path ? 1 : slash ? (int)(slash - path) : 0;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_mapped_file file = {0};
    psal_status status = PSAL_ERR_MEMORY;
    if (asprintf(&json_path, "%s%s", path, is_folder ? "/model.json" : "") < 0) json_path = NULL;
    if (asprintf(&folder, "%.*s", folder_size ? folder_size : 1, folder_size ? path : ".") < 0) folder = NULL;
    if (!map || !json_path || !folder)
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    else
        status = psal_map_file(json_path, &file, err);
    if (status == PSAL_OK) {
        json_t *root = NULL;
        if (file.size > MAX_JSON)
            status = psal_fail(err, PSAL_ERR_FORMAT, "a model description of %zu bytes, at most %u are read", file.size,
                               MAX_JSON);
        else if (!(root = psal_json_parse_object(file.data, file.size, err)))
            status = psal_error_status(err);
        else
            status = read_model(folder, root, map, err);
        json_decref(root);
        if (status != PSAL_OK) psal_fail_prefix(err, "%s", json_path);
    }
    psal_unmap_file(&file);
    free(json_path);
    free(folder);
    if (status == PSAL_OK) return map;
    psal_tensor_map_free(map);
    return NULL;
}
