#include "io/python_literal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A class name is at most 1000 bytes; nothing that is understood is nested deeper. */
enum { LONGEST_STRING = 65536, DEEPEST = 8, MOST_CONTAINERS = 1000000 };

typedef struct reader {
    const char *at, *end;
    size_t line;
    bool yaml;
    int depth, containers;
} reader;

static json_t *fail(const reader *r, const char *what, psal_error *err) {
    psal_fail(err, PSAL_ERR_FORMAT, "line %zu: %s", r->line, what);
    return NULL;
}

static json_t *out_of_memory(psal_error *err) {
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    return NULL;
}

static int peek(const reader *r) {
    return r->at < r->end ? (unsigned char)*r->at : -1;
}

static void skip_blanks(reader *r) {
    for (; r->at < r->end; r->at++) {
        if (*r->at == '#')
            while (r->at < r->end && *r->at != '\n') r->at++;
        if (r->at == r->end || !strchr(" \t\r\n", *r->at) || !*r->at) return;
        r->line += *r->at == '\n';
    }
}

/* ---- strings and words ---- */

static size_t put_utf8(char *out, unsigned code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> length & 0xf0) | code);
    return length;
}

/* The `digits` hexadecimal digits at r->at; false when they are not there, or stand for no character. */
static bool read_hex(reader *r, int digits, unsigned *code) {
    *code = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        int c = peek(r);
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0) return false;
        *code = *code << 4 | (unsigned)value;
    }
    return *code > 0 && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff);
}

/* What stands behind a backslash, into `out`; its length, 0 when it is not understood. */
static size_t read_escape(reader *r, char *out) {
    int c = peek(r);
    unsigned code;
    if (c < 0) return 0;
    r->at++;
    if (c == 'x' || c == 'u' || c == 'U')
        return read_hex(r, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code) ? put_utf8(out, code) : 0;
    static const char letters[] = "\\'\"/nrtbf", values[] = "\\'\"/\n\r\t\b\f";
    const char *found = c ? strchr(letters, c) : NULL;
    if (!found) return 0;
    *out = values[found - letters];
    return 1;
}

static json_t *make_string(const reader *r, const char *text, size_t length, psal_error *err) {
    json_t *string = json_stringn(text, length);
    return string ? string : fail(r, "a text that is no UTF-8, or too little memory for it", err);
}

static json_t *read_string(reader *r, psal_error *err) {
    char quote = *r->at++, *text = malloc(LONGEST_STRING + 4);
    size_t used = 0;
    const char *wrong = NULL;
    if (!text) return out_of_memory(err);
    while (!wrong && peek(r) != quote) {
        int c = peek(r);
        if (c <= 0 || c == '\n') {
            wrong = "a quote that is not closed on its line";
        } else if (used >= LONGEST_STRING) {
            wrong = "a text of more than 65536 bytes";
        } else if (c == '\\' && !(r->yaml && quote == '\'')) {
            r->at++;
            size_t length = read_escape(r, text + used);
            if (length == 0) wrong = "a backslash that is not understood";
            used += length;
        } else {
            text[used++] = (char)c;
            r->at++;
        }
    }
    json_t *string = wrong ? fail(r, wrong, err) : make_string(r, text, used, err);
    if (!wrong) r->at++;
    free(text);
    return string;
}

