/* conv2d_gemm.c - the reference convolution: im2col in tiles that stay in cache, one single-threaded product per tile.
 *
 * Tiles are independent and their sizes follow from the shape alone, so any number of threads gives the same bits. */
#include "engine/kernels/conv2d_gather.h"
#include "engine/kernels/conv2d_methods.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "engine/kernels/gemm.h"

#define TILE_BYTES (512u << 10) /* gathered columns of one tile: half of a typical second-level cache */
#define MIN_COLUMNS 64u         /* narrower products waste the packing of the weights */
#define WANTED_TASKS 4u         /* split the rows of the product too when the image gives fewer tiles than this */

/* How one product (all rows x all positions) is cut. */
typedef struct tiling {
    size_t rows, columns;           /* of one tile */
    size_t row_tiles, column_tiles; /* how many */
    size_t buffer;                  /* elements one thread needs for the gathered columns */
} tiling;

static tiling make_tiling(size_t rows, size_t depth, size_t positions, size_t images, bool gathered) {
    tiling t;
    size_t columns = TILE_BYTES / sizeof(psal_real) / psal_size_max(depth, 1);
    columns = psal_size_max(columns / 16 * 16, MIN_COLUMNS);
    t.column_tiles = psal_ceil_div(psal_size_max(positions, 1), columns);
    t.columns = psal_round_up(psal_ceil_div(psal_size_max(positions, 1), t.column_tiles), 16);
    t.column_tiles = psal_ceil_div(psal_size_max(positions, 1), t.columns);
    size_t tasks = t.column_tiles * images;
    t.row_tiles = tasks >= WANTED_TASKS ? 1
                                        : psal_size_min(psal_ceil_div(WANTED_TASKS, tasks), psal_ceil_div(rows, 16));
    t.rows = psal_round_up(psal_ceil_div(rows, t.row_tiles), 8);
    t.row_tiles = psal_ceil_div(rows, t.rows);
    t.buffer = gathered ? psal_round_up(depth * t.columns, 16) : 0;
    return t;
}

static size_t plane(int height, int width) {
    return (size_t)height * (size_t)width;
}

/* ---- forward: y[o, P] = w[o, (c,i,j)] * column[(c,i,j), P] ---- */

static tiling forward_tiling(const psal_conv2d_shape *s, const psal_conv2d_lowered *l) {
    size_t depth = (size_t)(s->in_channels / s->groups) * psal_conv2d_taps(l);
    return make_tiling((size_t)(s->out_channels / s->groups), depth, psal_conv2d_positions(l),
                       (size_t)s->batch * (size_t)s->groups, !psal_conv2d_lowered_is_plain(l));
}

size_t psal_conv2d_gemm_forward_scratch(const psal_conv2d_shape *s, int threads) {
    psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    return (size_t)threads * forward_tiling(s, &l).buffer * sizeof(psal_real);
}

void psal_conv2d_gemm_forward(const psal_conv2d_shape *s, const psal_real *x, const psal_real *w, psal_real *y,
                              const psal_parallel *parallel) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    const tiling t = forward_tiling(s, &l);
    const bool plain = psal_conv2d_lowered_is_plain(&l);
    const size_t channels = (size_t)(s->in_channels / s->groups), rows = (size_t)(s->out_channels / s->groups);
    const size_t depth = channels * psal_conv2d_taps(&l), positions = psal_conv2d_positions(&l);
    const size_t tiles = t.row_tiles * t.column_tiles, images = (size_t)s->batch * (size_t)s->groups;
    psal_real *scratch = parallel->scratch;

#pragma omp parallel for schedule(dynamic) num_threads(parallel->threads) if (parallel->threads > 1)
    for (size_t task = 0; task < images * tiles; task++) {
        size_t image = task / tiles; /* (batch, group) */
        size_t row = task % t.row_tiles * t.rows, column = task / t.row_tiles % t.column_tiles * t.columns;
        size_t m = psal_size_min(t.rows, rows - row), n = psal_size_min(t.columns, positions - column);
        const psal_real *source = x + image * channels * plane(s->in_height, s->in_width);
        const psal_real *b = source + column;
        size_t ldb = positions;
        if (!plain) {
            psal_real *gathered = scratch + (size_t)omp_get_thread_num() * t.buffer;
            psal_conv2d_gather(&l, source, (int)channels, column, n, gathered, n);
            b = gathered;
            ldb = n;
        }
        psal_gemm(false, false, m, n, depth, w + (image % (size_t)s->groups * rows + row) * depth, depth, b, ldb, false,
                  y + (image * rows + row) * positions + column, positions);
    }
}

