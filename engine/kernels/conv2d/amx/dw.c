/* dw.c - weight gradient on the matrix unit: dw[o, (c,i,j)] = sum over P of dy[o, P] * column[(c,i,j), P], P over
 * images and positions.
 *
 * A task computes some filters and some blocks of 16 channels of dw. K, the positions, is cut into blocks. Of each K
 * block a task packs its part of the image (image.h), which all taps share, and multiplies it with dy of 32 filters at
 * a time, which is packed just before. The columns of a product are (block of channels, tap, channel); complete filters
 * are reordered. Nothing is added across tasks; for the filters' means each task leaves one partial sum per filter, and
 * those are added in a fixed order. */
#include <omp.h>

#include "engine/kernels/conv2d/amx/codes.h"
#include "engine/kernels/conv2d/amx/image.h"
#include "engine/kernels/conv2d/amx/subsampled.h"
#include "engine/kernels/conv2d/simd/sum.h"
#include "engine/kernels/conv2d/simd/transpose.h"

#define MOST_STEPS 16u             /* of a K block: 512 positions */
#define MOST_IMAGE (192u << 10)    /* floats of a task's packed image, 768 KiB, */
#define MOST_PRODUCTS (128u << 10) /* and of its part of dw, 512 KiB: both stay in the L2 cache */
#define MOST_ROWS 512u
#define WANTED_TASKS 4u
#define EVEN_TASKS 2u

typedef struct dw_plan {
    psal_amx_subsampled subsampled;
    psal_amx_image image;
    size_t filters, channels, channel_blocks, taps;
    size_t k_blocks, most_steps; /* of one image; steps of the largest */
    bool once;                   /* one K block in all */
    size_t row_tasks, column_tasks;
    size_t most_rows, most_blocks; /* of a task: filters, blocks of channels */
    size_t image_floats, lines;    /* of a block of channels */
    size_t product_rows;           /* of dw that a task keeps: all of its own, or 32 if there is one K block */
    size_t buffer;                 /* floats per thread */
    size_t partials;               /* floats (a double each) for the partial sums, in front of the threads' buffers */
} dw_plan;

/* Some positions of one image: steps from grid index `start` on (grid.h) */
typedef struct dw_k_block {
    size_t image, start, steps;
} dw_k_block;

static dw_k_block k_block_at(const dw_plan *p, size_t n) {
    const size_t steps = psal_ceil_div(p->image.grid.indices, GROUP), k_block = n % p->k_blocks;
    return (dw_k_block){n / p->k_blocks, even_start(steps, p->k_blocks, k_block) * GROUP,
                        even_share(steps, p->k_blocks, k_block)};
}

/* Columns are divided by the shape alone, because the partial sums depend on it, rows by the number of threads too. */
static dw_plan make_plan(const psal_conv2d_shape *s, int threads) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    dw_plan p = {.image = psal_amx_image_of(&l, (size_t)s->in_channels),
                 .filters = (size_t)s->out_channels,
                 .channels = (size_t)s->in_channels,
                 .taps = psal_conv2d_taps(&l)};
    const size_t steps = psal_ceil_div(p.image.grid.indices, GROUP), row_blocks = psal_ceil_div(p.filters, TILE_ROWS);
    p.channel_blocks = psal_ceil_div(p.channels, BLOCK);
    p.k_blocks = psal_ceil_div(steps, MOST_STEPS);
    p.most_steps = psal_ceil_div(steps, p.k_blocks);
    p.once = p.k_blocks * (size_t)s->batch == 1;
    p.image_floats = psal_amx_image_floats(&p.image, p.most_steps);
    p.lines = psal_amx_image_lines(&p.image, p.most_steps);

    p.row_tasks = psal_ceil_div(p.filters, MOST_ROWS);
    p.product_rows = p.once ? TILE_ROWS : psal_ceil_div(row_blocks, p.row_tasks) * TILE_ROWS;
    const size_t most = psal_size_min(MOST_IMAGE / p.image_floats, MOST_PRODUCTS / (p.product_rows * p.taps * BLOCK));
    p.column_tasks = psal_ceil_div(p.channel_blocks, psal_size_max(most, 1));
    if (p.column_tasks > 1) p.column_tasks = psal_size_min(psal_round_up(p.column_tasks, EVEN_TASKS), p.channel_blocks);
    if (p.column_tasks * row_blocks < WANTED_TASKS)
        p.column_tasks = psal_size_min(psal_ceil_div(WANTED_TASKS, row_blocks), p.channel_blocks);
    while (p.row_tasks * p.column_tasks % (size_t)threads && p.row_tasks * p.column_tasks < 4 * (size_t)threads &&
           p.row_tasks < row_blocks)
        p.row_tasks++;
    p.most_rows = psal_ceil_div(row_blocks, p.row_tasks) * TILE_ROWS;
    p.most_blocks = psal_ceil_div(p.channel_blocks, p.column_tasks);
    if (!p.once) p.product_rows = p.most_rows;
    /* A, the image, lines, a tile, what the task has of dw */
    p.buffer = p.most_steps * STEP_FLOATS + p.most_blocks * p.image_floats + p.lines + TILE_ROWS * TILE_WIDTH +
               p.product_rows * p.most_blocks * p.taps * BLOCK;
    p.partials = psal_round_up(2 * p.filters * p.column_tasks, BLOCK);
    return p;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_amx_subsampled subsampled = psal_amx_subsampled_of(&c->shape);
    dw_plan p = make_plan(&subsampled.shape, c->threads);
    p.subsampled = subsampled;
    const size_t floats = subsampled.floats + p.partials + (size_t)c->threads * p.buffer;
    return psal_conv2d_keep_plan(c, &p, sizeof p, floats * sizeof(float), err);
}

