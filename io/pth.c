#include "io/pth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/mapped_file.h"
#include "io/strided.h"
#include "io/zip.h"

#define LEGACY_PROTOCOL 1001
/* Views may repeat elements (stride 0), so copies can be larger than the file; this bounds them. */
#define COPY_FACTOR 16
#define COPY_BASE (UINT64_C(64) << 20)

/* A storage of a legacy file. */
struct storage {
    const char *key;
    size_t key_size;
    const psal_pickle_storage *storage; /* a mention of it */
    const uint8_t *data;                /* NULL until found */
};

struct psal_pth {
    psal_pickle *pickle;
    psal_zip *zip; /* zip form */
    size_t prefix; /* length of "PREFIX/" in front of data.pkl, in prefix_text */
    char *prefix_text;
    psal_mapped_file file; /* legacy form, or a plain pickle */
    bool legacy;
    struct storage *storages; /* sorted by key */
    size_t storage_count;
    uint64_t copied, copy_limit;
    uint32_t last_mark;
    int users; /* the opener, and every map with views */
};

/* ---- zip form ---- */

static psal_status open_zip(psal_pth *pth, const char *path, psal_error *err) {
    pth->zip = psal_zip_open(path, err);
    if (!pth->zip) return psal_error_status(err);
    pth->copy_limit = COPY_BASE + COPY_FACTOR * (uint64_t)psal_zip_file_size(pth->zip);
    ptrdiff_t entry = -1;
    for (size_t i = 0; i < psal_zip_count(pth->zip) && entry < 0; i++) {
        const char *name = psal_zip_name(pth->zip, i), *slash = strchr(name, '/');
        if (strcmp(slash ? slash + 1 : name, "data.pkl") != 0) continue;
        entry = (ptrdiff_t)i;
        pth->prefix = slash ? (size_t)(slash + 1 - name) : 0;
        pth->prefix_text = strndup(name, pth->prefix);
        if (!pth->prefix_text) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    }
    if (entry < 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: is a zip archive without data.pkl, no PyTorch file", path);
    const uint8_t *data;
    size_t size, used;
    psal_status status = psal_zip_data(pth->zip, (size_t)entry, &data, &size, err);
    if (status == PSAL_OK) {
        pth->pickle = psal_pickle_read(data, size, &used, err);
        if (!pth->pickle) status = psal_error_status(err);
    }
    return status == PSAL_OK ? PSAL_OK : psal_fail_prefix(err, "%s", path);
}

/* Entry PREFIX/NAME, or -1. */
static ptrdiff_t find_entry(const psal_pth *pth, const char *folder, const char *name, size_t name_size) {
    char text[300];
    size_t folder_size = strlen(folder);
    if (pth->prefix + folder_size + name_size >= sizeof text || memchr(name, 0, name_size)) return -1;
    memcpy(text, pth->prefix_text, pth->prefix);
    memcpy(text + pth->prefix, folder, folder_size);
    memcpy(text + pth->prefix + folder_size, name, name_size);
    text[pth->prefix + folder_size + name_size] = '\0';
    return psal_zip_find(pth->zip, text);
}

static psal_status check_byte_order(psal_pth *pth, psal_error *err) {
    const uint8_t *data;
    size_t size;
    ptrdiff_t entry = find_entry(pth, "", "byteorder", 9); /* since torch 2.0; absent means little */
    if (entry < 0) return PSAL_OK;
    psal_status status = psal_zip_data(pth->zip, (size_t)entry, &data, &size, err);
    if (status == PSAL_OK && (size != 6 || memcmp(data, "little", 6) != 0))
        status = psal_fail(err, PSAL_ERR_UNSUPPORTED, "its byte order is %.*s, only little is read",
                           size < 20 ? (int)size : 20, (const char *)data);
    return status;
}

/* ---- legacy form ---- */

static int compare_keys(const void *a, const void *b) {
    const struct storage *x = a, *y = b;
    size_t shorter = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order = memcmp(x->key, y->key, shorter);
    return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

static const char *type_of(const psal_pickle_storage *storage) {
    return storage->dtype == PSAL_OTHER ? storage->type : psal_dtype_name(storage->dtype);
}

/* One row for each storage the object mentions. */
static psal_status collect_storages(psal_pth *pth, psal_error *err) {
    size_t mentions = psal_pickle_storage_count(pth->pickle), kept = 0;
    struct storage *rows = pth->storages = calloc(mentions + 1, sizeof *rows);
    if (!rows) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < mentions; i++) {
        const psal_pickle_storage *storage = psal_pickle_storage_at(pth->pickle, i);
        rows[i] = (struct storage){storage->key, storage->key_size, storage, NULL};
    }
    qsort(rows, mentions, sizeof *rows, compare_keys);
    for (size_t i = 0; i < mentions; i++) {
        if (kept && compare_keys(&rows[kept - 1], &rows[i]) == 0) {
            const psal_pickle_storage *a = rows[kept - 1].storage, *b = rows[i].storage;
            if (a->dtype != b->dtype || a->element != b->element || a->count != b->count)
                return psal_fail(err, PSAL_ERR_FORMAT, "storage %.*s is described in two ways",
                                 (int)(rows[i].key_size < 60 ? rows[i].key_size : 60), rows[i].key);
        } else {
            rows[kept++] = rows[i];
        }
    }
    pth->storage_count = kept;
    return PSAL_OK;
}

static struct storage *find_storage(const psal_pth *pth, const char *key, size_t key_size) {
    struct storage wanted = {.key = key, .key_size = key_size};
    if (!pth->storage_count) return NULL;
    return bsearch(&wanted, pth->storages, pth->storage_count, sizeof wanted, compare_keys);
}

/* Behind the object: a pickled list of keys, then for each an int64 count and the elements. */
static psal_status read_legacy_storages(psal_pth *pth, size_t at, psal_error *err) {
    size_t used;
    psal_pickle *keys = psal_pickle_read(pth->file.data + at, pth->file.size - at, &used, err);
    if (!keys) return psal_error_status(err);
    at += used;
    const psal_pickle_value *list = psal_pickle_root(keys);
    psal_status status = list->kind == PSAL_PICKLE_LIST
                             ? PSAL_OK
                             : psal_fail(err, PSAL_ERR_FORMAT, "the list of storages is missing");
    for (size_t i = 0; status == PSAL_OK && i < list->list.count; i++) {
        const psal_pickle_value *key = list->list.items[i];
        struct storage *storage = key->kind == PSAL_PICKLE_STRING ? find_storage(pth, key->text.bytes, key->text.size)
                                                                  : NULL;
        if (!storage || storage->data) {
            status = psal_fail(err, PSAL_ERR_FORMAT, "storage number %zu is %s", i,
                               storage ? "listed twice" : "of no tensor");
            break;
        }
        size_t left = pth->file.size - at, element = storage->storage->element;
        int64_t count = 0, wanted = storage->storage->count;
        if (!element) {
            status = psal_fail(err, PSAL_ERR_UNSUPPORTED, "storage number %zu holds %s, whose size is not known", i,
                               storage->storage->type);
            break;
        }
        if (left >= 8) memcpy(&count, pth->file.data + at, 8);
        if (left < 8 || count != wanted || (uint64_t)count > (left - 8) / element) {
            status = psal_fail(err, PSAL_ERR_FORMAT,
                               "storage number %zu: %" PRId64 " elements of %s expected, %" PRId64
                               " announced in %zu bytes left%s",
                               i, wanted, type_of(storage->storage), count, left,
                               count == wanted || left < 8 ? " (a truncated file?)" : "");
            break;
        }
        storage->data = pth->file.data + at + 8;
        at += 8 + (size_t)count * element;
    }
    psal_pickle_free(keys);
    return status;
}

/* Whether the root is the number with which torch.save begins: 0x1950a86a20f9469cfc6c. */
static bool is_magic(const psal_pickle_value *root) {
    return root->kind == PSAL_PICKLE_BIG_INT && root->text.size == 10 &&
           memcmp(root->text.bytes, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10) == 0;
}

/* The next pickle of the file; *at moves behind it. */
static psal_pickle *next_pickle(const psal_pth *pth, size_t *at, psal_error *err) {
    size_t used = 0;
    psal_pickle *pickle = psal_pickle_read(pth->file.data + *at, pth->file.size - *at, &used, err);
    *at += used;
    return pickle;
}

static psal_status read_legacy(psal_pth *pth, size_t at, psal_error *err) {
    psal_pickle *protocol = next_pickle(pth, &at, err), *machine = NULL;
    if (!protocol) return psal_error_status(err);
    const psal_pickle_value *version = psal_pickle_root(protocol), *little = NULL;
    bool known = version->kind == PSAL_PICKLE_INT && version->integer == LEGACY_PROTOCOL;
    psal_pickle_free(protocol);
    if (!known) return psal_fail(err, PSAL_ERR_UNSUPPORTED, "an unknown version of PyTorch's legacy format");
    if (!(machine = next_pickle(pth, &at, err))) return psal_error_status(err);
    little = psal_pickle_get(psal_pickle_root(machine), "little_endian");
    bool fits = little && little->kind == PSAL_PICKLE_BOOL && little->integer;
    psal_pickle_free(machine);
    if (!fits) return psal_fail(err, PSAL_ERR_UNSUPPORTED, "it was written by a big-endian machine");
    if (!(pth->pickle = next_pickle(pth, &at, err))) return psal_error_status(err);
    psal_status status = collect_storages(pth, err);
    return status == PSAL_OK ? read_legacy_storages(pth, at, err) : status;
}

static psal_status open_pickles(psal_pth *pth, const char *path, psal_error *err) {
    psal_status status = psal_map_file(path, &pth->file, err);
    if (status != PSAL_OK) return status;
    pth->legacy = true;
    pth->copy_limit = COPY_BASE + COPY_FACTOR * (uint64_t)pth->file.size;
    size_t at = 0;
    psal_pickle *first = next_pickle(pth, &at, err);
    if (!first) return psal_fail_prefix(err, "%s", path);
    if (is_magic(psal_pickle_root(first))) {
        psal_pickle_free(first);
        status = read_legacy(pth, at, err);
    } else {
        pth->pickle = first; /* a plain pickle: numpy arrays are in it, storages have nowhere to be */
        if (at != pth->file.size)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%zu bytes behind the pickle are not understood",
                               pth->file.size - at);
    }
    return status == PSAL_OK ? PSAL_OK : psal_fail_prefix(err, "%s", path);
}

