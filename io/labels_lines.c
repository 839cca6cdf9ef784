/* labels_lines.c - class names a line each, as tables, and as YAML. */
#include "io/labels_forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv.h"
#include "engine/numbers.h"
#include "io/python_literal.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cut the blanks at both ends, in place. */
static char *trim(char *text) {
    while (is_blank(*text)) text++;
    size_t length = strlen(text);
    while (length > 0 && is_blank(text[length - 1])) text[--length] = 0;
    return text;
}

/* Make `rest`, which lies within the row's name, the name. */
static void set_name(psal_class_row *row, const char *rest) {
    memmove(row->name, rest, strlen(rest) + 1);
}

/* ---- numbers, ids and quotes around the names of a list: all lines have them, or they belong to the names ---- */

/* "12 cat", "12: cat", "12. cat", "12 - cat": the number, and where the rest begins; NULL when there is none. */
static char *after_number(char *text, int64_t *number) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 10) return NULL;
    char *rest = text + digits + strspn(text + digits, " \t");
    if (*rest && (strchr(":=,;)", *rest) ||
                  (strchr(".-", *rest) && is_blank(rest[1]) && (*rest == '.' || rest > text + digits)))) {
        rest++;
        rest += strspn(rest, " \t");
    } else if (rest == text + digits) {
        return NULL;
    }
    if (!*rest) return NULL;
    char copy[12];
    memcpy(copy, text, digits);
    copy[digits] = 0;
    return psal_parse_int64(copy, number) ? rest : NULL;
}

/* "cat 12", "cat: 12", "cat=12": the number, and where the rest ends; NULL when there is none. */
static char *before_number(char *text, int64_t *number) {
    char *end = text + strlen(text), *digits = end;
    while (digits > text && digits[-1] >= '0' && digits[-1] <= '9') digits--;
    if (digits == end || end - digits > 10) return NULL;
    char *rest = digits;
    while (rest > text && is_blank(rest[-1])) rest--;
    if (rest > text && strchr(":=,;", rest[-1]))
        rest--;
    else if (rest == digits)
        return NULL;
    while (rest > text && is_blank(rest[-1])) rest--;
    return rest > text && psal_parse_int64(digits, number) ? rest : NULL;
}

static void drop_commas(psal_class_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        size_t length = strlen(rows->at[i].name);
        bool comma = length > 1 && rows->at[i].name[length - 1] == ',';
        if (!comma && (i + 1 < rows->count || i == 0)) return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        char *name = rows->at[i].name;
        size_t length = strlen(name);
        if (name[length - 1] == ',') name[length - 1] = 0;
        set_name(&rows->at[i], trim(name));
    }
}

static void drop_dashes(psal_class_rows *rows) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->at[i].name[0] != '-' || !is_blank(rows->at[i].name[1])) return;
    for (size_t i = 0; i < rows->count; i++) set_name(&rows->at[i], trim(rows->at[i].name + 1));
}

static void drop_quotes(psal_class_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        const char *name = rows->at[i].name;
        size_t length = strlen(name);
        if (length < 3 || (*name != '"' && *name != '\'') || name[length - 1] != *name) return;
        if (memchr(name + 1, *name, length - 2)) return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        rows->at[i].name[strlen(rows->at[i].name) - 1] = 0;
        set_name(&rows->at[i], rows->at[i].name + 1);
    }
}

/* The WordNet ids in front of names; a line that is nothing else has ImageNet's name. */
static psal_status take_wnids(psal_class_rows *rows, psal_error *err) {
    for (size_t i = 0; i < rows->count; i++) {
        psal_class_row *row = &rows->at[i];
        size_t word = strcspn(row->name, " \t,:;");
        char after = row->name[word];
        if (word != 9 || row->wnid) continue;
        row->name[9] = 0;
        bool id = psal_is_wnid(row->name);
        char *rest = row->name + 9;
        if (after) rest++;
        rest += strspn(rest, " \t");
        if (!id) {
            row->name[9] = after;
            continue;
        }
        row->wnid = strdup(row->name);
        if (!row->wnid) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
        if (*rest) {
            set_name(row, rest);
        } else if (psal_imagenet_find_wnid(row->wnid) >= 0) {
            free(row->name);
            row->name = strdup(psal_imagenet_name(psal_imagenet_find_wnid(row->wnid)));
            if (!row->name) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
        }
    }
    return PSAL_OK;
}

