#include "io/profile_store.h"

#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined __x86_64__
#include <immintrin.h>
#endif

#include "engine/numbers.h"
#include "io/csv.h"
#include "io/mapped_file.h"
#include "io/npy.h"

/* ---- the table ---- */

enum {
    INDEX,
    PATH,
    LABEL,
    PREDICTED,
    CONFIDENCE,
    TARGET_CONFIDENCE,
    LOSS,
    IMAGE_HASH,
    SCALE,
    SETTINGS,
    SOURCE,
    COLUMNS
};

static const char *const column_name[COLUMNS] = {
    "index", "path",       "label", "predicted",     "confidence", "target_confidence",
    "loss",  "image_hash", "scale", "psal_settings", "psal_source"};

static psal_status read_header(psal_csv_reader *csv, size_t column[COLUMNS], psal_error *err) {
    bool have;
    psal_status status = psal_csv_next(csv, &have, err);
    if (status != PSAL_OK) return status;
    for (int c = 0; c < COLUMNS; c++) {
        column[c] = SIZE_MAX;
        for (size_t i = 0; have && i < psal_csv_field_count(csv); i++) {
            if (strcmp(psal_csv_field(csv, i), column_name[c]) != 0) continue;
            if (column[c] != SIZE_MAX)
                return psal_fail(err, PSAL_ERR_FORMAT, "%s: two columns are called '%s'", psal_csv_path(csv),
                                 column_name[c]);
            column[c] = i;
        }
        if (column[c] == SIZE_MAX && (c == PATH || c == LABEL || c == PREDICTED))
            return psal_fail(err, PSAL_ERR_FORMAT, "%s: no column '%s' (needed: path,label,predicted)",
                             psal_csv_path(csv), column_name[c]);
    }
    return PSAL_OK;
}

static psal_status bad_field(const psal_csv_reader *csv, int column, const char *text, psal_error *err) {
    return psal_fail(err, PSAL_ERR_FORMAT, "%s, line %zu: '%.100s' is no %s", psal_csv_path(csv), psal_csv_line(csv),
                     text, column_name[column]);
}

/* A class number; -1 for an empty field or a negative number. */
static psal_status read_class(const psal_csv_reader *csv, int column, const char *text, int *value, psal_error *err) {
    int64_t number = -1;
    if (*text && (!psal_parse_int64(text, &number) || number > INT_MAX)) return bad_field(csv, column, text, err);
    *value = number < 0 ? -1 : (int)number;
    return PSAL_OK;
}

static psal_status read_number(const psal_csv_reader *csv, const size_t columns[COLUMNS], int column, double *value,
                               psal_error *err) {
    if (columns[column] == SIZE_MAX) return PSAL_OK;
    const char *text = psal_csv_field(csv, columns[column]);
    if (*text && strcmp(text, "nan") != 0 && !psal_parse_double(text, value)) return bad_field(csv, column, text, err);
    return PSAL_OK;
}

/* 16 hexadecimal digits, as psal-stats writes them; 0 for an empty field. */
static psal_status read_hash(const psal_csv_reader *csv, const size_t columns[COLUMNS], uint64_t *value,
                             psal_error *err) {
    const char *text = columns[IMAGE_HASH] == SIZE_MAX ? "" : psal_csv_field(csv, columns[IMAGE_HASH]);
    *value = 0;
    if (!*text) return PSAL_OK;
    if (strlen(text) != 16 || text[strspn(text, "0123456789abcdef")]) return bad_field(csv, IMAGE_HASH, text, err);
    *value = strtoull(text, NULL, 16);
    return PSAL_OK;
}

/* What one of the records says for all of them. */
static psal_status read_common(const psal_csv_reader *csv, const size_t columns[COLUMNS], int column, char **text,
                               psal_error *err) {
    const char *field = columns[column] == SIZE_MAX ? "" : psal_csv_field(csv, columns[column]);
    if (!*field) return PSAL_OK;
    if (*text && strcmp(field, *text) != 0)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s, line %zu: another %s than above: profiles of one store are computed alike",
                         psal_csv_path(csv), psal_csv_line(csv), column_name[column]);
    if (!*text && !(*text = strdup(field))) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    return PSAL_OK;
}

