/* zip_writer.h - small zip archives for the tests, honest ones and others: the fields are open to
 * be spoiled. */
#ifndef PSAL_TESTS_UNIT_IO_ZIP_WRITER_H
#define PSAL_TESTS_UNIT_IO_ZIP_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct zip_writer {
    uint8_t *to; /* room enough */
    size_t size;
    uint8_t central[4000];
    size_t central_size;
    int count;
    size_t last_local, last_central; /* where the newest entry's two headers begin */
};

static inline void zip_put(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

/* Method 0 stores, 8 deflates. The data of stored entries begin at a multiple of 64, as PyTorch
 * pads them. */
static inline void zip_add(struct zip_writer *zip, const char *name, const void *data, size_t size, int method) {
    size_t length = strlen(name), local = zip->size, packed = size;
    size_t padding = method == 0 ? (64 - (local + 30 + length + 4) % 64) % 64 + 4 : 0;
    uint8_t *at = zip->to + local + 30 + length + padding;
    if (method == 0) {
        memcpy(at, data, size);
    } else {
        z_stream stream = {
            .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = at, .avail_out = 1u << 30};
        if (deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
            deflate(&stream, Z_FINISH) != Z_STREAM_END)
            abort(); /* the fuzz targets, which have no Check, use this too */
        packed = stream.total_out;
        deflateEnd(&stream);
    }
    uint64_t crc = crc32_z(0, data, size);
    uint8_t *head = zip->to + local;
    memset(head, 0, 30 + length + padding);
    zip_put(head, 0x04034b50, 4);
    zip_put(head + 8, (uint64_t)method, 2);
    zip_put(head + 14, crc, 4);
    zip_put(head + 18, packed, 4);
    zip_put(head + 22, size, 4);
    zip_put(head + 26, length, 2);
    zip_put(head + 28, padding, 2);
    memcpy(head + 30, name, length);
    if (padding) {
        memcpy(head + 30 + length, "FB", 2);
        zip_put(head + 30 + length + 2, padding - 4, 2);
    }

    uint8_t *entry = zip->central + zip->central_size;
    memset(entry, 0, 46);
    zip_put(entry, 0x02014b50, 4);
    zip_put(entry + 10, (uint64_t)method, 2);
    zip_put(entry + 16, crc, 4);
    zip_put(entry + 20, packed, 4);
    zip_put(entry + 24, size, 4);
    zip_put(entry + 28, length, 2);
    zip_put(entry + 42, local, 4);
    memcpy(entry + 46, name, length);
    zip->last_local = local;
    zip->last_central = zip->central_size;
    zip->central_size += 46 + length;
    zip->size = local + 30 + length + padding + packed;
    zip->count++;
}

/* Append the directory; returns the size of the archive. */
static inline size_t zip_end(struct zip_writer *zip) {
    uint8_t *end = zip->to + zip->size + zip->central_size;
    memcpy(zip->to + zip->size, zip->central, zip->central_size);
    memset(end, 0, 22);
    zip_put(end, 0x06054b50, 4);
    zip_put(end + 8, (uint64_t)zip->count, 2);
    zip_put(end + 10, (uint64_t)zip->count, 2);
    zip_put(end + 12, zip->central_size, 4);
    zip_put(end + 16, zip->size, 4);
    return zip->size + zip->central_size + 22;
}

#endif