/* Numbers in front. Where most lines have one, all must: the number is not to become a part of the name. */
static psal_status take_front_numbers(psal_class_rows *rows, psal_error *err) {
    size_t numbered = 0, without = 0;
    int64_t number;
    for (size_t i = rows->count; i-- > 0;)
        if (after_number(rows->at[i].name, &number))
            numbered++;
        else
            without = i;
    if (2 * numbered <= rows->count) return PSAL_OK;
    if (numbered < rows->count)
        return psal_class_rows_refuse(rows, rows->at[without].line, "no number, though most lines begin with one", err);
    for (size_t i = 0; i < rows->count; i++) {
        psal_class_row *row = &rows->at[i];
        set_name(row, after_number(row->name, &row->index));
    }
    return PSAL_OK;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Numbers behind. Names end in numbers, too ("Boeing 737", "type 1"): they count only when they are 0 to n-1 or 1 to n,
 * each once, behind names that differ. */
static psal_status take_back_numbers(psal_class_rows *rows, psal_error *err) {
    size_t count = rows->count;
    bool *seen = calloc(count + 1, sizeof *seen), fits = seen != NULL, distinct = true, memory = true;
    char **names = calloc(count, sizeof *names);
    if (!seen || !names) {
        free(seen);
        free(names);
        return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
    }
    for (size_t i = 0; i < count && fits; i++) {
        int64_t number = -1;
        char *end = before_number(rows->at[i].name, &number);
        fits = end && number <= (int64_t)count && !seen[number];
        if (fits) seen[number] = true;
        if (fits) memory = (names[i] = strndup(rows->at[i].name, (size_t)(end - rows->at[i].name))) != NULL;
        fits = fits && memory;
    }
    if (fits) qsort(names, count, sizeof *names, compare_texts);
    for (size_t i = 1; i < count && fits; i++) distinct = distinct && strcmp(names[i - 1], names[i]) != 0;
    bool from_zero = fits && !seen[count];
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
    free(seen);
    if (!memory) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
    if (!fits || (!distinct && !from_zero)) return PSAL_OK;
    for (size_t i = 0; i < count; i++) {
        psal_class_row *row = &rows->at[i];
        char *end = before_number(row->name, &row->index);
        if (distinct) *end = 0; /* else the number is all that makes the name */
    }
    return PSAL_OK;
}

static bool all_numbers(const psal_class_rows *rows) {
    int64_t number;
    for (size_t i = 0; i < rows->count; i++)
        if (!psal_class_number(rows->at[i].name, &number)) return false;
    return true;
}

/* What a list of texts says besides the names. */
static psal_status refine(psal_class_rows *rows, psal_error *err) {
    if (rows->count == 0 || all_numbers(rows)) return PSAL_OK;
    drop_dashes(rows);
    drop_commas(rows);
    drop_quotes(rows);
    psal_status status = take_front_numbers(rows, err);
    if (status == PSAL_OK) status = take_wnids(rows, err);
    if (status == PSAL_OK && rows->at[0].index < 0 && rows->at[0].wnid) status = take_front_numbers(rows, err);
    if (status == PSAL_OK && rows->at[0].index < 0) status = take_back_numbers(rows, err);
    if (status == PSAL_OK) drop_quotes(rows);
    return status;
}

/* ---- tables ---- */

/* Which field holds what; -1 for a column that is not there. `second` is another column of numbers, which must not
 * contradict. */
typedef struct columns {
    int index, wnid, name, second;
} columns;

typedef enum content { TEXT, NUMBER, WNID } content;

static content content_of(const char *field) {
    bool digits = *field && !field[strspn(field, "0123456789")];
    return digits ? NUMBER : psal_is_wnid(field) ? WNID : TEXT;
}

/* The titles of the record's columns; false when it is no header. */
static bool read_header(const psal_csv_reader *csv, psal_class_title titles[], size_t *count) {
    size_t known = 0, names = 0, keys = 0;
    *count = psal_csv_field_count(csv);
    for (size_t i = 0; i < *count; i++) {
        const char *field = psal_csv_field(csv, i);
        if (content_of(field) != TEXT) return false;
        titles[i] = psal_class_title_of(field);
        known += titles[i] != PSAL_TITLE_OTHER;
        names += titles[i] == PSAL_TITLE_NAME || titles[i] == PSAL_TITLE_EITHER;
        keys += titles[i] == PSAL_TITLE_INDEX || titles[i] == PSAL_TITLE_WNID || titles[i] == PSAL_TITLE_KEY;
    }
    if (*count == 1) return known == 1;
    return (names > 0 || keys > 0) && (known == *count || (names > 0 && keys > 0) || names > 1);
}

/* The first column of this title whose content in the record is (or, with `not`, is not) `what`; -1 for none. */
static int find_column(const psal_csv_reader *csv, const psal_class_title titles[], size_t count,
                       psal_class_title title, content what, bool not ) {
    for (size_t i = 0; i < count && i < psal_csv_field_count(csv); i++)
        if (titles[i] == title && (content_of(psal_csv_field(csv, i)) == what) != not ) return (int)i;
    return -1;
}

/* Columns by their titles and, where a title has two meanings, by what stands in the first record below. */
static bool titled_columns(const psal_csv_reader *csv, const psal_class_title titles[], size_t count, columns *where) {
    *where = (columns){-1, -1, -1, -1};
    for (size_t i = 0; i < count; i++) {
        if (titles[i] == PSAL_TITLE_INDEX && where->index >= 0 && where->second < 0) where->second = (int)i;
        if (titles[i] == PSAL_TITLE_INDEX && where->index < 0) where->index = (int)i;
        if (titles[i] == PSAL_TITLE_WNID && where->wnid < 0) where->wnid = (int)i;
        if (titles[i] == PSAL_TITLE_NAME && where->name < 0) where->name = (int)i;
    }
    if (where->wnid < 0) where->wnid = find_column(csv, titles, count, PSAL_TITLE_EITHER, WNID, false);
    if (where->wnid < 0) where->wnid = find_column(csv, titles, count, PSAL_TITLE_KEY, WNID, false);
    if (where->index < 0 && where->name >= 0)
        where->index = find_column(csv, titles, count, PSAL_TITLE_EITHER, NUMBER, false);
    if (where->name < 0) where->name = find_column(csv, titles, count, PSAL_TITLE_EITHER, TEXT, false);
    if (where->name < 0 && where->index >= 0)
        where->name = find_column(csv, titles, count, PSAL_TITLE_EITHER, WNID, true);
    if (where->index < 0) where->index = find_column(csv, titles, count, PSAL_TITLE_EITHER, NUMBER, false);
    if (where->index < 0) where->index = find_column(csv, titles, count, PSAL_TITLE_KEY, NUMBER, false);
    if (where->name < 0 && where->wnid < 0 && count == 1 && titles[0] == PSAL_TITLE_EITHER) {
        where->name = where->index;
        where->index = -1;
    }
    return where->name >= 0 || where->wnid >= 0;
}

/* Columns of a table without titles, by what stands in its first record. */
static bool bare_columns(const psal_csv_reader *csv, columns *where) {
    size_t fields = psal_csv_field_count(csv), numbers = 0, texts = 0, wnids = 0;
    *where = (columns){-1, -1, -1, -1};
    if (fields > 3) return false;
    for (size_t i = 0; i < fields; i++) {
        content what = content_of(psal_csv_field(csv, i));
        int *first = what == NUMBER ? &where->index : what == WNID ? &where->wnid : &where->name;
        if (*first < 0) *first = (int)i;
        numbers += what == NUMBER;
        texts += what == TEXT;
        wnids += what == WNID;
        if (what == NUMBER && numbers == 2)
            where->name = where->second = (int)i;                       /* index,name: the names are numbers */
        if (what == TEXT && texts == 2 && numbers == 1 && wnids == 0) { /* index,wnid,name with a bad id */
            where->wnid = where->name;
            where->name = (int)i;
            texts--;
        }
    }
    if (fields == 1) {
        *where = (columns){-1, -1, 0, -1};
        return true;
    }
    bool two_numbers = numbers == 2 && texts == 0 && wnids == 0;
    return two_numbers || (numbers <= 1 && wnids <= 1 && texts <= 1 && numbers + wnids > 0);
}

static psal_status read_record(psal_class_rows *rows, const psal_csv_reader *csv, const columns *where, bool titled,
                               psal_error *err) {
    size_t fields = psal_csv_field_count(csv), line = psal_csv_line(csv);
    int last = where->index > where->wnid ? where->index : where->wnid;
    if (where->name > last) last = where->name;
    if (where->second > last) last = where->second;
    if ((size_t)last >= fields)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: %zu fields, expected %d", rows->path, line, fields, last + 1);
    int64_t index = -1, second;
    if (where->index >= 0) {
        const char *text = psal_csv_field(csv, (size_t)where->index);
        if (!psal_class_number(text, &index))
            return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: \"%.40s\" is no class number", rows->path, line, text);
        const char *other = titled && where->second >= 0 ? psal_csv_field(csv, (size_t)where->second) : text;
        if (!psal_class_number(other, &second) || second != index)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: two columns of class numbers, %.40s here and %.40s there",
                             rows->path, line, text, other);
    }
    const char *wnid = where->wnid >= 0 ? psal_csv_field(csv, (size_t)where->wnid) : NULL;
    const char *name = where->name >= 0 ? psal_csv_field(csv, (size_t)where->name) : NULL;
    return psal_class_rows_add(rows, index, line, wnid, name, err);
}

