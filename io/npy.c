#include "io/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "io/strided.h"
#include "io/zip.h"

#define MAX_HEADER 65536

static const struct {
    const char *code;
    psal_dtype dtype;
} codes[] = {
    {"f4", PSAL_F32}, {"f8", PSAL_F64}, {"f2", PSAL_F16}, {"i8", PSAL_I64},  {"i4", PSAL_I32},
    {"i2", PSAL_I16}, {"i1", PSAL_I8},  {"u1", PSAL_U8},  {"b1", PSAL_BOOL}, {"?", PSAL_BOOL},
};

bool psal_numpy_dtype(const char *code, size_t length, psal_dtype *dtype) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strlen(codes[i].code) == length && memcmp(codes[i].code, code, length) == 0) {
            *dtype = codes[i].dtype;
            return true;
        }
    return false;
}

/* ---- the header: a Python dictionary literal of three known keys ---- */

struct header {
    psal_dtype dtype;
    char type[40]; /* PSAL_OTHER: the type's code, or "V" for structures */
    bool fortran;
    psal_shape shape;
    size_t data_offset;
};

struct text {
    const char *at, *end;
};

static void skip_blanks(struct text *text) {
    while (text->at < text->end && memchr(" \t\r\n", *text->at, 4)) text->at++;
}

static bool accept(struct text *text, char wanted) {
    skip_blanks(text);
    if (text->at == text->end || *text->at != wanted) return false;
    text->at++;
    return true;
}

static bool accept_word(struct text *text, const char *word) {
    skip_blanks(text);
    size_t length = strlen(word);
    if ((size_t)(text->end - text->at) < length || memcmp(text->at, word, length) != 0) return false;
    text->at += length;
    return true;
}

static bool quoted(struct text *text, const char **start, size_t *length) {
    skip_blanks(text);
    if (text->at == text->end || (*text->at != '\'' && *text->at != '"')) return false;
    char quote = *text->at++;
    *start = text->at;
    while (text->at < text->end && *text->at != quote) text->at++;
    *length = (size_t)(text->at - *start);
    return accept(text, quote);
}

static bool tuple(struct text *text, psal_shape *shape) {
    *shape = (psal_shape){0};
    if (!accept(text, '(')) return false;
    while (!accept(text, ')')) {
        int64_t value = 0;
        int digits = 0;
        skip_blanks(text);
        for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++, digits++) {
            if (digits >= 18) return false; /* 10^18 elements are no array */
            value = value * 10 + (*text->at - '0');
        }
        if (!digits || shape->ndim == PSAL_MAX_DIMS) return false;
        accept(text, 'L'); /* Python 2 wrote 3L */
        shape->dim[shape->ndim++] = value;
        if (!accept(text, ',')) return accept(text, ')');
    }
    return true;
}

/* Numbers psal has none for, big-endian ones, text, objects and structures are PSAL_OTHER. */
static void parse_type(const char *descr, size_t length, struct header *header) {
    bool order = length && memchr("<>=|", *descr, 4);
    bool swapped = length > 1 && *descr == '>' && strchr("fiu", descr[1]) && descr[length - 1] != '1';
    header->dtype = PSAL_OTHER;
    if (swapped || !psal_numpy_dtype(descr + order, length - order, &header->dtype))
        snprintf(header->type, sizeof header->type, "%.*s", length < 39 ? (int)length : 39, descr);
}

/* Step over a list of fields, "[('a', '<f4'), ('b', '<i8', (2,))]". */
static bool skip_list(struct text *text) {
    int depth = 0;
    const char *string;
    size_t length;
    skip_blanks(text);
    if (text->at == text->end || *text->at != '[') return false;
    do {
        skip_blanks(text);
        if (text->at == text->end) return false;
        if (*text->at == '\'' || *text->at == '"') {
            if (!quoted(text, &string, &length)) return false;
            continue;
        }
        if (*text->at == '[' || *text->at == '(') depth++;
        if (*text->at == ']' || *text->at == ')') depth--;
        text->at++;
    } while (depth > 0);
    return true;
}

