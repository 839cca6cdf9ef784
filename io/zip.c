#include "io/zip.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/mapped_file.h"

#define END_SIZE 22     /* end of central directory, without its comment */
#define LOCATOR_SIZE 20 /* zip64 end of central directory locator */
#define END64_SIZE 56
#define CENTRAL_SIZE 46
#define LOCAL_SIZE 30

struct entry {
    const char *name;
    uint64_t compressed, size, local_offset, data_offset;
    uint32_t crc;
    uint16_t method;
    bool checked;
    uint8_t *unpacked;
};

struct psal_zip {
    psal_mapped_file file;
    struct entry *entries;
    struct entry **by_name;
    size_t count;
    char *names; /* all names, each terminated */
};

static uint64_t number(const uint8_t *bytes, int length) {
    uint64_t value = 0;
    for (int i = length - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static bool is(const uint8_t *bytes, uint32_t signature) {
    return number(bytes, 4) == signature;
}

struct directory {
    uint64_t offset, size, count;
};

/* Find the end of the central directory: at the very end, but for a comment of at most 65535 bytes.
 */
static psal_status find_directory(const psal_mapped_file *file, struct directory *dir, psal_error *err) {
    const uint8_t *data = file->data;
    if (file->size < END_SIZE) return psal_fail(err, PSAL_ERR_FORMAT, "the zip archive is truncated");
    size_t end = file->size - END_SIZE, lowest = end > 0xffff ? end - 0xffff : 0;
    while (!is(data + end, 0x06054b50) || end + END_SIZE + number(data + end + 20, 2) != file->size) {
        if (end == lowest)
            return psal_fail(err, PSAL_ERR_FORMAT, "the zip archive has no central directory (a truncated file?)");
        end--;
    }
    *dir = (struct directory){number(data + end + 16, 4), number(data + end + 12, 4), number(data + end + 10, 2)};
    uint64_t limit = end;
    if (dir->offset == 0xffffffff || dir->size == 0xffffffff || dir->count == 0xffff) {
        uint64_t end64 = 0;
        bool fits = end >= LOCATOR_SIZE + END64_SIZE && is(data + end - LOCATOR_SIZE, 0x07064b50);
        if (fits) {
            end64 = number(data + end - LOCATOR_SIZE + 8, 8);
            fits = end64 <= end - LOCATOR_SIZE - END64_SIZE && is(data + end64, 0x06064b50);
        }
        if (fits) {
            *dir = (struct directory){number(data + end64 + 48, 8), number(data + end64 + 40, 8),
                                      number(data + end64 + 32, 8)};
            limit = end64;
        } else if (dir->offset == 0xffffffff || dir->size == 0xffffffff) {
            return psal_fail(err, PSAL_ERR_FORMAT, "the zip archive's zip64 record is damaged");
        }
    }
    if (dir->offset > limit || dir->size > limit - dir->offset || dir->count > dir->size / CENTRAL_SIZE)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "the zip archive's central directory (%" PRIu64 " entries, %" PRIu64 " bytes at %" PRIu64
                         ") does not fit the file of %zu bytes",
                         dir->count, dir->size, dir->offset, file->size);
    return PSAL_OK;
}

/* Replace the 32-bit fields that say "see the extra field" (APPNOTE 4.5.3). */
static bool read_zip64(const uint8_t *extra, size_t length, struct entry *entry) {
    uint64_t *fields[3] = {&entry->size, &entry->compressed, &entry->local_offset};
    bool wanted = false;
    for (int i = 0; i < 3; i++) wanted |= *fields[i] == 0xffffffff;
    if (!wanted) return true;
    while (length >= 4) {
        size_t id = (size_t)number(extra, 2), size = (size_t)number(extra + 2, 2);
        extra += 4;
        length -= 4;
        if (size > length) return false;
        if (id == 1) {
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != 0xffffffff) continue;
                if (size < 8) return false;
                *fields[i] = number(extra, 8);
                extra += 8;
                size -= 8;
            }
            return true;
        }
        extra += size;
        length -= size;
    }
    return true; /* no zip64 field: the size really is 2^32 - 1 */
}