/* Two columns of numbers without titles are index,name; when both could be the index, nobody knows. */
static psal_status check_numbers(const psal_class_rows *rows, psal_error *err) {
    bool same = true, both = true;
    for (size_t i = 0; i < rows->count; i++) {
        int64_t number;
        both = both && psal_class_number(rows->at[i].name, &number) && number < (int64_t)rows->count;
        same = same && both && number == rows->at[i].index;
    }
    return same || !both ? PSAL_OK : psal_class_rows_refuse(rows, 0, "two columns of numbers without titles", err);
}

static psal_status read_table(psal_class_rows *rows, psal_csv_reader *csv, psal_error *err) {
    static const char unknown[] = "columns that are not understood";
    psal_class_title *titles = malloc(PSAL_CSV_MAX_FIELDS * sizeof *titles);
    size_t count = 0;
    bool titled = false, have;
    columns where = {-1, -1, -1, -1};
    psal_status status = titles ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
    for (size_t record = 0; status == PSAL_OK && !(status = psal_csv_next(csv, &have, err)) && have; record++) {
        if (record == 0 && (titled = read_header(csv, titles, &count))) continue;
        bool first = record == (titled ? 1 : 0);
        if (first && !(titled ? titled_columns(csv, titles, count, &where) : bare_columns(csv, &where))) {
            char what[80];
            snprintf(what, sizeof what, "%zu fields, %s", psal_csv_field_count(csv), unknown);
            status = psal_class_rows_refuse(rows, psal_csv_line(csv), what, err);
        }
        if (status == PSAL_OK) status = read_record(rows, csv, &where, titled, err);
    }
    free(titles);
    if (status == PSAL_OK && where.index < 0 && where.wnid < 0 && !titled) status = refine(rows, err);
    if (status == PSAL_OK && !titled && where.second >= 0) status = check_numbers(rows, err);
    return status;
}

