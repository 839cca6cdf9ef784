/* labels_file.c - label sets from text and CSV files (psal_labels_load of labels.h). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/csv.h"
#include "io/labels_internal.h"
#include "io/numbers.h"

enum { LONGEST_NAME = 1000 };

typedef struct class_line {
    int64_t index;
    size_t line;
    char *wnid, *name;
} class_line;

typedef struct class_list {
    class_line *at;
    size_t count, capacity;
} class_list;

static void free_list(class_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i].wnid);
        free(list->at[i].name);
    }
    free(list->at);
}

static psal_status append(class_list *list, const psal_csv_reader *csv, int64_t index, const char *wnid,
                          const char *name, psal_error *err) {
    const char *path = psal_csv_path(csv);
    size_t line = psal_csv_line(csv);
    if (!*name) return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: a class without a name", path, line);
    if (strlen(name) > LONGEST_NAME)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: a class name of more than %d bytes", path, line, LONGEST_NAME);
    if (wnid && !psal_is_wnid(wnid))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: \"%.40s\" is no WordNet id (n and eight digits)", path, line,
                         wnid);
    if (list->count == PSAL_MAX_CLASSES)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: more than %d classes", path, line, PSAL_MAX_CLASSES);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        class_line *grown = realloc(list->at, capacity * sizeof *grown);
        if (!grown) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        list->at = grown;
        list->capacity = capacity;
    }
    class_line *entry = &list->at[list->count++];
    *entry = (class_line){index, line, wnid ? strdup(wnid) : NULL, strdup(name)};
    if (!entry->name || (wnid && !entry->wnid)) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    return PSAL_OK;
}

/* A line of a plain list: the name, or id and name. */
static psal_status read_plain_line(class_list *list, const psal_csv_reader *csv, psal_error *err) {
    char *text = strdup(psal_csv_field(csv, 0));
    if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", psal_csv_path(csv));
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1])) text[--length] = 0;
    char *name = text + strspn(text, " \t"), *wnid = NULL;
    size_t word = strcspn(name, " \t");
    if (word == 9 && name[word]) {
        name[word] = 0;
        if (psal_is_wnid(name)) {
            wnid = name;
            name += word + 1 + strspn(name + word + 1, " \t");
        } else {
            name[word] = ' ';
        }
    }
    psal_status status = append(list, csv, (int64_t)list->count, wnid, name, err);
    free(text);
    return status;
}

/* Which field holds what; -1 for a column that is not there. */
typedef struct columns {
    int index, wnid, name;
} columns;

/* Whether the record is a header, and then where its columns are. */
static bool read_header(const psal_csv_reader *csv, columns *where) {
    columns found = {-1, -1, -1};
    for (size_t i = 0; i < psal_csv_field_count(csv); i++) {
        const char *title = psal_csv_field(csv, i);
        if (!strcasecmp(title, "index") || !strcasecmp(title, "label") || !strcasecmp(title, "id"))
            found.index = (int)i;
        else if (!strcasecmp(title, "wnid") || !strcasecmp(title, "synset"))
            found.wnid = (int)i;
        else if (!strcasecmp(title, "name") || !strcasecmp(title, "class"))
            found.name = (int)i;
        else
            return false;
    }
    if (found.name < 0) return false;
    *where = found;
    return true;
}

static psal_status read_csv_record(class_list *list, const psal_csv_reader *csv, const columns *where,
                                   psal_error *err) {
    size_t fields = psal_csv_field_count(csv);
    int last = where->index > where->wnid ? where->index : where->wnid;
    if (where->name > last) last = where->name;
    if ((size_t)last >= fields)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: %zu fields, expected %d", psal_csv_path(csv),
                         psal_csv_line(csv), fields, last + 1);
    int64_t index = (int64_t)list->count;
    if (where->index >= 0) {
        const char *text = psal_csv_field(csv, (size_t)where->index);
        if (!psal_parse_int64(text, &index) || index < 0 || index >= PSAL_MAX_CLASSES)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: \"%.40s\" is no class number", psal_csv_path(csv),
                             psal_csv_line(csv), text);
    }
    const char *wnid = where->wnid >= 0 ? psal_csv_field(csv, (size_t)where->wnid) : NULL;
    return append(list, csv, index, wnid, psal_csv_field(csv, (size_t)where->name), err);
}

static psal_status read_lines(class_list *list, psal_csv_reader *csv, bool plain, psal_error *err) {
    columns where = {-1, -1, 0};
    bool first = true, have;
    psal_status status;
    while (!(status = psal_csv_next(csv, &have, err)) && have) {
        if (plain) {
            status = read_plain_line(list, csv, err);
        } else {
            if (first) {
                size_t fields = psal_csv_field_count(csv);
                bool header = read_header(csv, &where);
                first = false;
                if (header) continue;
                if (fields == 2) where = (columns){0, -1, 1};
                if (fields == 3) where = (columns){0, 1, 2};
                if (fields > 3)
                    return psal_fail(err, PSAL_ERR_FORMAT,
                                     "%s:%zu: %zu fields, expected name, or index,name, or "
                                     "index,wnid,name",
                                     psal_csv_path(csv), psal_csv_line(csv), fields);
            }
            status = read_csv_record(list, csv, &where, err);
        }
        if (status) break;
    }
    return status;
}

/* Put the lines in the order of their indices; each from 0 must be there once. */
static psal_labels *make_labels(const class_list *list, const char *path, psal_error *err) {
    if (list->count == 0) {
        psal_fail(err, PSAL_ERR_FORMAT, "%s: no class names in this file", path);
        return NULL;
    }
    psal_labels *labels = psal_labels_begin((int)list->count, err);
    if (!labels) return NULL;
    for (size_t i = 0; i < list->count; i++) {
        const class_line *entry = &list->at[i];
        if (entry->index >= (int64_t)list->count) {
            psal_fail(err, PSAL_ERR_FORMAT,
                      "%s:%zu: class number %lld, but the file holds only %zu classes (numbers must "
                      "run from 0 without gaps)",
                      path, entry->line, (long long)entry->index, list->count);
            psal_labels_free(labels);
            return NULL;
        }
        if (psal_labels_has(labels, (int)entry->index)) {
            psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: class number %lld comes twice", path, entry->line,
                      (long long)entry->index);
            psal_labels_free(labels);
            return NULL;
        }
        if (!psal_labels_put(labels, (int)entry->index, entry->wnid, entry->name)) break;
    }
    return psal_labels_finish(labels, err);
}

psal_labels *psal_labels_load(const char *path, psal_error *err) {
    size_t length = strlen(path);
    bool plain = length < 4 || strcasecmp(path + length - 4, ".csv") != 0;
    psal_csv_reader *csv = psal_csv_open(path, plain ? PSAL_CSV_WHOLE_LINES : ',', err);
    if (!csv) return NULL;
    class_list list = {0};
    psal_labels *labels = NULL;
    if (!read_lines(&list, csv, plain, err)) labels = make_labels(&list, path, err);
    free_list(&list);
    psal_csv_close(csv);
    return labels;
}
