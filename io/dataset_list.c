/* dataset_list.c - data sets that are lists: CSV tables, lines of paths, lines of "name label". */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/numbers.h"
#include "io/csv.h"
#include "io/dataset_readers.h"

/* A list while it is read. */
typedef struct list {
    psal_dataset *dataset;
    const psal_dataset_context *context;
    const psal_csv_reader *csv;
    const char *folder; /* where relative paths start */
} list;

static psal_status prefix_line(const list *l, psal_error *err) {
    return psal_fail_prefix(err, "%s:%zu", psal_csv_path(l->csv), psal_csv_line(l->csv));
}

static bool is_number(const char *text) {
    return *text && !text[strspn(text, "0123456789")];
}

/* ---- a sample ---- */

/* The class number of the text of a label field; "" stands for no label. */
static psal_status read_label(const char *text, const psal_labels *labels, int *label, psal_error *err) {
    char whole[24], plain[256];
    *label = PSAL_NO_LABEL;
    text += strspn(text, " \t");
    size_t length = strlen(text);
    if (length == 0) return PSAL_OK;
    if (strchr(" \t", text[length - 1]) && length < sizeof plain) { /* "a.png, 5 " */
        while (length > 0 && strchr(" \t", text[length - 1])) length--;
        memcpy(plain, text, length);
        plain[length] = 0;
        text = plain;
    }
    /* A column of numbers with gaps becomes "5.0" in pandas. */
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits < sizeof whole && text[digits] == '.' && length > digits + 1 &&
        strspn(text + digits + 1, "0") == length - digits - 1) {
        memcpy(whole, text, digits);
        whole[digits] = 0;
        text = whole;
    }
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
    psal_status status = psal_labels_parse(labels, text, label, err);
    int64_t number;
    if (status && psal_parse_int64(text, &number) && number == psal_labels_count(labels))
        psal_fail(err, status, "%s (are the labels numbered from 1? The network's classes are from 0)",
                  err ? err->message : "");
    return status;
}

/* The path of `name`; without an extension of an image, it may be that of a file with one ("ILSVRC2012_val_00000001").
 * The caller frees; NULL when out of memory. */
static char *find_file(const list *l, const char *name, size_t *offset) {
    static const char *const extensions[] = {".JPEG", ".jpg", ".png", ".jpeg", ".JPG", ".PNG"};
    char *path = psal_dataset_join(l->folder, name, offset);
    if (!path || psal_dataset_extension(name) != PSAL_EXTENSION_OTHER || !psal_dataset_check_file(path, NULL))
        return path;
    for (int i = 0; i < 6; i++) {
        char *longer = NULL;
        if (asprintf(&longer, "%s%s", path, extensions[i]) < 0) break;
        if (!psal_dataset_check_file(longer, NULL)) {
            free(path);
            return longer;
        }
        free(longer);
    }
    return path;
}

static bool file_is_there(const list *l, const char *name) {
    size_t offset;
    char *path = *name ? find_file(l, name, &offset) : NULL;
    bool there = path && !psal_dataset_check_file(path, NULL);
    free(path);
    return there;
}

/* Append the sample `name` of the list's current line. `second` (NULL, or "") is another column that tells the
 * class. */
static psal_status add_sample(const list *l, const char *name, const char *label_text, const char *second,
                              const char *group, psal_error *err) {
    const psal_labels *labels = l->context->labels;
    int label = PSAL_NO_LABEL, other;
    size_t offset = 0;
    psal_error own = PSAL_ERROR_INIT;
    if (!*name) {
        psal_fail(err, PSAL_ERR_FORMAT, "a line without a path");
        return prefix_line(l, err);
    }
    char *path = find_file(l, name, &offset);
    if (!path) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    /* Where the first column tells nothing, the second may. */
    if (second && *second && (!*label_text || read_label(label_text, labels, &label, NULL)) &&
        !read_label(second, labels, &other, NULL))
        label_text = second;
    psal_status status = psal_dataset_check_file(path, &own);
    if (!status) status = read_label(label_text, labels, &label, &own);
    if (!status && second && *second && label != PSAL_NO_LABEL && !read_label(second, labels, &other, NULL) &&
        other != label)
        status = psal_fail(&own, PSAL_ERR_FORMAT,
                           "two columns tell the class, but \"%.60s\" is class %d and \"%.60s\" class %d", label_text,
                           label, second, other);
    if (!status) return psal_dataset_append(l->dataset, path, offset, label, group, err);
    prefix_line(l, &own);
    if (l->context->keep_bad && status != PSAL_ERR_MEMORY)
        return psal_dataset_append_bad(l->dataset, path, offset, group, &own, err);
    free(path);
    if (err) *err = own;
    return status;
}

/* ---- tables ---- */