/* ---- both ---- */

psal_pth *psal_pth_open(const char *path, psal_error *err) {
    psal_pth *pth = calloc(1, sizeof *pth);
    psal_mapped_file file;
    if (!pth) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    pth->users = 1;
    if (psal_map_file(path, &file, err) != PSAL_OK) {
        free(pth);
        return NULL;
    }
    bool zip = file.size >= 2 && memcmp(file.data, "PK", 2) == 0;
    psal_unmap_file(&file);
    psal_status status = zip ? open_zip(pth, path, err) : open_pickles(pth, path, err);
    if (status == PSAL_OK && zip) {
        status = check_byte_order(pth, err);
        if (status != PSAL_OK) psal_fail_prefix(err, "%s", path);
    }
    if (status != PSAL_OK) {
        psal_pth_close(pth);
        return NULL;
    }
    return pth;
}

void psal_pth_keep(psal_pth *pth) {
    pth->users++;
}

void psal_pth_close(psal_pth *pth) {
    if (!pth || --pth->users) return;
    psal_pickle_free(pth->pickle);
    psal_zip_close(pth->zip);
    psal_unmap_file(&pth->file);
    free(pth->prefix_text);
    free(pth->storages);
    free(pth);
}

uint32_t psal_pth_new_mark(psal_pth *pth) {
    return ++pth->last_mark;
}

