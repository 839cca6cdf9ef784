#include "io/csv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"
#include "io/numbers.h"

/* ---- reading ---- */

struct psal_csv_reader {
    FILE *file;
    char *path;
    char separator;
    bool started;           /* the byte order mark has been looked for */
    unsigned char ahead[3]; /* the first bytes, when they are no mark */
    size_t ahead_at, ahead_end;
    int pushed_back;  /* a byte looked at too early, or EOF */
    size_t next_line; /* the line the next byte belongs to */
    size_t line;      /* where the current record begins */
    char *record;     /* the fields one after the other, each ended by 0 */
    size_t used, capacity;
    size_t *field_start; /* offsets into record */
    size_t fields, fields_capacity;
};

psal_csv_reader *psal_csv_open(const char *path, char separator, psal_error *err) {
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

static void skip_byte_order_mark(psal_csv_reader *reader) {
    if (reader->started) return;
    reader->started = true;
    reader->ahead_end = fread(reader->ahead, 1, 3, reader->file);
    if (reader->ahead_end == 3 && !memcmp(reader->ahead, "\xEF\xBB\xBF", 3)) reader->ahead_at = 3;
}

static int raw_byte(psal_csv_reader *reader) {
    int c = reader->pushed_back;
    reader->pushed_back = EOF;
    if (c != EOF) return c;
    if (reader->ahead_at < reader->ahead_end) return reader->ahead[reader->ahead_at++];
    return getc_unlocked(reader->file);
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
        if (c == EOF && ferror(reader->file))
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
    skip_byte_order_mark(reader);
    int c;
    do { /* empty lines */
        reader->line = reader->next_line;
        c = next_byte(reader, false);
    } while (c == '\n');
    if (c == EOF) {
        if (ferror(reader->file))
            return psal_fail(err, PSAL_ERR_IO, "%s:%zu: cannot read: %s", reader->path, reader->line, strerror(errno));
        return PSAL_OK;
    }
    psal_status status = read_record(reader, c, err);
    if (!status) *have = true;
    return status;
}

size_t psal_csv_field_count(const psal_csv_reader *reader) {
    return reader->fields;
}

const char *psal_csv_field(const psal_csv_reader *reader, size_t index) {
    return reader->record + reader->field_start[index];
}

size_t psal_csv_line(const psal_csv_reader *reader) {
    return reader->line;
}

const char *psal_csv_path(const psal_csv_reader *reader) {
    return reader->path;
}

/* ---- writing ---- */

struct psal_csv_writer {
    psal_atomic_file *file; /* NULL when writing to somebody else's stream */
    FILE *stream;
    bool inside; /* the current record has a field already */
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

psal_csv_writer *psal_csv_write_to(FILE *stream, psal_error *err) {
    psal_csv_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a table");
        return NULL;
    }
    writer->stream = stream;
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
    /* A record that is one empty field would read back as an empty line, and a byte order mark in
     * front of the first field would vanish. */
    bool quotes = strpbrk(text, ",\"\r\n") || (first && !*text) || !strncmp(text, "\xEF\xBB\xBF", 3);
    if (!quotes) {
        fputs(text, writer->stream);
        return;
    }
    putc('"', writer->stream);
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
    psal_status status = PSAL_OK;
    if (writer->file)
        status = psal_atomic_file_commit(writer->file, err);
    else if (fflush(writer->stream) || ferror(writer->stream))
        status = psal_fail(err, PSAL_ERR_IO, "cannot write the table: %s", strerror(errno));
    free(writer);
    return status;
}

void psal_csv_abort(psal_csv_writer *writer) {
    if (!writer) return;
    psal_atomic_file_abort(writer->file);
    free(writer);
}
