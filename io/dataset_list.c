/* dataset_list.c - data sets that are lists: CSV tables, lines of paths, lines of "name label". */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/csv.h"
#include "io/dataset_internal.h"
#include "io/numbers.h"

static psal_status prefix_line(const psal_csv_reader *list, psal_error *err) {
    return psal_fail_prefix(err, "%s:%zu", psal_csv_path(list), psal_csv_line(list));
}

/* The class number of the text of a label field; "" stands for no label. */
static psal_status read_label(const char *text, const psal_labels *labels, int *label, psal_error *err) {
    *label = PSAL_NO_LABEL;
    if (!*text) return PSAL_OK;
    if (!labels) {
        int64_t number;
        if (!psal_parse_int64(text, &number) || number < 0 || number >= PSAL_MAX_CLASSES)
            return psal_fail(err, PSAL_ERR_FORMAT, "\"%.100s\" is no class number", text);
        *label = (int)number;
        return PSAL_OK;
    }
    /* ImageNet's own tables: "n03995372 85 1 499 272", the class and its box in the image. */
    char id[10] = "";
    if (strnlen(text, 10) == 10 && text[9] == ' ') {
        memcpy(id, text, 9);
        if (psal_is_wnid(id)) text = id;
    }
    return psal_labels_parse(labels, text, label, err);
}

/* Append the sample `name` of the list's current line. */
static psal_status add_sample(psal_dataset *dataset, const psal_csv_reader *list, const char *folder,
                              bool guess_extension, const char *name, const char *label_text, const char *group,
                              const psal_labels *labels, psal_error *err) {
    int label = PSAL_NO_LABEL;
    size_t offset;
    psal_status status = *name ? PSAL_OK : psal_fail(err, PSAL_ERR_FORMAT, "a line without a path");
    if (!status) status = read_label(label_text, labels, &label, err);
    char *path = status ? NULL : psal_dataset_join(folder, name, &offset);
    if (!status && !path) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (!status && psal_dataset_check_file(path, guess_extension ? NULL : err)) {
        char *longer = NULL;
        if (guess_extension && asprintf(&longer, "%s.JPEG", path) < 0) longer = NULL;
        if (longer && !psal_dataset_check_file(longer, NULL)) {
            free(path);
            path = longer;
        } else {
            free(longer);
            status = psal_dataset_check_file(path, err);
        }
    }
    if (status) {
        free(path);
        prefix_line(list, err);
        return status;
    }
    return psal_dataset_append(dataset, path, offset, label, group, err);
}

/* Which field holds what; -1 for a column that is not there. */
typedef struct columns {
    int path, label, group;
} columns;

static bool is_one_of(const char *word, const char *const *list) {
    for (; *list; list++)
        if (!strcasecmp(word, *list)) return true;
    return false;
}

/* A record is a header when one of its fields is a title for the path and the others are not paths:
 * alone, or together with a title for the label. The first title of each kind counts. */
static bool read_header(const psal_csv_reader *csv, columns *where) {
    static const char *const paths[] = {"path",       "file",    "filename", "file_name", "image",
                                        "image_path", "imageid", "image_id", NULL};
    static const char *const labels[] = {"label", "class",  "target",           "class_id",
                                         "wnid",  "synset", "predictionstring", NULL};
    static const char *const groups[] = {"group", NULL};
    columns found = {-1, -1, -1};
    size_t fields = psal_csv_field_count(csv);
    for (size_t i = 0; i < fields; i++) {
        const char *title = psal_csv_field(csv, i);
        if (found.path < 0 && is_one_of(title, paths))
            found.path = (int)i;
        else if (found.label < 0 && is_one_of(title, labels))
            found.label = (int)i;
        else if (found.group < 0 && is_one_of(title, groups))
            found.group = (int)i;
    }
    if (found.path < 0 || (fields > 1 && found.label < 0)) return false;
    *where = found;
    return true;
}

static const char *field_or_empty(const psal_csv_reader *csv, int index) {
    bool there = index >= 0 && (size_t)index < psal_csv_field_count(csv);
    return there ? psal_csv_field(csv, (size_t)index) : "";
}

psal_status psal_dataset_read_csv(psal_dataset *dataset, const char *file, const char *folder, bool guess_extension,
                                  const psal_labels *labels, psal_error *err) {
    psal_csv_reader *csv = psal_csv_open(file, ',', err);
    if (!csv) return err ? err->status : PSAL_ERR_IO;
    columns where = {0, 1, 2};
    bool first = true, header = false, have;
    psal_status status;
    while (!(status = psal_csv_next(csv, &have, err)) && have) {
        if (first && (header = read_header(csv, &where))) {
            first = false;
            continue;
        }
        first = false;
        size_t fields = psal_csv_field_count(csv);
        if (!header && fields > 3) {
            status = psal_fail(err, PSAL_ERR_FORMAT,
                               "%s:%zu: %zu fields, expected path,label or path,label,group (a table "
                               "of more columns needs a header)",
                               file, psal_csv_line(csv), fields);
            break;
        }
        if (header && (where.path >= (int)fields || where.label >= (int)fields)) {
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: only %zu fields, fewer than the header", file,
                               psal_csv_line(csv), fields);
            break;
        }
        const char *group = field_or_empty(csv, where.group);
        status = add_sample(dataset, csv, folder, guess_extension, field_or_empty(csv, where.path),
                            field_or_empty(csv, where.label), *group ? group : NULL, labels, err);
        if (status) break;
    }
    psal_csv_close(csv);
    return status;
}

psal_status psal_dataset_read_lines(psal_dataset *dataset, const char *file, const char *folder, bool labelled,
                                    const psal_labels *labels, psal_error *err) {
    psal_csv_reader *list = psal_csv_open(file, PSAL_CSV_WHOLE_LINES, err);
    if (!list) return err ? err->status : PSAL_ERR_IO;
    bool have;
    psal_status status;
    while (!(status = psal_csv_next(list, &have, err)) && have) {
        char *line = strdup(psal_csv_field(list, 0)), *gap = NULL;
        if (line && labelled) {
            for (size_t n = strlen(line); n > 0 && strchr(" \t", line[n - 1]);) line[--n] = 0;
            /* The label is the last word: a number or a WordNet id, which hold no blanks. */
            gap = strrchr(line, ' ');
            char *tab = strrchr(line, '\t');
            if (!gap || (tab && tab > gap)) gap = tab;
        }
        if (!line) {
            status = psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", file);
        } else if (labelled && !gap) {
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: expected \"name label\"", file, psal_csv_line(list));
        } else {
            if (gap) *gap = 0;
            status = add_sample(dataset, list, folder, labelled, line, gap ? gap + 1 : "", NULL, labels, err);
        }
        free(line);
        if (status) break;
    }
    psal_csv_close(list);
    return status;
}
