/* labels_file.c - label sets from files (psal_labels_load of labels.h): which form a file has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/json_input.h"
#include "io/labels_forms.h"
#include "io/python_literal.h"

enum { LARGEST_FILE = 64 << 20 };

static psal_status read_file(const char *path, char **text, size_t *size, psal_error *err) {
    FILE *file = fopen(path, "rbe");
    size_t capacity = 0;
    psal_status status = PSAL_OK;
    *text = NULL;
    *size = 0;
    if (!file) return psal_fail(err, PSAL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    for (size_t got = 1; got > 0 && status == PSAL_OK;) {
        if (*size + 1 >= capacity) {
            capacity = capacity ? 2 * capacity : 65536;
            char *grown = realloc(*text, capacity);
            if (!grown) {
                status = psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
                break;
            }
            *text = grown;
        }
        got = fread(*text + *size, 1, capacity - *size - 1, file);
        *size += got;
        if (*size > LARGEST_FILE)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s: more than %d MiB: no file of class names", path,
                               LARGEST_FILE >> 20);
    }
    if (status == PSAL_OK && ferror(file))
        status = psal_fail(err, PSAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    fclose(file);
    if (status == PSAL_OK) {
        (*text)[*size] = 0;
    } else {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* Where a list or dictionary begins, behind blanks, comments and "NAME ="; NULL when the file is something else. */
static const char *find_container(const char *text) {
    const char *at = text + strspn(text, " \t\r\n");
    while (*at == '#') {
        at += strcspn(at, "\n");
        at += strspn(at, " \t\r\n");
    }
    size_t word = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (word > 0) {
        const char *equals = at + word + strspn(at + word, " \t");
        if (*equals != '=') return NULL;
        at = equals + 1 + strspn(equals + 1, " \t\r\n");
    }
    if (*at != '[' && *at != '{' && *at != '(') return NULL;
    /* A first name in brackets, "[background]", is no list. */
    size_t line = strcspn(at, "\r\n"), inside = strcspn(at, "\"',:\r\n");
    bool more = at[line + strspn(at + line, " \t\r\n")] != 0;
    return inside == line && line > 2 && more && strchr("]})", at[line - 1]) ? NULL : at;
}

static psal_status read_container(psal_class_rows *rows, const char *text, size_t size, const char *at,
                                  psal_error *err) {
    psal_error json = PSAL_ERROR_INIT, python = PSAL_ERROR_INIT;
    size_t line = 1;
    for (const char *c = text; c < at; c++) line += *c == '\n';
    size_t left = size - (size_t)(at - text);
    json_t *tree = psal_json_parse(at, left, &json);
    if (!tree && json.status != PSAL_ERR_MEMORY) tree = psal_python_literal(at, left, false, line, &python);
    if (!tree) {
        char what[200];
        if (json.status == PSAL_ERR_MEMORY || python.status == PSAL_ERR_MEMORY)
            return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
        snprintf(what, sizeof what, "a damaged list or dictionary (%.150s)", python.message);
        return psal_class_rows_refuse(rows, 0, what, err);
    }
    psal_status status = psal_class_rows_from_tree(rows, tree, err);
    json_decref(tree);
    return status;
}

psal_labels *psal_labels_load(const char *path, psal_error *err) {
    char *all;
    size_t size;
    if (read_file(path, &all, &size, err) != PSAL_OK) return NULL;
    size_t mark = size >= 3 && !memcmp(all, "\xEF\xBB\xBF", 3) ? 3 : 0; /* the byte order mark */
    const char *text = all + mark, *dot = strrchr(path, '.'), *yaml = psal_class_yaml_find(text);
    bool table = dot && (!strcasecmp(dot, ".csv") || !strcasecmp(dot, ".tsv"));
    size -= mark;
    psal_class_rows rows = {.path = path};
    const char *container = table ? NULL : find_container(text);
    psal_status status;
    if (container)
        status = read_container(&rows, text, size, container, err);
    else if (yaml && !table)
        status = psal_class_rows_from_yaml(&rows, text, size, yaml, err);
    else
        status = psal_class_rows_from_lines(&rows, text, size, table, err);
    psal_labels *labels = status == PSAL_OK ? psal_class_rows_labels(&rows, err) : NULL;
    psal_class_rows_free(&rows);
    free(all);
    return labels;
}
