/* direct.c - forward and input gradient: result[M, P] = A[M, K] * column[K, P], blocked as in Goto and van de Geijn 2008.
 *
 * A task computes some rows of the result for some positions. It walks over K in blocks of at most DEPTH; of each block it
 * packs the gathered columns (they stay in the second-level cache) and then, tile of rows by tile of rows, the weights
 * (they stay in the first-level cache), and multiplies. Pixels are the vectors' direction, so the result is NCHW as it
 * falls out of the registers. Tasks and blocks follow from the shape alone. */
#include "engine/kernels/x86/direct.h"

#include <omp.h>
#include <string.h>

#include "engine/kernels/x86/micro.h"

#define DEPTH 256u        /* a tile of A is 14 x 256 floats: 14 KiB */
#define COLUMNS 256u      /* columns of B at a time: 256 x 256 floats: 256 KiB */
#define WANTED_TASKS 4u   /* enough to share between threads */

typedef struct product {
    psal_conv2d_lowered l;
    bool plain;                                 /* the columns are the image itself */
    bool in_place;                              /* positions of the result are contiguous */
    size_t rows, channels, depth, positions;    /* M, source channels, K, P */
    size_t images;                              /* batch x groups */
    size_t row_tasks, column_tasks, depth_cuts; /* how the product is divided */
    size_t columns;                             /* the most columns of a task, in whole blocks */
    size_t buffer;                              /* floats of scratch per thread */
} product;

static product make_product(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, size_t rows, size_t channels)
{
    product p = {.l = *l, .plain = psal_conv2d_lowered_is_plain(l), .rows = rows, .channels = channels};
    p.in_place = l->h.place_step == 1 && l->w.place_step == 1;
    p.depth = channels * psal_conv2d_taps(l);
    p.positions = psal_conv2d_positions(l);
    p.images = (size_t)s->batch * (size_t)s->groups;
    size_t blocks = psal_ceil_div(p.positions, BLOCK);
    p.column_tasks = psal_size_max(psal_ceil_div(blocks, COLUMNS / BLOCK), 1);
    if (p.column_tasks == 1 && blocks >= 12) p.column_tasks = 2;
    p.columns = psal_ceil_div(blocks, p.column_tasks) * BLOCK;
    size_t tasks = p.column_tasks * p.images;
    p.row_tasks = tasks >= WANTED_TASKS ? 1 : psal_size_min(psal_ceil_div(WANTED_TASKS, tasks), psal_ceil_div(rows, 14));
    p.depth_cuts = psal_ceil_div(p.depth, DEPTH);
    p.buffer = DEPTH * (p.columns + BLOCK) + p.columns + BLOCK;
    if (!p.in_place) p.buffer += psal_ceil_div(rows, p.row_tasks) * p.columns;
    return p;
}

/* B of one depth block: panels of 16 columns, [panel][k][16]. `line` holds one gathered row. */
static void pack_columns(const product *p, const float *source, size_t depth_start, size_t depth, size_t column,
                         size_t columns, float *line, float *b)
{
    const size_t blocks = psal_ceil_div(columns, BLOCK), full = columns / BLOCK;
    const float *src = source + depth_start * p->positions + column;
    for (size_t k = 0; k < depth; k++) {
        const float *row = line;
        if (p->plain) {
            row = src + k * p->positions;
        } else {
            psal_conv2d_gather_row(&p->l, source, depth_start + k, column, columns, line);
        }
        float *dst = b + k * BLOCK;
        for (size_t i = 0; i < full; i++)
            for (size_t v = 0; v < BLOCK; v += WIDTH) vec_store(dst + i * depth * BLOCK + v, vec_load(row + i * BLOCK + v));
        if (full < blocks) block_copy(dst + full * depth * BLOCK, row + full * BLOCK, columns - full * BLOCK);
    }
}

/* A of one tile for the forward pass: `rows` rows of w[o, (c,i,j)], contiguous in k. */
static void pack_filters(const float *w, size_t ld, size_t rows, size_t depth, float *a)
{
    for (size_t m = 0; m < rows; m++)
        for (size_t k = 0; k < depth; k += BLOCK)
            block_copy(a + k * rows + m * BLOCK, w + m * ld + k, psal_size_min(BLOCK, depth - k));
}

/* A of one tile for the input gradient: A(c, (o,a,b)) = w[o, c, kernel(a), kernel(b)], k = depth_start ... */
static void pack_transposed_filters(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const float *w,
                                    size_t channel, size_t rows, size_t depth_start, size_t depth, float *a)
{
    const size_t inputs = (size_t)(s->in_channels / s->groups), taps_w = (size_t)l->w.taps;
    const size_t taps = psal_conv2d_taps(l), kernel = (size_t)s->kernel_height * (size_t)s->kernel_width;
    size_t o = depth_start / taps, tap = depth_start % taps;
    for (size_t k = 0; k < depth; k++) {
        size_t i = (size_t)l->h.kernel + tap / taps_w * (size_t)l->h.kernel_step;
        size_t j = (size_t)l->w.kernel + tap % taps_w * (size_t)l->w.kernel_step;
        const float *src = w + (o * inputs + channel) * kernel + i * (size_t)s->kernel_width + j;
        float *dst = a + k * BLOCK;
        if (kernel == 1)
            block_copy(dst, src, rows);
        else
            for (size_t m = 0; m < rows; m++) dst[m] = src[m * kernel];
        if (++tap == taps) {
            tap = 0;
            o++;
        }
    }
}

