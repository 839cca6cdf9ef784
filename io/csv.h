/* csv.h - comma-separated tables and plain lists of lines, read and written.
 *
 * Reading follows RFC 4180: records end with LF, CRLF or CR (or the end of the file), a field in
 * double quotes may hold commas, line ends and doubled quotes; a quote in the middle of an unquoted
 * field is an ordinary character. A byte order mark in front is skipped, and so are empty lines.
 * Fields are bytes, not checked to be UTF-8 (file names need not be). Writing quotes a field only
 * where it must be, ends records with LF, and goes through io/atomic_file.h.
 *
 * Spreadsheets run a field that begins with = + - @ (or a tab and one of these) as a formula, and
 * names and paths come from outside. Texts (not numbers) that begin so are written with an
 * apostrophe in front, as spreadsheets have it for "a text, whatever it looks like"; so are texts
 * that begin with apostrophes and then one of these. Reading takes that apostrophe off again, so
 * that what psal writes it reads back as it was; other programs see the apostrophe. */
#ifndef PSAL_IO_CSV_H
#define PSAL_IO_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A record longer than PSAL_CSV_MAX_RECORD bytes, or of more fields, is refused. */
#define PSAL_CSV_MAX_RECORD (1 << 20)
#define PSAL_CSV_MAX_FIELDS 4096

/* As separator: every line is one field as it stands, quotes and commas included. */
#define PSAL_CSV_WHOLE_LINES '\0'
/* As separator: comma, semicolon or tab, by the first line: the one that is there; of several, the
 * one that parts a whole number or a WordNet id from the rest, else the comma. A first line
 * "sep=;", as spreadsheets write it, says it, too. */
#define PSAL_CSV_ANY '\1'

typedef struct psal_csv_reader psal_csv_reader;

/* Open `path`, a regular file or a pipe, with fields between `separator` (',' or another ASCII
 * character, or PSAL_CSV_WHOLE_LINES). NULL with *err naming the file. */
psal_csv_reader *psal_csv_open(const char *path, char separator, psal_error *err);
/* The same for text[size], which must outlive the reader; `path` is for messages. */
psal_csv_reader *psal_csv_open_text(const char *text, size_t size, const char *path, char separator, psal_error *err);
void psal_csv_close(psal_csv_reader *reader); /* NULL is fine */

/* Read the next record that is not empty. *have is false at the end of the file. Errors name the
 * file and the line: a NUL byte, a quote that is never closed, text after a closing quote, a record
 * beyond the limits above; the reader is then of no further use. */
psal_status psal_csv_next(psal_csv_reader *reader, bool *have, psal_error *err);

/* The current record; fields are NUL-terminated and valid until the next call of psal_csv_next. */
size_t psal_csv_field_count(const psal_csv_reader *reader);
const char *psal_csv_field(const psal_csv_reader *reader, size_t index);

/* The line (from 1) on which the current record begins, and the file's name, for messages. */
size_t psal_csv_line(const psal_csv_reader *reader);
const char *psal_csv_path(const psal_csv_reader *reader);

/* A column's title for comparing: small letters, without blanks, _, - and points ("Image Path" and "image_path" are
 * "imagepath"). False when it is longer than any that is known. */
bool psal_csv_title(const char *title, char plain[32]);

typedef struct psal_csv_writer psal_csv_writer;

/* Begin the file `path`; it appears when psal_csv_commit succeeds. NULL with *err. */
psal_csv_writer *psal_csv_create(const char *path, psal_error *err);

/* Append one field to the current record. Numbers are written so that they read back exactly, with
 * a point in every locale; NaN as "nan". psal_csv_text(writer, NULL) writes an empty field. */
void psal_csv_text(psal_csv_writer *writer, const char *text);
void psal_csv_int(psal_csv_writer *writer, int64_t value);
void psal_csv_double(psal_csv_writer *writer, double value);
void psal_csv_float(psal_csv_writer *writer, float value);
void psal_csv_end_record(psal_csv_writer *writer);

/* A whole record of texts, e.g. the header: psal_csv_record(w, 2, (const char *[]){"path",
 * "label"}). */
void psal_csv_record(psal_csv_writer *writer, size_t count, const char *const *fields);

/* Finish: any write error since the beginning is reported here, and nothing is left behind then.
 * Frees the writer in any case. */
psal_status psal_csv_commit(psal_csv_writer *writer, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