/* ---- dx: for each phase, dx[c, P] = permuted[c, (o,a,b)] * column[(o,a,b), P], the columns gathered from dy ---- */

static size_t phase_weights(const psal_conv2d_shape *s, const psal_conv2d_lowered *l) {
    return (size_t)(s->in_channels / s->groups) * (size_t)(s->out_channels / s->groups) * psal_conv2d_taps(l);
}

static tiling dx_tiling(const psal_conv2d_shape *s, const psal_conv2d_lowered *l) {
    size_t rows = (size_t)(s->in_channels / s->groups);
    size_t depth = (size_t)(s->out_channels / s->groups) * psal_conv2d_taps(l);
    bool plain = psal_conv2d_lowered_is_plain(l);
    tiling t = make_tiling(rows, depth, psal_conv2d_positions(l), (size_t)s->batch * (size_t)s->groups, !plain);
    if (!plain) t.buffer += psal_round_up(t.rows * t.columns, 16); /* the product, before it is put in its places */
    return t;
}

static void dx_sizes(const psal_conv2d_shape *s, size_t *weights, size_t *buffer) {
    *weights = *buffer = 0;
    for (int phase = 0; phase < s->stride_height * s->stride_width; phase++) {
        psal_conv2d_lowered l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width);
        size_t needed = s->kernel_height * s->kernel_width == 1 ? 0 : phase_weights(s, &l) * (size_t)s->groups;
        *weights = psal_size_max(*weights, psal_round_up(needed, 16));
        *buffer = psal_size_max(*buffer, dx_tiling(s, &l).buffer);
    }
}

size_t psal_conv2d_gemm_dx_scratch(const psal_conv2d_shape *s, int threads) {
    size_t weights, buffer;
    dx_sizes(s, &weights, &buffer);
    return (weights + (size_t)threads * buffer) * sizeof(psal_real);
}

/* permuted[g, c, (o, a, b)] = w[g, o, c, kernel(a), kernel(b)] */
static void permute_weights(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const psal_real *w,
                            psal_real *permuted, int threads) {
    const size_t inputs = (size_t)(s->in_channels / s->groups), outputs = (size_t)(s->out_channels / s->groups);
    const size_t taps_h = (size_t)l->h.taps, taps_w = (size_t)l->w.taps;
    const size_t kernel = plane(s->kernel_height, s->kernel_width);

#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t row = 0; row < (size_t)s->groups * inputs; row++) {
        size_t g = row / inputs, c = row % inputs;
        psal_real *dst = permuted + row * outputs * taps_h * taps_w;
        for (size_t o = 0; o < outputs; o++) {
            const psal_real *filter = w + ((g * outputs + o) * inputs + c) * kernel;
            for (size_t a = 0; a < taps_h; a++)
                for (size_t b = 0; b < taps_w; b++)
                    *dst++ = filter[((size_t)l->h.kernel + a * (size_t)l->h.kernel_step) * (size_t)s->kernel_width +
                                    (size_t)l->w.kernel + b * (size_t)l->w.kernel_step];
        }
    }
}

/* Put product[rows, n] (columns column .. column+n-1 of the phase) where it belongs in dx[rows, in_height, in_width]. */
static void place_columns(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const psal_real *product,
                          size_t rows, size_t column, size_t n, psal_real *dx) {
    for (size_t r = 0; r < rows; r++) {
        psal_real *dst = dx + r * plane(s->in_height, s->in_width);
        size_t p = column / (size_t)l->w.count, q = column % (size_t)l->w.count;
        for (size_t i = 0; i < n; i++) {
            size_t y = (size_t)l->h.place + p * (size_t)l->h.place_step;
            size_t x = (size_t)l->w.place + q * (size_t)l->w.place_step;
            dst[y * (size_t)s->in_width + x] = product ? product[r * n + i] : 0;
            if (++q == (size_t)l->w.count) {
                q = 0;
                p++;
            }
        }
    }
}

