/* options_help.c - what --help prints, made from the table of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/options_help.h"

/* The explanations begin in this column at most; a longer option gets a line of its own. */
enum { WIDEST_LEFT = 32, NARROWEST_RIGHT = 30, LEFT_SIZE = 256 };

/* Write `text` with words wrapped into columns `left` to `width`; the cursor stands in column
 * `column`. */
static void write_wrapped(FILE *out, const char *text, size_t column, size_t left, size_t width) {
    bool fresh = true; /* nothing on this line yet */
    if (column < left) fprintf(out, "%*s", (int)(left - column), "");
    size_t at = column > left ? column : left;
    while (*text) {
        if (*text == '\n' || *text == ' ') {
            if (*text == '\n') {
                fprintf(out, "\n%*s", (int)left, "");
                at = left;
                fresh = true;
            }
            text++;
            continue;
        }
        size_t length = strcspn(text, " \n");
        if (!fresh && at + 1 + length > width) {
            fprintf(out, "\n%*s", (int)left, "");
            at = left;
            fresh = true;
        }
        fprintf(out, "%s%.*s", fresh ? "" : " ", (int)length, text);
        at += length + !fresh;
        fresh = false;
        text += length;
    }
    putc('\n', out);
}

const char *psal_option_value_name(const psal_option *option) {
    if (option->value_name) return option->value_name;
    switch (option->kind) {
    case PSAL_OPTION_INT:
        return "N";
    case PSAL_OPTION_DOUBLE:
        return "X";
    case PSAL_OPTION_PATH:
        return "FILE";
    case PSAL_OPTION_INTS:
        return "LIST";
    case PSAL_OPTION_CHOICE:
        return option->choices;
    case PSAL_OPTION_STRING:
        return "TEXT";
    case PSAL_OPTION_FLAG:
    case PSAL_OPTION_HEADING:
    case PSAL_OPTION_END:
        break;
    }
    return "";
}

/* "  -k, --k-salient N" */
static size_t left_column(const psal_option *option, char text[LEFT_SIZE]) {
    char letter[5] = "    ";
    if (option->short_name) snprintf(letter, sizeof letter, "-%c, ", option->short_name);
    const char *value = psal_option_value_name(option);
    int length = snprintf(text, LEFT_SIZE, "  %s--%s%s%s", letter, option->name, *value ? " " : "", value);
    return length < LEFT_SIZE ? (size_t)length : LEFT_SIZE - 1;
}

char *psal_option_explanation(const psal_option *option) {
    const bool shows_default = option->default_text && *option->default_text;
    char *whole = NULL;
    if (asprintf(&whole, "%s%s%s%s%s", option->help ? option->help : "",
                 option->repeatable ? " May be given several times." : "", shows_default ? " (default: " : "",
                 shows_default ? option->default_text : "", shows_default ? ")" : "") < 0)
        return NULL;
    return whole;
}

static void write_row(FILE *out, const char *text, const char *help, size_t left, size_t width) {
    size_t column = strlen(text);
    fputs(text, out);
    if (column + 2 > left || !*help) {
        putc('\n', out);
        if (!*help) return;
        column = 0;
    }
    write_wrapped(out, help, column, left, width);
}

static void write_option(FILE *out, const psal_option *option, size_t left, size_t width) {
    char text[LEFT_SIZE];
    left_column(option, text);
    char *whole = option->help ? psal_option_explanation(option) : NULL;
    write_row(out, text, whole ? whole : "", left, width);
    free(whole);
}

static void write_subcommands(FILE *out, const psal_subcommand *subcommands, size_t width) {
    size_t left = 0;
    char text[LEFT_SIZE];
    for (int pass = 0; pass < 2; pass++)
        for (const psal_subcommand *s = subcommands; s->name; s++) {
            snprintf(text, sizeof text, "  %s%s%s", s->name, s->arguments ? " " : "", s->arguments ? s->arguments : "");
            if (pass == 1)
                write_row(out, text, s->help, left, width);
            else if (strlen(text) + 2 > left)
                left = strlen(text) + 2;
        }
}

char *psal_options_help(const psal_program *program, int width) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    size_t count = psal_program_option_count(program), left = 0, columns = width < 40 ? 40 : (size_t)width;
    for (size_t i = 0; i < count; i++) {
        const psal_option *option = psal_program_option(program, i);
        char row[LEFT_SIZE];
        size_t length = option->kind == PSAL_OPTION_HEADING ? 0 : left_column(option, row) + 2;
        if (length > left && length <= WIDEST_LEFT) left = length;
    }
    if (columns < left + NARROWEST_RIGHT) columns = left + NARROWEST_RIGHT;
    fprintf(out, "usage: %s [options]%s%s\n\n", program->name, program->arguments ? " " : "",
            program->arguments ? program->arguments : "");
    if (program->summary) {
        write_wrapped(out, program->summary, 0, 0, columns);
        putc('\n', out);
    }
    if (program->subcommands) {
        fputs("Commands:\n", out);
        write_subcommands(out, program->subcommands, columns);
        putc('\n', out);
    }
    if (program->options[0].kind != PSAL_OPTION_HEADING) fputs("options:\n", out);
    for (size_t i = 0; i < count; i++) {
        const psal_option *option = psal_program_option(program, i);
        if (option->kind == PSAL_OPTION_HEADING)
            fprintf(out, "%s%s:\n", i ? "\n" : "", option->help);
        else
            write_option(out, option, left, columns);
    }
    if (program->epilogue) fprintf(out, "\n%s\n", program->epilogue);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