/* ---- lines ---- */

static psal_status read_lines(psal_class_rows *rows, psal_csv_reader *csv, psal_error *err) {
    bool have;
    psal_status status;
    while (!(status = psal_csv_next(csv, &have, err)) && have) {
        char *copy = strdup(psal_csv_field(csv, 0));
        status = copy ? psal_class_rows_add(rows, -1, psal_csv_line(csv), NULL, trim(copy), err)
                      : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
        free(copy);
        if (status) return status;
    }
    return status ? status : refine(rows, err);
}

/* Whether the first line is a table's header. */
static psal_status find_titles(const char *text, size_t size, const char *path, bool *titled, psal_error *err) {
    psal_class_title titles[64];
    psal_error own = PSAL_ERROR_INIT;
    size_t count;
    bool have = false;
    psal_csv_reader *csv = psal_csv_open_text(text, size, path, PSAL_CSV_ANY, err);
    if (!csv) return PSAL_ERR_MEMORY;
    psal_status status = psal_csv_next(csv, &have, &own); /* a line may be no record of a table: "shark \"x" */
    *titled = status == PSAL_OK && have && psal_csv_field_count(csv) <= 64 && read_header(csv, titles, &count);
    psal_csv_close(csv);
    if (status != PSAL_ERR_MEMORY) return PSAL_OK;
    if (err) *err = own;
    return status;
}

