#include "io/figure_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/utf8.h"

const fig_color FIG_INK = {0.13, 0.14, 0.16};
const fig_color FIG_QUIET = {0.40, 0.42, 0.45};
const fig_color FIG_GRID = {0.90, 0.905, 0.915};
const fig_color FIG_ACCENT = {0.835, 0.369, 0.0};
const fig_color FIG_GOOD = {0.0, 0.620, 0.451};
const fig_color FIG_BAD = {0.835, 0.369, 0.0};

const fig_font FIG_FONT_TITLE = {12.5, true};
const fig_font FIG_FONT_SUBTITLE = {9.5, false};
const fig_font FIG_FONT_PANEL = {9.5, true};
const fig_font FIG_FONT_LABEL = {9, false};
const fig_font FIG_FONT_TICK = {8, false};

fig_color fig_palette(size_t n) {
    static const fig_color palette[] = {
        {0.000, 0.447, 0.698}, /* blue */
        {0.835, 0.369, 0.000}, /* vermilion */
        {0.000, 0.620, 0.451}, /* bluish green */
        {0.800, 0.475, 0.655}, /* reddish purple */
        {0.902, 0.624, 0.000}, /* orange */
        {0.337, 0.706, 0.914}, /* sky blue */
        {0.300, 0.310, 0.330}, /* grey */
    };
    return palette[n % (sizeof palette / sizeof *palette)];
}

void fig_set_color(cairo_t *cr, fig_color color, double alpha) {
    cairo_set_source_rgba(cr, color.r, color.g, color.b, alpha);
}

static void set_font(cairo_t *cr, fig_font font) {
    /* A missing family makes fontconfig choose another, and Cairo its built-in face where there is
     * no font at all. */
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           font.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, font.size);
}

double fig_line_height(fig_font font) {
    return 1.4 * font.size;
}

static double advance(cairo_t *cr, const char *clean) {
    cairo_text_extents_t extents;
    cairo_text_extents(cr, clean, &extents);
    /* Ink may reach beyond the pen's advance (italics, wide glyphs). */
    return fmax(extents.x_advance, extents.x_bearing + extents.width);
}

static bool has_glyph(cairo_t *cr, const char *character, size_t length) {
    cairo_glyph_t one, *glyphs = &one;
    int count = 1;
    cairo_scaled_font_t *font = cairo_get_scaled_font(cr);
    if (cairo_scaled_font_text_to_glyphs(font, 0, 0, character, (int)length, &glyphs, &count, NULL, NULL, NULL) !=
        CAIRO_STATUS_SUCCESS)
        return false;
    bool there = count > 0 && glyphs[0].index != 0;
    if (glyphs != &one) cairo_glyph_free(glyphs);
    return there;
}

/* The typographic characters psal itself writes, spelled in ASCII where the font (or Cairo's
 * built-in one, when no font is installed) lacks them. */
static const char *spelled(uint32_t code, bool raised) {
    static const char *const digits[] = {"^0", "^1", "^2", "^3", "^4", "^5", "^6", "^7", "^8", "^9"};
    switch (code) {
    case 0x2212: /* minus */
        return "-";
    case 0x2026: /* ellipsis */
        return "...";
    case 0xb7: /* middle dot */
        return "*";
    case 0x207b: /* raised minus */
        return "^-";
    case 0xb9:
        return digits[1] + raised;
    case 0xb2:
    case 0xb3:
        return digits[code - 0xb0] + raised;
    default:
        if (code == 0x2070 || (code >= 0x2074 && code <= 0x2079)) return digits[code - 0x2070] + raised;
        return NULL;
    }
}

/* Select the font and put what of `text` can be drawn with it into clean[FIG_TEXT_MAX]. */
static void prepare(cairo_t *cr, fig_font font, const char *text, char *clean) {
    char whole[FIG_TEXT_MAX];
    set_font(cr, font);
    psal_utf8_clean(text, whole, sizeof whole);
    size_t used = 0, length;
    bool raised = false; /* inside an exponent that began with "^" */
    for (const char *at = whole; *at; at += length) {
        uint32_t code = 0;
        length = psal_utf8_sequence(at, 4, &code); /* clean: never 0, never beyond the end */
        const char *piece = NULL;
        if (code >= 0x80 && spelled(code, raised) && !has_glyph(cr, at, length)) {
            piece = spelled(code, raised);
            raised = raised || *piece == '^';
        } else {
            raised = false;
        }
        size_t piece_length = piece ? strlen(piece) : length;
        if (used + piece_length >= FIG_TEXT_MAX) break;
        memcpy(clean + used, piece ? piece : at, piece_length);
        used += piece_length;
    }
    clean[used] = '\0';
}

