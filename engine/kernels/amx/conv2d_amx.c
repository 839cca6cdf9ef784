/* conv2d_amx.c - the convolutions of processors with a matrix unit (Intel AMX), which multiplies three times as fast as
 * the vector units: every product of the definition, or Winograd's transforms where the image is large. What has too few
 * channels to fill the unit's tiles, or groups, is left to the AVX-512 kernels, and so is F(4 x 4) of many filters; a rule on the
 * shape, never a measurement while running (tests/bench/conv2d.md). */
#include <string.h>

#include "engine/kernels/amx/dw.h"
#include "engine/kernels/amx/product.h"
#include "engine/kernels/amx/winograd.h"
#include "engine/kernels/conv2d_x86.h"
#include "engine/kernels/x86/direct.h"
#include "engine/kernels/x86/winograd.h"

#define MOST_COLUMNS (4u << 20) /* floats of columns that col2im may take: 16 MiB */
#define LEAST 16                /* channels, rows and positions: below, most of a tile would be empty */
#define NARROW 48    /* results of one tile and a half: the tiles' other half does not pay for large images */
#define SMALL 14     /* height and width: the least for F(2 x 2), */
#define MEDIUM 28    /* for F(4 x 4) on the vector units, where AUTO allows it, */
#define LARGE 56     /* and on the matrix unit */
#define MANY 256     /* so many channels on both sides, and weight gradients are faster by F(4 x 4) too */
#define FEW_SIGNS 64 /* results of signs, for which F(4 x 4) with numbers is faster */

/* Transforms of the filters must pay: at most so many products of channels for each tile. */
#define F4_FILTERS 400
#define F4_FILTERS_SIGNS 24
#define F2_FILTERS 32
#define F2_FILTERS_FORWARD 128

#define MANY_PRODUCTS 150e6 /* of a forward pass: half a millisecond, of which F(2 x 2) saves half */

static bool suits(const psal_conv2d_shape *s, psal_conv2d_method method) {
    return method != PSAL_CONV2D_DIRECT && s->groups == 1 && s->in_channels >= LEAST && s->out_channels >= LEAST &&
           (long)s->out_height * s->out_width >= LEAST;
}

static bool few_filters(const psal_conv2d_shape *s, int m, int height, int width, long most) {
    return (long)s->in_channels * s->out_channels <= most * ((height + m - 1) / m) * ((width + m - 1) / m);
}

/* Would AUTO take F(4 x 4) on the vector units, and would that be faster than every product on the matrix unit? */
static bool by_vectors(const psal_conv2d_shape *s, psal_conv2d_method method, int height, int width) {
    return method == PSAL_CONV2D_AUTO && winograd_three_by_three(s) && height >= MEDIUM && width >= MEDIUM;
}

/* m of F(m x m, 3 x 3) on the matrix unit, or 0. The forward pass of ACCURATE, where F(2 x 2) rounds half as much again as sums
 * of every product, takes it only where that saves most: many products, or few results, which fill half a tile. */
static int winograd_tile(const psal_conv2d_shape *s, psal_conv2d_method method, bool forward, int height, int width) {
    const bool accurate = method == PSAL_CONV2D_ACCURATE, narrow = s->out_channels < NARROW;
    const bool large = height >= LARGE && width >= LARGE;
    if (!suits(s, method) || !winograd_three_by_three(s) || height < SMALL || width < SMALL) return 0;
    if (!accurate && large && few_filters(s, 4, height, width, F4_FILTERS)) return 4;
    if (!accurate || !forward) return few_filters(s, 2, height, width, F2_FILTERS) ? 2 : 0;
    const double products = (double)s->in_channels * s->out_channels * height * width * 9;
    return (narrow || (large && products >= MANY_PRODUCTS)) && few_filters(s, 2, height, width, F2_FILTERS_FORWARD) ? 2
                                                                                                                    : 0;
}

static int forward_tile(const psal_conv2d_shape *s, psal_conv2d_method method) {
    return winograd_tile(s, method, true, s->out_height, s->out_width);
}

