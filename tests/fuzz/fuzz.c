#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ASan ends the process when somebody asks for much too much memory; here malloc shall fail instead, as it does without
 * sanitizers, and fuzz_outcome finds it out. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocation_size_may_return_null=1:max_allocation_size_mb=1024";
}

/* clang's OpenMP does not give back its own memory in a child. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libomp";
}
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
    return "print_suppressions=0";
}

void fuzz_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* Memory for an input is not what is tested. */
static void *some_memory(size_t size) {
    void *memory = malloc(size ? size : 1);
    FUZZ_CHECK(memory != NULL);
    return memory;
}

/* ---- files ---- */

static char folder[200];
static pid_t folder_owner;

static void remove_folder(void) {
    if (getpid() != folder_owner) return; /* a child of the process that made it */
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (entry->d_name[0] != '.') unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries) closedir(entries);
    rmdir(folder);
}

const char *fuzz_path(const char *name) {
    static char paths[4][300];
    static int next;
    if (folder_owner != getpid()) {
        const char *place = getenv("TMPDIR");
        if (!place || !*place) place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        FUZZ_CHECK(snprintf(folder, sizeof folder, "%s/psal-fuzz-XXXXXX", place) < (int)sizeof folder);
        FUZZ_CHECK(mkdtemp(folder) != NULL);
        if (!folder_owner) atexit(remove_folder); /* inherited by children */
        folder_owner = getpid();
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *fuzz_write(const char *name, const void *bytes, size_t size) {
    const char *path = fuzz_path(name);
    unlink(path); /* a mapping of the one before stays whole */
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file && (!size || fwrite(bytes, 1, size, file) == size) && fclose(file) == 0);
    return path;
}

fuzz_parts fuzz_split(const uint8_t *data, size_t size) {
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    fuzz_parts parts = {.text_size = nul ? (size_t)(nul - data) : size};
    parts.rest_size = nul ? size - parts.text_size - 1 : 0;
    parts.text = some_memory(parts.text_size + 1);
    if (size) memcpy(parts.text, data, parts.text_size);
    parts.text[parts.text_size] = '\0';
    parts.rest = some_memory(parts.rest_size);
    if (parts.rest_size) memcpy(parts.rest, nul + 1, parts.rest_size);
    return parts;
}

void fuzz_split_free(fuzz_parts *parts) {
    free(parts->text);
    free(parts->rest);
}

const char *fuzz_write_safetensors(const char *name, const uint8_t *data, size_t size) {
    fuzz_parts parts = fuzz_split(data, size);
    size_t total = 8 + parts.text_size + parts.rest_size;
    uint8_t *file = some_memory(total);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)parts.text_size >> 8 * i);
    memcpy(file + 8, parts.text, parts.text_size);
    memcpy(file + 8 + parts.text_size, parts.rest, parts.rest_size);
    const char *path = fuzz_write(name, file, total);
    free(file);
    fuzz_split_free(&parts);
    return path;
}

/* ---- checksums ---- */

