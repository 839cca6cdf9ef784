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

double fig_text_width(cairo_t *cr, fig_font font, const char *text) {
    char clean[FIG_TEXT_MAX];
    set_font(cr, font);
    return advance(cr, psal_utf8_clean(text, clean, sizeof clean));
}

void fig_text(cairo_t *cr, fig_font font, fig_color color, fig_align align, double x, double y,
              double angle, const char *text) {
    char clean[FIG_TEXT_MAX];
    psal_utf8_clean(text, clean, sizeof clean);
    if (!*clean) return;
    cairo_save(cr);
    set_font(cr, font);
    double width = advance(cr, clean);
    cairo_translate(cr, x, y);
    if (angle != 0) cairo_rotate(cr, -angle * (M_PI / 180));
    cairo_move_to(cr,
                  align == FIG_LEFT     ? 0
                  : align == FIG_CENTER ? -width / 2
                                        : -width,
                  0.36 * font.size);
    fig_set_color(cr, color, 1);
    cairo_show_text(cr, clean);
    cairo_restore(cr);
}

char *fig_text_fit(cairo_t *cr, fig_font font, const char *text, double width, char *out) {
    set_font(cr, font);
    psal_utf8_clean(text, out, FIG_TEXT_MAX);
    if (advance(cr, out) <= width) return out;
    static const char ellipsis[] = "\xe2\x80\xa6";
    char whole[FIG_TEXT_MAX], attempt[FIG_TEXT_MAX + sizeof ellipsis];
    memcpy(whole, out, sizeof whole);
    size_t low = 0, high = strlen(whole); /* bytes kept: `low` fits, `high` does not */
    if (high > FIG_TEXT_MAX - sizeof ellipsis) high = FIG_TEXT_MAX - sizeof ellipsis;
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

int fig_text_wrap(cairo_t *cr, fig_font font, const char *text, double width, int max_lines,
                  char lines[][FIG_TEXT_MAX]) {
    char clean[FIG_TEXT_MAX], line[FIG_TEXT_MAX];
    psal_utf8_clean(text, clean, sizeof clean);
    set_font(cr, font);
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