static int dx_tile(const psal_conv2d_shape *s, psal_conv2d_method method) {
    return winograd_tile(s, method, false, s->in_height, s->in_width);
}

static bool forward_suits(const psal_conv2d_shape *s, psal_conv2d_method method) {
    return suits(s, method) && !by_vectors(s, method, s->out_height, s->out_width) &&
           (s->out_channels >= NARROW || s->out_height < LARGE || s->out_width < LARGE);
}

static bool dx_possible(const psal_conv2d_shape *s, psal_conv2d_method method) {
    const long kernel = (long)s->kernel_height * s->kernel_width;
    return suits(s, method) && kernel <= MOST_KERNEL &&
           (long)s->in_height * s->in_width >= LEAST * s->stride_height * s->stride_width;
}

static bool dx_suits(const psal_conv2d_shape *s, psal_conv2d_method method) {
    return dx_possible(s, method) && !by_vectors(s, method, s->in_height, s->in_width);
}

/* The transposed image serves all taps (dw.c): F(4 x 4) is faster only where products are most of the work. */
static bool dw_suits(const psal_conv2d_shape *s, psal_conv2d_method method) {
    const bool many = s->in_channels >= MANY && s->out_channels >= MANY;
    return suits(s, method) && !(many && by_vectors(s, method, s->out_height, s->out_width));
}

static psal_amx_sums sums_of(psal_conv2d_method method) {
    return method == PSAL_CONV2D_ACCURATE ? PSAL_AMX_ACCURATE : PSAL_AMX_ONE_PASS;
}

static psal_amx_product forward_product(const psal_conv2d_shape *s, psal_amx_sums sums, int threads) {
    psal_amx_product p = {.columns.l = psal_conv2d_lower_forward(s),
                          .columns.channels = (size_t)s->in_channels,
                          .sums = sums,
                          .rows = (size_t)s->out_channels,
                          .images = (size_t)s->batch,
                          .result_height = (size_t)s->out_height,
                          .result_width = (size_t)s->out_width};
    p.filters.form = PSAL_AMX_ROWS;
    p.filters.ld = p.columns.channels * psal_conv2d_taps(&p.columns.l);
    psal_amx_product_plan(&p, threads);
    return p;
}

/* ---- 1 x 1 at strides: of the pixels that it sees, it is a convolution without stride ---- */

static bool skips(const psal_conv2d_shape *s) {
    return s->kernel_height == 1 && s->kernel_width == 1 && s->padding_height == 0 && s->padding_width == 0 &&
           (s->stride_height > 1 || s->stride_width > 1);
}

static psal_conv2d_shape seen_by(const psal_conv2d_shape *s) {
    psal_conv2d_shape seen = *s;
    if (skips(s)) {
        seen.in_height = s->out_height;
        seen.in_width = s->out_width;
        seen.stride_height = seen.stride_width = 1;
    }
    return seen;
}

static size_t seen_floats(const psal_conv2d_shape *s) {
    return psal_round_up((size_t)s->batch * (size_t)s->in_channels * (size_t)s->out_height * (size_t)s->out_width,
                         BLOCK);
}

static void copy_seen(const psal_conv2d_shape *s, const float *x, float *to, int threads) {
    const size_t planes = (size_t)s->batch * (size_t)s->in_channels, height = (size_t)s->out_height,
                 width = (size_t)s->out_width;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++) {
        for (size_t y = 0; y < height; y++) {
            const float *from = x + (plane * (size_t)s->in_height + y * (size_t)s->stride_height) * (size_t)s->in_width;
            for (size_t i = 0; i < width; i += BLOCK) {
                const vec_mask mask = vec_first(width - i);
                const unsigned lanes = strided_lanes(s->stride_width, (unsigned)mask);
                vec_store_masked(to + (plane * height + y) * width + i, mask,
                                 vec_load_strided(from + i * (size_t)s->stride_width, s->stride_width, lanes, 0));
            }
        }
    }
}