/* ---- A: dy ---- */

/* Whether the lanes are 0, 1, ..., without a gap */
static bool without_gaps(vec_mask lanes) {
    return (lanes & (lanes + 1u)) == 0;
}

/* One step of dy: lane i of the first elements of the pairs is the next value from dy[first] on where `firsts` has bit
 * i, otherwise 0; the second elements likewise. Without gaps these are loads, otherwise expansions, which take twice as
 * long. */
INLINE void pack_step(bool gaps, const float *dy, size_t plane, size_t rows, size_t first, vec_mask firsts,
                      size_t second, vec_mask seconds, float *to) {
    for (size_t row = 0; row < rows; row++, dy += plane, to += STEP_PAIRS) {
        vec part[PARTS];
        if (gaps)
            split_pairs(_mm512_maskz_expandloadu_ps(firsts, dy + first),
                        _mm512_maskz_expandloadu_ps(seconds, dy + second), part);
        else
            split_pairs(vec_load_masked(dy + first, firsts), vec_load_masked(dy + second, seconds), part);
#pragma GCC unroll 3
        for (unsigned i = 0; i < PARTS; i++) vec_store(to + i * PART_FLOATS, part[i]);
    }
}

/* dy of some filters of one image, as psal_amx_pack packs filters. */
static void pack_dy(const psal_amx_image *im, const float *dy, size_t rows, const dw_k_block *k_block, float *to) {
    const size_t plane = (size_t)im->grid.l.h.count * (size_t)im->grid.l.w.count;
    for (size_t step = 0; step < k_block->steps; step++, to += STEP_FLOATS) {
        const size_t index = k_block->start + step * GROUP;
        size_t first = 0, second = 0;
        const vec_mask firsts = psal_amx_grid_positions(&im->grid, index, &first);
        const vec_mask seconds = psal_amx_grid_positions(&im->grid, index + STEP_PAIRS, &second);
        if (without_gaps(firsts) && without_gaps(seconds))
            pack_step(false, dy, plane, rows, first, firsts, second, seconds, to);
        else
            pack_step(true, dy, plane, rows, first, firsts, second, seconds, to);
    }
}

/* ---- tasks ---- */

typedef struct dw_task {
    size_t row, rows, block, blocks; /* filters, blocks of channels */
} dw_task;

static dw_task task_at(const dw_plan *p, size_t task) {
    const size_t row_blocks = psal_ceil_div(p->filters, TILE_ROWS), row = task % p->row_tasks,
                 column = task / p->row_tasks;
    dw_task t = {.row = even_start(row_blocks, p->row_tasks, row) * TILE_ROWS,
                 .block = even_start(p->channel_blocks, p->column_tasks, column),
                 .blocks = even_share(p->channel_blocks, p->column_tasks, column)};
    t.rows = psal_size_min(even_share(row_blocks, p->row_tasks, row) * TILE_ROWS, p->filters - t.row);
    return t;
}

static void add_tile(const float *tile, size_t rows, size_t columns, bool add, float *c, size_t ldc) {
    for (size_t r = 0; r < rows; r++, tile += TILE_WIDTH, c += ldc)
        for (size_t j = 0; j < columns; j += BLOCK) {
            const vec_mask mask = vec_first(columns - j);
            vec sum = vec_load(tile + j);
            if (add) sum = vec_add(vec_load_masked(c + j, mask), sum);
            vec_store_masked(c + j, mask, sum);
        }
}

/* Where the tiles of the 16 columns number `column`, counted in (block, tap), begin */
static const float *tiles_of(const dw_plan *p, const float *image, size_t block_floats, size_t column, size_t steps) {
    return image + column / p->taps * block_floats + psal_amx_image_tap(&p->image, column % p->taps, steps);
}

/* Columns of a filter, from the order (block, tap, channel) to (channel, tap). */
static void reorder(const dw_plan *p, const dw_task *t, const float *columns, float *dw) {
    for (size_t block = t->block; block < t->block + t->blocks; block++, columns += p->taps * BLOCK) {
        const size_t channels = psal_size_min(BLOCK, p->channels - block * BLOCK);
        for (size_t tap = 0; tap < p->taps; tap += BLOCK) {
            const size_t taps = psal_size_min(BLOCK, p->taps - tap);
            transpose_block(columns + tap * BLOCK, BLOCK, taps, channels, dw + block * BLOCK * p->taps + tap, p->taps,
                            taps);
        }
    }
}