/* A number, None, or with YAML any words. */
static json_t *read_word(reader *r, psal_error *err) {
    const char *begin = r->at, *stop = r->yaml ? ",]}:\n#" : ",]}): \t\r\n#";
    while (r->at < r->end && *r->at && !strchr(stop, *r->at)) r->at++;
    const char *end = r->at;
    while (end > begin && strchr(" \t\r", end[-1])) end--;
    size_t length = (size_t)(end - begin), sign = length > 0 && *begin == '-';
    bool number = length > sign && length < 19;
    for (const char *c = begin + sign; c < end; c++) number = number && *c >= '0' && *c <= '9';
    if (number) {
        json_int_t value = 0;
        for (const char *c = begin + sign; c < end; c++) value = 10 * value + (*c - '0');
        json_t *integer = json_integer(sign ? -value : value);
        return integer ? integer : out_of_memory(err);
    }
    if (length == 4 && (memcmp(begin, "None", 4) == 0 || memcmp(begin, "null", 4) == 0)) return json_null();
    if (r->yaml && length > 0 && length < LONGEST_STRING) return make_string(r, begin, length, err);
    return fail(r, "expected a text in quotes, a whole number, a list or a dictionary", err);
}

/* ---- containers ---- */

static json_t *read_value(reader *r, psal_error *err);

/* Add "key: value", the key being read already. */
static bool add_member(reader *r, json_t *object, json_t *key, psal_error *err) {
    char number[32];
    const char *name = json_string_value(key);
    if (json_is_integer(key)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
        name = number;
    }
    if (!name) return fail(r, "a key that is neither a text nor a number", err) != NULL;
    if (json_object_get(object, name)) {
        psal_fail(err, PSAL_ERR_FORMAT, "line %zu: \"%.60s\" comes twice", r->line, name);
        return false;
    }
    skip_blanks(r);
    if (peek(r) != ':') return fail(r, "a set, or a key without its value", err) != NULL;
    r->at++;
    json_t *value = read_value(r, err);
    if (!value) return false;
    return json_object_set_new(object, name, value) == 0 || out_of_memory(err) != NULL;
}

static json_t *read_container(reader *r, psal_error *err) {
    char open = *r->at++, close = open == '{' ? '}' : open == '[' ? ']' : ')';
    json_t *container = open == '{' ? json_object() : json_array();
    if (!container) return out_of_memory(err);
    if (++r->depth > DEEPEST || ++r->containers > MOST_CONTAINERS) {
        json_decref(container);
        return fail(r, r->depth > DEEPEST ? "nested too deeply" : "more than 1000000 lists and dictionaries", err);
    }
    bool fine = true;
    while (fine) {
        skip_blanks(r);
        if (peek(r) == close) break;
        json_t *value = read_value(r, err);
        if (!value)
            fine = false;
        else if (open == '{')
            fine = add_member(r, container, value, err);
        else
            fine = json_array_append(container, value) == 0 || out_of_memory(err) != NULL;
        json_decref(value);
        skip_blanks(r);
        if (!fine || peek(r) == close) continue;
        if (peek(r) == ',')
            r->at++;
        else
            fine = fail(r, r->at == r->end ? "a bracket that is never closed" : "expected a comma", err) != NULL;
    }
    r->depth--;
    if (fine) {
        r->at++;
        return container;
    }
    json_decref(container);
    return NULL;
}

static json_t *read_value(reader *r, psal_error *err) {
    skip_blanks(r);
    int c = peek(r);
    if (c == '[' || c == '{' || (c == '(' && !r->yaml)) return read_container(r, err);
    if (c == 'u' && r->at + 1 < r->end && (r->at[1] == '\'' || r->at[1] == '"') && !r->yaml) { /* Python 2's */
        r->at++;
        c = peek(r);
    }
    return c == '\'' || c == '"' ? read_string(r, err) : read_word(r, err);
}

json_t *psal_python_literal(const char *text, size_t size, bool yaml, size_t line, psal_error *err) {
    reader r = {text, text + size, line, yaml, 0, 0};
    skip_blanks(&r);
    if (peek(&r) != '[' && peek(&r) != '{' && peek(&r) != '(') return fail(&r, "neither a list nor a dictionary", err);
    json_t *tree = read_container(&r, err);
    if (tree && !yaml) {
        skip_blanks(&r);
        if (r.at < r.end) {
            json_decref(tree);
            return fail(&r, "something behind the closing bracket", err);
        }
    }
    return tree;
}
