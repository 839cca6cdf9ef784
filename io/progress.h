/* progress.h - how far a long run is, and how long it will still take.
 *
 * On a terminal one line is rewritten in place:
 *   images [########------------]  40 % 4000/10000  12.3/s  5:25 elapsed  8:08 left
 * Elsewhere (a log file) plain lines are written now and then: at every tenth of the way, but not
 * more often than every two seconds, and at least every 30 seconds.
 *
 * The meter writes only to the stream the program gives it. It may be moved by many threads at
 * once. All functions accept NULL and then do nothing, so that a library function can take an
 * optional meter.
 *
 * A run that will take more than a minute is announced by a line of its own, once its first steps have been measured:
 *   psal-prune: 48 mistakes x 5 choices x 10 k: about 12:30 in all, judging by the first 2; 12:01 left */
#ifndef PSAL_IO_PROGRESS_H
#define PSAL_IO_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_progress_mode {
    PSAL_PROGRESS_AUTO,     /* by what the stream is */
    PSAL_PROGRESS_TERMINAL, /* one line, rewritten */
    PSAL_PROGRESS_LOG,      /* lines, now and then */
    PSAL_PROGRESS_QUIET     /* nothing but notes */
} psal_progress_mode;

typedef struct psal_progress_options {
    FILE *out; /* stays the caller's */
    psal_progress_mode mode;
    const char *label;   /* what is counted, e.g. "images"; copied */
    int64_t total;       /* steps of the whole run; 0: not known */
    int64_t done_before; /* steps done by an earlier run that is resumed: they count as done, but
                            not for the speed */
    const char *program; /* whose name begins that line; NULL: there is no such line; stays the caller's */
    const char *each;    /* what each step consists of, for it: "5 choices x 10 k"; NULL: nothing to be said; copied */
    int at_once;         /* steps under way at the same time: the speed is known when as many are done; 0: 1 */
    bool patient;        /* of a run that is over within two seconds nothing is shown */
    int width;           /* columns of the terminal; 0: asked from the terminal */
    /* Seconds since any fixed moment, for tests; NULL: the system's monotonic clock. */
    double (*clock)(void *data);
    void *clock_data;
} psal_progress_options;

typedef struct psal_progress psal_progress;

/* Begin at done_before; the clock starts. NULL when out of memory (which every function bears). */
psal_progress *psal_progress_start(const psal_progress_options *options, psal_error *err);

void psal_progress_add(psal_progress *progress, int64_t steps);

/* Write a line of its own, e.g. about a skipped image, without spoiling the meter; in every mode. Names in it are made
 * printable (engine/text.h); what is very long is cut. */
void psal_progress_note(psal_progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Write the final state (how many, how fast, how long) and free the meter. */
void psal_progress_finish(psal_progress *progress);

/* ---- the texts, without any clock or stream ---- */

typedef struct psal_progress_state {
    const char *label;
    int64_t total, done, done_before;
    double elapsed; /* seconds since the start */
} psal_progress_state;

/* The terminal's line in at most `width` characters, or the log's line when width is 0, into
 * text[size], terminated. Steps a second are measured from done_before; the time left is what the
 * remaining steps take at that speed, "?" while nothing is done yet. */
void psal_progress_format(const psal_progress_state *state, int width, char *text, size_t size);

/* The line about a run of more than a minute, without its end: what is done (the label's steps, each of `each`, which
 * may be NULL), how long it takes in all and still where a step takes `step_seconds`. False, and nothing is written,
 * where nothing is left or the whole takes no longer than a minute. */
bool psal_progress_cost(const psal_progress_state *state, double step_seconds, const char *each, char *text,
                        size_t size);

/* "0:07", "12:05", "3:00:59", "2 d 01:00:00"; "?" for what is not a finite, non-negative time.
 * Returns `text`. */
char *psal_format_duration(double seconds, char text[32]);

#ifdef __cplusplus
}
#endif

#endif
