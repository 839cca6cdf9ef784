/* dw.c - a task owns some filters and some columns (c,i,j) of dw and walks over all positions in cuts. Of each cut it packs
 * the gathered columns (positions downwards, in words as filters.h has it for channels) and multiplies them with one
 * block of 32 filters' dy after the other, packed in its turn. Nothing is added across tasks; for the filters' means
 * each task leaves one partial sum per filter, and those are added in a fixed order. */
#include "engine/kernels/amx/dw.h"

#include <omp.h>
#include <string.h>

#include "engine/kernels/amx/tile.h"
#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/direct.h"
#include "engine/kernels/x86/micro.h"
#include "engine/kernels/x86/transpose.h"

#define PSAL_CONV2D_COPY strided_copy
#include "engine/kernels/conv2d_gather.h"

#define MOST_STEPS 16u /* of a cut: 512 positions; */
#define DEPTH (2 * MOST_STEPS * STEP_WORDS)
#define MOST_PAIRS 8u /* of a task: 256 columns, 768 KiB */
#define MOST_ROWS 512u
#define WANTED_TASKS 4u
#define EVEN_TASKS 2u

typedef struct dw_plan {
    psal_conv2d_lowered l;
    bool plain;
    size_t filters, channels, columns, positions; /* columns: (c,i,j); positions of one image */
    size_t row_tasks, column_tasks, cuts;         /* cuts of one image */
    size_t most_rows, most_columns, most_steps;
    size_t buffer;   /* floats per thread */
    size_t partials; /* floats (a double each) for the partial sums, in front of the threads' buffers */
} dw_plan;

/* Some positions of one image. */
typedef struct dw_cut {
    size_t image, start, depth, steps;
} dw_cut;

static dw_cut cut_at(const dw_plan *p, size_t n)
{
    const size_t depth = even_share(p->positions, p->cuts, n % p->cuts);
    return (dw_cut){n / p->cuts, even_start(p->positions, p->cuts, n % p->cuts), depth, psal_ceil_div(depth, GROUP)};
}

/* The columns column .. column+columns-1 of a cut: panels of tile.h; `lines` has room for sixteen gathered rows. */
static void pack_columns(const dw_plan *p, const float *x, const dw_cut *cut, size_t column, size_t columns, float *lines,
                         float *b)
{
    const float *source = x + cut->image * p->channels * (size_t)p->l.h.source * (size_t)p->l.w.source;
    for (size_t n = 0; n < columns; n += BLOCK) {
        const size_t count = psal_size_min(BLOCK, columns - n), step = p->plain ? p->positions : DEPTH + BLOCK;
        const float *from = p->plain ? source + (column + n) * p->positions + cut->start : lines;
        for (size_t r = 0; r < count && !p->plain; r++)
            psal_conv2d_gather_row(&p->l, source, column + n + r, cut->start, cut->depth, lines + r * step);
        float *to = b + n / TILE_WIDTH * cut->steps * STEP_FLOATS + n / BLOCK % 2 * TILE_FLOATS;
        for (size_t k = 0; k < cut->steps; k++, to += STEP_FLOATS) {
            const psal_amx_group group = psal_amx_group_at(cut->depth, k);
            vec first[BLOCK], second[BLOCK];
            load_transposed(from + group.start, step, count, group.firsts, first);
            load_transposed(from + group.start + group.firsts, step, count, group.seconds, second);
#pragma GCC unroll 16
            for (size_t i = 0; i < BLOCK; i++) {
                vec part[PARTS];
                split_words(first[i], second[i], part);
#pragma GCC unroll 3
                for (size_t j = 0; j < PARTS; j++) vec_store(to + j * PART_FLOATS + i * BLOCK, part[j]);
            }
        }
    }
}

static dw_plan make_plan(const psal_conv2d_shape *s)
{
    dw_plan p = {.l = psal_conv2d_lower_forward(s)};
    p.plain = psal_conv2d_lowered_is_plain(&p.l);
    p.filters = (size_t)s->out_channels;
    p.channels = (size_t)s->in_channels;
    p.columns = p.channels * psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    const size_t pairs = psal_ceil_div(p.columns, TILE_WIDTH), row_blocks = psal_ceil_div(p.filters, TILE_ROWS);
    p.column_tasks = psal_ceil_div(pairs, MOST_PAIRS);
    p.row_tasks = psal_ceil_div(p.filters, MOST_ROWS);
    if (p.column_tasks * p.row_tasks < WANTED_TASKS)
        p.column_tasks = psal_size_min(psal_ceil_div(WANTED_TASKS, p.row_tasks), pairs);
    p.column_tasks = psal_size_min(psal_round_up(p.column_tasks, EVEN_TASKS), pairs);
    if (p.column_tasks * p.row_tasks < WANTED_TASKS)
        p.row_tasks = psal_size_min(psal_ceil_div(WANTED_TASKS, p.column_tasks), row_blocks);
    p.most_columns = psal_ceil_div(pairs, p.column_tasks) * TILE_WIDTH;
    p.most_rows = psal_ceil_div(row_blocks, p.row_tasks) * TILE_ROWS;
    p.cuts = psal_ceil_div(p.positions, DEPTH);
    p.most_steps = psal_ceil_div(psal_ceil_div(p.positions, p.cuts), GROUP);
    /* A, B, sixteen gathered lines, a tile, the task's part of dw */
    p.buffer = (1 + p.most_columns / TILE_WIDTH) * p.most_steps * STEP_FLOATS + BLOCK * (DEPTH + BLOCK) + TILE_ROWS * TILE_WIDTH +
               p.most_rows * p.most_columns;
    p.partials = psal_round_up(2 * p.filters * p.column_tasks, BLOCK);
    return p;
}

