/* sha256.h - SHA-256 (FIPS 180-4), by which statistics find the checkpoint they belong to. */
#ifndef PSAL_IO_SHA256_H
#define PSAL_IO_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

void psal_sha256(const void *data, size_t size, uint8_t digest[32]);
/* The same without the processor's SHA instructions: what other processors run, and the reference
 * of the tests. */
void psal_sha256_plain(const void *data, size_t size, uint8_t digest[32]);

/* The hash of a file's contents as 64 lower-case hexadecimal digits and a NUL (of nothing, for an
 * empty file). With the processor's SHA instructions some 0.6 s per GB, else 3 s. */
psal_status psal_file_sha256(const char *path, char hex[65], psal_error *err);

#endif