static psal_status parse_header(const uint8_t *data, size_t size, struct header *header, psal_error *err) {
    if (size < 10 || memcmp(data, "\x93NUMPY", 6) != 0) return psal_fail(err, PSAL_ERR_FORMAT, "is no .npy array");
    int version = data[6];
    size_t length, begin = version == 1 ? 10 : 12;
    if (version < 1 || version > 3) return psal_fail(err, PSAL_ERR_UNSUPPORTED, ".npy version %d", version);
    if (size < begin) return psal_fail(err, PSAL_ERR_FORMAT, "the .npy header is truncated");
    length = data[8] | (size_t)data[9] << 8;
    if (version > 1) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > MAX_HEADER || length > size - begin)
        return psal_fail(err, PSAL_ERR_FORMAT, "a .npy header of %zu bytes does not fit (a truncated file?)", length);
    header->data_offset = begin + length;

    struct text text = {(const char *)data + begin, (const char *)data + begin + length};
    const char *key, *descr;
    size_t key_length, descr_length;
    bool fits = accept(&text, '{'), type = false, order = false, shape = false;
    while (fits && !accept(&text, '}')) {
        fits = quoted(&text, &key, &key_length) && accept(&text, ':');
        if (!fits) break;
        if (key_length == 5 && memcmp(key, "descr", 5) == 0 && !type) {
            type = true;
            if (quoted(&text, &descr, &descr_length)) {
                parse_type(descr, descr_length, header);
            } else {
                fits = skip_list(&text);
                header->dtype = PSAL_OTHER;
                strcpy(header->type, "V");
            }
        } else if (key_length == 13 && memcmp(key, "fortran_order", 13) == 0 && !order) {
            header->fortran = accept_word(&text, "True");
            fits = order = header->fortran || accept_word(&text, "False");
        } else if (key_length == 5 && memcmp(key, "shape", 5) == 0 && !shape) {
            fits = shape = tuple(&text, &header->shape);
        } else {
            fits = false;
        }
        if (fits && !accept(&text, ',')) {
            fits = accept(&text, '}');
            break;
        }
    }
    skip_blanks(&text);
    if (!fits || !type || !order || !shape || text.at != text.end)
        return psal_fail(err, PSAL_ERR_FORMAT, "the .npy header is damaged");
    return PSAL_OK;
}

psal_status psal_npy_add(psal_tensor_map *map, const char *name, const uint8_t *data, size_t size, psal_error *err) {
    struct header header = {0};
    psal_status status = parse_header(data, size, &header, err);
    if (status != PSAL_OK) return status;
    char text[200];
    size_t element = psal_dtype_size(header.dtype), left = size - header.data_offset;
    int64_t count = psal_shape_count(&header.shape);
    psal_shape_format(&header.shape, text, sizeof text);
    if (header.dtype == PSAL_OTHER) return psal_tensor_map_add_other(map, name, header.type, &header.shape, err);
    if (count < 0 || !element || (uint64_t)count * element != left)
        return psal_fail(err, PSAL_ERR_FORMAT, "a %s array of %s has not %zu bytes%s", text,
                         psal_dtype_name(header.dtype), left,
                         count >= 0 && (uint64_t)count * element < left ? "" : " (a truncated file?)");
    const uint8_t *elements = data + header.data_offset;
    if (!header.fortran && (uintptr_t)elements % element == 0)
        return psal_tensor_map_add_view(map, name, header.dtype, &header.shape, elements, err);
    int64_t stride[PSAL_MAX_DIMS];
    psal_strided_dense(&header.shape, header.fortran, stride);
    void *copy = psal_tensor_map_add(map, name, header.dtype, &header.shape, err);
    if (!copy) return psal_error_status(err);
    psal_strided_copy(copy, elements, element, &header.shape, stride);
    return PSAL_OK;
}