/* Complete filters in `products`: to dw, or their partial sums */
static void finish(const dw_plan *p, const dw_task *t, size_t row, size_t rows, const float *products, size_t ld,
                   float *dw, bool is_signed, double *partial) {
    for (size_t r = row; r < row + rows; r++, products += ld) {
        if (dw)
            reorder(p, t, products, dw + r * p->channels * p->taps);
        else
            partial[r * p->column_tasks] = sum_values(products, t->blocks * p->taps * BLOCK, is_signed);
    }
}

/* A task's part of dw; or, when dw is NULL, the sum over its columns of |dw|, or of dw, for each of its filters:
 * partial[filter * column_tasks]. */
static void run_task(const dw_plan *p, const dw_task *t, size_t images, const float *x, const float *dy, float *dw,
                     bool is_signed, double *partial, float *buffer) {
    const size_t x_image = p->channels * (size_t)p->image.grid.l.h.source * (size_t)p->image.grid.l.w.source;
    const size_t plane = (size_t)p->image.grid.l.h.count * (size_t)p->image.grid.l.w.count,
                 columns = t->blocks * p->taps;
    float *a = buffer, *image = a + p->most_steps * STEP_FLOATS, *lines = image + p->most_blocks * p->image_floats;
    float *tile = lines + p->lines, *products = tile + TILE_ROWS * TILE_WIDTH;
    const bool in_place = dw && p->taps == 1; /* columns have the order of dw */
    const size_t ld = in_place ? p->channels : columns * BLOCK;
    const size_t width = in_place ? psal_size_min(ld - t->block * BLOCK, columns * BLOCK) : ld;
    for (size_t n = 0; n < images * p->k_blocks; n++) {
        const dw_k_block k_block = k_block_at(p, n);
        const size_t block_floats = psal_amx_image_floats(&p->image, k_block.steps);
        for (size_t i = 0; i < t->blocks; i++)
            psal_amx_image_pack(&p->image, x + k_block.image * x_image, t->block + i, k_block.start, k_block.steps,
                                lines, image + i * block_floats);
        psal_amx_b_tiles b = psal_amx_image_tiles(&p->image, k_block.steps);
        for (size_t row = 0; row < t->rows; row += TILE_ROWS) {
            const size_t rows = psal_size_min(TILE_ROWS, t->rows - row);
            pack_dy(&p->image, dy + (k_block.image * p->filters + t->row + row) * plane, rows, &k_block, a);
            float *c = in_place ? dw + (t->row + row) * ld + t->block * BLOCK : products + (p->once ? 0 : row * ld);
            for (size_t j = 0; j < columns; j += 2) {
                b.first = tiles_of(p, image, block_floats, j, k_block.steps);
                b.second = j + 1 < columns ? tiles_of(p, image, block_floats, j + 1, k_block.steps) : NULL;
                const size_t filled = psal_size_min(TILE_WIDTH, width - j * BLOCK);
                const bool whole = n == 0 && rows == TILE_ROWS && filled == TILE_WIDTH;
                float *to = c + j * BLOCK;
                psal_amx_multiply(PSAL_AMX_ONE_PASS, a, &b, k_block.steps, whole ? to : tile, whole ? ld : TILE_WIDTH);
                if (!whole) add_tile(tile, rows, filled, n > 0, to, ld);
            }
            if (p->once && !in_place) finish(p, t, t->row + row, rows, c, ld, dw, is_signed, partial);
        }
    }
    if (!p->once && !in_place) finish(p, t, t->row, t->rows, products, ld, dw, is_signed, partial);
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const dw_plan *p = c->plan;
    const float *x = o->x;
    float *dw = c->direction == PSAL_CONV2D_DW ? o->result : NULL, *subsampled = scratch,
          *rest = subsampled + p->subsampled.floats;
    double *partial = (double *)rest; /* [filters][column_tasks] */
    float *buffers = rest + p->partials;
    if (p->subsampled.skips) {
        psal_amx_subsample(&c->shape, x, subsampled, c->threads);
        x = subsampled;
    }
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    {
        psal_amx_begin();
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < p->row_tasks * p->column_tasks; task++) {
            const dw_task t = task_at(p, task);
            run_task(p, &t, (size_t)c->shape.batch, x, o->dy, dw, o->is_signed, partial + task / p->row_tasks,
                     buffers + (size_t)omp_get_thread_num() * p->buffer);
        }
        psal_amx_end();
    }
    if (!dw) mean_of_partial_sums(partial, p->filters, p->column_tasks, p->channels * p->taps, o->result);
}

const psal_conv2d_code psal_amx_dw = {prepare, run};
