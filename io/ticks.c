#include "io/ticks.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"

#define MINUS "\xe2\x88\x92"

/* The smallest of 1, 2, 5 × 10^n that is not below `step`. */
static double nice_step(double step) {
    double power = pow(10, floor(log10(step)));
    static const double digits[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++)
        if (digits[i] * power >= step * (1 - 1e-9)) return digits[i] * power;
    return 10 * power;
}

static double make_span(double *low, double *high) {
    if (*low > *high) {
        double swap = *low;
        *low = *high;
        *high = swap;
    }
    /* A span that vanishes beside the numbers themselves cannot be divided into steps. */
    double size = fmax(fabs(*low), fabs(*high));
    if (*high / 2 - *low / 2 <= size * 1e-9 || *high - *low < DBL_MIN * 1e16) {
        double pad = size > 1e-290 ? size * 0.1 : 1;
        *low -= pad;
        *high += pad;
    }
    return *high - *low;
}

double fig_nice_range(double *low, double *high, int wanted) {
    double step = nice_step(make_span(low, high) / wanted);
    *low = floor(*low / step + 1e-9) * step;
    *high = ceil(*high / step - 1e-9) * step;
    return step;
}

/* ASCII number to label: a true minus sign, also in the exponent. */
static void write_label(fig_tick *tick, const char *number) {
    size_t used = 0;
    for (; *number && used + 4 < sizeof tick->label; number++) {
        if (*number == '-') {
            memcpy(tick->label + used, MINUS, 3);
            used += 3;
        } else if (*number != '+') {
            tick->label[used++] = *number;
        }
    }
    tick->label[used] = '\0';
}

int fig_linear_ticks(double low, double high, int max_ticks, fig_tick *ticks) {
    double span = make_span(&low, &high);
    double step = nice_step(span / (max_ticks > 2 ? max_ticks - 1 : 1));
    double first = ceil(low / step - 1e-9);
    double size = fmax(fabs(low), fabs(high));
    int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
    int count = 0;
    for (double n = first; n * step <= high + 1e-9 * step && count < max_ticks; n++) {
        char number[40];
        double value = n * step;
        if (fabs(value) < step * 1e-6) value = 0; /* no "-0" */
        if (size >= 1e6 || size < 1e-3)
            psal_snprintf(number, sizeof number, "%.*g", 6, value);
        else
            psal_snprintf(number, sizeof number, "%.*f", decimals, value);
        ticks[count].value = value;
        write_label(&ticks[count], number);
        count++;
    }
    return count;
}

/* "0.05" or, with `powers`, "5·10⁻²". */
static void log_label(fig_tick *tick, int digit, int power, bool powers) {
    if (!powers) {
        char number[40];
        psal_snprintf(number, sizeof number, "%.10g", tick->value);
        write_label(tick, number);
        return;
    }
    static const char *const raised[] = {"\xe2\x81\xb0", "\xc2\xb9",     "\xc2\xb2",     "\xc2\xb3",
                                         "\xe2\x81\xb4", "\xe2\x81\xb5", "\xe2\x81\xb6", "\xe2\x81\xb7",
                                         "\xe2\x81\xb8", "\xe2\x81\xb9"};
    char digits[16], exponent[16] = "";
    snprintf(digits, sizeof digits, "%d", power);
    for (const char *d = digits; *d; d++)
        strncat(exponent, *d == '-' ? "\xe2\x81\xbb" : raised[*d - '0'], sizeof exponent - 1 - strlen(exponent));
    if (digit == 1)
        snprintf(tick->label, sizeof tick->label, "10%s", exponent);
    else
        snprintf(tick->label, sizeof tick->label,
                 "%d\xc2\xb7"
                 "10%s",
                 digit, exponent);
}

int fig_log_ticks(double low, double high, int max_ticks, fig_tick *ticks) {
    int from = (int)floor(log10(low) + 1e-9), to = (int)ceil(log10(high) - 1e-9);
    double decades = log10(high) - log10(low), slack = 1 + 1e-9;
    int every = (int)ceil(decades / (max_ticks > 1 ? max_ticks : 1) - 1e-9);
    if (every < 1) every = 1;
    bool all_digits = max_ticks >= 2.4 * decades; /* 1, 2, 5 or 1 alone */
    bool powers = low < 0.999e-3 || high > 1.001e5;
    int count = 0;
    for (int power = from; power <= to; power++) {
        for (int digit = 1; digit <= 9; digit++) {
            double value = digit * pow(10, power);
            if (value < low / slack || value > high * slack) continue;
            bool labelled = digit == 1 ? power % every == 0 : all_digits && (digit == 2 || digit == 5);
            if (!labelled && (decades >= 4 || every > 1)) continue;
            if (count == FIG_TICKS_MAX) return count;
            ticks[count].value = value;
            ticks[count].label[0] = '\0';
            if (labelled) log_label(&ticks[count], digit, power, powers);
            count++;
        }
    }
    return count;
}
