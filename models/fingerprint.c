/* A hash of a model's weights: what statistics remember of the network they were computed with. */
#include <string.h>

#include "models/model_internal.h"

static uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD6E8FEB86659FD93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word(const unsigned char *p) {
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

/* How far ahead memory is asked for: left to itself the processor fetches only half as fast as this can be worked
 * out. */
enum { AHEAD = 4096 };

/* Folded 64x64->128-bit multiplications over four independent lanes (the construction of Wang Yi's wyhash). */
typedef struct hash {
    uint64_t lanes[4];
} hash;

enum { BLOCK = 8 * sizeof(uint64_t) };

static hash hash_begin(uint64_t seed) {
    return (hash){{seed, seed ^ 1, seed ^ 2, seed ^ 3}};
}

/* All whole blocks of `data`; how many bytes they are. */
static size_t hash_blocks(hash *h, const void *data, size_t size) {
    const unsigned char *p = data;
    size_t done = 0;
    for (; size - done >= BLOCK; p += BLOCK, done += BLOCK) {
        __builtin_prefetch((const void *)((uintptr_t)p + AHEAD)); /* beyond the end too: it never faults */
        for (int i = 0; i < 4; i++)
            h->lanes[i] = mix(h->lanes[i] ^ word(p + 16 * i), word(p + 16 * i + 8) + 0xA0761D6478BD642Fu);
    }
    return done;
}

/* What is left, less than a block. */
static uint64_t hash_end(hash *h, const void *rest, size_t size) {
    uint64_t words[8] = {0};
    memcpy(words, rest, size);
    for (int i = 0; i < 4; i++) h->lanes[i] = mix(h->lanes[i] ^ words[2 * i], words[2 * i + 1] + size);
    return mix(mix(h->lanes[0], h->lanes[1]), mix(h->lanes[2], h->lanes[3]));
}

uint64_t psal_bytes_fingerprint(const void *data, size_t size, uint64_t seed) {
    hash h = hash_begin(seed);
    size_t done = hash_blocks(&h, data, size);
    return hash_end(&h, (const unsigned char *)data + done, size - done);
}

static uint64_t hash_tensor(const net_tensor *tensor, const float *values) {
    size_t elements = tensor->in_graph ? (size_t)psal_shape_count(&tensor->shape) : 0; /* else never computed */
    return psal_bytes_fingerprint(values, elements * sizeof *values,
                                  psal_bytes_fingerprint(tensor->name, strlen(tensor->name), 1));
}

/* The hash of the tensors' hashes: so many at a time, since memory that may be missing would make it another number. */
uint64_t psal_model_fingerprint(const psal_model *model) {
    enum { AT_ONCE = 512 };
    _Static_assert(AT_ONCE * sizeof(uint64_t) % BLOCK == 0, "all but the last are whole blocks");
    uint64_t hashes[AT_ONCE];
    hash h = hash_begin(2);
    const net_tensor *tensors = model->list.tensors;
    int count = model->list.count, first = 0;
    for (; count - first >= AT_ONCE; first += AT_ONCE) {
#pragma omp parallel for schedule(dynamic)
        for (int i = 0; i < AT_ONCE; i++) hashes[i] = hash_tensor(&tensors[first + i], model->values[first + i].values);
        hash_blocks(&h, hashes, sizeof hashes);
    }
#pragma omp parallel for schedule(dynamic)
    for (int i = first; i < count; i++) hashes[i - first] = hash_tensor(&tensors[i], model->values[i].values);
    size_t size = (size_t)(count - first) * sizeof *hashes, done = hash_blocks(&h, hashes, size);
    uint64_t fingerprint = hash_end(&h, (const unsigned char *)hashes + done, size - done);
    return fingerprint ? fingerprint : 1; /* 0 stands for "not known" */
}
