/* ticks.h (internal to io) - round numbers for axes. */
#ifndef PSAL_IO_TICKS_H
#define PSAL_IO_TICKS_H

#define FIG_TICKS_MAX 32

typedef struct fig_tick {
    double value;
    char label[24]; /* "0.25", "−20", "10⁻⁵" as UTF-8; "" for a minor tick */
} fig_tick;

/* Widen [*low, *high] (finite; equal or reversed is fine) outwards to multiples of a step of 1, 2
 * or 5 times a power of ten, so that about `wanted` (2 to 20) steps cover it. Returns the step. */
double fig_nice_range(double *low, double *high, int wanted);

/* The multiples of a 1-2-5 step inside [low, high], at most max_ticks (2 to FIG_TICKS_MAX). Returns
 * their number. */
int fig_linear_ticks(double low, double high, int max_ticks, fig_tick *ticks);

/* For a logarithmic axis with 0 < low < high: powers of ten, with 2 and 5 times them where there is
 * room, minor ticks at the other digits when there are fewer than four decades. */
int fig_log_ticks(double low, double high, int max_ticks, fig_tick *ticks);

#endif
