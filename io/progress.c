#include "io/progress.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "engine/text.h"

/* Seconds between two drawings. */
static const double terminal_interval = 0.1, log_shortest = 2, log_longest = 30;
/* Seconds: a shorter run needs no announcement; so long quick steps are measured, and slow ones. */
static const double long_run = 60, first_moments = 2, first_steps = 10;

enum { NARROWEST_BAR = 10, WIDEST_BAR = 40, LINE_SIZE = 512 };

struct psal_progress {
    pthread_mutex_t lock;
    FILE *out;
    psal_progress_mode mode;
    char *label, *each;
    const char *program;
    int64_t total, done, done_before;
    int width, at_once;
    bool announced, patient;
    double (*clock)(void *);
    void *clock_data;
    int64_t first; /* so many steps were done at first_at */
    double started, first_at, last_drawn;
    int last_tenth;    /* tenths of the way at the last line of a log */
    size_t last_width; /* characters of the line now on the terminal */
};

/* ---- texts ---- */

char *psal_format_duration(double seconds, char text[32]) {
    /* A thousand years: beyond, the number means nothing. */
    if (!(seconds >= 0 && seconds < 3.2e10)) return strcpy(text, "?");
    int64_t s = (int64_t)(seconds + 0.5), days = s / 86400, hours = s / 3600 % 24;
    int minutes = (int)(s / 60 % 60), rest = (int)(s % 60);
    if (days > 0)
        snprintf(text, 32, "%" PRId64 " d %02d:%02d:%02d", days, (int)hours, minutes, rest);
    else if (hours > 0)
        snprintf(text, 32, "%d:%02d:%02d", (int)hours, minutes, rest);
    else
        snprintf(text, 32, "%d:%02d", minutes, rest);
    return text;
}

/* Three digits are enough for a speed. */
static void format_rate(double rate, char *text, size_t size) {
    if (rate >= 100)
        snprintf(text, size, "%.0f", rate);
    else if (rate >= 10)
        snprintf(text, size, "%.1f", rate);
    else
        snprintf(text, size, "%.2f", rate);
}

/* How many of `parts` (100 for per cent) are done, rounded down: never all before the end. In whole numbers, for 100 *
 * 0.29 is less than 29. */
static int parts_done(const psal_progress_state *state, int parts) {
    if (state->total <= 0 || state->done <= 0) return 0;
    if (state->done >= state->total) return parts;
    /* Beyond 2^56 samples there is nothing to be exact about. */
    int64_t done = state->done, total = state->total;
    for (; total > INT64_MAX / 128; total /= 2) done /= 2;
    return (int)(done * parts / total);
}

void psal_progress_format(const psal_progress_state *state, int width, char *text, size_t size) {
    const char *label = state->label ? state->label : "";
    int64_t here = state->done - state->done_before;
    double rate = here > 0 && state->elapsed > 0 ? (double)here / state->elapsed : 0;
    double left = rate > 0 ? (double)(state->total - state->done) / rate : NAN;
    int percent = parts_done(state, 100);
    char elapsed[32], remaining[32], speed[32], total[48] = "", percentage[16] = "";
    psal_format_duration(state->elapsed, elapsed);
    psal_format_duration(left < 0 ? 0 : left, remaining);
    format_rate(rate, speed, sizeof speed);
    bool known = state->total > 0;
    if (known) snprintf(total, sizeof total, "/%" PRId64, state->total);

    if (width == 0) {
        if (known) snprintf(percentage, sizeof percentage, " (%d %%)", percent);
        bool unfinished = known && state->done < state->total;
        snprintf(text, size, "%" PRId64 "%s %s%s, %s/s, %s elapsed%s%s%s", state->done, total, label, percentage, speed,
                 elapsed, unfinished ? ", " : "", unfinished ? remaining : "", unfinished ? " left" : "");
        return;
    }
    if (known) snprintf(percentage, sizeof percentage, "%3d %% ", percent);
    char numbers[256];
    snprintf(numbers, sizeof numbers, "%s%" PRId64 "%s  %s/s  %s elapsed%s%s%s", percentage, state->done, total, speed,
             elapsed, known ? "  " : "", known ? remaining : "", known ? " left" : "");
    int room = width - (int)strlen(label) - 1 - 3 - (int)strlen(numbers);
    char bar[WIDEST_BAR + 1] = "";
    if (known && room >= NARROWEST_BAR) {
        int length = room < WIDEST_BAR ? room : WIDEST_BAR;
        int filled = parts_done(state, length);
        memset(bar, '#', (size_t)filled);
        memset(bar + filled, '-', (size_t)(length - filled));
        bar[length] = 0;
    }
    if (size > (size_t)width + 1) size = (size_t)width + 1; /* cut what does not fit */
    snprintf(text, size, "%s %s%s%s%s", label, *bar ? "[" : "", bar, *bar ? "] " : "", numbers);
}