size_t psal_amx_dw_scratch(const psal_conv2d_shape *s, int threads)
{
    const dw_plan p = make_plan(s);
    return (p.partials + (size_t)threads * p.buffer) * sizeof(float);
}

static psal_amx_filters rows_of(const dw_plan *p, const float *dy, const dw_cut *cut)
{
    return (psal_amx_filters){.form = PSAL_AMX_ROWS, .w = dy + cut->image * p->filters * p->positions + cut->start,
                              .ld = p->positions, .channels = cut->depth, .taps = 1};
}

/* ---- tasks ---- */

typedef struct task_shape {
    size_t row, rows, column, columns;
} task_shape;

static task_shape task_at(const dw_plan *p, size_t task)
{
    const size_t pairs = psal_ceil_div(p->columns, TILE_WIDTH), row_blocks = psal_ceil_div(p->filters, TILE_ROWS);
    const size_t row_task = task % p->row_tasks, column_task = task / p->row_tasks;
    task_shape t = {.row = even_start(row_blocks, p->row_tasks, row_task) * TILE_ROWS,
                    .column = even_start(pairs, p->column_tasks, column_task) * TILE_WIDTH};
    t.rows = psal_size_min(even_share(row_blocks, p->row_tasks, row_task) * TILE_ROWS, p->filters - t.row);
    t.columns = psal_size_min(even_share(pairs, p->column_tasks, column_task) * TILE_WIDTH, p->columns - t.column);
    return t;
}

static void add_tile(const float *tile, size_t rows, size_t columns, bool add, float *c, size_t ldc)
{
    for (size_t r = 0; r < rows; r++, tile += TILE_WIDTH, c += ldc)
        for (size_t j = 0; j < columns; j += BLOCK) {
            const vec_mask mask = vec_first(columns - j);
            vec sum = vec_load(tile + j);
            if (add) sum = vec_add(vec_load_masked(c + j, mask), sum);
            vec_store_masked(c + j, mask, sum);
        }
}

/* The part of dw of a task; or, when dw is NULL, of each of its filters the sum over its columns of |dw|, or of dw, into
 * partial[filter * column_tasks]. */
static void run_task(const dw_plan *p, const task_shape *t, size_t images, const float *x, const float *dy, float *dw,
                     bool is_signed, double *partial, float *buffer)
{
    float *a = buffer, *b = a + p->most_steps * STEP_FLOATS;
    float *lines = b + p->most_columns / TILE_WIDTH * p->most_steps * STEP_FLOATS, *tile = lines + BLOCK * (DEPTH + BLOCK);
    float *own = tile + TILE_ROWS * TILE_WIDTH, *c = dw ? dw + t->row * p->columns + t->column : own;
    const size_t ldc = dw ? p->columns : p->most_columns;
    for (size_t n = 0; n < images * p->cuts; n++) {
        const dw_cut cut = cut_at(p, n);
        const psal_amx_filters filters = rows_of(p, dy, &cut);
        pack_columns(p, x, &cut, t->column, t->columns, lines, b);
        for (size_t row = 0; row < t->rows; row += TILE_ROWS) {
            const psal_amx_block block = {t->row + row, psal_size_min(TILE_ROWS, t->rows - row), 0, cut.steps};
            psal_amx_pack(&filters, &block, a);
            for (size_t j = 0; j < t->columns; j += TILE_WIDTH) {
                const size_t width = psal_size_min(TILE_WIDTH, t->columns - j);
                const bool whole = n == 0 && block.rows == TILE_ROWS && width == TILE_WIDTH;
                float *to = c + row * ldc + j;
                psal_amx_multiply(false, width <= BLOCK, a, b + j / TILE_WIDTH * cut.steps * STEP_FLOATS, cut.steps, whole ? to : tile,
                                  whole ? ldc : TILE_WIDTH);
                if (!whole) add_tile(tile, block.rows, width, n > 0, to, ldc);
            }
        }
    }
    for (size_t r = 0; r < t->rows && !dw; r++)
        partial[r * p->column_tasks] = sum_values(own + r * ldc, t->columns, is_signed);
}

void psal_amx_dw(const psal_conv2d_shape *s, const float *x, const float *dy, float *dw, bool is_signed, float *mean,
                 const psal_parallel *parallel)
{
    const dw_plan p = make_plan(s);
    double *partial = parallel->scratch; /* [filters][column_tasks] */
    float *buffers = (float *)parallel->scratch + p.partials;
#pragma omp parallel num_threads(parallel->threads) if (parallel->threads > 1)
    {
        psal_amx_begin();
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < p.row_tasks * p.column_tasks; task++) {
            const task_shape t = task_at(&p, task);
            run_task(&p, &t, (size_t)s->batch, x, dy, dw, is_signed,
                     partial + t.row * p.column_tasks + task / p.row_tasks,
                     buffers + (size_t)omp_get_thread_num() * p.buffer);
        }
        psal_amx_end();
    }
    for (size_t o = 0; o < p.filters && !dw; o++) {
        double sum = 0;
        for (size_t i = 0; i < p.column_tasks; i++) sum += partial[o * p.column_tasks + i];
        mean[o] = (float)(sum / (double)p.columns);
    }
}