static void spread_seen(const psal_conv2d_shape *s, const float *from, float *x, int threads) {
    const size_t planes = (size_t)s->batch * (size_t)s->in_channels, rows = (size_t)s->in_height,
                 width = (size_t)s->in_width;
    const size_t seen = (size_t)s->out_width, step = (size_t)s->stride_width;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++) {
        float *to = x + plane * rows * width;
        for (size_t y = 0; y < rows; y++, to += width) {
            memset(to, 0, width * sizeof *to);
            const size_t row = y / (size_t)s->stride_height;
            if (y % (size_t)s->stride_height != 0 || row >= (size_t)s->out_height) continue;
            const float *values = from + (plane * (size_t)s->out_height + row) * seen;
            for (size_t i = 0; i < seen; i++) to[i * step] = values[i];
        }
    }
}

/* ---- dx: phase by phase (conv2d_lower.h), or at larger strides as columns = w^T dy and col2im, which packs w once ---- */

static size_t kernel_size(const psal_conv2d_shape *s) {
    return (size_t)s->kernel_height * (size_t)s->kernel_width;
}

static int phases(const psal_conv2d_shape *s) {
    return s->stride_height * s->stride_width;
}

/* w[o, m, kernel elements], seen from m */
static void transposed_filters(psal_amx_product *p, size_t kernel, size_t kernel_width, int threads) {
    const psal_conv2d_axis *h = &p->columns.l.h, *w = &p->columns.l.w;
    p->filters = (psal_amx_filters){.form = PSAL_AMX_TRANSPOSED,
                                    .ld = p->rows,
                                    .kernel = kernel,
                                    .kernel_width = kernel_width,
                                    .taps_width = (size_t)w->taps,
                                    .row = h->kernel,
                                    .row_step = h->kernel_step,
                                    .column = w->kernel,
                                    .column_step = w->kernel_step};
    psal_amx_product_plan(p, threads);
}

static psal_amx_product phase_product(const psal_conv2d_shape *s, psal_amx_sums sums, int phase, int threads) {
    psal_amx_product p = {.sums = sums,
                          .columns.l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width),
                          .columns.channels = (size_t)s->out_channels,
                          .rows = (size_t)s->in_channels,
                          .images = (size_t)s->batch,
                          .result_height = (size_t)s->in_height,
                          .result_width = (size_t)s->in_width};
    transposed_filters(&p, kernel_size(s), (size_t)s->kernel_width, threads);
    return p;
}

/* columns[(c,i,j), P] of one image: a row for every kernel element */
static psal_amx_product columns_product(const psal_conv2d_shape *s, psal_amx_sums sums, int threads) {
    const psal_conv2d_axis axis = {.stride = 1, .taps = 1, .offset_step = 1, .kernel_step = 1, .place_step = 1};
    psal_amx_product p = {.sums = sums,
                          .columns.l = {axis, axis},
                          .columns.channels = (size_t)s->out_channels,
                          .rows = (size_t)s->in_channels * kernel_size(s),
                          .images = 1,
                          .result_height = (size_t)s->out_height,
                          .result_width = (size_t)s->out_width};
    p.columns.l.h.count = p.columns.l.h.source = s->out_height;
    p.columns.l.w.count = p.columns.l.w.source = s->out_width;
    transposed_filters(&p, 1, 1, threads);
    return p;
}

static size_t column_floats(const psal_conv2d_shape *s) {
    return psal_round_up((size_t)s->in_channels * kernel_size(s) * (size_t)s->out_height * (size_t)s->out_width, 16);
}

static bool by_columns(const psal_conv2d_shape *s) {
    return phases(s) > 1 && kernel_size(s) > 1 && column_floats(s) <= MOST_COLUMNS;
}

static size_t own_dx_scratch(const psal_conv2d_shape *s, psal_amx_sums sums, int threads) {
    if (skips(s)) {
        const psal_conv2d_shape seen = seen_by(s);
        return seen_floats(s) * sizeof(float) + own_dx_scratch(&seen, sums, threads);
    }
    if (by_columns(s)) {
        const psal_amx_product p = columns_product(s, sums, threads);
        return column_floats(s) * sizeof(float) + psal_amx_product_scratch(&p, threads);
    }
    size_t most = 0;
    for (int phase = 0; phase < phases(s); phase++) {
        const psal_amx_product p = phase_product(s, sums, phase, threads);
        most = psal_size_max(most, psal_amx_product_scratch(&p, threads));
    }
    return most;
}