bool psal_progress_cost(const psal_progress_state *state, double step_seconds, const char *each, char *text,
                        size_t size) {
    const double left = (double)(state->total - state->done) * step_seconds;
    char all[32], remaining[32];
    if (!(left > 0 && state->elapsed + left > long_run)) return false;
    snprintf(text, size, "%" PRId64 " %s%s%s: about %s in all, judging by the first %" PRId64 "; %s left",
             state->total - state->done_before, state->label ? state->label : "", each ? " x " : "", each ? each : "",
             psal_format_duration(state->elapsed + left, all), state->done - state->done_before,
             psal_format_duration(left, remaining));
    return true;
}

/* ---- the meter ---- */

static double monotonic_clock(void *unused) {
    (void)unused;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_terminal(FILE *out) {
    const char *kind = getenv("TERM");
    return isatty(fileno(out)) && !(kind && !strcmp(kind, "dumb"));
}

psal_progress *psal_progress_start(const psal_progress_options *options, psal_error *err) {
    psal_progress *progress = calloc(1, sizeof *progress);
    char *label = strdup(options->label ? options->label : ""), *each = strdup(options->each ? options->each : "");
    if (!progress || !label || !each || pthread_mutex_init(&progress->lock, NULL)) {
        free(progress);
        free(label);
        free(each);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a progress meter");
        return NULL;
    }
    progress->out = options->out;
    progress->mode = options->mode;
    if (progress->mode == PSAL_PROGRESS_AUTO)
        progress->mode = is_terminal(options->out) ? PSAL_PROGRESS_TERMINAL : PSAL_PROGRESS_LOG;
    progress->label = label;
    progress->each = each;
    progress->program = options->program;
    progress->at_once = options->at_once > 1 ? options->at_once : 1;
    progress->patient = options->patient;
    progress->total = options->total;
    progress->done = progress->done_before = options->done_before;
    progress->width = options->width;
    progress->clock = options->clock ? options->clock : monotonic_clock;
    progress->clock_data = options->clock_data;
    progress->started = progress->last_drawn = progress->clock(progress->clock_data);
    if (progress->total > 0) progress->last_tenth = (int)(10 * (double)progress->done / (double)progress->total);
    return progress;
}

static int terminal_width(const psal_progress *progress) {
    if (progress->width > 0) return progress->width;
    struct winsize window;
    if (!ioctl(fileno(progress->out), TIOCGWINSZ, &window) && window.ws_col > 1)
        return window.ws_col - 1; /* a full line would wrap on some terminals */
    return 79;
}

static void erase_line(psal_progress *progress) {
    if (progress->last_width == 0) return;
    fprintf(progress->out, "\r%*s\r", (int)progress->last_width, "");
    progress->last_width = 0;
}

static psal_progress_state state_of(const psal_progress *progress, double now) {
    return (psal_progress_state){progress->label, progress->total, progress->done, progress->done_before,
                                 now - progress->started};
}

static void draw(psal_progress *progress, double now) {
    const psal_progress_state state = state_of(progress, now);
    char line[LINE_SIZE];
    bool terminal = progress->mode == PSAL_PROGRESS_TERMINAL;
    psal_progress_format(&state, terminal ? terminal_width(progress) : 0, line, sizeof line);
    if (terminal) {
        size_t length = strlen(line);
        int blanks = progress->last_width > length ? (int)(progress->last_width - length) : 0;
        fprintf(progress->out, "\r%s%*s", line, blanks, "");
        progress->last_width = length;
    } else {
        fprintf(progress->out, "%s\n", line);
    }
    fflush(progress->out);
    progress->last_drawn = now;
}

/* How long a step takes; NAN: it is not known yet. What comes before the first of many quick steps is none of them; of
 * few slow ones it is the better part. */
static double step_seconds(const psal_progress *progress, double now) {
    const int64_t here = progress->done - progress->done_before, more = here - progress->first;
    const double since = now - progress->first_at;
    if ((more >= 10 * (int64_t)progress->at_once && since >= first_moments) ||
        (more >= 2 * (int64_t)progress->at_once && since >= first_steps))
        return since / (double)more;
    if (here >= progress->at_once && here >= progress->total / 100 && now - progress->started >= first_steps)
        return (now - progress->started) / (double)here;
    return NAN;
}

/* Say what the run will cost, once, when the first steps have told. The lock is held. */
static void announce(psal_progress *progress, double now) {
    const double seconds = step_seconds(progress, now);
    if (progress->announced || !progress->program || isnan(seconds)) return;
    const psal_progress_state state = state_of(progress, now);
    char text[LINE_SIZE];
    progress->announced = true;
    if (!psal_progress_cost(&state, seconds, *progress->each ? progress->each : NULL, text, sizeof text)) return;
    erase_line(progress);
    fprintf(progress->out, "%s: %s\n", progress->program, text);
    fflush(progress->out);
}

/* Draw when it is time to. The lock is held. */
static void moved(psal_progress *progress) {
    if (progress->mode == PSAL_PROGRESS_QUIET) return;
    double now = progress->clock(progress->clock_data), since = now - progress->last_drawn;
    if (progress->first == 0) {
        progress->first = progress->done - progress->done_before;
        progress->first_at = now;
    }
    if (progress->patient && now - progress->started < first_moments) return;
    progress->patient = false;
    announce(progress, now);
    if (progress->mode == PSAL_PROGRESS_TERMINAL) {
        if (since >= terminal_interval) draw(progress, now);
        return;
    }
    int tenth = progress->total > 0 ? (int)(10 * (double)progress->done / (double)progress->total) : 0;
    bool finished = progress->total > 0 && progress->done >= progress->total;
    if (finished) return; /* psal_progress_finish says it */
    if (since >= log_longest || (since >= log_shortest && tenth > progress->last_tenth)) {
        progress->last_tenth = tenth;
        draw(progress, now);
    }
}

void psal_progress_add(psal_progress *progress, int64_t steps) {
    if (!progress) return;
    pthread_mutex_lock(&progress->lock);
    progress->done += steps;
    moved(progress);
    pthread_mutex_unlock(&progress->lock);
}

void psal_progress_note(psal_progress *progress, const char *format, ...) {
    if (!progress) return;
    pthread_mutex_lock(&progress->lock);
    bool redraw = progress->last_width > 0;
    erase_line(progress);
    va_list args;
    va_start(args, format);
    char text[8192];
    if (vsnprintf(text, sizeof text, format, args) > 0) fputs(psal_make_printable(text), progress->out);
    va_end(args);
    putc('\n', progress->out);
    fflush(progress->out);
    if (redraw) draw(progress, progress->clock(progress->clock_data));
    pthread_mutex_unlock(&progress->lock);
}

void psal_progress_finish(psal_progress *progress) {
    if (!progress) return;
    if (progress->mode != PSAL_PROGRESS_QUIET && !progress->patient) {
        draw(progress, progress->clock(progress->clock_data));
        if (progress->mode == PSAL_PROGRESS_TERMINAL) {
            putc('\n', progress->out);
            fflush(progress->out);
        }
    }
    pthread_mutex_destroy(&progress->lock);
    free(progress->label);
    free(progress->each);
    free(progress);
}