psal_status psal_class_rows_from_lines(psal_class_rows *rows, const char *text, size_t size, bool table,
                                       psal_error *err) {
    psal_status found = table ? PSAL_OK : find_titles(text, size, rows->path, &table, err);
    if (found != PSAL_OK) return found;
    psal_csv_reader *csv = psal_csv_open_text(text, size, rows->path, table ? PSAL_CSV_ANY : PSAL_CSV_WHOLE_LINES, err);
    if (!csv) return PSAL_ERR_MEMORY;
    psal_status status = table ? read_table(rows, csv, err) : read_lines(rows, csv, err);
    psal_csv_close(csv);
    return status;
}

/* ---- YAML ---- */

static size_t indentation(const char *line) {
    return strspn(line, " ");
}

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

const char *psal_class_yaml_find(const char *text) {
    for (const char *line = text; *line; line = next_line(line)) {
        const char *key = line + indentation(line);
        if (!strncmp(key, "names:", 6) && (!key[6] || is_blank(key[6]))) return line;
    }
    return NULL;
}

/* A value in place: its quotes or a comment behind it go. */
static char *yaml_value(char *text) {
    text = trim(text);
    char *end = *text == '"' || *text == '\'' ? strchr(text + 1, *text) : NULL;
    if (end) {
        *end = 0;
        return text + 1;
    }
    char *comment = strstr(text, " #");
    if (comment) *comment = 0;
    return trim(text);
}

/* "- cat", "0: cat" or "'0': cat". */
static psal_status yaml_line(psal_class_rows *rows, char *text, size_t line, psal_error *err) {
    if (text[0] == '-' && (!text[1] || is_blank(text[1])))
        return psal_class_rows_add(rows, -1, line, NULL, yaml_value(text + 1), err);
    char quote = *text == '"' || *text == '\'' ? *text : 0;
    char *key = text + (quote != 0), *end = key + strspn(key, "0123456789");
    char *colon = end + (quote && *end == quote);
    int64_t index;
    if (end == key || *colon != ':' || (colon[1] && !is_blank(colon[1])))
        return psal_class_rows_refuse(rows, line, "neither '- name' nor 'number: name' below 'names:'", err);
    *end = 0;
    if (!psal_class_number(key, &index))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: \"%.40s\" is no class number", rows->path, line, key);
    return psal_class_rows_add(rows, index, line, NULL, yaml_value(colon + 1), err);
}

psal_status psal_class_rows_from_yaml(psal_class_rows *rows, const char *text, size_t size, const char *names,
                                      psal_error *err) {
    size_t line = 1, outer = indentation(names);
    for (const char *c = text; c < names; c++) line += *c == '\n';
    const char *value = names + outer + 6;
    value += strspn(value, " \t");
    if (*value == '[' || *value == '{') {
        json_t *tree = psal_python_literal(value, size - (size_t)(value - text), true, line, err);
        if (!tree) return psal_fail_prefix(err, "%s", rows->path);
        psal_status status = psal_class_rows_from_tree(rows, tree, err);
        json_decref(tree);
        return status;
    }
    if (*value && !is_blank(*value) && *value != '#')
        return psal_class_rows_refuse(rows, line, "'names:' without a list", err);
    psal_status status = PSAL_OK;
    for (const char *at = next_line(names); *at && status == PSAL_OK; at = next_line(at)) {
        char *copy = strndup(at, strcspn(at, "\n"));
        if (!copy) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", rows->path);
        line++;
        char *entry = trim(copy);
        size_t inner = indentation(at);
        bool inside = inner > outer || (inner == outer && *entry == '-');
        bool skip = !*entry || *entry == '#';
        if (!skip && inside) status = yaml_line(rows, entry, line, err);
        free(copy);
        if (!skip && !inside) break;
    }
    return status;
}
