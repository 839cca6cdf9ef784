#include "io/labels_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/csv.h"
#include "io/labels_internal.h"

enum { LONGEST_NAME = 1000 };

void psal_class_rows_free(psal_class_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->at[i].wnid);
        free(rows->at[i].name);
    }
    free(rows->at);
}

/* "path:line", or the path alone when the line is not known. */
static const char *place(const psal_class_rows *rows, size_t line, char text[600]) {
    if (line > 0)
        snprintf(text, 600, "%.500s:%zu", rows->path, line);
    else
        snprintf(text, 600, "%.500s", rows->path);
    return text;
}

psal_status psal_class_rows_refuse(const psal_class_rows *rows, size_t line, const char *what, psal_error *err) {
    char at[600];
    return psal_fail(
        err, PSAL_ERR_FORMAT,
        "%s: %s; class names come one a line, with the number or WordNet id in front (or the number behind) if you "
        "like; as a table index,wnid,name with titles in any order or without (comma, semicolon or tab); as JSON or "
        "a printed Python list or dictionary ([\"cat\", ...], {\"0\": \"cat\"}, {\"cat\": 0}, id2label); or as "
        "'names:' in YAML",
        place(rows, line, at), what);
}

psal_status psal_class_rows_add(psal_class_rows *rows, int64_t index, size_t line, const char *wnid, const char *name,
                                psal_error *err) {
    char at[600];
    if (wnid && !psal_is_wnid(wnid))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: \"%.40s\" is no WordNet id (n and eight digits)",
                         place(rows, line, at), wnid);
    if (wnid && !name) {
        int known = psal_imagenet_find_wnid(wnid);
        name = known >= 0 ? psal_imagenet_name(known) : wnid;
    }
    if (!name || !*name) return psal_fail(err, PSAL_ERR_FORMAT, "%s: a class without a name", place(rows, line, at));
    if (strlen(name) > LONGEST_NAME)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: a class name of more than %d bytes", place(rows, line, at),
                         LONGEST_NAME);
    if (rows->count == PSAL_MAX_CLASSES)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: more than %d classes", place(rows, line, at), PSAL_MAX_CLASSES);
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 64;
        psal_class_row *grown = realloc(rows->at, capacity * sizeof *grown);
        if (!grown) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
        rows->at = grown;
        rows->capacity = capacity;
    }
    psal_class_row *row = &rows->at[rows->count++];
    *row = (psal_class_row){index, line, wnid ? strdup(wnid) : NULL, strdup(name)};
    if (!row->name || (wnid && !row->wnid)) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
    return PSAL_OK;
}

bool psal_class_number(const char *text, int64_t *number) {
    return *text >= '0' && *text <= '9' && psal_parse_int64(text, number) && *number < PSAL_MAX_CLASSES;
}

psal_class_title psal_class_title_of(const char *title) {
    static const struct {
        const char *title;
        psal_class_title meaning;
    } known[] = {{"classid", PSAL_TITLE_INDEX},
                 {"classindex", PSAL_TITLE_INDEX},
                 {"classidx", PSAL_TITLE_INDEX},
                 {"classnumber", PSAL_TITLE_INDEX},
                 {"labelid", PSAL_TITLE_INDEX},
                 {"labelindex", PSAL_TITLE_INDEX},
                 {"labelidx", PSAL_TITLE_INDEX},
                 {"categoryid", PSAL_TITLE_INDEX},
                 {"targetid", PSAL_TITLE_INDEX},
                 {"target", PSAL_TITLE_INDEX},
                 {"index", PSAL_TITLE_INDEX},
                 {"idx", PSAL_TITLE_INDEX},
                 {"number", PSAL_TITLE_INDEX},
                 {"wnid", PSAL_TITLE_WNID},
                 {"synset", PSAL_TITLE_WNID},
                 {"synsetid", PSAL_TITLE_WNID},
                 {"wordnetid", PSAL_TITLE_WNID},
                 {"name", PSAL_TITLE_NAME},
                 {"names", PSAL_TITLE_NAME},
                 {"classname", PSAL_TITLE_NAME},
                 {"classnames", PSAL_TITLE_NAME},
                 {"labelname", PSAL_TITLE_NAME},
                 {"categoryname", PSAL_TITLE_NAME},
                 {"targetname", PSAL_TITLE_NAME},
                 {"displayname", PSAL_TITLE_NAME},
                 {"words", PSAL_TITLE_NAME},
                 {"class", PSAL_TITLE_EITHER},
                 {"classes", PSAL_TITLE_EITHER},
                 {"label", PSAL_TITLE_EITHER},
                 {"labels", PSAL_TITLE_EITHER},
                 {"category", PSAL_TITLE_EITHER},
                 {"id", PSAL_TITLE_KEY},
                 {"", PSAL_TITLE_KEY},
                 {"unnamed:0", PSAL_TITLE_KEY}};
    char plain[32];
    if (!psal_csv_title(title, plain)) return PSAL_TITLE_OTHER;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(plain, known[i].title)) return known[i].meaning;
    return PSAL_TITLE_OTHER;
}

/* ---- what every form must fulfil ---- */

/* Whether the classes are numbered 1 to n, each once. */
static bool counts_from_one(const psal_class_rows *rows) {
    bool *seen = calloc(rows->count + 1, sizeof *seen), from_one = seen != NULL;
    for (size_t i = 0; i < rows->count && from_one; i++) {
        int64_t index = rows->at[i].index;
        from_one = index >= 1 && index <= (int64_t)rows->count && !seen[index];
        if (from_one) seen[index] = true;
    }
    free(seen);
    return from_one;
}

/* The rows in the order of their numbers; each from 0 must be there once. */
static psal_status put_rows(psal_labels *labels, const psal_class_rows *rows, psal_error *err) {
    char at[600];
    for (size_t i = 0; i < rows->count; i++) {
        const psal_class_row *row = &rows->at[i];
        int64_t index = row->index < 0 ? (int64_t)i : row->index;
        if (index >= (int64_t)rows->count && counts_from_one(rows))
            return psal_fail(
                err, PSAL_ERR_FORMAT,
                "%s: the classes are numbered 1 to %zu, but the outputs of a network from 0; leave the numbers out "
                "if the names are in its order, or subtract 1 if that is what they mean",
                rows->path, rows->count);
        if (index >= (int64_t)rows->count)
            return psal_fail(
                err, PSAL_ERR_FORMAT,
                "%s: class number %lld, but the file holds only %zu classes (numbers must run from 0 without "
                "gaps; names that begin with numbers go into a CSV file with the title 'name')",
                place(rows, row->line, at), (long long)index, rows->count);
        if (psal_labels_has(labels, (int)index))
            return psal_fail(err, PSAL_ERR_FORMAT, "%s: class number %lld comes twice", place(rows, row->line, at),
                             (long long)index);
        if (!psal_labels_put(labels, (int)index, row->wnid, row->name))
            return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
    }
    return PSAL_OK;
}

psal_labels *psal_class_rows_labels(const psal_class_rows *rows, psal_error *err) {
    if (rows->count == 0) {
        psal_fail(err, PSAL_ERR_FORMAT, "%s: no class names in this file", rows->path);
        return NULL;
    }
    psal_labels *labels = psal_labels_begin((int)rows->count, err);
    if (!labels) return NULL;
    if (put_rows(labels, rows, err) != PSAL_OK) {
        psal_labels_free(labels);
        return NULL;
    }
    return psal_labels_finish(labels, err);
}
