/* figure_text.h (internal to io) - text in figures: fonts, measuring, shortening, wrapping; and the
 * colours.
 *
 * All text passed in may come from outside: it is made well-formed UTF-8 here, in one place, before
 * Cairo sees it. */
#ifndef PSAL_IO_FIGURE_TEXT_H
#define PSAL_IO_FIGURE_TEXT_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>

#define FIG_TEXT_MAX 512 /* bytes of one line; longer text is cut */

typedef struct fig_color {
    double r, g, b;
} fig_color;

extern const fig_color FIG_INK;    /* text */
extern const fig_color FIG_QUIET;  /* secondary text, axis lines */
extern const fig_color FIG_GRID;   /* grid lines */
extern const fig_color FIG_ACCENT; /* marks */
extern const fig_color FIG_GOOD, FIG_BAD;

/* The n-th colour for data, from Okabe and Ito's palette for all kinds of colour vision
 * (jfly.uni-koeln.de/color), darkest first; repeats after 7. */
fig_color fig_palette(size_t n);
void fig_set_color(cairo_t *cr, fig_color color, double alpha);

typedef struct fig_font {
    double size; /* points */
    bool bold;
} fig_font;

extern const fig_font FIG_FONT_TITLE, FIG_FONT_SUBTITLE, FIG_FONT_LABEL, FIG_FONT_TICK, FIG_FONT_PANEL;

typedef enum fig_align { FIG_LEFT, FIG_CENTER, FIG_RIGHT } fig_align;

double fig_line_height(fig_font font);
double fig_text_width(cairo_t *cr, fig_font font, const char *text);

/* Draw one line; y is the middle of its lower-case letters' height band (so that text lines up with
 * marks), angle in degrees counter-clockwise around (x, y). */
void fig_text(cairo_t *cr, fig_font font, fig_color color, fig_align align, double x, double y, double angle,
              const char *text);

/* Copy `text` into out[FIG_TEXT_MAX], shortened with an ellipsis until it is at most `width` wide.
 * Returns out. */
char *fig_text_fit(cairo_t *cr, fig_font font, const char *text, double width, char *out);

/* Whether a line that fitting or wrapping returned ends in an ellipsis. */
bool fig_text_shortened(const char *line);

/* Break `text` at spaces into at most max_lines lines no wider than `width` (the last one shortened
 * if need be). Returns the number of lines, 0 for empty text. */
int fig_text_wrap(cairo_t *cr, fig_font font, const char *text, double width, int max_lines,
                  char lines[][FIG_TEXT_MAX]);

#endif
