/* picture.h - looking at the figures a test has written: pixels of a PNG, well-formedness of SVG
 * and HTML, bytes. */
#ifndef PSAL_TESTS_IO_PICTURE_H
#define PSAL_TESTS_IO_PICTURE_H

#include <cairo.h>
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "io/figure.h"
#include "tests/unit/io/scratch.h"

/* Fontconfig keeps its patterns for the life of the process behind pointers stored as offsets,
 * which LeakSanitizer cannot follow. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig\n";
}

typedef struct png_picture {
    int width, height;
    uint32_t *pixel; /* 0xRRGGBB, row by row */
} png_picture;

static inline png_picture read_picture(const char *path) {
    cairo_surface_t *surface = cairo_image_surface_create_from_png(path);
    ck_assert_msg(cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS, "%s is no PNG: %s", path,
                  cairo_status_to_string(cairo_surface_status(surface)));
    png_picture picture = {cairo_image_surface_get_width(surface), cairo_image_surface_get_height(surface), NULL};
    picture.pixel = malloc((size_t)picture.width * (size_t)picture.height * 4);
    for (int y = 0; y < picture.height; y++) {
        const unsigned char *row = cairo_image_surface_get_data(surface) +
                                   (size_t)y * (size_t)cairo_image_surface_get_stride(surface);
        for (int x = 0; x < picture.width; x++) {
            uint32_t pixel;
            memcpy(&pixel, row + 4 * (size_t)x, 4);
            picture.pixel[(size_t)y * (size_t)picture.width + (size_t)x] = pixel & 0xffffff;
        }
    }
    cairo_surface_destroy(surface);
    return picture;
}

static inline void free_picture(png_picture *picture) {
    free(picture->pixel);
}

/* Check writes a line to a file for every ck_assert that it passes: none for every pixel, then. */
static inline uint32_t pixel_at(const png_picture *picture, int x, int y) {
    if (x < 0 || y < 0 || x >= picture->width || y >= picture->height)
        ck_abort_msg("pixel %d, %d of a picture of %d x %d", x, y, picture->width, picture->height);
    return picture->pixel[(size_t)y * (size_t)picture->width + (size_t)x];
}

/* The data colours, as rounded by Cairo. */
#define BLUE 0x0072b2
#define VERMILION 0xd55e00
#define GREEN 0x009e73

static inline bool near_color(uint32_t a, uint32_t b, int tolerance) {
    for (int shift = 0; shift < 24; shift += 8)
        if (abs((int)(a >> shift & 255) - (int)(b >> shift & 255)) > tolerance) return false;
    return true;
}

/* Bounding box and number of the pixels of a colour (within 2 steps per channel) inside a
 * rectangle. */
typedef struct color_patch {
    int count, left, right, top, bottom; /* inclusive */
} color_patch;

static inline color_patch find_color(const png_picture *picture, uint32_t color, int x0, int y0, int x1, int y1) {
    color_patch found = {0, picture->width, -1, picture->height, -1};
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            if (near_color(pixel_at(picture, x, y), color, 2)) {
                found.count++;
                if (x < found.left) found.left = x;
                if (x > found.right) found.right = x;
                if (y < found.top) found.top = y;
                if (y > found.bottom) found.bottom = y;
            }
    return found;
}

static inline color_patch find_everywhere(const png_picture *picture, uint32_t color) {
    return find_color(picture, color, 0, 0, picture->width, picture->height);
}

/* To two pixels, which scaling and smoothing may take or give. */
static inline void expect_patch_size(const color_patch *patch, int width, int height) {
    ck_assert_msg(abs(patch->right - patch->left + 1 - width) <= 2 && abs(patch->bottom - patch->top + 1 - height) <= 2,
                  "%d x %d, expected %d x %d", patch->right - patch->left + 1, patch->bottom - patch->top + 1, width,
                  height);
}