double fig_text_width(cairo_t *cr, fig_font font, const char *text) {
    char clean[FIG_TEXT_MAX];
    prepare(cr, font, text, clean);
    return advance(cr, clean);
}

void fig_text(cairo_t *cr, fig_font font, fig_color color, fig_align align, double x, double y, double angle,
              const char *text) {
    char clean[FIG_TEXT_MAX];
    if (!text || !*text) return;
    cairo_save(cr);
    prepare(cr, font, text, clean);
    double width = advance(cr, clean);
    cairo_translate(cr, x, y);
    if (angle != 0) cairo_rotate(cr, -angle * (M_PI / 180));
    cairo_move_to(cr, align == FIG_LEFT ? 0 : align == FIG_CENTER ? -width / 2 : -width, 0.36 * font.size);
    fig_set_color(cr, color, 1);
    cairo_show_text(cr, clean);
    cairo_restore(cr);
}

char *fig_text_fit(cairo_t *cr, fig_font font, const char *text, double width, char *out) {
    prepare(cr, font, text, out);
    if (advance(cr, out) <= width) return out;
    const char *ellipsis = has_glyph(cr, "\xe2\x80\xa6", 3) ? "\xe2\x80\xa6" : "...";
    char whole[FIG_TEXT_MAX], attempt[FIG_TEXT_MAX + 4];
    memcpy(whole, out, sizeof whole);
    size_t low = 0, high = strlen(whole); /* bytes kept: `low` fits, `high` does not */
    if (high > FIG_TEXT_MAX - 4) high = FIG_TEXT_MAX - 4;
    size_t best = 0;
    while (low <= high) {
        size_t middle = low + (high - low) / 2, cut = middle;
        while (cut > 0 && (whole[cut] & 0xc0) == 0x80) cut--; /* not inside a character */
        snprintf(attempt, sizeof attempt, "%.*s%s", (int)cut, whole, ellipsis);
        if (advance(cr, attempt) <= width) {
            best = cut > best ? cut : best;
            low = middle + 1;
        } else {
            if (middle == 0) break;
            high = middle - 1;
        }
    }
    while (best > 0 && strchr(" ,.", whole[best - 1])) best--;
    snprintf(out, FIG_TEXT_MAX, "%.*s%s", (int)best, whole, ellipsis);
    if (advance(cr, out) > width) *out = '\0'; /* not even the ellipsis fits */
    return out;
}

bool fig_text_shortened(const char *line) {
    size_t length = strlen(line);
    return length >= 3 && (strcmp(line + length - 3, "\xe2\x80\xa6") == 0 || strcmp(line + length - 3, "...") == 0);
}

int fig_text_wrap(cairo_t *cr, fig_font font, const char *text, double width, int max_lines,
                  char lines[][FIG_TEXT_MAX]) {
    char clean[FIG_TEXT_MAX], line[FIG_TEXT_MAX];
    prepare(cr, font, text, clean);
    const char *rest = clean;
    int count = 0;
    while (*rest == ' ') rest++;
    while (*rest && count < max_lines) {
        size_t taken = 0;
        /* Take words as long as they fit; a single word wider than the line is shortened below. */
        for (size_t end = 0; count + 1 < max_lines && rest[end];) {
            while (rest[end] == ' ') end++;
            while (rest[end] && rest[end] != ' ') end++;
            snprintf(line, sizeof line, "%.*s", (int)end, rest);
            if (taken > 0 && advance(cr, line) > width) break;
            taken = end;
        }
        if (taken == 0) taken = strlen(rest);
        snprintf(line, sizeof line, "%.*s", (int)taken, rest);
        fig_text_fit(cr, font, line, width, lines[count]);
        count++;
        rest += taken;
        while (*rest == ' ') rest++;
    }
    return count;
}