/* Which field holds what; -1 for a column that is not there. */
typedef struct columns {
    int path, label, second, group; /* `second` tells the class, too */
    int counter;                    /* a DataFrame's index: 0, 1, 2, ... */
    bool unsure;                    /* the title says nothing of a label */
} columns;

/* The place of a title in a list, the surest first; -1 when it is none of them. */
static int find_title(const char *title, const char *const *all) {
    char plain[32];
    if (!psal_csv_title(title, plain)) return -1;
    for (int i = 0; all[i]; i++)
        if (!strcmp(plain, all[i])) return i;
    return -1;
}

/* A record is a header when it has a title for the path and one for the label, or, of two columns, one of both; the
 * index that pandas writes in front does not count. */
static bool read_header(const list *l, columns *where) {
    static const char *const paths[] = {"path",     "imagepath", "imgpath",   "filepath",  "file",
                                        "filename", "imagefile", "filenames", "imagename", "imgname",
                                        "image",    "img",       "images",    "photo",     "imageid",
                                        "imgid",    "id",        "name",      NULL};
    static const char *const labels[] = {
        "label",    "class",      "target",           "classid",   "labelid",   "categoryid",   "category",
        "wnid",     "synset",     "predictionstring", "labelname", "classname", "categoryname", "classindex",
        "classidx", "labelindex", "labelidx",         "y",         "labels",    "groundtruth",  NULL};
    columns found = {-1, -1, -1, -1, -1, false};
    size_t fields = psal_csv_field_count(l->csv), known = 0, others = 0;
    int rank = 0, other = -1;
    for (size_t i = 0; i < fields; i++) {
        const char *title = psal_csv_field(l->csv, i);
        char plain[32];
        int path = find_title(title, paths);
        if (path >= 0) {
            if (found.path < 0 || path < rank) {
                found.path = (int)i;
                rank = path;
            }
        } else if (find_title(title, labels) >= 0) {
            *(found.label < 0 ? &found.label : &found.second) = (int)i;
        } else if (psal_csv_title(title, plain) && !strcmp(plain, "group")) {
            found.group = (int)i;
        } else if (i > 0 || (*title && strcasecmp(title, "Unnamed: 0"))) {
            others++;
            other = (int)i;
            continue;
        }
        known++;
    }
    *where = found;
    if (found.path >= 0 && (found.label >= 0 || fields == 1)) return true;
    /* One title of two is known: the other column is what is missing, unless this is a sample. */
    if (others != 1 || (found.path < 0) == (found.label < 0)) return false;
    for (size_t i = 0; i < fields; i++)
        if (is_number(psal_csv_field(l->csv, i)) || file_is_there(l, psal_csv_field(l->csv, i))) return false;
    where->unsure = found.label < 0;
    *(found.path < 0 ? &where->path : &where->label) = other;
    return true;
}

static const char *field_or_empty(const psal_csv_reader *csv, int index) {
    bool there = index >= 0 && (size_t)index < psal_csv_field_count(csv);
    return there ? psal_csv_field(csv, (size_t)index) : "";
}

static const char FORMS[] =
    "a table has path,label or path,label,group, or titles that say which column is which (path, file, "
    "filename, image, image_id or id; label, class, target, class_id, label_name, class_name or wnid; "
    "group), between commas, semicolons or tabs";

/* The columns of a table without titles, by its first record: the path is the field that names a file. */
static psal_status bare_columns(const list *l, columns *where, psal_error *err) {
    size_t fields = psal_csv_field_count(l->csv);
    *where = (columns){0, 1, -1, 2, -1, false};
    if (fields > 3)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: %zu fields and no titles that are known; %s",
                         psal_csv_path(l->csv), psal_csv_line(l->csv), fields, FORMS);
    if (fields == 1 || file_is_there(l, psal_csv_field(l->csv, 0))) return PSAL_OK;
    if (!file_is_there(l, psal_csv_field(l->csv, 1))) return PSAL_OK; /* it will be said that the first is not there */
    if (fields == 2) {
        *where = (columns){1, 0, -1, -1, -1, false};
        return PSAL_OK;
    }
    int label;
    if (strcmp(psal_csv_field(l->csv, 0), "0") ||
        read_label(psal_csv_field(l->csv, 2), l->context->labels, &label, NULL))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: three fields, the path in the middle, and no titles; %s",
                         psal_csv_path(l->csv), psal_csv_line(l->csv), FORMS);
    *where = (columns){1, 2, -1, -1, 0, false};
    return PSAL_OK;
}

