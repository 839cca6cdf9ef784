/* pickle_writer.h - small pickles and PyTorch files for the tests, honest ones and others. */
#ifndef PSAL_TESTS_UNIT_IO_PICKLE_WRITER_H
#define PSAL_TESTS_UNIT_IO_PICKLE_WRITER_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "zip_writer.h"

struct pickle_writer {
    uint8_t bytes[20000];
    size_t size;
};

static inline void put_bytes(struct pickle_writer *to, const void *bytes, size_t size) {
    memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}
#define PUT(to, text) put_bytes(to, text, sizeof(text) - 1)

static inline void put_string(struct pickle_writer *to, const char *text) {
    uint8_t head[5] = {'X'};
    zip_put(head + 1, strlen(text), 4);
    put_bytes(to, head, 5);
    put_bytes(to, text, strlen(text));
}

static inline void put_integer(struct pickle_writer *to, int64_t value) {
    uint8_t head[10] = {0x8a, 8};
    zip_put(head + 2, (uint64_t)value, 8);
    put_bytes(to, head, 10);
}

static inline void put_tuple(struct pickle_writer *to, int count, const int64_t *values) {
    PUT(to, "(");
    for (int i = 0; i < count; i++) put_integer(to, values[i]);
    PUT(to, "t");
}

/* A tensor over the storage `key` of `count` elements of `type` ("FloatStorage"). `legacy` adds the
 * sixth field. */
static inline void put_tensor(struct pickle_writer *to, const char *type, const char *key, int64_t count,
                              int64_t offset, int ndim, const int64_t *dim, const int64_t *stride, int legacy) {
    char name[100];
    PUT(to, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_string(to, "storage");
    snprintf(name, sizeof name, "ctorch\n%s\n", type);
    put_bytes(to, name, strlen(name));
    put_string(to, key);
    put_string(to, "cpu");
    put_integer(to, count);
    if (legacy) PUT(to, "N");
    PUT(to, "tQ");
    put_integer(to, offset);
    put_tuple(to, ndim, dim);
    put_tuple(to, ndim, stride);
    PUT(to, "\x89"
            "ccollections\nOrderedDict\n)RtR");
}

/* A state_dict of three: "w" 2x3 float32 0..5 and "t", the same storage transposed (3x2), and
 * "steps", int64 7. */
static inline void put_sample(struct pickle_writer *to, int legacy) {
    PUT(to, "\x80\x02"
            "ccollections\nOrderedDict\n)R(");
    put_string(to, "w");
    put_tensor(to, "FloatStorage", "0", 6, 0, 2, (int64_t[]){2, 3}, (int64_t[]){3, 1}, legacy);
    put_string(to, "t");
    put_tensor(to, "FloatStorage", "0", 6, 0, 2, (int64_t[]){3, 2}, (int64_t[]){1, 3}, legacy);
    put_string(to, "steps");
    put_tensor(to, "LongStorage", "1", 1, 0, 0, NULL, NULL, legacy);
    PUT(to, "u}b.");
}

static const float sample_floats[6] = {0, 1, 2, 3, 4, 5};
static const int64_t sample_steps = 7;

/* The zip form: `pickle` and the sample's storages. Returns the size. */
static inline size_t make_zip_form(uint8_t *to, const struct pickle_writer *pickle, int method) {
    struct zip_writer zip = {.to = to};
    zip_add(&zip, "archive/data.pkl", pickle->bytes, pickle->size, method);
    zip_add(&zip, "archive/data/0", sample_floats, sizeof sample_floats, method);
    zip_add(&zip, "archive/data/1", &sample_steps, sizeof sample_steps, method);
    zip_add(&zip, "archive/version", "3\n", 2, method);
    return zip_end(&zip);
}

static const char legacy_head[] = "\x80\x02\x8a\nl\xfc\x9c"
                                  "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";

/* The legacy form: the same. */
static inline size_t make_legacy_form(uint8_t *to, const struct pickle_writer *pickle) {
    struct pickle_writer file = {.size = 0};
    PUT(&file, legacy_head);
    put_bytes(&file, pickle->bytes, pickle->size);
    PUT(&file, "\x80\x02](");
    put_string(&file, "1");
    put_string(&file, "0");
    PUT(&file, "e.");
    put_bytes(&file, &(int64_t){1}, 8);
    put_bytes(&file, &sample_steps, 8);
    put_bytes(&file, &(int64_t){6}, 8);
    put_bytes(&file, sample_floats, sizeof sample_floats);
    memcpy(to, file.bytes, file.size);
    return file.size;
}

#endif
