#include "io/dataset_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- building, used by the readers of each kind ---- */

psal_dataset *psal_dataset_begin(psal_error *err) {
    psal_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a data set");
    return dataset;
}

psal_status psal_dataset_append(psal_dataset *dataset, char *path, size_t name_offset, int label, const char *group,
                                psal_error *err) {
    char *group_copy = group ? strdup(group) : NULL;
    psal_status status = PSAL_OK;
    if (!path || (group && !group_copy)) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of samples");
    } else if (dataset->count == PSAL_DATASET_MAX_SAMPLES) {
        status = psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: more than %d samples", path, PSAL_DATASET_MAX_SAMPLES);
    } else if (dataset->count == dataset->capacity) {
        size_t capacity = dataset->capacity ? 2 * dataset->capacity : 64;
        psal_sample *grown = realloc(dataset->samples, capacity * sizeof *grown);
        if (grown) {
            dataset->samples = grown;
            dataset->capacity = capacity;
        } else {
            status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu samples", capacity);
        }
    }
    if (status) {
        free(path);
        free(group_copy);
        return status;
    }
    dataset->samples[dataset->count++] = (psal_sample){path, name_offset, group_copy, label};
    if (!dataset->pixels && psal_dataset_extension(path) == PSAL_EXTENSION_UNSUPPORTED) dataset->unsupported++;
    return PSAL_OK;
}

char *psal_dataset_join(const char *folder, const char *name, size_t *name_offset) {
    size_t length = name[0] == '/' ? 0 : strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    size_t slash = length > 0 && folder[length - 1] != '/';
    char *path = malloc(length + slash + strlen(name) + 1);
    if (!path) return NULL;
    memcpy(path, folder, length);
    if (slash) path[length] = '/';
    strcpy(path + length + slash, name);
    *name_offset = length + slash;
    return path;
}

psal_status psal_dataset_check_file(const char *path, psal_error *err) {
    struct stat info;
    if (stat(path, &info)) return psal_fail(err, PSAL_ERR_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return psal_fail(err, PSAL_ERR_IO, "%s: is a folder, not an image", path);
    if (!S_ISREG(info.st_mode)) return psal_fail(err, PSAL_ERR_IO, "%s: not a regular file", path);
    return PSAL_OK;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && !strcasecmp(text + length - end_length, end);
}

psal_extension psal_dataset_extension(const char *name) {
    /* torchvision 0.14, datasets.folder.IMG_EXTENSIONS, in its order. */
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};
    for (int i = 0; i < 9; i++)
        if (ends_with(name, extensions[i])) return i < 3 ? PSAL_EXTENSION_READABLE : PSAL_EXTENSION_UNSUPPORTED;
    return PSAL_EXTENSION_OTHER;
}

/* ---- opening ---- */