static psal_status read_record(const psal_csv_reader *csv, const size_t column[COLUMNS], int64_t position,
                               psal_profile_store *store, psal_error *err) {
    for (int c = 0; c < COLUMNS; c++)
        if (column[c] != SIZE_MAX && column[c] >= psal_csv_field_count(csv))
            return psal_fail(err, PSAL_ERR_FORMAT, "%s, line %zu: no field '%s'", psal_csv_path(csv),
                             psal_csv_line(csv), column_name[c]);
    int64_t row = position;
    if (column[INDEX] != SIZE_MAX && !psal_parse_int64(psal_csv_field(csv, column[INDEX]), &row))
        return bad_field(csv, INDEX, psal_csv_field(csv, column[INDEX]), err);
    if (row < 0 || row >= store->samples)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s, line %zu: sample %" PRId64 ", but the profiles have %" PRId64 " rows", psal_csv_path(csv),
                         psal_csv_line(csv), row, store->samples);
    psal_profile_record *record = &store->records[row];
    if (record->path)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s, line %zu: sample %" PRId64 " for the second time",
                         psal_csv_path(csv), psal_csv_line(csv), row);
    *record = (psal_profile_record){.confidence = NAN, .target_confidence = NAN, .loss = NAN, .scale = 1};
    psal_status status = read_class(csv, LABEL, psal_csv_field(csv, column[LABEL]), &record->label, err);
    if (status == PSAL_OK)
        status = read_class(csv, PREDICTED, psal_csv_field(csv, column[PREDICTED]), &record->predicted, err);
    if (status == PSAL_OK) status = read_number(csv, column, CONFIDENCE, &record->confidence, err);
    if (status == PSAL_OK) status = read_number(csv, column, TARGET_CONFIDENCE, &record->target_confidence, err);
    if (status == PSAL_OK) status = read_number(csv, column, LOSS, &record->loss, err);
    if (status == PSAL_OK) status = read_hash(csv, column, &record->image_hash, err);
    if (status == PSAL_OK) status = read_number(csv, column, SCALE, &record->scale, err);
    if (status != PSAL_OK) return status;
    record->valid = record->predicted >= 0;
    if (!isfinite(record->scale)) return bad_field(csv, SCALE, psal_csv_field(csv, column[SCALE]), err);
    status = read_common(csv, column, SETTINGS, &store->settings, err);
    if (status == PSAL_OK) status = read_common(csv, column, SOURCE, &store->source, err);
    if (status != PSAL_OK) return status;
    record->path = strdup(psal_csv_field(csv, column[PATH]));
    return record->path ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

static psal_status read_records(const char *path, psal_profile_store *store, psal_error *err) {
    store->records = calloc((size_t)store->samples, sizeof *store->records);
    if (!store->records)
        return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory for %" PRId64 " records", path, store->samples);
    psal_csv_reader *csv = psal_csv_open(path, ',', err);
    if (!csv) return psal_error_status(err);
    size_t column[COLUMNS];
    int64_t count = 0;
    bool have = true;
    psal_status status = read_header(csv, column, err);
    while (status == PSAL_OK && (status = psal_csv_next(csv, &have, err)) == PSAL_OK && have)
        status = read_record(csv, column, count++, store, err);
    psal_csv_close(csv);
    if (status == PSAL_OK && count != store->samples) /* no sample comes twice, so that equal counts mean all of them */
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: %" PRId64 " records, but the profiles have %" PRId64 " rows",
                           path, count, store->samples);
    return status;
}

/* ---- the matrix ---- */

static psal_status open_matrix(const char *path, psal_profile_store *store, psal_error *err) {
    psal_status status = psal_map_file(path, &store->file, err);
    if (status != PSAL_OK) return status;
    store->map = psal_tensor_map_new();
    if (!store->map) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    status = psal_npy_add(store->map, "array", store->file.data, store->file.size, err);
    if (status != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
        return status;
    }
    const psal_tensor *array = psal_tensor_map_at(store->map, 0);
    char shape[96];
    psal_shape_format(&array->shape, shape, sizeof shape);
    if (array->dtype != PSAL_F16 && array->dtype != PSAL_F32)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: profiles of %s; float16 or float32 is needed", path,
                         psal_dtype_name(array->dtype));
    if (array->shape.ndim != 2 || array->shape.dim[0] < 1 || array->shape.dim[1] < 1)
        return psal_fail(err, PSAL_ERR_SHAPE, "%s: an array of shape %s; profiles are a matrix, one sample a row", path,
                         shape);
    uintptr_t data = (uintptr_t)array->data, file = (uintptr_t)store->file.data;
    if (data < file || data >= file + store->file.size) /* a copy: psal_profile_store_release must not touch that */
        return psal_fail(
            err, PSAL_ERR_UNSUPPORTED,
            "%s: the array is in Fortran order or not aligned; np.save(..., np.ascontiguousarray(a)) writes it "
            "as needed here",
            path);
    store->samples = array->shape.dim[0];
    store->length = array->shape.dim[1];
    store->dtype = array->dtype;
    store->data = array->data;
    return PSAL_OK;
}