static void dx_phase(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const psal_real *dy, const psal_real *w,
                     psal_real *dx, psal_real *buffers, size_t buffer, bool permuted, int threads) {
    const tiling t = dx_tiling(s, l);
    const bool plain = psal_conv2d_lowered_is_plain(l);
    const size_t rows = (size_t)(s->in_channels / s->groups), channels = (size_t)(s->out_channels / s->groups);
    const size_t depth = channels * psal_conv2d_taps(l), positions = psal_conv2d_positions(l);
    const size_t tiles = t.row_tiles * t.column_tiles, images = (size_t)s->batch * (size_t)s->groups;
    if (positions == 0) return;

#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (size_t task = 0; task < images * tiles; task++) {
        size_t image = task / tiles;
        size_t row = task % t.row_tiles * t.rows, column = task / t.row_tiles % t.column_tiles * t.columns;
        size_t m = psal_size_min(t.rows, rows - row), n = psal_size_min(t.columns, positions - column);
        const psal_real *source = dy + image * channels * plane(s->out_height, s->out_width);
        psal_real *result = dx + (image * rows + row) * plane(s->in_height, s->in_width);
        const psal_real *weights = w + image % (size_t)s->groups * rows * depth;
        const psal_real *a = permuted ? weights + row * depth : weights + row; /* else stored [o, c] */
        size_t lda = permuted ? depth : rows;
        if (plain) {
            psal_gemm(!permuted, false, m, n, depth, a, lda, source + column, positions, false, result + column,
                      positions);
        } else if (depth == 0) {
            place_columns(s, l, NULL, m, column, n, result);
        } else {
            psal_real *gathered = buffers + (size_t)omp_get_thread_num() * buffer;
            psal_real *product = gathered + psal_round_up(depth * t.columns, 16);
            psal_conv2d_gather(l, source, (int)channels, column, n, gathered, n);
            psal_gemm(!permuted, false, m, n, depth, a, lda, gathered, n, false, product, n);
            place_columns(s, l, product, m, column, n, result);
        }
    }
}

void psal_conv2d_gemm_dx(const psal_conv2d_shape *s, const psal_real *dy, const psal_real *w, psal_real *dx,
                         const psal_parallel *parallel) {
    size_t weights, buffer;
    dx_sizes(s, &weights, &buffer);
    psal_real *permuted = parallel->scratch, *buffers = permuted + weights;
    for (int phase = 0; phase < s->stride_height * s->stride_width; phase++) {
        psal_conv2d_lowered l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width);
        if (weights > 0) permute_weights(s, &l, w, permuted, parallel->threads);
        dx_phase(s, &l, dy, weights > 0 ? permuted : w, dx, buffers, buffer, weights > 0, parallel->threads);
    }
}

/* ---- dw: dw[o, (c,i,j)] = sum over images and chunks of positions of dy[o, P] * column[(c,i,j), P]^T ---- */

typedef struct dw_tiling {
    size_t channels, channel_tiles, rows, row_tiles; /* input channels and filters of one task */
    size_t chunk;                                    /* positions gathered at a time */
    size_t buffer;
} dw_tiling;

static dw_tiling make_dw_tiling(const psal_conv2d_shape *s, const psal_conv2d_lowered *l) {
    dw_tiling t;
    size_t inputs = (size_t)(s->in_channels / s->groups), outputs = (size_t)(s->out_channels / s->groups);
    size_t taps = psal_conv2d_taps(l), positions = psal_conv2d_positions(l);
    t.channels = psal_size_min(psal_size_max(128 / taps, 1), inputs);
    t.channel_tiles = psal_ceil_div(inputs, t.channels);
    size_t tasks = t.channel_tiles * (size_t)s->groups;
    t.row_tiles = tasks >= WANTED_TASKS ? 1
                                        : psal_size_min(psal_ceil_div(WANTED_TASKS, tasks), psal_ceil_div(outputs, 16));
    t.rows = psal_round_up(psal_ceil_div(outputs, t.row_tiles), 8);
    t.row_tiles = psal_ceil_div(outputs, t.rows);
    t.chunk = psal_size_max(TILE_BYTES / sizeof(psal_real) / (t.channels * taps) / 16 * 16, MIN_COLUMNS);
    t.chunk = psal_size_min(t.chunk, positions);
    t.buffer = psal_conv2d_lowered_is_plain(l) ? 0 : psal_round_up(t.channels * taps * t.chunk, 16);
    return t;
}