/* Check the local header against the directory and find where the data begin. */
static psal_status read_local(const psal_mapped_file *file, uint64_t limit, struct entry *entry, psal_error *err) {
    size_t name_length = strlen(entry->name);
    bool fits = entry->local_offset <= limit && limit - entry->local_offset >= LOCAL_SIZE + name_length;
    const uint8_t *local = fits ? file->data + entry->local_offset : NULL;
    if (!fits || !is(local, 0x04034b50) || number(local + 26, 2) != name_length ||
        number(local + 8, 2) != entry->method || memcmp(local + LOCAL_SIZE, entry->name, name_length) != 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "zip entry %.200s: its local header is damaged", entry->name);
    if (number(local + 6, 2) & 1)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "zip entry %.200s is encrypted", entry->name);
    entry->data_offset = entry->local_offset + LOCAL_SIZE + name_length + number(local + 28, 2);
    if (entry->data_offset > limit || entry->compressed > limit - entry->data_offset)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "zip entry %.200s: %" PRIu64 " bytes at %" PRIu64
                         " reach past the end of the data at %" PRIu64,
                         entry->name, entry->compressed, entry->data_offset, limit);
    if (entry->method != 0 && entry->method != 8)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "zip entry %.200s: compression method %u", entry->name,
                         entry->method);
    if (entry->method == 0 && entry->size != entry->compressed)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "zip entry %.200s: stored, yet of two sizes (%" PRIu64 " and %" PRIu64 " bytes)", entry->name,
                         entry->compressed, entry->size);
    return PSAL_OK;
}

static psal_status read_directory(psal_zip *zip, const struct directory *dir, psal_error *err) {
    const uint8_t *at = zip->file.data + dir->offset;
    uint64_t left = dir->size, unpacked = 0;
    char *name = zip->names;
    for (uint64_t i = 0; i < dir->count; i++) {
        if (left < CENTRAL_SIZE || !is(at, 0x02014b50))
            return psal_fail(err, PSAL_ERR_FORMAT, "the zip archive's central directory is damaged at entry %" PRIu64,
                             i);
        size_t name_length = (size_t)number(at + 28, 2), extra_length = (size_t)number(at + 30, 2);
        size_t length = CENTRAL_SIZE + name_length + extra_length + (size_t)number(at + 32, 2);
        if (length > left || memchr(at + CENTRAL_SIZE, 0, name_length))
            return psal_fail(err, PSAL_ERR_FORMAT, "the zip archive's central directory is damaged at entry %" PRIu64,
                             i);
        struct entry *entry = &zip->entries[zip->count++];
        *entry = (struct entry){.name = name,
                                .compressed = number(at + 20, 4),
                                .size = number(at + 24, 4),
                                .local_offset = number(at + 42, 4),
                                .crc = (uint32_t)number(at + 16, 4),
                                .method = (uint16_t)number(at + 10, 2)};
        memcpy(name, at + CENTRAL_SIZE, name_length);
        name[name_length] = '\0';
        name += name_length + 1;
        if (!read_zip64(at + CENTRAL_SIZE + name_length, extra_length, entry))
            return psal_fail(err, PSAL_ERR_FORMAT, "zip entry %.200s: its zip64 field is damaged", entry->name);
        psal_status status = read_local(&zip->file, dir->offset, entry, err);
        if (status != PSAL_OK) return status;
        if (entry->method == 8) {
            uint64_t limit = 64 * (uint64_t)zip->file.size + (64u << 20);
            if (entry->size > limit || (unpacked += entry->size) > limit)
                return psal_fail(err, PSAL_ERR_FORMAT,
                                 "zip entry %.200s: the archive of %zu bytes would unpack to more than %" PRIu64
                                 " bytes: a compression bomb?",
                                 entry->name, zip->file.size, limit);
        }
        at += length;
        left -= length;
    }
    return PSAL_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return (x->local_offset > y->local_offset) - (x->local_offset < y->local_offset);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(struct entry *const *)a)->name, (*(struct entry *const *)b)->name);
}

/* Entries may neither share bytes (a small archive that unpacks one range many times) nor names. */
static psal_status check_entries(psal_zip *zip, psal_error *err) {
    for (size_t i = 0; i < zip->count; i++) zip->by_name[i] = &zip->entries[i];
    qsort(zip->by_name, zip->count, sizeof *zip->by_name, compare_offsets);
    for (size_t i = 1; i < zip->count; i++) {
        const struct entry *before = zip->by_name[i - 1], *entry = zip->by_name[i];
        if (before->data_offset + before->compressed > entry->local_offset)
            return psal_fail(err, PSAL_ERR_FORMAT, "zip entries %.200s and %.200s overlap", before->name, entry->name);
    }
    qsort(zip->by_name, zip->count, sizeof *zip->by_name, compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_names(&zip->by_name[i - 1], &zip->by_name[i]) == 0)
            return psal_fail(err, PSAL_ERR_FORMAT, "zip entry %.200s occurs twice", zip->by_name[i]->name);
    return PSAL_OK;
}

