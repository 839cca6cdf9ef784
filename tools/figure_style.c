#include "tools/figure_style.h"

#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"

/* "84mm" in points; 0: it is no length. */
static double points_of(const char *text) {
    static const struct {
        const char *unit;
        double points;
    } units[] = {{"mm", 72 / 25.4}, {"cm", 720 / 25.4}, {"in", 72}, {"pt", 1}};
    char number[32];
    double value;
    const size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits >= sizeof number) return 0;
    snprintf(number, sizeof number, "%.*s", (int)digits, text);
    if (!psal_parse_double(number, &value)) return 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text + digits, units[i].unit) == 0) return value * units[i].points;
    return 0;
}

psal_status psal_figure_style_check(const psal_options *options, bool draws, const char *instead, psal_error *err) {
    static const char *const all[] = {"width", "format", "colors", NULL};
    const char *idle = draws ? NULL : psal_options_given_of(options, all, true);
    if (idle) return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing %s", idle, instead);
    const char *width = psal_options_string(options, "width");
    if (!width) return PSAL_OK;
    const double points = points_of(width);
    if (points >= PSAL_FIGURE_NARROWEST && points <= PSAL_FIGURE_WIDEST) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "--width %s: expected 50mm to 1000mm, a number and its unit (mm, cm, in, pt): 84mm, 3.3in", width);
}

psal_figure_style psal_figure_style_of(const psal_options *options) {
    const char *width = psal_options_string(options, "width");
    const bool colors = psal_options_knows(options, "colors");
    return (psal_figure_style){.width = width ? points_of(width) : 0,
                               .colors = colors ? (psal_colors)psal_options_choice(options, "colors")
                                                : PSAL_COLORS_JET};
}

const char *psal_figure_format(const psal_options *options) {
    return psal_options_string(options, "format");
}
