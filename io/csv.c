#include "io/csv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/atomic_file.h"

/* ---- reading ---- */

struct psal_csv_reader {
    FILE *file; /* NULL: all is in `ahead` */
    char *path;
    char separator;
    bool started;      /* the byte order mark and the separator have been looked for */
    const char *ahead; /* what comes before the rest of the file: its beginning, or a whole text */
    char *beginning;   /* the same, when it is the reader's */
    size_t ahead_at, ahead_end;
    int pushed_back;  /* a byte looked at too early, or EOF */
    size_t next_line; /* the line the next byte belongs to */
    size_t line;      /* where the current record begins */
    char *record;     /* the fields one after the other, each ended by 0 */
    size_t used, capacity;
    size_t *field_start; /* offsets into record */
    size_t fields, fields_capacity;
};

static psal_csv_reader *new_reader(const char *path, char separator, psal_error *err) {
    psal_csv_reader *reader = calloc(1, sizeof *reader);
    char *name = strdup(path);
    if (!reader || !name) {
        free(reader);
        free(name);
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    reader->path = name;
    reader->separator = separator;
    reader->next_line = 1;
    reader->pushed_back = EOF;
    return reader;
}

psal_csv_reader *psal_csv_open_text(const char *text, size_t size, const char *path, char separator, psal_error *err) {
    psal_csv_reader *reader = new_reader(path, separator, err);
    if (reader) {
        reader->ahead = text;
        reader->ahead_end = size;
    }
    return reader;
}

psal_csv_reader *psal_csv_open(const char *path, char separator, psal_error *err) {
    psal_csv_reader *reader = new_reader(path, separator, err);
    if (!reader) return NULL;
    reader->file = fopen(path, "rbe");
    if (!reader->file) {
        psal_fail(err, PSAL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
        psal_csv_close(reader);
        return NULL;
    }
    return reader;
}

void psal_csv_close(psal_csv_reader *reader) {
    if (!reader) return;
    if (reader->file) fclose(reader->file);
    free(reader->path);
    free(reader->beginning);
    free(reader->record);
    free(reader->field_start);
    free(reader);
}

static psal_status out_of_memory(const psal_csv_reader *reader, psal_error *err) {
    return psal_fail(err, PSAL_ERR_MEMORY, "%s:%zu: out of memory", reader->path, reader->line);
}

static psal_status put(psal_csv_reader *reader, char c, psal_error *err) {
    if (reader->used > PSAL_CSV_MAX_RECORD)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: a record of more than %d bytes", reader->path, reader->line,
                         PSAL_CSV_MAX_RECORD);
    if (reader->used == reader->capacity) {
        size_t capacity = reader->capacity ? 2 * reader->capacity : 256;
        char *record = realloc(reader->record, capacity);
        if (!record) return out_of_memory(reader, err);
        reader->record = record;
        reader->capacity = capacity;
    }
    reader->record[reader->used++] = c;
    return PSAL_OK;
}

static psal_status begin_field(psal_csv_reader *reader, psal_error *err) {
    if (reader->fields == reader->fields_capacity) {
        if (reader->fields >= PSAL_CSV_MAX_FIELDS)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: a record of more than %d fields", reader->path,
                             reader->line, PSAL_CSV_MAX_FIELDS);
        size_t capacity = reader->fields_capacity ? 2 * reader->fields_capacity : 8;
        size_t *starts = realloc(reader->field_start, capacity * sizeof *starts);
        if (!starts) return out_of_memory(reader, err);
        reader->field_start = starts;
        reader->fields_capacity = capacity;
    }
    reader->field_start[reader->fields++] = reader->used;
    return PSAL_OK;
}

static bool failed(const psal_csv_reader *reader) {
    return reader->file && ferror(reader->file);
}

/* Whether text[length], blanks aside, is a whole number or a WordNet id: what is told from a path or
 * a name by its form. */
static bool is_key(const char *text, size_t length) {
    while (length > 0 && strchr(" \"'", text[length - 1])) length--;
    while (length > 0 && strchr(" \"'", *text)) text++, length--;
    size_t digits = 0;
    while (digits < length && text[length - 1 - digits] >= '0' && text[length - 1 - digits] <= '9') digits++;
    return digits > 0 && (digits == length || (digits == 8 && length == 9 && *text == 'n'));
}