psal_status psal_profile_store_open(const char *profiles, const char *records, psal_profile_store *store,
                                    psal_error *err) {
    memset(store, 0, sizeof *store);
    psal_status status = open_matrix(profiles, store, err);
    if (status == PSAL_OK && records) status = read_records(records, store, err);
    if (status != PSAL_OK) psal_profile_store_close(store);
    return status;
}

void psal_profile_store_close(psal_profile_store *store) {
    for (int64_t i = 0; store->records && i < store->samples; i++) free(store->records[i].path);
    free(store->records);
    free(store->settings);
    free(store->source);
    psal_tensor_map_free(store->map);
    psal_unmap_file(&store->file);
    memset(store, 0, sizeof *store);
}

/* ---- rows ---- */

#if defined __x86_64__
#define AHEAD 2048 /* bytes */

__attribute__((target("avx,f16c"))) static int64_t convert_eights(const uint16_t *in, int64_t count, float factor,
                                                                  float *out) {
    int64_t i = 0;
    __m256 factors = _mm256_set1_ps(factor);
    for (; i + 8 <= count; i += 8) {
        /* The memory does not keep up by itself: rows are read once, from beginning to end. */
        if (i % 32 == 0) _mm_prefetch((const char *)(in + i) + AHEAD, _MM_HINT_T1);
        __m256 values = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i)));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(values, factors));
    }
    return i;
}
#endif

void psal_halves_to_floats(const uint16_t *in, int64_t count, float factor, float *out) {
    int64_t i = 0;
#if defined __x86_64__
    /* clang's function does not know "f16c" (clang 14); processors with AVX2 have it. */
    if (__builtin_cpu_supports("avx2")) i = convert_eights(in, count, factor, out);
#endif
    for (; i < count; i++) out[i] = psal_f16_to_f32(in[i]) * factor;
}

void psal_profile_store_read(const psal_profile_store *store, int64_t sample, int64_t first, int64_t count,
                             float *out) {
    int64_t at = sample * store->length + first;
    double scale = store->records ? store->records[sample].scale : 1;
    /* A power of two, as psal-stats writes, is a float too; the product is then rounded once, as that in double
     * below. */
    float factor = fabs(scale) <= (double)FLT_MAX && (double)(float)scale == scale ? (float)scale : 1;
    if (store->dtype == PSAL_F16)
        psal_halves_to_floats((const uint16_t *)store->data + at, count, factor, out);
    else
        memcpy(out, (const float *)store->data + at, (size_t)count * sizeof *out);
    if (scale != (store->dtype == PSAL_F16 ? (double)factor : 1))
        for (int64_t i = 0; i < count; i++) out[i] = (float)(out[i] * scale);
}

void psal_profile_store_release(const psal_profile_store *store, int64_t first, int64_t count) {
    /* And what is around: pages that rows share, and those that Linux maps beside one that is read (as many as it has
     * read from the disk at once: 2 MiB at most) would stay for ever otherwise. Who needs them reads them again. */
    const uintptr_t around = 2 << 20, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t data = (uintptr_t)store->data, row = (uintptr_t)store->length * psal_dtype_size(store->dtype);
    const uintptr_t all = data + (uintptr_t)store->samples * row;
    uintptr_t begin = data + (uintptr_t)first * row, end = begin + (uintptr_t)count * row;
    begin = begin - data < around ? data : begin - around;
    end = all - end < around ? all : end + around;
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_DONTNEED); /* read-only pages of a file: nothing is lost */
}
