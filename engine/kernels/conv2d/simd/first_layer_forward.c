/* first_layer_forward.c - the forward pass (and dy) of a network's first layer, whose image has few channels.
 *
 *   y[o, P, X] = sum over channels and taps (c, i, j) of w[o, (c, i, j)] * padded[c, P*stride + i, X*stride + j]
 *
 * Gathering columns would take a quarter of the time of the products. Instead a task copies the rows of the image that
 * its rows of the result depend on, padded, each split into its phases modulo the stride: the pixels of a tap for a row
 * of results are then contiguous. The tile is that of register_tile_unpacked.c except for its B, where each row has an
 * offset of its own. */
#include <string.h>

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/register_tile.h"

enum {
    MOST_ROWS = WIDTH == 16 ? 8 : 6,    /* filters of a tile, */
    MOST_VECTORS = WIDTH == 16 ? 4 : 2, /* and vectors of results; with four of them seven filters */
    MOST_DEPTH = 3 * 16 * 16,           /* elements of a filter (conv2d.c) */
    BAND_FLOATS = 20 << 10,             /* of a task's copy: 80 KiB */
    WANTED_TASKS = 8
};

typedef struct forward_plan {
    size_t depth, phases, line; /* elements of a filter; of a copied row, and their floats */
    size_t row;                 /* floats of all channels' copies of a row */
    size_t bands, most_rows;    /* tasks of an image, and rows of the result of one */
    size_t copy;                /* floats of a task's copy */
    size_t offset[MOST_DEPTH];  /* in it, of the pixel of each element of a filter */
} forward_plan;

static size_t reach(int taps, int dilation) {
    return (size_t)(taps - 1) * (size_t)dilation;
}

/* Rows of the image that so many rows of the result depend on */
static size_t window_rows(const psal_conv2d_shape *s, size_t rows) {
    return (rows - 1) * (size_t)s->stride_height + reach(s->kernel_height, s->dilation_height) + 1;
}

static forward_plan plan_of(const psal_conv2d_shape *s) {
    forward_plan p = {.depth = (size_t)(s->in_channels * s->kernel_height * s->kernel_width),
                      .phases = (size_t)s->stride_width};
    p.line = psal_round_up((size_t)s->out_width, BLOCK) +
             psal_round_up(reach(s->kernel_width, s->dilation_width) / p.phases + 1, BLOCK);
    p.row = (size_t)s->in_channels * p.phases * p.line;
    const size_t height = (size_t)s->out_height, room = BAND_FLOATS / p.row;
    const size_t least = window_rows(s, 1), step = (size_t)s->stride_height;
    const size_t rows = room > least ? (room - least) / step + 1 : 1;
    p.bands = psal_round_up(psal_size_max(psal_ceil_div(height, rows), WANTED_TASKS), 2);
    p.bands = psal_size_min(p.bands, height);
    p.most_rows = psal_ceil_div(height, p.bands);
    p.copy = window_rows(s, p.most_rows) * p.row;
    return p;
}

/* ---- the copy: [row][channel][phase][line] ---- */

static void copy_row(const psal_conv2d_shape *s, const forward_plan *p, const float *x, long row, float *copy) {
    const size_t plane = (size_t)s->in_height * (size_t)s->in_width;
    memset(copy, 0, p->row * sizeof *copy);
    if (row < 0 || row >= s->in_height) return;
    for (size_t c = 0; c < (size_t)s->in_channels; c++, copy += p->phases * p->line) {
        const float *from = x + c * plane + (size_t)row * (size_t)s->in_width;
        for (size_t phase = 0; phase < p->phases; phase++) {
            /* Element i is pixel i*stride + phase - padding. */
            const size_t padding = (size_t)s->padding_width;
            const size_t skipped = padding > phase ? psal_ceil_div(padding - phase, p->phases) : 0;
            const size_t first = skipped * p->phases + phase - padding;
            if (first >= (size_t)s->in_width) continue;
            size_t count = psal_ceil_div((size_t)s->in_width - first, p->phases);
            if (skipped >= p->line) continue;
            count = psal_size_min(count, p->line - skipped);
            float *to = copy + phase * p->line + skipped;
            if (p->phases == 1)
                memcpy(to, from + first, count * sizeof *to);
            else
                for (size_t i = 0; i < count; i++) to[i] = from[first + i * p->phases];
        }
    }
}

/* ---- the register tile ---- */

/* c[row * ldc + column] for some filters of `depth` elements and some vectors of results; the pixels of element k are
 * at lines + offset[k]. */
INLINE void tile(const int rows, const int vectors, const bool chains, size_t depth, const float *w, const float *lines,
                 const size_t *offset, float *c, size_t ldc, size_t columns) {
    vec acc[MOST_ROWS][MOST_VECTORS], sums[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) acc[m][v] = sums[m][v] = vec_zero();
    for (size_t k0 = 0; k0 < depth; k0 += BLOCK) {
        const size_t end = psal_size_min(k0 + BLOCK, depth);
        for (size_t k = k0; k < end; k++) {
            vec pixels[MOST_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) pixels[v] = vec_load(lines + offset[k] + v * WIDTH);
#pragma GCC unroll 8
            for (int m = 0; m < rows; m++) {
                const vec weight = vec_broadcast(w[(size_t)m * depth + k]);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) acc[m][v] = vec_fma(weight, pixels[v], acc[m][v]);
            }
        }
        if (chains && psal_tile_chain_ends(psal_tile_chains(depth), k0 + BLOCK, depth))
            psal_tile_end_chains(rows, vectors, MOST_VECTORS, &acc[0][0], &sums[0][0]);
    }
    const vec_mask last = vec_first(columns - (size_t)(vectors - 1) * WIDTH);
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const vec sum = chains ? vec_add(sums[m][v], acc[m][v]) : acc[m][v];
            float *to = c + (size_t)m * ldc + v * WIDTH;
            if (v < vectors - 1)
                vec_store(to, sum);
            else
                vec_store_masked(to, last, sum);
        }
}