/* The separator by the first line, as csv.h says. */
static char find_separator(const char *line, size_t length) {
    static const char all[] = ",;\t";
    char found = 0, parting = 0;
    for (const char *one = all; *one; one++) {
        const char *first = NULL, *last = NULL;
        bool quoted = false;
        for (const char *c = line; c < line + length; c++) {
            if (*c == '"') quoted = !quoted;
            if (quoted || *c != *one) continue;
            if (!first) first = c;
            last = c;
        }
        if (!first) continue;
        if (!found) found = *one;
        bool key = is_key(line, (size_t)(first - line)) || is_key(last + 1, (size_t)(line + length - last - 1));
        if (key && !parting) parting = *one;
    }
    return parting ? parting : found ? found : ',';
}

/* Read the file's beginning: enough to tell a byte order mark, or all of the first line. */
static psal_status read_beginning(psal_csv_reader *reader, psal_error *err) {
    size_t capacity = 0, used = 0;
    bool line = reader->separator == PSAL_CSV_ANY, text = false;
    for (int c; used < PSAL_CSV_MAX_RECORD && (line || used < 3);) {
        if ((c = getc_unlocked(reader->file)) == EOF) break;
        if (used == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            char *grown = realloc(reader->beginning, capacity);
            if (!grown) return out_of_memory(reader, err);
            reader->beginning = grown;
        }
        reader->beginning[used++] = (char)c;
        bool line_end = c == '\n' || c == '\r', mark = used <= 3 && c >= 0xBB;
        if (used > 3 && text && line_end) break;
        text |= !line_end && !mark;
    }
    reader->ahead = reader->beginning;
    reader->ahead_end = used;
    return PSAL_OK;
}

static psal_status start(psal_csv_reader *reader, psal_error *err) {
    if (reader->started) return PSAL_OK;
    reader->started = true;
    psal_status status = reader->file ? read_beginning(reader, err) : PSAL_OK;
    if (status) return status;
    const char *text = reader->ahead;
    size_t at = 0, end = reader->ahead_end;
    if (end >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) at = 3;
    reader->ahead_at = at;
    if (reader->separator != PSAL_CSV_ANY) return PSAL_OK;
    while (at < end && (text[at] == '\n' || text[at] == '\r')) at++;
    size_t length = 0;
    while (at + length < end && text[at + length] != '\n' && text[at + length] != '\r') length++;
    if (length == 5 && !memcmp(text + at, "sep=", 4) && strchr(",;\t", text[at + 4])) {
        reader->separator = text[at + 4];
        reader->ahead_at = at + length; /* its line end counts as an empty line */
    } else {
        reader->separator = find_separator(length ? text + at : "", length); /* of an empty file there is no text */
    }
    return PSAL_OK;
}

static int raw_byte(psal_csv_reader *reader) {
    int c = reader->pushed_back;
    reader->pushed_back = EOF;
    if (c != EOF) return c;
    if (reader->ahead_at < reader->ahead_end) return (unsigned char)reader->ahead[reader->ahead_at++];
    return reader->file ? getc_unlocked(reader->file) : EOF;
}

/* The next byte, or EOF; outside quotes CRLF and CR count as LF. */
static int next_byte(psal_csv_reader *reader, bool quoted) {
    int c = raw_byte(reader);
    if (c == '\r' && !quoted) {
        int after = raw_byte(reader);
        if (after != '\n') reader->pushed_back = after; /* EOF comes again by itself */
        c = '\n';
    }
    if (c == '\n') reader->next_line++;
    return c;
}

/* Read one record that begins with byte c (not EOF). */
static psal_status read_record(psal_csv_reader *reader, int c, psal_error *err) {
    bool whole_lines = reader->separator == PSAL_CSV_WHOLE_LINES;
    enum { AT_START, PLAIN, QUOTED, AFTER_QUOTE } state = AT_START;
    size_t quote_line = 0;
    psal_status status = begin_field(reader, err);
    for (; !status; c = next_byte(reader, state == QUOTED)) {
        if (c == EOF && failed(reader))
            return psal_fail(err, PSAL_ERR_IO, "%s:%zu: cannot read: %s", reader->path, reader->line, strerror(errno));
        if (c == 0)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: a NUL byte: not a text file (UTF-16 must become UTF-8)",
                             reader->path, reader->next_line);
        if (state == QUOTED) {
            if (c == EOF)
                return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: the quote opened on this line is never closed",
                                 reader->path, quote_line);
            if (c == '"')
                state = AFTER_QUOTE;
            else
                status = put(reader, (char)c, err);
        } else if (c == '\n' || c == EOF) {
            return put(reader, 0, err);
        } else if (!whole_lines && c == reader->separator) {
            status = put(reader, 0, err);
            if (!status) status = begin_field(reader, err);
            state = AT_START;
        } else if (state == AFTER_QUOTE) {
            if (c != '"')
                return psal_fail(err, PSAL_ERR_FORMAT, "%s:%zu: field %zu goes on after its closing quote",
                                 reader->path, reader->next_line, reader->fields);
            status = put(reader, '"', err);
            state = QUOTED;
        } else if (!whole_lines && state == AT_START && c == '"') {
            state = QUOTED;
            quote_line = reader->next_line;
        } else {
            status = put(reader, (char)c, err);
            state = PLAIN;
        }
    }
    return status;
}