psal_tensor_map *psal_npy_read(const char *path, psal_error *err) {
    psal_mapped_file file;
    if (psal_map_file(path, &file, err) != PSAL_OK) return NULL;
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map ||
        psal_tensor_map_adopt(map, (void *)(uintptr_t)file.data, file.size, psal_mapped_release, err) != PSAL_OK) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        psal_unmap_file(&file);
    } else if (psal_npy_add(map, "array", file.data, file.size, err) != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
    } else if (psal_tensor_map_at(map, 0)->dtype == PSAL_OTHER) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED,
                  "%s: its elements have type %s, which is not read (little-endian numbers are)", path,
                  psal_tensor_type(psal_tensor_map_at(map, 0)));
    } else {
        return map;
    }
    psal_tensor_map_free(map);
    return NULL;
}

static void release_zip(void *zip, size_t size) {
    (void)size;
    psal_zip_close(zip);
}

static psal_status read_entries(psal_zip *zip, psal_tensor_map *map, psal_error *err) {
    for (size_t i = 0; i < psal_zip_count(zip); i++) {
        const char *entry = psal_zip_name(zip, i);
        size_t length = strlen(entry), size;
        const uint8_t *data;
        if (length < 4 || strcmp(entry + length - 4, ".npy") != 0)
            return psal_fail(err, PSAL_ERR_FORMAT, "zip entry %.200s is no .npy array", entry);
        psal_status status = psal_zip_data(zip, i, &data, &size, err);
        if (status != PSAL_OK) return status;
        char *name = strndup(entry, length - 4);
        if (!name) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        status = psal_npy_add(map, name, data, size, err);
        free(name);
        if (status != PSAL_OK) return psal_fail_prefix(err, "%.200s", entry);
    }
    return PSAL_OK;
}

psal_tensor_map *psal_npz_read(const char *path, psal_error *err) {
    psal_zip *zip = psal_zip_open(path, err);
    psal_tensor_map *map = zip ? psal_tensor_map_new() : NULL;
    if (!zip) return NULL;
    if (!map || psal_tensor_map_adopt(map, zip, 0, release_zip, err) != PSAL_OK) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        psal_zip_close(zip);
    } else if (read_entries(zip, map, err) != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
    } else {
        return map;
    }
    psal_tensor_map_free(map);
    return NULL;
}

/* ---- writing ---- */

static const char *code_of(psal_dtype dtype) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].dtype == dtype) return codes[i].code;
    return "f4"; /* bfloat16, widened */
}

psal_status psal_npy_write(const char *path, const psal_tensor *tensor, psal_error *err) {
    int64_t count = psal_shape_count(&tensor->shape);
    if (count < 0 || !psal_dtype_size(tensor->dtype))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: the array has an impossible shape or type", path);
    char shape[PSAL_MAX_DIMS * 24] = "", header[512];
    for (int i = 0; i < tensor->shape.ndim; i++)
        sprintf(shape + strlen(shape), "%" PRId64 "%s", tensor->shape.dim[i],
                tensor->shape.ndim == 1      ? ","
                : i + 1 < tensor->shape.ndim ? ", "
                                             : "");
    size_t element = tensor->dtype == PSAL_BF16 ? sizeof(float) : psal_dtype_size(tensor->dtype);
    int length = snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                          element == 1 ? '|' : '<', code_of(tensor->dtype), shape);
    /* Magic, version and length (10 bytes), header and newline fill a multiple of 64, so that the
     * data are aligned. */
    size_t total = ((size_t)length + 11 + 63) / 64 * 64 - 10;
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return psal_error_status(err);
    const char start[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(total & 0xff), (char)(total >> 8)};
    fwrite(start, 1, sizeof start, file->stream);
    fprintf(file->stream, "%-*s\n", (int)total - 1, header);
    if (tensor->dtype == PSAL_BF16) {
        const uint16_t *brain = tensor->data;
        for (int64_t i = 0; i < count; i++) {
            float value = psal_bf16_to_f32(brain[i]);
            fwrite(&value, sizeof value, 1, file->stream);
        }
    } else if (count) {
        fwrite(tensor->data, element, (size_t)count, file->stream);
    }
    return psal_atomic_file_commit(file, err); /* finds every failed write */
}