typedef void tile_function(size_t depth, const float *w, const float *lines, const size_t *offset, float *c, size_t ldc,
                           size_t columns);

#define DEFINE_TILE(rows, vectors, chains)                                                                       \
    static void tile_##rows##_##vectors##_##chains(size_t depth, const float *w, const float *lines,             \
                                                   const size_t *offset, float *c, size_t ldc, size_t columns) { \
        tile(rows, vectors, chains, depth, w, lines, offset, c, ldc, columns);                                   \
    }
#define NAME(rows, vectors, chains) tile_##rows##_##vectors##_##chains,
#if WIDTH == 16
#define FOR_EACH_VECTORS(f, rows, chains) f(rows, 1, chains) f(rows, 2, chains) f(rows, 3, chains) f(rows, 4, chains)
#define FOR_EACH_ROWS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8)
#else
#define FOR_EACH_VECTORS(f, rows, chains) f(rows, 1, chains) f(rows, 2, chains)
#define FOR_EACH_ROWS(f) f(1) f(2) f(3) f(4) f(5) f(6)
#endif
#define DEFINE_TILES(rows) FOR_EACH_VECTORS(DEFINE_TILE, rows, false) FOR_EACH_VECTORS(DEFINE_TILE, rows, true)
#define NAMES(rows) {{FOR_EACH_VECTORS(NAME, rows, false)}, {FOR_EACH_VECTORS(NAME, rows, true)}},

FOR_EACH_ROWS(DEFINE_TILES)

static tile_function *const tiles[MOST_ROWS][2][MOST_VECTORS] = {FOR_EACH_ROWS(NAMES)};

/* ---- rows of the result ---- */

static void find_offsets(const psal_conv2d_shape *s, forward_plan *p) {
    size_t *offset = p->offset;
    for (size_t c = 0; c < (size_t)s->in_channels; c++)
        for (size_t i = 0; i < (size_t)s->kernel_height; i++)
            for (size_t j = 0; j < (size_t)s->kernel_width; j++) {
                const size_t row = i * (size_t)s->dilation_height;
                const size_t column = j * (size_t)s->dilation_width;
                *offset++ = row * p->row + (c * p->phases + column % p->phases) * p->line + column / p->phases;
            }
}

/* One row of the results of all filters, whose window begins with the copy's first row */
static void compute_row(const psal_conv2d_shape *s, const forward_plan *p, bool chains, const float *copy,
                        const float *w, float *y) {
    const size_t filters = (size_t)s->out_channels, width = (size_t)s->out_width;
    const size_t plane = (size_t)s->out_height * width;
    for (size_t column = 0, columns; column < width; column += columns) {
        columns = psal_size_min(width - column, MOST_VECTORS * WIDTH);
        const size_t vectors = psal_ceil_div(columns, WIDTH);
        const size_t row_tiles = psal_ceil_div(filters, vectors == 4 ? 7 : MOST_ROWS);
        for (size_t i = 0; i < row_tiles; i++) {
            const size_t o = even_start(filters, row_tiles, i), rows = even_share(filters, row_tiles, i);
            float *to = y + o * plane + column;
            for (size_t m = 0; m < rows; m++) prefetch_to_write(to + m * plane, columns);
            tiles[rows - 1][chains][vectors - 1](p->depth, w + o * p->depth, copy + column, p->offset, to, plane,
                                                 columns);
        }
    }
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    forward_plan p = plan_of(&c->shape);
    find_offsets(&c->shape, &p);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (size_t)c->threads * p.copy * sizeof(float), err);
}

/* The forward pass, which decides ReLUs and maxima, sums in chains. */
static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const forward_plan *p = c->plan;
    const bool chains = c->direction == PSAL_CONV2D_FORWARD;
    const size_t image = (size_t)s->in_channels * (size_t)s->in_height * (size_t)s->in_width;
    const size_t width = (size_t)s->out_width, result = (size_t)s->out_channels * (size_t)s->out_height * width;
    psal_tasks tasks;
    psal_tasks_init(&tasks, (size_t)s->batch * p->bands, c->threads);
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t n = t.number / p->bands, band = t.number % p->bands;
        const size_t first = psal_tasks_part((size_t)s->out_height, p->bands, band);
        const size_t rows = psal_tasks_part((size_t)s->out_height, p->bands, band + 1) - first;
        float *copy = (float *)scratch + (size_t)omp_get_thread_num() * p->copy;
        const long top = (long)first * s->stride_height - s->padding_height;
        for (size_t i = 0; i < window_rows(s, rows); i++)
            copy_row(s, p, o->x + n * image, top + (long)i, copy + i * p->row);
        for (size_t r = 0; r < rows; r++)
            compute_row(s, p, chains, copy + r * (size_t)s->stride_height * p->row, o->w,
                        o->result + n * result + (first + r) * width);
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_first_layer_forward) = {prepare, run};