static void own_dx(const psal_conv2d_shape *s, psal_amx_sums sums, psal_amx_operands operands, float *result,
                   const psal_parallel *parallel) {
    const int threads = parallel->threads;
    if (skips(s)) {
        const psal_conv2d_shape seen = seen_by(s);
        const psal_parallel rest = {.threads = threads, .scratch = (float *)parallel->scratch + seen_floats(s)};
        own_dx(&seen, sums, operands, parallel->scratch, &rest);
        spread_seen(s, parallel->scratch, result, threads);
        return;
    }
    const size_t image = (size_t)s->in_channels * (size_t)s->in_height * (size_t)s->in_width;
    const size_t source = (size_t)s->out_channels * (size_t)s->out_height * (size_t)s->out_width;
    if (by_columns(s)) {
        const psal_amx_product p = columns_product(s, sums, threads);
        float *columns = parallel->scratch;
        for (size_t n = 0; n < (size_t)s->batch; n++, operands.source += source) {
            psal_amx_product_run(&p, &operands, columns, columns + column_floats(s), threads);
            psal_direct_col2im_avx512(s, columns, result + n * image, threads);
        }
        return;
    }
    bool all = true; /* does every pixel of the image take part? */
    for (int phase = 0; phase < phases(s); phase++)
        all = all && phase_product(s, sums, phase, threads).columns.taps > 0;
    if (!all) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
        for (size_t plane = 0; plane < (size_t)s->batch * (size_t)s->in_channels; plane++)
            memset(result + plane * (size_t)s->in_height * (size_t)s->in_width, 0,
                   (size_t)s->in_height * (size_t)s->in_width * sizeof *result);
    }
    for (int phase = 0; phase < phases(s); phase++) {
        const psal_amx_product p = phase_product(s, sums, phase, threads);
        psal_amx_product_run(&p, &operands, result, parallel->scratch, threads);
    }
}

/* ---- the table ---- */

static size_t own_forward_scratch(const psal_conv2d_shape *s, psal_amx_sums sums, int threads) {
    const psal_conv2d_shape seen = seen_by(s);
    const psal_amx_product p = forward_product(&seen, sums, threads);
    return (skips(s) ? seen_floats(s) * sizeof(float) : 0) + psal_amx_product_scratch(&p, threads);
}

static void own_forward(const psal_conv2d_shape *s, psal_amx_sums sums, psal_amx_operands operands, float *y,
                        const psal_parallel *parallel) {
    float *scratch = parallel->scratch;
    if (skips(s)) {
        copy_seen(s, operands.source, scratch, parallel->threads);
        operands.source = scratch;
        scratch += seen_floats(s);
    }
    const psal_conv2d_shape seen = seen_by(s);
    const psal_amx_product p = forward_product(&seen, sums, parallel->threads);
    psal_amx_product_run(&p, &operands, y, scratch, parallel->threads);
}

static size_t forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    const int m = forward_tile(s, method);
    if (m) return psal_amx_winograd_scratch(s, false, m, threads);
    return forward_suits(s, method) ? own_forward_scratch(s, sums_of(method), threads)
                                    : psal_conv2d_x86_avx512.forward_scratch(s, method, threads);
}

static void forward(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *w, float *y,
                    const psal_parallel *parallel) {
    const int m = forward_tile(s, method);
    if (m)
        psal_amx_winograd(s, false, m, sums_of(method), x, w, y, parallel);
    else if (forward_suits(s, method))
        own_forward(s, sums_of(method), (psal_amx_operands){.source = x, .w = w}, y, parallel);
    else
        psal_conv2d_x86_avx512.forward(s, method, x, w, y, parallel);
}

static size_t dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    const int m = dx_tile(s, method);
    if (m) return psal_amx_winograd_scratch(s, true, m, threads);
    return dx_suits(s, method) ? own_dx_scratch(s, PSAL_AMX_ONE_PASS, threads)
                               : psal_conv2d_x86_avx512.dx_scratch(s, method, threads);
}