size_t psal_conv2d_gemm_dw_scratch(const psal_conv2d_shape *s, int threads) {
    psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    return (size_t)threads * make_dw_tiling(s, &l).buffer * sizeof(psal_real);
}

void psal_conv2d_gemm_dw(const psal_conv2d_shape *s, const psal_real *x, const psal_real *dy, psal_real *dw,
                         const psal_parallel *parallel) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    const dw_tiling t = make_dw_tiling(s, &l);
    const bool plain = psal_conv2d_lowered_is_plain(&l);
    const size_t inputs = (size_t)(s->in_channels / s->groups), outputs = (size_t)(s->out_channels / s->groups);
    const size_t taps = psal_conv2d_taps(&l), positions = psal_conv2d_positions(&l);
    const size_t groups = (size_t)s->groups, tiles = t.row_tiles * t.channel_tiles;
    psal_real *scratch = parallel->scratch;

#pragma omp parallel for schedule(dynamic) num_threads(parallel->threads) if (parallel->threads > 1)
    for (size_t task = 0; task < groups * tiles; task++) {
        size_t g = task / tiles;
        size_t row = task % t.row_tiles * t.rows, channel = task / t.row_tiles % t.channel_tiles * t.channels;
        size_t m = psal_size_min(t.rows, outputs - row), channels = psal_size_min(t.channels, inputs - channel);
        psal_real *result = dw + ((g * outputs + row) * inputs + channel) * taps;
        bool first = true;
        for (size_t n = 0; n < (size_t)s->batch; n++) {
            const psal_real *source = x + ((n * groups + g) * inputs + channel) * plane(s->in_height, s->in_width);
            const psal_real *a = dy + ((n * groups + g) * outputs + row) * positions;
            for (size_t column = 0; column < positions; column += t.chunk) {
                size_t count = psal_size_min(t.chunk, positions - column);
                const psal_real *b = source + column;
                if (!plain) {
                    psal_real *gathered = scratch + (size_t)omp_get_thread_num() * t.buffer;
                    psal_conv2d_gather(&l, source, (int)channels, column, count, gathered, count);
                    b = gathered;
                }
                psal_gemm(false, true, m, channels * taps, count, a + column, positions, b, plain ? positions : count,
                          !first, result, inputs * taps);
                first = false;
            }
        }
    }
}

/* ---- mean of |dw| or dw over each filter: dw made in scratch, then reduced ---- */

static size_t filter_size(const psal_conv2d_shape *s) {
    return (size_t)(s->in_channels / s->groups) * plane(s->kernel_height, s->kernel_width);
}

size_t psal_conv2d_gemm_dw_mean_scratch(const psal_conv2d_shape *s, int threads) {
    size_t weights = psal_round_up((size_t)s->out_channels * filter_size(s), 16);
    return weights * sizeof(psal_real) + psal_conv2d_gemm_dw_scratch(s, threads);
}

void psal_conv2d_gemm_dw_mean(const psal_conv2d_shape *s, const psal_real *x, const psal_real *dy, bool is_signed,
                              psal_real *mean, const psal_parallel *parallel) {
    const size_t filters = (size_t)s->out_channels, size = filter_size(s);
    psal_real *dw = parallel->scratch;
    psal_parallel rest = {parallel->threads, dw + psal_round_up(filters * size, 16)};
    psal_conv2d_gemm_dw(s, x, dy, dw, &rest);
    for (size_t o = 0; o < filters; o++) {
        double sum = 0;
        for (size_t i = 0; i < size; i++) {
            double value = dw[o * size + i];
            sum += is_signed ? value : fabs(value);
        }
        mean[o] = (psal_real)(sum / (double)size);
    }
}