psal_zip *psal_zip_open(const char *path, psal_error *err) {
    psal_zip *zip = calloc(1, sizeof *zip);
    if (!zip) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    struct directory dir = {0};
    if (psal_map_file(path, &zip->file, err) != PSAL_OK) {
        free(zip);
        return NULL;
    }
    if (find_directory(&zip->file, &dir, err) != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
        psal_zip_close(zip);
        return NULL;
    }
    zip->entries = calloc((size_t)dir.count + 1, sizeof *zip->entries);
    zip->by_name = calloc((size_t)dir.count + 1, sizeof *zip->by_name);
    zip->names = malloc((size_t)(dir.size + dir.count) + 1);
    psal_status status = zip->entries && zip->by_name && zip->names ? read_directory(zip, &dir, err)
                                                                    : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status != PSAL_OK || check_entries(zip, err) != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
        psal_zip_close(zip);
        return NULL;
    }
    return zip;
}

void psal_zip_close(psal_zip *zip) {
    if (!zip) return;
    for (size_t i = 0; i < zip->count; i++) free(zip->entries[i].unpacked);
    free(zip->entries);
    free(zip->by_name);
    free(zip->names);
    psal_unmap_file(&zip->file);
    free(zip);
}

size_t psal_zip_count(const psal_zip *zip) {
    return zip->count;
}

size_t psal_zip_file_size(const psal_zip *zip) {
    return zip->file.size;
}

const char *psal_zip_name(const psal_zip *zip, size_t index) {
    return zip->entries[index].name;
}

ptrdiff_t psal_zip_find(const psal_zip *zip, const char *name) {
    struct entry wanted = {.name = name}, *key = &wanted;
    struct entry **found = bsearch(&key, zip->by_name, zip->count, sizeof *zip->by_name, compare_names);
    return found ? *found - zip->entries : -1;
}

/* Inflate one entry; its size was bounded when the directory was read. */
static psal_status unpack(const psal_zip *zip, struct entry *entry, psal_error *err) {
    entry->unpacked = malloc(entry->size ? (size_t)entry->size : 1);
    if (!entry->unpacked)
        return psal_fail(err, PSAL_ERR_MEMORY, "zip entry %.200s: out of memory (%" PRIu64 " bytes)", entry->name,
                         entry->size);
    z_stream stream = {0};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    uint64_t in = 0, out = 0;
    int state = Z_OK;
    stream.next_in = (Bytef *)(uintptr_t)(zip->file.data + entry->data_offset);
    stream.next_out = entry->unpacked;
    /* zlib counts in 32 bits: feed both sides in pieces. */
    while (state == Z_OK) {
        uint64_t in_left = entry->compressed - in, out_left = entry->size - out;
        stream.avail_in = (uInt)(in_left < (1u << 30) ? in_left : 1u << 30);
        stream.avail_out = (uInt)(out_left < (1u << 30) ? out_left : 1u << 30);
        uInt in_given = stream.avail_in, out_given = stream.avail_out;
        state = inflate(&stream, Z_NO_FLUSH);
        in += in_given - stream.avail_in;
        out += out_given - stream.avail_out;
    }
    inflateEnd(&stream);
    if (state != Z_STREAM_END || out != entry->size || in != entry->compressed)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "zip entry %.200s: its compressed data are damaged (%" PRIu64 " of %" PRIu64
                         " bytes unpacked)",
                         entry->name, out, entry->size);
    return PSAL_OK;
}

/* CRC-32 of an entry: of a checkpoint's large tensors in parts, since it takes as long as all else that a start
 * does. */
static uint32_t checksum(const uint8_t *data, size_t size) {
    enum { PARTS = 64, LEAST = 1 << 18 };
    uint32_t parts[PARTS];
    const size_t count = size / LEAST < PARTS ? size / LEAST + 1 : PARTS;
#pragma omp parallel for schedule(dynamic) if (count > 1)
    for (size_t i = 0; i < count; i++) {
        const size_t start = size / count * i, end = i + 1 < count ? start + size / count : size;
        parts[i] = (uint32_t)crc32_z(0, data + start, end - start);
    }
    uLong crc = parts[0];
    for (size_t i = 1; i < count; i++)
        crc = crc32_combine(crc, parts[i], (z_off_t)(i + 1 < count ? size / count : size - size / count * i));
    return (uint32_t)crc;
}

psal_status psal_zip_data(psal_zip *zip, size_t index, const uint8_t **data, size_t *size, psal_error *err) {
    struct entry *entry = &zip->entries[index];
    if (entry->method == 8 && !entry->unpacked) {
        psal_status status = unpack(zip, entry, err);
        if (status != PSAL_OK) {
            free(entry->unpacked);
            entry->unpacked = NULL;
            return status;
        }
    }
    *data = entry->unpacked ? entry->unpacked : zip->file.data + entry->data_offset;
    *size = (size_t)entry->size;
    if (entry->checked) return PSAL_OK;
    uint32_t crc = checksum(*data, *size);
    if (crc != entry->crc)
        return psal_fail(err, PSAL_ERR_FORMAT, "zip entry %.200s is damaged: CRC-32 %08x, expected %08x", entry->name,
                         crc, entry->crc);
    entry->checked = true;
    return PSAL_OK;
}