/* Put product[rows, ld] (columns column .. column+n-1) in its places in the planes of dx. */
static void place_columns(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const float *from, size_t ld,
                          size_t rows, size_t column, size_t n, float *dx)
{
    const size_t height = (size_t)s->in_height, width = (size_t)s->in_width;
    for (size_t r = 0; r < rows; r++) {
        size_t p = column / (size_t)l->w.count, q = column % (size_t)l->w.count;
        for (size_t i = 0; i < n;) {
            size_t run = psal_size_min((size_t)l->w.count - q, n - i), step = (size_t)l->w.place_step;
            float *dst = dx + (r * height + (size_t)l->h.place + p * (size_t)l->h.place_step) * width +
                         (size_t)l->w.place + q * step;
            for (size_t j = 0; j < run; j++) dst[j * step] = from ? from[r * ld + i + j] : 0;
            i += run;
            q = 0;
            p++;
        }
    }
}

/* result[image][rows][plane] of the whole product; `w` is [groups][out][in][kernel]. */
static void run_product(const psal_conv2d_shape *s, const product *p, bool transposed, const float *source,
                        const float *w, float *result, float *scratch, size_t buffer, int threads)
{
    const size_t source_plane = (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t result_plane = transposed ? (size_t)s->in_height * (size_t)s->in_width : p->positions;
    const size_t weights = (size_t)s->out_channels / (size_t)s->groups * ((size_t)s->in_channels / (size_t)s->groups) *
                           (size_t)s->kernel_height * (size_t)s->kernel_width;
    const size_t blocks = psal_ceil_div(p->positions, BLOCK);
    if (p->positions == 0) return;

#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (size_t task = 0; task < p->images * p->row_tasks * p->column_tasks; task++) {
        const size_t image = task / (p->row_tasks * p->column_tasks);
        const size_t row_task = task % p->row_tasks, column_task = task / p->row_tasks % p->column_tasks;
        const size_t row = even_start(p->rows, p->row_tasks, row_task);
        const size_t rows = even_share(p->rows, p->row_tasks, row_task), tiles = psal_ceil_div(rows, MAX_ROWS);
        const size_t column = even_start(blocks, p->column_tasks, column_task) * BLOCK;
        const size_t columns =
            psal_size_min(even_share(blocks, p->column_tasks, column_task) * BLOCK, p->positions - column);
        const float *group_w = w + image % (size_t)s->groups * weights;
        float *out = result + (image * p->rows + row) * result_plane;

        float *b = scratch + (size_t)omp_get_thread_num() * buffer, *a = b + DEPTH * p->columns;
        float *line = a + DEPTH * BLOCK, *product_buffer = line + p->columns + BLOCK;
        float *c = p->in_place ? out + column : product_buffer;
        const size_t ldc = p->in_place ? result_plane : p->columns;

        for (size_t cut = 0; cut < p->depth_cuts; cut++) {
            const size_t k = even_start(p->depth, p->depth_cuts, cut), depth = even_share(p->depth, p->depth_cuts, cut);
            pack_columns(p, source + image * p->channels * source_plane, k, depth, column, columns, line, b);
            for (size_t tile = 0; tile < tiles; tile++) {
                const size_t m = even_start(rows, tiles, tile), tile_rows = even_share(rows, tiles, tile);
                if (transposed)
                    pack_transposed_filters(s, &p->l, group_w, row + m, tile_rows, k, depth, a);
                else
                    pack_filters(group_w + (row + m) * p->depth + k, p->depth, tile_rows, depth, a);
                for (size_t n = 0; n < columns; n += TILE_COLUMNS)
                    psal_micro(transposed ? PSAL_MICRO_COLUMNS : PSAL_MICRO_ROWS, tile_rows,
                               psal_size_min(TILE_COLUMNS, columns - n), depth, a,
                               transposed ? BLOCK : tile_rows * BLOCK, b + n * depth, BLOCK, depth * BLOCK,
                               c + m * ldc + n, ldc, cut > 0);
            }
        }
        if (p->depth == 0)
            place_columns(s, &p->l, NULL, 0, rows, column, columns, out);
        else if (!p->in_place)
            place_columns(s, &p->l, c, ldc, rows, column, columns, out);
    }
}

static product forward_product(const psal_conv2d_shape *s)
{
    psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    return make_product(s, &l, (size_t)(s->out_channels / s->groups), (size_t)(s->in_channels / s->groups));
}

static product dx_product(const psal_conv2d_shape *s, int phase)
{
    psal_conv2d_lowered l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width);
    return make_product(s, &l, (size_t)(s->in_channels / s->groups), (size_t)(s->out_channels / s->groups));
}

size_t psal_direct_forward_scratch(const psal_conv2d_shape *s, int threads)
{
    return (size_t)threads * forward_product(s).buffer * sizeof(float);
}

static size_t dx_buffer(const psal_conv2d_shape *s)
{
    size_t most = 0;
    for (int phase = 0; phase < s->stride_height * s->stride_width; phase++)
        most = psal_size_max(most, dx_product(s, phase).buffer);
    return most;
}

size_t psal_direct_dx_scratch(const psal_conv2d_shape *s, int threads)
{
    return (size_t)threads * dx_buffer(s) * sizeof(float);
}

void psal_direct_forward(const psal_conv2d_shape *s, const float *x, const float *w, float *y,
                         const psal_parallel *parallel)
{
    const product p = forward_product(s);
    run_product(s, &p, false, x, w, y, parallel->scratch, p.buffer, parallel->threads);
}

void psal_direct_dx(const psal_conv2d_shape *s, const float *dy, const float *w, float *dx,
                    const psal_parallel *parallel)
{
    const size_t buffer = dx_buffer(s);
    for (int phase = 0; phase < s->stride_height * s->stride_width; phase++) {
        const product p = dx_product(s, phase);
        run_product(s, &p, true, dy, w, dx, parallel->scratch, buffer, parallel->threads);
    }
}