/* The folder a file lies in, "" for the current one. */
static char *folder_of(const char *file) {
    const char *slash = strrchr(file, '/');
    if (!slash) return strdup("");
    return strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

/* Split "LEFT,RIGHT" at the first comma whose left side exists, so that names with commas work;
 * *right is NULL when the whole text is one name. The caller frees both. */
static psal_status split_pair(const char *text, char **left, char **right, psal_error *err) {
    *left = *right = NULL;
    const char *comma = NULL;
    if (access(text, F_OK) == 0) {
        *left = strdup(text);
    } else {
        for (comma = strchr(text, ','); comma; comma = strchr(comma + 1, ',')) {
            *left = strndup(text, (size_t)(comma - text));
            if (!*left || access(*left, F_OK) == 0) break;
            free(*left);
        }
        if (!comma) return psal_fail(err, PSAL_ERR_IO, "%.*s: %s", (int)strcspn(text, ","), text, strerror(ENOENT));
        *right = strdup(comma + 1);
    }
    if (*left && (*right || !comma)) return PSAL_OK;
    free(*left);
    free(*right);
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

static psal_status read_flat(psal_dataset *dataset, const char *rest, const psal_labels *labels, psal_error *err) {
    char *folder, *table;
    psal_status status = split_pair(rest, &folder, &table, err);
    if (status) return status;
    if (!table)
        status = psal_dataset_read_flat(dataset, folder, err);
    else if (ends_with(table, ".csv"))
        status = psal_dataset_read_csv(dataset, table, folder, true, labels, err);
    else
        status = psal_dataset_read_lines(dataset, table, folder, true, labels, err);
    free(folder);
    free(table);
    return status;
}

static psal_status read_idx(psal_dataset *dataset, const char *rest, const psal_labels *labels, psal_error *err) {
    char *images, *label_file;
    psal_status status = split_pair(rest, &images, &label_file, err);
    if (status) return status;
    status = psal_dataset_read_idx(dataset, images, label_file, labels, err);
    free(images);
    free(label_file);
    return status;
}

static psal_status read_list(psal_dataset *dataset, const char *file, bool csv, const psal_labels *labels,
                             psal_error *err) {
    char *folder = folder_of(file);
    if (!folder) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", file);
    psal_status status = csv ? psal_dataset_read_csv(dataset, file, folder, false, labels, err)
                             : psal_dataset_read_lines(dataset, file, folder, false, labels, err);
    free(folder);
    return status;
}

static psal_status read_image(psal_dataset *dataset, const char *file, int label, psal_error *err) {
    psal_status status = psal_dataset_check_file(file, err);
    return status ? status : psal_dataset_append(dataset, strdup(file), 0, label, NULL, err);
}

/* What stands behind "word:" in spec, or NULL. */
static const char *after_word(const char *spec, const char *word) {
    size_t length = strlen(word);
    return !strncmp(spec, word, length) && spec[length] == ':' ? spec + length + 1 : NULL;
}

static psal_status read_any(psal_dataset *dataset, const char *spec, const psal_labels *labels, psal_error *err) {
    const char *rest;
    if ((rest = after_word(spec, "folder"))) return psal_dataset_read_folder(dataset, rest, labels, err);
    if ((rest = after_word(spec, "flat"))) return read_flat(dataset, rest, labels, err);
    if ((rest = after_word(spec, "csv"))) return read_list(dataset, rest, true, labels, err);
    if ((rest = after_word(spec, "files"))) return read_list(dataset, rest, false, labels, err);
    if ((rest = after_word(spec, "idx"))) return read_idx(dataset, rest, labels, err);
    if ((rest = after_word(spec, "image"))) return read_image(dataset, rest, PSAL_NO_LABEL, err);
    struct stat info;
    if (stat(spec, &info)) return psal_fail(err, PSAL_ERR_IO, "%s: %s", spec, strerror(errno));
    if (S_ISDIR(info.st_mode)) return psal_dataset_read_folder(dataset, spec, labels, err);
    if (ends_with(spec, ".csv")) return read_list(dataset, spec, true, labels, err);
    if (ends_with(spec, ".txt") || ends_with(spec, ".lst") || ends_with(spec, ".list"))
        return read_list(dataset, spec, false, labels, err);
    return read_image(dataset, spec, PSAL_NO_LABEL, err);
}

psal_dataset *psal_dataset_open(const char *spec, const psal_labels *labels, psal_error *err) {
    if (!spec || !*spec) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "the name of the data set is empty");
        return NULL;
    }
    psal_dataset *dataset = psal_dataset_begin(err);
    if (!dataset) return NULL;
    psal_status status = read_any(dataset, spec, labels, err);
    if (!status && dataset->count == 0)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: no samples in this data set", spec);
    if (status) {
        psal_dataset_free(dataset);
        return NULL;
    }
    return dataset;
}

psal_dataset *psal_dataset_from_images(const char *const *paths, const int *labels, size_t count, psal_error *err) {
    if (count == 0) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "a data set of no images");
        return NULL;
    }
    psal_dataset *dataset = psal_dataset_begin(err);
    for (size_t i = 0; dataset && i < count; i++) {
        if (!read_image(dataset, paths[i], labels ? labels[i] : PSAL_NO_LABEL, err)) continue;
        psal_dataset_free(dataset);
        dataset = NULL;
    }
    return dataset;
}

void psal_dataset_free(psal_dataset *dataset) {
    if (!dataset) return;
    for (size_t i = 0; i < dataset->count; i++) {
        free(dataset->samples[i].path);
        free(dataset->samples[i].group);
    }
    free(dataset->samples);
    free(dataset->pixels);
    free(dataset);
}

