#include "io/json_output.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "engine/text.h"
#include "io/atomic_file.h"
#include "io/json_memory.h"
#include "io/utf8.h"

json_t *psal_json_double(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *psal_json_float(float value) {
    if (!isfinite(value)) return json_null();
    /* The double nearest to the float's shortest decimal is printed as that decimal. */
    char text[PSAL_NUMBER_SIZE];
    double as_printed = (double)value;
    psal_parse_double(psal_format_float(value, text), &as_printed);
    return json_real(as_printed);
}

json_t *psal_json_document(const char *schema) {
    json_t *document = json_object();
    json_object_set_new(document, "schema", psal_json_string(schema));
    return document;
}

json_t *psal_json_string(const char *text) {
    if (!text) return json_null();
    size_t length = strlen(text), used = 0;
    char *clean = malloc(3 * length + 1); /* U+FFFD takes three bytes */
    if (!clean) {
        psal_json_memory_fail();
        return NULL;
    }
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t size = psal_utf8_sequence(text + i, length - i, &code);
        memcpy(clean + used, size ? text + i : "\xEF\xBF\xBD", size ? size : 3);
        used += size ? size : 3;
        i += size ? size : 1;
    }
    json_t *value = json_stringn(clean, used);
    free(clean);
    return value;
}

/* ---- writing ---- */

/* Results are a handful of levels deep; this bounds the recursion. */
enum { DEEPEST = 100 };

/* The character at `text`, of which `left` bytes are there: escaped, where a terminal would obey it. Its length. */
static size_t write_character(const char *text, size_t left, FILE *stream) {
    uint32_t code;
    size_t length = psal_utf8_sequence(text, left, &code);
    if (length > 0 && !psal_is_printable(code)) /* all of these have at most 16 bits */
        fprintf(stream, "\\u%04x", (unsigned)code);
    else
        fwrite(text, 1, length > 0 ? length : 1, stream);
    return length > 0 ? length : 1;
}

static void write_string(const char *text, size_t length, FILE *stream) {
    putc('"', stream);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            fprintf(stream, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", stream);
        else if (c == '\t')
            fputs("\\t", stream);
        else
            i += write_character(text + i, length - i, stream) - 1;
    }
    putc('"', stream);
}

static void new_line(FILE *stream, int depth) {
    fprintf(stream, "\n%*s", 2 * depth, "");
}

static bool is_plain(const json_t *value) {
    return !json_is_object(value) && !json_is_array(value);
}

static bool write_value(const json_t *value, FILE *stream, int depth);

static bool write_array(const json_t *array, FILE *stream, int depth) {
    size_t count = json_array_size(array);
    bool one_line = true;
    for (size_t i = 0; i < count; i++) one_line = one_line && is_plain(json_array_get(array, i));
    putc('[', stream);
    for (size_t i = 0; i < count; i++) {
        if (i) fputs(one_line ? ", " : ",", stream);
        if (!one_line) new_line(stream, depth + 1);
        if (!write_value(json_array_get(array, i), stream, depth + 1)) return false;
    }
    if (!one_line) new_line(stream, depth);
    putc(']', stream);
    return true;
}

static bool write_object(const json_t *object, FILE *stream, int depth) {
    putc('{', stream);
    bool first = true;
    /* Jansson's iterators ask for a pointer without const, but only read. */
    json_t *readable = (json_t *)(uintptr_t)object;
    for (void *at = json_object_iter(readable); at; at = json_object_iter_next(readable, at)) {
        if (!first) putc(',', stream);
        first = false;
        new_line(stream, depth + 1);
        const char *key = json_object_iter_key(at);
        write_string(key, strlen(key), stream);
        fputs(": ", stream);
        if (!write_value(json_object_iter_value(at), stream, depth + 1)) return false;
    }
    if (!first) new_line(stream, depth);
    putc('}', stream);
    return true;
}

/* False when the nesting is too deep. */
static bool write_value(const json_t *value, FILE *stream, int depth) {
    if (depth > DEEPEST) return false;
    char number[PSAL_NUMBER_SIZE];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(value, stream, depth);
    case JSON_ARRAY:
        return write_array(value, stream, depth);
    case JSON_STRING:
        write_string(json_string_value(value), json_string_length(value), stream);
        return true;
    case JSON_INTEGER:
        fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return true;
    case JSON_REAL:
        psal_format_double(json_real_value(value), number);
        fputs(number, stream);
        /* "3" would read back as an integer. */
        if (!strpbrk(number, ".e")) fputs(".0", stream);
        return true;
    case JSON_TRUE:
        fputs("true", stream);
        return true;
    case JSON_FALSE:
        fputs("false", stream);
        return true;
    case JSON_NULL:
        fputs("null", stream);
        return true;
    }
    return false;
}

psal_status psal_json_check(const json_t *value, psal_error *err) {
    bool failed = psal_json_memory_failed();
    return value && !failed ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for JSON output");
}

psal_status psal_json_write(const json_t *value, FILE *stream, psal_error *err) {
    psal_status status = psal_json_check(value, err);
    if (status != PSAL_OK) return status;
    if (!write_value(value, stream, 0)) return psal_fail(err, PSAL_ERR_ARGUMENT, "JSON nested deeper than %d", DEEPEST);
    putc('\n', stream);
    bool failed = ferror(stream); /* which keeps no reason */
    errno = 0;
    if (fflush(stream) || failed)
        return psal_fail(err, PSAL_ERR_IO, "cannot write JSON: %s", errno ? strerror(errno) : "a write failed");
    return PSAL_OK;
}

psal_status psal_json_save(const json_t *value, const char *path, psal_error *err) {
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return psal_error_status(err);
    psal_status status = psal_json_write(value, file->stream, err);
    if (!status) return psal_atomic_file_commit(file, err);
    psal_fail_prefix(err, "%s", path);
    psal_atomic_file_abort(file);
    return status;
}
