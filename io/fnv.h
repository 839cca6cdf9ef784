/* fnv.h - FNV-1a with 64 bits (Fowler, Noll, Vo): tells accidental changes, no more. */
#ifndef PSAL_IO_FNV_H
#define PSAL_IO_FNV_H

#include <stddef.h>
#include <stdint.h>

#define PSAL_FNV_INIT UINT64_C(0xcbf29ce484222325)

static inline uint64_t psal_fnv_add(uint64_t hash, const void *data, size_t size) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