/* ---- asking ---- */

size_t psal_dataset_count(const psal_dataset *dataset) {
    return dataset->count;
}

const char *psal_dataset_name(const psal_dataset *dataset, size_t index) {
    const psal_sample *sample = &dataset->samples[index];
    return sample->path + sample->name_offset;
}

const char *psal_dataset_path(const psal_dataset *dataset, size_t index) {
    return dataset->pixels ? NULL : dataset->samples[index].path;
}

int psal_dataset_label(const psal_dataset *dataset, size_t index) {
    return dataset->samples[index].label;
}

const char *psal_dataset_group(const psal_dataset *dataset, size_t index) {
    return dataset->samples[index].group;
}

bool psal_dataset_all_labelled(const psal_dataset *dataset) {
    for (size_t i = 0; i < dataset->count; i++)
        if (dataset->samples[i].label == PSAL_NO_LABEL) return false;
    return true;
}

size_t psal_dataset_unsupported(const psal_dataset *dataset) {
    return dataset->unsupported;
}

psal_status psal_dataset_load(const psal_dataset *dataset, size_t index, psal_image *image, psal_error *err) {
    *image = (psal_image)PSAL_IMAGE_INIT;
    if (index >= dataset->count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %zu is out of range: 0 to %zu", index, dataset->count - 1);
    if (!dataset->pixels) return psal_image_load(dataset->samples[index].path, 0, image, err);
    psal_status status = psal_image_alloc(dataset->width, dataset->height, image, err);
    if (status) return psal_fail_prefix(err, "%s", dataset->samples[index].path);
    size_t pixels = (size_t)dataset->height * (size_t)dataset->width;
    const uint8_t *grey = dataset->pixels + index * pixels;
    for (size_t i = 0; i < pixels; i++) image->rgb[3 * i] = image->rgb[3 * i + 1] = image->rgb[3 * i + 2] = grey[i];
    return PSAL_OK;
}

void psal_dataset_prefetch(const psal_dataset *dataset, size_t index) {
    if (index >= dataset->count || dataset->pixels) return;
    /* O_NONBLOCK: opening a pipe nobody writes to must not wait for ever. */
    int fd = open(dataset->samples[index].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number) {
    unsigned char bytes[8]; /* little-endian, on every machine */
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> 8 * i);
    return hash_bytes(hash, bytes, sizeof bytes);
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    return hash_bytes(hash, text, strlen(text) + 1);
}

uint64_t psal_dataset_fingerprint(const psal_dataset *dataset) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = hash_number(hash, dataset->count);
    for (size_t i = 0; i < dataset->count; i++) {
        const psal_sample *sample = &dataset->samples[i];
        struct stat info;
        bool missing = dataset->pixels || stat(sample->path, &info);
        hash = hash_text(hash, psal_dataset_name(dataset, i));
        hash = hash_number(hash, (uint64_t)(int64_t)sample->label);
        hash = hash_number(hash, missing ? UINT64_MAX : (uint64_t)info.st_size);
        hash = hash_text(hash, sample->group ? sample->group : "");
    }
    if (dataset->pixels) {
        hash = hash_number(hash, (uint64_t)dataset->height);
        hash = hash_number(hash, (uint64_t)dataset->width);
        hash = hash_bytes(hash, dataset->pixels, dataset->count * (size_t)dataset->height * (size_t)dataset->width);
    }
    return hash;
}

psal_status psal_dataset_shard(const psal_dataset *dataset, int64_t shard, int64_t shards, size_t *first, size_t *end,
                               psal_error *err) {
    if (shards < 1 || shards > PSAL_DATASET_MAX_SAMPLES || shard < 0 || shard >= shards)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "shard %lld of %lld: shards are numbered from 0 to their count less one", (long long)shard,
                         (long long)shards);
    /* Both factors are at most 10^8: no overflow. */
    *first = (size_t)((uint64_t)shard * dataset->count / (uint64_t)shards);
    *end = (size_t)(((uint64_t)shard + 1) * dataset->count / (uint64_t)shards);
    return PSAL_OK;
}