bool psal_pth_is_torchscript(const psal_pth *pth) {
    return pth->zip && find_entry(pth, "", "constants.pkl", 13) >= 0;
}

bool psal_pth_is_legacy(const psal_pth *pth) {
    return pth->legacy;
}

psal_pickle_value *psal_pth_root(const psal_pth *pth) {
    return psal_pickle_root(pth->pickle);
}

/* The bytes of a whole storage. */
static psal_status storage_bytes(psal_pth *pth, const psal_pickle_storage *storage, const uint8_t **data,
                                 psal_error *err) {
    int key_size = (int)(storage->key_size < 60 ? storage->key_size : 60);
    if (!storage->key) { /* its size was checked when the pickle was read */
        *data = storage->inline_data;
        return PSAL_OK;
    }
    if (pth->zip) {
        size_t size, element = storage->element;
        ptrdiff_t entry = find_entry(pth, "data/", storage->key, storage->key_size);
        if (entry < 0) return psal_fail(err, PSAL_ERR_FORMAT, "its storage %.*s is missing", key_size, storage->key);
        psal_status status = psal_zip_data(pth->zip, (size_t)entry, data, &size, err);
        if (status == PSAL_OK && (size % element || size / element != (uint64_t)storage->count))
            status = psal_fail(err, PSAL_ERR_FORMAT,
                               "its storage %.*s has %zu bytes, %" PRId64 " elements of %s expected", key_size,
                               storage->key, size, storage->count, type_of(storage));
        return status;
    }
    const struct storage *found = find_storage(pth, storage->key, storage->key_size);
    if (!found || !found->data)
        return psal_fail(err, PSAL_ERR_FORMAT, "its storage %.*s is missing", key_size, storage->key);
    *data = found->data;
    return PSAL_OK;
}