static uint32_t little(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

/* Store the CRC-32 of data[from .. from+count-1] at `at`; true if it was another. */
static bool put_crc(uint8_t *data, size_t from, size_t count, size_t at, bool big_endian) {
    uint32_t crc = (uint32_t)crc32_z(0, data + from, count);
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(crc >> (big_endian ? 24 - 8 * i : 8 * i));
    if (memcmp(data + at, bytes, 4) == 0) return false;
    memcpy(data + at, bytes, 4);
    return true;
}

uint8_t *fuzz_repair_zip(const uint8_t *data, size_t size) {
    if (size < 22 || memcmp(data, "PK", 2) != 0) return NULL;
    uint8_t *copy = some_memory(size);
    bool changed = false;
    memcpy(copy, data, size);
    for (size_t at = 0; at + 46 <= size; at++) { /* entries of the central directory, wherever */
        if (memcmp(copy + at, "PK\1\2", 4) != 0 || little(copy + at + 10, 2) != 0) continue;
        size_t bytes = little(copy + at + 20, 4), local = little(copy + at + 42, 4);
        if (local + 30 > size) continue;
        size_t from = local + 30 + little(copy + local + 26, 2) + little(copy + local + 28, 2);
        if (from > size || bytes > size - from) continue;
        changed |= put_crc(copy, from, bytes, at + 16, false);
        if (at + 16 >= from + bytes || at + 20 <= from) continue;
        break; /* it covers itself: no CRC would be right */
    }
    if (changed) return copy;
    free(copy);
    return NULL;
}

uint8_t *fuzz_repair_png(const uint8_t *data, size_t size) {
    if (size < 8 || memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0) return NULL;
    uint8_t *copy = some_memory(size);
    bool changed = false;
    memcpy(copy, data, size);
    for (size_t at = 8; size - at >= 12;) {
        size_t length = (size_t)copy[at] << 24 | (size_t)copy[at + 1] << 16 | (size_t)copy[at + 2] << 8 | copy[at + 3];
        if (length > size - at - 12) break;
        changed |= put_crc(copy, at + 4, length + 4, at + 8 + length, true);
        at += 12 + length;
    }
    if (changed) return copy;
    free(copy);
    return NULL;
}

/* ---- outcomes ---- */

bool fuzz_outcome(bool good, const psal_error *err) {
    if (good) return true;
    FUZZ_CHECK(err->status != PSAL_OK);
    FUZZ_CHECK(*err->message && !strchr(err->message, '\n'));
    bool memory = err->status == PSAL_ERR_MEMORY && strstr(err->message, "out of memory"); /* or a limit that is kept */
    if (memory) fprintf(stderr, "%s\n", err->message);
    FUZZ_CHECK(!memory);
    return false;
}

static size_t bytes_of(const psal_tensor *tensor) {
    int64_t count = psal_shape_count(&tensor->shape);
    FUZZ_CHECK(count >= 0);
    return (size_t)count * psal_dtype_size(tensor->dtype);
}

void fuzz_touch(const psal_tensor_map *map) {
    volatile uint8_t sum = 0; /* so that the reading is not left out */
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        size_t bytes = bytes_of(tensor);
        if (tensor->dtype == PSAL_OTHER) FUZZ_CHECK(strlen(psal_tensor_type(tensor)) <= 100);
        FUZZ_CHECK(!bytes || (uintptr_t)tensor->data % psal_dtype_size(tensor->dtype) == 0);
        uint8_t all = 0;
        for (size_t b = 0; b < bytes; b++) all ^= ((const uint8_t *)tensor->data)[b];
        sum = (uint8_t)(sum ^ all);
    }
}

bool fuzz_same_tensors(const psal_tensor_map *a, const psal_tensor_map *b) {
    if (psal_tensor_map_count(a) != psal_tensor_map_count(b) ||
        psal_tensor_map_meta_count(a) != psal_tensor_map_meta_count(b))
        return false;
    for (size_t i = 0; i < psal_tensor_map_count(a); i++) {
        const psal_tensor *x = psal_tensor_map_at(a, i), *y = psal_tensor_map_get(b, psal_tensor_map_name(a, i));
        if (!y || x->dtype != y->dtype || !psal_shape_equal(&x->shape, &y->shape)) return false;
        if (bytes_of(x) && memcmp(x->data, y->data, bytes_of(x)) != 0) return false;
    }
    for (size_t i = 0; i < psal_tensor_map_meta_count(a); i++) {
        const char *key = psal_tensor_map_meta_key(a, i), *value = psal_tensor_map_meta(b, key);
        if (!value || strcmp(value, psal_tensor_map_meta(a, key)) != 0) return false;
    }
    return true;
}

/* ---- seeds ---- */

static fuzz_input *seeds;
static size_t seed_count;

void fuzz_seed(const char *name, const void *bytes, size_t size) {
    seeds = realloc(seeds, (seed_count + 1) * sizeof *seeds);
    FUZZ_CHECK(seeds != NULL && strlen(name) < sizeof seeds->name);
    fuzz_input *seed = &seeds[seed_count++];
    strcpy(seed->name, name);
    seed->size = size;
    seed->bytes = some_memory(size);
    if (size) memcpy(seed->bytes, bytes, size);
}

/* The whole file; the caller frees. */
static uint8_t *read_file(const char *path, size_t *size) {
    enum { MOST = 1 << 20 };
    uint8_t *bytes = some_memory(MOST);
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    *size = fread(bytes, 1, MOST, file);
    FUZZ_CHECK(*size < MOST && fclose(file) == 0);
    return bytes;
}

void fuzz_seed_file(const char *name, const char *path) {
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    fuzz_seed(name, bytes, size);
    free(bytes);
}

void fuzz_seed_safetensors(const char *name, const char *path) {
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    size_t header = little(bytes, 4), text = header;
    FUZZ_CHECK(size >= 8 + header);
    while (text > 0 && bytes[8 + text - 1] == ' ') text--; /* padding */
    memmove(bytes, bytes + 8, text);
    bytes[text] = '\0';
    memmove(bytes + text + 1, bytes + 8 + header, size - 8 - header);
    fuzz_seed(name, bytes, text + 1 + size - 8 - header);
    free(bytes);
}

size_t fuzz_seed_count(void) {
    return seed_count;
}

const fuzz_input *fuzz_seed_at(size_t index) {
    return &seeds[index];
}
