/* A hash of a model's weights: what statistics remember of the network they were computed with. */
#include <stdlib.h>
#include <string.h>

#include "engine/file_values.h"
#include "models/model.h"

static uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD6E8FEB86659FD93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word(const unsigned char *p) {
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

/* How far ahead memory is asked for: left to itself the processor fetches only half as fast as this can be worked out. */
enum { AHEAD = 4096 };

/* What of a file lies behind the part that may stay in memory is given back by so many bytes. */
enum { PIECE = 1 << 20 };

/* Folded 64x64->128-bit multiplications over four independent lanes (the construction of Wang Yi's wyhash). */
static uint64_t hash_bytes(const void *data, size_t size, uint64_t seed) {
    const unsigned char *p = data;
    uint64_t lanes[4] = {seed, seed ^ 1, seed ^ 2, seed ^ 3};
    uint64_t words[8];
    for (size_t done = 0; size >= sizeof words; p += sizeof words, size -= sizeof words, done += sizeof words) {
        if (done > 0 && done % PIECE == 0) psal_file_values_passed(data, done - PIECE, PIECE);
        __builtin_prefetch((const void *)((uintptr_t)p + AHEAD)); /* beyond the end too: it never faults */
        for (int i = 0; i < 4; i++)
            lanes[i] = mix(lanes[i] ^ word(p + 16 * i), word(p + 16 * i + 8) + 0xA0761D6478BD642Fu);
    }
    memset(words, 0, sizeof words);
    memcpy(words, p, size);
    for (int i = 0; i < 4; i++) lanes[i] = mix(lanes[i] ^ words[2 * i], words[2 * i + 1] + size);
    return mix(mix(lanes[0], lanes[1]), mix(lanes[2], lanes[3]));
}

uint64_t psal_model_fingerprint(const psal_model *model) {
    int count = psal_model_parameter_count(model);
    uint64_t *hashes = calloc((size_t)count + 1, sizeof *hashes);
    if (!hashes) return 0;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < count; i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        size_t elements = p->in_graph ? (size_t)psal_shape_count(&p->shape)
                                      : 0; /* what is never computed does not count */
        hashes[i] = hash_bytes(p->values, elements * sizeof *p->values, hash_bytes(p->name, strlen(p->name), 1));
    }
    uint64_t fingerprint = hash_bytes(hashes, (size_t)count * sizeof *hashes, 2);
    free(hashes);
    return fingerprint ? fingerprint : 1; /* 0 stands for "not known" */
}
