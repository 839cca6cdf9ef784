/* figure_style.h - the options that say how figures look, of all programs that draw. */
#ifndef PSAL_TOOLS_FIGURE_STYLE_H
#define PSAL_TOOLS_FIGURE_STYLE_H

#include "io/figure.h"
#include "tools/options.h"

#define PSAL_WIDTH_OPTION                                                                                              \
    {                                                                                                                  \
        PSAL_OPTION_STRING, "width", 0, "LENGTH", NULL,                                                                \
            "Draw for a paper's column: of this width (84mm, 174mm, 3.3in, 240pt), with type of 6.4 points and more; " \
            "a PNG "                                                                                                   \
            "then has 300 pixels an inch.",                                                                            \
            .known = "84mm|174mm"                                                                                      \
    }

#define PSAL_FORMAT_OPTION \
    { PSAL_OPTION_CHOICE, "format", 0, NULL, "png", "Files of the figures.", .choices = "png|svg|pdf" }

/* In the order of psal_colors. */
#define PSAL_COLORS_OPTION                                                                                            \
    {                                                                                                                 \
        PSAL_OPTION_CHOICE, "colors", 0, NULL, "jet",                                                                 \
            "Of heat maps: jet, as in the paper; cividis and magma, whose lightness rises evenly, the first for all " \
            "kinds of "                                                                                               \
            "colour vision.",                                                                                         \
            .choices = "jet|cividis|magma"                                                                            \
    }

/* Refuse a --width that is none, and all three where nothing is drawn, which `instead` says: "without --figure". */
psal_status psal_figure_style_check(const psal_options *options, bool draws, const char *instead, psal_error *err);

/* Of options that were checked. */
psal_figure_style psal_figure_style_of(const psal_options *options);
const char *psal_figure_format(const psal_options *options); /* "png" */

#endif