/* Check that every element of the view lies inside its storage. */
static psal_status check_view(const psal_pickle_tensor *tensor, psal_error *err) {
    char text[200];
    const psal_shape *shape = &tensor->shape;
    int64_t count = psal_shape_count(shape);
    psal_shape_format(shape, text, sizeof text);
    if (count < 0) return psal_fail(err, PSAL_ERR_FORMAT, "impossible shape %s", text);
    if (tensor->offset < 0 || tensor->offset > tensor->storage->view_count)
        return psal_fail(err, PSAL_ERR_FORMAT, "it begins at element %" PRId64 " of a storage of %" PRId64,
                         tensor->offset, tensor->storage->view_count);
    if (!count) return PSAL_OK;
    int64_t room = tensor->storage->view_count - tensor->offset;
    int64_t last = 0; /* index of the view's last element */
    for (int i = 0; i < shape->ndim; i++) {
        int64_t steps = shape->dim[i] - 1;
        if (tensor->stride[i] < 0)
            return psal_fail(err, PSAL_ERR_UNSUPPORTED, "a negative stride (%" PRId64 ")", tensor->stride[i]);
        if (steps && tensor->stride[i] > (INT64_MAX - last) / steps)
            last = INT64_MAX;
        else
            last += steps * tensor->stride[i];
        if (last >= room) break;
    }
    if (last >= room)
        return psal_fail(err, PSAL_ERR_FORMAT, "a view of shape %s reaches past its storage of %" PRId64 " elements",
                         text, tensor->storage->view_count);
    return PSAL_OK;
}

psal_status psal_pth_add_tensor(psal_pth *pth, const psal_pickle_value *value, const char *name, psal_tensor_map *map,
                                bool *is_view, psal_error *err) {
    const psal_pickle_tensor *tensor = value->tensor;
    const uint8_t *data = NULL;
    *is_view = false;
    if (tensor->dtype == PSAL_OTHER && (!tensor->storage || check_view(tensor, err) == PSAL_OK))
        return psal_tensor_map_add_other(map, name, tensor->type, &tensor->shape, err);
    psal_status status = tensor->storage ? check_view(tensor, err)
                                         : psal_fail(err, PSAL_ERR_FORMAT, "an array without contents");
    if (status == PSAL_OK) status = storage_bytes(pth, tensor->storage, &data, err);
    if (status != PSAL_OK) return psal_fail_prefix(err, "tensor %s", name);

    size_t element = psal_dtype_size(tensor->dtype);
    uint64_t bytes = (uint64_t)psal_shape_count(&tensor->shape) * element;
    if (bytes) data += ((size_t)tensor->storage->view_offset + (size_t)tensor->offset) * element;
    *is_view = psal_strided_is_contiguous(&tensor->shape, tensor->stride) && (uintptr_t)data % element == 0;
    if (*is_view) return psal_tensor_map_add_view(map, name, tensor->dtype, &tensor->shape, data, err);
    if (bytes > pth->copy_limit - pth->copied)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "tensor %s: views that repeat their elements would take more than %" PRIu64 " bytes", name,
                         pth->copy_limit);
    pth->copied += bytes;
    void *copy = psal_tensor_map_add(map, name, tensor->dtype, &tensor->shape, err);
    if (!copy) return psal_error_status(err);
    psal_strided_copy(copy, data, element, &tensor->shape, tensor->stride);
    return PSAL_OK;
}