psal_status psal_csv_next(psal_csv_reader *reader, bool *have, psal_error *err) {
    *have = false;
    reader->used = reader->fields = 0;
    psal_status status = start(reader, err);
    if (status) return status;
    int c;
    do { /* empty lines */
        reader->line = reader->next_line;
        c = next_byte(reader, false);
    } while (c == '\n');
    if (c == EOF) {
        if (failed(reader))
            return psal_fail(err, PSAL_ERR_IO, "%s:%zu: cannot read: %s", reader->path, reader->line, strerror(errno));
        return PSAL_OK;
    }
    status = read_record(reader, c, err);
    if (!status) *have = true;
    return status;
}

size_t psal_csv_field_count(const psal_csv_reader *reader) {
    return reader->fields;
}

/* Whether a spreadsheet would run the text as a formula; apostrophes in front: one more guards it. */
static bool runs(const char *text) {
    return *text && strchr("=+-@\t", *text);
}

const char *psal_csv_field(const psal_csv_reader *reader, size_t index) {
    const char *text = reader->record + reader->field_start[index];
    bool table = reader->separator != PSAL_CSV_WHOLE_LINES;
    return text + (table && *text == '\'' && runs(text + strspn(text, "'")));
}

size_t psal_csv_line(const psal_csv_reader *reader) {
    return reader->line;
}

const char *psal_csv_path(const psal_csv_reader *reader) {
    return reader->path;
}

bool psal_csv_title(const char *title, char plain[32]) {
    size_t used = 0;
    for (; *title; title++) {
        if (strchr(" _-.\t", *title)) continue;
        if (used == 31) return false;
        plain[used++] = (char)(*title >= 'A' && *title <= 'Z' ? *title - 'A' + 'a' : *title);
    }
    plain[used] = 0;
    return true;
}

/* ---- writing ---- */

struct psal_csv_writer {
    psal_atomic_file *file;
    FILE *stream; /* of the file */
    bool inside;  /* the current record has a field already */
};

psal_csv_writer *psal_csv_create(const char *path, psal_error *err) {
    psal_csv_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    writer->file = psal_atomic_file_open(path, err);
    if (!writer->file) {
        free(writer);
        return NULL;
    }
    writer->stream = writer->file->stream;
    return writer;
}

static void begin_output_field(psal_csv_writer *writer) {
    if (writer->inside) putc(',', writer->stream);
    writer->inside = true;
}

void psal_csv_text(psal_csv_writer *writer, const char *text) {
    bool first = !writer->inside;
    begin_output_field(writer);
    if (!text) text = "";
    bool guard = runs(text + strspn(text, "'"));
    /* A record that is one empty field would read back as an empty line, and a byte order mark in
     * front of the first field would vanish. */
    bool quotes = strpbrk(text, ",\"\r\n") || (first && !*text) || !strncmp(text, "\xEF\xBB\xBF", 3);
    if (quotes) putc('"', writer->stream);
    if (guard) putc('\'', writer->stream);
    if (!quotes) {
        fputs(text, writer->stream);
        return;
    }
    for (; *text; text++) {
        if (*text == '"') putc('"', writer->stream);
        putc(*text, writer->stream);
    }
    putc('"', writer->stream);
}

void psal_csv_int(psal_csv_writer *writer, int64_t value) {
    begin_output_field(writer);
    fprintf(writer->stream, "%" PRId64, value);
}

void psal_csv_double(psal_csv_writer *writer, double value) {
    char text[PSAL_NUMBER_SIZE];
    begin_output_field(writer);
    fputs(psal_format_double(value, text), writer->stream);
}

void psal_csv_float(psal_csv_writer *writer, float value) {
    char text[PSAL_NUMBER_SIZE];
    begin_output_field(writer);
    fputs(psal_format_float(value, text), writer->stream);
}

void psal_csv_end_record(psal_csv_writer *writer) {
    putc('\n', writer->stream);
    writer->inside = false;
}

void psal_csv_record(psal_csv_writer *writer, size_t count, const char *const *fields) {
    for (size_t i = 0; i < count; i++) psal_csv_text(writer, fields[i]);
    psal_csv_end_record(writer);
}

psal_status psal_csv_commit(psal_csv_writer *writer, psal_error *err) {
    psal_status status = psal_atomic_file_commit(writer->file, err);
    free(writer);
    return status;
}
