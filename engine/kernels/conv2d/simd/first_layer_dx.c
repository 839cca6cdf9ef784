/* first_layer_dx.c - the input gradient of a network's first layer, whose image has few channels.
 *
 * col2im.c would write, read and add an element of a column for every tap, and a column would serve three channels
 * only. Here the sums of one row of pixels and all channels stay in registers while the rows of dy that contribute are
 * read. The pixels of a row with the same remainder modulo the stride are one phase of lowered.h. */
#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/simd.h"
#include "engine/kernels/tasks.h"

enum {
    MOST_ROWS = 3,                      /* channels of the result */
    MOST_VECTORS = WIDTH == 16 ? 7 : 3, /* of pixels: with 3 channels 21 or 9 sums, 3 weights and a vector of dy */
    MOST_TAPS = 16,                     /* of a filter in one direction */
    CHAIN = 16                          /* channels of dy of one sum before it is added to the others */
};

/* Floats of a row of sums of one phase: its pixels, in whole vectors */
static size_t row_floats(const psal_conv2d_shape *s) {
    const size_t phases = (size_t)s->stride_width;
    return psal_ceil_div((size_t)s->in_width, phases) + MOST_VECTORS * WIDTH;
}

static size_t filter_floats(const psal_conv2d_shape *s) {
    return (size_t)(s->in_channels * s->kernel_height * s->kernel_width);
}

static size_t own_floats(const psal_conv2d_shape *s) {
    return psal_round_up((size_t)s->in_channels * (size_t)s->stride_width * row_floats(s), BLOCK);
}

/* ---- some vectors of pixels of one row ---- */

/* What contributes to them: some lines of each channel of dy, each at some shifts */
typedef struct strip {
    const float *dy; /* channel 0's plane */
    const float *w;  /* its filter: [line][element of a row][rows] */
    size_t plane, filter, channels;
    int lines, shifts;
    ptrdiff_t next;                                     /* offset of the line to prefetch */
    ptrdiff_t line[MOST_TAPS], line_weights[MOST_TAPS]; /* offsets of a line and of its weights */
    ptrdiff_t shift[MOST_TAPS], shift_weights[MOST_TAPS];
    /* the pixels of the first and the last vector for which a shift is inside the line */
    vec_mask first[MOST_TAPS], last[MOST_TAPS];
} strip;

/* sums[row * step + pixel] (+)= those of channels [channel, end) */
INLINE void add_channels(const int rows, const int vectors, const strip *s, size_t channel, size_t end, float *sums,
                         size_t step, bool accumulate) {
    vec sum[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 7
        for (int v = 0; v < vectors; v++) sum[r][v] = vec_zero();
    for (; channel < end; channel++) {
        prefetch(s->dy + channel * s->plane + s->next, (size_t)vectors * WIDTH);
        for (int i = 0; i < s->lines; i++) {
            const float *line = s->dy + channel * s->plane + s->line[i];
            const float *weights = s->w + channel * s->filter + s->line_weights[i];
            for (int j = 0; j < s->shifts; j++) {
                const float *from = line + s->shift[j], *w = weights + s->shift_weights[j];
                vec weight[MOST_ROWS];
#pragma GCC unroll 3
                for (int r = 0; r < rows; r++) weight[r] = vec_broadcast(w[r]);
#pragma GCC unroll 7
                for (int v = 0; v < vectors; v++) {
                    vec y = v == 0            ? vec_load_masked(from, s->first[j])
                            : v < vectors - 1 ? vec_load(from + v * WIDTH)
                                              : vec_load_masked(from + v * WIDTH, s->last[j]);
                    y = vec_in_register(y); /* load once: most loads cross a cache line */
#pragma GCC unroll 3
                    for (int r = 0; r < rows; r++) sum[r][v] = vec_fma(weight[r], y, sum[r][v]);
                }
            }
        }
    }
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 7
        for (int v = 0; v < vectors; v++) {
            float *to = sums + (size_t)r * step + (size_t)(v * WIDTH);
            vec_store(to, accumulate ? vec_add(vec_load(to), sum[r][v]) : sum[r][v]);
        }
}

INLINE void add_up(const int rows, const int vectors, const strip *s, float *sums, size_t step) {
    for (size_t channel = 0; channel < s->channels; channel += CHAIN)
        add_channels(rows, vectors, s, channel, psal_size_min(channel + CHAIN, s->channels), sums, step, channel > 0);
}

typedef void strip_function(const strip *s, float *sums, size_t step);

#define DEFINE_STRIP(rows, vectors)                                                  \
    static void strip_##rows##_##vectors(const strip *s, float *sums, size_t step) { \
        add_up(rows, vectors, s, sums, step);                                        \
    }