/* Nothing reaches the edge: no text is cut off. */
static inline void expect_clean_edge(const png_picture *picture, int border) {
    for (int y = 0; y < picture->height; y++)
        for (int x = 0; x < picture->width; x++) {
            if (x >= border && y >= border && x < picture->width - border && y < picture->height - border) continue;
            if (pixel_at(picture, x, y) != 0xffffff)
                ck_abort_msg("ink at the edge: %d, %d of %d x %d", x, y, picture->width, picture->height);
        }
}

static inline unsigned char *read_bytes(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*size + 1);
    ck_assert_uint_eq(fread(data, 1, *size, file), *size);
    data[*size] = '\0';
    fclose(file);
    return data;
}

static inline bool is_void_element(const char *name) {
    static const char *const names[] = {"meta", "img", "br", "!DOCTYPE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* Every element closed in order, no stray '<' in text or attributes, every '&' a reference. Enough
 * of XML for what Cairo and the report write (no CDATA, no comments with tags). */
static inline void expect_well_formed(const char *text) {
    char open[64][32];
    int depth = 0;
    for (const char *at = text; *at; at++) {
        if (*at == '&') {
            size_t length = strspn(at + 1, "#abcdefghijklmnopqrstuvwxyz0123456789");
            ck_assert_msg(length > 0 && at[1 + length] == ';', "a bare '&': %.40s", at);
        }
        if ((unsigned char)*at < 0x20 && *at != '\n') ck_abort_msg("a control character: %.20s", at + 1);
        if (*at != '<') continue;
        bool closing = at[1] == '/';
        const char *name = at + 1 + closing;
        size_t length = strcspn(name, " \n/>?");
        char tag[32];
        ck_assert_msg(length < sizeof tag, "a stray '<': %.40s", at);
        snprintf(tag, sizeof tag, "%.*s", (int)length, name);
        char quote = '\0';
        const char *end = name;
        for (; *end && (quote || *end != '>'); end++) {
            if (*end == '<') ck_abort_msg("'<' inside a tag: %.60s", at);
            if (quote ? *end == quote : *end == '"' || *end == '\'') quote = quote ? '\0' : *end;
        }
        ck_assert_msg(*end == '>', "a tag without end: %.40s", at);
        if (closing) {
            ck_assert_msg(depth > 0 && strcmp(open[depth - 1], tag) == 0, "</%s> closes <%s>", tag,
                          depth > 0 ? open[depth - 1] : "");
            depth--;
        } else if (end[-1] != '/' && *name != '?' && !is_void_element(tag)) {
            ck_assert_int_lt(depth, 64);
            strcpy(open[depth++], tag);
        }
        at = end;
    }
    ck_assert_msg(depth == 0, "<%s> is never closed", depth > 0 ? open[depth - 1] : "");
}

static inline void expect_same_bytes(const char *a, const char *b) {
    size_t size_a, size_b;
    unsigned char *data_a = read_bytes(a, &size_a), *data_b = read_bytes(b, &size_b);
    ck_assert_uint_eq(size_a, size_b);
    ck_assert_int_eq(memcmp(data_a, data_b, size_a), 0);
    free(data_a);
    free(data_b);
}

/* How `write` of the next function is to draw. */
static psal_figure_style test_style;

/* On paper: exactly as wide as was asked for, nothing cut; what is no width is refused. */
static inline void expect_paper(psal_status (*write)(const char *path, psal_error *err)) {
    psal_error err = PSAL_ERROR_INIT;
    static const double widths[] = {50, 84, 174}; /* mm */
    for (int i = 0; i < 3; i++) {
        test_style.width = widths[i] / 25.4 * 72;
        ck_assert_msg(write(in_scratch("paper.png"), &err) == PSAL_OK, "%s", err.message);
        png_picture picture = read_picture(in_scratch("paper.png"));
        ck_assert_int_eq(picture.width, (int)lround(widths[i] / 25.4 * 300));
        expect_clean_edge(&picture, 2);
        free_picture(&picture);
    }
    ck_assert_msg(write(in_scratch("paper.svg"), &err) == PSAL_OK, "%s", err.message);
    size_t size;
    unsigned char *svg = read_bytes(in_scratch("paper.svg"), &size);
    const char *width = strstr((char *)svg, " width=\"");
    ck_assert_ptr_nonnull(width);
    ck_assert_double_eq_tol(strtod(width + 8, NULL), test_style.width, 0.01);
    free(svg);
    static const double wrong[] = {-1, 100, 1e5, NAN};
    for (int i = 0; i < 4; i++) {
        test_style.width = wrong[i];
        ck_assert_int_eq(write(in_scratch("no.png"), &err), PSAL_ERR_ARGUMENT);
        EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "width");
        ck_assert_int_ne(access(in_scratch("no.png"), F_OK), 0);
    }
    test_style = (psal_figure_style){0, PSAL_COLORS_JET};
}

/* What every figure must do: all three formats, whole, the same bytes twice; an unknown ending and
 * a missing folder are refused and leave nothing behind. `write` draws one valid figure. */
static inline void expect_all_formats(psal_status (*write)(const char *path, psal_error *err)) {
    psal_error err = PSAL_ERROR_INIT;
    static const char *const names[][2] = {{"a.png", "b.PNG"}, {"a.svg", "b.svg"}, {"a.pdf", "b.pdf"}};
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(write(in_scratch(names[i][0]), &err) == PSAL_OK, "%s", err.message);
        ck_assert_msg(write(in_scratch(names[i][1]), &err) == PSAL_OK, "%s", err.message);
        expect_same_bytes(in_scratch(names[i][0]), in_scratch(names[i][1]));
    }
    png_picture picture = read_picture(in_scratch("a.png"));
    ck_assert_int_gt(picture.width, 100);
    expect_clean_edge(&picture, 8);
    free_picture(&picture);
    size_t size;
    unsigned char *svg = read_bytes(in_scratch("a.svg"), &size);
    ck_assert_ptr_nonnull(strstr((char *)svg, "<svg"));
    expect_well_formed((char *)svg);
    free(svg);
    unsigned char *pdf = read_bytes(in_scratch("a.pdf"), &size);
    ck_assert_int_eq(memcmp(pdf, "%PDF-", 5), 0);
    ck_assert_ptr_nonnull(memmem(pdf + size - 16, 16, "%%EOF", 5));
    ck_assert_ptr_null(memmem(pdf, size, "CreationDate", 12));
    free(pdf);

    static const char *const wrong[] = {"a.gif", "a", "a.png.", ".png/a", "png"};
    for (int i = 0; i < 5; i++) {
        const char *path = in_scratch(wrong[i]);
        ck_assert_int_ne(write(path, &err), PSAL_OK);
        EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, path, ".png, .svg or .pdf");
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ck_assert_int_eq(write("", &err), PSAL_ERR_ARGUMENT);
    const char *path = in_scratch("no-such-folder/a.png");
    ck_assert_int_ne(write(path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_IO, path);
    /* A full disk. */
    if (access("/dev/full", W_OK) == 0 && symlink("/dev/full", in_scratch("full.png")) == 0) {
        ck_assert_int_ne(write(in_scratch("full.png"), &err), PSAL_OK);
        EXPECT_ERROR(err, PSAL_ERR_IO, "full");
    }
    expect_paper(write);
}

/* Text no one should trust: invalid UTF-8, control and direction characters, markup, very long. */
#define HOSTILE                                                                                  \
    "\xff\xfe\xc0\xaf<b>&\x01\x1b[31m\xe2\x80\xae\xed\xa0\x80\xf4\x90\x80\x80 \xf0\x9f\x90\x8b " \
    "tail\xe2"

static inline char *long_text(size_t length) {
    char *text = malloc(length + 1);
    for (size_t i = 0; i < length; i++) text[i] = "abcdefghij "[i % 11];
    text[length] = '\0';
    return text;
}

#endif