static void dx(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const float *w, float *result,
               const psal_parallel *parallel) {
    const int m = dx_tile(s, method);
    if (m)
        psal_amx_winograd(s, true, m, PSAL_AMX_ONE_PASS, dy, w, result, parallel);
    else if (dx_suits(s, method))
        own_dx(s, PSAL_AMX_ONE_PASS, (psal_amx_operands){.source = dy, .w = w}, result, parallel);
    else
        psal_conv2d_x86_avx512.dx(s, method, dy, w, result, parallel);
}

static size_t own_dw_scratch(const psal_conv2d_shape *s, int threads) {
    const psal_conv2d_shape seen = seen_by(s);
    return (skips(s) ? seen_floats(s) * sizeof(float) : 0) + psal_amx_dw_scratch(&seen, threads);
}

static void own_dw(const psal_conv2d_shape *s, const float *x, const float *dy, float *dw, bool is_signed, float *mean,
                   const psal_parallel *parallel) {
    const psal_conv2d_shape seen = seen_by(s);
    psal_parallel rest = *parallel;
    if (skips(s)) {
        copy_seen(s, x, parallel->scratch, parallel->threads);
        x = parallel->scratch;
        rest.scratch = (float *)parallel->scratch + seen_floats(s);
    }
    psal_amx_dw(&seen, x, dy, dw, is_signed, mean, &rest);
}

static size_t dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    return dw_suits(s, method) ? own_dw_scratch(s, threads) : psal_conv2d_x86_avx512.dw_scratch(s, method, threads);
}

static size_t dw_mean_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    return dw_suits(s, method) ? own_dw_scratch(s, threads)
                               : psal_conv2d_x86_avx512.dw_mean_scratch(s, method, threads);
}

static void dw(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy, float *result,
               const psal_parallel *parallel) {
    if (dw_suits(s, method))
        own_dw(s, x, dy, result, false, NULL, parallel);
    else
        psal_conv2d_x86_avx512.dw(s, method, x, dy, result, parallel);
}

static void dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                    bool is_signed, float *mean, const psal_parallel *parallel) {
    if (dw_suits(s, method))
        own_dw(s, x, dy, NULL, is_signed, mean, parallel);
    else
        psal_conv2d_x86_avx512.dw_mean(s, method, x, dy, is_signed, mean, parallel);
}

/* ---- signs: half the products of other filters, so that F(4 x 4) is faster only where a few rows do not pay for packing,
 * or the image is very large ---- */

static bool signs_by_winograd(const psal_conv2d_shape *s, psal_conv2d_method method, int rows, int height, int width) {
    return by_vectors(s, method, height, width) &&
           (rows <= FEW_SIGNS || few_filters(s, 4, height, width, F4_FILTERS_SIGNS));
}

static size_t signs_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    if (!suits(s, method) || signs_by_winograd(s, method, s->out_channels, s->out_height, s->out_width)) return 0;
    return own_forward_scratch(s, PSAL_AMX_SIGNS, threads);
}

static void signs_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x,
                          const psal_conv2d_signs *w, float *y, const psal_parallel *parallel) {
    (void)method;
    own_forward(s, PSAL_AMX_SIGNS, (psal_amx_operands){.source = x, .signs = w}, y, parallel);
}

static size_t signs_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    if (!dx_possible(s, method) || signs_by_winograd(s, method, s->in_channels, s->in_height, s->in_width)) return 0;
    return own_dx_scratch(s, PSAL_AMX_SIGNS, threads);
}

static void signs_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const psal_conv2d_signs *w,
                     float *result, const psal_parallel *parallel) {
    (void)method;
    own_dx(s, PSAL_AMX_SIGNS, (psal_amx_operands){.source = dy, .signs = w}, result, parallel);
}

const psal_conv2d_x86 psal_conv2d_x86_amx = {
    forward_scratch,       dx_scratch,       dw_scratch,    dw_mean_scratch, forward, dx, dw, dw_mean,
    signs_forward_scratch, signs_dx_scratch, signs_forward, signs_dx,
};