#define NAME(rows, vectors) strip_##rows##_##vectors,
#if WIDTH == 16
#define FOR_EACH_VECTORS(f, rows) f(rows, 1) f(rows, 2) f(rows, 3) f(rows, 4) f(rows, 5) f(rows, 6) f(rows, 7)
#else
#define FOR_EACH_VECTORS(f, rows) f(rows, 1) f(rows, 2) f(rows, 3)
#endif

FOR_EACH_VECTORS(DEFINE_STRIP, 1)
FOR_EACH_VECTORS(DEFINE_STRIP, 2)
FOR_EACH_VECTORS(DEFINE_STRIP, 3)

static strip_function *const strips[MOST_ROWS][MOST_VECTORS] = {
    {FOR_EACH_VECTORS(NAME, 1)}, {FOR_EACH_VECTORS(NAME, 2)}, {FOR_EACH_VECTORS(NAME, 3)}};

/* ---- a row of pixels ---- */

/* Masks of the pixels pixel .. pixel+count-1 that a shift takes inside the row of dy, in the first and the last
 * vector */
static void set_masks(const psal_conv2d_axis *a, int shift, int pixel, int vectors, int count, vec_mask *first,
                      vec_mask *last) {
    const int start = pixel + shift;
    int low = start < 0 ? -start : 0, high = a->source - start;
    if (high > count) high = count;
    if (high < low) high = low = 0;
    const int step = vectors == 1 ? 1 : vectors - 1;
    for (int v = 0; v < vectors; v += step) {
        unsigned lanes = 0;
        for (int i = 0; i < WIDTH; i++) lanes |= (unsigned)(v * WIDTH + i >= low && v * WIDTH + i < high) << i;
        *(v == 0 ? first : last) = vec_chosen(lanes);
    }
}

/* Whether all shifts take all vectors but the first and the last inside the row */
static bool middle_is_inside(const psal_conv2d_axis *a, int pixel, int vectors) {
    for (int j = 0; j < a->taps; j++) {
        const int start = pixel + a->offset + j * a->offset_step;
        if (start < -WIDTH || start + (vectors - 1) * WIDTH > a->source) return false;
    }
    return true;
}

/* The pixels of row `row` in phase `l`: sums[channel * step + pixel] */
static void sum_row(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, int row, const float *dy, const float *w,
                    float *sums, size_t step) {
    const psal_conv2d_axis *h = &l->h, *a = &l->w;
    strip t = {.dy = dy,
               .w = w,
               .plane = (size_t)h->source * (size_t)a->source,
               .filter = filter_floats(s),
               .channels = (size_t)s->out_channels,
               .shifts = a->taps};
    for (int i = 0; i < h->taps; i++) {
        const int from = row + h->offset + i * h->offset_step;
        if (from < 0 || from >= h->source) continue;
        t.line[t.lines] = (ptrdiff_t)from * a->source;
        t.line_weights[t.lines++] = (ptrdiff_t)(h->kernel + i * h->kernel_step) * s->kernel_width * s->in_channels;
    }
    const int far = row + h->offset + (h->offset_step > 0 ? (h->taps - 1) * h->offset_step : 0);
    const ptrdiff_t next = far + 1 < h->source ? (ptrdiff_t)(far + 1) * a->source : 0;
    for (int j = 0; j < a->taps; j++) t.shift_weights[j] = (ptrdiff_t)(a->kernel + j * a->kernel_step) * s->in_channels;
    const int most = (int)psal_ceil_div(psal_ceil_div((size_t)a->count, WIDTH),
                                        psal_ceil_div((size_t)a->count, MOST_VECTORS * WIDTH));
    for (int pixel = 0, vectors; pixel < a->count; pixel += vectors * WIDTH) {
        vectors = (int)psal_size_min((size_t)most, psal_ceil_div((size_t)(a->count - pixel), WIDTH));
        if (!middle_is_inside(a, pixel, vectors)) vectors = 1;
        for (int j = 0; j < a->taps; j++) {
            const int shift = a->offset + j * a->offset_step;
            t.shift[j] = pixel + shift;
            set_masks(a, shift, pixel, vectors, a->count - pixel, &t.first[j], &t.last[j]);
        }
        t.next = next + pixel;
        strips[s->in_channels - 1][vectors - 1](&t, sums + pixel, step);
    }
}

