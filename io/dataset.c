#include "io/dataset_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fnv.h"

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
        psal_dataset_sample *grown = realloc(dataset->samples, capacity * sizeof *grown);
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
    dataset->samples[dataset->count++] = (psal_dataset_sample){
        .path = path, .name_offset = name_offset, .group = group_copy, .label = label};
    return PSAL_OK;
}

psal_status psal_dataset_append_bad(psal_dataset *dataset, char *path, size_t name_offset, const char *group,
                                    const psal_error *problem, psal_error *err) {
    psal_status status = psal_dataset_append(dataset, path, name_offset, PSAL_NO_LABEL, group, err);
    if (status) return status;
    psal_dataset_sample *sample = &dataset->samples[dataset->count - 1];
    sample->status = problem->status;
    sample->problem = strdup(problem->message);
    return sample->problem ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of samples");
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

bool psal_dataset_ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && !strcasecmp(text + length - end_length, end);
}

psal_extension psal_dataset_extension(const char *name) {
    /* torchvision 0.14, datasets.folder.IMG_EXTENSIONS, in its order. */
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};
    for (int i = 0; i < 9; i++)
        if (psal_dataset_ends_with(name, extensions[i]))
            return i < 3 ? PSAL_EXTENSION_READABLE : PSAL_EXTENSION_UNSUPPORTED;
    return PSAL_EXTENSION_OTHER;
}

static void free_sample(psal_dataset_sample *sample) {
    free(sample->path);
    free(sample->group);
    free(sample->problem);
}

void psal_dataset_keep(psal_dataset *dataset, const size_t *chosen, size_t count) {
    const size_t pixels = (size_t)dataset->height * (size_t)dataset->width;
    size_t kept = 0;
    for (size_t i = 0; i < dataset->count; i++) {
        if (kept == count || chosen[kept] != i) {
            free_sample(&dataset->samples[i]);
            continue;
        }
        dataset->samples[kept] = dataset->samples[i];
        if (dataset->pixels && kept != i) memcpy(dataset->pixels + kept * pixels, dataset->pixels + i * pixels, pixels);
        kept++;
    }
    dataset->count = kept;
}

void psal_dataset_free(psal_dataset *dataset) {
    if (!dataset) return;
    for (size_t i = 0; i < dataset->count; i++) free_sample(&dataset->samples[i]);
    free(dataset->samples);
    free(dataset->pixels);
    free(dataset);
}

/* ---- asking ---- */

size_t psal_dataset_count(const psal_dataset *dataset) {
    return dataset->count;
}

const char *psal_dataset_name(const psal_dataset *dataset, size_t index) {
    const psal_dataset_sample *sample = &dataset->samples[index];
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
        if (dataset->samples[i].label == PSAL_NO_LABEL && !dataset->samples[i].problem) return false;
    return true;
}

const char *psal_dataset_problem(const psal_dataset *dataset, size_t index) {
    return dataset->samples[index].problem;
}

static psal_status check_sample(const psal_dataset *dataset, size_t index, psal_error *err) {
    if (index >= dataset->count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %zu is out of range: 0 to %zu", index, dataset->count - 1);
    if (dataset->samples[index].problem)
        return psal_fail(err, dataset->samples[index].status, "%s", dataset->samples[index].problem);
    return PSAL_OK;
}

psal_status psal_dataset_load(const psal_dataset *dataset, size_t index, psal_image *image, psal_error *err) {
    *image = (psal_image)PSAL_IMAGE_INIT;
    psal_status known = check_sample(dataset, index, err);
    if (known) return known;
    if (!dataset->pixels) return psal_image_load(dataset->samples[index].path, 0, image, err);
    psal_status status = psal_image_alloc(dataset->width, dataset->height, image, err);
    if (status) return psal_fail_prefix(err, "%s", dataset->samples[index].path);
    size_t pixels = (size_t)dataset->height * (size_t)dataset->width;
    const uint8_t *grey = dataset->pixels + index * pixels;
    for (size_t i = 0; i < pixels; i++) image->rgb[3 * i] = image->rgb[3 * i + 1] = image->rgb[3 * i + 2] = grey[i];
    return PSAL_OK;
}

psal_status psal_dataset_image_fingerprint(const psal_dataset *dataset, size_t index, uint64_t *fingerprint,
                                           psal_error *err) {
    psal_status known = check_sample(dataset, index, err);
    if (known) return known;
    if (!dataset->pixels) return psal_image_fingerprint(dataset->samples[index].path, fingerprint, err);
    const size_t pixels = (size_t)dataset->height * (size_t)dataset->width;
    *fingerprint = psal_fnv_add(PSAL_FNV_INIT, dataset->pixels + index * pixels, pixels);
    return PSAL_OK;
}

psal_status psal_dataset_check_images(const psal_dataset *dataset, size_t first, size_t count, const uint64_t *hashes,
                                      size_t stride, psal_error *err) {
    size_t changed = SIZE_MAX;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < count; i++) {
        const uint64_t then = *(const uint64_t *)((const char *)hashes + i * stride);
        uint64_t now;
        if (!then || (psal_dataset_image_fingerprint(dataset, first + i, &now, NULL) == PSAL_OK && now == then))
            continue;
#pragma omp critical(psal_dataset_changed)
        if (i < changed) changed = i;
    }
    if (changed == SIZE_MAX) return PSAL_OK;
    uint64_t now;
    psal_status status = psal_dataset_image_fingerprint(dataset, first + changed, &now, err);
    return status != PSAL_OK ? status
                             : psal_fail(err, PSAL_ERR_ARGUMENT,
                                         "%s was replaced by another image since: its profile is of the earlier one",
                                         psal_dataset_name(dataset, first + changed));
}

void psal_dataset_prefetch(const psal_dataset *dataset, size_t index) {
    if (index >= dataset->count || dataset->pixels) return;
    /* O_NONBLOCK: opening a pipe nobody writes to must not wait for ever. */
    int fd = open(dataset->samples[index].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
}

static uint64_t hash_number(uint64_t hash, uint64_t number) {
    unsigned char bytes[8]; /* little-endian, on every machine */
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> 8 * i);
    return psal_fnv_add(hash, bytes, sizeof bytes);
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    return psal_fnv_add(hash, text, strlen(text) + 1);
}

psal_status psal_dataset_fingerprint(const psal_dataset *dataset, uint64_t *fingerprint, psal_error *err) {
    uint64_t hash = PSAL_FNV_INIT;
    hash = hash_number(hash, dataset->count);
    for (size_t i = 0; i < dataset->count; i++) {
        const psal_dataset_sample *sample = &dataset->samples[i];
        struct stat info;
        bool sized = !dataset->pixels && !sample->problem;
        if (sized && stat(sample->path, &info))
            return psal_fail(err, PSAL_ERR_IO, "%s: its size cannot be told: %s", sample->path, strerror(errno));
        hash = hash_text(hash, psal_dataset_name(dataset, i));
        hash = hash_number(hash, (uint64_t)(int64_t)sample->label);
        hash = hash_number(hash, sized ? (uint64_t)info.st_size : UINT64_MAX);
        hash = hash_text(hash, sample->group ? sample->group : "");
    }
    if (dataset->pixels) {
        hash = hash_number(hash, (uint64_t)dataset->height);
        hash = hash_number(hash, (uint64_t)dataset->width);
        hash = psal_fnv_add(hash, dataset->pixels, dataset->count * (size_t)dataset->height * (size_t)dataset->width);
    }
    *fingerprint = hash;
    return PSAL_OK;
}