static psal_status read_record(const list *l, const columns *where, bool header, size_t record, psal_error *err) {
    const psal_csv_reader *csv = l->csv;
    size_t fields = psal_csv_field_count(csv), line = psal_csv_line(csv);
    if (!header && fields > 3)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: %zu fields; %s", psal_csv_path(csv), line, fields, FORMS);
    if (header && (where->path >= (int)fields || where->label >= (int)fields))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: only %zu fields, fewer than the header", psal_csv_path(csv),
                         line, fields);
    int64_t counter;
    const char *label = field_or_empty(csv, where->label), *group = field_or_empty(csv, where->group);
    if (where->counter >= 0 &&
        (!psal_parse_int64(field_or_empty(csv, where->counter), &counter) || counter != (int64_t)record))
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s:%zu: \"%.40s\" in front of the path is neither the line's number nor does a "
                         "title say what it is; %s",
                         psal_csv_path(csv), line, field_or_empty(csv, where->counter), FORMS);
    if (where->unsure && is_number(label))
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s:%zu: a column of numbers whose title does not say that it is the class; %s",
                         psal_csv_path(csv), line, FORMS);
    const char *path = field_or_empty(csv, where->path);
    int class;
    /* perhaps: neither path nor class */
    bool titles = record == 0 && !header && fields > 1 && *path && !file_is_there(l, path);
    if (titles && read_label(label, l->context->labels, &class, NULL))
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s:%zu: neither titles that are known nor a sample (%.60s: no such file; %.60s: no "
                         "class); %s",
                         psal_csv_path(csv), line, path, label, FORMS);
    return add_sample(l, path, label, field_or_empty(csv, where->second), *group ? group : NULL, err);
}

psal_status psal_dataset_read_csv(psal_dataset *dataset, const char *file, const char *folder,
                                  const psal_dataset_context *context, psal_error *err) {
    psal_csv_reader *csv = psal_csv_open(file, PSAL_CSV_ANY, err);
    if (!csv) return psal_error_status(err);
    list l = {dataset, context, csv, folder};
    columns where;
    bool header = false, have;
    psal_status status;
    for (size_t record = 0; !(status = psal_csv_next(csv, &have, err)) && have; record++) {
        if (record == 0 && (header = read_header(&l, &where))) continue;
        if (record == 0) status = bare_columns(&l, &where, err);
        if (!status) status = read_record(&l, &where, header, record, err);
        if (status) break;
    }
    psal_csv_close(csv);
    return status;
}

/* ---- lines ---- */

/* Cut "name label" in two: at the last gap, as labels are one word, but where the name in front of another gap is a
 * file and that in front of the last one is not ("a.png great white shark"). The label; NULL when there is no gap. */
static char *cut_label(const list *l, char *line) {
    for (size_t n = strlen(line); n > 0 && strchr(" \t", line[n - 1]);) line[--n] = 0;
    char *last = NULL;
    for (char *c = line; *c; c++)
        if (*c == ' ' || *c == '\t') last = c;
    if (!last) return NULL;
    char gap = *last;
    *last = 0;
    if (file_is_there(l, line)) return last + 1;
    *last = gap;
    for (char *c = line + strcspn(line, " \t"); *c; c += 1 + strcspn(c + 1, " \t")) {
        gap = *c;
        *c = 0;
        if (file_is_there(l, line)) return c + 1 + strspn(c + 1, " \t");
        *c = gap;
    }
    *last = 0;
    return last + 1;
}

/* What the lines of a list without a known form are, by the first one: paths, a table, or "name label". */
typedef enum line_form { PATHS, TABLE, LABELLED } line_form;

static line_form form_of(const list *l, const char *first) {
    if (file_is_there(l, first)) return PATHS;
    if (strpbrk(first, ",;\t")) return TABLE;
    char *copy = strdup(first), *label = copy ? cut_label(l, copy) : NULL;
    bool labelled = label && file_is_there(l, copy);
    free(copy);
    return labelled ? LABELLED : PATHS;
}

psal_status psal_dataset_read_lines(psal_dataset *dataset, const char *file, const char *folder, bool labelled,
                                    const psal_dataset_context *context, psal_error *err) {
    psal_csv_reader *csv = psal_csv_open(file, PSAL_CSV_WHOLE_LINES, err);
    if (!csv) return psal_error_status(err);
    list l = {dataset, context, csv, folder};
    struct stat info;
    bool have, again = stat(file, &info) == 0 && S_ISREG(info.st_mode); /* a pipe is read once */
    psal_status status;
    for (bool first = true; !(status = psal_csv_next(csv, &have, err)) && have; first = false) {
        char *line = strdup(psal_csv_field(csv, 0)), *label = NULL;
        line_form form = labelled ? LABELLED : PATHS;
        if (line && first) form = form_of(&l, line);
        if (first && form == TABLE && again) {
            free(line);
            psal_csv_close(csv);
            return psal_dataset_read_csv(dataset, file, folder, context, err);
        }
        if (first && form == LABELLED) labelled = true;
        if (line && labelled) label = cut_label(&l, line);
        if (!line)
            status = psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", file);
        else if (labelled && !label)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: expected \"name label\"", file, psal_csv_line(csv));
        else
            status = add_sample(&l, line, label ? label : "", NULL, NULL, err);
        free(line);
        if (status) break;
    }
    psal_csv_close(csv);
    return status;
}