/* A row of dx from those of its phases. */
static void spread_row(const psal_conv2d_shape *s, const float *sums, size_t phase_step, float *row) {
    const size_t stride = (size_t)s->stride_width, width = (size_t)s->in_width;
    if (stride == 2) {
        const float *even = sums, *odd = sums + phase_step;
        for (size_t i = 0; i < width / 2; i++) {
            row[2 * i] = even[i];
            row[2 * i + 1] = odd[i];
        }
        if (width % 2 == 1) row[width - 1] = even[width / 2];
        return;
    }
    for (size_t i = 0; i < stride; i++)
        for (size_t j = i, k = 0; j < width; j += stride, k++) row[j] = sums[i * phase_step + k];
}

/* The plan is the phases' axes, [stride_height][stride_width]. */
static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_conv2d_shape *s = &c->shape;
    const int count = s->stride_height * s->stride_width;
    psal_conv2d_lowered *phases = psal_conv2d_new_plan(c, (size_t)count * sizeof *phases, err);
    if (!phases) return PSAL_ERR_MEMORY;
    for (int i = 0; i < count; i++) phases[i] = psal_conv2d_lower_dx(s, i / s->stride_width, i % s->stride_width);
    const size_t weights = psal_round_up((size_t)s->out_channels * filter_floats(s), BLOCK);
    c->scratch = (weights + (size_t)c->threads * own_floats(s)) * sizeof(float);
    return PSAL_OK;
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const psal_conv2d_lowered *phases = c->plan;
    const size_t filters = (size_t)s->out_channels, channels = (size_t)s->in_channels;
    const size_t kernel = (size_t)s->kernel_height * (size_t)s->kernel_width, filter = filter_floats(s);
    const size_t plane = (size_t)s->in_height * (size_t)s->in_width,
                 image = filters * (size_t)s->out_height * (size_t)s->out_width;
    float *transposed = scratch; /* w[o][element][c] */
    psal_tasks rows;
    psal_tasks_init(&rows, (size_t)s->batch * (size_t)s->in_height, c->threads);
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    {
#pragma omp for
        for (size_t f = 0; f < filters; f++)
            for (size_t channel = 0; channel < channels; channel++)
                for (size_t i = 0; i < kernel; i++)
                    transposed[f * filter + i * channels + channel] = o->w[f * filter + channel * kernel + i];
        float *sums = transposed + psal_round_up(filters * filter, BLOCK) +
                      (size_t)omp_get_thread_num() * own_floats(s);
        const size_t step = row_floats(s), phase_step = channels * step;
        for (psal_task t = psal_tasks_begin(&rows); psal_tasks_next(&rows, &t);) {
            const size_t n = t.number / (size_t)s->in_height;
            const int y = (int)(t.number % (size_t)s->in_height);
            for (int i = 0; i < s->stride_width; i++) {
                sum_row(s, &phases[y % s->stride_height * s->stride_width + i], y / s->stride_height, o->dy + n * image,
                        transposed, sums + (size_t)i * phase_step, step);
            }
            for (size_t channel = 0; channel < channels; channel++)
                spread_row(s, sums + channel * step, phase_step,
                           o->result + (n * channels + channel) * plane + (size_t)y * (size_t)s->in_width);
        }
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_first_layer_dx) = {prepare, run};
